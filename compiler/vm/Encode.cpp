#include "abi/module_format.h"
#include "compiler/vm/Code.h"
#include <queue>

using namespace eyrie;
using namespace eyrie::vm;

void vm::visitWords(Instruction &instruction, llvm::function_ref<void(WordKind, uint32_t &)> visit) {
  uint32_t *word = instruction.words.data();
  for (const char *letter = abi::FindVmOp(static_cast<uint32_t>(instruction.op))->operands; *letter; ++letter) {
    switch (*letter) {
    case 'd':
      visit(WordKind::IntDef, *word++);
      break;
    case 's':
      visit(WordKind::IntUse, *word++);
      break;
    case 'B':
      visit(WordKind::BufferDef, *word++);
      break;
    case 'b':
      visit(WordKind::BufferUse, *word++);
      break;
    case 'k':
      visit(WordKind::Label, *word++);
      break;
    case 'I':
      visit(WordKind::Other, *word++);
      visit(WordKind::Other, *word++);
      break;
    case 'S':
    case 'G': {
      uint32_t count = *word;
      visit(WordKind::Other, *word++);
      for (uint32_t i = 0; i < count; ++i) {
        if (*letter == 'G') {
          visit(WordKind::BufferUse, *word++);
          visit(WordKind::IntUse, *word++);
        }
        visit(WordKind::IntUse, *word++);
      }
      break;
    }
    default:
      visit(WordKind::Other, *word++);
    }
  }
  assert(word == instruction.words.end() && "operands do not match vm_instructions.def");
}

namespace {

/// Registers of one bank.
class Bank {
public:
  Bank(uint32_t numVirtual) : lastUse(numVirtual, 0), assigned(numVirtual, ~0u) {}

  void noteUse(uint32_t reg, uint32_t at) { lastUse[reg] = at; }

  /// The real register of a virtual one, which is chosen at its first mention.
  uint32_t define(uint32_t reg) {
    if (assigned[reg] != ~0u)
      return assigned[reg];
    if (free.empty())
      return assigned[reg] = count++;
    assigned[reg] = free.top();
    free.pop();
    return assigned[reg];
  }
  void release(uint32_t real) { free.push(real); }
  bool isDead(uint32_t reg, uint32_t at) const { return lastUse[reg] == at; }
  uint32_t size() const { return count; }

private:
  std::vector<uint32_t> lastUse, assigned;
  uint32_t count = 0;
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> free;
};

} // namespace

bool vm::encode(Code code, llvm::StringRef name, Program &program) {
  Bank ints(code.numInts), buffers(code.numBuffers);
  auto bankOf = [&](WordKind kind) -> Bank & {
    return kind == WordKind::IntUse || kind == WordKind::IntDef ? ints : buffers;
  };
  auto isUse = [](WordKind kind) { return kind == WordKind::IntUse || kind == WordKind::BufferUse; };
  auto isDef = [](WordKind kind) { return kind == WordKind::IntDef || kind == WordKind::BufferDef; };

  for (auto [at, instruction] : llvm::enumerate(code.instructions))
    visitWords(instruction, [&, at = at](WordKind kind, uint32_t &word) {
      if (isUse(kind) || isDef(kind))
        bankOf(kind).noteUse(word, at);
    });

  for (auto [at, instruction] : llvm::enumerate(code.instructions)) {
    // Uses first: a destination may take over a register that is read for the last time. A register that dies here is
    // given back once, after all its mentions in this instruction have been rewritten.
    llvm::SmallVector<std::pair<Bank *, uint32_t>> dying;
    visitWords(instruction, [&, at = at](WordKind kind, uint32_t &word) {
      if (!isUse(kind))
        return;
      Bank &bank = bankOf(kind);
      bool dies = bank.isDead(word, at);
      word = bank.define(word);
      if (dies && !llvm::is_contained(dying, std::make_pair(&bank, word)))
        dying.emplace_back(&bank, word);
    });
    for (auto [bank, real] : dying)
      bank->release(real);
    dying.clear();
    visitWords(instruction, [&, at = at](WordKind kind, uint32_t &word) {
      if (kind == WordKind::Label)
        word = code.labelBlocks[word];
      if (!isDef(kind))
        return;
      Bank &bank = bankOf(kind);
      bool dies = bank.isDead(word, at);
      word = bank.define(word);
      if (dies)
        dying.emplace_back(&bank, word);
    });
    for (auto [bank, real] : dying)
      bank->release(real);
  }

  Function function;
  function.name = name.str();
  function.codeOffset = program.code.size();
  function.intRegisters = ints.size();
  function.bufferRegisters = buffers.size();
  size_t nextBlock = 0;
  for (auto [at, instruction] : llvm::enumerate(code.instructions)) {
    if (nextBlock < code.blockStarts.size() && code.blockStarts[nextBlock] == at) {
      function.blocks.push_back(program.code.size() - function.codeOffset);
      ++nextBlock;
    }
    uint32_t length = instruction.words.size() + 1;
    if (length > abi::kMaxVmInstructionWords)
      return false;
    program.code.push_back(abi::MakeVmHeader(instruction.op, length));
    program.code.insert(program.code.end(), instruction.words.begin(), instruction.words.end());
  }
  function.codeSize = program.code.size() - function.codeOffset;
  bool fits = ints.size() <= abi::kMaxRegisters && buffers.size() <= abi::kMaxRegisters;
  program.functions.push_back(std::move(function));
  return fits;
}
