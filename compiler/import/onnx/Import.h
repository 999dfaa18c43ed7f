// Reads an ONNX model file and writes it as core IR (linalg on tensors; see the room's README).
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace eyrie::import::onnx {

struct ImportOptions {
  /// Sizes of inputs by name (`--shape NAME=1x3x224x224`). They replace what the file leaves open; a name that two
  /// inputs share for a dimension takes the size everywhere.
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes;
  /// Inputs and the outputs that are their values in the next call (`--state IN=OUT`): states of the module, which it
  /// keeps. A `*`, at most one on each side, stands for the same text on both.
  std::vector<std::pair<std::string, std::string>> states;
  /// Whether weights become parameters (graph::kParameter): their values are not looked at, and may be others at run
  /// time. All other constants of the model are listed with their checksums (graph::kFixed).
  bool parameters = false;
};

/// Imports the model at `path`: one module with a public `@main` and a `graph.global` for each weight that is used.
/// Any bytes are safe to give: what is wrong is reported to the context's diagnostic engine (file, node, what was
/// expected and found) and gives failure. All unsupported nodes are reported at once.
/// Weights refer to the mapped file, which stays mapped as long as `context` lives (its resources own the mapping).
/// Loads the dialects that it needs into `context`. Opens no file outside the model's folder.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>> importOnnx(mlir::MLIRContext &context, llvm::StringRef path,
                                                              const ImportOptions &options = {});

} // namespace eyrie::import::onnx
