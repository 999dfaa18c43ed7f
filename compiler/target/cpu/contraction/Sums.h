// The sums of a register tile: a contraction's reductions, with the accumulators in registers.
#pragma once
#include "compiler/target/cpu/contraction/Access.h"
#include "compiler/target/cpu/contraction/TileUnit.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace eyrie::target::cpu {

/// Emits, for the tile that Access describes, loops over the reductions, of which `accumulators` are the initial values
/// and then the results.
struct Sums : Access {
  using Access::Access;

  Value stagedMemory, keptMemory;
  UnitMemory unitMemory;
  Value blockStart; // the block's first row or band
  Value endStep;    // of the reduction, with `firstStep`

  /// The root's sums, from the accumulators on; a tile unit leaves them, from zero on, in `keptMemory`.
  void emitSums();

protected:
  mlir::scf::ForOp loop(Value lower, Value upper, int64_t step, llvm::function_ref<void(Value)> body);

private:
  int64_t accumulatorCount() { return tileBands * tileRows * columns.vectors; }
  void emitRegisterSums();
  /// A small tile that may be all rows has two ways: all it reads is then prefetched for itself, if at all.
  void emitStreamedSums();
  /// This tile's part of the next panel.
  void choosePrefetched();
  /// The sums of the tile by a tile unit, from zero, into the memory of kept accumulators.
  void emitUnitSums();
  /// Sums by vectors along a reduction: columns become rows of a tile of its own, each with a vector of sums, whose
  /// elements then are one element of the accumulators.
  void emitSumsAlongReduction();
  /// Reduction loops from `depth` inwards; the accumulators travel through them in registers.
  void emitReductions(size_t depth);
  void emitReductionLoop(size_t depth, const Monomial &size);
  /// The innermost reduction, along which vectors run: whole vectors, then what they leave.
  void emitVectorReduction();
  /// The innermost reduction in chunks, whose part of the staged input is copied to local memory first.
  void emitStagedReduction(unsigned reduction);
  /// The innermost reduction by dot products: whole groups, then the steps behind them.
  void emitGroups();
  void emitDotReduction();
  /// One group of steps of a reduction by dot products. Behind the accumulators stand, where they are needed, the sums
  /// of the columns' bytes.
  void emitDotStep();
  /// One step of the reduction: the root's body for every accumulator.
  void emitStep();
  void collectLoads(const Expression *expression);
};

} // namespace eyrie::target::cpu
