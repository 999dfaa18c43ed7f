// The conformance suite: what every driver must do. A driver is one row of `kDrivers`.
#include <gtest/gtest.h>

#include <cstring>

#include "runtime/hal/drivers/cpu/cpu_device.h"
#include "runtime/hal/drivers/null/null_device.h"
#include "runtime/testing/session.h"

namespace eyrie::rt::hal {
namespace {

struct Driver {
  const char* name;
  Result<Device*> (*create)(Allocator& allocator);
  bool runs;  // commands have an effect
};

const Driver kDrivers[] = {
    {"cpu_inline", [](Allocator& allocator) { return cpu::CreateCpuDevice(allocator, {0, 0, {}}); }, true},
    {"cpu_4_threads", [](Allocator& allocator) { return cpu::CreateCpuDevice(allocator, {4, 0, {}}); }, true},
    // Items run inside submit, which is allowed.
    {"cpu_executor",
     [](Allocator& allocator) {
       auto submit = [](void*, void (*work)(void*), void* argument) { work(argument); };
       return cpu::CreateCpuDevice(allocator, {0, 0, {nullptr, submit, 2}});
     },
     true},
    {"null", [](Allocator& allocator) { return null::CreateNullDevice(allocator); }, false},
};

const ExportSpec kExports[] = {{"add", 3, 1, 0}, {"fail", 0, 1, 0}, {"relocated", 1, 1, 0}, {"use_local", 1, 1, 256}};

class Cts : public ::testing::TestWithParam<Driver> {
 public:
  void SetUp() override {
    auto created = GetParam().create(allocator);
    ASSERT_OK(std::move(created.status()));
    device = created.value();
    auto made = device->CreateCommandBuffer();
    ASSERT_OK(std::move(made.status()));
    commands = made.value();
    const auto& object = testing::TestKernels();
    auto loaded = device->LoadExecutable({"test", testing::HostFormat(), 0, object.data(), object.size(), kExports});
    ASSERT_OK(std::move(loaded.status()));
    executable = loaded.value();
  }
  void TearDown() override {
    executable->Destroy();
    commands->Destroy();
    device->Destroy();
    EXPECT_EQ(allocator.bytes(), 0u);
  }
  Buffer* Allocate(uint64_t size) {
    auto buffer = device->AllocateBuffer(size);
    EXPECT_OK(std::move(buffer.status()));
    return buffer.value();
  }
  Status Submit(std::span<const SemaphoreValue> signals = {}) {
    EYRIE_RETURN_IF_ERROR(commands->End());
    return device->Submit({commands, {}, signals, nullptr, {}});
  }
  Status Dispatch(uint32_t ordinal, std::initializer_list<int64_t> constants, std::initializer_list<Binding> bindings,
                  uint64_t count = 1) {
    const uint64_t counts[3] = {count, 1, 1};
    return commands->Dispatch(executable, ordinal, counts, {constants.begin(), constants.size()},
                              {bindings.begin(), bindings.size()}, 0);
  }

  Allocator allocator{eyrie_allocator_t{}};
  Device* device = nullptr;
  CommandBuffer* commands = nullptr;
  Executable* executable = nullptr;
};

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
