#include "runtime/vm/verifier.h"

#include <algorithm>

#include "abi/element_types.h"
#include "abi/module_format.h"
#include "abi/vm_encoding.h"

namespace eyrie::rt::vm {
namespace {

static_assert(static_cast<uint32_t>(abi::VmStatus::kInvalidArgument) == EYRIE_INVALID_ARGUMENT &&
              static_cast<uint32_t>(abi::VmStatus::kInternal) == EYRIE_INTERNAL &&
              static_cast<uint32_t>(abi::VmStatus::kFailedPrecondition) == EYRIE_FAILED_PRECONDITION &&
              static_cast<uint32_t>(abi::VmStatus::kOutOfRange) == EYRIE_OUT_OF_RANGE &&
              static_cast<uint32_t>(abi::VmStatus::kUnimplemented) == EYRIE_UNIMPLEMENTED);

using abi::VmOp;

class FunctionVerifier {
 public:
  FunctionVerifier(const Program& program, const Function& function) : program_(program), function_(function) {}

  Status Run() {
    EYRIE_RETURN_IF_ERROR(CheckSignature());
    EYRIE_RETURN_IF_ERROR(CheckBlocks());
    for (size_t i = 0; i < function_.blocks.size(); ++i) {
      uint32_t end =
          i + 1 < function_.blocks.size() ? function_.blocks[i + 1] : static_cast<uint32_t>(function_.code.size());
      EYRIE_RETURN_IF_ERROR(CheckBlock(function_.blocks[i], end));
    }
    return {};
  }

 private:
  Status Bad(const char* what, uint64_t value, uint64_t limit) const {
    return Error(EYRIE_INVALID_ARGUMENT, "function '%.100s', bytecode word %u: %s %llu, limit %llu", function_.name,
                 at_, what, static_cast<unsigned long long>(value), static_cast<unsigned long long>(limit));
  }
  Status Bad(const char* what) const {
    return Error(EYRIE_INVALID_ARGUMENT, "function '%.100s', bytecode word %u: %s", function_.name, at_, what);
  }

  // A caller copies parameters into registers that exist.
  Status CheckSignature() const {
    const Banks& parameters = function_.parameters;
    EYRIE_RETURN_IF_ERROR(CheckIndex("integer parameters", parameters.ints, function_.int_registers + 1ull));
    EYRIE_RETURN_IF_ERROR(CheckIndex("buffer parameters", parameters.buffers, function_.buffer_registers + 1ull));
    return CheckIndex("list parameters", parameters.lists, function_.list_registers + 1ull);
  }

  Status CheckBlocks() {
    if (function_.code.empty() || function_.blocks.empty()) return Bad("no code");
    if (function_.blocks[0] != 0) return Bad("the first block does not start at word 0");
    for (size_t i = 1; i < function_.blocks.size(); ++i) {
      at_ = function_.blocks[i];
      if (function_.blocks[i] <= function_.blocks[i - 1] || function_.blocks[i] >= function_.code.size())
        return Bad("a block is out of order or outside the code");
    }
    return {};
  }

  Status CheckBlock(uint32_t begin, uint32_t end) {
    for (at_ = begin;;) {
      uint32_t header = function_.code[at_];
      uint32_t length = abi::VmLengthOf(header);
      const abi::VmOpInfo* info = abi::FindVmOp(abi::VmOpcodeOf(header));
      if (!info) return Bad("unknown opcode", abi::VmOpcodeOf(header), 0xffff);
      if (length == 0 || length > end - at_) return Bad("instruction length", length, end - at_);
      EYRIE_RETURN_IF_ERROR(CheckInstruction(*info, at_ + 1, at_ + length));
      at_ += length;
      if (abi::IsTerminator(info->op)) {
        if (at_ != end) return Bad("instructions behind the end of a block");
        return {};
      }
      if (at_ == end) return Bad("a block without a terminator");
    }
  }

  Status CheckIndex(const char* what, uint32_t value, uint64_t limit) const {
    return value < limit ? Status() : Bad(what, value, limit);
  }

  // The operands lie in the words [word, end).
  Status CheckInstruction(const abi::VmOpInfo& info, uint32_t word, uint32_t end) {
    const uint32_t first = word;
    uint32_t list_size = 0, binding_count = 0;
    const Function* callee = nullptr;
    for (const char* kind = info.operands; *kind; ++kind) {
      if (word == end) return Bad("an operand is missing");
      uint32_t value = function_.code[word++];
      switch (*kind) {
        case 'd':
        case 's':
          EYRIE_RETURN_IF_ERROR(CheckIndex("integer register", value, function_.int_registers));
          break;
        case 'b':
        case 'B':
          EYRIE_RETURN_IF_ERROR(CheckIndex("buffer register", value, function_.buffer_registers));
          break;
        case 'l':
        case 'L':
          EYRIE_RETURN_IF_ERROR(CheckIndex("list register", value, function_.list_registers));
          break;
        case 'k':
          EYRIE_RETURN_IF_ERROR(CheckIndex("block", value, function_.blocks.size()));
          break;
        case 'a':
          EYRIE_RETURN_IF_ERROR(CheckIndex("argument", value, function_.argument_ranks.size()));
          break;
        case 'o':
          EYRIE_RETURN_IF_ERROR(CheckIndex("result", value, function_.result_ranks.size()));
          break;
        case 't':
          EYRIE_RETURN_IF_ERROR(CheckIndex("string", value, program_.string_count));
          break;
        case 'x':
          EYRIE_RETURN_IF_ERROR(CheckIndex("export", value, program_.exports.size()));
          break;
        case 'g':
          EYRIE_RETURN_IF_ERROR(CheckIndex("global", value, program_.state_ranks.size() + program_.parameter_count));
          break;
        case 'f':
          EYRIE_RETURN_IF_ERROR(CheckIndex("function", value, program_.functions.size()));
          break;
        case 'c':
          EYRIE_RETURN_IF_ERROR(CheckIndex("function", value, program_.functions.size()));
          callee = &program_.functions[value];
          if (!callee->is_callee) return Bad("a call of a function that is not for other functions");
          break;
        case 'R':
        case 'W': {
          if (!callee && !function_.is_callee) return Bad("a ret in a function that no other calls");
          Banks counts;
          EYRIE_RETURN_IF_ERROR(CheckBanks(value, &word, end, &counts));
          const Banks& expected = !callee ? function_.returned : *kind == 'R' ? callee->parameters : callee->returned;
          if (counts != expected) return BadCounts(*kind == 'W' ? "taken from a call" : "passed", counts, expected);
          break;
        }
        case 'h':
          EYRIE_RETURN_IF_ERROR(CheckIndex("host function", value, program_.host_functions.size()));
          break;
        case 'e':
          EYRIE_RETURN_IF_ERROR(CheckElementType(info.op, value));
          break;
        case 'i':
          break;
        case 'I':
          if (word == end) return Bad("an operand is missing");
          ++word;
          break;
        case 'S':
          if (value > end - word) return Bad("length of a list", value, end - word);
          list_size = value;
          for (uint32_t i = 0; i < value; ++i)
            EYRIE_RETURN_IF_ERROR(CheckIndex("integer register", function_.code[word++], function_.int_registers));
          break;
        case 'P':
          if (value > (end - word) / 4) return Bad("length of a list", value, (end - word) / 4);
          for (uint32_t i = 0; i < value; ++i, word += 4) {
            EYRIE_RETURN_IF_ERROR(CheckIndex("integer register", function_.code[word], function_.int_registers));
            EYRIE_RETURN_IF_ERROR(CheckIndex("integer register", function_.code[word + 1], function_.int_registers));
            EYRIE_RETURN_IF_ERROR(CheckIndex("first step", function_.code[word + 2], function_.code[word + 3] + 1ull));
          }
          break;
        case 'G':
          if (value > (end - word) / 3) return Bad("length of a list", value, (end - word) / 3);
          binding_count = value;
          for (uint32_t i = 0; i < value; ++i) {
            EYRIE_RETURN_IF_ERROR(CheckIndex("buffer register", function_.code[word++], function_.buffer_registers));
            EYRIE_RETURN_IF_ERROR(CheckIndex("integer register", function_.code[word++], function_.int_registers));
            EYRIE_RETURN_IF_ERROR(CheckIndex("integer register", function_.code[word++], function_.int_registers));
          }
          break;
        default:
          return Bad("an operand of an unknown kind");
      }
    }
    if (word != end) return Bad("words behind the last operand");
    return CheckSpecial(info.op, first, list_size, binding_count);
  }

  // Three lists of registers, of which the first has `size` and begins at `*at`.
  Status CheckBanks(uint32_t size, uint32_t* at, uint32_t end, Banks* counts) const {
    auto check = [&](const char* what, uint32_t limit, uint32_t count) -> Status {
      if (count > end - *at) return Bad("length of a list", count, end - *at);
      for (uint32_t i = 0; i < count; ++i) EYRIE_RETURN_IF_ERROR(CheckIndex(what, function_.code[(*at)++], limit));
      return {};
    };
    counts->ints = size;
    EYRIE_RETURN_IF_ERROR(check("integer register", function_.int_registers, counts->ints));
    if (*at == end) return Bad("an operand is missing");
    counts->buffers = function_.code[(*at)++];
    EYRIE_RETURN_IF_ERROR(check("buffer register", function_.buffer_registers, counts->buffers));
    if (*at == end) return Bad("an operand is missing");
    counts->lists = function_.code[(*at)++];
    return check("list register", function_.list_registers, counts->lists);
  }

  Status BadCounts(const char* what, const Banks& given, const Banks& expected) const {
    return Error(EYRIE_INVALID_ARGUMENT,
                 "function '%.100s', bytecode word %u: %u integers, %u buffers, %u lists are %s, expected %u, %u, %u",
                 function_.name, at_, given.ints, given.buffers, given.lists, what, expected.ints, expected.buffers,
                 expected.lists);
  }

  // A list takes elements of every type, a register only scalars.
  Status CheckElementType(VmOp op, uint32_t number) const {
    const abi::ElementTypeInfo* type = abi::FindElementType(number);
    bool is_scalar = op == VmOp::kBufLoad || op == VmOp::kBufStore;
    if (!type || (is_scalar && (type->bits < 8 || type->bits > 64 || type->kind == abi::ElementKind::kString)))
      return Bad("element type", number, 64);
    return {};
  }

  Status CheckKind(const char* what, std::span<const uint32_t> ranks, uint32_t index, bool is_sequence) const {
    if ((ranks[index] == kSequence) == is_sequence) return {};
    return Error(EYRIE_INVALID_ARGUMENT, "function '%.100s', bytecode word %u: %s %u is %s", function_.name, at_, what,
                 index, is_sequence ? "a tensor, not a sequence" : "a sequence, not a tensor");
  }

  // What an instruction asks beyond the kinds of its operands.
  Status CheckSpecial(VmOp op, uint32_t first, uint32_t list_size, uint32_t binding_count) const {
    const uint32_t* word = &function_.code[0] + first;
    switch (op) {
      case VmOp::kBufArg:
        return CheckKind("argument", function_.argument_ranks, word[1], false);
      case VmOp::kListArg:
        return CheckKind("argument", function_.argument_ranks, word[1], true);
      case VmOp::kListResult:
        return CheckKind("result", function_.result_ranks, word[0], true);
      case VmOp::kListDim:
        return CheckIndex("dimension", word[3], abi::kMaxRank);
      case VmOp::kListInsert:
        return list_size <= abi::kMaxRank ? Status() : Bad("rank of an element", list_size, abi::kMaxRank);
      case VmOp::kArgDim:
        EYRIE_RETURN_IF_ERROR(CheckKind("argument", function_.argument_ranks, word[1], false));
        return CheckIndex("dimension", word[2], function_.argument_ranks[word[1]]);
      case VmOp::kBufResult:
        EYRIE_RETURN_IF_ERROR(CheckKind("result", function_.result_ranks, word[1], false));
        if (list_size != function_.result_ranks[word[1]])
          return Bad("sizes given for a result", list_size, function_.result_ranks[word[1]]);
        return {};
      case VmOp::kCallTail:
        return CheckTail(word[0]);
      case VmOp::kGlobalDim:
        EYRIE_RETURN_IF_ERROR(CheckIndex("state", word[1], program_.state_ranks.size()));
        return CheckIndex("dimension", word[2], program_.state_ranks[word[1]]);
      case VmOp::kGlobalStore:
        EYRIE_RETURN_IF_ERROR(CheckIndex("state", word[0], program_.state_ranks.size()));
        if (list_size == program_.state_ranks[word[0]]) return {};
        return Bad("sizes given for a state", list_size, program_.state_ranks[word[0]]);
      case VmOp::kDispatch: {
        const ExportCounts& counts = program_.exports[word[0]];
        if (list_size != counts.constants) return Bad("constants of a dispatch", list_size, counts.constants);
        if (binding_count != counts.bindings) return Bad("bindings of a dispatch", binding_count, counts.bindings);
        return {};
      }
      case VmOp::kHostCall: {
        const HostCounts& counts = program_.host_functions[word[0]];
        if (list_size != counts.sizes) return Bad("sizes given for a host function", list_size, counts.sizes);
        if (binding_count != counts.tensors) return Bad("tensors of a host function", binding_count, counts.tensors);
        return {};
      }
      case VmOp::kExtS:
      case VmOp::kExtU:
        return word[2] >= 1 && word[2] <= 64 ? Status() : Bad("bits", word[2], 64);
      case VmOp::kFill:
        return word[4] == 1 || word[4] == 2 || word[4] == 4 || word[4] == 8 ? Status()
                                                                            : Bad("pattern bytes", word[4], 8);
      case VmOp::kReturn:
        return function_.is_callee ? Bad("a return in a function that others call") : Status();
      case VmOp::kFail:
        return CheckCode(word[0]);
      case VmOp::kAssert:
        return CheckCode(word[1]);
      default:
        return {};
    }
  }

  // Only forward, so that a call ends; the caller's tensors, symbols and states were bound for the signature of this
  // one.
  Status CheckTail(uint32_t index) const {
    if (index <= function_.index) return Bad("a tail call goes back to function", index, function_.index);
    const Function &from = function_, &to = program_.functions[index];
    if (from.is_callee) return Bad("a tail call in a function that others call");
    if (to.is_callee) return Bad("a tail call of a function that others call");
    auto equal = [](auto a, auto b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); };
    if (!equal(from.argument_ranks, to.argument_ranks) || !equal(from.result_ranks, to.result_ranks) ||
        !equal(from.types, to.types))
      return Bad("a tail call of a function with another signature");
    if (!std::includes(from.states.begin(), from.states.end(), to.states.begin(), to.states.end()))
      return Bad("a tail call of a function with states that this one has not");
    return {};
  }

  Status CheckCode(uint32_t code) const {
    return code >= 1 && code <= EYRIE_INCOMPATIBLE ? Status() : Bad("status code", code, EYRIE_INCOMPATIBLE);
  }

  const Program& program_;
  const Function& function_;
  uint32_t at_ = 0;
};

}  // namespace

Status Verify(const Program& program, const Function& function) { return FunctionVerifier(program, function).Run(); }

}  // namespace eyrie::rt::vm
