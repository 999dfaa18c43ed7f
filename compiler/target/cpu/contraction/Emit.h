// Emits a contraction as loops around register tiles of one-dimensional vectors.
#pragma once
#include "compiler/target/cpu/Kernel.h"
#include "compiler/target/cpu/contraction/Symbols.h"

namespace eyrie::target::cpu {

/// The values that a kernel's code reads: `bindings` are memrefs of any dense shape, one per tensor argument and
/// result; `indices` the index arguments; `local` a memref<?xi8> of at least localBytes().
struct KernelValues {
  llvm::SmallVector<mlir::Value> bindings, indices;
  mlir::Value workgroup[3];
  mlir::Value local;
};

KernelValues kernelValues(Kernel &kernel);

/// Bytes of local memory that the kernel needs.
int64_t localBytes(const Contraction &contraction, const Plan &plan);

/// Emits the code of one workgroup at `b`'s insertion point.
void emitKernel(mlir::OpBuilder &b, mlir::func::FuncOp func, const Contraction &contraction, const Plan &plan,
                const CpuTargetModel &machine, const KernelValues &values);

/// Emits the workgroup counts as functions of the index arguments.
std::array<mlir::Value, 3> emitWorkgroupCounts(mlir::OpBuilder &b, mlir::func::FuncOp func,
                                               const Contraction &contraction, const Plan &plan,
                                               mlir::ValueRange indices);

/// Reads and writes the tensors of a contraction at tiles of rows of one vector each, whose place the caller sets, for
/// kernels that compute the sums in a way of their own.
class TileAccess {
public:
  /// Index arithmetic is emitted at `b`'s insertion point, which must dominate all uses.
  TileAccess(mlir::OpBuilder &b, mlir::func::FuncOp func, const Contraction &contraction, const Plan &plan,
             const CpuTargetModel &machine, const KernelValues &values);
  ~TileAccess();

  Symbols &symbols();
  /// The first point of the next tile, one value for each loop; null for reductions.
  void moveTo(llvm::ArrayRef<mlir::Value> point);
  /// `expression` at a row of the tile.
  mlir::Value read(const Expression *expression, int64_t band, int64_t row);
  /// Stores the results of a tile whose sums are `accumulators`, row after row.
  void store(llvm::ArrayRef<mlir::Value> accumulators, int64_t bands, int64_t rows);
  /// Writes the borders of the results, once for the whole grid.
  void writeBorders();

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace eyrie::target::cpu
