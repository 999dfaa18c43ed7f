// Queued calls. Each instance has a queue; the scheduler posts a queue to the device when its first call may run, and
// runs one call for each post, so that instances take turns. In a runtime without threads, those who wait for a fence
// run what is ready.
#ifndef EYRIE_RUNTIME_SESSION_SCHEDULER_H_
#define EYRIE_RUNTIME_SESSION_SCHEDULER_H_

#include <atomic>

#include "runtime/base/allocator.h"
#include "runtime/base/queue.h"
#include "runtime/base/thread.h"
#include "runtime/hal/hal.h"

namespace eyrie::rt::session {

struct QueuedCall {
  uint32_t function;
  const eyrie_tensor_t* inputs;
  size_t input_count;
  eyrie_tensor_t* outputs;
  size_t output_count;
  uint64_t deadline_ns;
  size_t wait_count;
  eyrie_fence_point_t waits[EYRIE_MAX_WAITS];  // each fence is retained, also of the signal
  eyrie_fence_point_t signal;
  bool cancelled;
  QueuedCall* next;
};

// The calls of one instance, in order.
struct CallQueue : hal::Task {
  explicit CallQueue(eyrie_instance* instance) : hal::Task{nullptr}, instance(instance) {}
  enum class State : uint8_t {
    kIdle,     // empty
    kWaiting,  // in the scheduler's list of those whose first call may not run yet
    kPosted,   // a thread will run the first call
    kRunning,
  };
  eyrie_instance* instance;
  Queue<QueuedCall, &QueuedCall::next> calls;
  CallQueue* next_queue = nullptr;
  State state = State::kIdle;
  std::atomic<uint32_t> count{0};
};

class Scheduler {
 public:
  explicit Scheduler(Allocator& allocator) : allocator_(allocator) {}
  ~Scheduler();
  void set_device(hal::Device* device) { device_ = device; }
  bool has_threads() const { return device_->thread_count() > 1; }

  Status Enqueue(CallQueue& queue, const QueuedCall& call);
  // Posts what may run now: a fence moved, an instance became free, time passed.
  void Advance();
  // Runs a call in this thread, if one is ready and the device has no threads to do it.
  bool RunReady();
  // Until something is ready, `fence` has reached `value`, or `deadline_ns`. For runtimes without threads.
  void WaitForChange(const eyrie_fence& fence, uint64_t value, uint64_t deadline_ns);
  // Marks all calls of the queue, and the one that runs.
  void Cancel(CallQueue& queue);
  // Cancels, and waits until the queue is empty and at rest. What no thread has begun ends in here: the threads that
  // were asked for it may wait for this one, or be this one (the only one of an executor).
  void Drain(CallQueue& queue);

 private:
  static void RunTask(hal::Task* task);
  // With the mutex held. True if the queue must be posted.
  bool Place(CallQueue& queue);
  void Post(CallQueue* list);
  void RunFirst(CallQueue& queue);
  Status RunCall(CallQueue& queue, const QueuedCall& call);

  Allocator& allocator_;
  hal::Device* device_ = nullptr;
  Mutex mutex_;
  Condition changed_;
  CallQueue* waiting_ = nullptr;
  Queue<CallQueue, &CallQueue::next_queue> ready_;  // without threads
  QueuedCall* free_ = nullptr;
  std::atomic<uint32_t> waiting_count_{0};
  std::atomic<uint32_t> drains_{0};  // under way
};

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_SCHEDULER_H_
