// Eight threads against eight instances of one runtime: calls, queued calls, fences, deadlines and cancellation at
// random points, while modules and instances come and go. Every call must be right or end for a reason that it was
// given, and no memory may be left.
//   eyrie_runtime_stress [--seconds N] [--seed N] [--threads N | --executor N]
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <thread>

#include "runtime/base/status.h"
#include "runtime/base/thread.h"
#include "runtime/testing/cases.h"
#include "runtime/testing/functions.h"

namespace eyrie::rt::testing {
namespace {

constexpr uint32_t kThreads = 8, kSlots = 8;
constexpr uint64_t kHang = uint64_t{60} * 1000000000;

[[noreturn]] __attribute__((format(printf, 1, 2))) void Die(const char* format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  abort();
}

void Must(eyrie_status_t given) {
  Status status(given);
  if (!status.ok()) Die("%s: %s", eyrie_code_name(status.code()), status.message());
}

struct Counts {
  std::atomic<uint64_t> calls, queued, right, cancelled, late, failed_waits, modules, instances, cancels;
};

// The caller's threads, for a runtime that has none of its own.
class Executor {
 public:
  explicit Executor(uint32_t threads) {
    for (uint32_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
  }
  ~Executor() {
    Submit(this, nullptr, nullptr);
    for (std::thread& thread : threads_) thread.join();
  }
  static void Submit(void* user, void (*work)(void*), void* argument) {
    auto& self = *static_cast<Executor*>(user);
    std::lock_guard lock(self.mutex_);
    self.items_.push_back({work, argument});
    self.changed_.notify_all();
  }

 private:
  struct Item {
    void (*work)(void*);  // null: the end
    void* argument;
  };
  void Run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return !items_.empty(); });
      Item item = items_.front();
      if (!item.work) return;
      items_.pop_front();
      lock.unlock();
      item.work(item.argument);
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;
  std::vector<std::thread> threads_;
};

// An instance and what it was made of. `busy` is held by whoever calls or replaces it; `life` keeps it from being
// replaced while another thread cancels.
struct Slot {
  std::mutex busy;
  std::shared_mutex life;
  size_t kind = 0;
  eyrie_module_t* module = nullptr;
  eyrie_instance_t* instance = nullptr;
  std::vector<uint8_t> arena;
};

// A function that never ends: its calls need a deadline.
class EndlessCase final : public Case {
 public:
  void Prepare(uint32_t, uint32_t) override {}
  void Reset() override {}
  bool IsRight() const override { return false; }
};

struct QueuedCase {
  std::unique_ptr<Case> call;
  eyrie_fence_t* fence = nullptr;
  uint64_t value = 0;
  bool has_deadline = false;
  ~QueuedCase() { eyrie_fence_release(fence); }
};

class Stress {
 public:
  // `executor`: how many threads of the caller run the runtime's work; 0: it has `threads`.
  Stress(uint32_t seed, uint32_t threads, uint32_t executor);
  ~Stress();
  void Run(double seconds);
  Counts counts = {};

 private:
  using Random = std::mt19937;
  static uint32_t Below(Random& random, uint32_t limit) { return static_cast<uint32_t>(random() % limit); }
  static bool OneIn(Random& random, uint32_t n) { return Below(random, n) == 0; }
  bool IsEndless(const Slot& slot) const { return slot.kind == Kinds().size(); }

  void Work(uint32_t number);
  void Call(Slot& slot, Random& random);
  void Queue(Slot& slot, Slot* other, Random& random);
  void Cancel(Slot& slot);
  void Renew(Slot& slot, Random& random);

  std::unique_ptr<Case> Prepare(const Slot& slot, Random& random) const;
  eyrie_call_options_t Deadline(const Slot& slot, Random& random) const;
  void Enqueue(Slot& slot, const eyrie_fence_point_t* waits, size_t wait_count, QueuedCase& queued, Random& random);
  void Judge(Status status, const Case& call, bool has_deadline, bool waits, bool is_readable);
  Status WaitForEnd(const QueuedCase& queued, Random& random);

  uint32_t seed_;
  Executor executor_;
  eyrie_runtime_t* runtime_ = nullptr;
  std::vector<std::vector<uint8_t>> files_;  // of each kind, then of the endless one
  Slot slots_[kSlots];
  std::atomic<int64_t> bytes_{0};
  std::atomic<bool> is_over_{false};
};

Stress::Stress(uint32_t seed, uint32_t threads, uint32_t executor) : seed_(seed), executor_(executor) {
  for (const Kind& kind : Kinds()) files_.push_back(kind.module().Build());
  files_.push_back(ModuleOf(Endless()).Build());
  eyrie_runtime_options_t options = {};
  options.struct_size = sizeof(options);
  options.threads = threads;
  if (executor) options.executor = {&executor_, Executor::Submit, executor};
  options.allocator.user = &bytes_;
  options.allocator.allocate = [](void* user, size_t size, size_t alignment) -> void* {
    void* memory = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (memory) static_cast<std::atomic<int64_t>*>(user)->fetch_add(static_cast<int64_t>(size));
    return memory;
  };
  options.allocator.release = [](void* user, void* memory, size_t size, size_t) {
    static_cast<std::atomic<int64_t>*>(user)->fetch_sub(static_cast<int64_t>(size));
    free(memory);
  };
  Must(eyrie_runtime_create(&options, &runtime_));
  Random random(seed);
  for (Slot& slot : slots_) Renew(slot, random);
}

Stress::~Stress() {
  for (Slot& slot : slots_) {
    eyrie_instance_destroy(slot.instance);
    eyrie_module_destroy(slot.module);
  }
  eyrie_runtime_destroy(runtime_);
  if (bytes_) Die("%lld bytes are left", static_cast<long long>(bytes_.load()));
}

// A new instance, and mostly of another module.
void Stress::Renew(Slot& slot, Random& random) {
  std::unique_lock life(slot.life);
  eyrie_instance_destroy(slot.instance);
  if (!slot.module || !OneIn(random, 3)) {
    eyrie_module_destroy(slot.module);
    slot.kind = Below(random, static_cast<uint32_t>(files_.size()));
    eyrie_module_options_t options = {};
    options.struct_size = sizeof(options);
    options.verify = static_cast<eyrie_verify_t>(Below(random, 3));
    const std::vector<uint8_t>& file = files_[slot.kind];
    Must(eyrie_module_load_memory(runtime_, file.data(), file.size(), &options, &slot.module));
    ++counts.modules;
  }
  eyrie_instance_options_t options = {};
  options.struct_size = sizeof(options);
  options.profile = OneIn(random, 4);
  if (OneIn(random, 3)) {
    options.arena_size = size_t{1} << 20;
    slot.arena.resize(options.arena_size + EYRIE_ARENA_ALIGNMENT);
    options.arena = slot.arena.data() + -reinterpret_cast<uintptr_t>(slot.arena.data()) % EYRIE_ARENA_ALIGNMENT;
  }
  Must(eyrie_instance_create(slot.module, &options, &slot.instance));
  ++counts.instances;
}

std::unique_ptr<Case> Stress::Prepare(const Slot& slot, Random& random) const {
  if (IsEndless(slot)) return std::make_unique<EndlessCase>();
  std::unique_ptr<Case> call = Kinds()[slot.kind].make();
  constexpr uint32_t kSizes[] = {0, 1, 3, 8, 40, 200};
  call->Prepare(kSizes[Below(random, 6)], random() % 1000);
  return call;
}

eyrie_call_options_t Stress::Deadline(const Slot& slot, Random& random) const {
  eyrie_call_options_t options = {sizeof(options), 0};
  if (IsEndless(slot) || OneIn(random, 4)) options.timeout_ns = 1 + Below(random, OneIn(random, 2) ? 2000000 : 20000);
  return options;
}

// `waits`: it had fences to wait for. `is_readable`: the instance has not run another call since.
void Stress::Judge(Status status, const Case& call, bool has_deadline, bool waits, bool is_readable) {
  if (status.ok()) {
    if ((is_readable || call.owns_outputs()) && !call.IsRight()) Die("a call succeeded with a wrong result");
    ++counts.right;
    return;
  }
  bool failed_wait = strncmp(status.message(), "the call waits for a fence that failed", 38) == 0;
  if (failed_wait && waits)
    ++counts.failed_waits;
  else if (status.code() == EYRIE_CANCELLED && !failed_wait)
    ++counts.cancelled;
  else if (status.code() == EYRIE_DEADLINE_EXCEEDED && !failed_wait && has_deadline)
    ++counts.late;
  else
    Die("a call failed: %s: %s", eyrie_code_name(status.code()), status.message());
}

void Stress::Call(Slot& slot, Random& random) {
  std::unique_ptr<Case> call = Prepare(slot, random);
  for (uint32_t i = 0; i < 4; ++i) {
    eyrie_call_options_t options = Deadline(slot, random);
    call->Reset();
    size_t outputs = IsEndless(slot) ? 0 : 1;
    Status status(
        eyrie_call(slot.instance, 0, call->inputs.data(), call->inputs.size(), &call->output, outputs, &options));
    ++counts.calls;
    Judge(std::move(status), *call, options.timeout_ns != 0, false, true);
  }
}

void Stress::Enqueue(Slot& slot, const eyrie_fence_point_t* waits, size_t wait_count, QueuedCase& queued,
                     Random& random) {
  queued.call = Prepare(slot, random);
  queued.value = 1 + Below(random, 5);
  Must(eyrie_fence_create(runtime_, 0, &queued.fence));
  eyrie_call_options_t options = Deadline(slot, random);
  queued.has_deadline = options.timeout_ns != 0;
  Case& call = *queued.call;
  Must(eyrie_call_async(slot.instance, 0, call.inputs.data(), call.inputs.size(), &call.output, IsEndless(slot) ? 0 : 1,
                        &options, waits, wait_count, {queued.fence, queued.value}));
  ++counts.queued;
}

Status Stress::WaitForEnd(const QueuedCase& queued, Random& random) {
  auto is_pending = [&] {
    uint64_t value = 0;
    return Status(eyrie_fence_query(queued.fence, &value)).ok() && value < queued.value;
  };
  if (OneIn(random, 3)) {
    Status status(eyrie_fence_wait(queued.fence, queued.value, Below(random, 50000)));
    if (status.ok() || !is_pending()) return Status(eyrie_fence_wait(queued.fence, queued.value, 0));
  }
  Status status(eyrie_fence_wait(queued.fence, queued.value, kHang));
  if (!status.ok() && is_pending()) Die("a call has not ended within a minute");
  return status;
}

// Queues some calls behind a gate, perhaps one of another instance behind them, then opens the gate, breaks it, cancels
// or replaces the instance.
void Stress::Queue(Slot& slot, Slot* other, Random& random) {
  eyrie_fence_t* gate;
  Must(eyrie_fence_create(runtime_, 7, &gate));
  eyrie_fence_point_t behind_gate = {gate, 7 + uint64_t{Below(random, 2)}};  // half of the time it is open
  const uint32_t count = 1 + Below(random, 4);
  QueuedCase queued[5];
  for (uint32_t i = 0; i < count; ++i) Enqueue(slot, &behind_gate, OneIn(random, 3) ? 0 : 1, queued[i], random);
  if (other) {
    eyrie_fence_point_t waits[] = {{queued[count - 1].fence, queued[count - 1].value}, behind_gate};
    Enqueue(*other, waits, 2, queued[count], random);
  }
  if (OneIn(random, 2)) std::this_thread::sleep_for(std::chrono::microseconds(Below(random, 300)));
  bool is_renewed = false;
  switch (Below(random, 6)) {
    case 0:
      Must(eyrie_fence_fail(gate, EYRIE_UNAVAILABLE, "the gate broke"));
      break;
    case 1:
      eyrie_instance_cancel(slot.instance);
      if (other) eyrie_instance_cancel(other->instance);
      break;
    case 2:
      Renew(slot, random);
      is_renewed = true;
      if (other) Must(eyrie_fence_signal(gate, 8));
      break;
    default:
      Must(eyrie_fence_signal(gate, 8));
  }
  eyrie_fence_release(gate);
  for (uint32_t i = 0; i < count + (other ? 1 : 0); ++i) {
    bool is_other = i == count;
    Judge(WaitForEnd(queued[i], random), *queued[i].call, queued[i].has_deadline, true,
          is_other || (!is_renewed && i + 1 == count));
  }
}

void Stress::Cancel(Slot& slot) {
  std::shared_lock life(slot.life);
  eyrie_instance_cancel(slot.instance);
  ++counts.cancels;
}

void Stress::Work(uint32_t number) {
  Random random(seed_ * 1000 + number);
  while (!is_over_) {
    Slot& slot = slots_[Below(random, kSlots)];
    if (OneIn(random, 20)) Cancel(slot);
    std::unique_lock busy(slot.busy, std::try_to_lock);
    if (!busy) {
      std::this_thread::yield();
      continue;
    }
    uint32_t choice = Below(random, 16);
    if (choice < 8) {
      Call(slot, random);
    } else if (choice < 15) {
      Slot& other = slots_[Below(random, kSlots)];
      std::unique_lock<std::mutex> other_busy;
      if (&other != &slot) other_busy = std::unique_lock(other.busy, std::try_to_lock);
      Queue(slot, other_busy ? &other : nullptr, random);
    } else {
      Renew(slot, random);
    }
  }
}

void Stress::Run(double seconds) {
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < kThreads; ++i) threads.emplace_back([this, i] { Work(i); });
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  is_over_ = true;
  for (std::thread& thread : threads) thread.join();
}

void Report(const Counts& counts) {
  auto value = [](const std::atomic<uint64_t>& count) { return static_cast<unsigned long long>(count.load()); };
  printf("%llu calls and %llu queued ones: %llu right, %llu cancelled, %llu late, %llu behind a fence that failed\n",
         value(counts.calls), value(counts.queued), value(counts.right), value(counts.cancelled), value(counts.late),
         value(counts.failed_waits));
  printf("%llu modules, %llu instances, %llu cancellations from other threads\n", value(counts.modules),
         value(counts.instances), value(counts.cancels));
}

int Main(int argc, char** argv) {
  double seconds = 5;
  uint32_t seed = 1, threads = 4, executor = 0;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0) {
      seconds = atof(argv[i + 1]);
    } else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
      seed = static_cast<uint32_t>(atoi(argv[i + 1]));
    } else if (i + 1 < argc && strcmp(argv[i], "--threads") == 0) {
      threads = static_cast<uint32_t>(atoi(argv[i + 1]));
    } else if (i + 1 < argc && strcmp(argv[i], "--executor") == 0) {
      executor = static_cast<uint32_t>(atoi(argv[i + 1]));
    } else {
      fprintf(stderr, "usage: eyrie_runtime_stress [--seconds N] [--seed N] [--threads N | --executor N]\n");
      return 2;
    }
  }
  {
    Stress stress(seed, threads, executor);
    stress.Run(seconds);
    Report(stress.counts);
    bool all = stress.counts.right && stress.counts.cancelled && stress.counts.late && stress.counts.failed_waits;
    if (!all) Die("not everything happened");
  }
  return 0;
}

}  // namespace
}  // namespace eyrie::rt::testing

int main(int argc, char** argv) { return eyrie::rt::testing::Main(argc, argv); }
