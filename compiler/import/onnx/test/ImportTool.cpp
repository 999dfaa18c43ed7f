// eyrie-import-test MODEL [NAME=1x3x224x224 ...]: prints the imported IR without large constants.
#include "compiler/import/onnx/Import.h"
#include "llvm/Support/InitLLVM.h"

int main(int argc, char **argv) {
  if (argc < 2)
    return 2;
  eyrie::import::onnx::ImportOptions options;
  for (int i = 2; i < argc; ++i) {
    auto [name, dims] = llvm::StringRef(argv[i]).rsplit('=');
    std::pair<std::string, std::vector<int64_t>> shape{name.str(), {}};
    llvm::SmallVector<llvm::StringRef> parts;
    dims.split(parts, 'x', -1, false);
    for (llvm::StringRef part : parts) {
      shape.second.emplace_back();
      if (part.getAsInteger(10, shape.second.back()))
        return 2;
    }
    options.shapes.push_back(shape);
  }
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  auto module = eyrie::import::onnx::importOnnx(context, argv[1], options);
  if (mlir::failed(module))
    return 1;
  (*module)->print(llvm::outs(), mlir::OpPrintingFlags().elideLargeElementsAttrs(16).elideLargeResourceString(16));
  return 0;
}
