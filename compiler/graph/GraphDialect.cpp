#include "compiler/graph/ElementTypes.h"
#include "compiler/graph/Graph.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::graph;

#include "compiler/graph/GraphDialect.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "compiler/graph/GraphTypes.cpp.inc"
#define GET_OP_CLASSES
#include "compiler/graph/GraphOps.cpp.inc"

void GraphDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "compiler/graph/GraphTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "compiler/graph/GraphOps.cpp.inc"
      >();
}

LogicalResult GlobalOp::verify() {
  if (auto value = getValue(); value && value->getShapedType() != getType())
    return emitOpError("has value of type ") << value->getShapedType() << ", expected " << getType();
  return success();
}

//===- reshape ------------------------------------------------------------------------------------------------------===

LogicalResult ReshapeOp::verify() {
  auto from = cast<RankedTensorType>(getSource().getType()), to = cast<RankedTensorType>(getResult().getType());
  // Packed elements and their bytes.
  bool isPacking = from.getElementType() != to.getElementType();
  auto isPart = [](Type type) { return !type.isInteger(1) && type.isIntOrFloat() && type.getIntOrFloatBitWidth() < 8; };
  if (isPacking && !(isPart(from.getElementType()) && to.getElementType().isInteger(8)) &&
      !(isPart(to.getElementType()) && from.getElementType().isInteger(8)))
    return emitOpError("C1: changes the element type from ") << from.getElementType() << " to " << to.getElementType();
  if (static_cast<size_t>(to.getNumDynamicDims()) != getDims().size())
    return emitOpError("C2: expected ") << to.getNumDynamicDims() << " dims, found " << getDims().size();
  auto bytes = [](RankedTensorType type) {
    return llvm::divideCeil(type.getNumElements() * type.getElementTypeBitWidth(), 8);
  };
  if (isPacking && from.hasStaticShape() && to.hasStaticShape() && bytes(from) != bytes(to))
    return emitOpError("C4: has ") << bytes(from) << " bytes before and " << bytes(to) << " after";
  if (!isPacking && from.hasStaticShape() && to.hasStaticShape() && from.getNumElements() != to.getNumElements())
    return emitOpError("C3: has ") << from.getNumElements() << " elements before and " << to.getNumElements()
                                   << " after";
  return success();
}

SmallVector<OpFoldResult> eyrie::graph::mixedSizes(RankedTensorType type, ValueRange dynamic) {
  Builder b(type.getContext());
  SmallVector<OpFoldResult> sizes;
  unsigned next = 0;
  for (int64_t size : type.getShape())
    sizes.push_back(ShapedType::isDynamic(size) ? OpFoldResult(dynamic[next++]) : OpFoldResult(b.getIndexAttr(size)));
  return sizes;
}

LogicalResult ReshapeOp::reifyResultShapes(OpBuilder &, ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(mixedSizes(cast<RankedTensorType>(getResult().getType()), getDims()));
  return success();
}

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  auto from = cast<RankedTensorType>(getSource().getType()), to = cast<RankedTensorType>(getResult().getType());
  // One dynamic dimension at the same place of equal static rest is that same dimension. Of what control flow hands on
  // only the reshape says the sizes.
  Operation *maker = getSource().getDefiningOp();
  if (!maker)
    maker = cast<BlockArgument>(getSource()).getOwner()->getParentOp();
  bool knowsSizes = maker->getNumRegions() == 0 || isa<FunctionOpInterface, DestinationStyleOpInterface>(maker);
  if (from == to && (from.hasStaticShape() || (from.getNumDynamicDims() == 1 && knowsSizes)))
    return getSource();
  if (auto splat = dyn_cast_or_null<SplatElementsAttr>(adaptor.getSource());
      splat && to.hasStaticShape() && from.getElementType() == to.getElementType())
    return splat.resizeSplat(to);
  return {};
}

namespace {
struct MergeReshapes : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto before = op.getSource().getDefiningOp<ReshapeOp>();
    if (!before)
      return failure();
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), before.getSource(), op.getDims());
    return success();
  }
};

/// A dynamic dimension given by a constant becomes static.
struct MakeReshapeStatic : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getType());
    SmallVector<int64_t> shape(type.getShape());
    SmallVector<Value> dims;
    unsigned next = 0;
    for (int64_t &size : shape) {
      if (!ShapedType::isDynamic(size))
        continue;
      Value dim = op.getDims()[next++];
      if (auto known = getConstantIntValue(dim); known && *known >= 0)
        size = *known;
      else
        dims.push_back(dim);
    }
    if (dims.size() == op.getDims().size())
      return failure();
    Value reshaped = ReshapeOp::create(rewriter, op.getLoc(), type.clone(shape), op.getSource(), dims);
    rewriter.replaceOpWithNewOp<tensor::CastOp>(op, type, reshaped);
    return success();
  }
};
} // namespace

void ReshapeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeReshapes, MakeReshapeStatic>(context);
}

//===- slice and update ---------------------------------------------------------------------------------------------===

static LogicalResult verifyDimCount(Operation *op, Type result, ValueRange dims) {
  int64_t expected = cast<RankedTensorType>(result).getNumDynamicDims();
  if (static_cast<size_t>(expected) != dims.size())
    return op->emitOpError("C2: expected ") << expected << " dims, found " << dims.size();
  return success();
}

static LogicalResult verifyRows(Operation *op, Type whole, Type part) {
  auto from = cast<RankedTensorType>(whole), to = cast<RankedTensorType>(part);
  if (from.getElementType() != to.getElementType() || from.getRank() != to.getRank() || from.getRank() == 0)
    return op->emitOpError("C1: expected tensors of one element type and rank, at least 1, found ")
           << from << " and " << to;
  return success();
}

LogicalResult SliceOp::verify() {
  if (failed(verifyDimCount(*this, getType(), getDims())))
    return failure();
  return verifyRows(*this, getSource().getType(), getType());
}

LogicalResult SliceOp::reifyResultShapes(OpBuilder &, ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(mixedSizes(cast<RankedTensorType>(getResult().getType()), getDims()));
  return success();
}

LogicalResult AppendOp::verify() {
  if (failed(verifyDimCount(*this, getType(), getDims())) ||
      failed(verifyRows(*this, getDest().getType(), getPart().getType())))
    return failure();
  return verifyRows(*this, getDest().getType(), getType());
}

LogicalResult AppendOp::reifyResultShapes(OpBuilder &, ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(mixedSizes(cast<RankedTensorType>(getType()), getDims()));
  return success();
}

LogicalResult UpdateOp::verify() { return verifyRows(*this, getDest().getType(), getPart().getType()); }

//===- sequences ----------------------------------------------------------------------------------------------------===

static LogicalResult verifyElement(Operation *op, ListType list, Type tensor) {
  if (list.getElementType() != cast<RankedTensorType>(tensor).getElementType())
    return op->emitOpError("C1: expected an element of ") << list << ", found " << tensor;
  return success();
}

LogicalResult ListGetOp::verify() {
  if (failed(verifyDimCount(*this, getType(), getDims())))
    return failure();
  return verifyElement(*this, getList().getType(), getType());
}

LogicalResult ListGetOp::reifyResultShapes(OpBuilder &, ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(mixedSizes(cast<RankedTensorType>(getResult().getType()), getDims()));
  return success();
}

LogicalResult ListInsertOp::verify() { return verifyElement(*this, getList().getType(), getTensor().getType()); }

//===- the host -----------------------------------------------------------------------------------------------------===

LogicalResult HostCallOp::verify() {
  int64_t dynamic = 0;
  for (Type type : getResultTypes())
    dynamic += cast<RankedTensorType>(type).getNumDynamicDims();
  if (static_cast<size_t>(dynamic) != getDims().size())
    return emitOpError("C1: expected ") << dynamic << " dims, found " << getDims().size();
  size_t count = getInputs().size() + getNumResults();
  if (getTypes().size() != count)
    return emitOpError("C2: names ") << getTypes().size() << " types for " << count << " tensors";
  auto names = getTypes().getAsValueRange<StringAttr>();
  SmallVector<Type> tensors(getInputs().getTypes());
  llvm::append_range(tensors, getResultTypes());
  for (auto [type, name] : llvm::zip_equal(tensors, names)) {
    Type element = cast<RankedTensorType>(type).getElementType();
    bool isKnown = false;
    for (bool isUnsigned : {false, true})
      for (bool isString : {false, true}) {
        const abi::ElementTypeInfo *info =
            abi::FindElementType(static_cast<uint64_t>(getElementType(element, isUnsigned, isString)));
        isKnown |= info && name == info->name;
      }
    if (!isKnown)
      return emitOpError("C2: names the type '") << name << "' for " << type;
  }
  return success();
}

SmallVector<OpFoldResult> HostCallOp::getResultSizes(unsigned i) {
  unsigned first = 0;
  for (Value result : getResults().take_front(i))
    first += cast<RankedTensorType>(result.getType()).getNumDynamicDims();
  auto type = cast<RankedTensorType>(getResult(i).getType());
  return mixedSizes(type, getDims().slice(first, type.getNumDynamicDims()));
}

LogicalResult HostCallOp::reifyResultShapes(OpBuilder &, ReifiedRankedShapedTypeDims &shapes) {
  for (unsigned i = 0; i < getNumResults(); ++i)
    shapes.push_back(getResultSizes(i));
  return success();
}

//===- executable and dispatch --------------------------------------------------------------------------------------===

void ExecutableOp::build(OpBuilder &builder, OperationState &state, StringRef name) {
  state.addAttribute(mlir::SymbolTable::getSymbolAttrName(), builder.getStringAttr(name));
  state.addRegion()->emplaceBlock();
}

unsigned DispatchOp::getNumTensorOperands() {
  unsigned n = 0;
  while (n < getOperands().size() && isa<RankedTensorType>(getOperands()[n].getType()))
    ++n;
  return n;
}

static LogicalResult verifyDims(DispatchOp op, ArrayAttr table, TypeRange tensors, unsigned numConstants,
                                StringRef what) {
  if (table.size() != tensors.size())
    return op.emitOpError("C2: ") << what << " has " << table.size() << " entries for " << tensors.size() << " tensors";
  for (auto [entry, type] : llvm::zip(table, tensors)) {
    auto dims = dyn_cast<ArrayAttr>(entry);
    if (!dims || dims.size() != static_cast<size_t>(cast<RankedTensorType>(type).getNumDynamicDims()))
      return op.emitOpError("C2: ") << what << " does not name every dynamic dimension of " << type;
    for (Attribute dim : dims)
      if (auto index = dyn_cast<IntegerAttr>(dim); !index || index.getInt() < 0 || index.getInt() >= numConstants)
        return op.emitOpError("C2: ") << what << " names a scalar operand that does not exist: " << dim;
  }
  return success();
}

LogicalResult DispatchOp::verify() {
  for (Value constant : getConstants())
    if (!constant.getType().isIndex())
      return emitOpError("C1: expected index operands after the tensors, found ") << constant.getType();
  if (failed(verifyDims(*this, getArgDims(), getTensors().getTypes(), getConstants().size(), "arg_dims")))
    return failure();
  return verifyDims(*this, getResultDims(), getResultTypes(), getConstants().size(), "result_dims");
}

static SmallVector<OpFoldResult> sizesFrom(DispatchOp op, Type type, Attribute entry) {
  SmallVector<Value> dynamic;
  for (Attribute dim : cast<ArrayAttr>(entry))
    dynamic.push_back(op.getConstants()[cast<IntegerAttr>(dim).getInt()]);
  return mixedSizes(cast<RankedTensorType>(type), dynamic);
}
SmallVector<OpFoldResult> DispatchOp::getOperandSizes(unsigned i) {
  return sizesFrom(*this, getOperands()[i].getType(), getArgDims()[i]);
}
SmallVector<OpFoldResult> DispatchOp::getResultSizes(unsigned i) {
  return sizesFrom(*this, getResultTypes()[i], getResultDims()[i]);
}

LogicalResult DispatchOp::reifyResultShapes(OpBuilder &, ReifiedRankedShapedTypeDims &shapes) {
  for (unsigned i = 0; i < getNumResults(); ++i)
    shapes.push_back(getResultSizes(i));
  return success();
}
