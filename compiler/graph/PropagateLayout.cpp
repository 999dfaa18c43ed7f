// Folds transposes into the indexing maps of their consumers, and sinks the rest towards the results, until they
// cancel.
//
//   %t = linalg.transpose %conv [0, 3, 1, 2]            %0 = linalg.generic {identity, identity} ins(%conv)
//   %0 = linalg.generic {identity} ins(%t)       ──►    %1 = linalg.transpose %0 [0, 3, 1, 2]
//
// Every result of a generic can be produced in any order of its dimensions, and every operand read through any
// permutation, so a model whose convolutions were imported channels-last between two transposes runs channels-last
// from its first convolution to its last. Transposes only ever move down, so the rewriting ends.
#include "compiler/graph/Constants.h"
#include "compiler/graph/Forms.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace eyrie::graph;

namespace {
using Permutation = SmallVector<int64_t>;

Permutation inverse(ArrayRef<int64_t> permutation) { return invertPermutationVector(permutation); }

/// A transpose worth moving: of something computed, since that of a constant is computed once at compile time.
linalg::TransposeOp movableTranspose(Value value) {
  auto op = value.getDefiningOp<linalg::TransposeOp>();
  return op && !isConstantExpression(op.getInput()) ? op : linalg::TransposeOp();
}

template <typename T> SmallVector<T> permuted(ArrayRef<T> values, ArrayRef<int64_t> permutation) {
  SmallVector<T> result;
  for (int64_t from : permutation)
    result.push_back(values[from]);
  return result;
}

Value transpose(OpBuilder &b, Location loc, Value value, ArrayRef<int64_t> permutation) {
  auto sizes = tensor::getMixedSizes(b, loc, value);
  Value init = tensor::EmptyOp::create(b, loc, permuted<OpFoldResult>(sizes, permutation),
                                       cast<RankedTensorType>(value.getType()).getElementType());
  return linalg::TransposeOp::create(b, loc, value, init, permutation)->getResult(0);
}

/// `%x` such that `transpose(%x, permutation)` is `value`: without a new operation where `value` is that transpose.
Value untranspose(OpBuilder &b, Location loc, Value value, ArrayRef<int64_t> permutation) {
  if (auto op = value.getDefiningOp<linalg::TransposeOp>(); op && op.getPermutation() == permutation)
    return op.getInput();
  return transpose(b, loc, value, inverse(permutation));
}

/// transpose(transpose(x)) is one transpose; the identity, and one that moves only unit dimensions, is a reshape.
struct SimplifyTranspose : OpRewritePattern<linalg::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::TransposeOp op, PatternRewriter &rewriter) const override {
    ArrayRef<int64_t> permutation = op.getPermutation();
    if (isIdentityPermutation(permutation)) {
      rewriter.replaceOp(op, op.getInput());
      return success();
    }
    if (auto before = op.getInput().getDefiningOp<linalg::TransposeOp>()) {
      Permutation both = permuted<int64_t>(before.getPermutation(), permutation);
      rewriter.replaceOp(op, transpose(rewriter, op.getLoc(), before.getInput(), both));
      return success();
    }
    auto from = cast<RankedTensorType>(op.getInput().getType()),
         to = cast<RankedTensorType>(op->getResult(0).getType());
    int64_t last = -1;
    for (int64_t dim : permutation) {
      if (from.getDimSize(dim) == 1)
        continue;
      if (dim < last)
        return failure();
      last = dim;
    }
    auto sizes = tensor::getMixedSizes(rewriter, op.getLoc(), op.getInput());
    SmallVector<Value> dims;
    for (int64_t dim : permutation)
      if (from.isDynamicDim(dim))
        dims.push_back(getValueOrCreateConstantIndexOp(rewriter, op.getLoc(), sizes[dim]));
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, to, op.getInput(), dims);
    return success();
  }
};

/// Products of bytes read several steps of their reduction at once, which must lie side by side: to transpose bytes
/// costs less than to read them one by one. Channels must be neighbours where vectors run along them: in convolutions
/// of each channel by itself, and by Winograd's method. (AbsorbTransposes.cpp takes back what then has no use.)
bool mustLieAsRead(linalg::GenericOp op, OpOperand *operand, linalg::TransposeOp source) {
  if (op.getNumReductionLoops() == 0 || op.getNumDpsInputs() < 2)
    return false;
  auto type = cast<RankedTensorType>(operand->get().getType());
  if (type.getElementType().isInteger(8))
    return true;
  int64_t last = type.getRank() - 1;
  ArrayRef<AffineExpr> read = op.getMatchingIndexingMap(operand).getResults();
  auto channel = dyn_cast<AffineDimExpr>(read.back());
  constexpr int64_t enough = 16;
  if (!channel || source.getPermutation().back() == last ||
      (type.getShape().back() < enough && !type.isDynamicDim(last)))
    return false;
  // Two sums of a loop of the result and one of the filter, each of three steps.
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  unsigned windows = 0, windowsOfThree = 0;
  for (AffineExpr expr : read)
    if (auto sum = dyn_cast<AffineBinaryOpExpr>(expr); sum && sum.getKind() == AffineExprKind::Add) {
      auto kernel = dyn_cast<AffineDimExpr>(sum.getRHS());
      ++windows;
      windowsOfThree += isa<AffineDimExpr>(sum.getLHS()) && kernel && sizes[kernel.getPosition()] == 3;
    }
  bool isDepthwise = op.getIteratorTypesArray()[channel.getPosition()] == utils::IteratorType::parallel;
  auto output = dyn_cast<AffineDimExpr>(op.getMatchingIndexingMap(op.getDpsInitOperand(0)).getResults().back());
  bool hasOutputs = output && sizes[output.getPosition()] >= enough; // fewer do not pay for Winograd's method
  return windows && (isDepthwise || (windowsOfThree == 2 && hasOutputs));
}

/// Reads the source of a transpose through a permuted map.
struct FoldIntoOperand : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rewriter) const override {
    auto maps = op.getIndexingMapsArray();
    SmallVector<std::pair<OpOperand *, Value>> folded;
    for (OpOperand *operand : op.getDpsInputOperands()) {
      auto source = movableTranspose(operand->get());
      if (!source || mustLieAsRead(op, operand, source))
        continue;
      AffineMap &map = maps[operand->getOperandNumber()];
      map = throughTranspose(source, map);
      folded.push_back({operand, source.getInput()});
    }
    if (folded.empty())
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      for (auto [operand, value] : folded)
        operand->set(value);
      op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
    });
    return success();
  }
};

/// The same for elements that a generic picks by index: extract(transpose(x), i…) = extract(x, permuted i…).
struct FoldIntoExtract : OpRewritePattern<tensor::ExtractOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tensor::ExtractOp op, PatternRewriter &rewriter) const override {
    auto source = movableTranspose(op.getTensor());
    if (!source)
      return failure();
    SmallVector<Value> indices(op.getIndices());
    rewriter.replaceOpWithNewOp<tensor::ExtractOp>(op, source.getInput(),
                                                   permuted<Value>(indices, inverse(source.getPermutation())));
    return success();
  }
};

/// The order of the loops in which `op` reads its first input of full rank, or empty where that is their own order.
Permutation readingOrder(linalg::GenericOp op) {
  unsigned rank = op.getNumLoops();
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    if (!map.isPermutation() || map.getNumResults() != rank || isConstantExpression(operand->get()))
      continue;
    if (map.isIdentity())
      return {};
    Permutation order;
    for (AffineExpr dim : map.getResults())
      order.push_back(cast<AffineDimExpr>(dim).getPosition());
    return order;
  }
  // Without such an input (a gather): the order in which the picked elements' indices follow the loops.
  Permutation order;
  op.walk([&](tensor::ExtractOp extract) {
    if (extract.getIndices().size() != rank || !order.empty() || isConstantExpression(extract.getTensor()))
      return;
    Permutation found;
    llvm::SmallBitVector seen(rank);
    for (Value index : extract.getIndices()) {
      llvm::SmallSetVector<int64_t, 4> loops;
      SetVector<Operation *> slice;
      BackwardSliceOptions options;
      options.filter = [&](Operation *o) { return o->getParentOp() == op; };
      options.omitBlockArguments = true;
      (void)getBackwardSlice(index, &slice, options);
      if (Operation *def = index.getDefiningOp())
        slice.insert(def);
      for (Operation *o : slice)
        if (auto loop = dyn_cast<linalg::IndexOp>(o))
          loops.insert(loop.getDim());
      if (loops.size() != 1 || seen.test(loops.front()))
        return;
      seen.set(loops.front());
      found.push_back(loops.front());
    }
    order = found;
  });
  if (isIdentityPermutation(order))
    return {};
  return order;
}

/// The map of loops whose order becomes `order`.
AffineMap reorderLoops(AffineMap map, ArrayRef<int64_t> order) {
  SmallVector<AffineExpr> renumbered(order.size());
  for (auto [newLoop, oldLoop] : llvm::enumerate(order))
    renumbered[oldLoop] = getAffineDimExpr(newLoop, map.getContext());
  return map.replaceDimsAndSymbols(renumbered, {}, order.size(), 0);
}

/// Produces the results of an elementwise operation in the order in which it reads its input.
struct SinkThroughElementwise : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rewriter) const override {
    if (op.getNumParallelLoops() != op.getNumLoops() || op.getNumLoops() < 2)
      return failure();
    for (OpOperand &init : op.getDpsInitsMutable())
      if (!op.getMatchingIndexingMap(&init).isIdentity() || !init.get().getDefiningOp<tensor::EmptyOp>())
        return failure();
    // A pure transpose has nothing to compute in the other order: its own copy is the transpose.
    Block *body = op.getBlock();
    if (body->getOperations().size() == 1)
      return failure();
    Permutation order = readingOrder(op);
    if (order.empty())
      return failure();
    Location loc = op.getLoc();
    auto maps = op.getIndexingMapsArray();
    SmallVector<Value> inits;
    SmallVector<Type> types;
    for (OpOperand &init : op.getDpsInitsMutable()) {
      auto sizes = tensor::getMixedSizes(rewriter, loc, init.get());
      inits.push_back(tensor::EmptyOp::create(rewriter, loc, permuted<OpFoldResult>(sizes, order),
                                              getElementTypeOrSelf(init.get().getType())));
      types.push_back(inits.back().getType());
      maps[init.getOperandNumber()] =
          AffineMap::get(op.getNumLoops(), 0, permuted<AffineExpr>(maps[init.getOperandNumber()].getResults(), order),
                         op.getContext());
    }
    // Renumber the loops so that the results' maps are identities again.
    for (AffineMap &map : maps)
      map = reorderLoops(map, order);
    auto moved =
        linalg::GenericOp::create(rewriter, loc, types, op.getInputs(), inits, maps, op.getIteratorTypesArray());
    rewriter.inlineRegionBefore(op.getRegion(), moved.getRegion(), moved.getRegion().begin());
    Permutation newLoopOf = inverse(order);
    moved.walk([&](linalg::IndexOp index) { index.setDim(newLoopOf[index.getDim()]); });
    SmallVector<Value> results;
    for (Value result : moved.getResults())
      results.push_back(transpose(rewriter, loc, result, inverse(order)));
    rewriter.replaceOp(op, results);
    return success();
  }
};

/// Repeats elements side by side, as nearest-neighbour enlargement does, in the order in which it reads them:
///
///   %r = linalg.generic {(n, y, x, c) -> (n, c, y, 2, x, 2)}            %r = {(n, y, x, c) -> (n, y, 2, x, 2, c)}
///   %0 = graph.reshape %r : n x c x y x 2 x x x 2 -> n x c x 2y x 2x    %s = graph.reshape %r : ... -> n x 2y x 2x x c
///                                                                       %0 = linalg.transpose %s [0, 3, 1, 2]
struct SinkThroughRepeat : OpRewritePattern<ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReshapeOp op, PatternRewriter &rewriter) const override {
    auto copy = op.getSource().getDefiningOp<linalg::GenericOp>();
    auto type = cast<RankedTensorType>(op.getType());
    if (!copy || !isCopy(copy) || !copy->hasOneUse() ||
        type.getElementType() != getElementTypeOrSelf(copy.getResultTypes()[0]))
      return failure();
    auto empty = copy.getDpsInits()[0].getDefiningOp<tensor::EmptyOp>();
    AffineMap in = copy.getIndexingMapsArray()[0];
    std::optional<SmallVector<Permutation>> groups = loopsOfDims(in);
    ReifiedRankedShapedTypeDims result;
    if (!empty || !groups || int64_t(groups->size()) != type.getRank() ||
        failed(op.reifyResultShapes(rewriter, result)))
      return failure();
    SmallVector<OpFoldResult> sizes = empty.getMixedSizes();
    for (auto [size, group] : llvm::zip_equal(result[0], *groups))
      if (!isProduct(size, permuted<OpFoldResult>(sizes, group)))
        return failure();
    Permutation order, loops;
    for (AffineExpr read : in.getResults()) {
      order.push_back(llvm::find_if(*groups, [&](auto &group) { return group[0] == loopOf(read); }) - groups->begin());
      llvm::append_range(loops, (*groups)[order.back()]);
    }
    if (isIdentityPermutation(order))
      return failure();

    Location loc = op.getLoc();
    Value init = tensor::EmptyOp::create(rewriter, loc, permuted<OpFoldResult>(sizes, loops), type.getElementType());
    AffineMap maps[] = {reorderLoops(in, loops), rewriter.getMultiDimIdentityMap(loops.size())};
    auto moved = linalg::GenericOp::create(rewriter, loc, init.getType(), copy.getInputs(), init, maps,
                                           copy.getIteratorTypesArray());
    rewriter.cloneRegionBefore(copy.getRegion(), moved.getRegion(), moved.getRegion().begin());
    SmallVector<Value> dims;
    SmallVector<int64_t> known;
    dispatchIndexOpFoldResults(permuted<OpFoldResult>(result[0], order), dims, known);
    Value merged = ReshapeOp::create(rewriter, loc, type.clone(permuted<int64_t>(type.getShape(), order)),
                                     moved->getResult(0), dims);
    rewriter.replaceOp(op, transpose(rewriter, loc, merged, inverse(order)));
    return success();
  }

  static int64_t loopOf(AffineExpr expr) { return cast<AffineDimExpr>(expr).getPosition(); }

  /// Of something computed, whose elements may repeat.
  static bool isCopy(linalg::GenericOp op) {
    return op.getNumDpsInputs() == 1 && op.getNumDpsInits() == 1 && op.getNumReductionLoops() == 0 &&
           op.getBlock()->getOperations().size() == 1 && op.getIndexingMapsArray()[0].isProjectedPermutation() &&
           op.getIndexingMapsArray()[1].isIdentity() && !isConstantExpression(op.getDpsInputs()[0]);
  }

  /// Each loop that is read begins a dimension of the result; those after it, which repeat, belong to it.
  static std::optional<SmallVector<Permutation>> loopsOfDims(AffineMap in) {
    SmallVector<Permutation> groups;
    for (unsigned loop = 0; loop < in.getNumDims(); ++loop) {
      if (in.isFunctionOfDim(loop))
        groups.emplace_back();
      if (groups.empty())
        return std::nullopt;
      groups.back().push_back(loop);
    }
    return groups;
  }

  /// Is `size` surely the product of these?
  static bool isProduct(OpFoldResult size, ArrayRef<OpFoldResult> factors) {
    int64_t known = 1;
    Value open;
    for (OpFoldResult factor : factors) {
      auto constant = getConstantIntValue(factor);
      if (!constant && open)
        return false;
      if (constant)
        known *= *constant;
      else
        open = cast<Value>(factor);
    }
    if (!open)
      return getConstantIntValue(size) == known;
    auto value = dyn_cast<Value>(size);
    if (!value || known == 1)
      return value == open;
    auto product = value.getDefiningOp<arith::MulIOp>();
    return product && ((product.getLhs() == open && getConstantIntValue(product.getRhs()) == known) ||
                       (product.getRhs() == open && getConstantIntValue(product.getLhs()) == known));
  }
};

struct SinkThroughPad : OpRewritePattern<tensor::PadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tensor::PadOp op, PatternRewriter &rewriter) const override {
    auto source = movableTranspose(op.getSource());
    Value value = op.getConstantPaddingValue();
    if (!source || !value)
      return failure();
    Permutation back = inverse(source.getPermutation());
    auto low = permuted<OpFoldResult>(op.getMixedLowPad(), back),
         high = permuted<OpFoldResult>(op.getMixedHighPad(), back);
    auto shape = permuted<int64_t>(op.getResultType().getShape(), back);
    Value padded = tensor::PadOp::create(rewriter, op.getLoc(), op.getResultType().clone(shape), source.getInput(), low,
                                         high, value, op.getNofold());
    rewriter.replaceOp(op, transpose(rewriter, op.getLoc(), padded, source.getPermutation()));
    return success();
  }
};

struct SinkThroughSlice : OpRewritePattern<tensor::ExtractSliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tensor::ExtractSliceOp op, PatternRewriter &rewriter) const override {
    auto source = movableTranspose(op.getSource());
    if (!source || op.getType().getRank() != op.getSourceType().getRank())
      return failure();
    Permutation back = inverse(source.getPermutation());
    Value slice = tensor::ExtractSliceOp::create(
        rewriter, op.getLoc(), op.getType().clone(permuted<int64_t>(op.getType().getShape(), back)), source.getInput(),
        permuted<OpFoldResult>(op.getMixedOffsets(), back), permuted<OpFoldResult>(op.getMixedSizes(), back),
        permuted<OpFoldResult>(op.getMixedStrides(), back));
    rewriter.replaceOp(op, transpose(rewriter, op.getLoc(), slice, source.getPermutation()));
    return success();
  }
};

struct SinkThroughConcat : OpRewritePattern<tensor::ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(tensor::ConcatOp op, PatternRewriter &rewriter) const override {
    // Only where most inputs have this transpose: the others get one, and must not make the pattern apply again.
    auto haveAs = [&](linalg::TransposeOp source) {
      return llvm::count_if(op.getInputs(), [&](Value input) {
        auto other = movableTranspose(input);
        return other && other.getPermutation() == source.getPermutation();
      });
    };
    linalg::TransposeOp source;
    for (Value input : op.getInputs())
      if (auto candidate = movableTranspose(input); candidate && 2 * haveAs(candidate) > int64_t(op.getInputs().size()))
        source = candidate;
    if (!source)
      return failure();
    Permutation permutation(source.getPermutation());
    SmallVector<Value> inputs;
    for (Value input : op.getInputs())
      inputs.push_back(untranspose(rewriter, op.getLoc(), input, permutation));
    Value joined = tensor::ConcatOp::create(rewriter, op.getLoc(), permutation[op.getDim()], inputs);
    Value result = transpose(rewriter, op.getLoc(), joined, permutation);
    if (result.getType() != op.getType())
      result = tensor::CastOp::create(rewriter, op.getLoc(), op.getType(), result);
    rewriter.replaceOp(op, result);
    return success();
  }
};

struct PropagateLayoutPass : PassWrapper<PropagateLayoutPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PropagateLayoutPass)
  StringRef getArgument() const override { return "graph-propagate-layout"; }
  StringRef getDescription() const override { return "Fold transposes into consumers and sink the rest"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<GraphDialect, linalg::LinalgDialect, tensor::TensorDialect, arith::ArithDialect>();
  }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<SimplifyTranspose, FoldIntoOperand, FoldIntoExtract, SinkThroughElementwise, SinkThroughRepeat,
                 SinkThroughPad, SinkThroughSlice, SinkThroughConcat>(&getContext());
    memref::populateResolveRankedShapedTypeResultDimsPatterns(patterns);
    tensor::EmptyOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> eyrie::graph::createPropagateLayoutPass() { return std::make_unique<PropagateLayoutPass>(); }
