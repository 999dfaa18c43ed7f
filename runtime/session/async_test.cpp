// Fences and asynchronous calls, with threads, without, and with the caller's executor.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>

#include <deque>

#include "runtime/base/thread.h"
#include "runtime/testing/session.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;

constexpr uint64_t kSecond = 1000000000;

// Runs items on two threads of its own.
class Executor {
 public:
  Executor() {
    for (pthread_t& thread : threads_) pthread_create(&thread, nullptr, Main, this);
  }
  ~Executor() {
    {
      MutexLock lock(mutex_);
      quit_ = true;
      changed_.NotifyAll();
    }
    for (pthread_t& thread : threads_) pthread_join(thread, nullptr);
  }
  static void Submit(void* user, void (*work)(void*), void* argument) {
    auto& self = *static_cast<Executor*>(user);
    MutexLock lock(self.mutex_);
    self.items_.push_back({work, argument});
    ++self.submitted;
    self.changed_.NotifyAll();
  }
  uint64_t submitted = 0;

 private:
  struct Item {
    void (*work)(void*);
    void* argument;
  };
  static void* Main(void* argument) {
    auto& self = *static_cast<Executor*>(argument);
    for (;;) {
      Item item;
      {
        MutexLock lock(self.mutex_);
        while (self.items_.empty() && !self.quit_) self.changed_.Wait(self.mutex_);
        if (self.items_.empty()) return nullptr;
        item = self.items_.front();
        self.items_.pop_front();
      }
      item.work(item.argument);
    }
  }
  Mutex mutex_;
  Condition changed_;
  std::deque<Item> items_;
  bool quit_ = false;
  pthread_t threads_[2];
};

// AddScaleModule with a second function that never ends by itself, and a third that fails.
Module TestModule() {
  Module module = AddScaleModule();
  Function spin;
  spin.name = "spin";
  spin.Op(VmOp::kBr, {0});
  module.functions.push_back(spin);
  Function broken;
  broken.name = "broken";
  broken.Const(0, 1).Const(1, 100).Op(VmOp::kDispatch, {2, 1, 1, 1, 1, 0, 0}).Op(VmOp::kReturn);
  module.functions.push_back(broken);
  return module;
}

struct Mode {
  const char* name;
  uint32_t threads;
  bool executor;
};

class Async : public ::testing::TestWithParam<Mode> {
 public:
  void SetUp() override {
    eyrie_runtime_options_t options = {};
    options.struct_size = sizeof(options);
    options.threads = GetParam().threads;
    if (GetParam().executor) options.executor = {&executor, Executor::Submit, 2};
    ASSERT_OK(Status(eyrie_runtime_create(&options, &runtime)));
    bytes = TestModule().Build();
    ASSERT_OK(Status(eyrie_module_load_memory(runtime, bytes.data(), bytes.size(), nullptr, &module)));
    ASSERT_OK(Status(eyrie_instance_create(module, nullptr, &instance)));
    fence = MakeFence();
    inputs[0] = F32(a, {200, 8});
    inputs[1] = F32(b, {200, 8});
  }
  void TearDown() override {
    eyrie_instance_destroy(instance);
    eyrie_module_destroy(module);
    eyrie_fence_release(fence);
    eyrie_runtime_destroy(runtime);
  }
  eyrie_fence_t* MakeFence(uint64_t value = 0) {
    eyrie_fence_t* made = nullptr;
    EXPECT_OK(Status(eyrie_fence_create(runtime, value, &made)));
    return made;
  }
  Status Queue(uint64_t signal, eyrie_tensor_t* output, std::initializer_list<eyrie_fence_point_t> waits = {},
               uint64_t timeout_ns = 0) {
    eyrie_call_options_t options = {sizeof(options), timeout_ns};
    return Status(
        eyrie_call_async(instance, 0, inputs, 2, output, 1, &options, waits.begin(), waits.size(), {fence, signal}));
  }
  Status QueueFunction(uint32_t function, eyrie_fence_point_t signal, uint64_t timeout_ns = 0) {
    eyrie_call_options_t options = {sizeof(options), timeout_ns};
    return Status(eyrie_call_async(instance, function, nullptr, 0, nullptr, 0, &options, nullptr, 0, signal));
  }
  Status Wait(uint64_t value, uint64_t timeout_ns = 20 * kSecond) {
    return Status(eyrie_fence_wait(fence, value, timeout_ns));
  }
  bool runs_by_itself() const { return GetParam().threads > 1 || GetParam().executor; }

  Executor executor;
  std::vector<uint8_t> bytes;
  eyrie_runtime_t* runtime = nullptr;
  eyrie_module_t* module = nullptr;
  eyrie_instance_t* instance = nullptr;
  eyrie_fence_t* fence = nullptr;
  std::vector<float> a = std::vector<float>(1600, 1), b = std::vector<float>(1600, 2);
  eyrie_tensor_t inputs[2];
};

TEST_P(Async, RunsInOrder) {
  constexpr int kCalls = 20;
  std::vector<std::vector<float>> results(kCalls, std::vector<float>(1600));
  std::vector<eyrie_tensor_t> outputs(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    outputs[i].data = results[i].data();
    outputs[i].size_bytes = 6400;
    ASSERT_OK(Queue(1 + i, &outputs[i]));
  }
  ASSERT_OK(Wait(kCalls));
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_EQ(outputs[i].dims[0], 200);
    EXPECT_EQ(results[i][1599], 24.0f);
  }
  // The instance is free as soon as its last fence is signalled.
  eyrie_tensor_t output = {};
  EXPECT_OK(Status(eyrie_call(instance, 0, inputs, 2, &output, 1, nullptr)));
}

TEST_P(Async, WaitsForFences) {
  eyrie_fence_t *first = MakeFence(), *second = MakeFence(5);
  eyrie_tensor_t output = {};
  ASSERT_OK(Queue(1, &output, {{first, 2}, {second, 6}}));
  EXPECT_STATUS(Wait(1, 2000000), EYRIE_DEADLINE_EXCEEDED, "waited for the value 1 of a fence that is at 0");
  EXPECT_STATUS(Wait(1, 0), EYRIE_DEADLINE_EXCEEDED, "");
  eyrie_tensor_t sync = {};
  EXPECT_STATUS(Status(eyrie_call(instance, 0, inputs, 2, &sync, 1, nullptr)), EYRIE_FAILED_PRECONDITION,
                "asynchronous calls that have not ended");
  EXPECT_OK(Status(eyrie_fence_signal(first, 2)));
  EXPECT_STATUS(Wait(1, 2000000), EYRIE_DEADLINE_EXCEEDED, "");
  EXPECT_OK(Status(eyrie_fence_signal(second, 7)));
  ASSERT_OK(Wait(1));
  EXPECT_EQ(static_cast<float*>(output.data)[7], 24.0f);
  eyrie_fence_release(first);
  eyrie_fence_release(second);
}

TEST_P(Async, ChainsInstances) {
  // Ten instances, each waits for the one before; the first waits for the caller. Its own output is the next's input.
  eyrie_instance_t* instances[10];
  eyrie_tensor_t outputs[10] = {};
  std::vector<std::vector<float>> results(10, std::vector<float>(1600));
  eyrie_tensor_t links[10][2];
  for (int i = 9; i >= 0; --i) {
    ASSERT_OK(Status(eyrie_instance_create(module, nullptr, &instances[i])));
    outputs[i].data = results[i].data();
    outputs[i].size_bytes = 6400;
    links[i][0] = i ? F32(results[i - 1], {200, 8}) : inputs[0];
    links[i][1] = inputs[1];
    eyrie_fence_point_t wait = {fence, static_cast<uint64_t>(1 + i)};
    ASSERT_OK(Status(eyrie_call_async(instances[i], 0, links[i], 2, &outputs[i], 1, nullptr, &wait, 1,
                                      {fence, static_cast<uint64_t>(2 + i)})));
  }
  EXPECT_OK(Status(eyrie_fence_signal(fence, 1)));
  ASSERT_OK(Wait(11));
  EXPECT_EQ(results[9][0], 1.0f + 2 * 10);  // times the weight 1
  for (eyrie_instance_t* each : instances) eyrie_instance_destroy(each);
}

TEST_P(Async, ErrorsTravelThroughFences) {
  eyrie_fence_t* failing = MakeFence();
  ASSERT_OK(QueueFunction(2, {failing, 1}));
  eyrie_tensor_t output = {}, good = {};
  ASSERT_OK(Queue(1, &good));  // does not wait, so it runs
  ASSERT_OK(Wait(1));
  EXPECT_STATUS(Status(eyrie_fence_wait(failing, 1, 20 * kSecond)), EYRIE_INVALID_ARGUMENT, "index is out of range");
  EXPECT_STATUS(Status(eyrie_fence_query(failing, nullptr)), EYRIE_INVALID_ARGUMENT, "index is out of range");
  ASSERT_OK(Queue(2, &output, {{failing, 1}}));
  EXPECT_STATUS(Wait(2), EYRIE_INVALID_ARGUMENT, "the call waits for a fence that failed: ");
  EXPECT_EQ(output.rank, 0u);
  EXPECT_STATUS(Status(eyrie_fence_signal(fence, 9)), EYRIE_ABORTED, "failed");
  EXPECT_OK(Status(eyrie_fence_fail(fence, EYRIE_UNAVAILABLE, "later")));
  EXPECT_STATUS(Wait(2), EYRIE_INVALID_ARGUMENT, "");  // the first failure stays
  eyrie_fence_release(failing);
  // A wrong input is found when the call runs.
  eyrie_fence_release(std::exchange(fence, MakeFence()));
  inputs[0].rank = 1;
  ASSERT_OK(Queue(1, &output));
  EXPECT_STATUS(Wait(1), EYRIE_INVALID_ARGUMENT, "input 0 'a': expected nx8xf32");
}

TEST_P(Async, CallerFailsAFence) {
  eyrie_fence_t* gate = MakeFence();
  eyrie_tensor_t output = {};
  ASSERT_OK(Queue(1, &output, {{gate, 1}}));
  EXPECT_STATUS(Status(eyrie_fence_fail(gate, EYRIE_OK, "")), EYRIE_INVALID_ARGUMENT, "");
  EXPECT_OK(Status(eyrie_fence_fail(gate, EYRIE_UNAVAILABLE, "the camera is gone")));
  EXPECT_STATUS(Wait(1), EYRIE_UNAVAILABLE, "the call waits for a fence that failed: the camera is gone");
  eyrie_fence_release(gate);
}

TEST_P(Async, Cancels) {
  eyrie_fence_t *gate = MakeFence(), *running = MakeFence();
  eyrie_tensor_t output = {};
  ASSERT_OK(Queue(1, &output, {{gate, 1}}));
  eyrie_instance_cancel(instance);
  EXPECT_STATUS(Wait(1), EYRIE_CANCELLED, "before it began");
  eyrie_fence_release(gate);
  // One that runs, where something runs by itself.
  if (runs_by_itself()) {
    ASSERT_OK(QueueFunction(1, {running, 1}));
    usleep(5000);
    eyrie_instance_cancel(instance);
    EXPECT_STATUS(Status(eyrie_fence_wait(running, 1, 20 * kSecond)), EYRIE_CANCELLED, "");
  }
  eyrie_fence_release(running);
  eyrie_fence_release(std::exchange(fence, MakeFence()));
  ASSERT_OK(Queue(1, &output));
  EXPECT_OK(Wait(1));
}

TEST_P(Async, DeadlinesCountFromTheQueueing) {
  eyrie_fence_t* gate = MakeFence();
  eyrie_tensor_t output = {};
  ASSERT_OK(Queue(1, &output, {{gate, 1}}, 20000000));
  uint64_t begin = NowNs();
  EXPECT_STATUS(Wait(1), EYRIE_DEADLINE_EXCEEDED, "did not begin in its time");
  EXPECT_LT(NowNs() - begin, 2 * kSecond);
  eyrie_fence_t* late = MakeFence();
  ASSERT_OK(QueueFunction(1, {late, 1}, 300000000));
  EXPECT_STATUS(Status(eyrie_fence_wait(late, 1, 20 * kSecond)), EYRIE_DEADLINE_EXCEEDED, "did not end in its time");
  eyrie_fence_release(gate);
  eyrie_fence_release(late);
}

TEST_P(Async, DestroyingAnInstanceEndsItsCalls) {
  eyrie_fence_t* gate = MakeFence();
  eyrie_tensor_t outputs[3] = {};
  if (runs_by_itself()) {
    eyrie_fence_t* running = MakeFence();
    ASSERT_OK(QueueFunction(1, {running, 1}));
    eyrie_fence_release(running);
  }
  for (int i = 0; i < 3; ++i) ASSERT_OK(Queue(1 + i, &outputs[i], {{gate, 1}}));
  eyrie_instance_destroy(std::exchange(instance, nullptr));
  EXPECT_STATUS(Wait(3, 0), EYRIE_CANCELLED, "");
  eyrie_fence_release(gate);
}

TEST_P(Async, DoesNotAllocateAfterWarmUp) {
  eyrie_tensor_t outputs[4] = {};
  uint64_t value = 0;
  eyrie_runtime_stats_t before = {}, after = {};
  for (int round = 0; round < 50; ++round) {
    for (eyrie_tensor_t& output : outputs) {
      output = {};
      ASSERT_OK(Queue(++value, &output));
    }
    ASSERT_OK(Wait(value));
    if (round == 1) eyrie_runtime_get_stats(runtime, &before);
  }
  eyrie_runtime_get_stats(runtime, &after);
  EXPECT_LE(after.allocations - before.allocations, 3u);  // at most what a fuller queue takes once
  EXPECT_EQ(after.bytes >= before.bytes, true);
}

TEST_P(Async, ManyThreadsAndInstances) {
  struct Shared {
    Async* test;
    std::atomic<int> failures{0};
  } shared{this};
  auto work = [](void* argument) -> void* {
    auto& shared = *static_cast<Shared*>(argument);
    Async& test = *shared.test;
    eyrie_instance_t* own = nullptr;
    EXPECT_OK(Status(eyrie_instance_create(test.module, nullptr, &own)));
    eyrie_fence_t* done = test.MakeFence();
    for (uint64_t i = 1; i <= 60; ++i) {
      eyrie_tensor_t output = {};
      EXPECT_OK(Status(eyrie_call_async(own, 0, test.inputs, 2, &output, 1, nullptr, nullptr, 0, {done, i})));
      EXPECT_OK(Status(eyrie_fence_wait(done, i, 20 * kSecond)));
      if (!output.data || static_cast<float*>(output.data)[1599] != 24.0f) ++shared.failures;
    }
    eyrie_fence_release(done);
    eyrie_instance_destroy(own);
    return nullptr;
  };
  pthread_t threads[4];
  for (pthread_t& thread : threads) pthread_create(&thread, nullptr, work, &shared);
  for (pthread_t& thread : threads) pthread_join(thread, nullptr);
  EXPECT_EQ(shared.failures, 0);
}

TEST_P(Async, RefusesBadArguments) {
  eyrie_tensor_t output = {};
  EXPECT_STATUS(Status(eyrie_call_async(instance, 0, inputs, 2, &output, 1, nullptr, nullptr, 0, {nullptr, 1})),
                EYRIE_INVALID_ARGUMENT, "signal: no fence");
  eyrie_fence_point_t waits[9] = {};
  EXPECT_STATUS(Status(eyrie_call_async(instance, 0, inputs, 2, &output, 1, nullptr, waits, 9, {fence, 1})),
                EYRIE_INVALID_ARGUMENT, "at most 8 fences, got 9");
  EXPECT_STATUS(Status(eyrie_call_async(instance, 0, inputs, 2, &output, 1, nullptr, waits, 1, {fence, 1})),
                EYRIE_INVALID_ARGUMENT, "wait 0: no fence");
  eyrie_fence_t* none = nullptr;
  EXPECT_STATUS(Status(eyrie_fence_create(runtime, UINT64_MAX, &none)), EYRIE_INVALID_ARGUMENT, "2^64-1");
  EXPECT_STATUS(Status(eyrie_fence_signal(nullptr, 1)), EYRIE_INVALID_ARGUMENT, "no fence");
}

INSTANTIATE_TEST_SUITE_P(Modes, Async,
                         ::testing::Values(Mode{"inline", 0, false}, Mode{"two_threads", 2, false},
                                           Mode{"four_threads", 4, false}, Mode{"executor", 0, true}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Executor, GetsTheWork) {
  Executor executor;
  eyrie_runtime_options_t options = {};
  options.struct_size = sizeof(options);
  options.executor = {&executor, Executor::Submit, 3};
  eyrie_runtime_t* runtime;
  ASSERT_OK(Status(eyrie_runtime_create(&options, &runtime)));
  eyrie_runtime_stats_t stats;
  eyrie_runtime_get_stats(runtime, &stats);
  EXPECT_EQ(stats.threads, 4u);
  {
    Session session(runtime, AddScaleModule().Build());
    std::vector<float> a(8000, 1), b(8000, 2);
    eyrie_tensor_t inputs[2] = {F32(a, {1000, 8}), F32(b, {1000, 8})};
    for (int i = 0; i < 50; ++i) {
      eyrie_tensor_t output = {};
      ASSERT_OK(session.Call(inputs, 2, &output, 1));
      EXPECT_EQ(static_cast<float*>(output.data)[7999], 24.0f);
    }
  }
  eyrie_runtime_destroy(runtime);
  EXPECT_GT(executor.submitted, 0u);
  options.executor.concurrency = 5000;
  EXPECT_STATUS(Status(eyrie_runtime_create(&options, &runtime)), EYRIE_INVALID_ARGUMENT, "concurrency 5000");
}

TEST(Executor, MayRunItemsAtOnce) {
  eyrie_runtime_options_t options = {};
  options.struct_size = sizeof(options);
  options.executor.submit = [](void*, void (*work)(void*), void* argument) { work(argument); };
  eyrie_runtime_t* runtime;
  ASSERT_OK(Status(eyrie_runtime_create(&options, &runtime)));
  {
    Session session(runtime, AddScaleModule().Build());
    session.ExpectGoodCall();
    eyrie_fence_t* fence;
    ASSERT_OK(Status(eyrie_fence_create(runtime, 0, &fence)));
    std::vector<float> a(8000, 1), b(8000, 2);
    eyrie_tensor_t inputs[2] = {F32(a, {1000, 8}), F32(b, {1000, 8})}, output = {};
    ASSERT_OK(Status(eyrie_call_async(session.instance, 0, inputs, 2, &output, 1, nullptr, nullptr, 0, {fence, 1})));
    EXPECT_OK(Status(eyrie_fence_wait(fence, 1, 0)));
    eyrie_fence_release(fence);
  }
  eyrie_runtime_destroy(runtime);
}

// An event loop: one thread, the test's own, that runs items when it gets to them.
struct Loop {
  struct Item {
    void (*work)(void*);
    void* argument;
  };
  static void Submit(void* user, void (*work)(void*), void* argument) {
    static_cast<Loop*>(user)->items.push_back({work, argument});
  }
  void RunAll() {
    while (!items.empty()) {
      Item item = items.front();
      items.pop_front();
      item.work(item.argument);
    }
  }
  std::deque<Item> items;
};

TEST(Executor, ItsOnlyThreadMayDestroyInstances) {
  Loop loop;
  eyrie_runtime_options_t options = {};
  options.struct_size = sizeof(options);
  options.executor = {&loop, Loop::Submit, 1};
  eyrie_runtime_t* runtime;
  ASSERT_OK(Status(eyrie_runtime_create(&options, &runtime)));
  {
    Session session(runtime, AddScaleModule().Build());
    eyrie_fence_t *fence, *other_fence;
    ASSERT_OK(Status(eyrie_fence_create(runtime, 0, &fence)));
    ASSERT_OK(Status(eyrie_fence_create(runtime, 0, &other_fence)));
    std::vector<float> a(8000, 1), b(8000, 2);
    eyrie_tensor_t inputs[2] = {F32(a, {1000, 8}), F32(b, {1000, 8})}, outputs[3] = {};
    eyrie_instance_t* other;
    ASSERT_OK(Status(eyrie_instance_create(session.module, nullptr, &other)));
    for (uint64_t i = 0; i < 2; ++i)
      ASSERT_OK(Status(
          eyrie_call_async(session.instance, 0, inputs, 2, &outputs[i], 1, nullptr, nullptr, 0, {fence, i + 1})));
    ASSERT_OK(Status(eyrie_call_async(other, 0, inputs, 2, &outputs[2], 1, nullptr, nullptr, 0, {other_fence, 1})));
    EXPECT_EQ(loop.items.size(), 1u);
    eyrie_instance_destroy(std::exchange(session.instance, nullptr));
    EXPECT_STATUS(Status(eyrie_fence_wait(fence, 2, 0)), EYRIE_CANCELLED, "before it began");
    EXPECT_EQ(outputs[0].rank, 0u);
    // The other instance's call was left alone, and a call needs no other thread either.
    EXPECT_STATUS(Status(eyrie_fence_wait(other_fence, 1, 0)), EYRIE_DEADLINE_EXCEEDED, "");
    loop.RunAll();
    EXPECT_OK(Status(eyrie_fence_wait(other_fence, 1, 0)));
    EXPECT_EQ(static_cast<float*>(outputs[2].data)[7999], 24.0f);
    eyrie_tensor_t output = {};
    EXPECT_OK(Status(eyrie_call(other, 0, inputs, 2, &output, 1, nullptr)));
    eyrie_instance_destroy(other);
    eyrie_fence_release(fence);
    eyrie_fence_release(other_fence);
  }
  loop.RunAll();
  eyrie_runtime_destroy(runtime);
}

#if !defined(__SANITIZE_THREAD__) && !__has_feature(thread_sanitizer)
TEST(Fork, ChildMustMakeItsOwnRuntime) {
  for (uint32_t threads : {0u, 3u}) {
    Session session(AddScaleModule(), threads);
    session.ExpectGoodCall();
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      eyrie_fence_t* fence = nullptr;
      eyrie_module_t* module = nullptr;
      eyrie_tensor_t output = {};
      bool good =
          Status(eyrie_call(session.instance, 0, nullptr, 0, &output, 1, nullptr)).code() == EYRIE_FAILED_PRECONDITION;
      good &= Status(eyrie_fence_create(session.runtime, 0, &fence)).code() == EYRIE_FAILED_PRECONDITION;
      good &= strstr(Status(eyrie_module_load_memory(session.runtime, session.bytes.data(), session.bytes.size(),
                                                     nullptr, &module))
                         .message(),
                     "made before fork(); a child must make its own") != nullptr;
      eyrie_instance_destroy(session.instance);
      eyrie_module_destroy(session.module);
      eyrie_runtime_destroy(session.runtime);
      Session own(AddScaleModule(), threads);
      own.ExpectGoodCall();
      _exit(good && !::testing::Test::HasFailure() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    session.ExpectGoodCall();
  }
}
#endif

TEST(Threads, Automatic) {
  eyrie_runtime_options_t options = {};
  options.struct_size = sizeof(options);
  options.threads = EYRIE_THREADS_AUTO;
  eyrie_runtime_t* runtime;
  ASSERT_OK(Status(eyrie_runtime_create(&options, &runtime)));
  eyrie_runtime_stats_t stats;
  eyrie_runtime_get_stats(runtime, &stats);
  EXPECT_GE(stats.threads, 1u);
  EXPECT_LE(stats.threads, static_cast<uint32_t>(sysconf(_SC_NPROCESSORS_CONF)));
  eyrie_runtime_destroy(runtime);
}

}  // namespace
}  // namespace eyrie::rt::testing
