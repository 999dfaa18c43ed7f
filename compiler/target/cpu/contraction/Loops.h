// The loops of a contraction that was analysed: which of them stay, and what is known of their sizes.
#pragma once
#include "compiler/target/cpu/contraction/Analysis.h"

namespace eyrie::target::cpu {

/// Takes a loop of size 1 away.
void eraseLoop(Contraction &contraction, unsigned loop);

/// What a function's attributes say of its index arguments.
graph::SizeAnalysis sizeAnalysis(mlir::func::FuncOp func);
graph::SizeFacts factsOf(const Monomial &size, graph::SizeAnalysis &analysis);
/// Fills in the facts of all loops. `func` is what was analysed.
void addSizeFacts(mlir::func::FuncOp func, Contraction &contraction);

/// Drops loops of size 1 and merges neighbours that every address walks as one. `func` is what was analysed.
void collapseLoops(mlir::func::FuncOp func, Contraction &contraction);

/// Lets the innermost reduction count groups of steps if its operands are bytes or bf16, one of them packed in groups,
/// and the processor has dot products of them. Runs after collapseLoops.
void formDotProducts(Contraction &contraction, const CpuTargetModel &model);

} // namespace eyrie::target::cpu
