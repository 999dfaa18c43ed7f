// module-write: writes the module as a file, so that eyrie-opt can make module files by hand.
#include "compiler/module/Module.h"

using namespace mlir;

namespace {
struct WriteModulePass : PassWrapper<WriteModulePass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(WriteModulePass)
  WriteModulePass() = default;
  WriteModulePass(const WriteModulePass &other) : PassWrapper(other) {}
  StringRef getArgument() const override { return "module-write"; }
  StringRef getDescription() const override { return "Writes the module to a module file"; }
  void runOnOperation() override {
    if (failed(eyrie::module::writeModule(getOperation(), StringRef(output))))
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
  Option<std::string> output{*this, "output", llvm::cl::desc("The file to write")};
};
} // namespace

void eyrie::module::registerModulePasses() {
  registerPass([]() -> std::unique_ptr<Pass> { return std::make_unique<WriteModulePass>(); });
}
