// A timeline semaphore: a 64-bit value that only grows. Work waits for it to reach a value and signals a larger one.
#ifndef EYRIE_RUNTIME_HAL_SEMAPHORE_H_
#define EYRIE_RUNTIME_HAL_SEMAPHORE_H_

#include <atomic>
#include <cstdint>

#include "runtime/base/status.h"
#include "runtime/base/thread.h"

namespace eyrie::rt::hal {

class Semaphore {
 public:
  explicit Semaphore(uint64_t value) : value_(value) {}

  uint64_t value() const { return value_.load(std::memory_order_seq_cst); }
  // `value` must be larger than the current one; the largest number is kept for failure.
  Status Signal(uint64_t value);
  // The semaphore will never be signalled again; every waiter, now and later, gets ABORTED.
  void Fail();
  // Returns DEADLINE_EXCEEDED at `deadline_ns` (of NowNs; kForever: none), ABORTED if the semaphore has failed.
  Status Wait(uint64_t value, uint64_t deadline_ns);
  // False at `deadline_ns`; true if the value was reached, or the semaphore has failed.
  bool WaitUntil(uint64_t value, uint64_t deadline_ns);
  bool failed() const { return value() == kFailed; }

 private:
  static constexpr uint64_t kFailed = UINT64_MAX;
  std::atomic<uint64_t> value_;
  std::atomic<uint32_t> waiters_{0};
  Mutex mutex_;
  Condition changed_;
};

}  // namespace eyrie::rt::hal

#endif  // EYRIE_RUNTIME_HAL_SEMAPHORE_H_
