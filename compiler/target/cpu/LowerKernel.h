// The ways in which the CPU target lowers the tensor function of a kernel, from the most specific to the most general.
#pragma once
#include "compiler/target/Target.h"
#include "compiler/target/cpu/Kernel.h"

namespace eyrie::target::cpu {

/// Loops that compute every element of the results from the arguments, without tensors in between: elementwise
/// operations, data movement, reductions, and rows of both (softmax, layer normalisation). Fails, with the kernel
/// untouched or half-filled (to be abandoned), if the function holds something else; `reason` then says what.
mlir::LogicalResult lowerToLoops(Kernel &kernel, const CpuTargetModel &model, std::string &reason);

/// The target `cpu`, whose model for given options is what `modelOf` says (null: that of the processor they name).
/// Tests give it models that no option names.
std::unique_ptr<Target> createCpuTarget(std::function<CpuTargetModel(const TargetOptions &)> modelOf = nullptr);

} // namespace eyrie::target::cpu
