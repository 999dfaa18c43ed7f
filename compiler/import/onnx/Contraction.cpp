#include "compiler/import/onnx/Registry.h"

namespace eyrie::import::onnx {
namespace {

Result gemm(OpNode &n) {
  return ops::gemm(n.b, n.required(0), n.required(1), n.input(2), n.number("alpha", 1), n.number("beta", 1),
                   n.flag("transA", false), n.flag("transB", false));
}

Result einsum(OpNode &n) {
  if (!n.has("equation"))
    return n.fail("attribute 'equation' is missing");
  return ops::einsum(n.b, n.string("equation", ""), n.all());
}

const OpRow rows[] = {
    {"Einsum", {12, 28}, 1, kAnyNumber, einsum},
    {"Gemm", {1, 6, 7, 9, 11, 13}, 2, 3, gemm},
    {"MatMul", {1, 9, 13}, 2, 2, [](OpNode &n) -> Result { return ops::matmul(n.b, n.required(0), n.required(1)); }},
};

} // namespace

ArrayRef<OpRow> contractionOps() { return rows; }

} // namespace eyrie::import::onnx
