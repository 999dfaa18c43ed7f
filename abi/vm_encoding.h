// How VM instructions are encoded: little-endian 32-bit words.
//
//   word 0   opcode in the low 16 bits, length of the whole instruction in words in the high 16 bits
//   then     the operands in the order of their letters in vm_instructions.def:
//            d s b B l L i k a o t x e f c g h one word: a number (register, block, argument, ... or the immediate)
//            I                       two words: low, high
//            R W                     three times a count and so many registers: integers, buffers, lists
//            S                       count, then `count` registers
//            P                       count, then `count` times: size register, offset register, first step, last step
//            G                       count, then `count` times: buffer register, offset register, length register
//
// A function is `code_size` words from `code_offset` of the bytecode section. It is divided into the blocks of its
// block table: a block starts at its offset and ends just before the next one, its last instruction is a terminator
// (br, cond_br, return, fail, call.tail, ret), and it has no other terminator. Block 0 is the entry. Code may only jump
// to blocks.
#ifndef EYRIE_ABI_VM_ENCODING_H_
#define EYRIE_ABI_VM_ENCODING_H_

#include <cstddef>
#include <cstdint>

namespace eyrie::abi {

enum class VmOp : uint16_t {
#define EYRIE_VM_OP(Id, opcode, name, operands, doc) k##Id = opcode,
#include "abi/vm_instructions.def"
};

// The texts lie in the row: pointers would have to be relocated, which takes more bytes than the rows.
struct VmOpInfo {
  VmOp op;
  char name[14];
  char operands[8];
};

inline constexpr VmOpInfo kVmOps[] = {
#define EYRIE_VM_OP(Id, opcode, name, operands, doc) {VmOp::k##Id, name, operands},
#include "abi/vm_instructions.def"
};

// The row of an opcode, or null if there is none.
constexpr const VmOpInfo* FindVmOp(uint32_t opcode) {
  for (const VmOpInfo& info : kVmOps)
    if (static_cast<uint32_t>(info.op) == opcode) return &info;
  return nullptr;
}

constexpr bool IsTerminator(VmOp op) {
  return op == VmOp::kBr || op == VmOp::kCondBr || op == VmOp::kReturn || op == VmOp::kFail || op == VmOp::kCallTail ||
         op == VmOp::kRet;
}

constexpr uint32_t MakeVmHeader(VmOp op, uint32_t words) { return static_cast<uint32_t>(op) | words << 16; }
constexpr uint32_t VmOpcodeOf(uint32_t header) { return header & 0xffff; }
constexpr uint32_t VmLengthOf(uint32_t header) { return header >> 16; }

// Codes for `fail` and `assert`: some of EYRIE_* in include/eyrie/runtime.h, with the same numbers.
enum class VmStatus : uint32_t {
  kInvalidArgument = 3,
  kFailedPrecondition = 9,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
};

inline constexpr uint32_t kMaxVmInstructionWords = 0xffff;

}  // namespace eyrie::abi

#endif  // EYRIE_ABI_VM_ENCODING_H_
