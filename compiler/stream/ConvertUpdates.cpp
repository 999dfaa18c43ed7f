// Parts of tensors: graph.slice is another view of the same bytes; graph.update writes into the memory of the tensor
// that it changes where nobody reads the old one afterwards, and then the op that makes the part writes there directly
// if it can.
#include "compiler/stream/FunctionConverter.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::stream;

//===- analysis -----------------------------------------------------------------------------------------------------===

/// The same bytes under another shape.
static bool isReshape(Operation *op) { return isa<graph::ReshapeOp, tensor::CastOp>(op); }
static bool isView(Operation *op) { return isReshape(op) || isa<graph::SliceOp>(op); }

/// Through the ops that `passes` accepts to what their first operand comes from.
static Value lookThrough(Value tensor, llvm::function_ref<bool(Operation *)> passes) {
  for (Operation *op = tensor.getDefiningOp(); op && passes(op); op = tensor.getDefiningOp())
    tensor = op->getOperand(0);
  return tensor;
}

Value InPlaceUpdates::getRoot(Value tensor) const {
  return lookThrough(tensor, [&](Operation *op) { return isReshape(op) || inPlace.contains(op); });
}

bool InPlaceUpdates::isOnlyUse(graph::UpdateOp op, bool allowEarlier) const {
  SmallVector<Value> work{lookThrough(op.getDest(), isReshape)};
  while (!work.empty()) {
    for (Operation *user : work.pop_back_val().getUsers()) {
      if (user == op.getOperation())
        continue;
      Operation *here = op->getBlock()->findAncestorOpInBlock(*user);
      // A sequence keeps what is put into it.
      if (!here || here->hasTrait<OpTrait::IsTerminator>() || isa<graph::ListInsertOp>(user))
        return false;
      if (isView(user))
        work.push_back(user->getResult(0));
      else if (!allowEarlier || !here->isBeforeInBlock(op))
        return false;
    }
  }
  return true;
}

static bool isState(func::FuncOp func, Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  return argument && argument.getOwner() == &func.getBody().front() &&
         getStateOfArgument(func, argument.getArgNumber());
}

/// What the function stores in the state is made of its old value by updates alone.
static bool isNextValue(func::FuncOp func, BlockArgument argument) {
  StringAttr state = getStateOfArgument(func, argument.getArgNumber());
  for (auto [i, value] : llvm::enumerate(func.getBody().front().getTerminator()->getOperands()))
    if (getStateOfResult(func, i) == state)
      return lookThrough(value, [](Operation *op) { return isReshape(op) || isa<graph::UpdateOp>(op); }) == argument;
  return false;
}

void InPlaceUpdates::analyze(func::FuncOp func) {
  SmallVector<graph::UpdateOp> ofLoops;
  func.walk<WalkOrder::PreOrder>([&](graph::UpdateOp op) {
    Value root = getRoot(op.getDest());
    if (!isOnlyUse(op, /*allowEarlier=*/true))
      return;
    if (isState(func, root)) {
      // A state whose next value is this tensor, changed.
      if (op->getBlock() == &func.getBody().front() && isNextValue(func, cast<BlockArgument>(root)))
        inPlace.insert(op);
    } else if (auto argument = dyn_cast<BlockArgument>(root)) {
      auto loop = dyn_cast<scf::WhileOp>(argument.getOwner()->getParentOp());
      if (loop && argument.getOwner() == loop.getAfterBody() && op->getBlock() == argument.getOwner()) {
        inPlace.insert(op);
        ofLoops.push_back(op);
      }
    } else if (root.getDefiningOp()->getBlock() == op->getBlock() &&
               isa<graph::DispatchOp, tensor::EmptyOp>(root.getDefiningOp())) {
      inPlace.insert(op);
    }
  });
  // What a loop carries is changed in place only if it hands on just the last version, in the same position.
  for (graph::UpdateOp op : ofLoops) {
    auto argument = cast<BlockArgument>(getRoot(op.getDest()));
    auto loop = cast<scf::WhileOp>(argument.getOwner()->getParentOp());
    Value forwarded = loop.getConditionOp().getArgs()[argument.getArgNumber()];
    auto before = dyn_cast<BlockArgument>(forwarded);
    bool isOnce = llvm::count(loop.getConditionOp().getArgs(), forwarded) == 1;
    if (before && before.getOwner() == loop.getBeforeBody() && isOnce &&
        getRoot(loop.getYieldedValues()[before.getArgNumber()]) == argument)
      changedInPlace.insert(argument);
  }
  for (graph::UpdateOp op : ofLoops)
    if (!changedInPlace.contains(getRoot(op.getDest())))
      inPlace.erase(op);
}

//===- conversion ---------------------------------------------------------------------------------------------------===

/// The bytes of one row of `tensor`, and of the rows before row `offset`.
static Value getRowsBytes(OpBuilder &b, Location loc, Type type, ArrayRef<OpFoldResult> sizes, Value rows) {
  SmallVector<OpFoldResult> counted{OpFoldResult(rows)};
  if (auto known = getConstantIntValue(rows))
    counted[0] = b.getIndexAttr(*known);
  llvm::append_range(counted, sizes.drop_front());
  return getByteCount(b, loc, counted, cast<TensorType>(type).getElementType());
}

LogicalResult FunctionConverter::convertSlice(graph::SliceOp op) {
  auto place = find(op, op.getSource());
  auto sizes = getSizes(op.getResult());
  if (failed(place) || failed(sizes))
    return failure();
  b.setInsertionPoint(op);
  Value before = getRowsBytes(b, op.getLoc(), op.getType(), *sizes, op.getOffset());
  stored[op.getResult()] = {place->resource, b.createOrFold<arith::AddIOp>(op.getLoc(), place->offset, before),
                            getByteCount(b, op.getLoc(), *sizes, cast<TensorType>(op.getType()).getElementType())};
  return success();
}

/// Lets the makers of parts write them in place.
void FunctionConverter::placeUpdates(Block &block) {
  for (auto op : block.getOps<graph::UpdateOp>())
    if (updates.contains(op))
      placeUpdate(op);
  for (auto op : llvm::to_vector(block.getOps<graph::AppendOp>()))
    placeAppend(op);
}

void FunctionConverter::placeUpdate(graph::UpdateOp op) {
  Value part = getRoot(op.getPart()), root = getRoot(op.getDest());
  if (!canWriteInPlace(part, *op->getBlock()) || targets.contains(part) || !part.hasOneUse() ||
      !op.getPart().hasOneUse())
    return;
  // The part is written earlier than the update says: nobody may read what stands there.
  if (!updates.isOnlyUse(op, /*allowEarlier=*/false))
    return;
  Operation *maker = part.getDefiningOp();
  bool readsDest =
      llvm::any_of(maker->getOperands(), [&](Value operand) { return isTensor(operand) && getRoot(operand) == root; });
  SmallVector<OpFoldResult> offset{op.getOffset()};
  auto sizes = getAvailableSizes(op.getPart(), maker);
  if (readsDest || failed(sizes) || !available.get(offset, maker))
    return;
  std::optional<Stored> place;
  if (auto known = stored.find(root); known != stored.end()) {
    place = known->second;
  } else if (auto known = targets.find(root); known != targets.end()) {
    place = known->second;
  } else if (auto empty = root.getDefiningOp<tensor::EmptyOp>()) {
    auto destSizes = getAvailableSizes(root, maker);
    if (failed(destSizes))
      return;
    auto memory = allocate(maker, *destSizes, empty.getType().getElementType(), getNodeName(op.getLoc()));
    if (failed(memory))
      return;
    targets[root] = *memory;
    place = *memory;
  }
  auto isThere = [&](Value value) {
    SmallVector<OpFoldResult> one{value};
    return available.get(one, maker) && cast<Value>(one[0]) == value;
  };
  if (!place || !isThere(place->resource) || !isThere(place->offset))
    return;
  b.setInsertionPoint(maker);
  Value before = getRowsBytes(b, op.getLoc(), op.getType(), *sizes, materialize(b, op.getLoc(), offset[0]));
  targets[part] = {place->resource, b.createOrFold<arith::AddIOp>(op.getLoc(), place->offset, before),
                   getByteCount(b, op.getLoc(), *sizes, cast<TensorType>(op.getType()).getElementType())};
  writtenByMaker.insert(op);
}

LogicalResult FunctionConverter::convertUpdate(graph::UpdateOp op) {
  auto dest = find(op, op.getDest()), part = find(op, op.getPart());
  auto sizes = getSizes(op.getPart()), destSizes = getSizes(op.getDest());
  if (failed(dest) || failed(part) || failed(sizes) || failed(destSizes))
    return failure();
  Location loc = op.getLoc();
  if (!updates.contains(op)) {
    auto memory = allocate(op, *destSizes, op.getType().getElementType(), getNodeName(loc));
    if (failed(memory))
      return failure();
    b.setInsertionPoint(op);
    copy(loc, {dest->resource, dest->offset, memory->length}, *memory);
    dest = memory;
  }
  stored[op.getResult()] = *dest;
  if (writtenByMaker.contains(op))
    return success();
  b.setInsertionPoint(op);
  Value before = getRowsBytes(b, loc, op.getType(), *sizes, op.getOffset());
  Value length = getByteCount(b, loc, *sizes, op.getType().getElementType());
  copy(loc, {part->resource, part->offset, length},
       {dest->resource, b.createOrFold<arith::AddIOp>(loc, dest->offset, before), length});
  return success();
}
