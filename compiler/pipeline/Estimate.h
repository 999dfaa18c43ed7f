// What an imported model will cost, told without compiling it.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/JSON.h"

namespace eyrie::pipeline {

/// As JSON: `parameters` (tensors, elements, bytes) and `functions`, each with `name`, `inputs` and `outputs` (name,
/// type, and `labels`: what its columns are, if the model says it), `operations` (arithmetic ones on elements; a
/// multiplication and an addition are two), `input_bytes`, `output_bytes`, `transient_bytes` (the most that lives at a
/// time if nothing is fused), `has_open_sizes` (they count as 1) and `has_loops` (their bodies count once). Fails if a
/// value is of a type that modules cannot hold.
mlir::FailureOr<llvm::json::Object> estimate(mlir::ModuleOp module);

} // namespace eyrie::pipeline
