// Every operand of every opcode, one step out of range.
#include "runtime/vm/verifier.h"

#include <gtest/gtest.h>

#include "abi/vm_encoding.h"
#include "runtime/testing/session.h"

namespace eyrie::rt::vm {
namespace {

using abi::VmOp;

const uint32_t kRanks[] = {2}, kSequences[] = {kSequence};
const ExportCounts kExports[] = {{2, 3}};
const HostCounts kHostFunctions[] = {{2, 3}};
const uint32_t kStates[] = {3};
const uint8_t kTypes[] = {EYRIE_F32, EYRIE_F32};

const Banks kTaken = {2, 1, 1}, kGiven = {1, 2, 1};

struct Sample {
  std::vector<uint32_t> code, blocks = {0};
  bool takes_sequence = false;
  bool is_callee = false;
  Function Get() const {
    Function function;
    function.name = "sample";
    function.code = code;
    function.blocks = blocks;
    function.int_registers = 4;
    function.buffer_registers = 3;
    function.list_registers = 2;
    function.argument_ranks = function.result_ranks = {takes_sequence ? kSequences : kRanks, 1};
    function.types = kTypes;
    function.is_callee = is_callee;
    if (is_callee) function.returned = kGiven;
    return function;
  }
  Status Check() const {
    Function same = Get(), callee;  // what a tail call goes to, and what a call calls
    same.is_callee = false;
    callee.is_callee = true;
    callee.parameters = kTaken;
    callee.returned = kGiven;
    const Function functions[] = {same, same, callee};
    return Verify({1, {kExports, 1}, {kStates, 1}, 0, functions, {kHostFunctions, 1}}, Get());
  }
};

struct Operand {
  size_t word;
  uint64_t limit;  // first value that is not allowed
};

// A valid instruction of every opcode, and where its operands are.
Sample MakeSample(const abi::VmOpInfo& info, std::vector<Operand>* operands) {
  std::vector<uint32_t> words = {0};
  auto push = [&](uint32_t value, uint64_t limit) {
    operands->push_back({words.size(), limit});
    words.push_back(value);
  };
  for (const char* kind = info.operands; *kind; ++kind) {
    switch (*kind) {
      case 'd':
      case 's':
        push(3, 4);
        break;
      case 'b':
      case 'B':
        push(2, 3);
        break;
      case 'l':
      case 'L':
        push(1, 2);
        break;
      case 'k':
      case 'a':
      case 'o':
      case 't':
      case 'x':
      case 'g':
      case 'h':
        push(0, 1);
        break;
      case 'c':
        push(2, 3);
        break;
      case 'f':  // behind the sample, which is function 0
        push(1, 2);
        break;
      case 'e':
        push(EYRIE_F32, 49);
        break;
      case 'i':  // 1 is valid wherever an immediate is
        push(1, info.op == VmOp::kArgDim                           ? 2
                : info.op == VmOp::kExtS || info.op == VmOp::kExtU ? 65
                : info.op == VmOp::kFill                           ? 9
                : info.op == VmOp::kListDim                        ? 32
                : info.op == VmOp::kGlobalDim                      ? 3
                                                                   : EYRIE_INCOMPATIBLE + 1);
        break;
      case 'I':
        words.insert(words.end(), {1, 2});
        break;
      case 'S': {
        uint32_t count = info.op == VmOp::kBufResult ? 2 : 3;
        push(count, count + 1);
        for (uint32_t i = 0; i < count; ++i) push(i, 4);
        break;
      }
      case 'R':
      case 'W': {
        const Banks& banks = *kind == 'W' || info.op == VmOp::kRet ? kGiven : kTaken;
        for (auto [count, limit] : {std::pair(banks.ints, 4u), {banks.buffers, 3u}, {banks.lists, 2u}}) {
          push(count, count + 1);
          for (uint32_t i = 0; i < count; ++i) push(i, limit);
        }
        break;
      }
      case 'P':
        push(2, 3);
        for (uint32_t i = 0; i < 2; ++i) {
          push(2, 4);
          push(3, 4);
          push(i, 8);
          words.push_back(7);
        }
        break;
      case 'G':
        push(2, 3);
        for (int i = 0; i < 2; ++i) {
          push(2, 3);
          push(3, 4);
          push(0, 4);
        }
        break;
    }
  }
  words[0] = abi::MakeVmHeader(info.op, static_cast<uint32_t>(words.size()));
  Sample sample;
  sample.code = words;
  sample.takes_sequence = info.op == VmOp::kListArg || info.op == VmOp::kListResult;
  sample.is_callee = info.op == VmOp::kRet;
  if (!abi::IsTerminator(info.op)) sample.code.push_back(abi::MakeVmHeader(VmOp::kReturn, 1));
  return sample;
}

TEST(Verifier, EveryOperandOfEveryOpcode) {
  for (const abi::VmOpInfo& info : abi::kVmOps) {
    std::vector<Operand> operands;
    Sample sample = MakeSample(info, &operands);
    EXPECT_OK(sample.Check());
    for (const Operand& operand : operands) {
      for (uint64_t bad : {operand.limit, operand.limit + 1, uint64_t{0x7fff}, uint64_t{0xffff}, uint64_t{0x7fffffff},
                           uint64_t{0xffffffff}}) {
        Sample broken = sample;
        broken.code[operand.word] = static_cast<uint32_t>(bad);
        EXPECT_FALSE(broken.Check().ok()) << info.name << " word " << operand.word << " = " << bad;
      }
    }
    // One word too few, one too many, with the header saying so or not.
    uint32_t length = abi::VmLengthOf(sample.code[0]);
    for (uint32_t other : {0u, length - 1, length + 1, 0xffffu}) {
      Sample broken = sample;
      broken.code[0] = abi::MakeVmHeader(info.op, other);
      EXPECT_FALSE(broken.Check().ok()) << info.name << " length " << other;
    }
    if (length > 1) {
      Sample broken = sample;
      broken.code.erase(broken.code.begin() + length - 1);
      broken.code[0] = abi::MakeVmHeader(info.op, length - 1);
      EXPECT_FALSE(broken.Check().ok()) << info.name;
    }
  }
}

TEST(Verifier, TensorsAndSequencesAreNotMistaken) {
  for (VmOp op : {VmOp::kArgDim, VmOp::kBufArg, VmOp::kBufResult, VmOp::kListArg, VmOp::kListResult}) {
    std::vector<Operand> operands;
    Sample sample = MakeSample(*abi::FindVmOp(static_cast<uint32_t>(op)), &operands);
    sample.takes_sequence = !sample.takes_sequence;
    EXPECT_STATUS(sample.Check(), EYRIE_INVALID_ARGUMENT,
                  sample.takes_sequence ? "is a sequence, not a tensor" : "is a tensor, not a sequence");
  }
}

TEST(Verifier, Calls) {
  auto sample = [](VmOp op) {
    std::vector<Operand> operands;
    return MakeSample(*abi::FindVmOp(static_cast<uint32_t>(op)), &operands);
  };
  Sample ret = sample(VmOp::kRet), end = sample(VmOp::kReturn), call = sample(VmOp::kCall);
  ret.is_callee = false;
  EXPECT_STATUS(ret.Check(), EYRIE_INVALID_ARGUMENT, "a ret in a function that no other calls");
  end.is_callee = true;
  EXPECT_STATUS(end.Check(), EYRIE_INVALID_ARGUMENT, "a return in a function that others call");
  Sample tail = sample(VmOp::kCallTail);
  tail.code[1] = 2;
  EXPECT_STATUS(tail.Check(), EYRIE_INVALID_ARGUMENT, "a tail call of a function that others call");
  tail.code[1] = 1;
  tail.is_callee = true;
  EXPECT_STATUS(tail.Check(), EYRIE_INVALID_ARGUMENT, "a tail call in a function that others call");
  // One integer less, one more that is given.
  Sample fewer = call;
  fewer.code.erase(fewer.code.begin() + 3);
  fewer.code[2] = 1;
  fewer.code[0] -= 1u << 16;
  EXPECT_STATUS(fewer.Check(), EYRIE_INVALID_ARGUMENT, "1 integers, 1 buffers, 1 lists are passed, expected 2, 1, 1");
  Sample more = call;
  more.code.insert(more.code.begin() + 10, 0);
  more.code[9] = 2;
  more.code[0] += 1u << 16;
  EXPECT_STATUS(more.Check(), EYRIE_INVALID_ARGUMENT,
                "2 integers, 2 buffers, 1 lists are taken from a call, expected 1, 2, 1");
  Function called = end.Get();
  called.is_callee = false;
  const Function others[] = {called, called, called};
  EXPECT_STATUS(Verify({1, {}, {}, 0, others, {}}, call.Get()), EYRIE_INVALID_ARGUMENT, "not for other functions");
  Function greedy = sample(VmOp::kReturn).Get();
  greedy.parameters.ints = 5;
  EXPECT_STATUS(Verify({}, greedy), EYRIE_INVALID_ARGUMENT, "integer parameters 5, limit 5");
}

TEST(Verifier, ElementTypes) {
  auto check = [](VmOp op, size_t word, uint32_t type) {
    std::vector<Operand> operands;
    Sample sample = MakeSample(*abi::FindVmOp(static_cast<uint32_t>(op)), &operands);
    sample.code[word] = type;
    return sample.Check();
  };
  for (uint32_t type : {EYRIE_STRING, EYRIE_COMPLEX128, EYRIE_I4}) {
    EXPECT_OK(check(VmOp::kListGet, 5, type));
    EXPECT_OK(check(VmOp::kListInsert, 4, type));
    EXPECT_STATUS(check(VmOp::kBufLoad, 2, type), EYRIE_INVALID_ARGUMENT, "element type");
    EXPECT_STATUS(check(VmOp::kBufStore, 1, type), EYRIE_INVALID_ARGUMENT, "element type");
  }
  EXPECT_STATUS(check(VmOp::kListGet, 5, EYRIE_SEQUENCE), EYRIE_INVALID_ARGUMENT, "element type 64");
}

TEST(Verifier, RankOfAnElement) {
  for (uint32_t rank : {32u, 33u}) {
    Sample sample;
    sample.code = {abi::MakeVmHeader(VmOp::kListInsert, 8 + rank), 0, 0, 0, EYRIE_F32, 0, 0, rank};
    sample.code.resize(8 + rank);
    sample.code.push_back(abi::MakeVmHeader(VmOp::kReturn, 1));
    if (rank <= 32)
      EXPECT_OK(sample.Check());
    else
      EXPECT_STATUS(sample.Check(), EYRIE_INVALID_ARGUMENT, "rank of an element 33, limit 32");
  }
}

TEST(Verifier, ImmediatesThatMustNotBeZero) {
  for (VmOp op : {VmOp::kExtS, VmOp::kExtU, VmOp::kFill, VmOp::kFail, VmOp::kAssert}) {
    std::vector<Operand> operands;
    const abi::VmOpInfo& info = *abi::FindVmOp(static_cast<uint32_t>(op));
    Sample sample = MakeSample(info, &operands);
    for (size_t i = 0; info.operands[i]; ++i)
      if (info.operands[i] == 'i') sample.code[1 + i] = 0;
    EXPECT_FALSE(sample.Check().ok()) << info.name;
  }
}

TEST(Verifier, UnknownOpcodes) {
  for (uint32_t opcode = 0; opcode < 0x10000; ++opcode) {
    if (abi::FindVmOp(opcode)) continue;
    Sample sample;
    sample.code = {opcode | 1u << 16, abi::MakeVmHeader(VmOp::kReturn, 1)};
    ASSERT_FALSE(sample.Check().ok()) << opcode;
  }
}

TEST(Verifier, Blocks) {
  const uint32_t mov = abi::MakeVmHeader(VmOp::kMov, 3), end = abi::MakeVmHeader(VmOp::kReturn, 1),
                 jump = abi::MakeVmHeader(VmOp::kBr, 2);
  auto check = [](std::vector<uint32_t> code, std::vector<uint32_t> blocks) {
    Sample sample;
    sample.code = code;
    sample.blocks = blocks;
    return sample.Check();
  };
  EXPECT_OK(check({mov, 0, 0, jump, 1, end}, {0, 5}));
  EXPECT_STATUS(check({}, {0}), EYRIE_INVALID_ARGUMENT, "no code");
  EXPECT_STATUS(check({end}, {}), EYRIE_INVALID_ARGUMENT, "no code");
  EXPECT_STATUS(check({mov, 0, 0, end}, {3}), EYRIE_INVALID_ARGUMENT, "word 0");
  EXPECT_STATUS(check({mov, 0, 0}, {0}), EYRIE_INVALID_ARGUMENT, "without a terminator");
  EXPECT_STATUS(check({mov, 0, 0, end}, {0, 3}), EYRIE_INVALID_ARGUMENT, "without a terminator");
  EXPECT_STATUS(check({end, end}, {0}), EYRIE_INVALID_ARGUMENT, "behind the end");
  EXPECT_STATUS(check({mov, 0, 0, end}, {0, 1}), EYRIE_INVALID_ARGUMENT, "length");  // in the middle of the mov
  EXPECT_STATUS(check({end, end, end}, {0, 2, 1}), EYRIE_INVALID_ARGUMENT, "out of order");
  EXPECT_STATUS(check({end, end}, {0, 1, 1}), EYRIE_INVALID_ARGUMENT, "out of order");
  EXPECT_STATUS(check({end, end}, {0, 2}), EYRIE_INVALID_ARGUMENT, "outside");
  EXPECT_STATUS(check({jump, 1, end}, {0}), EYRIE_INVALID_ARGUMENT, "block 1");
}

}  // namespace
}  // namespace eyrie::rt::vm
