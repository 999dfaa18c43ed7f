// Objects, checks, semaphores and submissions; commands_test.cpp has what commands do.
#include "runtime/testing/cts.h"

#include <cstring>

namespace eyrie::rt::hal {
namespace {

TEST_P(Cts, Buffers) {
  for (uint64_t size : {uint64_t{0}, uint64_t{1}, uint64_t{100}, uint64_t{5} << 20}) {
    Buffer* buffer = Allocate(size);
    EXPECT_EQ(buffer->size(), size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->host()) % 64, 0u);
    EXPECT_TRUE(buffer->writable());
    device->ReleaseBuffer(buffer);
  }
  device->ReleaseBuffer(nullptr);
  for (uint64_t size : {uint64_t{1} << 63, ~uint64_t{0}, uint64_t{1} << 62})
    EXPECT_EQ(device->AllocateBuffer(size).status().code(), EYRIE_RESOURCE_EXHAUSTED);
}

TEST_P(Cts, CopiesAndFills) {
  Buffer* buffer = Allocate(64);
  memset(buffer->host(), 0, 64);
  ASSERT_OK(commands->Begin());
  EXPECT_TRUE(commands->empty());
  EXPECT_OK(commands->Fill({buffer, 0, 16}, 0x11223344, 4));
  EXPECT_OK(commands->Barrier());
  EXPECT_OK(commands->Copy({buffer, 0, 16}, {buffer, 32, 16}));
  EXPECT_OK(commands->Fill({buffer, 63, 1}, 7, 1));
  EXPECT_OK(commands->Fill({buffer, 64, 0}, 7, 8));
  EXPECT_FALSE(commands->empty());
  ASSERT_OK(Submit());
  if (GetParam().runs) {
    EXPECT_EQ(buffer->host()[32], 0x44);
    EXPECT_EQ(buffer->host()[47], 0x11);
    EXPECT_EQ(buffer->host()[48], 0);
    EXPECT_EQ(buffer->host()[63], 7);
  }
  device->ReleaseBuffer(buffer);
}

TEST_P(Cts, RefusesBadRanges) {
  Buffer* buffer = Allocate(64);
  uint8_t memory[64];
  auto imported = device->ImportHostMemory(memory, 64, false);
  ASSERT_OK(std::move(imported.status()));
  Buffer* constant = imported.value();
  ASSERT_OK(commands->Begin());
  EXPECT_EQ(commands->Fill({buffer, 60, 8}, 0, 4).code(), EYRIE_OUT_OF_RANGE);
  EXPECT_EQ(commands->Fill({buffer, ~uint64_t{0}, 2}, 0, 1).code(), EYRIE_OUT_OF_RANGE);
  EXPECT_EQ(commands->Fill({buffer, 0, 6}, 0, 4).code(), EYRIE_INVALID_ARGUMENT);
  EXPECT_EQ(commands->Fill({buffer, 0, 6}, 0, 3).code(), EYRIE_INVALID_ARGUMENT);
  EXPECT_EQ(commands->Fill({buffer, 0, 16}, 0, 16).code(), EYRIE_INVALID_ARGUMENT);
  EXPECT_EQ(commands->Fill({nullptr, 0, 0}, 0, 1).code(), EYRIE_INVALID_ARGUMENT);
  EXPECT_EQ(commands->Fill({constant, 0, 4}, 0, 1).code(), EYRIE_PERMISSION_DENIED);
  EXPECT_EQ(commands->Copy({buffer, 0, 4}, {constant, 0, 4}).code(), EYRIE_PERMISSION_DENIED);
  EXPECT_EQ(commands->Copy({buffer, 0, 4}, {buffer, 3, 4}).code(), EYRIE_INVALID_ARGUMENT);
  EXPECT_EQ(commands->Copy({buffer, 0, 4}, {buffer, 8, 5}).code(), EYRIE_INVALID_ARGUMENT);
  EXPECT_EQ(commands->Copy({buffer, 61, 4}, {buffer, 8, 4}).code(), EYRIE_OUT_OF_RANGE);
  EXPECT_EQ(commands->Copy({buffer, 0, 4}, {buffer, 61, 4}).code(), EYRIE_OUT_OF_RANGE);
  device->ReleaseBuffer(constant);
  device->ReleaseBuffer(buffer);
}

TEST_P(Cts, Dispatches) {
  Buffer* buffer = Allocate(3 * 1024);
  memset(buffer->host(), 0, buffer->size());
  auto* values = reinterpret_cast<float*>(buffer->host());
  for (int i = 0; i < 512; ++i) values[i] = i;
  ASSERT_OK(commands->Begin());
  EXPECT_OK(Dispatch(0, {256}, {{buffer, 0, 1024}, {buffer, 1024, 1024}, {buffer, 2048, 1024}}, 4));
  EXPECT_OK(Dispatch(0, {256}, {{buffer, 0, 0}, {buffer, 0, 0}, {buffer, 0, 0}}, 0));  // nothing to do
  ASSERT_OK(Submit());
  ASSERT_OK(device->Submit({commands, {}, {}, nullptr, {}}));  // a second time
  if (GetParam().runs)
    for (int i = 0; i < 256; ++i) ASSERT_EQ(values[512 + i], 2.0f * i + 256);
  ASSERT_OK(commands->Begin());
  EXPECT_OK(Dispatch(2, {1}, {{buffer, 0, 1}}));
  EXPECT_OK(Dispatch(3, {4}, {{buffer, 1024, 1024}}, 256));
  ASSERT_OK(Submit());
  if (GetParam().runs) {
    EXPECT_EQ(buffer->host()[0], 'y');
    for (uint32_t i = 0; i < 256; ++i) ASSERT_EQ(reinterpret_cast<uint32_t*>(buffer->host() + 1024)[i], i + 1);
  }
  device->ReleaseBuffer(buffer);
}

TEST_P(Cts, RefusesBadDispatches) {
  Buffer* buffer = Allocate(64);
  ASSERT_OK(commands->Begin());
  Binding good = {buffer, 0, 64};
  EXPECT_EQ(Dispatch(0, {1}, {good, good}).code(), EYRIE_INVALID_ARGUMENT);
  EXPECT_EQ(Dispatch(0, {1}, {good, good, good, good}).code(), EYRIE_INVALID_ARGUMENT);
  EXPECT_EQ(Dispatch(0, {}, {good, good, good}).code(), EYRIE_INVALID_ARGUMENT);
  EXPECT_EQ(Dispatch(0, {1, 2}, {good, good, good}).code(), EYRIE_INVALID_ARGUMENT);
  EXPECT_EQ(Dispatch(0, {1}, {good, good, {buffer, 1, 64}}).code(), EYRIE_OUT_OF_RANGE);
  EXPECT_EQ(Dispatch(0, {1}, {good, good, {buffer, ~uint64_t{0}, 64}}).code(), EYRIE_OUT_OF_RANGE);
  EXPECT_EQ(Dispatch(0, {1}, {good, good, {nullptr, 0, 0}}).code(), EYRIE_INVALID_ARGUMENT);
  EXPECT_EQ(Dispatch(4, {1}, {}).code(), EYRIE_OUT_OF_RANGE);
  EXPECT_EQ(Dispatch(1, {1}, {}, uint64_t{1} << 32).code(), EYRIE_OUT_OF_RANGE);
  const uint64_t many[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
  const int64_t one = 1;
  EXPECT_EQ(commands->Dispatch(executable, 1, many, {&one, 1}, {}, 0).code(), EYRIE_OUT_OF_RANGE);
  EXPECT_EQ(commands->Dispatch(nullptr, 1, many, {&one, 1}, {}, 0).code(), EYRIE_INVALID_ARGUMENT);
  auto other = GetParam().create(allocator);
  ASSERT_OK(std::move(other.status()));
  auto foreign = other.value()->AllocateBuffer(64);
  EXPECT_EQ(Dispatch(0, {1}, {good, good, {foreign.value(), 0, 64}}).code(), EYRIE_INVALID_ARGUMENT);
  ASSERT_OK(commands->End());
  EXPECT_EQ(other.value()->Submit({commands, {}, {}, nullptr, {}}).code(), EYRIE_INVALID_ARGUMENT);
  other.value()->ReleaseBuffer(foreign.value());
  other.value()->Destroy();
  device->ReleaseBuffer(buffer);
}

TEST_P(Cts, CommandBufferStates) {
  EXPECT_EQ(commands->Barrier().code(), EYRIE_FAILED_PRECONDITION);  // before the beginning
  EXPECT_EQ(commands->End().code(), EYRIE_FAILED_PRECONDITION);
  EXPECT_EQ(device->Submit({commands, {}, {}, nullptr, {}}).code(), EYRIE_FAILED_PRECONDITION);
  ASSERT_OK(commands->Begin());
  EXPECT_EQ(device->Submit({commands, {}, {}, nullptr, {}}).code(), EYRIE_FAILED_PRECONDITION);
  ASSERT_OK(commands->End());
  EXPECT_EQ(commands->End().code(), EYRIE_FAILED_PRECONDITION);
  EXPECT_EQ(Dispatch(1, {0}, {}).code(), EYRIE_FAILED_PRECONDITION);
  EXPECT_OK(device->Submit({commands, {}, {}, nullptr, {}}));
}

TEST_P(Cts, Semaphores) {
  Semaphore timeline(5);
  SemaphoreValue signal = {&timeline, 7}, wait = {&timeline, 5};
  ASSERT_OK(commands->Begin());
  ASSERT_OK(commands->End());
  EXPECT_OK(device->Submit({commands, {&wait, 1}, {&signal, 1}, nullptr, {}}));
  EXPECT_EQ(timeline.value(), 7u);
  EXPECT_OK(timeline.Wait(7, 0));
  EXPECT_EQ(timeline.Wait(8, NowNs() + 1000000).code(), EYRIE_DEADLINE_EXCEEDED);
  EXPECT_EQ(timeline.Wait(8, 0).code(), EYRIE_DEADLINE_EXCEEDED);
  EXPECT_EQ(timeline.Signal(7).code(), EYRIE_INVALID_ARGUMENT);
  EXPECT_EQ(timeline.Signal(UINT64_MAX).code(), EYRIE_INVALID_ARGUMENT);
  // A wait that nobody satisfies ends at the deadline and fails what would have been signalled.
  Semaphore never(0), after(0);
  SemaphoreValue stuck = {&never, 1}, failed = {&after, 1};
  Stop stop = {nullptr, NowNs() + 1000000};
  EXPECT_EQ(device->Submit({commands, {&stuck, 1}, {&failed, 1}, &stop, {}}).code(), EYRIE_DEADLINE_EXCEEDED);
  EXPECT_EQ(after.Wait(1, kForever).code(), EYRIE_ABORTED);
  EXPECT_EQ(after.Signal(2).code(), EYRIE_ABORTED);
  // Another thread's signal wakes.
  pthread_t thread;
  pthread_create(
      &thread, nullptr,
      [](void* semaphore) -> void* {
        usleep(5000);
        EXPECT_OK(static_cast<Semaphore*>(semaphore)->Signal(1));
        return nullptr;
      },
      &never);
  EXPECT_OK(device->Submit({commands, {&stuck, 1}, {}, nullptr, {}}));
  pthread_join(thread, nullptr);
}

TEST_P(Cts, SemaphoresOfOneSubmission) {
  ASSERT_OK(commands->Begin());
  ASSERT_OK(commands->End());
  // What is reached needs no time, not even when there is none left.
  Semaphore first(3), second(4), third(0);
  EXPECT_OK(first.Wait(2, 1));
  EXPECT_TRUE(first.WaitUntil(3, 1));
  EXPECT_FALSE(first.WaitUntil(4, 1));
  const SemaphoreValue waits[] = {{&first, 1}, {&second, 4}, {&third, 0}};
  const SemaphoreValue signals[] = {{&first, 10}, {&second, 5}, {&third, 1}};
  EXPECT_OK(device->Submit({commands, waits, signals, nullptr, {}}));
  EXPECT_EQ(first.value(), 10u);
  EXPECT_EQ(second.value(), 5u);
  EXPECT_EQ(third.value(), 1u);
  // One of several waits that is not reached in time fails all that would have been signalled.
  const SemaphoreValue late[] = {{&first, 10}, {&second, 6}};
  const SemaphoreValue ends[] = {{&third, 2}, {&first, 11}};
  Stop stop = {nullptr, NowNs() + 2000000};
  EXPECT_EQ(device->Submit({commands, late, ends, &stop, {}}).code(), EYRIE_DEADLINE_EXCEEDED);
  EXPECT_TRUE(third.failed());
  EXPECT_TRUE(first.failed());
  EXPECT_EQ(second.value(), 5u);
}

TEST_P(Cts, RefusesBadExecutables) {
  if (!GetParam().runs) return;
  const auto& object = testing::TestKernels();
  auto load = [&](const char* format, uint64_t features, std::span<const uint8_t> bytes, const ExportSpec& item) {
    auto loaded = device->LoadExecutable({"bad", format, features, bytes.data(), bytes.size(), {&item, 1}});
    return std::move(loaded.status());
  };
  const ExportSpec add = {"add", 3, 1, 0}, missing = {"divide", 3, 1, 0};
  const char* format = testing::HostFormat();
  EXPECT_STATUS(load("spirv", 0, object, add), EYRIE_INCOMPATIBLE, "executable 'bad' is of the format 'spirv'");
  EXPECT_STATUS(load(format, uint64_t{1} << 63, object, add), EYRIE_INCOMPATIBLE, "which this processor lacks");
  EXPECT_STATUS(load(format, 0, object, missing), EYRIE_INVALID_ARGUMENT, "executable 'bad' has no function 'divide'");
  EXPECT_STATUS(load(format, 0, std::span(object).first(100), add), EYRIE_INVALID_ARGUMENT, "native code: ");
  EXPECT_STATUS(load(format, 0, {}, add), EYRIE_INVALID_ARGUMENT, "native code: ");
  EXPECT_FALSE(device->CanRun("spirv", 0));
  EXPECT_FALSE(device->CanRun(format, uint64_t{1} << 63));
  EXPECT_TRUE(device->CanRun(format, 0));
}

TEST_P(Cts, KernelErrorsEndTheSubmission) {
  if (!GetParam().runs) return;
  Buffer* buffer = Allocate(64);
  buffer->host()[0] = 1;
  ASSERT_OK(commands->Begin());
  EXPECT_OK(Dispatch(1, {1}, {}, 100));
  EXPECT_OK(commands->Barrier());
  EXPECT_OK(commands->Fill({buffer, 0, 1}, 2, 1));
  Semaphore timeline(0);
  SemaphoreValue signal = {&timeline, 1};
  EXPECT_STATUS(Submit({&signal, 1}), EYRIE_INVALID_ARGUMENT, "fail: an index is out of range");
  EXPECT_EQ(timeline.Wait(1, kForever).code(), EYRIE_ABORTED);
  EXPECT_EQ(buffer->host()[0], 1);
  device->ReleaseBuffer(buffer);
}

TEST_P(Cts, RunsCommandsBetweenBarriersInAnyOrder) {
  constexpr uint64_t kBytes = 3 << 20;  // of a copy: more than one piece
  Buffer* buffer = Allocate(2 * kBytes);
  Buffer* small = Allocate(64 * 1024);
  for (int round = 0; round < 5; ++round) {
    memset(buffer->host(), 0, buffer->size());
    memset(small->host(), 0, small->size());
    ASSERT_OK(commands->Begin());
    EXPECT_OK(commands->Fill({buffer, 0, kBytes}, 0x0102030405060708, 8));
    for (uint64_t i = 0; i < 60; ++i) EXPECT_OK(Dispatch(3, {4}, {{small, i * 1024, 1024}}, 1 + i % 7 * 40));
    EXPECT_OK(commands->Fill({small, 60 * 1024, 0}, 1, 1));
    EXPECT_OK(commands->Barrier());
    EXPECT_OK(commands->Copy({buffer, 0, kBytes}, {buffer, kBytes, kBytes}));
    EXPECT_OK(Dispatch(2, {1}, {{small, 63 * 1024, 1}}));
    ASSERT_OK(Submit());
    if (!GetParam().runs) continue;
    EXPECT_EQ(memcmp(buffer->host(), buffer->host() + kBytes, kBytes), 0);
    EXPECT_EQ(buffer->host()[2 * kBytes - 1], 1);
    EXPECT_EQ(small->host()[63 * 1024], 'y');
    for (uint32_t i = 0; i < 60; ++i)
      for (uint32_t k = 0; k < 256; ++k)
        ASSERT_EQ(reinterpret_cast<uint32_t*>(small->host() + i * 1024)[k], k < 1 + i % 7 * 40 ? k + 1 : 0);
  }
  // The error names the kernel that failed.
  ASSERT_OK(commands->Begin());
  for (uint64_t i = 0; i < 10; ++i) EXPECT_OK(Dispatch(3, {4}, {{small, i * 1024, 1024}}, 100));
  EXPECT_OK(Dispatch(1, {2}, {}, 3));
  Status status = Submit();
  if (GetParam().runs) EXPECT_STATUS(std::move(status), EYRIE_INVALID_ARGUMENT, "fail: an integer is divided by zero");
  device->ReleaseBuffer(buffer);
  device->ReleaseBuffer(small);
}

TEST_P(Cts, SubmissionsOfManyThreads) {
  struct Work {
    Cts* test;
    Semaphore* timeline;
    uint64_t number;
  };
  Semaphore timeline(0);
  // Each waits for the one before it, and they are started in the reverse order: a chain across threads.
  constexpr uint64_t kThreads = 6;
  Work works[kThreads];
  pthread_t threads[kThreads];
  auto run = [](void* argument) -> void* {
    auto& work = *static_cast<Work*>(argument);
    Device* device = work.test->device;
    CommandBuffer* own = device->CreateCommandBuffer().value();
    Buffer* buffer = work.test->Allocate(4000);
    const uint64_t counts[3] = {1000, 1, 1};
    const int64_t constant = 4;
    Binding binding = {buffer, 0, 4000};
    for (int round = 0; round < 20; ++round) {
      EXPECT_OK(own->Begin());
      EXPECT_OK(own->Dispatch(work.test->executable, 3, counts, {&constant, 1}, {&binding, 1}, 0));
      EXPECT_OK(own->End());
      SemaphoreValue wait = {work.timeline, round * kThreads + work.number};
      SemaphoreValue signal = {work.timeline, wait.value + 1};
      EXPECT_OK(device->Submit({own, {&wait, 1}, {&signal, 1}, nullptr, {}}));
      if (work.test->GetParam().runs) EXPECT_EQ(reinterpret_cast<uint32_t*>(buffer->host())[999], 1000u);
    }
    device->ReleaseBuffer(buffer);
    own->Destroy();
    return nullptr;
  };
  for (uint64_t i = kThreads; i--;) {
    works[i] = {this, &timeline, i};
    pthread_create(&threads[i], nullptr, run, &works[i]);
  }
  for (pthread_t& thread : threads) pthread_join(thread, nullptr);
  EXPECT_EQ(timeline.value(), 20 * kThreads);
}

TEST_P(Cts, CancelledWhileItWaits) {
  ASSERT_OK(commands->Begin());
  ASSERT_OK(commands->End());
  Semaphore never(0), after(0);
  SemaphoreValue stuck = {&never, 1}, failed = {&after, 1};
  std::atomic<bool> cancelled{false};
  Stop stop = {&cancelled, kForever};
  pthread_t thread;
  pthread_create(
      &thread, nullptr,
      [](void* flag) -> void* {
        usleep(5000);
        *static_cast<std::atomic<bool>*>(flag) = true;
        return nullptr;
      },
      &cancelled);
  EXPECT_EQ(device->Submit({commands, {&stuck, 1}, {&failed, 1}, &stop, {}}).code(), EYRIE_CANCELLED);
  pthread_join(thread, nullptr);
  EXPECT_TRUE(after.failed());
  // A semaphore that fails fails what waits for it, and so on.
  Semaphore last(0);
  SemaphoreValue end = {&last, 1};
  EXPECT_EQ(device->Submit({commands, {&failed, 1}, {&end, 1}, nullptr, {}}).code(), EYRIE_ABORTED);
  EXPECT_TRUE(last.failed());
}

TEST_P(Cts, PostsTasks) {
  struct Count : Task {
    std::atomic<uint32_t> runs{0};
  } task;
  if (device->thread_count() == 1) {
    EXPECT_FALSE(device->Post(&task));
    return;
  }
  task.run = [](Task* task) { static_cast<Count*>(task)->runs.fetch_add(1); };
  for (uint32_t i = 0; i < 100; ++i) {
    EXPECT_TRUE(device->Post(&task));
    while (task.runs.load() <= i) usleep(10);
  }
}

TEST_P(Cts, WithdrawsTasks) {
  struct Gate : Task {
    std::atomic<bool> is_open{false}, is_begun{false}, is_left{false};
  };
  auto wait_for_gate = [](Task* task) {
    auto& gate = *static_cast<Gate*>(task);
    gate.is_begun = true;
    while (!gate.is_open) usleep(10);
    gate.is_left = true;
  };
  struct Count : Task {
    std::atomic<uint32_t> runs{0};
  } tasks[3];
  EXPECT_FALSE(device->Withdraw(&tasks[0]));  // never posted
  if (!GetParam().has_threads) return;
  // All threads of the device are busy.
  std::vector<Gate> gates(device->thread_count() - 1);
  for (Gate& gate : gates) {
    gate.run = wait_for_gate;
    EXPECT_TRUE(device->Post(&gate));
    while (!gate.is_begun) usleep(10);
    EXPECT_FALSE(device->Withdraw(&gate));  // it has begun
  }
  for (Count& task : tasks) {
    task.run = [](Task* task) { static_cast<Count*>(task)->runs.fetch_add(1); };
    EXPECT_TRUE(device->Post(&task));
  }
  EXPECT_TRUE(device->Withdraw(&tasks[1]));
  EXPECT_FALSE(device->Withdraw(&tasks[1]));
  EXPECT_TRUE(device->Withdraw(&tasks[2]));
  EXPECT_TRUE(device->Post(&tasks[2]));  // again
  for (Gate& gate : gates) gate.is_open = true;
  for (Gate& gate : gates)
    while (!gate.is_left) usleep(10);
  while (!tasks[0].runs || !tasks[2].runs) usleep(10);
  EXPECT_EQ(tasks[1].runs, 0u);
}

TEST_P(Cts, Stops) {
  if (!GetParam().runs) return;
  ASSERT_OK(commands->Begin());
  EXPECT_OK(Dispatch(1, {1}, {}));
  ASSERT_OK(commands->End());
  std::atomic<bool> cancelled{true};
  Stop stop = {&cancelled, kForever};
  EXPECT_EQ(device->Submit({commands, {}, {}, &stop, {}}).code(), EYRIE_CANCELLED);
  cancelled = false;
  stop.deadline_ns = NowNs();
  EXPECT_EQ(device->Submit({commands, {}, {}, &stop, {}}).code(), EYRIE_DEADLINE_EXCEEDED);
}

INSTANTIATE_TEST_SUITE_P(Drivers, Cts, ::testing::ValuesIn(kDrivers),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace eyrie::rt::hal
