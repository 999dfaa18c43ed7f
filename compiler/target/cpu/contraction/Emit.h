// Emits a contraction as loops around register tiles of one-dimensional vectors.
#pragma once
#include "compiler/target/cpu/contraction/Access.h"

namespace eyrie::target::cpu {

/// Bytes of local memory that the kernel needs.
int64_t localBytes(const Contraction &contraction, const Plan &plan);

/// Emits the code of one workgroup at `b`'s insertion point.
void emitKernel(mlir::OpBuilder &b, mlir::func::FuncOp func, const Contraction &contraction, const Plan &plan,
                const CpuTargetModel &machine, const KernelValues &values);

/// Rows [lower, upper) at one point of the other loops (`point`: a value for each loop, null where it is not one of
/// them), and what of them is computed.
struct RowBlock {
  llvm::ArrayRef<mlir::Value> point;
  mlir::Value lower, upper;
  /// Only these columns, from the beginning of a panel on; null: all.
  mlir::Value firstColumn = {}, endColumn = {};
  /// Memory for the block's sums, rows `sumsPitch` apart with room for whole panels; null: none. They are taken from
  /// there, the steps [firstStep, endStep) of the only reduction are added, and they are put back; or, with `finishes`,
  /// what follows the reduction is computed from them.
  mlir::Value sums = {}, firstStep = {}, endStep = {};
  int64_t sumsPitch = 0;
  bool finishes = false;
};

/// Emits such a block, for a plan without bands. `symbols` dominates the place.
void emitRowBlock(mlir::OpBuilder &b, mlir::func::FuncOp func, const Contraction &contraction, const Plan &plan,
                  const CpuTargetModel &machine, const KernelValues &values, Symbols &symbols, const RowBlock &block);

/// Emits the workgroup counts as functions of the index arguments.
std::array<mlir::Value, 3> emitWorkgroupCounts(mlir::OpBuilder &b, mlir::func::FuncOp func,
                                               const Contraction &contraction, const Plan &plan,
                                               mlir::ValueRange indices);

} // namespace eyrie::target::cpu
