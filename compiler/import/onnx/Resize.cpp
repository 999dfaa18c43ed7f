#include "compiler/import/onnx/Registry.h"

using namespace mlir;
using namespace eyrie::ops;

namespace eyrie::import::onnx {
namespace {

/// An operand that is absent or, as older exporters write it, has no elements.
const Tensor *nonEmpty(const Tensor *t) { return t && t->rank() == 1 && t->shape[0].is(0) ? nullptr : t; }

ResizeMode readMode(OpNode &n) {
  return n.choice<ResizeMode>("mode", ResizeMode::Nearest,
                              {{"nearest", ResizeMode::Nearest},
                               {"linear", ResizeMode::Linear},
                               {"bilinear", ResizeMode::Linear},
                               {"cubic", ResizeMode::Cubic}});
}

/// Before operator set 11 coordinates are scaled without an offset and rounded down.
ResizeAttrs oldAttrs(OpNode &n) {
  ResizeAttrs attrs;
  attrs.mode = readMode(n);
  attrs.coordinates = CoordinateMode::Asymmetric;
  attrs.nearest = NearestMode::Floor;
  return attrs;
}

Result resize(OpNode &n) {
  if (n.opset < 11)
    return ops::resize(n.b, n.required(0), nullptr, &n.required(1), nullptr, oldAttrs(n));
  using C = CoordinateMode;
  using N = NearestMode;
  using P = AspectPolicy;
  ResizeAttrs attrs;
  attrs.mode = readMode(n);
  attrs.coordinates = n.choice<C>("coordinate_transformation_mode", C::HalfPixel,
                                  {{"half_pixel", C::HalfPixel},
                                   {"half_pixel_symmetric", C::HalfPixelSymmetric},
                                   {"pytorch_half_pixel", C::PytorchHalfPixel},
                                   {"align_corners", C::AlignCorners},
                                   {"asymmetric", C::Asymmetric},
                                   {"tf_half_pixel_for_nn", C::TfHalfPixelForNn},
                                   {"tf_crop_and_resize", C::TfCropAndResize}});
  attrs.nearest = n.choice<N>("nearest_mode", N::RoundPreferFloor,
                              {{"round_prefer_floor", N::RoundPreferFloor},
                               {"round_prefer_ceil", N::RoundPreferCeil},
                               {"floor", N::Floor},
                               {"ceil", N::Ceil}});
  attrs.policy = n.choice<P>("keep_aspect_ratio_policy", P::Stretch,
                             {{"stretch", P::Stretch}, {"not_larger", P::NotLarger}, {"not_smaller", P::NotSmaller}});
  attrs.cubicCoefficient = n.number("cubic_coeff_a", -0.75);
  attrs.excludeOutside = n.flag("exclude_outside", false);
  attrs.antialias = n.flag("antialias", false);
  attrs.extrapolationValue = n.number("extrapolation_value", 0);
  attrs.axes = n.integers("axes");
  if (!n.isGood())
    return failure();
  const Tensor *roi = attrs.coordinates == C::TfCropAndResize ? nonEmpty(n.input(1)) : nullptr;
  const Tensor *scales = nonEmpty(n.input(2)), *sizes = nonEmpty(n.input(3));
  if (!scales == !sizes)
    return n.fail("needs either the input 'scales' or the input 'sizes'");
  return ops::resize(n.b, n.required(0), roi, scales, sizes, attrs);
}

Result upsample(OpNode &n) {
  if (n.opset >= 9)
    return ops::resize(n.b, n.required(0), nullptr, &n.required(1), nullptr, oldAttrs(n));
  SmallVector<double> scales = n.numbers("scales");
  SmallVector<float> elements(scales.begin(), scales.end());
  auto type = RankedTensorType::get({static_cast<int64_t>(elements.size())}, n.b.builder.getF32Type());
  Tensor tensor = fromConstant(DenseElementsAttr::get(type, ArrayRef<float>(elements)));
  return ops::resize(n.b, n.required(0), nullptr, &tensor, nullptr, oldAttrs(n));
}

const OpRow rows[] = {
    {"Resize", {10, 11, 13, 18, 19}, 1, 4, resize},
    {"Upsample", {1, 7, 9}, 1, 2, upsample},
};

} // namespace

ArrayRef<OpRow> resizeOps() { return rows; }

} // namespace eyrie::import::onnx
