// The entrance of the room: see README.md. `lowerContraction` is declared in compiler/target/cpu/Kernel.h.
#pragma once
#include "compiler/graph/Passes.h"
#include "compiler/target/cpu/CpuTargetModel.h"

namespace eyrie::target::cpu {

/// How lowerContraction wants a constant operand of `op` packed: in panels of columns, [N/NR][K…][NR], bytes and
/// bf16 for dot products in groups of steps, [N/NR][K…/4][NR][4]. None if `op` is no contraction or its speed does not
/// depend on it. For several processors the panels of one become the tiles of
/// others: the narrowest panel, but no less than the widest vector. One with wider panels reads several tiles at a
/// time, one with narrower panels a part of one.
std::optional<graph::WeightPacking> chooseContractionPacking(mlir::linalg::GenericOp op,
                                                             llvm::ArrayRef<CpuTargetModel> models);

/// Is this sum of products faster by dot products of bf16, input `weight` and input `other`, than in f32?
bool areNarrowFactorsFaster(mlir::linalg::GenericOp op, unsigned weight, unsigned other, const CpuTargetModel &model);

} // namespace eyrie::target::cpu
