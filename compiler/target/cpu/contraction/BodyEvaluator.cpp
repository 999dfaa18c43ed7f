#include "compiler/target/cpu/contraction/BodyEvaluator.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

static bool isConstant(Value value) {
  return value.getDefiningOp() && value.getDefiningOp()->hasTrait<OpTrait::ConstantLike>();
}

bool eyrie::target::cpu::computesFromIndices(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return value.getType().isIndex();
  return op->getNumRegions() == 0 && isPure(op) && llvm::all_of(op->getOperands(), computesFromIndices);
}

void eyrie::target::cpu::forEachCapture(linalg::GenericOp generic, llvm::function_ref<void(Value)> callback) {
  for (Operation &op : *generic.getBlock())
    for (Value operand : op.getOperands())
      if (operand.getParentBlock() != generic.getBlock() && !isConstant(operand) && !isa<TensorType>(operand.getType()))
        callback(operand);
}

bool eyrie::target::cpu::canEvaluateBody(linalg::GenericOp generic, std::string &reason, bool areElementsGiven) {
  for (Operation &op : generic.getBlock()->without_terminator()) {
    if (areElementsGiven && isa<tensor::ExtractOp>(op))
      continue;
    bool plain = OpTrait::hasElementwiseMappableTraits(&op) || isa<arith::ConstantOp, linalg::IndexOp>(op);
    for (Type type : op.getResultTypes())
      plain &= type.isIntOrIndexOrFloat();
    if (!plain) {
      reason = ("the body contains " + op.getName().getStringRef()).str();
      return false;
    }
  }
  bool captures = true;
  forEachCapture(generic, [&](Value value) { captures &= computesFromIndices(value); });
  if (!captures)
    reason = "the body uses a value that is not computed from sizes";
  return captures;
}

Operation *eyrie::target::cpu::combinerOf(linalg::GenericOp generic) {
  Block *body = generic.getBlock();
  Value total = body->getArguments().back();
  Operation *op = body->getTerminator()->getOperand(0).getDefiningOp();
  bool combines = op && total.hasOneUse() && *total.user_begin() == op &&
                  isa<arith::AddFOp, arith::MulFOp, arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp,
                      arith::MinNumFOp, arith::AddIOp, arith::MulIOp, arith::MaxSIOp, arith::MinSIOp, arith::MaxUIOp,
                      arith::MinUIOp, arith::AndIOp, arith::OrIOp>(op);
  return combines ? op : nullptr;
}

/// To find out which of -0 and 0 is larger takes x86 several instructions; they compare equal.
static void ignoreSignOfZero(Operation *op) {
  if (!isa<arith::MaximumFOp, arith::MinimumFOp>(op))
    return;
  auto flags = cast<arith::ArithFastMathInterface>(op).getFastMathFlagsAttr().getValue();
  op->setAttr("fastmath", arith::FastMathFlagsAttr::get(op->getContext(), flags | arith::FastMathFlags::nsz));
}

Value eyrie::target::cpu::emitCombiner(OpBuilder &b, Operation *combiner, Value first, Value second) {
  OperationState state(first.getLoc(), combiner->getName(), {first, second}, {first.getType()}, combiner->getAttrs());
  Operation *combined = b.create(state);
  ignoreSignOfZero(combined);
  return combined->getResult(0);
}

Value eyrie::target::cpu::broadcastTo(OpBuilder &b, Value value, int64_t lanes) {
  if (isa<VectorType>(value.getType()))
    return value;
  auto type = VectorType::get({lanes}, value.getType());
  TypedAttr constant;
  if (matchPattern(value, m_Constant(&constant)))
    return arith::ConstantOp::create(b, value.getLoc(), DenseElementsAttr::get(type, constant));
  return vector::BroadcastOp::create(b, value.getLoc(), type, value);
}

static bool sameElement(Value a, Value b) {
  return getElementTypeOrSelf(a.getType()) == getElementTypeOrSelf(b.getType());
}

Value eyrie::target::cpu::unrounded(Value value) {
  auto rounded = value.getDefiningOp<arith::TruncFOp>();
  return rounded && rounded.getFastmath() == arith::FastMathFlags::contract ? rounded.getIn() : Value();
}

SmallVector<Value> eyrie::target::cpu::evaluateBody(OpBuilder &b, linalg::GenericOp generic, ArrayRef<Value> arguments,
                                                    int64_t lanes, bool fma, llvm::function_ref<Value(unsigned)> index,
                                                    llvm::function_ref<Value(Value)> capture,
                                                    llvm::SmallDenseMap<Value, Value, 1> *known) {
  IRMapping map;
  auto isKnown = [&](Operation &op) {
    return known && op.getNumResults() == 1 && known->lookup(op.getResult(0)) != nullptr;
  };
  Block *block = generic.getBlock();
  for (auto [argument, value] : llvm::zip(block->getArguments(), arguments))
    map.map(argument, value);
  auto elements = block->getOps<tensor::ExtractOp>();
  for (auto [extract, value] : llvm::zip(elements, arguments.drop_front(block->getNumArguments())))
    map.map(extract.getResult(), value);
  auto lookup = [&](Value value) {
    if (!map.contains(value))
      map.map(value, isConstant(value) ? b.clone(*value.getDefiningOp())->getResult(0) : capture(value));
    return map.lookup(value);
  };
  auto tryFma = [&](Operation &op) -> Value {
    if (!fma || !isa<arith::AddFOp>(op) || !(op.getResult(0).getType().isF32() || op.getResult(0).getType().isF64()))
      return {};
    for (unsigned side : {0u, 1u})
      if (auto product = op.getOperand(side).getDefiningOp<arith::MulFOp>();
          product && product->getBlock() == block && product->hasOneUse())
        return vector::FMAOp::create(b, op.getLoc(), broadcastTo(b, lookup(product.getLhs()), lanes),
                                     broadcastTo(b, lookup(product.getRhs()), lanes),
                                     broadcastTo(b, lookup(op.getOperand(1 - side)), lanes));
    return {};
  };
  for (Operation &op : block->without_terminator()) {
    if (isa<tensor::ExtractOp>(op))
      continue;
    if (isKnown(op)) {
      map.map(op.getResult(0), known->lookup(op.getResult(0)));
      continue;
    }
    if (auto indexOp = dyn_cast<linalg::IndexOp>(op)) {
      map.map(indexOp.getResult(), index(indexOp.getDim()));
      continue;
    }
    if (auto widening = dyn_cast<arith::ExtFOp>(op))
      if (Value exact = unrounded(lookup(widening.getIn())); exact && sameElement(exact, widening.getOut())) {
        map.map(widening.getOut(), exact);
        continue;
      }
    if (op.getNumOperands() == 0) {
      map.map(op.getResult(0), b.clone(op)->getResult(0));
      continue;
    }
    SmallVector<Value> operands = llvm::map_to_vector(op.getOperands(), lookup);
    bool isVector = llvm::any_of(operands, [](Value value) { return isa<VectorType>(value.getType()); });
    if (isVector)
      for (Value &operand : operands)
        operand = broadcastTo(b, operand, lanes);
    if (isVector)
      if (Value fused = tryFma(op)) {
        map.map(op.getResult(0), fused);
        continue;
      }
    OperationState state(op.getLoc(), op.getName());
    state.addOperands(operands);
    for (Type type : op.getResultTypes())
      state.addTypes(isVector ? Type(VectorType::get({lanes}, type)) : type);
    state.addAttributes(op.getAttrs());
    Operation *created = b.create(state);
    ignoreSignOfZero(created);
    for (auto [from, to] : llvm::zip(op.getResults(), created->getResults()))
      map.map(from, to);
  }
  if (known)
    for (auto &[value, emitted] : *known)
      emitted = lookup(value);
  return llvm::map_to_vector(block->getTerminator()->getOperands(), lookup);
}
