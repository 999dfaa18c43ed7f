// The runtime object: an allocator, a device, and the scheduler of its queued calls.
#ifndef EYRIE_RUNTIME_SESSION_RUNTIME_H_
#define EYRIE_RUNTIME_SESSION_RUNTIME_H_

#include <atomic>

#include "runtime/base/allocator.h"
#include "runtime/base/fork_guard.h"
#include "runtime/hal/hal.h"
#include "runtime/session/scheduler.h"

namespace eyrie::rt::session {

struct CallerFunction;

// The functions that the caller added. There is none until the first comes, and then it is reached through this table
// alone: a program that adds no functions does not hold the code for them.
class FunctionTable {
 public:
  // Null if there is none of this name. Thread-safe; what it gives lives as long as the table.
  virtual const CallerFunction* Find(const char* name) = 0;
  virtual void Destroy() = 0;

 protected:
  ~FunctionTable() = default;
};

}  // namespace eyrie::rt::session

struct eyrie_runtime {
  explicit eyrie_runtime(const eyrie_allocator_t& functions)
      : allocator(functions), functions(functions), scheduler(allocator) {}
  ~eyrie_runtime() {
    if (auto* table = caller_functions.load(std::memory_order_acquire)) table->Destroy();
    if (device) device->Destroy();
  }
  void Retain() { references.fetch_add(1, std::memory_order_relaxed); }
  void Release();
  // FAILED_PRECONDITION in a child of fork(), where the runtime's threads are missing.
  eyrie::rt::Status CheckProcess() const;

  eyrie::rt::Allocator allocator;
  eyrie_allocator_t functions;
  eyrie::rt::ForkGuard process;
  eyrie::rt::session::Scheduler scheduler;
  eyrie::rt::hal::Device* device = nullptr;
  bool low_latency = false;  // threads that wait spin
  std::atomic<eyrie::rt::session::FunctionTable*> caller_functions{nullptr};
  std::atomic<uint32_t> references{1};  // the caller's, and one for each module and fence
};

namespace eyrie::rt::session {

// Reads the caller's option structure, which may be of an older or newer version: what it lacks is zero.
template <typename Options>
Options ReadOptions(const Options* given) {
  Options options{};
  if (given) {
    size_t size = given->struct_size < sizeof(Options) ? given->struct_size : sizeof(Options);
    __builtin_memcpy(&options, given, size);
  }
  return options;
}

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_RUNTIME_H_
