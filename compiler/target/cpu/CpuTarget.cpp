#include "compiler/target/Target.h"
#include "compiler/target/common/KernelPasses.h"
#include "compiler/target/common/Serialize.h"
#include "compiler/target/cpu/LowerKernel.h"
#include "compiler/target/cpu/contraction/Attention.h"
#include "compiler/target/cpu/contraction/Contraction.h"
#include "compiler/target/cpu/contraction/Winograd.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::target;
using namespace eyrie::target::cpu;

namespace {
/// Lowers the kernel's tensor function: a contraction, else loops, else whatever bufferises.
struct LowerKernelPass : PassWrapper<LowerKernelPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LowerKernelPass)
  explicit LowerKernelPass(CpuTargetModel model) : model(std::move(model)) {}
  StringRef getArgument() const override { return "cpu-lower-kernel"; }
  StringRef getDescription() const override { return "Lower a kernel's tensor function to loops and vectors"; }

  void runOnOperation() override {
    auto tensorFunc = *getOperation().getOps<func::FuncOp>().begin();
    std::string reason;
    for (auto lower : waysOf(tensorFunc)) {
      Kernel kernel = Kernel::create(tensorFunc);
      if (succeeded(lower(kernel, model, reason))) {
        kernel.tensorFunc.erase();
        return;
      }
      kernel.abandon();
    }
    if (failed(bufferizeKernel(getOperation(), tensorFunc)))
      signalPassFailure();
  }

private:
  using Lower = LogicalResult (*)(Kernel &, const CpuTargetModel &, std::string &);
  /// Loops would compute the steps of Winograd's method, or of attention, again and again.
  static SmallVector<Lower> waysOf(func::FuncOp tensorFunc) {
    if (isWinograd(tensorFunc))
      return {lowerWinograd};
    if (isAttention(tensorFunc))
      return {lowerAttention};
    return {lowerContraction, lowerToLoops};
  }

  CpuTargetModel model;
};

class CpuTarget final : public Target {
public:
  using ModelOf = std::function<CpuTargetModel(const TargetOptions &)>;
  explicit CpuTarget(ModelOf modelOf) : modelOf(std::move(modelOf)) {}
  StringRef name() const override { return "cpu"; }
  StringRef description() const override { return "Processors, as native code"; }
  void registerDialects(DialectRegistry &registry) const override { registerKernelDialects(registry); }

  std::string checkOptions(const TargetOptions &options) const override {
    std::string error;
    getCpuTargetModel(options.cpu, error);
    return error;
  }

  void buildPipeline(OpPassManager &module, const TargetOptions &options) const override {
    CpuTargetModel model = modelOf(options);
    model.choices = readChoices(options.alternative);
    ArithmeticModel arithmetic;
    arithmetic.fma = model.fma;
    arithmetic.round = model.round;
    arithmetic.f16 = model.f16Conversions;
    arithmetic.maxNum = model.arch != "wasm32";
    arithmetic.scale = model.avx512;
    arithmetic.contract = arithmetic.shorten = true;
    if (model.avx512 && model.avx512vbmi)
      arithmetic.tables = ByteTables::Vbmi;
    else if (model.arch == "aarch64")
      arithmetic.tables = ByteTables::Neon;
    module.addPass(std::make_unique<LowerKernelPass>(model));
    buildKernelToLlvmPipeline(module, arithmetic, model.pointerBytes);
  }

  FailureOr<CompiledKernel> serialize(ModuleOp module, StringRef name, const TargetOptions &options) const override {
    CpuTargetModel model = modelOf(options);
    CodeOptions code;
    code.triple = model.triple;
    code.features = model.features;
    code.optLevel = options.optLevel;
    code.abi = model.abi;
    // x86 would keep to 256 bits on processors that slow down otherwise; elsewhere there is one width.
    code.vectorBits = model.arch == "x86_64" ? model.vectorBits : 0;
    return serializeKernel(module, name, code);
  }

  std::optional<graph::WeightPacking> choosePacking(linalg::GenericOp op,
                                                    ArrayRef<TargetOptions> processors) const override {
    auto mapped = llvm::map_range(processors, modelOf);
    std::vector<CpuTargetModel> models(mapped.begin(), mapped.end());
    return chooseContractionPacking(op, models);
  }

  bool choosesNarrowFactors(linalg::GenericOp op, unsigned weight, unsigned other,
                            const TargetOptions &options) const override {
    return areNarrowFactorsFaster(op, weight, other, modelOf(options));
  }

  bool choosesWinograd(const graph::WinogradCandidate &candidate, const TargetOptions &options) const override {
    return isWinogradFaster(candidate, modelOf(options));
  }

  bool choosesAttention(const graph::Attention &attention, int64_t mostKeys,
                        const TargetOptions &options) const override {
    return takesAttention(attention, mostKeys, modelOf(options));
  }

  std::string fingerprint(const TargetOptions &options) const override {
    CpuTargetModel model = modelOf(options);
    std::string text = model.triple + " " + model.features + " " + model.abi + " " + model.level;
    for (int64_t number :
         {int64_t(model.registerBits), int64_t(model.vectorBits), int64_t(model.vectorRegisters),
          int64_t(model.broadcastRegisters), int64_t(model.spareRegisters), int64_t(model.memoryOperands),
          int64_t(model.fastMasks), int64_t(model.fma), int64_t(model.round), int64_t(model.f16Conversions),
          int64_t(model.dot), int64_t(model.bf16Dot), model.l1Bytes, model.l2Bytes, model.l1Ways, model.l1WayBytes,
          int64_t(options.optLevel)})
      text += " " + std::to_string(number);
    return text + " " + options.alternative;
  }

  ArrayRef<llvm::StringLiteral> alternatives() const override { return namesOfChoices(); }

  std::string format(const TargetOptions &options) const override {
    std::string arch = modelOf(options).arch;
    return arch == "wasm32" ? arch : "elf-" + arch;
  }

  uint64_t requiredFeatures(const TargetOptions &options) const override {
    CpuTargetModel model = modelOf(options);
    uint64_t bits = 0;
#define EYRIE_CPU_FEATURE(forArch, Id, bit, feature)                                                                   \
  if (model.arch == #forArch && model.has(feature))                                                                    \
    bits |= uint64_t(1) << bit;
#include "abi/cpu_features.def"
    return bits;
  }

private:
  ModelOf modelOf;
};

CpuTargetModel modelOfName(const TargetOptions &options) {
  std::string error;
  return getCpuTargetModel(options.cpu, error);
}
} // namespace

std::unique_ptr<Target>
eyrie::target::cpu::createCpuTarget(std::function<CpuTargetModel(const TargetOptions &)> modelOf) {
  return std::make_unique<CpuTarget>(modelOf ? std::move(modelOf) : modelOfName);
}

namespace eyrie::target {
const Target &cpuTarget() {
  static const CpuTarget target(modelOfName);
  return target;
}
} // namespace eyrie::target
