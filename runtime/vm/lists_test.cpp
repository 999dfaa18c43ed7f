// The instructions on lists.
#include <gtest/gtest.h>

#include <cstring>

#include "runtime/testing/sequences.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;

// A list does not change when another is made of it.
TEST(Lists, AreImmutable) {
  Function f;
  f.arguments = {AnySequence("x", EYRIE_F32)};
  for (const char* name : {"x again", "longer", "shorter", "taken", "twice"})
    f.results.push_back(AnySequence(name, EYRIE_F32));
  f.Const(1, 1).Const(2, 2).Op(VmOp::kBufWeights, {0}).Op(VmOp::kListArg, {0, 0});
  f.Op(VmOp::kListInsert, {1, 0, 1, EYRIE_F32, 0, 0, 0}).Op(VmOp::kListErase, {2, 0, 0});
  f.Op(VmOp::kListMov, {3, 2})
      .Op(VmOp::kListTake, {3, 3, 3, 1, 1})
      .Op(VmOp::kListInsert, {3, 3, 2, EYRIE_F32, 0, 0, 0});
  f.Op(VmOp::kListErase, {3, 3, 2}).Op(VmOp::kListResult, {0, 0}).Op(VmOp::kListDrop, {0});
  for (uint32_t i : {1, 2, 3}) f.Op(VmOp::kListResult, {i, i});
  // Changed in place, after a result holds it: a list of its own.
  f.Op(VmOp::kListTake, {3, 3, 1, 3, 1}).Op(VmOp::kListErase, {3, 3, 0}).Op(VmOp::kListResult, {4, 3});
  f.Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
  Session session(ModuleOf(f));
  Floats x;
  x.Add({10}, {1});
  x.Add({20}, {1});
  for (int round = 0; round < 3; ++round) {
    eyrie_tensor_t input = x.Get(), outputs[5] = {};
    ASSERT_OK(session.Call(&input, 1, outputs, 5));
    const std::vector<float> expected[] = {{10, 20}, {10, 1, 20}, {20}, {1, 20}, {20, 20}};
    for (int i = 0; i < 5; ++i) {
      std::vector<float> found;
      for (int64_t k = 0; k < outputs[i].dims[0]; ++k) found.push_back(FloatAt(outputs[i], k, 0));
      EXPECT_EQ(found, expected[i]) << i;
    }
  }
}

TEST(Lists, TellOfTheirElements) {
  Function f;
  f.arguments = {AnySequence("x", EYRIE_F32)};
  f.results = {{"y", EYRIE_I64, {5}}};
  f.Const(1, 1).Const(8, 8).Const(5, 5).Op(VmOp::kListArg, {0, 0}).Op(VmOp::kBufResult, {1, 0, 1, 5});
  auto store = [&](uint32_t reg) { f.Op(VmOp::kBufStore, {EYRIE_I64, 1, 10, reg}).Op(VmOp::kAdd, {10, 10, 8}); };
  f.Op(VmOp::kListSize, {2, 0});
  store(2);
  f.Op(VmOp::kListRank, {2, 0, 1});
  store(2);
  f.Op(VmOp::kListDim, {2, 0, 1, 1});
  store(2);
  f.Op(VmOp::kListGet, {0, 3, 0, 1, EYRIE_F32}).Op(VmOp::kBufLoad, {2, EYRIE_U32, 0, 3});
  store(2);
  f.Op(VmOp::kListSize, {2, 1});
  store(2);
  f.Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
  Session session(ModuleOf(f));
  Floats x;
  x.Add({1}, {});
  x.Add({2, 3, 4, 5, 6, 7}, {2, 3});
  eyrie_tensor_t input = x.Get(), output = {};
  ASSERT_OK(session.Call(&input, 1, &output, 1));
  const int64_t expected[] = {2, 2, 3, 0x40000000, 0};
  EXPECT_EQ(memcmp(output.data, expected, sizeof(expected)), 0);
}

// x has two elements of shape 2x3.
TEST(Lists, CheckWhatCodeAsksFor) {
  Floats x;
  for (int i = 0; i < 2; ++i) x.Add({1, 2, 3, 4, 5, 6}, {2, 3});
  auto expect = [&](auto build, eyrie_code_t code, const char* text) {
    Function f = Echo(AnySequence("x", EYRIE_F32), AnySequence("y", EYRIE_F32));
    f.code.clear();
    f.Op(VmOp::kListArg, {0, 0}).Op(VmOp::kListMov, {1, 0}).Op(VmOp::kBufWeights, {0}).Const(2, 2).Const(3, -1);
    f.Const(4, INT64_MIN).Const(5, INT64_MAX).Const(8, 8);
    build(f);
    f.Op(VmOp::kListResult, {0, 0}).Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
    Session session(ModuleOf(f));
    eyrie_tensor_t input = x.Get(), output = {};
    for (int round = 0; round < 2; ++round) EXPECT_STATUS(session.Call(&input, 1, &output, 1), code, text);
  };
  for (uint32_t position : {2, 3, 4, 5}) {
    expect([&](Function& f) { f.Op(VmOp::kListRank, {0, 0, position}); }, EYRIE_OUT_OF_RANGE, "of a list of 2");
    expect([&](Function& f) { f.Op(VmOp::kListDim, {0, 0, position, 0}); }, EYRIE_OUT_OF_RANGE, "of a list of 2");
    expect([&](Function& f) { f.Op(VmOp::kListGet, {0, 0, 0, position, EYRIE_F32}); }, EYRIE_OUT_OF_RANGE,
           "a list of 2");
    expect([&](Function& f) { f.Op(VmOp::kListErase, {0, 0, position}); }, EYRIE_OUT_OF_RANGE, "of a list of 2");
    expect([&](Function& f) { f.Op(VmOp::kListTake, {0, 0, 0, 0, position}); }, EYRIE_OUT_OF_RANGE, "of a list of 2");
    expect([&](Function& f) { f.Op(VmOp::kListErase, {0, 3, position}); }, EYRIE_OUT_OF_RANGE, "of a list of 0");
    if (position == 2) continue;
    expect([&](Function& f) { f.Op(VmOp::kListTake, {0, 1, position, 0, 0}); }, EYRIE_OUT_OF_RANGE, "of a list of 2");
    expect([&](Function& f) { f.Op(VmOp::kListInsert, {0, 0, position, EYRIE_F32, 0, 0, 0}); }, EYRIE_OUT_OF_RANGE,
           "of a list of 2");
  }
  expect([](Function& f) { f.Op(VmOp::kListDim, {0, 0, 0, 2}); }, EYRIE_OUT_OF_RANGE,
         "dimension 2 of an element of rank 2");
  expect([](Function& f) { f.Op(VmOp::kListGet, {0, 0, 0, 0, EYRIE_I32}); }, EYRIE_INVALID_ARGUMENT,
         "an element of type f32, expected i32");
  auto insert = [&](std::initializer_list<uint32_t> operands, const char* text,
                    eyrie_code_t code = EYRIE_OUT_OF_RANGE) {
    expect([&](Function& f) { f.Op(VmOp::kListInsert, operands); }, code, text);
  };
  insert({0, 0, 0, EYRIE_F32, 3, 0, 0}, "b3 is null", EYRIE_FAILED_PRECONDITION);
  insert({0, 0, 0, EYRIE_F32, 0, 0, 1, 3}, "an element with the size -1");
  insert({0, 0, 0, EYRIE_F32, 0, 0, 2, 0, 3}, "an element with the size -1");  // 0 x -1
  insert({0, 0, 0, EYRIE_F32, 0, 0, 2, 5, 5}, "2^64 elements");
  insert({0, 0, 0, EYRIE_F64, 0, 0, 1, 5}, "too large");
  insert({0, 0, 0, EYRIE_F64, 0, 0, 1, 8}, "an element of 64 bytes at byte 0 of a buffer of 32 bytes");
  insert({0, 0, 0, EYRIE_F32, 0, 2, 0}, "an element of 4 bytes at byte 2");  // not aligned
  insert({0, 0, 0, EYRIE_F32, 0, 3, 0}, "an element of 4 bytes at byte 1844");
  insert({0, 0, 0, EYRIE_F32, 0, 8, 1, 8}, "an element of 32 bytes at byte 8");
}

// Programs on lists with one bit changed: an error or a result, whatever they do. They have no native code.
TEST(Lists, SurviveEveryBitFlipOfTheirCode) {
  Session session(AddScaleModule());
  for (Function function : {Rows(), Echo(AnySequence("x", EYRIE_F32), AnySequence("y", EYRIE_F32))}) {
    if (function.arguments[0].kind) {
      function.code.resize(3);  // list.arg
      function.Const(1, 1).Op(VmOp::kBufWeights, {0}).Op(VmOp::kListInsert, {1, 0, 1, EYRIE_F32, 0, 0, 2, 1, 1});
      function.Op(VmOp::kListTake, {2, 1, 0, 0, 1}).Op(VmOp::kListErase, {0, 2, 1}).Op(VmOp::kListMov, {3, 0});
      function.Op(VmOp::kListGet, {1, 2, 3, 1, EYRIE_F32}).Op(VmOp::kListDim, {3, 0, 1, 0}).Op(VmOp::kListDrop, {1});
      function.Op(VmOp::kListResult, {0, 0}).Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
    }
    Module description = ModuleOf(function);
    description.executables.clear();
    std::vector<float> rows(12, 1);
    Floats sequence;
    for (int i = 0; i < 3; ++i) sequence.Add({1, 2}, {2});
    eyrie_tensor_t input = function.arguments[0].kind ? sequence.Get() : F32(rows, {4, 3});
    for (size_t bit = 0; bit < function.code.size() * 32; ++bit) {
      description.functions[0].code = function.code;
      description.functions[0].code[bit / 32] ^= 1u << bit % 32;
      std::vector<uint8_t> bytes = description.Build();
      eyrie_module_options_t options = {sizeof(options), EYRIE_VERIFY_LAZY, 0, 1 << 20, nullptr, 0, nullptr};
      eyrie_module_t* module = nullptr;
      if (!Status(eyrie_module_load_memory(session.runtime, bytes.data(), bytes.size(), &options, &module)).ok())
        continue;
      eyrie_instance_t* instance = nullptr;
      ASSERT_OK(Status(eyrie_instance_create(module, nullptr, &instance)));
      eyrie_call_options_t call = {sizeof(call), 2000000};
      for (int round = 0; round < 2; ++round) {
        eyrie_tensor_t output = {};
        if (!Status(eyrie_call(instance, 0, &input, 1, &output, 1, &call)).ok()) continue;
        for (int64_t i = 0; i < output.dims[0]; ++i)
          memset(At(output, i).data, 0, At(output, i).size_bytes);  // all of it is there, and ours
      }
      eyrie_instance_destroy(instance);
      eyrie_module_destroy(module);
    }
  }
}

// Endless insertion, in place, into copies, and of blocks: an error, and the instance lives on.
TEST(Lists, DoNotTakeMemoryWithoutEnd) {
  for (int kind = 0; kind < 3; ++kind) {
    Function f;
    f.Const(1, 100).Op(VmOp::kBufWeights, {0}).Op(VmOp::kBr, {1}).Block();
    if (kind == 2) f.Op(VmOp::kBufBlock, {0, 1});
    f.Op(VmOp::kListInsert, {0, 0, 0, EYRIE_F32, 0, 0, 0});
    if (kind == 1) f.Op(VmOp::kListMov, {1, 0});
    f.Op(VmOp::kBr, {1});
    Session session(AddScaleModule());
    std::vector<uint8_t> bytes = ModuleOf(f).Build();
    eyrie_module_options_t options = {sizeof(options), EYRIE_VERIFY_LAZY, 0, 100000, nullptr, 0, nullptr};
    eyrie_module_t* module = nullptr;
    eyrie_instance_t* instance = nullptr;
    ASSERT_OK(Status(eyrie_module_load_memory(session.runtime, bytes.data(), bytes.size(), &options, &module)));
    ASSERT_OK(Status(eyrie_instance_create(module, nullptr, &instance)));
    for (int round = 0; round < 3; ++round)
      EXPECT_STATUS(Status(eyrie_call(instance, 0, nullptr, 0, nullptr, 0, nullptr)), EYRIE_RESOURCE_EXHAUSTED,
                    kind == 2 ? "transient memory" : "sequences need more than 100000 bytes");
    eyrie_instance_stats_t stats;
    eyrie_instance_get_stats(instance, &stats);
    EXPECT_LE(stats.arena_bytes, 100000u);
    eyrie_instance_destroy(instance);
    eyrie_module_destroy(module);
  }
}

TEST(Lists, EndWithACancelledCall) {
  Function f;
  f.Op(VmOp::kBufWeights, {0}).Op(VmOp::kBr, {1}).Block().Op(VmOp::kBufBlock, {0, 0});
  f.Op(VmOp::kListInsert, {0, 0, 0, EYRIE_F32, 0, 0, 1, 1}).Op(VmOp::kListErase, {1, 0, 0}).Op(VmOp::kListDrop, {0});
  f.Op(VmOp::kBr, {1});
  Session session(ModuleOf(f));
  eyrie_call_options_t options = {sizeof(options), 20000000};
  for (int round = 0; round < 2; ++round)
    EXPECT_STATUS(Status(eyrie_call(session.instance, 0, nullptr, 0, nullptr, 0, &options)), EYRIE_DEADLINE_EXCEEDED,
                  "");
}

}  // namespace
}  // namespace eyrie::rt::testing
