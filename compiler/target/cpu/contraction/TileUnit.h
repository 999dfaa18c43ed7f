// AMX: registers of two dimensions ("tiles") of 16 rows of 64 bytes, and products of them. A tile of sums takes the
// products of one of rows, each with 64 bytes of its steps, by one of columns, whose rows are groups of steps and hold
// as many bytes of each column as a group has (DotProduct.h packs them so).
#pragma once
#include "compiler/target/cpu/contraction/DotProduct.h"
#include "llvm/Support/MathExtras.h"

namespace eyrie::target::cpu {
struct Access;

class TileUnit {
public:
  static constexpr int64_t rows = 16, rowBytes = 64;
  /// Groups of steps, of four bytes each, in one product.
  static constexpr int64_t groups = rowBytes / 4;

  static bool has(const CpuTargetModel &model, mlir::Type element) {
    return element.isBF16() ? model.amxBf16 : element.isInteger(8) && model.amxInt8;
  }

  /// How many of its registers so many rows take.
  static int64_t tilesOf(int64_t numRows) { return llvm::divideCeil(numRows, rows); }

  TileUnit(mlir::OpBuilder &b, mlir::Location loc) : b(b), loc(loc) {}

  /// Always whole tiles: registers of several shapes cannot take each other's place. In a one-dimensional memref the
  /// rows begin at element `first`, and each lies `pitch` elements behind the one before.
  mlir::Value zero();
  mlir::Value load(mlir::Value memory, mlir::Value first, mlir::Value pitch);
  void store(mlir::Value memory, mlir::Value first, mlir::Value pitch, mlir::Value tile);
  /// sums + ofRows * ofColumns.
  mlir::Value multiply(const DotProduct &product, mlir::Value sums, mlir::Value ofRows, mlir::Value ofColumns);

private:
  mlir::Value pointerTo(mlir::Value memory, mlir::Value index);
  /// Elements of the memref in bytes.
  mlir::Value bytesOf(mlir::Value memory, mlir::Value elements);
  mlir::Value number(int64_t value);
  mlir::Value asI64(mlir::Value index);
  mlir::Value makeTile(llvm::StringRef instruction, mlir::ValueRange arguments);

  mlir::OpBuilder &b;
  mlir::Location loc;
};

/// Local memory for rows and columns that a unit cannot read where they lie.
struct UnitMemory {
  mlir::Value rows, columns;
};

/// Emits the innermost reduction of a tile, whose accumulators are a unit's.
void emitUnitGroups(Access &access, const UnitMemory &memory);

} // namespace eyrie::target::cpu
