// Forms of operations that passes and targets recognise alike.
#pragma once
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

namespace eyrie::graph {

/// The operation of an executable's function that is marked with an attribute (kWinograd, kAttention); null if none is.
mlir::linalg::GenericOp findMarked(mlir::FunctionOpInterface func, llvm::StringRef attribute);

/// What a convolution by Winograd's method computes before `last`, the operation that is marked with kWinograd: the
/// products, the input's tiles, and the transformed filter.
std::array<mlir::linalg::GenericOp, 3> getWinogradParts(mlir::Operation *last);

/// Does it pad with one number that is known, by numbers of elements that are known?
bool isConstantPadding(mlir::tensor::PadOp pad);

/// How many arithmetic operations on elements the loops make; a multiplication and an addition are two. Open sizes
/// count as 1; INT64_MAX if it does not fit.
int64_t operationsOf(mlir::linalg::LinalgOp loops);

/// All loops are parallel, and results are written at them.
bool isElementwise(mlir::Operation *op);
/// A linalg.generic with reductions and one result.
bool isReduction(mlir::Operation *op);
/// A reduction of rows: reads each element once, through plain maps.
bool isRowReduction(mlir::Operation *op);
/// Does `consumer` read the operand element by element, dimensions of size one aside that it has more?
bool readsAlike(mlir::linalg::GenericOp consumer, mlir::OpOperand &use);

/// How the source of a transpose is read where its result is read through `map`.
mlir::AffineMap throughTranspose(mlir::linalg::TransposeOp transpose, mlir::AffineMap map);

/// A map of the operation's loops with those of one iteration left out.
mlir::AffineMap withoutUnitLoops(mlir::linalg::GenericOp op, mlir::AffineMap map);

/// Sums weighted by what is computed from the rows of a contraction's result:
///
///   %s = scores (%q, %k)      a contraction; its result's last dimension is the row
///   %x = epilogue (%s, ...)   elementwise; may be missing
///   %m, %l = statistics (%x)  reductions of rows
///   %w = weights (%x, %m, %l) elementwise
///   %y = sums (%w, %v)        a contraction along the rows of %w
///
/// All but the last are read by each other alone. The rows' functions may read what is computed outside.
struct Attention {
  mlir::linalg::GenericOp scores, epilogue, weights, sums;
  llvm::SmallVector<mlir::linalg::GenericOp, 2> statistics; // in their order
  unsigned operand = 0;                                     // of `sums` that reads the weights
  mlir::linalg::GenericOp following; // elementwise, what the sums' dispatch ends with; may be null

  /// %x
  mlir::Value rows() const { return mlir::linalg::GenericOp(epilogue ? epilogue : scores)->getResult(0); }
  /// The statistics and the weights.
  llvm::SmallVector<mlir::linalg::GenericOp> rowFunctions() const;
  /// All but `sums`, readers before what they read.
  llvm::SmallVector<mlir::linalg::GenericOp> parts() const;
};
std::optional<Attention> matchAttention(mlir::linalg::GenericOp sums);

} // namespace eyrie::graph
