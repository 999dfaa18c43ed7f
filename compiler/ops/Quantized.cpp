// Arithmetic on quantised tensors: exact sums of products in i32, then one elementwise generic that scales, rounds half
// to even and saturates.
#include "compiler/ops/Scalar.h"

using namespace mlir;

namespace eyrie::ops {

static LogicalResult checkQuantized(Builder &b, const Tensor &x, llvm::StringRef name) {
  if (x.isInteger() && x.elementType.isInteger(8))
    return success();
  return b.error() << name << " must hold 8-bit integers, found " << x.str()
                   << (x.isFloat() ? "; 8-bit floats are not supported here" : "");
}

/// One parameter, one per row (`isRow`) or column of a matrix product, or one with batch dimensions: in the form that
/// broadcasts to the matrix.
static FailureOr<Tensor> alongMatrix(Builder &b, const Tensor &p, const Tensor &matrix, bool isRow,
                                     llvm::StringRef name) {
  if (p.hasStaticShape() && p.numElements().is(1))
    return b.reshape(p, {});
  if (p.rank() == 1)
    return isRow ? b.reshape(p, {p.shape[0], 1}) : p;
  auto shape = broadcastShapes(b, p.shape, matrix.shape);
  if (failed(shape))
    return failure();
  if (static_cast<int64_t>(shape->size()) != matrix.rank())
    return b.error() << name << " " << p.str() << " does not broadcast to " << matrix.str();
  return p;
}

/// x - zeroPoint in i32; the zero point broadcasts to x.
static FailureOr<Tensor> centred(Builder &b, const Tensor &x, const Tensor *zeroPoint, llvm::StringRef name) {
  Type i32 = b.builder.getI32Type();
  SmallVector<Tensor> operands{x};
  if (zeroPoint) {
    if (zeroPoint->elementType != x.elementType || zeroPoint->isUnsigned != x.isUnsigned)
      return b.error() << "the zero point of " << name << " must have the type of " << x.str() << ", found "
                       << zeroPoint->str();
    operands.push_back(*zeroPoint);
  }
  return elementwise(b, x.shape, i32, operands, false, [&](const Scalar &s, ValueRange args) {
    Value value = scalarCast(s, args[0], x.isUnsigned, i32, false);
    return zeroPoint ? s.sub(value, scalarCast(s, args[1], x.isUnsigned, i32, false)) : value;
  });
}

static FailureOr<Tensor> centredMatrix(Builder &b, const Tensor &x, const Tensor *zeroPoint, bool isRow,
                                       llvm::StringRef name) {
  if (failed(checkQuantized(b, x, name)))
    return failure();
  if (!zeroPoint)
    return centred(b, x, nullptr, name);
  auto laid = alongMatrix(b, *zeroPoint, x, isRow, "the zero point");
  return failed(laid) ? laid : centred(b, x, &*laid, name);
}

FailureOr<Tensor> matmulInteger(Builder &b, const Tensor &x, const Tensor &y, const Tensor *xZero,
                                const Tensor *yZero) {
  auto left = centredMatrix(b, x, xZero, /*isRow=*/true, "A");
  auto right = failed(left) ? left : centredMatrix(b, y, yZero, /*isRow=*/false, "B");
  return failed(right) ? right : matmul(b, *left, *right);
}

/// One parameter for all channels, or one per channel, as it broadcasts to a tensor whose channels have `inner`
/// dimensions behind them.
static FailureOr<Tensor> perChannel(Builder &b, const Tensor &p, Dim channels, int64_t inner, llvm::StringRef name) {
  if (p.hasStaticShape() && p.numElements().is(1))
    return b.reshape(p, {});
  if (p.rank() != 1 || isEqual(p.shape[0], channels) == std::optional<bool>(false))
    return b.error() << name << " must be one number or one per output channel (" << channels.str() << "), found "
                     << p.str();
  Dims shape(inner + 1, Dim(1));
  shape[0] = channels;
  return b.reshape(p, shape);
}

FailureOr<Tensor> convInteger(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *xZero,
                              const Tensor *filterZero, const WindowAttrs &attrs, int64_t groups) {
  if (failed(checkQuantized(b, x, "the input")) || failed(checkQuantized(b, filter, "the filter")))
    return failure();
  if (filter.rank() < 3)
    return b.error() << "a convolution needs a filter of rank 3, 4 or 5, found " << filter.str();
  FailureOr<Tensor> xLaid = failure(), filterLaid = failure();
  if (xZero && failed(xLaid = perChannel(b, *xZero, 1, 0, "the input's zero point")))
    return failure();
  if (filterZero &&
      failed(filterLaid = perChannel(b, *filterZero, filter.shape[0], filter.rank() - 1, "the filter's zero point")))
    return failure();
  auto data = centred(b, x, xZero ? &*xLaid : nullptr, "the input");
  auto weights = failed(data) ? data : centred(b, filter, filterZero ? &*filterLaid : nullptr, "the filter");
  return failed(weights) ? weights : conv(b, *data, *weights, nullptr, attrs, groups);
}

/// sums * xScale * yScale / outScale + outZero, saturated to outZero's type; all parameters broadcast.
static FailureOr<Tensor> requantize(Builder &b, const Tensor &sums, const Tensor &xScale, const Tensor &yScale,
                                    const Tensor &outScale, const Tensor &outZero) {
  for (const Tensor *scale : {&xScale, &yScale, &outScale})
    if (!scale->isFloat())
      return b.error() << "a scale must be a floating-point number, found " << scale->str();
  if (failed(checkQuantized(b, outZero, "the result's zero point")))
    return failure();
  Type type = outZero.elementType;
  bool isUnsigned = outZero.isUnsigned;
  Type wide = computeType(outScale.elementType);
  return elementwise(b, sums.shape, type, {sums, xScale, yScale, outScale, outZero}, isUnsigned,
                     [&](const Scalar &s, ValueRange args) {
                       auto widen = [&](Value v) { return scalarCast(s, v, false, wide, false); };
                       Value factor = s.divF(s.mul(widen(args[1]), widen(args[2])), widen(args[3]));
                       Value rounded = s.op<math::RoundEvenOp>(s.mul(widen(args[0]), factor));
                       Value zero = scalarCast(s, args[4], isUnsigned, wide, false);
                       return scalarCast(s, s.add(rounded, zero), false, type, isUnsigned);
                     });
}

static FailureOr<Tensor> single(Builder &b, const Tensor &p, llvm::StringRef name) {
  if (p.hasStaticShape() && p.numElements().is(1))
    return b.reshape(p, {});
  return b.error() << name << " must be one number, found " << p.str();
}

FailureOr<Tensor> qlinearMatmul(Builder &b, Quantized x, Quantized y, const Tensor &outScale, const Tensor &outZero) {
  auto sums = matmulInteger(b, x.x, y.x, x.zeroPoint, y.zeroPoint);
  if (failed(sums))
    return failure();
  auto xScale = alongMatrix(b, *x.scale, *sums, true, "A's scale");
  auto yScale = failed(xScale) ? xScale : alongMatrix(b, *y.scale, *sums, false, "B's scale");
  auto scale = failed(yScale) ? yScale : alongMatrix(b, outScale, *sums, true, "the result's scale");
  auto zero = failed(scale) ? scale : alongMatrix(b, outZero, *sums, true, "the result's zero point");
  return failed(zero) ? zero : requantize(b, *sums, *xScale, *yScale, *scale, *zero);
}

FailureOr<Tensor> qlinearConv(Builder &b, Quantized x, Quantized filter, const Tensor *bias, const Tensor &outScale,
                              const Tensor &outZero, const WindowAttrs &attrs, int64_t groups) {
  auto sums = convInteger(b, x.x, filter.x, x.zeroPoint, filter.zeroPoint, attrs, groups);
  if (failed(sums))
    return failure();
  Dim channels = sums->shape[1];
  int64_t inner = sums->rank() - 2;
  if (bias) {
    if (!bias->elementType.isInteger(32))
      return b.error() << "the bias must hold 32-bit integers, found " << bias->str();
    auto laid = perChannel(b, *bias, channels, inner, "the bias");
    auto sum = failed(laid) ? laid : binary(b, Binary::Add, *sums, *laid);
    if (failed(sum))
      return failure();
    sums = sum;
  }
  auto xScale = single(b, *x.scale, "the input's scale");
  auto filterScale = failed(xScale) ? xScale : perChannel(b, *filter.scale, channels, inner, "the filter's scale");
  auto scale = failed(filterScale) ? filterScale : single(b, outScale, "the result's scale");
  auto zero = failed(scale) ? scale : single(b, outZero, "the result's zero point");
  return failed(zero) ? zero : requantize(b, *sums, *xScale, *filterScale, *scale, *zero);
}

FailureOr<SmallVector<Tensor>> dynamicQuantizeLinear(Builder &b, const Tensor &x) {
  Type f32 = b.builder.getF32Type(), u8 = b.builder.getI8Type();
  if (x.elementType != f32)
    return b.error() << "expected a tensor of f32, found " << x.str();
  Tensor flat = b.reshape(x, {x.numElements()});
  auto extreme = [&](bool lowest) {
    return reduceAxes(b, flat, b.identity(1), flat.shape, int64_t(0), numberAttr(f32, 0), false,
                      [&](const Scalar &s, Value acc, ValueRange args) {
                        return lowest ? s.min(acc, args[0]) : s.max(acc, args[0]);
                      });
  };
  Tensor low = extreme(true), high = extreme(false);
  Tensor scale = elementwise(b, {}, f32, {low, high}, false, [&](const Scalar &s, ValueRange args) {
    Value range = s.sub(args[1], args[0]);
    Value isZero = s.cmp(arith::CmpFPredicate::OEQ, range, s.like(range, 0));
    return s.select(isZero, s.like(range, 1), s.divF(range, s.like(range, 255)));
  });
  Tensor zero = elementwise(b, {}, u8, {low, scale}, true, [&](const Scalar &s, ValueRange args) {
    return scalarCast(s, s.op<math::RoundEvenOp>(s.neg(s.divF(args[0], args[1]))), false, u8, true);
  });
  auto y = quantizeLinear(b, x, scale, &zero, 0, u8, true);
  if (failed(y))
    return failure();
  return SmallVector<Tensor>{*y, scale, zero};
}

FailureOr<Tensor> scaledMatmulInteger(Builder &b, Quantized x, Quantized y, const Tensor *bias) {
  auto sums = matmulInteger(b, x.x, y.x, x.zeroPoint, y.zeroPoint);
  if (failed(sums))
    return failure();
  auto xScale = alongMatrix(b, *x.scale, *sums, true, "A's scale");
  auto yScale = failed(xScale) ? xScale : alongMatrix(b, *y.scale, *sums, false, "B's scale");
  if (failed(yScale))
    return failure();
  Type type = yScale->elementType;
  if (!isa<FloatType>(type) || xScale->elementType != type || (bias && bias->elementType != type))
    return b.error() << "the scales and the bias must have one floating-point type, found " << x.scale->str() << ", "
                     << y.scale->str() << (bias ? " and " + bias->str() : std::string());
  SmallVector<Tensor> operands{*sums, *xScale, *yScale};
  if (bias) {
    if (bias->rank() != 1 || isEqual(bias->shape[0], sums->shape.back()) == std::optional<bool>(false))
      return b.error() << "the bias must have one value per column (" << sums->shape.back().str() << "), found "
                       << bias->str();
    operands.push_back(*bias);
  }
  Type wide = computeType(type);
  return elementwise(b, sums->shape, type, operands, false, [&](const Scalar &s, ValueRange args) {
    auto widen = [&](Value v) { return scalarCast(s, v, false, wide, false); };
    Value y = s.mul(widen(args[0]), s.mul(widen(args[1]), widen(args[2])));
    return scalarCast(s, bias ? s.add(y, widen(args[3])) : y, false, type, false);
  });
}

} // namespace eyrie::ops
