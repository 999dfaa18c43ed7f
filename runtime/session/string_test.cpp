// Tensors of strings.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "runtime/testing/functions.h"
#include "runtime/testing/session.h"
#include "runtime/testing/strings.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;

TEST(Strings, ComeBackAsTheyWere) {
  Session session(EchoModule());
  const Texts texts = {"", "dog", "bird", std::string("\0", 1), "bird", "caterpillar", std::string(1000, 'x'), "cat"};
  std::vector<eyrie_string_t> strings = Refer(texts);
  strings[0] = {nullptr, 0};
  eyrie_tensor_t input = TensorOf(EYRIE_STRING, strings, {8}), output = {};
  ASSERT_OK(session.Call(&input, 1, &output, 1));
  EXPECT_EQ(output.type, static_cast<uint32_t>(EYRIE_STRING));
  EXPECT_EQ(output.size_bytes, 8 * sizeof(eyrie_string_t));
  ASSERT_EQ(Read(output), texts);
  const auto* results = static_cast<const eyrie_string_t*>(output.data);
  EXPECT_NE(results[0].data, nullptr);
  EXPECT_NE(results[2].data, strings[2].data);  // the caller may free his
  EXPECT_EQ(results[2].data, results[4].data);  // copied once
}

TEST(Strings, HaveEqualIdsIfTheyAreEqual) {
  Session session(EchoModule(EYRIE_STRING, EYRIE_I64));
  const Texts texts = {"new", "dog", "", "newer", "new", std::string("a\0b", 3), "a", "cat"};
  std::vector<eyrie_string_t> strings = Refer(texts);
  eyrie_tensor_t input = TensorOf(EYRIE_STRING, strings, {8}), output = {};
  ASSERT_OK(session.Call(&input, 1, &output, 1));
  const int64_t expected[] = {4, 2, 0, 5, 4, 3, 6, 1};
  EXPECT_EQ(memcmp(output.data, expected, sizeof(expected)), 0);
}

TEST(Strings, OfManyKinds) {
  Session session(EchoModule());
  Texts texts;
  for (int i = 0; i < 20000; ++i) texts.push_back(std::to_string(i % 7000 * 7919));
  for (int round = 0; round < 3; ++round) {
    std::vector<eyrie_string_t> strings = Refer(texts);
    eyrie_tensor_t input = TensorOf(EYRIE_STRING, strings, {static_cast<int64_t>(texts.size())}), output = {};
    ASSERT_OK(session.Call(&input, 1, &output, 1));
    ASSERT_EQ(Read(output), texts);
    texts.resize(texts.size() / 2);
  }
}

TEST(Strings, UseTheCallersOutput) {
  Session session(EchoModule());
  const Texts texts = {"dog", "bird"};
  std::vector<eyrie_string_t> strings = Refer(texts), memory(2);
  eyrie_tensor_t input = TensorOf(EYRIE_STRING, strings, {2}), output = {};
  output.data = memory.data();
  output.size_bytes = 2 * sizeof(eyrie_string_t) - 1;
  EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_INVALID_ARGUMENT,
                "output 0 'y' needs 32 bytes, the given memory has 31");
  output.size_bytes = 2 * sizeof(eyrie_string_t);
  ASSERT_OK(session.Call(&input, 1, &output, 1));
  EXPECT_EQ(output.data, memory.data());
  EXPECT_EQ(Read(output), (Texts{"dog", "bird"}));
  output.data = reinterpret_cast<char*>(memory.data()) + 4;
  EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_INVALID_ARGUMENT, "not aligned");
  output.data = strings.data() + 1;
  EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_INVALID_ARGUMENT, "output 0 and input 0 overlap");
}

TEST(Strings, RefusesWrongInputs) {
  Session session(EchoModule());
  const Texts texts = {"dog", "bird"};
  std::vector<eyrie_string_t> strings = Refer(texts);
  eyrie_tensor_t good = TensorOf(EYRIE_STRING, strings, {2}), output = {}, bad = good;
  bad.type = EYRIE_I64;
  EXPECT_STATUS(session.Call(&bad, 1, &output, 1), EYRIE_INVALID_ARGUMENT, "expected nxstring, got 2xi64");
  bad = good;
  bad.size_bytes = 16;  // enough for two ids
  EXPECT_STATUS(session.Call(&bad, 1, &output, 1), EYRIE_INVALID_ARGUMENT, "takes 32 bytes, but only 16");
  bad = good;
  bad.data = nullptr;
  EXPECT_STATUS(session.Call(&bad, 1, &output, 1), EYRIE_INVALID_ARGUMENT, "no data");
  strings[1].data = nullptr;
  EXPECT_STATUS(session.Call(&good, 1, &output, 1), EYRIE_INVALID_ARGUMENT,
                "input 0 'x': string 1: no data, but a size of 4");
  EXPECT_EQ(output.data, nullptr);
}

TEST(Strings, RefusesIdsThatNobodyGave) {
  Session session(EchoModule(EYRIE_I64, EYRIE_STRING));
  for (int64_t id : {int64_t{4}, int64_t{-1}, INT64_MIN, INT64_MAX}) {
    std::vector<int64_t> ids = {1, id};
    eyrie_tensor_t input = TensorOf(EYRIE_I64, ids, {2}), output = {};
    EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_OUT_OF_RANGE, "result 0 'y': element 1 is string");
    EXPECT_EQ(output.data, nullptr);
  }
  std::vector<int64_t> ids = {3, 0, 1};
  eyrie_tensor_t input = TensorOf(EYRIE_I64, ids, {3}), output = {};
  ASSERT_OK(session.Call(&input, 1, &output, 1));
  EXPECT_EQ(Read(output), (Texts{std::string("a\0b", 3), "", "cat"}));
}

TEST(Strings, OfAModuleAreDistinctAndNotEmpty) {
  Session session(AddScaleModule());
  eyrie_module_t* loaded = nullptr;
  auto load = [&](Texts texts) {
    Module module = EchoModule();
    module.texts = texts;
    std::vector<uint8_t> bytes = module.Build();
    return Status(eyrie_module_load_memory(session.runtime, bytes.data(), bytes.size(), nullptr, &loaded));
  };
  EXPECT_STATUS(load({"a", "b", "a"}), EYRIE_DATA_LOSS, "strings 1 and 3 of the module are equal: 'a'");
  EXPECT_STATUS(load({"a", ""}), EYRIE_DATA_LOSS, "string 2 of the module is empty");
}

TEST(Strings, DoNotAllocateAfterTheFirstCall) {
  Session session(EchoModule());
  Texts texts;
  for (int i = 0; i < 1000; ++i) texts.push_back("text " + std::to_string(i));
  eyrie_runtime_stats_t before = {}, after = {};
  for (int round = 0; round < 20; ++round) {
    for (std::string& text : texts) text[round % 5] ^= 1;  // others, as long
    std::vector<eyrie_string_t> strings = Refer(texts);
    eyrie_tensor_t input = TensorOf(EYRIE_STRING, strings, {1000 - round * 10}), output = {};
    ASSERT_OK(session.Call(&input, 1, &output, 1));
    if (round == 0) eyrie_runtime_get_stats(session.runtime, &before);
  }
  eyrie_runtime_get_stats(session.runtime, &after);
  EXPECT_EQ(before.allocations, after.allocations);
}

}  // namespace
}  // namespace eyrie::rt::testing
