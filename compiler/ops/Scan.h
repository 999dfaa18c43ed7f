// Running sums, and the places of the elements that a mask selects. The work grows with the number of elements: an axis
// is cut into blocks, whose totals are scanned in the same way.
#pragma once
#include "compiler/ops/Scalar.h"

namespace eyrie::ops {

struct ScanAttrs {
  Binary kind; // Add or Mul
  double neutral;
  int64_t axis;   // not negative
  bool exclusive; // without the element itself
  bool reverse;   // from the end
};
/// Each element of x combined with those before it along an axis. Narrow floats are summed in f32.
Tensor scan(Builder &b, const Tensor &x, const ScanAttrs &attrs);

/// The places [count] (i64, rising) at which `mask` [n] holds. How many there are is read on the host, unless the mask
/// is known. The result is meant to be read with tensor.extract: it must not be computed again at each use.
FailureOr<Tensor> positionsOf(Builder &b, const Tensor &mask);

/// The last number below `size` (i64) for which `holds`, as it does from 0 up to that one.
mlir::Value lastWhere(const Scalar &s, mlir::Value size,
                      llvm::function_ref<mlir::Value(const Scalar &, mlir::Value middle)> holds);

/// Whether all elements are the same number, and that one is not zero; nothing when this is not known.
std::optional<bool> allNonZero(const Tensor &x);

} // namespace eyrie::ops
