// Mutex, condition, clock: thin over pthreads, so that the runtime needs no C++ library.
#ifndef EYRIE_RUNTIME_BASE_THREAD_H_
#define EYRIE_RUNTIME_BASE_THREAD_H_

#include <pthread.h>

#include <cstdint>
#include <ctime>

namespace eyrie::rt {

class Mutex {
 public:
  Mutex() { pthread_mutex_init(&mutex_, nullptr); }
  ~Mutex() { pthread_mutex_destroy(&mutex_); }
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  void Lock() { pthread_mutex_lock(&mutex_); }
  bool TryLock() { return pthread_mutex_trylock(&mutex_) == 0; }
  void Unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  friend class Condition;
  pthread_mutex_t mutex_;
};

class MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

inline uint64_t NowNs() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1000000000u + static_cast<uint64_t>(time.tv_nsec);
}

inline constexpr uint64_t kForever = UINT64_MAX;

class Condition {
 public:
  Condition() {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&condition_, &attributes);
    pthread_condattr_destroy(&attributes);
  }
  ~Condition() { pthread_cond_destroy(&condition_); }
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;
  void NotifyAll() { pthread_cond_broadcast(&condition_); }
  void Wait(Mutex& mutex) { pthread_cond_wait(&condition_, &mutex.mutex_); }
  // Until about `deadline_ns` of NowNs.
  void WaitUntil(Mutex& mutex, uint64_t deadline_ns) {
    if (deadline_ns == kForever) return Wait(mutex);
    timespec time;
    time.tv_sec = static_cast<time_t>(deadline_ns / 1000000000u);
    time.tv_nsec = static_cast<long>(deadline_ns % 1000000000u);
    pthread_cond_timedwait(&condition_, &mutex.mutex_, &time);
  }

 private:
  pthread_cond_t condition_;
};

inline void CpuRelax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#elif defined(__riscv)
  __asm__ __volatile__(".4byte 0x0100000f");  // pause, which older processors take for a fence that orders nothing
#endif
}

}  // namespace eyrie::rt

#endif  // EYRIE_RUNTIME_BASE_THREAD_H_
