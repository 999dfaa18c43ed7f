// The ways in which the CPU target lowers the tensor function of a kernel, from the most specific to the most general.
#pragma once
#include "compiler/target/cpu/Kernel.h"

namespace eyrie::target::cpu {

/// Loops that compute every element of the results from the arguments, without tensors in between: elementwise
/// operations, data movement, reductions, and rows of both (softmax, layer normalisation). Fails, with the kernel
/// untouched or half-filled (to be abandoned), if the function holds something else; `reason` then says what.
mlir::LogicalResult lowerToLoops(Kernel &kernel, const CpuTargetModel &model, std::string &reason);

} // namespace eyrie::target::cpu
