// From a kernel's module in the LLVM dialect to a shared object.
#pragma once
#include "compiler/target/Target.h"

namespace eyrie::target {

struct CodeOptions {
  std::string triple;
  std::string features; // "+avx2,+fma"
  std::string abi;      // of calls, where the triple leaves a choice ("lp64d")
  int optLevel = 3;
  unsigned vectorBits = 0; // preferred width of vectors; 0 leaves it to LLVM
};

/// Optimises, generates code and links. Emits an error that names the functions it would have to import if there are
/// any but memcpy, memmove and memset. May run on several threads at once.
mlir::FailureOr<CompiledKernel> serializeKernel(mlir::ModuleOp module, llvm::StringRef name,
                                                const CodeOptions &options);

/// The object file (not yet linked) of the same; for tests and tools.
mlir::FailureOr<llvm::SmallVector<char, 0>> emitObject(mlir::ModuleOp module, llvm::StringRef name,
                                                       const CodeOptions &options, bool assembly = false);

/// Links an object file to a freestanding shared object (of ELF; of WebAssembly as its convention for dynamic linking
/// has it) that exports `name`; an empty string, or what went wrong.
std::string linkSharedObject(llvm::ArrayRef<char> object, llvm::StringRef name, bool isWasm,
                             llvm::SmallVectorImpl<char> &result);

} // namespace eyrie::target
