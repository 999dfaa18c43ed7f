// What counts as a constant in the host program.
#pragma once
#include "mlir/IR/Value.h"

namespace eyrie::graph {

/// True if `value` is computed from globals and literals alone (by operations without side effects or regions that
/// capture something else), so that it can be computed once, at compile time.
bool isConstantExpression(mlir::Value value);

} // namespace eyrie::graph
