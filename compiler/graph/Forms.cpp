#include "compiler/graph/Forms.h"
#include "compiler/graph/Graph.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using eyrie::graph::Attention;

linalg::GenericOp eyrie::graph::findMarked(FunctionOpInterface func, StringRef attribute) {
  auto ops = func.getFunctionBody().front().getOps<linalg::GenericOp>();
  auto marked = llvm::find_if(ops, [&](linalg::GenericOp op) { return op->hasAttr(attribute); });
  return marked == ops.end() ? linalg::GenericOp() : *marked;
}

std::array<linalg::GenericOp, 3> eyrie::graph::getWinogradParts(Operation *last) {
  auto products = last->getOperand(2).getDefiningOp<linalg::GenericOp>();
  return {products, products.getInputs()[0].getDefiningOp<linalg::GenericOp>(),
          products.getInputs()[1].getDefiningOp<linalg::GenericOp>()};
}

AffineMap eyrie::graph::throughTranspose(linalg::TransposeOp transpose, AffineMap map) {
  SmallVector<AffineExpr> results(map.getNumResults());
  for (auto [to, from] : llvm::enumerate(transpose.getPermutation()))
    results[from] = map.getResult(to);
  return AffineMap::get(map.getNumDims(), map.getNumSymbols(), results, map.getContext());
}

AffineMap eyrie::graph::withoutUnitLoops(linalg::GenericOp op, AffineMap map) {
  SmallVector<AffineExpr> loops;
  for (auto [number, size] : llvm::enumerate(op.getStaticLoopRanges()))
    loops.push_back(size == 1 ? getAffineConstantExpr(0, op.getContext()) : getAffineDimExpr(number, op.getContext()));
  return simplifyAffineMap(map.replaceDimsAndSymbols(loops, {}, map.getNumDims(), 0));
}

bool eyrie::graph::isConstantPadding(tensor::PadOp pad) {
  Value value = pad.getConstantPaddingValue();
  return value && matchPattern(value, m_Constant()) && !ShapedType::isDynamicShape(pad.getStaticLow()) &&
         !ShapedType::isDynamicShape(pad.getStaticHigh());
}

static bool isArithmetic(Operation &op) {
  if (isa<arith::ConstantOp, arith::CmpIOp, arith::CmpFOp, arith::SelectOp, CastOpInterface>(op) ||
      !isa_and_nonnull<arith::ArithDialect, math::MathDialect>(op.getDialect()))
    return false;
  Type type = op.getResult(0).getType();
  return isa<FloatType>(type) || (isa<IntegerType>(type) && !type.isInteger(1));
}

int64_t eyrie::graph::operationsOf(linalg::LinalgOp loops) {
  if (auto known = loops->getAttrOfType<IntegerAttr>(eyrie::graph::kOperations))
    return known.getInt();
  int64_t count = llvm::count_if(*loops.getBlock(), isArithmetic);
  for (int64_t size : loops.getStaticLoopRanges())
    if (!ShapedType::isDynamic(size))
      count = llvm::MulOverflow(count, size, count) ? INT64_MAX : count;
  return count;
}

bool eyrie::graph::isElementwise(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return generic && generic.getNumParallelLoops() == generic.getNumLoops() &&
         llvm::all_of(generic.getDpsInitsMutable(),
                      [&](OpOperand &init) { return generic.getMatchingIndexingMap(&init).isIdentity(); });
}

bool eyrie::graph::isReduction(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return generic && generic.getNumReductionLoops() > 0 && generic.getNumResults() == 1;
}

bool eyrie::graph::isRowReduction(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return isReduction(op) &&
         llvm::all_of(generic.getIndexingMapsArray(),
                      [](AffineMap map) { return map.isProjectedPermutation(/*allowZeroInResults=*/true); }) &&
         llvm::any_of(generic.getDpsInputOperands(), [&](OpOperand *input) {
           return generic.getMatchingIndexingMap(input).getNumResults() == generic.getNumLoops();
         });
}

bool eyrie::graph::readsAlike(linalg::GenericOp consumer, OpOperand &use) {
  AffineMap map = consumer.getMatchingIndexingMap(&use);
  SmallVector<int64_t> sizes = consumer.getStaticLoopRanges();
  unsigned next = 0;
  for (AffineExpr expr : map.getResults()) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    while (dim && next < dim.getPosition() && sizes[next] == 1)
      ++next;
    if (!dim || dim.getPosition() != next++)
      return false;
  }
  return llvm::all_of(ArrayRef(sizes).drop_front(next), [](int64_t size) { return size == 1; });
}

SmallVector<linalg::GenericOp> Attention::rowFunctions() const {
  SmallVector<linalg::GenericOp> functions(statistics.begin(), statistics.end());
  functions.push_back(weights);
  return functions;
}

SmallVector<linalg::GenericOp> Attention::parts() const {
  SmallVector<linalg::GenericOp> parts{weights};
  llvm::append_range(parts, llvm::reverse(statistics));
  if (epilogue)
    parts.push_back(epilogue);
  parts.push_back(scores);
  return parts;
}

namespace eyrie::graph {
namespace {
struct AttentionMatcher {
  Attention found;

  bool isHere(Operation *op) const { return op && op->getBlock() == linalg::GenericOp(found.sums)->getBlock(); }

  static bool isContraction(linalg::GenericOp op) {
    return isReduction(op) && op.getNumDpsInputs() == 2 && op.getIndexingMapsArray().back().isProjectedPermutation() &&
           llvm::all_of(op.getIndexingMapsArray(),
                        [](AffineMap map) { return map.isProjectedPermutation(/*allowZeroInResults=*/true); });
  }

  /// A reduction along the last loop alone, whose result has the others' dimensions.
  static bool isStatistic(linalg::GenericOp op) {
    AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
    return isRowReduction(op) && op.getNumReductionLoops() == 1 &&
           map == AffineMap::getMultiDimIdentityMap(op.getNumLoops(), op.getContext()).dropResult(op.getNumLoops() - 1);
  }

  bool areUsers(Value value, ArrayRef<linalg::GenericOp> allowed) const {
    return llvm::all_of(value.getUsers(), [&](Operation *user) {
      return llvm::any_of(allowed, [&](linalg::GenericOp op) { return op.getOperation() == user; });
    });
  }

  AffineMap identityOf(linalg::GenericOp op) const {
    return AffineMap::getMultiDimIdentityMap(op.getNumLoops(), op.getContext());
  }

  /// The statistic that a function of rows reads through an operand, or null.
  linalg::GenericOp statisticOf(linalg::GenericOp op, OpOperand &input) const {
    auto producer = input.get().getDefiningOp<linalg::GenericOp>();
    bool isRead = isHere(producer) && isStatistic(producer) &&
                  op.getMatchingIndexingMap(&input) == identityOf(op).dropResult(op.getNumLoops() - 1);
    return isRead ? producer : linalg::GenericOp();
  }

  /// Notes the statistics that `op` reads, and those that they read.
  void collectStatistics(linalg::GenericOp op) {
    for (OpOperand *input : op.getDpsInputOperands())
      if (linalg::GenericOp statistic = statisticOf(op, *input);
          statistic && !llvm::is_contained(found.statistics, statistic)) {
        found.statistics.push_back(statistic);
        collectStatistics(statistic);
      }
  }

  /// The tensor of whose rows the statistics are: the only one that the first of them reads element by element.
  Value rowsOf(linalg::GenericOp statistic) const {
    Value rows;
    for (OpOperand *input : statistic.getDpsInputOperands())
      if (statistic.getMatchingIndexingMap(input) == identityOf(statistic)) {
        if (rows)
          return {};
        rows = input->get();
      }
    return rows;
  }

  /// Does a function of rows read them element by element, statistics of the row itself, and what is computed outside?
  bool readsRows(linalg::GenericOp op, Value rows) const {
    bool readsBody = llvm::all_of(op.getBlock()->getOperations(), [&](Operation &inner) {
      return !isa<linalg::IndexOp>(inner) && llvm::all_of(inner.getOperands(), [&](Value operand) {
        return operand.getParentBlock() == op.getBlock() || matchPattern(operand, m_Constant());
      });
    });
    auto readsWell = [&](OpOperand *input) {
      AffineMap map = op.getMatchingIndexingMap(input);
      if (input->get() == rows)
        return map == identityOf(op);
      if (llvm::is_contained(found.statistics, input->get().getDefiningOp<linalg::GenericOp>()))
        return map == identityOf(op).dropResult(op.getNumLoops() - 1);
      return map.isProjectedPermutation(/*allowZeroInResults=*/true);
    };
    // The rows say how long the others are.
    return readsBody && llvm::is_contained(op.getDpsInputs(), rows) &&
           llvm::all_of(op.getDpsInputOperands(), readsWell);
  }

  bool match(linalg::GenericOp sums, OpOperand &use) {
    found = {};
    found.sums = sums;
    found.operand = use.getOperandNumber();
    found.weights = use.get().getDefiningOp<linalg::GenericOp>();
    SmallVector<unsigned> reductions;
    sums.getReductionDims(reductions);
    AffineMap map = sums.getMatchingIndexingMap(&use);
    if (!isHere(found.weights) || !graph::isElementwise(found.weights) || found.weights.getNumResults() != 1 ||
        !found.weights->hasOneUse() || reductions.size() != 1 || map.getNumResults() < 2 ||
        map.getResults().back() != getAffineDimExpr(reductions[0], sums.getContext()))
      return false;
    collectStatistics(found.weights);
    if (found.statistics.empty())
      return false;
    llvm::sort(found.statistics,
               [](linalg::GenericOp a, linalg::GenericOp b) { return a->isBeforeInBlock(b.getOperation()); });
    Value rows = rowsOf(found.statistics.front());
    auto readsThem = [&](linalg::GenericOp op) { return readsRows(op, rows); };
    if (!rows || !readsThem(found.weights) || !llvm::all_of(found.statistics, readsThem))
      return false;
    return matchScores(rows);
  }

  bool matchScores(Value rows) {
    auto producer = rows.getDefiningOp<linalg::GenericOp>();
    if (!isHere(producer))
      return false;
    if (graph::isElementwise(producer) && producer.getNumResults() == 1) {
      found.epilogue = producer;
      for (OpOperand *input : producer.getDpsInputOperands())
        if (auto op = input->get().getDefiningOp<linalg::GenericOp>(); isHere(op) && isContraction(op)) {
          if (found.scores && found.scores != op)
            return false;
          if (!readsAlike(producer, *input) || !areUsers(op->getResult(0), {producer}))
            return false;
          found.scores = op;
        }
    } else if (isContraction(producer)) {
      found.scores = producer;
    }
    SmallVector<linalg::GenericOp> readers = found.rowFunctions();
    return found.scores && areUsers(rows, readers) &&
           llvm::all_of(found.statistics, [&](linalg::GenericOp op) { return areUsers(op->getResult(0), readers); });
  }
};
} // namespace
} // namespace eyrie::graph

std::optional<Attention> eyrie::graph::matchAttention(linalg::GenericOp sums) {
  if (!AttentionMatcher::isContraction(sums))
    return std::nullopt;
  for (OpOperand *input : sums.getDpsInputOperands()) {
    AttentionMatcher matcher;
    if (matcher.match(sums, *input))
      return matcher.found;
  }
  return std::nullopt;
}
