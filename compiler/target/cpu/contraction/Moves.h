// Pieces of kernels that move elements: views, borders, transposes.
#pragma once
#include "compiler/target/cpu/contraction/Symbols.h"

namespace eyrie::target::cpu {

/// A memref of any dense shape as one dimension.
mlir::Value flatView(mlir::OpBuilder &b, mlir::Location loc, Symbols &symbols, mlir::Value memory);

/// The elements around a padded result, in its one-dimensional memory: the first workgroup writes them.
void emitBorder(mlir::OpBuilder &b, mlir::Location loc, Symbols &symbols, const Border &border, mlir::Value memory,
                llvm::ArrayRef<mlir::Value> workgroup, int64_t lanes);

/// As many vectors as each has elements, a power of two, transposed.
llvm::SmallVector<mlir::Value> transposeVectors(mlir::OpBuilder &b, mlir::Location loc,
                                                llvm::SmallVector<mlir::Value> rows);

} // namespace eyrie::target::cpu
