// Sequences of tensors as inputs and outputs.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "runtime/testing/sequences.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;

TEST(Sequences, PassThrough) {
  Session session(ModuleOf(Echo(AnySequence("x", EYRIE_F32), AnySequence("y", EYRIE_F32))));
  Floats x;
  x.Add({1, 2, 3}, {3});
  x.Add({4}, {});
  x.Add({}, {0, 7});
  x.Add({5, 6, 7, 8}, {2, 1, 2});
  eyrie_tensor_t input = x.Get(), output = {};
  ASSERT_OK(session.Call(&input, 1, &output, 1));
  EXPECT_EQ(output.type, static_cast<uint32_t>(EYRIE_SEQUENCE));
  EXPECT_EQ(output.rank, 1u);
  ASSERT_EQ(output.dims[0], 4);
  EXPECT_EQ(output.size_bytes, 4 * sizeof(eyrie_tensor_t));
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(At(output, i).type, static_cast<uint32_t>(EYRIE_F32));
    ASSERT_EQ(At(output, i).rank, x.elements[i].rank);
    EXPECT_EQ(memcmp(At(output, i).dims, x.elements[i].dims, sizeof(x.elements[i].dims)), 0);
    ASSERT_EQ(At(output, i).size_bytes, x.elements[i].size_bytes);
    EXPECT_NE(At(output, i).data, x.elements[i].data);  // the caller may free his
    EXPECT_NE(At(output, i).data, nullptr);
    if (x.elements[i].size_bytes)
      EXPECT_EQ(memcmp(At(output, i).data, x.elements[i].data, x.elements[i].size_bytes), 0);
  }
  x.elements.clear();
  input = x.Get();
  output = {};
  ASSERT_OK(session.Call(&input, 1, &output, 1));
  EXPECT_EQ(output.dims[0], 0);
  EXPECT_NE(output.data, nullptr);
}

TEST(Sequences, AreMadeOfBlocks) {
  Session session(ModuleOf(Rows()));
  for (int64_t n : {5, 0, 40, 3}) {
    std::vector<float> x(3 * n + 1);
    for (size_t i = 0; i < x.size(); ++i) x[i] = i + 0.5f;
    eyrie_tensor_t input = F32(x, {n, 3}), output = {};
    ASSERT_OK(session.Call(&input, 1, &output, 1));
    ASSERT_EQ(output.dims[0], n);
    for (int i = 0; i < n; ++i) {
      EXPECT_EQ(At(output, i).dims[0], 3);
      for (int k = 0; k < 3; ++k) EXPECT_EQ(FloatAt(output, i, k), 3 * i + k + 0.5f);
    }
  }
}

TEST(Sequences, OfStrings) {
  Session session(ModuleOf(Echo(Sequence("x", EYRIE_STRING, {-1}), Sequence("y", EYRIE_STRING, {-1}))));
  std::vector<eyrie_string_t> first = {{"bird", 4}, {"dog", 3}}, second = {{"", 0}, {"bird", 4}, {"cow", 3}};
  std::vector<eyrie_tensor_t> elements = {TensorOf(EYRIE_STRING, first, {2}), TensorOf(EYRIE_STRING, second, {3})};
  eyrie_tensor_t input = SequenceOf(elements), output = {};
  ASSERT_OK(session.Call(&input, 1, &output, 1));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(At(output, i).type, static_cast<uint32_t>(EYRIE_STRING));
    EXPECT_EQ(At(output, i).size_bytes, elements[i].size_bytes);
    for (int k = 0; k < At(output, i).dims[0]; ++k) {
      const auto &found = static_cast<const eyrie_string_t*>(At(output, i).data)[k],
                 &expected = static_cast<const eyrie_string_t*>(elements[i].data)[k];
      EXPECT_EQ(std::string(found.data, found.size), std::string(expected.data, expected.size));
    }
  }
  second[1].data = nullptr;
  output = {};
  EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_INVALID_ARGUMENT,
                "input 0 'x': element 1: string 1: no data");
}

// Elements in arguments, weights, the arena and other results are copied: they are the caller's to write to.
TEST(Sequences, CopyMemoryThatIsNotTheirs) {
  Function f;
  f.arguments = {{"x", EYRIE_F32, {2}}};
  f.results = {AnySequence("y", EYRIE_F32), {"z", EYRIE_F32, {1}}};
  f.Const(1, 1).Const(2, 2).Const(4, 4).Const(8, 8).Op(VmOp::kBufArg, {0, 0}).Op(VmOp::kBufWeights, {1});
  f.Op(VmOp::kBufArena, {2, 4}).Op(VmOp::kBufResult, {3, 1, 1, 1});
  f.Op(VmOp::kCopy, {1, 4, 2, 0, 4}).Op(VmOp::kCopy, {1, 8, 3, 0, 4});
  f.Op(VmOp::kListInsert, {0, 0, 0, EYRIE_F32, 0, 4, 0});
  f.Op(VmOp::kListInsert, {0, 0, 1, EYRIE_F32, 1, 8, 1, 2});
  f.Op(VmOp::kListInsert, {0, 0, 0, EYRIE_F32, 2, 0, 2, 1, 1});
  f.Op(VmOp::kListInsert, {0, 0, 0, EYRIE_F32, 3, 0, 1, 1});
  f.Op(VmOp::kListResult, {0, 0}).Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
  Session session(ModuleOf(f));
  std::vector<float> x = {10, 20};
  eyrie_tensor_t input = F32(x, {2}), outputs[2] = {};
  ASSERT_OK(session.Call(&input, 1, outputs, 2));
  ASSERT_EQ(outputs[0].dims[0], 4);
  EXPECT_EQ(FloatAt(outputs[0], 0, 0), 3);
  EXPECT_EQ(FloatAt(outputs[0], 1, 0), 2);
  EXPECT_EQ(FloatAt(outputs[0], 2, 0), 20);
  EXPECT_EQ(FloatAt(outputs[0], 3, 0), 3);
  EXPECT_EQ(FloatAt(outputs[0], 3, 1), 4);
  for (int i = 0; i < 4; ++i) static_cast<float*>(At(outputs[0], i).data)[0] = -1;
  EXPECT_EQ(x[1], 20);
  EXPECT_EQ(*static_cast<float*>(outputs[1].data), 3);
}

TEST(Sequences, RefuseWrongInputs) {
  Session session(ModuleOf(Echo(Sequence("x", EYRIE_F32, {-1, 3}), AnySequence("y", EYRIE_F32))));
  Floats good;
  good.Add({1, 2, 3}, {1, 3});
  good.Add({1, 2, 3, 4, 5, 6}, {2, 3});
  auto refuse = [&](auto change, const char* message) {
    Floats bad = good;
    for (int i = 0; i < 2; ++i) bad.elements[i].data = bad.memory[i].data();
    eyrie_tensor_t input = bad.Get(), output = {};
    change(input, bad.elements[1]);
    EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_INVALID_ARGUMENT, message);
    EXPECT_EQ(output.data, nullptr);
  };
  using T = eyrie_tensor_t;
  refuse([](T&, T& e) { e.rank = 1; }, "input 0 'x', element 1: expected ?x3xf32, got 2xf32");
  refuse([](T&, T& e) { e.dims[1] = 2; }, "input 0 'x', element 1: expected ?x3xf32, got 2x2xf32");
  refuse([](T&, T& e) { e.dims[0] = -1; }, "element 1: expected ?x3xf32, got -1x3xf32");
  refuse([](T&, T& e) { e.rank = 33; }, "element 1: rank 33");
  refuse([](T&, T& e) { e.type = EYRIE_I32; }, "element 1: expected ?x3xf32, got 2x3xi32");
  refuse([](T&, T& e) { e.type = EYRIE_SEQUENCE; }, "element 1: expected ?x3xf32, got a sequence");
  refuse([](T&, T& e) { e.data = nullptr; }, "element 1: no data");
  refuse([](T&, T& e) { e.size_bytes = 23; }, "element 1: its shape takes 24 bytes, but only 23");
  refuse([](T&, T& e) { e.data = static_cast<char*>(e.data) + 2; }, "element 1: the data is not aligned");
  refuse([](T& x, T& e) { x = e; }, "input 0 'x': expected sequence of ?x3xf32, got 2x3xf32");
  refuse([](T& x, T&) { x.rank = 0; }, "input 0 'x': a sequence has rank 1");
  refuse([](T& x, T&) { x.dims[0] = -1; }, "input 0 'x': a sequence has rank 1");
  refuse([](T& x, T&) { x.dims[0] = 3; }, "but only 560 are given");
  refuse([](T& x, T&) { x.data = nullptr; }, "no data");
  refuse([](T& x, T&) { x.data = static_cast<char*>(x.data) + 4; }, "not aligned");
  Session any(ModuleOf(Echo(AnySequence("x", EYRIE_I32), AnySequence("y", EYRIE_F32))));
  eyrie_tensor_t input = good.Get(), output = {};
  EXPECT_STATUS(any.Call(&input, 1, &output, 1), EYRIE_INVALID_ARGUMENT, "expected i32 of any rank, got 1x3xf32");
  EXPECT_STATUS(any.Call(&good.elements[0], 1, &output, 1), EYRIE_INVALID_ARGUMENT,
                "expected sequence of i32, got 1x3xf32");
  Session tensor(AddScaleModule());
  eyrie_tensor_t inputs[2] = {input, input};
  EXPECT_STATUS(tensor.Call(inputs, 2, &output, 1), EYRIE_INVALID_ARGUMENT, "expected nx8xf32, got a sequence");
}

TEST(Sequences, AreComparedWithTheSignature) {
  Floats x;
  x.Add({1, 2, 3}, {1, 3});
  x.Add({1, 2}, {1, 2});
  eyrie_tensor_t input = x.Get(), output = {};
  auto call = [&](const Value& result) {
    Session session(ModuleOf(Echo(AnySequence("x", EYRIE_F32), result)));
    output = {};
    return session.Call(&input, 1, &output, 1);
  };
  EXPECT_OK(call(Sequence("y", EYRIE_F32, {1, -1})));
  EXPECT_STATUS(call(Sequence("y", EYRIE_F32, {-1, 3})), EYRIE_INVALID_ARGUMENT,
                "result 0 'y', element 1: expected ?x3xf32, got 1x2xf32");
  EXPECT_STATUS(call(Sequence("y", EYRIE_F32, {3})), EYRIE_INVALID_ARGUMENT, "element 0: expected 3xf32");
  EXPECT_STATUS(call(AnySequence("y", EYRIE_I64)), EYRIE_INVALID_ARGUMENT, "expected i64 of any rank, got 1x3xf32");
  EXPECT_EQ(output.data, nullptr);
}

TEST(Sequences, AreGivenOnce) {
  Floats x;
  eyrie_tensor_t input = x.Get(), output = {};
  Function f = Echo(AnySequence("x", EYRIE_F32), AnySequence("y", EYRIE_F32));
  output.data = &output;
  Session session(ModuleOf(f));
  EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_INVALID_ARGUMENT,
                "output 0 'y' is a sequence: its data must be null");
  output = {};
  f.code.clear();
  f.Op(VmOp::kListResult, {0, 0}).Op(VmOp::kListResult, {0, 0}).Op(VmOp::kReturn);
  EXPECT_STATUS(Session(ModuleOf(f)).Call(&input, 1, &output, 1), EYRIE_FAILED_PRECONDITION, "result 0 is given twice");
  f.code.clear();
  f.Op(VmOp::kReturn);
  EXPECT_STATUS(Session(ModuleOf(f)).Call(&input, 1, &output, 1), EYRIE_FAILED_PRECONDITION, "without result 0");
}

TEST(Sequences, TakeNoMoreThanTheLimit) {
  Session session(AddScaleModule());
  std::vector<uint8_t> bytes = ModuleOf(Echo(AnySequence("x", EYRIE_F32), AnySequence("y", EYRIE_F32))).Build();
  eyrie_module_options_t options = {sizeof(options), EYRIE_VERIFY_LAZY, 0, 3000, nullptr, 0, nullptr};
  eyrie_module_t* module = nullptr;
  eyrie_instance_t* instance = nullptr;
  ASSERT_OK(Status(eyrie_module_load_memory(session.runtime, bytes.data(), bytes.size(), &options, &module)));
  ASSERT_OK(Status(eyrie_instance_create(module, nullptr, &instance)));
  Floats x;
  x.Add(std::vector<float>(700), {700});
  eyrie_tensor_t input = x.Get(), output = {};
  EXPECT_STATUS(Status(eyrie_call(instance, 0, &input, 1, &output, 1, nullptr)), EYRIE_RESOURCE_EXHAUSTED,
                "result 0 'y': the sequence takes 3136 bytes, limit 3000");
  x.elements[0].dims[0] = 600;
  EXPECT_OK(Status(eyrie_call(instance, 0, &input, 1, &output, 1, nullptr)));
  eyrie_instance_destroy(instance);
  eyrie_module_destroy(module);
}

TEST(Sequences, Reflect) {
  Session session(ModuleOf(Echo(Sequence("x", EYRIE_F32, {-1, 3}), AnySequence("y", EYRIE_STRING))));
  eyrie_value_info_t value;
  EXPECT_OK(Status(eyrie_module_argument(session.module, 0, 0, &value)));
  EXPECT_TRUE(value.is_sequence && !value.any_rank);
  EXPECT_EQ(value.rank, 2u);
  EXPECT_EQ(value.dims[1].size, 3);
  EXPECT_OK(Status(eyrie_module_result(session.module, 0, 0, &value)));
  EXPECT_TRUE(value.is_sequence && value.any_rank);
  EXPECT_EQ(value.type, static_cast<uint32_t>(EYRIE_STRING));
  char text[1000];
  EXPECT_OK(Status(eyrie_module_disassemble(session.module, 0, text, sizeof(text), nullptr)));
  EXPECT_NE(strstr(text, "4 list registers"), nullptr) << text;
  EXPECT_NE(strstr(text, "list.result res0, l0"), nullptr) << text;
}

TEST(Sequences, RunAsynchronously) {
  Session session(ModuleOf(Rows()), 3);
  std::vector<float> x(30, 2.5f);
  eyrie_tensor_t input = F32(x, {10, 3}), outputs[4] = {};
  eyrie_fence_t* fence = nullptr;
  ASSERT_OK(Status(eyrie_fence_create(session.runtime, 0, &fence)));
  for (uint64_t i = 0; i < 4; ++i)
    ASSERT_OK(
        Status(eyrie_call_async(session.instance, 0, &input, 1, outputs + i, 1, nullptr, nullptr, 0, {fence, i + 1})));
  EXPECT_OK(Status(eyrie_fence_wait(fence, 4, UINT64_MAX)));
  ASSERT_EQ(outputs[3].dims[0], 10);
  EXPECT_EQ(FloatAt(outputs[3], 9, 2), 2.5f);
  eyrie_fence_release(fence);
}

TEST(Sequences, DoNotAllocateAfterTheFirstCall) {
  for (const Function& function : {Rows(), Echo(Sequence("x", EYRIE_F32, {-1}), AnySequence("y", EYRIE_F32))}) {
    Session session(ModuleOf(function));
    std::vector<float> rows(300, 1);
    Floats sequence;
    for (int i = 0; i < 50; ++i) sequence.Add(std::vector<float>(i), {i});
    eyrie_tensor_t input = function.arguments[0].kind ? sequence.Get() : F32(rows, {100, 3});
    eyrie_runtime_stats_t before = {}, after = {};
    for (int round = 0; round < 20; ++round) {
      eyrie_tensor_t output = {};
      ASSERT_OK(session.Call(&input, 1, &output, 1));
      if (round == 0) eyrie_runtime_get_stats(session.runtime, &before);
    }
    eyrie_runtime_get_stats(session.runtime, &after);
    EXPECT_EQ(before.allocations, after.allocations);
    EXPECT_EQ(before.bytes, after.bytes);
  }
}

}  // namespace
}  // namespace eyrie::rt::testing
