// Interpolation, one axis after the other: each axis has, per output position, a few source positions and their
// weights. They are computed once, as small vectors: at compile time when the sizes are known.
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cmath>

using namespace mlir;

namespace eyrie::ops {

namespace {

/// An f32 that IR computes; with the same operations as `float`, so that one text describes both.
struct Emitted {
  const Scalar *s;
  Value v;
  Emitted lift(float x) const { return {s, s->like(v, x)}; }
};
Emitted operator+(Emitted a, Emitted b) { return {a.s, a.s->add(a.v, b.v)}; }
Emitted operator-(Emitted a, Emitted b) { return {a.s, a.s->sub(a.v, b.v)}; }
Emitted operator*(Emitted a, Emitted b) { return {a.s, a.s->mul(a.v, b.v)}; }
Emitted operator/(Emitted a, Emitted b) { return {a.s, a.s->divF(a.v, b.v)}; }
Emitted floorOf(Emitted a) { return {a.s, a.s->op<math::FloorOp>(a.v)}; }
Emitted ceilOf(Emitted a) { return {a.s, a.s->op<math::CeilOp>(a.v)}; }
Emitted minOf(Emitted a, Emitted b) { return {a.s, a.s->min(a.v, b.v)}; }
Emitted maxOf(Emitted a, Emitted b) { return {a.s, a.s->max(a.v, b.v)}; }
/// a < b ? x : y
Emitted pickLess(Emitted a, Emitted b, Emitted x, Emitted y) {
  return {a.s, a.s->select(a.s->less(a.v, b.v), x.v, y.v)};
}
Emitted number(Emitted like, float x) { return like.lift(x); }

float floorOf(float a) { return std::floor(a); }
float ceilOf(float a) { return std::ceil(a); }
float minOf(float a, float b) { return std::min(a, b); }
float maxOf(float a, float b) { return std::max(a, b); }
float pickLess(float a, float b, float x, float y) { return a < b ? x : y; }
float number(float, float x) { return x; }

/// One resized axis.
struct Axis {
  unsigned dim = 0;
  Dim in, out;
  std::optional<double> scale; // as given; else out / in
  double roiStart = 0, roiEnd = 1;
  // What is known at run time only: one element of a vector each.
  struct Given {
    std::optional<Tensor> vector;
    int64_t position = 0;
  };
  Given givenScale, givenStart, givenEnd;

  bool isKnown() const {
    return in.isConstant() && out.isConstant() && !givenScale.vector && !givenStart.vector && !givenEnd.vector;
  }
};

template <typename T> struct Sizes {
  T in, out, scale, roiStart, roiEnd;
  T exactOut; // in * scale, not rounded
};

/// Where output position x lies in the input.
template <typename T> T sourcePosition(T x, Sizes<T> z, const ResizeAttrs &attrs) {
  T half = number(x, 0.5f), one = number(x, 1), zero = number(x, 0);
  T halfPixel = (x + half) / z.scale - half;
  T isMany = pickLess(one, z.out, one, zero); // more than one output position
  switch (attrs.coordinates) {
  case CoordinateMode::HalfPixel:
    return halfPixel;
  case CoordinateMode::HalfPixelSymmetric: {
    T adjustment = z.out / (z.scale * z.in);
    return z.in * half * (one - adjustment) + halfPixel;
  }
  case CoordinateMode::PytorchHalfPixel:
    return pickLess(zero, isMany, halfPixel, zero);
  case CoordinateMode::AlignCorners:
    // ONNX Runtime takes the rounded size here; ONNX's own tests decide.
    return x * (z.in - one) / pickLess(one, z.exactOut, z.exactOut - one, one);
  case CoordinateMode::Asymmetric:
    return x / z.scale;
  case CoordinateMode::TfHalfPixelForNn:
    return (x + half) / z.scale;
  case CoordinateMode::TfCropAndResize: {
    T start = z.roiStart, end = z.roiEnd, last = z.in - one;
    T many = start * last + x * (end - start) * last / maxOf(z.out - one, one);
    return pickLess(zero, isMany, many, half * (start + end) * last);
  }
  }
  return x;
}

template <typename T> T clampTo(T x, T last) { return maxOf(minOf(x, last), number(x, 0)); }

template <typename T> T nearestPosition(T x, NearestMode mode) {
  T half = number(x, 0.5f);
  switch (mode) {
  case NearestMode::RoundPreferFloor:
    return ceilOf(x - half);
  case NearestMode::RoundPreferCeil:
    return floorOf(x + half);
  case NearestMode::Floor:
    return floorOf(x);
  case NearestMode::Ceil:
    return ceilOf(x);
  }
  return x;
}

/// The cubic convolution kernel at distance d >= 0 (Keys 1981).
template <typename T> T cubicWeight(T d, double coefficient) {
  T a = number(d, coefficient), one = number(d, 1), two = number(d, 2);
  T nearPart = ((a + two) * d - (a + number(d, 3))) * d * d + one;
  T farPart = ((a * d - number(d, 5) * a) * d + number(d, 8) * a) * d - number(d, 4) * a;
  return pickLess(d, one, nearPart, pickLess(d, two, farPart, number(d, 0)));
}

/// Source position (clamped into the input) and weight of tap `tap`.
template <typename T> std::pair<T, T> tapOf(T x, Sizes<T> z, unsigned tap, const ResizeAttrs &attrs) {
  T one = number(x, 1), zero = number(x, 0), last = z.in - one;
  T position = sourcePosition(x, z, attrs);
  if (attrs.mode == ResizeMode::Nearest)
    return {clampTo(nearestPosition(position, attrs.nearest), last), one};
  if (attrs.mode == ResizeMode::Linear) {
    position = clampTo(position, last);
    T low = floorOf(position), fraction = position - low;
    if (tap == 0)
      return {low, one - fraction};
    return {minOf(low + one, last), fraction};
  }
  T base = floorOf(position), fraction = position - base;
  auto weightOf = [&](int offset) {
    T distance = fraction - number(x, offset);
    T weight = cubicWeight(maxOf(distance, zero - distance), attrs.cubicCoefficient);
    if (!attrs.excludeOutside)
      return weight;
    T at = base + number(x, offset);
    return pickLess(at, zero, zero, pickLess(last, at, zero, weight));
  };
  int offset = static_cast<int>(tap) - 1;
  T weight = weightOf(offset);
  if (attrs.excludeOutside)
    weight = weight / (weightOf(-1) + weightOf(0) + weightOf(1) + weightOf(2));
  return {clampTo(base + number(x, offset), last), weight};
}

/// How far the kernel reaches to each side when it is not stretched.
int64_t reachOf(const ResizeAttrs &attrs) { return attrs.mode == ResizeMode::Linear ? 1 : 2; }

/// The same for the kernel stretched by 1 / scale: source position and weight (the sum is not yet 1) of tap `k`.
template <typename T> std::pair<T, T> stretchedTapOf(T x, T k, Sizes<T> z, const ResizeAttrs &attrs) {
  T one = number(x, 1), zero = number(x, 0), last = z.in - one, scale = minOf(z.scale, one);
  T position = sourcePosition(x, z, attrs), base = ceilOf(position) - one;
  T at = base + one + floorOf(number(x, -static_cast<float>(reachOf(attrs))) / scale) + k;
  T signedDistance = scale * (at - position), distance = maxOf(signedDistance, zero - signedDistance);
  T weight =
      attrs.mode == ResizeMode::Linear ? maxOf(one - distance, zero) : cubicWeight(distance, attrs.cubicCoefficient);
  if (attrs.excludeOutside)
    weight = pickLess(at, zero, zero, pickLess(last, at, zero, weight));
  return {clampTo(at, last), weight};
}

/// 1 where the position lies inside the input (TfCropAndResize).
template <typename T> T isInside(T x, Sizes<T> z, const ResizeAttrs &attrs) {
  T position = sourcePosition(x, z, attrs), one = number(x, 1), zero = number(x, 0);
  return pickLess(position, zero, zero, pickLess(z.in - one, position, zero, one));
}

} // namespace

/// A tensor over `shape`, whose first dimension is the axis' output, of i64 (positions) or f32 (weights), at run time:
/// `f` gets the loops' numbers and the sizes.
static Tensor emitTable(Builder &b, const Axis &axis, ArrayRef<Dim> shape, Type type,
                        llvm::function_ref<Emitted(ArrayRef<Emitted>, Sizes<Emitted>)> f) {
  SmallVector<Tensor> operands;
  SmallVector<AffineMap> maps;
  for (const Axis::Given &given : {axis.givenScale, axis.givenStart, axis.givenEnd})
    if (given.vector) {
      operands.push_back(*given.vector);
      maps.push_back(AffineMap::get(shape.size(), 0, b.builder.getAffineConstantExpr(given.position)));
    }
  Count in(b, axis.in), out(b, axis.out);
  return b.map(shape, type, operands, maps, [&](OpBuilder &builder, Location loc, ValueRange args) {
    Scalar s{builder, loc};
    Type f32 = builder.getF32Type();
    SmallVector<Emitted> at;
    for (unsigned d = 0; d < shape.size(); ++d) {
      Value i = s.op<arith::IndexCastOp>(builder.getI64Type(), Value(s.op<linalg::IndexOp>(d)));
      at.push_back({&s, s.op<arith::SIToFPOp>(f32, i)});
    }
    auto take = [&](const Axis::Given &given, Emitted otherwise) -> Emitted {
      if (!given.vector)
        return otherwise;
      Value element = args.front();
      args = args.drop_front();
      return {&s, scalarCast(s, element, false, f32, false)};
    };
    Emitted inSize{&s, in.get(s, f32)}, outSize{&s, out.get(s, f32)};
    Emitted scale = take(axis.givenScale, axis.scale ? inSize.lift(*axis.scale) : outSize / inSize);
    Emitted start = take(axis.givenStart, inSize.lift(axis.roiStart)),
            end = take(axis.givenEnd, inSize.lift(axis.roiEnd));
    Emitted exactOut = axis.scale || axis.givenScale.vector ? inSize * scale : outSize;
    return scalarCast(s, f(at, {inSize, outSize, scale, start, end, exactOut}).v, false, type, false);
  });
}

/// A vector over the output positions of an axis, of i64 (positions) or f32 (weights).
template <typename F> static Tensor axisVector(Builder &b, const Axis &axis, Type type, F f) {
  if (!axis.isKnown())
    return emitTable(b, axis, axis.out, type, [&](ArrayRef<Emitted> at, auto sizes) { return f(at[0], sizes); });
  float in = axis.in.constant(), out = axis.out.constant();
  Sizes<float> sizes{in,
                     out,
                     axis.scale ? static_cast<float>(*axis.scale) : out / in,
                     static_cast<float>(axis.roiStart),
                     static_cast<float>(axis.roiEnd),
                     axis.scale ? in * static_cast<float>(*axis.scale) : out};
  SmallVector<Attribute> elements;
  for (int64_t i = 0; i < axis.out.constant(); ++i)
    elements.push_back(numberAttr(type, f(static_cast<float>(i), sizes)));
  return fromConstant(DenseElementsAttr::get(RankedTensorType::get(axis.out.constant(), type), elements));
}

/// Repeats every element `factor` times along the axis: what nearest interpolation by a whole number does.
static Tensor repeatAxis(Builder &b, const Tensor &x, unsigned dim, int64_t factor) {
  Dims apart, flat = x.shape;
  SmallVector<int64_t> reads;
  for (unsigned i = 0; i < x.rank(); ++i) {
    reads.push_back(apart.size());
    apart.push_back(x.shape[i]);
    if (i == dim)
      apart.push_back(factor);
  }
  flat[dim] = x.shape[dim] * Dim(factor);
  Tensor y = b.map(
      apart, x.elementType, x, projection(b, apart.size(), reads),
      [](OpBuilder &, Location, ValueRange args) { return args[0]; }, x.isUnsigned);
  return b.reshape(y, flat);
}

/// All axes at once.
static Tensor repeatAxes(Builder &b, const Tensor &x, ArrayRef<Axis> axes) {
  if (axes.size() == 1)
    return repeatAxis(b, x, axes[0].dim, static_cast<int64_t>(*axes[0].scale));
  Dims apart, flat = x.shape;
  SmallVector<int64_t> reads;
  for (unsigned i = 0; i < x.rank(); ++i) {
    reads.push_back(apart.size());
    apart.push_back(x.shape[i]);
    for (const Axis &axis : axes)
      if (axis.dim == i) {
        apart.push_back(static_cast<int64_t>(*axis.scale));
        flat[i] = axis.out;
      }
  }
  Tensor y = b.map(
      apart, x.elementType, x, projection(b, apart.size(), reads),
      [](OpBuilder &, Location, ValueRange args) { return args[0]; }, x.isUnsigned);
  return b.reshape(y, flat);
}

/// Whether nearest interpolation by a whole number repeats each element that many times.
static bool isRepetition(const Axis &axis, const ResizeAttrs &attrs) {
  if (!axis.scale || *axis.scale != std::floor(*axis.scale) || *axis.scale < 1 || *axis.scale > 1024 ||
      axis.out != axis.in * Dim(static_cast<int64_t>(*axis.scale)))
    return false;
  bool rounds = attrs.nearest == NearestMode::RoundPreferFloor || attrs.nearest == NearestMode::RoundPreferCeil;
  switch (attrs.coordinates) {
  case CoordinateMode::Asymmetric:
    return attrs.nearest == NearestMode::Floor;
  case CoordinateMode::HalfPixel:
  case CoordinateMode::PytorchHalfPixel:
    return rounds;
  case CoordinateMode::TfHalfPixelForNn:
    return attrs.nearest == NearestMode::Floor;
  default:
    return false;
  }
}

static Tensor interpolateAxis(Builder &b, const Tensor &x, const Axis &axis, const ResizeAttrs &attrs) {
  unsigned taps = attrs.mode == ResizeMode::Nearest ? 1 : attrs.mode == ResizeMode::Linear ? 2 : 4;
  Type i64 = b.builder.getI64Type(), f32 = b.builder.getF32Type();
  SmallVector<Tensor> vectors;
  for (unsigned tap = 0; tap < taps; ++tap) {
    vectors.push_back(axisVector(b, axis, i64, [&](auto p, auto z) { return tapOf(p, z, tap, attrs).first; }));
    if (taps > 1)
      vectors.push_back(axisVector(b, axis, f32, [&](auto p, auto z) { return tapOf(p, z, tap, attrs).second; }));
  }
  Dims shape = x.shape;
  shape[axis.dim] = axis.out;
  SmallVector<AffineMap> maps(vectors.size(), projection(b, x.rank(), {axis.dim}));
  Value source = b.value(x);
  return b.map(
      shape, x.elementType, vectors, maps,
      [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
        Scalar s{builder, loc};
        SmallVector<Value> indices;
        for (unsigned d = 0; d < x.rank(); ++d)
          indices.push_back(s.op<linalg::IndexOp>(d));
        auto read = [&](Value position) -> Value {
          indices[axis.dim] = s.op<arith::IndexCastOp>(builder.getIndexType(), position);
          return s.op<tensor::ExtractOp>(source, indices);
        };
        if (taps == 1)
          return read(args[0]);
        Type wide = x.isFloat() ? computeType(x.elementType) : Type(f32);
        Value sum;
        for (unsigned tap = 0; tap < taps; ++tap) {
          Value element = scalarCast(s, read(args[2 * tap]), x.isUnsigned, wide, false);
          Value term = s.mul(element, scalarCast(s, args[2 * tap + 1], false, wide, false));
          sum = sum ? s.add(sum, term) : term;
        }
        return scalarCast(s, sum, false, x.elementType, x.isUnsigned);
      },
      x.isUnsigned);
}

/// The kernel is stretched when the axis shrinks, or may shrink at run time.
static bool isStretched(const Axis &axis, const ResizeAttrs &attrs) {
  if (!attrs.antialias || attrs.mode == ResizeMode::Nearest)
    return false;
  return axis.scale ? *axis.scale < 1 : isLess(axis.out, axis.in) != std::optional<bool>(false);
}

/// Taps of the stretched kernel: 2 * ceil(reach / scale).
static Dim countStretchedTaps(const Axis &axis, const ResizeAttrs &attrs) {
  int64_t reach = reachOf(attrs);
  if (axis.scale)
    return static_cast<int64_t>(2 * std::ceil(static_cast<float>(reach) / static_cast<float>(*axis.scale)));
  return Dim(2) * max(reach, ceilDiv(Dim(reach) * axis.in, max(axis.out, 1)));
}

/// Interpolation with the stretched kernel: a sum over as many taps as the scale asks for.
static FailureOr<Tensor> interpolateStretched(Builder &b, const Tensor &x, const Axis &axis, const ResizeAttrs &attrs) {
  Type f32 = b.builder.getF32Type(), i64 = b.builder.getI64Type();
  Dim taps = countStretchedTaps(axis, attrs);
  auto table = [&](Type type, bool isWeight) {
    return emitTable(b, axis, {axis.out, taps}, type, [&](ArrayRef<Emitted> at, Sizes<Emitted> sizes) {
      auto [position, weight] = stretchedTapOf(at[0], at[1], sizes, attrs);
      return isWeight ? weight : position;
    });
  };
  Tensor positions = table(i64, false), weights = table(f32, true);
  auto sums = reduce(b, Reduce::Sum, weights, {1}, /*keepDims=*/true);
  auto shares = failed(sums) ? FailureOr<Tensor>(failure()) : binary(b, Binary::Div, weights, *sums);
  if (failed(shares))
    return failure();
  unsigned rank = x.rank();
  Dims shape = x.shape;
  shape[axis.dim] = axis.out;
  Type wide = x.isFloat() ? computeType(x.elementType) : Type(f32);
  Value source = b.value(x);
  AffineMap readTap = projection(b, rank + 1, {axis.dim, rank}), outMap = b.identity(rank + 1).getMajorSubMap(rank);
  Tensor sum = b.reduce(b.splat(shape, wide, 0), outMap, rank, {positions, *shares}, {readTap, readTap},
                        [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
                          Scalar s{builder, loc};
                          SmallVector<Value> indices;
                          for (unsigned d = 0; d < rank; ++d)
                            indices.push_back(s.op<linalg::IndexOp>(d));
                          indices[axis.dim] = s.op<arith::IndexCastOp>(builder.getIndexType(), args[0]);
                          Value element = s.op<tensor::ExtractOp>(source, indices);
                          element = scalarCast(s, element, x.isUnsigned, wide, false);
                          return s.add(args[2], s.mul(element, scalarCast(s, args[1], false, wide, false)));
                        });
  return cast(b, sum, x.elementType, x.isUnsigned);
}

/// floor(in * scale), with the scale as a fraction of small numbers when `in` is symbolic.
static FailureOr<Dim> scaledSize(Builder &b, Dim in, double scale) {
  if (!(scale > 0) || scale > 1e6)
    return b.error() << "scale " << scale << " is out of range";
  if (in.isConstant())
    return Dim(static_cast<int64_t>(std::floor(static_cast<float>(in.constant()) * static_cast<float>(scale))));
  for (int64_t q = 1; q <= 1024; ++q) {
    double p = std::round(scale * q);
    if (std::fabs(p / q - scale) <= 1e-6 * scale)
      return floorDiv(in * Dim(static_cast<int64_t>(p)), q);
  }
  return b.error() << "scale " << scale << " of a dimension that is not known at compile time is not a simple fraction";
}

static LogicalResult checkLength(Builder &b, const Tensor &vector, size_t count, llvm::StringRef what) {
  if (vector.rank() == 1 && vector.isFloat() && isEqual(vector.shape[0], count) != std::optional<bool>(false))
    return success();
  return b.error() << what << " must be " << count << " floats, found " << vector.str();
}

/// The output size of each axis, floor(in * scale + rounding), read at run time.
static LogicalResult readScaledSizes(Builder &b, llvm::MutableArrayRef<Axis> axes, const Tensor &scales,
                                     double rounding) {
  Type f32 = b.builder.getF32Type(), i64 = b.builder.getI64Type();
  Dims in = llvm::to_vector<4>(llvm::map_range(axes, [](const Axis &axis) { return axis.in; }));
  SmallVector<Tensor> operands{fromContents(i64, Dim(axes.size()), in), scales};
  Tensor out = elementwise(b, Dim(axes.size()), i64, operands, false, [&](const Scalar &s, ValueRange args) {
    Value size = scalarCast(s, args[0], false, f32, false), scale = scalarCast(s, args[1], false, f32, false);
    Value scaled = s.op<math::FloorOp>(s.add(s.mul(size, scale), rounding));
    return scalarCast(s, s.max(scaled, s.like(scaled, 0)), false, i64, false);
  });
  auto read = b.integers(out, "sizes", /*lower=*/0);
  if (failed(read))
    return failure();
  for (auto [i, axis] : llvm::enumerate(axes)) {
    axis.out = (*read)[i];
    axis.givenScale = {scales, static_cast<int64_t>(i)};
  }
  return success();
}

/// The output size of each axis from its scale, read at run time where that is known only then.
static LogicalResult applyScales(Builder &b, llvm::MutableArrayRef<Axis> axes, const Tensor &scales) {
  if (failed(checkLength(b, scales, axes.size(), "scales")))
    return failure();
  if (scales.constant) {
    auto values = b.constantNumbers(scales, "scales");
    for (auto [axis, scale] : llvm::zip_equal(axes, *values)) {
      auto out = scaledSize(b, axis.in, scale);
      if (failed(out))
        return failure();
      axis.out = *out, axis.scale = scale;
    }
    return success();
  }
  return readScaledSizes(b, axes, scales, /*rounding=*/0);
}

/// Makes the requested sizes keep the proportions, as the policy says.
static LogicalResult applyPolicy(Builder &b, llvm::MutableArrayRef<Axis> axes, AspectPolicy policy) {
  if (policy == AspectPolicy::Stretch || axes.empty())
    return success();
  bool isMin = policy == AspectPolicy::NotLarger;
  if (llvm::all_of(axes, [](const Axis &axis) { return axis.in.isConstant() && axis.out.isConstant(); })) {
    double scale = isMin ? INFINITY : 0;
    for (const Axis &axis : axes) {
      double ratio = double(axis.out.constant()) / axis.in.constant();
      scale = isMin ? std::min(scale, ratio) : std::max(scale, ratio);
    }
    for (Axis &axis : axes) {
      axis.out = static_cast<int64_t>(std::floor(scale * axis.in.constant() + 0.5));
      axis.scale = scale;
    }
    return success();
  }
  auto toFloat = [&](auto size) {
    Dims sizes = llvm::to_vector<4>(llvm::map_range(axes, size));
    return cast(b, fromContents(b.builder.getI64Type(), Dim(axes.size()), sizes), b.builder.getF32Type(), false);
  };
  auto in = toFloat([](const Axis &axis) { return axis.in; }), out = toFloat([](const Axis &axis) { return axis.out; });
  auto ratios = binary(b, Binary::Div, *out, *in);
  auto scale = failed(ratios) ? FailureOr<Tensor>(failure())
                              : reduce(b, isMin ? Reduce::Min : Reduce::Max, *ratios, {0}, /*keepDims=*/true);
  if (failed(scale))
    return failure();
  Tensor scales = elementwise(b, Dim(axes.size()), b.builder.getF32Type(), *scale, false,
                              [](const Scalar &, ValueRange args) { return args[0]; });
  for (Axis &axis : axes)
    axis.scale.reset();
  return readScaledSizes(b, axes, scales, /*rounding=*/0.5);
}

static LogicalResult applyRoi(Builder &b, llvm::MutableArrayRef<Axis> axes, const Tensor &roi) {
  if (failed(checkLength(b, roi, 2 * axes.size(), "roi")))
    return failure();
  for (auto [i, axis] : llvm::enumerate(axes)) {
    int64_t start = i, end = axes.size() + i;
    if (!roi.constant) {
      axis.givenStart = {roi, start}, axis.givenEnd = {roi, end};
      continue;
    }
    auto values = b.constantNumbers(roi, "roi");
    axis.roiStart = (*values)[start], axis.roiEnd = (*values)[end];
  }
  return success();
}

static FailureOr<SmallVector<Axis, 4>> makeAxes(Builder &b, const Tensor &x, const Tensor *roi, const Tensor *scales,
                                                const Tensor *sizes, const ResizeAttrs &attrs) {
  SmallVector<int64_t> dims = attrs.axes;
  if (dims.empty())
    dims = llvm::to_vector(llvm::seq<int64_t>(0, x.rank()));
  SmallVector<Axis, 4> axes;
  for (int64_t d : dims) {
    auto position = normalizeAxis(b, d, x.rank());
    if (failed(position))
      return failure();
    Axis axis;
    axis.dim = *position, axis.in = axis.out = x.shape[*position];
    axes.push_back(axis);
  }
  if (scales) {
    if (failed(applyScales(b, axes, *scales)))
      return failure();
  } else if (sizes) {
    auto values = b.integers(*sizes, "sizes", /*lower=*/0);
    if (failed(values))
      return failure();
    if (values->size() != axes.size())
      return b.error() << "sizes must have " << axes.size() << " values, found " << values->size();
    for (auto [axis, size] : llvm::zip_equal(axes, *values)) {
      axis.out = size;
      // A whole multiple, also of a symbolic size.
      if (auto ratio = axis.in.is(0) ? std::nullopt : divideExactly(size, axis.in); ratio && ratio->isConstant())
        axis.scale = ratio->constant();
    }
    if (failed(applyPolicy(b, axes, attrs.policy)))
      return failure();
  } else {
    return b.error() << "Resize needs scales or sizes";
  }
  if (roi && attrs.coordinates == CoordinateMode::TfCropAndResize && failed(applyRoi(b, axes, *roi)))
    return failure();
  return axes;
}

FailureOr<Tensor> resize(Builder &b, const Tensor &x, const Tensor *roi, const Tensor *scales, const Tensor *sizes,
                         const ResizeAttrs &attrs) {
  auto axes = makeAxes(b, x, roi, scales, sizes, attrs);
  if (failed(axes))
    return failure();
  bool isCrop = attrs.coordinates == CoordinateMode::TfCropAndResize;
  // An axis that keeps its size keeps its elements, whatever the coordinates (cropping aside).
  llvm::erase_if(*axes, [&](const Axis &axis) { return axis.in == axis.out && !isCrop; });
  if (axes->empty())
    return x;
  if (attrs.mode == ResizeMode::Nearest &&
      llvm::all_of(*axes, [&](const Axis &axis) { return isRepetition(axis, attrs); }))
    return repeatAxes(b, x, *axes);
  Tensor y = x;
  for (const Axis &axis : *axes) {
    auto next = isStretched(axis, attrs) ? interpolateStretched(b, y, axis, attrs)
                                         : FailureOr<Tensor>(interpolateAxis(b, y, axis, attrs));
    if (failed(next))
      return failure();
    y = *next;
  }
  if (!isCrop)
    return y;
  SmallVector<Tensor> operands{y};
  SmallVector<AffineMap> maps{b.identity(y.rank())};
  for (const Axis &axis : *axes) {
    operands.push_back(
        axisVector(b, axis, b.builder.getF32Type(), [&](auto p, auto z) { return isInside(p, z, attrs); }));
    maps.push_back(projection(b, y.rank(), {axis.dim}));
  }
  return b.map(
      y.shape, y.elementType, operands, maps,
      [&](OpBuilder &builder, Location loc, ValueRange args) {
        Scalar s{builder, loc};
        Value inside = args[1];
        for (Value more : args.drop_front(2))
          inside = s.mul(inside, more);
        return s.select(s.less(s.like(inside, 0), inside), args[0], s.number(y.elementType, attrs.extrapolationValue));
      },
      y.isUnsigned);
}

} // namespace eyrie::ops
