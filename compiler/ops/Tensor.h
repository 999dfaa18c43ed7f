// The tensors of a model while it is imported, and the builder with which the operation library writes core IR.
#pragma once
#include "compiler/ops/Dim.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace eyrie::ops {

using llvm::ArrayRef;
using llvm::SmallVector;
using mlir::FailureOr;
using Dims = SmallVector<Dim, 4>;

/// Up to this many elements, integers and booleans are tracked as `contents`, and constants are folded.
inline constexpr int64_t kMaxContents = 1024;

/// Up to this many integers that the host knows are handed from turn to turn of a loop, or out of a branch, as such.
inline constexpr size_t kMaxCarriedIntegers = 16;

/// A tensor of the model: element type and shape are always known (the shape possibly symbolic); its elements may be
/// known too. Exactly what is missing is built on demand: Builder::value() makes the SSA value of a tensor that has
/// only `contents` or `constant`.
struct Tensor {
  mlir::Value value;       // RankedTensorType matching elementType and shape; null while only the elements are known
  mlir::Type elementType;  // signless integers, i1 for booleans, floats
  bool isUnsigned = false; // for integers
  bool isString = false;   // the elements are ids of strings: elementType is i64
  Dims shape;
  /// Integer and boolean tensors of rank 0 or 1 with few elements: every element, constant or symbolic.
  std::optional<Dims> contents;
  /// The elements, when all are known numbers (splats of any size; others only when small). Float tensors use only this
  /// one; integer tensors of rank > 1 too.
  mlir::DenseElementsAttr constant;

  int64_t rank() const { return shape.size(); }
  bool isScalar() const { return shape.empty(); }
  bool isFloat() const { return mlir::isa<mlir::FloatType>(elementType); }
  bool isInteger() const { return mlir::isa<mlir::IntegerType>(elementType); }
  bool isBool() const { return elementType.isInteger(1); }
  bool hasStaticShape() const;
  mlir::RankedTensorType type() const;
  Dim numElements() const { return product(shape); }
  /// "f32[batch, 3, 224, 224]", "u8[4]".
  std::string str() const;
};

/// A tensor of known integers (rank from `shape`: 0 or 1). No IR is made.
Tensor fromContents(mlir::Type elementType, ArrayRef<Dim> shape, Dims contents, bool isUnsigned = false);
/// A tensor of known elements. Fills `contents` for small integer tensors of rank 0 and 1. No IR is made.
Tensor fromConstant(mlir::DenseElementsAttr constant, bool isUnsigned = false);
/// `t` with what `like` says of its elements beyond their type: sign and strings.
Tensor marked(Tensor t, const Tensor &like);
/// A tensor that exists at run time.
Tensor fromValue(mlir::Value value, ArrayRef<Dim> shape, bool isUnsigned = false);

/// What is known of tensors that were made of 8-bit integers, so that operations may work on those instead.
struct QuantizedForms {
  /// A tensor of floats is (x - zeroPoint) * scale; both are one number, or one per index of `axis`.
  struct Codes {
    Tensor x, scale;
    std::optional<Tensor> zeroPoint;
    int64_t axis;
  };
  /// A tensor of f32 is sums * factor + offset: exact sums in i32, and floats that broadcast to them.
  struct Sums {
    Tensor sums, factor;
    std::optional<Tensor> offset;
  };
  llvm::DenseMap<mlir::Value, Codes> codes;
  llvm::DenseMap<mlir::Value, Sums> sums;
  /// Signed bytes, and the same ones 128 larger, of which they were made.
  llvm::DenseMap<mlir::Value, Tensor> raised;
};

/// Where operations are written: insertion point, location (named after the model's node), symbols and errors.
/// One per function; nested regions (branches) use the same one with another insertion point (OpBuilder::InsertionGuard
/// on `builder`).
class Builder {
public:
  Builder(mlir::OpBuilder &builder, mlir::Location loc, DimContext &dims, mlir::ModuleOp module)
      : builder(builder), loc(loc), dims(dims), module(module) {}

  mlir::OpBuilder &builder;
  mlir::Location loc; // set it to the node's location before each operation
  DimContext &dims;
  mlir::ModuleOp module; // receives graph.global for constants
  QuantizedForms quantized;

  /// An error at the current location. Convertible to failure.
  mlir::InFlightDiagnostic error() { return mlir::emitError(loc); }
  /// Stops the call, at this place, with a message that names the node unless `holds`.
  mlir::Operation *require(mlir::Value holds, const llvm::Twine &text);

  /// SSA value of `t`, made now if need be (constants as arith.constant when splat, else as graph.global).
  mlir::Value value(const Tensor &t);
  mlir::Value index(Dim d) { return dims.materialize(builder, loc, d); }
  mlir::OpFoldResult fold(Dim d) { return dims.materializeFold(builder, loc, d); }
  SmallVector<mlir::OpFoldResult> fold(ArrayRef<Dim> ds);
  SmallVector<mlir::Value> dynamicSizes(ArrayRef<Dim> shape);

  /// The elements of an integer tensor of rank 0 or 1 as integers. When they are not known at compile time they are
  /// read on the host at run time (graph.read_scalar), so this fails only for a length that is itself unknown,
  /// a wrong rank or type. `what` names the operand in the error. `lower`: the least value each may have.
  FailureOr<Dims> integers(const Tensor &t, llvm::StringRef what, std::optional<int64_t> lower = std::nullopt);
  /// The same, but fails with an error unless every element is known at compile time.
  FailureOr<SmallVector<int64_t>> constantIntegers(const Tensor &t, llvm::StringRef what);
  /// The elements of a tensor of floats or integers, known at compile time; else an error.
  FailureOr<SmallVector<double>> constantNumbers(const Tensor &t, llvm::StringRef what);

  // Pieces of operations.
  using Body = llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location, mlir::ValueRange)>;
  Tensor empty(ArrayRef<Dim> shape, mlir::Type elementType, bool isUnsigned = false);
  /// Every element the same number; no IR is made when the shape is static.
  Tensor splat(ArrayRef<Dim> shape, mlir::Type elementType, double value, bool isUnsigned = false);
  Tensor fill(ArrayRef<Dim> shape, mlir::TypedAttr value, bool isUnsigned = false);
  /// linalg.generic over `shape` with an identity map for the result. `maps[i]` reads input i; inputs that are splat
  /// constants become constants inside the body.
  Tensor map(ArrayRef<Dim> shape, mlir::Type resultType, ArrayRef<Tensor> inputs, ArrayRef<mlir::AffineMap> maps,
             Body body, bool isUnsigned = false);
  /// linalg.generic with reductions: iterators parallel unless in `reductionDims`; the result starts as `init` and its
  /// map is `outMap`. The body gets the inputs' elements, then the accumulator.
  Tensor reduce(const Tensor &init, mlir::AffineMap outMap, ArrayRef<unsigned> reductionDims, ArrayRef<Tensor> inputs,
                ArrayRef<mlir::AffineMap> maps, Body body);
  // Those that only move elements keep their sign and strings.
  /// The same elements in another shape (graph.reshape; known elements are kept).
  Tensor reshape(const Tensor &t, ArrayRef<Dim> shape);
  Tensor transpose(const Tensor &t, ArrayRef<int64_t> permutation);
  /// The map by which an operand of `shape` is read in a loop nest over `outShape` by numpy's rule (right-aligned, size
  /// one repeats).
  mlir::AffineMap broadcastMap(ArrayRef<Dim> shape, ArrayRef<Dim> outShape);
  mlir::AffineMap identity(int64_t rank) { return builder.getMultiDimIdentityMap(rank); }
  Tensor pad(const Tensor &t, ArrayRef<Dim> low, ArrayRef<Dim> high, mlir::TypedAttr value);
  /// A part of `t`; steps must be positive.
  Tensor extract(const Tensor &t, ArrayRef<Dim> offsets, ArrayRef<Dim> sizes, ArrayRef<int64_t> strides);
  /// `t` with another type for the same sizes: a dimension known in `shape` becomes static, and the other way round.
  mlir::Value withShape(mlir::Value v, ArrayRef<Dim> shape);
  /// The tensor of which `v` is a reshape that only adds or drops dimensions of size one, if there is one.
  const Tensor *lookThroughUnitDims(mlir::Value v) const {
    auto it = unitReshapes.find(v);
    return it == unitReshapes.end() ? nullptr : &it->second;
  }

private:
  mlir::Value constantValue(mlir::DenseElementsAttr attr);
  mlir::Value contentsValue(const Tensor &t);
  unsigned nextGlobal = 0;
  llvm::DenseMap<mlir::Attribute, mlir::StringAttr> globals;
  llvm::DenseMap<mlir::Value, Tensor> unitReshapes;
  llvm::DenseMap<std::pair<mlir::Value, int64_t>, Dims> readIntegers; // by source and lower bound
};

/// `value` as an attribute of a float or integer type (integers saturate).
mlir::TypedAttr numberAttr(mlir::Type type, double value, bool isUnsigned = false);
/// The only element of a splat or one-element constant as a number, if it is known.
std::optional<double> splatValue(const Tensor &t);

/// numpy's broadcasting of shapes; an error names both.
FailureOr<Dims> broadcastShapes(Builder &b, ArrayRef<Dim> x, ArrayRef<Dim> y);
/// The elements of `shape` as sizes; an error for a negative one.
FailureOr<Dims> readShape(Builder &b, const Tensor &shape);
/// An axis in [-rank, rank) as [0, rank), or an error.
FailureOr<int64_t> normalizeAxis(Builder &b, int64_t axis, int64_t rank);

} // namespace eyrie::ops
