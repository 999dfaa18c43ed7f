#include "compiler/pipeline/Pipeline.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "compiler/import/onnx/Import.h"
#include "compiler/module/Module.h"
#include "compiler/pipeline/DeriveParameters.h"
#include "compiler/pipeline/Estimate.h"
#include "compiler/pipeline/EvaluateConstants.h"
#include "compiler/pipeline/Timing.h"
#include "compiler/pipeline/Tuning.h"
#include "compiler/stream/Stream.h"
#include "compiler/target/KernelCache.h"
#include "compiler/target/Target.h"
#include "compiler/vm/Vm.h"

#include "mlir/IR/AsmState.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ThreadPool.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::pipeline;

static constexpr Stage kStages[] = {
    {"import", "reads the model file into linalg on tensors; weights stay in the mapped file"},
    {"graph", "propagates layouts, packs and evaluates constants, fuses, and outlines dispatches"},
    {"stream", "turns tensors into ranges of planned memory and orders the commands"},
    {"target", "compiles every dispatch to native code, in parallel"},
    {"vm", "lowers the host program to what bytecode can express"},
    {"module", "emits the bytecode and writes the module file"},
};

llvm::ArrayRef<Stage> pipeline::stages() { return kStages; }

namespace {

/// Error text as a person reads it: one line a diagnostic, the model's node named.
std::string render(Diagnostic &diagnostic) {
  std::string text;
  llvm::raw_string_ostream os(text);
  std::function<void(Location)> place = [&](Location loc) {
    if (auto name = dyn_cast<NameLoc>(loc))
      os << "node '" << name.getName().getValue() << "': ";
    else if (auto file = dyn_cast<FileLineColLoc>(loc))
      os << file.getFilename().getValue() << (file.getLine() ? ":" + std::to_string(file.getLine()) : "") << ": ";
    else if (auto fused = dyn_cast<FusedLoc>(loc); fused && !fused.getLocations().empty())
      place(fused.getLocations().front());
  };
  place(diagnostic.getLocation());
  os << diagnostic.str();
  for (Diagnostic &note : diagnostic.getNotes())
    os << "\n  note: " << render(note);
  return text;
}

/// LLVM's pool lets a thread that waits for tasks it has started take any other task meanwhile: one that is compiling a
/// kernel would take over a second thread's share of all kernels, and that thread have nothing left to do. Here what a
/// task starts is run at once, by itself: there are enough kernels to keep all threads busy.
class KernelPool final : public llvm::ThreadPoolInterface {
public:
  explicit KernelPool(unsigned threads) : pool(llvm::hardware_concurrency(threads)) {}
  void wait() override { pool.wait(); }
  void wait(llvm::ThreadPoolTaskGroup &group) override {
    if (!pool.isWorkerThread())
      pool.wait(group);
  }
  unsigned getMaxConcurrency() const override { return pool.getMaxConcurrency(); }

private:
  void asyncEnqueue(llvm::unique_function<void()> task, llvm::ThreadPoolTaskGroup *group) override {
    if (pool.isWorkerThread())
      task();
    else if (group)
      pool.async(*group, std::move(task));
    else
      pool.async(std::move(task));
  }

  llvm::StdThreadPool pool;
};

class Compilation {
public:
  Compilation(const CompileOptions &options, std::string &diagnostics)
      : options(options), diagnostics(diagnostics), context(registry(), MLIRContext::Threading::DISABLED) {
    context.printOpOnDiagnostic(false);
    if (options.jobs != 1) {
      pool = std::make_unique<KernelPool>(options.jobs);
      context.setThreadPool(*pool);
    }
    context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
        if (!this->diagnostics.empty())
          this->diagnostics += "\n";
        this->diagnostics += render(diagnostic);
      }
      if (diagnostic.getSeverity() == DiagnosticSeverity::Warning)
        addWarning("warning: " + render(diagnostic));
      return success();
    });
  }

  /// Of a compilation that has no errors: its warnings take their place.
  LogicalResult finish(LogicalResult result) {
    if (succeeded(result))
      diagnostics = llvm::join(warnings, "\n");
    return result;
  }

  LogicalResult run(ArrayRef<ModelFile> models, StringRef outputPath) {
    const target::Target *target = target::findTarget(options.target);
    if (!target) {
      std::string names;
      for (const target::Target *known : target::targets())
        names += (names.empty() ? "" : ", ") + known->name().str();
      diagnostics = "there is no target '" + options.target + "'; the targets are " + names;
      return failure();
    }
    target::TargetOptions common;
    common.target = options.target;
    common.optLevel = options.optLevel;
    common.winograd = !options.noWinograd;
    common.cacheFolder = cacheFolder();
    if (!options.tuning.empty()) {
      common.tuning = readTuning(options.tuning, *target, diagnostics);
      if (!common.tuning)
        return failure();
    }
    processors = target::optionsOfProcessors(*target, common, options.cpus, diagnostics);
    if (!diagnostics.empty())
      return failure();

    for (auto [index, stage] : llvm::enumerate(kStages)) {
      if (options.progress)
        options.progress(stage.name, index, std::size(kStages));
      Stopwatch watch;
      LogicalResult result = runStage(stage.name, models, outputPath);
      timing.addStage(stage.name, watch.seconds());
      if (failed(result))
        return failure();
      if (module && failed(dump(index, stage.name)))
        return failure();
      if (options.stopAfter == stage.name && stage.name != "module")
        return writeText(outputPath);
    }
    return success();
  }

  LogicalResult estimate(ArrayRef<ModelFile> models, llvm::json::Object largestSizes, std::string &report) {
    if (failed(import(models)))
      return failure();
    auto told = pipeline::estimate(*module);
    if (failed(told))
      return failure();
    (*told)["largest_sizes"] = std::move(largestSizes);
    report = llvm::formatv("{0:2}", llvm::json::Value(std::move(*told))).str();
    return success();
  }

  Timing timing;

private:
  static DialectRegistry registry() {
    DialectRegistry registry;
    registry.insert<graph::GraphDialect, func::FuncDialect, linalg::LinalgDialect, tensor::TensorDialect,
                    arith::ArithDialect, math::MathDialect, scf::SCFDialect, affine::AffineDialect>();
    stream::registerStreamDialect(registry);
    target::registerTargetDialects(registry);
    return registry;
  }

  LogicalResult runStage(StringRef name, ArrayRef<ModelFile> models, StringRef outputPath) {
    if (name == "import")
      return import(models);
    if (name == "graph") {
      if (failed(runPasses(*module, [&](OpPassManager &pm) { buildWholeModel(pm); })))
        return failure();
      splitDerived(*module);
      if (failed(evaluateConstants(*module, [&](ModuleOp program) { return compileForHost(program); })))
        return failure();
      if (failed(runPasses(*module, [&](OpPassManager &pm) { buildDispatches(pm, processors); })))
        return failure();
      checkTuning();
      return success();
    }
    if (name == "stream")
      return runPasses(*module, stream::buildStreamPipeline);
    if (name == "target")
      return runPasses(*module, [&](OpPassManager &pm) { buildTarget(pm, processors); });
    if (name == "vm")
      return runPasses(*module, vm::buildVmPipeline);
    std::string source;
    for (const ModelFile &model : models)
      source += (source.empty() ? "" : ", ") + llvm::sys::path::filename(model.path).str();
    module::WriteOptions write{.target = options.target,
                               .source = source,
                               .archive = llvm::sys::path::filename(options.parameters).str(),
                               .strip = options.strip};
    const target::Target &target = *target::findTarget(options.target);
    for (const target::TargetOptions &each : processors) {
      write.target += ", " + each.cpu;
      write.processors.push_back({each.cpu, target.format(each), target.requiredFeatures(each)});
    }
    if (!options.parameters.empty() && failed(module::writeArchive(*module, options.parameters)))
      return failure();
    return module::writeModule(*module, outputPath, write);
  }

  LogicalResult import(ArrayRef<ModelFile> models) {
    import::onnx::ImportOptions importOptions;
    importOptions.shapes = options.shapes.fixed;
    importOptions.ranges = options.shapes.ranges;
    importOptions.states = options.states;
    importOptions.functions = options.functions;
    importOptions.overrides = options.overrides;
    importOptions.expanders = options.expanders;
    importOptions.hostOps = options.hostOps;
    importOptions.parameters = !options.parameters.empty();
    auto imported = importModels(context, models, importOptions);
    if (failed(imported))
      return failure();
    module = std::move(*imported);
    return success();
  }

  /// Warns if the file is about another model.
  void checkTuning() {
    const auto &tuning = processors.front().tuning;
    if (tuning && !tuning->empty() && !tuning->contains("*") &&
        llvm::none_of(module->getOps<graph::ExecutableOp>(),
                      [&](graph::ExecutableOp executable) { return tuning->contains(executable.getSymName()); }))
      addWarning("warning: --tuning: '" + options.tuning + "' is about none of this model's kernels");
  }

  /// Copies of a function (--shape) warn alike.
  void addWarning(std::string text) {
    if (!llvm::is_contained(warnings, text))
      warnings.push_back(std::move(text));
  }

  /// What is done to the model as a whole, before its constants are evaluated.
  void buildWholeModel(OpPassManager &pm) {
    pm.addNestedPass<func::FuncOp>(graph::createWidenElementsPass());
    pm.addPass(createCanonicalizerPass());
    pm.addPass(createCSEPass());
    pm.addPass(graph::createPlaceStatesPass());
    pm.addNestedPass<func::FuncOp>(graph::createPropagateLayoutPass());
    pm.addPass(createCanonicalizerPass());
    pm.addPass(createCSEPass());
    pm.addNestedPass<func::FuncOp>(graph::createAbsorbTransposesPass());
    pm.addNestedPass<func::FuncOp>(graph::createConvertWinogradPass(target::winogradOf(processors)));
    if (options.precision != "f32")
      pm.addPass(
          graph::createNarrowWeightsPass(/*isHalf=*/options.precision == "f16", target::narrowFactorsOf(processors)));
    pm.addNestedPass<func::FuncOp>(graph::createKeepSmallWeightsPass());
    pm.addNestedPass<func::FuncOp>(graph::createPackWeightsPass(target::packingOf(processors)));
    pm.addPass(graph::createHoistConstantsPass());
    pm.addPass(createCSEPass());
  }

  /// From operations to dispatches of executables.
  static void buildDispatches(OpPassManager &pm, ArrayRef<target::TargetOptions> processors) {
    pm.addNestedPass<func::FuncOp>(graph::createFuseElementwisePass());
    pm.addPass(createCanonicalizerPass());
    pm.addPass(createCSEPass());
    pm.addPass(graph::createFormDispatchesPass(target::attentionOf(processors.vec())));
    pm.addPass(createCanonicalizerPass());
    pm.addPass(createCSEPass());
    pm.addPass(graph::createMergeExecutablesPass());
  }

  static void buildTarget(OpPassManager &pm, ArrayRef<target::TargetOptions> processors) {
    pm.addNestedPass<graph::ExecutableOp>(target::createCompileExecutablesPass(processors.vec()));
  }

  /// Compiles a small program for this machine, to be run at once.
  FailureOr<SmallVector<char, 0>> compileForHost(ModuleOp program) {
    target::TargetOptions host;
    host.optLevel = std::min(options.optLevel, 2);
    host.cacheFolder = cacheFolder();
    SmallVector<char, 0> file;
    llvm::raw_svector_ostream os(file);
    if (failed(runPasses(program,
                         [&](OpPassManager &pm) {
                           buildDispatches(pm, host);
                           stream::buildStreamPipeline(pm);
                           buildTarget(pm, host);
                           vm::buildVmPipeline(pm);
                         })) ||
        failed(module::writeModule(program, os)))
      return failure();
    return file;
  }

  std::string cacheFolder() const {
    if (options.cache == "none")
      return "";
    return options.cache.empty() ? target::KernelCache::defaultFolder() : options.cache;
  }

  LogicalResult runPasses(ModuleOp op, llvm::function_ref<void(OpPassManager &)> build) {
    PassManager pm(&context, ModuleOp::getOperationName());
    pm.enableVerifier();
    if (options.time)
      pm.addInstrumentation(timing.instrumentation());
    build(pm);
    return pm.run(op);
  }

  std::string text() {
    std::string result;
    llvm::raw_string_ostream os(result);
    module->print(os, OpPrintingFlags().elideLargeElementsAttrs(32).elideLargeResourceString(32));
    return result;
  }

  LogicalResult writeText(StringRef path) {
    auto error = llvm::writeToOutput(path, [&](llvm::raw_ostream &os) {
      os << text();
      return llvm::Error::success();
    });
    if (!error)
      return success();
    diagnostics = "cannot write '" + path.str() + "': " + llvm::toString(std::move(error));
    return failure();
  }

  LogicalResult dump(unsigned index, StringRef stage) {
    if (options.dumpDir.empty())
      return success();
    if (std::error_code error = llvm::sys::fs::create_directories(options.dumpDir)) {
      diagnostics = "cannot create the folder '" + options.dumpDir + "': " + error.message();
      return failure();
    }
    SmallString<128> path(options.dumpDir);
    llvm::sys::path::append(path, std::to_string(index + 1) + "-" + stage + ".mlir");
    return writeText(path);
  }

  const CompileOptions &options;
  std::string &diagnostics;
  std::vector<std::string> warnings;
  std::vector<target::TargetOptions> processors; // best first
  std::unique_ptr<KernelPool> pool;
  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

} // namespace

llvm::LogicalResult pipeline::compileFiles(ArrayRef<ModelFile> models, StringRef outputPath,
                                           const CompileOptions &options, std::string &diagnostics,
                                           std::string &report) {
  Compilation compilation(options, diagnostics);
  LogicalResult result = compilation.finish(compilation.run(models, outputPath));
  if (options.time)
    report = compilation.timing.table();
  return result;
}

llvm::LogicalResult pipeline::estimateFiles(ArrayRef<ModelFile> models, const CompileOptions &options,
                                            std::string &diagnostics, std::string &report) {
  CompileOptions largest = options;
  llvm::json::Object sizes;
  llvm::erase_if(largest.shapes.ranges, [&](const import::onnx::SymbolRange &range) {
    bool hasBound = range.most < std::numeric_limits<int64_t>::max();
    if (hasBound) {
      largest.shapes.fixed.push_back({range.name, {range.most}});
      sizes[llvm::json::fixUTF8(range.name)] = range.most;
    }
    return hasBound;
  });
  Compilation compilation(options, diagnostics);
  LogicalResult result = compilation.finish(compilation.estimate(models, {}, report));
  if (failed(result) || sizes.empty())
    return result;
  // A range may reach further than the model does: then there is no estimate for its end.
  std::string atEnds, unused;
  Compilation ends(largest, unused);
  if (succeeded(ends.estimate(models, std::move(sizes), atEnds)))
    report = atEnds;
  return result;
}
