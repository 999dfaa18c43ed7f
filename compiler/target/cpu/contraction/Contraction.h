// The entrance of the room: see README.md. `lowerContraction` is declared in compiler/target/cpu/Kernel.h.
#pragma once
#include "compiler/graph/Passes.h"
#include "compiler/target/cpu/CpuTargetModel.h"

namespace eyrie::target::cpu {

/// How lowerContraction wants a constant operand of `op` packed: in panels of columns, [N/NR][K…][NR], bytes for dot
/// products in groups of steps, [N/NR][K…/4][NR][4]. None if `op` is no contraction or its speed does not depend on it.
std::optional<graph::WeightPacking> chooseContractionPacking(mlir::linalg::GenericOp op, const CpuTargetModel &model);

} // namespace eyrie::target::cpu
