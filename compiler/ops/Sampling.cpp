#include "compiler/ops/Sampling.h"
#include "compiler/ops/Taps.h"

using namespace mlir;

namespace eyrie::ops {

//===- affine grids -------------------------------------------------------------------------------------------------===

/// The position of loop `loop` of `size` in [-1, 1].
static Value basePosition(const Scalar &s, int64_t loop, Value size, bool alignCorners) {
  Value i = s.loopNumber(loop);
  Value position = s.mul(scalarCast(s, i, false, size.getType(), false), 2);
  if (alignCorners)
    return s.add(s.divF(position, s.max(s.add(size, -1), s.like(size, 1))), -1);
  return s.add(s.divF(s.add(position, 1), size), -1);
}

FailureOr<Tensor> affineGrid(Builder &b, const Tensor &theta, const Tensor &size, bool alignCorners) {
  auto sizes = readShape(b, size);
  if (failed(sizes))
    return failure();
  int64_t dims = static_cast<int64_t>(sizes->size()) - 2;
  if (dims < 1 || !theta.isFloat() || theta.rank() != 3 || !theta.shape[1].is(dims) || !theta.shape[2].is(dims + 1))
    return b.error() << "expected matrices [N, " << dims << ", " << dims + 1 << "] of floats for " << sizes->size()
                     << " sizes, found " << theta.str();
  if (failed(checkSame(b, theta.shape[0], sizes->front(), "theta " + theta.str() + " does not fit the first size")))
    return failure();
  Dims shape{theta.shape[0]};
  shape.append(sizes->begin() + 2, sizes->end());
  shape.push_back(dims);
  SmallVector<Tensor> operands(dims + 1, theta);
  SmallVector<AffineMap> maps;
  SmallVector<Count> counts;
  for (int64_t j = 0; j <= dims; ++j)
    maps.push_back(AffineMap::get(
        shape.size(), 0,
        {b.builder.getAffineDimExpr(0), b.builder.getAffineDimExpr(dims + 1), b.builder.getAffineConstantExpr(j)},
        b.builder.getContext()));
  for (int64_t d = 0; d < dims; ++d)
    counts.emplace_back(b, shape[1 + d]);
  Type type = computeType(theta.elementType);
  return b.map(shape, theta.elementType, operands, maps, [&](OpBuilder &builder, Location loc, ValueRange args) {
    Scalar s{builder, loc};
    Value sum = scalarCast(s, args[dims], false, type, false);
    for (int64_t j = 0; j < dims; ++j) { // innermost dimension first
      int64_t d = dims - 1 - j;
      Value position = basePosition(s, 1 + d, counts[d].get(s, type), alignCorners);
      sum = s.add(sum, s.mul(position, scalarCast(s, args[j], false, type, false)));
    }
    return scalarCast(s, sum, false, theta.elementType, false);
  });
}

//===- grid sampling ------------------------------------------------------------------------------------------------===

namespace {

/// One spatial dimension: where it is sampled, in floats.
struct GridAxis {
  const Scalar &s;
  GridPadding padding;
  bool alignCorners;
  Value size; // as a float

  Value last() const { return s.add(size, -1); }
  Value clampInside(Value p) const { return s.min(s.max(p, s.like(p, 0)), last()); }
  /// Mirrored at the borders of the first and last element (or in their centres) until it is inside.
  Value reflect(Value p) const {
    Value low = s.like(p, alignCorners ? 0 : -0.5), range = alignCorners ? last() : size;
    Value period = s.max(s.mul(range, 2), s.like(p, 1e-30));
    Value d = s.op<math::AbsFOp>(s.sub(p, low));
    Value m = s.sub(d, s.mul(s.op<math::FloorOp>(s.divF(d, period)), period));
    return s.add(low, s.min(m, s.sub(period, m)));
  }
  Value fromGrid(Value g) const {
    Value scaled = alignCorners ? s.mul(s.add(g, 1), last()) : s.add(s.mul(s.add(g, 1), size), -1);
    return s.mul(scaled, 0.5);
  }
  /// A position outside is brought inside first; so are the elements around it (`resolve`).
  Value settle(Value p) const {
    Value low = s.like(p, alignCorners ? 0 : -0.5), high = s.add(last(), alignCorners ? 0 : 0.5);
    if (padding == GridPadding::Zeros)
      return p;
    Value isOutside = s.op<arith::OrIOp>(s.less(p, low), s.less(high, p));
    return s.select(isOutside, padding == GridPadding::Border ? clampInside(p) : reflect(p), p);
  }
  /// The element (whole number) as an index, and whether it counts (null: it does).
  std::pair<Value, Value> resolve(Value p) const {
    Value isInside;
    if (padding == GridPadding::Zeros)
      isInside = s.op<arith::AndIOp>(s.cmp(arith::CmpFPredicate::OLE, s.like(p, 0), p),
                                     s.cmp(arith::CmpFPredicate::OLE, p, last()));
    if (padding == GridPadding::Reflection)
      p = reflect(p);
    Value i = scalarCast(s, clampInside(p), false, s.b.getI64Type(), false);
    Value index = s.op<arith::IndexCastOp>(s.b.getIndexType(), i);
    // NaN is no position.
    return {s.op<arith::MaxSIOp>(index, s.index(0)), isInside};
  }
};

/// Cubic convolution with a = -0.75 at distance `d` (1 to 2 when `isFar`).
Value gridCubicWeight(const Scalar &s, Value d, bool isFar) {
  constexpr double a = -0.75;
  if (isFar)
    return s.add(s.mul(s.add(s.mul(s.add(s.mul(d, a), -5 * a), d), 8 * a), d), -4 * a);
  return s.add(s.mul(s.mul(s.add(s.mul(d, a + 2), -(a + 3)), d), d), 1);
}

SampleTaps tapsOf(const GridAxis &axis, Value position, GridMode mode) {
  const Scalar &s = axis.s;
  SampleTaps taps;
  auto add = [&](Value p, Value weight) {
    auto [index, isInside] = axis.resolve(p);
    taps.push_back({index, isInside, weight});
  };
  if (mode == GridMode::Nearest) {
    add(axis.settle(s.op<math::RoundEvenOp>(position)), Value());
    return taps;
  }
  // Around an outside position cubic taps are brought inside one by one, as PyTorch and ONNX Runtime do.
  Value p = mode == GridMode::Cubic ? position : axis.settle(position), base = s.op<math::FloorOp>(p),
        f = s.sub(p, base), rest = s.sub(s.like(f, 1), f);
  if (mode == GridMode::Linear) {
    add(base, rest), add(s.add(base, 1), f);
    return taps;
  }
  for (int64_t k = -1; k <= 2; ++k) {
    Value distance = k == -1 ? s.add(f, 1) : k == 0 ? f : k == 1 ? rest : s.add(rest, 1);
    add(s.add(base, k), gridCubicWeight(s, distance, k == -1 || k == 2));
  }
  return taps;
}

} // namespace

static LogicalResult checkGrid(Builder &b, const Tensor &x, const Tensor &grid) {
  int64_t dims = x.rank() - 2;
  if (dims < 1 || grid.rank() != x.rank() || !grid.isFloat() || !grid.shape.back().is(dims))
    return b.error() << "expected an image [N, C, ...] and a grid [N, ..., " << dims << "] of its rank, found "
                     << x.str() << " and " << grid.str();
  for (int64_t d = 2; d < x.rank(); ++d)
    if (x.shape[d].is(0))
      return b.error() << "the image " << x.str() << " has no elements to sample";
  return checkSame(b, x.shape[0], grid.shape[0], "image " + x.str() + " and grid " + grid.str() + " differ in N");
}

FailureOr<Tensor> gridSample(Builder &b, const Tensor &x, const Tensor &grid, GridMode mode, GridPadding padding,
                             bool alignCorners) {
  if (failed(checkGrid(b, x, grid)))
    return failure();
  unsigned dims = x.rank() - 2, rank = x.rank();
  Dims shape{x.shape[0], x.shape[1]};
  shape.append(grid.shape.begin() + 1, grid.shape.end() - 1);
  SmallVector<Tensor> operands(dims, grid);
  SmallVector<AffineMap> maps;
  SmallVector<Count> sizes;
  for (unsigned d = 0; d < dims; ++d) {
    SmallVector<AffineExpr> exprs{b.builder.getAffineDimExpr(0)};
    for (unsigned i = 0; i < dims; ++i)
      exprs.push_back(b.builder.getAffineDimExpr(2 + i));
    exprs.push_back(b.builder.getAffineConstantExpr(dims - 1 - d)); // innermost first
    maps.push_back(AffineMap::get(rank, 0, exprs, b.builder.getContext()));
    sizes.emplace_back(b, x.shape[2 + d]);
  }
  Type wide = x.isFloat() ? computeType(x.elementType) : Type(b.builder.getF32Type());
  Type place = computeType(grid.elementType);
  Value source = b.value(x);
  return b.map(
      shape, x.elementType, operands, maps,
      [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
        Scalar s{builder, loc};
        SmallVector<SampleTaps> taps;
        for (unsigned d = 0; d < dims; ++d) {
          GridAxis axis{s, padding, alignCorners, sizes[d].get(s, place)};
          taps.push_back(tapsOf(axis, axis.fromGrid(scalarCast(s, args[d], false, place, false)), mode));
        }
        SmallVector<Value> image{s.op<linalg::IndexOp>(0), s.op<linalg::IndexOp>(1)};
        if (mode == GridMode::Nearest) // an element as it is
          return sampleTaps(s, source, x.isUnsigned, image, taps, x.elementType);
        Value sum = sampleTaps(s, source, x.isUnsigned, image, taps, wide);
        return scalarCast(s, sum, false, x.elementType, x.isUnsigned);
      },
      x.isUnsigned);
}

} // namespace eyrie::ops
