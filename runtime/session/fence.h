// A fence of the C interface: a timeline semaphore, counted references, and why it failed.
#ifndef EYRIE_RUNTIME_SESSION_FENCE_H_
#define EYRIE_RUNTIME_SESSION_FENCE_H_

#include <atomic>

#include "runtime/hal/semaphore.h"
#include "runtime/session/runtime.h"

struct eyrie_fence {
  eyrie_fence(eyrie_runtime* runtime, uint64_t value) : runtime(runtime), timeline(value) { runtime->Retain(); }
  void Retain() { references.fetch_add(1, std::memory_order_relaxed); }
  void Release();
  // The calls that wait for it go on.
  eyrie::rt::Status Signal(uint64_t value);
  // Keeps the first failure.
  void Fail(eyrie::rt::Status failure);
  bool IsReached(uint64_t value) const { return timeline.value() >= value; }  // or failed
  // A copy of the failure; OK if there is none.
  eyrie::rt::Status Failure();

  eyrie_runtime* runtime;
  eyrie::rt::hal::Semaphore timeline;

 private:
  std::atomic<uint32_t> references{1};
  eyrie::rt::Mutex failure_mutex_;
  eyrie::rt::Status failure_;
};

#endif  // EYRIE_RUNTIME_SESSION_FENCE_H_
