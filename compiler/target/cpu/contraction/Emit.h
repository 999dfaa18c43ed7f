// Emits a contraction as loops around register tiles of one-dimensional vectors.
#pragma once
#include "compiler/target/cpu/contraction/Plan.h"

namespace eyrie::target::cpu {

/// The values that a kernel's code reads: `bindings` are memrefs of any dense shape, one per tensor argument and
/// result; `indices` the index arguments; `local` a memref<?xi8> of at least localBytes().
struct KernelValues {
  llvm::SmallVector<mlir::Value> bindings, indices;
  mlir::Value workgroup[3];
  mlir::Value local;
};

/// Bytes of local memory that the kernel needs.
int64_t localBytes(const Contraction &contraction, const Plan &plan);

/// Emits the code of one workgroup at `b`'s insertion point.
void emitKernel(mlir::OpBuilder &b, mlir::func::FuncOp func, const Contraction &contraction, const Plan &plan,
                const CpuTargetModel &machine, const KernelValues &values);

/// Emits the workgroup counts as functions of the index arguments.
std::array<mlir::Value, 3> emitWorkgroupCounts(mlir::OpBuilder &b, mlir::func::FuncOp func,
                                               const Contraction &contraction, const Plan &plan,
                                               mlir::ValueRange indices);

} // namespace eyrie::target::cpu
