// The fixture of the conformance suite (hal/cts), which every driver must pass. A driver is one row of `kDrivers`.
#ifndef EYRIE_RUNTIME_TESTING_CTS_H_
#define EYRIE_RUNTIME_TESTING_CTS_H_

#include <gtest/gtest.h>

#include "runtime/hal/drivers/cpu/cpu_device.h"
#include "runtime/hal/drivers/null/null_device.h"
#include "runtime/testing/session.h"

namespace eyrie::rt::hal {

struct Driver {
  const char* name;
  Result<Device*> (*create)(Allocator& allocator);
  bool runs;         // commands have an effect
  bool has_threads;  // of its own
};

inline const Driver kDrivers[] = {
    {"cpu_inline", [](Allocator& allocator) { return cpu::CreateCpuDevice(allocator, {}); }, true, false},
    {"cpu_4_threads", [](Allocator& allocator) { return cpu::CreateCpuDevice(allocator, {.threads = 4}); }, true, true},
    // Items run inside submit, which is allowed.
    {"cpu_executor",
     [](Allocator& allocator) {
       auto submit = [](void*, void (*work)(void*), void* argument) { work(argument); };
       return cpu::CreateCpuDevice(allocator, {.executor = {nullptr, submit, 2}});
     },
     true, false},
    {"null", [](Allocator& allocator) { return null::CreateNullDevice(allocator); }, false, false},
};

inline const ExportSpec kExports[] = {
    {"add", 3, 1, 0}, {"fail", 0, 1, 0}, {"relocated", 1, 1, 0}, {"use_local", 1, 1, 256}};

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

}  // namespace eyrie::rt::hal

#endif  // EYRIE_RUNTIME_TESTING_CTS_H_
