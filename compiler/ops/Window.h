// Sliding windows, shared by convolution and pooling. Private to the room.
#pragma once
#include "compiler/ops/Scalar.h"

namespace eyrie::ops {

/// The attributes of a window with all defaults filled in, one entry per spatial dimension.
struct Window {
  SmallVector<int64_t> kernel, strides, dilations;
  Dims low, high; // padding
  Dims out;       // sizes of the result

  int64_t extent(unsigned i) const { return (kernel[i] - 1) * dilations[i] + 1; }
  unsigned rank() const { return kernel.size(); }
};

/// `spatial`: input sizes. Errors for lists of wrong length and values out of range.
FailureOr<Window> makeWindow(Builder &b, ArrayRef<Dim> spatial, const WindowAttrs &attrs, bool ceilMode = false);
/// Adds (or drops) the spatial dimension of size one that makes a 1-D problem 2-D.
Tensor addUnitSpatial(Builder &b, const Tensor &x);
Tensor dropUnitSpatial(Builder &b, const Tensor &x);
void addUnitSpatial(WindowAttrs &attrs);
/// Pads the spatial dimensions of a channels-last tensor; negative amounts crop.
Tensor padSpatial(Builder &b, const Tensor &x, ArrayRef<Dim> low, ArrayRef<Dim> high, mlir::TypedAttr value);
/// Loop o of the result and loop k of the window read o * stride + k * dilation.
mlir::AffineExpr windowExpr(Builder &b, const Window &window, unsigned i, unsigned outLoop, unsigned kernelLoop);

} // namespace eyrie::ops
