#include "compiler/target/cpu/contraction/Access.h"
#include "compiler/target/cpu/contraction/BodyEvaluator.h"
#include "compiler/target/cpu/contraction/Moves.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace eyrie::target::cpu;

using Kind = Expression::Kind;

Value Access::startOfPanel(const LinearFunction &function) {
  Value tileStride = s.value(function.tileStride);
  if (function.tile < plan.panel())
    return s.mul(s.mul(panel, constant(plan.panel() / function.tile)), tileStride);
  Value panels = constant(function.tile / plan.panel());
  Value inTile = s.mul(s.rem(panel, panels), s.mul(constant(plan.panel()), s.value(function.strides[plan.column])));
  return s.add(s.mul(s.div(panel, panels), tileStride), inTile);
}

Value Access::startOf(const LinearFunction &function) {
  Value total = s.sum(function.base);
  for (unsigned l = 0; l < at.size(); ++l) {
    if (!at[l] || (!function.dependsOn(l) && !(function.tile && function.tiledLoop == l)))
      continue;
    if (function.tile && function.tiledLoop == l)
      total = s.add(total, startOfPanel(function));
    else
      total = s.add(total, s.mul(placeOf(l, function), s.value(function.strides[l])));
  }
  if (function.isInBlock && firstStep)
    total = s.sub(total, s.mul(firstStep, s.value(function.strides[plan.reductions.back()])));
  return total;
}

Value Access::shifted(Address start, const LinearFunction &function, int64_t band, int64_t row, int64_t vector) {
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

Value Access::placeOf(unsigned loop, const LinearFunction &function) {
  if (function.isInBlock && plan.row == loop)
    return s.sub(at[loop], firstRow);
  return function.isInBlock && firstColumn && plan.column == loop ? s.sub(at[loop], firstColumn) : at[loop];
}

bool Access::dependsOnRow(const LinearFunction &function) {
  return (plan.row && function.dependsOn(*plan.row)) || (plan.band && function.dependsOn(*plan.band));
}

Value Access::lanesIndex(const Monomial &stride) {
  auto type = VectorType::get({plan.lanes}, b.getIndexType());
  Value step = vector::StepOp::create(b, loc, type);
  return arith::MulIOp::create(b, loc, step, broadcastTo(b, s.value(stride), plan.lanes));
}

Value Access::maskOrAll(Value mask) {
  if (mask)
    return mask;
  return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(vectorType(b.getI1Type()), true));
}

Value Access::emitLoad(Value memory, const LinearFunction &function, Value address, Value mask, bool padded) {
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
  return vector::GatherOp::create(b, loc, type, memory, ValueRange{address}, lanesIndex(stride), maskOrAll(mask), zero);
}

Value Access::emitGroup(Value memory, Value address) {
  const DotProduct &product = contraction.dot->product;
  auto part = [&](int64_t offset, int64_t steps) -> Value {
    Value loaded = vector::LoadOp::create(b, loc, VectorType::get({steps}, product.elementType()), memory,
                                          s.add(address, constant(offset)));
    Type integer = b.getIntegerType(32 / product.group() * steps);
    Value single = vector::BitCastOp::create(b, loc, VectorType::get({1}, integer), loaded);
    Value scalar = vector::ExtractOp::create(b, loc, single, int64_t(0));
    return integer.isInteger(32) ? scalar : arith::ExtUIOp::create(b, loc, b.getI32Type(), scalar);
  };
  int64_t steps = groupSteps ? groupSteps : product.group();
  Value scalar = part(0, steps == 3 ? 2 : steps);
  if (steps == 3) {
    Value shift = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(16));
    scalar = arith::OrIOp::create(b, loc, scalar, arith::ShLIOp::create(b, loc, part(2, 1), shift));
  }
  Value wide = broadcastTo(b, scalar, plan.lanes);
  return vector::BitCastOp::create(b, loc, groupType(), wide);
}

Value eyrie::target::cpu::narrow(OpBuilder &b, Value value, Type element, int64_t lanes) {
  if (getElementTypeOrSelf(value.getType()) == element)
    return value;
  auto type = VectorType::get({lanes}, element);
  auto rounded = arith::TruncFOp::create(b, value.getLoc(), type, broadcastTo(b, value, lanes));
  rounded.setFastmath(arith::FastMathFlags::contract);
  return rounded;
}

Value eyrie::target::cpu::widen(OpBuilder &b, Value value, Type element) {
  auto type = cast<VectorType>(value.getType());
  if (type.getElementType() == element)
    return value;
  if (Value exact = unrounded(value); exact && getElementTypeOrSelf(exact.getType()) == element)
    return exact;
  if (auto choice = value.getDefiningOp<arith::SelectOp>())
    return arith::SelectOp::create(b, value.getLoc(), choice.getCondition(), widen(b, choice.getTrueValue(), element),
                                   widen(b, choice.getFalseValue(), element));
  return arith::ExtFOp::create(b, value.getLoc(), type.clone(element), value);
}

/// Is it known that the mask, one of those for columns, holds for the first lane alone?
static bool isOneLane(Value mask) {
  auto created = mask ? mask.getDefiningOp<vector::CreateMaskOp>() : vector::CreateMaskOp();
  return created && getConstantIntValue(created.getOperands()[0]) == 1;
}

void Access::emitStore(Value memory, const LinearFunction &function, Value address, Value value, Value mask) {
  const Monomial &stride = function.strides[plan.column];
  value = widen(b, broadcastTo(b, value, plan.lanes), cast<MemRefType>(memory.getType()).getElementType());
  if (!stride.isOne())
    vector::ScatterOp::create(b, loc, Type(), memory, ValueRange{address}, lanesIndex(stride), maskOrAll(mask), value);
  else if (isOneLane(mask)) // LLVM 22 stores 32 bits of an element that was truncated to fewer
    memref::StoreOp::create(b, loc, vector::ExtractOp::create(b, loc, value, int64_t(0)), memory, address);
  else if (mask)
    vector::MaskedStoreOp::create(b, loc, memory, ValueRange{address}, mask, value);
  else
    vector::StoreOp::create(b, loc, value, memory, address);
}

bool Access::variesOverRows(const Expression *expression) {
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

Value Access::evaluate(const Expression *expression, int64_t band, int64_t row, int64_t vector) {
  if (expression->kind == Kind::Accumulator)
    return accumulators[(band * tileRows + row) * columns.vectors + vector];
  if (expression->kind == Kind::Load || redirections.contains(expression))
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
    for (auto [step, stride] : llvm::zip(steps, function.strides))
      if (step && !stride.isZero())
        scalar = s.add(scalar, s.mul(step, s.value(stride)));
    if (!function.dependsOn(plan.column))
      return scalar;
    return Value(
        arith::AddIOp::create(b, loc, broadcastTo(b, scalar, plan.lanes), lanesIndex(function.strides[plan.column])));
  };
  auto capture = [&](Value value) { return s.captured(value); };
  return known = evaluateBody(b, expression->generic, operands, plan.lanes, machine.fma, index,
                              capture)[expression->result];
}

const LinearFunction &Access::functionOf(const Expression *load) {
  auto redirection = redirections.find(load);
  return redirection == redirections.end() ? load->function : redirection->second.function;
}

Value Access::memoryOf(const Expression *load) {
  auto redirection = redirections.find(load);
  return redirection == redirections.end() ? flat[load->binding] : redirection->second.memory;
}

bool Access::prefetches(const LinearFunction &function) {
  if (!inReduction || plan.reductions.empty() || !function.dependsOn(plan.column) || dependsOnRow(function))
    return false;
  if (isStaged())
    return true;
  if (!plan.row || (plan.streamed && !hasFewRows))
    return false;
  const Monomial &rows = contraction.loops[*plan.row].size;
  if (!rows.isConstant())
    return tileRows > 1 && tileRows < plan.tileRows;
  return !plan.band && rows.factor > 1 && rows.factor <= 2 * plan.tileRows;
}

void Access::emitPrefetch(Value memory, const LinearFunction &function, Value address) {
  const Monomial &stride = function.strides[plan.reductions.back()];
  Value ahead =
      s.add(address,
            s.mul(s.value(stride), constant(tileRows > Plan::mostSmallRows ? 2 * prefetchDistance : prefetchDistance)));
  memref::PrefetchOp::create(b, loc, memory, ahead, /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
}

void Access::emitPrefetchOfNextPanel(Value memory, Value address) {
  Value read = s.mul(s.sub(address, nextPanel.panel), nextPanel.share);
  Value ahead = s.add(nextPanel.from, s.div(read, constant(plan.panel())));
  memref::PrefetchOp::create(b, loc, memory, ahead, /*isWrite=*/false, /*localityHint=*/2, /*isDataCache=*/true);
}

Value Access::load(const Expression *expression, int64_t band, int64_t row, int64_t vector) {
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
    if (expression->element)
      value = narrow(b, value, expression->element, plan.lanes);
    else if (expression == plan.widened && expression->kind == Kind::Load)
      value = narrow(b, value, elementType(expression->binding), plan.lanes);
    if (prefetches(function) && !redirections.contains(expression))
      emitPrefetch(memory, function, address);
    if (inReduction && nextPanel.panel && expression == plan.streamed &&
        (plan.streamsFast || (vector == 0 && start.constant == 0)))
      emitPrefetchOfNextPanel(flat[expression->binding], address);
  }
  return value;
}

void Access::forEachVector(llvm::function_ref<void(int64_t, int64_t, int64_t)> callback) {
  for (int64_t band = 0; band < tileBands; ++band)
    for (int64_t row = 0; row < tileRows; ++row)
      for (int64_t vector = 0; vector < columns.vectors; ++vector)
        callback(band, row, vector);
}

void Access::advance(unsigned reduction, Value iterations, int64_t more) {
  for (auto &[expression, address] : addresses) {
    const Monomial &stride = functionOf(expression).strides[reduction];
    if (iterations)
      address.value = s.add(address.value, s.mul(iterations, s.value(stride)));
    if (more && stride.isConstant())
      address.constant += more * stride.factor;
    else if (more)
      address.value = s.add(address.value, s.mul(constant(more), s.value(stride)));
  }
}

void Access::carryAccumulators(Value lower, Value upper, int64_t step, llvm::function_ref<void(Value)> body) {
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

void Access::forgetValues() {
  addresses.clear();
  emitted.clear();
}

void Access::emitResults() {
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

void Access::emitBorders() {
  for (const Output &output : contraction.outputs)
    if (output.border)
      emitBorder(b, loc, s, *output.border, flat[output.binding], values.workgroup, plan.lanes);
}

void Access::flatten() {
  for (Value binding : values.bindings)
    flat.push_back(flatView(b, loc, s, binding));
}

TileAccess::TileAccess(OpBuilder &b, func::FuncOp func, const Contraction &contraction, const Plan &plan,
                       const CpuTargetModel &machine, const KernelValues &values)
    : s(b, func, contraction, values.indices), access(b, func, contraction, plan, machine, values, s) {
  access.columns = {1, {}};
  access.flatten();
}

void TileAccess::moveTo(ArrayRef<Value> point, Value mask) {
  access.columns.masks.clear();
  if (mask)
    access.columns.masks.push_back(mask);
  access.at.assign(point.begin(), point.end());
  access.forgetValues();
}

Value TileAccess::read(const Expression *expression, int64_t band, int64_t row) {
  return broadcastTo(access.b, access.evaluate(expression, band, row, 0), access.plan.lanes);
}

void TileAccess::store(ArrayRef<Value> accumulators, int64_t bands, int64_t rows) {
  access.tileBands = bands;
  access.tileRows = rows;
  access.accumulators.assign(accumulators.begin(), accumulators.end());
  access.emitResults();
}
