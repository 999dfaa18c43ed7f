// Random numbers.
#include "compiler/ops/Random.h"
#include "compiler/import/onnx/Registry.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;

namespace eyrie::import::onnx {
namespace {

/// The stream of a node: from its attribute 'seed', and without one from the name of its result, so that two nodes
/// differ. Either way every call gives the same numbers.
ops::RandomKey keyOfName(OpNode &n) {
  uint64_t hash = llvm::xxh3_64bits(n.node.outputs.empty() ? StringRef() : n.node.outputs[0]);
  return {static_cast<uint32_t>(hash), static_cast<uint32_t>(hash >> 32) | 1};
}

ops::RandomKey keyOf(OpNode &n) {
  if (n.has("seed"))
    return {llvm::bit_cast<uint32_t>(static_cast<float>(n.number("seed", 0))), 0};
  return keyOfName(n);
}

/// Attribute 'dtype', or the type of the operand.
OpNode::TypeAndSign typeOf(OpNode &n, const Tensor *like) {
  if (!like || n.integer("dtype", 0))
    return n.elementType("dtype", 1);
  return {like->elementType, like->isUnsigned};
}

template <bool isNormal> Result random(OpNode &n, ArrayRef<ops::Dim> shape, const Tensor *like) {
  Type type = typeOf(n, like).type;
  double first = isNormal ? n.number("mean", 0) : n.number("low", 0);
  double second = isNormal ? n.number("scale", 1) : n.number("high", 1);
  ops::RandomKey key = keyOf(n);
  if (!n.isGood())
    return failure();
  return isNormal ? ops::randomNormal(n.b, key, shape, type, first, second)
                  : ops::randomUniform(n.b, key, shape, type, first, second);
}

template <bool isNormal> Result randomOfShape(OpNode &n) {
  if (!n.has("shape"))
    return n.fail("attribute 'shape' is missing");
  ops::Dims shape;
  for (int64_t size : n.integers("shape")) {
    if (size < 0)
      return n.fail("attribute 'shape' holds the negative size " + llvm::Twine(size));
    shape.push_back(size);
  }
  return random<isNormal>(n, shape, nullptr);
}

template <bool isNormal> Result randomLike(OpNode &n) {
  const Tensor &x = n.required(0);
  return random<isNormal>(n, x.shape, &x);
}

Result bernoulli(OpNode &n) {
  const Tensor &x = n.required(0);
  auto [type, isUnsigned] = typeOf(n, &x);
  ops::RandomKey key = keyOf(n);
  return n.isGood() ? Result(ops::bernoulli(n.b, key, x, type, isUnsigned)) : Result(failure());
}

Result multinomial(OpNode &n) {
  auto [type, isUnsigned] = n.elementType("dtype", 6);
  ops::RandomKey key = keyOf(n);
  int64_t samples = n.integer("sample_size", 1);
  if (!n.isGood())
    return failure();
  return ops::multinomial(n.b, key, n.required(0), samples, type, isUnsigned);
}

/// Where elements may be lost: since operator set 12 if an operand says so, before 7 unless attribute 'is_test' is set,
/// in between nowhere.
Result dropout(OpNode &n) {
  const Tensor &x = n.required(0);
  const Tensor *training = n.opset >= 12 ? n.input(2) : nullptr, *ratio = n.opset >= 12 ? n.input(1) : nullptr;
  Type maskType = n.opset >= 10 ? Type(n.b.builder.getI1Type()) : x.elementType;
  Tensor always = n.b.splat({}, n.b.builder.getI1Type(), 1), share;
  if (n.opset < 7 && !n.flag("is_test", false)) {
    share = n.b.splat({}, n.b.builder.getF32Type(), n.number("ratio", 0.5));
    training = &always, ratio = &share;
  }
  if (!training || ops::splatValue(*training) == 0.0) {
    SmallVector<Tensor> results{x};
    if (n.wantsOutput(1))
      results.push_back(n.b.splat(x.shape, maskType, 1));
    return results;
  }
  ops::RandomKey key = keyOfName(n);
  if (n.has("seed"))
    key = {static_cast<uint32_t>(n.integer("seed", 0)), 0};
  auto results = n.isGood() ? ops::dropout(n.b, key, x, ratio, *training) : FailureOr<SmallVector<Tensor>>(failure());
  if (failed(results))
    return failure();
  FailureOr<Tensor> mask = ops::cast(n.b, (*results)[1], maskType, false);
  if (failed(mask))
    return failure();
  (*results)[1] = *mask;
  results->truncate(n.wantsOutput(1) ? 2 : 1);
  return results;
}

const OpRow rows[] = {
    {"Bernoulli", {15, 22}, 1, 1, bernoulli},
    {"Dropout", {1, 6, 7, 10, 12, 13, 22}, 1, 3, dropout},
    {"Multinomial", {7, 22}, 1, 1, multinomial},
    {"RandomNormal", {1, 22}, 0, 0, randomOfShape<true>},
    {"RandomNormalLike", {1, 22}, 1, 1, randomLike<true>},
    {"RandomUniform", {1, 22}, 0, 0, randomOfShape<false>},
    {"RandomUniformLike", {1, 22}, 1, 1, randomLike<false>},
};

} // namespace

ArrayRef<OpRow> randomOps() { return rows; }

} // namespace eyrie::import::onnx
