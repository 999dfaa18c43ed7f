#include "abi/module_format.h"
#include "compiler/vm/Code.h"
#include <queue>

using namespace eyrie;
using namespace eyrie::vm;
using abi::VmOp;

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

constexpr size_t kNever = ~size_t(0);

/// First and last instruction at which each virtual register of a bank holds its value.
struct Lifetimes {
  Lifetimes(Code &code, bool isOfBuffers)
      : first(isOfBuffers ? code.numBuffers : code.numInts, kNever), last(first.size(), 0) {
    for (auto [at, instruction] : llvm::enumerate(code.instructions))
      visitWords(instruction, [&, at = at](WordKind kind, uint32_t &word) {
        bool isBuffer = kind == WordKind::BufferUse || kind == WordKind::BufferDef;
        bool isInt = kind == WordKind::IntUse || kind == WordKind::IntDef;
        if (isOfBuffers ? !isBuffer : !isInt)
          return;
        first[word] = std::min(first[word], at);
        last[word] = std::max(last[word], at);
      });
  }
  /// What is needed in a later turn of a loop, or after one way through an if, lives to the end of it.
  void extend(const Span &span) {
    for (auto [begin, end] : llvm::zip(first, last))
      if (begin < span.begin && end >= span.begin && end < span.end)
        end = span.end;
  }

  std::vector<size_t> first, last;
};

/// Registers of one bank.
class Bank {
public:
  Bank(Code &code, bool isOfBuffers) : lifetimes(code, isOfBuffers), assigned(lifetimes.first.size(), ~0u) {
    for (const Span &span : code.spans)
      if (span.isLoop)
        lifetimes.extend(span);
    ending.resize(code.instructions.size());
    for (auto [reg, end] : llvm::enumerate(lifetimes.last))
      if (lifetimes.first[reg] != kNever)
        ending[end].push_back(reg);
  }

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
  /// Frees the registers whose last mention is instruction `at`: those that it reads before it writes any, the others
  /// after it.
  void releaseRead(size_t at, llvm::ArrayRef<uint32_t> written) {
    for (uint32_t reg : ending[at])
      if (!llvm::is_contained(written, reg))
        free.push(assigned[reg]);
  }
  void releaseWritten(size_t at, llvm::ArrayRef<uint32_t> written) {
    for (uint32_t reg : ending[at])
      if (llvm::is_contained(written, reg))
        free.push(assigned[reg]);
  }
  uint32_t size() const { return count; }

private:
  Lifetimes lifetimes;
  std::vector<uint32_t> assigned;
  std::vector<llvm::SmallVector<uint32_t, 2>> ending;
  uint32_t count = 0;
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> free;
};

} // namespace

void vm::insertDrops(Code &code) {
  Lifetimes lifetimes(code, /*isOfBuffers=*/true);
  for (const Span &span : code.spans)
    lifetimes.extend(span);
  std::vector<llvm::SmallVector<uint32_t, 1>> dropsBehind(code.instructions.size());
  for (auto [reg, end] : llvm::enumerate(lifetimes.last))
    if (lifetimes.first[reg] != kNever && code.ownsBlock[reg])
      dropsBehind[end].push_back(reg);
  std::vector<Instruction> instructions;
  std::vector<size_t> moved; // old number -> new number
  std::vector<uint32_t> newStarts;
  llvm::SmallVector<uint32_t, 1> pending;
  auto next = code.blockStarts.begin();
  for (auto [at, instruction] : llvm::enumerate(code.instructions)) {
    if (next != code.blockStarts.end() && *next == at) {
      newStarts.push_back(instructions.size());
      ++next;
    }
    for (uint32_t reg : pending)
      instructions.push_back({VmOp::kBufDrop, {reg}});
    pending = dropsBehind[at];
    moved.push_back(instructions.size());
    instructions.push_back(std::move(instruction));
  }
  for (Span &span : code.spans)
    span = {moved[span.begin], moved[span.end], span.isLoop};
  code.instructions = std::move(instructions);
  code.blockStarts = std::move(newStarts);
}

bool vm::encode(Code code, llvm::StringRef name, Program &program) {
  Bank ints(code, /*isOfBuffers=*/false), buffers(code, /*isOfBuffers=*/true);
  for (auto [at, instruction] : llvm::enumerate(code.instructions)) {
    // A destination may take over a register that is read for the last time.
    llvm::SmallVector<uint32_t> writtenInts, writtenBuffers;
    visitWords(instruction, [&](WordKind kind, uint32_t &word) {
      if (kind == WordKind::IntDef)
        writtenInts.push_back(word);
      else if (kind == WordKind::BufferDef)
        writtenBuffers.push_back(word);
      else if (kind == WordKind::IntUse)
        word = ints.define(word);
      else if (kind == WordKind::BufferUse)
        word = buffers.define(word);
      else if (kind == WordKind::Label)
        word = code.labelBlocks[word];
    });
    ints.releaseRead(at, writtenInts);
    buffers.releaseRead(at, writtenBuffers);
    visitWords(instruction, [&](WordKind kind, uint32_t &word) {
      if (kind == WordKind::IntDef)
        word = ints.define(word);
      else if (kind == WordKind::BufferDef)
        word = buffers.define(word);
    });
    ints.releaseWritten(at, writtenInts);
    buffers.releaseWritten(at, writtenBuffers);
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
