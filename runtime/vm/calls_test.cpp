// Functions that others call.
#include <gtest/gtest.h>

#include "runtime/testing/sequences.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;

Function Internal(const char* name, std::vector<uint32_t> signature) {
  Function f;
  f.name = name;
  f.internal = true;
  f.callee = std::move(signature);
  return f;
}

// Result 0 is r0 of main.
void StoreResult(Function& f) {
  f.results = {{"y", EYRIE_I64, {}}};
  f.Op(VmOp::kConst, {15, 0, 0}).Op(VmOp::kBufResult, {7, 0, 0}).Op(VmOp::kBufStore, {EYRIE_I64, 7, 15, 0});
  f.Op(VmOp::kReturn);
}

// main calls function 1 with an integer.
Module Calling(Function callee, int64_t value) {
  Function f;
  f.Const(3, value).Op(VmOp::kCall, {1, 1, 3, 0, 0, 1, 0, 0, 0});
  StoreResult(f);
  Module module;
  module.functions = {f, std::move(callee)};
  return module;
}

Function Factorial() {
  Function f = Internal("factorial", {1, 0, 0, 1, 0, 0});
  f.Const(1, 1).Op(VmOp::kCmpLeS, {2, 0, 1}).Op(VmOp::kCondBr, {2, 1, 2});
  f.Block().Op(VmOp::kRet, {1, 1, 0, 0});
  f.Block().Op(VmOp::kSub, {3, 0, 1}).Op(VmOp::kCall, {1, 1, 3, 0, 0, 1, 4, 0, 0}).Op(VmOp::kMul, {0, 0, 4});
  f.Op(VmOp::kRet, {1, 0, 0, 0});
  return f;
}

Status CallMain(Session& session, int64_t* value = nullptr) {
  eyrie_tensor_t output = {};
  Status status = session.Call(nullptr, 0, &output, 1);
  if (status.ok() && value) *value = *static_cast<int64_t*>(output.data);
  return status;
}

TEST(Calls, Recursion) {
  Session session(Calling(Factorial(), 10));
  uint64_t allocations = 0;
  for (int round = 0; round < 3; ++round) {
    int64_t value = 0;
    eyrie_runtime_stats_t stats;
    EXPECT_OK(CallMain(session, &value));
    EXPECT_EQ(value, 3628800);
    eyrie_runtime_get_stats(session.runtime, &stats);
    if (round == 2) EXPECT_EQ(stats.allocations, allocations);
    allocations = stats.allocations;
  }
}

TEST(Calls, RegistersBeginEmpty) {
  // Adds registers that a call before has written to.
  Function f = Internal("leftover", {1, 0, 0, 1, 0, 0});
  f.Op(VmOp::kAdd, {0, 0, 5}).Const(5, 100).Op(VmOp::kRet, {1, 0, 0, 0});
  Module module = Calling(f, 7);
  Function& main = module.functions[0];
  main.code.clear();
  main.Const(3, 7).Op(VmOp::kCall, {1, 1, 3, 0, 0, 1, 0, 0, 0}).Op(VmOp::kCall, {1, 1, 0, 0, 0, 1, 0, 0, 0});
  StoreResult(main);
  Session session(module);
  int64_t value = 0;
  EXPECT_OK(CallMain(session, &value));
  EXPECT_EQ(value, 7);
}

TEST(Calls, DepthIsLimited) {
  Function f = Internal("endless", {1, 0, 0, 1, 0, 0});
  f.Op(VmOp::kCall, {1, 1, 0, 0, 0, 1, 0, 0, 0}).Op(VmOp::kRet, {1, 0, 0, 0});
  Module module = Calling(f, 7);
  module.source_map = {{"loop"}, {static_cast<uint32_t>(module.functions[0].code.size())}, {1}};
  Session session(module);
  for (int round = 0; round < 2; ++round)
    EXPECT_STATUS(
        CallMain(session), EYRIE_RESOURCE_EXHAUSTED,
        "node 'loop': function 'endless', bytecode word 0: a call of 'endless' would be 1025 deep, limit 1024");
  f.int_registers = 65536;
  Session wide(Calling(f, 7));
  EXPECT_STATUS(CallMain(wide), EYRIE_RESOURCE_EXHAUSTED,
                "a call of 'endless' in depth 17 would need 1048592, 136 and 68 registers, limit 1048576");
}

TEST(Calls, ManyCallsStopInTime) {
  Function f = Internal("tree", {1, 0, 0, 1, 0, 0});
  f.Const(1, 1).Op(VmOp::kSub, {0, 0, 1}).Op(VmOp::kCmpLeS, {2, 0, 9}).Op(VmOp::kCondBr, {2, 2, 1});
  f.Block().Op(VmOp::kCall, {1, 1, 0, 0, 0, 1, 3, 0, 0}).Op(VmOp::kCall, {1, 1, 0, 0, 0, 1, 3, 0, 0});
  f.Op(VmOp::kBr, {2}).Block().Op(VmOp::kRet, {1, 0, 0, 0});
  Session session(Calling(f, 500));
  eyrie_call_options_t options = {sizeof(options), 20000000};
  eyrie_tensor_t output = {};
  EXPECT_STATUS(Status(eyrie_call(session.instance, 0, nullptr, 0, &output, 1, &options)), EYRIE_DEADLINE_EXCEEDED, "");
}

// Blocks and lists go in and out, over each other's registers; what nobody holds is given back.
TEST(Calls, BuffersAndLists) {
  // (i0, b0, l0) -> (i, block with i0 at 0, l0 with b0 put first)
  Function f = Internal("make", {1, 1, 1, 1, 2, 1});
  f.Const(1, 64).Op(VmOp::kBufBlock, {1, 1}).Op(VmOp::kBufBlock, {2, 1});
  f.Op(VmOp::kBufStore, {EYRIE_I64, 1, 9, 0}).Op(VmOp::kListInsert, {0, 0, 9, EYRIE_I64, 0, 9, 0});
  f.Op(VmOp::kListMov, {2, 0}).Op(VmOp::kAdd, {0, 0, 1}).Op(VmOp::kRet, {1, 0, 2, 1, 0, 1, 2});
  Function main;
  main.Const(1, 64).Const(2, 42).Op(VmOp::kBufBlock, {0, 1}).Op(VmOp::kBufStore, {EYRIE_I64, 0, 9, 2});
  // The first call's block becomes the second one's element.
  main.Op(VmOp::kCall, {1, 1, 2, 1, 0, 1, 0, 1, 2, 2, 0, 1, 1, 0});
  main.Op(VmOp::kCall, {1, 1, 2, 1, 0, 1, 0, 1, 2, 2, 1, 2, 1, 0});
  main.Op(VmOp::kListGet, {3, 4, 0, 9, EYRIE_I64}).Op(VmOp::kBufLoad, {5, EYRIE_I64, 3, 4});
  main.Op(VmOp::kListSize, {6, 0}).Op(VmOp::kMul, {6, 6, 1}).Op(VmOp::kAdd, {0, 5, 6}).Op(VmOp::kAdd, {0, 0, 2});
  StoreResult(main);
  Module module;
  module.functions = {main, f};
  Session session(module);
  eyrie_instance_stats_t stats = {};
  for (int round = 0; round < 4; ++round) {
    int64_t value = 0;
    EXPECT_OK(CallMain(session, &value));
    EXPECT_EQ(value, 42 + 2 * 64 + (42 + 64 + 64));
    uint64_t before = stats.arena_bytes;
    eyrie_instance_get_stats(session.instance, &stats);
    if (round) EXPECT_EQ(stats.arena_bytes, before);
  }
}

TEST(Calls, AreShownBehindTheirCaller) {
  Module module = Calling(Factorial(), 3);
  Function unused = Internal("unused", {0, 0, 0, 0, 0, 0});
  unused.Op(VmOp::kRet, {0, 0, 0});
  module.functions.push_back(unused);
  Session session(module);
  std::string text(4000, '\0');
  ASSERT_OK(Status(eyrie_module_disassemble(session.module, 0, text.data(), text.size(), nullptr)));
  EXPECT_NE(text.find("call @factorial#1, (r3), (r0)\n"), std::string::npos) << text;
  EXPECT_NE(text.find("function factorial#1: "), std::string::npos);
  EXPECT_NE(text.find("call @factorial#1, (r3), (r4)\n"), std::string::npos);
  EXPECT_NE(text.find("ret (r0)\n"), std::string::npos);
  EXPECT_EQ(text.find("unused"), std::string::npos);
}

TEST(Calls, TheUserCallsOnlyHisFunctions) {
  Session session(Calling(Factorial(), 3));
  eyrie_module_info_t info;
  eyrie_module_get_info(session.module, &info);
  EXPECT_EQ(info.function_count, 1u);
  uint32_t index = 0;
  EXPECT_STATUS(Status(eyrie_module_find(session.module, "factorial", &index)), EYRIE_NOT_FOUND, "factorial");
  EXPECT_STATUS(Status(eyrie_call(session.instance, 1, nullptr, 0, nullptr, 0, nullptr)), EYRIE_NOT_FOUND,
                "no function 1");
}

Status Load(const Module& module) {
  std::vector<uint8_t> bytes = module.Build();
  eyrie_runtime_t* runtime = nullptr;
  eyrie_module_t* loaded = nullptr;
  EXPECT_OK(Status(eyrie_runtime_create(nullptr, &runtime)));
  Status status(eyrie_module_load_memory(runtime, bytes.data(), bytes.size(), nullptr, &loaded));
  eyrie_module_destroy(loaded);
  eyrie_runtime_destroy(runtime);
  return status;
}

TEST(Calls, SignaturesThatCannotBe) {
  Module module = Calling(Factorial(), 3);
  module.functions[1].results = {{"y", EYRIE_I64, {}}};
  EXPECT_STATUS(Load(module), EYRIE_INVALID_ARGUMENT, "it has arguments, results or states");
  module = Calling(Factorial(), 3);
  std::swap(module.functions[0], module.functions[1]);
  EXPECT_STATUS(Load(module), EYRIE_INVALID_ARGUMENT, "lies behind functions that others call");
  module = Calling(Factorial(), 3);
  module.functions[1].internal = false;
  EXPECT_STATUS(Load(module), EYRIE_INVALID_ARGUMENT, "others call it, but it is not internal");
  module = Calling(Factorial(), 3);
  Function greedy = Internal("greedy", {0xffffffff, 0, 0, 0, 0, 0});
  greedy.Op(VmOp::kRet, {0, 0, 0});
  module.functions.push_back(greedy);
  EXPECT_STATUS(Load(module), EYRIE_INVALID_ARGUMENT, "integer parameters 4294967295, limit 17");
}

}  // namespace
}  // namespace eyrie::rt::testing
