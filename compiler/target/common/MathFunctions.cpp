#include "compiler/target/common/MathFunctions.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace eyrie::target;

static constexpr double kInf = std::numeric_limits<double>::infinity();
static constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
static constexpr double kPi = 3.14159265358979323846;

/// Adding 1.5 * 2^(mantissa bits) rounds to the nearest integer, which then stands in the low bits.
static double roundingConstant(Expr x) { return x.bits() == 64 ? 6755399441055744.0 : 12582912.0; }
static unsigned mantissaBits(Expr x) { return x.bits() == 64 ? 52 : 23; }

/// 2^n for the integer n in exponent range.
static Expr powerOfTwo(Expr n) {
  unsigned mantissa = n.bits() == 64 ? 52 : 23;
  int64_t bias = n.bits() == 64 ? 1023 : 127;
  return shiftLeft(addI(n, n.likeInt(bias)), mantissa).asFloat();
}

/// x 2^n in one instruction, if there is one.
static std::optional<Expr> tryScale(Expr x, Expr n) {
  auto type = dyn_cast<VectorType>(x.type());
  int64_t width = type && type.getRank() == 1 ? type.getNumElements() * x.bits() : 0;
  if (!x.ctx().scale || (width != 128 && width != 256 && width != 512))
    return std::nullopt;
  OpBuilder &b = x.ctx().b;
  Location loc = x.ctx().loc;
  auto constant = [&](unsigned bits, int64_t value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getIntegerAttr(b.getIntegerType(bits), value));
  };
  SmallVector<Value> arguments{x, n, x, constant(std::max<unsigned>(type.getNumElements(), 8), -1)};
  constexpr int64_t currentRounding = 4;
  if (width == 512)
    arguments.push_back(constant(32, currentRounding));
  std::string name = llvm::formatv("llvm.x86.avx512.mask.scalef.p{0}.{1}", x.bits() == 64 ? 'd' : 's', width);
  return Expr(x.ctx(), LLVM::CallIntrinsicOp::create(b, loc, type, b.getStringAttr(name), arguments)->getResult(0));
}

Expr eyrie::target::expOf(Expr x) {
  bool f64 = x.bits() == 64;
  // x = n ln 2 + r. Beyond the clamps the result is 0 or infinity all the same; comparisons let NaN through.
  double low = f64 ? -760.0 : -110.0, high = f64 ? 720.0 : 95.0;
  Expr clamped = choose(lessThan(x, low), low, x);
  clamped = choose(greaterThan(clamped, high), high, clamped);
  Expr shifted = mulAdd(clamped, 1.44269504088896340736, clamped.like(roundingConstant(x)));
  Expr n = shifted - roundingConstant(x);
  Expr r = f64 ? mulAdd(n, -6.93147180369123816490e-01, clamped) : mulAdd(n, -0.693145751953125, clamped);
  r = f64 ? mulAdd(n, -1.90821492927058770002e-10, r) : mulAdd(n, -1.428606765330187e-6, r);
  Expr sum = x;
  if (f64) {
    SmallVector<double> taylor;
    double term = 1;
    for (int i = 2; i <= 13; ++i)
      taylor.push_back(1.0 / (term *= i));
    sum = polynomial(r, taylor);
  } else {
    sum = polynomial(r, {0.500000010082537281, 0.166665128381753479, 0.0416661879503637525, 0.00836960298642016251,
                         0.00139516696435624804});
  }
  sum = mulAdd(r * r, sum, r) + 1.0;
  if (std::optional<Expr> scaled = tryScale(sum, n))
    return *scaled;
  // Two factors reach subnormal results and overflow.
  Expr bits = subI(shifted.asInt(), shifted.like(roundingConstant(x)).asInt());
  Expr half = shiftRight(bits, 1);
  return sum * powerOfTwo(half) * powerOfTwo(subI(bits, half));
}

Expr eyrie::target::logOf(Expr x) {
  bool f64 = x.bits() == 64;
  unsigned mantissa = mantissaBits(x);
  // Subnormal numbers are scaled up first.
  Expr tiny = lessThan(x, f64 ? 2.2250738585072014e-308 : 1.17549435e-38);
  Expr scaled = choose(tiny, x * (f64 ? 18014398509481984.0 : 33554432.0), x);
  // x = 2^e m with m in [sqrt(1/2), sqrt(2)).
  int64_t root = f64 ? 0x3fe6a09e667f3bcdll : 0x3f3504f3;
  Expr bits = scaled.asInt();
  Expr offset = subI(bits, bits.likeInt(root));
  Expr e = shiftRight(offset, mantissa);
  Expr m = subI(bits, shiftLeft(e, mantissa)).asFloat();
  Expr exponent = e.make<arith::SIToFPOp>(x.type(), Value(e));
  exponent = choose(tiny, exponent - (f64 ? 54.0 : 25.0), exponent);
  // log m = 2 atanh(s), s = (m - 1) / (m + 1).
  Expr f = m - 1.0;
  Expr s = f / (m + 1.0);
  Expr z = s * s;
  SmallVector<double> series;
  for (int i = 1; i <= (f64 ? 10 : 4); ++i)
    series.push_back(2.0 / (2 * i + 1));
  // 2 s = f - s f, which keeps the leading term exact.
  Expr tail = polynomial(z, series) * z;
  Expr logM = f - s * (f - tail);
  Expr result = f64 ? mulAdd(exponent, 1.90821492927058770002e-10, logM) : mulAdd(exponent, 1.428606765330187e-6, logM);
  result = f64 ? mulAdd(exponent, 6.93147180369123816490e-01, result) : mulAdd(exponent, 0.693145751953125, result);
  result = choose(equals(x, kInf), kInf, result);
  result = choose(equals(x, 0.0), -kInf, result);
  result = choose(lessThan(x, 0.0), kNan, result);
  return choose(unordered(x, x), x, result);
}

Expr eyrie::target::expm1Of(Expr x) {
  // (u - 1) x / log u with u = exp x (W. Kahan).
  Expr u = expOf(x);
  Expr v = u - 1.0;
  Expr result = v * x / logOf(u);
  result = choose(equals(u, 1.0), x, result);
  result = choose(equals(v, -1.0), -1.0, result);
  return choose(equals(u, kInf), u, result);
}

Expr eyrie::target::log1pOf(Expr x) {
  Expr u = x + 1.0;
  Expr result = logOf(u) - ((u - 1.0) - x) / u;
  result = choose(equals(u, kInf), u, result);
  result = choose(equals(u, 0.0), -kInf, result);
  return choose(equals(u, 1.0), x, result);
}

/// x P(x²) / Q(x²), for an odd f32 function that is 1 beyond `limit`. NaN passes.
static Expr oddRational(Expr x, double limit, ArrayRef<double> p, ArrayRef<double> q) {
  Expr bounded = choose(lessThan(x, -limit), -limit, x);
  bounded = choose(greaterThan(bounded, limit), limit, bounded);
  Expr z = bounded * bounded;
  Expr result = bounded * polynomial(z, p) / polynomial(z, q);
  result = choose(lessThan(result, -1.0), -1.0, result);
  return choose(greaterThan(result, 1.0), 1.0, result);
}

Expr eyrie::target::tanhOf(Expr x) {
  if (x.bits() == 64) {
    Expr a = absolute(x);
    Expr e = expm1Of(choose(greaterThan(a, 22.0), 22.0, a) * 2.0);
    return copySign(e / (e + 2.0), x);
  }
  return oddRational(
      x, 9.02,
      {0.999999998694, 0.136799219706, 0.0038683361933, 2.80076173082e-05, 3.05853562578e-08, -1.22036716909e-11},
      {1.0, 0.470132540336, 0.0272458702396, 0.000393864557894, 1.28737703598e-06});
}

/// erfc for x >= 0.95, f64.
static Expr erfcTail(Expr x) {
  Expr bounded = choose(greaterThan(x, 27.0), 27.0, x);
  Expr u = (bounded - 2.5) / (bounded + 2.5);
  Expr p = polynomial(u, {1.26483818436686236,     -0.122356763082380878,     -0.0990245395740299246,
                          0.157629919018638649,    -0.102967056004217134,     0.032760893435244039,
                          0.000931891877556097937, -0.00438208083086328831,   0.000491878211346943216,
                          0.000632143289671993008, -0.0000885715403875410384, -0.00011360320780546154,
                          6.69277045868221312e-6,  0.0000228889261604221569,  1.28958792068615579e-6,
                          -4.26632293436770908e-6, 1.10245752904968816e-6,    -7.39820930405069071e-7,
                          -1.98385141161972605e-6, 2.86102802234647503e-6,    -9.73984919930641266e-7});
  return p / mulAdd(bounded, 2.0, x.like(1.0)) * expOf(-(bounded * bounded));
}

/// erf for |x| < 1, f64.
static Expr erfSmall(Expr x) {
  return x * polynomial(x * x, {1.12837916709551181, -0.376126389031878129, 0.112837916710166181,
                                -0.0268661706312327493, 0.00522397728904500697, -0.000854829751934960735,
                                0.000120538935114369989, -0.0000148814942055875271, 1.55657140694622979e-6,
                                -4.11341840882143047e-8, -9.69381144141787923e-8, 6.40517538887503036e-8,
                                -2.20237127859602042e-8, 3.30197896518632527e-9});
}

Expr eyrie::target::erfOf(Expr x) {
  if (x.bits() == 64) {
    Expr a = absolute(x);
    Expr large = copySign(1.0 - erfcTail(choose(lessThan(a, 0.95), 0.95, a)), x);
    Expr result = choose(lessThan(a, 1.0), erfSmall(x), large);
    return choose(unordered(x, x), x, result);
  }
  return oddRational(
      x, 3.95, {1.12837914383, 0.191549243346, 0.0528751767266, 0.00380807266993, 0.000284678520861, 2.02582726609e-06},
      {1.0, 0.503088774442, 0.114559063146, 0.0150549280721, 0.00117069010109, 3.78304701549e-05});
}

Expr eyrie::target::erfcOf(Expr x) {
  Expr a = absolute(x);
  Expr tail = erfcTail(choose(lessThan(a, 0.95), 0.95, a));
  tail = choose(greaterThan(a, 27.0), 0.0, tail);
  Expr result = choose(lessThan(a, 1.0), 1.0 - erfSmall(x), choose(lessThan(x, 0.0), 2.0 - tail, tail));
  return choose(unordered(x, x), x, result);
}

/// sin(x) and cos(x) share the reduction x = n pi/2 + r; `quarter` is added to n.
static Expr sinQuarter(Expr x, int quarter) {
  Expr shifted = mulAdd(x, 2.0 / kPi, x.like(roundingConstant(x)));
  Expr n = shifted - roundingConstant(x);
  Expr r = mulAdd(n, -1.57079632673412561417e+00, x);
  r = mulAdd(n, -6.07710050630396597660e-11, r);
  r = mulAdd(n, -2.02226624879595063154e-21, r);
  Expr z = r * r;
  SmallVector<double> sine, cosine;
  double factorial = 1;
  for (int i = 1; i <= 17; ++i) {
    factorial *= i;
    double sign = (i / 2) % 2 ? -1 : 1;
    if (i % 2)
      sine.push_back(sign / factorial);
    else
      cosine.push_back(sign / factorial);
  }
  Expr s = r * polynomial(z, sine);
  Expr c = mulAdd(z, polynomial(z, cosine), 1.0);
  Expr bits = shifted.asInt();
  bits = addI(bits, bits.likeInt(quarter));
  Expr odd = compareI(arith::CmpIPredicate::ne, andI(bits, 1), bits.likeInt(0));
  Expr negative = compareI(arith::CmpIPredicate::ne, andI(bits, 2), bits.likeInt(0));
  Expr value = choose(odd, c, s);
  value = choose(negative, -value, value);
  // The reduction of an infinity is NaN by itself; zero keeps its sign.
  return quarter == 0 ? choose(equals(x, 0.0), x, value) : value;
}

Expr eyrie::target::sinOf(Expr x) { return sinQuarter(x, 0); }
Expr eyrie::target::cosOf(Expr x) { return sinQuarter(x, 1); }

Expr eyrie::target::atanOf(Expr x) {
  Expr a = absolute(x);
  Expr inverted = greaterThan(a, 1.0);
  Expr t = choose(inverted, 1.0 / a, a);
  // tan(pi/8): beyond it, atan t = pi/4 + atan((t - 1) / (t + 1)).
  Expr upper = greaterThan(t, 0.41421356237309503);
  Expr u = choose(upper, (t - 1.0) / (t + 1.0), t);
  SmallVector<double> series;
  for (int i = 0; i <= 20; ++i)
    series.push_back((i % 2 ? -1.0 : 1.0) / (2 * i + 1));
  Expr result = u * polynomial(u * u, series);
  result = choose(upper, result + kPi / 4, result);
  result = choose(inverted, kPi / 2 - result, result);
  return copySign(result, x);
}

Expr eyrie::target::atan2Of(Expr y, Expr x) {
  Expr ay = absolute(y), ax = absolute(x);
  Expr ratio = ay / ax;
  // 0/0 and inf/inf take the values that IEEE 754 recommends.
  ratio = choose(both(equals(ay, 0.0), equals(ax, 0.0)), 0.0, ratio);
  ratio = choose(both(equals(ay, kInf), equals(ax, kInf)), 1.0, ratio);
  Expr angle = atanOf(ratio);
  Expr left = lessThan(copySign(x.like(1.0), x), 0.0);
  angle = choose(left, kPi - angle, angle);
  Expr result = copySign(angle, y);
  Expr nan = x + y;
  return choose(unordered(x, y), nan, result);
}

Expr eyrie::target::powOf(Expr x, Expr y) {
  Expr a = absolute(x), b = absolute(y);
  Expr magnitude = expOf(y * logOf(a));
  // y is an integer if adding and subtracting 2^52 gives it back; odd if half of it is none.
  auto integer = [](Expr v) {
    Expr rounded = (v + 4503599627370496.0) - 4503599627370496.0;
    return equals(choose(lessThan(v, 4503599627370496.0), rounded, v), v);
  };
  Expr isInteger = integer(b);
  Expr isEven = integer(b * 0.5);
  Expr negative = lessThan(copySign(x.like(1.0), x), 0.0);
  Expr signedMagnitude = choose(isEven, magnitude, -magnitude);
  Expr forNegative = choose(isInteger, signedMagnitude, choose(equals(a, kInf), magnitude, kNan));
  forNegative =
      choose(both(equals(a, 0.0), isInteger), signedMagnitude, choose(equals(a, 0.0), magnitude, forNegative));
  Expr result = choose(negative, forNegative, magnitude);
  result = choose(both(equals(x, -1.0), equals(b, kInf)), 1.0, result);
  result = choose(equals(x, 1.0), 1.0, result);
  return choose(equals(y, 0.0), 1.0, result);
}

Expr eyrie::target::cbrtOf(Expr x) {
  Expr a = absolute(x);
  Expr root = expOf(logOf(a) / 3.0);
  // One Newton step makes up for the logarithm's error.
  Expr better = root - (root - a / (root * root)) / 3.0;
  Expr special = choose(equals(a, 0.0), a, choose(equals(a, kInf), a, better));
  return copySign(special, x);
}
