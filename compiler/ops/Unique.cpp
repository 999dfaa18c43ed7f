// The different elements, or slices, of a tensor, by sorting them.
#include "compiler/ops/Scan.h"
#include "compiler/ops/Select.h"
#include "compiler/ops/Sort.h"
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

static Value readAt(const Scalar &s, Value source, Value number) {
  return s.op<tensor::ExtractOp>(source, toIndex(s, number));
}

/// A vector of integers: `body` makes each from its number.
static Tensor integersOf(Builder &b, Dim count, llvm::function_ref<Value(const Scalar &, Value number)> body) {
  return b.map({count}, b.builder.getI64Type(), {}, {}, [&](OpBuilder &builder, Location loc, ValueRange) {
    Scalar s{builder, loc};
    return body(s, s.loopNumber(0));
  });
}

/// The elements of `x` [n] at the places `at` [m].
static Tensor pick(Builder &b, const Tensor &x, const Tensor &at) {
  Value source = b.value(x), places = b.value(at);
  return integersOf(b, at.shape[0],
                    [&](const Scalar &s, Value number) { return readAt(s, source, readAt(s, places, number)); });
}

/// The numbers of the elements of `x`, integers, in ascending order.
static Tensor sortedNumbers(Builder &b, const Tensor &x) {
  Value source = b.value(x);
  return sortedOrder(b, x.shape[0], [&](const Scalar &s, Value i, Value j) {
    return s.sub(readAt(s, source, i), readAt(s, source, j));
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
  auto compare = [&](const Scalar &s, Value i, Value j) { return rows.compare(s, toIndex(s, i), toIndex(s, j)); };
  // 2. Sorted, equal ones stand together, the first of them at their head.
  Tensor sorted = sortedOrder(b, count, compare);
  Value inOrder = b.value(sorted);
  Tensor isHead = integersOf(b, count, [&](const Scalar &s, Value number) {
    Value one = s.like(number, 1), before = s.max(s.sub(number, one), s.like(number, 0));
    Value difference = compare(s, readAt(s, inOrder, before), readAt(s, inOrder, number));
    return s.select(s.cmp(arith::CmpIPredicate::eq, number, s.like(number, 0)), one, difference);
  });
  auto mask = cast(b, isHead, b.builder.getI1Type(), false);
  if (failed(mask))
    return failure();
  auto heads = positionsOf(b, *mask);
  if (failed(heads))
    return failure();
  Dim found = heads->shape[0];
  Count foundCount(b, found), allCount(b, count);
  // 3. Where each stands first, how many of it there are, and which one each row is.
  Tensor indices = pick(b, sorted, *heads);
  Value starts = b.value(*heads), firsts = b.value(indices);
  Tensor counts = integersOf(b, found, [&](const Scalar &s, Value number) {
    Type i64 = number.getType();
    Value next = s.add(number, s.like(number, 1)), last = s.sub(foundCount.get(s, i64), s.like(number, 1));
    Value end = readAt(s, starts, s.min(next, last));
    end = s.select(s.cmp(arith::CmpIPredicate::eq, number, last), allCount.get(s, i64), end);
    return s.sub(end, readAt(s, starts, number));
  });
  Tensor which = integersOf(b, count, [&](const Scalar &s, Value number) {
    return lastWhere(s, foundCount.get(s, number.getType()), [&](const Scalar &s, Value middle) {
      Value order = compare(s, readAt(s, firsts, middle), number);
      return s.cmp(arith::CmpIPredicate::sle, order, s.like(order, 0));
    });
  });
  if (!isSorted) {
    Tensor byAppearance = sortedNumbers(b, indices);
    which = pick(b, sortedNumbers(b, byAppearance), which); // sorting a permutation gives its inverse
    indices = pick(b, indices, byAppearance);
    counts = pick(b, counts, byAppearance);
  }
  Dims shape = x.shape;
  shape[*position] = indices.shape[0];
  Value places = b.value(indices);
  Tensor y = gatherMap(b, x, shape, {}, {}, [&](const Scalar &s, ValueRange at, ValueRange) {
    SmallVector<Value> from(at);
    from[*position] = toIndex(s, s.op<tensor::ExtractOp>(places, at[*position]));
    return from;
  });
  return SmallVector<Tensor>{y, indices, which, counts};
}

} // namespace eyrie::ops
