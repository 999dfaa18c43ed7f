// stream-convert-graph: gives every tensor of the host program its memory.
//
//   %w = graph.load_global @w : tensor<8xf32>
//   %0 = graph.dispatch @f(%x, %w) ... : tensor<4x8xf32>
//   %1 = graph.reshape %0 : tensor<4x8xf32> -> tensor<32xf32>
//   return %1
// becomes
//   %x_0 = stream.import %x ; %w = stream.constants ; %y = stream.output 0[%c32]
//   stream.dispatch @f () ins(%x_0[%c0 for %c128], %w[%c64 for %c32]) outs(%y[%c0 for %c128])
//   stream.return
//
// Reshapes and casts are other views of the same bytes. The dispatch that makes a returned value writes the result's
// memory directly; a value that is returned twice, or is an argument or a constant, is copied. Both branches of an
// scf.if write the memory of its results, which lies outside. Needs the module as `graph` leaves it; leaves stream ops,
// scalar arithmetic and scf.if without tensors.
#include "compiler/stream/FunctionConverter.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::stream;

static bool isTensorOp(Operation *op) {
  return llvm::any_of(op->getOperands(), isTensor) || llvm::any_of(op->getResults(), isTensor);
}

/// Whether the op that makes `root` can be told where to write it: it must lie in `block` itself.
bool FunctionConverter::canWriteInPlace(Value root, Block &block) const {
  Operation *op = root.getDefiningOp();
  return op && op->getBlock() == &block &&
         isa<graph::DispatchOp, graph::HostCallOp, scf::IfOp, scf::WhileOp, tensor::EmptyOp>(op);
}

//===- preparation --------------------------------------------------------------------------------------------------===

/// A tensor chosen by arith.select (into which scf.if folds when it computes nothing) is chosen by scf.if again.
void FunctionConverter::expandSelects() {
  func.walk([&](arith::SelectOp op) {
    if (!isTensor(op.getResult()))
      return;
    b.setInsertionPoint(op);
    auto yield = [&](Value value) {
      return [=](OpBuilder &inner, Location loc) { scf::YieldOp::create(inner, loc, value); };
    };
    auto ifOp =
        scf::IfOp::create(b, op.getLoc(), op.getCondition(), yield(op.getTrueValue()), yield(op.getFalseValue()));
    op.replaceAllUsesWith(ifOp.getResult(0));
    op.erase();
  });
}

/// Memory that updates or loops start from is made for each of them, and as early as its sizes are known, so that the
/// ops that make the parts can write there.
void FunctionConverter::separateEmpties() {
  func.walk([&](tensor::EmptyOp op) {
    Operation *last = nullptr;
    for (Value size : op.getDynamicSizes())
      if (Operation *def = op->getBlock()->findAncestorOpInBlock(*size.getParentBlock()->getParentOp()); !def)
        if (Operation *own = size.getDefiningOp(); own && own->getBlock() == op->getBlock())
          last = !last || last->isBeforeInBlock(own) ? own : last;
    if (last)
      b.setInsertionPointAfter(last);
    else
      b.setInsertionPointToStart(op->getBlock());
    for (OpOperand &use : llvm::make_early_inc_range(op->getUses()))
      if (isa<graph::UpdateOp, scf::WhileOp>(use.getOwner()))
        use.set(b.clone(*op)->getResult(0));
  });
}

void FunctionConverter::eraseDeadOps(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        eraseDeadOps(inner);
    if (isOpTriviallyDead(&op))
      op.erase();
  }
}

/// One tensor.dim for each dynamic dimension of the arguments, at the start; one for all that have the same symbol,
/// which the runtime checks to be equal.
void FunctionConverter::makeArgumentSizes() {
  b.setInsertionPointToStart(&func.getBody().front());
  llvm::StringMap<Value> symbols;
  for (BlockArgument argument : func.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type) {
      argumentSizes.emplace_back();
      continue;
    }
    auto names = func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "eyrie.dims");
    SmallVector<Value> dims;
    for (int64_t i = 0; i < type.getRank(); ++i) {
      if (!type.isDynamicDim(i))
        continue;
      auto name = names && i < int64_t(names.size()) ? dyn_cast<StringAttr>(names[i]) : StringAttr();
      Value *known = name && !name.empty() ? &symbols[name] : nullptr;
      Value dim = known ? *known : Value();
      if (!dim)
        dim = tensor::DimOp::create(b, func.getLoc(), argument, i);
      if (known)
        *known = dim;
      dims.push_back(dim);
    }
    argumentSizes.push_back(graph::mixedSizes(type, dims));
  }
}

/// Every tensor.dim becomes the scalar that holds it.
LogicalResult FunctionConverter::resolveDims() {
  SmallVector<tensor::DimOp> dims;
  func.walk<WalkOrder::PreOrder>([&](tensor::DimOp op) { dims.push_back(op); });
  makeArgumentSizes();
  for (tensor::DimOp op : dims) {
    auto index = op.getConstantIndex();
    if (!index)
      return op.emitOpError("has a dimension number that is not constant");
    auto sizes = getSizes(op.getSource());
    if (failed(sizes))
      return failure();
    b.setInsertionPoint(op);
    op.replaceAllUsesWith(materialize(b, op.getLoc(), (*sizes)[*index]));
    op.erase();
  }
  return success();
}

FailureOr<SmallVector<OpFoldResult>> FunctionConverter::getSizes(Value tensor) {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  if (!type)
    return emitError(tensor.getLoc()) << "has no rank: " << tensor.getType();
  if (type.hasStaticShape())
    return graph::mixedSizes(type, {});
  if (auto argument = dyn_cast<BlockArgument>(tensor)) {
    if (argument.getOwner() == &func.getBody().front())
      return argumentSizes[argument.getArgNumber()];
    return emitError(tensor.getLoc()) << "a tensor that a loop carries has dynamic sizes that no graph.reshape gives";
  }
  Operation *op = tensor.getDefiningOp();
  unsigned number = cast<OpResult>(tensor).getResultNumber();
  if (auto dispatch = dyn_cast<graph::DispatchOp>(op))
    return dispatch.getResultSizes(number);
  if (auto call = dyn_cast<graph::HostCallOp>(op))
    return call.getResultSizes(number);
  if (auto reshape = dyn_cast<graph::ReshapeOp>(op))
    return graph::mixedSizes(type, reshape.getDims());
  if (auto slice = dyn_cast<graph::SliceOp>(op))
    return graph::mixedSizes(type, slice.getDims());
  if (auto get = dyn_cast<graph::ListGetOp>(op))
    return graph::mixedSizes(type, get.getDims());
  if (auto append = dyn_cast<graph::AppendOp>(op))
    return graph::mixedSizes(type, append.getDims());
  if (auto update = dyn_cast<graph::UpdateOp>(op))
    return getSizes(update.getDest());
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return getSizes(cast.getSource());
  if (auto empty = dyn_cast<tensor::EmptyOp>(op))
    return empty.getMixedSizes();
  if (auto ifOp = dyn_cast<scf::IfOp>(op)) {
    auto sizes = getIfSizes(ifOp, number);
    if (failed(sizes))
      return op->emitOpError(
          "gives a tensor whose sizes are known only in its branches; a graph.reshape must say them");
    return sizes;
  }
  return op->emitOpError("cannot be part of a host program: expected what the graph stage leaves");
}

Stored FunctionConverter::createOutput(unsigned index, ArrayRef<OpFoldResult> sizes, Operation *before) {
  Location loc = before->getLoc();
  b.setInsertionPoint(before);
  SmallVector<Value> dims;
  for (OpFoldResult size : sizes)
    dims.push_back(materialize(b, loc, size));
  auto elementType = cast<TensorType>(func.getResultTypes()[index]).getElementType();
  Value length = getByteCount(b, loc, sizes, elementType);
  auto type = ResourceType::get(b.getContext(), Lifetime::External);
  return {OutputOp::create(b, loc, type, getResultNumber(func, index), dims), getIndexConstant(b, loc, 0), length};
}

/// Lets the producers of returned values write the results, where the results' sizes are known before them.
LogicalResult FunctionConverter::placeResults() {
  Block &body = func.getBody().front();
  for (auto [i, value] : llvm::enumerate(body.getTerminator()->getOperands())) {
    Value root = getRoot(value);
    if (!isTensor(value) || getStateOfResult(func, i) || !canWriteInPlace(root, body) || targets.contains(root))
      continue;
    auto sizes = getSizes(value);
    if (failed(sizes))
      return failure();
    if (!available.get(*sizes, root.getDefiningOp()))
      continue;
    targets[root] = createOutput(i, *sizes, root.getDefiningOp());
    directResults[i] = root;
  }
  return success();
}

//===- conversion ---------------------------------------------------------------------------------------------------===

FailureOr<Stored> FunctionConverter::allocate(Operation *before, ArrayRef<OpFoldResult> sizes, Type elementType,
                                              StringRef name) {
  if (getStoredBits(elementType) == 0)
    return before->emitOpError("has elements of type ") << elementType << ", which cannot be stored";
  b.setInsertionPoint(before);
  Location loc = before->getLoc();
  Value length = getByteCount(b, loc, sizes, elementType);
  auto type = ResourceType::get(b.getContext(), Lifetime::Transient);
  return Stored{AllocOp::create(b, loc, type, length, name), getIndexConstant(b, loc, 0), length};
}

FailureOr<Stored> FunctionConverter::getTarget(OpResult result) {
  if (auto known = targets.find(result); known != targets.end())
    return known->second;
  auto sizes = getSizes(result);
  if (failed(sizes))
    return failure();
  return allocate(result.getOwner(), *sizes, cast<TensorType>(result.getType()).getElementType(),
                  getNodeName(result.getLoc()));
}

/// Arguments are imported when they are first used.
FailureOr<Stored> FunctionConverter::find(Operation *user, Value tensor) {
  if (auto known = stored.find(tensor); known != stored.end())
    return known->second;
  auto argument = dyn_cast<BlockArgument>(tensor);
  if (!argument)
    return user->emitOpError("uses a tensor that has no memory");
  auto sizes = getSizes(tensor);
  if (failed(sizes))
    return failure();
  // Behind the tensor.dim ops at the start.
  Operation *place = &func.getBody().front().front();
  while (isa<tensor::DimOp, arith::ConstantOp, ImportOp>(place))
    place = place->getNextNode();
  b.setInsertionPoint(place);
  Location loc = func.getLoc();
  Value length = getByteCount(b, loc, *sizes, cast<TensorType>(tensor.getType()).getElementType());
  Value resource = ImportOp::create(b, loc, ResourceType::get(b.getContext(), Lifetime::External), argument);
  return stored[tensor] = {resource, getIndexConstant(b, loc, 0), length};
}

void FunctionConverter::copy(Location loc, Stored from, Stored to) {
  CopyOp::create(b, loc, from.resource, from.offset, to.resource, to.offset, to.length);
}

FailureOr<FunctionConverter::Bindings> FunctionConverter::bind(Operation *op, ValueRange inputs) {
  Bindings bindings;
  auto add = [&](const Stored &tensor) {
    bindings.resources.push_back(tensor.resource);
    bindings.offsets.push_back(tensor.offset);
    bindings.lengths.push_back(tensor.length);
  };
  for (Value tensor : inputs) {
    auto place = find(op, tensor);
    if (failed(place))
      return failure();
    add(*place);
  }
  bindings.reads = b.getI64IntegerAttr(bindings.resources.size());
  for (OpResult result : op->getResults()) {
    auto place = getTarget(result);
    if (failed(place))
      return failure();
    stored[result] = *place;
    add(*place);
  }
  b.setInsertionPoint(op);
  return bindings;
}

LogicalResult FunctionConverter::convertDispatch(graph::DispatchOp op) {
  auto bindings = bind(op, op.getTensors());
  if (failed(bindings))
    return failure();
  DispatchOp::create(b, op.getLoc(), op.getExecutableAttr(), ValueRange(), op.getConstants(), bindings->resources,
                     bindings->offsets, bindings->lengths, bindings->reads);
  return success();
}

LogicalResult FunctionConverter::convertHostCall(graph::HostCallOp op) {
  auto bindings = bind(op, op.getInputs());
  if (failed(bindings))
    return failure();
  SmallVector<Value> sizes;
  SmallVector<int64_t> ranks;
  for (auto [i, tensor] :
       llvm::enumerate(llvm::concat<Value>(SmallVector<Value>(op.getInputs()), SmallVector<Value>(op.getResults())))) {
    auto known = getSizes(tensor);
    if (failed(known))
      return failure();
    for (OpFoldResult size : *known)
      sizes.push_back(materialize(b, op.getLoc(), size));
    ranks.push_back(known->size());
    if (!bindings->lengths[i])
      bindings->lengths[i] = getByteCount(b, op.getLoc(), *known, cast<TensorType>(tensor.getType()).getElementType());
  }
  HostCallOp::create(b, op.getLoc(), op.getCalleeAttr(), sizes, bindings->resources, bindings->offsets,
                     bindings->lengths, bindings->reads, op.getTypesAttr(), b.getDenseI64ArrayAttr(ranks),
                     op.getConfigAttr());
  return success();
}

LogicalResult FunctionConverter::convertConstant(Operation *op, StringAttr global) {
  b.setInsertionPoint(op);
  Location loc = op->getLoc();
  auto type = cast<ShapedType>(op->getResult(0).getType());
  if (auto known = weights.getSymbols().lookup<graph::GlobalOp>(global); known && isParameter(known)) {
    Value resource = ParameterOp::create(b, loc, ResourceType::get(b.getContext(), Lifetime::Constant), global);
    stored[op->getResult(0)] = {resource, getIndexConstant(b, loc, 0), getIndexConstant(b, loc, getStoredBytes(type))};
    return success();
  }
  auto offset = weights.place(op, global);
  if (failed(offset))
    return failure();
  Value resource = ConstantsOp::create(b, loc, ResourceType::get(b.getContext(), Lifetime::Constant));
  stored[op->getResult(0)] = {resource, getIndexConstant(b, loc, *offset),
                              getIndexConstant(b, loc, getStoredBytes(type))};
  return success();
}

LogicalResult FunctionConverter::convertReadScalar(graph::ReadScalarOp op) {
  auto place = find(op, op.getSource());
  auto sizes = getSizes(op.getSource());
  if (failed(place) || failed(sizes))
    return failure();
  int64_t bits = getStoredBits(op.getType());
  if (bits < 8 || bits > 64)
    return op.emitOpError("cannot read an element of type ") << op.getType() << " on the host";
  b.setInsertionPoint(op);
  Location loc = op.getLoc();
  Value element;
  for (auto [index, size] : llvm::zip_equal(op.getIndices(), *sizes))
    element = element ? b.createOrFold<arith::AddIOp>(
                            loc, b.createOrFold<arith::MulIOp>(loc, element, materialize(b, loc, size)), index)
                      : index;
  Value offset = place->offset;
  if (element)
    offset = b.createOrFold<arith::AddIOp>(
        loc, offset, b.createOrFold<arith::MulIOp>(loc, element, getIndexConstant(b, loc, bits / 8)));
  op.replaceAllUsesWith(ReadScalarOp::create(b, loc, op.getType(), place->resource, offset).getResult());
  return success();
}

/// What is put into a sequence is written where it can stay.
void FunctionConverter::placeElements(Block &block) {
  for (auto op : block.getOps<graph::ListInsertOp>())
    placeBlock(op.getTensor(), block);
}

LogicalResult FunctionConverter::convertListInsert(graph::ListInsertOp op) {
  auto place = getReference(op, op.getTensor());
  auto sizes = getSizes(op.getTensor());
  if (failed(place) || failed(sizes))
    return failure();
  b.setInsertionPoint(op);
  SmallVector<Value> dims;
  for (OpFoldResult size : *sizes)
    dims.push_back(materialize(b, op.getLoc(), size));
  op.replaceAllUsesWith(ListInsertOp::create(b, op.getLoc(), op.getType(), op.getList(), op.getPosition(),
                                             place->resource, place->offset, dims)
                            .getResult());
  return success();
}

LogicalResult FunctionConverter::convertListGet(graph::ListGetOp op) {
  auto sizes = getSizes(op.getResult());
  if (failed(sizes))
    return failure();
  b.setInsertionPoint(op);
  auto type = ResourceType::get(b.getContext(), Lifetime::Transient);
  auto get = ListGetOp::create(b, op.getLoc(), type, b.getIndexType(), op.getList(), op.getPosition());
  stored[op.getResult()] = {get.getResult(), get.getOffset(),
                            getByteCount(b, op.getLoc(), *sizes, cast<TensorType>(op.getType()).getElementType())};
  return success();
}

LogicalResult FunctionConverter::convertReturn(func::ReturnOp op) {
  for (auto [i, value] : llvm::enumerate(op.getOperands())) {
    if (directResults.contains(i))
      continue;
    if (getStateOfResult(func, i)) {
      if (failed(storeState(op, i)))
        return failure();
      continue;
    }
    if (!isTensor(value)) {
      b.setInsertionPoint(op);
      ListResultOp::create(b, value.getLoc(), getResultNumber(func, i), value);
      continue;
    }
    auto from = find(op, value);
    auto sizes = getSizes(value);
    if (failed(from) || failed(sizes))
      return failure();
    Stored to = createOutput(i, *sizes, op);
    copy(value.getLoc(), *from, to);
  }
  b.setInsertionPoint(op);
  ReturnOp::create(b, op.getLoc());
  return success();
}

LogicalResult FunctionConverter::convertOp(Operation *op) {
  if (auto dispatch = dyn_cast<graph::DispatchOp>(op))
    return convertDispatch(dispatch);
  if (auto call = dyn_cast<graph::HostCallOp>(op))
    return convertHostCall(call);
  if (auto ifOp = dyn_cast<scf::IfOp>(op))
    return convertIf(ifOp);
  if (auto loop = dyn_cast<scf::WhileOp>(op))
    return convertWhile(loop);
  if (auto slice = dyn_cast<graph::SliceOp>(op))
    return convertSlice(slice);
  if (auto update = dyn_cast<graph::UpdateOp>(op))
    return convertUpdate(update);
  if (auto append = dyn_cast<graph::AppendOp>(op))
    return convertAppend(append);
  if (auto load = dyn_cast<graph::LoadGlobalOp>(op))
    return convertConstant(op, load.getGlobalAttr().getAttr());
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    b.setInsertionPoint(func);
    auto global = graph::GlobalOp::create(b, op->getLoc(), "constant", constant.getType(),
                                          cast<ElementsAttr>(constant.getValue()));
    return convertConstant(op, weights.getSymbols().insert(global));
  }
  if (auto read = dyn_cast<graph::ReadScalarOp>(op))
    return convertReadScalar(read);
  if (auto get = dyn_cast<graph::ListGetOp>(op))
    return convertListGet(get);
  if (auto insert = dyn_cast<graph::ListInsertOp>(op))
    return convertListInsert(insert);
  if (auto ret = dyn_cast<func::ReturnOp>(op))
    return convertReturn(ret);
  if (isa<graph::ReshapeOp, tensor::CastOp>(op)) {
    auto place = find(op, op->getOperand(0));
    if (failed(place))
      return failure();
    if (!place->length) {
      auto sizes = getSizes(op->getResult(0));
      if (failed(sizes))
        return failure();
      b.setInsertionPoint(op);
      place->length = getByteCount(b, op->getLoc(), *sizes, cast<TensorType>(op->getResultTypes()[0]).getElementType());
    }
    stored[op->getResult(0)] = *place;
    return success();
  }
  if (isa<tensor::EmptyOp>(op)) {
    auto place = getTarget(op->getResult(0));
    if (failed(place))
      return failure();
    stored[op->getResult(0)] = *place;
    return success();
  }
  return op->emitOpError("cannot be part of a host program: expected what the graph stage leaves");
}

LogicalResult FunctionConverter::convertBlock(Block &block) {
  placeUpdates(block);
  placeElements(block);
  SmallVector<Operation *> ops;
  for (Operation &op : block)
    if (!isa<scf::YieldOp, scf::ConditionOp, tensor::DimOp>(op) &&
        op.getDialect() != b.getContext()->getLoadedDialect<StreamDialect>() &&
        (isTensorOp(&op) || isa<scf::IfOp, scf::WhileOp, func::ReturnOp>(op)))
      ops.push_back(&op);
  for (Operation *op : ops) {
    if (failed(convertOp(op)))
      return failure();
    converted.push_back(op);
  }
  return success();
}

LogicalResult FunctionConverter::run() {
  if (!func.getBody().hasOneBlock())
    return func.emitOpError("has more than one block; expected structured control flow");
  for (Type type : llvm::concat<const Type>(func.getArgumentTypes(), func.getResultTypes()))
    if (auto tensor = dyn_cast<RankedTensorType>(type);
        !isa<graph::ListType>(type) && (!tensor || getStoredBits(tensor.getElementType()) == 0))
      return func.emitOpError("has an argument or result of type ") << type << "; expected a tensor that can be stored";
  eraseDeadOps(func.getBody().front());
  expandSelects();
  separateEmpties();
  updates.analyze(func);
  if (failed(resolveDims()) || failed(placeResults()))
    return failure();
  placeStates();
  if (failed(convertBlock(func.getBody().front())))
    return failure();
  for (Operation *op : llvm::reverse(converted)) {
    op->dropAllUses();
    op->erase();
  }
  return success();
}

namespace {
struct ConvertGraphPass : PassWrapper<ConvertGraphPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertGraphPass)
  StringRef getArgument() const override { return "stream-convert-graph"; }
  StringRef getDescription() const override { return "Gives every tensor of the host program its memory"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<StreamDialect, arith::ArithDialect, scf::SCFDialect, tensor::TensorDialect>();
  }
  void runOnOperation() override {
    for (auto global : getOperation().getOps<graph::GlobalOp>())
      global->removeAttr(kWeightOffset);
    WeightLayout weights(getOperation());
    for (auto func : llvm::to_vector(getOperation().getOps<func::FuncOp>()))
      if (!func.isExternal() && failed(FunctionConverter(func, weights).run()))
        return signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> eyrie::stream::createConvertGraphPass() { return std::make_unique<ConvertGraphPass>(); }
