// Functions that go on in others, and sizes that were promised.
#include <gtest/gtest.h>

#include "eyrie/runtime.h"
#include "runtime/testing/session.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;

// Only loads.
Status Load(const Module& description) {
  Session session(AddScaleModule());
  std::vector<uint8_t> bytes = description.Build();
  eyrie_module_t* module = nullptr;
  Status status(eyrie_module_load_memory(session.runtime, bytes.data(), bytes.size(), nullptr, &module));
  eyrie_module_destroy(module);
  return status;
}

// The entry goes on in the function behind it if n is 2, and else fails.
Module ModuleWithCopy() {
  Module module = AddScaleModule();
  Function copy = module.functions[0], entry;
  copy.name = "main.n=2";
  copy.internal = true;
  entry = copy;
  entry.name = "main";
  entry.internal = false;
  entry.code.clear();
  entry.blocks = {0};
  entry.Op(VmOp::kArgDim, {0, 0, 0}).Const(1, 2).Op(VmOp::kCmpEq, {2, 0, 1}).Op(VmOp::kCondBr, {2, 1, 2});
  entry.Block().Op(VmOp::kCallTail, {1});
  entry.Block().Op(VmOp::kFail, {EYRIE_OUT_OF_RANGE, 0});
  module.functions = {entry, copy};
  return module;
}

TEST(Functions, GoesOnInAnotherFunction) {
  Session session(ModuleWithCopy());
  std::vector<float> a(24, 1), b(24, 2);
  eyrie_tensor_t inputs[2] = {F32(a, {2, 8}), F32(b, {2, 8})}, output = {};
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(session.Call(inputs, 2, &output, 1));
    EXPECT_EQ(static_cast<float*>(output.data)[15], 24.0f);
    output = {};
  }
  eyrie_tensor_t others[2] = {F32(a, {3, 8}), F32(b, {3, 8})};
  EXPECT_STATUS(session.Call(others, 2, &output, 1), EYRIE_OUT_OF_RANGE, "a message");
}

TEST(Functions, InternalFunctionsAreNotCalled) {
  Session session(ModuleWithCopy());
  eyrie_module_info_t info;
  eyrie_module_get_info(session.module, &info);
  EXPECT_EQ(info.function_count, 1u);
  EXPECT_EQ(info.internal_count, 1u);
  std::vector<float> a(16), b(16);
  eyrie_tensor_t inputs[2] = {F32(a, {2, 8}), F32(b, {2, 8})}, output = {};
  EXPECT_STATUS(Status(eyrie_call(session.instance, 1, inputs, 2, &output, 1, nullptr)), EYRIE_NOT_FOUND, "function 1");
  // But described.
  eyrie_function_info_t function;
  ASSERT_OK(Status(eyrie_module_function(session.module, 1, &function)));
  EXPECT_STREQ(function.name, "main.n=2");
  size_t needed = 0;
  EXPECT_OK(Status(eyrie_module_disassemble(session.module, 1, nullptr, 0, &needed)));
  EXPECT_STATUS(Status(eyrie_module_function(session.module, 2, &function)), EYRIE_NOT_FOUND, "function 2");
  uint32_t found = 7;
  EXPECT_STATUS(Status(eyrie_module_find(session.module, "main.n=2", &found)), EYRIE_NOT_FOUND, "it has: main");
  ASSERT_OK(Status(eyrie_module_find(session.module, nullptr, &found)));
  EXPECT_EQ(found, 0u);
}

TEST(Functions, RefusesTailCallsOfOtherSignatures) {
  auto refuse = [](auto change, const char* message) {
    Module module = ModuleWithCopy();
    change(module);
    EXPECT_STATUS(Load(module), EYRIE_INVALID_ARGUMENT, message);
  };
  refuse([](Module& m) { m.functions[1].arguments.pop_back(); }, "another signature");
  refuse([](Module& m) { m.functions[1].results[0].type = EYRIE_F64; }, "another signature");
  refuse([](Module& m) { m.functions[1].code[1] = 0, m.functions[1].Block().Op(VmOp::kCallTail, {1}); }, "goes back");
  refuse([](Module& m) { m.functions[0].internal = true, m.functions[1].internal = false; }, "cannot be called");
}

TEST(Functions, SizesOutsideOfARangeAreRefused) {
  Module module = AddScaleModule();
  module.ranges = {{2, 6, 2}};
  Session session(module);
  std::vector<float> a(80, 1), b(80, 2);
  auto call = [&](int64_t n) {
    eyrie_tensor_t inputs[2] = {F32(a, {n, 8}), F32(b, {n, 8})}, output = {};
    return session.Call(inputs, 2, &output, 1);
  };
  EXPECT_OK(call(2));
  EXPECT_OK(call(6));
  const char* promise = "but the module was compiled for multiples of 2 from 2 to 6";
  for (int64_t bad : {0, 1, 3, 7, 8}) EXPECT_STATUS(call(bad), EYRIE_INVALID_ARGUMENT, promise);
  EXPECT_STATUS(call(8), EYRIE_INVALID_ARGUMENT, "dimension 'n' is 8 in input 0 'a'");
  for (abi::fb::SymbolRange bad : {abi::fb::SymbolRange{-1, 2, 1}, {3, 2, 1}, {1, 2, 0}}) {
    module.ranges = {bad};
    EXPECT_STATUS(Load(module), EYRIE_INVALID_ARGUMENT, "symbol 0 has a range");
  }
  module.ranges = {{1, 2, 1}, {1, 2, 1}};
  EXPECT_STATUS(Load(module), EYRIE_INVALID_ARGUMENT, "2 ranges for 1 symbols");
}

}  // namespace
}  // namespace eyrie::rt::testing
