// Mathematical functions and arithmetic that the processor lacks become arithmetic that it has, so that no kernel
// imports a function of the C library and every loop can be vectorised.
//
//   %y = math.exp %x : f32    ──►    a polynomial (MathFunctions.cpp)
//   %y = arith.addf %a, %b : bf16    ──►    in f32, rounded where it is stored
//   %y = arith.divsi %a, %b : i32    ──►    division that does not trap
#include "compiler/target/common/KernelPasses.h"
#include "compiler/target/common/MathFunctions.h"
#include "compiler/target/common/SmallFloats.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace eyrie::target;

namespace {
constexpr double kInf = std::numeric_limits<double>::infinity();

class Expander {
public:
  Expander(Operation *op, const ArithmeticModel &model)
      : op(op), model(model), b(op), context{b, op->getLoc(), model.fma, model.scale} {}

  /// Replaces the operation, if it needs to be, by operations that may have to be expanded in turn.
  bool run() {
    if (op->getNumResults() != 1)
      return false;
    Type type = op->getResult(0).getType();
    if (isa<arith::ExtFOp, arith::TruncFOp>(op))
      return convertFloats();
    if (isa<arith::ConstantOp, arith::BitcastOp, arith::SelectOp>(op))
      return false;
    if (isa<arith::ArithDialect, math::MathDialect>(op->getDialect()) && hasSmallFloats())
      return widen();
    if (isa<vector::FMAOp>(op) && !model.fma)
      return replace(arg(0) * arg(1) + arg(2));
    if (isa<math::MathDialect>(op->getDialect()))
      return isa<FloatType>(getElementTypeOrSelf(op->getOperand(0).getType())) ? expandFloat() : expandInteger();
    if (isa<arith::RemFOp>(op))
      return replace(inF64([&](ArrayRef<Expr> a) {
        Expr quotient = truncOf(a[0] / a[1]);
        Expr rest = a[0] - quotient * a[1];
        Expr fixed =
            choose(lessThan(rest * copySign(rest.like(1), a[0]), 0.0), rest + copySign(absolute(a[1]), a[0]), rest);
        return choose(both(equals(absolute(a[1]), kInf), lessThan(absolute(a[0]), kInf)), a[0], fixed);
      }));
    if (isa<arith::MaxNumFOp, arith::MinNumFOp>(op) && !model.maxNum) {
      Expr a = arg(0), b = arg(1);
      Expr isBetter = isa<arith::MaxNumFOp>(op) ? lessThan(b, a) : lessThan(a, b);
      return replace(choose(unordered(b, b), a, choose(isBetter, a, b)));
    }
    if (isa<arith::FloorDivSIOp, arith::CeilDivSIOp>(op) && !getElementTypeOrSelf(type).isIndex())
      return roundDivision();
    if (isa<arith::DivSIOp, arith::RemSIOp, arith::DivUIOp, arith::RemUIOp>(op) &&
        !getElementTypeOrSelf(type).isIndex())
      return guardDivision();
    return false;
  }

private:
  Expr arg(unsigned i) { return {context, op->getOperand(i)}; }
  bool replace(Value value) {
    op->replaceAllUsesWith(ValueRange(value));
    op->erase();
    return true;
  }
  Type withElement(Type like, Type element) {
    if (auto vector = dyn_cast<VectorType>(like))
      return vector.clone(element);
    return element;
  }

  // --- floats smaller than f32

  static bool isSmall(Type type) {
    auto element = dyn_cast<FloatType>(getElementTypeOrSelf(type));
    return element && element.getWidth() < 32;
  }
  bool hasSmallFloats() {
    return llvm::any_of(op->getOperandTypes(), isSmall) || llvm::any_of(op->getResultTypes(), isSmall);
  }
  bool widen() {
    IRMapping mapping;
    for (Value operand : op->getOperands())
      if (isSmall(operand.getType()))
        mapping.map(operand, unrounded(operand));
    Operation *wide = b.clone(*op, mapping);
    Value result = wide->getResult(0);
    Type type = op->getResult(0).getType();
    if (isSmall(type)) {
      result.setType(withElement(type, b.getF32Type()));
      auto rounded = arith::TruncFOp::create(b, op->getLoc(), type, result);
      rounded.setFastmath(arith::FastMathFlags::contract);
      result = rounded;
    }
    return replace(result);
  }
  /// Within a kernel, results of arithmetic on small floats are not rounded in between; what a Cast rounds stays so.
  Value unrounded(Value operand) {
    auto rounded = operand.getDefiningOp<arith::TruncFOp>();
    if (rounded && rounded.getFastmath() == arith::FastMathFlags::contract)
      return rounded.getIn();
    return arith::ExtFOp::create(b, op->getLoc(), withElement(operand.getType(), b.getF32Type()), operand);
  }

  Type intLike(Type type, unsigned bits) { return withElement(type, b.getIntegerType(bits)); }

  bool convertFloats() {
    Type from = op->getOperand(0).getType(), to = op->getResult(0).getType();
    Type fromElement = getElementTypeOrSelf(from), toElement = getElementTypeOrSelf(to);
    Type f32 = b.getF32Type();
    // In two steps where f64 is one end and a small float the other.
    if (isSmall(from) && !toElement.isF32()) {
      Value middle = arith::ExtFOp::create(b, op->getLoc(), withElement(from, f32), op->getOperand(0));
      return replace(isSmall(to) ? Value(arith::TruncFOp::create(b, op->getLoc(), to, middle))
                                 : Value(arith::ExtFOp::create(b, op->getLoc(), to, middle)));
    }
    if (isTinyFloat(to) && fromElement.isF64())
      return replace(arith::TruncFOp::create(b, op->getLoc(), to, Value(roundToOdd(arg(0)))));
    if (isSmall(to) && !fromElement.isF32()) {
      Value middle = arith::TruncFOp::create(b, op->getLoc(), withElement(from, f32), op->getOperand(0));
      return replace(arith::TruncFOp::create(b, op->getLoc(), to, middle));
    }
    if (isTinyFloat(from))
      return replace(tinyToF32(widenBits(arg(0), fromElement.getIntOrFloatBitWidth()), cast<FloatType>(fromElement)));
    if (isTinyFloat(to))
      return replace(narrowBits(f32ToTiny(arg(0), cast<FloatType>(toElement)), to));
    if (fromElement.isBF16())
      return replace(shiftLeft(widenBits(arg(0), 16), 16).asFloat());
    if (toElement.isBF16())
      return replace(toBf16(arg(0)));
    if (fromElement.isF16() && !model.f16)
      return replace(fromF16(arg(0)));
    if (toElement.isF16() && !model.f16)
      return replace(toF16(arg(0)));
    return false;
  }

  Expr widenBits(Expr x, unsigned bits) {
    Expr raw = x.make<arith::BitcastOp>(intLike(x.type(), bits), Value(x));
    return raw.make<arith::ExtUIOp>(intLike(x.type(), 32), Value(raw));
  }
  Expr narrowBits(Expr bits, Type type) {
    Expr raw =
        bits.make<arith::TruncIOp>(intLike(type, getElementTypeOrSelf(type).getIntOrFloatBitWidth()), Value(bits));
    return raw.make<arith::BitcastOp>(type, Value(raw));
  }
  Value toBf16(Expr x) {
    Expr bits = x.asInt();
    Expr odd = andI(shiftRightLogical(bits, 16), 1);
    Expr rounded = shiftRightLogical(addI(addI(bits, odd), bits.likeInt(0x7fff)), 16);
    Expr quiet = orI(shiftRightLogical(bits, 16), bits.likeInt(0x40));
    return narrowBits(choose(unordered(x, x), quiet, rounded), op->getResult(0).getType());
  }
  Value fromF16(Expr x) {
    Expr bits = widenBits(x, 16);
    Expr sign = shiftLeft(andI(bits, 0x8000), 16);
    Expr rest = andI(bits, 0x7fff);
    // Moving exponent and mantissa into place and scaling by 2^112 is right for normal and subnormal numbers alike.
    Expr scaled = shiftLeft(rest, 13).asFloat() * 0x1p112;
    Expr special = orI(shiftLeft(rest, 13), bits.likeInt(0x7f800000)).asFloat();
    Expr isSpecial = compareI(arith::CmpIPredicate::sge, rest, rest.likeInt(0x7c00));
    return orI(choose(isSpecial, special, scaled).asInt(), sign).asFloat();
  }
  Value toF16(Expr x) {
    Expr bits = x.asInt();
    Expr sign = andI(shiftRightLogical(bits, 16), 0x8000);
    Expr magnitude = andI(bits, 0x7fffffff);
    // Normal: rebias, round to nearest even. Subnormal: adding 0.5 aligns the mantissa and rounds it.
    Expr odd = andI(shiftRightLogical(magnitude, 13), 1);
    Expr normal =
        shiftRightLogical(addI(addI(subI(magnitude, magnitude.likeInt(112 << 23)), odd), odd.likeInt(0xfff)), 13);
    Expr half = absolute(x) + 0.5;
    Expr subnormal = subI(half.asInt(), magnitude.likeInt(0x3f000000));
    using P = arith::CmpIPredicate;
    Expr result = choose(compareI(P::slt, magnitude, magnitude.likeInt(0x38800000)), subnormal, normal);
    result = choose(compareI(P::sge, magnitude, magnitude.likeInt(0x477ff000)), result.likeInt(0x7c00), result);
    result = choose(compareI(P::sgt, magnitude, magnitude.likeInt(0x7f800000)), result.likeInt(0x7e00), result);
    return narrowBits(orI(result, sign), op->getResult(0).getType());
  }

  // --- mathematical functions

  /// Evaluates in f64 and rounds to the operation's type.
  Value inF64(llvm::function_ref<Expr(ArrayRef<Expr>)> function) {
    SmallVector<Expr> args;
    for (Value operand : op->getOperands()) {
      Type wide = withElement(operand.getType(), b.getF64Type());
      if (wide != operand.getType())
        operand = isa<FloatType>(getElementTypeOrSelf(operand.getType()))
                      ? Value(arith::ExtFOp::create(b, op->getLoc(), wide, operand))
                      : Value(arith::SIToFPOp::create(b, op->getLoc(), wide, operand));
      args.push_back({context, operand});
    }
    Value result = function(args);
    Type type = op->getResult(0).getType();
    return result.getType() == type ? result : Value(arith::TruncFOp::create(b, op->getLoc(), type, result));
  }

  /// The value of x without fraction.
  Expr truncOf(Expr x) {
    if (model.round)
      return x.make<math::TruncOp>(Value(x));
    Expr rounded = nearest(absolute(x));
    rounded = choose(greaterThan(rounded, absolute(x)), rounded - 1.0, rounded);
    return copySign(rounded, x);
  }
  /// The nearest integer to x >= 0, ties to even.
  static Expr nearest(Expr x) {
    double big = x.bits() == 64 ? 4503599627370496.0 : 8388608.0;
    return choose(lessThan(x, big), (x + big) - big, x);
  }

  bool expandFloat() {
    Expr x = arg(0);
    using Function = Expr (*)(Expr);
    // Functions with a form of their own for f32.
    Function direct = llvm::TypeSwitch<Operation *, Function>(op)
                          .Case<math::ExpOp>([](auto) { return expOf; })
                          .Case<math::LogOp>([](auto) { return logOf; })
                          .Case<math::TanhOp>([](auto) { return tanhOf; })
                          .Case<math::ErfOp>([](auto) { return erfOf; })
                          .Default([](Operation *) { return nullptr; });
    if (direct)
      return replace(direct(x));
    // Functions of one argument that are computed in f64.
    Function wide = llvm::TypeSwitch<Operation *, Function>(op)
                        .Case<math::ErfcOp>([](auto) { return erfcOf; })
                        .Case<math::ExpM1Op>([](auto) { return expm1Of; })
                        .Case<math::Log1pOp>([](auto) { return log1pOf; })
                        .Case<math::SinOp>([](auto) { return sinOf; })
                        .Case<math::CosOp>([](auto) { return cosOf; })
                        .Case<math::AtanOp>([](auto) { return atanOf; })
                        .Case<math::CbrtOp>([](auto) { return cbrtOf; })
                        .Case<math::Exp2Op>([](auto) { return [](Expr x) { return expOf(x * M_LN2); }; })
                        .Case<math::Log2Op>([](auto) { return [](Expr x) { return logOf(x) * M_LOG2E; }; })
                        .Case<math::Log10Op>([](auto) { return [](Expr x) { return logOf(x) * M_LOG10E; }; })
                        .Case<math::TanOp>([](auto) { return [](Expr x) { return sinOf(x) / cosOf(x); }; })
                        .Case<math::SinhOp>([](auto) {
                          return [](Expr x) {
                            Expr e = expm1Of(absolute(x));
                            return copySign(choose(equals(e, kInf), kInf, (e + e / (e + 1.0)) * 0.5), x);
                          };
                        })
                        .Case<math::CoshOp>([](auto) {
                          return [](Expr x) {
                            Expr e = expOf(absolute(x));
                            return e * 0.5 + 0.5 / e;
                          };
                        })
                        .Case<math::AsinOp>(
                            [](auto) { return [](Expr x) { return atan2Of(x, squareRoot((1.0 - x) * (x + 1.0))); }; })
                        .Case<math::AcosOp>([](auto) {
                          return [](Expr x) { return atan2Of(squareRoot(1.0 - x), squareRoot(x + 1.0)) * 2.0; };
                        })
                        .Case<math::AsinhOp>([](auto) {
                          return [](Expr x) {
                            Expr a = absolute(x), z = a * a;
                            Expr large = logOf(a) + M_LN2;
                            Expr result = log1pOf(a + z / (squareRoot(z + 1.0) + 1.0));
                            return copySign(choose(greaterThan(a, 1e150), large, result), x);
                          };
                        })
                        .Case<math::AcoshOp>([](auto) {
                          return [](Expr x) {
                            Expr t = x - 1.0;
                            Expr result = log1pOf(t + squareRoot(t * 2.0 + t * t));
                            return choose(greaterThan(x, 1e150), logOf(x) + M_LN2, result);
                          };
                        })
                        .Case<math::AtanhOp>([](auto) {
                          return [](Expr x) {
                            Expr a = absolute(x);
                            return copySign(log1pOf(a * 2.0 / (1.0 - a)) * 0.5, x);
                          };
                        })
                        .Default([](Operation *) { return nullptr; });
    if (wide)
      return replace(inF64([&](ArrayRef<Expr> a) { return wide(a[0]); }));
    if (isa<math::PowFOp, math::FPowIOp>(op))
      return replace(inF64([](ArrayRef<Expr> a) { return powOf(a[0], a[1]); }));
    if (isa<math::Atan2Op>(op))
      return replace(inF64([](ArrayRef<Expr> a) { return atan2Of(a[0], a[1]); }));
    if (isa<math::RsqrtOp>(op))
      return replace(1.0 / squareRoot(x));
    if (isa<math::IsNaNOp>(op))
      return replace(unordered(x, x));
    if (isa<math::IsInfOp>(op))
      return replace(equals(absolute(x), kInf));
    if (isa<math::IsFiniteOp>(op))
      return replace(lessThan(absolute(x), kInf));
    if (isa<math::FmaOp>(op) && !model.fma)
      return replace(x * arg(1) + arg(2));
    if (isa<math::RoundOp>(op)) {
      double half = x.bits() == 64 ? 0.49999999999999994 : 0.49999997;
      return replace(copySign(truncOf(absolute(x) + half), x));
    }
    if (!model.round)
      return expandRounding(x);
    return false;
  }

  bool expandRounding(Expr x) {
    Expr a = absolute(x);
    if (isa<math::RoundEvenOp>(op))
      return replace(copySign(nearest(a), x));
    Expr whole = truncOf(x);
    if (isa<math::TruncOp>(op))
      return replace(whole);
    if (isa<math::FloorOp>(op))
      return replace(copySign(choose(greaterThan(whole, x), whole - 1.0, whole), x));
    if (isa<math::CeilOp>(op))
      return replace(copySign(choose(lessThan(whole, x), whole + 1.0, whole), x));
    return false;
  }

  bool expandInteger() {
    auto power = dyn_cast<math::IPowIOp>(op);
    if (!power)
      return false;
    using P = arith::CmpIPredicate;
    Expr base = arg(0), exponent = arg(1), result = base.likeInt(1), factor = base;
    auto multiply = [](Expr a, Expr b) { return a.make<arith::MulIOp>(Value(a), Value(b)); };
    for (unsigned bit = 0; bit + 1 < base.bits(); ++bit) {
      Expr set = compareI(P::ne, andI(exponent, int64_t(1) << bit), exponent.likeInt(0));
      result = choose(set, multiply(result, factor), result);
      factor = multiply(factor, factor);
    }
    // A negative power is 1/base^n, rounded towards zero.
    Expr isOne = compareI(P::eq, base, base.likeInt(1));
    Expr isMinusOne = compareI(P::eq, base, base.likeInt(-1));
    Expr odd = compareI(P::ne, andI(exponent, 1), exponent.likeInt(0));
    Expr inverse = choose(isOne, base, choose(isMinusOne, choose(odd, base, base.likeInt(1)), base.likeInt(0)));
    return replace(choose(compareI(P::slt, exponent, exponent.likeInt(0)), inverse, result));
  }

  /// x / 0 and INT_MIN / -1 trap on some processors: they give 0 and wrap around here.
  bool guardDivision() {
    APInt constant;
    if (matchPattern(op->getOperand(1), m_ConstantInt(&constant)) && !constant.isZero() && !constant.isAllOnes())
      return false;
    if (op->hasAttr("eyrie.guarded"))
      return false;
    bool isSigned = isa<arith::DivSIOp, arith::RemSIOp>(op), isDivision = isa<arith::DivSIOp, arith::DivUIOp>(op);
    Expr x = arg(0), y = arg(1);
    using P = arith::CmpIPredicate;
    Expr zero = compareI(P::eq, y, y.likeInt(0));
    Expr safe = choose(zero, y.likeInt(1), y);
    Expr minusOne = zero;
    if (isSigned) {
      minusOne = compareI(P::eq, y, y.likeInt(-1));
      safe = choose(minusOne, y.likeInt(1), safe);
    }
    Operation *division = b.clone(*op);
    division->setOperand(1, safe);
    division->setAttr("eyrie.guarded", b.getUnitAttr());
    Expr result{context, division->getResult(0)};
    if (isSigned && isDivision)
      result = choose(minusOne, subI(x.likeInt(0), x), result);
    if (isDivision)
      result = choose(zero, result.likeInt(0), result);
    return replace(result);
  }

  bool roundDivision() {
    Expr x = arg(0), y = arg(1);
    using P = arith::CmpIPredicate;
    Expr quotient = x.make<arith::DivSIOp>(Value(x), Value(y));
    Expr rest = x.make<arith::RemSIOp>(Value(x), Value(y));
    Expr signs = rest.make<arith::XOrIOp>(Value(rest), Value(y));
    bool floor = isa<arith::FloorDivSIOp>(op);
    Expr inexact = compareI(P::ne, rest, rest.likeInt(0));
    Expr differs = compareI(floor ? P::slt : P::sge, signs, signs.likeInt(0));
    Expr fixed = floor ? subI(quotient, quotient.likeInt(1)) : addI(quotient, quotient.likeInt(1));
    return replace(choose(both(inexact, differs), fixed, quotient));
  }

  Operation *op;
  const ArithmeticModel &model;
  OpBuilder b;
  ExprContext context;
};

struct ExpandMathPass : PassWrapper<ExpandMathPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandMathPass)
  explicit ExpandMathPass(ArithmeticModel model) : model(model) {}
  StringRef getArgument() const override { return "target-expand-math"; }
  StringRef getDescription() const override { return "Expand arithmetic and mathematics that the processor lacks"; }

  void runOnOperation() override {
    // An expansion may use what has to be expanded in turn: twice at most (f16 -> f32 -> f64 and its conversions).
    for (bool changed = true; changed;) {
      changed = false;
      SmallVector<Operation *> ops;
      getOperation().walk([&](Operation *op) {
        if (isa_and_nonnull<arith::ArithDialect, math::MathDialect>(op->getDialect()) || isa<vector::FMAOp>(op))
          ops.push_back(op);
      });
      for (Operation *op : ops)
        changed |= Expander(op, model).run();
    }
    getOperation().walk([](Operation *op) { op->removeAttr("eyrie.guarded"); });
    if (model.contract)
      getOperation().walk([](arith::ArithFastMathInterface op) {
        if (!isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(op.getOperation()))
          return;
        auto flags = op.getFastMathFlagsAttr().getValue() | arith::FastMathFlags::contract;
        op->setAttr(op.getFastMathAttrName(), arith::FastMathFlagsAttr::get(op.getContext(), flags));
      });
  }

  ArithmeticModel model;
};
} // namespace

std::unique_ptr<Pass> eyrie::target::createExpandMathPass(ArithmeticModel model) {
  return std::make_unique<ExpandMathPass>(model);
}
