#include "compiler/ops/RunTimeAxes.h"
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

bool isKnown(const Tensor &axes) {
  return axes.constant || (axes.contents && llvm::all_of(*axes.contents, [](Dim d) { return d.isConstant(); }));
}

/// The axes as a vector of i64 in [0, rank) where they are right.
static FailureOr<Tensor> readAxes(Builder &b, const Tensor &axes, int64_t rank) {
  if (!axes.isInteger() || axes.isBool() || axes.rank() > 1)
    return b.error() << "axes must be a vector of integers, found " << axes.str();
  Dim count = axes.numElements();
  if (!count.isConstant())
    return b.error() << "the number of axes must be known at compile time, found " << axes.str();
  Type i64 = b.builder.getI64Type();
  return elementwise(b, count, i64, b.reshape(axes, count), false, [&](const Scalar &s, ValueRange args) {
    Value axis = scalarCast(s, args[0], axes.isUnsigned, i64, false);
    return s.select(s.less(axis, s.like(axis, 0)), s.add(axis, rank), axis);
  });
}

/// A vector of i64: `body` gets the number of the element, and those of `operands` (vectors), as index to value.
static Tensor
vectorOf(Builder &b, Dim size, ArrayRef<Tensor> operands,
         llvm::function_ref<Value(const Scalar &, Value i, llvm::function_ref<Value(unsigned, int64_t)>)> body) {
  SmallVector<Value> sources;
  for (const Tensor &t : operands)
    sources.push_back(b.value(t));
  Type i64 = b.builder.getI64Type();
  return b.map(size, i64, {}, {}, [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
    Scalar s{builder, loc};
    Value i = s.loopNumber(0);
    return body(s, i, [&](unsigned operand, int64_t at) -> Value {
      return s.op<tensor::ExtractOp>(sources[operand], ValueRange(s.index(at)));
    });
  });
}

/// Whether `i` is among the axes.
static Value isAxis(const Scalar &s, Value i, int64_t count, llvm::function_ref<Value(unsigned, int64_t)> read) {
  Value found = s.op<arith::ConstantOp>(s.b.getBoolAttr(false));
  for (int64_t j = 0; j < count; ++j)
    found = s.op<arith::OrIOp>(found, s.cmp(arith::CmpIPredicate::eq, read(0, j), i));
  return found;
}

/// The sizes of x without those of the axes, `count` of them.
static FailureOr<Dims> keptSizes(Builder &b, const Tensor &x, const Tensor &axes, int64_t count) {
  Tensor sizes = fromContents(b.builder.getI64Type(), Dim(x.rank()), x.shape);
  int64_t axisCount = axes.shape[0].constant();
  Tensor kept = vectorOf(b, count, {axes, sizes}, [&](const Scalar &s, Value i, auto read) {
    Value result = s.like(i, 1), next = s.like(i, 0);
    for (int64_t d = 0; d < x.rank(); ++d) {
      Value isGone = isAxis(s, s.like(i, d), axisCount, read);
      Value isHere = s.cmp(arith::CmpIPredicate::eq, next, i);
      result = s.select(isGone, result, s.select(isHere, read(1, d), result));
      next = s.select(isGone, next, s.add(next, 1));
    }
    return result;
  });
  return b.integers(kept, "the sizes that are kept", 0);
}

FailureOr<Tensor> reduce(Builder &b, Reduce kind, const Tensor &x, const Tensor &axes, bool keepDims,
                         bool noopWithEmptyAxes) {
  auto known = readAxes(b, axes, x.rank());
  if (failed(known))
    return failure();
  int64_t count = known->shape[0].constant(), rank = x.rank();
  if (count == 0)
    return reduce(b, kind, x, ArrayRef<int64_t>(), keepDims, noopWithEmptyAxes);
  if (count > rank)
    return b.error() << count << " axes are too many for " << x.str();
  Tensor mask = vectorOf(b, rank, *known, [&](const Scalar &s, Value i, auto read) -> Value {
    return s.op<arith::ExtUIOp>(i.getType(), isAxis(s, i, count, read));
  });
  auto isReduced = b.integers(mask, "axes", 0);
  if (failed(isReduced))
    return failure();
  // Each dimension is split into the result's and the reduced part, one of which has size one.
  Dims outer, shape;
  for (auto [size, flag] : llvm::zip_equal(x.shape, *isReduced)) {
    outer.push_back(size + flag - size * flag);
    shape.push_back(size * flag + 1 - flag);
  }
  shape.insert(shape.begin(), outer.begin(), outer.end());
  Tensor parts = gatherMap(b, x, shape, {}, {}, [&](const Scalar &s, ValueRange at, ValueRange) {
    SmallVector<Value> from;
    for (int64_t d = 0; d < rank; ++d)
      from.push_back(s.add(at[d], at[rank + d]));
    return from;
  });
  auto result = reduce(b, kind, parts, llvm::to_vector(llvm::seq<int64_t>(rank, 2 * rank)), /*keepDims=*/false);
  if (failed(result) || keepDims)
    return result;
  auto kept = keptSizes(b, x, *known, rank - count);
  return failed(kept) ? FailureOr<Tensor>(failure()) : FailureOr<Tensor>(b.reshape(*result, *kept));
}

FailureOr<Tensor> alongAxis(Builder &b, const Tensor &x, const Tensor &axis,
                            llvm::function_ref<FailureOr<Tensor>(const Tensor &, int64_t)> op) {
  auto known = readAxes(b, axis, x.rank());
  if (failed(known))
    return failure();
  if (!known->shape[0].is(1))
    return b.error() << "axis must be one integer, found " << axis.str();
  Tensor sizes = fromContents(b.builder.getI64Type(), Dim(x.rank()), x.shape);
  // The sizes before the axis, of it, and behind it.
  Tensor products = vectorOf(b, 3, {*known, sizes}, [&](const Scalar &s, Value i, auto read) {
    Value result = s.like(i, 1), zero = s.like(i, 0);
    for (int64_t d = 0; d < x.rank(); ++d) {
      Value at = s.like(i, d), axis = read(0, 0);
      Value part = s.select(s.less(at, axis), zero, s.select(s.less(axis, at), s.like(i, 2), s.like(i, 1)));
      result = s.select(s.cmp(arith::CmpIPredicate::eq, part, i), s.mul(result, read(1, d)), result);
    }
    return result;
  });
  auto shape = b.integers(products, "axis", 0);
  if (failed(shape))
    return failure();
  auto result = op(b.reshape(x, *shape), 1);
  return failed(result) ? result : FailureOr<Tensor>(b.reshape(*result, x.shape));
}

FailureOr<Tensor> squeeze(Builder &b, const Tensor &x, const Tensor &axes) {
  auto known = readAxes(b, axes, x.rank());
  if (failed(known))
    return failure();
  int64_t count = known->shape[0].constant();
  if (count > x.rank())
    return b.error() << count << " axes are too many for " << x.str();
  auto shape = keptSizes(b, x, *known, x.rank() - count);
  if (failed(shape))
    return failure();
  b.dims.assumeEqual(product(*shape), product(x.shape));
  return b.reshape(x, *shape);
}

FailureOr<Tensor> unsqueeze(Builder &b, const Tensor &x, const Tensor &axes) {
  if (axes.rank() > 1 || !axes.numElements().isConstant())
    return b.error() << "the number of axes must be known at compile time, found " << axes.str();
  int64_t count = axes.numElements().constant(), rank = x.rank() + count;
  auto known = readAxes(b, axes, rank);
  if (failed(known))
    return failure();
  Tensor sizes = fromContents(b.builder.getI64Type(), Dim(x.rank()), x.shape);
  Tensor shape = vectorOf(b, rank, {*known, sizes}, [&](const Scalar &s, Value i, auto read) {
    // How many axes lie before: dimension i comes from i minus that.
    Value before = s.like(i, 0), result = s.like(i, 1);
    for (int64_t j = 0; j < count; ++j)
      before = s.add(before, Value(s.op<arith::ExtUIOp>(i.getType(), s.less(read(0, j), i))));
    Value from = s.sub(i, before);
    for (int64_t d = 0; d < x.rank(); ++d)
      result = s.select(s.cmp(arith::CmpIPredicate::eq, from, s.like(i, d)), read(1, d), result);
    return s.select(isAxis(s, i, count, read), s.like(i, 1), result);
  });
  auto dims = b.integers(shape, "axes", 0);
  if (failed(dims))
    return failure();
  b.dims.assumeEqual(product(*dims), product(x.shape));
  return b.reshape(x, *dims);
}

FailureOr<Tensor> valuesByDimension(Builder &b, const Tensor &values, const Tensor &axes, int64_t rank,
                                    int64_t initial) {
  auto known = readAxes(b, axes, rank);
  if (failed(known))
    return failure();
  if (!values.isInteger() || values.rank() != 1 || values.shape != known->shape)
    return b.error() << "expected one integer for each of " << known->shape[0].constant() << " axes, found "
                     << values.str();
  Type i64 = b.builder.getI64Type();
  auto wide = cast(b, values, i64, false);
  if (failed(wide))
    return failure();
  return vectorOf(b, rank, {*known, *wide}, [&](const Scalar &s, Value i, auto read) {
    Value result = s.op<arith::ConstantOp>(s.b.getI64IntegerAttr(initial));
    for (int64_t j = 0; j < known->shape[0].constant(); ++j)
      result = s.select(s.cmp(arith::CmpIPredicate::eq, read(0, j), i), read(1, j), result);
    return result;
  });
}

} // namespace eyrie::ops
