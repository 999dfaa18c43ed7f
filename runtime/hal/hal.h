// The hardware abstraction: what the runtime asks of a device. A driver implements Device, CommandBuffer and
// Executable; hal/cts holds every driver to the same contract.
//
// Objects are made by a device and must be destroyed before it. Nothing here is thread-safe unless it says so.
#ifndef EYRIE_RUNTIME_HAL_HAL_H_
#define EYRIE_RUNTIME_HAL_HAL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/base/status.h"
#include "runtime/hal/semaphore.h"
#include "runtime/hal/task.h"

namespace eyrie::rt::hal {

class Device;

// Memory that a device can use. `host` is null where the host cannot see it.
class Buffer {
 public:
  Device* device() const { return device_; }
  uint64_t size() const { return size_; }
  bool writable() const { return writable_; }
  uint8_t* host() const { return host_; }
  // Points an imported buffer at other memory of the host. Only while no work uses it.
  void Rebind(void* host, uint64_t size, bool writable) {
    host_ = static_cast<uint8_t*>(host);
    size_ = size;
    writable_ = writable;
  }

  Buffer(Device* device, void* host, uint64_t size, bool writable, bool owned)
      : device_(device), host_(static_cast<uint8_t*>(host)), size_(size), writable_(writable), owned_(owned) {}
  bool owned() const { return owned_; }

 private:
  Device* device_;
  uint8_t* host_;
  uint64_t size_;
  bool writable_;
  bool owned_;
};

struct ExportSpec {
  const char* symbol;
  uint32_t binding_count;
  uint32_t constant_count;
  uint32_t local_memory;
};

struct ExecutableSpec {
  const char* name;
  const char* format;
  uint64_t features;  // abi/cpu_features.def
  const uint8_t* object;
  size_t object_size;
  std::span<const ExportSpec> exports;  // must outlive the executable, with their strings
};

// Code on a device; its exports are numbered from 0.
class Executable {
 public:
  virtual void Destroy() = 0;
  Device* device() const { return device_; }
  std::span<const ExportSpec> exports() const { return exports_; }

 protected:
  Executable(Device* device, std::span<const ExportSpec> exports) : device_(device), exports_(exports) {}
  ~Executable() = default;

 private:
  Device* device_;
  std::span<const ExportSpec> exports_;
};

struct Binding {
  Buffer* buffer;
  uint64_t offset;
  uint64_t length;
};

// A list of commands. Begin forgets what was recorded and keeps the memory; only an ended buffer can be submitted, any
// number of times.
class CommandBuffer {
 public:
  virtual void Destroy() = 0;
  virtual Status Begin() = 0;
  // `tag` numbers the dispatch's kernel in a Profile.
  virtual Status Dispatch(Executable* executable, uint32_t ordinal, const uint64_t workgroup_count[3],
                          std::span<const int64_t> constants, std::span<const Binding> bindings, uint32_t tag) = 0;
  virtual Status Copy(const Binding& source, const Binding& destination) = 0;
  virtual Status Fill(const Binding& destination, uint64_t pattern, uint32_t pattern_bytes) = 0;
  // Commands between two barriers may run in any order and at once.
  virtual Status Barrier() = 0;
  virtual Status End() = 0;
  Device* device() const { return device_; }
  bool empty() const { return empty_; }
  bool ended() const { return state_ == State::kEnded; }

 protected:
  explicit CommandBuffer(Device* device) : device_(device) {}
  ~CommandBuffer() = default;
  // The checks that every driver makes.
  Status CheckRecording() const;
  Status CheckDispatch(const Executable* executable, uint32_t ordinal, const uint64_t workgroup_count[3],
                       std::span<const int64_t> constants, std::span<const Binding> bindings) const;
  Status CheckCopy(const Binding& source, const Binding& destination) const;
  Status CheckFill(const Binding& destination, uint32_t pattern_bytes) const;

  enum class State : uint8_t { kNew, kRecording, kEnded };
  State state_ = State::kNew;
  bool empty_ = true;

 private:
  Status CheckRange(const Binding& binding, const char* what) const;
  Device* device_;
};

struct SemaphoreValue {
  Semaphore* semaphore;
  uint64_t value;
};

// When work should be given up. Looked at between commands.
struct Stop {
  const std::atomic<bool>* cancelled = nullptr;
  uint64_t deadline_ns = kForever;
  Status Check() const;
};

struct ProfileEntry {
  uint64_t calls;
  uint64_t total_ns;
};

struct Submission {
  CommandBuffer* commands;
  std::span<const SemaphoreValue> waits;
  std::span<const SemaphoreValue> signals;  // signalled when the commands are done; failed if the commands fail
  const Stop* stop = nullptr;
  std::span<ProfileEntry> profile;  // by tag; empty: not measured
};

class Device {
 public:
  virtual void Destroy() = 0;
  virtual const char* name() const = 0;
  // New memory, 64-byte aligned, contents undefined. A size of 0 is fine.
  virtual Result<Buffer*> AllocateBuffer(uint64_t size) = 0;
  // A view of the host's memory, which must outlive the buffer.
  virtual Result<Buffer*> ImportHostMemory(void* host, uint64_t size, bool writable) = 0;
  virtual void ReleaseBuffer(Buffer* buffer) = 0;  // null is fine
  virtual bool CanRun(const char* format, uint64_t features) const = 0;
  virtual Result<Executable*> LoadExecutable(const ExecutableSpec& spec) = 0;
  virtual Result<CommandBuffer*> CreateCommandBuffer() = 0;
  // Waits, runs the commands and signals before it returns: the waits must be satisfied by then or be signalled by
  // another thread. Submissions of different threads run at the same time. Thread-safe.
  Status Submit(const Submission& submission);
  // Has a thread of the device run the task, soon. False if the device has no threads. Thread-safe; the task may run
  // before Post returns.
  virtual bool Post(Task* task) = 0;
  // Takes a posted task back, if no thread has begun it: then it will not run. Thread-safe.
  virtual bool Withdraw(Task* task) = 0;
  // The threads that run kernels: the submitting one and the device's own.
  virtual uint32_t thread_count() const = 0;

 protected:
  ~Device() = default;
  // Runs the commands of a checked submission.
  virtual Status Execute(const Submission& submission) = 0;

 private:
  Status WaitAndExecute(const Submission& submission);
};

}  // namespace eyrie::rt::hal

#endif  // EYRIE_RUNTIME_HAL_HAL_H_
