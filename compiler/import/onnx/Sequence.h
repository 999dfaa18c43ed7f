// Sequences of tensors while a model is imported.
#pragma once
#include "compiler/ops/Tensor.h"

namespace eyrie::import::onnx {

/// What all elements of a sequence have in common. Elements of a sequence that is empty so far can have any shape.
struct ElementShape {
  enum class Kind { Unfilled, Ranked, AnyRank };
  Kind kind = Kind::Unfilled;
  llvm::SmallVector<int64_t> sizes; // of Ranked; ShapedType::kDynamic: differs, or is known only at run time

  static ElementShape of(const ops::Tensor &element);
  /// Widens to what fits the elements of both.
  void join(const ElementShape &other);
  bool operator==(const ElementShape &other) const { return kind == other.kind && sizes == other.sizes; }
};

/// A sequence: either all elements are known one by one, or it is a list that exists at run time.
struct Sequence {
  mlir::Type elementType;
  bool isUnsigned = false, isString = false;
  std::optional<std::vector<ops::Tensor>> elements;
  mlir::Value list;   // !graph.list; null while the elements are known
  ElementShape shape; // of the list's elements

  static Sequence ofKnown(std::vector<ops::Tensor> elements);
  /// A list at run time of the same type.
  Sequence withList(mlir::Value list, ElementShape shape) const;
  bool hasTypeOf(const ops::Tensor &t) const {
    return elementType == t.elementType && isUnsigned == t.isUnsigned && isString == t.isString;
  }
  bool hasTypeOf(const Sequence &s) const {
    return elementType == s.elementType && isUnsigned == s.isUnsigned && isString == s.isString;
  }
  ElementShape elementShape() const;
  mlir::Type listType() const;
  /// "sequence of f32[?, 3]".
  std::string str() const;
  std::string elementText() const; // "f32[?, 3]"
};

// Pieces of operations; they write core IR.

/// Stops the call with a message that names the node unless the sizes are equal.
void requireEqual(ops::Builder &b, ops::Dim x, ops::Dim y, const llvm::Twine &text);

/// The list, made now if the elements are known.
mlir::Value listOf(ops::Builder &b, const Sequence &sequence);
ops::Dim lengthOf(ops::Builder &b, const Sequence &sequence);
/// A position that a model gives, from the end when it is negative, as one from the start that the functions below
/// take. It must be one of an element, or with `orEnd` behind the last: an error, or one when the program runs.
mlir::FailureOr<ops::Dim> positionIn(ops::Builder &b, const Sequence &sequence, ops::Dim given, bool orEnd);
/// Needs the elements' rank: an error without it.
mlir::FailureOr<ops::Tensor> elementAt(ops::Builder &b, const Sequence &sequence, ops::Dim position);
mlir::FailureOr<Sequence> insertAt(ops::Builder &b, const Sequence &sequence, const ops::Tensor &element,
                                   ops::Dim position);
Sequence eraseAt(ops::Builder &b, const Sequence &sequence, ops::Dim position);
/// The elements joined along an existing axis, or along a new one.
mlir::FailureOr<ops::Tensor> concatenate(ops::Builder &b, const Sequence &sequence, int64_t axis, bool isNewAxis);
/// Sequences of `length` elements: `make` gives one for each of them. `carried` is 0 at first and what `make` leaves in
/// it afterwards.
using MakeElements =
    llvm::function_ref<mlir::FailureOr<llvm::SmallVector<ops::Tensor>>(ops::Dim position, ops::Dim &carried)>;
mlir::FailureOr<llvm::SmallVector<Sequence>> makeSequences(ops::Builder &b, ops::Dim length, MakeElements make);
/// Parts of `t` along an axis. No sizes: parts of size one, without the axis unless it is kept.
mlir::FailureOr<Sequence> split(ops::Builder &b, const ops::Tensor &t, const ops::Tensor *sizes, int64_t axis,
                                bool keepAxis);

} // namespace eyrie::import::onnx
