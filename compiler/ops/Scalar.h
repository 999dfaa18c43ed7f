// Scalar arithmetic inside the bodies of generics. Private to the room.
#pragma once
#include "compiler/ops/Ops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace eyrie::ops {

/// Short names for arithmetic on floats or integers of one type.
struct Scalar {
  mlir::OpBuilder &b;
  mlir::Location loc;

  using Value = mlir::Value;
  template <typename Op, typename... Args> Value op(Args &&...args) const {
    return Op::create(b, loc, std::forward<Args>(args)...);
  }
  static bool isFloat(Value x) { return mlir::isa<mlir::FloatType>(x.getType()); }
  Value number(mlir::Type type, double v) const { return op<mlir::arith::ConstantOp>(numberAttr(type, v)); }
  Value like(Value x, double v) const { return number(x.getType(), v); }
  Value index(int64_t v) const { return op<mlir::arith::ConstantIndexOp>(v); }
  /// The number of loop `d` of the generic, i64.
  Value loopNumber(unsigned d) const {
    return op<mlir::arith::IndexCastOp>(b.getI64Type(), Value(op<mlir::linalg::IndexOp>(d)));
  }
  /// An index as a float.
  Value toFloat(Value index, mlir::Type type) const {
    return op<mlir::arith::SIToFPOp>(type, Value(op<mlir::arith::IndexCastOp>(b.getI64Type(), index)));
  }

  Value add(Value x, Value y) const {
    return isFloat(x) ? op<mlir::arith::AddFOp>(x, y) : op<mlir::arith::AddIOp>(x, y);
  }
  Value sub(Value x, Value y) const {
    return isFloat(x) ? op<mlir::arith::SubFOp>(x, y) : op<mlir::arith::SubIOp>(x, y);
  }
  Value mul(Value x, Value y) const {
    return isFloat(x) ? op<mlir::arith::MulFOp>(x, y) : op<mlir::arith::MulIOp>(x, y);
  }
  Value divF(Value x, Value y) const { return op<mlir::arith::DivFOp>(x, y); }
  Value add(Value x, double y) const { return add(x, like(x, y)); }
  Value mul(Value x, double y) const { return mul(x, like(x, y)); }
  /// NaN wins.
  Value max(Value x, Value y, bool isUnsigned = false) const {
    if (isFloat(x))
      return op<mlir::arith::MaximumFOp>(x, y);
    return isUnsigned ? op<mlir::arith::MaxUIOp>(x, y) : op<mlir::arith::MaxSIOp>(x, y);
  }
  Value min(Value x, Value y, bool isUnsigned = false) const {
    if (isFloat(x))
      return op<mlir::arith::MinimumFOp>(x, y);
    return isUnsigned ? op<mlir::arith::MinUIOp>(x, y) : op<mlir::arith::MinSIOp>(x, y);
  }
  Value neg(Value x) const { return isFloat(x) ? op<mlir::arith::NegFOp>(x) : sub(like(x, 0), x); }
  Value cmp(mlir::arith::CmpFPredicate predicate, Value x, Value y) const {
    return op<mlir::arith::CmpFOp>(predicate, x, y);
  }
  Value cmp(mlir::arith::CmpIPredicate predicate, Value x, Value y) const {
    return op<mlir::arith::CmpIOp>(predicate, x, y);
  }
  /// x < y; false for NaN.
  Value less(Value x, Value y, bool isUnsigned = false) const {
    if (isFloat(x))
      return cmp(mlir::arith::CmpFPredicate::OLT, x, y);
    return cmp(isUnsigned ? mlir::arith::CmpIPredicate::ult : mlir::arith::CmpIPredicate::slt, x, y);
  }
  Value select(Value c, Value x, Value y) const { return op<mlir::arith::SelectOp>(c, x, y); }
  Value exp(Value x) const { return op<mlir::math::ExpOp>(x); }
};

/// One element of `unary` (of a float type of at least 32 bits, or an integer type).
mlir::Value scalarUnary(const Scalar &s, Unary kind, mlir::Value x, double alpha, double beta, bool isUnsigned = false);
/// One element of `binary`; both operands have one type.
mlir::Value scalarBinary(const Scalar &s, Binary kind, mlir::Value x, mlir::Value y, bool isUnsigned);
/// One element of `cast`.
mlir::Value scalarCast(const Scalar &s, mlir::Value x, bool fromUnsigned, mlir::Type to, bool toUnsigned);
/// The same to a float of 8 or 4 bits by the standard's rules.
mlir::Value scalarCastTiny(const Scalar &s, mlir::Value x, bool fromUnsigned, mlir::FloatType to,
                           TinyRounding rounding);
/// A computed result in its tensor's type, which small floats are rounded to where they are stored: a kernel that goes
/// on with the value need not round it.
mlir::Value scalarResult(const Scalar &s, mlir::Value x, mlir::Type type);
/// A number of steps as 8 bits: rounded half to even, the zero point (a byte too) added, saturated; NaN is the least.
mlir::Value scalarQuantize(const Scalar &s, mlir::Value steps, mlir::Value zeroPoint, bool isUnsigned);
/// Floats of 8 and 4 bits.
inline bool isTinyFloat(mlir::Type type) {
  return mlir::isa<mlir::FloatType>(type) && type.getIntOrFloatBitWidth() <= 8;
}
/// f32 for the narrower floats, in which sums and transcendental functions are computed; else the type itself.
inline mlir::Type computeType(mlir::Type type) {
  if (mlir::isa<mlir::FloatType>(type) && type.getIntOrFloatBitWidth() < 32)
    return mlir::Float32Type::get(type.getContext());
  return type;
}
/// The lowest (or highest) value of a type; infinities for floats.
mlir::TypedAttr extremeAttr(mlir::Type type, bool isUnsigned, bool lowest);
/// Elementwise over operands that broadcast to `shape`; the body's result has `type`.
Tensor elementwise(Builder &b, ArrayRef<Dim> shape, mlir::Type type, ArrayRef<Tensor> xs, bool isUnsigned,
                   llvm::function_ref<mlir::Value(const Scalar &, mlir::ValueRange)> body);
/// The same, computed in computeType and rounded at the end.
Tensor elementwiseWide(Builder &b, ArrayRef<Dim> shape, ArrayRef<Tensor> xs,
                       llvm::function_ref<mlir::Value(const Scalar &, mlir::ValueRange)> body);
/// x y with numbers summed in a wide enough type: the generic {add(acc, mul(x, y))} over loops of which `reductionDims`
/// are summed, then rounded to the operands' type by a generic of its own where that is narrower. With a `sumType`
/// operands of any integer types are summed in it, and stay so.
Tensor contract(Builder &b, ArrayRef<Dim> shape, mlir::AffineMap outMap, ArrayRef<unsigned> reductionDims,
                const Tensor &x, mlir::AffineMap xMap, const Tensor &y, mlir::AffineMap yMap, mlir::Type sumType = {});
/// matmul and conv of integers of any types, summed in i32. `padding` is what lies around x.
FailureOr<Tensor> matmulSums(Builder &b, const Tensor &x, const Tensor &y);
FailureOr<Tensor> convSums(Builder &b, const Tensor &x, const Tensor &filter, const WindowAttrs &attrs, int64_t groups,
                           mlir::TypedAttr padding);
/// The same operations on floats that were dequantised, computed from their integers; nothing where that cannot be done
/// or does not pay.
std::optional<FailureOr<Tensor>> matmulOfCodes(Builder &b, const Tensor &x, const Tensor &y, bool transY = false,
                                               const Tensor *bias = nullptr);
std::optional<FailureOr<Tensor>> convOfCodes(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *bias,
                                             const WindowAttrs &attrs, int64_t groups);
/// `moved` has x's elements in other places, where `move` puts those of any type: if x was dequantised, so was it.
Tensor keepingCodes(Builder &b, const Tensor &x, const Tensor &moved, llvm::function_ref<Tensor(const Tensor &)> move);
/// What x was dequantised from, if all of it has one positive scale and one zero point that are known.
const QuantizedForms::Codes *uniformCodes(Builder &b, const Tensor &x);

/// An error that calls x by `name` unless its zero point, if any, is of its type.
llvm::LogicalResult checkZeroPoint(Builder &b, const Tensor &x, const Tensor *zeroPoint, llvm::StringRef name);
/// Signed bytes as unsigned ones 128 larger, or the other way round.
Tensor withOtherSign(Builder &b, const Tensor &bytes);
/// Bytes that are made by scalarQuantize of the number of steps that `body` computes of the elements of `xs`. The zero
/// point broadcasts to `shape`.
Tensor quantizeSteps(Builder &b, ArrayRef<Dim> shape, ArrayRef<Tensor> xs, const Tensor &zeroPoint,
                     llvm::function_ref<mlir::Value(const Scalar &, mlir::ValueRange)> body);
/// Sum, product, extreme ... over `axes` (sorted, not negative), which leave the shape. `body(acc, x)` combines in
/// `accType`; the result has that type.
Tensor reduceAxes(Builder &b, ArrayRef<Tensor> xs, ArrayRef<mlir::AffineMap> maps, ArrayRef<Dim> loopSizes,
                  ArrayRef<int64_t> axes, mlir::TypedAttr init, bool isUnsigned,
                  llvm::function_ref<mlir::Value(const Scalar &, mlir::Value acc, mlir::ValueRange)> body);
/// A number that depends on sizes, usable in bodies.
struct Count {
  Dim dim;
  mlir::Value value; // null when constant
  Count(Builder &b, Dim dim) : dim(dim), value(dim.isConstant() ? mlir::Value() : b.index(dim)) {}
  mlir::Value get(const Scalar &s, mlir::Type type) const {
    if (!value)
      return type.isIndex() ? s.index(dim.constant()) : s.number(type, dim.constant());
    if (type.isIndex())
      return value;
    if (mlir::isa<mlir::IntegerType>(type))
      return s.op<mlir::arith::IndexCastOp>(type, value);
    return s.toFloat(value, type);
  }
};
/// `axes` as sorted, distinct numbers in [0, rank), or an error.
FailureOr<SmallVector<int64_t>> normalizeAxes(Builder &b, ArrayRef<int64_t> axes, int64_t rank);
/// The elements of the operand `axes`, known at compile time; absent: 0, 1, ... `count` - 1.
FailureOr<SmallVector<int64_t>> axesOr(Builder &b, const Tensor *axes, int64_t count);
/// `shape` with the dimensions `axes` set to one, or left out.
Dims withoutAxes(ArrayRef<Dim> shape, ArrayRef<int64_t> axes, bool keepDims);
/// The sizes agree, or an error that says `what`; unknown ones are assumed to agree.
mlir::LogicalResult checkSame(Builder &b, Dim x, Dim y, llvm::Twine what);
/// A tensor of `shape` whose element at `indices` is x at the indices that `body` computes (they must be in range).
/// More operands' elements reach the body as `args`.
Tensor gatherMap(
    Builder &b, const Tensor &x, ArrayRef<Dim> shape, ArrayRef<Tensor> more, ArrayRef<mlir::AffineMap> maps,
    llvm::function_ref<SmallVector<mlir::Value>(const Scalar &, mlir::ValueRange indices, mlir::ValueRange args)> body);
/// Lets the call fail if an element of `indices` is not in [-size, size). It fails when all else in the block is done:
/// until then `safeIndex` keeps accesses inside.
void requireIndices(Builder &b, const Tensor &indices, Dim size);
/// The same for coordinates: the elements of the last dimension are for one of `sizes` each.
void requireCoordinates(Builder &b, const Tensor &indices, ArrayRef<Dim> sizes);
/// The maps by which `loops` loops read coordinates [d0, d1, ..., depth], a map for each of the `depth` numbers; d0,
/// d1,
/// ... are the loops from `first` on.
SmallVector<mlir::AffineMap> coordinateMaps(Builder &b, unsigned loops, unsigned first, const Tensor &coordinates);
/// An index given by a model as a number: negative ones count from the end; the rest is clamped into the tensor, so
/// that hostile data reads nothing outside.
mlir::Value safeIndex(const Scalar &s, mlir::Value number, mlir::Value size, bool isUnsigned);
/// Small known tensors of any rank: the element of `shape` at each index is x's at `source(index)`; nothing when x is
/// not known, or the shape is symbolic or too large.
std::optional<Tensor> foldMovement(const Tensor &x, ArrayRef<Dim> shape,
                                   llvm::function_ref<SmallVector<int64_t>(ArrayRef<int64_t>)> source);
/// The elements as an attribute, when all are known numbers.
mlir::DenseElementsAttr knownElements(const Tensor &t);
/// The softmax of floats along the last dimension, where minus infinity is no element: without any, the result is 0.
Tensor maskedSoftmax(Builder &b, const Tensor &x);
/// Reads along `dims` of the loop nest: result i of the map is loop dims[i].
mlir::AffineMap projection(Builder &b, unsigned loops, ArrayRef<int64_t> dims);

} // namespace eyrie::ops
