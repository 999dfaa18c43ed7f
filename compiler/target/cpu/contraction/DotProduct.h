// Products of narrow factors, several to a lane: each 32-bit lane of an accumulator takes the products of the four
// bytes, or the two bf16, that stand in its place in two vectors of them.
#pragma once
#include "compiler/target/cpu/CpuTargetModel.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace eyrie::target::cpu {

/// A body that is acc + ext(a) * ext(b), in 32 bits: of bytes, where each ext is that of its operand's sign, or of
/// bf16.
struct NarrowProduct {
  unsigned operands[2]; // numbers of the root's inputs
  bool isSigned[2];
  mlir::Type element; // i8 or bf16
};
/// If the processor has dot products of such factors.
std::optional<NarrowProduct> matchNarrowProduct(mlir::linalg::GenericOp root, const CpuTargetModel &model);

/// Steps of a reduction that a dot product of elements of this type takes.
inline int64_t dotGroup(mlir::Type element) { return 32 / element.getIntOrFloatBitWidth(); }

/// How one processor computes them. `scalars` are a group of a row, the same in every lane, `vectors` those of columns.
/// Of bytes all of it is exact: no lowering saturates. Of bf16 the products are exact, and summed in f32.
class DotProduct {
public:
  /// Side `scalarSide` of `product` is the scalars'. `largestVector`: no larger magnitude is among the vectors' bytes.
  DotProduct(const CpuTargetModel &model, const NarrowProduct &product, unsigned scalarSide, int64_t largestVector);

  mlir::Type elementType() const { return element; }
  bool hasSignedScalars() const { return scalarsAreSigned; }
  bool hasSignedVectors() const { return vectorsAreSigned; }
  /// Steps of the reduction in one product.
  int64_t group() const { return dotGroup(element); }

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

  mlir::Type element;
  DotUnit unit;
  bool scalarsAreSigned, vectorsAreSigned;
  bool isWasm;
  bool sumsFit; // vpmaddubsw multiplies unsigned by signed bytes, and adds two in 16 bits: it must not saturate
};

} // namespace eyrie::target::cpu
