#include "compiler/target/cpu/contraction/Moves.h"
#include "compiler/target/cpu/contraction/BodyEvaluator.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace eyrie::target::cpu;

Value eyrie::target::cpu::flatView(OpBuilder &b, Location loc, Symbols &s, Value memory) {
  auto type = MemRefType::get({ShapedType::kDynamic}, cast<MemRefType>(memory.getType()).getElementType());
  return memref::ReinterpretCastOp::create(b, loc, type, memory, /*offset=*/OpFoldResult(b.getIndexAttr(0)),
                                           ArrayRef<OpFoldResult>{s.constant(int64_t(1) << 40)},
                                           ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
}

scf::ForOp eyrie::target::cpu::emitLoop(OpBuilder &b, Location loc, Value lower, Value upper, Value step,
                                        llvm::function_ref<void(Value)> body) {
  auto forOp = scf::ForOp::create(b, loc, lower, upper, step);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(forOp.getBody());
  body(forOp.getInductionVar());
  return forOp;
}

static void emitFill(OpBuilder &b, Location loc, Symbols &s, Value memory, Value from, Value count, TypedAttr value,
                     int64_t lanes) {
  Value scalar = arith::ConstantOp::create(b, loc, value), step = s.constant(lanes);
  Value vectors = s.mul(s.div(count, step), step);
  emitLoop(b, loc, s.constant(0), vectors, step,
           [&](Value i) { vector::StoreOp::create(b, loc, broadcastTo(b, scalar, lanes), memory, s.add(from, i)); });
  if (vectors != count)
    emitLoop(b, loc, vectors, count, s.constant(1),
             [&](Value i) { memref::StoreOp::create(b, loc, scalar, memory, s.add(from, i)); });
}

void eyrie::target::cpu::emitBorder(OpBuilder &b, Location loc, Symbols &s, const Border &border, Value memory,
                                    ArrayRef<Value> workgroup, int64_t lanes) {
  Value isFirst;
  for (Value id : workgroup) {
    Value isZero = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, id, s.constant(0));
    isFirst = isFirst ? arith::AndIOp::create(b, loc, isFirst, isZero) : isZero;
  }
  auto onlyFirst = scf::IfOp::create(b, loc, isFirst, /*withElse=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&onlyFirst.getThenRegion().front());
  Monomial outer(1);
  for (size_t dim = 0; dim < border.sizes.size(); outer = outer * border.sizes[dim++]) {
    if (!border.low[dim] && !border.high[dim])
      continue;
    Monomial inner(1);
    for (const Monomial &size : ArrayRef(border.sizes).drop_front(dim + 1))
      inner = inner * size;
    emitLoop(b, loc, s.constant(0), s.value(outer), s.constant(1), [&](Value i) {
      Value from = s.mul(i, s.value(border.sizes[dim] * inner)), to = s.add(from, s.value(border.sizes[dim] * inner));
      Value low = s.value(inner * Monomial(border.low[dim])), high = s.value(inner * Monomial(border.high[dim]));
      emitFill(b, loc, s, memory, from, low, border.value, lanes);
      emitFill(b, loc, s, memory, s.sub(to, high), high, border.value, lanes);
    });
  }
}

/// A perfect shuffle of the rows, log2(lanes) times over, transposes: each rotates the bits of (row, column) by one.
SmallVector<Value> eyrie::target::cpu::transposeVectors(OpBuilder &b, Location loc, SmallVector<Value> rows) {
  int64_t lanes = rows.size();
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < lanes; ++i) {
    low.push_back(i / 2 + i % 2 * lanes);
    high.push_back((lanes + i) / 2 + i % 2 * lanes);
  }
  for (int64_t stage = 1; stage < lanes; stage *= 2) {
    SmallVector<Value> next;
    for (int64_t i = 0; i < lanes / 2; ++i)
      for (const auto &mask : {low, high})
        next.push_back(vector::ShuffleOp::create(b, loc, rows[i], rows[i + lanes / 2], mask));
    rows = next;
  }
  return rows;
}
