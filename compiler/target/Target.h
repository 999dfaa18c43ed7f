// The interface between the compiler and a kind of device. A target is a folder of compiler/target with a class derived
// from Target, one `eyrie_target(<name>)` line in its CMakeLists.txt, and nothing anywhere else that knows its name.
//
// A target turns the function of one graph.executable into code:
//   compileExecutable copies the function into a module of its own (`builtin.module` with `func.func @<name>` on
//   tensors), runs the target's pipeline on it and has it serialised, for one processor after the other, and stores the
//   results as variants of the executable (graph/Variants.h).
// All of that happens for many executables at once on several threads: a Target has no mutable state.
#pragma once
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringMap.h"

namespace eyrie::target {

/// What the target should choose otherwise, by the name of the executable: one of Target::alternatives(). Under "*":
/// for all that are not named.
using Tuning = llvm::StringMap<std::string>;

/// For one processor.
struct TargetOptions {
  /// Name of the target, as registered.
  std::string target = "cpu";
  /// "native", a name that the target knows ("x86-64-v3", "cortex-a76"), or such a name and features
  /// ("x86-64-v3,+avx512f").
  std::string cpu = "native";
  /// 0 to 3.
  int optLevel = 3;
  /// May convolutions be computed by Winograd's method?
  bool winograd = true;
  /// What kernels should choose otherwise; null: nothing.
  std::shared_ptr<const Tuning> tuning;
  /// What `tuning` says of the executable at hand; empty: nothing.
  std::string alternative;
  /// Where compiled kernels are kept (KernelCache.h); empty: nowhere.
  std::string cacheFolder;
};

/// The code of one executable.
struct CompiledKernel {
  /// A complete object (an ELF shared object for the processor).
  llvm::SmallVector<char, 0> object;
};

/// What the pipeline leaves on the kernel's module for compileExecutable:
/// bytes of workgroup-private memory (i64; absent means none).
inline constexpr llvm::StringLiteral kLocalMemory = "eyrie.local_memory";

class Target {
public:
  virtual ~Target() = default;

  virtual llvm::StringRef name() const = 0;
  virtual llvm::StringRef description() const = 0;

  /// Registers the dialects and interfaces that the pipeline needs, before any context is created or frozen.
  virtual void registerDialects(mlir::DialectRegistry &registry) const = 0;

  /// An error text if `options` cannot be met (an unknown processor); empty if they can.
  virtual std::string checkOptions(const TargetOptions &options) const = 0;

  /// Appends the passes that lower the kernel's module (see above). They leave in it what `serialize` takes, and a
  /// function `@<name>_workgroups(index...) -> (index, index, index)` of the executable's index arguments alone.
  virtual void buildPipeline(mlir::OpPassManager &module, const TargetOptions &options) const = 0;

  /// Translates a lowered kernel's module, from which `@<name>_workgroups` has been taken out. `name` is the symbol to
  /// export. Emits the error itself.
  virtual mlir::FailureOr<CompiledKernel> serialize(mlir::ModuleOp module, llvm::StringRef name,
                                                    const TargetOptions &options) const = 0;

  /// How a constant operand of `op` should be packed, if at all: it is stored once, and the kernels for all processors,
  /// best first, read it.
  virtual std::optional<graph::WeightPacking> choosePacking(mlir::linalg::GenericOp op,
                                                            llvm::ArrayRef<TargetOptions> processors) const {
    return std::nullopt;
  }

  /// Is this sum faster where not only its input `weight` but also `other` is bf16?
  virtual bool choosesNarrowFactors(mlir::linalg::GenericOp op, unsigned weight, unsigned other,
                                    const TargetOptions &options) const {
    return false;
  }

  /// Is Winograd's method faster for this convolution?
  virtual bool choosesWinograd(const graph::WinogradCandidate &candidate, const TargetOptions &options) const {
    return false;
  }

  /// Does one kernel compute attention with rows of at most so many keys, and is that faster?
  virtual bool choosesAttention(const graph::Attention &attention, int64_t mostKeys,
                                const TargetOptions &options) const {
    return false;
  }

  /// What a kernel may choose otherwise than it does by itself, as texts ("rows=8"). What it computes stays the same.
  virtual llvm::ArrayRef<llvm::StringLiteral> alternatives() const { return {}; }

  /// The format of the objects, as in the module file ("elf-x86_64").
  virtual std::string format(const TargetOptions &options) const = 0;
  /// All that code depends on besides the function: two options with one fingerprint give the same code.
  virtual std::string fingerprint(const TargetOptions &options) const = 0;
  /// What the code requires of the processor: bits of abi/cpu_features.def.
  virtual uint64_t requiredFeatures(const TargetOptions &options) const = 0;
};

/// All targets of this build, in alphabetical order.
llvm::ArrayRef<const Target *> targets();
/// Null if there is none of that name.
const Target *findTarget(llvm::StringRef name);
/// Registers the dialects of all targets.
void registerTargetDialects(mlir::DialectRegistry &registry);

/// `common` for each of `cpus` (for none: as it is), in the order in which their code is tried at run time: those that
/// need more features come first, of as many, as they are given. A processor that needs just what one before it needs
/// is left out. `error` says what is wrong with one of them; empty: nothing.
std::vector<TargetOptions> optionsOfProcessors(const Target &target, const TargetOptions &common,
                                               llvm::ArrayRef<std::string> cpus, std::string &error);

/// Compiles one executable for the processors of `options`, best first, inside a pass on it: nested pipelines run
/// through `runPipeline`. Sets the attribute target and the executable's variants, whose functions that count
/// workgroups it adds. Neighbours whose code turns out to be the same are one variant, which needs what both need.
mlir::LogicalResult
compileExecutable(graph::ExecutableOp executable, const Target &target, llvm::ArrayRef<TargetOptions> options,
                  llvm::function_ref<mlir::LogicalResult(mlir::OpPassManager &, mlir::Operation *)> runPipeline);

/// The pass `target-compile-executables`, nested on graph.executable, so that executables compile in parallel. For one
/// or more processors of one target, best first.
std::unique_ptr<mlir::Pass> createCompileExecutablesPass(std::vector<TargetOptions> options = {TargetOptions()});
/// Packing as the target of `options` wants it, for graph::createPackWeightsPass.
graph::ChoosePacking packingOf(std::vector<TargetOptions> options);
/// The same for graph::createConvertWinogradPass: all of them must find it faster.
graph::ChooseWinograd winogradOf(std::vector<TargetOptions> options);

/// The same for graph::createNarrowWeightsPass: numbers are the same on all of them.
graph::ChooseNarrowFactors narrowFactorsOf(std::vector<TargetOptions> options);

/// The same for graph::createFormDispatchesPass.
graph::ChooseAttention attentionOf(std::vector<TargetOptions> options);

void registerTargetPasses();

} // namespace eyrie::target
