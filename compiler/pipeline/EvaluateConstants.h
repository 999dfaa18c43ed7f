// Runs the module's `@__initialize` at compile time.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"

namespace eyrie::pipeline {

/// Compiles `@__initialize` as a program of its own with `compile` (which gets a module whose `@main` takes the globals
/// that are read and returns those that are stored, and gives the bytes of a module file for this machine), runs it
/// with the runtime on the mapped weights, stores the results as the values of their globals, and removes the function
/// and the globals that nothing reads any more.
llvm::LogicalResult
evaluateConstants(mlir::ModuleOp module,
                  llvm::function_ref<mlir::FailureOr<llvm::SmallVector<char, 0>>(mlir::ModuleOp)> compile);

} // namespace eyrie::pipeline
