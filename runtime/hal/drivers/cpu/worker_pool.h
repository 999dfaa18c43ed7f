// Runs ranges of workgroups on the calling threads and on helpers that steal from each other. Several callers may use
// it at once: each has a job of its own, and helpers go from job to job. Helpers are the pool's own threads, or work
// items of the caller's executor.
#ifndef EYRIE_RUNTIME_HAL_DRIVERS_CPU_WORKER_POOL_H_
#define EYRIE_RUNTIME_HAL_DRIVERS_CPU_WORKER_POOL_H_

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "runtime/base/allocator.h"
#include "runtime/base/queue.h"
#include "runtime/base/thread.h"
#include "runtime/hal/drivers/cpu/topology.h"
#include "runtime/hal/task.h"

namespace eyrie::rt::hal::cpu {

// Runs indices [begin, end). Returns 0 or an error code, after which no further index is started. `local` is the
// thread's scratch memory.
using RangeFunction = int32_t (*)(void* context, uint64_t begin, uint64_t end, void* local);

struct PoolOptions {
  uint32_t threads = 0;            // with the caller: 0 and 1 mean no helpers
  uint32_t spin_us = 0;            // how long an idle worker spins before it sleeps; 0: the default
  bool never_sleep = false;        // idle workers spin for ever
  eyrie_executor_t executor = {};  // if its `submit` is set, no thread is started
};

class WorkerPool {
 public:
  // Where the system refuses a thread, fewer run. Worker i runs where `topology`, which must outlive the pool, places
  // thread i; null: anywhere.
  WorkerPool(Allocator& allocator, const PoolOptions& options, const Topology* topology = nullptr);
  // Runs what was posted, and waits for the helpers.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;

  // Makes the helpers' scratch memory at least this large. Waits for running jobs.
  Status ReserveLocal(size_t bytes);
  // Calls `function` for all of [0, count), in pieces, and returns when all are done: 0 or the first error. From any
  // thread, also from a task. When all jobs are taken, the caller does everything alone.
  int32_t Run(uint64_t count, RangeFunction function, void* context, void* caller_local);
  // The same, but every thread has its own even part of [0, count), in their order, for `patience_ns`; then the caller
  // does what is left. For memory that should be touched first by the thread that will use it.
  int32_t RunOwn(uint64_t count, RangeFunction function, void* context, uint64_t patience_ns);
  // Has a helper run the task. False if there are no helpers. From any thread.
  bool Post(Task* task);
  // False if a helper has begun the task, or it was never posted. From any thread.
  bool Withdraw(Task* task);
  // While work is submitted, idle workers wait for its next dispatch a little longer before they sleep.
  void BeginSubmission() { submissions_.fetch_add(1, std::memory_order_relaxed); }
  void EndSubmission() { submissions_.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t thread_count() const { return helper_count_ + 1; }

 private:
  static constexpr uint32_t kJobs = 16;

  // What is left for a thread: begin in the low half, end in the high half. On a cache line of its own.
  struct alignas(64) Range {
    std::atomic<uint64_t> left;
  };
  // The state has an epoch in its high half, then an open bit, a bit that says that the caller sleeps, then the number
  // of helpers in the job. A helper enters only while it is open, so the caller need not wait for those that sleep.
  struct alignas(64) Job {
    std::atomic<uint64_t> state;
    std::atomic<bool> taken;
    std::atomic<int32_t> error;
    RangeFunction function;
    void* context;
    uint64_t base;
    uint32_t chunk;
    uint64_t own_until_ns;  // no thread takes another's indices before; 0: they do
    Range* ranges;          // one for the caller, then one for each helper
  };
  struct Helper {
    WorkerPool* pool;
    void* local;
    pthread_t thread;
    uint32_t index;           // from 1
    std::atomic<bool> asked;  // an item of the executor is under way
    uint32_t seen[kJobs];     // the last epoch of each job that it helped with
  };

  static constexpr uint64_t kOpen = 1u << 31;
  static constexpr uint64_t kAwaited = 1u << 30;
  static constexpr uint64_t kCountMask = kAwaited - 1;

  static void* WorkerMain(void* helper);
  static void ExecutorItem(void* helper);
  bool Allot(uint32_t threads);
  void StartThreads();
  void AskExecutor(uint32_t count);
  void Announce(uint32_t helpers);
  bool HelpJobs(Helper& helper);
  bool RunTask();
  void Idle(uint32_t announced);
  void Work(Job& job, uint32_t index, void* local);
  bool Take(Job& job, uint32_t index, uint32_t* begin, uint32_t* end);
  uint64_t SpinNs() const;
  bool MaySteal(const Job& job, uint32_t index) const;
  int32_t RunJob(uint64_t count, RangeFunction function, void* context, void* caller_local, uint64_t own_until_ns);
  void Leave(Job& job);
  void AwaitHelpers(Job& job);
  int32_t RunSlice(Job& job, uint32_t count, void* caller_local);

  Allocator& allocator_;
  eyrie_executor_t executor_;
  const Topology* topology_;
  uint64_t spin_ns_;
  Job jobs_[kJobs] = {};
  Range* ranges_ = nullptr;
  Helper* helpers_ = nullptr;
  uint32_t allotted_ = 0;  // helpers that there is room for
  uint32_t helper_count_ = 0;
  size_t local_bytes_ = 0;

  Mutex sleep_mutex_;  // also guards the tasks
  Condition wake_;
  Condition left_;  // the last helper left a job whose caller sleeps
  Queue<Task, &Task::next> tasks_;
  std::atomic<uint32_t> task_count_{0};
  std::atomic<uint32_t> announced_{0};  // grows with every job and task
  std::atomic<uint32_t> sleepers_{0};
  std::atomic<uint32_t> items_{0};  // of the executor, under way
  std::atomic<uint32_t> submissions_{0};
  std::atomic<bool> quit_{false};
};

}  // namespace eyrie::rt::hal::cpu

#endif  // EYRIE_RUNTIME_HAL_DRIVERS_CPU_WORKER_POOL_H_
