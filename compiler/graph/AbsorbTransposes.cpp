// Lets a contraction write its result in the order in which the only transpose of it wants it.
//
//   %c = linalg.generic {(b, h, s, d)} …              %t = linalg.generic {(b, h, s, d) -> (b, s, h, d)} …
//   %t = linalg.transpose %c [0, 2, 1, 3]     ──►
//
// Only where the last dimension stays the last, so that rows are still written as vectors. Runs after
// graph-propagate-layout: the transposes that are left then are wanted by something (a reshape, a result).
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"

using namespace mlir;
using namespace eyrie::graph;

namespace {
struct AbsorbTranspose : OpRewritePattern<linalg::TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::TransposeOp op, PatternRewriter &rewriter) const override {
    ArrayRef<int64_t> permutation = op.getPermutation();
    auto producer = op.getInput().getDefiningOp<linalg::GenericOp>();
    if (!producer || producer->getNumResults() != 1 || producer.getNumReductionLoops() == 0 ||
        !producer->getResult(0).hasOneUse() || permutation.empty() ||
        permutation.back() != static_cast<int64_t>(permutation.size()) - 1)
      return rewriter.notifyMatchFailure(op, "not the only use of a contraction, or moves the last dimension");
    auto fill = producer.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
    if (!fill)
      return rewriter.notifyMatchFailure(op, "the accumulator does not start as one number");
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
    auto moved = linalg::GenericOp::create(rewriter, producer.getLoc(), init.getType(), producer.getInputs(), init,
                                           maps, producer.getIteratorTypesArray());
    rewriter.inlineRegionBefore(producer.getRegion(), moved.getRegion(), moved.getRegion().begin());
    rewriter.replaceOp(op, moved.getResults());
    rewriter.eraseOp(producer);
    return success();
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
    patterns.add<AbsorbTranspose>(&getContext());
    memref::populateResolveRankedShapedTypeResultDimsPatterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> eyrie::graph::createAbsorbTransposesPass() { return std::make_unique<AbsorbTransposesPass>(); }
