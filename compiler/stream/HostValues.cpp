#include "compiler/stream/HostValues.h"
#include "compiler/stream/Stream.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace eyrie::stream;

static bool isDivision(Operation *op) {
  return isa<arith::DivSIOp, arith::DivUIOp, arith::CeilDivSIOp, arith::CeilDivUIOp, arith::FloorDivSIOp,
             arith::RemSIOp, arith::RemUIOp>(op);
}

/// Single-block regions only, as everywhere in a host program.
static bool isAvailable(Value value, Operation *before) {
  Block *home = value.getParentBlock();
  Operation *place = home->findAncestorOpInBlock(*before);
  if (!place)
    return false;
  Operation *def = value.getDefiningOp();
  return !def || (def != place && def->isBeforeInBlock(place));
}

Value Availability::get(Value value, Operation *before) {
  if (isAvailable(value, before))
    return value;
  auto [entry, isNew] = known.try_emplace({value, before}, Value());
  if (!isNew)
    return entry->second;
  Operation *op = value.getDefiningOp();
  if (!op || op->getNumRegions() != 0 || !isMemoryEffectFree(op))
    return {};
  // What fails for some values (a dimension of an element that is not there) stays in the branch that guards it.
  if (op->getBlock() != before->getBlock() && !isDivision(op) && !isSpeculatable(op))
    return {};
  OpBuilder b(before);
  IRMapping map;
  for (Value operand : op->getOperands()) {
    Value early = get(operand, before);
    if (!early)
      return {};
    map.map(operand, early);
  }
  if (isDivision(op) && op->getBlock() != before->getBlock() && !getConstantIntValue(op->getOperand(1))) {
    Location loc = op->getLoc();
    Value divisor = map.lookup(op->getOperand(1));
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(divisor.getType()));
    Value one = arith::ConstantOp::create(b, loc, b.getIntegerAttr(divisor.getType(), 1));
    Value isZero = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, divisor, zero);
    map.map(op->getOperand(1), arith::SelectOp::create(b, loc, isZero, one, divisor));
  }
  Operation *clone = b.clone(*op, map);
  Value result = clone->getResult(cast<OpResult>(value).getResultNumber());
  known[{value, before}] = result;
  return result;
}

Value Availability::getUpperBound(Value value, Operation *before) {
  if (Value exact = get(value, before))
    return exact;
  Operation *op = value.getDefiningOp();
  OpBuilder b(before);
  if (auto select = dyn_cast_or_null<arith::SelectOp>(op)) {
    Value a = getUpperBound(select.getTrueValue(), before), c = getUpperBound(select.getFalseValue(), before);
    return a && c ? arith::MaxSIOp::create(b, op->getLoc(), a, c).getResult() : Value();
  }
  // Sizes are not negative, so these do not fall when their operands grow.
  if (isa_and_nonnull<arith::AddIOp, arith::MulIOp, arith::MaxSIOp>(op) ||
      (isa_and_nonnull<arith::CeilDivSIOp>(op) && getConstantIntValue(op->getOperand(1)).value_or(0) > 0)) {
    Value a = getUpperBound(op->getOperand(0), before), c = getUpperBound(op->getOperand(1), before);
    if (!a || !c)
      return {};
    IRMapping map;
    map.map(op->getOperands(), ValueRange({a, c}));
    return b.clone(*op, map)->getResult(0);
  }
  return {};
}

bool Availability::get(SmallVectorImpl<OpFoldResult> &values, Operation *before) {
  for (OpFoldResult &value : values)
    if (auto dynamic = dyn_cast<Value>(value)) {
      Value early = get(dynamic, before);
      if (!early)
        return false;
      value = early;
    }
  return true;
}

Value eyrie::stream::getIndexConstant(OpBuilder &b, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value eyrie::stream::materialize(OpBuilder &b, Location loc, OpFoldResult size) {
  if (auto value = dyn_cast<Value>(size))
    return value;
  return getIndexConstant(b, loc, cast<IntegerAttr>(cast<Attribute>(size)).getInt());
}

Value eyrie::stream::getByteCount(OpBuilder &b, Location loc, ArrayRef<OpFoldResult> sizes, Type elementType) {
  int64_t constant = getStoredBits(elementType);
  Value product;
  for (OpFoldResult size : sizes) {
    if (auto known = getConstantIntValue(size))
      constant *= *known;
    else if (Value value = cast<Value>(size); product)
      product = arith::MulIOp::create(b, loc, product, value);
    else
      product = value;
  }
  if (!product)
    return getIndexConstant(b, loc, (constant + 7) / 8);
  if (constant % 8 == 0)
    return constant == 8 ? product : arith::MulIOp::create(b, loc, product, getIndexConstant(b, loc, constant / 8));
  Value bits = arith::MulIOp::create(b, loc, product, getIndexConstant(b, loc, constant));
  return arith::CeilDivSIOp::create(b, loc, bits, getIndexConstant(b, loc, 8));
}

SmallVector<StringRef> eyrie::stream::getNodeNames(Location loc) {
  llvm::SetVector<StringRef, SmallVector<StringRef>> names;
  loc->walk([&](Location part) {
    if (auto name = dyn_cast<NameLoc>(part)) {
      names.insert(name.getName().getValue());
      return WalkResult::skip();
    }
    return WalkResult::advance();
  });
  return names.takeVector();
}

StringRef eyrie::stream::getNodeName(Location loc) {
  SmallVector<StringRef> names = getNodeNames(loc);
  return names.empty() ? StringRef() : names.back();
}
