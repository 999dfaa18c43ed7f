#include "compiler/target/cpu/contraction/BodyEvaluator.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

bool eyrie::target::cpu::canEvaluateBody(linalg::GenericOp generic, std::string &reason) {
  for (Operation &op : generic.getBlock()->without_terminator()) {
    bool plain = OpTrait::hasElementwiseMappableTraits(&op) || isa<arith::ConstantOp, linalg::IndexOp>(op);
    for (Type type : op.getResultTypes())
      plain &= type.isIntOrIndexOrFloat();
    for (Value operand : op.getOperands())
      plain &= operand.getParentBlock() == generic.getBlock() ||
               (operand.getDefiningOp() && operand.getDefiningOp()->hasTrait<OpTrait::ConstantLike>());
    if (!plain) {
      reason = ("the body contains " + op.getName().getStringRef()).str();
      return false;
    }
  }
  return llvm::all_of(generic.getBlock()->getTerminator()->getOperands(), [&](Value value) {
    return value.getParentBlock() == generic.getBlock() ||
           (value.getDefiningOp() && value.getDefiningOp()->hasTrait<OpTrait::ConstantLike>());
  });
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

SmallVector<Value> eyrie::target::cpu::evaluateBody(OpBuilder &b, linalg::GenericOp generic, ArrayRef<Value> arguments,
                                                    int64_t lanes, bool fma,
                                                    llvm::function_ref<Value(unsigned)> index) {
  IRMapping map;
  Block *block = generic.getBlock();
  for (auto [argument, value] : llvm::zip(block->getArguments(), arguments))
    map.map(argument, value);
  auto lookup = [&](Value value) {
    if (!map.contains(value))
      map.map(value, b.clone(*value.getDefiningOp())->getResult(0)); // a constant outside of the body
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
    if (auto indexOp = dyn_cast<linalg::IndexOp>(op)) {
      map.map(indexOp.getResult(), index(indexOp.getDim()));
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
    for (auto [from, to] : llvm::zip(op.getResults(), created->getResults()))
      map.map(from, to);
  }
  return llvm::map_to_vector(block->getTerminator()->getOperands(), lookup);
}
