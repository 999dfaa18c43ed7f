// Runs a range of workgroups on the calling thread and on workers that steal from each other.
#ifndef EYRIE_RUNTIME_HAL_DRIVERS_CPU_WORKER_POOL_H_
#define EYRIE_RUNTIME_HAL_DRIVERS_CPU_WORKER_POOL_H_

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "runtime/base/allocator.h"
#include "runtime/base/thread.h"

namespace eyrie::rt::hal::cpu {

// Runs indices [begin, end). Returns 0 or an error code, after which no further index is started. `local` is the
// thread's scratch memory.
using RangeFunction = int32_t (*)(void* context, uint64_t begin, uint64_t end, void* local);

class WorkerPool {
 public:
  // `threads` counts the caller: 1 means no workers. Where the system refuses a thread, fewer run.
  WorkerPool(Allocator& allocator, uint32_t threads, uint32_t spin_us);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;

  // Makes the workers' scratch memory at least this large. Not while work runs.
  Status ReserveLocal(size_t bytes);
  // Calls `function` for all of [0, count), in pieces, and returns when all are done: 0 or the first error. When
  // another thread is using the workers, the caller does everything alone.
  int32_t Run(uint64_t count, RangeFunction function, void* context, void* caller_local);
  // While work is submitted, idle workers wait for its next dispatch a little longer before they sleep.
  void BeginSubmission() { submissions_.fetch_add(1, std::memory_order_relaxed); }
  void EndSubmission() { submissions_.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t thread_count() const { return worker_count_ + 1; }

 private:
  // What is left for a thread: begin in the low half, end in the high half. On a cache line of its own.
  struct alignas(64) Slot {
    std::atomic<uint64_t> range;
    WorkerPool* pool;
    void* local;
    pthread_t thread;
    uint32_t index;
  };

  static void* WorkerMain(void* slot);
  void Work(uint32_t index, void* local);
  bool Take(uint32_t index, uint32_t* begin, uint32_t* end);
  uint64_t SpinNs() const;
  int32_t RunSlice(uint32_t count, void* caller_local);

  // State of the current job: epoch in the high half, then an open bit, then the number of workers in it. A worker
  // enters only while the bit is set, so the caller need not wait for those that sleep.
  static constexpr uint64_t kOpen = 1u << 31;
  static constexpr uint64_t kCountMask = kOpen - 1;

  Allocator& allocator_;
  Slot* slots_ = nullptr;  // slot 0 is the caller's
  uint32_t slot_count_ = 0;
  uint32_t worker_count_ = 0;
  uint64_t spin_ns_;
  size_t local_bytes_ = 0;

  Mutex busy_;  // held by the thread that runs a job
  RangeFunction function_ = nullptr;
  void* context_ = nullptr;
  uint64_t base_ = 0;
  uint32_t chunk_ = 1;
  alignas(64) std::atomic<uint64_t> state_{0};
  alignas(64) std::atomic<int32_t> error_{0};

  Mutex sleep_mutex_;
  Condition wake_;
  std::atomic<uint32_t> sleepers_{0};
  std::atomic<uint32_t> submissions_{0};
  std::atomic<bool> quit_{false};
};

}  // namespace eyrie::rt::hal::cpu

#endif  // EYRIE_RUNTIME_HAL_DRIVERS_CPU_WORKER_POOL_H_
