// The passes that targets share, in the order in which they run. All work on the kernel's module.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace eyrie::target {

/// Marks a function in the form of compiler/target/cpu/Kernel.h.
inline constexpr llvm::StringLiteral kKernel = "eyrie.kernel";

/// What takes bytes of registers at the indices that another register holds.
enum class ByteTables {
  None,
  Vbmi, // vpermi2b: of 128 bytes
  Neon, // tbl, tbx: of 64 bytes
};

/// What the code generator may assume of the processor's arithmetic.
struct ArithmeticModel {
  bool fma = false;      // fused multiply-add is one instruction
  bool round = false;    // so are floor, ceil, trunc and roundeven
  bool f16 = false;      // so are conversions between f16 and f32
  bool maxNum = false;   // LLVM has code for the maximum and the minimum that ignore NaN, other than a call
  bool scale = false;    // vectors are multiplied by powers of two by AVX-512's instruction
  bool contract = false; // products and sums may be fused
  bool shorten = false;  // quantised values may be computed in another way that gives the same
  ByteTables tables = ByteTables::None; // functions of one byte are read from tables
};

/// The dialects and interfaces that the shared passes need.
void registerKernelDialects(mlir::DialectRegistry &registry);

/// Lowers the tensor function of a kernel by one-shot bufferisation and plain loops, in one workgroup: any operations
/// that bufferise. Leaves the kernel's function and `@<name>_workgroups`; erases the tensor function.
/// An intermediate tensor of a size known only at run time is an error, unless `dynamicStack` puts it on the stack,
/// however large.
mlir::LogicalResult bufferizeKernel(mlir::ModuleOp module, mlir::func::FuncOp tensorFunc, bool dynamicStack = false);

/// Costly functions of one byte, in vectors, become tables of their values.
std::unique_ptr<mlir::Pass> createTabulateBytesPass(ByteTables tables);

/// Quantisation of values that were just computed, and the way back, in fewer operations with the same results.
std::unique_ptr<mlir::Pass> createShortenQuantizationPass(ArithmeticModel model);

/// Arithmetic and mathematics that the processor lacks, as arithmetic that it has; nothing is left to a library.
std::unique_ptr<mlir::Pass> createExpandMathPass(ArithmeticModel model);

/// Booleans in memory become bytes.
std::unique_ptr<mlir::Pass> createBoolsToBytesPass();

/// Everything else to the LLVM dialect, with the entry point of abi/kernel.h on a machine with such pointers.
std::unique_ptr<mlir::Pass> createConvertKernelToLlvmPass(unsigned pointerBytes = 8);

/// Creates the kernel's functions for a tensor function (see compiler/target/cpu/Kernel.h).
struct KernelFunctions {
  mlir::func::FuncOp kernel, workgroups;
};
KernelFunctions createKernelFunctions(mlir::func::FuncOp tensorFunc);

/// The passes above, from kernel functions to the LLVM dialect.
void buildKernelToLlvmPipeline(mlir::OpPassManager &module, const ArithmeticModel &model, unsigned pointerBytes = 8);

} // namespace eyrie::target
