// Models become functions of one module.
#pragma once
#include "compiler/import/onnx/Import.h"

namespace eyrie::pipeline {

struct ModelFile {
  std::string function;
  std::string path;
};

/// More copies of one function than this are refused: each is code of its own.
inline constexpr unsigned kMaxCopies = 16;

/// A name for the function that a file becomes: the file's, without folder and ending, and '_' for what a name cannot
/// have.
std::string functionNameOf(llvm::StringRef path);
bool isFunctionName(llvm::StringRef name);

/// Imports every model as a public function of its name. Equal weights become one global, states of one name must have
/// one type. Where `options.ranges` lists values, there is a copy of the function for each combination of values of all
/// listed dimensions that it has (kInternal), to which it goes at run time when the sizes are these (kCopies).
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>>
importModels(mlir::MLIRContext &context, llvm::ArrayRef<ModelFile> models, const import::onnx::ImportOptions &options);

} // namespace eyrie::pipeline
