// A slow and simple evaluator of tensor functions, to compare kernels with. All arithmetic is in double.
#pragma once
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <vector>

namespace eyrie::target::cpu::test {

struct Tensor {
  std::vector<int64_t> shape;
  std::vector<double> data;
  int64_t size() const {
    int64_t n = 1;
    for (int64_t d : shape)
      n *= d;
    return n;
  }
};

/// Runs `func` on tensors and index scalars.
std::vector<Tensor> interpret(mlir::func::FuncOp func, const std::vector<Tensor> &tensors,
                              const std::vector<int64_t> &indices);

} // namespace eyrie::target::cpu::test
