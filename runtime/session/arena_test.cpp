// Instances that compute in the caller's memory.
#include <gtest/gtest.h>

#include <random>

#include "eyrie/runtime.hpp"
#include "runtime/testing/session.h"
#include "runtime/testing/states.h"

namespace eyrie::rt::testing {
namespace {

// An instance in an arena of so many bytes, with bytes around it that must not change.
struct ArenaSession : Session {
  static constexpr uint8_t kCanary = 0xC5;

  ArenaSession(const Module& module, size_t size, uint32_t threads = 0) : Session(module, threads), size(size) {
    eyrie_instance_destroy(instance);
    instance = nullptr;
    memory.assign(size + 3 * EYRIE_ARENA_ALIGNMENT, kCanary);
    arena = memory.data() + EYRIE_ARENA_ALIGNMENT;
    arena += -reinterpret_cast<uintptr_t>(arena) % EYRIE_ARENA_ALIGNMENT;
    created = Create(arena, size);
  }
  ~ArenaSession() {
    for (uint8_t* at = memory.data(); at < arena; ++at) EXPECT_EQ(*at, kCanary) << "before the arena";
    for (uint8_t* at = arena + size; at < memory.data() + memory.size(); ++at)
      EXPECT_EQ(*at, kCanary) << "behind the arena";
  }
  Status Create(void* at, size_t bytes) {
    eyrie_instance_options_t options = {};
    options.struct_size = sizeof(options);
    options.arena = at;
    options.arena_size = bytes;
    return Status(eyrie_instance_create(module, &options, &instance));
  }
  eyrie_instance_stats_t Stats() const {
    eyrie_instance_stats_t stats;
    eyrie_instance_get_stats(instance, &stats);
    return stats;
  }

  size_t size;
  std::vector<uint8_t> memory;
  uint8_t* arena = nullptr;
  Status created;
};

// y = (a + b) * (1 .. 8) of `rows` rows: 32 bytes of transients for each.
Status AddScale(Session& session, int64_t rows) {
  std::vector<float> a(rows * 8, 1), b(rows * 8, 2), y(rows * 8);
  eyrie_tensor_t inputs[2] = {F32(a, {rows, 8}), F32(b, {rows, 8})}, output = F32(y, {rows, 8});
  Status status = session.Call(inputs, 2, &output, 1);
  for (int64_t i = 0; status.ok() && i < rows * 8; ++i) EXPECT_EQ(y[i], 3.0f * (i % 8 + 1));
  return status;
}

TEST(Arena, HoldsAllTransients) {
  for (uint32_t threads : {0u, 3u}) {
    ArenaSession session(AddScaleModule(), 32 * 100000, threads);
    ASSERT_OK(std::move(session.created));
    ASSERT_OK(AddScale(session, 1));
    eyrie_runtime_stats_t before, after;
    eyrie_runtime_get_stats(session.runtime, &before);
    ASSERT_OK(AddScale(session, 100000));
    eyrie_runtime_get_stats(session.runtime, &after);
    EXPECT_LT(after.bytes, before.bytes + 4096);  // none of the 3.2 MB
    EXPECT_EQ(session.Stats().arena_bytes, session.size);
    EXPECT_EQ(session.Stats().arena_needed, session.size);
    for (int i = 0; i < 10; ++i) ASSERT_OK(AddScale(session, 100000));
    eyrie_runtime_get_stats(session.runtime, &before);
    EXPECT_EQ(before.allocations, after.allocations);
  }
}

TEST(Arena, ThatIsTooSmallSaysWhatWouldDo) {
  ArenaSession session(AddScaleModule(), 100 * 32);
  ASSERT_OK(std::move(session.created));
  // Sizes that grow past it, and back.
  for (int64_t rows : {1, 50, 100}) ASSERT_OK(AddScale(session, rows));
  EXPECT_STATUS(AddScale(session, 102), EYRIE_RESOURCE_EXHAUSTED,
                "3264 bytes of memory are needed at once; the arena that the instance was given has 3200");
  EXPECT_EQ(session.Stats().arena_needed, 3264u);
  EXPECT_STATUS(AddScale(session, 1 << 20), EYRIE_RESOURCE_EXHAUSTED, "33554432 bytes of memory are needed");
  ASSERT_OK(AddScale(session, 100));
  EXPECT_EQ(session.Stats().arena_bytes, 3200u);
  ArenaSession enough(AddScaleModule(), session.Stats().arena_needed);
  ASSERT_OK(std::move(enough.created));
  ASSERT_OK(AddScale(enough, 1 << 20));
  ArenaSession nothing(AddScaleModule(), 0);
  ASSERT_OK(std::move(nothing.created));
  EXPECT_STATUS(AddScale(nothing, 2), EYRIE_RESOURCE_EXHAUSTED, "64 bytes of memory are needed");
}

TEST(Arena, MustBeAlignedAndHaveAnAddress) {
  ArenaSession session(AddScaleModule(), 4096);
  ASSERT_OK(std::move(session.created));
  eyrie_instance_destroy(session.instance);
  EXPECT_STATUS(session.Create(session.arena + 32, 1024), EYRIE_INVALID_ARGUMENT, "is not aligned to 64 bytes");
  EXPECT_EQ(session.instance, nullptr);
  EXPECT_STATUS(session.Create(nullptr, 1024), EYRIE_INVALID_ARGUMENT, "an arena of 1024 bytes without an address");
}

// Options of a program that was compiled before there were arenas.
TEST(Arena, OlderOptionsHaveNone) {
  Session session(AddScaleModule());
  eyrie_instance_destroy(session.instance);
  eyrie_instance_options_t options;
  memset(&options, 0xEE, sizeof(options));
  options.struct_size = offsetof(eyrie_instance_options_t, arena);
  options.profile = 0;
  ASSERT_OK(Status(eyrie_instance_create(session.module, &options, &session.instance)));
  session.ExpectGoodCall();
}

// Blocks of sizes and lives that only the data says share the memory, and give the same as blocks of the runtime's.
TEST(Arena, HoldsBlocks) {
  ArenaSession session(ModuleOf(Steps()), 2 * 32 * 40);  // a step reads one block and writes another
  ASSERT_OK(std::move(session.created));
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    auto rows = static_cast<int64_t>(1 + random() % 45), steps = static_cast<int64_t>(random() % 6);
    std::vector<float> x(rows * 8, 1), b(rows * 8, 2), c(steps + 1), y(rows * 8);
    eyrie_tensor_t inputs[3] = {F32(x, {rows, 8}), F32(b, {rows, 8}), F32(c, {steps})}, output = F32(y, {rows, 8});
    Status status = session.Call(inputs, 3, &output, 1);
    if (uint64_t bytes = (rows + 1) / 2 * 64; steps > 0 && (steps > 1 ? 2 : 1) * bytes > session.size) {
      EXPECT_STATUS(std::move(status), EYRIE_RESOURCE_EXHAUSTED, "the arena that the instance was given has 2560");
      continue;
    }
    ASSERT_TRUE(status.ok()) << status.message();
    for (float value : y) ASSERT_EQ(value, 1 + 2.0f * steps);
  }
  EXPECT_LE(session.Stats().arena_bytes, session.size);
}

TEST(Arena, HoldsElementsOfSequencesUntilTheNextCall) {
  ArenaSession session(ModuleOf(Rows()), 64 * 9);
  ASSERT_OK(std::move(session.created));
  std::vector<float> x(30);
  for (size_t i = 0; i < x.size(); ++i) x[i] = i;
  for (int64_t rows : {9, 3, 9, 0, 7}) {
    eyrie_tensor_t input = F32(x, {rows, 3}), output = {};
    ASSERT_OK(session.Call(&input, 1, &output, 1));
    ASSERT_EQ(output.dims[0], rows);
    for (int64_t i = 0; i < rows; ++i) {
      auto* data = static_cast<const float*>(ElementAt(output, i).data);
      EXPECT_EQ(data[2], 3 * i + 2);
      EXPECT_GE(reinterpret_cast<const uint8_t*>(data), session.arena);
      EXPECT_LT(reinterpret_cast<const uint8_t*>(data), session.arena + session.size);
    }
  }
  eyrie_tensor_t input = F32(x, {10, 3}), output = {};
  EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_RESOURCE_EXHAUSTED, "640 bytes of memory are needed");
}

TEST(Arena, HoldsStatesThatGrow) {
  ArenaSession session(CacheModule(), 1024);
  ASSERT_OK(std::move(session.created));
  std::vector<float> expected;
  int rows = 0;
  for (;; ++rows) {
    std::vector<float> row = {float(rows), float(-rows)};
    eyrie_tensor_t x = F32(row, {1, 2}), y = {};
    Status status = session.Call(&x, 1, &y, 1);
    if (!status.ok()) {
      EXPECT_STATUS(std::move(status), EYRIE_RESOURCE_EXHAUSTED, "the arena that the instance was given has 1024");
      break;
    }
    expected.insert(expected.end(), row.begin(), row.end());
    ASSERT_EQ(memcmp(y.data, expected.data(), expected.size() * sizeof(float)), 0);
  }
  EXPECT_GE(rows, 32);  // a quarter of the memory: the old place and the new one are needed at once, and have gaps
  eyrie_tensor_t state = {};
  ASSERT_OK(Status(eyrie_state_get(session.instance, 0, &state)));
  EXPECT_EQ(state.dims[1], rows);
  ArenaSession none(CacheModule(), 0);
  EXPECT_STATUS(std::move(none.created), EYRIE_RESOURCE_EXHAUSTED, "state 'past'");
}

TEST(Arena, OfTheWrapper) {
  std::vector<uint8_t> bytes = AddScaleModule().Build();
  Runtime runtime;
  ASSERT_TRUE(runtime.Create().ok());
  eyrie::Module module;
  ASSERT_TRUE(module.LoadMemory(runtime, bytes.data(), bytes.size()).ok());
  alignas(EYRIE_ARENA_ALIGNMENT) uint8_t arena[64];
  Instance instance;
  EXPECT_EQ(instance.Create(module, arena + 1, 63).code(), EYRIE_INVALID_ARGUMENT);
  ASSERT_TRUE(instance.Create(module, arena, sizeof(arena)).ok());
  std::vector<float> a(16, 1), b(16, 2);
  eyrie_tensor_t inputs[2] = {F32(a, {2, 8}), F32(b, {2, 8})}, output = {};
  ASSERT_TRUE(instance.Call(0, inputs, 2, &output, 1).ok());
  EXPECT_EQ(static_cast<float*>(output.data)[15], 24.0f);
}

}  // namespace
}  // namespace eyrie::rt::testing
