#include "runtime/hal/semaphore.h"

namespace eyrie::rt::hal {

Status Semaphore::Signal(uint64_t value) {
  if (value == kFailed) return Error(EYRIE_INVALID_ARGUMENT, "a semaphore cannot be signalled to 2^64-1");
  uint64_t current = value_.load(std::memory_order_relaxed);
  do {
    if (current == kFailed) return Error(EYRIE_ABORTED, "the semaphore has failed");
    if (value <= current)
      return Error(EYRIE_INVALID_ARGUMENT, "a semaphore only grows: it is at %llu, signalled to %llu",
                   static_cast<unsigned long long>(current), static_cast<unsigned long long>(value));
  } while (!value_.compare_exchange_weak(current, value, std::memory_order_seq_cst));
  if (waiters_.load(std::memory_order_seq_cst)) {
    MutexLock lock(mutex_);
    changed_.NotifyAll();
  }
  return {};
}

void Semaphore::Fail() {
  MutexLock lock(mutex_);
  value_.store(kFailed, std::memory_order_seq_cst);
  changed_.NotifyAll();
}

bool Semaphore::WaitUntil(uint64_t value, uint64_t deadline_ns) {
  if (this->value() >= value) return true;
  MutexLock lock(mutex_);
  waiters_.fetch_add(1, std::memory_order_seq_cst);
  bool is_reached;
  while (!(is_reached = value_.load(std::memory_order_seq_cst) >= value)) {
    if (deadline_ns != kForever && NowNs() >= deadline_ns) break;
    changed_.WaitUntil(mutex_, deadline_ns);
  }
  waiters_.fetch_sub(1, std::memory_order_seq_cst);
  return is_reached;
}

Status Semaphore::Wait(uint64_t value, uint64_t deadline_ns) {
  WaitUntil(value, deadline_ns);
  uint64_t current = this->value();
  if (current == kFailed) return Error(EYRIE_ABORTED, "the semaphore has failed");
  if (current < value)
    return Error(EYRIE_DEADLINE_EXCEEDED, "waited for the value %llu of a semaphore that is at %llu",
                 static_cast<unsigned long long>(value), static_cast<unsigned long long>(current));
  return {};
}

}  // namespace eyrie::rt::hal
