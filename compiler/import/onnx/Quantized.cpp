// Arithmetic on quantised tensors.
#include "compiler/import/onnx/Window.h"

using namespace mlir;

namespace eyrie::import::onnx {
namespace {

Result matmulInteger(OpNode &n) {
  return ops::matmulInteger(n.b, n.required(0), n.required(1), n.input(2), n.input(3));
}

Result convInteger(OpNode &n) {
  ops::WindowAttrs attrs;
  int64_t groups;
  if (!readConvolution(n, attrs, groups))
    return failure();
  return ops::convInteger(n.b, n.required(0), n.required(1), n.input(2), n.input(3), attrs, groups);
}

Result qlinearMatmul(OpNode &n) {
  return ops::qlinearMatmul(n.b, {n.required(0), &n.required(1), &n.required(2)},
                            {n.required(3), &n.required(4), &n.required(5)}, n.required(6), n.required(7));
}

Result qlinearConv(OpNode &n) {
  if (n.input(8) && !n.required(0).isUnsigned && n.required(3).isUnsigned)
    return n.unsupported(
        "signed input with unsigned weights and a bias is not supported: ONNX Runtime gives other numbers");
  ops::WindowAttrs attrs;
  int64_t groups;
  if (!readConvolution(n, attrs, groups))
    return failure();
  return ops::qlinearConv(n.b, {n.required(0), &n.required(1), &n.required(2)},
                          {n.required(3), &n.required(4), &n.required(5)}, n.input(8), n.required(6), n.required(7),
                          attrs, groups);
}

const OpRow rows[] = {
    {"ConvInteger", {10}, 2, 4, convInteger},
    {"DynamicQuantizeLinear",
     {11},
     1,
     1,
     [](OpNode &n) -> Result { return ops::dynamicQuantizeLinear(n.b, n.required(0)); }},
    {"MatMulInteger", {10}, 2, 4, matmulInteger},
    {"QLinearConv", {10}, 8, 9, qlinearConv},
    {"QLinearMatMul", {10, 21}, 8, 8, qlinearMatmul},
};

} // namespace

ArrayRef<OpRow> quantizedOps() { return rows; }

} // namespace eyrie::import::onnx
