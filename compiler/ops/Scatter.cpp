// Elements put at places that the model computes, as reductions over the updates: each element of the result looks for
// the updates that are meant for it. No two threads write one element, and the order of equal places is kept.
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

static Value combine(const Scalar &s, Scatter kind, Value old, Value update, bool isUnsigned) {
  switch (kind) {
  case Scatter::Set:
    return update;
  case Scatter::Add:
    return s.add(old, update);
  case Scatter::Mul:
    return s.mul(old, update);
  case Scatter::Min:
    return s.min(old, update, isUnsigned);
  case Scatter::Max:
    return s.max(old, update, isUnsigned);
  }
  return update;
}

static LogicalResult checkOperands(Builder &b, const Tensor &x, const Tensor &indices, const Tensor &updates) {
  if (x.elementType != updates.elementType)
    return b.error() << "the updates " << updates.str() << " must have the type of " << x.str();
  if (!indices.isInteger() || indices.isBool())
    return b.error() << "indices must be integers, found " << indices.str();
  return success();
}

/// A number of the model as an index; negative ones count from the end. Out of range stays out of range: such an
/// update finds no place.
static Value placeOf(const Scalar &s, Value number, Value size) {
  Value i = s.op<arith::IndexCastOp>(s.b.getIndexType(), number);
  return s.select(s.cmp(arith::CmpIPredicate::slt, i, s.index(0)), s.op<arith::AddIOp>(i, size), i);
}

FailureOr<Tensor> scatterElements(Builder &b, const Tensor &x, const Tensor &indices, const Tensor &updates,
                                  int64_t axis, Scatter kind) {
  auto position = normalizeAxis(b, axis, x.rank());
  if (failed(position) || failed(checkOperands(b, x, indices, updates)))
    return failure();
  if (indices.rank() != x.rank() || updates.rank() != x.rank())
    return b.error() << "indices " << indices.str() << " and updates " << updates.str() << " must have the rank of "
                     << x.str();
  for (int64_t i = 0; i < x.rank(); ++i)
    if (failed(checkSame(b, indices.shape[i], updates.shape[i], "indices and updates")))
      return failure();
  // The part of x that updates can reach: all of the axis, the front of the other dimensions.
  Dims offsets(x.rank(), Dim(0)), sizes = indices.shape;
  sizes[*position] = x.shape[*position];
  SmallVector<int64_t> ones(x.rank(), 1);
  for (int64_t i = 0; i < x.rank(); ++i)
    if (isLess(x.shape[i], sizes[i]) == std::optional<bool>(true))
      return b.error() << "indices " << indices.str() << " reach past " << x.str() << " in dimension " << i;
  Tensor part = b.extract(x, offsets, sizes, ones);
  unsigned rank = x.rank();
  SmallVector<int64_t> reads = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  reads[*position] = rank;
  requireIndices(b, indices, x.shape[*position]);
  Count size(b, x.shape[*position]);
  AffineMap outMap = AffineMap::getMultiDimIdentityMap(rank + 1, b.builder.getContext()).getMajorSubMap(rank);
  Tensor updated =
      b.reduce(part, outMap, rank, {indices, updates}, {projection(b, rank + 1, reads), projection(b, rank + 1, reads)},
               [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
                 Scalar s{builder, loc};
                 Value place = placeOf(s, args[0], size.get(s, builder.getIndexType()));
                 Value isHere = s.cmp(arith::CmpIPredicate::eq, place, s.op<linalg::IndexOp>(*position));
                 return s.select(isHere, combine(s, kind, args[2], args[1], x.isUnsigned), args[2]);
               });
  if (sizes == x.shape)
    return updated;
  SmallVector<OpFoldResult> steps(rank, b.builder.getIndexAttr(1));
  Value result =
      tensor::InsertSliceOp::create(b.builder, b.loc, updated.value, b.value(x), b.fold(offsets), b.fold(sizes), steps);
  return fromValue(result, x.shape, x.isUnsigned);
}

FailureOr<Tensor> scatterND(Builder &b, const Tensor &x, const Tensor &indices, const Tensor &updates, Scatter kind) {
  if (failed(checkOperands(b, x, indices, updates)))
    return failure();
  if (indices.rank() < 1 || !indices.shape.back().isConstant())
    return b.error() << "the last dimension of the indices must be known, found " << indices.str();
  int64_t depth = indices.shape.back().constant(), q = indices.rank() - 1, rank = x.rank();
  if (depth > rank || updates.rank() != q + rank - depth)
    return b.error() << "indices " << indices.str() << " and updates " << updates.str() << " do not fit " << x.str();
  for (int64_t i = 0; i < updates.rank(); ++i)
    if (failed(checkSame(b, updates.shape[i], i < q ? indices.shape[i] : x.shape[i - q + depth],
                         "updates " + updates.str() + " do not fit " + x.str())))
      return failure();
  // Loops: the dimensions of x, then those of the list of indices.
  unsigned loops = rank + q;
  SmallVector<AffineExpr> updateExprs;
  for (int64_t i = 0; i < q; ++i)
    updateExprs.push_back(b.builder.getAffineDimExpr(rank + i));
  SmallVector<Tensor> operands(depth, indices);
  SmallVector<AffineMap> maps = coordinateMaps(b, loops, rank, indices);
  SmallVector<Count> sizes;
  for (int64_t j = 0; j < depth; ++j)
    sizes.emplace_back(b, x.shape[j]);
  requireCoordinates(b, indices, ArrayRef(x.shape).take_front(depth));
  for (int64_t i = depth; i < rank; ++i)
    updateExprs.push_back(b.builder.getAffineDimExpr(i));
  operands.push_back(updates);
  maps.push_back(AffineMap::get(loops, 0, updateExprs, b.builder.getContext()));
  AffineMap outMap = AffineMap::getMultiDimIdentityMap(loops, b.builder.getContext()).getMajorSubMap(rank);
  return b.reduce(x, outMap, llvm::to_vector(llvm::seq<unsigned>(rank, loops)), operands, maps,
                  [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
                    Scalar s{builder, loc};
                    Value isHere = s.op<arith::ConstantOp>(builder.getBoolAttr(true));
                    for (int64_t j = 0; j < depth; ++j) {
                      Value place = placeOf(s, args[j], sizes[j].get(s, builder.getIndexType()));
                      Value same = s.cmp(arith::CmpIPredicate::eq, place, s.op<linalg::IndexOp>(j));
                      isHere = s.op<arith::AndIOp>(isHere, same);
                    }
                    Value old = args[depth + 1];
                    return s.select(isHere, combine(s, kind, old, args[depth], x.isUnsigned), old);
                  });
}

FailureOr<SmallVector<Tensor>> topK(Builder &b, const Tensor &x, const Tensor &k, int64_t axis, bool largest) {
  auto position = normalizeAxis(b, axis, x.rank());
  auto count = b.integers(k, "k", /*lower=*/0);
  if (failed(position) || failed(count))
    return failure();
  if (count->size() != 1)
    return b.error() << "k must be one number, found " << k.str();
  Dim wanted = count->front(), length = x.shape[*position];
  if (isLess(length, wanted) == std::optional<bool>(true))
    return b.error() << "k = " << wanted.str() << " is more than dimension " << *position << " of " << x.str();
  unsigned rank = x.rank(), other = rank;
  Type i64 = b.builder.getI64Type();
  SmallVector<int64_t> along = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  along[*position] = other;
  AffineMap readOther = projection(b, rank + 1, along);
  AffineMap outMap = AffineMap::getMultiDimIdentityMap(rank + 1, b.builder.getContext()).getMajorSubMap(rank);
  // The place of an element is the number of those that come before it.
  Tensor place =
      b.reduce(b.splat(x.shape, i64, 0), outMap, other, {x, x}, {outMap, readOther},
               [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
                 Scalar s{builder, loc};
                 Value mine = args[0], its = args[1];
                 Value isBefore = largest ? s.less(mine, its, x.isUnsigned) : s.less(its, mine, x.isUnsigned);
                 Value isAfter = largest ? s.less(its, mine, x.isUnsigned) : s.less(mine, its, x.isUnsigned);
                 Value comesFirst =
                     s.cmp(arith::CmpIPredicate::slt, s.op<linalg::IndexOp>(other), s.op<linalg::IndexOp>(*position));
                 Value isEqual = s.op<arith::XOrIOp>(Value(s.op<arith::OrIOp>(isBefore, isAfter)),
                                                     Value(s.op<arith::ConstantOp>(builder.getBoolAttr(true))));
                 Value counts = s.op<arith::OrIOp>(isBefore, Value(s.op<arith::AndIOp>(isEqual, comesFirst)));
                 return s.add(args[2], s.op<arith::ExtUIOp>(i64, counts));
               });
  Dims shape = x.shape;
  shape[*position] = wanted;
  Tensor positions = b.reduce(b.splat(shape, i64, 0), outMap, other, place, readOther,
                              [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
                                Scalar s{builder, loc};
                                Value here = s.loopNumber(*position);
                                Value it = s.loopNumber(other);
                                return s.select(s.cmp(arith::CmpIPredicate::eq, args[0], here), it, args[1]);
                              });
  auto values = gatherElements(b, x, positions, *position);
  if (failed(values))
    return failure();
  return SmallVector<Tensor>{*values, positions};
}

} // namespace eyrie::ops
