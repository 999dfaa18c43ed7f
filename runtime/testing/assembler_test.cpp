// Programs as text.
#include "runtime/testing/assembler.h"

#include <gtest/gtest.h>

#include "runtime/testing/round_trip.h"
#include "runtime/testing/session.h"

namespace eyrie::rt::testing {
namespace {

// n! of 10, by recursion; the function stands behind the one that calls it.
const char kFactorial[] = R"(
function main: 4 integer registers, 1 buffer registers, 0 list registers
block0:
  const r3, 10
  call @factorial, (r3), (r0)
  assert r0, 3, "no \"result\""
  const r1, 0
  buf.result b0, res0, []
  buf.store i64, b0, r1, r0     ; its only element
  return
function factorial: 5 integer registers, 0 buffer registers, 0 list registers, takes 1, 0, 0, gives 1, 0, 0
block0:
  const r1, 1
  cmp.le.s r2, r0, r1
  cond_br r2, block1, block2
block1:
  ret (r1)
block2:
  sub r3, r0, r1
  call @factorial, (r3), (r4)
  mul r0, r0, r4
  ret (r0)
)";

TEST(Assembler, WritesProgramsOfTests) {
  Module module;
  Tables tables;
  ASSERT_OK(Assemble(kFactorial, tables, &module.functions));
  module.strings = tables.strings;
  EXPECT_EQ(module.strings, std::vector<std::string>{"no \"result\""});
  module.functions[0].results = {{"y", EYRIE_I64, {}}};
  Session session(module);
  eyrie_tensor_t output = {};
  ASSERT_OK(session.Call(nullptr, 0, &output, 1));
  EXPECT_EQ(*static_cast<int64_t*>(output.data), 3628800);
  uint64_t words = 0;
  EXPECT_OK(CheckRoundTrip(*session.module, &words));
  EXPECT_EQ(words, module.functions[0].code.size() + module.functions[1].code.size());
}

// An instruction of every row, with operands that use all of their words.
TEST(Assembler, EveryInstructionComesBack) {
  // Names that need quotes and escapes, and twice the same.
  Module module;
  module.strings = {"a", "two\nlines\t\"quoted\" \\ ; # \x7f \xc3\xa9"};
  module.states = {{{"past/key", EYRIE_F32, {2, 2}}, {}}, {{"a, b", EYRIE_F32, {2, 2}}, {}}};
  Function callee;
  callee.name = "call, me";
  callee.internal = true;
  callee.callee = {2, 1, 1, 1, 2, 0};
  callee.Op(abi::VmOp::kRet, {1, 3, 2, 0, 1, 0});
  Function main;
  main.arguments = {{"x", EYRIE_F32, {2, 2}}, {"s", EYRIE_F32, {}, 1, true}};
  main.results = {{"y", EYRIE_F32, {2, 2}}, {"t", EYRIE_F32, {}, 1, true}};
  main.states = {0, 1};
  Function tail = main;
  tail.name = "main.batch=1,2";
  tail.internal = true;
  tail.Op(abi::VmOp::kReturn);
  module.functions = {main, tail, callee};
  module.executables = AddScaleModule().executables;
  module.host_functions = {{"text.lower", {EYRIE_STRING, EYRIE_STRING}, {1, 1}, 1}};
  uint32_t covered = 0;
  for (const abi::VmOpInfo& info : abi::kVmOps) {
    if (abi::IsTerminator(info.op) && info.op != abi::VmOp::kCallTail) continue;
    std::vector<uint32_t> words;
    bool is_list = info.op == abi::VmOp::kListArg || info.op == abi::VmOp::kListResult;
    for (const char* kind = info.operands; *kind; ++kind) {
      const auto add = [&](std::initializer_list<uint32_t> more) { words.insert(words.end(), more); };
      switch (*kind) {
        case 'I':
          add({0xfffffff0, 0xffffffff});
          break;
        case 'i':
          add({1});
          break;
        case 'a':
        case 'o':
          add({is_list});
          break;
        case 'k':
          add({0});
          break;
        case 't':
          add({1});
          break;
        case 'x':
          add({1});
          break;
        case 'g':
          add({1});
          break;
        case 'h':
          add({0});
          break;
        case 'f':
          add({1});
          break;
        case 'c':
          add({2});
          break;
        case 'e':
          add({EYRIE_F32});
          break;
        case 'S':
          if (info.op == abi::VmOp::kDispatch) {
            const Export& item = module.executables[0].exports[1];
            words.push_back(item.constants);
            for (uint32_t i = 0; i < item.constants; ++i) words.push_back(5 + i);
          } else {
            add({2, 4, 5});
          }
          break;
        case 'G': {
          uint32_t count = info.op == abi::VmOp::kHostCall ? 2 : module.executables[0].exports[1].bindings;
          words.push_back(count);
          for (uint32_t i = 0; i < count; ++i) add({i, 7, 8 + i});
          break;
        }
        case 'P':
          add({2, 1, 2, 0, 3, 3, 4, 1, 4});
          break;
        case 'R':
          add({2, 5, 6, 1, 7, 1, 3});
          break;
        case 'W':
          add({1, 9, 2, 1, 2, 0});
          break;
        default:
          add({3});
          break;
      }
    }
    Function& f = module.functions[0];
    if (info.op == abi::VmOp::kCallTail) f.Op(abi::VmOp::kBr, {1}).Block();
    f.code.push_back(abi::MakeVmHeader(info.op, static_cast<uint32_t>(words.size()) + 1));
    f.code.insert(f.code.end(), words.begin(), words.end());
    if (info.op == abi::VmOp::kCallTail) f.Block();
    ++covered;
  }
  module.functions[0].Op(abi::VmOp::kFail, {EYRIE_ABORTED, 0});
  EXPECT_EQ(covered + 5, std::size(abi::kVmOps));
  Session session(module);
  ASSERT_NE(session.module, nullptr);
  uint64_t words = 0;
  EXPECT_OK(CheckRoundTrip(*session.module, &words));
  std::string text = TextOf(*session.module, session.module->FunctionAt(0));
  EXPECT_NE(text.find("\"two\\x0alines\\x09\\\"quoted\\\" \\\\ ; # \\x7f \xc3\xa9\"#1"), text.npos) << text;
  EXPECT_NE(text.find("call @\"call, me\"#2, (r5, r6, b7, l3), (r9, b1, b2)"), text.npos) << text;
}

TEST(Assembler, ErrorsNameTheLine) {
  const std::string head = "function main: 4 integer registers, 1 buffer registers, 0 list registers\nblock0:\n";
  const struct {
    std::string text;
    const char* error;
  } cases[] = {
      {"", "the text has no function"},
      {"return", "line 1: expected 'function NAME: ...', found 'return'"},
      {"function main", "line 1: expected ':', found the end of the line"},
      {"function main: x", "line 1: expected a number, found 'x'"},
      {"function main: 4 integers", "line 1: expected 'integer registers', found 'integers'"},
      {head.substr(0, head.find('\n')) + ", takes 1, 0", "line 1: expected ',', found the end of the line"},
      {head.substr(0, head.find('\n')) + "\nreturn", "line 2: expected 'block0:', found 'return'"},
      {head + "block2:", "line 3: block2 stands where block1 is expected"},
      {head + head + "call.tail @main", "line 5: there are 2 functions 'main'; say the number: @main#0"},
      {head + "jump block0", "line 3: there is no instruction 'jump'"},
      {head + "add r0, r1", "line 3: expected ',', found the end of the line"},
      {head + "add r0, r1, b0", "line 3: expected 'r' and a number, found 'b0'"},
      {head + "add r0, r1, r", "line 3: expected a number, found the end of the line"},
      {head + "return 1", "line 3: expected the end of the line, found '1'"},
      {head + "mov r0, r4294967296", "line 3: a number is larger than 4294967295"},
      {head + "const r0, x", "line 3: expected an integer of 64 bits, found 'x'"},
      {head + "const r0, 9223372036854775808", "line 3: an integer does not fit in 64 bits"},
      {head + "const r0, -9223372036854775809", "line 3: an integer does not fit in 64 bits"},
      {head + "fail 3, \"open", "line 3: expected '\"', found the end of the line"},
      {head + "fail 3, open", "line 3: expected a string in quotes, found 'open'"},
      {head + "fail 3, \"\\n\"", "line 3: expected \\\", \\\\ or \\xHH"},
      {head + "buf.load r0, f33, b0, r1", "line 3: there is no element type 'f33'"},
      {head + "call.tail @other", "line 3: there is no function 'other' in the text; say its number: @other#0"},
      {head + "call.tail other", "line 3: expected '@', found 'other'"},
      {head + "cmd.dispatch add, r0, r0, r0, [], {}", "line 3: there is no export 'add'; say its number: add#0"},
      {head + "global.buf b0, kv", "line 3: there is no global 'kv'; say its number: kv#0"},
      {head + "ret (b0, r1)", "line 3: expected a register: first r, then b, then l, found 'r1)'"},
      {head + "ret (r0", "line 3: expected ',', found the end of the line"},
      {head + "arena.pack r0, {r0 > r1 in 2..3}", "line 3: expected '->', found '> r1 in 2..3}'"},
  };
  for (const auto& each : cases) {
    Tables tables;
    std::vector<Function> functions;
    EXPECT_STATUS(Assemble(each.text, tables, &functions), EYRIE_INVALID_ARGUMENT, each.error);
  }
  Tables tables;
  std::vector<Function> functions;
  EXPECT_STATUS(Assemble("function a#1: \nfunction b: ", tables, &functions), EYRIE_INVALID_ARGUMENT,
                "line 2: function 'b' has the number of 'a'");
  std::string many = head + "buf.result b0, res0, [r0";
  for (int i = 0; i < 70000; ++i) many += ", r0";
  EXPECT_STATUS(Assemble(many + "]", tables, &functions), EYRIE_INVALID_ARGUMENT,
                "line 3: the instruction has 70005 words, limit 65535");
}

TEST(Assembler, NamesOfTables) {
  Tables tables = {{"first"}, {"add", "scale"}, {"past/key", "past/value"}};
  std::vector<Function> functions;
  ASSERT_OK(
      Assemble("function main: 4 integer registers, 1 buffer registers, 0 list registers\n"
               "block0:\n cmd.dispatch scale, r0, r1, r2, [], {}\n global.buf b0, past/value\n"
               "fail 3, \"second\"\n fail 3, \"first\"\n fail 3, \"second\"",
               tables, &functions));
  EXPECT_EQ(tables.strings, (std::vector<std::string>{"first", "second"}));
  const std::vector<uint32_t>& code = functions[0].code;
  EXPECT_EQ(code[1], 1u);
  EXPECT_EQ(code[9], 1u);
  EXPECT_EQ(std::vector<uint32_t>({code[12], code[15], code[18]}), (std::vector<uint32_t>{1, 0, 1}));
}

}  // namespace
}  // namespace eyrie::rt::testing
