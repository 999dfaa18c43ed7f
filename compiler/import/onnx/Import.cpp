#include "compiler/import/onnx/Import.h"
#include "compiler/graph/Graph.h"
#include "compiler/import/onnx/Importer.h"
#include "compiler/import/onnx/Text.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::import::onnx {

FailureOr<OwningOpRef<ModuleOp>> importOnnx(MLIRContext &context, StringRef path, const ImportOptions &options) {
  context.loadDialect<graph::GraphDialect, func::FuncDialect, linalg::LinalgDialect, tensor::TensorDialect,
                      arith::ArithDialect, cf::ControlFlowDialect, math::MathDialect, scf::SCFDialect>();
  Errors errors(context, path);
  OwningOpRef<ModuleOp> module;
  auto file = mapFile(path);
  if (!file) {
    errors.add(llvm::toString(file.takeError()));
  } else {
    Model model;
    std::string error;
    if (StringRef bytes = (*file)->getBuffer(); bytes.empty())
      errors.add("the file is empty, expected an ONNX model");
    else if (!parseModel(bytes, model, error))
      errors.add("this is not a whole ONNX model: " + error);
    else
      module = Importer(context, model, *file, path, options, errors).run();
  }
  errors.report();
  if (!module)
    return failure();
  return std::move(module);
}

} // namespace eyrie::import::onnx
