// Tensors that an instance keeps between calls.
#include <gtest/gtest.h>

#include "runtime/testing/session.h"
#include "runtime/testing/states.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;

std::vector<float> Push(Session& session, std::vector<float> rows) {
  eyrie_tensor_t x = F32(rows, {static_cast<int64_t>(rows.size() / 2), 2}), y = {};
  EXPECT_OK(session.Call(&x, 1, &y, 1));
  const float* data = static_cast<float*>(y.data);
  return data ? std::vector<float>(data, data + 2 * y.dims[0]) : std::vector<float>();
}

std::vector<float> State(Session& session, int64_t* columns = nullptr) {
  eyrie_tensor_t state = {};
  EXPECT_OK(Status(eyrie_state_get(session.instance, 0, &state)));
  std::vector<float> data(state.size_bytes / sizeof(float) + 1);
  state.data = data.data();
  EXPECT_OK(Status(eyrie_state_get(session.instance, 0, &state)));
  EXPECT_EQ(state.type, static_cast<uint32_t>(EYRIE_F32));
  EXPECT_EQ(state.rank, 2u);
  EXPECT_EQ(state.dims[0], 2);
  if (columns) *columns = state.dims[1];
  data.pop_back();
  return data;
}

uint64_t Moved(Session& session) {
  eyrie_instance_stats_t stats;
  eyrie_instance_get_stats(session.instance, &stats);
  return stats.moved_bytes;
}

using Floats = std::vector<float>;

TEST(States, GrowAndAreSeenInTheModelsOrder) {
  Session session(CacheModule());
  int64_t columns = -1;
  EXPECT_EQ(State(session, &columns), Floats());
  EXPECT_EQ(columns, 0);
  EXPECT_EQ(Push(session, {1, 2}), Floats({1, 2}));
  EXPECT_EQ(Push(session, {3, 4, 5, 6}), Floats({1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(State(session, &columns), Floats({1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(columns, 3);
  EXPECT_EQ(Push(session, {}), Floats({1, 2, 3, 4, 5, 6}));
  eyrie_value_info_t info;
  ASSERT_OK(Status(eyrie_module_state(session.module, 0, &info)));
  EXPECT_STREQ(info.name, "past");
  EXPECT_EQ(info.dims[0].size, 2);
  EXPECT_EQ(info.dims[1].size, -1);
  EXPECT_STATUS(Status(eyrie_module_state(session.module, 1, &info)), EYRIE_NOT_FOUND, "no state 1");
}

TEST(States, AFailedCallChangesNothing) {
  Session session(CacheModule());
  Push(session, {1, 2});
  std::vector<float> rows(14, 9);
  eyrie_tensor_t x = F32(rows, {7, 2}), y = {};
  EXPECT_STATUS(session.Call(&x, 1, &y, 1), EYRIE_INVALID_ARGUMENT, "seven rows");
  EXPECT_EQ(State(session), Floats({1, 2}));
  EXPECT_EQ(Push(session, {3, 4}), Floats({1, 2, 3, 4}));
}

TEST(States, MoveRarelyAndNeverWithReservedMemory) {
  Session session(CacheModule());
  Floats expected;
  for (int i = 0; i < 300; ++i) {
    expected.push_back(i);
    expected.push_back(-i);
    ASSERT_EQ(Push(session, {float(i), float(-i)}), expected);
  }
  EXPECT_GT(Moved(session), 0u);
  EXPECT_LT(Moved(session), 2 * 300 * 2 * sizeof(float));
  Session reserved(CacheModule());
  Push(reserved, {5, 6});
  int64_t dims[2] = {2, 400};
  ASSERT_OK(Status(eyrie_state_reserve(reserved.instance, 0, dims)));
  EXPECT_EQ(State(reserved), Floats({5, 6}));
  uint64_t before = Moved(reserved);
  for (int i = 0; i < 399; ++i) Push(reserved, {1, 1});
  EXPECT_EQ(Moved(reserved), before);
  int64_t wrong[2] = {3, 400};
  EXPECT_STATUS(Status(eyrie_state_reserve(reserved.instance, 0, wrong)), EYRIE_INVALID_ARGUMENT,
                "state 'past': expected 2x?xf32, got 3x400xf32");
  EXPECT_STATUS(Status(eyrie_state_reserve(reserved.instance, 1, dims)), EYRIE_NOT_FOUND, "no state 1");
  EXPECT_STATUS(Status(eyrie_state_reserve(reserved.instance, 0, nullptr)), EYRIE_INVALID_ARGUMENT, "no sizes");
}

TEST(States, AreSetAndReset) {
  Session session(CacheModule());
  Floats value = {1, 2, 3, 10, 20, 30};
  eyrie_tensor_t state = F32(value, {2, 3});
  ASSERT_OK(Status(eyrie_state_set(session.instance, 0, &state)));
  EXPECT_EQ(Push(session, {4, 40}), Floats({1, 10, 2, 20, 3, 30, 4, 40}));
  eyrie_tensor_t wrong = F32(value, {3, 2});
  EXPECT_STATUS(Status(eyrie_state_set(session.instance, 0, &wrong)), EYRIE_INVALID_ARGUMENT,
                "state 'past': expected 2x?xf32, got 3x2xf32");
  state.size_bytes = 20;
  EXPECT_STATUS(Status(eyrie_state_set(session.instance, 0, &state)), EYRIE_INVALID_ARGUMENT, "24 bytes");
  eyrie_tensor_t room = {value.data(), 8, 0, 0, {}};
  EXPECT_STATUS(Status(eyrie_state_get(session.instance, 0, &room)), EYRIE_INVALID_ARGUMENT, "takes 32 bytes");
  ASSERT_OK(Status(eyrie_state_reset(session.instance)));
  EXPECT_EQ(State(session), Floats());
  EXPECT_EQ(Push(session, {7, 8}), Floats({7, 8}));
}

TEST(States, AreSavedAndRestored) {
  Session session(CacheModule()), other(CacheModule());
  Push(session, {1, 2, 3, 4});
  size_t needed = 0;
  ASSERT_OK(Status(eyrie_state_save(session.instance, nullptr, 0, &needed)));
  std::vector<uint8_t> blob(needed);
  EXPECT_STATUS(Status(eyrie_state_save(session.instance, blob.data(), needed - 8, &needed)), EYRIE_INVALID_ARGUMENT,
                "the given memory has");
  ASSERT_OK(Status(eyrie_state_save(session.instance, blob.data(), needed, &needed)));
  ASSERT_OK(Status(eyrie_state_restore(other.instance, blob.data(), blob.size())));
  EXPECT_EQ(Push(other, {5, 6}), Floats({1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(Push(session, {7, 8}), Floats({1, 2, 3, 4, 7, 8}));
  // Whatever is wrong with the bytes, nothing changes.
  for (size_t size = 0; size < blob.size(); ++size)
    EXPECT_FALSE(Status(eyrie_state_restore(other.instance, blob.data(), size)).ok()) << size;
  for (size_t bit = 0; bit < blob.size() * 8; ++bit) {
    std::vector<uint8_t> flipped = blob;
    flipped[bit / 8] ^= 1 << bit % 8;
    EXPECT_FALSE(Status(eyrie_state_restore(other.instance, flipped.data(), flipped.size())).ok()) << bit;
  }
  EXPECT_EQ(State(other), Floats({1, 3, 5, 2, 4, 6}));
  Module renamed = CacheModule();
  renamed.states[0].value.name = "cache";
  Session third(renamed);
  EXPECT_STATUS(Status(eyrie_state_restore(third.instance, blob.data(), blob.size())), EYRIE_INVALID_ARGUMENT,
                "saved as 'past', expected 'cache'");
}

TEST(States, AreOfEachInstance) {
  Session session(CacheModule());
  eyrie_instance_t* second = nullptr;
  ASSERT_OK(Status(eyrie_instance_create(session.module, nullptr, &second)));
  Push(session, {1, 2});
  eyrie_tensor_t state = {};
  ASSERT_OK(Status(eyrie_state_get(second, 0, &state)));
  EXPECT_EQ(state.dims[1], 0);
  eyrie_instance_destroy(second);
}

TEST(States, AreRefusedWhenMalformed) {
  auto load = [](Module module) {
    std::vector<uint8_t> bytes = module.Build();
    eyrie_runtime_t* runtime = nullptr;
    EXPECT_OK(Status(eyrie_runtime_create(nullptr, &runtime)));
    eyrie_module_t* loaded = nullptr;
    Status status(eyrie_module_load_memory(runtime, bytes.data(), bytes.size(), nullptr, &loaded));
    eyrie_module_destroy(loaded);
    eyrie_runtime_destroy(runtime);
    return status;
  };
  auto with = [&](auto change) {
    Module module = CacheModule();
    change(module);
    return load(module);
  };
  EXPECT_STATUS(with([](Module& m) { m.states[0].order = {0, 0}; }), EYRIE_INVALID_ARGUMENT, "has 0 in place 1");
  EXPECT_STATUS(with([](Module& m) { m.states[0].order = {0, 2}; }), EYRIE_INVALID_ARGUMENT, "has 2 in place 1");
  EXPECT_STATUS(with([](Module& m) { m.states[0].order = {0}; }), EYRIE_INVALID_ARGUMENT, "has 1 of them");
  EXPECT_STATUS(with([](Module& m) { m.states[0].value.type = EYRIE_I4; }), EYRIE_INVALID_ARGUMENT, "packed elements");
  EXPECT_STATUS(with([](Module& m) { m.states[0].value.kind = 1; }), EYRIE_INVALID_ARGUMENT,
                "a state or parameter is a tensor");
  EXPECT_STATUS(with([](Module& m) { m.states[0].value.type = EYRIE_STRING; }), EYRIE_INVALID_ARGUMENT,
                "a state or parameter is a tensor");
  EXPECT_STATUS(with([](Module& m) { m.functions[0].states = {1}; }), EYRIE_INVALID_ARGUMENT,
                "its state 0 is global 1");
  EXPECT_STATUS(with([](Module& m) { m.functions[0].states = {0, 0}; }), EYRIE_INVALID_ARGUMENT, "its state 1");
}

// What a program can do wrong with states while it runs.
TEST(States, MisuseIsAnError) {
  auto run = [](auto build) {
    Function f;
    f.Const(1, 2).Const(2, 100).Const(3, 16);
    build(f);
    f.Op(VmOp::kReturn);
    Module module = CacheModule();
    module.functions = {f};
    Session session(module);
    Status status = session.Call(nullptr, 0, nullptr, 0);
    EXPECT_EQ(State(session), Floats());
    return status;
  };
  using F = Function;
  EXPECT_STATUS(run([](F& f) { f.Op(VmOp::kBufWeights, {0}).Op(VmOp::kGlobalStore, {0, 0, 2, 0, 1}); }),
                EYRIE_FAILED_PRECONDITION, "not a block");
  EXPECT_STATUS(run([](F& f) { f.Op(VmOp::kGlobalStore, {0, 0, 2, 0, 1}); }), EYRIE_FAILED_PRECONDITION, "is null");
  EXPECT_STATUS(run([](F& f) {
                  f.Op(VmOp::kGlobalBuf, {0, 0}).Op(VmOp::kGlobalStore, {0, 0, 2, 0, 1});
                  f.Op(VmOp::kGlobalStore, {0, 0, 2, 0, 1});
                }),
                EYRIE_FAILED_PRECONDITION, "stored twice");
  EXPECT_STATUS(run([](F& f) { f.Op(VmOp::kGlobalBuf, {0, 0}).Op(VmOp::kGlobalStore, {0, 0, 2, 2, 1}); }),
                EYRIE_OUT_OF_RANGE, "takes 800 bytes");
  EXPECT_STATUS(run([](F& f) { f.Op(VmOp::kGlobalBuf, {0, 0}).Op(VmOp::kGlobalStore, {0, 0, 2, 0, 2}); }),
                EYRIE_INVALID_ARGUMENT, "expected 2x?xf32, got 100x0xf32");
  EXPECT_STATUS(run([](F& f) { f.Op(VmOp::kGlobalBuf, {0, 0}).Op(VmOp::kBufExtend, {1, 0, 3, 2}); }),
                EYRIE_OUT_OF_RANGE, "100 bytes are kept");
  EXPECT_STATUS(
      run([](F& f) { f.Const(4, int64_t{1} << 50).Op(VmOp::kGlobalBuf, {0, 0}).Op(VmOp::kBufExtend, {1, 0, 4, 1}); }),
      EYRIE_RESOURCE_EXHAUSTED, "transient memory");
}

}  // namespace
}  // namespace eyrie::rt::testing
