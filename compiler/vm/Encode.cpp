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
    case 'L':
      visit(WordKind::ListDef, *word++);
      break;
    case 'l':
      visit(WordKind::ListUse, *word++);
      break;
    case 'k':
      visit(WordKind::Label, *word++);
      break;
    case 'I':
      visit(WordKind::Other, *word++);
      visit(WordKind::Other, *word++);
      break;
    case 'P': {
      uint32_t count = *word;
      visit(WordKind::Other, *word++);
      for (uint32_t i = 0; i < count; ++i) {
        visit(WordKind::IntUse, *word++);
        visit(WordKind::IntDef, *word++);
        visit(WordKind::Other, *word++);
        visit(WordKind::Other, *word++);
      }
      break;
    }
    case 'R':
    case 'W':
      for (auto [use, def] :
           {std::pair(WordKind::IntUse, WordKind::IntDef), std::pair(WordKind::BufferUse, WordKind::BufferDef),
            std::pair(WordKind::ListUse, WordKind::ListDef)}) {
        uint32_t count = *word;
        visit(WordKind::Other, *word++);
        for (uint32_t i = 0; i < count; ++i)
          visit(*letter == 'R' ? use : def, *word++);
      }
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

/// Registers of one kind.
struct BankKind {
  WordKind use, def;
  uint32_t Code::*count; // virtual registers
};
constexpr BankKind kBanks[] = {{WordKind::IntUse, WordKind::IntDef, &Code::numInts},
                               {WordKind::BufferUse, WordKind::BufferDef, &Code::numBuffers},
                               {WordKind::ListUse, WordKind::ListDef, &Code::numLists}};

/// First and last instruction at which each virtual register of a bank holds its value.
struct Lifetimes {
  Lifetimes(Code &code, BankKind bank) : first(code.*bank.count, kNever), last(first.size(), 0) {
    for (auto [at, instruction] : llvm::enumerate(code.instructions))
      visitWords(instruction, [&, at = at](WordKind kind, uint32_t &word) {
        if (kind != bank.use && kind != bank.def)
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
  Bank(Code &code, BankKind kind) : kind(kind), lifetimes(code, kind), assigned(lifetimes.first.size(), ~0u) {
    for (const Span &span : code.spans)
      if (span.isLoop)
        lifetimes.extend(span);
    ending.resize(code.instructions.size());
    for (auto [reg, end] : llvm::enumerate(lifetimes.last))
      if (lifetimes.first[reg] != kNever)
        ending[end].push_back(reg);
  }

  /// Assigns the registers of instruction `at`. A destination may take over a register that is read for the last time.
  void assign(size_t at, Instruction &instruction) {
    llvm::SmallVector<uint32_t> written;
    visitWords(instruction, [&](WordKind word, uint32_t &reg) {
      if (word == kind.def)
        written.push_back(reg);
      else if (word == kind.use)
        reg = define(reg);
    });
    release(at, written, /*isWritten=*/false);
    visitWords(instruction, [&](WordKind word, uint32_t &reg) {
      if (word == kind.def)
        reg = define(reg);
    });
    release(at, written, /*isWritten=*/true);
  }
  uint32_t size() const { return count; }

private:
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
  /// Frees the registers whose last mention is instruction `at`: those that it writes, or the others.
  void release(size_t at, llvm::ArrayRef<uint32_t> written, bool isWritten) {
    for (uint32_t reg : ending[at])
      if (llvm::is_contained(written, reg) == isWritten)
        free.push(assigned[reg]);
  }

  BankKind kind;
  Lifetimes lifetimes;
  std::vector<uint32_t> assigned;
  std::vector<llvm::SmallVector<uint32_t, 2>> ending;
  uint32_t count = 0;
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> free;
};

} // namespace

void vm::insertDrops(Code &code) {
  std::vector<llvm::SmallVector<Instruction, 1>> dropsBehind(code.instructions.size());
  auto dropLast = [&](BankKind bank, VmOp drop, llvm::function_ref<bool(uint32_t)> owns) {
    Lifetimes lifetimes(code, bank);
    for (const Span &span : code.spans)
      lifetimes.extend(span);
    for (auto [reg, end] : llvm::enumerate(lifetimes.last))
      if (lifetimes.first[reg] != kNever && owns(reg))
        dropsBehind[end].push_back({drop, {uint32_t(reg)}, code.instructions[end].node});
  };
  dropLast(kBanks[1], VmOp::kBufDrop, [&](uint32_t reg) { return code.ownsBlock[reg]; });
  dropLast(kBanks[2], VmOp::kListDrop, [](uint32_t) { return true; });
  std::vector<Instruction> instructions;
  std::vector<size_t> moved; // old number -> new number
  std::vector<uint32_t> newStarts;
  llvm::SmallVector<Instruction, 1> pending;
  auto next = code.blockStarts.begin();
  for (auto [at, instruction] : llvm::enumerate(code.instructions)) {
    if (next != code.blockStarts.end() && *next == at) {
      newStarts.push_back(instructions.size());
      ++next;
    }
    llvm::append_range(instructions, pending);
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
  std::vector<Bank> banks;
  for (BankKind kind : kBanks)
    banks.emplace_back(code, kind);
  for (auto [at, instruction] : llvm::enumerate(code.instructions)) {
    visitWords(instruction, [&](WordKind kind, uint32_t &word) {
      if (kind == WordKind::Label)
        word = code.labelBlocks[word];
    });
    for (Bank &bank : banks)
      bank.assign(at, instruction);
  }

  Function function;
  function.name = name.str();
  function.codeOffset = program.code.size();
  function.intRegisters = banks[0].size();
  function.bufferRegisters = banks[1].size();
  function.listRegisters = banks[2].size();
  size_t nextBlock = 0;
  for (auto [at, instruction] : llvm::enumerate(code.instructions)) {
    if (nextBlock < code.blockStarts.size() && code.blockStarts[nextBlock] == at) {
      function.blocks.push_back(program.code.size() - function.codeOffset);
      ++nextBlock;
    }
    uint32_t length = instruction.words.size() + 1;
    if (length > abi::kMaxVmInstructionWords)
      return false;
    if (instruction.node != (program.origins.empty() ? 0 : program.origins.back().node))
      program.origins.push_back({uint32_t(program.code.size()), instruction.node});
    program.code.push_back(abi::MakeVmHeader(instruction.op, length));
    program.code.insert(program.code.end(), instruction.words.begin(), instruction.words.end());
  }
  function.codeSize = program.code.size() - function.codeOffset;
  bool fits = llvm::all_of(banks, [](const Bank &bank) { return bank.size() <= abi::kMaxRegisters; });
  program.functions.push_back(std::move(function));
  return fits;
}
