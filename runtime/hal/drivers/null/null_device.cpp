#include "runtime/hal/drivers/null/null_device.h"

namespace eyrie::rt::hal::null {
namespace {

class NullExecutable final : public Executable {
 public:
  NullExecutable(Allocator& allocator, Device* device, std::span<const ExportSpec> exports)
      : Executable(device, exports), allocator_(allocator) {}
  void Destroy() override { allocator_.Delete(this); }

 private:
  friend class ::eyrie::rt::Allocator;
  Allocator& allocator_;
};

class NullCommandBuffer final : public CommandBuffer {
 public:
  NullCommandBuffer(Allocator& allocator, Device* device) : CommandBuffer(device), allocator_(allocator) {}
  void Destroy() override { allocator_.Delete(this); }
  Status Begin() override {
    state_ = State::kRecording;
    empty_ = true;
    return {};
  }
  Status Dispatch(Executable* executable, uint32_t ordinal, const uint64_t workgroup_count[3],
                  std::span<const int64_t> constants, std::span<const Binding> bindings, uint32_t) override {
    empty_ = false;
    return CheckDispatch(executable, ordinal, workgroup_count, constants, bindings);
  }
  Status Copy(const Binding& source, const Binding& destination) override {
    empty_ = false;
    return CheckCopy(source, destination);
  }
  Status Fill(const Binding& destination, uint64_t, uint32_t pattern_bytes) override {
    empty_ = false;
    return CheckFill(destination, pattern_bytes);
  }
  Status Barrier() override { return CheckRecording(); }
  Status End() override {
    EYRIE_RETURN_IF_ERROR(CheckRecording());
    state_ = State::kEnded;
    return {};
  }

 private:
  friend class ::eyrie::rt::Allocator;
  Allocator& allocator_;
};

class NullDevice final : public Device {
 public:
  explicit NullDevice(Allocator& allocator) : allocator_(allocator) {}
  void Destroy() override { allocator_.Delete(this); }
  const char* name() const override { return "null"; }
  uint32_t thread_count() const override { return 1; }
  Result<Buffer*> AllocateBuffer(uint64_t size) override {
    void* memory = size > PTRDIFF_MAX ? nullptr : allocator_.Allocate(size, 64);
    Buffer* buffer = memory ? allocator_.New<Buffer>(this, memory, size, true, true) : nullptr;
    if (!buffer) {
      allocator_.Release(memory, size, 64);
      return Error(EYRIE_RESOURCE_EXHAUSTED, "cannot allocate a buffer of %llu bytes",
                   static_cast<unsigned long long>(size));
    }
    return buffer;
  }
  Result<Buffer*> ImportHostMemory(void* host, uint64_t size, bool writable) override {
    Buffer* buffer = allocator_.New<Buffer>(this, host, size, writable, false);
    if (!buffer) return OutOfMemory();
    return buffer;
  }
  void ReleaseBuffer(Buffer* buffer) override {
    if (buffer && buffer->owned()) allocator_.Release(buffer->host(), buffer->size(), 64);
    allocator_.Delete(buffer);
  }
  bool CanRun(const char*, uint64_t) const override { return true; }
  Result<Executable*> LoadExecutable(const ExecutableSpec& spec) override {
    Executable* executable = allocator_.New<NullExecutable>(allocator_, this, spec.exports);
    if (!executable) return OutOfMemory();
    return executable;
  }
  Result<CommandBuffer*> CreateCommandBuffer() override {
    CommandBuffer* commands = allocator_.New<NullCommandBuffer>(allocator_, this);
    if (!commands) return OutOfMemory();
    return commands;
  }
  bool Post(Task*) override { return false; }
  bool Withdraw(Task*) override { return false; }

 private:
  friend class ::eyrie::rt::Allocator;
  Status Execute(const Submission&) override { return {}; }
  Allocator& allocator_;
};

}  // namespace

Result<Device*> CreateNullDevice(Allocator& allocator) {
  Device* device = allocator.New<NullDevice>(allocator);
  if (!device) return OutOfMemory();
  return device;
}

}  // namespace eyrie::rt::hal::null
