// Sizes of tensors as polynomials of the host program's scalars.
#pragma once
#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/MapVector.h"
#include <map>
#include <vector>

namespace eyrie::stream {

/// A product of unknowns, by ascending number; empty for a constant.
using Monomial = std::vector<unsigned>;
/// coefficient * monomial + ...
using SizeExpr = std::map<Monomial, int64_t>;

/// Reads expressions from index arithmetic. What is not a constant, sum or product is an unknown of its own; unknowns
/// are sizes and assumed not to be negative.
class SizeExprs {
public:
  SizeExpr get(mlir::Value value);
  llvm::ArrayRef<mlir::Value> getUnknowns() const { return unknowns; }

private:
  SizeExpr asUnknown(mlir::Value value);

  std::vector<mlir::Value> unknowns;
  llvm::DenseMap<mlir::Value, unsigned> numbers;
};

} // namespace eyrie::stream
