#include "compiler/target/cpu/contraction/Emit.h"
#include "compiler/target/cpu/contraction/BodyEvaluator.h"
#include "compiler/target/cpu/contraction/Moves.h"
#include "compiler/target/cpu/contraction/Symbols.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace eyrie::target::cpu;

namespace {

using Kind = Expression::Kind;

/// Iterations of the innermost reduction by which prefetches run ahead.
constexpr int64_t prefetchDistance = 64;

/// Local memory in bytes; 8 per element whatever its type.
int64_t transposedBytes(const Contraction &contraction, const Plan &plan) {
  if (!plan.transposed)
    return 0;
  int64_t elements = plan.panel();
  for (unsigned loop : plan.reductions)
    elements *= contraction.loops[loop].facts.most;
  return llvm::alignTo(elements * 8, 64);
}
int64_t stagedBytes(const Plan &plan) {
  return plan.staged ? plan.tileRows * plan.tileBands * stagedPitch(plan) * 8 : 0;
}

/// Accumulators of one tile, kept for its epilogue.
int64_t keptBytes(const Plan &plan) {
  return plan.loopsOverEpilogue ? plan.tileRows * plan.tileBands * plan.panel() * 8 : 0;
}

/// How many columns a panel has: all of them, or as many as are left.
struct Columns {
  int64_t vectors;
  SmallVector<Value> masks; // one per vector, null where all lanes are columns; empty if that holds for all
};

struct Emitter {
  OpBuilder &b;
  Location loc;
  const Contraction &contraction;
  const Plan &plan;
  const CpuTargetModel &machine;
  const KernelValues &values;
  Symbols &s;

  Emitter(OpBuilder &b, func::FuncOp func, const Contraction &contraction, const Plan &plan,
          const CpuTargetModel &machine, const KernelValues &values, Symbols &symbols)
      : b(b), loc(func.getLoc()), contraction(contraction), plan(plan), machine(machine), values(values), s(symbols) {}

  /// An input that is read from local memory instead.
  struct Redirection {
    Value memory;
    LinearFunction function;
  };
  DenseMap<const Expression *, Redirection> redirections;

  SmallVector<Value> flat; // the bindings as one-dimensional memrefs
  Value local;             // the transposed panel

  /// The value of each loop at the first point of the current tile; null (zero) for reductions.
  SmallVector<Value> at;
  Value panel; // number of the current panel
  Columns columns;
  int64_t tileBands = 1, tileRows = 1;
  /// Rows of the tile from here on may not exist: for each the row that it repeats then.
  int64_t certainRows = 1;
  SmallVector<Value> repeated;
  Value existingRows; // how many rows exist where some may not
  SmallVector<Value> accumulators;
  Value stagedMemory, keptMemory;
  bool inReduction = false;
  int64_t groupBytes = dotGroup; // steps that the current dot product takes

  /// The address of each load at the current point of the reduction loops, as a value and a constant to add to it.
  struct Address {
    Value value;
    int64_t constant = 0;
  };
  llvm::MapVector<const Expression *, Address> addresses;
  /// Values emitted in the current block, so that rows share what does not depend on them.
  std::map<std::tuple<const void *, int64_t, int64_t, int64_t>, Value> emitted;

  Type elementType(unsigned binding) { return cast<MemRefType>(values.bindings[binding].getType()).getElementType(); }
  VectorType vectorType(Type element) { return VectorType::get({plan.lanes}, element); }
  Value constant(int64_t value) { return s.constant(value); }

  scf::ForOp loop(Value lower, Value upper, int64_t step, llvm::function_ref<void(Value)> body) {
    return emitLoop(b, loc, lower, upper, constant(step), body);
  }

  // ---- addresses -------------------------------------------------------------------------------------------------

  /// Where the current panel begins in a packed operand: in one of its tiles, or with the first of several.
  Value startOfPanel(const LinearFunction &function) {
    Value tileStride = s.value(function.tileStride);
    if (function.tile < plan.panel())
      return s.mul(s.mul(panel, constant(plan.panel() / function.tile)), tileStride);
    Value panels = constant(function.tile / plan.panel());
    Value inTile = s.mul(s.rem(panel, panels), s.mul(constant(plan.panel()), s.value(function.strides[plan.column])));
    return s.add(s.mul(s.div(panel, panels), tileStride), inTile);
  }

  /// The function's value at the first point of the tile, reductions at zero.
  Value startOf(const LinearFunction &function) {
    Value total = s.sum(function.base);
    for (unsigned l = 0; l < at.size(); ++l) {
      if (!at[l] || (!function.dependsOn(l) && !(function.tile && function.tiledLoop == l)))
        continue;
      if (function.tile && function.tiledLoop == l)
        total = s.add(total, startOfPanel(function));
      else
        total = s.add(total, s.mul(at[l], s.value(function.strides[l])));
    }
    return total;
  }

  /// start + its distance to row (band, row) of the tile and to vector `vector`, as few values as possible.
  Value shifted(Address start, const LinearFunction &function, int64_t band, int64_t row, int64_t vector) {
    Value total = start.value;
    int64_t shift = start.constant;
    auto shiftBy = [&](const Monomial &stride, int64_t count) {
      if (stride.isConstant())
        shift += stride.factor * count;
      else if (count)
        total = s.add(total, s.mul(s.value(stride), constant(count)));
    };
    if (plan.band)
      shiftBy(function.strides[*plan.band], band);
    if (plan.row && isCertain(row))
      shiftBy(function.strides[*plan.row], row);
    else if (plan.row)
      total = s.add(total, s.mul(s.value(function.strides[*plan.row]), repeated[row - certainRows]));
    int64_t column = vector * plan.lanes;
    if (function.tile) {
      shiftBy(function.tileStride, column / function.tile);
      column %= function.tile;
    }
    shiftBy(function.strides[plan.column], column);
    return s.add(total, constant(shift));
  }

  bool isStaged() const { return plan.staged && tileBands * tileRows >= plan.leastStagedRows; }
  bool isCertain(int64_t row) const { return repeated.empty() || row < certainRows; }

  bool dependsOnRow(const LinearFunction &function) {
    return (plan.row && function.dependsOn(*plan.row)) || (plan.band && function.dependsOn(*plan.band));
  }

  // ---- memory ----------------------------------------------------------------------------------------------------

  Value lanesIndex(const Monomial &stride) {
    auto type = VectorType::get({plan.lanes}, b.getIndexType());
    Value step = vector::StepOp::create(b, loc, type);
    return arith::MulIOp::create(b, loc, step, broadcastTo(b, s.value(stride), plan.lanes));
  }
  Value maskOrAll(Value mask) {
    if (mask)
      return mask;
    return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(vectorType(b.getI1Type()), true));
  }

  Value emitLoad(Value memory, const LinearFunction &function, Value address, Value mask, bool padded) {
    Type element = cast<MemRefType>(memory.getType()).getElementType();
    const Monomial &stride = function.strides[plan.column];
    if (stride.isZero())
      return memref::LoadOp::create(b, loc, memory, address);
    VectorType type = vectorType(element);
    if (stride.isOne() && (!mask || padded))
      return vector::LoadOp::create(b, loc, type, memory, address);
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
    if (stride.isOne())
      return vector::MaskedLoadOp::create(b, loc, type, memory, ValueRange{address}, mask, zero);
    return vector::GatherOp::create(b, loc, type, memory, ValueRange{address}, lanesIndex(stride), maskOrAll(mask),
                                    zero);
  }

  /// The current group of bytes of a row, zeros behind them, in every lane.
  Value emitGroup(Value memory, Value address) {
    auto part = [&](int64_t offset, int64_t bytes) -> Value {
      Value loaded = vector::LoadOp::create(b, loc, VectorType::get({bytes}, b.getI8Type()), memory,
                                            s.add(address, constant(offset)));
      Type integer = b.getIntegerType(8 * bytes);
      Value single = vector::BitCastOp::create(b, loc, VectorType::get({1}, integer), loaded);
      Value scalar = vector::ExtractOp::create(b, loc, single, int64_t(0));
      return bytes == 4 ? scalar : arith::ExtUIOp::create(b, loc, b.getI32Type(), scalar);
    };
    Value scalar = part(0, groupBytes == 3 ? 2 : groupBytes);
    if (groupBytes == 3) {
      Value shift = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(16));
      scalar = arith::OrIOp::create(b, loc, scalar, arith::ShLIOp::create(b, loc, part(2, 1), shift));
    }
    Value wide = broadcastTo(b, scalar, plan.lanes);
    return vector::BitCastOp::create(b, loc, groupType(), wide);
  }
  VectorType groupType() { return VectorType::get({plan.lanes * dotGroup}, b.getI8Type()); }

  void emitStore(Value memory, const LinearFunction &function, Value address, Value value, Value mask) {
    const Monomial &stride = function.strides[plan.column];
    value = broadcastTo(b, value, plan.lanes);
    if (!stride.isOne())
      vector::ScatterOp::create(b, loc, Type(), memory, ValueRange{address}, lanesIndex(stride), maskOrAll(mask),
                                value);
    else if (mask)
      vector::MaskedStoreOp::create(b, loc, memory, ValueRange{address}, mask, value);
    else
      vector::StoreOp::create(b, loc, value, memory, address);
  }

  // ---- expressions -----------------------------------------------------------------------------------------------

  bool variesOverRows(const Expression *expression) {
    switch (expression->kind) {
    case Kind::Constant:
      return false;
    case Kind::Accumulator:
      return true;
    case Kind::Load:
      return dependsOnRow(expression->function);
    case Kind::Body:
      return llvm::any_of(expression->operands, [&](Expression *e) { return e && variesOverRows(e); }) ||
             llvm::any_of(expression->indices, [&](const LinearFunction &f) { return dependsOnRow(f); });
    }
    llvm_unreachable("all kinds");
  }

  Value evaluate(const Expression *expression, int64_t band, int64_t row, int64_t vector) {
    if (expression->kind == Kind::Accumulator)
      return accumulators[(band * tileRows + row) * columns.vectors + vector];
    if (expression->kind == Kind::Load)
      return load(expression, band, row, vector);
    bool varies = variesOverRows(expression);
    Value &known = emitted[{expression, varies ? band : 0, varies ? row : 0, vector}];
    if (known)
      return known;
    if (expression->kind == Kind::Constant)
      return known = arith::ConstantOp::create(b, loc, expression->constant);
    SmallVector<Value> operands;
    for (const Expression *operand : expression->operands)
      operands.push_back(operand ? evaluate(operand, band, row, vector) : Value());
    auto index = [&](unsigned number) {
      const LinearFunction &function = expression->indices[number];
      Value scalar = shifted({startOf(function), 0}, function, band, row, vector);
      if (!function.dependsOn(plan.column))
        return scalar;
      return Value(
          arith::AddIOp::create(b, loc, broadcastTo(b, scalar, plan.lanes), lanesIndex(function.strides[plan.column])));
    };
    auto capture = [&](Value value) { return s.captured(value); };
    return known = evaluateBody(b, expression->generic, operands, plan.lanes, machine.fma, index,
                                capture)[expression->result];
  }

  const LinearFunction &functionOf(const Expression *load) {
    auto redirection = redirections.find(load);
    return redirection == redirections.end() ? load->function : redirection->second.function;
  }
  Value memoryOf(const Expression *load) {
    auto redirection = redirections.find(load);
    return redirection == redirections.end() ? flat[load->binding] : redirection->second.memory;
  }

  /// Vectors that few rows share come from far: they are prefetched. (With 2 to 4 rows the processor's own prefetcher
  /// does better.)
  bool prefetches(const LinearFunction &function) {
    if (!inReduction || plan.reductions.empty() || !function.dependsOn(plan.column) || dependsOnRow(function))
      return false;
    if (isStaged())
      return true;
    if (!plan.row)
      return false;
    const Monomial &rows = contraction.loops[*plan.row].size;
    if (!rows.isConstant())
      return tileRows > 4 && tileRows < plan.tileRows;
    return !plan.band && rows.factor > 4 && rows.factor <= 2 * plan.tileRows;
  }
  void emitPrefetch(Value memory, const LinearFunction &function, Value address) {
    const Monomial &stride = function.strides[plan.reductions.back()];
    Value ahead = s.add(address, s.mul(s.value(stride), constant(prefetchDistance)));
    memref::PrefetchOp::create(b, loc, memory, ahead, /*isWrite=*/false, /*localityHint=*/2, /*isDataCache=*/true);
  }

  Value load(const Expression *expression, int64_t band, int64_t row, int64_t vector) {
    const LinearFunction &function = functionOf(expression);
    if (!dependsOnRow(function))
      band = row = 0;
    if (!function.dependsOn(plan.column))
      vector = 0;
    auto known = addresses.find(expression);
    if (known == addresses.end())
      known = addresses.insert({expression, {startOf(function), 0}}).first;
    // Rows whose distance is a constant may read the same place (the overlapping windows of a convolution).
    Address start = known->second;
    constexpr int64_t mostRows = 1024;
    std::tuple<const void *, int64_t, int64_t, int64_t> key{expression, band, row + mostRows * start.constant, vector};
    auto constantStride = [&](std::optional<unsigned> l) { return !l || function.strides[*l].isConstant(); };
    if (isCertain(row) && constantStride(plan.row) && constantStride(plan.band)) {
      int64_t distance = start.constant;
      if (plan.row)
        distance += function.strides[*plan.row].factor * row;
      if (plan.band)
        distance += function.strides[*plan.band].factor * band;
      key = {expression, -1, distance, vector};
    }
    Value &value = emitted[key];
    if (!value) {
      Value memory = memoryOf(expression);
      Value address = shifted(start, function, band, row, vector);
      if (contraction.dot && expression == contraction.dot->scalars)
        value = emitGroup(memory, address);
      else if (contraction.dot && expression == contraction.dot->vectors)
        value = vector::LoadOp::create(b, loc, groupType(), memory, address);
      else
        value =
            emitLoad(memory, function, address, columns.masks.empty() ? Value() : columns.masks[vector], function.tile);
      if (prefetches(function))
        emitPrefetch(memory, function, address);
    }
    return value;
  }

  // ---- the register tile -----------------------------------------------------------------------------------------

  int64_t accumulatorCount() { return tileBands * tileRows * columns.vectors; }

  /// One group of steps of a reduction by dot products. Behind the accumulators stand, where they are needed, the sums
  /// of the columns' bytes.
  void emitDotStep() {
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

  void emitDotReduction() {
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

  /// One step of the reduction: the root's body for every accumulator.
  void emitStep() {
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

  void advance(llvm::MapVector<const Expression *, Address> &table, unsigned reduction, Value iteration,
               int64_t unrolled) {
    for (auto &[expression, address] : table) {
      const Monomial &stride = functionOf(expression).strides[reduction];
      if (iteration)
        address.value = s.add(address.value, s.mul(iteration, s.value(stride)));
      if (unrolled && stride.isConstant())
        address.constant += unrolled * stride.factor;
      else if (unrolled)
        address.value = s.add(address.value, s.mul(constant(unrolled), s.value(stride)));
    }
  }

  /// Reduction loops from `depth` inwards; the accumulators travel through them in registers.
  void emitReductions(size_t depth) {
    if (depth == plan.reductions.size()) {
      emitStep();
      return;
    }
    if (depth + 1 == plan.reductions.size() && contraction.dot) {
      emitGroups();
      return;
    }
    emitReductionLoop(depth, contraction.loops[plan.reductions[depth]].size);
  }

  /// The innermost reduction by dot products: whole groups, then the steps behind them.
  void emitGroups() {
    const auto &[product, scalars, vectors, reduction, groups, rest] = *contraction.dot;
    if (groups)
      emitReductionLoop(plan.reductions.size() - 1, Monomial(groups));
    if (!rest)
      return;
    auto outside = addresses;
    emitted.clear(); // the same place may have been read as a whole group
    advance(addresses, reduction, Value(), groups);
    groupBytes = rest;
    emitStep();
    groupBytes = dotGroup;
    emitted.clear();
    addresses = outside;
  }

  void emitReductionLoop(size_t depth, const Monomial &size) {
    unsigned reduction = plan.reductions[depth];
    bool innermost = depth + 1 == plan.reductions.size();
    auto outside = addresses;
    if (innermost && size.isConstant() && size.factor <= 4 && size.factor * accumulatorCount() <= 96) {
      for (int64_t i = 0; i < size.factor; ++i) {
        addresses = outside;
        advance(addresses, reduction, Value(), i);
        // What was loaded may serve again (overlapping windows) only while addresses differ by constants; what was
        // computed from it may not.
        bool moved =
            llvm::any_of(addresses, [&](auto &entry) { return entry.second.value != outside[entry.first].value; });
        moved |= llvm::any_of(contraction.inputs, [](Expression *input) { return input && input->kind == Kind::Body; });
        if (moved)
          emitted.clear();
        emitReductions(depth + 1);
        if (moved)
          emitted.clear();
      }
      addresses = outside;
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
    carryAccumulators(constant(0), s.value(size), step, [&](Value iteration) {
      advance(addresses, reduction, iteration, 0);
      auto first = addresses;
      for (int64_t i = 0; i < step; ++i) {
        addresses = first;
        emitted.clear();
        advance(addresses, reduction, Value(), i);
        emitReductions(depth + 1);
      }
    });
    addresses = outside;
  }

  void carryAccumulators(Value lower, Value upper, int64_t step, llvm::function_ref<void(Value)> body) {
    auto forOp = scf::ForOp::create(b, loc, lower, upper, constant(step), accumulators);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(forOp.getBody());
      accumulators.assign(forOp.getRegionIterArgs().begin(), forOp.getRegionIterArgs().end());
      emitted.clear();
      body(forOp.getInductionVar());
      scf::YieldOp::create(b, loc, accumulators);
    }
    accumulators.assign(forOp.getResults().begin(), forOp.getResults().end());
    emitted.clear();
  }

  /// The innermost reduction in chunks, whose part of the staged input is copied to local memory first.
  void emitStagedReduction(unsigned reduction) {
    const Expression *staged = plan.staged;
    const Monomial &size = contraction.loops[reduction].size;
    LinearFunction function;
    function.strides.assign(at.size(), Monomial());
    function.strides[reduction] = Monomial(1);
    function.strides[*plan.row] = Monomial(stagedPitch(plan));
    if (plan.band)
      function.strides[*plan.band] = Monomial(stagedPitch(plan) * tileRows);
    carryAccumulators(constant(0), s.value(size), plan.stagedDepth, [&](Value chunk) {
      advance(addresses, reduction, chunk, 0);
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
        advance(addresses, reduction, start, 0);
        // The next chunk, a line of every row at a time.
        for (int64_t band = 0; band < tileBands; ++band)
          for (int64_t row = 0; row < tileRows; ++row) {
            Value next =
                s.add(s.add(shifted(source, staged->function, band, row, 0), start), constant(plan.stagedDepth));
            memref::PrefetchOp::create(b, loc, flat[staged->binding], next, false, 2, true);
          }
        auto outside = addresses;
        carryAccumulators(constant(0), constant(line), step, [&](Value iteration) {
          advance(addresses, reduction, iteration, 0);
          auto first = addresses;
          for (int64_t i = 0; i < step; ++i) {
            addresses = first;
            emitted.clear();
            advance(addresses, reduction, Value(), i);
            emitStep();
          }
        });
        addresses = outside;
      });
      addresses = outside;
      redirections.erase(staged);
    });
  }

  void collectLoads(const Expression *expression) {
    if (!expression)
      return;
    if (expression->kind == Kind::Load)
      addresses[expression] = {startOf(functionOf(expression)), 0};
    for (const Expression *operand : expression->operands)
      collectLoads(operand);
  }

  void forEachVector(llvm::function_ref<void(int64_t, int64_t, int64_t)> callback) {
    for (int64_t band = 0; band < tileBands; ++band)
      for (int64_t row = 0; row < tileRows; ++row)
        for (int64_t vector = 0; vector < columns.vectors; ++vector)
          callback(band, row, vector);
  }

  void emitTile(int64_t bands, int64_t rows) {
    tileBands = bands;
    tileRows = rows;
    forgetValues();
    SmallVector<Value> initial;
    forEachVector([&](int64_t band, int64_t row, int64_t vector) {
      initial.push_back(broadcastTo(b, evaluate(contraction.init, band, row, vector), plan.lanes));
    });
    accumulators = initial;
    addresses.clear();
    for (const Expression *input : contraction.inputs)
      collectLoads(input);
    inReduction = true;
    if (contraction.dot)
      emitDotReduction();
    else
      emitReductions(0);
    inReduction = false;
    if (plan.loopsOverEpilogue && tileBands * tileRows > 1)
      emitResultsInLoop();
    else
      emitResults();
  }

  void forgetValues() {
    addresses.clear();
    emitted.clear();
  }

  /// What follows the reduction, for the tile's accumulators.
  void emitResults() {
    forgetValues();
    forEachVector([&](int64_t band, int64_t row, int64_t vector) {
      for (const Output &output : contraction.outputs) {
        Value value = evaluate(output.value, band, row, vector);
        Value address = shifted({startOf(output.function), 0}, output.function, band, row, vector);
        emitStore(flat[output.binding], output.function, address, value,
                  columns.masks.empty() ? Value() : columns.masks[vector]);
      }
    });
    forgetValues();
  }

  /// The epilogue once for all rows of the tile: as code for each register it would take the compiler long, and the
  /// processor's cache of instructions.
  void emitResultsInLoop() {
    auto place = [&](int64_t number) { return constant(number * plan.lanes); };
    for (auto [number, accumulator] : llvm::enumerate(accumulators))
      vector::StoreOp::create(b, loc, accumulator, keptMemory, place(number));
    VectorType type = cast<VectorType>(accumulators.front().getType());
    int64_t bands = std::exchange(tileBands, 1), rows = std::exchange(tileRows, 1);
    SmallVector<Value> uncertain = std::exchange(repeated, {});
    auto rowLoop = [&](Value firstKept) {
      Value first = at[*plan.row];
      loop(constant(0), uncertain.empty() ? constant(rows) : existingRows, 1, [&](Value row) {
        at[*plan.row] = s.add(first, row);
        Value kept = s.add(firstKept, s.mul(row, place(columns.vectors)));
        accumulators.clear();
        for (int64_t vector = 0; vector < columns.vectors; ++vector)
          accumulators.push_back(vector::LoadOp::create(b, loc, type, keptMemory, s.add(kept, place(vector))));
        emitResults();
      });
      at[*plan.row] = first;
    };
    if (bands == 1) {
      rowLoop(constant(0));
    } else {
      Value first = at[*plan.band];
      loop(constant(0), constant(bands), 1, [&](Value band) {
        at[*plan.band] = s.add(first, band);
        rowLoop(s.mul(band, place(rows * columns.vectors)));
      });
      at[*plan.band] = first;
    }
    tileBands = bands;
    tileRows = rows;
    repeated = uncertain;
  }

  // ---- loops around it -------------------------------------------------------------------------------------------

  /// Rows [lower, upper) in tiles of `bands` bands.
  void emitRows(Value lower, Value upper, int64_t bands) {
    unsigned row = *plan.row;
    auto tiles = [&](Value from, int64_t size) {
      Value end = s.add(from, s.mul(s.div(s.sub(upper, from), constant(size)), constant(size)));
      if (from == end)
        return end;
      loop(from, end, size, [&](Value first) {
        at[row] = first;
        emitTile(bands, size);
      });
      return end;
    };
    if (plan.hasEvenEnd) {
      emitEvenEnd(lower, upper, bands);
      at[row] = Value();
      return;
    }
    Value from = tiles(lower, plan.tileRows);
    if (!contraction.loops[row].size.isConstant())
      emitTail(from, s.sub(upper, from), bands);
    else if (!plan.rowTails.empty())
      tiles(from, plan.rowTails.front());
    at[row] = Value();
  }

  /// Full tiles, but for the last two, which are alike.
  void emitEvenEnd(Value lower, Value upper, int64_t bands) {
    Value tileRows = constant(plan.tileRows);
    Value tiles = s.ceilDiv(s.sub(upper, lower), tileRows);
    Value full = s.mul(s.max(s.sub(tiles, constant(2)), constant(0)), tileRows), from = s.add(lower, full);
    loop(lower, from, plan.tileRows, [&](Value first) {
      at[*plan.row] = first;
      emitTile(bands, plan.tileRows);
    });
    Value left = s.sub(upper, from);
    Value half = s.div(s.add(left, constant(1)), constant(2));
    Value isOne = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle, left, tileRows);
    Value step = arith::SelectOp::create(b, loc, isOne, s.max(left, constant(1)), half);
    emitLoop(b, loc, from, upper, step, [&](Value part) { emitTail(part, s.min(step, s.sub(upper, part)), bands); });
  }

  /// The `left` rows behind `from`: one of the tiles takes all of them.
  void emitTail(Value from, Value left, int64_t bands) {
    auto is = [&](arith::CmpIPredicate predicate, int64_t rows) -> Value {
      return arith::CmpIOp::create(b, loc, predicate, left, constant(rows));
    };
    for (auto [i, tail] : llvm::enumerate(plan.rowTails)) {
      int64_t smaller = i ? plan.rowTails[i - 1] : 0, least = smaller + plan.rowStep;
      Value hasRoom = is(arith::CmpIPredicate::sle, tail), isNeeded = is(arith::CmpIPredicate::sgt, smaller);
      auto only = scf::IfOp::create(b, loc, arith::AndIOp::create(b, loc, hasRoom, isNeeded), /*withElse=*/false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(&only.getThenRegion().front());
      at[*plan.row] = from;
      certainRows = least;
      existingRows = left;
      for (int64_t row = certainRows; row < tail; ++row)
        repeated.push_back(s.min(constant(row), s.sub(left, constant(1))));
      emitTile(bands, tail);
      repeated.clear();
    }
  }

  void emitBlock(Value block) {
    if (!plan.row) {
      emitTile(1, 1);
      return;
    }
    Value rows = s.value(contraction.loops[*plan.row].size);
    if (!plan.band) {
      int64_t size = plan.tileRows * plan.blockTiles;
      Value lower = s.mul(block, constant(size));
      emitRows(lower, s.min(s.add(lower, constant(size)), rows), 1);
      return;
    }
    int64_t size = plan.tileBands * plan.blockTiles, bands = contraction.loops[*plan.band].size.factor;
    Value lower = s.mul(block, constant(size));
    Value upper = s.min(s.add(lower, constant(size)), constant(bands));
    auto bandLoop = [&](Value from, Value to, int64_t count) {
      loop(from, to, count, [&](Value band) {
        at[*plan.band] = band;
        emitRows(constant(0), rows, count);
        at[*plan.band] = Value();
      });
    };
    int64_t left = bands % plan.tileBands;
    Value full = upper;
    if (left)
      full = s.min(upper, constant(bands - left));
    bandLoop(lower, full, plan.tileBands);
    if (left)
      bandLoop(full, upper, left);
  }

  /// lanes x lanes elements: lines of columns are loaded, shuffled, and stored as rows.
  void emitTransposedBlock(const Expression *operand, Value from, Value to, int64_t vector, Value width) {
    VectorType type = vectorType(elementType(operand->binding));
    int64_t lanes = plan.lanes;
    SmallVector<Value> rows;
    for (int64_t i = 0; i < lanes; ++i) {
      Value column = constant(vector * lanes + i);
      if (!columns.masks.empty()) // columns that do not exist repeat the last
        column = s.min(column, s.sub(width, constant(1)));
      Value address = s.add(from, s.mul(column, s.value(operand->function.strides[plan.column])));
      rows.push_back(vector::LoadOp::create(b, loc, type, flat[operand->binding], address));
    }
    rows = transposeVectors(b, loc, rows);
    Value memory = redirections[operand].memory;
    for (int64_t i = 0; i < lanes; ++i)
      vector::StoreOp::create(b, loc, rows[i], memory, s.add(to, constant(i * plan.panel() + vector * lanes)));
  }

  /// Copies the panel of the column-strided operand to local memory, columns innermost.
  void emitTranspose() {
    const Expression *operand = plan.transposed;
    const LinearFunction &function = operand->function;
    const auto &[local, panelFunction] = redirections[operand];
    Value source = startOf(function);
    Value width = s.min(constant(plan.panel()),
                        s.sub(s.value(contraction.loops[plan.column].size), s.mul(panel, constant(plan.panel()))));
    unsigned innermost = plan.reductions.back();
    Type element = elementType(operand->binding);
    unsigned bits = element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
    bool byBlocks = function.strides[innermost].isOne() && plan.lanes > 1 && llvm::isPowerOf2_64(plan.lanes) &&
                    plan.lanes <= machine.vectorsInRegisters(plan.lanes, bits) &&
                    contraction.loops[innermost].facts.isMultipleOf(plan.lanes);
    std::function<void(size_t, Value, Value)> nest = [&](size_t depth, Value from, Value to) {
      if (byBlocks && depth + 1 == plan.reductions.size()) {
        loop(constant(0), s.value(contraction.loops[innermost].size), plan.lanes, [&](Value i) {
          for (int64_t vector = 0; vector < columns.vectors; ++vector)
            emitTransposedBlock(operand, s.add(from, i), s.add(to, s.mul(i, constant(plan.panel()))), vector, width);
        });
        return;
      }
      if (depth < plan.reductions.size()) {
        unsigned reduction = plan.reductions[depth];
        loop(constant(0), s.value(contraction.loops[reduction].size), 1, [&](Value i) {
          nest(depth + 1, s.add(from, s.mul(i, s.value(function.strides[reduction]))),
               s.add(to, s.mul(i, s.value(panelFunction.strides[reduction]))));
        });
        return;
      }
      loop(constant(0), width, 1, [&](Value i) {
        Value value = memref::LoadOp::create(b, loc, flat[operand->binding],
                                             s.add(from, s.mul(i, s.value(function.strides[plan.column]))));
        memref::StoreOp::create(b, loc, value, redirections[operand].memory, s.add(to, i));
      });
    };
    nest(0, source, constant(0));
  }

  /// Masks for a panel of `width` columns, none for a vector that is full; kDynamic: as many as the panel's number
  /// says.
  void chooseMasks(int64_t width) {
    VectorType type = vectorType(b.getI1Type());
    for (int64_t vector = 0; vector < columns.vectors; ++vector) {
      int64_t before = vector * plan.lanes;
      Value &mask = columns.masks.emplace_back();
      if (width != ShapedType::kDynamic && width - before >= plan.lanes)
        continue;
      Value left = width != ShapedType::kDynamic
                       ? constant(width - before)
                       : s.sub(s.value(contraction.loops[plan.column].size), s.add(at[plan.column], constant(before)));
      mask = vector::CreateMaskOp::create(b, loc, type, ValueRange{left});
    }
  }

  void emitPanel(Value number, Value block, int64_t vectors, std::optional<int64_t> maskedWidth = std::nullopt) {
    panel = number;
    at[plan.column] = s.mul(number, constant(plan.panel()));
    columns = {vectors, {}};
    if (maskedWidth)
      chooseMasks(*maskedWidth);
    if (plan.transposed)
      emitTranspose();
    emitBlock(block);
    at[plan.column] = Value();
  }

  void emitPanels(Value lower, Value upper, Value block) {
    const auto &[size, isReduction, facts] = contraction.loops[plan.column];
    bool packed = false;
    for (const auto &expression : contraction.expressions)
      packed |= expression->kind == Kind::Load && expression->function.tile;
    if (facts.isMultipleOf(plan.panel())) {
      loop(lower, upper, 1, [&](Value number) { emitPanel(number, block, plan.columnVectors); });
      return;
    }
    // Where one vector is all that may be left, it is whole.
    bool isHalfPanel = plan.columnVectors == 2 && facts.isMultipleOf(plan.lanes);
    std::optional<int64_t> lastWidth = ShapedType::kDynamic;
    int64_t tailVectors = isHalfPanel ? 1 : plan.columnVectors;
    if (size.isConstant()) {
      lastWidth = size.factor % plan.panel();
      tailVectors = llvm::divideCeil(*lastWidth, plan.lanes);
    }
    if (size.isConstant() && size.factor < plan.panel()) {
      loop(lower, upper, 1, [&](Value number) { emitPanel(number, block, tailVectors, lastWidth); });
      return;
    }
    if (size.isConstant() && packed && machine.fastMasks && tailVectors == plan.columnVectors) {
      loop(lower, upper, 1, [&](Value number) { emitPanel(number, block, tailVectors, ShapedType::kDynamic); });
      return;
    }
    if (isHalfPanel)
      lastWidth = std::nullopt;
    Value full = s.min(upper, s.div(s.value(size), constant(plan.panel())));
    full = s.max(lower, full);
    loop(lower, full, 1, [&](Value number) { emitPanel(number, block, plan.columnVectors); });
    loop(full, upper, 1, [&](Value number) { emitPanel(number, block, tailVectors, lastWidth); });
  }

  void setUpLocalMemory() {
    auto view = [&](const Expression *load, int64_t offset, int64_t elements) -> Value {
      auto type = MemRefType::get({ShapedType::kDynamic}, elementType(load->binding));
      return memref::ViewOp::create(b, loc, type, values.local, constant(offset), ValueRange{constant(elements)});
    };
    int64_t transposed = transposedBytes(contraction, plan), staged = stagedBytes(plan);
    if (plan.staged)
      stagedMemory = view(plan.staged, transposed, staged / 8);
    if (plan.loopsOverEpilogue) {
      Type sum = getElementTypeOrSelf(linalg::GenericOp(contraction.root)->getResultTypes()[0]);
      keptMemory = memref::ViewOp::create(b, loc, MemRefType::get({ShapedType::kDynamic}, sum), values.local,
                                          constant(transposed + staged), ValueRange{constant(keptBytes(plan) / 8)});
    }
    if (!plan.transposed)
      return;
    LinearFunction function;
    function.strides.assign(contraction.loops.size(), Monomial());
    int64_t stride = plan.panel();
    for (unsigned reduction : llvm::reverse(plan.reductions)) {
      function.strides[reduction] = Monomial(stride);
      stride *= contraction.loops[reduction].facts.most;
    }
    function.strides[plan.column] = Monomial(1);
    function.tile = plan.panel(); // panels overwrite each other: the panel's number does not matter
    function.tiledLoop = plan.column;
    redirections[plan.transposed] = {view(plan.transposed, 0, stride), function};
  }

  void emitBorders() {
    for (const Output &output : contraction.outputs)
      if (output.border)
        emitBorder(b, loc, s, *output.border, flat[output.binding], values.workgroup, plan.lanes);
  }

  void flatten() {
    for (Value binding : values.bindings)
      flat.push_back(flatView(b, loc, s, binding));
  }

  void emit() {
    at.assign(contraction.loops.size(), Value());
    flatten();
    setUpLocalMemory();
    emitBorders();
    Grid grid = computeGrid(s, contraction, plan);
    Value outerLower = s.mul(values.workgroup[2], grid.outerPerGroup);
    Value outerUpper = s.min(s.add(outerLower, grid.outerPerGroup), grid.outer);
    Value panelLower = s.mul(values.workgroup[0], grid.panelsPerGroup);
    Value panelUpper = s.min(s.add(panelLower, grid.panelsPerGroup), grid.panels);
    auto body = [&](Value point) {
      for (unsigned l : llvm::reverse(plan.outer)) {
        Value size = s.value(contraction.loops[l].size);
        at[l] = l == plan.outer.front() ? point : s.rem(point, size);
        if (l != plan.outer.front())
          point = s.div(point, size);
      }
      emitPanels(panelLower, panelUpper, values.workgroup[1]);
    };
    if (plan.outer.empty())
      body(Value());
    else
      loop(outerLower, outerUpper, 1, body);
  }
};

} // namespace

int64_t eyrie::target::cpu::localBytes(const Contraction &contraction, const Plan &plan) {
  return transposedBytes(contraction, plan) + stagedBytes(plan) + keptBytes(plan);
}

void eyrie::target::cpu::emitKernel(OpBuilder &b, func::FuncOp func, const Contraction &contraction, const Plan &plan,
                                    const CpuTargetModel &machine, const KernelValues &values) {
  Symbols symbols(b, func, contraction, values.indices);
  Emitter(b, func, contraction, plan, machine, values, symbols).emit();
}

std::array<Value, 3> eyrie::target::cpu::emitWorkgroupCounts(OpBuilder &b, func::FuncOp func,
                                                             const Contraction &contraction, const Plan &plan,
                                                             ValueRange indices) {
  Symbols symbols(b, func, contraction, indices);
  Grid grid = computeGrid(symbols, contraction, plan);
  // A border is there even if nothing is inside.
  if (llvm::any_of(contraction.outputs, [](const Output &output) { return output.border.has_value(); }))
    for (Value &count : grid.count)
      count = symbols.max(count, symbols.constant(1));
  return {grid.count[0], grid.count[1], grid.count[2]};
}

struct TileAccess::State {
  State(OpBuilder &b, func::FuncOp func, const Contraction &contraction, const Plan &plan,
        const CpuTargetModel &machine, const KernelValues &values)
      : symbols(b, func, contraction, values.indices), emitter(b, func, contraction, plan, machine, values, symbols) {
    emitter.columns = {1, {}};
    emitter.flatten();
  }
  Symbols symbols;
  Emitter emitter;
};

TileAccess::TileAccess(OpBuilder &b, func::FuncOp func, const Contraction &contraction, const Plan &plan,
                       const CpuTargetModel &machine, const KernelValues &values)
    : state(std::make_unique<State>(b, func, contraction, plan, machine, values)) {}
TileAccess::~TileAccess() = default;

Symbols &TileAccess::symbols() { return state->symbols; }

void TileAccess::moveTo(ArrayRef<Value> point) {
  state->emitter.at.assign(point.begin(), point.end());
  state->emitter.forgetValues();
}

Value TileAccess::read(const Expression *expression, int64_t band, int64_t row) {
  Emitter &emitter = state->emitter;
  return broadcastTo(emitter.b, emitter.evaluate(expression, band, row, 0), emitter.plan.lanes);
}

void TileAccess::store(ArrayRef<Value> accumulators, int64_t bands, int64_t rows) {
  Emitter &emitter = state->emitter;
  emitter.tileBands = bands;
  emitter.tileRows = rows;
  emitter.accumulators.assign(accumulators.begin(), accumulators.end());
  emitter.emitResults();
}

void TileAccess::writeBorders() { state->emitter.emitBorders(); }
