// Convolutions by Winograd's method F(4x4, 3x3), whose three steps (graph/ConvertWinograd.cpp) become one kernel.
#pragma once
#include "compiler/graph/Passes.h"
#include "compiler/target/cpu/Kernel.h"

namespace eyrie::target::cpu {

bool isWinograd(mlir::func::FuncOp tensorFunc);

/// Would the method be faster than the direct way? Its kernel takes every candidate for which this is so.
bool isWinogradFaster(const graph::WinogradCandidate &candidate, const CpuTargetModel &model);

/// Lowers such a kernel. Fails without a diagnostic, `reason` says why, if what follows the sum is not evaluable.
mlir::LogicalResult lowerWinograd(Kernel &kernel, const CpuTargetModel &model, std::string &reason);

} // namespace eyrie::target::cpu
