#include "compiler/target/common/Serialize.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include <mutex>

using namespace mlir;
using namespace eyrie::target;

static std::unique_ptr<llvm::TargetMachine> createTargetMachine(const CodeOptions &options, std::string &error) {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
  });
  llvm::Triple triple(options.triple);
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  auto level = options.optLevel >= 2   ? llvm::CodeGenOptLevel::Aggressive
               : options.optLevel == 1 ? llvm::CodeGenOptLevel::Less
                                       : llvm::CodeGenOptLevel::None;
  llvm::TargetOptions targetOptions;
  targetOptions.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  targetOptions.MCOptions.ABIName = options.abi;
  std::unique_ptr<llvm::TargetMachine> machine(
      target->createTargetMachine(triple, "", options.features, targetOptions, llvm::Reloc::PIC_, std::nullopt, level));
  return machine;
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine, const CodeOptions &options) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopUnrolling = options.optLevel >= 2;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine, tuning);
  // No function of the C library is known: a loop must not become a call to one (memcpy and memset are supplied).
  functions.registerPass([&] {
    llvm::TargetLibraryInfoImpl library(machine.getTargetTriple());
    library.disableAllFunctions();
    library.setAvailable(llvm::LibFunc_memcpy);
    library.setAvailable(llvm::LibFunc_memmove);
    library.setAvailable(llvm::LibFunc_memset);
    return llvm::TargetLibraryAnalysis(library);
  });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  auto level = options.optLevel >= 3   ? llvm::OptimizationLevel::O3
               : options.optLevel == 2 ? llvm::OptimizationLevel::O2
                                       : llvm::OptimizationLevel::O1;
  if (options.optLevel > 0)
    builder.buildPerModuleDefaultPipeline(level).run(module, modules);
}

FailureOr<SmallVector<char, 0>> eyrie::target::emitObject(ModuleOp module, StringRef name, const CodeOptions &options,
                                                          bool assembly) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> llvmModule = translateModuleToLLVMIR(module, context, name);
  if (!llvmModule)
    return module.emitError() << "kernel @" << name << " could not be translated to LLVM IR", failure();
  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine = createTargetMachine(options, error);
  if (!machine)
    return module.emitError() << "no code generator for '" << options.triple << "': " << error, failure();
  llvmModule->setTargetTriple(machine->getTargetTriple());
  llvmModule->setDataLayout(machine->createDataLayout());
  for (llvm::Function &function : *llvmModule) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr(llvm::Attribute::NoUnwind);
    if (!options.features.empty())
      function.addFnAttr("target-features", options.features);
    if (options.vectorBits) {
      function.addFnAttr("prefer-vector-width", std::to_string(options.vectorBits));
      function.addFnAttr("min-legal-vector-width", std::to_string(options.vectorBits));
    }
  }
  optimize(*llvmModule, *machine, options);
  SmallVector<char, 0> object;
  llvm::raw_svector_ostream stream(object);
  llvm::legacy::PassManager codegen;
  if (machine->addPassesToEmitFile(codegen, stream, nullptr,
                                   assembly ? llvm::CodeGenFileType::AssemblyFile : llvm::CodeGenFileType::ObjectFile))
    return module.emitError() << "no object files for '" << options.triple << "'", failure();
  codegen.run(*llvmModule);
  return object;
}

/// What a loader supplies: functions, and places in memory that code of WebAssembly is linked against.
static bool isSupplied(StringRef symbol) {
  return llvm::is_contained({"memcpy", "memmove", "memset", "__stack_pointer", "__memory_base", "__table_base",
                             "__indirect_function_table", "__linear_memory"},
                            symbol);
}

/// Names of the symbols that the object does not define, other than those that the loader supplies.
static std::string findImports(ArrayRef<char> object) {
  auto file = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(StringRef(object.data(), object.size()), "kernel"));
  if (!file) {
    llvm::consumeError(file.takeError());
    return "(unreadable object)";
  }
  std::string names;
  for (const llvm::object::SymbolRef &symbol : (*file)->symbols()) {
    auto flags = symbol.getFlags();
    auto name = symbol.getName();
    if (!flags || !name) {
      llvm::consumeError(flags.takeError());
      llvm::consumeError(name.takeError());
      continue;
    }
    if ((*flags & llvm::object::SymbolRef::SF_Undefined) && !name->empty() && !isSupplied(*name))
      names += (names.empty() ? "" : ", ") + name->str();
  }
  return names;
}

FailureOr<CompiledKernel> eyrie::target::serializeKernel(ModuleOp module, StringRef name, const CodeOptions &options) {
  FailureOr<SmallVector<char, 0>> object = emitObject(module, name, options);
  if (failed(object))
    return failure();
  if (std::string imports = findImports(*object); !imports.empty())
    return module.emitError() << "kernel @" << name << " would need functions that a kernel may not import: " << imports
                              << "; compile for a newer processor, or report this as a bug of Eyrie",
           failure();
  CompiledKernel kernel;
  bool isWasm = llvm::Triple(options.triple).isWasm();
  if (std::string error = linkSharedObject(*object, name, isWasm, kernel.object); !error.empty())
    return module.emitError() << error, failure();
  return kernel;
}
