// Elements picked by indices that the model computes.
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

Tensor gatherMap(Builder &b, const Tensor &x, ArrayRef<Dim> shape, ArrayRef<Tensor> more, ArrayRef<AffineMap> maps,
                 llvm::function_ref<SmallVector<Value>(const Scalar &, ValueRange, ValueRange)> body) {
  Value source = b.value(x);
  return b.map(
      shape, x.elementType, more, maps,
      [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
        Scalar s{builder, loc};
        SmallVector<Value> indices;
        for (unsigned d = 0; d < shape.size(); ++d)
          indices.push_back(s.op<linalg::IndexOp>(d));
        return s.op<tensor::ExtractOp>(source, body(s, indices, args));
      },
      x.isUnsigned);
}

Value safeIndex(const Scalar &s, Value number, Value size, bool isUnsigned) {
  Type index = s.b.getIndexType();
  Value zero = s.index(0), last = s.op<arith::SubIOp>(size, s.index(1));
  Value i = isUnsigned ? s.op<arith::IndexCastUIOp>(index, number) : s.op<arith::IndexCastOp>(index, number);
  if (!isUnsigned)
    i = s.select(s.cmp(arith::CmpIPredicate::slt, i, zero), s.op<arith::AddIOp>(i, size), i);
  return s.op<arith::MaxSIOp>(Value(s.op<arith::MinSIOp>(i, last)), zero);
}

static LogicalResult checkIndices(Builder &b, const Tensor &indices) {
  if (indices.isInteger() && !indices.isBool())
    return success();
  return b.error() << "indices must be integers, found " << indices.str();
}

/// One known index: a part of x.
static std::optional<Tensor> gatherOne(Builder &b, const Tensor &x, const Tensor &indices, int64_t axis,
                                       ArrayRef<Dim> shape) {
  if (!indices.contents || indices.contents->size() != 1)
    return std::nullopt;
  Dim at = indices.contents->front();
  if (at.isConstant() && at.constant() < 0)
    at += x.shape[axis];
  bool isInside = lowerBound(at).value_or(-1) >= 0 && isLess(at, x.shape[axis]) == std::optional<bool>(true);
  // A size known only at run time: assumed to be large enough for a constant index that models use (0, -1).
  if (!isInside && !(indices.contents->front().isConstant() && x.shape[axis].isSymbolic()))
    return std::nullopt;
  Dims offsets(x.rank(), Dim(0)), sizes = x.shape;
  offsets[axis] = at, sizes[axis] = 1;
  return b.reshape(b.extract(x, offsets, sizes, SmallVector<int64_t>(x.rank(), 1)), shape);
}

FailureOr<Tensor> gather(Builder &b, const Tensor &x, const Tensor &indices, int64_t axis) {
  auto position = normalizeAxis(b, axis, x.rank());
  if (failed(position) || failed(checkIndices(b, indices)))
    return failure();
  int64_t a = *position, q = indices.rank();
  Dims shape(x.shape.begin(), x.shape.begin() + a);
  shape.append(indices.shape.begin(), indices.shape.end());
  shape.append(x.shape.begin() + a + 1, x.shape.end());
  if (indices.contents && x.shape[a].isConstant()) {
    int64_t size = x.shape[a].constant();
    for (Dim d : *indices.contents)
      if (d.isConstant() && (d.constant() < -size || d.constant() >= size))
        return b.error() << "index " << d.constant() << " is out of range for dimension " << a << " of " << x.str();
  }
  if (x.contents && x.rank() == 1 && indices.contents &&
      llvm::all_of(*indices.contents, [](Dim d) { return d.isConstant(); })) {
    Dims contents;
    int64_t size = x.contents->size();
    for (Dim d : *indices.contents)
      contents.push_back((*x.contents)[d.constant() < 0 ? d.constant() + size : d.constant()]);
    return fromContents(x.elementType, shape, contents, x.isUnsigned);
  }
  if (auto one = gatherOne(b, x, indices, a, shape))
    return *one;
  Count size(b, x.shape[a]);
  AffineMap map = projection(b, shape.size(), llvm::to_vector(llvm::seq<int64_t>(a, a + q)));
  return gatherMap(b, x, shape, indices, map, [&](const Scalar &s, ValueRange at, ValueRange args) {
    SmallVector<Value> from(at.begin(), at.begin() + a);
    from.push_back(safeIndex(s, args[0], size.get(s, s.b.getIndexType()), indices.isUnsigned));
    from.append(at.begin() + a + q, at.end());
    return from;
  });
}

FailureOr<Tensor> gatherElements(Builder &b, const Tensor &x, const Tensor &indices, int64_t axis) {
  auto position = normalizeAxis(b, axis, x.rank());
  if (failed(position) || failed(checkIndices(b, indices)))
    return failure();
  if (indices.rank() != x.rank())
    return b.error() << "indices " << indices.str() << " must have the rank of " << x.str();
  for (int64_t i = 0; i < x.rank(); ++i)
    if (i != *position && isLess(x.shape[i], indices.shape[i]) == std::optional<bool>(true))
      return b.error() << "indices " << indices.str() << " reach past " << x.str() << " in dimension " << i;
  Count size(b, x.shape[*position]);
  return gatherMap(b, x, indices.shape, indices, b.identity(x.rank()),
                   [&](const Scalar &s, ValueRange at, ValueRange args) {
                     SmallVector<Value> from(at);
                     from[*position] = safeIndex(s, args[0], size.get(s, s.b.getIndexType()), indices.isUnsigned);
                     return from;
                   });
}

FailureOr<Tensor> gatherND(Builder &b, const Tensor &x, const Tensor &indices, int64_t batchDims) {
  if (failed(checkIndices(b, indices)))
    return failure();
  if (indices.rank() < 1 || !indices.shape.back().isConstant())
    return b.error() << "the last dimension of the indices must be known, found " << indices.str();
  int64_t depth = indices.shape.back().constant(), q = indices.rank() - 1;
  if (batchDims < 0 || batchDims > q || depth < 1 || batchDims + depth > x.rank())
    return b.error() << "indices " << indices.str() << " with batch_dims = " << batchDims << " do not fit " << x.str();
  Dims shape(indices.shape.begin(), indices.shape.end() - 1);
  shape.append(x.shape.begin() + batchDims + depth, x.shape.end());
  // One operand per coordinate: the same indices, another constant in the last place.
  SmallVector<Tensor> operands(depth, indices);
  SmallVector<AffineMap> maps;
  SmallVector<Count> sizes;
  for (int64_t j = 0; j < depth; ++j) {
    SmallVector<AffineExpr> exprs;
    for (int64_t d = 0; d < q; ++d)
      exprs.push_back(b.builder.getAffineDimExpr(d));
    exprs.push_back(b.builder.getAffineConstantExpr(j));
    maps.push_back(AffineMap::get(shape.size(), 0, exprs, b.builder.getContext()));
    sizes.emplace_back(b, x.shape[batchDims + j]);
  }
  return gatherMap(b, x, shape, operands, maps, [&](const Scalar &s, ValueRange at, ValueRange args) {
    SmallVector<Value> from(at.begin(), at.begin() + batchDims);
    for (int64_t j = 0; j < depth; ++j)
      from.push_back(safeIndex(s, args[j], sizes[j].get(s, s.b.getIndexType()), indices.isUnsigned));
    from.append(at.begin() + q, at.end());
    return from;
  });
}

FailureOr<Tensor> oneHot(Builder &b, const Tensor &indices, const Tensor &depth, const Tensor &values, int64_t axis) {
  auto count = cast(b, depth, b.builder.getI64Type(), false); // numbers of any type
  auto sizes = failed(count) ? FailureOr<Dims>(failure()) : b.integers(*count, "depth", /*lower=*/0);
  auto position = normalizeAxis(b, axis, indices.rank() + 1);
  if (failed(sizes) || failed(position))
    return failure();
  if (sizes->size() != 1 || values.rank() != 1 || !values.shape[0].is(2))
    return b.error() << "expected one depth and two values, found " << depth.str() << " and " << values.str();
  Dims shape = indices.shape;
  shape.insert(shape.begin() + *position, sizes->front());
  SmallVector<int64_t> reads;
  for (int64_t i = 0; i <= indices.rank(); ++i)
    if (i != *position)
      reads.push_back(i);
  Count size(b, sizes->front());
  auto valueMap = [&](int64_t i) {
    return AffineMap::get(shape.size(), 0, b.builder.getAffineConstantExpr(i), b.builder.getContext());
  };
  return b.map(
      shape, values.elementType, {indices, values, values},
      {projection(b, shape.size(), reads), valueMap(0), valueMap(1)},
      [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
        Scalar s{builder, loc};
        Type i64 = builder.getI64Type();
        Value index = scalarCast(s, args[0], indices.isUnsigned, i64, false);
        Value wrapped =
            s.select(s.cmp(arith::CmpIPredicate::slt, index, s.number(i64, 0)), s.add(index, size.get(s, i64)), index);
        Value here = s.loopNumber(*position);
        return s.select(s.cmp(arith::CmpIPredicate::eq, here, wrapped), args[2], args[1]);
      },
      values.isUnsigned);
}

FailureOr<Tensor> trilu(Builder &b, const Tensor &x, const Tensor *k, bool upper) {
  if (x.rank() < 2)
    return b.error() << "expected a tensor of rank 2 or more, found " << x.str();
  Dim offset = 0;
  if (k) {
    auto values = b.integers(*k, "k");
    if (failed(values) || values->size() != 1)
      return failed(values) ? failure() : b.error() << "k must be one number, found " << k->str();
    offset = values->front();
  }
  Count shift(b, offset);
  return elementwise(b, x.shape, x.elementType, x, x.isUnsigned, [&](const Scalar &s, ValueRange args) -> Value {
    Value row = s.op<linalg::IndexOp>(x.rank() - 2), column = s.op<linalg::IndexOp>(x.rank() - 1);
    Value diagonal = s.op<arith::AddIOp>(row, shift.get(s, s.b.getIndexType()));
    auto predicate = upper ? arith::CmpIPredicate::sge : arith::CmpIPredicate::sle;
    return s.select(s.cmp(predicate, column, diagonal), args[0], s.number(x.elementType, 0));
  });
}

} // namespace eyrie::ops
