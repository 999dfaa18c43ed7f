#include "compiler/target/cpu/contraction/Sums.h"
#include "compiler/target/cpu/contraction/BodyEvaluator.h"
#include "compiler/target/cpu/contraction/Moves.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace eyrie::target::cpu;

/// A vector whose element n combines the elements of vector n, of as many vectors as each has elements. Two vectors
/// become one that has half as many elements of each, until each element is of another.
static Value combineLanes(OpBuilder &b, Operation *combiner, ArrayRef<Value> all) {
  SmallVector<Value> vectors(all);
  Location loc = vectors.front().getLoc();
  for (int64_t lanes = vectors.size(), part = lanes; part > 1; part /= 2) {
    // Element e of either half of every part of both.
    SmallVector<int64_t> halves[2];
    for (int64_t first = 0; first < 2 * lanes; first += part)
      for (int64_t half : {0, 1})
        for (int64_t e = 0; e < part / 2; ++e)
          halves[half].push_back(first + half * part / 2 + e);
    SmallVector<Value> fewer;
    for (size_t i = 0; i < vectors.size(); i += 2) {
      Value first = vector::ShuffleOp::create(b, loc, vectors[i], vectors[i + 1], halves[0]);
      Value second = vector::ShuffleOp::create(b, loc, vectors[i], vectors[i + 1], halves[1]);
      fewer.push_back(emitCombiner(b, combiner, first, second));
    }
    vectors = fewer;
  }
  return vectors.front();
}

scf::ForOp Sums::loop(Value lower, Value upper, int64_t step, llvm::function_ref<void(Value)> body) {
  return emitLoop(b, loc, lower, upper, constant(step), body);
}

void Sums::emitSums() {
  addresses.clear();
  for (const Expression *input : contraction.inputs)
    collectLoads(input);
  inReduction = true;
  if (plan.usesTileUnit)
    emitUnitSums();
  else if (plan.along)
    emitSumsAlongReduction();
  else if (plan.streamed)
    emitStreamedSums();
  else
    emitRegisterSums();
  inReduction = false;
}

void Sums::emitRegisterSums() {
  if (contraction.dot)
    emitDotReduction();
  else
    emitReductions(0);
}

void Sums::emitStreamedSums() {
  auto withPrefetches = [&] {
    choosePrefetched();
    emitRegisterSums();
    nextPanel = {};
  };
  const auto &[size, isReduction, facts] = contraction.loops[*plan.row];
  if (plan.band || tileRows > Plan::mostSmallRows || facts.least > Plan::mostSmallRows)
    return withPrefetches();
  Value isFew = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle, s.value(size), constant(Plan::mostSmallRows));
  auto branch = scf::IfOp::create(b, loc, ValueRange(accumulators).getTypes(), isFew, /*withElseRegion=*/true);
  SmallVector<Value> initial = accumulators;
  auto emitIn = [&](Block *block, llvm::function_ref<void()> sums) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(block);
    accumulators = initial;
    sums();
    scf::YieldOp::create(b, loc, accumulators);
    emitted.clear();
  };
  hasFewRows = true;
  emitIn(branch.thenBlock(), [&] { emitRegisterSums(); });
  hasFewRows = false;
  emitIn(branch.elseBlock(), withPrefetches);
  accumulators.assign(branch.result_begin(), branch.result_end());
}

void Sums::choosePrefetched() {
  // As large a part as the tile is of the block: a tile of few rows has no time for more.
  Value rows = s.value(contraction.loops[*plan.row].size), before, inBlock;
  if (plan.band) {
    int64_t bands = contraction.loops[*plan.band].size.factor;
    Value ofBands = s.mul(s.sub(at[*plan.band], blockStart), rows);
    before = s.add(ofBands, s.mul(at[*plan.row], constant(tileBands)));
    inBlock = s.mul(rows, constant(std::min(bands, plan.blockTiles * plan.tileBands)));
  } else {
    before = s.sub(at[*plan.row], blockStart);
    inBlock = s.min(rows, constant(plan.blockTiles * plan.tileRows));
  }
  Value size = s.value(plan.streamed->function.tileStride), read = addresses[plan.streamed].value;
  Value start = redirections.contains(plan.streamed) ? startOf(plan.streamed->function) : read;
  Value share = s.ceilDiv(constant(plan.panel() * tileRows * tileBands), inBlock);
  Value from = s.add(s.add(start, size), s.div(s.mul(size, before), inBlock));
  if (!plan.band && contraction.loops[*plan.row].facts.least < Plan::fewStreamedRows) {
    Value isFew = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, rows, constant(Plan::fewStreamedRows));
    Value ahead = s.mul(s.value(plan.streamed->function.strides[plan.reductions.back()]), constant(prefetchDistance));
    share = arith::SelectOp::create(b, loc, isFew, constant(plan.panel()), share);
    from = arith::SelectOp::create(b, loc, isFew, s.add(start, ahead), from);
  }
  nextPanel = {read, from, share};
}

void Sums::emitUnitSums() {
  TileUnit unit(b, loc);
  accumulators.clear();
  for (int64_t number = 0; number < TileUnit::tilesOf(tileRows) * columns.vectors; ++number)
    accumulators.push_back(unit.zero());
  emitReductions(0);
  Value pitch = constant(columns.vectors * plan.lanes);
  for (auto [number, sums] : llvm::enumerate(accumulators)) {
    int64_t tile = number / columns.vectors, vector = number % columns.vectors;
    Value first = constant((tile * TileUnit::rows * columns.vectors + vector) * plan.lanes);
    unit.store(keptMemory, first, pitch, sums);
  }
}

void Sums::emitSumsAlongReduction() {
  Operation *combiner = combinerOf(contraction.root);
  Plan across;
  across.column = *plan.along;
  across.row = plan.column;
  across.lanes = plan.lanes;
  int64_t count = columns.vectors * plan.lanes;
  across.tileRows = std::min(count, plan.columnsAtOnce);
  across.reductions = plan.reductions;
  auto func = linalg::GenericOp(contraction.root)->getParentOfType<func::FuncOp>();
  Sums sums(b, func, contraction, across, machine, values, s);
  sums.flat = flat;
  sums.at = at;
  sums.steps = steps;
  sums.columns = {1, {}};
  sums.tileRows = across.tileRows;
  const Monomial &size = contraction.loops[plan.column].size;
  Value left; // columns that do not exist repeat the last
  if (!columns.masks.empty())
    left = size.isConstant() ? constant((size.factor - 1) % plan.panel() + 1) : s.sub(s.value(size), at[plan.column]);
  TypedAttr neutral = *arith::getNeutralElement(combiner);
  auto type = VectorType::get({plan.lanes}, neutral.getType());
  Value none = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, Attribute(neutral)));
  SmallVector<Value> all;
  for (int64_t first = 0; first < count; first += sums.tileRows) {
    sums.forgetValues();
    sums.certainRows = left ? 0 : 1;
    sums.repeated.clear();
    for (int64_t row = 0; left && row < sums.tileRows; ++row)
      sums.repeated.push_back(s.sub(s.min(constant(first + row), s.sub(left, constant(1))), constant(first)));
    sums.at[plan.column] = s.add(at[plan.column], constant(first));
    sums.accumulators.assign(sums.tileRows, none);
    for (const Expression *input : contraction.inputs)
      sums.collectLoads(input);
    sums.emitReductions(0);
    all.append(sums.accumulators);
  }
  for (auto [vector, accumulator] : llvm::enumerate(accumulators)) {
    auto ofVector = ArrayRef(all).slice(vector * plan.lanes, plan.lanes);
    accumulator = emitCombiner(b, combiner, accumulator, combineLanes(b, combiner, ofVector));
  }
}

void Sums::emitReductions(size_t depth) {
  if (depth == plan.reductions.size()) {
    emitStep();
    return;
  }
  if (plan.reductions[depth] == plan.column) {
    emitVectorReduction();
    return;
  }
  if (depth + 1 == plan.reductions.size() && contraction.dot) {
    if (plan.usesTileUnit)
      emitUnitGroups(*this, unitMemory);
    else
      emitGroups();
    return;
  }
  emitReductionLoop(depth, contraction.loops[plan.reductions[depth]].size);
}

void Sums::emitReductionLoop(size_t depth, const Monomial &size) {
  unsigned reduction = plan.reductions[depth];
  bool innermost = depth + 1 == plan.reductions.size();
  auto outside = addresses;
  if (innermost && size.isConstant() && size.factor <= 4 && size.factor * accumulatorCount() <= 96) {
    for (int64_t i = 0; i < size.factor; ++i) {
      addresses = outside;
      advance(reduction, Value(), i);
      steps[reduction] = constant(i);
      // What was loaded may serve again (overlapping windows) only while addresses differ by constants; what was
      // computed from it may not.
      bool moved =
          llvm::any_of(addresses, [&](auto &entry) { return entry.second.value != outside[entry.first].value; });
      moved |= llvm::any_of(contraction.inputs,
                            [](Expression *input) { return input && input->kind == Expression::Kind::Body; });
      if (moved)
        emitted.clear();
      emitReductions(depth + 1);
      if (moved)
        emitted.clear();
    }
    addresses = outside;
    steps[reduction] = Value();
    return;
  }
  if (innermost && isStaged()) {
    emitStagedReduction(reduction);
    addresses = outside;
    return;
  }
  bool isEven = contraction.dot ? size.factor % 2 == 0 : contraction.loops[reduction].facts.isMultipleOf(2);
  // What a dot product of two parts loads and widens fills the registers already.
  bool hasRoom = accumulatorCount() <= 32 && (!contraction.dot || contraction.dot->product.parts() == 1);
  int64_t step = innermost && isEven && hasRoom ? 2 : 1;
  Value lower = firstStep ? firstStep : constant(0), upper = firstStep ? endStep : s.value(size);
  carryAccumulators(lower, upper, step, [&](Value iteration) {
    advance(reduction, iteration, 0);
    auto first = addresses;
    for (int64_t i = 0; i < step; ++i) {
      addresses = first;
      emitted.clear();
      advance(reduction, Value(), i);
      steps[reduction] = s.add(iteration, constant(i));
      emitReductions(depth + 1);
    }
  });
  addresses = outside;
  steps[reduction] = Value();
}

void Sums::emitVectorReduction() {
  const auto &[size, isReduction, facts] = contraction.loops[plan.column];
  Value whole = s.sub(s.value(size), s.rem(s.value(size), constant(plan.lanes)));
  auto outside = addresses;
  auto vectors = [&](Value lower, Value upper, bool isTail) {
    carryAccumulators(lower, upper, plan.lanes, [&](Value from) {
      advance(plan.column, from, 0);
      steps[plan.column] = from;
      if (!isTail)
        return emitStep();
      auto type = VectorType::get({plan.lanes}, b.getI1Type());
      Value mask = vector::CreateMaskOp::create(b, loc, type, ValueRange{s.sub(s.value(size), from)});
      columns.masks = {mask};
      SmallVector<Value> before = accumulators;
      emitStep();
      for (auto [after, kept] : llvm::zip_equal(accumulators, before))
        after = arith::SelectOp::create(b, loc, mask, after, kept);
      columns.masks.clear();
    });
    addresses = outside;
  };
  vectors(constant(0), whole, false);
  if (!facts.isMultipleOf(plan.lanes))
    vectors(whole, s.value(size), true);
  steps[plan.column] = Value();
}

void Sums::emitStagedReduction(unsigned reduction) {
  const Expression *staged = plan.staged;
  const Monomial &size = contraction.loops[reduction].size;
  LinearFunction function;
  function.strides.assign(at.size(), Monomial());
  function.strides[reduction] = Monomial(1);
  function.strides[*plan.row] = Monomial(stagedPitch(plan));
  if (plan.band)
    function.strides[*plan.band] = Monomial(stagedPitch(plan) * tileRows);
  carryAccumulators(constant(0), s.value(size), plan.stagedDepth, [&](Value chunk) {
    advance(reduction, chunk, 0);
    Address source = addresses[staged];
    loop(constant(0), constant(plan.stagedDepth), plan.lanes, [&](Value i) {
      for (int64_t band = 0; band < tileBands; ++band)
        for (int64_t row = 0; row < tileRows; ++row) {
          VectorType type = vectorType(elementType(staged->binding));
          Value from = s.add(shifted(source, staged->function, band, row, 0), i);
          Value to = s.add(constant((band * tileRows + row) * stagedPitch(plan)), i);
          Value part = vector::LoadOp::create(b, loc, type, flat[staged->binding], from);
          vector::StoreOp::create(b, loc, part, stagedMemory, to);
        }
    });
    redirections[staged] = {stagedMemory, function};
    addresses[staged] = {constant(0), 0};
    auto outside = addresses;
    int64_t step = accumulatorCount() <= 32 ? 2 : 1, line = 64 / plan.stagedElementBytes;
    carryAccumulators(constant(0), constant(plan.stagedDepth), line, [&](Value start) {
      advance(reduction, start, 0);
      // The next chunk, a line of every row at a time.
      for (int64_t band = 0; band < tileBands; ++band)
        for (int64_t row = 0; row < tileRows; ++row) {
          Value next = s.add(s.add(shifted(source, staged->function, band, row, 0), start), constant(plan.stagedDepth));
          memref::PrefetchOp::create(b, loc, flat[staged->binding], next, false, 2, true);
        }
      auto outside = addresses;
      carryAccumulators(constant(0), constant(line), step, [&](Value iteration) {
        advance(reduction, iteration, 0);
        auto first = addresses;
        for (int64_t i = 0; i < step; ++i) {
          addresses = first;
          emitted.clear();
          advance(reduction, Value(), i);
          steps[reduction] = s.add(s.add(chunk, start), s.add(iteration, constant(i)));
          emitStep();
        }
      });
      addresses = outside;
    });
    addresses = outside;
    steps[reduction] = Value();
    redirections.erase(staged);
  });
}

void Sums::emitGroups() {
  const auto &[product, scalars, vectors, reduction, groups, rest] = *contraction.dot;
  if (groups)
    emitReductionLoop(plan.reductions.size() - 1, Monomial(groups));
  if (!rest)
    return;
  auto outside = addresses;
  emitted.clear(); // the same place may have been read as a whole group
  advance(reduction, Value(), groups);
  groupSteps = rest;
  emitStep();
  groupSteps = 0;
  emitted.clear();
  addresses = outside;
}

void Sums::emitDotReduction() {
  const DotProduct &product = contraction.dot->product;
  if (product.shiftsScalars()) {
    auto type = VectorType::get({plan.lanes}, b.getI32Type());
    accumulators.append(columns.vectors, arith::ConstantOp::create(b, loc, b.getZeroAttr(type)));
  }
  emitReductions(0);
  if (!product.shiftsScalars())
    return;
  SmallVector<Value> sums(accumulators.begin() + accumulatorCount(), accumulators.end());
  accumulators.truncate(accumulatorCount());
  forEachVector([&](int64_t band, int64_t row, int64_t vector) {
    Value &accumulator = accumulators[(band * tileRows + row) * columns.vectors + vector];
    accumulator = product.correct(b, loc, accumulator, sums[vector]);
  });
}

void Sums::emitDotStep() {
  const auto &[product, scalars, vectors, reduction, groups, rest] = *contraction.dot;
  auto prepared = [&](Value bytes, bool areScalars, int64_t part) {
    Value &known = emitted[{bytes.getAsOpaquePointer(), -3, areScalars, part}];
    if (!known)
      known = areScalars ? product.prepareScalars(b, loc, bytes, part) : product.prepareVectors(b, loc, bytes, part);
    return known;
  };
  auto vectorAt = [&](int64_t vector, int64_t part) { return prepared(load(vectors, 0, 0, vector), false, part); };
  forEachVector([&](int64_t band, int64_t row, int64_t vector) {
    Value &accumulator = accumulators[(band * tileRows + row) * columns.vectors + vector];
    for (int64_t part = 0; part < product.parts(); ++part) {
      Value ofColumns = vectorAt(vector, part), ofRow = prepared(load(scalars, band, row, 0), true, part);
      accumulator = product.accumulate(b, loc, accumulator, ofRow, ofColumns);
    }
  });
  if (product.shiftsScalars())
    for (int64_t vector = 0; vector < columns.vectors; ++vector) {
      Value &sums = accumulators[accumulatorCount() + vector];
      sums = product.accumulate(b, loc, sums, product.ones(b, loc, plan.lanes), vectorAt(vector, 0));
    }
}

void Sums::emitStep() {
  if (contraction.dot) {
    emitDotStep();
    return;
  }
  for (int64_t band = 0; band < tileBands; ++band)
    for (int64_t row = 0; row < tileRows; ++row)
      for (int64_t vector = 0; vector < columns.vectors; ++vector) {
        Value &accumulator = accumulators[(band * tileRows + row) * columns.vectors + vector];
        SmallVector<Value> arguments;
        for (const Expression *input : contraction.inputs)
          arguments.push_back(input ? evaluate(input, band, row, vector) : Value());
        // A scalar that several vectors of the row use is broadcast once.
        for (Value &argument : arguments)
          if (argument && !isa<VectorType>(argument.getType()) && !argument.getDefiningOp<arith::ConstantOp>()) {
            Value &wide = emitted[{argument.getAsOpaquePointer(), -2, 0, 0}];
            if (!wide)
              wide = broadcastTo(b, argument, plan.lanes);
            argument = wide;
          }
        arguments.push_back(accumulator);
        auto capture = [&](Value value) { return s.captured(value); };
        Value result = evaluateBody(b, contraction.root, arguments, plan.lanes, machine.fma, nullptr, capture)[0];
        accumulator = broadcastTo(b, result, plan.lanes);
      }
}

void Sums::collectLoads(const Expression *expression) {
  if (!expression)
    return;
  if (expression->kind == Expression::Kind::Load || redirections.contains(expression)) {
    addresses[expression] = {startOf(functionOf(expression)), 0};
    return;
  }
  for (const Expression *operand : expression->operands)
    collectLoads(operand);
}
