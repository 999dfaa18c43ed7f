// Operations of ai.onnx.ml.
#include "compiler/import/onnx/Registry.h"

using namespace mlir;
using eyrie::ops::Binary;

namespace eyrie::import::onnx {
namespace {

Tensor floats(OpNode &n, ArrayRef<int64_t> shape, ArrayRef<double> values, Type type) {
  SmallVector<APFloat> elements;
  for (double value : values) {
    APFloat element(value);
    bool losesInfo;
    element.convert(cast<FloatType>(type).getFloatSemantics(), APFloat::rmNearestTiesToEven, &losesInfo);
    elements.push_back(element);
  }
  return ops::fromConstant(DenseElementsAttr::get(RankedTensorType::get(shape, type), elements));
}

/// (x - offset) * scale, one value for all features or one for each; float32 whatever the input.
Result scaler(OpNode &n) {
  const Tensor &x = n.required(0);
  SmallVector<double> offset = n.numbers("offset"), scale = n.numbers("scale");
  if (!n.isGood())
    return failure();
  if (offset.empty() || scale.size() != offset.size())
    return n.fail("attributes 'offset' and 'scale' have " + Twine(offset.size()) + " and " + Twine(scale.size()) +
                  " values, expected the same number, at least one");
  if (x.rank() < 1)
    return n.fail("input 0 is a scalar, expected features in its last dimension");
  int64_t size = offset.size();
  std::optional<int64_t> features = x.shape.back().asConstant();
  if (size > 1 && !features)
    return n.unsupported("the last dimension of input 0 is not known, expected " + Twine(size) +
                         " (give it with --shape)");
  if (size > 1 && *features != size)
    return n.fail("attribute 'offset' has " + Twine(size) + " values, expected 1 or the " + Twine(*features) +
                  " of the last dimension of input 0");
  Type f32 = n.b.builder.getF32Type(), type = x.elementType.isF64() ? x.elementType : Type(f32);
  auto y = ops::cast(n.b, x, type, false);
  if (succeeded(y))
    y = ops::binary(n.b, Binary::Sub, *y, floats(n, {size}, offset, type));
  if (succeeded(y))
    y = ops::binary(n.b, Binary::Mul, *y, floats(n, {size}, scale, type));
  return failed(y) ? Result(failure()) : Result(ops::cast(n.b, *y, f32, false));
}

const OpRow rows[] = {{"ai.onnx.ml::Scaler", {1}, 1, 1, scaler}};

} // namespace

ArrayRef<OpRow> machineLearningOps() { return rows; }

} // namespace eyrie::import::onnx
