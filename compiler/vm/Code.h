// Bytecode before registers are assigned: instructions over any number of virtual registers.
#pragma once
#include "abi/vm_encoding.h"
#include "compiler/vm/Vm.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

namespace eyrie::vm {

struct Instruction {
  abi::VmOp op;
  /// The operand words after the opcode, as in abi/vm_encoding.h, but with virtual registers for registers and labels
  /// for blocks.
  llvm::SmallVector<uint32_t, 8> words;
  /// The node that it comes from: i is Program::nodes[i - 1], 0 none.
  uint32_t node = 0;
};

/// The instructions of an if or a loop, from the first that is in it to the last, which ends a block. What follows
/// runs after it, whichever way it went.
struct Span {
  size_t begin, end;
  bool isLoop;
};

/// Code in the order in which it will lie. Virtual registers are numbered from 0 in each bank. Blocks appear in order
/// and only loops branch back, to their begin: a virtual register lives from its first to its last mention, and to the
/// end of a loop in which it is mentioned and that begins later.
struct Code {
  std::vector<Instruction> instructions;
  std::vector<uint32_t> labelBlocks; // label -> number of its block
  std::vector<uint32_t> blockStarts; // block -> number of its first instruction
  std::vector<Span> spans;           // inner before outer
  std::vector<bool> ownsBlock;       // buffer -> it may hold a block, which must be given back as soon as possible
  uint32_t numInts = 0, numBuffers = 0, numLists = 0;
};

/// What an operand word of an instruction is.
enum class WordKind { IntUse, IntDef, BufferUse, BufferDef, ListUse, ListDef, Label, Other };

/// Calls `visit(kind, word)` for every operand word of the instruction.
void visitWords(Instruction &instruction, llvm::function_ref<void(WordKind, uint32_t &)> visit);

/// Puts buf.drop behind the last use of every buffer register that may hold a block, and list.drop behind that of
/// lists.
void insertDrops(Code &code);

/// Linear scan: replaces virtual registers by as few real ones as lifetimes allow, labels by block numbers, and
/// appends the encoded function to `program`. Returns false if a limit of the format is exceeded.
bool encode(Code code, llvm::StringRef name, Program &program);

} // namespace eyrie::vm
