// Softmax and the normalisations: reductions for the statistics, then one elementwise generic.
#include "compiler/ops/Scalar.h"

using namespace mlir;

namespace eyrie::ops {

/// Loops of x except `axes`.
static AffineMap keptMap(Builder &b, int64_t rank, ArrayRef<int64_t> axes) {
  SmallVector<int64_t> kept;
  for (int64_t i = 0; i < rank; ++i)
    if (!llvm::is_contained(axes, i))
      kept.push_back(i);
  return projection(b, rank, kept);
}

//===- softmax ------------------------------------------------------------------------------------------------------===

/// Runs `f` on x, or on x as a matrix of [sizes before axis, sizes from it on] when `flattened`.
static FailureOr<Tensor> overAxis(Builder &b, const Tensor &x, int64_t axis, bool flattened,
                                  llvm::function_ref<FailureOr<Tensor>(const Tensor &, int64_t)> f) {
  if (!x.isFloat())
    return b.error() << "softmax needs a floating-point tensor, found " << x.str();
  if (flattened && axis == x.rank())
    return b.error() << "axis " << axis << " is out of range for " << x.str();
  auto position = normalizeAxis(b, axis, std::max<int64_t>(x.rank(), 1));
  if (failed(position))
    return failure();
  if (x.isScalar()) {
    auto y = f(b.reshape(x, {1}), 0);
    return failed(y) ? y : FailureOr<Tensor>(b.reshape(*y, {}));
  }
  if (!flattened || *position == x.rank() - 1)
    return f(x, *position);
  ArrayRef<Dim> shape = x.shape;
  auto y = f(b.reshape(x, {product(shape.take_front(*position)), product(shape.drop_front(*position))}), 1);
  return failed(y) ? y : FailureOr<Tensor>(b.reshape(*y, shape));
}

namespace {
/// The pieces that softmax and its logarithm share: max(x) and sum(exp(x - max)) along one axis.
struct SoftmaxParts {
  Tensor maximum, sum;
  AffineMap map;
  Type wide;
  bool isMasked; // nothing but minus infinity along the axis is no element, not NaN

  /// x - max, of an element of each.
  Value shift(const Scalar &s, Value x, Value most) const {
    most = scalarCast(s, most, false, wide, false);
    if (isMasked) {
      Value isNone = s.cmp(arith::CmpFPredicate::OEQ, most, s.like(most, -std::numeric_limits<double>::infinity()));
      most = s.select(isNone, s.like(most, 0), most);
    }
    return s.sub(scalarCast(s, x, false, wide, false), most);
  }
};
} // namespace

static SoftmaxParts softmaxParts(Builder &b, const Tensor &x, int64_t axis, bool isMasked) {
  SoftmaxParts parts;
  parts.isMasked = isMasked;
  parts.wide = computeType(x.elementType);
  parts.map = keptMap(b, x.rank(), axis);
  parts.maximum = reduceAxes(b, x, b.identity(x.rank()), x.shape, axis, extremeAttr(x.elementType, false, true), false,
                             [](const Scalar &s, Value acc, ValueRange args) { return s.max(acc, args[0]); });
  parts.sum = reduceAxes(
      b, {x, parts.maximum}, {b.identity(x.rank()), parts.map}, x.shape, axis, numberAttr(parts.wide, 0), false,
      [&](const Scalar &s, Value acc, ValueRange args) { return s.add(acc, s.exp(parts.shift(s, args[0], args[1]))); });
  return parts;
}

/// f(x - max, sum) for every element.
static Tensor softmaxFinish(Builder &b, const Tensor &x, int64_t axis,
                            llvm::function_ref<Value(const Scalar &, Value, Value)> f, bool isMasked = false) {
  SoftmaxParts parts = softmaxParts(b, x, axis, isMasked);
  return b.map(x.shape, x.elementType, {x, parts.maximum, parts.sum}, {b.identity(x.rank()), parts.map, parts.map},
               [&](OpBuilder &builder, Location loc, ValueRange args) {
                 Scalar s{builder, loc};
                 Value y = f(s, parts.shift(s, args[0], args[1]), args[2]);
                 return scalarResult(s, y, x.elementType);
               });
}

FailureOr<Tensor> softmax(Builder &b, const Tensor &x, int64_t axis, bool flattened) {
  return overAxis(b, x, axis, flattened, [&](const Tensor &t, int64_t a) -> FailureOr<Tensor> {
    return softmaxFinish(b, t, a,
                         [](const Scalar &s, Value shifted, Value sum) { return s.divF(s.exp(shifted), sum); });
  });
}

Tensor maskedSoftmax(Builder &b, const Tensor &x) {
  auto divide = [](const Scalar &s, Value shifted, Value sum) {
    Value isNone = s.cmp(arith::CmpFPredicate::OEQ, sum, s.like(sum, 0));
    return s.divF(s.exp(shifted), s.select(isNone, s.like(sum, 1), sum));
  };
  return softmaxFinish(b, x, x.rank() - 1, divide, /*isMasked=*/true);
}

FailureOr<Tensor> logSoftmax(Builder &b, const Tensor &x, int64_t axis, bool flattened) {
  return overAxis(b, x, axis, flattened, [&](const Tensor &t, int64_t a) -> FailureOr<Tensor> {
    return softmaxFinish(
        b, t, a, [](const Scalar &s, Value shifted, Value sum) { return s.sub(shifted, s.op<math::LogOp>(sum)); });
  });
}

FailureOr<Tensor> hardmax(Builder &b, const Tensor &x, int64_t axis, bool flattened) {
  return overAxis(b, x, axis, flattened, [&](const Tensor &t, int64_t a) -> FailureOr<Tensor> {
    auto winner = argReduce(b, /*isMax=*/true, t, a, /*keepDims=*/false, /*lastIndex=*/false);
    if (failed(winner))
      return failure();
    return b.map(t.shape, t.elementType, *winner, keptMap(b, t.rank(), a),
                 [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
                   Scalar s{builder, loc};
                   Value here = s.op<arith::IndexCastOp>(args[0].getType(), Value(s.op<linalg::IndexOp>(a)));
                   return s.select(s.cmp(arith::CmpIPredicate::eq, here, args[0]), s.number(t.elementType, 1),
                                   s.number(t.elementType, 0));
                 });
  });
}

//===- mean and variance --------------------------------------------------------------------------------------------===

namespace {
struct Statistics {
  Tensor mean;             // without the axes, in computeType
  Tensor inverseDeviation; // 1 / sqrt(variance + epsilon)
  AffineMap map;
};
} // namespace

static Value meanOf(const Scalar &s, Value sum, const Count &count) {
  if (!count.value && count.dim.constant() > 0)
    return s.mul(sum, 1.0 / count.dim.constant());
  return s.divF(sum, count.get(s, sum.getType()));
}

/// `centered` false: the mean is taken as 0 (root mean square).
static Statistics statistics(Builder &b, const Tensor &x, ArrayRef<int64_t> axes, double epsilon,
                             bool centered = true) {
  Statistics stats;
  stats.map = keptMap(b, x.rank(), axes);
  Type wide = computeType(x.elementType);
  Dim n = 1;
  for (int64_t axis : axes)
    n *= x.shape[axis];
  Count count(b, n);
  SmallVector<Tensor> operands{x};
  SmallVector<AffineMap> maps{b.identity(x.rank())};
  if (centered) {
    Tensor sum = reduceAxes(b, x, b.identity(x.rank()), x.shape, axes, numberAttr(wide, 0), false,
                            [&](const Scalar &s, Value acc, ValueRange args) {
                              return s.add(acc, scalarCast(s, args[0], false, wide, false));
                            });
    stats.mean = elementwise(b, sum.shape, wide, sum, false,
                             [&](const Scalar &s, ValueRange args) { return meanOf(s, args[0], count); });
    operands.push_back(stats.mean);
    maps.push_back(stats.map);
  }
  Tensor squares = reduceAxes(b, operands, maps, x.shape, axes, numberAttr(wide, 0), false,
                              [&](const Scalar &s, Value acc, ValueRange args) {
                                Value d = scalarCast(s, args[0], false, wide, false);
                                if (centered)
                                  d = s.sub(d, args[1]);
                                return s.add(acc, s.mul(d, d));
                              });
  stats.inverseDeviation = elementwise(b, squares.shape, wide, squares, false, [&](const Scalar &s, ValueRange args) {
    return s.divF(s.like(args[0], 1), s.op<math::SqrtOp>(s.add(meanOf(s, args[0], count), epsilon)));
  });
  return stats;
}

/// (x - mean) * inverseDeviation * scale + bias; scale and bias are read through `parameterMap`.
static Tensor normalize(Builder &b, const Tensor &x, const Statistics &stats, const Tensor *scale, const Tensor *bias,
                        AffineMap scaleMap, AffineMap biasMap) {
  bool isCentered = static_cast<bool>(stats.mean.elementType);
  SmallVector<Tensor> operands{x, stats.inverseDeviation};
  SmallVector<AffineMap> maps{b.identity(x.rank()), stats.map};
  if (isCentered)
    operands.push_back(stats.mean), maps.push_back(stats.map);
  if (scale)
    operands.push_back(*scale), maps.push_back(scaleMap);
  if (bias)
    operands.push_back(*bias), maps.push_back(biasMap);
  Type wide = computeType(x.elementType);
  return b.map(x.shape, x.elementType, operands, maps, [&](OpBuilder &builder, Location loc, ValueRange args) {
    Scalar s{builder, loc};
    auto widen = [&](Value v) { return scalarCast(s, v, false, wide, false); };
    unsigned next = 2;
    Value y = widen(args[0]);
    if (isCentered)
      y = s.sub(y, args[next++]);
    y = s.mul(y, args[1]);
    if (scale)
      y = s.mul(y, widen(args[next++]));
    if (bias)
      y = s.add(y, widen(args[next++]));
    return scalarCast(s, y, false, x.elementType, false);
  });
}

static LogicalResult checkFloat(Builder &b, const Tensor &x, int64_t leastRank) {
  if (x.isFloat() && x.rank() >= leastRank)
    return success();
  return b.error() << "expected a floating-point tensor of rank " << leastRank << " or more, found " << x.str();
}

/// scale or bias of a normalisation over the trailing axes must broadcast to x.
static LogicalResult checkParameter(Builder &b, const Tensor &x, const Tensor *p, llvm::StringRef name) {
  if (!p)
    return success();
  auto shape = broadcastShapes(b, x.shape, p->shape);
  if (failed(shape))
    return failure();
  if (static_cast<int64_t>(shape->size()) != x.rank() || !p->isFloat())
    return b.error() << name << " " << p->str() << " does not broadcast to the input " << x.str();
  return success();
}

FailureOr<SmallVector<Tensor>> layerNorm(Builder &b, const Tensor &x, const Tensor &scale, const Tensor *bias,
                                         int64_t axis, double epsilon) {
  auto first = normalizeAxis(b, axis, x.rank());
  if (failed(first) || failed(checkFloat(b, x, 1)) || failed(checkParameter(b, x, &scale, "scale")) ||
      failed(checkParameter(b, x, bias, "bias")))
    return failure();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(*first, x.rank()));
  Statistics stats = statistics(b, x, axes, epsilon);
  Tensor y = normalize(b, x, stats, &scale, bias, b.broadcastMap(scale.shape, x.shape),
                       bias ? b.broadcastMap(bias->shape, x.shape) : AffineMap());
  Dims kept = withoutAxes(x.shape, axes, true);
  return SmallVector<Tensor>{y, b.reshape(stats.mean, kept), b.reshape(stats.inverseDeviation, kept)};
}

FailureOr<Tensor> rmsNorm(Builder &b, const Tensor &x, const Tensor &scale, int64_t axis, double epsilon) {
  auto first = normalizeAxis(b, axis, x.rank());
  if (failed(first) || failed(checkFloat(b, x, 1)) || failed(checkParameter(b, x, &scale, "scale")))
    return failure();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(*first, x.rank()));
  Statistics stats = statistics(b, x, axes, epsilon, /*centered=*/false);
  return normalize(b, x, stats, &scale, nullptr, b.broadcastMap(scale.shape, x.shape), {});
}

static LogicalResult checkPerChannel(Builder &b, const Tensor &p, Dim channels, llvm::StringRef name) {
  if (p.rank() == 1 && p.isFloat() && isEqual(p.shape[0], channels) != std::optional<bool>(false))
    return success();
  return b.error() << name << " must have one value per channel (" << channels.str() << "), found " << p.str();
}

FailureOr<Tensor> instanceNorm(Builder &b, const Tensor &x, const Tensor &scale, const Tensor &bias, double epsilon) {
  if (failed(checkFloat(b, x, 3)) || failed(checkPerChannel(b, scale, x.shape[1], "scale")) ||
      failed(checkPerChannel(b, bias, x.shape[1], "bias")))
    return failure();
  Statistics stats = statistics(b, x, llvm::to_vector(llvm::seq<int64_t>(2, x.rank())), epsilon);
  AffineMap channel = projection(b, x.rank(), {1});
  return normalize(b, x, stats, &scale, &bias, channel, channel);
}

FailureOr<Tensor> groupNorm(Builder &b, const Tensor &x, const Tensor &scale, const Tensor &bias, int64_t groups,
                            double epsilon, bool perGroup) {
  if (failed(checkFloat(b, x, 2)))
    return failure();
  Dim channels = x.shape[1];
  if (groups < 1 || (channels.isConstant() && channels.constant() % groups != 0))
    return b.error() << "num_groups = " << groups << " does not divide the " << channels.str() << " channels";
  Dim parameters = perGroup ? Dim(groups) : channels;
  if (failed(checkPerChannel(b, scale, parameters, "scale")) || failed(checkPerChannel(b, bias, parameters, "bias")))
    return failure();
  Dim perGroupChannels = floorDiv(channels, groups);
  Dims shape{x.shape[0], groups, perGroupChannels};
  shape.append(x.shape.begin() + 2, x.shape.end());
  Tensor split = b.reshape(x, shape);
  Statistics stats = statistics(b, split, llvm::to_vector(llvm::seq<int64_t>(2, split.rank())), epsilon);
  AffineMap map = perGroup ? projection(b, split.rank(), {1}) : projection(b, split.rank(), {1, 2});
  Dims parameterShape{groups};
  if (!perGroup)
    parameterShape.push_back(perGroupChannels);
  Tensor shapedScale = b.reshape(scale, parameterShape), shapedBias = b.reshape(bias, parameterShape);
  return b.reshape(normalize(b, split, stats, &shapedScale, &shapedBias, map, map), x.shape);
}

FailureOr<Tensor> batchNorm(Builder &b, const Tensor &x, const Tensor &scale, const Tensor &bias, const Tensor &mean,
                            const Tensor &variance, double epsilon) {
  if (failed(checkFloat(b, x, 1)))
    return failure();
  Dim channels = x.rank() > 1 ? x.shape[1] : Dim(1);
  for (auto [p, name] : {std::pair(&scale, "scale"), {&bias, "bias"}, {&mean, "mean"}, {&variance, "variance"}})
    if (failed(checkPerChannel(b, *p, channels, name)))
      return failure();
  // Two vectors that constant evaluation makes at compile time: x * factor + offset.
  Type wide = computeType(x.elementType);
  auto widen = [&](const Scalar &s, Value v) { return scalarCast(s, v, false, wide, false); };
  Tensor factor = elementwise(b, scale.shape, wide, {scale, variance}, false, [&](const Scalar &s, ValueRange args) {
    return s.divF(widen(s, args[0]), s.op<math::SqrtOp>(s.add(widen(s, args[1]), epsilon)));
  });
  Tensor offset = elementwise(b, scale.shape, wide, {bias, mean, factor}, false, [&](const Scalar &s, ValueRange args) {
    return s.sub(widen(s, args[0]), s.mul(widen(s, args[1]), args[2]));
  });
  SmallVector<int64_t> channel;
  if (x.rank() > 1)
    channel.push_back(1);
  else
    factor = b.reshape(factor, {}), offset = b.reshape(offset, {});
  AffineMap map = projection(b, x.rank(), channel);
  return b.map(x.shape, x.elementType, {x, factor, offset}, {b.identity(x.rank()), map, map},
               [&](OpBuilder &builder, Location loc, ValueRange args) {
                 Scalar s{builder, loc};
                 Value y = s.add(s.mul(widen(s, args[0]), args[1]), args[2]);
                 return scalarCast(s, y, false, x.elementType, false);
               });
}

FailureOr<SmallVector<Tensor>> batchNormTraining(Builder &b, const Tensor &x, const Tensor &scale, const Tensor &bias,
                                                 const Tensor &mean, const Tensor &variance, double epsilon,
                                                 double momentum) {
  if (failed(checkFloat(b, x, 2)))
    return failure();
  SmallVector<int64_t> axes;
  for (int64_t d = 0; d < x.rank(); ++d)
    if (d != 1)
      axes.push_back(d);
  Dims broadcast(x.rank(), Dim(1));
  broadcast[1] = x.shape[1];
  auto wide = cast(b, x, computeType(x.elementType), false);
  auto center = failed(wide) ? wide : reduce(b, Reduce::Mean, *wide, axes, /*keepDims=*/false);
  auto deviation = failed(center) ? center : binary(b, Binary::Sub, *wide, b.reshape(*center, broadcast));
  auto squares = failed(deviation) ? deviation : binary(b, Binary::Mul, *deviation, *deviation);
  auto spread = failed(squares) ? squares : reduce(b, Reduce::Mean, *squares, axes, /*keepDims=*/false);
  auto y = failed(spread) ? spread : batchNorm(b, x, scale, bias, *center, *spread, epsilon);
  if (failed(y))
    return failure();
  SmallVector<Tensor> results{*y};
  for (auto [old, now] : {std::pair(&mean, &*center), {&variance, &*spread}})
    results.push_back(
        elementwise(b, old->shape, old->elementType, {*old, *now}, false, [&](const Scalar &s, ValueRange args) {
          Value before = scalarCast(s, args[0], false, args[1].getType(), false);
          Value moved = s.add(s.mul(before, momentum), s.mul(args[1], 1 - momentum));
          return scalarCast(s, moved, false, old->elementType, false);
        }));
  return results;
}

FailureOr<Tensor> lrn(Builder &b, const Tensor &x, int64_t size, double alpha, double beta, double bias) {
  if (failed(checkFloat(b, x, 2)))
    return failure();
  if (size < 1)
    return b.error() << "size must be at least 1, found " << size;
  Dims low(x.rank(), Dim(0)), high = low;
  low[1] = (size - 1) / 2, high[1] = size - 1 - (size - 1) / 2;
  Tensor padded = b.pad(x, low, high, numberAttr(x.elementType, 0));
  unsigned rank = x.rank();
  SmallVector<AffineExpr> exprs;
  for (unsigned i = 0; i < rank; ++i)
    exprs.push_back(b.builder.getAffineDimExpr(i) +
                    (i == 1 ? b.builder.getAffineDimExpr(rank) : b.builder.getAffineConstantExpr(0)));
  Dims loops = x.shape;
  loops.push_back(size);
  Type wide = computeType(x.elementType);
  Tensor sum =
      reduceAxes(b, {padded, b.empty({size}, x.elementType)},
                 {AffineMap::get(rank + 1, 0, exprs, b.builder.getContext()), projection(b, rank + 1, {rank})}, loops,
                 int64_t(rank), numberAttr(wide, 0), false, [&](const Scalar &s, Value acc, ValueRange args) {
                   Value v = scalarCast(s, args[0], false, wide, false);
                   return s.add(acc, s.mul(v, v));
                 });
  return elementwise(b, x.shape, x.elementType, {x, sum}, false, [&](const Scalar &s, ValueRange args) {
    Value base = s.add(s.mul(args[1], alpha / size), bias);
    Value y = s.divF(scalarCast(s, args[0], false, wide, false), s.op<math::PowFOp>(base, s.like(base, beta)));
    return scalarCast(s, y, false, x.elementType, false);
  });
}

FailureOr<Tensor> meanVarianceNorm(Builder &b, const Tensor &x, ArrayRef<int64_t> givenAxes) {
  auto axes = normalizeAxes(b, givenAxes, x.rank());
  if (failed(axes) || failed(checkFloat(b, x, 1)))
    return failure();
  return normalize(b, x, statistics(b, x, *axes, 1e-9), nullptr, nullptr, {}, {});
}

FailureOr<Tensor> lpNorm(Builder &b, const Tensor &x, int64_t axis, int64_t p) {
  if (failed(checkFloat(b, x, 1)))
    return failure();
  if (p != 1 && p != 2)
    return b.error() << "p must be 1 or 2, found " << p;
  auto norm = reduce(b, p == 1 ? Reduce::L1 : Reduce::L2, x, axis, /*keepDims=*/true);
  if (failed(norm))
    return failure();
  return elementwise(b, x.shape, x.elementType, {x, *norm}, false, [](const Scalar &s, ValueRange args) {
    Value isZero = s.cmp(arith::CmpFPredicate::OEQ, args[1], s.like(args[1], 0));
    return s.select(isZero, s.like(args[0], 0), s.divF(args[0], args[1]));
  });
}

} // namespace eyrie::ops
