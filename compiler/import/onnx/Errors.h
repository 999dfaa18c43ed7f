// What is wrong with a model, collected so that one import tells all of it.
#pragma once
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringRef.h"
#include <string>
#include <utility>
#include <vector>

namespace eyrie::import::onnx {

/// A node that is right but not supported.
struct Unsupported {
  std::string node, op, reason; // op: "Loop (opset 16)" or "com.microsoft::Attention (version 1)"
  std::string function = {};    // that the node is part of, as `Errors::inside` has it
};

class Errors {
public:
  Errors(mlir::MLIRContext &context, llvm::StringRef file) : context(context), file(file) {}

  /// An error of the model as a whole.
  void add(std::string text) { texts.push_back(std::move(text) + ending()); }
  void addUnsupported(Unsupported node) {
    node.function = function.str();
    unsupported.push_back(std::move(node));
  }
  /// From now on errors are about nodes of this function (empty: of the model), and say so. The text must stay until
  /// the next call, which gives it back.
  llvm::StringRef inside(llvm::StringRef name) { return std::exchange(function, name); }
  /// For what is imported on trial: how many errors there are, and forgetting those since then. `text` gets the first
  /// of them; false, and nothing is forgotten, if a node was not supported.
  std::pair<size_t, size_t> mark() const { return {texts.size(), unsupported.size()}; }
  bool forget(std::pair<size_t, size_t> since, std::string &text) {
    if (unsupported.size() != since.second || texts.size() == since.first)
      return false;
    text = texts[since.first];
    texts.resize(since.first);
    return true;
  }
  bool any() const { return !texts.empty() || !unsupported.empty(); }
  size_t count() const { return texts.size() + unsupported.size(); }
  /// Emits all errors: unsupported nodes as one, grouped by operation and reason; of the others the first few.
  void report();

private:
  std::string describeUnsupported() const;
  std::string ending() const { return function.empty() ? "" : " (in " + function.str() + ")"; }

  mlir::MLIRContext &context;
  std::string file;
  llvm::StringRef function;
  std::vector<std::string> texts;
  std::vector<Unsupported> unsupported;
};

} // namespace eyrie::import::onnx
