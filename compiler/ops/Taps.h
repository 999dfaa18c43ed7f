// Interpolation between elements at places that are computed inside a body. Private to the room.
#pragma once
#include "compiler/ops/Scalar.h"

namespace eyrie::ops {

/// The elements along one dimension that a place is made of.
struct SampleTap {
  mlir::Value index;    // clamped into the tensor
  mlir::Value isInside; // i1; null: always
  mlir::Value weight;   // null: 1
};
using SampleTaps = SmallVector<SampleTap, 4>;

/// The sum over the taps of all dimensions of weight * element; `indices` starts with those of the other dimensions.
/// Elements outside are zero. The result has `wide` type, or the element's where no tap has a weight.
mlir::Value sampleTaps(const Scalar &s, mlir::Value source, bool isUnsigned, SmallVector<mlir::Value> indices,
                       ArrayRef<SampleTaps> dims, mlir::Type wide);
/// The two neighbours of place `x` (a float) in a dimension of `size`, with zeros outside.
SampleTaps linearTaps(const Scalar &s, mlir::Value x, mlir::Value size);
/// A float as an index, clamped into [0, size); NaN gives 0. And whether it was inside.
SampleTap tapAt(const Scalar &s, mlir::Value x, mlir::Value size);

} // namespace eyrie::ops
