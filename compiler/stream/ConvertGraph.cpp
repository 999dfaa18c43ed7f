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
#include "compiler/graph/Graph.h"
#include "compiler/stream/HostValues.h"
#include "compiler/stream/Stream.h"
#include "compiler/stream/Weights.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::stream;

namespace {

/// Assigns the globals that the program uses their places in the weights section.
class WeightLayout {
public:
  explicit WeightLayout(ModuleOp module) : symbols(module) {}

  /// The global's byte offset; reports an error at `user` if there is no such global or it cannot be stored.
  FailureOr<int64_t> place(Operation *user, StringAttr name) {
    auto global = symbols.lookup<graph::GlobalOp>(name);
    if (!global)
      return user->emitOpError("refers to the global @") << name.getValue() << ", which does not exist";
    if (auto known = global->getAttrOfType<IntegerAttr>(kWeightOffset))
      return known.getInt();
    if (!global.getValue())
      return global.emitOpError("has no value; run @__initialize before making the module");
    FailureOr<WeightContent> content = getWeightContent(*global.getValue());
    if (failed(content))
      return global.emitOpError("cannot be stored: its data does not fit its type ") << global.getType();
    int64_t offset = placeContent(*global.getValue(), std::move(*content));
    global->setAttr(kWeightOffset, Builder(global).getI64IntegerAttr(offset));
    return offset;
  }

  SymbolTable &getSymbols() { return symbols; }

private:
  int64_t placeContent(ElementsAttr value, WeightContent content) {
    StringRef bytes(content.piece.data(), content.piece.size());
    auto key = std::make_pair(llvm::xxh3_64bits(bytes), content.size());
    for (auto [other, offset] : known[key])
      if (FailureOr<WeightContent> same = getWeightContent(other); succeeded(same) && *same == content)
        return offset;
    int64_t offset = end;
    end += llvm::alignTo(content.size(), kAlignment);
    known[key].push_back({value, offset});
    return offset;
  }

  SymbolTable symbols;
  int64_t end = 0;
  DenseMap<std::pair<uint64_t, int64_t>, SmallVector<std::pair<ElementsAttr, int64_t>, 1>> known;
};

/// Where a tensor's bytes are.
struct Stored {
  Value resource, offset, length;
};

class FunctionConverter {
public:
  FunctionConverter(func::FuncOp func, WeightLayout &weights) : func(func), weights(weights), b(func.getContext()) {}
  LogicalResult run();

private:
  void expandSelects();
  void eraseDeadOps(Block &block);
  void makeArgumentSizes();
  LogicalResult resolveDims();
  LogicalResult placeResults();
  LogicalResult convertBlock(Block &block);
  LogicalResult convertOp(Operation *op);
  LogicalResult convertDispatch(graph::DispatchOp op);
  LogicalResult convertIf(scf::IfOp op);
  LogicalResult convertBranch(scf::IfOp op, Block &block);
  LogicalResult convertConstant(Operation *op, StringAttr global);
  LogicalResult convertReadScalar(graph::ReadScalarOp op);
  LogicalResult convertReturn(func::ReturnOp op);
  FailureOr<Stored> getTarget(OpResult result);
  FailureOr<Stored> allocate(Operation *before, ArrayRef<OpFoldResult> sizes, Type elementType, StringRef name);
  FailureOr<Stored> find(Operation *user, Value tensor);
  FailureOr<SmallVector<OpFoldResult>> getSizes(Value tensor);
  FailureOr<SmallVector<OpFoldResult>> getIfSizes(scf::IfOp op, unsigned result);
  Stored createOutput(unsigned index, ArrayRef<OpFoldResult> sizes, Operation *before);
  void copy(Location loc, Stored from, Stored to);

  func::FuncOp func;
  WeightLayout &weights;
  OpBuilder b;
  Availability available;
  SmallVector<SmallVector<OpFoldResult>> argumentSizes;
  DenseMap<Value, Stored> stored;          // tensors that are converted
  DenseMap<Value, Stored> targets;         // tensors whose memory was chosen before their producer is converted
  DenseMap<unsigned, Value> directResults; // results that a producer writes: number -> the producer's value
  DenseMap<Value, SmallVector<OpFoldResult>> ifSizes; // of results of scf.if, found before the branches are converted
  SmallVector<Operation *> converted;                 // in program order; erased at the end
};

bool isTensor(Value value) { return isa<TensorType>(value.getType()); }
bool isTensorOp(Operation *op) {
  return llvm::any_of(op->getOperands(), isTensor) || llvm::any_of(op->getResults(), isTensor);
}

/// Through views to the value whose bytes they show.
Value getRoot(Value tensor) {
  while (true) {
    if (auto reshape = tensor.getDefiningOp<graph::ReshapeOp>())
      tensor = reshape.getSource();
    else if (auto cast = tensor.getDefiningOp<tensor::CastOp>())
      tensor = cast.getSource();
    else
      return tensor;
  }
}

/// Whether the op that makes `root` can be told where to write it: it must lie in `block` itself.
bool canWriteInPlace(Value root, Block &block) {
  Operation *op = root.getDefiningOp();
  return op && op->getBlock() == &block && isa<graph::DispatchOp, scf::IfOp, tensor::EmptyOp>(op);
}

SmallVector<OpFoldResult> getMixedSizes(OpBuilder &b, ShapedType type, ValueRange dynamic) {
  SmallVector<OpFoldResult> sizes;
  for (int64_t size : type.getShape()) {
    if (!ShapedType::isDynamic(size)) {
      sizes.push_back(b.getIndexAttr(size));
      continue;
    }
    sizes.push_back(dynamic.front());
    dynamic = dynamic.drop_front();
  }
  return sizes;
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
    auto type = cast<RankedTensorType>(argument.getType());
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
    argumentSizes.push_back(getMixedSizes(b, type, dims));
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

FailureOr<SmallVector<OpFoldResult>> FunctionConverter::getIfSizes(scf::IfOp op, unsigned result) {
  auto type = cast<RankedTensorType>(op.getResultTypes()[result]);
  if (auto known = ifSizes.find(op.getResult(result)); known != ifSizes.end())
    return known->second;
  auto thenSizes = getSizes(op.thenYield().getOperand(result)), elseSizes = getSizes(op.elseYield().getOperand(result));
  if (failed(thenSizes) || failed(elseSizes))
    return failure();
  SmallVector<OpFoldResult> sizes = getMixedSizes(b, type.clone(SmallVector<int64_t>(type.getRank(), 0)), {});
  for (int64_t i = 0; i < type.getRank(); ++i) {
    SmallVector<OpFoldResult, 2> both = {(*thenSizes)[i], (*elseSizes)[i]};
    if (!type.isDynamicDim(i)) {
      sizes[i] = b.getIndexAttr(type.getDimSize(i));
      continue;
    }
    if (!available.get(both, op))
      return op.emitOpError("has a result whose dimension ")
             << i << " is known only inside a branch; this is not supported";
    if (isEqualConstantIntOrValue(both[0], both[1])) {
      sizes[i] = both[0];
      continue;
    }
    b.setInsertionPoint(op);
    sizes[i] = arith::SelectOp::create(b, op.getLoc(), op.getCondition(), materialize(b, op.getLoc(), both[0]),
                                       materialize(b, op.getLoc(), both[1]))
                   .getResult();
  }
  return ifSizes[op.getResult(result)] = sizes;
}

FailureOr<SmallVector<OpFoldResult>> FunctionConverter::getSizes(Value tensor) {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  if (!type)
    return emitError(tensor.getLoc()) << "has no rank: " << tensor.getType();
  if (type.hasStaticShape())
    return getMixedSizes(b, type, {});
  if (auto argument = dyn_cast<BlockArgument>(tensor))
    return argumentSizes[argument.getArgNumber()];
  Operation *op = tensor.getDefiningOp();
  unsigned number = cast<OpResult>(tensor).getResultNumber();
  if (auto dispatch = dyn_cast<graph::DispatchOp>(op))
    return dispatch.getResultSizes(number);
  if (auto reshape = dyn_cast<graph::ReshapeOp>(op))
    return getMixedSizes(b, type, reshape.getDims());
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return getSizes(cast.getSource());
  if (auto empty = dyn_cast<tensor::EmptyOp>(op))
    return empty.getMixedSizes();
  if (auto ifOp = dyn_cast<scf::IfOp>(op))
    return getIfSizes(ifOp, number);
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
  return {OutputOp::create(b, loc, type, index, dims), getIndexConstant(b, loc, 0), length};
}

/// Lets the producers of returned values write the results, where the results' sizes are known before them.
LogicalResult FunctionConverter::placeResults() {
  Block &body = func.getBody().front();
  for (auto [i, value] : llvm::enumerate(body.getTerminator()->getOperands())) {
    Value root = getRoot(value);
    if (!canWriteInPlace(root, body) || targets.contains(root))
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
  SmallVector<StringRef> names = getNodeNames(result.getLoc());
  return allocate(result.getOwner(), *sizes, cast<TensorType>(result.getType()).getElementType(),
                  names.empty() ? StringRef() : names.back());
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

LogicalResult FunctionConverter::convertDispatch(graph::DispatchOp op) {
  SmallVector<Value> resources, offsets, lengths;
  auto bind = [&](const Stored &tensor) {
    resources.push_back(tensor.resource);
    offsets.push_back(tensor.offset);
    lengths.push_back(tensor.length);
  };
  for (Value tensor : op.getTensors()) {
    auto place = find(op, tensor);
    if (failed(place))
      return failure();
    bind(*place);
  }
  unsigned reads = resources.size();
  for (OpResult result : op->getResults()) {
    auto place = getTarget(result);
    if (failed(place))
      return failure();
    stored[result] = *place;
    bind(*place);
  }
  b.setInsertionPoint(op);
  DispatchOp::create(b, op.getLoc(), op.getExecutableAttr(), ValueRange(), op.getConstants(), resources, offsets,
                     lengths, b.getI64IntegerAttr(reads));
  return success();
}

LogicalResult FunctionConverter::convertBranch(scf::IfOp op, Block &block) {
  auto yield = cast<scf::YieldOp>(block.getTerminator());
  DenseMap<unsigned, Value> direct;
  for (auto [i, value] : llvm::enumerate(yield.getOperands())) {
    if (!isTensor(value))
      continue;
    if (Value root = getRoot(value); canWriteInPlace(root, block) && !targets.contains(root)) {
      targets[root] = stored[op.getResult(i)];
      direct[i] = root;
    }
  }
  if (failed(convertBlock(block)))
    return failure();
  SmallVector<Value> scalars;
  for (auto [i, value] : llvm::enumerate(yield.getOperands())) {
    if (!isTensor(value)) {
      scalars.push_back(value);
      continue;
    }
    if (direct.contains(i))
      continue;
    auto from = find(yield, value);
    if (failed(from))
      return failure();
    b.setInsertionPoint(yield);
    copy(op.getLoc(), *from, stored[op.getResult(i)]);
  }
  yield.getResultsMutable().assign(scalars);
  return success();
}

LogicalResult FunctionConverter::convertIf(scf::IfOp op) {
  SmallVector<Type> scalarTypes;
  SmallVector<Value> scalarResults;
  for (OpResult result : op->getResults()) {
    if (!isTensor(result)) {
      scalarTypes.push_back(result.getType());
      scalarResults.push_back(result);
      continue;
    }
    // The sizes first, even if the memory is chosen already: later ops may ask for them when the branches are gone.
    auto sizes = getSizes(result);
    auto place = getTarget(result);
    if (failed(sizes) || failed(place))
      return failure();
    stored[result] = *place;
  }
  for (Region &region : op->getRegions())
    if (!region.empty() && failed(convertBranch(op, region.front())))
      return failure();
  b.setInsertionPoint(op);
  auto scalarIf = scf::IfOp::create(b, op.getLoc(), scalarTypes, op.getCondition(), false, false);
  scalarIf.getThenRegion().takeBody(op.getThenRegion());
  scalarIf.getElseRegion().takeBody(op.getElseRegion());
  for (auto [from, to] : llvm::zip(scalarResults, scalarIf.getResults()))
    from.replaceAllUsesWith(to);
  return success();
}

LogicalResult FunctionConverter::convertConstant(Operation *op, StringAttr global) {
  auto offset = weights.place(op, global);
  if (failed(offset))
    return failure();
  b.setInsertionPoint(op);
  Location loc = op->getLoc();
  auto type = cast<ShapedType>(op->getResult(0).getType());
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

LogicalResult FunctionConverter::convertReturn(func::ReturnOp op) {
  for (auto [i, value] : llvm::enumerate(op.getOperands())) {
    if (directResults.contains(i))
      continue;
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
  if (auto ifOp = dyn_cast<scf::IfOp>(op))
    return convertIf(ifOp);
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
  if (auto ret = dyn_cast<func::ReturnOp>(op))
    return convertReturn(ret);
  if (isa<graph::ReshapeOp, tensor::CastOp>(op)) {
    auto place = find(op, op->getOperand(0));
    if (failed(place))
      return failure();
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
  SmallVector<Operation *> ops;
  for (Operation &op : block)
    if (!isa<scf::YieldOp, tensor::DimOp>(op) && op.getDialect() != b.getContext()->getLoadedDialect<StreamDialect>() &&
        (isTensorOp(&op) || isa<scf::IfOp, func::ReturnOp>(op)))
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
    if (auto tensor = dyn_cast<RankedTensorType>(type); !tensor || getStoredBits(tensor.getElementType()) == 0)
      return func.emitOpError("has an argument or result of type ") << type << "; expected a tensor that can be stored";
  eraseDeadOps(func.getBody().front());
  expandSelects();
  if (failed(resolveDims()) || failed(placeResults()) || failed(convertBlock(func.getBody().front())))
    return failure();
  for (Operation *op : llvm::reverse(converted)) {
    op->dropAllUses();
    op->erase();
  }
  return success();
}

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
