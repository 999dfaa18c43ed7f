// The bytes of globals as the weights section stores them.
#pragma once
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"

namespace eyrie::stream {

/// The stored bytes of one constant tensor: `piece` repeated `repeat` times. `piece` points into the attribute (which
/// may be a mapped model file) whenever the attribute already has the stored layout, so nothing is copied; otherwise
/// it points to `owned`.
struct WeightContent {
  llvm::ArrayRef<char> piece;
  int64_t repeat = 1;
  llvm::SmallVector<char, 0> owned;

  // Never copied, also not by a vector that grows: `piece` would point into the old `owned`.
  WeightContent() = default;
  WeightContent(WeightContent &&) noexcept = default;
  WeightContent &operator=(WeightContent &&) noexcept = default;

  int64_t size() const { return static_cast<int64_t>(piece.size()) * repeat; }
  bool operator==(const WeightContent &other) const { return repeat == other.repeat && piece == other.piece; }
};

/// Bytes of a tensor of static shape, or -1 if its element type cannot be stored.
int64_t getStoredBytes(mlir::ShapedType type);

/// Fails (without a message) if the attribute's type cannot be stored or its blob has another size than its type says.
mlir::FailureOr<WeightContent> getWeightContent(mlir::ElementsAttr value);

} // namespace eyrie::stream
