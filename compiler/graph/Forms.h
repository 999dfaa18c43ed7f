// Forms of operations that passes and targets recognise alike.
#pragma once
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace eyrie::graph {

/// What a convolution by Winograd's method computes before `last`, the operation that is marked with kWinograd: the
/// products, and the input's tiles.
std::array<mlir::linalg::GenericOp, 2> getWinogradParts(mlir::Operation *last);

/// Does it pad with one number that is known, by numbers of elements that are known?
bool isConstantPadding(mlir::tensor::PadOp pad);

} // namespace eyrie::graph
