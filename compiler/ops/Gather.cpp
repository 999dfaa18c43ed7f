// Elements picked by indices that the model computes.
#include "compiler/graph/Graph.h"
#include "compiler/graph/Parameters.h"
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

static void requireIndices(Builder &b, ArrayRef<Tensor> indices, ArrayRef<AffineMap> maps, ArrayRef<Dim> loopSizes,
                           ArrayRef<Dim> sizes) {
  SmallVector<Count> counts;
  for (Dim size : sizes)
    counts.emplace_back(b, size);
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, loopSizes.size()));
  Tensor bad = reduceAxes(b, indices, maps, loopSizes, axes, b.builder.getI32IntegerAttr(0), /*isUnsigned=*/false,
                          [&](const Scalar &s, Value acc, ValueRange args) {
                            for (auto [number, size, tensor] : llvm::zip_equal(args, counts, indices)) {
                              Type index = s.b.getIndexType();
                              Value end = size.get(s, index);
                              Value i = tensor.isUnsigned ? s.op<arith::IndexCastUIOp>(index, number)
                                                          : s.op<arith::IndexCastOp>(index, number);
                              Value isOutside = s.cmp(arith::CmpIPredicate::sge, i, end);
                              if (!tensor.isUnsigned)
                                isOutside = s.op<arith::OrIOp>(isOutside, s.cmp(arith::CmpIPredicate::slt, i,
                                                                                s.op<arith::SubIOp>(s.index(0), end)));
                              acc = s.op<arith::OrIOp>(acc, s.op<arith::ExtUIOp>(s.b.getI32Type(), isOutside));
                            }
                            return acc;
                          });
  Value zero = arith::ConstantIntOp::create(b.builder, b.loc, 0, 32);
  Value found = graph::ReadScalarOp::create(b.builder, b.loc, b.builder.getI32Type(), b.value(bad), ValueRange());
  Value holds = arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::eq, found, zero);
  std::string text = "an index is out of range: expected from -n to n - 1 for a dimension of size n";
  for (auto [i, size] : llvm::enumerate(sizes))
    text += (i ? ", " : ", where n is ") + size.str();
  b.require(holds, text)->setAttr(graph::kAtEnd, b.builder.getUnitAttr());
}

/// The least and the largest of values that are, or are a part of, a constant of the model.
static std::optional<std::pair<int64_t, int64_t>> constantBounds(Builder &b, Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (isa<tensor::ExtractSliceOp, graph::ReshapeOp, tensor::CastOp, tensor::ExpandShapeOp, tensor::CollapseShapeOp>(
            op)) {
      value = op->getOperand(0);
      continue;
    }
    ElementsAttr elements;
    if (auto load = dyn_cast<graph::LoadGlobalOp>(op)) {
      auto global = b.module.lookupSymbol<graph::GlobalOp>(load.getGlobal());
      if (global && global.getValue() && !global->hasAttr(graph::kParameter))
        elements = dyn_cast<ElementsAttr>(*global.getValue());
    } else {
      matchPattern(value, m_Constant(&elements));
    }
    if (!elements || !isa<IntegerType>(elements.getElementType()))
      return std::nullopt;
    std::pair<int64_t, int64_t> bounds = {INT64_MAX, INT64_MIN};
    auto add = [&](int64_t v) { bounds = {std::min(bounds.first, v), std::max(bounds.second, v)}; };
    if (auto known = dyn_cast<DenseIntElementsAttr>(elements))
      for (const APInt &v : known.getValues<APInt>())
        add(v.getSExtValue());
    else if (auto large = dyn_cast<DenseI64ResourceElementsAttr>(elements); large && large.tryGetAsArrayRef())
      llvm::for_each(*large.tryGetAsArrayRef(), add);
    else if (auto narrow = dyn_cast<DenseI32ResourceElementsAttr>(elements); narrow && narrow.tryGetAsArrayRef())
      llvm::for_each(*narrow.tryGetAsArrayRef(), add);
    else
      return std::nullopt;
    return bounds;
  }
  return std::nullopt;
}

void requireIndices(Builder &b, const Tensor &indices, Dim size) {
  auto isInside = [&](Dim d) {
    return (lowerBound(d).value_or(-1) >= 0 && isLess(d, size) == std::optional<bool>(true)) ||
           (d.isConstant() && size.isConstant() && -size.constant() <= d.constant() && d.constant() < size.constant());
  };
  if (indices.contents && llvm::all_of(*indices.contents, isInside))
    return;
  auto bounds = indices.contents || indices.isUnsigned ? std::nullopt : constantBounds(b, b.value(indices));
  if (!bounds || (bounds->first <= bounds->second && !(isInside(bounds->first) && isInside(bounds->second))))
    requireIndices(b, indices, b.identity(indices.rank()), indices.shape, size);
}

SmallVector<AffineMap> coordinateMaps(Builder &b, unsigned loops, unsigned first, const Tensor &coordinates) {
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 0; d + 1 < coordinates.rank(); ++d)
    exprs.push_back(b.builder.getAffineDimExpr(first + d));
  SmallVector<AffineMap> maps;
  for (int64_t j = 0, depth = coordinates.shape.back().constant(); j < depth; ++j) {
    exprs.push_back(b.builder.getAffineConstantExpr(j));
    maps.push_back(AffineMap::get(loops, 0, exprs, b.builder.getContext()));
    exprs.pop_back();
  }
  return maps;
}

void requireCoordinates(Builder &b, const Tensor &indices, ArrayRef<Dim> sizes) {
  requireIndices(b, SmallVector<Tensor>(sizes.size(), indices), coordinateMaps(b, indices.rank() - 1, 0, indices),
                 ArrayRef(indices.shape).drop_back(), sizes);
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
  // A size known only at run time: large enough for a constant index that models use (0, -1), or an error.
  if (!isInside && !(indices.contents->front().isConstant() && x.shape[axis].isSymbolic()))
    return std::nullopt;
  Dims offsets(x.rank(), Dim(0)), sizes = x.shape;
  offsets[axis] = at, sizes[axis] = 1;
  if (!isInside) {
    Value i = b.index(at), zero = b.index(0), end = b.index(x.shape[axis]);
    auto holds = [&](arith::CmpIPredicate predicate, Value bound) {
      return Value(arith::CmpIOp::create(b.builder, b.loc, predicate, i, bound));
    };
    b.require(arith::AndIOp::create(b.builder, b.loc, holds(arith::CmpIPredicate::sge, zero),
                                    holds(arith::CmpIPredicate::slt, end)),
              "index " + indices.contents->front().str() + " is out of range for the size " + x.shape[axis].str());
  }
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
  requireIndices(b, indices, x.shape[a]);
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
  requireIndices(b, indices, x.shape[*position]);
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
  SmallVector<AffineMap> maps = coordinateMaps(b, shape.size(), 0, indices);
  SmallVector<Count> sizes;
  for (int64_t j = 0; j < depth; ++j)
    sizes.emplace_back(b, x.shape[batchDims + j]);
  requireCoordinates(b, indices, ArrayRef(x.shape).slice(batchDims, depth));
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
