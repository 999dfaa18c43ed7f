#include "compiler/target/cpu/contraction/Symbols.h"
#include "compiler/target/cpu/contraction/BodyEvaluator.h"

using namespace mlir;
using namespace eyrie::target::cpu;

Symbols::Symbols(OpBuilder &b, func::FuncOp func, const Contraction &contraction, ValueRange indices)
    : b(b), loc(func.getLoc()), entry(b.getInsertionBlock()) {
  unsigned tensors = func.getNumArguments() - indices.size();
  for (auto [number, value] : llvm::enumerate(indices))
    map.map(func.getArgument(tensors + number), value);
  auto visit = [&](const Monomial &monomial) {
    for (Value symbol : monomial.symbols)
      materialise(symbol);
  };
  for (const Loop &loop : contraction.loops)
    visit(loop.size);
  const_cast<Contraction &>(contraction).forEachFunction([&](LinearFunction &function) {
    llvm::for_each(function.base, visit);
    llvm::for_each(function.strides, visit);
    visit(function.tileStride);
  });
  forEachCapture(contraction.root, [&](Value value) { materialise(value); });
  for (const auto &expression : contraction.expressions)
    if (expression->generic)
      forEachCapture(expression->generic, [&](Value value) { materialise(value); });
}

Value Symbols::materialise(Value symbol) {
  if (Value known = map.lookupOrNull(symbol))
    return known;
  Operation *op = symbol.getDefiningOp();
  assert(op && "a symbol is an index argument or computed from index arguments");
  for (Value operand : op->getOperands())
    materialise(operand);
  b.clone(*op, map);
  return map.lookup(symbol);
}

Value Symbols::constant(int64_t value) {
  Value &known = constants[value];
  if (!known) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(entry);
    known = arith::ConstantIndexOp::create(b, loc, value);
  }
  return known;
}

Value Symbols::value(const Monomial &monomial) {
  if (monomial.isConstant())
    return constant(monomial.factor);
  Value product;
  for (Value symbol : monomial.symbols)
    product = product ? mul(product, map.lookup(symbol)) : map.lookup(symbol);
  return mul(product, constant(monomial.factor));
}

Value Symbols::sum(ArrayRef<Monomial> monomials) {
  Value total = constant(0);
  for (const Monomial &monomial : monomials)
    total = add(total, value(monomial));
  return total;
}

Value Symbols::add(Value x, Value y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return constant(*cx + *cy);
  if (cx == 0)
    return y;
  if (cy == 0)
    return x;
  return arith::AddIOp::create(b, loc, x, y, arith::IntegerOverflowFlags::nsw);
}

Value Symbols::sub(Value x, Value y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return constant(*cx - *cy);
  if (cy == 0)
    return x;
  return arith::SubIOp::create(b, loc, x, y, arith::IntegerOverflowFlags::nsw);
}

Value Symbols::mul(Value x, Value y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return constant(*cx * *cy);
  if (cx == 0 || cy == 0)
    return constant(0);
  if (cx == 1)
    return y;
  if (cy == 1)
    return x;
  return arith::MulIOp::create(b, loc, x, y, arith::IntegerOverflowFlags::nsw);
}

Value Symbols::min(Value x, Value y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return constant(std::min(*cx, *cy));
  return arith::MinSIOp::create(b, loc, x, y);
}

Value Symbols::max(Value x, Value y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return constant(std::max(*cx, *cy));
  return arith::MaxSIOp::create(b, loc, x, y);
}

Value Symbols::div(Value x, Value y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return constant(*cx / *cy);
  if (cy == 1)
    return x;
  return arith::DivUIOp::create(b, loc, x, y);
}

Value Symbols::rem(Value x, Value y) {
  auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
  if (cx && cy)
    return constant(*cx % *cy);
  if (cy == 1)
    return constant(0);
  return arith::RemUIOp::create(b, loc, x, y);
}

Value Symbols::ceilDiv(Value x, Value y) { return div(add(x, sub(y, constant(1))), y); }

Grid eyrie::target::cpu::computeGrid(Symbols &s, const Contraction &contraction, const Plan &plan) {
  auto size = [&](unsigned loop) { return s.value(contraction.loops[loop].size); };
  Grid grid;
  grid.panels = s.ceilDiv(size(plan.column), s.constant(plan.panel()));
  grid.outer = s.constant(1);
  for (unsigned loop : plan.outer)
    grid.outer = s.mul(grid.outer, size(loop));

  // The work of one panel in one block of rows at one outer point.
  Value work = s.constant(plan.panel()), blocks = s.constant(1);
  for (unsigned loop : plan.reductions)
    work = s.mul(work, size(loop));
  if (plan.band) {
    int64_t bands = plan.tileBands * plan.blockTiles;
    blocks = s.ceilDiv(size(*plan.band), s.constant(bands));
    work = s.mul(s.mul(work, size(*plan.row)), s.min(size(*plan.band), s.constant(bands)));
  } else if (plan.row) {
    int64_t rows = plan.tileRows * plan.blockTiles;
    blocks = s.ceilDiv(size(*plan.row), s.constant(rows));
    work = s.mul(work, s.min(size(*plan.row), s.constant(rows)));
  }
  Value one = s.constant(1);
  grid.panelsPerGroup = s.max(one, s.min(grid.panels, s.ceilDiv(s.constant(minWorkgroupIterations), s.max(one, work))));
  grid.outerPerGroup = s.max(one, s.min(grid.outer, s.ceilDiv(s.constant(minWorkgroupIterations),
                                                              s.max(one, s.mul(work, grid.panelsPerGroup)))));
  grid.count[0] = s.ceilDiv(grid.panels, grid.panelsPerGroup);
  grid.count[1] = blocks;
  grid.count[2] = s.ceilDiv(grid.outer, grid.outerPerGroup);
  return grid;
}
