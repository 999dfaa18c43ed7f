// Operations whose results have as many elements as the data says.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

/// The indices [rank, count] (i64) of the elements that are not zero (NaN is not), in row-major order.
FailureOr<Tensor> nonZero(Builder &b, const Tensor &x);
/// What `condition` [k] selects along an axis, or without one of all elements in row-major order. A condition that is
/// shorter selects nothing of the rest.
FailureOr<Tensor> compress(Builder &b, const Tensor &x, const Tensor &condition, std::optional<int64_t> axis);

/// The different elements of x, or its different slices along an axis: themselves, where each stands first in x, which
/// of them each of x is, and how many of x each is (i64). In ascending order (NaN last), or in that of their first
/// appearance.
FailureOr<SmallVector<Tensor>> unique(Builder &b, const Tensor &x, std::optional<int64_t> axis, bool isSorted);

} // namespace eyrie::ops
