#include "compiler/target/common/SmallFloats.h"
#include <cmath>

using namespace mlir;
using namespace eyrie::target;
using P = arith::CmpIPredicate;

namespace {
/// What the types differ in; codes are without sign.
struct Format {
  int mantissa, bias, width;
  int64_t largest;       // the code of the largest number
  int64_t overflow, nan; // what larger numbers, and NaN, become
  int64_t special;       // this code and those above are not numbers
  bool hasInfinity;      // the first of them
  bool oneZero;          // the sign bit alone is NaN
};

Format formatOf(FloatType type) {
  if (isa<Float8E5M2Type>(type))
    return {2, 15, 8, 0x7b, 0x7c, 0x7e, 0x7c, true, false};
  if (isa<Float8E4M3FNType>(type))
    return {3, 7, 8, 0x7e, 0x7f, 0x7f, 0x7f, false, false};
  if (isa<Float8E4M3FNUZType>(type))
    return {3, 8, 8, 0x7f, 0x80, 0x80, 0x80, false, true};
  if (isa<Float8E5M2FNUZType>(type))
    return {2, 16, 8, 0x7f, 0x80, 0x80, 0x80, false, true};
  assert(isa<Float4E2M1FNType>(type) && "not a tiny float");
  return {1, 1, 4, 7, 7, 8, 8, false, false};
}

/// Powers of two from 2^-127 on; 255 is NaN.
Expr fromExponent(Expr bits) {
  Expr shifted = shiftLeft(bits, 23);
  Expr number = choose(compareI(P::eq, bits, bits.likeInt(0)), bits.likeInt(0x400000), shifted);
  return choose(compareI(P::eq, bits, bits.likeInt(255)), bits.likeInt(0x7fc00000), number).asFloat();
}

/// There is no sign, and no zero: the smallest number stands for what is smaller.
Expr toExponent(Expr x) {
  Expr magnitude = andI(x.asInt(), 0x7fffffff);
  Expr exponent = shiftRightLogical(magnitude, 23);
  Expr mantissa = andI(magnitude, 0x7fffff);
  // 2^-127 is a subnormal number of f32, and all below it round to it.
  Expr isUp = compareI(P::sge, mantissa, mantissa.likeInt(0x400000));
  Expr isSmall = compareI(P::sle, magnitude, magnitude.likeInt(0x600000));
  Expr tie = both(compareI(P::eq, mantissa, mantissa.likeInt(0x400000)),
                  compareI(P::eq, andI(exponent, 1), exponent.likeInt(0)));
  Expr up = choose(tie, exponent.likeInt(0), choose(isUp, exponent.likeInt(1), exponent.likeInt(0)));
  Expr rounded = choose(isSmall, exponent.likeInt(0), addI(exponent, up));
  rounded = choose(compareI(P::sge, exponent, exponent.likeInt(255)), exponent.likeInt(255), rounded);
  return rounded;
}
} // namespace

bool eyrie::target::isTinyFloat(Type type) {
  return isa<Float8E4M3FNType, Float8E4M3FNUZType, Float8E5M2Type, Float8E5M2FNUZType, Float8E8M0FNUType,
             Float4E2M1FNType>(getElementTypeOrSelf(type));
}

Expr eyrie::target::tinyToF32(Expr bits, FloatType type) {
  if (isa<Float8E8M0FNUType>(type))
    return fromExponent(bits);
  Format f = formatOf(type);
  int64_t signBit = int64_t(1) << (f.width - 1);
  Expr sign = shiftLeft(andI(bits, signBit), 32 - f.width);
  Expr rest = andI(bits, signBit - 1);
  // Moving exponent and mantissa into place and scaling is right for normal and subnormal numbers alike.
  Expr placed = shiftLeft(rest, 23 - f.mantissa);
  Expr number = (placed.asFloat() * std::ldexp(1.0, 127 - f.bias)).asInt();
  if (f.oneZero)
    return choose(compareI(P::eq, bits, bits.likeInt(f.nan)), bits.likeInt(0x7fc00000), orI(number, sign)).asFloat();
  if (f.special < signBit) {
    Expr other = f.hasInfinity ? orI(placed, placed.likeInt(0x7f800000)) : placed.likeInt(0x7fc00000);
    number = choose(compareI(P::sge, rest, rest.likeInt(f.special)), other, number);
  }
  return orI(number, sign).asFloat();
}

Expr eyrie::target::f32ToTiny(Expr x, FloatType type) {
  if (isa<Float8E8M0FNUType>(type))
    return toExponent(x);
  Format f = formatOf(type);
  int shift = 23 - f.mantissa;
  Expr bits = x.asInt();
  Expr magnitude = andI(bits, 0x7fffffff);
  // Normal: rebias, round to nearest even. Subnormal: adding a power of two aligns the mantissa and rounds it.
  Expr odd = andI(shiftRightLogical(magnitude, shift), 1);
  int64_t rebias = int64_t(127 - f.bias) << 23;
  Expr normal = shiftRight(
      addI(addI(subI(magnitude, magnitude.likeInt(rebias)), odd), odd.likeInt((1 << (shift - 1)) - 1)), shift);
  int power = 1 - f.bias + shift;
  Expr aligned = absolute(x) + std::ldexp(1.0, power);
  Expr subnormal = subI(aligned.asInt(), magnitude.likeInt(int64_t(127 + power) << 23));
  Expr code = choose(compareI(P::slt, magnitude, magnitude.likeInt(int64_t(128 - f.bias) << 23)), subnormal, normal);
  code = choose(compareI(P::sgt, code, code.likeInt(f.largest)), code.likeInt(f.overflow), code);
  Expr sign = shiftLeft(shiftRightLogical(bits, 31), f.width - 1);
  Expr isNan = compareI(P::sgt, magnitude, magnitude.likeInt(0x7f800000));
  if (f.oneZero) {
    code = choose(compareI(P::eq, code, code.likeInt(0)), code, orI(code, sign));
    return choose(isNan, code.likeInt(f.nan), code);
  }
  if (f.nan >= (int64_t(1) << (f.width - 1))) // no NaN: the code has the sign already
    return choose(isNan, code.likeInt(f.nan), orI(code, sign));
  return orI(choose(isNan, code.likeInt(f.nan), code), sign);
}

Expr eyrie::target::roundToOdd(Expr x) {
  Type f32 = x.withElement(x.ctx().b.getF32Type());
  Expr nearest = x.make<arith::TruncFOp>(f32, Value(x));
  Expr back = x.make<arith::ExtFOp>(x.type(), Value(nearest));
  Expr bits = nearest.asInt();
  Expr one = bits.likeInt(1), zero = bits.likeInt(0);
  Expr towardsZero = subI(bits, choose(greaterThan(absolute(back), absolute(x)), one, zero));
  Expr differs = x.make<arith::CmpFOp>(arith::CmpFPredicate::ONE, Value(back), Value(x));
  return orI(towardsZero, choose(differs, one, zero)).asFloat();
}
