// Parts `@__initialize` into what is computed when the module is compiled and what when it is loaded.
#pragma once
#include "mlir/IR/BuiltinOps.h"

namespace eyrie::pipeline {

/// Moves every value of `@__initialize` that depends on a parameter (graph::kParameter) into a function of its own,
/// which takes the parameters and gives the value; its global is then derived (graph::kDerivedBy).
void splitDerived(mlir::ModuleOp module);

} // namespace eyrie::pipeline
