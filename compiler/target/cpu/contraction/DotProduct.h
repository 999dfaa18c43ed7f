// Products of bytes, four to a lane: each 32-bit lane of an accumulator takes the products of the four bytes that stand
// in its place in two vectors of bytes.
#pragma once
#include "compiler/target/cpu/CpuTargetModel.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace eyrie::target::cpu {

/// Steps of a reduction that one dot product takes.
inline constexpr int64_t dotGroup = 4;

/// A body that is acc + ext(a) * ext(b) of bytes in 32 bits, where each ext is that of its operand's sign.
struct ByteProduct {
  unsigned operands[2]; // numbers of the root's inputs
  bool isSigned[2];
};
std::optional<ByteProduct> matchByteProduct(mlir::linalg::GenericOp root);

/// How one processor computes them. `scalars` are four bytes of a row, the same in every lane, `vectors` those of
/// columns. All of it is exact: no lowering saturates.
class DotProduct {
public:
  /// `largestVector`: no larger magnitude is among the vectors' bytes.
  DotProduct(const CpuTargetModel &model, bool scalarsAreSigned, bool vectorsAreSigned, int64_t largestVector);

  /// The forms in which `accumulate` wants the bytes: made once for all accumulators that use them.
  llvm::SmallVector<mlir::Value, 2> prepareScalars(mlir::OpBuilder &b, mlir::Location loc, mlir::Value bytes) const;
  llvm::SmallVector<mlir::Value, 2> prepareVectors(mlir::OpBuilder &b, mlir::Location loc, mlir::Value bytes) const;
  mlir::Value accumulate(mlir::OpBuilder &b, mlir::Location loc, mlir::Value accumulator,
                         llvm::ArrayRef<mlir::Value> scalars, llvm::ArrayRef<mlir::Value> vectors) const;
  /// Registers that one prepared operand takes.
  int64_t parts() const { return unit == DotUnit::Pairs && !sumsFit ? 2 : 1; }

  /// Does the unit lack this pair of signs? Then it gets the scalars in the other sign, 128 away, and what comes out
  /// must be corrected by the sums of the vectors' bytes, which `accumulate` gives with `ones` for scalars.
  bool shiftsScalars() const;
  llvm::SmallVector<mlir::Value, 2> ones(mlir::OpBuilder &b, mlir::Location loc, int64_t lanes) const;
  mlir::Value correct(mlir::OpBuilder &b, mlir::Location loc, mlir::Value accumulator, mlir::Value byteSums) const;

private:
  llvm::SmallVector<mlir::Value, 2> widenPairs(mlir::OpBuilder &b, mlir::Location loc, mlir::Value bytes,
                                               bool isSigned) const;
  /// The sign in which the unit sees the scalars.
  bool seesSignedScalars() const { return scalarsAreSigned != shiftsScalars(); }

  DotUnit unit;
  bool scalarsAreSigned, vectorsAreSigned;
  bool sumsFit; // vpmaddubsw multiplies unsigned by signed bytes, and adds two in 16 bits: it must not saturate
};

} // namespace eyrie::target::cpu
