#include "runtime/session/scheduler.h"

#include "runtime/session/fence.h"
#include "runtime/session/instance.h"

namespace eyrie::rt::session {
namespace {

// Runs, or ends without running: then its verdict is known.
bool IsDue(const QueuedCall& call) {
  if (call.cancelled || (call.deadline_ns != kForever && NowNs() >= call.deadline_ns)) return true;
  bool is_reached = true;
  for (size_t i = 0; i < call.wait_count; ++i) {
    const eyrie_fence& fence = *call.waits[i].fence;
    if (fence.timeline.failed()) return true;
    is_reached &= fence.IsReached(call.waits[i].value);
  }
  return is_reached;
}

}  // namespace

Scheduler::~Scheduler() {
  while (free_) allocator_.Delete(std::exchange(free_, free_->next));
}

Status Scheduler::Enqueue(CallQueue& queue, const QueuedCall& call) {
  bool must_post;
  {
    MutexLock lock(mutex_);
    QueuedCall* node = free_;
    if (node)
      free_ = node->next;
    else
      node = allocator_.New<QueuedCall>();
    if (!node) return OutOfMemory();
    *node = call;
    for (size_t i = 0; i < call.wait_count; ++i) call.waits[i].fence->Retain();
    call.signal.fence->Retain();
    queue.calls.Push(node);
    queue.count.fetch_add(1, std::memory_order_seq_cst);
    must_post = queue.state == CallQueue::State::kIdle && Place(queue);
  }
  if (must_post) Post(&queue);
  return {};
}

bool Scheduler::Place(CallQueue& queue) {
  queue.next_queue = nullptr;
  if (queue.calls.empty()) {
    queue.state = CallQueue::State::kIdle;
    changed_.NotifyAll();
    return false;
  }
  // In the list first: a fence that moves after we looked finds the queue there (see Advance).
  waiting_count_.fetch_add(1, std::memory_order_seq_cst);
  if (IsDue(*queue.calls.first()) && !queue.instance->running.exchange(true, std::memory_order_seq_cst)) {
    waiting_count_.fetch_sub(1, std::memory_order_seq_cst);
    queue.state = CallQueue::State::kPosted;
    return true;
  }
  queue.state = CallQueue::State::kWaiting;
  queue.next_queue = waiting_;
  waiting_ = &queue;
  return false;
}

void Scheduler::Advance() {
  // Without threads, those who wait for a fence wait here.
  if (has_threads() && !waiting_count_.load(std::memory_order_seq_cst)) return;
  CallQueue* due = nullptr;
  {
    MutexLock lock(mutex_);
    CallQueue* queue = std::exchange(waiting_, nullptr);
    while (queue) {
      CallQueue* next = queue->next_queue;
      waiting_count_.fetch_sub(1, std::memory_order_seq_cst);
      if (Place(*queue)) {
        queue->next_queue = due;
        due = queue;
      }
      queue = next;
    }
    changed_.NotifyAll();
  }
  Post(due);
}

void Scheduler::Post(CallQueue* list) {
  while (list) {
    CallQueue& queue = *std::exchange(list, list->next_queue);
    queue.next_queue = nullptr;
    queue.run = RunTask;
    bool is_posted = device_->Post(&queue);
    if (is_posted && !drains_.load(std::memory_order_seq_cst)) continue;
    MutexLock lock(mutex_);
    if (!is_posted) ready_.Push(&queue);
    changed_.NotifyAll();
  }
}

bool Scheduler::RunReady() {
  if (has_threads()) return false;
  CallQueue* queue;
  {
    MutexLock lock(mutex_);
    queue = ready_.Pop();
  }
  if (!queue) return false;
  RunFirst(*queue);
  return true;
}

void Scheduler::WaitForChange(const eyrie_fence& fence, uint64_t value, uint64_t deadline_ns) {
  MutexLock lock(mutex_);
  if (ready_.empty() && !fence.IsReached(value)) changed_.WaitUntil(mutex_, deadline_ns);
}

void Scheduler::RunTask(hal::Task* task) {
  auto& queue = *static_cast<CallQueue*>(task);
  queue.instance->module_->runtime->scheduler.RunFirst(queue);
}

Status Scheduler::RunCall(CallQueue& queue, const QueuedCall& call) {
  if (call.cancelled) return Error(EYRIE_CANCELLED, "the call was cancelled before it began");
  for (size_t i = 0; i < call.wait_count; ++i)
    EYRIE_RETURN_IF_ERROR(Annotate(call.waits[i].fence->Failure(), "the call waits for a fence that failed"));
  eyrie_call_options_t options = {sizeof(options), 0};
  if (call.deadline_ns != kForever) {
    uint64_t now = NowNs();
    if (now >= call.deadline_ns) return Error(EYRIE_DEADLINE_EXCEEDED, "the call did not begin in its time");
    options.timeout_ns = call.deadline_ns - now;
  }
  return queue.instance->Call(call.function, call.inputs, call.input_count, call.outputs, call.output_count, options);
}

// The queue is posted and the instance held (`running`). Lets the instance go before the signal, so that whoever waited
// may use it; but the queue rests only after it: until then nobody destroys instance and runtime.
void Scheduler::RunFirst(CallQueue& queue) {
  eyrie_instance& instance = *queue.instance;
  QueuedCall call;
  {
    MutexLock lock(mutex_);
    queue.state = CallQueue::State::kRunning;
    call = *queue.calls.first();
    instance.cancelled.store(false, std::memory_order_relaxed);
  }
  Status status = RunCall(queue, call);
  {
    MutexLock lock(mutex_);
    QueuedCall* done = queue.calls.Pop();
    done->next = free_;
    free_ = done;
    queue.count.fetch_sub(1, std::memory_order_seq_cst);
    instance.running.store(false, std::memory_order_seq_cst);
  }
  if (status.ok()) status = call.signal.fence->Signal(call.signal.value);
  if (!status.ok()) call.signal.fence->Fail(std::move(status));
  for (size_t i = 0; i < call.wait_count; ++i) call.waits[i].fence->Release();
  call.signal.fence->Release();
  bool must_post;
  {
    MutexLock lock(mutex_);
    must_post = Place(queue);
  }
  if (must_post) Post(&queue);
}

void Scheduler::Cancel(CallQueue& queue) {
  {
    MutexLock lock(mutex_);
    for (QueuedCall* call = queue.calls.first(); call; call = call->next) call->cancelled = true;
    queue.instance->cancelled.store(true, std::memory_order_relaxed);
  }
  Advance();
}

void Scheduler::Drain(CallQueue& queue) {
  drains_.fetch_add(1, std::memory_order_seq_cst);
  if (queue.count.load(std::memory_order_seq_cst)) Cancel(queue);
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (queue.state == CallQueue::State::kIdle) break;
      bool is_taken = queue.state == CallQueue::State::kPosted && (ready_.Remove(&queue) || device_->Withdraw(&queue));
      if (!is_taken) {
        // Running elsewhere, or not posted yet by who made it so, who will see drains_ and notify.
        changed_.Wait(mutex_);
        continue;
      }
    }
    RunFirst(queue);
  }
  drains_.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace eyrie::rt::session
