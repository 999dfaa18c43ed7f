#include "runtime/hal/hal.h"

#include "runtime/base/checked.h"

namespace eyrie::rt::hal {
namespace {

unsigned long long Ull(uint64_t value) { return value; }

}  // namespace

Status CommandBuffer::CheckRecording() const {
  if (__builtin_expect(state_ == State::kRecording, 1)) return {};
  return Error(EYRIE_FAILED_PRECONDITION, "the command buffer is not recording");
}

Status CommandBuffer::CheckRange(const Binding& binding, const char* what) const {
  if (!binding.buffer) return Error(EYRIE_INVALID_ARGUMENT, "%s: no buffer", what);
  if (binding.buffer->device() != device_)
    return Error(EYRIE_INVALID_ARGUMENT, "%s: the buffer belongs to another device", what);
  if (!InRange(binding.offset, binding.length, binding.buffer->size()))
    return Error(EYRIE_OUT_OF_RANGE, "%s: %llu bytes from byte %llu do not lie in a buffer of %llu bytes", what,
                 Ull(binding.length), Ull(binding.offset), Ull(binding.buffer->size()));
  return {};
}

Status CommandBuffer::CheckDispatch(const Executable* executable, uint32_t ordinal, const uint64_t workgroup_count[3],
                                    std::span<const int64_t> constants, std::span<const Binding> bindings) const {
  EYRIE_RETURN_IF_ERROR(CheckRecording());
  if (!executable || executable->device() != device_)
    return Error(EYRIE_INVALID_ARGUMENT, "dispatch: the executable belongs to another device");
  if (ordinal >= executable->exports().size())
    return Error(EYRIE_OUT_OF_RANGE, "dispatch: export %u of an executable that has %llu", ordinal,
                 Ull(executable->exports().size()));
  const ExportSpec& spec = executable->exports()[ordinal];
  if (bindings.size() != spec.binding_count || constants.size() != spec.constant_count)
    return Error(EYRIE_INVALID_ARGUMENT, "dispatch of %s: expected %u bindings and %u constants, got %llu and %llu",
                 spec.symbol, spec.binding_count, spec.constant_count, Ull(bindings.size()), Ull(constants.size()));
  for (int axis = 0; axis < 3; ++axis)
    if (workgroup_count[axis] > UINT32_MAX)
      return Error(EYRIE_OUT_OF_RANGE, "dispatch of %s: workgroup count %llu is too large", spec.symbol,
                   Ull(workgroup_count[axis]));
  uint64_t total;
  if (!CheckedMul(workgroup_count[0] * workgroup_count[1], workgroup_count[2], &total))
    return Error(EYRIE_OUT_OF_RANGE, "dispatch of %s: too many workgroups", spec.symbol);
  for (size_t i = 0; i < bindings.size(); ++i) {
    const Binding& binding = bindings[i];
    if (__builtin_expect(binding.buffer && binding.buffer->device() == device_ &&
                             InRange(binding.offset, binding.length, binding.buffer->size()),
                         1))
      continue;
    return Annotate(CheckRange(binding, "dispatch"), "%s, binding %llu", spec.symbol, Ull(i));
  }
  return {};
}

Status CommandBuffer::CheckCopy(const Binding& source, const Binding& destination) const {
  EYRIE_RETURN_IF_ERROR(CheckRecording());
  EYRIE_RETURN_IF_ERROR(CheckRange(source, "source of a copy"));
  EYRIE_RETURN_IF_ERROR(CheckRange(destination, "destination of a copy"));
  if (source.length != destination.length)
    return Error(EYRIE_INVALID_ARGUMENT, "copy: source and destination have different lengths");
  if (!destination.buffer->writable()) return Error(EYRIE_PERMISSION_DENIED, "copy: the destination is read-only");
  if (source.buffer == destination.buffer && source.offset < destination.offset + destination.length &&
      destination.offset < source.offset + source.length && source.length)
    return Error(EYRIE_INVALID_ARGUMENT, "copy: source and destination overlap");
  return {};
}

Status CommandBuffer::CheckFill(const Binding& destination, uint32_t pattern_bytes) const {
  EYRIE_RETURN_IF_ERROR(CheckRecording());
  EYRIE_RETURN_IF_ERROR(CheckRange(destination, "destination of a fill"));
  if (!destination.buffer->writable()) return Error(EYRIE_PERMISSION_DENIED, "fill: the destination is read-only");
  if (pattern_bytes > 8 || !IsPowerOfTwo(pattern_bytes) || destination.length % pattern_bytes)
    return Error(EYRIE_INVALID_ARGUMENT, "fill: %llu bytes with a pattern of %u bytes", Ull(destination.length),
                 pattern_bytes);
  return {};
}

Status Stop::Check() const {
  if (cancelled && cancelled->load(std::memory_order_relaxed)) return Error(EYRIE_CANCELLED, "the call was cancelled");
  if (deadline_ns != kForever && NowNs() >= deadline_ns)
    return Error(EYRIE_DEADLINE_EXCEEDED, "the call did not end in its time");
  return {};
}

namespace {

// How often a wait looks whether its submission was cancelled.
constexpr uint64_t kCancelCheckNs = 10000000;

Status WaitFor(const SemaphoreValue& wait, const Stop* stop) {
  if (!stop) return wait.semaphore->Wait(wait.value, kForever);
  for (;;) {
    uint64_t until = stop->cancelled ? NowNs() + kCancelCheckNs : kForever;
    if (wait.semaphore->WaitUntil(wait.value, until < stop->deadline_ns ? until : stop->deadline_ns))
      return wait.semaphore->Wait(wait.value, 0);
    EYRIE_RETURN_IF_ERROR(stop->Check());
  }
}

}  // namespace

Status Device::WaitAndExecute(const Submission& submission) {
  for (const SemaphoreValue& wait : submission.waits) EYRIE_RETURN_IF_ERROR(WaitFor(wait, submission.stop));
  if (submission.commands->device() != this)
    return Error(EYRIE_INVALID_ARGUMENT, "the command buffer belongs to another device");
  if (!submission.commands->ended()) return Error(EYRIE_FAILED_PRECONDITION, "the command buffer has not been ended");
  return Execute(submission);
}

Status Device::Submit(const Submission& submission) {
  Status status = WaitAndExecute(submission);
  for (const SemaphoreValue& signal : submission.signals) {
    if (status.ok())
      status = signal.semaphore->Signal(signal.value);
    else
      signal.semaphore->Fail();
  }
  return status;
}

}  // namespace eyrie::rt::hal
