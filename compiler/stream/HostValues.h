// Scalars of the host program: sizes of tensors, and making a scalar available at an earlier place.
#pragma once
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"

namespace eyrie::stream {

/// Makes scalars available before the place where they are computed, by copying the pure arithmetic behind them.
class Availability {
public:
  /// A value that equals `value` and can be used at `before`. Null if it depends on something that exists only later,
  /// such as an element read back from a tensor. Divisions that move out of an scf.if are made safe against a zero
  /// divisor, since they may now run where the program would not have run them.
  mlir::Value get(mlir::Value value, mlir::Operation *before);
  /// Like get, for sizes: where the value depends on a condition that exists only later, a value that is never smaller.
  mlir::Value getUpperBound(mlir::Value value, mlir::Operation *before);
  /// The same as get for all of `values`; false if one is not available.
  bool get(llvm::SmallVectorImpl<mlir::OpFoldResult> &values, mlir::Operation *before);

private:
  llvm::DenseMap<std::pair<mlir::Value, mlir::Operation *>, mlir::Value> known;
};

mlir::Value getIndexConstant(mlir::OpBuilder &b, mlir::Location loc, int64_t value);

/// As a value, creating a constant if needed.
mlir::Value materialize(mlir::OpBuilder &b, mlir::Location loc, mlir::OpFoldResult size);

/// Bytes of a tensor of the given sizes: constants are folded together, `product * constant`.
mlir::Value getByteCount(mlir::OpBuilder &b, mlir::Location loc, llvm::ArrayRef<mlir::OpFoldResult> sizes,
                         mlir::Type elementType);

/// The last of them: the node that makes a value. Empty if there is none.
llvm::StringRef getNodeName(mlir::Location loc);
/// The names in a location (those of the model's nodes), each once, in order.
llvm::SmallVector<llvm::StringRef> getNodeNames(mlir::Location loc);

} // namespace eyrie::stream
