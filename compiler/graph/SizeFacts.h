// What is known of a size before the model runs: from promises (`--shape length=64..512:64`) and from how it is
// computed.
#pragma once
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"
#include <cstdint>
#include <functional>

namespace mlir {
class ArrayAttr;
class OpBuilder;
} // namespace mlir

namespace eyrie::graph {

/// least <= size <= most, and `divisor` divides the size.
struct SizeFacts {
  int64_t least = INT64_MIN, most = INT64_MAX;
  int64_t divisor = 1;

  static SizeFacts number(int64_t value) { return {value, value, value ? (value < 0 ? -value : value) : 0}; }
  bool hasBound() const { return most != INT64_MAX; }
  bool isMultipleOf(int64_t n) const { return divisor % n == 0; }
};
SizeFacts operator*(SizeFacts a, SizeFacts b);

/// Follows the arithmetic behind index values down to those that `leaf` knows about.
class SizeAnalysis {
public:
  using Leaf = std::function<SizeFacts(mlir::Value)>;
  explicit SizeAnalysis(Leaf leaf) : leaf(std::move(leaf)) {}
  /// Of values of the host program: leaves are the open dimensions of its arguments.
  static SizeAnalysis ofHost();

  SizeFacts of(mlir::Value size);

private:
  SizeFacts compute(mlir::Value size);
  Leaf leaf;
  llvm::DenseMap<mlir::Value, SizeFacts> known;
};

/// On an executable's function: for each index argument [least, most, divisor] (i64 arrays). Left out where nothing
/// helps.
inline constexpr char kArgSizes[] = "graph.arg_sizes";
mlir::ArrayAttr sizesAttr(mlir::OpBuilder &b, llvm::ArrayRef<SizeFacts> sizes);
/// Index argument `number`, by that attribute (which may be null).
SizeFacts sizeFromAttr(mlir::ArrayAttr sizes, unsigned number);

} // namespace eyrie::graph
