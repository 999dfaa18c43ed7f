// Emits a contraction as loops around register tiles of one-dimensional vectors.
#pragma once
#include "compiler/target/cpu/contraction/Access.h"

namespace eyrie::target::cpu {

/// Bytes of local memory that the kernel needs.
int64_t localBytes(const Contraction &contraction, const Plan &plan);

/// Emits the code of one workgroup at `b`'s insertion point.
void emitKernel(mlir::OpBuilder &b, mlir::func::FuncOp func, const Contraction &contraction, const Plan &plan,
                const CpuTargetModel &machine, const KernelValues &values);

/// Emits the results of rows [lower, upper), for a plan without bands, at one point of its other loops (`point`: a
/// value for each loop, null where it is not one of them). `symbols` dominates the place.
void emitRowBlock(mlir::OpBuilder &b, mlir::func::FuncOp func, const Contraction &contraction, const Plan &plan,
                  const CpuTargetModel &machine, const KernelValues &values, Symbols &symbols,
                  llvm::ArrayRef<mlir::Value> point, mlir::Value lower, mlir::Value upper);

/// Emits the workgroup counts as functions of the index arguments.
std::array<mlir::Value, 3> emitWorkgroupCounts(mlir::OpBuilder &b, mlir::func::FuncOp func,
                                               const Contraction &contraction, const Plan &plan,
                                               mlir::ValueRange indices);

} // namespace eyrie::target::cpu
