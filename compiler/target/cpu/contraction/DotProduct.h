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

  /// An accumulation takes `parts` instructions, each with a form of the bytes of its own, which is made once for all
  /// accumulators that use it.
  int64_t parts() const { return unit == DotUnit::Pairs && !sumsFit ? 2 : 1; }
  mlir::Value prepareScalars(mlir::OpBuilder &b, mlir::Location loc, mlir::Value bytes, int64_t part) const;
  mlir::Value prepareVectors(mlir::OpBuilder &b, mlir::Location loc, mlir::Value bytes, int64_t part) const;
  mlir::Value accumulate(mlir::OpBuilder &b, mlir::Location loc, mlir::Value accumulator, mlir::Value scalars,
                         mlir::Value vectors) const;

  /// Does the unit lack this pair of signs? Then it gets the scalars in the other sign, 128 away, and what comes out
  /// must be corrected by the sums of the vectors' bytes, which `accumulate` gives with `ones` for scalars.
  bool shiftsScalars() const;
  mlir::Value ones(mlir::OpBuilder &b, mlir::Location loc, int64_t lanes) const;
  mlir::Value correct(mlir::OpBuilder &b, mlir::Location loc, mlir::Value accumulator, mlir::Value byteSums) const;

private:
  mlir::Value widen(mlir::OpBuilder &b, mlir::Location loc, mlir::Value bytes, bool isSigned, int64_t part) const;
  /// The sign in which the unit sees the scalars.
  bool seesSignedScalars() const { return scalarsAreSigned != shiftsScalars(); }

  DotUnit unit;
  bool scalarsAreSigned, vectorsAreSigned;
  bool sumsFit; // vpmaddubsw multiplies unsigned by signed bytes, and adds two in 16 bits: it must not saturate
};

} // namespace eyrie::target::cpu
