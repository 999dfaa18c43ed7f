// Evaluates the scalar bodies of linalg.generic ops on vectors.
#pragma once
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace eyrie::target::cpu {

/// Is every operation of the body one that this file can evaluate? If not, `reason` names the one that is not.
/// `areElementsGiven`: will what tensor.extract gives be among the arguments?
bool canEvaluateBody(mlir::linalg::GenericOp generic, std::string &reason, bool areElementsGiven = false);

/// Is `value` computed from the function's index arguments alone, so that another function can compute it again?
bool computesFromIndices(mlir::Value value);

/// Calls back for every value of the function around it that the body uses, but constants and tensors.
void forEachCapture(mlir::linalg::GenericOp generic, llvm::function_ref<void(mlir::Value)> callback);

/// Emits the body on `arguments`, those of the block and then the elements that tensor.extract takes, each a scalar
/// (the same in all lanes) or a vector of `lanes` elements, and returns the values yielded, likewise. Operations on
/// scalars only stay scalar. `index(l)` gives the value of `linalg.index l`, `capture(v)` that of a captured value.
/// With `fma`, an addition of a product is emitted as one vector.fma. Of `known`, from values of the body to emitted
/// ones, those that are there are taken, and null ones are filled in.
llvm::SmallVector<mlir::Value> evaluateBody(mlir::OpBuilder &b, mlir::linalg::GenericOp generic,
                                            llvm::ArrayRef<mlir::Value> arguments, int64_t lanes, bool fma,
                                            llvm::function_ref<mlir::Value(unsigned)> index,
                                            llvm::function_ref<mlir::Value(mlir::Value)> capture,
                                            llvm::SmallDenseMap<mlir::Value, mlir::Value, 1> *known = nullptr);

/// The operation that takes an element into a reduction's value, in any order, or null. `generic` has one result.
mlir::Operation *combinerOf(mlir::linalg::GenericOp generic);
/// The same of two values of the reduction, scalars or vectors.
mlir::Value emitCombiner(mlir::OpBuilder &b, mlir::Operation *combiner, mlir::Value first, mlir::Value second);

/// What `value` was before arithmetic within the kernel rounded it to its type (a cast of the model's is no such
/// rounding); null if it was not.
mlir::Value unrounded(mlir::Value value);

/// `value` as a vector of `lanes` elements.
mlir::Value broadcastTo(mlir::OpBuilder &b, mlir::Value value, int64_t lanes);

} // namespace eyrie::target::cpu
