// Commands of the CPU, recorded into one growing array of words that is reused from call to call.
#ifndef EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_COMMAND_BUFFER_H_
#define EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_COMMAND_BUFFER_H_

#include "abi/kernel.h"
#include "runtime/base/allocator.h"
#include "runtime/hal/drivers/cpu/cpu_executable.h"
#include "runtime/hal/drivers/cpu/worker_pool.h"
#include "runtime/hal/hal.h"

namespace eyrie::rt::hal::cpu {

class CpuCommandBuffer final : public CommandBuffer {
 public:
  CpuCommandBuffer(Allocator& allocator, Device* device, WorkerPool& pool)
      : CommandBuffer(device), allocator_(allocator), pool_(pool), words_(allocator), segment_(allocator) {}
  ~CpuCommandBuffer() { allocator_.Release(local_, local_bytes_, 64); }

  void Destroy() override { allocator_.Delete(this); }
  Status Begin() override;
  Status Dispatch(Executable* executable, uint32_t ordinal, const uint64_t workgroup_count[3],
                  std::span<const int64_t> constants, std::span<const Binding> bindings, uint32_t tag) override;
  Status Copy(const Binding& source, const Binding& destination) override;
  Status Fill(const Binding& destination, uint64_t pattern, uint32_t pattern_bytes) override;
  Status Barrier() override;
  Status End() override;

  // Runs all commands: those between two barriers at once, where the pool has helpers and nothing is measured.
  Status Run(const Stop* stop, std::span<ProfileEntry> profile);

 private:
  friend class ::eyrie::rt::Allocator;
  enum Kind : uint16_t { kDispatch, kCopy, kFill };
  struct Header {
    Kind kind;
    uint16_t after_barrier;
    uint32_t words;  // of the whole command
  };
  struct DispatchCommand {  // then the constants, then the addresses of the bindings
    Header header;
    eyrie_kernel kernel;
    const ExportSpec* spec;
    uint32_t tag;
    uint32_t single;  // one workgroup
    eyrie_kernel_dispatch dispatch;
  };
  struct CopyCommand {
    Header header;
    const uint8_t* source;
    uint8_t* destination;
    uint64_t length;
  };
  struct FillCommand {
    Header header;
    uint8_t* destination;
    uint64_t length;
    uint64_t pattern;
    uint64_t pattern_bytes;
  };

  template <typename T>
  Result<T*> Append(Kind kind, size_t extra_words);
  Status ReserveLocal(uint32_t bytes);
  // A command among those that run at once: its pieces (workgroups, or ranges of bytes) are numbered from `first`.
  struct Part {
    uint64_t first;
    Header* header;
  };
  struct Segment;
  size_t LargestSegment();
  static uint64_t PieceCount(const Header& header);
  static int32_t RunPieces(Header& header, uint64_t begin, uint64_t end, void* local);
  static int32_t RunRange(void* segment, uint64_t begin, uint64_t end, void* local);
  void* Bind(DispatchCommand& command);
  Status RunCommand(Header& header, std::span<ProfileEntry> profile);
  Status RunDispatch(DispatchCommand& command);
  Status RunSegment(uint64_t total);
  Status RunSegments(const Stop* stop);

  Allocator& allocator_;
  WorkerPool& pool_;
  Array<uint64_t> words_;
  Array<Part> segment_;
  bool after_barrier_ = false;
  void* local_ = nullptr;  // the calling thread's scratch memory
  size_t local_bytes_ = 0;
};

}  // namespace eyrie::rt::hal::cpu

#endif  // EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_COMMAND_BUFFER_H_
