// The sizes of tensors as index values of the host program.
#include "compiler/graph/Graph.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

using namespace mlir;
using namespace eyrie::graph;

namespace {
OpFoldResult add(OpBuilder &b, Location loc, OpFoldResult x, OpFoldResult y) {
  auto known = [](OpFoldResult v) { return getConstantIntValue(v); };
  if (known(x) && known(y))
    return b.getIndexAttr(*known(x) + *known(y));
  if (known(x) == 0)
    return y;
  if (known(y) == 0)
    return x;
  return arith::AddIOp::create(b, loc, getValueOrCreateConstantIndexOp(b, loc, x),
                               getValueOrCreateConstantIndexOp(b, loc, y))
      .getResult();
}

/// `size`, computed before `conditional` although its operations stand in one of its branches.
Value hoistOutOf(scf::IfOp conditional, Value size, IRMapping &mapping) {
  Operation *def = size.getDefiningOp();
  if (!def || !conditional->isProperAncestor(def))
    return size;
  for (Value operand : def->getOperands())
    mapping.map(operand, hoistOutOf(conditional, operand, mapping));
  OpBuilder before(conditional);
  return before.clone(*def, mapping)->getResult(cast<OpResult>(size).getResultNumber());
}

/// The first of the function's dimensions that has the name of this one.
std::pair<BlockArgument, int64_t> firstOfName(BlockArgument arg, int64_t dim) {
  auto func = dyn_cast<func::FuncOp>(arg.getOwner()->getParentOp());
  auto names = [&](BlockArgument a) { return func.getArgAttrOfType<ArrayAttr>(a.getArgNumber(), "eyrie.dims"); };
  if (!func || !names(arg) || cast<StringAttr>(names(arg)[dim]).empty())
    return {arg, dim};
  for (BlockArgument other : func.getArguments())
    if (ArrayAttr list = names(other))
      for (auto [i, name] : llvm::enumerate(list))
        if (name == names(arg)[dim])
          return {other, i};
  return {arg, dim};
}

/// One `tensor.dim` for all dimensions of a name, at the function's entry, where it dominates every use.
Value argumentDim(BlockArgument given, int64_t givenDim) {
  auto [arg, dim] = firstOfName(given, givenDim);
  Block *entry = arg.getOwner();
  for (Operation *user : arg.getUsers())
    if (auto found = dyn_cast<tensor::DimOp>(user);
        found && found->hasAttr("graph.entry") && found.getConstantIndex() == dim)
      return found;
  OpBuilder b = OpBuilder::atBlockBegin(entry);
  auto op = tensor::DimOp::create(b, arg.getLoc(), arg, dim);
  op->setAttr("graph.entry", b.getUnitAttr());
  return op;
}
} // namespace

SmallVector<OpFoldResult> eyrie::graph::getHostSizes(OpBuilder &b, Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.hasStaticShape())
    return getAsIndexOpFoldResult(b.getContext(), type.getShape());
  SmallVector<OpFoldResult> sizes;
  if (auto arg = dyn_cast<BlockArgument>(value)) {
    for (int64_t i = 0; i < type.getRank(); ++i)
      sizes.push_back(type.isDynamicDim(i) ? OpFoldResult(argumentDim(arg, i))
                                           : OpFoldResult(b.getIndexAttr(type.getDimSize(i))));
    return sizes;
  }
  Operation *op = value.getDefiningOp();
  unsigned number = cast<OpResult>(value).getResultNumber();
  if (auto dispatch = dyn_cast<DispatchOp>(op))
    return dispatch.getResultSizes(number);
  if (auto empty = dyn_cast<tensor::EmptyOp>(op))
    return empty.getMixedSizes();
  if (auto update = dyn_cast<UpdateOp>(op))
    return getHostSizes(b, update.getDest());
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    sizes = getHostSizes(b, cast.getSource());
  else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    llvm::SmallBitVector dropped = slice.getDroppedDims();
    for (auto [i, size] : llvm::enumerate(slice.getMixedSizes()))
      if (!dropped.test(i))
        sizes.push_back(size);
  } else if (auto insert = dyn_cast<tensor::InsertSliceOp>(op)) {
    sizes = getHostSizes(b, insert.getDest());
  } else if (auto pad = dyn_cast<tensor::PadOp>(op)) {
    for (auto [low, size, high] :
         llvm::zip(pad.getMixedLowPad(), getHostSizes(b, pad.getSource()), pad.getMixedHighPad()))
      sizes.push_back(add(b, op->getLoc(), add(b, op->getLoc(), low, size), high));
  } else if (auto concat = dyn_cast<tensor::ConcatOp>(op)) {
    sizes = getHostSizes(b, concat.getInputs()[0]);
    for (Value input : concat.getInputs().drop_front())
      sizes[concat.getDim()] = add(b, op->getLoc(), sizes[concat.getDim()], getHostSizes(b, input)[concat.getDim()]);
  } else if (auto conditional = dyn_cast<scf::IfOp>(op)) {
    // Both branches yield one shape, whose sizes the importer made computable outside of them.
    OpBuilder inside(conditional.thenYield());
    sizes = getHostSizes(inside, conditional.thenYield().getOperand(number));
    IRMapping mapping;
    for (OpFoldResult &size : sizes)
      if (auto dynamic = dyn_cast<Value>(size))
        size = hoistOutOf(conditional, dynamic, mapping);
  } else if (auto destination = dyn_cast<DestinationStyleOpInterface>(op)) {
    sizes = getHostSizes(b, destination.getDpsInits()[number]);
  } else {
    ReifiedRankedShapedTypeDims shapes;
    LogicalResult reified = reifyResultShapes(b, op, shapes);
    assert(succeeded(reified) && "an operation with dynamic results must say their sizes");
    (void)reified;
    sizes = shapes[number];
  }
  for (auto [i, size] : llvm::enumerate(sizes))
    if (!type.isDynamicDim(i))
      size = b.getIndexAttr(type.getDimSize(i));
  return sizes;
}
