// Grid sampling: bodies that read a few neighbours of a place which the model computes.
#include "compiler/ops/Sampling.h"
#include "compiler/ops/Vision.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

SampleTap tapAt(const Scalar &s, Value x, Value size) {
  Type i64 = s.b.getI64Type();
  Value number = scalarCast(s, x, false, i64, false);
  Value last = s.op<arith::SubIOp>(Value(s.op<arith::IndexCastOp>(i64, size)), s.number(i64, 1));
  Value clamped = s.max(s.min(number, last), s.number(i64, 0));
  Value isInside = s.cmp(arith::CmpIPredicate::eq, clamped, number);
  return {s.op<arith::IndexCastOp>(s.b.getIndexType(), clamped), isInside, nullptr};
}

SampleTaps linearTaps(const Scalar &s, Value x, Value size) {
  Value low = s.op<math::FloorOp>(x), fraction = s.sub(x, low);
  SampleTap first = tapAt(s, low, size), second = tapAt(s, s.add(low, 1.0), size);
  first.weight = s.sub(s.like(x, 1), fraction);
  second.weight = fraction;
  return {first, second};
}

Value sampleTaps(const Scalar &s, Value source, bool isUnsigned, SmallVector<Value> indices, ArrayRef<SampleTaps> dims,
                 Type wide) {
  auto walk = [&](auto &self, ArrayRef<SampleTaps> rest, Value isInside) -> Value {
    if (rest.empty()) {
      Value element = s.op<tensor::ExtractOp>(source, indices);
      element = scalarCast(s, element, isUnsigned, wide, false);
      return isInside ? s.select(isInside, element, s.like(element, 0)) : element;
    }
    Value sum;
    for (const SampleTap &tap : rest.front()) {
      indices.push_back(tap.index);
      Value both = isInside && tap.isInside ? Value(s.op<arith::AndIOp>(isInside, tap.isInside))
                   : isInside               ? isInside
                                            : tap.isInside;
      Value term = self(self, rest.drop_front(), both);
      indices.pop_back();
      if (tap.weight)
        term = s.mul(term, scalarCast(s, tap.weight, false, wide, false));
      sum = sum ? s.add(sum, term) : term;
    }
    return sum;
  };
  return walk(walk, dims, nullptr);
}

namespace {

/// One dimension of the sampled tensor.
struct GridAxis {
  const Scalar &s;
  Value size;      // index
  Value floatSize; // of the grid's compute type
  SamplePadding padding;
  bool alignCorners;

  Value number(double v) const { return s.like(floatSize, v); }
  Value lowest() const { return number(alignCorners ? 0 : -0.5); }
  Value highest() const { return s.sub(floatSize, number(alignCorners ? 1 : 0.5)); }
  Value last() const { return s.sub(floatSize, number(1)); }

  /// [-1, 1] to positions.
  Value denormalize(Value x) const {
    Value shifted = s.add(x, 1.0);
    return alignCorners ? s.mul(s.mul(shifted, 0.5), last()) : s.mul(s.sub(s.mul(shifted, floatSize), number(1)), 0.5);
  }
  /// Mirrored at the borders until it is inside.
  Value reflect(Value x) const {
    Value low = lowest(), range = s.sub(highest(), low);
    Value period = s.mul(range, 2.0), isDegenerate = s.cmp(arith::CmpFPredicate::OLE, range, number(0));
    Value safe = s.select(isDegenerate, number(1), period);
    Value offset = s.sub(x, low);
    Value turns = s.op<math::FloorOp>(s.divF(offset, safe)), rest = s.sub(offset, s.mul(turns, safe));
    Value mirrored = s.add(low, s.min(rest, s.sub(safe, rest)));
    Value isOutside = s.op<arith::OrIOp>(s.less(x, low), s.less(highest(), x));
    return s.select(isOutside, s.select(isDegenerate, low, mirrored), x);
  }
  Value intoBorders(Value x) const {
    if (padding == SamplePadding::Zeros)
      return x;
    if (padding == SamplePadding::Border)
      return s.min(s.max(x, number(0)), last());
    return reflect(x);
  }
  /// The element at a whole position.
  SampleTap tap(Value x) const {
    // Reflected positions are cut towards zero, as a half of a position is outside.
    if (padding == SamplePadding::Reflection)
      x = s.max(reflect(x), number(0));
    SampleTap result = tapAt(s, x, size);
    if (padding != SamplePadding::Zeros)
      result.isInside = nullptr;
    return result;
  }
  /// The cubic convolution kernel with a = -0.75 at distance d (Keys 1981).
  Value cubicWeight(Value d, bool isFar) const {
    const double a = -0.75;
    if (!isFar)
      return s.add(s.mul(s.mul(s.add(s.mul(d, a + 2), -(a + 3)), d), d), 1.0);
    return s.add(s.mul(s.add(s.mul(s.add(s.mul(d, a), -5 * a), d), 8 * a), d), -4 * a);
  }
  SampleTaps taps(Value x, SampleMode mode) const {
    if (mode == SampleMode::Nearest)
      return {tap(intoBorders(s.op<math::RoundEvenOp>(x)))};
    x = intoBorders(x);
    Value low = s.op<math::FloorOp>(x), fraction = s.sub(x, low), rest = s.sub(number(1), fraction);
    SampleTaps result;
    if (mode == SampleMode::Linear) {
      result = {tap(low), tap(s.add(low, 1.0))};
      result[0].weight = rest, result[1].weight = fraction;
      return result;
    }
    result = {tap(s.add(low, -1.0)), tap(low), tap(s.add(low, 1.0)), tap(s.add(low, 2.0))};
    result[0].weight = cubicWeight(s.add(fraction, 1.0), true);
    result[1].weight = cubicWeight(fraction, false);
    result[2].weight = cubicWeight(rest, false);
    result[3].weight = cubicWeight(s.add(rest, 1.0), true);
    return result;
  }
};

} // namespace

FailureOr<Tensor> gridSample(Builder &b, const Tensor &x, const Tensor &grid, SampleMode mode, SamplePadding padding,
                             bool alignCorners) {
  int64_t space = x.rank() - 2;
  if (space < 1 || grid.rank() != x.rank() || !grid.isFloat() || !grid.shape.back().is(space))
    return b.error() << "the grid for " << x.str() << " must be floats of rank " << x.rank()
                     << " with a last dimension of " << space << ", found " << grid.str();
  if (failed(checkSame(b, x.shape[0], grid.shape[0], "the batches of input and grid")))
    return failure();
  Dims shape{x.shape[0], x.shape[1]};
  shape.append(grid.shape.begin() + 1, grid.shape.end() - 1);
  if (llvm::any_of(x.shape, [](Dim d) { return d.is(0); }))
    return b.splat(shape, x.elementType, 0, x.isUnsigned);
  SmallVector<Tensor> operands(space, grid);
  SmallVector<AffineMap> maps;
  SmallVector<Count> sizes;
  for (int64_t d = 0; d < space; ++d) {
    SmallVector<AffineExpr> exprs{b.builder.getAffineDimExpr(0)};
    for (int64_t i = 0; i < space; ++i)
      exprs.push_back(b.builder.getAffineDimExpr(2 + i));
    exprs.push_back(b.builder.getAffineConstantExpr(space - 1 - d));
    maps.push_back(AffineMap::get(shape.size(), 0, exprs, b.builder.getContext()));
    sizes.emplace_back(b, x.shape[2 + d]);
  }
  Value source = b.value(x);
  Type wide = mode == SampleMode::Nearest ? x.elementType
              : x.isFloat()               ? computeType(x.elementType)
                                          : Type(b.builder.getF32Type());
  return b.map(
      shape, x.elementType, operands, maps,
      [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
        Scalar s{builder, loc};
        Type place = computeType(grid.elementType);
        SmallVector<SampleTaps> taps;
        for (int64_t d = 0; d < space; ++d) {
          GridAxis axis{s, sizes[d].get(s, builder.getIndexType()), sizes[d].get(s, place), padding, alignCorners};
          taps.push_back(axis.taps(axis.denormalize(scalarCast(s, args[d], false, place, false)), mode));
        }
        SmallVector<Value> indices{s.op<linalg::IndexOp>(0), s.op<linalg::IndexOp>(1)};
        Value sum = sampleTaps(s, source, x.isUnsigned, indices, taps, wide);
        return scalarCast(s, sum, x.isUnsigned, x.elementType, x.isUnsigned);
      },
      x.isUnsigned);
}

FailureOr<Tensor> affineGrid(Builder &b, const Tensor &theta, const Tensor &size, bool alignCorners) {
  auto sizes = readShape(b, size);
  if (failed(sizes))
    return failure();
  int64_t space = static_cast<int64_t>(sizes->size()) - 2;
  if (space < 2 || space > 3 || theta.rank() != 3 || !theta.isFloat() || !theta.shape[1].is(space) ||
      !theta.shape[2].is(space + 1))
    return b.error() << "expected theta [N, 2, 3] and 4 sizes, or theta [N, 3, 4] and 5 sizes, found " << theta.str()
                     << " and " << sizes->size() << " sizes";
  if (failed(checkSame(b, theta.shape[0], sizes->front(), "the batches of theta and size")))
    return failure();
  Dims shape{theta.shape[0]};
  shape.append(sizes->begin() + 2, sizes->end());
  shape.push_back(space);
  SmallVector<Count> extents;
  for (int64_t d = 0; d < space; ++d)
    extents.emplace_back(b, (*sizes)[2 + d]);
  // One operand per column of theta.
  SmallVector<Tensor> operands(space + 1, theta);
  SmallVector<AffineMap> maps;
  for (int64_t j = 0; j <= space; ++j)
    maps.push_back(AffineMap::get(shape.size(), 0,
                                  {b.builder.getAffineDimExpr(0), b.builder.getAffineDimExpr(space + 1),
                                   b.builder.getAffineConstantExpr(j)},
                                  b.builder.getContext()));
  Type type = theta.elementType, wide = computeType(type);
  return b.map(shape, type, operands, maps, [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
    Scalar s{builder, loc};
    Value sum = scalarCast(s, args[space], false, wide, false);
    for (int64_t j = 0; j < space; ++j) {
      int64_t d = space - 1 - j;
      Value index = s.op<arith::IndexCastOp>(builder.getI64Type(), Value(s.op<linalg::IndexOp>(d + 1)));
      Value i = s.op<arith::SIToFPOp>(wide, index), extent = extents[d].get(s, wide);
      // The middles of pixels, or with aligned corners the ends of the range.
      Value steps = alignCorners ? s.max(s.add(extent, -1.0), s.like(extent, 1)) : extent;
      Value place = s.add(s.divF(s.add(s.mul(i, 2.0), alignCorners ? 0.0 : 1.0), steps), -1.0);
      sum = s.add(sum, s.mul(scalarCast(s, args[j], false, wide, false), place));
    }
    return scalarCast(s, sum, false, type, false);
  });
}

} // namespace eyrie::ops
