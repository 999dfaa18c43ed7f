// Fuses elementwise operations into their consumers, so that a chain of them passes over memory once.
//
// A producer with one use fuses, except into what reads each element many times: a contraction, or an operation with
// more outer loops (a row of numbers, made with some effort, that scales every row of a matrix). A producer with
// several uses is computed again in each of them only where that is cheap and reads no more than it saves: at most two
// cheap operations (four where the result is wider than what is read: bytes that become floats), and at most one input
// as large as the result. A narrower copy of a result that has other uses, made by operations on the element alone,
// becomes a second result of the operation.
//
// Where the results of two contractions meet, one of them computes the meeting in its dispatch and the other is read
// from memory. If the latter's result is narrowed on the way (to the bytes of a quantised model), it is narrowed in its
// own dispatch, so that the narrow form crosses memory:
//
//   %a = contraction : i32     %q = requantise %a : u8 ─┐
//   %b = contraction : i32                              └─► %y = requantise (dequantise %q) + %b
//
// Invariant left: between two elementwise operations there is no single-use edge, except these: the narrow form of a
// result, and what an operation reads again in outer loops.
#include "compiler/graph/Forms.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace eyrie::graph;

namespace {

/// Reads elements of its inputs many times over: computing an input again at each read would be ruinous.
bool rereadsInputs(linalg::GenericOp op) {
  return op.getNumReductionLoops() > 0 &&
         (op.getNumDpsInputs() > 1 || llvm::any_of(op.getIndexingMapsArray(), [](AffineMap map) {
            return !map.isProjectedPermutation(/*allowZeroInResults=*/true);
          }));
}

bool isCheap(Operation &op) {
  return isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::NegFOp, arith::AddIOp, arith::SubIOp, arith::MulIOp,
             arith::ConstantOp, arith::MaximumFOp, arith::MinimumFOp, arith::CmpFOp, arith::CmpIOp, arith::SelectOp,
             arith::ExtFOp, arith::TruncFOp, arith::SIToFPOp, arith::ExtUIOp, arith::ExtSIOp, arith::TruncIOp>(op);
}

unsigned widthOf(Value tensor) { return getElementTypeOrSelf(tensor).getIntOrFloatBitWidth(); }

/// Operations of a body, constants aside; none if some are not cheap.
std::optional<unsigned> countIfCheap(linalg::GenericOp generic) {
  unsigned operations = 0;
  for (Operation &op : generic.getBlock()->without_terminator()) {
    if (!isCheap(op))
      return std::nullopt;
    operations += !isa<arith::ConstantOp>(op);
  }
  return operations;
}

bool isWorthRecomputing(linalg::GenericOp producer) {
  unsigned largeInputs = 0;
  bool widens = true;
  for (OpOperand *input : producer.getDpsInputOperands()) {
    if (producer.getMatchingIndexingMap(input).getNumResults() == producer.getNumLoops()) {
      ++largeInputs;
      widens &= widthOf(input->get()) < widthOf(producer->getResult(0));
    }
    auto contraction = input->get().getDefiningOp<linalg::GenericOp>();
    if (contraction && rereadsInputs(contraction) && contraction->hasOneUse() && readsAlike(producer, *input))
      return false; // what can follow a contraction in its dispatch costs nothing there
  }
  std::optional<unsigned> operations = countIfCheap(producer);
  return operations && *operations <= (widens ? 4 : 2) && largeInputs <= 1;
}

/// Would the numbers that `producer` makes with some effort be made again in many iterations of outer loops? (What
/// varies with outer loops alone is computed in these.)
bool isReadInOuterLoops(linalg::GenericOp producer, OpOperand *use) {
  auto consumer = cast<linalg::GenericOp>(use->getOwner());
  constexpr uint64_t fewIterations = 8, smallResult = 4096;
  std::optional<unsigned> operations = countIfCheap(producer);
  AffineMap map = consumer.getMatchingIndexingMap(use);
  if ((operations && *operations <= 2) || consumer.getNumLoops() < 2 ||
      !map.isFunctionOfDim(consumer.getNumLoops() - 1))
    return false;
  uint64_t iterations = 1, all = 1;
  for (auto [loop, size] : llvm::enumerate(consumer.getStaticLoopRanges())) {
    uint64_t likely = ShapedType::isDynamic(size) ? smallResult : size;
    all = llvm::SaturatingMultiply(all, likely);
    if (!map.isFunctionOfDim(loop))
      iterations = llvm::SaturatingMultiply(iterations, likely);
  }
  return iterations >= fewIterations && all >= smallResult;
}

/// The last contraction in the block whose result comes to `value` through elementwise operations, each used once.
linalg::GenericOp contractionBehind(Value value) {
  auto op = value.getDefiningOp<linalg::GenericOp>();
  if (!op || !op->hasOneUse())
    return {};
  if (rereadsInputs(op))
    return op;
  linalg::GenericOp last;
  if (eyrie::graph::isElementwise(op))
    for (Value input : op.getInputs())
      if (linalg::GenericOp found = contractionBehind(input))
        if (found->getBlock() == op->getBlock() && (!last || last->isBeforeInBlock(found)))
          last = found;
  return last;
}

/// Is `producer` the narrow form of a contraction's result that another, later contraction's dispatch will read?
bool isNarrowBorder(linalg::GenericOp producer, linalg::GenericOp consumer) {
  Value narrow = producer->getResult(0);
  auto isWider = [&](Value input) { return widthOf(input) > widthOf(narrow); };
  if (producer->getNumResults() != 1 || !eyrie::graph::isElementwise(producer) ||
      llvm::none_of(producer.getInputs(), isWider))
    return false;
  linalg::GenericOp contraction = contractionBehind(narrow);
  if (!contraction || widthOf(narrow) >= widthOf(contraction->getResult(0)))
    return false;
  Value reached = narrow;
  while (consumer && eyrie::graph::isElementwise(consumer)) {
    for (Value input : consumer.getInputs())
      if (linalg::GenericOp other = input == reached ? nullptr : contractionBehind(input))
        if (other->getBlock() == contraction->getBlock() && contraction->isBeforeInBlock(other))
          return true;
    reached = consumer->getResult(0);
    consumer = reached.hasOneUse() ? dyn_cast<linalg::GenericOp>(*reached.user_begin()) : nullptr;
  }
  return false;
}

bool shouldFuse(OpOperand *use) {
  auto producer = use->get().getDefiningOp<linalg::GenericOp>();
  auto consumer = dyn_cast<linalg::GenericOp>(use->getOwner());
  if (!producer || !consumer || producer->getBlock() != consumer->getBlock() || rereadsInputs(consumer) ||
      producer->hasAttr(kInKernel) || consumer->hasAttr(kInKernel))
    return false;
  // Gathers stay apart from reductions and wide bodies small enough for the vectoriser's patience.
  if (consumer.getBlock()->getOperations().size() + producer.getBlock()->getOperations().size() > 120)
    return false;
  auto users = producer->getUsers();
  bool oneUser = llvm::all_of(users, [&](Operation *user) { return user == consumer.getOperation(); });
  if (oneUser)
    return !isNarrowBorder(producer, consumer) && !isReadInOuterLoops(producer, use);
  return isWorthRecomputing(producer) && llvm::range_size(users) <= 4 && llvm::all_of(users, [](Operation *user) {
           auto generic = dyn_cast<linalg::GenericOp>(user);
           return generic && !rereadsInputs(generic);
         });
}

/// Values that are one number everywhere become that number in the body.
struct InlineScalarConstants : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::GenericOp op, PatternRewriter &rewriter) const override {
    for (OpOperand *operand : op.getDpsInputOperands()) {
      Attribute scalar;
      if (auto fill = operand->get().getDefiningOp<linalg::FillOp>())
        matchPattern(fill.getInputs()[0], m_Constant(&scalar));
      else if (SplatElementsAttr splat; matchPattern(operand->get(), m_Constant(&splat)))
        scalar = splat.getSplatValue<Attribute>();
      auto typed = dyn_cast_or_null<TypedAttr>(scalar);
      if (!typed || !isa<FloatType, IntegerType>(typed.getType()))
        continue;
      BlockArgument arg = op.getBlock()->getArgument(operand->getOperandNumber());
      if (arg.use_empty())
        continue;
      rewriter.setInsertionPointToStart(op.getBlock());
      Value constant = arith::ConstantOp::create(rewriter, op.getLoc(), typed);
      rewriter.replaceAllUsesWith(arg, constant);
      return success();
    }
    return failure();
  }
};

/// Computes a narrower copy of each element where the element is computed.
struct NarrowWhereComputed : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::GenericOp copy, PatternRewriter &rewriter) const override {
    if (copy.getNumDpsInputs() != 1 || copy.getNumDpsInits() != 1 || !isPlain(copy) ||
        !copy.getMatchingIndexingMap(copy.getDpsInputOperand(0)).isIdentity())
      return failure();
    auto producer = copy.getInputs()[0].getDefiningOp<linalg::GenericOp>();
    Type narrow = getElementTypeOrSelf(copy.getResultTypes()[0]);
    if (!isPlain(producer) || producer.getNumDpsInits() != 1 || producer->hasOneUse() ||
        producer->getBlock() != copy->getBlock() || capturesValues(copy) ||
        narrow.getIntOrFloatBitWidth() >= widthOf(producer->getResult(0)))
      return failure();

    rewriter.setInsertionPoint(producer);
    Location loc = rewriter.getFusedLoc({producer.getLoc(), copy.getLoc()});
    Value init = producer.getDpsInits()[0];
    Value narrowInit = tensor::EmptyOp::create(rewriter, loc, tensor::getMixedSizes(rewriter, loc, init), narrow);
    SmallVector<AffineMap> maps = producer.getIndexingMapsArray();
    maps.push_back(maps.back());
    auto both =
        linalg::GenericOp::create(rewriter, loc, {producer.getResultTypes()[0], copy.getResultTypes()[0]},
                                  producer.getInputs(), {init, narrowInit}, maps, producer.getIteratorTypesArray());
    both->setDiscardableAttrs(producer->getDiscardableAttrDictionary());
    both.getRegion().takeBody(producer.getRegion());
    Block *body = both.getBlock();
    body->addArgument(narrow, loc);
    Operation *yield = body->getTerminator();
    rewriter.setInsertionPoint(yield);
    IRMapping mapping;
    mapping.map(copy.getBlock()->getArgument(0), yield->getOperand(0));
    for (Operation &op : copy.getBlock()->without_terminator())
      rewriter.clone(op, mapping);
    Value element = mapping.lookupOrDefault(copy.getBlock()->getTerminator()->getOperand(0));
    yield->insertOperands(1, element);
    rewriter.replaceOp(copy, both.getResult(1));
    rewriter.replaceOp(producer, both.getResult(0));
    return success();
  }

  /// Does the body use values from outside? They need not be there where the producer is.
  static bool capturesValues(linalg::GenericOp op) {
    SetVector<Value> captured;
    getUsedValuesDefinedAbove(op.getRegion(), captured);
    return !captured.empty();
  }

  /// Elementwise, with a result in the order of the loops.
  static bool isPlain(linalg::GenericOp op) {
    return op && eyrie::graph::isElementwise(op) && !op->hasAttr(kInKernel) && !op->hasAttr(kWinograd) &&
           op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity() &&
           !op.payloadUsesValueFromOperand(op.getDpsInitOperand(0));
  }
};

struct FuseElementwisePass : PassWrapper<FuseElementwisePass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseElementwisePass)
  StringRef getArgument() const override { return "graph-fuse-elementwise"; }
  StringRef getDescription() const override { return "Fuse elementwise producers into their consumers"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<linalg::LinalgDialect, arith::ArithDialect, tensor::TensorDialect, GraphDialect>();
  }
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    linalg::populateElementwiseOpsFusionPatterns(patterns, shouldFuse);
    patterns.add<InlineScalarConstants>(context);
    linalg::populateEraseUnusedOperandsAndResultsPatterns(patterns);
    linalg::GenericOp::getCanonicalizationPatterns(patterns, context);
    tensor::EmptyOp::getCanonicalizationPatterns(patterns, context);
    memref::populateResolveRankedShapedTypeResultDimsPatterns(patterns);
    ReshapeOp::getCanonicalizationPatterns(patterns, context);
    RewritePatternSet narrowing(context);
    narrowing.add<NarrowWhereComputed>(context);
    memref::populateResolveRankedShapedTypeResultDimsPatterns(narrowing);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))) ||
        failed(applyPatternsGreedily(getOperation(), std::move(narrowing))))
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> eyrie::graph::createFuseElementwisePass() { return std::make_unique<FuseElementwisePass>(); }
