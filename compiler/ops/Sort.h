// Sorting.
#pragma once
#include "compiler/ops/Scalar.h"

namespace eyrie::ops {

/// Inside a body: a number (i64) below zero when element i comes before element j, 0 when they are equal (i, j: i64).
using Compare = llvm::function_ref<mlir::Value(const Scalar &, mlir::Value i, mlir::Value j)>;

/// The numbers [count] (i64) of `count` elements in ascending order; equal ones keep their order.
Tensor sortedOrder(Builder &b, Dim count, Compare compare);

} // namespace eyrie::ops
