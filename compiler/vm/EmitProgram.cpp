// From the host program's ops to bytecode over virtual registers (Code.h); encode() then assigns registers.
//
// Integers narrower than 64 bits are held sign-extended, booleans as 0 or 1. Constants are made once, before the first
// op of the function's body (not of a branch) that needs them.
#include "abi/element_types.h"
#include "compiler/graph/ElementTypes.h"
#include "compiler/graph/Parameters.h"
#include "compiler/stream/HostValues.h"
#include "compiler/stream/Stream.h"
#include "compiler/vm/Code.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::vm;
using abi::VmOp;

namespace {

/// How an arithmetic op on integers maps to an instruction.
struct ArithRule {
  StringRef name;
  VmOp op;
  bool wraps;          // the result may leave its type's range
  bool unsignedInputs; // the inputs must be zero-extended
};

const ArithRule kArithRules[] = {
    {"addi", VmOp::kAdd, true, false},
    {"subi", VmOp::kSub, true, false},
    {"muli", VmOp::kMul, true, false},
    {"divsi", VmOp::kDivS, true, false},
    {"divui", VmOp::kDivU, true, true},
    {"ceildivsi", VmOp::kDivCeil, true, false},
    {"floordivsi", VmOp::kDivFloor, true, false},
    {"remsi", VmOp::kRemS, true, false},
    {"remui", VmOp::kRemU, true, true},
    {"minsi", VmOp::kMinS, false, false},
    {"maxsi", VmOp::kMaxS, false, false},
    {"minui", VmOp::kMinU, false, false},
    {"maxui", VmOp::kMaxU, false, false},
    {"andi", VmOp::kAnd, false, false},
    {"ori", VmOp::kOr, false, false},
    {"xori", VmOp::kXor, false, false},
    {"shli", VmOp::kShl, true, false},
    {"shrsi", VmOp::kShrS, false, false},
    {"shrui", VmOp::kShrU, true, true},
};

VmOp getCompare(arith::CmpIPredicate predicate) {
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return VmOp::kCmpEq;
  case arith::CmpIPredicate::ne:
    return VmOp::kCmpNe;
  case arith::CmpIPredicate::slt:
    return VmOp::kCmpLtS;
  case arith::CmpIPredicate::sle:
    return VmOp::kCmpLeS;
  case arith::CmpIPredicate::sgt:
    return VmOp::kCmpGtS;
  case arith::CmpIPredicate::sge:
    return VmOp::kCmpGeS;
  case arith::CmpIPredicate::ult:
    return VmOp::kCmpLtU;
  case arith::CmpIPredicate::ule:
    return VmOp::kCmpLeU;
  case arith::CmpIPredicate::ugt:
    return VmOp::kCmpGtU;
  case arith::CmpIPredicate::uge:
    return VmOp::kCmpGeU;
  }
  llvm_unreachable("covered switch");
}

unsigned getBits(Type type) { return type.isIndex() ? 64 : type.getIntOrFloatBitWidth(); }

/// The type that buf.load extends the way registers hold it; kInvalid if there is none.
abi::ElementType getLoadType(Type type) {
  switch (getBits(type)) {
  case 1:
    return abi::ElementType::kBool;
  case 8:
    return abi::ElementType::kI8;
  case 16:
    return abi::ElementType::kI16;
  case 32:
    return abi::ElementType::kI32;
  case 64:
    return abi::ElementType::kI64;
  }
  return abi::ElementType::kInvalid;
}

/// Numbers the nodes of locations; fills Program::nodes.
class Nodes {
public:
  explicit Nodes(Program &program) : program(program) {}
  /// What has the location of the whole function comes from no node.
  uint32_t number(Location loc, func::FuncOp func) {
    if (loc == func.getLoc())
      return 0;
    auto [entry, isNew] = known.try_emplace(loc, 0);
    if (isNew)
      entry->second = numberOfText(getText(loc));
    return entry->second;
  }

private:
  /// Not a hundred names of a large fusion.
  static constexpr size_t kMaxNames = 8;

  static std::string getText(Location loc) {
    SmallVector<StringRef> names = stream::getNodeNames(loc);
    size_t shown = std::min(names.size(), kMaxNames);
    std::string text = llvm::join(ArrayRef(names).take_front(shown), ", ");
    if (shown < names.size())
      text += " and " + std::to_string(names.size() - shown) + " more";
    return text;
  }
  uint32_t numberOfText(const std::string &text) {
    if (text.empty())
      return 0;
    auto [entry, isNew] = numbers.try_emplace(text, program.nodes.size() + 1);
    if (isNew)
      program.nodes.push_back(text);
    return entry->second;
  }

  Program &program;
  DenseMap<Location, uint32_t> known;
  llvm::StringMap<uint32_t> numbers;
};

class FunctionEmitter {
public:
  FunctionEmitter(func::FuncOp func, const DenseMap<StringAttr, uint32_t> &exports,
                  const llvm::SetVector<StringAttr> &states, const llvm::SetVector<StringAttr> &parameters,
                  const DenseMap<StringAttr, uint32_t> &functions, Nodes &nodes, Program &program)
      : func(func), exports(exports), states(states), parameters(parameters), functions(functions), nodes(nodes),
        program(program) {}

  LogicalResult run() {
    startBlock(newLabel());
    emitGuards();
    Block &body = func.getBody().front();
    for (BlockArgument argument : body.getArguments())
      if (isList(argument) && !argument.use_empty())
        emit(VmOp::kListArg, {defineList(argument), stream::getArgumentNumber(func, argument.getArgNumber())});
    for (Operation &op : body) {
      node = nodes.number(op.getLoc(), func);
      makeConstants(&op);
      if (failed(emitOp(&op)))
        return failure();
    }
    insertDrops(code);
    if (!encode(std::move(code), func.getName(), program))
      return func.emitOpError("is too large for the module format");
    return success();
  }

private:
  void emitGuards();
  LogicalResult emitOp(Operation *op);
  LogicalResult emitKnownOp(Operation *op);
  LogicalResult emitArith(Operation *op);
  LogicalResult emitCast(Operation *op);
  LogicalResult emitIf(scf::IfOp op);
  LogicalResult emitWhile(scf::WhileOp op);
  LogicalResult emitBlock(Block &block);
  void emitMoves(ValueRange to, ValueRange from);
  LogicalResult emitDispatch(stream::DispatchOp op);
  void emitHostCall(stream::HostCallOp op);
  LogicalResult emitList(Operation *op);
  void emitListSelect(arith::SelectOp op);
  void makeConstants(Operation *op);

  uint32_t newLabel() {
    code.labelBlocks.push_back(0);
    return code.labelBlocks.size() - 1;
  }
  void startBlock(uint32_t label) {
    code.labelBlocks[label] = code.blockStarts.size();
    code.blockStarts.push_back(code.instructions.size());
  }
  void emit(VmOp op, ArrayRef<uint32_t> words) {
    code.instructions.push_back({op, SmallVector<uint32_t, 8>(words.begin(), words.end()), node});
  }
  uint32_t constant(int64_t value) {
    auto [entry, isNew] = constants.try_emplace(value, code.numInts);
    if (isNew) {
      ++code.numInts;
      emit(VmOp::kConst, {entry->second, uint32_t(value), uint32_t(uint64_t(value) >> 32)});
    }
    return entry->second;
  }
  uint32_t use(Value value) {
    if (auto known = getConstantIntValue(value))
      return constants.at(asHeld(value.getType(), *known));
    return registers.at(value);
  }
  uint32_t define(Value value) { return registers[value] = code.numInts++; }
  uint32_t useBuffer(Value value) { return registers.at(value); }
  uint32_t defineBuffer(Value value, bool ownsBlock = false) { return registers[value] = newBuffer(ownsBlock); }
  uint32_t newBuffer(bool ownsBlock) {
    code.ownsBlock.push_back(ownsBlock);
    return code.numBuffers++;
  }
  uint32_t defineList(Value value) { return registers[value] = code.numLists++; }
  /// Takes over the register of a list that nobody needs any more, so that the runtime can change it in place.
  uint32_t defineListFrom(Value result, Value source) {
    Operation *op = result.getDefiningOp();
    bool isLastUse = source.getParentBlock() == op->getBlock() && llvm::all_of(source.getUsers(), [&](Operation *user) {
                       return user == op || (user->getBlock() == op->getBlock() && user->isBeforeInBlock(op));
                     });
    return isLastUse ? registers[result] = registers.at(source) : defineList(result);
  }
  static bool isResource(Value value) { return isa<stream::ResourceType>(value.getType()); }
  static bool isList(Value value) { return isa<graph::ListType>(value.getType()); }
  static VmOp getMove(Value value) {
    return isResource(value) ? VmOp::kBufMov : isList(value) ? VmOp::kListMov : VmOp::kMov;
  }
  bool isSameRegister(Value a, Value c) {
    auto x = registers.find(a), y = registers.find(c);
    return getMove(a) == getMove(c) && x != registers.end() && y != registers.end() && x->second == y->second;
  }
  /// A register for a value that control flow gives, which may be a block of memory.
  uint32_t newRegister(Value value) {
    return isResource(value) ? newBuffer(/*ownsBlock=*/true) : isList(value) ? code.numLists++ : code.numInts++;
  }
  void defineAny(Value value) { registers[value] = newRegister(value); }
  static int64_t asHeld(Type type, int64_t value) { return type.isInteger(1) ? value & 1 : value; }
  /// Appends count and registers.
  void appendList(SmallVectorImpl<uint32_t> &words, ValueRange values) {
    words.push_back(values.size());
    for (Value value : values)
      words.push_back(use(value));
  }
  template <typename Op> void appendBindings(SmallVectorImpl<uint32_t> &words, Op op) {
    words.push_back(op.getResources().size());
    for (auto [resource, offset, length] : llvm::zip(op.getResources(), op.getOffsets(), op.getLengths()))
      words.append({useBuffer(resource), use(offset), use(length)});
  }
  /// The value in a new register, its low bits extended.
  uint32_t extend(uint32_t from, unsigned bits, bool isSigned) {
    uint32_t to = code.numInts++;
    emit(isSigned ? VmOp::kExtS : VmOp::kExtU, {to, from, bits});
    return to;
  }

  func::FuncOp func;
  uint32_t numberOf(StringAttr state) { return llvm::find(states, state) - states.begin(); }
  uint32_t numberOfParameter(StringAttr name) {
    return states.size() + (llvm::find(parameters, name) - parameters.begin());
  }

  const DenseMap<StringAttr, uint32_t> &exports;
  const llvm::SetVector<StringAttr> &states, &parameters;
  const DenseMap<StringAttr, uint32_t> &functions;
  Nodes &nodes;
  Program &program;
  uint32_t node = 0; // of the op that is emitted
  Code code;
  DenseMap<Value, uint32_t> registers; // of any kind
  std::map<int64_t, uint32_t> constants;
};

/// Copies of the function for certain sizes go first (graph.h, kCopies).
void FunctionEmitter::emitGuards() {
  auto copies = func->getAttrOfType<ArrayAttr>(graph::kCopies);
  if (!copies)
    return;
  // All that they compare, once, in the block that is always run.
  std::map<std::pair<int64_t, int64_t>, uint32_t> sizes;
  for (auto copy : copies.getAsRange<DictionaryAttr>()) {
    ArrayRef<int64_t> guards = copy.getAs<DenseI64ArrayAttr>("guards");
    for (size_t i = 0; i < guards.size(); i += 3) {
      constant(guards[i + 2]);
      auto [size, isNew] = sizes.try_emplace({guards[i], guards[i + 1]}, code.numInts);
      if (isNew)
        emit(VmOp::kArgDim, {code.numInts++, stream::getArgumentNumber(func, guards[i]), uint32_t(guards[i + 1])});
    }
  }
  for (auto copy : copies.getAsRange<DictionaryAttr>()) {
    ArrayRef<int64_t> guards = copy.getAs<DenseI64ArrayAttr>("guards");
    uint32_t next = newLabel();
    for (size_t i = 0; i < guards.size(); i += 3) {
      uint32_t isEqual = code.numInts++, holds = newLabel();
      emit(VmOp::kCmpEq, {isEqual, sizes.at({guards[i], guards[i + 1]}), constant(guards[i + 2])});
      emit(VmOp::kCondBr, {isEqual, holds, next});
      startBlock(holds);
    }
    emit(VmOp::kCallTail, {functions.at(copy.getAs<FlatSymbolRefAttr>("function").getAttr())});
    startBlock(next);
  }
}

void FunctionEmitter::makeConstants(Operation *op) {
  op->walk<WalkOrder::PreOrder>([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      if (auto value = getConstantIntValue(operand))
        constant(asHeld(operand.getType(), *value));
  });
}

LogicalResult FunctionEmitter::emitArith(Operation *op) {
  StringRef name = op->getName().stripDialect();
  auto rule = llvm::find_if(kArithRules, [&](const ArithRule &row) { return row.name == name; });
  if (rule == std::end(kArithRules) || !op->getResult(0).getType().isIntOrIndex())
    return op->emitOpError("has no instruction: it cannot run in the host program");
  Type type = op->getResult(0).getType();
  uint32_t a = use(op->getOperand(0)), c = use(op->getOperand(1));
  bool isNarrow = getBits(type) < 64;
  if (isNarrow && rule->unsignedInputs) {
    a = extend(a, getBits(type), false);
    c = extend(c, getBits(type), false);
  }
  uint32_t result = define(op->getResult(0));
  if (!isNarrow || !rule->wraps) {
    emit(rule->op, {result, a, c});
    return success();
  }
  uint32_t wide = code.numInts++;
  emit(rule->op, {wide, a, c});
  emit(type.isInteger(1) ? VmOp::kExtU : VmOp::kExtS, {result, wide, getBits(type)});
  return success();
}

LogicalResult FunctionEmitter::emitCast(Operation *op) {
  Type from = op->getOperand(0).getType(), to = op->getResult(0).getType();
  uint32_t source = use(op->getOperand(0));
  bool isUnsigned = isa<arith::ExtUIOp, arith::IndexCastUIOp>(op);
  unsigned fromBits = getBits(from), toBits = getBits(to);
  if (toBits < fromBits)
    emit(toBits == 1 ? VmOp::kExtU : VmOp::kExtS, {define(op->getResult(0)), source, toBits});
  else if (fromBits == 1 && !isUnsigned && toBits > 1)
    emit(VmOp::kExtS, {define(op->getResult(0)), source, 1});
  else if (isUnsigned && fromBits > 1 && fromBits < toBits)
    emit(VmOp::kExtU, {define(op->getResult(0)), source, fromBits});
  else
    registers[op->getResult(0)] = source;
  return success();
}

LogicalResult FunctionEmitter::emitBlock(Block &block) {
  for (Operation &inner : block.without_terminator())
    if (failed(emitOp(&inner)))
      return failure();
  return success();
}

/// Assigns all of `from` to the registers of `to` at once: a source that an earlier move overwrites is saved first.
void FunctionEmitter::emitMoves(ValueRange to, ValueRange from) {
  DenseMap<Value, uint32_t> saved;
  for (auto [i, source] : llvm::enumerate(from)) {
    bool isOverwritten = llvm::any_of(llvm::zip(to.take_front(i), from.take_front(i)), [&](auto earlier) {
      auto [target, other] = earlier;
      return isSameRegister(target, source) && !isSameRegister(target, other);
    });
    if (!isOverwritten || saved.contains(source))
      continue;
    uint32_t copy = newRegister(source);
    emit(getMove(source), {copy, use(source)});
    saved[source] = copy;
  }
  for (auto [target, source] : llvm::zip_equal(to, from)) {
    auto copy = saved.find(source);
    uint32_t reg = registers.at(target), value = copy != saved.end() ? copy->second : use(source);
    if (reg != value)
      emit(getMove(target), {reg, value});
  }
}

LogicalResult FunctionEmitter::emitWhile(scf::WhileOp op) {
  Block &before = *op.getBeforeBody(), &after = *op.getAfterBody();
  llvm::for_each(before.getArguments(), [&](Value argument) { defineAny(argument); });
  emitMoves(before.getArguments(), op.getInits());
  uint32_t beforeLabel = newLabel(), afterLabel = newLabel(), exit = newLabel();
  emit(VmOp::kBr, {beforeLabel});
  startBlock(beforeLabel);
  size_t begin = code.instructions.size();
  scf::ConditionOp condition = op.getConditionOp();
  // What is only passed on needs no register of its own; but a list may be changed in its register.
  auto isPassedOn = [&](Value forwarded) {
    return isa<BlockArgument>(forwarded) && forwarded.getParentBlock() == &before &&
           (!isList(forwarded) || llvm::count(condition.getArgs(), forwarded) == 1);
  };
  for (auto [forwarded, argument] : llvm::zip_equal(condition.getArgs(), after.getArguments()))
    if (!isPassedOn(forwarded))
      defineAny(argument);
  if (failed(emitBlock(before)))
    return failure();
  SmallVector<Value> targets, sources;
  for (auto [forwarded, argument] : llvm::zip_equal(condition.getArgs(), after.getArguments())) {
    if (isPassedOn(forwarded)) {
      registers[argument] = registers.at(forwarded);
      continue;
    }
    targets.push_back(argument);
    sources.push_back(forwarded);
  }
  emitMoves(targets, sources);
  for (auto [argument, result] : llvm::zip_equal(after.getArguments(), op.getResults()))
    registers[result] = registers.at(argument);
  emit(VmOp::kCondBr, {use(condition.getCondition()), afterLabel, exit});
  startBlock(afterLabel);
  if (failed(emitBlock(after)))
    return failure();
  emitMoves(before.getArguments(), after.getTerminator()->getOperands());
  emit(VmOp::kBr, {beforeLabel});
  code.spans.push_back({begin, code.instructions.size() - 1, /*isLoop=*/true});
  startBlock(exit);
  return success();
}

LogicalResult FunctionEmitter::emitIf(scf::IfOp op) {
  llvm::for_each(op.getResults(), [&](Value result) { defineAny(result); });
  bool hasElse = !op.getElseRegion().empty();
  uint32_t thenLabel = newLabel(), after = newLabel(), elseLabel = hasElse ? newLabel() : after;
  size_t begin = code.instructions.size();
  emit(VmOp::kCondBr, {use(op.getCondition()), thenLabel, elseLabel});
  auto emitBranch = [&](uint32_t label, Block &block) -> LogicalResult {
    startBlock(label);
    if (failed(emitBlock(block)))
      return failure();
    emitMoves(op.getResults(), block.getTerminator()->getOperands());
    emit(VmOp::kBr, {after});
    return success();
  };
  if (failed(emitBranch(thenLabel, op.getThenRegion().front())) ||
      (hasElse && failed(emitBranch(elseLabel, op.getElseRegion().front()))))
    return failure();
  code.spans.push_back({begin, code.instructions.size() - 1, /*isLoop=*/false});
  startBlock(after);
  return success();
}

LogicalResult FunctionEmitter::emitDispatch(stream::DispatchOp op) {
  auto number = exports.find(op.getExecutableAttr().getAttr());
  if (number == exports.end())
    return op.emitOpError("refers to the executable @") << op.getExecutable() << ", which does not exist";
  if (op.getWorkgroups().empty())
    return op.emitOpError("has no workgroup counts; run vm-inline-workgroups");
  SmallVector<uint32_t> words = {number->second};
  for (Value count : op.getWorkgroups())
    words.push_back(use(count));
  appendList(words, op.getConstants());
  appendBindings(words, op);
  emit(VmOp::kDispatch, words);
  return success();
}

void FunctionEmitter::emitHostCall(stream::HostCallOp op) {
  HostFunction function{op.getCallee().str(), {}, {}, uint32_t(op.getReads()), op.getConfig()};
  for (auto [name, rank] : llvm::zip_equal(op.getTypes().getAsValueRange<StringAttr>(), op.getRanks())) {
    const auto *type = llvm::find_if(abi::kElementTypes, [&](const auto &info) { return name == info.name; });
    assert(type != std::end(abi::kElementTypes) && "the importer names types of the format");
    function.types.push_back(uint8_t(type->type));
    function.ranks.push_back(uint8_t(rank));
  }
  auto known = llvm::find(program.hostFunctions, function);
  SmallVector<uint32_t> words = {uint32_t(known - program.hostFunctions.begin())};
  if (known == program.hostFunctions.end())
    program.hostFunctions.push_back(std::move(function));
  appendList(words, op.getSizes());
  appendBindings(words, op);
  emit(VmOp::kHostCall, words);
}

/// A list that is chosen: scf.if folds to a select when its branches compute nothing.
void FunctionEmitter::emitListSelect(arith::SelectOp op) {
  uint32_t condition = use(op.getCondition()), result = defineList(op.getResult());
  uint32_t isTrue = newLabel(), after = newLabel();
  emit(VmOp::kListMov, {result, use(op.getFalseValue())});
  size_t begin = code.instructions.size();
  emit(VmOp::kCondBr, {condition, isTrue, after});
  startBlock(isTrue);
  emit(VmOp::kListMov, {result, use(op.getTrueValue())});
  emit(VmOp::kBr, {after});
  code.spans.push_back({begin, code.instructions.size() - 1, /*isLoop=*/false});
  startBlock(after);
}

LogicalResult FunctionEmitter::emitList(Operation *op) {
  auto getType = [&](Value list) { return uint32_t(graph::getElementType(cast<graph::ListType>(list.getType()))); };
  TypeSwitch<Operation *>(op)
      .Case([&](graph::ListEmptyOp op) { emit(VmOp::kListDrop, {defineList(op.getResult())}); })
      .Case([&](graph::ListSizeOp op) {
        uint32_t list = use(op.getList());
        emit(VmOp::kListSize, {define(op.getResult()), list});
      })
      .Case([&](graph::ListDimOp op) {
        uint32_t list = use(op.getList()), position = use(op.getPosition());
        emit(VmOp::kListDim, {define(op.getResult()), list, position, uint32_t(op.getDim())});
      })
      .Case([&](graph::ListTakeOp op) {
        uint32_t list = use(op.getList()), other = use(op.getOther());
        uint32_t position = use(op.getPosition()), taken = use(op.getTaken());
        emit(VmOp::kListTake, {defineListFrom(op.getResult(), op.getList()), list, position, other, taken});
      })
      .Case([&](graph::ListEraseOp op) {
        uint32_t list = use(op.getList()), position = use(op.getPosition());
        emit(VmOp::kListErase, {defineListFrom(op.getResult(), op.getList()), list, position});
      })
      .Case([&](stream::ListGetOp op) {
        uint32_t list = use(op.getList()), position = use(op.getPosition());
        uint32_t buffer = defineBuffer(op.getResult(), /*ownsBlock=*/true);
        emit(VmOp::kListGet, {buffer, define(op.getOffset()), list, position, getType(op.getList())});
      })
      .Case([&](stream::ListInsertOp op) {
        SmallVector<uint32_t> words = {0,
                                       use(op.getList()),
                                       use(op.getPosition()),
                                       getType(op.getList()),
                                       useBuffer(op.getResource()),
                                       use(op.getOffset())};
        appendList(words, op.getSizes());
        words[0] = defineListFrom(op.getResult(), op.getList());
        emit(VmOp::kListInsert, words);
      })
      .Case([&](stream::ListResultOp op) { emit(VmOp::kListResult, {uint32_t(op.getIndex()), use(op.getList())}); });
  return success();
}

LogicalResult FunctionEmitter::emitOp(Operation *op) {
  llvm::SaveAndRestore restoreNode(node, nodes.number(op->getLoc(), func));
  return emitKnownOp(op);
}

LogicalResult FunctionEmitter::emitKnownOp(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](stream::ImportOp op) {
        unsigned argument = cast<BlockArgument>(op.getSource()).getArgNumber();
        if (StringAttr state = stream::getStateOfArgument(func, argument))
          emit(VmOp::kGlobalBuf, {defineBuffer(op.getResult(), /*ownsBlock=*/true), numberOf(state)});
        else
          emit(VmOp::kBufArg, {defineBuffer(op.getResult()), stream::getArgumentNumber(func, argument)});
        return success();
      })
      .Case([&](stream::ParameterOp op) {
        emit(VmOp::kGlobalBuf, {defineBuffer(op.getResult()), numberOfParameter(op.getGlobalAttr().getAttr())});
        return success();
      })
      .Case([&](stream::ConstantsOp op) {
        emit(VmOp::kBufWeights, {defineBuffer(op.getResult())});
        return success();
      })
      .Case([&](stream::ArenaOp op) {
        uint32_t bytes = use(op.getBytes());
        emit(VmOp::kBufArena, {defineBuffer(op.getResult()), bytes});
        return success();
      })
      .Case([&](stream::PackOp op) {
        SmallVector<uint32_t> words = {0, uint32_t(op.getSizes().size())};
        for (auto [size, first, last] : llvm::zip_equal(op.getSizes(), op.getFirst(), op.getLast()))
          words.append({use(size), 0, uint32_t(first), uint32_t(last)});
        for (auto [i, offset] : llvm::enumerate(op.getOffsets()))
          words[2 + 4 * i + 1] = define(offset);
        words[0] = define(op.getTotal());
        emit(VmOp::kArenaPack, words);
        return success();
      })
      .Case([&](stream::ShareOp op) {
        registers[op.getResult()] = useBuffer(op.getSource());
        return success();
      })
      .Case([&](stream::BlockOp op) {
        uint32_t bytes = use(op.getBytes());
        emit(VmOp::kBufBlock, {defineBuffer(op.getResult(), /*ownsBlock=*/true), bytes});
        return success();
      })
      .Case([&](stream::ExtendOp op) {
        uint32_t source = useBuffer(op.getSource()), bytes = use(op.getBytes()), used = use(op.getUsed());
        emit(VmOp::kBufExtend, {defineBuffer(op.getResult(), /*ownsBlock=*/true), source, bytes, used});
        return success();
      })
      .Case([&](stream::StoreStateOp op) {
        SmallVector<uint32_t> words = {numberOf(op.getStateAttr()), useBuffer(op.getResource())};
        appendList(words, op.getSizes());
        emit(VmOp::kGlobalStore, words);
        return success();
      })
      .Case([&](stream::OutputOp op) {
        SmallVector<uint32_t> words = {defineBuffer(op.getResult()), uint32_t(op.getIndex())};
        appendList(words, op.getSizes());
        emit(VmOp::kBufResult, words);
        return success();
      })
      .Case([&](stream::VariantOp op) {
        program.readsVariants = true;
        emit(VmOp::kVariant, {define(op.getResult()), exports.at(op.getExecutableAttr().getAttr())});
        return success();
      })
      .Case([&](stream::DispatchOp op) { return emitDispatch(op); })
      .Case([&](stream::HostCallOp op) { return emitHostCall(op), success(); })
      .Case([&](stream::CopyOp op) {
        emit(VmOp::kCopy, {useBuffer(op.getSource()), use(op.getSourceOffset()), useBuffer(op.getTarget()),
                           use(op.getTargetOffset()), use(op.getLength())});
        return success();
      })
      .Case([&](stream::FillOp op) {
        uint32_t pattern = code.numInts++;
        uint64_t bits = op.getPattern();
        emit(VmOp::kConst, {pattern, uint32_t(bits), uint32_t(bits >> 32)});
        emit(VmOp::kFill,
             {useBuffer(op.getTarget()), use(op.getOffset()), use(op.getLength()), pattern, uint32_t(op.getWidth())});
        return success();
      })
      .Case([&](stream::BarrierOp) {
        emit(VmOp::kBarrier, {});
        return success();
      })
      .Case([&](stream::ReadScalarOp op) -> LogicalResult {
        abi::ElementType type = getLoadType(op.getType());
        if (type == abi::ElementType::kInvalid)
          return op.emitOpError("cannot read an element of type ") << op.getType();
        uint32_t buffer = useBuffer(op.getSource()), offset = use(op.getOffset());
        emit(VmOp::kBufLoad, {define(op.getResult()), uint32_t(type), buffer, offset});
        return success();
      })
      .Case<graph::ListEmptyOp, graph::ListSizeOp, graph::ListDimOp, graph::ListTakeOp, graph::ListEraseOp,
            stream::ListGetOp, stream::ListInsertOp, stream::ListResultOp>([&](auto op) { return emitList(op); })
      .Case([&](stream::ReturnOp) {
        emit(VmOp::kSubmitWait, {});
        emit(VmOp::kReturn, {});
        return success();
      })
      .Case([&](tensor::DimOp op) -> LogicalResult {
        auto argument = dyn_cast<BlockArgument>(op.getSource());
        auto index = op.getConstantIndex();
        if (!argument || !index)
          return op.emitOpError("must be a constant dimension of an argument");
        if (StringAttr state = stream::getStateOfArgument(func, argument.getArgNumber()))
          emit(VmOp::kGlobalDim, {define(op.getResult()), numberOf(state), uint32_t(*index)});
        else
          emit(VmOp::kArgDim,
               {define(op.getResult()), stream::getArgumentNumber(func, argument.getArgNumber()), uint32_t(*index)});
        return success();
      })
      .Case([&](scf::IfOp op) { return emitIf(op); })
      .Case([&](scf::WhileOp op) { return emitWhile(op); })
      .Case([&](cf::AssertOp op) {
        program.strings.push_back(op.getMsg().str());
        emit(VmOp::kAssert,
             {use(op.getArg()), uint32_t(abi::VmStatus::kInvalidArgument), uint32_t(program.strings.size() - 1)});
        return success();
      })
      .Case([&](arith::CmpIOp op) {
        uint32_t a = use(op.getLhs()), c = use(op.getRhs());
        emit(getCompare(op.getPredicate()), {define(op.getResult()), a, c});
        return success();
      })
      .Case([&](arith::SelectOp op) {
        if (isList(op.getResult()))
          return emitListSelect(op), success();
        uint32_t condition = use(op.getCondition()), a = use(op.getTrueValue()), c = use(op.getFalseValue());
        emit(VmOp::kSelect, {define(op.getResult()), condition, a, c});
        return success();
      })
      .Case<arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp, arith::IndexCastOp, arith::IndexCastUIOp>(
          [&](Operation *op) { return emitCast(op); })
      .Default([&](Operation *op) -> LogicalResult {
        if (op->hasTrait<OpTrait::ConstantLike>())
          return success();
        if (op->getNumOperands() == 2 && op->getNumResults() == 1)
          return emitArith(op);
        return op->emitOpError("has no instruction: it cannot run in the host program");
      });
}

} // namespace

FailureOr<Program> vm::emitProgram(ModuleOp module) {
  DenseMap<StringAttr, uint32_t> exports;
  for (auto executable : module.getOps<graph::ExecutableOp>())
    exports.try_emplace(executable.getSymNameAttr(), exports.size());
  Program program;
  Nodes nodes(program);
  llvm::SetVector<StringAttr> states = stream::getStates(module), parameters = stream::getParameters(module);
  // What callers cannot call lies behind what they can.
  SmallVector<func::FuncOp> order;
  for (bool behind : {false, true})
    for (auto func : module.getOps<func::FuncOp>())
      if (func.isPublic() && !func.isExternal() && graph::isInternal(func) == behind)
        order.push_back(func);
  DenseMap<StringAttr, uint32_t> functions;
  for (func::FuncOp func : order)
    functions.try_emplace(func.getSymNameAttr(), functions.size());
  for (func::FuncOp func : order)
    if (failed(FunctionEmitter(func, exports, states, parameters, functions, nodes, program).run()))
      return failure();
  return program;
}
