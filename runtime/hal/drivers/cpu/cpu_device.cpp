#include "runtime/hal/drivers/cpu/cpu_device.h"

#include <sys/mman.h>

#include <cstring>

#include "runtime/hal/drivers/cpu/cpu_command_buffer.h"
#include "runtime/hal/drivers/cpu/cpu_features.h"
#include "runtime/hal/drivers/cpu/worker_pool.h"

namespace eyrie::rt::hal::cpu {
namespace {

constexpr uint64_t kHugePage = uint64_t{2} << 20;
constexpr uint64_t kPage = 4096;  // of no system smaller
constexpr uint64_t kTouchPatienceNs = 2000000;

class CpuDevice final : public Device {
 public:
  // Owns the topology, which may be null.
  CpuDevice(Allocator& allocator, const PoolOptions& options, Topology* topology)
      : allocator_(allocator),
        topology_(topology),
        pool_(allocator, options, topology),
        spans_nodes_(topology && topology->SpansNodes(pool_.thread_count())) {}

  void Destroy() override {
    Allocator& allocator = allocator_;
    Topology* topology = topology_;
    allocator.Delete(this);
    allocator.Delete(topology);
  }
  const char* name() const override { return "cpu"; }
  uint32_t thread_count() const override { return pool_.thread_count(); }

  Result<Buffer*> AllocateBuffer(uint64_t size) override {
    if (size > PTRDIFF_MAX) return OutOfMemory();
    // Large memory on large pages, where the system has them: far fewer misses of the address cache.
    size_t alignment = size >= kHugePage ? kHugePage : 64;
    void* memory = allocator_.Allocate(size, alignment);
    if (!memory)
      return Error(EYRIE_RESOURCE_EXHAUSTED, "cannot allocate a buffer of %llu bytes",
                   static_cast<unsigned long long>(size));
#if defined(MADV_HUGEPAGE)
    if (size >= kHugePage) madvise(memory, size & ~(kHugePage - 1), MADV_HUGEPAGE);
#endif
    // The system places memory on the node of the thread that first touches it.
    if (size >= kHugePage && spans_nodes_) TouchFirst(memory, size);
    Buffer* buffer = allocator_.New<Buffer>(this, memory, size, true, true);
    if (!buffer) {
      allocator_.Release(memory, size, alignment);
      return OutOfMemory();
    }
    return buffer;
  }

  Result<Buffer*> ImportHostMemory(void* host, uint64_t size, bool writable) override {
    Buffer* buffer = allocator_.New<Buffer>(this, host, size, writable, false);
    if (!buffer) return OutOfMemory();
    return buffer;
  }

  void ReleaseBuffer(Buffer* buffer) override {
    if (!buffer) return;
    if (buffer->owned())
      allocator_.Release(buffer->host(), buffer->size(), buffer->size() >= kHugePage ? kHugePage : 64);
    allocator_.Delete(buffer);
  }

  bool CanRun(const char* format, uint64_t features) const override {
    return strcmp(format, HostFormat()) == 0 && (features & ~features_) == 0;
  }

  Result<Executable*> LoadExecutable(const ExecutableSpec& spec) override {
    auto* executable = allocator_.New<CpuExecutable>(allocator_, this, spec);
    if (!executable) return OutOfMemory();
    Status status = executable->Load(spec);
    uint32_t local = 0;
    for (const ExportSpec& item : spec.exports) local = item.local_memory > local ? item.local_memory : local;
    if (status.ok()) status = pool_.ReserveLocal(local);
    if (!status.ok()) {
      executable->Destroy();
      return status;
    }
    return executable;
  }

  Result<CommandBuffer*> CreateCommandBuffer() override {
    auto* commands = allocator_.New<CpuCommandBuffer>(allocator_, this, pool_);
    if (!commands) return OutOfMemory();
    return commands;
  }

  bool Post(Task* task) override { return pool_.Post(task); }
  bool Withdraw(Task* task) override { return pool_.Withdraw(task); }

 private:
  friend class ::eyrie::rt::Allocator;

  // Every thread its part, as it will have of a kernel's workgroups.
  void TouchFirst(void* memory, uint64_t size) {
    auto touch = [](void* base, uint64_t begin, uint64_t end, void*) -> int32_t {
      for (; begin < end; ++begin) static_cast<volatile uint8_t*>(base)[begin * kPage] = 0;
      return 0;
    };
    pool_.RunOwn((size + kPage - 1) / kPage, touch, memory, kTouchPatienceNs);
  }

  Status Execute(const Submission& submission) override {
    pool_.BeginSubmission();
    Status status = static_cast<CpuCommandBuffer*>(submission.commands)->Run(submission.stop, submission.profile);
    pool_.EndSubmission();
    return status;
  }

  Allocator& allocator_;
  Topology* topology_;
  WorkerPool pool_;
  bool spans_nodes_;
  const uint64_t features_ = HostFeatures();  // asking takes microseconds in a virtual machine
};

}  // namespace

Result<Device*> CreateCpuDevice(Allocator& allocator, const PoolOptions& options, const char* devices) {
  Topology* topology = nullptr;
  if (options.threads > 1 && !options.executor.submit) {
    topology = allocator.New<Topology>(allocator);
    Status status = topology ? topology->ReadOwn(allocator, devices) : OutOfMemory();
    if (!status.ok()) {
      allocator.Delete(topology);
      return status;
    }
  }
  auto* device = allocator.New<CpuDevice>(allocator, options, topology);
  if (!device) {
    allocator.Delete(topology);
    return OutOfMemory();
  }
  return device;
}

}  // namespace eyrie::rt::hal::cpu
