// Reads and writes the tensors of a contraction at the points of a register tile.
#pragma once
#include "compiler/target/cpu/Kernel.h"
#include "compiler/target/cpu/contraction/Symbols.h"
#include "llvm/ADT/MapVector.h"
#include <map>

namespace eyrie::target::cpu {

/// Steps of a reduction ahead of which vectors are prefetched; twice as many where a step has more rows than few.
inline constexpr int64_t prefetchDistance = 64;

/// The values that a kernel's code reads: `bindings` are memrefs of any dense shape, one per tensor argument and
/// result; `indices` the index arguments; `local` a memref<?xi8> of at least localBytes().
struct KernelValues {
  llvm::SmallVector<mlir::Value> bindings, indices;
  mlir::Value workgroup[3];
  mlir::Value local;
};

KernelValues kernelValues(Kernel &kernel);
/// The index arguments of the function that counts workgroups.
llvm::SmallVector<mlir::Value> workgroupIndices(Kernel &kernel);

/// How many columns a panel has: all of them, or as many as are left.
struct Columns {
  int64_t vectors;
  llvm::SmallVector<mlir::Value> masks; // one per vector, null where all lanes are columns; empty if that holds for all
};

/// The state of the code that is emitted for a tile of `tileBands` x `tileRows` rows of `columns.vectors` vectors at
/// `at`: addresses, loads, expressions, stores. Who emits loops moves `at` and calls forgetValues().
struct Access {
  using Value = mlir::Value;

  mlir::OpBuilder &b;
  mlir::Location loc;
  const Contraction &contraction;
  const Plan &plan;
  const CpuTargetModel &machine;
  const KernelValues &values;
  Symbols &s;

  Access(mlir::OpBuilder &b, mlir::func::FuncOp func, const Contraction &contraction, const Plan &plan,
         const CpuTargetModel &machine, const KernelValues &values, Symbols &symbols)
      : b(b), loc(func.getLoc()), contraction(contraction), plan(plan), machine(machine), values(values), s(symbols) {}

  /// An input that is read from local memory instead.
  struct Redirection {
    Value memory;
    LinearFunction function;
  };
  llvm::DenseMap<const Expression *, Redirection> redirections;

  llvm::SmallVector<Value> flat; // the bindings as one-dimensional memrefs

  /// The value of each loop at the first point of the current tile; null (zero) for reductions.
  llvm::SmallVector<Value> at;
  /// The value of each reduction loop at the current step; null (zero) for other loops.
  llvm::SmallVector<Value> steps;
  Value panel; // number of the current panel
  Columns columns;
  int64_t tileBands = 1, tileRows = 1;
  /// Rows of the tile from here on may not exist: for each the row that it repeats then.
  int64_t certainRows = 1;
  llvm::SmallVector<Value> repeated;
  llvm::SmallVector<Value> accumulators;
  Value firstRow; // of the workgroup's block, for what lies in local memory
  /// Likewise the first column, and the first step of the reduction, where local memory holds a part of them.
  Value firstColumn, firstStep;
  bool inReduction = false;
  bool hasFewRows = false; // the rows of the tile are all, and no more than Plan::mostSmallRows
  int64_t groupSteps = 0;  // that the current dot product takes; 0: all

  /// The address of each load at the current point of the reduction loops, as a value and a constant to add to it.
  struct Address {
    Value value;
    int64_t constant = 0;
  };
  llvm::MapVector<const Expression *, Address> addresses;
  /// Of the streamed operand: where the current panel is read from, where the tile's part of the next one does, and how
  /// much it prefetches of it for each `plan.panel()` that it reads; null where it prefetches none.
  struct NextPanel {
    Value panel, from, share;
  } nextPanel;

  /// Values emitted in the current block, so that rows share what does not depend on them.
  std::map<std::tuple<const void *, int64_t, int64_t, int64_t>, Value> emitted;

  mlir::Type elementType(unsigned binding) {
    return mlir::cast<mlir::MemRefType>(values.bindings[binding].getType()).getElementType();
  }
  mlir::VectorType vectorType(mlir::Type element) { return mlir::VectorType::get({plan.lanes}, element); }
  mlir::VectorType groupType() {
    const DotProduct &product = contraction.dot->product;
    return mlir::VectorType::get({plan.lanes * product.group()}, product.elementType());
  }
  Value constant(int64_t value) { return s.constant(value); }

  /// Moves all addresses on by so many iterations of a reduction.
  void advance(unsigned reduction, Value iterations, int64_t more);
  /// A loop through which the accumulators travel in registers.
  void carryAccumulators(Value lower, Value upper, int64_t step, llvm::function_ref<void(Value)> body);

  /// Makes `flat`.
  void flatten();
  void forgetValues();
  void forEachVector(llvm::function_ref<void(int64_t, int64_t, int64_t)> callback);

  /// The function's value at the first point of the tile, reductions at zero.
  Value startOf(const LinearFunction &function);
  /// start + its distance to row (band, row) of the tile and to vector `vector`, as few values as possible.
  Value shifted(Address start, const LinearFunction &function, int64_t band, int64_t row, int64_t vector);
  const LinearFunction &functionOf(const Expression *load);
  Value memoryOf(const Expression *load);
  bool dependsOnRow(const LinearFunction &function);
  bool isStaged() const { return plan.staged && tileBands * tileRows >= plan.leastStagedRows; }
  bool isCertain(int64_t row) const { return repeated.empty() || row < certainRows; }

  /// The expression's value: a vector, or a scalar where it is the same in all lanes.
  Value evaluate(const Expression *expression, int64_t band, int64_t row, int64_t vector);
  Value load(const Expression *expression, int64_t band, int64_t row, int64_t vector);
  /// What follows the reduction, for the tile's accumulators, row after row.
  void emitResults();
  void emitBorders();

private:
  Value startOfPanel(const LinearFunction &function);
  Value placeOf(unsigned loop, const LinearFunction &function);
  bool variesOverRows(const Expression *expression);
  Value lanesIndex(const Monomial &stride);
  Value maskOrAll(Value mask);
  Value emitLoad(Value memory, const LinearFunction &function, Value address, Value mask, bool padded);
  /// The current group of a row, zeros behind it, in every lane.
  Value emitGroup(Value memory, Value address);
  void emitStore(Value memory, const LinearFunction &function, Value address, Value value, Value mask);
  /// Vectors that few rows share come from far: they are prefetched. (For one row the processor's own prefetcher does
  /// better.)
  bool prefetches(const LinearFunction &function);
  void emitPrefetch(Value memory, const LinearFunction &function, Value address);
  void emitPrefetchOfNextPanel(Value memory, Value address);
};

/// A value of memory whose type is wider than its elements': as such a vector, rounded only if it is stored again.
mlir::Value narrow(mlir::OpBuilder &b, mlir::Value value, mlir::Type element, int64_t lanes);
/// A vector for such memory.
mlir::Value widen(mlir::OpBuilder &b, mlir::Value value, mlir::Type element);

/// Access at tiles of rows of one vector each, whose place the caller sets, for kernels that compute the sums in a way
/// of their own.
class TileAccess {
public:
  /// Index arithmetic is emitted at `b`'s insertion point, which must dominate all uses.
  TileAccess(mlir::OpBuilder &b, mlir::func::FuncOp func, const Contraction &contraction, const Plan &plan,
             const CpuTargetModel &machine, const KernelValues &values);

  Symbols &symbols() { return s; }
  /// The first point of the next tile, one value for each loop; null for reductions. With a mask, only its columns
  /// exist.
  void moveTo(llvm::ArrayRef<mlir::Value> point, mlir::Value mask = {});
  /// `expression` at a row of the tile.
  mlir::Value read(const Expression *expression, int64_t band, int64_t row);
  /// Stores the results of a tile whose sums are `accumulators`, row after row.
  void store(llvm::ArrayRef<mlir::Value> accumulators, int64_t bands, int64_t rows);
  /// Writes the borders of the results, once for the whole grid.
  void writeBorders() { access.emitBorders(); }

private:
  Symbols s;
  Access access;
};

} // namespace eyrie::target::cpu
