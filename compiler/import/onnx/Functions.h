// The functions by which operators are expanded: the model's own, those of libraries, and what callbacks give.
#pragma once
#include "compiler/import/onnx/Errors.h"
#include "compiler/import/onnx/Files.h"
#include "compiler/import/onnx/Import.h"
#include "compiler/import/onnx/Proto.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include <deque>

namespace eyrie::import::onnx {

/// The default domain has two names.
inline StringRef plainDomain(StringRef domain) { return domain == "ai.onnx" ? StringRef() : domain; }
/// "Gelu", "my.domain::Gelu".
std::string operatorName(StringRef domain, StringRef name);

class Functions {
public:
  Functions(const Model &model, const ImportOptions &options, Origins &origins, Errors &errors)
      : model(model), options(options), origins(origins), errors(errors) {}

  /// Reads the libraries, and checks all functions as far as that goes without a node.
  void load();

  /// Null if there is none.
  const Function *ofModel(const Node &node) const { return find(ofModel_, node); }
  const Function *ofLibrary(const Node &node) const { return find(ofLibrary_, node); }
  const Expander *expander(const Node &node) const;
  /// Whether a library's function goes before the model's and the compiler's own.
  bool isOverridden(const Node &node) const { return overrides.contains(operatorName(node.domain, node.op)); }
  bool isOfLibrary(const Function *function) const { return libraryFunctions.contains(function); }

  /// Keeps what a callback gave for the node at `place`; null, with the error, if it is no FunctionProto.
  Function *keep(StringRef bytes, StringRef place, StringRef modelPath, std::string &error);
  /// "the function 'my.domain::Gelu' of 'lib.onnx'", "the expansion of 'act' (my.domain::Gelu)".
  std::string describe(const Function &function, const Node &caller) const;
  /// Notes that the library's function for this node stays unused, because something else goes first.
  void noteUnused(const Node &node);
  /// One text for each operator that was noted.
  const std::vector<std::string> &warnings() const { return unused; }

  /// Operators and nodes of all functions that were read.
  int64_t countNodes() const;

private:
  static std::string keyOf(StringRef domain, StringRef name, StringRef overload);
  static const Function *find(const llvm::StringMap<const Function *> &table, const Node &node) {
    return table.empty() ? nullptr : table.lookup(keyOf(node.domain, node.op, node.overload));
  }
  void loadLibrary(const std::string &path);
  void checkVersions(const Function &function);

  const Model &model;
  const ImportOptions &options;
  Origins &origins;
  Errors &errors;
  std::deque<std::vector<Function>> libraries;
  std::deque<Function> made;
  llvm::StringMap<const Function *> ofModel_, ofLibrary_;
  llvm::SmallPtrSet<const Function *, 8> libraryFunctions;
  llvm::StringSet<> overrides, noted;
  std::vector<std::string> unused;
};

/// Names of attributes that the function declares or that its nodes refer to.
llvm::StringSet<> knownAttributes(const Function &function);
/// Nodes, those in graphs inside them included.
int64_t countNodes(llvm::ArrayRef<Node> nodes);

} // namespace eyrie::import::onnx
