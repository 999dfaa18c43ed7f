// Pieces of kernels: loops, and what moves elements (views, borders, transposes).
#pragma once
#include "compiler/target/cpu/contraction/Symbols.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace eyrie::target::cpu {

/// A loop whose body is emitted by the callback.
mlir::scf::ForOp emitLoop(mlir::OpBuilder &b, mlir::Location loc, mlir::Value lower, mlir::Value upper,
                          mlir::Value step, llvm::function_ref<void(mlir::Value)> body);

/// A memref of any dense shape as one dimension.
mlir::Value flatView(mlir::OpBuilder &b, mlir::Location loc, Symbols &symbols, mlir::Value memory);

/// The elements around a padded result, in its one-dimensional memory: the first workgroup writes them.
void emitBorder(mlir::OpBuilder &b, mlir::Location loc, Symbols &symbols, const Border &border, mlir::Value memory,
                llvm::ArrayRef<mlir::Value> workgroup, int64_t lanes);

/// As many vectors as each has elements, a power of two, transposed.
llvm::SmallVector<mlir::Value> transposeVectors(mlir::OpBuilder &b, mlir::Location loc,
                                                llvm::SmallVector<mlir::Value> rows);

} // namespace eyrie::target::cpu
