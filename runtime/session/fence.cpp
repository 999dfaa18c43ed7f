#include "runtime/session/fence.h"

using namespace eyrie::rt;

namespace {

// A thread that waits looks this often after the deadlines of calls that wait.
constexpr uint64_t kDeadlineCheckNs = 50000000;

Status Check(const eyrie_fence* fence) {
  if (!fence) return Error(EYRIE_INVALID_ARGUMENT, "no fence");
  return fence->runtime->CheckProcess();
}

void Spin(const eyrie_fence& fence, uint64_t value, uint64_t until_ns) {
  for (uint32_t spins = 1; !fence.IsReached(value); ++spins) {
    CpuRelax();
    if (spins % 64 == 0 && NowNs() >= until_ns) return;
  }
}

}  // namespace

void eyrie_fence::Release() {
  if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  eyrie_runtime* owner = runtime;
  if (!owner->CheckProcess().ok()) return;
  owner->allocator.Delete(this);
  owner->Release();
}

Status eyrie_fence::Signal(uint64_t value) {
  Status status = timeline.Signal(value);
  if (status.ok()) runtime->scheduler.Advance();
  return status;
}

void eyrie_fence::Fail(Status failure) {
  {
    MutexLock lock(failure_mutex_);
    if (timeline.failed()) return;
    failure_ = std::move(failure);
    timeline.Fail();
  }
  runtime->scheduler.Advance();
}

Status eyrie_fence::Failure() {
  if (!timeline.failed()) return {};
  MutexLock lock(failure_mutex_);
  return Error(failure_.code(), "%s", failure_.message());
}

extern "C" {

eyrie_status_t eyrie_fence_create(eyrie_runtime_t* runtime, uint64_t value, eyrie_fence_t** fence) {
  if (!runtime || !fence) return Error(EYRIE_INVALID_ARGUMENT, "no runtime, or no place for the fence").Release();
  *fence = nullptr;
  Status status = runtime->CheckProcess();
  if (!status.ok()) return status.Release();
  if (value == UINT64_MAX) return Error(EYRIE_INVALID_ARGUMENT, "a fence cannot begin at 2^64-1").Release();
  *fence = runtime->allocator.New<eyrie_fence>(runtime, value);
  return *fence ? nullptr : OutOfMemory().Release();
}

void eyrie_fence_retain(eyrie_fence_t* fence) { fence->Retain(); }

void eyrie_fence_release(eyrie_fence_t* fence) {
  if (fence) fence->Release();
}

eyrie_status_t eyrie_fence_signal(eyrie_fence_t* fence, uint64_t value) {
  Status status = Check(fence);
  return status.ok() ? fence->Signal(value).Release() : status.Release();
}

eyrie_status_t eyrie_fence_fail(eyrie_fence_t* fence, eyrie_code_t code, const char* message) {
  Status status = Check(fence);
  if (!status.ok()) return status.Release();
  if (code == EYRIE_OK) return Error(EYRIE_INVALID_ARGUMENT, "a fence cannot fail with the code OK").Release();
  fence->Fail(Error(code, "%s", message ? message : ""));
  return nullptr;
}

eyrie_status_t eyrie_fence_wait(eyrie_fence_t* fence, uint64_t value, uint64_t timeout_ns) {
  Status status = Check(fence);
  if (!status.ok()) return status.Release();
  session::Scheduler& scheduler = fence->runtime->scheduler;
  uint64_t now = timeout_ns ? NowNs() : 0;
  uint64_t deadline = timeout_ns < kForever - now ? now + timeout_ns : kForever;
  while (!fence->IsReached(value)) {
    if (scheduler.RunReady()) continue;  // a runtime without threads
    if (!timeout_ns || (deadline != kForever && NowNs() >= deadline))
      return Error(EYRIE_DEADLINE_EXCEEDED, "waited for the value %llu of a fence that is at %llu",
                   static_cast<unsigned long long>(value), static_cast<unsigned long long>(fence->timeline.value()))
          .Release();
    uint64_t check = NowNs() + kDeadlineCheckNs;
    uint64_t until = check < deadline ? check : deadline;
    if (scheduler.has_threads() && fence->runtime->low_latency)
      Spin(*fence, value, until);
    else if (scheduler.has_threads())
      fence->timeline.WaitUntil(value, until);
    else
      scheduler.WaitForChange(*fence, value, until);
    scheduler.Advance();
  }
  return fence->Failure().Release();
}

eyrie_status_t eyrie_fence_query(eyrie_fence_t* fence, uint64_t* value) {
  Status status = Check(fence);
  if (!status.ok()) return status.Release();
  status = fence->Failure();
  if (status.ok() && value) *value = fence->timeline.value();
  return status.Release();
}

}  // extern "C"
