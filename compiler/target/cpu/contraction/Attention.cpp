// A workgroup takes a block of rows (queries) of some heads. For each head it computes the block's scores to local
// memory, turns each row there into weights, and sums the values with them. The block is so small that it stays in the
// second-level cache; rows are whole, so that no sum has to be rescaled.
#include "compiler/target/cpu/contraction/Attention.h"
#include "compiler/graph/Graph.h"
#include "compiler/target/cpu/contraction/BodyEvaluator.h"
#include "compiler/target/cpu/contraction/Emit.h"
#include "compiler/target/cpu/contraction/Moves.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace eyrie::target::cpu;
using eyrie::graph::Attention;

namespace {
constexpr int64_t kMostBlockRows = 64;
/// Rows of the largest register tile, of which a block holds one at least.
constexpr int64_t kMostTileRows = 14;
constexpr int64_t kMostDepth = 1024;

/// The type of a row in local memory: small floats are computed with as f32.
Type localType(Type element) {
  return element.getIntOrFloatBitWidth() < 32 ? Type(Float32Type::get(element.getContext())) : element;
}
int64_t bytesOf(Type element) { return localType(element).getIntOrFloatBitWidth() / 8; }

/// Elements between two rows: room for whole vectors, and not a multiple of a cache line's conflicts.
int64_t pitchOf(int64_t keys) { return llvm::alignTo(keys, 16) + 16; }

/// The operation that adds an element to a statistic, or null.
Operation *combinerOf(linalg::GenericOp statistic) {
  Block *body = statistic.getBlock();
  Value total = body->getArguments().back();
  Operation *op = body->getTerminator()->getOperand(0).getDefiningOp();
  bool combines =
      op && total.hasOneUse() && *total.user_begin() == op &&
      isa<arith::AddFOp, arith::MulFOp, arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp, arith::MinNumFOp>(op);
  return combines ? op : nullptr;
}

/// The value that a statistic begins with, if every lane may begin with it.
TypedAttr initOf(linalg::GenericOp statistic) {
  auto fill = statistic.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
  TypedAttr init;
  if (!fill || !matchPattern(fill.getInputs()[0], m_Constant(&init)))
    return {};
  Operation *combiner = combinerOf(statistic);
  bool isNeutral = !isa<arith::AddFOp, arith::MulFOp>(combiner) ||
                   cast<FloatAttr>(init).getValue().isExactlyValue(isa<arith::AddFOp>(combiner) ? 0.0 : 1.0);
  return isNeutral ? init : TypedAttr();
}

/// What the rows become.
struct RowsEmitter {
  OpBuilder &b;
  Location loc;
  const AttentionKernel &kernel;
  const CpuTargetModel &machine;
  TileAccess &outside; // operands that are not in local memory
  Symbols &s;
  Value memory; // of the block, flat
  int64_t pitch, lanes;
  Value keys;
  SmallVector<Value> point; // of the loops of the scores; null for reductions

  Value row{};                      // where it begins
  DenseMap<Value, Value> scalars{}; // statistics of the row

  Value constant(int64_t value) { return s.constant(value); }
  VectorType vectorOf(Type element) { return VectorType::get({lanes}, element); }
  Type memoryType() { return cast<MemRefType>(memory.getType()).getElementType(); }

  /// The body's value for the elements from `key` on; those behind a mask, if there is one, are anything.
  Value evaluate(linalg::GenericOp op, Value key, Value mask, Value total) {
    point[*kernel.column] = key;
    outside.moveTo(point, mask);
    SmallVector<Value> arguments;
    for (OpOperand *input : op.getDpsInputOperands()) {
      Value &argument = arguments.emplace_back();
      if (Value statistic = scalars.lookup(input->get()))
        argument = broadcastTo(b, statistic, lanes);
      else if (const Expression *load = kernel.operands.lookup(input))
        argument = outside.read(load, 0, 0);
      else if (op.payloadUsesValueFromOperand(input))
        argument = narrow(b, vector::LoadOp::create(b, loc, vectorOf(memoryType()), memory, s.add(row, key)),
                          getElementTypeOrSelf(input->get().getType()), lanes);
    }
    arguments.push_back(total);
    return broadcastTo(b, evaluateBody(b, op, arguments, lanes, machine.fma, nullptr, nullptr)[0], lanes);
  }

  /// Loops over whole vectors of the row, and over what they leave, which has a mask.
  void forEachVector(SmallVector<Value> &carried, llvm::function_ref<Value(Value key, Value mask)> step) {
    auto over = [&](Value lower, Value upper, bool isMasked) {
      auto loop = scf::ForOp::create(b, loc, lower, upper, constant(lanes), carried);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      Value key = loop.getInductionVar(), mask;
      if (isMasked)
        mask = vector::CreateMaskOp::create(b, loc, vectorOf(b.getI1Type()), ValueRange{s.sub(keys, key)});
      carried.assign(loop.getRegionIterArgs().begin(), loop.getRegionIterArgs().end());
      Value next = step(key, mask);
      if (!carried.empty())
        scf::YieldOp::create(b, loc, next);
      divideOnce(loop);
      carried.assign(loop.getResults().begin(), loop.getResults().end());
    };
    Value whole = s.mul(s.div(keys, constant(lanes)), constant(lanes));
    over(constant(0), whole, false);
    if (whole != keys)
      over(whole, keys, true);
  }

  /// All lanes combined.
  Value combine(Operation *combiner, Value total) {
    for (int64_t half = lanes / 2; half > 0; half /= 2) {
      SmallVector<int64_t> order;
      for (int64_t lane = 0; lane < lanes; ++lane)
        order.push_back((lane + half) % lanes);
      Value other = vector::ShuffleOp::create(b, loc, total, total, order);
      OperationState state(loc, combiner->getName(), {total, other}, {total.getType()}, combiner->getAttrs());
      total = b.create(state)->getResult(0);
    }
    return vector::ExtractOp::create(b, loc, total, int64_t(0));
  }

  void emitStatistic(linalg::GenericOp op) {
    TypedAttr init = initOf(op);
    SmallVector<Value> total{
        arith::ConstantOp::create(b, loc, DenseElementsAttr::get(vectorOf(init.getType()), Attribute(init)))};
    forEachVector(total, [&](Value key, Value mask) -> Value {
      Value before = total[0], after = evaluate(op, key, mask, before);
      return mask ? Value(arith::SelectOp::create(b, loc, mask, after, before)) : after;
    });
    scalars[op->getResult(0)] = combine(combinerOf(op), total[0]);
  }

  void emitWeights() {
    SmallVector<Value> none;
    forEachVector(none, [&](Value key, Value mask) -> Value {
      // A row has room for whole vectors.
      Value weights = widen(b, evaluate(kernel.parts.weights, key, mask, Value()), memoryType());
      vector::StoreOp::create(b, loc, weights, memory, s.add(row, key));
      return {};
    });
  }

  /// Divisions by what is the same in the whole row become products with its reciprocal.
  void divideOnce(scf::ForOp loop) {
    SmallVector<arith::DivFOp> divisions(loop.getOps<arith::DivFOp>());
    for (arith::DivFOp division : divisions) {
      auto divisor = division.getRhs().getDefiningOp<vector::BroadcastOp>();
      if (!divisor || !loop.isDefinedOutsideOfLoop(divisor.getSource()))
        continue;
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(loop);
      Value source = divisor.getSource();
      Value one = arith::ConstantOp::create(b, loc, b.getFloatAttr(source.getType(), 1.0));
      Value reciprocal = broadcastTo(b, arith::DivFOp::create(b, loc, one, source), lanes);
      b.setInsertionPoint(division);
      division.replaceAllUsesWith(arith::MulFOp::create(b, loc, division.getLhs(), reciprocal).getResult());
      division.erase();
    }
  }

  void emit(Value firstRow, Value count) {
    emitLoop(b, loc, constant(0), count, constant(1), [&](Value number) {
      row = s.mul(number, constant(pitch));
      point[*kernel.dims.back()[0]] = s.add(firstRow, number);
      scalars.clear();
      for (linalg::GenericOp statistic : kernel.parts.statistics)
        emitStatistic(statistic);
      emitWeights();
    });
  }
};

struct AttentionPlan {
  Plan scores, sums;
  int64_t pitch, blockRows;
  int64_t rowsBytes, localBytes;
  int64_t outerPerGroup;
};

int64_t likely(const Loop &loop) {
  return loop.size.isConstant() ? loop.size.factor : std::min<int64_t>(loop.facts.most, 256);
}

FailureOr<AttentionPlan> planAttention(const AttentionKernel &kernel, const CpuTargetModel &machine,
                                       std::string &reason) {
  auto [scoresRow, sumsRow] = kernel.dims.back();
  if (!scoresRow || !sumsRow) {
    reason = "there is one row only";
    return failure();
  }
  AttentionPlan plan;
  plan.pitch = pitchOf(kernel.mostKeys);
  // Both register tiles get as many rows, so that a block is made of whole ones.
  int64_t most = INT64_MAX;
  for (int round = 0; round < 2; ++round) {
    FailureOr<Plan> scores = makePlan(kernel.scores, machine, reason, RowChoice{*scoresRow, most});
    FailureOr<Plan> sums = makePlan(kernel.sums, machine, reason, RowChoice{*sumsRow, most});
    if (failed(scores) || failed(sums))
      return failure();
    most = std::min(scores->tileRows, sums->tileRows);
    plan.scores = *scores;
    plan.sums = *sums;
  }
  if (plan.scores.tileRows != plan.sums.tileRows) {
    reason = "the register tiles differ in their rows";
    return failure();
  }
  Type rows = localType(getElementTypeOrSelf(kernel.parts.rows().getType()));
  int64_t rowBytes = plan.pitch * rows.getIntOrFloatBitWidth() / 8, tile = plan.scores.tileRows;
  int64_t needed = likely(kernel.scores.loops[*scoresRow]);
  int64_t fitting = std::clamp<int64_t>(machine.l2Bytes / 2 / rowBytes, tile, std::max(kMostBlockRows, tile));
  int64_t blocks = llvm::divideCeil(std::max<int64_t>(needed, 1), fitting);
  plan.blockRows =
      std::min<int64_t>(llvm::alignTo(llvm::divideCeil(needed, blocks), tile), llvm::alignTo(fitting, tile));
  plan.blockRows = std::max(plan.blockRows, tile);
  plan.rowsBytes = llvm::alignTo(plan.blockRows * rowBytes, 64);
  plan.localBytes =
      plan.rowsBytes + std::max(localBytes(kernel.scores, plan.scores), localBytes(kernel.sums, plan.sums));
  int64_t work = plan.blockRows;
  for (unsigned loop : plan.scores.reductions)
    work *= std::max<int64_t>(likely(kernel.scores.loops[loop]), 1);
  work *= std::max<int64_t>(likely(kernel.scores.loops[plan.scores.column]), 1);
  plan.outerPerGroup = std::max<int64_t>(llvm::divideCeil(minWorkgroupIterations, std::max<int64_t>(work, 1)), 1);
  return plan;
}

/// The points that rows have besides their own loop: heads, batches.
Value countOuter(Symbols &s, const AttentionKernel &kernel) {
  Value count = s.constant(1);
  for (auto [loop, unused] : ArrayRef(kernel.dims).drop_back())
    if (loop)
      count = s.mul(count, s.value(kernel.scores.loops[*loop].size));
  return count;
}

void emit(OpBuilder &b, func::FuncOp func, const AttentionKernel &kernel, const AttentionPlan &plan,
          const CpuTargetModel &machine, KernelValues values) {
  Location loc = func.getLoc();
  Symbols scoresSymbols(b, func, kernel.scores, values.indices), s(b, func, kernel.sums, values.indices);
  auto local = [&](int64_t from, int64_t count, Type element) -> Value {
    return memref::ViewOp::create(b, loc, MemRefType::get({ShapedType::kDynamic}, element), values.local,
                                  s.constant(from), ValueRange{s.constant(count)});
  };
  Type element = localType(getElementTypeOrSelf(kernel.parts.rows().getType()));
  Value rows = local(0, plan.blockRows * plan.pitch, element);
  values.bindings.push_back(rows);
  values.local = local(plan.rowsBytes, plan.localBytes - plan.rowsBytes, b.getI8Type());

  Value size = s.value(kernel.sums.loops[*kernel.dims.back()[1]].size);
  Value lower = s.mul(values.workgroup[0], s.constant(plan.blockRows));
  Value upper = s.min(s.add(lower, s.constant(plan.blockRows)), size);
  Value first = s.mul(values.workgroup[1], s.constant(plan.outerPerGroup));
  Value last = s.min(s.add(first, s.constant(plan.outerPerGroup)), countOuter(scoresSymbols, kernel));
  int64_t lanes = machine.lanes(element.getIntOrFloatBitWidth());
  Plan vectors;
  vectors.lanes = lanes;
  vectors.column = plan.scores.column;
  vectors.row = plan.scores.row;
  TileAccess outside(b, func, kernel.scores, vectors, machine, values);
  Value keys = scoresSymbols.value(kernel.scores.loops[plan.scores.column].size);
  emitLoop(b, loc, first, last, s.constant(1), [&](Value point) {
    SmallVector<Value> inScores(kernel.scores.loops.size()), inSums(kernel.sums.loops.size());
    for (auto [scoresLoop, sumsLoop] : llvm::reverse(ArrayRef(kernel.dims).drop_back())) {
      if (!scoresLoop)
        continue;
      Value extent = scoresSymbols.value(kernel.scores.loops[*scoresLoop].size);
      inScores[*scoresLoop] = s.rem(point, extent);
      if (sumsLoop)
        inSums[*sumsLoop] = inScores[*scoresLoop];
      point = s.div(point, extent);
    }
    emitRowBlock(b, func, kernel.scores, plan.scores, machine, values, scoresSymbols, inScores, lower, upper);
    RowsEmitter{b, loc, kernel, machine, outside, s, rows, plan.pitch, lanes, keys, inScores}.emit(lower,
                                                                                                   s.sub(upper, lower));
    emitRowBlock(b, func, kernel.sums, plan.sums, machine, values, s, inSums, lower, upper);
  });
}

/// Does exactly one of the contraction's operands vary along each of the two loops, and not the same?
bool areApart(linalg::GenericOp op, unsigned row, unsigned column) {
  auto reads = [&](unsigned operand, unsigned loop) {
    return op.getMatchingIndexingMap(op.getDpsInputOperand(operand)).isFunctionOfDim(loop);
  };
  return reads(0, row) != reads(1, row) && reads(0, column) != reads(1, column) && reads(0, row) == reads(1, column);
}

bool isFloat(Value value) {
  auto type = dyn_cast<FloatType>(getElementTypeOrSelf(value.getType()));
  return type && type.getWidth() >= 16;
}

bool isComputedByVectors(const Attention &attention) {
  SmallVector<linalg::GenericOp> all = attention.parts();
  all.push_back(attention.sums);
  std::string reason;
  return llvm::all_of(all,
                      [&](linalg::GenericOp op) {
                        bool readsAny = op == attention.epilogue || llvm::is_contained(attention.rowFunctions(), op);
                        return isFloat(op->getResult(0)) && (readsAny || llvm::all_of(op.getDpsInputs(), isFloat)) &&
                               canEvaluateBody(op, reason);
                      }) &&
         llvm::all_of(attention.statistics, [](linalg::GenericOp op) { return combinerOf(op) && initOf(op); });
}
} // namespace

bool eyrie::target::cpu::isAttention(func::FuncOp tensorFunc) {
  return llvm::any_of(tensorFunc.front().getOps<linalg::GenericOp>(),
                      [](linalg::GenericOp op) { return op->hasAttr(eyrie::graph::kAttention); });
}

bool eyrie::target::cpu::takesAttention(const Attention &attention, int64_t mostKeys, const CpuTargetModel &machine) {
  linalg::GenericOp scores = attention.scores, sums = attention.sums;
  auto rowsType = cast<RankedTensorType>(attention.rows().getType());
  int64_t rank = rowsType.getRank();
  if (rank < 2 || mostKeys > machine.l2Bytes || !isComputedByVectors(attention))
    return false;
  // A single query streams the keys once: nothing is gained.
  if (rowsType.getDimSize(rank - 2) == 1 || rowsType.getDimSize(rank - 1) == 1 ||
      llvm::is_contained(rowsType.getShape(), 0) ||
      kMostTileRows * pitchOf(mostKeys) * bytesOf(rowsType.getElementType()) > machine.l2Bytes * 3 / 4)
    return false;

  // The scores: of queries and keys whose depth is known, written in the order of the rows.
  int64_t depth = 1;
  for (auto [size, type] : llvm::zip(scores.getStaticLoopRanges(), scores.getIteratorTypesArray()))
    if (type == utils::IteratorType::reduction)
      depth = ShapedType::isDynamic(size) ? 0 : depth * size;
  AffineMap written = scores.getMatchingIndexingMap(scores.getDpsInitOperand(0));
  if (depth < 1 || depth > kMostDepth || written.getNumResults() != scores.getNumParallelLoops() ||
      written.getNumResults() < 2)
    return false;
  auto loopOf = [](AffineExpr expr) { return cast<AffineDimExpr>(expr).getPosition(); };
  auto inOrder = written.getResults();
  if (!areApart(scores, loopOf(inOrder[inOrder.size() - 2]), loopOf(inOrder.back())))
    return false;

  // The sums: along values whose innermost dimension is that of the result.
  OpOperand *weights = sums.getDpsInputOperand(attention.operand),
            *values = sums.getDpsInputOperand(1 - attention.operand);
  AffineMap weightsMap = sums.getMatchingIndexingMap(weights), valuesMap = sums.getMatchingIndexingMap(values);
  AffineMap result = sums.getMatchingIndexingMap(sums.getDpsInitOperand(0));
  auto isLoop = [](AffineExpr expr) { return isa<AffineDimExpr>(expr); };
  if (valuesMap.getNumResults() == 0 || !isLoop(valuesMap.getResults().back()) ||
      !isLoop(weightsMap.getResult(rank - 2)) || result.getNumResults() != sums.getNumParallelLoops())
    return false;
  unsigned column = loopOf(valuesMap.getResults().back());
  SmallVector<int64_t> sizes = sums.getStaticLoopRanges();
  for (unsigned loop = 0; loop < sums.getNumLoops(); ++loop)
    if (sizes[loop] == 0 || (sizes[loop] != 1 && loop != column && !weightsMap.isFunctionOfDim(loop)))
      return false;
  return result.getResults().back() == valuesMap.getResults().back() && sizes[column] != 1 &&
         !weightsMap.isFunctionOfDim(column) && areApart(sums, loopOf(weightsMap.getResult(rank - 2)), column);
}

LogicalResult eyrie::target::cpu::lowerAttention(Kernel &kernel, const CpuTargetModel &machine, std::string &reason) {
  func::FuncOp func = kernel.tensorFunc;
  reason.clear();
  FailureOr<AttentionKernel> attention = analyseAttention(func, pitchOf, reason);
  if (failed(attention))
    return failure();
  FailureOr<AttentionPlan> plan = planAttention(*attention, machine, reason);
  if (failed(plan))
    return failure();
  KernelValues values = kernelValues(kernel);
  kernel.setLocalBytes(plan->localBytes);
  OpBuilder body = kernel.bodyBuilder();
  emit(body, func, *attention, *plan, machine, values);

  OpBuilder workgroups = kernel.workgroupsBuilder();
  SmallVector<Value> indices;
  for (unsigned k = 0; k < kernel.numConstants(); ++k)
    indices.push_back(kernel.workgroupsConstant(k));
  Symbols s(workgroups, func, attention->scores, indices);
  Value rows = s.value(attention->scores.loops[*attention->dims.back()[0]].size);
  kernel.setWorkgroups({s.ceilDiv(rows, s.constant(plan->blockRows)),
                        s.ceilDiv(countOuter(s, *attention), s.constant(plan->outerPerGroup))});
  return success();
}
