// The different elements, or slices, of a tensor. Each looks for its equals among all, as topK does.
#include "compiler/ops/Scalar.h"
#include "compiler/ops/Scan.h"
#include "compiler/ops/Select.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

namespace {
/// The rows of a tensor [rows, width], compared inside bodies.
struct Rows {
  Value source;
  Count width;
  bool isUnsigned;

  /// Below zero when row i comes before row j, 0 when they are equal. NaN equals NaN and comes last.
  Value compare(const Scalar &s, Value i, Value j) const {
    if (width.dim.is(1))
      return compareAt(s, i, j, s.index(0));
    Type i64 = s.b.getI64Type();
    Value zero = s.number(i64, 0);
    auto loop = scf::ForOp::create(s.b, s.loc, s.index(0), width.get(s, s.b.getIndexType()), s.index(1), zero,
                                   [&](OpBuilder &b, Location loc, Value column, ValueRange acc) {
                                     Scalar s{b, loc};
                                     Value here = compareAt(s, i, j, column);
                                     Value isOpen = s.cmp(arith::CmpIPredicate::eq, acc[0], zero);
                                     scf::YieldOp::create(b, loc, s.select(isOpen, here, acc[0]));
                                   });
    return loop.getResult(0);
  }

private:
  Value compareAt(const Scalar &s, Value i, Value j, Value column) const {
    Value x = s.op<tensor::ExtractOp>(source, ValueRange{i, column});
    Value y = s.op<tensor::ExtractOp>(source, ValueRange{j, column});
    Type i64 = s.b.getI64Type();
    Value before = s.op<arith::ExtUIOp>(i64, comesBefore(s, x, y));
    return s.sub(s.op<arith::ExtUIOp>(i64, comesBefore(s, y, x)), before);
  }
  Value comesBefore(const Scalar &s, Value x, Value y) const {
    Value isLess = s.less(x, y, isUnsigned || x.getType().isInteger(1));
    if (!Scalar::isFloat(x))
      return isLess;
    Value xIsNumber = s.cmp(arith::CmpFPredicate::ORD, x, x), yIsNan = s.cmp(arith::CmpFPredicate::UNO, y, y);
    return s.op<arith::OrIOp>(isLess, Value(s.op<arith::AndIOp>(xIsNumber, yIsNan)));
  }
};
} // namespace

static Value toIndex(const Scalar &s, Value number) { return s.op<arith::IndexCastOp>(s.b.getIndexType(), number); }

/// result[i] = combination over j of what `body` makes of x[i] and y[j], integers both.
static Tensor combinePairs(Builder &b, const Tensor &x, const Tensor &y, int64_t init,
                           llvm::function_ref<Value(const Scalar &, Value acc, Value x, Value y)> body) {
  Tensor start = b.splat(x.shape, b.builder.getI64Type(), init);
  return b.reduce(start, projection(b, 2, {0}), 1u, {x, y}, {projection(b, 2, {0}), projection(b, 2, {1})},
                  [&](OpBuilder &builder, Location loc, ValueRange args) {
                    return body(Scalar{builder, loc}, args[2], args[0], args[1]);
                  });
}

/// How many of y equal each of x.
static Tensor countEqual(Builder &b, const Tensor &x, const Tensor &y) {
  return combinePairs(b, x, y, 0, [](const Scalar &s, Value acc, Value x, Value y) {
    return s.add(acc, s.op<arith::ExtUIOp>(acc.getType(), s.cmp(arith::CmpIPredicate::eq, x, y)));
  });
}

/// The place in y of each of x.
static Tensor placesIn(Builder &b, const Tensor &x, const Tensor &y) {
  return combinePairs(b, x, y, 0, [](const Scalar &s, Value acc, Value x, Value y) {
    return s.select(s.cmp(arith::CmpIPredicate::eq, x, y), s.loopNumber(1), acc);
  });
}

static Tensor numbersTo(Builder &b, Dim count) {
  return b.map({count}, b.builder.getI64Type(), {}, {},
               [](OpBuilder &builder, Location loc, ValueRange) { return Scalar{builder, loc}.loopNumber(0); });
}

/// `found`, the numbers of different rows, in the order of the rows.
static Tensor sortedRows(Builder &b, const Tensor &found, const Rows &rows) {
  Tensor rank = combinePairs(b, found, found, 0, [&](const Scalar &s, Value acc, Value x, Value y) {
    Value order = rows.compare(s, toIndex(s, y), toIndex(s, x));
    Value comesFirst = s.cmp(arith::CmpIPredicate::slt, order, s.like(acc, 0));
    return s.add(acc, s.op<arith::ExtUIOp>(acc.getType(), comesFirst));
  });
  Tensor place = placesIn(b, numbersTo(b, found.shape[0]), rank);
  Value source = b.value(found), at = b.value(place);
  return b.map(found.shape, found.elementType, {}, {}, [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
    Scalar s{builder, loc};
    Value which = s.op<tensor::ExtractOp>(at, Value(s.op<linalg::IndexOp>(0)));
    return s.op<tensor::ExtractOp>(source, toIndex(s, which));
  });
}

FailureOr<SmallVector<Tensor>> unique(Builder &b, const Tensor &given, std::optional<int64_t> axis, bool isSorted) {
  Tensor x = axis ? given : b.reshape(given, {given.numElements()});
  auto position = normalizeAxis(b, axis.value_or(0), x.rank());
  if (failed(position))
    return failure();
  // 1. Slices along the axis become rows.
  SmallVector<int64_t> order{*position};
  Dim count = x.shape[*position], width = 1;
  for (int64_t d = 0; d < x.rank(); ++d)
    if (d != *position) {
      order.push_back(d);
      width *= x.shape[d];
    }
  Tensor table = b.reshape(b.transpose(x, order), {count, width});
  Rows rows{b.value(table), Count(b, width), x.isUnsigned};
  // 2. The first of each row's equals, and those rows that are the first.
  Tensor numbers = numbersTo(b, count);
  Tensor first = combinePairs(b, numbers, numbers, INT64_MAX >> 1, [&](const Scalar &s, Value acc, Value i, Value j) {
    Value order = rows.compare(s, toIndex(s, i), toIndex(s, j));
    return s.select(s.cmp(arith::CmpIPredicate::eq, order, s.like(acc, 0)), s.min(acc, j), acc);
  });
  Tensor isFirst =
      elementwise(b, first.shape, b.builder.getI1Type(), {first, numbers}, false,
                  [](const Scalar &s, ValueRange args) { return s.cmp(arith::CmpIPredicate::eq, args[0], args[1]); });
  auto found = positionsOf(b, isFirst);
  if (failed(found))
    return failure();
  // 3. The results.
  Tensor indices = isSorted ? sortedRows(b, *found, rows) : *found;
  Dims shape = x.shape;
  shape[*position] = indices.shape[0];
  Value places = b.value(indices);
  Tensor y = gatherMap(b, x, shape, {}, {}, [&](const Scalar &s, ValueRange at, ValueRange) {
    SmallVector<Value> from(at);
    from[*position] = toIndex(s, s.op<tensor::ExtractOp>(places, at[*position]));
    return from;
  });
  return SmallVector<Tensor>{y, indices, placesIn(b, first, indices), countEqual(b, indices, first)};
}

} // namespace eyrie::ops
