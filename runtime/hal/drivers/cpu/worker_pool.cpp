#include "runtime/hal/drivers/cpu/worker_pool.h"

#include <csignal>

namespace eyrie::rt::hal::cpu {
namespace {

constexpr uint32_t kMaxThreads = 1024;
constexpr uint64_t kDefaultSpinNs = 5000;
// Between the dispatches of a submission: about what it costs to put a thread to sleep and wake it, a few times over.
constexpr uint64_t kSubmissionSpinNs = 100000;
constexpr uint32_t kSlice = 1u << 31;

constexpr uint64_t PackRange(uint32_t begin, uint32_t end) { return begin | static_cast<uint64_t>(end) << 32; }
constexpr uint32_t BeginOf(uint64_t range) { return static_cast<uint32_t>(range); }
constexpr uint32_t EndOf(uint64_t range) { return static_cast<uint32_t>(range >> 32); }

}  // namespace

WorkerPool::WorkerPool(Allocator& allocator, uint32_t threads, uint32_t spin_us)
    : allocator_(allocator), spin_ns_(spin_us ? uint64_t{spin_us} * 1000 : kDefaultSpinNs) {
  if (threads <= 1) return;
  if (threads > kMaxThreads) threads = kMaxThreads;
  slots_ = static_cast<Slot*>(allocator_.Allocate(sizeof(Slot) * threads, alignof(Slot)));
  if (!slots_) return;
  slot_count_ = threads;
  for (uint32_t i = 0; i < threads; ++i) new (&slots_[i]) Slot{{0}, this, nullptr, {}, i};
  // Signals are the host program's business, not the workers'.
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  while (worker_count_ + 1 < threads) {
    Slot& slot = slots_[worker_count_ + 1];
    if (pthread_create(&slot.thread, nullptr, WorkerMain, &slot) != 0) break;
    ++worker_count_;
  }
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

WorkerPool::~WorkerPool() {
  {
    MutexLock lock(sleep_mutex_);
    quit_.store(true, std::memory_order_seq_cst);
    wake_.NotifyAll();
  }
  for (uint32_t i = 1; i <= worker_count_; ++i) pthread_join(slots_[i].thread, nullptr);
  if (slots_) {
    for (uint32_t i = 0; i < slot_count_; ++i) allocator_.Release(slots_[i].local, local_bytes_, 64);
    allocator_.Release(slots_, sizeof(Slot) * slot_count_, alignof(Slot));
  }
}

Status WorkerPool::ReserveLocal(size_t bytes) {
  MutexLock lock(busy_);
  if (bytes <= local_bytes_ || !worker_count_) return {};
  // All or nothing: the old memory stays until the new is there.
  Array<void*> fresh(allocator_);
  EYRIE_RETURN_IF_ERROR(fresh.Resize(worker_count_));
  for (uint32_t i = 0; i < worker_count_; ++i) {
    fresh[i] = allocator_.Allocate(bytes, 64);
    if (fresh[i]) continue;
    while (i--) allocator_.Release(fresh[i], bytes, 64);
    return OutOfMemory();
  }
  for (uint32_t i = 0; i < worker_count_; ++i) {
    allocator_.Release(slots_[i + 1].local, local_bytes_, 64);
    slots_[i + 1].local = fresh[i];
  }
  local_bytes_ = bytes;
  return {};
}

// Takes a piece of the thread's own range from its front, or else the back half of another's.
bool WorkerPool::Take(uint32_t index, uint32_t* begin, uint32_t* end) {
  std::atomic<uint64_t>& own = slots_[index].range;
  uint64_t range = own.load(std::memory_order_relaxed);
  while (BeginOf(range) < EndOf(range)) {
    uint32_t count = EndOf(range) - BeginOf(range);
    uint32_t taken = count < chunk_ ? count : chunk_;
    if (own.compare_exchange_weak(range, PackRange(BeginOf(range) + taken, EndOf(range)), std::memory_order_acq_rel)) {
      *begin = BeginOf(range);
      *end = *begin + taken;
      return true;
    }
  }
  uint32_t threads = worker_count_ + 1;
  for (uint32_t step = 1; step < threads; ++step) {
    uint32_t other = index + step < threads ? index + step : index + step - threads;
    std::atomic<uint64_t>& victim = slots_[other].range;
    range = victim.load(std::memory_order_relaxed);
    while (BeginOf(range) < EndOf(range)) {
      uint32_t count = EndOf(range) - BeginOf(range);
      uint32_t middle = BeginOf(range) + count / 2;
      if (!victim.compare_exchange_weak(range, PackRange(BeginOf(range), middle), std::memory_order_acq_rel)) continue;
      // The first piece is run now; the rest becomes the thread's own, for others to steal.
      uint32_t taken = EndOf(range) - middle < chunk_ ? EndOf(range) - middle : chunk_;
      *begin = middle;
      *end = middle + taken;
      own.store(PackRange(middle + taken, EndOf(range)), std::memory_order_release);
      return true;
    }
  }
  return false;
}

void WorkerPool::Work(uint32_t index, void* local) {
  uint32_t begin, end;
  while (Take(index, &begin, &end)) {
    if (error_.load(std::memory_order_relaxed)) continue;  // drains what is left
    int32_t error = function_(context_, base_ + begin, base_ + end, local);
    int32_t none = 0;
    if (error) error_.compare_exchange_strong(none, error, std::memory_order_relaxed);
  }
}

uint64_t WorkerPool::SpinNs() const {
  bool is_submitted = submissions_.load(std::memory_order_relaxed) != 0;
  return is_submitted && spin_ns_ < kSubmissionSpinNs ? kSubmissionSpinNs : spin_ns_;
}

void* WorkerPool::WorkerMain(void* argument) {
  Slot& slot = *static_cast<Slot*>(argument);
  WorkerPool& pool = *slot.pool;
  uint64_t last_epoch = 0;
  for (;;) {
    uint64_t state = pool.state_.load(std::memory_order_acquire);
    uint64_t spin_begin = 0;
    uint32_t spins = 0;
    while (!((state & kOpen) && (state >> 32) != last_epoch)) {
      if (pool.quit_.load(std::memory_order_relaxed)) return nullptr;
      if (!spin_begin) spin_begin = NowNs();
      if (++spins % 64 == 0 && NowNs() - spin_begin >= pool.SpinNs()) {
        MutexLock lock(pool.sleep_mutex_);
        pool.sleepers_.fetch_add(1, std::memory_order_seq_cst);
        for (;;) {
          state = pool.state_.load(std::memory_order_seq_cst);
          if (((state & kOpen) && (state >> 32) != last_epoch) || pool.quit_.load(std::memory_order_seq_cst)) break;
          pool.wake_.Wait(pool.sleep_mutex_);
        }
        pool.sleepers_.fetch_sub(1, std::memory_order_seq_cst);
        spin_begin = 0;
        continue;
      }
      CpuRelax();
      state = pool.state_.load(std::memory_order_acquire);
    }
    if (!pool.state_.compare_exchange_strong(state, state + 1, std::memory_order_acq_rel)) continue;
    last_epoch = state >> 32;
    pool.Work(slot.index, slot.local);
    pool.state_.fetch_sub(1, std::memory_order_release);
  }
}

int32_t WorkerPool::RunSlice(uint32_t count, void* caller_local) {
  uint32_t threads = worker_count_ + 1;
  chunk_ = count / (threads * 16);
  if (chunk_ == 0) chunk_ = 1;
  uint32_t begin = 0;
  for (uint32_t i = 0; i < threads; ++i) {
    uint32_t end = static_cast<uint32_t>(uint64_t{count} * (i + 1) / threads);
    slots_[i].range.store(PackRange(begin, end), std::memory_order_relaxed);
    begin = end;
  }
  error_.store(0, std::memory_order_relaxed);
  uint64_t epoch = (state_.load(std::memory_order_relaxed) >> 32) + 1;
  if (static_cast<uint32_t>(epoch) == 0) epoch = 1;
  state_.store(epoch << 32 | kOpen, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst)) {
    MutexLock lock(sleep_mutex_);
    wake_.NotifyAll();
  }
  Work(0, caller_local);
  // Nothing is left to take: shut the door and wait for those who are inside.
  uint64_t state = state_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
  for (uint32_t spins = 0; state & kCountMask; state = state_.load(std::memory_order_acquire)) {
    if (++spins < 4096)
      CpuRelax();
    else
      sched_yield();
  }
  return error_.load(std::memory_order_relaxed);
}

int32_t WorkerPool::Run(uint64_t count, RangeFunction function, void* context, void* caller_local) {
  if (!worker_count_ || count < 2 || !busy_.TryLock()) return count ? function(context, 0, count, caller_local) : 0;
  function_ = function;
  context_ = context;
  int32_t error = 0;
  for (base_ = 0; base_ < count && !error; base_ += kSlice) {
    uint64_t left = count - base_;
    error = RunSlice(static_cast<uint32_t>(left < kSlice ? left : kSlice), caller_local);
  }
  busy_.Unlock();
  return error;
}

}  // namespace eyrie::rt::hal::cpu
