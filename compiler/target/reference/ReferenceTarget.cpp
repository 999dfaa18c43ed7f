// The target that keeps the others honest: plain loops, one workgroup, no vectors of its own, any executable. Slow.
#include "compiler/target/Target.h"
#include "compiler/target/common/KernelPasses.h"
#include "compiler/target/common/Serialize.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::target;

namespace {
struct LowerPass : PassWrapper<LowerPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerPass)
  StringRef getArgument() const override { return "reference-lower"; }
  StringRef getDescription() const override { return "Lower a kernel's tensor function to plain loops"; }
  void runOnOperation() override {
    auto func = *getOperation().getOps<func::FuncOp>().begin();
    if (failed(bufferizeKernel(getOperation(), func, /*dynamicStack=*/true)))
      signalPassFailure();
  }
};

class ReferenceTarget final : public Target {
public:
  StringRef name() const override { return "reference"; }
  StringRef description() const override { return "Plain scalar loops, for comparison"; }
  void registerDialects(DialectRegistry &registry) const override { registerKernelDialects(registry); }
  std::string checkOptions(const TargetOptions &) const override { return {}; }

  void buildPipeline(OpPassManager &module, const TargetOptions &) const override {
    module.addPass(std::make_unique<LowerPass>());
    buildKernelToLlvmPipeline(module, ArithmeticModel());
  }

  FailureOr<CompiledKernel> serialize(ModuleOp module, StringRef name, const TargetOptions &) const override {
    CodeOptions code;
    code.triple = triple().str();
    code.optLevel = 1;
    return serializeKernel(module, name, code);
  }

  std::string fingerprint(const TargetOptions &options) const override { return std::to_string(options.optLevel); }
  std::string format(const TargetOptions &) const override { return "elf-" + triple().getArchName().str(); }
  uint64_t requiredFeatures(const TargetOptions &) const override { return 0; }

private:
  /// The host's processor, without any feature that not all of its kind have.
  static llvm::Triple triple() {
    llvm::Triple host(llvm::sys::getProcessTriple());
    return llvm::Triple(host.getArchName(), "unknown", "linux", "gnu");
  }
};
} // namespace

namespace eyrie::target {
const Target &referenceTarget() {
  static const ReferenceTarget target;
  return target;
}
} // namespace eyrie::target
