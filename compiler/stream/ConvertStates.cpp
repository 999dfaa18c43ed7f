// States: tensors that live from call to call (graph::kState). An argument that is a state is memory of the instance;
// graph.append writes behind its rows; what a function gives as the next value of a state lies in a block of its own,
// which the state takes over.
#include "compiler/stream/FunctionConverter.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::stream;

/// The memory in which `dest` has room for the rows behind it.
Value FunctionConverter::extend(graph::AppendOp op, Operation *before, Stored dest) {
  b.setInsertionPoint(before);
  SmallVector<OpFoldResult> sizes = graph::mixedSizes(cast<RankedTensorType>(op.getType()), op.getDims());
  (void)available.get(sizes, before);
  Value bytes = getByteCount(b, op.getLoc(), sizes, cast<TensorType>(op.getType()).getElementType());
  auto type = ResourceType::get(b.getContext(), Lifetime::Transient);
  return extended[op] = ExtendOp::create(b, op.getLoc(), type, dest.resource, dest.length, bytes);
}

/// Lets the op that makes the part write it behind the rows of an argument.
void FunctionConverter::placeAppend(graph::AppendOp op) {
  Value part = getRoot(op.getPart()), root = getRoot(op.getDest());
  auto argument = dyn_cast<BlockArgument>(root);
  if (!argument || argument.getOwner() != &func.getBody().front() || targets.contains(part) ||
      !canWriteInPlace(part, *op->getBlock()))
    return;
  Operation *maker = part.getDefiningOp();
  auto sizes = getAvailableSizes(op.getPart(), maker);
  SmallVector<OpFoldResult> whole = graph::mixedSizes(cast<RankedTensorType>(op.getType()), op.getDims());
  if (failed(sizes) || !available.get(whole, maker))
    return;
  auto dest = find(op, op.getDest());
  if (failed(dest))
    return;
  Value memory = extend(op, maker, *dest);
  targets[part] = {memory, dest->length,
                   getByteCount(b, op.getLoc(), *sizes, cast<TensorType>(op.getType()).getElementType())};
  writtenByMaker.insert(op);
}

LogicalResult FunctionConverter::convertAppend(graph::AppendOp op) {
  auto dest = find(op, op.getDest()), part = find(op, op.getPart());
  auto sizes = getSizes(op.getResult());
  if (failed(dest) || failed(part) || failed(sizes))
    return failure();
  Value memory = extended.lookup(op);
  if (!memory)
    memory = extend(op, op, *dest);
  b.setInsertionPoint(op);
  if (!writtenByMaker.contains(op))
    copy(op.getLoc(), *part, {memory, dest->length, part->length});
  stored[op.getResult()] = {memory, getIndexConstant(b, op.getLoc(), 0),
                            getByteCount(b, op.getLoc(), *sizes, cast<TensorType>(op.getType()).getElementType())};
  return success();
}

/// Lets the makers of next values write them into blocks.
void FunctionConverter::placeStates() {
  Block &body = func.getBody().front();
  for (auto [i, value] : llvm::enumerate(body.getTerminator()->getOperands()))
    if (getStateOfResult(func, i))
      placeBlock(value, body);
}

LogicalResult FunctionConverter::storeState(func::ReturnOp op, unsigned result) {
  Value value = op.getOperand(result);
  StringAttr state = getStateOfResult(func, result);
  auto place = find(op, value);
  auto sizes = getSizes(value);
  if (failed(place) || failed(sizes))
    return failure();
  // Memory of its own, which no other state takes over, and in which the tensor lies at the begin.
  Operation *maker = place->resource.getDefiningOp();
  bool isOwn = isa_and_nonnull<BlockOp, ExtendOp>(maker);
  if (auto import = dyn_cast_or_null<ImportOp>(maker))
    isOwn = getStateOfArgument(func, cast<BlockArgument>(import.getSource()).getArgNumber()) == state;
  bool isTaken = llvm::any_of(place->resource.getUsers(), [](Operation *user) { return isa<StoreStateOp>(user); });
  if (!isOwn || isTaken || getConstantIntValue(place->offset) != 0) {
    b.setInsertionPoint(op);
    Value length = getByteCount(b, op.getLoc(), *sizes, cast<TensorType>(value.getType()).getElementType());
    Stored block = makeBlock(op, length);
    copy(value.getLoc(), {place->resource, place->offset, length}, block);
    *place = block;
  }
  b.setInsertionPoint(op);
  SmallVector<Value> dims;
  for (OpFoldResult size : *sizes)
    dims.push_back(materialize(b, op.getLoc(), size));
  StoreStateOp::create(b, value.getLoc(), state, place->resource, dims);
  return success();
}
