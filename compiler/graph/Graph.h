// The graph dialect (Graph.td) and the passes of the room.
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "compiler/graph/GraphDialect.h.inc"
#define GET_TYPEDEF_CLASSES
#include "compiler/graph/GraphTypes.h.inc"
#define GET_OP_CLASSES
#include "compiler/graph/GraphOps.h.inc"

namespace eyrie::graph {

/// Names of the attributes that tie dynamic dimensions of an executable's tensors to its index arguments.
inline constexpr llvm::StringLiteral kArgDims = "graph.arg_dims";
inline constexpr llvm::StringLiteral kResultDims = "graph.result_dims";

/// On an argument and a result of a function (a string): the state of this name is the argument when a call begins, and
/// becomes the result when it ends. Neither is the caller's.
inline constexpr llvm::StringLiteral kState = "eyrie.state";
/// On both as well (i64 array), where a state lies in memory, and is in the IR, in another order than the model's:
/// dimension i is the model's dimension `order[i]`. `eyrie.dims` names the dimensions as they are in the IR.
inline constexpr llvm::StringLiteral kStateOrder = "eyrie.state_order";

/// On the last of the four operations of a convolution by Winograd's method (ConvertWinograd.cpp).
inline constexpr llvm::StringLiteral kWinograd = "graph.winograd";
/// On an operation on constants that its reader's kernel computes again in each call: the result would be large.
inline constexpr llvm::StringLiteral kInKernel = "graph.in_kernel";
/// How many arithmetic operations on elements there are: on an executable's function, where all sizes are known, and on
/// an operation whose loops make others than those that it stands for.
inline constexpr llvm::StringLiteral kOperations = "graph.operations";
/// On the sums of an executable that computes attention (Forms.h) as a whole.
inline constexpr llvm::StringLiteral kAttention = "graph.attention";

/// On a function: nothing outside the module calls it.
inline constexpr llvm::StringLiteral kInternal = "eyrie.internal";
/// On a function: copies of it for certain sizes, an array of {function, guards}. `guards` (i64 array) has three
/// numbers for each condition: argument, dimension, size. A call goes on in the first copy whose conditions hold, and
/// else in the function itself.
inline constexpr llvm::StringLiteral kCopies = "eyrie.copies";
/// On the module: what is promised of open dimensions by their names, [least, most, divisor] (i64 array) for each.
inline constexpr llvm::StringLiteral kSymbolRanges = "eyrie.symbol_ranges";

/// On a cf.assert over what a graph.read_scalar gives: the importer moves both to the end of their block, where waiting
/// for the device costs nothing.
inline constexpr llvm::StringLiteral kAtEnd = "eyrie.at_end";

/// The sizes of `value` as seen by the host program: static sizes as attributes, dynamic ones as index values found
/// through its producer, or as `tensor.dim` when the producer is a function argument.
llvm::SmallVector<mlir::OpFoldResult> getHostSizes(mlir::OpBuilder &b, mlir::Value value);
/// All dimensions of `type`, the dynamic ones from `dynamic`.
llvm::SmallVector<mlir::OpFoldResult> mixedSizes(mlir::RankedTensorType type, mlir::ValueRange dynamic);

} // namespace eyrie::graph
