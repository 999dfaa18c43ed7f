#include "runtime/hal/drivers/cpu/cpu_command_buffer.h"

#include <cstring>

#include "runtime/base/checked.h"

namespace eyrie::rt::hal::cpu {
namespace {

// What empty bindings without memory point to.
alignas(64) uint8_t empty_memory[64];

uint8_t* AddressOf(const Binding& binding) {
  uint8_t* base = binding.buffer->host();
  return base ? base + binding.offset : empty_memory;
}

int32_t RunWorkgroups(void* context, uint64_t begin, uint64_t end, void* local);

struct Grid {
  eyrie_kernel kernel;
  const eyrie_kernel_dispatch* dispatch;
};

int32_t RunWorkgroups(void* context, uint64_t begin, uint64_t end, void* local) {
  const Grid& grid = *static_cast<const Grid*>(context);
  const uint32_t* count = grid.dispatch->workgroup_count;
  auto x = static_cast<uint32_t>(begin % count[0]);
  uint64_t rest = begin / count[0];
  auto y = static_cast<uint32_t>(rest % count[1]);
  auto z = static_cast<uint32_t>(rest / count[1]);
  for (; begin < end; ++begin) {
    if (int32_t error = grid.kernel(grid.dispatch, x, y, z, local)) return error;
    if (++x == count[0]) {
      x = 0;
      if (++y == count[1]) {
        y = 0;
        ++z;
      }
    }
  }
  return 0;
}

Status KernelError(const char* symbol, int32_t error) {
  switch (error) {
    case EYRIE_KERNEL_INDEX_OUT_OF_RANGE:
      return Error(EYRIE_INVALID_ARGUMENT, "%s: an index is out of range", symbol);
    case EYRIE_KERNEL_DIVISION_BY_ZERO:
      return Error(EYRIE_INVALID_ARGUMENT, "%s: an integer is divided by zero", symbol);
    case EYRIE_KERNEL_INVALID_VALUE:
      return Error(EYRIE_INVALID_ARGUMENT, "%s: a value breaks a condition of the operation", symbol);
    default:
      return Error(EYRIE_INTERNAL, "%s: the kernel returned the unknown error %d", symbol, error);
  }
}

void FillMemory(uint8_t* destination, uint64_t length, uint64_t pattern, uint64_t pattern_bytes) {
  if (!length) return;
  uint8_t first = static_cast<uint8_t>(pattern);
  bool uniform = true;
  for (uint64_t i = 1; i < pattern_bytes; ++i) uniform &= static_cast<uint8_t>(pattern >> 8 * i) == first;
  if (uniform) {
    memset(destination, first, length);
    return;
  }
  for (uint64_t at = 0; at < length; at += pattern_bytes) memcpy(destination + at, &pattern, pattern_bytes);
}

}  // namespace

Status CpuCommandBuffer::Begin() {
  words_.Clear();
  state_ = State::kRecording;
  empty_ = true;
  return {};
}

template <typename T>
Result<T*> CpuCommandBuffer::Append(Kind kind, size_t extra_words) {
  static_assert(sizeof(T) % 8 == 0);
  size_t words = sizeof(T) / 8 + extra_words;
  size_t at = words_.size();
  if (words > UINT32_MAX) return OutOfMemory();
  if (at + words > words_.capacity()) {
    Status status = words_.Reserve(at + words > 1024 ? at + words : 1024);
    if (!status.ok()) return status;
  }
  Status status = words_.Resize(at + words);
  if (!status.ok()) return status;
  T* command = reinterpret_cast<T*>(words_.data() + at);
  command->header = {kind, static_cast<uint32_t>(words)};
  empty_ = false;
  return command;
}

Status CpuCommandBuffer::ReserveLocal(uint32_t bytes) {
  if (bytes <= local_bytes_) return {};
  void* fresh = allocator_.Allocate(bytes, 64);
  if (!fresh) return OutOfMemory();
  allocator_.Release(local_, local_bytes_, 64);
  local_ = fresh;
  local_bytes_ = bytes;
  return {};
}

Status CpuCommandBuffer::Dispatch(Executable* executable, uint32_t ordinal, const uint64_t workgroup_count[3],
                                  std::span<const int64_t> constants, std::span<const Binding> bindings, uint32_t tag) {
  EYRIE_RETURN_IF_ERROR(CheckDispatch(executable, ordinal, workgroup_count, constants, bindings));
  uint64_t total = workgroup_count[0] * workgroup_count[1] * workgroup_count[2];
  if (total == 0) return {};
  const ExportSpec& spec = executable->exports()[ordinal];
  EYRIE_RETURN_IF_ERROR(ReserveLocal(spec.local_memory));
  auto appended = Append<DispatchCommand>(kDispatch, constants.size() + bindings.size());
  EYRIE_RETURN_IF_ERROR(std::move(appended.status()));
  DispatchCommand& command = *appended.value();
  command.kernel = static_cast<CpuExecutable*>(executable)->kernel(ordinal);
  command.spec = &spec;
  command.tag = tag;
  command.single = total == 1;
  command.dispatch.binding_count = static_cast<uint32_t>(bindings.size());
  command.dispatch.constant_count = static_cast<uint32_t>(constants.size());
  for (int axis = 0; axis < 3; ++axis)
    command.dispatch.workgroup_count[axis] = static_cast<uint32_t>(workgroup_count[axis]);
  auto* words = reinterpret_cast<uint64_t*>(&command + 1);
  for (int64_t constant : constants) *words++ = static_cast<uint64_t>(constant);
  for (const Binding& binding : bindings) *words++ = reinterpret_cast<uint64_t>(AddressOf(binding));
  return {};
}

Status CpuCommandBuffer::Copy(const Binding& source, const Binding& destination) {
  EYRIE_RETURN_IF_ERROR(CheckCopy(source, destination));
  auto appended = Append<CopyCommand>(kCopy, 0);
  EYRIE_RETURN_IF_ERROR(std::move(appended.status()));
  CopyCommand& command = *appended.value();
  command.source = AddressOf(source);
  command.destination = AddressOf(destination);
  command.length = source.length;
  return {};
}

Status CpuCommandBuffer::Fill(const Binding& destination, uint64_t pattern, uint32_t pattern_bytes) {
  EYRIE_RETURN_IF_ERROR(CheckFill(destination, pattern_bytes));
  auto appended = Append<FillCommand>(kFill, 0);
  EYRIE_RETURN_IF_ERROR(std::move(appended.status()));
  FillCommand& command = *appended.value();
  command.destination = AddressOf(destination);
  command.length = destination.length;
  command.pattern = pattern;
  command.pattern_bytes = pattern_bytes;
  return {};
}

Status CpuCommandBuffer::Barrier() { return CheckRecording(); }  // commands run one after the other anyway

Status CpuCommandBuffer::End() {
  EYRIE_RETURN_IF_ERROR(CheckRecording());
  state_ = State::kEnded;
  return {};
}

Status CpuCommandBuffer::RunDispatch(DispatchCommand& command, WorkerPool& pool) {
  // The array may have moved since the command was recorded.
  auto* words = reinterpret_cast<uint64_t*>(&command + 1);
  command.dispatch.constants = reinterpret_cast<const int64_t*>(words);
  command.dispatch.bindings = reinterpret_cast<void* const*>(words + command.dispatch.constant_count);
  void* local = command.spec->local_memory ? local_ : nullptr;
  int32_t error;
  if (command.single) {
    error = command.kernel(&command.dispatch, 0, 0, 0, local);
  } else {
    Grid grid = {command.kernel, &command.dispatch};
    const uint32_t* count = command.dispatch.workgroup_count;
    error = pool.Run(uint64_t{count[0]} * count[1] * count[2], RunWorkgroups, &grid, local);
  }
  if (__builtin_expect(error != 0, 0)) return KernelError(command.spec->symbol, error);
  return {};
}

Status CpuCommandBuffer::Run(WorkerPool& pool, const Stop* stop, std::span<ProfileEntry> profile) {
  uint64_t* end = words_.end();
  for (uint64_t* at = words_.begin(); at < end;) {
    const Header header = *reinterpret_cast<const Header*>(at);
    if (stop) EYRIE_RETURN_IF_ERROR(stop->Check());
    switch (header.kind) {
      case kDispatch: {
        auto& command = *reinterpret_cast<DispatchCommand*>(at);
        if (__builtin_expect(command.tag < profile.size(), 0)) {
          uint64_t begin = NowNs();
          EYRIE_RETURN_IF_ERROR(RunDispatch(command, pool));
          profile[command.tag].calls += 1;
          profile[command.tag].total_ns += NowNs() - begin;
        } else {
          EYRIE_RETURN_IF_ERROR(RunDispatch(command, pool));
        }
        break;
      }
      case kCopy: {
        auto& command = *reinterpret_cast<CopyCommand*>(at);
        memmove(command.destination, command.source, command.length);
        break;
      }
      case kFill: {
        auto& command = *reinterpret_cast<FillCommand*>(at);
        FillMemory(command.destination, command.length, command.pattern, command.pattern_bytes);
        break;
      }
    }
    at += header.words;
  }
  return {};
}

}  // namespace eyrie::rt::hal::cpu
