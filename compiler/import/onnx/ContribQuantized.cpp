// Quantised operations of com.microsoft. Those that are defined by their float counterpart are it, between a
// dequantisation and a quantisation.
#include "compiler/import/onnx/Window.h"

using namespace mlir;
using eyrie::ops::Binary;
using eyrie::ops::Pool;
using eyrie::ops::Unary;

namespace eyrie::import::onnx {
namespace {

/// Operand `i` with its scale and zero point behind it, as floats.
FailureOr<Tensor> dequantized(OpNode &n, size_t i) {
  const Tensor &x = n.required(i), &scale = n.required(i + 1);
  if (!n.isGood())
    return failure();
  return ops::dequantizeLinear(n.b, x, scale, n.input(i + 2), 0);
}

/// A float result in steps of operand `i` (its zero point is behind it, and without one 0); the type is x's.
Result quantized(OpNode &n, FailureOr<Tensor> y, size_t i, const Tensor &x) {
  const Tensor &scale = n.required(i);
  if (failed(y) || !n.isGood())
    return failure();
  return ops::quantizeLinear(n.b, *y, scale, n.input(i + 1), 0, x.elementType, x.isUnsigned);
}

/// The same for the operations that ONNX Runtime rounds after it has added the zero point: ties go to the even result.
Result quantizedWithZero(OpNode &n, FailureOr<Tensor> y, size_t i, const Tensor &x) {
  const Tensor &scale = n.required(i);
  auto steps = failed(y) || !n.isGood() ? FailureOr<Tensor>(failure()) : ops::binary(n.b, Binary::Div, *y, scale);
  if (succeeded(steps) && n.input(i + 1)) {
    auto zero = ops::cast(n.b, *n.input(i + 1), steps->elementType, false);
    steps = failed(zero) ? zero : ops::binary(n.b, Binary::Add, *steps, *zero);
  }
  if (failed(steps))
    return failure();
  return ops::quantizeLinear(n.b, *steps, n.b.splat({}, steps->elementType, 1), nullptr, 0, x.elementType,
                             x.isUnsigned);
}

Result qlinearAdd(OpNode &n) {
  auto x = dequantized(n, 0), y = failed(x) ? x : dequantized(n, 3);
  return quantizedWithZero(n, failed(y) ? y : ops::binary(n.b, Binary::Add, *x, *y), 6, n.required(0));
}

Result qlinearMul(OpNode &n) {
  auto x = dequantized(n, 0), y = failed(x) ? x : dequantized(n, 3);
  return quantized(n, failed(y) ? y : ops::binary(n.b, Binary::Mul, *x, *y), 6, n.required(0));
}

Result qlinearSigmoid(OpNode &n) {
  auto x = dequantized(n, 0);
  return quantized(n, failed(x) ? x : ops::unary(n.b, Unary::Sigmoid, *x), 3, n.required(0));
}

Result qlinearLeakyRelu(OpNode &n) {
  auto x = dequantized(n, 0);
  double alpha = n.number("alpha", 0.01f);
  return quantized(n, failed(x) ? x : ops::unary(n.b, Unary::LeakyRelu, *x, alpha), 3, n.required(0));
}

Result qlinearSoftmax(OpNode &n) {
  bool isFlattened = n.requiredInteger("opset") < 13;
  int64_t axis = n.integer("axis", isFlattened ? 1 : -1);
  auto x = dequantized(n, 0);
  return quantized(n, failed(x) ? x : ops::softmax(n.b, *x, axis, isFlattened), 3, n.required(0));
}

/// Data that come with the channels last.
FailureOr<Tensor> channelsFirst(OpNode &n, const Tensor &x) {
  if (x.rank() < 2)
    return n.fail("data with the channels last must have rank 2 or more, found " + x.str());
  return ops::toChannelsFirst(n.b, x);
}

/// A pooling between a dequantisation and a quantisation.
Result qlinearPool(OpNode &n, llvm::function_ref<FailureOr<Tensor>(const Tensor &)> pool) {
  bool isLast = n.flag("channels_last", false);
  auto x = dequantized(n, 0);
  if (succeeded(x) && isLast)
    x = channelsFirst(n, *x);
  auto y = failed(x) ? x : pool(*x);
  if (succeeded(y) && isLast)
    y = ops::toChannelsLast(n.b, *y);
  return quantizedWithZero(n, y, 3, n.required(0));
}

Result qlinearAveragePool(OpNode &n) {
  ops::PoolAttrs attrs;
  if (!readPool(n, attrs))
    return failure();
  return qlinearPool(n, [&](const Tensor &x) { return ops::pool(n.b, Pool::Average, x, attrs); });
}

Result qlinearGlobalAveragePool(OpNode &n) {
  return qlinearPool(n, [&](const Tensor &x) { return ops::globalPool(n.b, Pool::Average, x); });
}

Result qlinearReduceMean(OpNode &n) {
  SmallVector<int64_t> axes = n.integers("axes");
  bool keepDims = n.flag("keepdims", true);
  auto x = dequantized(n, 0);
  return quantized(n, failed(x) ? x : ops::reduce(n.b, ops::Reduce::Mean, *x, axes, keepDims), 3, n.required(0));
}

Result qlinearWhere(OpNode &n) {
  auto x = dequantized(n, 1), y = failed(x) ? x : dequantized(n, 4);
  return quantized(n, failed(y) ? y : ops::where(n.b, n.required(0), *x, *y), 7, n.required(1));
}

Result qlinearConcat(OpNode &n) {
  int64_t axis = n.requiredInteger("axis");
  if (n.numInputs() < 5 || n.numInputs() % 3 != 2)
    return n.fail("has " + llvm::Twine(n.numInputs()) + " inputs, expected a scale, a zero point and triples of data");
  SmallVector<Tensor> parts;
  for (size_t i = 2; i < n.numInputs(); i += 3) {
    auto part = dequantized(n, i);
    if (failed(part))
      return failure();
    parts.push_back(*part);
  }
  return quantized(n, ops::concat(n.b, parts, axis), 0, n.required(2));
}

Result quantize(OpNode &n) {
  const Tensor *zero = n.input(2);
  Type type = zero ? zero->elementType : Type(n.b.builder.getI8Type());
  return ops::quantizeLinear(n.b, n.required(0), n.required(1), zero, n.integer("axis", 1), type,
                             !zero || zero->isUnsigned);
}

Result dequantize(OpNode &n) {
  return ops::dequantizeLinear(n.b, n.required(0), n.required(1), n.input(2), n.integer("axis", 1));
}

/// QLinearConv of this domain knows data with the channels last; the filter is laid out as ever.
Result qlinearConv(OpNode &n) {
  bool isLast = n.flag("channels_last", false);
  ops::WindowAttrs attrs;
  int64_t groups;
  if (!readConvolution(n, attrs, groups))
    return failure();
  auto x = isLast ? channelsFirst(n, n.required(0)) : FailureOr<Tensor>(n.required(0));
  if (failed(x))
    return failure();
  auto y = ops::qlinearConv(n.b, {*x, &n.required(1), &n.required(2)}, {n.required(3), &n.required(4), &n.required(5)},
                            n.input(8), n.required(6), n.required(7), attrs, groups);
  return failed(y) || !isLast ? y : FailureOr<Tensor>(ops::toChannelsLast(n.b, *y));
}

Result matmulIntegerToFloat(OpNode &n) {
  return ops::scaledMatmulInteger(n.b, {n.required(0), &n.required(2), n.input(4)},
                                  {n.required(1), &n.required(3), n.input(5)}, n.input(6));
}

Result dynamicQuantizeMatMul(OpNode &n) {
  auto x = ops::dynamicQuantizeLinear(n.b, n.required(0));
  if (failed(x))
    return failure();
  return ops::scaledMatmulInteger(n.b, {(*x)[0], &(*x)[1], &(*x)[2]}, {n.required(1), &n.required(2), n.input(3)},
                                  n.input(4));
}

/// alpha * (A B + C), C in steps of A's scale times B's; in float when the result has no scale.
Result qgemm(OpNode &n) {
  Tensor x = n.required(0), y = n.required(3);
  double alpha = n.number("alpha", 1);
  for (auto [t, name] : {std::pair(&x, "transA"), {&y, "transB"}}) {
    if (!n.flag(name, false))
      continue;
    auto turned = ops::transpose(n.b, *t, {});
    if (failed(turned))
      return failure();
    *t = *turned;
  }
  auto sums = ops::matmulInteger(n.b, x, y, n.input(2), n.input(5));
  if (succeeded(sums) && n.input(6))
    sums = ops::binary(n.b, Binary::Add, *sums, *n.input(6));
  const Tensor &xScale = n.required(1);
  if (failed(sums) || !n.isGood())
    return failure();
  auto scale = ops::binary(n.b, Binary::Mul, xScale, n.required(4));
  if (succeeded(scale) && alpha != 1)
    scale = ops::binary(n.b, Binary::Mul, *scale, n.b.splat({}, xScale.elementType, alpha));
  auto floats = failed(scale) ? scale : ops::cast(n.b, *sums, xScale.elementType, false);
  auto result = failed(floats) ? floats : ops::binary(n.b, Binary::Mul, *floats, *scale);
  return n.input(7) ? quantized(n, result, 7, n.required(0)) : Result(result);
}

const OpRow rows[] = {
    {"com.microsoft::DequantizeLinear", {1}, 2, 3, dequantize},
    {"com.microsoft::DynamicQuantizeMatMul", {1}, 3, 5, dynamicQuantizeMatMul},
    {"com.microsoft::MatMulIntegerToFloat", {1}, 4, 7, matmulIntegerToFloat},
    {"com.microsoft::QGemm", {1}, 6, 9, qgemm},
    {"com.microsoft::QLinearAdd", {1}, 7, 8, qlinearAdd},
    {"com.microsoft::QLinearAveragePool", {1}, 4, 5, qlinearAveragePool},
    {"com.microsoft::QLinearConcat", {1}, 5, kAnyNumber, qlinearConcat},
    {"com.microsoft::QLinearConv", {1}, 8, 9, qlinearConv},
    {"com.microsoft::QLinearGlobalAveragePool", {1}, 5, 5, qlinearGlobalAveragePool},
    {"com.microsoft::QLinearLeakyRelu", {1}, 4, 5, qlinearLeakyRelu},
    {"com.microsoft::QLinearMul", {1}, 7, 8, qlinearMul},
    {"com.microsoft::QLinearReduceMean", {1}, 4, 5, qlinearReduceMean},
    {"com.microsoft::QLinearSigmoid", {1}, 4, 5, qlinearSigmoid},
    {"com.microsoft::QLinearSoftmax", {1}, 5, 5, qlinearSoftmax},
    {"com.microsoft::QLinearWhere", {1}, 9, 9, qlinearWhere},
    {"com.microsoft::QuantizeLinear", {1}, 2, 3, quantize},
};

} // namespace

ArrayRef<OpRow> contribQuantizedOps() { return rows; }

} // namespace eyrie::import::onnx
