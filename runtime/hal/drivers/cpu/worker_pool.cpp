#include "runtime/hal/drivers/cpu/worker_pool.h"

#include <sched.h>

#include <csignal>

namespace eyrie::rt::hal::cpu {
namespace {

constexpr uint32_t kMaxThreads = 1024;
constexpr uint64_t kDefaultSpinNs = 5000;
// Between the dispatches of a submission: about what it costs to put a thread to sleep and wake it, a few times over.
constexpr uint64_t kSubmissionSpinNs = 50000;
constexpr uint32_t kSlice = 1u << 31;

constexpr uint64_t PackRange(uint32_t begin, uint32_t end) { return begin | static_cast<uint64_t>(end) << 32; }
constexpr uint32_t BeginOf(uint64_t range) { return static_cast<uint32_t>(range); }
constexpr uint32_t EndOf(uint64_t range) { return static_cast<uint32_t>(range >> 32); }

}  // namespace

WorkerPool::WorkerPool(Allocator& allocator, const PoolOptions& options, const Topology* topology)
    : allocator_(allocator),
      executor_(options.executor),
      topology_(topology),
      spin_ns_(options.never_sleep ? kForever
               : options.spin_us   ? uint64_t{options.spin_us} * 1000
                                   : kDefaultSpinNs) {
  if (executor_.submit) {
    if (Allot((executor_.concurrency < kMaxThreads ? executor_.concurrency : kMaxThreads) + 1))
      helper_count_ = allotted_;
  } else if (options.threads > 1 && Allot(options.threads)) {
    StartThreads();
  }
}

bool WorkerPool::Allot(uint32_t threads) {
  if (threads > kMaxThreads) threads = kMaxThreads;
  if (threads < 2) threads = 2;
  size_t helper_bytes = sizeof(Helper) * (threads - 1), range_bytes = sizeof(Range) * threads * kJobs;
  helpers_ = static_cast<Helper*>(allocator_.Allocate(helper_bytes, alignof(Helper)));
  ranges_ = static_cast<Range*>(allocator_.Allocate(range_bytes, alignof(Range)));
  if (!helpers_ || !ranges_) {
    allocator_.Release(helpers_, helper_bytes, alignof(Helper));
    allocator_.Release(ranges_, range_bytes, alignof(Range));
    helpers_ = nullptr;
    return false;
  }
  allotted_ = threads - 1;
  for (uint32_t i = 0; i < allotted_; ++i) new (&helpers_[i]) Helper{this, nullptr, {}, i + 1, {}, {}};
  for (uint32_t i = 0; i < threads * kJobs; ++i) new (&ranges_[i]) Range{};
  for (uint32_t i = 0; i < kJobs; ++i) jobs_[i].ranges = ranges_ + i * threads;
  return true;
}

void WorkerPool::StartThreads() {
  // Signals are the host program's business, not the workers'. A worker must see the final number of helpers.
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  sleep_mutex_.Lock();
  while (helper_count_ < allotted_) {
    Helper& helper = helpers_[helper_count_];
    if (pthread_create(&helper.thread, nullptr, WorkerMain, &helper) != 0) break;
    ++helper_count_;
  }
  sleep_mutex_.Unlock();
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

WorkerPool::~WorkerPool() {
  {
    MutexLock lock(sleep_mutex_);
    quit_.store(true, std::memory_order_seq_cst);
    wake_.NotifyAll();
    while (items_.load(std::memory_order_seq_cst)) wake_.Wait(sleep_mutex_);
  }
  if (!executor_.submit)
    for (uint32_t i = 0; i < helper_count_; ++i) pthread_join(helpers_[i].thread, nullptr);
  if (!helpers_) return;
  for (uint32_t i = 0; i < allotted_; ++i) allocator_.Release(helpers_[i].local, local_bytes_, 64);
  allocator_.Release(helpers_, sizeof(Helper) * allotted_, alignof(Helper));
  allocator_.Release(ranges_, sizeof(Range) * (allotted_ + 1) * kJobs, alignof(Range));
}

Status WorkerPool::ReserveLocal(size_t bytes) {
  if (!helper_count_) return {};
  // Holding every job keeps the helpers out.
  uint32_t held = 0;
  for (; held < kJobs; ++held)
    while (jobs_[held].taken.exchange(true, std::memory_order_acquire)) sched_yield();
  Status status;
  if (bytes > local_bytes_) {
    // All or nothing: the old memory stays until the new is there.
    Array<void*> fresh(allocator_);
    status = fresh.Resize(helper_count_);
    for (uint32_t i = 0; status.ok() && i < helper_count_; ++i) {
      fresh[i] = allocator_.Allocate(bytes, 64);
      if (!fresh[i]) status = OutOfMemory();
    }
    for (uint32_t i = 0; i < fresh.size(); ++i) {
      if (status.ok()) {
        allocator_.Release(helpers_[i].local, local_bytes_, 64);
        helpers_[i].local = fresh[i];
      } else {
        allocator_.Release(fresh[i], bytes, 64);
      }
    }
    if (status.ok()) local_bytes_ = bytes;
  }
  while (held--) jobs_[held].taken.store(false, std::memory_order_release);
  return status;
}

// Takes a piece of the thread's own range from its front, or else the back half of another's.
bool WorkerPool::Take(Job& job, uint32_t index, uint32_t* begin, uint32_t* end) {
  std::atomic<uint64_t>& own = job.ranges[index].left;
  uint64_t range = own.load(std::memory_order_relaxed);
  while (BeginOf(range) < EndOf(range)) {
    uint32_t count = EndOf(range) - BeginOf(range);
    uint32_t taken = count < job.chunk ? count : job.chunk;
    if (own.compare_exchange_weak(range, PackRange(BeginOf(range) + taken, EndOf(range)), std::memory_order_acq_rel)) {
      *begin = BeginOf(range);
      *end = *begin + taken;
      return true;
    }
  }
  if (job.own_until_ns && !MaySteal(job, index)) return false;
  uint32_t threads = thread_count();
  for (uint32_t step = 1; step < threads; ++step) {
    uint32_t other = index + step < threads ? index + step : index + step - threads;
    std::atomic<uint64_t>& victim = job.ranges[other].left;
    range = victim.load(std::memory_order_relaxed);
    while (BeginOf(range) < EndOf(range)) {
      uint32_t count = EndOf(range) - BeginOf(range);
      uint32_t middle = BeginOf(range) + count / 2;
      if (!victim.compare_exchange_weak(range, PackRange(BeginOf(range), middle), std::memory_order_acq_rel)) continue;
      // The first piece is run now; the rest becomes the thread's own, for others to steal.
      uint32_t taken = EndOf(range) - middle < job.chunk ? EndOf(range) - middle : job.chunk;
      *begin = middle;
      *end = middle + taken;
      own.store(PackRange(middle + taken, EndOf(range)), std::memory_order_release);
      return true;
    }
  }
  return false;
}

// Helpers leave what is not theirs to its owners; the caller waits for these, but not too long: they may be busy.
bool WorkerPool::MaySteal(const Job& job, uint32_t index) const {
  if (index) return false;
  const timespec pause = {0, 20000};
  for (uint32_t other = 1; other < thread_count();) {
    uint64_t range = job.ranges[other].left.load(std::memory_order_relaxed);
    if (BeginOf(range) >= EndOf(range))
      ++other;
    else if (NowNs() >= job.own_until_ns)
      return true;
    else
      nanosleep(&pause, nullptr);
  }
  return false;
}

void WorkerPool::Work(Job& job, uint32_t index, void* local) {
  uint32_t begin, end;
  while (Take(job, index, &begin, &end)) {
    if (job.error.load(std::memory_order_relaxed)) continue;  // drains what is left
    int32_t error = job.function(job.context, job.base + begin, job.base + end, local);
    int32_t none = 0;
    if (error) job.error.compare_exchange_strong(none, error, std::memory_order_relaxed);
  }
}

uint64_t WorkerPool::SpinNs() const {
  bool is_submitted = submissions_.load(std::memory_order_relaxed) != 0;
  return is_submitted && spin_ns_ < kSubmissionSpinNs ? kSubmissionSpinNs : spin_ns_;
}

// Helps with every open job that the helper has not helped with before.
bool WorkerPool::HelpJobs(Helper& helper) {
  bool helped = false;
  for (uint32_t step = 0; step < kJobs; ++step) {
    uint32_t number = (helper.index + step) % kJobs;
    Job& job = jobs_[number];
    uint64_t state = job.state.load(std::memory_order_acquire);
    while ((state & kOpen) && static_cast<uint32_t>(state >> 32) != helper.seen[number]) {
      if (!job.state.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) continue;
      helper.seen[number] = static_cast<uint32_t>(state >> 32);
      Work(job, helper.index, helper.local);
      Leave(job);
      helped = true;
      break;
    }
  }
  return helped;
}

bool WorkerPool::RunTask() {
  if (!task_count_.load(std::memory_order_relaxed)) return false;
  Task* task;
  {
    MutexLock lock(sleep_mutex_);
    task = tasks_.Pop();
    if (!task) return false;
    task_count_.fetch_sub(1, std::memory_order_relaxed);
  }
  task->run(task);
  return true;
}

// Spins, then sleeps, until something is announced after `announced` or the pool quits.
void WorkerPool::Idle(uint32_t announced) {
  auto has_news = [&] {
    return announced_.load(std::memory_order_seq_cst) != announced || quit_.load(std::memory_order_relaxed);
  };
  uint64_t begin = NowNs();
  for (uint32_t spins = 1; !has_news(); ++spins) {
    CpuRelax();
    if (spins % 64 == 0 && NowNs() - begin >= SpinNs()) {
      MutexLock lock(sleep_mutex_);
      sleepers_.fetch_add(1, std::memory_order_seq_cst);
      while (!has_news()) wake_.Wait(sleep_mutex_);
      sleepers_.fetch_sub(1, std::memory_order_seq_cst);
      return;
    }
  }
}

void* WorkerPool::WorkerMain(void* argument) {
  Helper& helper = *static_cast<Helper*>(argument);
  WorkerPool& pool = *helper.pool;
  if (pool.topology_) {
    // Refused where the process's own mask has changed meanwhile: then the thread runs anywhere.
    std::span<const uint64_t> mask = pool.topology_->MaskOf(helper.index);
    if (!mask.empty()) sched_setaffinity(0, mask.size_bytes(), reinterpret_cast<const cpu_set_t*>(mask.data()));
  }
  {
    MutexLock started(pool.sleep_mutex_);
  }
  for (;;) {
    uint32_t announced = pool.announced_.load(std::memory_order_seq_cst);
    // Dispatches first: a thread waits for them.
    if (pool.HelpJobs(helper) || pool.RunTask()) continue;
    if (pool.quit_.load(std::memory_order_seq_cst)) return nullptr;
    pool.Idle(announced);
  }
}

// An item of the executor: helps while there is something to do.
void WorkerPool::ExecutorItem(void* argument) {
  Helper& helper = *static_cast<Helper*>(argument);
  WorkerPool& pool = *helper.pool;
  uint32_t announced;
  do {
    do announced = pool.announced_.load(std::memory_order_seq_cst);
    while (pool.HelpJobs(helper) || pool.RunTask());
    helper.asked.store(false, std::memory_order_seq_cst);
    // Who announced something meanwhile may have seen this helper busy.
  } while (pool.announced_.load(std::memory_order_seq_cst) != announced &&
           !helper.asked.exchange(true, std::memory_order_seq_cst));
  MutexLock lock(pool.sleep_mutex_);
  if (pool.items_.fetch_sub(1, std::memory_order_seq_cst) == 1) pool.wake_.NotifyAll();
}

void WorkerPool::AskExecutor(uint32_t count) {
  for (uint32_t i = 0; i < helper_count_ && count; ++i) {
    if (helpers_[i].asked.load(std::memory_order_relaxed) ||
        helpers_[i].asked.exchange(true, std::memory_order_seq_cst))
      continue;
    items_.fetch_add(1, std::memory_order_seq_cst);
    executor_.submit(executor_.user, ExecutorItem, &helpers_[i]);
    --count;
  }
}

void WorkerPool::Announce(uint32_t helpers) {
  announced_.fetch_add(1, std::memory_order_seq_cst);
  if (executor_.submit) return AskExecutor(helpers);
  if (sleepers_.load(std::memory_order_seq_cst)) {
    MutexLock lock(sleep_mutex_);
    wake_.NotifyAll();
  }
}

bool WorkerPool::Post(Task* task) {
  if (!helper_count_) return false;
  {
    MutexLock lock(sleep_mutex_);
    tasks_.Push(task);
    task_count_.fetch_add(1, std::memory_order_relaxed);
  }
  Announce(1);
  return true;
}

bool WorkerPool::Withdraw(Task* task) {
  MutexLock lock(sleep_mutex_);
  if (!tasks_.Remove(task)) return false;
  task_count_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

void WorkerPool::Leave(Job& job) {
  uint64_t before = job.state.fetch_sub(1, std::memory_order_acq_rel);
  if (!(before & kAwaited) || (before & kCountMask) != 1) return;
  MutexLock lock(sleep_mutex_);
  left_.NotifyAll();
}

// Nothing is left to take: shuts the door and waits for those who are inside, spinning as long as idle workers do.
void WorkerPool::AwaitHelpers(Job& job) {
  uint64_t state = job.state.fetch_and(~kOpen, std::memory_order_acq_rel);
  uint64_t begin = 0;
  for (uint32_t spins = 1; state & kCountMask; ++spins, state = job.state.load(std::memory_order_acquire)) {
    CpuRelax();
    if (spins % 64 != 0) continue;
    if (!begin) begin = NowNs();
    if (NowNs() - begin < SpinNs()) continue;
    MutexLock lock(sleep_mutex_);
    job.state.fetch_or(kAwaited, std::memory_order_acq_rel);
    while (job.state.load(std::memory_order_acquire) & kCountMask) left_.Wait(sleep_mutex_);
    return;
  }
}

int32_t WorkerPool::RunSlice(Job& job, uint32_t count, void* caller_local) {
  uint32_t threads = thread_count();
  job.chunk = count / (threads * 16);
  if (job.chunk == 0) job.chunk = 1;
  uint32_t begin = 0;
  for (uint32_t i = 0; i < threads; ++i) {
    uint32_t end = static_cast<uint32_t>(uint64_t{count} * (i + 1) / threads);
    job.ranges[i].left.store(PackRange(begin, end), std::memory_order_relaxed);
    begin = end;
  }
  job.error.store(0, std::memory_order_relaxed);
  uint64_t epoch = (job.state.load(std::memory_order_relaxed) >> 32) + 1;
  if (static_cast<uint32_t>(epoch) == 0) epoch = 1;
  job.state.store(epoch << 32 | kOpen, std::memory_order_seq_cst);
  Announce(count - 1 < helper_count_ ? count - 1 : helper_count_);
  Work(job, 0, caller_local);
  AwaitHelpers(job);
  return job.error.load(std::memory_order_relaxed);
}

int32_t WorkerPool::Run(uint64_t count, RangeFunction function, void* context, void* caller_local) {
  return RunJob(count, function, context, caller_local, 0);
}

int32_t WorkerPool::RunOwn(uint64_t count, RangeFunction function, void* context, uint64_t patience_ns) {
  return RunJob(count, function, context, nullptr, NowNs() + patience_ns);
}

int32_t WorkerPool::RunJob(uint64_t count, RangeFunction function, void* context, void* caller_local,
                           uint64_t own_until_ns) {
  if (!helper_count_ || count < 2) return count ? function(context, 0, count, caller_local) : 0;
  uint32_t number = 0;
  while (number < kJobs && (jobs_[number].taken.load(std::memory_order_relaxed) ||
                            jobs_[number].taken.exchange(true, std::memory_order_acquire)))
    ++number;
  if (number == kJobs) return function(context, 0, count, caller_local);
  Job& job = jobs_[number];
  job.function = function;
  job.context = context;
  job.own_until_ns = own_until_ns;
  int32_t error = 0;
  for (job.base = 0; job.base < count && !error; job.base += kSlice) {
    uint64_t left = count - job.base;
    error = RunSlice(job, static_cast<uint32_t>(left < kSlice ? left : kSlice), caller_local);
  }
  job.taken.store(false, std::memory_order_release);
  return error;
}

}  // namespace eyrie::rt::hal::cpu
