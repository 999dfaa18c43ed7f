// Attributes of tensors outside the module.
#pragma once
#include "compiler/graph/Graph.h"

namespace eyrie::graph {

/// On a graph.global: its name in the files of parameters, where the runtime finds it.
inline constexpr llvm::StringLiteral kParameter = "eyrie.parameter";

/// On a graph.global without a value: the function that computes it when the module is loaded, from parameters, which
/// are its arguments.
inline constexpr llvm::StringLiteral kDerivedBy = "eyrie.derived_by";

/// On such a function, which callers do not see: the names of the parameters.
inline constexpr llvm::StringLiteral kSources = "eyrie.sources";

/// On the module: the model's constants that are part of the program, as dictionaries of `name`, `type`, `crc` (CRC-32C
/// of the bytes) and `eyrie.unsigned`.
inline constexpr llvm::StringLiteral kFixed = "eyrie.fixed";

/// Whether callers of the module do not see the function: its own code or its loader calls it.
inline bool isInternal(mlir::Operation *func) { return func->hasAttr(kInternal) || func->hasAttr(kSources); }

} // namespace eyrie::graph
