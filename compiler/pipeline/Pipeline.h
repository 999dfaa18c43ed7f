// The road of a model as one table of stages, and the function that walks it. The only room that sees all rooms.
#pragma once
#include "compiler/pipeline/ImportModels.h"
#include "compiler/pipeline/ShapeOptions.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/LogicalResult.h"
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace eyrie::pipeline {

struct CompileOptions {
  /// The processors to compile for, as the target names them; "native" is this machine's, and what none stands for.
  std::vector<std::string> cpus;
  /// 0 to 3.
  int optLevel = 3;
  /// Threads to compile with; 0 is one per processor. The output does not depend on it.
  unsigned jobs = 0;
  std::string target = "cpu";
  /// Leaves the names of the model's nodes out of the module, which only errors and tools show.
  bool strip = false;
  /// How f32 weights are stored: f32, bf16 or f16.
  std::string precision = "f32";
  /// A file of Tuning.h; empty: none.
  std::string tuning;
  /// Computes all convolutions directly (TargetOptions::winograd).
  bool noWinograd = false;
  /// The folder that keeps compiled kernels; empty: the user's own (KernelCache::defaultFolder), "none": none.
  std::string cache;
  /// The stage after which to stop and write the IR as text to the output; empty: none.
  std::string stopAfter;
  /// A folder for the IR after every stage; empty: none.
  std::string dumpDir;
  /// Whether to report how long stages and passes took.
  bool time = false;
  ShapeOptions shapes;
  /// Inputs and outputs that are states (import::onnx::ImportOptions::states).
  std::vector<std::pair<std::string, std::string>> states;
  /// Functions that expand operators (import::onnx::ImportOptions).
  std::vector<std::string> functions, overrides;
  std::vector<import::onnx::Expander> expanders;
  /// Operators that functions of the caller compute (import::onnx::ImportOptions::hostOps).
  std::vector<import::onnx::HostOp> hostOps;
  /// The file that the model's weights are written to; empty: they are part of the module.
  std::string parameters;
  /// Called as a stage begins, with its number (from 0) and their count.
  std::function<void(llvm::StringRef stage, unsigned index, unsigned count)> progress;
};

struct Stage {
  llvm::StringLiteral name;
  llvm::StringLiteral description;
};

/// The stages in order.
llvm::ArrayRef<Stage> stages();

/// Compiles the models, each a function of the module, and writes the module to `outputPath`, whole or not at all. On
/// failure `diagnostics` holds the text for the person, else warnings, one a line. With `options.time` `report` gets a
/// table. May be called from several threads at once.
llvm::LogicalResult compileFiles(llvm::ArrayRef<ModelFile> models, llvm::StringRef outputPath,
                                 const CompileOptions &options, std::string &diagnostics, std::string &report);

/// Reads the models as a compilation would, and says in `report` what they will cost (Estimate.h), as JSON.
llvm::LogicalResult estimateFiles(llvm::ArrayRef<ModelFile> models, const CompileOptions &options,
                                  std::string &diagnostics, std::string &report);

} // namespace eyrie::pipeline
