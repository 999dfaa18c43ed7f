// The C++ wrapper.
#include <gtest/gtest.h>

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
