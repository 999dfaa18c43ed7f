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
    APSInt integer(type.getIntOrFloatBitWidth(), isUnsigned);
    bool isExact;
    v.convertToInteger(integer, APFloat::rmTowardZero, &isExact);
    result.push_back(isUnsigned ? static_cast<int64_t>(integer.getZExtValue()) : integer.getSExtValue());
  }
  return fromContents(type, x.shape, result, isUnsigned);
}

FailureOr<Tensor> cast(Builder &b, const Tensor &x, Type type, bool isUnsigned) {
  if (x.elementType == type) {
    Tensor same = x;
    same.isUnsigned = isUnsigned;
    return same;
  }
  auto floatType = dyn_cast<FloatType>(type);
  if (!floatType && x.contents &&
      (!type.isInteger(1) || llvm::all_of(*x.contents, [](Dim d) { return isEqual(d, 0).has_value(); })))
    return castContents(x, type, isUnsigned);
  if (floatType)
    if (auto folded = castToFloat(x, floatType))
      return *folded;
  if (!floatType)
    if (auto folded = castFloatToInteger(x, type, isUnsigned))
      return *folded;
  return elementwise(b, x.shape, type, x, isUnsigned, [&](const Scalar &s, ValueRange args) {
    return scalarCast(s, args[0], x.isUnsigned, type, isUnsigned);
  });
}

/// One parameter for each block of `blockSize` elements along `axis` as one for each element of x.
static FailureOr<Tensor> perBlock(Builder &b, const Tensor &x, const Tensor &p, int64_t axis, int64_t blockSize) {
  if (p.rank() != x.rank())
    return b.error() << "quantisation in blocks needs scales and zero points of the rank of " << x.str() << ", found "
                     << p.str();
  for (int64_t i = 0; i < x.rank(); ++i)
    if (failed(checkSame(b, p.shape[i], i == axis ? ceilDiv(x.shape[i], blockSize) : x.shape[i],
                         "scales or zero points " + p.str() + " of blocks of " + llvm::Twine(blockSize) +
                             " along axis " + llvm::Twine(axis) + " of " + x.str())))
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

FailureOr<Tensor> quantizeLinear(Builder &b, const Tensor &x, const Tensor &scale, const Tensor *zeroPoint,
                                 int64_t axis, Type type, bool isUnsigned, int64_t blockSize, Type precision) {
  auto operands = withScale(b, x, scale, zeroPoint, axis, blockSize);
  if (failed(operands))
    return failure();
  return elementwise(b, x.shape, type, *operands, isUnsigned, [&](const Scalar &s, ValueRange args) {
    Type wide = computeType(precision ? precision : x.isFloat() ? x.elementType : scale.elementType);
    Value scaled =
        s.divF(scalarCast(s, args[0], x.isUnsigned, wide, false), scalarCast(s, args[1], false, wide, false));
    if (isa<FloatType>(type))
      return scalarCast(s, scaled, false, type, false);
    Value rounded = s.op<math::RoundEvenOp>(scaled);
    if (zeroPoint)
      rounded = s.add(rounded, scalarCast(s, args[2], isUnsigned, wide, false));
    return scalarCast(s, rounded, false, type, isUnsigned);
  });
}

FailureOr<Tensor> dequantizeLinear(Builder &b, const Tensor &x, const Tensor &scale, const Tensor *zeroPoint,
                                   int64_t axis, int64_t blockSize, Type resultType) {
  auto operands = withScale(b, x, scale, zeroPoint, axis, blockSize);
  if (failed(operands))
    return failure();
  Type type = resultType ? resultType : scale.elementType, wide = computeType(scale.elementType);
  return elementwise(b, x.shape, type, *operands, false, [&](const Scalar &s, ValueRange args) {
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
