// What `--shape` says.
#pragma once
#include "compiler/import/onnx/Import.h"

namespace eyrie::pipeline {

struct ShapeOptions {
  /// Sizes of an input by its name, or one size by the name of an open dimension.
  std::vector<std::pair<std::string, std::vector<int64_t>>> fixed;
  /// Of open dimensions by their names.
  std::vector<import::onnx::SymbolRange> ranges;
};

/// Adds one `--shape`: "x=1x3x224x224", "x=scalar", "batch=8", "batch=1..64", "length=64..512:64" (multiples of 64) or
/// "batch=1,8,64" (code of its own for these sizes). False, with what was expected, if `text` is none of them or does
/// not go together with what is there.
bool readShape(llvm::StringRef text, ShapeOptions &shapes, std::string &expected);

} // namespace eyrie::pipeline
