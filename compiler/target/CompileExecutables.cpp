// Gives every executable its code.
//
//   graph.executable @fc {                        graph.executable @fc attributes {
//     func.func @fc(tensors, indices)       ──►       target = "cpu", format = "elf-x86_64", features = 7 : i64,
//   }                                                 local_memory = 0 : i64, object = dense_resource<…> } {
//                                                   func.func @fc(tensors, indices)
//                                                   func.func @fc_workgroups(indices) -> (index, index, index)
//                                                 }
//
// Executables compile in parallel: the pass is nested on graph.executable. An
// executable that already has an object is left alone, so that the pass may run twice.
#include "compiler/target/Target.h"
#include "mlir/IR/AsmState.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::target;

LogicalResult
eyrie::target::compileExecutable(graph::ExecutableOp executable, const Target &target, const TargetOptions &options,
                                 llvm::function_ref<LogicalResult(OpPassManager &, Operation *)> runPipeline) {
  std::string name = executable.getSymName().str();
  Block *body = &executable.getBody().front();
  auto func = executable.lookupSymbol<func::FuncOp>(name);
  if (!func)
    return executable.emitError() << "expected a function @" << name << " in the executable";

  // 1. A module of its own, inside the executable so that the pipeline runs nested and its IR can be printed.
  OpBuilder b = OpBuilder::atBlockEnd(body);
  auto module = ModuleOp::create(b, executable.getLoc());
  b.setInsertionPointToEnd(module.getBody());
  b.clone(*func);

  // 2. Lower.
  OpPassManager pipeline(ModuleOp::getOperationName());
  target.buildPipeline(pipeline, options);
  if (failed(runPipeline(pipeline, module)))
    return failure();
  auto workgroups = module.lookupSymbol<func::FuncOp>(name + "_workgroups");
  if (!workgroups)
    return executable.emitError() << "target '" << target.name() << "' left no function @" << name << "_workgroups";
  workgroups->moveBefore(module);
  workgroups.setPrivate();

  // 3. Serialise.
  FailureOr<CompiledKernel> kernel = target.serialize(module, name, options);
  if (failed(kernel))
    return failure();
  auto localMemory = module->getAttrOfType<IntegerAttr>(kLocalMemory);
  module.erase();

  // 4. Store. The blob owns its bytes.
  auto type = RankedTensorType::get({(int64_t)kernel->object.size()}, b.getI8Type());
  AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(
      ArrayRef<char>(kernel->object.data(), kernel->object.size()), /*align=*/64, /*dataIsMutable=*/false);
  executable->setAttr("target", b.getStringAttr(target.name()));
  executable->setAttr("format", b.getStringAttr(target.format(options)));
  executable->setAttr("features", b.getI64IntegerAttr(target.requiredFeatures(options)));
  executable->setAttr("local_memory", localMemory ? localMemory : b.getI64IntegerAttr(0));
  executable->setAttr("object", DenseResourceElementsAttr::get(type, name + "_object", std::move(blob)));
  return success();
}

namespace {
struct CompileExecutablesPass : PassWrapper<CompileExecutablesPass, OperationPass<graph::ExecutableOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CompileExecutablesPass)
  explicit CompileExecutablesPass(TargetOptions initial = {}) : options(std::move(initial)) {
    targetName = options.target;
    cpu = options.cpu;
    optLevel = options.optLevel;
  }
  CompileExecutablesPass(const CompileExecutablesPass &other) : PassWrapper(other), options(other.options) {}
  StringRef getArgument() const override { return "target-compile-executables"; }
  StringRef getDescription() const override { return "Compile every executable for the target"; }
  void getDependentDialects(DialectRegistry &registry) const override { registerTargetDialects(registry); }

  void runOnOperation() override {
    options.target = targetName;
    options.cpu = cpu;
    options.optLevel = optLevel;
    const Target *target = findTarget(options.target);
    if (!target) {
      InFlightDiagnostic error = getOperation().emitError()
                                 << "no target is named '" << options.target << "'; there are";
      for (const Target *known : targets())
        error << " '" << known->name() << "'";
      return signalPassFailure();
    }
    if (std::string error = target->checkOptions(options); !error.empty()) {
      getOperation().emitError() << error;
      return signalPassFailure();
    }
    if (getOperation()->hasAttr("object"))
      return;
    if (failed(compileExecutable(getOperation(), *target, options,
                                 [&](OpPassManager &pipeline, Operation *op) { return runPipeline(pipeline, op); })))
      signalPassFailure();
  }

  TargetOptions options;
  Option<std::string> targetName{*this, "target", llvm::cl::desc("Name of the target"), llvm::cl::init("cpu")};
  Option<std::string> cpu{*this, "cpu", llvm::cl::desc("Processor to compile for"), llvm::cl::init("native")};
  Option<int> optLevel{*this, "opt-level", llvm::cl::desc("0 to 3"), llvm::cl::init(3)};
};
} // namespace

std::unique_ptr<Pass> eyrie::target::createCompileExecutablesPass(TargetOptions options) {
  return std::make_unique<CompileExecutablesPass>(std::move(options));
}

void eyrie::target::registerTargetPasses() {
  PassRegistration<CompileExecutablesPass>([] { return std::make_unique<CompileExecutablesPass>(); });
}
