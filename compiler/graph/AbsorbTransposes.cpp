// Lets a contraction write its result in the order in which the only transpose of it wants it.
//
//   %c = linalg.generic {(b, h, s, d)} …              %t = linalg.generic {(b, h, s, d) -> (b, s, h, d)} …
//   %t = linalg.transpose %c [0, 2, 1, 3]     ──►
//
// Only where rows are still written as vectors: where the last dimension stays the last, or where an operand has the
// new one along its own last, if need be before it was transposed for the contraction (convolutions of few steps, 1 x 1
// or each channel by itself, between two images with channels first). An operation on the elements in between does not
// hinder it. Runs after graph-propagate-layout: the transposes that are left then are wanted by something (a reshape, a
// result).
#include "compiler/graph/Constants.h"
#include "compiler/graph/Forms.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"

using namespace mlir;
using namespace eyrie::graph;

namespace {
/// An operand as it was before a transpose of something computed, and how the contraction reads it then. Bytes stay as
/// they are: several steps of their products are read at once.
struct Source {
  Value value;
  AffineMap map;
};

Source sourceOf(linalg::GenericOp op, OpOperand *operand) {
  AffineMap map = op.getMatchingIndexingMap(operand);
  auto transpose = operand->get().getDefiningOp<linalg::TransposeOp>();
  if (!transpose || isConstantExpression(transpose.getInput()) || getElementTypeOrSelf(operand->get()).isInteger(8))
    return {operand->get(), map};
  return {transpose.getInput(), throughTranspose(transpose, map)};
}

/// Are neighbours along a loop of the result, `size` iterations, neighbours in an operand that is not constant? Those
/// of a window are, too, if they fill a vector in good part and the window is small: its vectors are not aligned, which
/// costs less where several outputs are made of the same.
bool isAlongOperand(linalg::GenericOp op, AffineExpr loop, int64_t size, int64_t steps) {
  constexpr int64_t enough = 8, mostInWindow = 16, mostInSharedWindow = 80;
  SmallVector<unsigned> parallel;
  op.getParallelDims(parallel);
  return llvm::any_of(op.getDpsInputOperands(), [&](OpOperand *operand) {
    AffineMap map = withoutUnitLoops(op, sourceOf(op, operand).map);
    ArrayRef<AffineExpr> read = map.getResults();
    while (!read.empty() && isa<AffineConstantExpr>(read.back()))
      read = read.drop_back();
    if (read.empty() || isConstantExpression(operand->get()))
      return false;
    if (read.back() == loop)
      return true;
    auto window = dyn_cast<AffineBinaryOpExpr>(read.back());
    if (!window || window.getKind() != AffineExprKind::Add || window.getLHS() != loop)
      return false;
    bool isShared = llvm::any_of(
        parallel, [&](unsigned dim) { return op.getStaticLoopRanges()[dim] != 1 && !map.isFunctionOfDim(dim); });
    return steps <= (isShared ? mostInSharedWindow : mostInWindow) && (ShapedType::isDynamic(size) || size >= enough);
  });
}

bool keepsLast(ArrayRef<int64_t> permutation) {
  return permutation.back() == static_cast<int64_t>(permutation.size()) - 1;
}

/// Can the operation, a contraction that is used once, write its result in this order?
bool canWrite(linalg::GenericOp op, ArrayRef<int64_t> permutation) {
  if (!op || op->getNumResults() != 1 || op.getNumReductionLoops() == 0 || !op->getResult(0).hasOneUse() ||
      permutation.empty() || !op.getDpsInits()[0].getDefiningOp<linalg::FillOp>())
    return false;
  if (keepsLast(permutation))
    return true;
  // The kernel reads such an operand as it comes, not in panels: with many steps that costs more than the transpose.
  constexpr int64_t mostSteps = 128;
  int64_t steps = 1;
  for (auto [size, type] : llvm::zip(op.getStaticLoopRanges(), op.getIteratorTypesArray()))
    if (type == utils::IteratorType::reduction)
      steps = ShapedType::isDynamic(size) || steps > mostSteps ? INT64_MAX : steps * size;
  AffineMap written = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  int64_t size = cast<RankedTensorType>(op.getResultTypes()[0]).getDimSize(permutation.back());
  return steps <= mostSteps && op.getNumDpsInputs() == 2 && written.isProjectedPermutation() &&
         written.getNumResults() == op.getNumParallelLoops() &&
         isAlongOperand(op, written.getResult(permutation.back()), size, steps);
}

/// The operand of an operation on elements that is such a contraction, or one with more such operations in between;
/// null if there is none, or if another operand is no constant.
OpOperand *findSum(linalg::GenericOp op, ArrayRef<int64_t> permutation) {
  if (!eyrie::graph::isElementwise(op) || op->getNumResults() != 1 || !op->getResult(0).hasOneUse() ||
      !op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity() || op->hasAttr(kInKernel) ||
      !op.getBlock()->getOps<linalg::IndexOp>().empty())
    return nullptr;
  OpOperand *sum = nullptr;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
    bool isSum = producer && producer->getBlock() == op->getBlock() &&
                 op.getMatchingIndexingMap(operand).isIdentity() &&
                 (canWrite(producer, permutation) || findSum(producer, permutation));
    if (isSum && !sum)
      sum = operand;
    else if (isa<RankedTensorType>(operand->get().getType()) && !isConstantExpression(operand->get()))
      return nullptr;
  }
  return sum;
}

/// transpose(f(contraction, constants)) becomes f(transpose(contraction), constants), if that is absorbed then.
struct LiftOverElementwise : OpRewritePattern<linalg::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::TransposeOp op, PatternRewriter &rewriter) const override {
    ArrayRef<int64_t> permutation = op.getPermutation();
    auto between = op.getInput().getDefiningOp<linalg::GenericOp>();
    OpOperand *sum = between && between->getBlock() == op->getBlock() ? findSum(between, permutation) : nullptr;
    if (!sum)
      return failure();
    Location loc = between.getLoc();
    auto sizesOf = [&](Value value) {
      SmallVector<OpFoldResult> sizes;
      for (int64_t dim : permutation)
        sizes.push_back(tensor::getMixedSize(rewriter, loc, value, dim));
      return sizes;
    };
    auto empty = [&](Value like) -> Value {
      return tensor::EmptyOp::create(rewriter, loc, sizesOf(like), getElementTypeOrSelf(like.getType()));
    };
    rewriter.setInsertionPoint(op);
    SmallVector<Value> inputs(between.getInputs());
    inputs[sum->getOperandNumber()] =
        linalg::TransposeOp::create(rewriter, op.getLoc(), sum->get(), empty(sum->get()), permutation)->getResult(0);
    SmallVector<AffineExpr> renumbered(permutation.size());
    for (auto [to, from] : llvm::enumerate(permutation))
      renumbered[from] = rewriter.getAffineDimExpr(to);
    auto maps = between.getIndexingMapsArray();
    for (AffineMap &map : maps)
      map = map.replaceDimsAndSymbols(renumbered, {}, map.getNumDims(), 0);
    maps[sum->getOperandNumber()] = maps.back() = rewriter.getMultiDimIdentityMap(permutation.size());
    Value init = empty(between.getDpsInits()[0]);
    auto moved =
        linalg::GenericOp::create(rewriter, loc, init.getType(), inputs, init, maps, between.getIteratorTypesArray());
    moved->setDiscardableAttrs(between->getDiscardableAttrDictionary());
    rewriter.inlineRegionBefore(between.getRegion(), moved.getRegion(), moved.getRegion().begin());
    rewriter.replaceOp(op, moved.getResults());
    rewriter.eraseOp(between);
    return success();
  }
};

struct AbsorbTranspose : OpRewritePattern<linalg::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::TransposeOp op, PatternRewriter &rewriter) const override {
    ArrayRef<int64_t> permutation = op.getPermutation();
    auto producer = op.getInput().getDefiningOp<linalg::GenericOp>();
    if (!canWrite(producer, permutation))
      return rewriter.notifyMatchFailure(op, "not the only use of a contraction, or moves the last dimension");
    auto fill = producer.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
    rewriter.setInsertionPoint(producer);
    SmallVector<OpFoldResult> sizes, from = tensor::getMixedSizes(rewriter, op.getLoc(), fill.getOutputs()[0]);
    auto maps = producer.getIndexingMapsArray();
    SmallVector<AffineExpr> results;
    for (int64_t dim : permutation) {
      sizes.push_back(from[dim]);
      results.push_back(maps.back().getResult(dim));
    }
    maps.back() = AffineMap::get(maps.back().getNumDims(), 0, results, op.getContext());
    Value empty = tensor::EmptyOp::create(rewriter, op.getLoc(), sizes, getElementTypeOrSelf(op.getInput().getType()));
    Value init = linalg::FillOp::create(rewriter, fill.getLoc(), fill.getInputs()[0], empty)->getResult(0);
    SmallVector<Value> inputs(producer.getInputs());
    if (!keepsLast(permutation))
      for (OpOperand *operand : producer.getDpsInputOperands()) {
        Source source = sourceOf(producer, operand);
        inputs[operand->getOperandNumber()] = source.value;
        maps[operand->getOperandNumber()] = source.map;
      }
    auto moved = linalg::GenericOp::create(rewriter, producer.getLoc(), init.getType(), inputs, init, maps,
                                           producer.getIteratorTypesArray());
    rewriter.inlineRegionBefore(producer.getRegion(), moved.getRegion(), moved.getRegion().begin());
    if (!keepsLast(permutation))
      moved = *linalg::interchangeGenericOp(rewriter, moved, inOrderOfResult(moved));
    rewriter.replaceOp(op, moved.getResults());
    rewriter.eraseOp(producer);
    return success();
  }

  /// The loops as the dimensions of the result come, then those of the reduction.
  static SmallVector<unsigned> inOrderOfResult(linalg::GenericOp op) {
    SmallVector<unsigned> order;
    for (AffineExpr expr : op.getMatchingIndexingMap(op.getDpsInitOperand(0)).getResults())
      order.push_back(cast<AffineDimExpr>(expr).getPosition());
    op.getReductionDims(order);
    return order;
  }
};

struct AbsorbTransposesPass : PassWrapper<AbsorbTransposesPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(AbsorbTransposesPass)
  StringRef getArgument() const override { return "graph-absorb-transposes"; }
  StringRef getDescription() const override { return "Let contractions write their results transposed"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<linalg::LinalgDialect, tensor::TensorDialect>();
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<AbsorbTranspose, LiftOverElementwise>(&getContext());
    memref::populateResolveRankedShapedTypeResultDimsPatterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> eyrie::graph::createAbsorbTransposesPass() { return std::make_unique<AbsorbTransposesPass>(); }
