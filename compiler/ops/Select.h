// Operations whose results have as many elements as the data says.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

/// The indices [rank, count] (i64) of the elements that are not zero (NaN is not), in row-major order.
FailureOr<Tensor> nonZero(Builder &b, const Tensor &x);
/// What `condition` [k] selects along an axis, or without one of all elements in row-major order. A condition that is
/// shorter selects nothing of the rest.
FailureOr<Tensor> compress(Builder &b, const Tensor &x, const Tensor &condition, std::optional<int64_t> axis);

} // namespace eyrie::ops
