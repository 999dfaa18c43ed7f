// Attention (graph/Forms.h) as one kernel: scores, what their rows become, and the sums that these weight.
#pragma once
#include "compiler/graph/Forms.h"
#include "compiler/target/cpu/Kernel.h"

namespace eyrie::target::cpu {

bool isAttention(mlir::func::FuncOp tensorFunc);

/// Is there a kernel for it, whose rows have at most so many elements? (INT64_MAX: any number.)
bool takesAttention(const graph::Attention &attention, int64_t mostKeys, const CpuTargetModel &model);

/// Lowers such a kernel. Fails without a diagnostic, `reason` says why, if takesAttention() does not hold.
mlir::LogicalResult lowerAttention(Kernel &kernel, const CpuTargetModel &model, std::string &reason);

} // namespace eyrie::target::cpu
