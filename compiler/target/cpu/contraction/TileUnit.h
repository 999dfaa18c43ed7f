// AMX: registers of two dimensions ("tiles") of 16 rows of 64 bytes, and products of them. A tile of sums takes the
// products of one of rows, each with 64 bytes of its steps, by one of columns, whose rows are groups of steps and hold
// as many bytes of each column as a group has (DotProduct.h packs them so).
#pragma once
#include "compiler/target/cpu/contraction/DotProduct.h"

namespace eyrie::target::cpu {

class TileUnit {
public:
  static constexpr int64_t rows = 16, rowBytes = 64;
  /// Groups of steps, of four bytes each, in one product.
  static constexpr int64_t groups = rowBytes / 4;

  static bool has(const CpuTargetModel &model, mlir::Type element) {
    return element.isBF16() ? model.amxBf16 : element.isInteger(8) && model.amxInt8;
  }

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
  mlir::Type tileType();

  mlir::OpBuilder &b;
  mlir::Location loc;
};

} // namespace eyrie::target::cpu
