// Conversion between element types, and quantisation.
#include "compiler/ops/Scalar.h"

using namespace mlir;

namespace eyrie::ops {

static Tensor castContents(const Tensor &x, Type type, bool isUnsigned) {
  Dims result;
  for (Dim d : *x.contents) {
    if (type.isInteger(1))
      result.push_back(isEqual(d, 0).value_or(false) ? 0 : 1);
    else if (d.isConstant()) {
      APInt narrow = APInt(64, d.constant(), true).trunc(type.getIntOrFloatBitWidth());
      result.push_back(isUnsigned ? static_cast<int64_t>(narrow.getZExtValue()) : narrow.getSExtValue());
    } else {
      result.push_back(d); // sizes fit
    }
  }
  return fromContents(type, x.shape, result, isUnsigned);
}

/// Known numbers to floats.
static std::optional<Tensor> castToFloat(const Tensor &x, FloatType type) {
  auto convert = [&](APFloat v) {
    bool lost;
    v.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
    return v;
  };
  SmallVector<APFloat> values;
  auto shape = x.type().clone(Type(type));
  if (x.constant && x.isFloat()) {
    if (x.constant.isSplat())
      return fromConstant(
          DenseElementsAttr::get(cast<ShapedType>(shape), convert(x.constant.getSplatValue<APFloat>())));
    if (x.constant.getNumElements() > kMaxContents)
      return std::nullopt;
    for (const APFloat &v : x.constant.getValues<APFloat>())
      values.push_back(convert(v));
  } else if (x.contents) {
    for (Dim d : *x.contents) {
      if (!d.isConstant())
        return std::nullopt;
      APFloat v(type.getFloatSemantics());
      v.convertFromAPInt(APInt(64, d.constant(), true), !x.isUnsigned && !x.isBool(), APFloat::rmNearestTiesToEven);
      values.push_back(v);
    }
  } else {
    return std::nullopt;
  }
  return fromConstant(DenseElementsAttr::get(cast<ShapedType>(shape), ArrayRef<APFloat>(values)));
}

static std::optional<Tensor> castFloatToInteger(const Tensor &x, Type type, bool isUnsigned) {
  if (!x.constant || !x.isFloat() || x.rank() > 1 || x.constant.getNumElements() > kMaxContents)
    return std::nullopt;
  Dims result;
  for (const APFloat &v : x.constant.getValues<APFloat>()) {
    if (type.isInteger(1)) {
      result.push_back(v.isZero() ? 0 : 1);
      continue;
    }
    unsigned width = type.getIntOrFloatBitWidth();
    APSInt integer(width < 8 ? 32 : width, width >= 8 && isUnsigned);
    bool isExact;
    v.convertToInteger(integer, APFloat::rmTowardZero, &isExact);
    integer = APSInt(integer.trunc(width), isUnsigned); // below 8 bits, what is too large keeps its lowest bits
    result.push_back(isUnsigned ? static_cast<int64_t>(integer.getZExtValue()) : integer.getSExtValue());
  }
  return fromContents(type, x.shape, result, isUnsigned);
}

/// The exponent of x, which is rounded as ONNX's reference does it: the sign is dropped, NaN and infinities are NaN.
static Value toPowerOfTwo(const Scalar &s, Value x, TinyRounding rounding, Type type) {
  using P = arith::CmpIPredicate;
  Type i32 = s.b.getI32Type();
  Value bits = s.op<arith::BitcastOp>(i32, x);
  Value exponent = s.op<arith::AndIOp>(Value(s.op<arith::ShRUIOp>(bits, s.number(i32, 23))), s.number(i32, 0xff));
  Value fraction = s.op<arith::AndIOp>(bits, s.number(i32, 0x7fffff)), half = s.number(i32, 0x400000);
  Value special = s.cmp(P::eq, exponent, s.number(i32, 255));
  Value isUp;
  switch (rounding.powers) {
  case TinyRounding::Powers::Down:
    break;
  case TinyRounding::Powers::Up:
    isUp = s.cmp(P::ne, fraction, s.number(i32, 0));
    break;
  case TinyRounding::Powers::Nearest: {
    // 2^-127, the smallest, is half of the smallest normal number.
    Value isTie = s.op<arith::AndIOp>(s.cmp(P::eq, fraction, half), s.cmp(P::ne, exponent, s.number(i32, 0)));
    isUp = s.op<arith::OrIOp>(s.cmp(P::sgt, fraction, half), isTie);
    break;
  }
  }
  Value result = exponent;
  if (isUp) {
    result = s.add(exponent, Value(s.op<arith::ExtUIOp>(i32, isUp)));
    if (rounding.saturate)
      result = s.min(result, s.number(i32, 254));
  }
  result = s.select(special, s.number(i32, 255), result);
  return s.op<arith::BitcastOp>(type, Value(s.op<arith::TruncIOp>(s.b.getI8Type(), result)));
}

Value scalarCastTiny(const Scalar &s, Value x, bool fromUnsigned, FloatType to, TinyRounding rounding) {
  Type from = x.getType();
  if (from == to)
    return x;
  // Wide enough for one rounding: the sums of integers of 64 bits that f64 rounds are all too large.
  Type wide = isa<FloatType>(from)                ? computeType(from)
              : from.getIntOrFloatBitWidth() > 16 ? Type(s.b.getF64Type())
                                                  : Type(s.b.getF32Type());
  x = scalarCast(s, x, fromUnsigned, wide, false);
  if (isa<Float8E8M0FNUType>(to))
    return toPowerOfTwo(s, scalarCast(s, x, false, s.b.getF32Type(), false), rounding, to);
  if (rounding.saturate) {
    double largest = APFloat::getLargest(to.getFloatSemantics()).convertToDouble();
    x = s.max(s.min(x, s.like(x, largest)), s.like(x, -largest));
  }
  return s.op<arith::TruncFOp>(to, x);
}

FailureOr<Tensor> cast(Builder &b, const Tensor &x, Type type, bool isUnsigned, TinyRounding rounding) {
  if (x.elementType == type) {
    Tensor same = x;
    same.isUnsigned = isUnsigned;
    return same;
  }
  auto floatType = dyn_cast<FloatType>(type);
  if (!floatType && x.contents &&
      (!type.isInteger(1) || llvm::all_of(*x.contents, [](Dim d) { return isEqual(d, 0).has_value(); })))
    return castContents(x, type, isUnsigned);
  bool isTiny = floatType && isTinyFloat(type);
  if (floatType && !isTiny)
    if (auto folded = castToFloat(x, floatType))
      return *folded;
  if (!floatType)
    if (auto folded = castFloatToInteger(x, type, isUnsigned))
      return *folded;
  return elementwise(b, x.shape, type, x, isUnsigned, [&](const Scalar &s, ValueRange args) {
    // Integers of 4 and 2 bits keep the lowest bits of what is too large, as the standard's examples do.
    if (x.isFloat() && !floatType && !type.isInteger(1) && type.getIntOrFloatBitWidth() < 8)
      return scalarCast(s, scalarCast(s, args[0], false, s.b.getI32Type(), false), false, type, isUnsigned);
    return isTiny ? scalarCastTiny(s, args[0], x.isUnsigned, floatType, rounding)
                  : scalarCast(s, args[0], x.isUnsigned, type, isUnsigned);
  });
}

static LogicalResult checkBlocks(Builder &b, const Tensor &x, const Tensor &p, int64_t axis, int64_t blockSize) {
  if (p.rank() != x.rank())
    return b.error() << "quantisation in blocks needs scales and zero points of the rank of " << x.str() << ", found "
                     << p.str();
  for (int64_t i = 0; i < x.rank(); ++i)
    if (failed(checkSame(b, p.shape[i], i == axis ? ceilDiv(x.shape[i], blockSize) : x.shape[i],
                         "scales or zero points " + p.str() + " of blocks of " + llvm::Twine(blockSize) +
                             " along axis " + llvm::Twine(axis) + " of " + x.str())))
      return failure();
  return success();
}

/// One parameter for each block of `blockSize` elements along `axis` as one for each element of x.
static FailureOr<Tensor> perBlock(Builder &b, const Tensor &x, const Tensor &p, int64_t axis, int64_t blockSize) {
  if (failed(checkBlocks(b, x, p, axis, blockSize)))
    return failure();
  return gatherMap(b, p, x.shape, {}, {}, [&](const Scalar &s, ValueRange indices, ValueRange) {
    SmallVector<Value> from(indices);
    from[axis] = s.op<arith::DivUIOp>(from[axis], s.index(blockSize));
    return from;
  });
}

/// How scale and zero point are read in the loop nest over x: one number, one per index of `axis`, or one per block.
static FailureOr<Tensor> alongAxis(Builder &b, const Tensor &x, const Tensor &scale, int64_t axis, int64_t blockSize) {
  if (blockSize < 0)
    return b.error() << "block_size must not be negative, found " << blockSize;
  if (scale.numElements().is(1) && (blockSize == 0 || scale.rank() < 2))
    return b.reshape(scale, {});
  auto position = normalizeAxis(b, axis, x.rank());
  if (failed(position))
    return failure();
  if (blockSize > 0)
    return perBlock(b, x, scale, *position, blockSize);
  if (scale.rank() != 1)
    return b.error() << "expected one scale or one per channel (or an attribute 'block_size'), found " << scale.str();
  Dims shape(x.rank() - *position, Dim(1));
  shape[0] = scale.shape[0];
  return b.reshape(scale, shape);
}

/// The operands of a quantisation: x, the scale and, if there is one, the zero point, both laid along `axis` of x.
static FailureOr<SmallVector<Tensor>> withScale(Builder &b, const Tensor &x, const Tensor &scale,
                                                const Tensor *zeroPoint, int64_t axis, int64_t blockSize) {
  if (!scale.isFloat())
    return b.error() << "the scale must be a floating-point number, found " << scale.str();
  auto step = alongAxis(b, x, scale, axis, blockSize);
  if (failed(step))
    return failure();
  SmallVector<Tensor> operands{x, *step};
  if (zeroPoint) {
    auto zero = alongAxis(b, x, *zeroPoint, axis, blockSize);
    if (failed(zero))
      return failure();
    operands.push_back(*zero);
  }
  return operands;
}

Tensor quantizeSteps(Builder &b, ArrayRef<Dim> shape, ArrayRef<Tensor> xs, const Tensor &zeroPoint,
                     llvm::function_ref<Value(const Scalar &, ValueRange)> body) {
  // Signed bytes are made of unsigned ones, which products take (Quantized.cpp).
  Tensor zero = zeroPoint.isUnsigned ? zeroPoint : withOtherSign(b, zeroPoint);
  SmallVector<Tensor> operands(xs);
  operands.push_back(zero);
  Tensor raised = elementwise(b, shape, zero.elementType, operands, true, [&](const Scalar &s, ValueRange args) {
    return scalarQuantize(s, body(s, args.drop_back()), args.back(), true);
  });
  if (zeroPoint.isUnsigned)
    return raised;
  Tensor bytes = withOtherSign(b, raised);
  b.quantized.raised[bytes.value] = raised;
  return bytes;
}

/// Sums that become floats, and these a number of steps, without the floats in between.
static FailureOr<Tensor> requantize(Builder &b, const QuantizedForms::Sums &known, const Tensor &scale,
                                    const Tensor &zero) {
  SmallVector<Tensor> operands{known.sums};
  for (const Tensor *x : {&known.factor, known.offset ? &*known.offset : nullptr}) {
    auto steps = x ? binary(b, Binary::Div, *x, scale) : FailureOr<Tensor>(failure());
    if (succeeded(steps))
      operands.push_back(*steps);
    else if (x)
      return failure();
  }
  return quantizeSteps(b, known.sums.shape, operands, zero, [&](const Scalar &s, ValueRange args) {
    Value steps = s.mul(scalarCast(s, args[0], false, args[1].getType(), false), args[1]);
    return known.offset ? s.add(steps, args[2]) : steps;
  });
}

/// The bytes from which x was dequantised by the same scale and zero point: there and back again is no change.
static std::optional<Tensor> knownBytes(Builder &b, const Tensor &x, const Tensor &scale, const Tensor &zero) {
  const QuantizedForms::Codes *codes = uniformCodes(b, x);
  if (!codes || splatValue(scale) != splatValue(codes->scale))
    return std::nullopt;
  Tensor unsignedZero = zero.isUnsigned || !codes->x.isUnsigned ? zero : withOtherSign(b, zero);
  std::optional<double> there = codes->zeroPoint ? splatValue(*codes->zeroPoint) : 0.0;
  if (unsignedZero.isUnsigned != codes->x.isUnsigned || splatValue(unsignedZero) != there)
    return std::nullopt;
  if (zero.isUnsigned == codes->x.isUnsigned)
    return codes->x;
  Tensor raised = codes->x, bytes = withOtherSign(b, raised);
  b.quantized.raised[bytes.value] = raised;
  return bytes;
}

FailureOr<Tensor> quantizeLinear(Builder &b, const Tensor &x, const Tensor &scale, const Tensor *zeroPoint,
                                 int64_t axis, Type type, bool isUnsigned, int64_t blockSize, Type precision,
                                 bool saturate) {
  auto operands = withScale(b, x, scale, zeroPoint, axis, blockSize);
  if (failed(operands))
    return failure();
  Type wide = computeType(precision ? precision : x.isFloat() ? x.elementType : scale.elementType);
  auto divide = [&](const Scalar &s, ValueRange args) {
    return s.divF(scalarCast(s, args[0], x.isUnsigned, wide, false), scalarCast(s, args[1], false, wide, false));
  };
  if (type.isInteger(8)) {
    Tensor zero = zeroPoint ? operands->back() : b.splat({}, type, 0, isUnsigned);
    if (auto bytes = precision ? std::nullopt : knownBytes(b, x, scale, zero))
      return *bytes;
    auto known = b.quantized.sums.find(x.value);
    if (known != b.quantized.sums.end() && scale.elementType.isF32() && (*operands)[1].isScalar() && !precision)
      return requantize(b, known->second, (*operands)[1], zero);
    return quantizeSteps(b, x.shape, ArrayRef(*operands).take_front(2), zero, divide);
  }
  return elementwise(b, x.shape, type, *operands, isUnsigned, [&](const Scalar &s, ValueRange args) {
    Value scaled = divide(s, args);
    if (isTinyFloat(type)) {
      // The zero points of floats of 8 bits are 0.
      if (zeroPoint && isa<Float4E2M1FNType>(type))
        scaled = s.add(scaled, scalarCast(s, args[2], false, wide, false));
      return scalarCastTiny(s, scaled, false, mlir::cast<FloatType>(type), {saturate, TinyRounding::Powers::Up});
    }
    if (isa<FloatType>(type))
      return scalarCast(s, scaled, false, type, false);
    Value rounded = s.op<math::RoundEvenOp>(scaled);
    if (zeroPoint)
      rounded = s.add(rounded, scalarCast(s, args[2], isUnsigned, wide, false));
    return scalarCast(s, rounded, false, type, isUnsigned);
  });
}

/// Known integers (a bias) as floats.
static std::optional<Tensor> foldDequantize(const Tensor &x, const Tensor &scale, const Tensor *zeroPoint) {
  auto areKnown = [](const Tensor &t) {
    return t.contents && llvm::all_of(*t.contents, [](Dim d) { return d.isConstant(); });
  };
  if (x.rank() > 1 || !areKnown(x) || !scale.constant || !scale.elementType.isF32() || scale.rank() > 1 ||
      (zeroPoint && !areKnown(*zeroPoint)))
    return std::nullopt;
  SmallVector<float> values, scales;
  for (const APFloat &step : scale.constant.getValues<APFloat>())
    scales.push_back(step.convertToFloat());
  bool isNarrow = x.elementType.getIntOrFloatBitWidth() <= 16;
  auto at = [](const auto &list, size_t i) { return list[list.size() == 1 ? 0 : i]; };
  for (size_t i = 0; i < x.contents->size(); ++i) {
    int64_t number = (*x.contents)[i].constant(), zero = zeroPoint ? at(*zeroPoint->contents, i).constant() : 0;
    float steps = isNarrow ? static_cast<float>(number - zero) : static_cast<float>(number) - static_cast<float>(zero);
    values.push_back(steps * at(scales, i));
  }
  auto type = x.type().clone(scale.elementType);
  return fromConstant(DenseElementsAttr::get(cast<ShapedType>(type), ArrayRef<float>(values)));
}

/// `axis` counted from the first, if it is of a known size that is some blocks; else nothing.
static std::optional<int64_t> axisOfWholeBlocks(const Tensor &x, const Tensor &scale, int64_t axis, int64_t blockSize) {
  if (blockSize <= 0 || axis < -x.rank() || axis >= x.rank() || scale.rank() != x.rank() || !scale.isFloat())
    return std::nullopt;
  axis = axis < 0 ? axis + x.rank() : axis;
  const Dim &size = x.shape[axis];
  return size.isConstant() && size.constant() % blockSize == 0 ? std::optional(axis) : std::nullopt;
}

/// Operands as of withScale, all with `axis` split into blocks and their elements, so that a parameter is one number
/// along a dimension.
static FailureOr<SmallVector<Tensor>> inBlocks(Builder &b, const Tensor &x, const Tensor &scale,
                                               const Tensor *zeroPoint, int64_t axis, int64_t blockSize) {
  SmallVector<Tensor> operands;
  auto add = [&](const Tensor &t, int64_t size) {
    Dims shape = t.shape;
    shape.insert(shape.begin() + axis + 1, Dim(size));
    if (size > 1)
      shape[axis] = Dim(t.shape[axis].constant() / size);
    operands.push_back(b.reshape(t, shape));
  };
  add(x, blockSize);
  for (const Tensor *p : {&scale, zeroPoint}) {
    if (!p)
      continue;
    if (failed(checkBlocks(b, x, *p, axis, blockSize)))
      return failure();
    add(*p, 1);
  }
  return operands;
}

FailureOr<Tensor> dequantizeLinear(Builder &b, const Tensor &signedOrNot, const Tensor &scale, const Tensor *zeroPoint,
                                   int64_t axis, int64_t blockSize, Type resultType) {
  if (failed(checkZeroPoint(b, signedOrNot, zeroPoint, "x")))
    return failure();
  Tensor x = signedOrNot;
  Tensor raisedZero;
  auto raised = b.quantized.raised.find(x.value);
  if (raised != b.quantized.raised.end()) {
    raisedZero = withOtherSign(b, zeroPoint ? *zeroPoint : b.splat({}, x.elementType, 0));
    x = raised->second;
    zeroPoint = &raisedZero;
  }
  std::optional<int64_t> split = axisOfWholeBlocks(x, scale, axis, blockSize);
  auto operands =
      split ? inBlocks(b, x, scale, zeroPoint, *split, blockSize) : withScale(b, x, scale, zeroPoint, axis, blockSize);
  if (failed(operands))
    return failure();
  Type type = resultType ? resultType : scale.elementType, wide = computeType(scale.elementType);
  if (blockSize == 0 && type.isF32())
    if (auto folded = foldDequantize(x, scale, zeroPoint))
      return *folded;
  Tensor y = elementwise(b, operands->front().shape, type, *operands, false, [&](const Scalar &s, ValueRange args) {
    Value value;
    if (x.isInteger() && x.elementType.getIntOrFloatBitWidth() <= 16) {
      Type i32 = s.b.getI32Type();
      value = scalarCast(s, args[0], x.isUnsigned, i32, false);
      if (zeroPoint)
        value = s.sub(value, scalarCast(s, args[2], x.isUnsigned, i32, false));
      value = scalarCast(s, value, false, wide, false);
    } else {
      value = scalarCast(s, args[0], x.isUnsigned, wide, false);
      if (zeroPoint)
        value = s.sub(value, scalarCast(s, args[2], x.isUnsigned, wide, false));
    }
    return scalarCast(s, s.mul(value, scalarCast(s, args[1], false, wide, false)), false, type, false);
  });
  if (split)
    return b.reshape(y, x.shape);
  if (x.isInteger() && x.elementType.isInteger(8) && blockSize == 0 && type.isF32() && wide == type)
    b.quantized.codes[y.value] = {x, scale, zeroPoint ? std::optional(*zeroPoint) : std::nullopt, axis};
  return y;
}

FailureOr<Tensor> bitCast(Builder &b, const Tensor &x, Type elementType, bool isUnsigned) {
  // A boolean is a byte of 0 or 1.
  auto widthOf = [](Type type) { return type.isInteger(1) ? 8 : type.getIntOrFloatBitWidth(); };
  if (widthOf(x.elementType) != widthOf(elementType))
    return b.error() << "the bits of " << x.str() << " cannot be read as a type of " << widthOf(elementType) << " bits";
  if (x.isBool() || elementType.isInteger(1))
    return cast(b, x, elementType, isUnsigned);
  return elementwise(b, x.shape, elementType, x, isUnsigned, [&](const Scalar &s, ValueRange args) -> Value {
    return elementType == x.elementType ? args[0] : s.op<arith::BitcastOp>(elementType, args[0]);
  });
}

} // namespace eyrie::ops
