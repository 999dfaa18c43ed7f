// A workgroup takes a block of rows (queries) of some heads. For each head it computes the block's scores to local
// memory, turns each row there into weights, and sums the values with them. The block is so small that it stays in the
// second-level cache.
//
// Where rows may be too long for that, they come in chunks of kChunk elements, once for each statistic and once for the
// sums: for statistic s: for each chunk: scores, what they add to s. Then for each chunk: scores, weights, what they
// add to the sums. A row that is one chunk has its scores computed once. Nothing is rescaled.
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
/// Rows of a block: keys are transposed once for all of them. Half as many where there were too few blocks to share
/// out.
constexpr int64_t kMostBlockRows = 128, kLeastBlocks = 8;
/// Rows of the largest register tile, of which a block holds one at least.
constexpr int64_t kMostTileRows = 14;
constexpr int64_t kMostDepth = 1024, kMostColumns = 1024;
/// A multiple of all panels.
constexpr int64_t kChunk = 6144;

/// The type of a row in local memory: small floats are computed with as f32.
Type localType(Type element) {
  return element.getIntOrFloatBitWidth() < 32 ? Type(Float32Type::get(element.getContext())) : element;
}
int64_t bytesOf(Type element) { return localType(element).getIntOrFloatBitWidth() / 8; }

/// Elements between two rows: room for whole vectors, and not a multiple of a cache line's conflicts.
int64_t pitchOf(int64_t keys, Type element, const CpuTargetModel &machine) {
  return llvm::alignTo(keys, std::max<int64_t>(machine.lanes(bytesOf(element) * 8), 16)) + 16;
}

/// Do a tile's rows of so many elements fit the second-level cache?
bool areRowsWhole(int64_t mostKeys, Type element, const CpuTargetModel &machine) {
  return mostKeys <= machine.l2Bytes &&
         kMostTileRows * pitchOf(mostKeys, element, machine) * bytesOf(element) <= machine.l2Bytes * 3 / 4;
}

/// Elements between two rows in local memory: of whole ones, or of a chunk.
int64_t rowPitch(int64_t mostKeys, Type element, const CpuTargetModel &machine) {
  return pitchOf(areRowsWhole(mostKeys, element, machine) ? mostKeys : kChunk, element, machine);
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

/// Do values of two functions of the rows compute the same of the same? `same`: pairs of which that is known.
bool computeTheSame(Value a, linalg::GenericOp of, Value b, linalg::GenericOp other,
                    llvm::DenseSet<std::pair<Value, Value>> &same) {
  if (same.contains({a, b}))
    return true;
  auto argument = dyn_cast<BlockArgument>(a), otherArgument = dyn_cast<BlockArgument>(b);
  if (argument || otherArgument) {
    if (!argument || !otherArgument || argument.getOwner() != of.getBlock() ||
        otherArgument.getOwner() != other.getBlock() || argument.getArgNumber() >= of.getNumDpsInputs() ||
        otherArgument.getArgNumber() >= other.getNumDpsInputs())
      return false;
    OpOperand *operand = of.getDpsInputOperand(argument.getArgNumber()),
              *otherOperand = other.getDpsInputOperand(otherArgument.getArgNumber());
    return operand->get() == otherOperand->get() &&
           of.getMatchingIndexingMap(operand) == other.getMatchingIndexingMap(otherOperand);
  }
  Operation *op = a.getDefiningOp(), *otherOp = b.getDefiningOp();
  bool areEqual =
      op->getName() == otherOp->getName() && op->getAttrs() == otherOp->getAttrs() && op->getNumResults() == 1 &&
      op->getNumRegions() == 0 && op->getNumOperands() == otherOp->getNumOperands() && a.getType() == b.getType() &&
      llvm::all_of(llvm::zip(op->getOperands(), otherOp->getOperands()),
                   [&](auto pair) { return computeTheSame(std::get<0>(pair), of, std::get<1>(pair), other, same); });
  if (areEqual)
    same.insert({a, b});
  return areEqual;
}

/// The numerators of softmax: what the last statistic adds up, and the same value in the body of the weights, if these
/// look at an element of the row only through it.
struct Numerator {
  Value inStatistic, inWeights;
};
std::optional<Numerator> findNumerator(const AttentionKernel &kernel) {
  if (kernel.parts.statistics.empty())
    return std::nullopt;
  linalg::GenericOp statistic = kernel.parts.statistics.back(), weights = kernel.parts.weights;
  Operation *combiner = combinerOf(statistic);
  Value total = statistic.getBlock()->getArguments().back();
  if (!isa<arith::AddFOp>(combiner))
    return std::nullopt;
  Value added = combiner->getOperand(combiner->getOperand(0) == total ? 1 : 0);
  if (!added.getDefiningOp())
    return std::nullopt;
  Numerator numerator{added, {}};
  llvm::DenseSet<std::pair<Value, Value>> same;
  for (Operation &op : weights.getBlock()->without_terminator())
    if (op.getNumResults() == 1 && computeTheSame(added, statistic, op.getResult(0), weights, same))
      numerator.inWeights = op.getResult(0);
  if (!numerator.inWeights)
    return std::nullopt;
  // All else must come from statistics, and from outside of the row.
  SmallVector<Value> open(weights.getBlock()->getTerminator()->getOperands());
  while (!open.empty()) {
    Value value = open.pop_back_val();
    if (value == numerator.inWeights)
      continue;
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      if (argument.getOwner() == weights.getBlock() && argument.getArgNumber() < weights.getNumDpsInputs() &&
          weights.getDpsInputOperand(argument.getArgNumber())->get() == kernel.parts.rows())
        return std::nullopt;
      continue;
    }
    llvm::append_range(open, value.getDefiningOp()->getOperands());
  }
  return numerator;
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
  Value firstKey, keys;     // those that the memory holds
  SmallVector<Value> point; // of the loops of the scores; null for reductions
  Value kept;               // vectors of statistics, one for each row after the other, then the next statistic's
  int64_t blockRows;

  Value row{};                      // where it begins
  Value number{};                   // in the block
  DenseMap<Value, Value> scalars{}; // statistics of the row

  Value constant(int64_t value) { return s.constant(value); }
  VectorType vectorOf(Type element) { return VectorType::get({lanes}, element); }
  Type memoryType() { return cast<MemRefType>(memory.getType()).getElementType(); }

  /// The body's value for the elements from `key` on; those behind a mask, if there is one, are anything. `known`: see
  /// evaluateBody.
  Value evaluate(linalg::GenericOp op, Value key, Value mask, Value total,
                 llvm::SmallDenseMap<Value, Value, 1> *known = nullptr) {
    point[*kernel.column] = s.add(firstKey, key);
    outside.moveTo(point, mask);
    SmallVector<Value> arguments;
    for (OpOperand *input : op.getDpsInputOperands()) {
      Value &argument = arguments.emplace_back();
      if (Value statistic = scalars.lookup(input->get()))
        argument = broadcastTo(b, statistic, lanes);
      else if (const Expression *load = kernel.operands.lookup(input))
        argument = outside.read(load, 0, 0);
      else if (op.payloadUsesValueFromOperand(input))
        argument = loadElements(key, getElementTypeOrSelf(input->get().getType()));
    }
    arguments.push_back(total);
    return broadcastTo(b, evaluateBody(b, op, arguments, lanes, machine.fma, nullptr, nullptr, known)[0], lanes);
  }

  Value loadElements(Value key, Type element) {
    Value elements = vector::LoadOp::create(b, loc, vectorOf(memoryType()), memory, s.add(row, key));
    return narrow(b, elements, element, lanes);
  }
  /// A row has room for whole vectors.
  void storeElements(Value key, Value elements) {
    vector::StoreOp::create(b, loc, widen(b, broadcastTo(b, elements, lanes), memoryType()), memory, s.add(row, key));
  }

  /// Loops over whole vectors of the row, several at once, then over those that are left, and over what they leave,
  /// which has a mask. `totals`, if there are any, go from step to step, one for each of the vectors that are at once.
  void forEachVector(SmallVector<Value> &totals, llvm::function_ref<Value(Value key, Value mask, Value total)> step) {
    auto over = [&](Value lower, Value upper, int64_t atOnce, bool isMasked) {
      auto loop = scf::ForOp::create(b, loc, lower, upper, constant(lanes * atOnce), totals);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      totals.assign(loop.getRegionIterArgs().begin(), loop.getRegionIterArgs().end());
      for (int64_t i = 0; i < atOnce; ++i) {
        Value key = s.add(loop.getInductionVar(), constant(i * lanes)), mask;
        if (isMasked)
          mask = vector::CreateMaskOp::create(b, loc, vectorOf(b.getI1Type()), ValueRange{s.sub(keys, key)});
        Value next = step(key, mask, totals.empty() ? Value() : totals[i]);
        if (!totals.empty())
          totals[i] = next;
      }
      if (!totals.empty())
        scf::YieldOp::create(b, loc, totals);
      divideOnce(loop);
      totals.assign(loop.getResults().begin(), loop.getResults().end());
    };
    auto wholeOf = [&](int64_t size) { return s.mul(s.div(keys, constant(size)), constant(size)); };
    auto streams = static_cast<int64_t>(totals.size());
    Value many = constant(0), whole = wholeOf(lanes);
    if (streams > 1) {
      many = wholeOf(streams * lanes);
      over(constant(0), many, streams, false);
    }
    if (many != whole)
      over(many, whole, 1, false);
    if (whole != keys)
      over(whole, keys, 1, true);
  }

  /// All lanes combined.
  Value combine(Operation *combiner, Value total) {
    for (int64_t half = lanes / 2; half > 0; half /= 2) {
      SmallVector<int64_t> order;
      for (int64_t lane = 0; lane < lanes; ++lane)
        order.push_back((lane + half) % lanes);
      Value other = vector::ShuffleOp::create(b, loc, total, total, order);
      total = emitCombiner(b, combiner, total, other);
    }
    return vector::ExtractOp::create(b, loc, total, int64_t(0));
  }

  Value initial(linalg::GenericOp op) {
    TypedAttr init = initOf(op);
    return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(vectorOf(init.getType()), Attribute(init)));
  }
  /// `total` with what these keys add. Elements become `stored`, a value of the body, if there is one.
  Value accumulate(linalg::GenericOp op, Value total, Value stored = {}) {
    // Several, so that none waits for another.
    SmallVector<Value> totals{total, initial(op), initial(op), initial(op)};
    forEachVector(totals, [&](Value key, Value mask, Value before) -> Value {
      llvm::SmallDenseMap<Value, Value, 1> known;
      if (stored)
        known[stored] = Value();
      Value after = evaluate(op, key, mask, before, &known);
      if (stored)
        storeElements(key, known[stored]);
      return mask ? Value(arith::SelectOp::create(b, loc, mask, after, before)) : after;
    });
    Operation *combiner = combinerOf(op);
    for (Value other : ArrayRef(totals).drop_front())
      totals[0] = emitCombiner(b, combiner, totals[0], other);
    return totals[0];
  }

  /// The elements are `stored`, a value of the weights' body, or, if it is null, those of the row.
  void emitWeights(Value stored = {}) {
    SmallVector<Value> none;
    forEachVector(none, [&](Value key, Value mask, Value) -> Value {
      llvm::SmallDenseMap<Value, Value, 1> known;
      if (stored)
        known[stored] = loadElements(key, stored.getType());
      storeElements(key, evaluate(kernel.parts.weights, key, mask, Value(), &known));
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

  void forEachRow(Value firstRow, Value from, Value to, llvm::function_ref<void()> body) {
    emitLoop(b, loc, from, to, constant(1), [&](Value index) {
      number = index;
      row = s.mul(index, constant(pitch));
      point[*kernel.dims.back()[0]] = s.add(firstRow, index);
      scalars.clear();
      body();
    });
  }

  /// A statistic of some rows, then the next of the same rows: a processor works on several rows at a time, and does
  /// not wait until the lanes of one are combined.
  void emitWholeRows(Value firstRow, Value count) {
    constexpr int64_t rowsAtOnce = 8;
    Numerator numerator = findNumerator(kernel).value_or(Numerator());
    emitLoop(b, loc, constant(0), count, constant(rowsAtOnce), [&](Value from) {
      Value to = s.min(s.add(from, constant(rowsAtOnce)), count);
      for (auto [i, op] : llvm::enumerate(kernel.parts.statistics))
        forEachRow(firstRow, from, to, [&, i = i, op = op] {
          loadStatistics(i);
          Value stored = op == kernel.parts.statistics.back() ? numerator.inStatistic : Value();
          store(i, combine(combinerOf(op), accumulate(op, initial(op), stored)));
        });
      forEachRow(firstRow, from, to, [&] {
        loadStatistics(kernel.parts.statistics.size());
        emitWeights(numerator.inWeights);
      });
    });
  }

  // ---- statistics, in memory ---------------------------------------------------------------------------------------

  Value placeOf(size_t statistic) {
    return s.mul(s.add(number, constant(static_cast<int64_t>(statistic) * blockRows)), constant(lanes));
  }
  Type typeOf(size_t statistic) { return initOf(kernel.parts.statistics[statistic]).getType(); }
  Value load(size_t statistic) {
    Value wide = vector::LoadOp::create(b, loc, vectorOf(memoryType()), kept, placeOf(statistic));
    return narrow(b, wide, typeOf(statistic), lanes);
  }
  void store(size_t statistic, Value total) {
    vector::StoreOp::create(b, loc, widen(b, broadcastTo(b, total, lanes), memoryType()), kept, placeOf(statistic));
  }
  void beginStatistics() {
    for (auto [i, op] : llvm::enumerate(kernel.parts.statistics))
      store(i, initial(op));
  }
  void addToStatistic(size_t statistic) {
    loadStatistics(statistic);
    linalg::GenericOp op = kernel.parts.statistics[statistic];
    store(statistic, accumulate(op, load(statistic)));
  }
  void endStatistic(size_t statistic) {
    store(statistic, combine(combinerOf(kernel.parts.statistics[statistic]), load(statistic)));
  }
  /// Those before number `end`, which are complete.
  void loadStatistics(size_t end) {
    for (size_t i = 0; i < end; ++i)
      scalars[kernel.parts.statistics[i]->getResult(0)] = vector::ExtractOp::create(b, loc, load(i), int64_t(0));
  }
};

struct AttentionPlan {
  Plan scores, sums;
  int64_t pitch, blockRows;
  int64_t rowsBytes, statisticsBytes, localBytes;
  int64_t outerPerGroup;
  // Of rows in chunks: elements of a chunk (0: rows are whole), and memory for sums.
  int64_t chunk = 0, sumsBytes = 0, sumsPitch = 0;
  int64_t sumsFrom() const { return rowsBytes + statisticsBytes; }
  int64_t othersFrom() const { return sumsFrom() + sumsBytes; }
};

int64_t likely(const Loop &loop) { return likelySize(loop, 256); }

FailureOr<AttentionPlan> planAttention(const AttentionKernel &kernel, const CpuTargetModel &machine,
                                       std::string &reason) {
  auto [scoresRow, sumsRow] = kernel.dims.back();
  if (!scoresRow || !sumsRow) {
    reason = "there is one row only";
    return failure();
  }
  AttentionPlan plan;
  Type element = getElementTypeOrSelf(kernel.parts.rows().getType());
  bool isWhole = areRowsWhole(kernel.mostKeys, element, machine);
  plan.pitch = rowPitch(kernel.mostKeys, element, machine);
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
  int64_t rowBytes = plan.pitch * bytesOf(element), tile = plan.scores.tileRows;
  int64_t needed = likely(kernel.scores.loops[*scoresRow]);
  int64_t outer = 1;
  for (auto [loop, unused] : ArrayRef(kernel.dims).drop_back())
    if (loop)
      outer *= likelySize(kernel.scores.loops[*loop], 1);
  int64_t mostRows =
      outer * llvm::divideCeil(needed, kMostBlockRows) < kLeastBlocks ? kMostBlockRows / 2 : kMostBlockRows;
  int64_t fitting = std::clamp<int64_t>(machine.l2Bytes / 2 / rowBytes, tile, std::max(mostRows, tile));
  int64_t blocks = llvm::divideCeil(std::max<int64_t>(needed, 1), fitting);
  plan.blockRows =
      std::min<int64_t>(llvm::alignTo(llvm::divideCeil(needed, blocks), tile), llvm::alignTo(fitting, tile));
  plan.blockRows = std::max(plan.blockRows, tile);
  plan.rowsBytes = llvm::alignTo(plan.blockRows * rowBytes, 64);
  plan.statisticsBytes = llvm::alignTo(static_cast<int64_t>(kernel.parts.statistics.size()) * plan.blockRows *
                                           machine.lanes(bytesOf(element) * 8) * bytesOf(element),
                                       64);
  if (!isWhole) {
    if (plan.scores.panel() > kChunk || kChunk % plan.scores.panel()) {
      reason = "a chunk of a row is not made of whole panels";
      return failure();
    }
    plan.chunk = kChunk;
    plan.sumsPitch = llvm::alignTo(kernel.sums.loops[plan.sums.column].size.factor, plan.sums.panel()) +
                     std::max<int64_t>(plan.sums.lanes, 16);
    plan.sumsBytes = llvm::alignTo(plan.blockRows * plan.sumsPitch * 8, 64);
  }
  plan.localBytes =
      plan.othersFrom() + std::max(localBytes(kernel.scores, plan.scores), localBytes(kernel.sums, plan.sums));
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

struct AttentionEmitter {
  OpBuilder &b;
  func::FuncOp func;
  const AttentionKernel &kernel;
  const AttentionPlan &plan;
  const CpuTargetModel &machine;
  KernelValues values;

  Location loc = func.getLoc();
  Symbols scoresSymbols{b, func, kernel.scores, values.indices}, s{b, func, kernel.sums, values.indices};
  Type element = localType(getElementTypeOrSelf(kernel.parts.rows().getType()));
  Value lower{}, upper{}; // rows of the block
  SmallVector<Value> inScores{}, inSums{};

  Value constant(int64_t value) { return s.constant(value); }
  Value local(int64_t from, int64_t count, Type type) {
    return memref::ViewOp::create(b, loc, MemRefType::get({ShapedType::kDynamic}, type), values.local, constant(from),
                                  ValueRange{constant(count)});
  }
  void when(Value condition, llvm::function_ref<void()> body) {
    auto branch = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    body();
  }
  Value compare(arith::CmpIPredicate predicate, Value x, int64_t y) {
    return arith::CmpIOp::create(b, loc, predicate, x, constant(y));
  }

  RowBlock block(ArrayRef<Value> point) const { return {point, lower, upper}; }
  void emitScores(const RowBlock &what) {
    emitRowBlock(b, func, kernel.scores, plan.scores, machine, values, scoresSymbols, what);
  }
  void emitSums(const RowBlock &what) { emitRowBlock(b, func, kernel.sums, plan.sums, machine, values, s, what); }

  void emitWhole(RowsEmitter &rows) {
    emitScores(block(inScores));
    rows.emitWholeRows(lower, s.sub(upper, lower));
    emitSums(block(inSums));
  }

  /// One loop over the statistics and, last, the sums, so that the code of the scores is there once.
  void emitInChunks(RowsEmitter &rows, Value keys, Value sums) {
    Value count = s.sub(upper, lower), chunks = s.ceilDiv(keys, constant(plan.chunk));
    auto last = static_cast<int64_t>(kernel.parts.statistics.size());
    rows.forEachRow(lower, constant(0), count, [&] { rows.beginStatistics(); });
    fillSums(sums, count);
    RowBlock part = block(inSums);
    part.sums = sums;
    part.sumsPitch = plan.sumsPitch;
    emitLoop(b, loc, constant(0), constant(last + 1), constant(1), [&](Value phase) {
      emitLoop(b, loc, constant(0), chunks, constant(1), [&](Value chunk) {
        Value first = s.mul(chunk, constant(plan.chunk)), end = s.min(s.add(first, constant(plan.chunk)), keys);
        Value isFirst = compare(arith::CmpIPredicate::eq, phase, 0),
              areMany = compare(arith::CmpIPredicate::ugt, chunks, 1);
        when(arith::OrIOp::create(b, loc, isFirst, areMany), [&] {
          RowBlock scores = block(inScores);
          scores.firstColumn = first;
          scores.endColumn = end;
          emitScores(scores);
        });
        rows.firstKey = first;
        rows.keys = s.sub(end, first);
        for (int64_t i = 0; i < last; ++i)
          when(compare(arith::CmpIPredicate::eq, phase, i),
               [&] { rows.forEachRow(lower, constant(0), count, [&] { rows.addToStatistic(i); }); });
        when(compare(arith::CmpIPredicate::eq, phase, last), [&] {
          rows.forEachRow(lower, constant(0), count, [&] {
            rows.loadStatistics(last);
            rows.emitWeights();
          });
          part.firstStep = first;
          part.endStep = end;
          emitSums(part);
        });
      });
      for (int64_t i = 0; i < last; ++i)
        when(compare(arith::CmpIPredicate::eq, phase, i),
             [&] { rows.forEachRow(lower, constant(0), count, [&] { rows.endStatistic(i); }); });
    });
    part.firstStep = part.endStep = {};
    part.finishes = true;
    emitSums(part);
  }

  void fillSums(Value sums, Value count) {
    VectorType type = VectorType::get({plan.sums.lanes}, cast<MemRefType>(sums.getType()).getElementType());
    Value init = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, kernel.sums.init->constant));
    emitLoop(b, loc, constant(0), s.mul(count, constant(plan.sumsPitch)), constant(plan.sums.lanes),
             [&](Value at) { vector::StoreOp::create(b, loc, init, sums, at); });
  }

  void emit() {
    Value rowsMemory = local(0, plan.blockRows * plan.pitch, element), sums;
    Value kept = local(plan.rowsBytes, plan.statisticsBytes / (element.getIntOrFloatBitWidth() / 8), element);
    if (plan.chunk) {
      Type sum = getElementTypeOrSelf(linalg::GenericOp(kernel.parts.sums)->getResult(0).getType());
      sums = local(plan.sumsFrom(), plan.blockRows * plan.sumsPitch, sum);
    }
    values.bindings.push_back(rowsMemory);
    values.local = local(plan.othersFrom(), plan.localBytes - plan.othersFrom(), b.getI8Type());
    TileAccess(b, func, kernel.sums, plan.sums, machine, values).writeBorders();

    Value size = s.value(kernel.sums.loops[*kernel.dims.back()[1]].size);
    lower = s.mul(values.workgroup[0], constant(plan.blockRows));
    upper = s.min(s.add(lower, constant(plan.blockRows)), size);
    Value first = s.mul(values.workgroup[1], constant(plan.outerPerGroup));
    Value last = s.min(s.add(first, constant(plan.outerPerGroup)), countOuter(scoresSymbols, kernel));
    int64_t lanes = machine.lanes(element.getIntOrFloatBitWidth());
    Plan vectors;
    vectors.lanes = lanes;
    vectors.column = plan.scores.column;
    vectors.row = plan.scores.row;
    TileAccess outside(b, func, kernel.scores, vectors, machine, values);
    Value keys = scoresSymbols.value(kernel.scores.loops[plan.scores.column].size);
    emitLoop(b, loc, first, last, constant(1), [&](Value point) {
      inScores.assign(kernel.scores.loops.size(), Value());
      inSums.assign(kernel.sums.loops.size(), Value());
      for (auto [scoresLoop, sumsLoop] : llvm::reverse(ArrayRef(kernel.dims).drop_back())) {
        if (!scoresLoop)
          continue;
        Value extent = scoresSymbols.value(kernel.scores.loops[*scoresLoop].size);
        inScores[*scoresLoop] = s.rem(point, extent);
        if (sumsLoop)
          inSums[*sumsLoop] = inScores[*scoresLoop];
        point = s.div(point, extent);
      }
      RowsEmitter rows{b,          loc,   kernel,      machine, outside,  s,    rowsMemory,
                       plan.pitch, lanes, constant(0), keys,    inScores, kept, plan.blockRows};
      if (plan.chunk)
        emitInChunks(rows, keys, sums);
      else
        emitWhole(rows);
    });
  }
};

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
  SmallVector<linalg::GenericOp> functions = attention.rowFunctions(), all = attention.parts();
  all.push_back(attention.sums);
  std::string reason;
  int64_t widest = localType(getElementTypeOrSelf(attention.rows().getType())).getIntOrFloatBitWidth();
  auto fits = [&](linalg::GenericOp op) {
    bool isOfRows = llvm::is_contained(functions, op);
    // What rows become lies where they did.
    if (isOfRows && getElementTypeOrSelf(op->getResult(0).getType()).getIntOrFloatBitWidth() > widest)
      return false;
    return isFloat(op->getResult(0)) &&
           (isOfRows || op == attention.epilogue || llvm::all_of(op.getDpsInputs(), isFloat)) &&
           canEvaluateBody(op, reason);
  };
  return llvm::all_of(all, fits) && (!attention.following || canEvaluateBody(attention.following, reason)) &&
         llvm::all_of(attention.statistics, [](linalg::GenericOp op) { return combinerOf(op) && initOf(op); });
}

/// Is the innermost dimension of the memory behind it its own?
bool hasUnitStride(Value tensor) {
  while (auto slice = tensor.getDefiningOp<tensor::ExtractSliceOp>()) {
    int64_t last = slice.getSourceType().getRank() - 1;
    if (last < 0 || slice.getDroppedDims().test(last) || slice.getStaticStrides()[last] != 1)
      return false;
    tensor = slice.getSource();
  }
  return !tensor.getDefiningOp<linalg::UnPackOp>();
}

bool beginsWithOneNumber(linalg::GenericOp op) {
  auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.getInputs()[0], m_Constant());
}
} // namespace

bool eyrie::target::cpu::isAttention(func::FuncOp tensorFunc) {
  return bool(graph::findMarked(tensorFunc, eyrie::graph::kAttention));
}

bool eyrie::target::cpu::takesAttention(const Attention &attention, int64_t mostKeys, const CpuTargetModel &machine) {
  linalg::GenericOp scores = attention.scores, sums = attention.sums;
  auto rowsType = cast<RankedTensorType>(attention.rows().getType());
  int64_t rank = rowsType.getRank();
  if (rank < 2 || !isComputedByVectors(attention) || !beginsWithOneNumber(scores) || !beginsWithOneNumber(sums))
    return false;
  // A single query streams the keys once: nothing is gained.
  if (rowsType.getDimSize(rank - 2) == 1 || rowsType.getDimSize(rank - 1) == 1 ||
      llvm::is_contained(rowsType.getShape(), 0))
    return false;

  // The scores: of queries and keys whose depth is known, written in the order of the rows.
  int64_t depth = 1;
  for (auto [size, type] : llvm::zip(scores.getStaticLoopRanges(), scores.getIteratorTypesArray()))
    if (type == utils::IteratorType::reduction)
      depth = ShapedType::isDynamic(size) ? 0 : depth * size;
  AffineMap written = scores.getMatchingIndexingMap(scores.getDpsInitOperand(0));
  // A panel of the keys is transposed to local memory.
  unsigned bits = getElementTypeOrSelf(scores->getResult(0).getType()).getIntOrFloatBitWidth();
  int64_t panel = choosePanel(machine, machine.lanes(bits), bits, ShapedType::kDynamic, ShapedType::kDynamic);
  if (depth < 1 || depth > kMostDepth || depth * panel * 8 > 2 * maxTransposedBytes ||
      written.getNumResults() != scores.getNumParallelLoops() || written.getNumResults() < 2)
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
  if (valuesMap.getNumResults() == 0 || !hasUnitStride(values->get()) || !isLoop(valuesMap.getResults().back()) ||
      !isLoop(weightsMap.getResult(rank - 2)) || result.getNumResults() != sums.getNumParallelLoops())
    return false;
  unsigned column = loopOf(valuesMap.getResults().back());
  SmallVector<int64_t> sizes = sums.getStaticLoopRanges();
  for (unsigned loop = 0; loop < sums.getNumLoops(); ++loop)
    if (sizes[loop] == 0 || (sizes[loop] != 1 && loop != column && !weightsMap.isFunctionOfDim(loop)))
      return false;
  // In chunks, sums are kept in memory: their number must be known.
  if (!areRowsWhole(mostKeys, rowsType.getElementType(), machine) &&
      (ShapedType::isDynamic(sizes[column]) || sizes[column] > kMostColumns))
    return false;
  return result.getResults().back() == valuesMap.getResults().back() && sizes[column] != 1 &&
         !weightsMap.isFunctionOfDim(column) && areApart(sums, loopOf(weightsMap.getResult(rank - 2)), column);
}

LogicalResult eyrie::target::cpu::lowerAttention(Kernel &kernel, const CpuTargetModel &machine, std::string &reason) {
  func::FuncOp func = kernel.tensorFunc;
  reason.clear();
  auto pitch = [&](int64_t mostKeys, Type element) { return rowPitch(mostKeys, element, machine); };
  FailureOr<AttentionKernel> attention = analyseAttention(func, pitch, reason);
  if (failed(attention))
    return failure();
  if (!takesAttention(attention->parts, attention->mostKeys, machine)) {
    reason = "the processor that chose attention is another";
    return failure();
  }
  if (!canEvaluateBodies(attention->scores, reason) || !canEvaluateBodies(attention->sums, reason))
    return failure();
  FailureOr<AttentionPlan> plan = planAttention(*attention, machine, reason);
  if (failed(plan))
    return failure();
  KernelValues values = kernelValues(kernel);
  kernel.setLocalBytes(plan->localBytes);
  OpBuilder body = kernel.bodyBuilder();
  AttentionEmitter{body, func, *attention, *plan, machine, values}.emit();

  OpBuilder workgroups = kernel.workgroupsBuilder();
  Symbols s(workgroups, func, attention->scores, workgroupIndices(kernel));
  Value rows = s.value(attention->scores.loops[*attention->dims.back()[0]].size);
  Value blocks = s.ceilDiv(rows, s.constant(plan->blockRows));
  Value groups = s.ceilDiv(countOuter(s, *attention), s.constant(plan->outerPerGroup));
  // A border is there even if nothing is inside.
  if (attention->sums.hasBorder())
    blocks = s.max(blocks, s.constant(1)), groups = s.max(groups, s.constant(1));
  kernel.setWorkgroups({blocks, groups});
  return success();
}
