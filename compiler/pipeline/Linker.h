// Joins modules of one function each.
#pragma once
#include "compiler/graph/Graph.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/IR/SymbolTable.h"

namespace eyrie::pipeline {

/// Moves functions with their globals into one module. A global that is there already, of the same type and bytes, is
/// shared; others get a free name. Parameters are shared by their names.
class Linker {
public:
  /// `module`: the first one, which the others are moved into.
  explicit Linker(mlir::ModuleOp module);
  /// Moves `@main` of `from` under the name `name`. Fails if it has a state that another function has as another type,
  /// or another parameter of the same name.
  mlir::FailureOr<mlir::func::FuncOp> add(mlir::ModuleOp from, llvm::StringRef name);

private:
  void remember(graph::GlobalOp global);
  /// The parameter of the same name, or null; fails if it is another tensor.
  mlir::FailureOr<graph::GlobalOp> findParameter(graph::GlobalOp global);
  graph::GlobalOp findEqual(graph::GlobalOp global);
  mlir::LogicalResult checkStates(mlir::func::FuncOp func);

  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  llvm::DenseMap<std::pair<mlir::Type, uint64_t>, llvm::SmallVector<graph::GlobalOp, 1>> globals;
};

} // namespace eyrie::pipeline
