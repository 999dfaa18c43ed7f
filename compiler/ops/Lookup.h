// Maps from elements to elements that a model holds as a table. Conventions as in Ops.h.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

/// The entries of a map, both of one length. Keys have the type of what is looked up; of equal ones the last counts,
/// and NaN is equal to NaN. `otherwise` is the value of what is no key.
struct Map {
  mlir::DenseElementsAttr keys, values;
  mlir::TypedAttr otherwise;
};
/// Each element of x through the map: the shape of x, the type of the values.
FailureOr<Tensor> lookUp(Builder &b, const Tensor &x, const Map &map);

/// Where x [...] equals categories[c]: [..., number of categories], 1 and 0 as f32.
FailureOr<Tensor> oneHotOf(Builder &b, const Tensor &x, mlir::DenseElementsAttr categories);

/// x with the elements that equal `replaced` (NaN equals NaN) replaced by `values`, one or one for each index of the
/// last dimension.
FailureOr<Tensor> replaceEqual(Builder &b, const Tensor &x, mlir::TypedAttr replaced, const Tensor &values);

} // namespace eyrie::ops
