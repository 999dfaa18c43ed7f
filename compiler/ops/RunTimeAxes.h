// Operations whose axes are known only while the model runs: their axes as an operand, a vector (or scalar) of
// integers. How many axes there are must be known where the rank of the result depends on it.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

/// Whether every element is known at compile time.
bool isKnown(const Tensor &axes);

FailureOr<Tensor> reduce(Builder &b, Reduce kind, const Tensor &x, const Tensor &axes, bool keepDims,
                         bool noopWithEmptyAxes);
/// `op` runs along dimension 1 of three.
FailureOr<Tensor> alongAxis(Builder &b, const Tensor &x, const Tensor &axis,
                            llvm::function_ref<FailureOr<Tensor>(const Tensor &, int64_t axis)> op);
FailureOr<Tensor> squeeze(Builder &b, const Tensor &x, const Tensor &axes);
FailureOr<Tensor> unsqueeze(Builder &b, const Tensor &x, const Tensor &axes);
/// One number for each of `rank` dimensions: of `values` (as many as axes) that of the dimension's axis, else
/// `initial`.
FailureOr<Tensor> valuesByDimension(Builder &b, const Tensor &values, const Tensor &axes, int64_t rank,
                                    int64_t initial);

} // namespace eyrie::ops
