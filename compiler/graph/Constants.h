// What counts as a constant in the host program.
#pragma once
#include "compiler/graph/Graph.h"
#include "llvm/ADT/SetVector.h"

namespace eyrie::graph {

/// True if `value` is computed from globals and literals alone (by operations without side effects or regions that
/// capture something else), so that it can be computed once, at compile time.
bool isConstantExpression(mlir::Value value);

/// The operations that `value` is computed by, its own included.
llvm::SetVector<mlir::Operation *> getExpression(mlir::Value value);

/// The elements of a global as the compiler holds them, one alone if all are equal; empty if it does not.
llvm::ArrayRef<char> getHeldBytes(GlobalOp global);

} // namespace eyrie::graph
