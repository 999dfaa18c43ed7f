// Writes a compiled module as a module file (.eyr, abi/module_format.h).
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"
#include <string>

namespace eyrie::module {

/// A processor that the module was compiled for.
struct Processor {
  std::string name, format; // format of its objects: "elf-x86_64"
  uint64_t features;        // bits of abi/cpu_features.def
};

struct WriteOptions {
  std::string target;                     // for people: "cpu, x86-64-v4"
  std::string source;                     // for people: the model's name
  std::string archive;                    // for people: the name of the file with the parameters
  std::vector<Processor> processors = {}; // best first
  bool strip = false;                     // leaves out which nodes of the model the code comes from
};

/// Writes the module's functions, executables and weights to `os`. Needs what `target-compile-executables` and
/// `vm-pipeline` leave; reads only. Weights go from their blobs to `os` without a copy of the whole. The bytes depend
/// on the module and the options alone. Emits the error itself; what `os` has received is then incomplete. The caller
/// looks after errors of `os`.
mlir::LogicalResult writeModule(mlir::ModuleOp module, llvm::raw_ostream &os, const WriteOptions &options = {});

/// The same to a file: first to a temporary one in the same folder, which then takes the place of `path`, so that
/// `path` is never incomplete and nothing is left behind on failure. What is not a regular file is written to directly.
mlir::LogicalResult writeModule(mlir::ModuleOp module, llvm::StringRef path, const WriteOptions &options = {});

/// Writes the module's parameters (graph::kParameter) to an archive (abi/parameter_archive.h), as it writes modules.
mlir::LogicalResult writeArchive(mlir::ModuleOp module, llvm::StringRef path);

/// `module-write{output=FILE}`: for development and tests.
void registerModulePasses();

} // namespace eyrie::module
