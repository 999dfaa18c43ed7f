// Elementwise operations on whole tensors: broadcasting, folding of known elements, and the generics.
#include "compiler/ops/Scalar.h"
#include <cmath>
#include <numbers>

using namespace mlir;

namespace eyrie::ops {

AffineMap projection(Builder &b, unsigned loops, ArrayRef<int64_t> dims) {
  SmallVector<AffineExpr> exprs;
  for (int64_t d : dims)
    exprs.push_back(b.builder.getAffineDimExpr(d));
  return AffineMap::get(loops, 0, exprs, b.builder.getContext());
}

/// x as an operand of a loop nest over `shape`: where only the run tells whether a dimension repeats, it is expanded.
static Tensor settleBroadcast(Builder &b, const Tensor &x, ArrayRef<Dim> shape) {
  ArrayRef<Dim> aligned = shape.take_back(x.rank());
  bool isOpen = false;
  for (auto [size, out] : llvm::zip_equal(x.shape, aligned))
    isOpen |= mayBeRepeated(size, out);
  if (!isOpen)
    return x;
  // 0 where it repeats, else 1. A product is linear in the index: kernels see a stride.
  SmallVector<std::optional<Count>> steps;
  for (auto [size, out] : llvm::zip_equal(x.shape, aligned))
    steps.push_back(size.is(1) || mayBeRepeated(size, out) ? std::optional(Count(b, min(size - 1, 1))) : std::nullopt);
  return gatherMap(b, x, aligned, {}, {}, [&](const Scalar &s, ValueRange indices, ValueRange) {
    SmallVector<Value> from(indices);
    for (auto [index, step] : llvm::zip_equal(from, steps))
      if (step)
        index = s.op<arith::MulIOp>(index, step->get(s, s.b.getIndexType()));
    return from;
  });
}

Tensor elementwise(Builder &b, ArrayRef<Dim> shape, Type type, ArrayRef<Tensor> operands, bool isUnsigned,
                   llvm::function_ref<Value(const Scalar &, ValueRange)> body) {
  SmallVector<AffineMap> maps;
  SmallVector<Tensor> xs;
  for (const Tensor &operand : operands) {
    xs.push_back(settleBroadcast(b, operand, shape));
    maps.push_back(b.broadcastMap(xs.back().shape, shape));
  }
  return b.map(
      shape, type, xs, maps,
      [&](OpBuilder &builder, Location loc, ValueRange args) { return body(Scalar{builder, loc}, args); }, isUnsigned);
}

Tensor elementwiseWide(Builder &b, ArrayRef<Dim> shape, ArrayRef<Tensor> xs,
                       llvm::function_ref<Value(const Scalar &, ValueRange)> body) {
  Type type = xs.front().elementType;
  return elementwise(b, shape, type, xs, xs.front().isUnsigned, [&](const Scalar &s, ValueRange args) {
    SmallVector<Value> wide;
    for (Value arg : args)
      wide.push_back(isa<FloatType>(arg.getType()) ? scalarCast(s, arg, false, computeType(arg.getType()), false)
                                                   : arg);
    return scalarCast(s, body(s, wide), false, type, false);
  });
}

/// An integer as the type holds it (wrapped to its width).
static Dim wrapTo(Type type, bool isUnsigned, Dim d) {
  if (!d.isConstant())
    return d;
  unsigned width = type.getIntOrFloatBitWidth();
  APInt value(64, d.constant(), true);
  APInt narrow = value.trunc(std::min(width, 64u));
  return isUnsigned || width == 1 ? static_cast<int64_t>(narrow.getZExtValue()) : narrow.getSExtValue();
}

//===- unary --------------------------------------------------------------------------------------------------------===

/// The functions worth folding: those of shape arithmetic through floats.
static std::optional<double> foldUnary(Unary kind, double x) {
  switch (kind) {
  case Unary::Neg:
    return -x;
  case Unary::Abs:
    return std::fabs(x);
  case Unary::Exp:
    return std::exp(x);
  case Unary::Log:
    return std::log(x);
  case Unary::Sqrt:
    return std::sqrt(x);
  case Unary::Reciprocal:
    return 1 / x;
  case Unary::Floor:
    return std::floor(x);
  case Unary::Ceil:
    return std::ceil(x);
  case Unary::Round:
    return std::nearbyint(x);
  case Unary::Sign:
    return x > 0 ? 1 : x < 0 ? -1 : x;
  default:
    return std::nullopt;
  }
}

static DenseElementsAttr mapConstant(DenseElementsAttr constant, llvm::function_ref<double(double)> f) {
  auto floatType = cast<FloatType>(constant.getElementType());
  return constant.mapValues(floatType, [&](const APFloat &x) {
    APFloat y(f(x.convertToDouble()));
    bool lost;
    y.convert(floatType.getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
    return y.bitcastToAPInt();
  });
}

static bool isSmall(DenseElementsAttr constant) {
  return constant && (constant.isSplat() || constant.getNumElements() <= kMaxContents);
}

static std::optional<Dims> foldUnaryContents(Unary kind, const Tensor &x) {
  if (!x.contents)
    return std::nullopt;
  Dims result;
  for (Dim d : *x.contents) {
    if (kind == Unary::Neg)
      result.push_back(-d);
    else if (kind == Unary::Floor || kind == Unary::Ceil || kind == Unary::Round)
      result.push_back(d);
    else if (kind == Unary::Not && d.isConstant())
      result.push_back(d.is(0) ? 1 : 0);
    else if ((kind == Unary::Abs || kind == Unary::Relu) && lowerBound(d).value_or(-1) >= 0)
      result.push_back(d);
    else if (kind == Unary::Abs && d.isConstant())
      result.push_back(std::abs(d.constant()));
    else if (kind == Unary::Sign && d.isConstant())
      result.push_back(d.constant() > 0 ? 1 : d.is(0) ? 0 : -1);
    else
      return std::nullopt;
    result.back() = wrapTo(x.elementType, x.isUnsigned, result.back());
  }
  return result;
}

FailureOr<Tensor> unary(Builder &b, Unary kind, const Tensor &x, double alpha, double beta) {
  bool isInteger = x.isInteger();
  switch (kind) {
  case Unary::Not:
    if (!x.isBool())
      return b.error() << "logical not needs a boolean tensor, found " << x.str();
    break;
  case Unary::BitwiseNot:
    if (!isInteger)
      return b.error() << "bitwise not needs integers, found " << x.str();
    break;
  case Unary::Neg:
  case Unary::Abs:
  case Unary::Sign:
  case Unary::Relu:
    break;
  case Unary::Floor:
  case Unary::Ceil:
  case Unary::Round:
    if (isInteger)
      return x;
    break;
  default:
    if (isInteger)
      return b.error() << "this operation needs a floating-point tensor, found " << x.str();
  }
  if (auto contents = foldUnaryContents(kind, x))
    return fromContents(x.elementType, x.shape, *contents, x.isUnsigned);
  if (x.isFloat() && isSmall(x.constant) && foldUnary(kind, 1))
    return fromConstant(mapConstant(x.constant, [&](double v) { return *foldUnary(kind, v); }));
  if (kind == Unary::IsNan)
    return elementwise(b, x.shape, b.builder.getI1Type(), x, false, [&](const Scalar &s, ValueRange args) {
      return s.cmp(arith::CmpFPredicate::UNO, args[0], args[0]);
    });
  return elementwiseWide(b, x.shape, x, [&](const Scalar &s, ValueRange args) {
    return scalarUnary(s, kind, args[0], alpha, beta, x.isUnsigned);
  });
}

FailureOr<Tensor> isInf(Builder &b, const Tensor &x, bool detectPositive, bool detectNegative) {
  if (!x.isFloat())
    return b.error() << "IsInf needs a floating-point tensor, found " << x.str();
  double infinity = std::numeric_limits<double>::infinity();
  return elementwise(b, x.shape, b.builder.getI1Type(), x, false, [&](const Scalar &s, ValueRange args) -> Value {
    auto eq = [&](double v) { return s.cmp(arith::CmpFPredicate::OEQ, args[0], s.like(args[0], v)); };
    Value result = s.op<arith::ConstantOp>(s.b.getBoolAttr(false));
    if (detectPositive)
      result = s.op<arith::OrIOp>(result, eq(infinity));
    if (detectNegative)
      result = s.op<arith::OrIOp>(result, eq(-infinity));
    return result;
  });
}

//===- binary -------------------------------------------------------------------------------------------------------===

static bool isComparison(Binary kind) { return kind >= Binary::Equal && kind <= Binary::GreaterOrEqual; }
static bool isLogical(Binary kind) { return kind == Binary::And || kind == Binary::Or || kind == Binary::Xor; }

static std::optional<Dim> boolDim(std::optional<bool> value) {
  return value ? std::optional<Dim>(*value ? 1 : 0) : std::nullopt;
}

static std::optional<Dim> negated(std::optional<Dim> d) {
  return d ? std::optional<Dim>(d->is(0) ? 1 : 0) : std::nullopt;
}

static std::optional<Dim> foldBinaryDims(Binary kind, Dim x, Dim y) {
  bool areConstant = x.isConstant() && y.isConstant();
  bool arePositive = lowerBound(x).value_or(-1) >= 0 && lowerBound(y).value_or(-1) >= 0;
  switch (kind) {
  case Binary::Add:
    return x + y;
  case Binary::Sub:
    return x - y;
  case Binary::Mul:
    return x * y;
  case Binary::Div:
    if (y.is(0))
      return std::nullopt;
    if (areConstant)
      return y.is(-1) ? -x : Dim(x.constant() / y.constant());
    if (arePositive || divideExactly(x, y))
      return floorDiv(x, y);
    return std::nullopt;
  case Binary::Mod:
    return y.is(0) ? std::nullopt : std::optional(floorMod(x, y));
  case Binary::Fmod:
    return arePositive && !y.is(0) ? std::optional(floorMod(x, y)) : std::nullopt;
  case Binary::Min:
    return min(x, y);
  case Binary::Max:
    return max(x, y);
  case Binary::Equal:
    return boolDim(isEqual(x, y));
  case Binary::Less:
    return boolDim(isLess(x, y));
  case Binary::Greater:
    return boolDim(isLess(y, x));
  case Binary::LessOrEqual:
    return negated(boolDim(isLess(y, x)));
  case Binary::GreaterOrEqual:
    return negated(boolDim(isLess(x, y)));
  case Binary::Pow: {
    if (!areConstant || y.constant() < 0 || y.constant() > 62)
      return std::nullopt;
    Dim result = 1;
    for (int64_t i = 0; i < y.constant(); ++i)
      result *= x;
    return result;
  }
  case Binary::And:
  case Binary::BitwiseAnd:
    return areConstant ? std::optional<Dim>(x.constant() & y.constant()) : std::nullopt;
  case Binary::Or:
  case Binary::BitwiseOr:
    return areConstant ? std::optional<Dim>(x.constant() | y.constant()) : std::nullopt;
  case Binary::Xor:
  case Binary::BitwiseXor:
    return areConstant ? std::optional<Dim>(x.constant() ^ y.constant()) : std::nullopt;
  default:
    return std::nullopt;
  }
}

static std::optional<Tensor> foldBinaryContents(Binary kind, const Tensor &x, const Tensor &y, ArrayRef<Dim> shape,
                                                Type type) {
  if (!x.contents || !y.contents || shape.size() > 1)
    return std::nullopt;
  size_t count = product(shape).constant();
  Dims result;
  for (size_t i = 0; i < count; ++i) {
    Dim p = (*x.contents)[x.contents->size() == 1 ? 0 : i], q = (*y.contents)[y.contents->size() == 1 ? 0 : i];
    auto d = foldBinaryDims(kind, p, q);
    if (!d)
      return std::nullopt;
    result.push_back(wrapTo(type, x.isUnsigned, *d));
  }
  return fromContents(type, shape, result, isComparison(kind) ? false : x.isUnsigned);
}

static std::optional<double> foldBinaryNumbers(Binary kind, double x, double y) {
  switch (kind) {
  case Binary::Add:
    return x + y;
  case Binary::Sub:
    return x - y;
  case Binary::Mul:
    return x * y;
  case Binary::Div:
    return x / y;
  case Binary::Pow:
    return std::pow(x, y);
  case Binary::Min:
    return std::isnan(x) || x < y ? x : y;
  case Binary::Max:
    return std::isnan(x) || x > y ? x : y;
  default:
    return std::nullopt;
  }
}

/// Of small float constants, of which one is a splat.
static std::optional<Tensor> foldBinaryFloats(Binary kind, const Tensor &x, const Tensor &y, ArrayRef<Dim> shape) {
  if (!x.isFloat() || !y.isFloat() || !isSmall(x.constant) || !isSmall(y.constant) || !foldBinaryNumbers(kind, 1, 1))
    return std::nullopt;
  // The double result rounds once more to the narrower type: exact enough for + - * / of f32 and f16, not for f64.
  if (auto c = splatValue(y); c && ArrayRef<Dim>(x.shape) == shape)
    return fromConstant(mapConstant(x.constant, [&](double v) { return *foldBinaryNumbers(kind, v, *c); }));
  if (auto c = splatValue(x); c && ArrayRef<Dim>(y.shape) == shape)
    return fromConstant(mapConstant(y.constant, [&](double v) { return *foldBinaryNumbers(kind, *c, v); }));
  return std::nullopt;
}

/// x to a power that needs no powf.
static Value emitKnownPower(const Scalar &s, Value x, double power) {
  if (power == 1)
    return x;
  if (power == 2)
    return s.mul(x, x);
  if (power == 3)
    return s.mul(s.mul(x, x), x);
  if (power == 0.5)
    return s.op<math::SqrtOp>(x);
  if (power == -1)
    return s.divF(s.like(x, 1), x);
  return {};
}

/// By squaring, modulo 2^width. Exponents up to 63; negative ones give 0, but for bases 1 and -1.
static Value integerPower(const Scalar &s, Value x, Value exponent) {
  Value zero = s.like(x, 0), one = s.like(x, 1), result = one, square = x;
  auto hasBit = [&](double bit) {
    return s.cmp(arith::CmpIPredicate::ne, s.op<arith::AndIOp>(exponent, s.like(x, bit)), zero);
  };
  for (int bit = 0; bit < 6; ++bit) {
    result = s.select(hasBit(1 << bit), s.mul(result, square), result);
    square = s.mul(square, square);
  }
  Value isOdd = hasBit(1);
  Value minusOne = s.like(x, -1), isMinusOne = s.cmp(arith::CmpIPredicate::eq, x, minusOne);
  Value ofUnit = s.select(isMinusOne, s.select(isOdd, minusOne, one), one);
  Value isUnit = s.op<arith::OrIOp>(isMinusOne, Value(s.cmp(arith::CmpIPredicate::eq, x, one)));
  Value isNegative = s.cmp(arith::CmpIPredicate::slt, exponent, zero);
  return s.select(isNegative, s.select(isUnit, ofUnit, zero), result);
}

static FailureOr<Tensor> pow(Builder &b, const Tensor &x, const Tensor &y, ArrayRef<Dim> shape) {
  std::optional<double> power = splatValue(y);
  return elementwise(b, shape, x.elementType, {x, y}, x.isUnsigned, [&](const Scalar &s, ValueRange args) -> Value {
    if (x.isFloat()) {
      Type wide = computeType(x.elementType);
      Value base = scalarCast(s, args[0], false, wide, false), result;
      if (power)
        result = emitKnownPower(s, base, *power);
      if (!result)
        result = s.op<math::PowFOp>(base, scalarCast(s, args[1], y.isUnsigned, wide, false));
      return scalarCast(s, result, false, x.elementType, false);
    }
    if (power && *power == 2)
      return s.mul(args[0], args[0]);
    if (y.isInteger() && x.elementType == y.elementType && !x.isUnsigned)
      return integerPower(s, args[0], args[1]);
    // Integers to the power of something else: through f64, as the reference does.
    Type f64 = s.b.getF64Type();
    Value result = s.op<math::PowFOp>(scalarCast(s, args[0], x.isUnsigned, f64, false),
                                      scalarCast(s, args[1], y.isUnsigned, f64, false));
    // A power that is a whole number must not be truncated to the one below for its last bits' sake.
    Value whole = s.op<math::RoundEvenOp>(result);
    Value distance = s.op<math::AbsFOp>(Value(s.op<arith::SubFOp>(result, whole)));
    Value slack = s.op<arith::MulFOp>(Value(s.op<math::AbsFOp>(whole)), s.like(result, 1e-11));
    result = s.select(s.cmp(arith::CmpFPredicate::OLE, distance, slack), whole, result);
    return scalarCast(s, result, false, x.elementType, x.isUnsigned);
  });
}

FailureOr<Tensor> binary(Builder &b, Binary kind, const Tensor &x, const Tensor &y) {
  if (x.elementType != y.elementType && kind != Binary::Pow)
    return b.error() << "the operands' types differ: " << x.str() << " and " << y.str();
  if (isLogical(kind) && !x.isBool())
    return b.error() << "a logical operation needs boolean tensors, found " << x.str();
  if (kind >= Binary::BitwiseAnd && kind <= Binary::ShiftRight && !x.isInteger())
    return b.error() << "a bitwise operation needs integers, found " << x.str();
  auto shape = broadcastShapes(b, x.shape, y.shape);
  if (failed(shape))
    return failure();
  Type type = isComparison(kind) ? b.builder.getI1Type() : x.elementType;
  if (auto folded = foldBinaryContents(kind, x, y, *shape, type))
    return *folded;
  if (auto folded = foldBinaryFloats(kind, x, y, *shape))
    return *folded;
  if (kind == Binary::Pow)
    return pow(b, x, y, *shape);
  // x * 1, x + 0 and the like come from exporters.
  if (auto c = splatValue(y); c && ArrayRef<Dim>(x.shape) == ArrayRef<Dim>(*shape) && x.value)
    if ((*c == 1 && (kind == Binary::Mul || kind == Binary::Div)) || (*c == 0 && kind == Binary::Sub))
      return x;
  bool isUnsigned = x.isUnsigned && !isComparison(kind);
  std::optional<double> divisor = splatValue(y);
  return elementwise(b, *shape, type, {x, y}, isUnsigned, [&](const Scalar &s, ValueRange args) -> Value {
    if (kind == Binary::Div && x.isInteger() && divisor && *divisor != 0 && *divisor != -1)
      return x.isUnsigned ? s.op<arith::DivUIOp>(args[0], args[1]) : s.op<arith::DivSIOp>(args[0], args[1]);
    return scalarBinary(s, kind, args[0], args[1], x.isUnsigned);
  });
}

FailureOr<Tensor> variadic(Builder &b, Binary kind, ArrayRef<Tensor> xs) {
  if (xs.empty())
    return b.error() << "expected at least one operand";
  Tensor result = xs.front();
  for (const Tensor &x : xs.drop_front()) {
    auto next = binary(b, kind, result, x);
    if (failed(next))
      return failure();
    result = *next;
  }
  return result;
}

FailureOr<Tensor> mean(Builder &b, ArrayRef<Tensor> xs) {
  auto sum = variadic(b, Binary::Add, xs);
  if (failed(sum) || xs.size() == 1)
    return sum;
  return binary(b, Binary::Div, *sum, b.splat({}, sum->elementType, xs.size()));
}

FailureOr<Tensor> where(Builder &b, const Tensor &condition, const Tensor &x, const Tensor &y) {
  if (!condition.isBool())
    return b.error() << "the condition must be boolean, found " << condition.str();
  if (x.elementType != y.elementType)
    return b.error() << "the operands' types differ: " << x.str() << " and " << y.str();
  auto shape = broadcastShapes(b, x.shape, y.shape);
  if (failed(shape) || failed(shape = broadcastShapes(b, condition.shape, *shape)))
    return failure();
  if (condition.contents && x.contents && y.contents && shape->size() <= 1) {
    auto element = [](const Tensor &t, size_t i) { return (*t.contents)[t.contents->size() == 1 ? 0 : i]; };
    Dims result;
    bool isKnown = true;
    for (int64_t i = 0, n = product(*shape).constant(); i < n; ++i) {
      Dim c = element(condition, i), p = element(x, i), q = element(y, i);
      isKnown &= c.isConstant() || p == q;
      result.push_back(c.is(0) ? q : p);
    }
    if (isKnown)
      return fromContents(x.elementType, *shape, result, x.isUnsigned);
  }
  return elementwise(b, *shape, x.elementType, {condition, x, y}, x.isUnsigned,
                     [](const Scalar &s, ValueRange args) { return s.select(args[0], args[1], args[2]); });
}

FailureOr<Tensor> clip(Builder &b, const Tensor &x, const Tensor *min, const Tensor *max) {
  SmallVector<Tensor> operands{x};
  for (const Tensor *bound : {min, max}) {
    if (!bound)
      continue;
    if (bound->elementType != x.elementType || !bound->numElements().is(1))
      return b.error() << "a bound of clip must be one element of the type of its input (" << x.str() << "), found "
                       << bound->str();
    operands.push_back(b.reshape(*bound, {}));
  }
  if (operands.size() == 1)
    return x;
  if (llvm::all_of(operands, [](const Tensor &t) { return t.contents.has_value(); })) {
    Dims result;
    for (Dim d : *x.contents) {
      if (min)
        d = ops::max(d, operands[1].contents->front());
      if (max)
        d = ops::min(d, operands.back().contents->front());
      result.push_back(d);
    }
    return fromContents(x.elementType, x.shape, result, x.isUnsigned);
  }
  return elementwise(b, x.shape, x.elementType, operands, x.isUnsigned, [&](const Scalar &s, ValueRange args) {
    Value result = args[0];
    if (min)
      result = s.max(result, args[1], x.isUnsigned);
    if (max)
      result = s.min(result, args.back(), x.isUnsigned);
    return result;
  });
}

} // namespace eyrie::ops
