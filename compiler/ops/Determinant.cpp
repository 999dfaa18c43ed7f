// Determinants by elimination with row pivots.
#include "compiler/ops/Loop.h"
#include "compiler/ops/Scalar.h"
#include "compiler/ops/Vision.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

/// Matrices of at most this size are eliminated without a loop.
static constexpr int64_t kMaxUnrolled = 4;

/// One step on matrices [N, M, M] and the product of the pivots so far [N]: column `step` becomes zero below the
/// diagonal.
static FailureOr<std::pair<Tensor, Tensor>> eliminate(Builder &b, const Tensor &a, const Tensor &factor, Dim step) {
  Type type = a.elementType, index = b.builder.getIndexType();
  Count k(b, step);
  Value matrix = b.value(a);
  auto read = [&](const Scalar &s, Value n, Value i, Value j) -> Value {
    return s.op<tensor::ExtractOp>(matrix, ValueRange{n, i, j});
  };
  // The row with the largest element of the column becomes the pivot.
  Tensor candidates = b.map({a.shape[0], a.shape[1]}, type, {}, {}, [&](OpBuilder &builder, Location loc, ValueRange) {
    Scalar s{builder, loc};
    Value n = s.op<linalg::IndexOp>(0), i = s.op<linalg::IndexOp>(1), at = k.get(s, index);
    Value size = s.op<math::AbsFOp>(read(s, n, i, at));
    return s.select(s.cmp(arith::CmpIPredicate::slt, i, at), s.like(size, -1), size);
  });
  auto pivot = argReduce(b, /*isMax=*/true, candidates, 1, /*keepDims=*/false, /*lastIndex=*/false);
  if (failed(pivot))
    return failure();
  Tensor nextFactor = b.map(factor.shape, type, {factor, *pivot}, {b.identity(1), b.identity(1)},
                            [&](OpBuilder &builder, Location loc, ValueRange args) {
                              Scalar s{builder, loc};
                              Value n = s.op<linalg::IndexOp>(0), at = k.get(s, index);
                              Value row = s.op<arith::IndexCastOp>(index, args[1]);
                              Value element = read(s, n, row, at), product = s.mul(args[0], element);
                              Value isSwap = s.cmp(arith::CmpIPredicate::ne, row, at);
                              return s.select(isSwap, s.neg(product), product);
                            });
  Tensor next =
      b.map(a.shape, type, *pivot, projection(b, 3, {0}), [&](OpBuilder &builder, Location loc, ValueRange args) {
        Scalar s{builder, loc};
        Value n = s.op<linalg::IndexOp>(0), i = s.op<linalg::IndexOp>(1), j = s.op<linalg::IndexOp>(2);
        Value at = k.get(s, index), row = s.op<arith::IndexCastOp>(index, args[0]);
        auto isRow = [&](Value r) { return s.cmp(arith::CmpIPredicate::eq, i, r); };
        Value from = s.select(isRow(at), row, s.select(isRow(row), at, i));
        Value element = read(s, n, from, j), first = read(s, n, from, at);
        Value top = read(s, n, row, at), above = read(s, n, row, j);
        Value isZero = s.cmp(arith::CmpFPredicate::OEQ, top, s.like(top, 0));
        Value ratio = s.divF(first, s.select(isZero, s.like(top, 1), top));
        Value rest = s.sub(element, s.mul(ratio, above));
        return s.select(s.cmp(arith::CmpIPredicate::sle, i, at), element, rest);
      });
  return std::pair(next, nextFactor);
}

FailureOr<Tensor> determinant(Builder &b, const Tensor &x) {
  if (x.rank() < 2 || !x.isFloat())
    return b.error() << "expected square matrices of floats, found " << x.str();
  int64_t rank = x.rank();
  if (failed(checkSame(b, x.shape[rank - 2], x.shape[rank - 1], "the sizes of a matrix")))
    return failure();
  Dim size = x.shape[rank - 1];
  Dims batch(x.shape.begin(), x.shape.end() - 2);
  Type type = x.elementType, wide = computeType(type);
  auto matrices = cast(b, b.reshape(x, {product(batch), size, size}), wide, false);
  if (failed(matrices))
    return failure();
  Tensor factor = b.splat({product(batch)}, wide, 1);
  auto last = [&]() -> FailureOr<Tensor> {
    if (size.isConstant() && size.constant() <= kMaxUnrolled) {
      Tensor a = *matrices;
      for (int64_t k = 0; k < size.constant(); ++k) {
        auto next = eliminate(b, a, factor, k);
        if (failed(next))
          return failure();
        std::tie(a, factor) = *next;
      }
      return factor;
    }
    bool isGood = true;
    auto results = countedLoop(b, size, {*matrices, factor}, [&](Dim turn, ArrayRef<Tensor> carried) {
      auto next = eliminate(b, carried[0], carried[1], turn);
      isGood &= succeeded(next);
      if (failed(next))
        return SmallVector<Tensor>(carried);
      return SmallVector<Tensor>{next->first, next->second};
    });
    return isGood ? FailureOr<Tensor>(results[1]) : FailureOr<Tensor>(failure());
  }();
  if (failed(last))
    return failure();
  return cast(b, b.reshape(*last, batch), type, false);
}

} // namespace eyrie::ops
