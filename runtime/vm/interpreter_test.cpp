// The integer instructions, what is checked while code runs, and the disassembler.
#include "runtime/vm/interpreter.h"

#include <gtest/gtest.h>

#include "runtime/testing/session.h"
#include "runtime/vm/verifier.h"

namespace eyrie::rt::vm {
namespace {

using abi::VmOp;

// Runs code whose register r0 is then result 0 of type i64 with one element.
Status Evaluate(testing::Function f, int64_t* value) {
  testing::Module module;
  module.strings = {"a message"};
  f.results = {{"y", EYRIE_I64, {}}};
  f.Op(VmOp::kConst, {15, 0, 0}).Op(VmOp::kBufResult, {7, 0, 0}).Op(VmOp::kBufStore, {EYRIE_I64, 7, 15, 0});
  f.Op(VmOp::kReturn);
  module.functions = {f};
  testing::Session session(module);
  eyrie_tensor_t output = {};
  Status status = session.Call(nullptr, 0, &output, 1);
  if (status.ok()) *value = *static_cast<int64_t*>(output.data);
  return status;
}

constexpr int64_t kMin = INT64_MIN, kMax = INT64_MAX;

TEST(Interpreter, BinaryInstructions) {
  struct Case {
    VmOp op;
    int64_t a, b, expected;
  };
  const Case cases[] = {
      {VmOp::kAdd, kMax, 1, kMin},
      {VmOp::kSub, kMin, 1, kMax},
      {VmOp::kMul, kMin, -1, kMin},
      {VmOp::kDivS, -7, 2, -3},
      {VmOp::kDivS, kMin, -1, kMin},
      {VmOp::kRemS, -7, 2, -1},
      {VmOp::kRemS, kMin, -1, 0},
      {VmOp::kDivU, -1, 2, kMax},
      {VmOp::kRemU, -1, 10, 5},
      {VmOp::kDivFloor, -7, 2, -4},
      {VmOp::kDivFloor, 7, -2, -4},
      {VmOp::kDivFloor, -7, -2, 3},
      {VmOp::kDivFloor, kMin, -1, kMin},
      {VmOp::kDivCeil, -7, 2, -3},
      {VmOp::kDivCeil, 7, 2, 4},
      {VmOp::kDivCeil, 7, -2, -3},
      {VmOp::kDivCeil, kMax, 2, 1 + kMax / 2},
      {VmOp::kRemFloor, -7, 2, 1},
      {VmOp::kRemFloor, 7, -2, -1},
      {VmOp::kRemFloor, kMin, -1, 0},
      {VmOp::kMinS, -1, 1, -1},
      {VmOp::kMaxS, -1, 1, 1},
      {VmOp::kMinU, -1, 1, 1},
      {VmOp::kMaxU, -1, 1, -1},
      {VmOp::kAnd, 12, 10, 8},
      {VmOp::kOr, 12, 10, 14},
      {VmOp::kXor, 12, 10, 6},
      {VmOp::kShl, 1, 63, kMin},
      {VmOp::kShl, 1, 64, 0},
      {VmOp::kShl, 1, -1, 0},
      {VmOp::kShrS, -8, 1, -4},
      {VmOp::kShrS, -8, 64, -1},
      {VmOp::kShrU, -8, 61, 7},
      {VmOp::kShrU, -8, 64, 0},
      {VmOp::kCmpEq, 3, 3, 1},
      {VmOp::kCmpNe, 3, 3, 0},
      {VmOp::kCmpLtS, -1, 1, 1},
      {VmOp::kCmpLtU, -1, 1, 0},
      {VmOp::kCmpLeS, 1, 1, 1},
      {VmOp::kCmpLeU, 2, 1, 0},
      {VmOp::kCmpGtS, -1, 1, 0},
      {VmOp::kCmpGtU, -1, 1, 1},
      {VmOp::kCmpGeS, 1, 1, 1},
      {VmOp::kCmpGeU, 0, -1, 0},
  };
  for (const Case& c : cases) {
    int64_t value = 0;
    testing::Function f;
    f.Const(1, c.a).Const(2, c.b).Op(c.op, {0, 1, 2});
    EXPECT_OK(Evaluate(f, &value));
    EXPECT_EQ(value, c.expected) << abi::FindVmOp(static_cast<uint32_t>(c.op))->name << " " << c.a << " " << c.b;
  }
}

TEST(Interpreter, OtherInstructions) {
  int64_t value = 0;
  auto run = [&](auto build) {
    testing::Function f;
    build(f);
    EXPECT_OK(Evaluate(f, &value));
    return value;
  };
  using F = testing::Function;
  EXPECT_EQ(run([](F& f) { f.Const(1, kMin).Op(VmOp::kNeg, {0, 1}); }), kMin);
  EXPECT_EQ(run([](F& f) { f.Const(1, 5).Op(VmOp::kMov, {0, 1}); }), 5);
  EXPECT_EQ(run([](F& f) { f.Const(1, 0x1ff).Op(VmOp::kExtS, {0, 1, 8}); }), -1);
  EXPECT_EQ(run([](F& f) { f.Const(1, 0x1ff).Op(VmOp::kExtU, {0, 1, 8}); }), 255);
  EXPECT_EQ(run([](F& f) { f.Const(1, -3).Op(VmOp::kExtU, {0, 1, 64}); }), -3);
  EXPECT_EQ(run([](F& f) { f.Const(1, 4).Const(2, 5).Const(3, 6).Op(VmOp::kSelect, {0, 1, 2, 3}); }), 5);
  EXPECT_EQ(run([](F& f) { f.Const(2, 5).Const(3, 6).Op(VmOp::kSelect, {0, 1, 2, 3}); }), 6);
  // A loop: r0 = 10 + 9 + ... + 1.
  EXPECT_EQ(run([](F& f) {
              f.Const(1, 10).Const(2, 1).Op(VmOp::kBr, {1}).Block();
              f.Op(VmOp::kAdd, {0, 0, 1}).Op(VmOp::kSub, {1, 1, 2}).Op(VmOp::kCondBr, {1, 1, 2}).Block();
            }),
            55);
}

TEST(Interpreter, ChecksWhileItRuns) {
  int64_t value = 0;
  auto expect = [&](auto build, eyrie_code_t code, const char* text) {
    testing::Function f;
    build(f);
    EXPECT_STATUS(Evaluate(f, &value), code, text);
  };
  using F = testing::Function;
  for (VmOp op : {VmOp::kDivS, VmOp::kDivU, VmOp::kDivFloor, VmOp::kDivCeil, VmOp::kRemS, VmOp::kRemU, VmOp::kRemFloor})
    expect([&](F& f) { f.Const(1, 1).Op(op, {0, 1, 2}); }, EYRIE_OUT_OF_RANGE, "division by zero");
  expect([](F& f) { f.Op(VmOp::kBufSize, {0, 0}); }, EYRIE_FAILED_PRECONDITION, "b0 is null");
  expect([](F& f) { f.Op(VmOp::kBufLoad, {0, EYRIE_I8, 3, 0}); }, EYRIE_FAILED_PRECONDITION, "b3 is null");
  expect([](F& f) { f.Op(VmOp::kAssert, {1, EYRIE_ABORTED, 0}); }, EYRIE_ABORTED, "a message");
  expect([](F& f) { f.Op(VmOp::kFail, {EYRIE_INTERNAL, 0}).Block(); }, EYRIE_INTERNAL, "a message");
  expect([](F& f) { f.Op(VmOp::kReturn).Block(); }, EYRIE_FAILED_PRECONDITION, "without result 0");
  expect([](F& f) { f.Op(VmOp::kBufResult, {1, 0, 0}); }, EYRIE_FAILED_PRECONDITION, "allocated twice");
  expect([](F& f) { f.Op(VmOp::kBufArena, {1, 0}).Op(VmOp::kBufArena, {1, 0}); }, EYRIE_FAILED_PRECONDITION, "twice");
  // Memory: 16 bytes of arena.
  auto memory = [&](auto build, eyrie_code_t code, const char* text) {
    expect(
        [&](F& f) {
          f.Const(1, 16).Op(VmOp::kBufArena, {0, 1}).Op(VmOp::kBufWeights, {1}).Op(VmOp::kMov, {2, 3});
          build(f);
        },
        code, text);
  };
  memory([](F& f) { f.Const(2, 9).Op(VmOp::kBufLoad, {0, EYRIE_I64, 0, 2}); }, EYRIE_OUT_OF_RANGE, "load of 8 bytes");
  memory([](F& f) { f.Const(2, -1).Op(VmOp::kBufLoad, {0, EYRIE_I8, 0, 2}); }, EYRIE_OUT_OF_RANGE, "load of 1 bytes");
  memory([](F& f) { f.Const(2, kMax).Op(VmOp::kBufStore, {EYRIE_I8, 0, 2, 2}); }, EYRIE_OUT_OF_RANGE, "store");
  memory([](F& f) { f.Const(2, 4).Op(VmOp::kFill, {0, 2, 1, 1, 1}); }, EYRIE_OUT_OF_RANGE, "16 bytes from byte 4");
  memory([](F& f) { f.Const(2, 3).Op(VmOp::kFill, {0, 3, 2, 1, 4}); }, EYRIE_INVALID_ARGUMENT, "pattern of 4 bytes");
  memory([](F& f) { f.Op(VmOp::kFill, {1, 3, 3, 1, 4}); }, EYRIE_PERMISSION_DENIED, "read-only");
  memory([](F& f) { f.Const(2, 8).Op(VmOp::kCopy, {0, 2, 0, 3, 1}); }, EYRIE_OUT_OF_RANGE, "source");
  memory([](F& f) { f.Const(2, 8).Const(4, 4).Op(VmOp::kCopy, {0, 3, 0, 4, 2}); }, EYRIE_INVALID_ARGUMENT, "overlap");
}

// Word 0: no node; from word 4 'first', from word 8 'second'.
testing::Module MappedModule(VmOp failing) {
  testing::Module module;
  testing::Function f;
  f.Const(1, 1).Const(2, 2).Op(failing, {0, 1, 3}).Op(VmOp::kReturn);
  module.functions = {f};
  module.source_map = {{"first", "second"}, {4, 8}, {1, 2}};
  return module;
}

TEST(Interpreter, ErrorsNameTheNode) {
  auto call = [](const testing::Module& module) { return testing::Session(module).Call(nullptr, 0, nullptr, 0); };
  testing::Module module = MappedModule(VmOp::kDivS);
  EXPECT_STATUS(call(module), EYRIE_OUT_OF_RANGE, "node 'second': function 'main', bytecode word 8: division by zero");
  module.source_map.words = {4, 9};
  EXPECT_STATUS(call(module), EYRIE_OUT_OF_RANGE, "node 'first': function 'main', bytecode word 8");
  module.source_map = {{"first"}, {4, 8}, {1, 0}};
  EXPECT_STREQ(call(module).message(), "function 'main', bytecode word 8: division by zero");
  module.source_map.words = {9, 10};
  EXPECT_STREQ(call(module).message(), "function 'main', bytecode word 8: division by zero");
  // Entries are words of the section, not of the function.
  module = MappedModule(VmOp::kDivS);
  testing::Function before;
  before.name = "before";
  before.Op(VmOp::kReturn);
  module.functions = {module.functions[0], before};
  std::swap(module.functions[0], module.functions[1]);
  module.source_map.words = {4, 9};
  testing::Session session(module);
  EXPECT_STATUS(Status(eyrie_call(session.instance, 1, nullptr, 0, nullptr, 0, nullptr)), EYRIE_OUT_OF_RANGE,
                "node 'second': function 'main', bytecode word 8");
}

TEST(Interpreter, DisassemblyShowsNodes) {
  testing::Session session(MappedModule(VmOp::kAdd));
  char text[1000];
  ASSERT_OK(Status(eyrie_module_disassemble(session.module, 0, text, sizeof(text), nullptr)));
  EXPECT_STREQ(text,
               "function main#0: 16 integer registers, 8 buffer registers, 4 list registers\nblock0:\n"
               "      0  const r1, 1\n"
               "      4  const r2, 2  ; first\n"
               "      8  add r0, r1, r3  ; second\n"
               "     12  return\n");
}

TEST(Interpreter, MovesMemory) {
  int64_t value = 0;
  testing::Function f;
  f.Const(1, 64).Op(VmOp::kBufArena, {0, 1}).Const(2, 0x0102).Const(3, 16).Const(4, 32).Const(5, 0);
  f.Op(VmOp::kFill, {0, 5, 3, 2, 2}).Op(VmOp::kBarrier).Op(VmOp::kCopy, {0, 5, 0, 4, 3});
  f.Op(VmOp::kBufLoad, {0, EYRIE_U32, 0, 4});
  EXPECT_OK(Evaluate(f, &value));
  EXPECT_EQ(value, 0x01020102);
  testing::Function g;
  g.Const(1, 64).Op(VmOp::kBufArena, {0, 1}).Const(2, 0x80).Const(3, 3).Op(VmOp::kBufStore, {EYRIE_U8, 0, 3, 2});
  g.Op(VmOp::kBufLoad, {0, EYRIE_I8, 0, 3});
  EXPECT_OK(Evaluate(g, &value));
  EXPECT_EQ(value, -128);
}

}  // namespace
}  // namespace eyrie::rt::vm
