// Shapes as tensors, and tensors made from numbers.
#include "compiler/ops/Scalar.h"
#include <cmath>

using namespace mlir;

namespace eyrie::ops {

FailureOr<Tensor> shape(Builder &b, const Tensor &x, int64_t start, std::optional<int64_t> end) {
  int64_t rank = x.rank();
  auto clamp = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank); };
  int64_t from = clamp(start), to = end ? clamp(*end) : rank;
  Dims contents;
  bool isAlwaysMade = isa<func::FuncOp>(b.builder.getInsertionBlock()->getParentOp());
  for (int64_t i = from; i < to; ++i) {
    if (isAlwaysMade)
      b.dims.setSize(x.shape[i]);
    contents.push_back(x.shape[i]);
  }
  return fromContents(b.builder.getI64Type(), {Dim(contents.size())}, contents);
}

FailureOr<Tensor> size(Builder &b, const Tensor &x) {
  return fromContents(b.builder.getI64Type(), {}, {x.numElements()});
}

/// start + i * delta for i < count.
static Tensor progression(Builder &b, Dim count, const Tensor &start, const Tensor &delta) {
  Type type = start.elementType;
  AffineMap scalarMap = AffineMap::get(1, 0, b.builder.getContext());
  return b.map(
      {count}, type, {b.reshape(start, {}), b.reshape(delta, {})}, {scalarMap, scalarMap},
      [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
        Scalar s{builder, loc};
        Value i = s.op<arith::IndexCastOp>(builder.getI64Type(), Value(s.op<linalg::IndexOp>(0)));
        Value position = scalarCast(s, i, false, computeType(type), start.isUnsigned);
        Value first = scalarCast(s, args[0], start.isUnsigned, computeType(type), start.isUnsigned);
        Value step = scalarCast(s, args[1], start.isUnsigned, computeType(type), start.isUnsigned);
        return scalarCast(s, s.add(first, s.mul(position, step)), false, type, start.isUnsigned);
      },
      start.isUnsigned);
}

/// max(ceil((limit - start) / delta), 0), computed at run time when the numbers are only known then.
static FailureOr<Dim> floatRangeSize(Builder &b, const Tensor &start, const Tensor &limit, const Tensor &delta) {
  auto first = splatValue(start), last = splatValue(limit), step = splatValue(delta);
  if (first && last && step) {
    double count = *step == 0 ? 0 : std::ceil((*last - *first) / *step);
    if (*step == 0 || !(count < double(int64_t(1) << 40)))
      return b.error() << "the range from " << *first << " to " << *last << " by " << *step
                       << " has no or too many steps";
    return Dim(static_cast<int64_t>(std::max(count, 0.0)));
  }
  Type f64 = b.builder.getF64Type(), i64 = b.builder.getI64Type();
  SmallVector<Tensor> operands{b.reshape(start, {}), b.reshape(limit, {}), b.reshape(delta, {})};
  Tensor count = elementwise(b, {}, i64, operands, false, [&](const Scalar &s, ValueRange args) {
    auto wide = [&](Value v) { return scalarCast(s, v, false, f64, false); };
    Value steps = s.divF(s.sub(wide(args[1]), wide(args[0])), wide(args[2]));
    return scalarCast(s, s.max(s.op<math::CeilOp>(steps), s.like(steps, 0)), false, i64, false);
  });
  auto read = b.integers(count, "the length of the range", /*lower=*/0);
  if (failed(read))
    return failure();
  return read->front();
}

FailureOr<Tensor> range(Builder &b, const Tensor &start, const Tensor &limit, const Tensor &delta) {
  for (const Tensor *t : {&start, &limit, &delta})
    if (!t->numElements().is(1) || t->elementType != start.elementType)
      return b.error() << "start, limit and delta must be scalars of one type, found " << start.str() << ", "
                       << limit.str() << " and " << delta.str();
  if (start.isFloat()) {
    auto count = floatRangeSize(b, start, limit, delta);
    if (failed(count))
      return failure();
    return progression(b, *count, start, delta);
  }
  auto first = b.integers(start, "start"), last = b.integers(limit, "limit"), step = b.integers(delta, "delta");
  if (failed(first) || failed(last) || failed(step))
    return failure();
  Dim from = first->front(), to = last->front(), by = step->front();
  if (by.is(0))
    return b.error() << "delta is 0";
  Dim count = by.isConstant() && by.constant() < 0 ? ceilDiv(from - to, -by) : ceilDiv(to - from, by);
  count = max(count, 0);
  if (count.isConstant() && count.constant() <= kMaxContents) {
    Dims contents;
    for (int64_t i = 0; i < count.constant(); ++i)
      contents.push_back(from + by * Dim(i));
    return fromContents(start.elementType, count, contents, start.isUnsigned);
  }
  return progression(b, count, fromContents(start.elementType, {}, {from}, start.isUnsigned),
                     fromContents(start.elementType, {}, {by}, start.isUnsigned));
}

FailureOr<Tensor> constantOfShape(Builder &b, const Tensor &shape, DenseElementsAttr value, bool isUnsigned) {
  auto sizes = readShape(b, shape);
  if (failed(sizes))
    return failure();
  return b.fill(*sizes, llvm::cast<TypedAttr>(*value.getValues<Attribute>().begin()), isUnsigned);
}

FailureOr<Tensor> eyeLike(Builder &b, const Tensor &x, int64_t k, Type elementType, bool isUnsigned) {
  if (x.rank() != 2)
    return b.error() << "expected a matrix, found " << x.str();
  return b.map(
      x.shape, elementType, {}, {},
      [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
        Scalar s{builder, loc};
        Value diagonal = s.op<arith::AddIOp>(Value(s.op<linalg::IndexOp>(0)), s.index(k));
        Value isOn = s.cmp(arith::CmpIPredicate::eq, diagonal, s.op<linalg::IndexOp>(1));
        return s.select(isOn, s.number(elementType, 1), s.number(elementType, 0));
      },
      isUnsigned);
}

} // namespace eyrie::ops
