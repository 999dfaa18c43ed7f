// What the operations of ai.onnx.ml share.
#pragma once
#include "compiler/import/onnx/Registry.h"
#include "compiler/ops/Scores.h"

namespace eyrie::import::onnx {

/// Known numbers, as a tensor of a float type.
Tensor floats(ArrayRef<int64_t> shape, ArrayRef<double> values, mlir::Type type);

/// Input 0 as rows [N, F] of floats of `type`: one row where it has one dimension. F must be known.
mlir::FailureOr<Tensor> featureRows(OpNode &n, mlir::Type type);

/// The elements of a list that a model may give by attributes of several types.
struct Elements {
  mlir::DenseElementsAttr values; // null: no such attribute
  bool isString = false;
};
/// Of the attributes `base`_strings, `base`_int64s, `base`_floats and `base`_tensor the one that is there.
Elements elementsOf(OpNode &n, StringRef base);
Elements stringsOf(OpNode &n, ArrayRef<StringRef> texts);
/// Attribute `name`, a tensor of any shape; null when absent.
Elements tensorElements(OpNode &n, StringRef name);
/// Attribute `name`, a tensor of floats, or else the floats of `plain`. Absent: empty.
SmallVector<double> numbersOf(OpNode &n, StringRef plain, StringRef name);

/// The names of classes, of which exactly one of two attributes gives at least one.
Elements classLabels(OpNode &n, StringRef strings, StringRef integers);
/// labels[index] for each index [N] (i64).
mlir::FailureOr<Tensor> labelled(OpNode &n, const Tensor &index, const Elements &labels);

/// The attribute 'post_transform', a name.
ops::ScoreTransform scoreTransform(OpNode &n);
/// The second result of a classifier with two classes and one score [N, 1]: both classes' scores. With LOGISTIC and
/// PROBIT, and for what is a probability without them, they sum to 1; else they are opposite. Other transforms change
/// nothing.
mlir::FailureOr<Tensor> scoresOfTwo(OpNode &n, const Tensor &score, bool isProbability, ops::ScoreTransform transform);

} // namespace eyrie::import::onnx
