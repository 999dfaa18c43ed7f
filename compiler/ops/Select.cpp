#include "compiler/ops/Select.h"
#include "compiler/ops/Scalar.h"
#include "compiler/ops/Scan.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

/// The indices of small known tensors.
static std::optional<Tensor> foldNonZero(Builder &b, const Tensor &mask, ArrayRef<Dim> shape) {
  DenseElementsAttr known = knownElements(mask);
  if (!known || known.getNumElements() > kMaxContents)
    return std::nullopt;
  int64_t rank = shape.size();
  SmallVector<int64_t> places, indices;
  for (auto [i, holds] : llvm::enumerate(known.getValues<bool>()))
    if (holds)
      places.push_back(i);
  for (int64_t d = 0; d < rank; ++d) {
    int64_t stride = product(shape.drop_front(d + 1)).constant();
    for (int64_t place : places)
      indices.push_back(place / stride % shape[d].constant());
  }
  auto type = RankedTensorType::get({rank, static_cast<int64_t>(places.size())}, b.builder.getI64Type());
  return fromConstant(DenseElementsAttr::get(type, ArrayRef<int64_t>(indices)));
}

FailureOr<Tensor> nonZero(Builder &b, const Tensor &x) {
  Type i64 = b.builder.getI64Type();
  int64_t rank = x.rank();
  std::optional<bool> uniform = allNonZero(x);
  if (uniform == std::optional<bool>(false) || x.numElements().is(0))
    return b.empty({rank, 0}, i64);
  auto isNonZero = cast(b, x, b.builder.getI1Type(), false);
  if (failed(isNonZero))
    return failure();
  if (auto folded = foldNonZero(b, *isNonZero, x.shape))
    return *folded;
  Dim count = x.numElements();
  Value places; // null: all of them
  if (!uniform) {
    auto positions = positionsOf(b, b.reshape(*isNonZero, {count}));
    if (failed(positions))
      return failure();
    count = positions->shape[0];
    places = b.value(*positions);
  }
  SmallVector<Count> sizes;
  for (Dim size : x.shape)
    sizes.emplace_back(b, size);
  return b.map({rank, count}, i64, {}, {}, [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
    Scalar s{builder, loc};
    Value row = s.op<linalg::IndexOp>(0), number = s.op<linalg::IndexOp>(1);
    Value rest = places ? Value(s.op<tensor::ExtractOp>(places, number)) : s.loopNumber(1), result = rest;
    for (int64_t d = rank - 1; d > 0; --d) {
      // There is no element of a tensor with a size of 0; the division must not trap even so.
      Value size = s.max(sizes[d].get(s, i64), s.number(i64, 1));
      Value isHere = s.cmp(arith::CmpIPredicate::eq, row, s.index(d));
      Value quotient = s.op<arith::DivUIOp>(rest, size);
      Value index = s.sub(rest, s.mul(quotient, size));
      rest = quotient;
      result = d == rank - 1 ? index : s.select(isHere, index, result);
    }
    return rank > 1 ? s.select(s.cmp(arith::CmpIPredicate::eq, row, s.index(0)), rest, result) : rest;
  });
}

FailureOr<Tensor> compress(Builder &b, const Tensor &given, const Tensor &condition, std::optional<int64_t> axis) {
  if (!condition.isBool() || condition.rank() != 1)
    return b.error() << "the condition must be a vector of booleans, found " << condition.str();
  Tensor x = axis ? given : b.reshape(given, {given.numElements()});
  auto position = normalizeAxis(b, axis.value_or(0), x.rank());
  if (failed(position))
    return failure();
  Dim size = x.shape[*position], considered = min(condition.shape[0], size);
  auto positions = positionsOf(b, b.extract(condition, {0}, considered, {1}));
  if (failed(positions))
    return failure();
  Dims shape = x.shape;
  shape[*position] = positions->shape[0];
  Value places = b.value(*positions);
  return gatherMap(b, x, shape, {}, {}, [&](const Scalar &s, ValueRange at, ValueRange) {
    SmallVector<Value> from(at);
    Value place = s.op<tensor::ExtractOp>(places, at[*position]);
    from[*position] = s.op<arith::IndexCastOp>(s.b.getIndexType(), place);
    return from;
  });
}

} // namespace eyrie::ops
