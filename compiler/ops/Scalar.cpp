// The mathematics of elementwise operations, on scalars.
#include "compiler/ops/Scalar.h"
#include <numbers>

using namespace mlir;

namespace eyrie::ops {

static Value sigmoid(const Scalar &s, Value x) { return s.divF(s.like(x, 1), s.add(s.exp(s.neg(x)), 1.0)); }

/// log(1 + exp(x)) without overflow.
static Value softplus(const Scalar &s, Value x) {
  Value tail = s.op<math::Log1pOp>(s.exp(s.neg(s.op<math::AbsFOp>(x))));
  return s.add(s.max(x, s.like(x, 0)), tail);
}

/// x where it is not negative, else alpha * (exp(x / scale) - 1).
static Value elu(const Scalar &s, Value x, double alpha, double scale = 1) {
  Value below = s.mul(s.op<math::ExpM1Op>(scale == 1 ? x : s.divF(x, s.like(x, scale))), alpha);
  return s.select(s.less(x, s.like(x, 0)), below, x);
}

static Value hardSigmoid(const Scalar &s, Value x, double alpha, double beta) {
  return s.max(s.min(s.add(s.mul(x, alpha), beta), s.like(x, 1)), s.like(x, 0));
}

static Value integerUnary(const Scalar &s, Unary kind, Value x, bool isUnsigned) {
  switch (kind) {
  case Unary::Neg:
    return s.neg(x);
  case Unary::Abs:
    return isUnsigned ? x : s.op<math::AbsIOp>(x);
  case Unary::Relu:
    return isUnsigned ? x : s.max(x, s.like(x, 0));
  case Unary::Sign: {
    Value one = s.like(x, 1);
    if (isUnsigned)
      return s.min(x, one, true);
    return s.max(s.min(x, one), s.like(x, -1));
  }
  case Unary::Not:
    return s.op<arith::XOrIOp>(x, s.op<arith::ConstantOp>(s.b.getBoolAttr(true)));
  case Unary::BitwiseNot:
    return s.op<arith::XOrIOp>(x, s.like(x, -1));
  default:
    assert(false && "not an operation on integers");
    return x;
  }
}

Value scalarUnary(const Scalar &s, Unary kind, Value x, double alpha, double beta, bool isUnsigned) {
  if (!Scalar::isFloat(x))
    return integerUnary(s, kind, x, isUnsigned);
  Value zero = s.like(x, 0);
  switch (kind) {
  case Unary::Neg:
    return s.neg(x);
  case Unary::Abs:
    return s.op<math::AbsFOp>(x);
  case Unary::Exp:
    return s.exp(x);
  case Unary::Log:
    return s.op<math::LogOp>(x);
  case Unary::Sqrt:
    return s.op<math::SqrtOp>(x);
  case Unary::Rsqrt:
    return s.divF(s.like(x, 1), s.op<math::SqrtOp>(x));
  case Unary::Reciprocal:
    return s.divF(s.like(x, 1), x);
  case Unary::Erf:
    return s.op<math::ErfOp>(x);
  case Unary::Tanh:
    return s.op<math::TanhOp>(x);
  case Unary::Sigmoid:
    return sigmoid(s, x);
  case Unary::Relu:
    return s.max(x, zero);
  case Unary::LeakyRelu:
    return s.select(s.less(x, zero), s.mul(x, alpha), x);
  case Unary::Elu:
    return elu(s, x, alpha);
  case Unary::Selu:
    return s.mul(elu(s, x, alpha), beta);
  case Unary::Celu:
    return elu(s, x, alpha, alpha);
  case Unary::Gelu:
    return s.mul(s.mul(x, 0.5), s.add(s.op<math::ErfOp>(s.mul(x, std::numbers::sqrt2 / 2)), 1.0));
  case Unary::GeluTanh: {
    Value inner = s.mul(s.add(x, s.mul(s.mul(s.mul(x, x), x), 0.044715)), std::sqrt(2 / std::numbers::pi));
    return s.mul(s.mul(x, 0.5), s.add(s.op<math::TanhOp>(inner), 1.0));
  }
  case Unary::HardSigmoid:
    return hardSigmoid(s, x, alpha, beta);
  case Unary::HardSwish:
    return s.mul(x, hardSigmoid(s, x, 1.0 / 6, 0.5));
  case Unary::Softplus:
    return softplus(s, x);
  case Unary::Softsign:
    return s.divF(x, s.add(s.op<math::AbsFOp>(x), 1.0));
  case Unary::Mish:
    return s.mul(x, s.op<math::TanhOp>(softplus(s, x)));
  case Unary::Swish:
    return s.mul(x, sigmoid(s, alpha == 1 ? x : s.mul(x, alpha)));
  case Unary::ThresholdedRelu:
    return s.select(s.less(s.like(x, alpha), x), x, zero);
  case Unary::Shrink: {
    Value low = s.select(s.less(x, s.like(x, -alpha)), s.add(x, beta), zero);
    return s.select(s.less(s.like(x, alpha), x), s.add(x, -beta), low);
  }
  case Unary::Floor:
    return s.op<math::FloorOp>(x);
  case Unary::Ceil:
    return s.op<math::CeilOp>(x);
  case Unary::Round:
    return s.op<math::RoundEvenOp>(x);
  case Unary::Sign:
    return s.select(s.less(zero, x), s.like(x, 1), s.select(s.less(x, zero), s.like(x, -1), x));
  case Unary::Sin:
    return s.op<math::SinOp>(x);
  case Unary::Cos:
    return s.op<math::CosOp>(x);
  case Unary::Tan:
    return s.op<math::TanOp>(x);
  case Unary::Asin:
    return s.op<math::AsinOp>(x);
  case Unary::Acos:
    return s.op<math::AcosOp>(x);
  case Unary::Atan:
    return s.op<math::AtanOp>(x);
  case Unary::Sinh:
    return s.op<math::SinhOp>(x);
  case Unary::Cosh:
    return s.op<math::CoshOp>(x);
  case Unary::Asinh:
    return s.op<math::AsinhOp>(x);
  case Unary::Acosh:
    return s.op<math::AcoshOp>(x);
  case Unary::Atanh:
    return s.op<math::AtanhOp>(x);
  case Unary::Not:
  case Unary::BitwiseNot:
  case Unary::IsNan:
    break;
  }
  assert(false && "not an operation on floats");
  return x;
}

//===- binary -------------------------------------------------------------------------------------------------------===

/// Division and remainder must not trap, whatever the model's data: x / 0 = 0 and min / -1 = min.
static Value divideIntegers(const Scalar &s, Value x, Value y, bool isUnsigned, bool isRemainder) {
  Value zero = s.like(x, 0), one = s.like(x, 1);
  Value isBad = s.cmp(arith::CmpIPredicate::eq, y, zero);
  Value other = zero;
  if (!isUnsigned) {
    Value isMinusOne = s.cmp(arith::CmpIPredicate::eq, y, s.like(x, -1));
    other = isRemainder ? zero : s.select(isMinusOne, s.neg(x), zero);
    isBad = s.op<arith::OrIOp>(isBad, isMinusOne);
  }
  Value safe = s.select(isBad, one, y);
  Value result = isRemainder ? (isUnsigned ? s.op<arith::RemUIOp>(x, safe) : s.op<arith::RemSIOp>(x, safe))
                             : (isUnsigned ? s.op<arith::DivUIOp>(x, safe) : s.op<arith::DivSIOp>(x, safe));
  return s.select(isBad, other, result);
}

/// The remainder with the divisor's sign.
static Value floorRemainder(const Scalar &s, Value x, Value y, bool isUnsigned) {
  Value remainder =
      Scalar::isFloat(x) ? s.op<arith::RemFOp>(x, y) : divideIntegers(s, x, y, isUnsigned, /*isRemainder=*/true);
  if (isUnsigned)
    return remainder;
  Value zero = s.like(x, 0);
  Value differs = s.cmp(arith::CmpIPredicate::ne, s.less(remainder, zero), s.less(y, zero));
  Value isZero = Scalar::isFloat(x) ? s.cmp(arith::CmpFPredicate::OEQ, remainder, zero)
                                    : s.cmp(arith::CmpIPredicate::eq, remainder, zero);
  Value exact = Scalar::isFloat(x) ? Value(s.op<math::CopySignOp>(zero, y)) : remainder;
  return s.select(isZero, exact, s.select(differs, s.add(remainder, y), remainder));
}

static Value compare(const Scalar &s, Binary kind, Value x, Value y, bool isUnsigned) {
  using F = arith::CmpFPredicate;
  using I = arith::CmpIPredicate;
  isUnsigned |= x.getType().isInteger(1);
  auto pick = [&](F f, I i, I u) { return Scalar::isFloat(x) ? s.cmp(f, x, y) : s.cmp(isUnsigned ? u : i, x, y); };
  switch (kind) {
  case Binary::Equal:
    return pick(F::OEQ, I::eq, I::eq);
  case Binary::Less:
    return pick(F::OLT, I::slt, I::ult);
  case Binary::LessOrEqual:
    return pick(F::OLE, I::sle, I::ule);
  case Binary::Greater:
    return pick(F::OGT, I::sgt, I::ugt);
  default:
    return pick(F::OGE, I::sge, I::uge);
  }
}

Value scalarBinary(const Scalar &s, Binary kind, Value x, Value y, bool isUnsigned) {
  switch (kind) {
  case Binary::Add:
    return s.add(x, y);
  case Binary::Sub:
    return s.sub(x, y);
  case Binary::Mul:
    return s.mul(x, y);
  case Binary::Div:
    return Scalar::isFloat(x) ? s.divF(x, y) : divideIntegers(s, x, y, isUnsigned, /*isRemainder=*/false);
  case Binary::Mod:
    return floorRemainder(s, x, y, isUnsigned);
  case Binary::Fmod:
    return Scalar::isFloat(x) ? s.op<arith::RemFOp>(x, y) : divideIntegers(s, x, y, isUnsigned, true);
  case Binary::Min:
    return s.min(x, y, isUnsigned || x.getType().isInteger(1));
  case Binary::Max:
    return s.max(x, y, isUnsigned || x.getType().isInteger(1));
  case Binary::Equal:
  case Binary::Less:
  case Binary::LessOrEqual:
  case Binary::Greater:
  case Binary::GreaterOrEqual:
    return compare(s, kind, x, y, isUnsigned);
  case Binary::And:
  case Binary::BitwiseAnd:
    return s.op<arith::AndIOp>(x, y);
  case Binary::Or:
  case Binary::BitwiseOr:
    return s.op<arith::OrIOp>(x, y);
  case Binary::Xor:
  case Binary::BitwiseXor:
    return s.op<arith::XOrIOp>(x, y);
  case Binary::ShiftLeft:
  case Binary::ShiftRight: {
    // Shifting by the width or more, or by a negative number, leaves what is shifted in: 0, or copies of the sign.
    Value isIn = s.cmp(arith::CmpIPredicate::ult, y, s.like(y, y.getType().getIntOrFloatBitWidth()));
    if (kind == Binary::ShiftRight && !isUnsigned)
      return s.op<arith::ShRSIOp>(x, s.select(isIn, y, s.like(y, y.getType().getIntOrFloatBitWidth() - 1)));
    Value by = s.select(isIn, y, s.like(y, 0));
    Value shifted = kind == Binary::ShiftLeft ? s.op<arith::ShLIOp>(x, by) : s.op<arith::ShRUIOp>(x, by);
    return s.select(isIn, shifted, s.like(x, 0));
  }
  case Binary::PRelu:
    return s.select(s.less(x, s.like(x, 0), isUnsigned), s.mul(x, y), x);
  case Binary::Pow:
    break;
  }
  assert(false && "handled elsewhere");
  return x;
}

//===- conversion ---------------------------------------------------------------------------------------------------===

/// Truncates; out of range saturates; NaN gives 0.
static Value floatToInteger(const Scalar &s, Value x, Type to, bool toUnsigned) {
  x = scalarCast(s, x, false, computeType(x.getType()), false);
  unsigned width = to.getIntOrFloatBitWidth();
  bool isSigned = !toUnsigned;
  double low = isSigned ? -std::ldexp(1.0, width - 1) : 0, high = std::ldexp(1.0, isSigned ? width - 1 : width);
  // The largest float below 2^n.
  APFloat below(high);
  bool lost;
  below.convert(cast<FloatType>(x.getType()).getFloatSemantics(), APFloat::rmTowardZero, &lost);
  below.next(/*nextDown=*/true);
  Value top = s.op<arith::ConstantOp>(FloatAttr::get(x.getType(), below));
  Value inRange = s.op<arith::MinNumFOp>(s.op<arith::MaxNumFOp>(x, s.like(x, low)), top);
  if (width < 8) {
    Value byte = s.op<arith::FPToSIOp>(s.b.getI32Type(), inRange);
    byte = s.select(s.cmp(arith::CmpFPredicate::UNO, x, x), s.like(byte, 0), byte);
    return s.op<arith::TruncIOp>(to, byte);
  }
  Value result = isSigned ? s.op<arith::FPToSIOp>(to, inRange) : s.op<arith::FPToUIOp>(to, inRange);
  APInt most = isSigned ? APInt::getSignedMaxValue(width) : APInt::getMaxValue(width);
  if (width >= 24)
    result = s.select(s.cmp(arith::CmpFPredicate::OGE, x, s.like(x, high)),
                      s.op<arith::ConstantOp>(IntegerAttr::get(to, most)), result);
  return s.select(s.cmp(arith::CmpFPredicate::UNO, x, x), s.number(to, 0), result);
}

Value scalarResult(const Scalar &s, Value x, Type type) {
  Value result = scalarCast(s, x, false, type, false);
  if (auto rounded = result.getDefiningOp<arith::TruncFOp>(); rounded && result != x)
    rounded.setFastmath(arith::FastMathFlags::contract);
  return result;
}

Value scalarCast(const Scalar &s, Value x, bool fromUnsigned, Type to, bool toUnsigned) {
  Type from = x.getType();
  if (from == to)
    return x;
  bool fromFloat = isa<FloatType>(from), toFloat = isa<FloatType>(to);
  unsigned fromWidth = from.getIntOrFloatBitWidth(), toWidth = to.getIntOrFloatBitWidth();
  fromUnsigned |= from.isInteger(1);
  if (to.isInteger(1))
    return fromFloat ? s.cmp(arith::CmpFPredicate::UNE, x, s.like(x, 0))
                     : s.cmp(arith::CmpIPredicate::ne, x, s.like(x, 0));
  if (fromFloat && toFloat) {
    if (fromWidth < toWidth)
      return s.op<arith::ExtFOp>(to, x);
    if (fromWidth > toWidth)
      return s.op<arith::TruncFOp>(to, x);
    return s.op<arith::TruncFOp>(to, Value(s.op<arith::ExtFOp>(s.b.getF32Type(), x)));
  }
  if (fromFloat)
    return floatToInteger(s, x, to, toUnsigned);
  if (toFloat && fromWidth > 1 && fromWidth < 8) // processors know bytes
    return scalarCast(s, scalarCast(s, x, fromUnsigned, s.b.getI32Type(), false), false, to, toUnsigned);
  if (toFloat) {
    Type wide = computeType(to);
    Value result = fromUnsigned ? s.op<arith::UIToFPOp>(wide, x) : s.op<arith::SIToFPOp>(wide, x);
    return scalarCast(s, result, false, to, false);
  }
  if (fromWidth > toWidth)
    return s.op<arith::TruncIOp>(to, x);
  if (fromWidth == toWidth)
    return x;
  return fromUnsigned ? s.op<arith::ExtUIOp>(to, x) : s.op<arith::ExtSIOp>(to, x);
}

Value scalarQuantize(const Scalar &s, Value steps, Value zeroPoint, bool isUnsigned) {
  // Clamped first: what is too large for i32 must not be converted. The bounds are integers, so rounding keeps them.
  Value zero = scalarCast(s, zeroPoint, isUnsigned, steps.getType(), false);
  Value low = s.sub(s.like(steps, isUnsigned ? 0 : -128), zero),
        high = s.sub(s.like(steps, isUnsigned ? 255 : 127), zero);
  Value inRange = s.select(s.cmp(arith::CmpFPredicate::OGT, steps, low), steps, low);
  inRange = s.select(s.cmp(arith::CmpFPredicate::OLT, inRange, high), inRange, high);
  Value rounded = s.add(s.op<math::RoundEvenOp>(inRange), zero);
  return s.op<arith::TruncIOp>(s.b.getI8Type(), Value(s.op<arith::FPToSIOp>(s.b.getI32Type(), rounded)));
}

TypedAttr extremeAttr(Type type, bool isUnsigned, bool lowest) {
  if (auto floatType = dyn_cast<FloatType>(type)) {
    const llvm::fltSemantics &semantics = floatType.getFloatSemantics();
    return FloatAttr::get(type, APFloat::semanticsHasInf(semantics) ? APFloat::getInf(semantics, /*Negative=*/lowest)
                                                                    : APFloat::getLargest(semantics, lowest));
  }
  unsigned width = type.getIntOrFloatBitWidth();
  isUnsigned |= width == 1;
  APInt value = lowest ? (isUnsigned ? APInt::getMinValue(width) : APInt::getSignedMinValue(width))
                       : (isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width));
  return IntegerAttr::get(type, value);
}

} // namespace eyrie::ops
