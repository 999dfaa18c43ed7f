// Index arithmetic on the sizes and strides of a contraction.
#pragma once
#include "compiler/target/cpu/contraction/Plan.h"

namespace eyrie::target::cpu {

/// Gives monomials a value in another function than the one that was analysed.
class Symbols {
public:
  /// Copies the arithmetic behind every symbol and every captured value of `contraction` to `b`'s insertion point,
  /// which must dominate all later uses. `indices` are the new function's values for the index arguments of `func`.
  Symbols(mlir::OpBuilder &b, mlir::func::FuncOp func, const Contraction &contraction, mlir::ValueRange indices);

  mlir::Value constant(int64_t value);
  mlir::Value value(const Monomial &monomial);
  /// What a value of the analysed function is here.
  mlir::Value captured(mlir::Value value) { return map.lookup(value); }
  mlir::Value sum(llvm::ArrayRef<Monomial> monomials);
  // Folding arithmetic.
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value min(mlir::Value a, mlir::Value b);
  mlir::Value max(mlir::Value a, mlir::Value b);
  mlir::Value div(mlir::Value a, mlir::Value b);
  mlir::Value rem(mlir::Value a, mlir::Value b);
  mlir::Value ceilDiv(mlir::Value a, mlir::Value b);

private:
  mlir::Value materialise(mlir::Value symbol);
  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Block *entry;
  mlir::IRMapping map;
  llvm::DenseMap<int64_t, mlir::Value> constants;
};

/// How the work is divided over workgroups (x: groups of column panels, y: blocks of rows, z: groups of outer points).
struct Grid {
  mlir::Value outer, panels;                 // how many there are
  mlir::Value outerPerGroup, panelsPerGroup; // how many a workgroup takes
  mlir::Value count[3];
};
Grid computeGrid(Symbols &symbols, const Contraction &contraction, const Plan &plan);

} // namespace eyrie::target::cpu
