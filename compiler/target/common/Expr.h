// Arithmetic on SSA values in the notation of C++, for expansions of mathematical functions.
#pragma once
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"

namespace eyrie::target {

/// What an expression is built with; one per expanded operation.
struct ExprContext {
  mlir::OpBuilder &b;
  mlir::Location loc;
  bool fma;
  bool scale; // ArithmeticModel::scale
};

/// A float, integer or boolean scalar or vector. Constants take the type of the other operand.
class Expr {
public:
  Expr(ExprContext &context, mlir::Value value) : context(&context), value(value) {}
  operator mlir::Value() const { return value; }
  mlir::Type type() const { return value.getType(); }
  ExprContext &ctx() const { return *context; }

  Expr like(double constant) const { return ofType(type(), constant); }
  Expr likeInt(int64_t constant) const { return ofType(type(), constant); }
  template <typename T> Expr ofType(mlir::Type type, T constant) const {
    mlir::Type element = mlir::getElementTypeOrSelf(type);
    mlir::TypedAttr attr;
    if (mlir::isa<mlir::FloatType>(element))
      attr = context->b.getFloatAttr(element, constant);
    else
      attr = context->b.getIntegerAttr(element, constant);
    if (auto vector = mlir::dyn_cast<mlir::VectorType>(type))
      attr = mlir::DenseElementsAttr::get(vector, attr);
    return {*context, mlir::arith::ConstantOp::create(context->b, context->loc, type, attr)};
  }
  template <typename Op, typename... Args> Expr make(Args... args) const {
    return {*context, Op::create(context->b, context->loc, args...)};
  }
  mlir::Type withElement(mlir::Type element) const {
    if (auto vector = mlir::dyn_cast<mlir::VectorType>(type()))
      return vector.clone(element);
    return element;
  }
  unsigned bits() const { return mlir::getElementTypeOrSelf(type()).getIntOrFloatBitWidth(); }
  Expr asInt() const { // the bits of a float
    return make<mlir::arith::BitcastOp>(withElement(context->b.getIntegerType(bits())), value);
  }
  Expr asFloat() const {
    mlir::Type element = bits() == 64 ? context->b.getF64Type() : mlir::Type(context->b.getF32Type());
    return make<mlir::arith::BitcastOp>(withElement(element), value);
  }

private:
  ExprContext *context;
  mlir::Value value;
};

#define EYRIE_EXPR_OPERATOR(symbol, op)                                                                                \
  inline Expr operator symbol(Expr a, Expr b) { return a.make<mlir::arith::op>(mlir::Value(a), mlir::Value(b)); }      \
  inline Expr operator symbol(Expr a, double b) { return a symbol a.like(b); }                                         \
  inline Expr operator symbol(double a, Expr b) { return b.like(a) symbol b; }
EYRIE_EXPR_OPERATOR(+, AddFOp)
EYRIE_EXPR_OPERATOR(-, SubFOp)
EYRIE_EXPR_OPERATOR(*, MulFOp)
EYRIE_EXPR_OPERATOR(/, DivFOp)
#undef EYRIE_EXPR_OPERATOR
inline Expr operator-(Expr a) { return a.make<mlir::arith::NegFOp>(mlir::Value(a)); }

/// a * b + c, fused where the processor can.
inline Expr mulAdd(Expr a, Expr b, Expr c) {
  if (a.ctx().fma)
    return a.make<mlir::math::FmaOp>(mlir::Value(a), mlir::Value(b), mlir::Value(c));
  return a * b + c;
}
inline Expr mulAdd(Expr a, Expr b, double c) { return mulAdd(a, b, a.like(c)); }
inline Expr mulAdd(Expr a, double b, Expr c) { return mulAdd(a, a.like(b), c); }

/// Comparisons are false for NaN.
#define EYRIE_EXPR_COMPARE(name, predicate)                                                                            \
  inline Expr name(Expr a, Expr b) {                                                                                   \
    return a.make<mlir::arith::CmpFOp>(mlir::arith::CmpFPredicate::predicate, mlir::Value(a), mlir::Value(b));         \
  }                                                                                                                    \
  inline Expr name(Expr a, double b) { return name(a, a.like(b)); }
EYRIE_EXPR_COMPARE(lessThan, OLT)
EYRIE_EXPR_COMPARE(greaterThan, OGT)
EYRIE_EXPR_COMPARE(equals, OEQ)
EYRIE_EXPR_COMPARE(unordered, UNO)
#undef EYRIE_EXPR_COMPARE
inline Expr choose(Expr condition, Expr a, Expr b) {
  return a.make<mlir::arith::SelectOp>(mlir::Value(condition), mlir::Value(a), mlir::Value(b));
}
inline Expr choose(Expr condition, double a, Expr b) { return choose(condition, b.like(a), b); }
inline Expr choose(Expr condition, Expr a, double b) { return choose(condition, a, a.like(b)); }
inline Expr both(Expr a, Expr b) { return a.make<mlir::arith::AndIOp>(mlir::Value(a), mlir::Value(b)); }
inline Expr absolute(Expr a) { return a.make<mlir::math::AbsFOp>(mlir::Value(a)); }
inline Expr squareRoot(Expr a) { return a.make<mlir::math::SqrtOp>(mlir::Value(a)); }

/// Integers.
inline Expr addI(Expr a, Expr b) { return a.make<mlir::arith::AddIOp>(mlir::Value(a), mlir::Value(b)); }
inline Expr subI(Expr a, Expr b) { return a.make<mlir::arith::SubIOp>(mlir::Value(a), mlir::Value(b)); }
inline Expr andI(Expr a, int64_t b) { return a.make<mlir::arith::AndIOp>(mlir::Value(a), mlir::Value(a.likeInt(b))); }
inline Expr orI(Expr a, Expr b) { return a.make<mlir::arith::OrIOp>(mlir::Value(a), mlir::Value(b)); }
inline Expr shiftLeft(Expr a, int64_t b) {
  return a.make<mlir::arith::ShLIOp>(mlir::Value(a), mlir::Value(a.likeInt(b)));
}
inline Expr shiftRight(Expr a, int64_t b) {
  return a.make<mlir::arith::ShRSIOp>(mlir::Value(a), mlir::Value(a.likeInt(b)));
}
inline Expr shiftRightLogical(Expr a, int64_t b) {
  return a.make<mlir::arith::ShRUIOp>(mlir::Value(a), mlir::Value(a.likeInt(b)));
}
inline Expr compareI(mlir::arith::CmpIPredicate predicate, Expr a, Expr b) {
  return a.make<mlir::arith::CmpIOp>(predicate, mlir::Value(a), mlir::Value(b));
}

inline Expr copySign(Expr magnitude, Expr sign) {
  // LLVM moves a rounding to f16 before a copysign of f64, and then rounds the sign by a call of its library.
  if (magnitude.bits() == 64) {
    Expr a = absolute(magnitude), bits = sign.asInt();
    return choose(compareI(mlir::arith::CmpIPredicate::slt, bits, bits.likeInt(0)), -a, a);
  }
  return magnitude.make<mlir::math::CopySignOp>(mlir::Value(magnitude), mlir::Value(sign));
}

/// c[0] + c[1] x + c[2] x² + …, by Horner's rule.
inline Expr polynomial(Expr x, llvm::ArrayRef<double> c) {
  Expr sum = x.like(c.back());
  for (double coefficient : llvm::reverse(c.drop_back()))
    sum = mulAdd(sum, x, coefficient);
  return sum;
}

} // namespace eyrie::target
