// The C++ wrapper.
#include <gtest/gtest.h>

#include <memory>

#include "eyrie/functions.hpp"
#include "eyrie/runtime.hpp"
#include "runtime/testing/session.h"

namespace eyrie::rt::testing {
namespace {

TEST(Wrapper, RunsAModule) {
  std::vector<uint8_t> bytes = AddScaleModule().Build();
  Runtime runtime;
  ASSERT_TRUE(runtime.Create(2).ok());
  eyrie::Module module;
  eyrie::Status status = module.LoadMemory(runtime, bytes.data(), 3);
  EXPECT_EQ(status.code(), EYRIE_DATA_LOSS);
  EXPECT_FALSE(module);
  ASSERT_TRUE(module.LoadMemory(runtime, bytes.data(), bytes.size()).ok());
  uint32_t function;
  ASSERT_TRUE(module.Find("main", &function).ok());
  Instance instance;
  ASSERT_TRUE(instance.Create(module).ok());
  std::vector<float> a(8, 1), b(8, 2);
  eyrie_tensor_t inputs[2] = {F32(a, {1, 8}), F32(b, {1, 8})}, output = {};
  ASSERT_TRUE(instance.Call(function, inputs, 2, &output, 1).ok());
  EXPECT_EQ(static_cast<float*>(output.data)[7], 24.0f);
  Fence fence;
  ASSERT_TRUE(fence.Create(runtime).ok());
  output = {};
  ASSERT_TRUE(instance.CallAsync(function, inputs, 2, &output, 1, fence.At(1)).ok());
  EXPECT_TRUE(fence.Wait(1).ok());
  EXPECT_EQ(static_cast<float*>(output.data)[7], 24.0f);
  Instance moved = std::move(instance);
  EXPECT_TRUE(moved);
  EXPECT_FALSE(instance);
}

// y = Twice(x), f32[4], in a module without kernels.
Module TwiceModule() {
  using abi::VmOp;
  Module module;
  module.host_functions = {
      {"my.domain::Twice", {EYRIE_F32, EYRIE_F32}, {1, 1}, 1, {{"by", {3}}, {"how", {}, {}, {"so"}}}}};
  Function f;
  f.arguments = {{"x", EYRIE_F32, {4}}};
  f.results = {{"y", EYRIE_F32, {4}}};
  f.Const(0, 4).Const(1, 16).Const(2, 0).Op(VmOp::kBufArg, {0, 0}).Op(VmOp::kBufResult, {1, 0, 1, 0});
  f.Op(VmOp::kHostCall, {0, 2, 0, 0, 2, 0, 2, 1, 1, 2, 1}).Op(VmOp::kReturn);
  module.functions = {f};
  return module;
}

TEST(Wrapper, Functions) {
  Runtime runtime;
  ASSERT_TRUE(runtime.Create().ok());
  auto counter = std::make_shared<int>(0);
  auto twice = [counter](const HostCall& call) -> eyrie::Status {
    ++*counter;
    const auto* x = call.InputAs<float>(0, EYRIE_F32);
    auto* y = call.OutputAs<float>(0, EYRIE_F32);
    if (!x || !y || call.InputAs<double>(0, EYRIE_F32) || call.OutputAs<float>(1, EYRIE_F32) ||
        call.InputAs<int32_t>(0, EYRIE_I32))
      return MakeError(EYRIE_INVALID_ARGUMENT, "expected f32");
    if (x[0] < 0) return MakeError(EYRIE_OUT_OF_RANGE, "a negative number");
    if (call.String("how", "") != "so" || call.String("by", "no") != "no")
      return MakeError(EYRIE_INTERNAL, "wrong attributes");
    for (int64_t i = 0; i < HostCall::CountOf(call.input(0)); ++i)
      y[i] = x[i] * static_cast<float>(call.Integer("by", 2)) + static_cast<float>(call.Number("plus", 1));
    return call.CheckStop();
  };
  ASSERT_TRUE(AddFunction(runtime, "my.domain::Twice", twice).ok());
  EXPECT_EQ(AddFunction(runtime, "my.domain::Twice", twice).code(), EYRIE_ALREADY_EXISTS);
  EXPECT_EQ(runtime.AddPlugin("./none.so").code(), EYRIE_NOT_FOUND);
  EXPECT_EQ(counter.use_count(), 3);  // `counter`, `twice` and the runtime's copy of it
  std::vector<uint8_t> bytes = TwiceModule().Build();
  {
    eyrie::Module module;
    ASSERT_TRUE(module.LoadMemory(runtime, bytes.data(), bytes.size()).ok());
    Instance instance;
    ASSERT_TRUE(instance.Create(module).ok());
    std::vector<float> x = {1, 2, 3, 4};
    eyrie_tensor_t input = F32(x, {4}), output = {};
    ASSERT_TRUE(instance.Call(0, &input, 1, &output, 1).ok());
    EXPECT_EQ(static_cast<float*>(output.data)[3], 13.0f);
    x[0] = -1;
    eyrie::Status status = instance.Call(0, &input, 1, &output, 1);
    EXPECT_EQ(status.code(), EYRIE_OUT_OF_RANGE);
    EXPECT_NE(strstr(status.message(), "my.domain::Twice: a negative number"), nullptr) << status.message();
  }
  runtime = Runtime();
  EXPECT_EQ(counter.use_count(), 2);
  EXPECT_EQ(*counter, 2);
}

TEST(Wrapper, StringsAndSequences) {
  eyrie_string_t strings[] = {ToString("cat"), ToString("dog")};
  eyrie_tensor_t tensor = {strings, sizeof(strings), EYRIE_STRING, 1, {2}};
  EXPECT_EQ(StringAt(tensor, 1), "dog");
  eyrie_tensor_t sequence = ToSequence(&tensor, 1);
  EXPECT_EQ(sequence.dims[0], 1);
  EXPECT_EQ(&ElementAt(sequence, 0), &tensor);
}

}  // namespace
}  // namespace eyrie::rt::testing
