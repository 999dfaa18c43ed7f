#include "compiler/import/onnx/Errors.h"
#include "compiler/import/onnx/Text.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace eyrie::import::onnx {

std::string Errors::describeUnsupported() const {
  llvm::MapVector<std::pair<std::string, std::string>, std::vector<std::string>,
                  std::map<std::pair<std::string, std::string>, unsigned>>
      groups;
  for (const Unsupported &node : unsupported)
    groups[{node.op, node.reason}].push_back(quote(node.node) +
                                             (node.function.empty() ? "" : " (in " + node.function + ")"));
  std::string text = std::to_string(unsupported.size()) +
                     (unsupported.size() == 1 ? " node is not supported:" : " nodes are not supported:");
  for (auto &[key, nodes] : groups) {
    text += "\n  " + key.first + ": " + key.second + "\n    ";
    constexpr size_t kMostNames = 10;
    if (nodes.size() > 1)
      text += std::to_string(nodes.size()) + " nodes: ";
    for (size_t i = 0; i < std::min(nodes.size(), kMostNames); ++i)
      text += (i ? ", " : "") + nodes[i];
    if (nodes.size() > kMostNames)
      text += ", and " + std::to_string(nodes.size() - kMostNames) + " more";
  }
  return text;
}

void Errors::report() {
  Location loc = FileLineColLoc::get(&context, file, 0, 0);
  constexpr size_t kMost = 20;
  for (size_t i = 0; i < std::min(texts.size(), kMost); ++i)
    emitError(loc) << texts[i];
  if (texts.size() > kMost)
    emitError(loc) << "and " << texts.size() - kMost << " more errors";
  if (!unsupported.empty())
    emitError(loc) << describeUnsupported();
}

} // namespace eyrie::import::onnx
