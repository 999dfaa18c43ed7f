// In which order the nodes of a graph are imported, and which of them are needed.
#pragma once
#include "compiler/import/onnx/Proto.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace eyrie::import::onnx {

/// Called with a node (or its number of none: -1) and what is wrong with it.
using ReportNode = llvm::function_ref<void(int64_t node, const std::string &text)>;

/// The names that a graph takes from outside of itself.
llvm::DenseSet<StringRef> freeNames(const Graph &graph);

/// Numbers of the nodes that `results` depend on, every node after those that make its inputs (in the file's order
/// where that is one). Inputs made by no node must be known by `isKnown`. Reports names that are made twice or by
/// nobody, and cycles; then the result is empty and `isGood` false.
std::vector<unsigned> orderNodes(llvm::ArrayRef<Node> nodes, llvm::ArrayRef<StringRef> results,
                                 llvm::function_ref<bool(StringRef)> isKnown, ReportNode report, bool &isGood);

} // namespace eyrie::import::onnx
