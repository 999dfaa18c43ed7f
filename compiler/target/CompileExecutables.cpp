// Gives every executable its code.
//
//   graph.executable @fc {                        graph.executable @fc attributes { target = "cpu",
//     func.func @fc(tensors, indices)       ──►       variants = [{format = "elf-x86_64", features = 7 : i64, …,
//   }                                                   object = dense_resource<…>, workgroups = @fc_workgroups}, …] }
//   {
//                                                   func.func @fc(tensors, indices)
//                                                   func.func @fc_workgroups(indices) -> (index, index, index)
//                                                   …
//                                                 }
//
// Executables compile in parallel: the pass is nested on graph.executable. An
// executable that already has code is left alone, so that the pass may run twice.
#include "compiler/graph/Variants.h"
#include "compiler/target/KernelCache.h"
#include "compiler/target/Target.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::target;

namespace {
using RunPipeline = llvm::function_ref<LogicalResult(OpPassManager &, Operation *)>;

/// One executable and its variants as they come into being.
class Compiler {
public:
  Compiler(graph::ExecutableOp executable, func::FuncOp func, const Target &target, RunPipeline runPipeline)
      : executable(executable), func(func), target(target), runPipeline(runPipeline),
        name(executable.getSymName().str()) {}

  LogicalResult addVariant(const TargetOptions &options);
  void finish();

private:
  struct Code {
    graph::Variant variant; // without the object
    SmallVector<char, 0> object;
    bool isSameAs(const Code &other) const {
      return variant.format == other.variant.format && variant.localMemory == other.variant.localMemory &&
             variant.workgroups == other.variant.workgroups && ArrayRef(object) == ArrayRef(other.object);
    }
  };
  FailureOr<FlatSymbolRefAttr> takeWorkgroups(ModuleOp module);
  std::string keyOf(const TargetOptions &options) const;
  FailureOr<KernelCache::Kernel> compile(ModuleOp module, const TargetOptions &options);

  graph::ExecutableOp executable;
  func::FuncOp func;
  const Target &target;
  RunPipeline runPipeline;
  std::string name;
  std::vector<Code> codes;
  SmallVector<func::FuncOp> countings; // functions that count workgroups, all different
};
} // namespace

/// Lowers the function's copy in `module` and serialises it; the function that counts workgroups stays there.
FailureOr<KernelCache::Kernel> Compiler::compile(ModuleOp module, const TargetOptions &options) {
  OpPassManager pipeline(ModuleOp::getOperationName());
  target.buildPipeline(pipeline, options);
  if (failed(runPipeline(pipeline, module)))
    return failure();
  KernelCache::Kernel kernel;
  auto workgroups = module.lookupSymbol<func::FuncOp>(name + "_workgroups");
  if (!workgroups)
    return executable.emitError() << "target '" << target.name() << "' left no function @" << name << "_workgroups",
           failure();
  {
    llvm::raw_string_ostream os(kernel.workgroups);
    workgroups->print(os, OpPrintingFlags().useLocalScope()); // the rest belongs to other threads
  }
  workgroups->remove();
  FailureOr<CompiledKernel> code = target.serialize(module, name, options);
  module.push_back(workgroups);
  if (failed(code))
    return failure();
  kernel.object = std::move(code->object);
  if (auto localMemory = module->getAttrOfType<IntegerAttr>(kLocalMemory))
    kernel.localMemory = localMemory.getInt();
  return kernel;
}

/// Empty if the kernel cannot be told by its text.
std::string Compiler::keyOf(const TargetOptions &options) const {
  std::string text;
  llvm::raw_string_ostream os(text);
  func::FuncOp(func)->print(os, OpPrintingFlags().useLocalScope().printGenericOpForm());
  if (StringRef(text).contains("dense_resource"))
    return "";
  return KernelCache::keyOf({target.name(), target.fingerprint(options), name, text});
}

LogicalResult Compiler::addVariant(const TargetOptions &options) {
  // A module of its own, inside the executable so that the pipeline runs nested and its IR can be printed.
  OpBuilder b = OpBuilder::atBlockEnd(&executable.getBody().front());
  auto module = ModuleOp::create(b, executable.getLoc());
  b.setInsertionPointToEnd(module.getBody());

  KernelCache cache(options.cacheFolder);
  std::string key = cache.isUsed() ? keyOf(options) : "";
  std::optional<KernelCache::Kernel> kernel;
  if (!key.empty())
    kernel = cache.find(key);
  if (kernel && failed(parseSourceString(kernel->workgroups, module.getBody(), ParserConfig(b.getContext()))))
    kernel = std::nullopt;
  if (!kernel) {
    b.clone(*func);
    FailureOr<KernelCache::Kernel> compiled = compile(module, options);
    if (failed(compiled))
      return failure();
    kernel = std::move(*compiled);
    if (!key.empty())
      cache.store(key, *kernel);
  }
  module->walk([&](Operation *op) { op->setLoc(executable.getLoc()); });
  FailureOr<FlatSymbolRefAttr> workgroups = takeWorkgroups(module);
  if (failed(workgroups))
    return failure();
  module.erase();

  Code code{{b.getStringAttr(target.format(options)), target.requiredFeatures(options), kernel->localMemory,
             /*object=*/{}, *workgroups},
            std::move(kernel->object)};
  if (!codes.empty() && codes.back().isSameAs(code))
    codes.back().variant.features &= code.variant.features;
  else
    codes.push_back(std::move(code));
  return success();
}

/// Moves the function into the executable, unless an equal one is there.
FailureOr<FlatSymbolRefAttr> Compiler::takeWorkgroups(ModuleOp module) {
  auto workgroups = module.lookupSymbol<func::FuncOp>(name + "_workgroups");
  if (!workgroups)
    return executable.emitError() << "the kept kernel of @" << name << " has no function that counts workgroups",
           failure();
  for (func::FuncOp known : countings)
    if (OperationEquivalence::isRegionEquivalentTo(&known.getBody(), &workgroups.getBody(),
                                                   OperationEquivalence::IgnoreLocations)) {
      workgroups.erase();
      return FlatSymbolRefAttr::get(known);
    }
  workgroups->moveBefore(module);
  workgroups.setPrivate();
  if (!countings.empty())
    workgroups.setName(name + "_workgroups_" + std::to_string(countings.size()));
  countings.push_back(workgroups);
  return FlatSymbolRefAttr::get(workgroups);
}
/// The blobs own their bytes.
void Compiler::finish() {
  Builder b(executable.getContext());
  SmallVector<graph::Variant> variants;
  for (Code &code : codes) {
    auto type = RankedTensorType::get({(int64_t)code.object.size()}, b.getI8Type());
    AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(ArrayRef<char>(code.object), /*align=*/64,
                                                                         /*dataIsMutable=*/false);
    code.variant.object = DenseResourceElementsAttr::get(type, name + "_object", std::move(blob));
    variants.push_back(code.variant);
  }
  executable->setAttr("target", b.getStringAttr(target.name()));
  graph::setVariants(executable, variants);
}

LogicalResult eyrie::target::compileExecutable(graph::ExecutableOp executable, const Target &target,
                                               ArrayRef<TargetOptions> options, RunPipeline runPipeline) {
  auto func = executable.lookupSymbol<func::FuncOp>(executable.getSymName());
  if (!func)
    return executable.emitError() << "expected a function @" << executable.getSymName() << " in the executable";
  Compiler compiler(executable, func, target, runPipeline);
  for (TargetOptions each : options) {
    if (each.tuning) {
      auto found = each.tuning->find(executable.getSymName());
      each.alternative = found == each.tuning->end() ? each.tuning->lookup("*") : found->second;
    }
    if (failed(compiler.addVariant(each)))
      return failure();
  }
  compiler.finish();
  return success();
}

namespace {
struct CompileExecutablesPass : PassWrapper<CompileExecutablesPass, OperationPass<graph::ExecutableOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CompileExecutablesPass)
  explicit CompileExecutablesPass(std::vector<TargetOptions> given = {TargetOptions()}) : options(std::move(given)) {
    targetName = options.front().target;
    std::string list;
    for (const TargetOptions &each : options)
      list += (list.empty() ? "" : ";") + each.cpu;
    cpus = list;
    optLevel = options.front().optLevel;
  }
  CompileExecutablesPass(const CompileExecutablesPass &other) : PassWrapper(other), options(other.options) {}
  StringRef getArgument() const override { return "target-compile-executables"; }
  StringRef getDescription() const override { return "Compile every executable for the target"; }
  void getDependentDialects(DialectRegistry &registry) const override { registerTargetDialects(registry); }

  /// What the textual options say.
  LogicalResult readOptions(const Target &target) {
    TargetOptions common;
    common.target = targetName;
    common.optLevel = optLevel;
    common.cacheFolder = options.front().cacheFolder;
    common.tuning = options.front().tuning;
    std::vector<std::string> list;
    for (StringRef cpu : llvm::split(StringRef(cpus), ';'))
      list.push_back(cpu.str());
    std::string error;
    options = optionsOfProcessors(target, common, list, error);
    return error.empty() ? success() : getOperation().emitError() << error;
  }

  void runOnOperation() override {
    const Target *target = findTarget(targetName);
    if (!target) {
      InFlightDiagnostic error = getOperation().emitError() << "no target is named '" << targetName << "'; there are";
      for (const Target *known : targets())
        error << " '" << known->name() << "'";
      return signalPassFailure();
    }
    if (failed(readOptions(*target)))
      return signalPassFailure();
    if (!graph::getVariants(getOperation()).empty())
      return;
    if (failed(compileExecutable(getOperation(), *target, options,
                                 [&](OpPassManager &pipeline, Operation *op) { return runPipeline(pipeline, op); })))
      signalPassFailure();
  }

  std::vector<TargetOptions> options;
  Option<std::string> targetName{*this, "target", llvm::cl::desc("Name of the target"), llvm::cl::init("cpu")};
  Option<std::string> cpus{*this, "cpu", llvm::cl::desc("Processors to compile for, with ; between them"),
                           llvm::cl::init("native")};
  Option<int> optLevel{*this, "opt-level", llvm::cl::desc("0 to 3"), llvm::cl::init(3)};
};
} // namespace

std::unique_ptr<Pass> eyrie::target::createCompileExecutablesPass(std::vector<TargetOptions> options) {
  return std::make_unique<CompileExecutablesPass>(std::move(options));
}

void eyrie::target::registerTargetPasses() {
  PassRegistration<CompileExecutablesPass>([] { return std::make_unique<CompileExecutablesPass>(); });
}
