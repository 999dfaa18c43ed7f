// Tensors in control flow. What a branch or a loop hands on has no sizes of its own when they are dynamic: `tied` says
// them again, and every use goes through it.
#pragma once
#include "compiler/ops/Tensor.h"

namespace eyrie::ops {

/// `v`, which control flow handed on, as a tensor of `shape` (that agrees with its type).
Tensor tied(Builder &b, mlir::Value v, ArrayRef<Dim> shape, bool isUnsigned = false);
/// The same for what was `like` before, whose sign and strings it keeps.
Tensor tied(Builder &b, mlir::Value v, ArrayRef<Dim> shape, const Tensor &like);
/// The value of `t` under the type in which control flow hands it on: `isOpen` dimensions are dynamic.
mlir::Value handedOn(Builder &b, const Tensor &t, mlir::RankedTensorType type);

/// Row `index` of `x` [N, ...]: [...]. A view.
Tensor rowOf(Builder &b, const Tensor &x, Dim index);
/// `x` [N, ...] with row `index` replaced by `row` [...]; in place where nothing else reads `x`.
Tensor withRow(Builder &b, const Tensor &x, const Tensor &row, Dim index);

/// A loop of `trips` turns. `body` gets the number of the turn and the carried tensors and returns their next values,
/// whose types and shapes must be the same. The results are the last values.
SmallVector<Tensor> countedLoop(Builder &b, Dim trips, ArrayRef<Tensor> inits,
                                llvm::function_ref<SmallVector<Tensor>(Dim turn, ArrayRef<Tensor> carried)> body);
/// The same, ending after a turn that sets `goesOn` (a boolean of the host) to false.
SmallVector<Tensor>
loopWhile(Builder &b, Dim trips, ArrayRef<Tensor> inits,
          llvm::function_ref<SmallVector<Tensor>(Dim turn, ArrayRef<Tensor> carried, mlir::Value &goesOn)> body);

} // namespace eyrie::ops
