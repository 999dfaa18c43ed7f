// Tensors of strings. Their elements are ids: numbers of the strings in the module's table, 64-bit integers
// (docs/decisions/2026-11-26-strings-and-sequences.md).
#pragma once
#include "compiler/import/onnx/Proto.h"
#include "compiler/ops/Tensor.h"
#include "llvm/ADT/StringMap.h"

namespace eyrie::import::onnx {

/// The strings that the model's constants hold. 0 is the empty string.
class Texts {
public:
  int64_t idOf(llvm::StringRef text);
  /// All but the empty one, by id.
  llvm::ArrayRef<llvm::StringRef> all() const { return texts; }

private:
  llvm::StringMap<int64_t> ids;
  std::vector<llvm::StringRef> texts;
};

/// What is wrong with giving these operands to an operation of the default domain; empty if nothing is. Most operations
/// compute with numbers; some only move or compare elements.
std::string refuseStrings(const Node &node, llvm::ArrayRef<const ops::Tensor *> operands);
/// Marks the results that hold elements of the operands.
void markStrings(const Node &node, llvm::ArrayRef<const ops::Tensor *> operands,
                 llvm::MutableArrayRef<ops::Tensor> results);

} // namespace eyrie::import::onnx
