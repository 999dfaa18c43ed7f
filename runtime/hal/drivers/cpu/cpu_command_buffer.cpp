#include "runtime/hal/drivers/cpu/cpu_command_buffer.h"

#include <cstring>

#include "runtime/base/checked.h"

namespace eyrie::rt::hal::cpu {
namespace {

// Copies and fills are shared among threads in pieces of this size.
constexpr uint64_t kPieceBytes = uint64_t{256} << 10;

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
  after_barrier_ = false;
  state_ = State::kRecording;
  empty_ = true;
  return {};
}

template <typename T>
[[gnu::always_inline]] inline Result<T*> CpuCommandBuffer::Append(Kind kind, size_t extra_words) {
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
  command->header = {kind, after_barrier_, static_cast<uint32_t>(words)};
  after_barrier_ = false;
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

Status CpuCommandBuffer::Barrier() {
  after_barrier_ = true;
  return CheckRecording();
}

size_t CpuCommandBuffer::LargestSegment() {
  size_t size = 0, largest = 0;
  for (uint64_t* at = words_.begin(); at < words_.end();) {
    const auto& header = *reinterpret_cast<const Header*>(at);
    size = header.after_barrier ? 1 : size + 1;
    largest = size > largest ? size : largest;
    at += header.words;
  }
  return largest;
}

Status CpuCommandBuffer::End() {
  EYRIE_RETURN_IF_ERROR(CheckRecording());
  if (pool_.thread_count() > 1) EYRIE_RETURN_IF_ERROR(segment_.Reserve(LargestSegment()));
  state_ = State::kEnded;
  return {};
}

// ---- Running

// Completes a dispatch: the array may have moved since it was recorded. Returns the calling thread's scratch memory.
void* CpuCommandBuffer::Bind(DispatchCommand& command) {
  auto* words = reinterpret_cast<uint64_t*>(&command + 1);
  command.dispatch.constants = reinterpret_cast<const int64_t*>(words);
  command.dispatch.bindings = reinterpret_cast<void* const*>(words + command.dispatch.constant_count);
  return command.spec->local_memory ? local_ : nullptr;
}

Status CpuCommandBuffer::RunDispatch(DispatchCommand& command) {
  void* local = Bind(command);
  int32_t error;
  if (command.single) {
    error = command.kernel(&command.dispatch, 0, 0, 0, local);
  } else {
    Grid grid = {command.kernel, &command.dispatch};
    const uint32_t* count = command.dispatch.workgroup_count;
    error = pool_.Run(uint64_t{count[0]} * count[1] * count[2], RunWorkgroups, &grid, local);
  }
  if (__builtin_expect(error != 0, 0)) return KernelError(command.spec->symbol, error);
  return {};
}

Status CpuCommandBuffer::RunCommand(Header& header, std::span<ProfileEntry> profile) {
  switch (header.kind) {
    case kDispatch: {
      auto& command = reinterpret_cast<DispatchCommand&>(header);
      if (__builtin_expect(command.tag >= profile.size(), 1)) return RunDispatch(command);
      uint64_t begin = NowNs();
      EYRIE_RETURN_IF_ERROR(RunDispatch(command));
      profile[command.tag].calls += 1;
      profile[command.tag].total_ns += NowNs() - begin;
      return {};
    }
    case kCopy: {
      auto& command = reinterpret_cast<CopyCommand&>(header);
      memmove(command.destination, command.source, command.length);
      return {};
    }
    case kFill: {
      auto& command = reinterpret_cast<FillCommand&>(header);
      FillMemory(command.destination, command.length, command.pattern, command.pattern_bytes);
      return {};
    }
  }
  return {};
}

uint64_t CpuCommandBuffer::PieceCount(const Header& header) {
  if (header.kind == kDispatch) {
    const uint32_t* count = reinterpret_cast<const DispatchCommand&>(header).dispatch.workgroup_count;
    return uint64_t{count[0]} * count[1] * count[2];
  }
  uint64_t length = header.kind == kCopy ? reinterpret_cast<const CopyCommand&>(header).length
                                         : reinterpret_cast<const FillCommand&>(header).length;
  return length / kPieceBytes + (length % kPieceBytes != 0);
}

int32_t CpuCommandBuffer::RunPieces(Header& header, uint64_t begin, uint64_t end, void* local) {
  if (header.kind == kDispatch) {
    auto& command = reinterpret_cast<DispatchCommand&>(header);
    Grid grid = {command.kernel, &command.dispatch};
    return RunWorkgroups(&grid, begin, end, command.spec->local_memory ? local : nullptr);
  }
  begin *= kPieceBytes;
  end *= kPieceBytes;
  if (header.kind == kCopy) {
    auto& command = reinterpret_cast<CopyCommand&>(header);
    memmove(command.destination + begin, command.source + begin, (end < command.length ? end : command.length) - begin);
  } else {
    auto& command = reinterpret_cast<FillCommand&>(header);
    FillMemory(command.destination + begin, (end < command.length ? end : command.length) - begin, command.pattern,
               command.pattern_bytes);
  }
  return 0;
}

struct CpuCommandBuffer::Segment {
  std::span<const Part> parts;
  std::atomic<const DispatchCommand*> failed{nullptr};
  int32_t error = 0;  // of the failed one
};

// Runs a range of pieces that may belong to several commands.
int32_t CpuCommandBuffer::RunRange(void* context, uint64_t begin, uint64_t end, void* local) {
  auto& segment = *static_cast<Segment*>(context);
  size_t low = 0, high = segment.parts.size();
  while (high - low > 1) {
    size_t middle = (low + high) / 2;
    (segment.parts[middle].first <= begin ? low : high) = middle;
  }
  for (; begin < end; ++low) {
    const Part& part = segment.parts[low];
    uint64_t last = low + 1 < segment.parts.size() ? segment.parts[low + 1].first : end;
    if (last > end) last = end;
    if (begin == last) continue;
    if (int32_t error = RunPieces(*part.header, begin - part.first, last - part.first, local)) {
      const DispatchCommand* none = nullptr;
      auto* command = reinterpret_cast<const DispatchCommand*>(part.header);
      if (segment.failed.compare_exchange_strong(none, command, std::memory_order_acq_rel)) segment.error = error;
      return error;
    }
    begin = last;
  }
  return 0;
}

Status CpuCommandBuffer::RunSegment(uint64_t total) {
  for (const Part& part : segment_)
    if (part.header->kind == kDispatch) Bind(reinterpret_cast<DispatchCommand&>(*part.header));
  Segment segment{{segment_.data(), segment_.size()}};
  if (!pool_.Run(total, RunRange, &segment, local_)) return {};
  return KernelError(segment.failed.load(std::memory_order_acquire)->spec->symbol, segment.error);
}

Status CpuCommandBuffer::RunSegments(const Stop* stop) {
  uint64_t* end = words_.end();
  for (uint64_t* at = words_.begin(); at < end;) {
    if (stop) EYRIE_RETURN_IF_ERROR(stop->Check());
    segment_.Clear();
    uint64_t total = 0;
    do {
      auto* header = reinterpret_cast<Header*>(at);
      uint64_t count = PieceCount(*header);
      // Two that are too large to be counted together run one after the other.
      if (__builtin_add_overflow(total, count, &count)) break;
      EYRIE_RETURN_IF_ERROR(segment_.Push({total, header}));
      total = count;
      at += header->words;
    } while (at < end && !reinterpret_cast<Header*>(at)->after_barrier);
    bool is_dispatch = segment_.size() == 1 && segment_[0].header->kind == kDispatch;
    EYRIE_RETURN_IF_ERROR(is_dispatch ? RunDispatch(reinterpret_cast<DispatchCommand&>(*segment_[0].header))
                                      : RunSegment(total));
  }
  return {};
}

Status CpuCommandBuffer::Run(const Stop* stop, std::span<ProfileEntry> profile) {
  if (pool_.thread_count() > 1 && profile.empty()) return RunSegments(stop);
  uint64_t* end = words_.end();
  for (uint64_t* at = words_.begin(); at < end;) {
    auto& header = *reinterpret_cast<Header*>(at);
    if (stop) EYRIE_RETURN_IF_ERROR(stop->Check());
    EYRIE_RETURN_IF_ERROR(RunCommand(header, profile));
    at += header.words;
  }
  return {};
}

}  // namespace eyrie::rt::hal::cpu
