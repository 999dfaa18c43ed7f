// Regions, patches and matrices of images.
#include "compiler/ops/Vision.h"
#include "compiler/import/onnx/Registry.h"

using namespace mlir;

namespace eyrie::import::onnx {
namespace {

Result roiAlign(OpNode &n) {
  ops::RoiAttrs attrs;
  attrs.height = n.integer("output_height", 1), attrs.width = n.integer("output_width", 1);
  attrs.samplingRatio = n.integer("sampling_ratio", 0);
  attrs.scale = n.number("spatial_scale", 1);
  attrs.isMax = n.choice<bool>("mode", false, {{"avg", false}, {"max", true}});
  attrs.halfPixel = n.choice<bool>("coordinate_transformation_mode", n.opset >= 16,
                                   {{"half_pixel", true}, {"output_half_pixel", false}});
  if (attrs.height < 1 || attrs.width < 1 || attrs.samplingRatio < 0)
    return n.fail("attributes 'output_height' and 'output_width' must be positive, 'sampling_ratio' not negative");
  if (!n.isGood())
    return failure();
  return ops::roiAlign(n.b, n.required(0), n.required(1), n.required(2), attrs);
}

Result maxRoiPool(OpNode &n) {
  SmallVector<int64_t> shape = n.integers("pooled_shape");
  if (shape.size() != 2 || shape[0] < 1 || shape[1] < 1)
    return n.fail("attribute 'pooled_shape' must be two positive sizes");
  ops::RoiAttrs attrs;
  attrs.height = shape[0], attrs.width = shape[1];
  attrs.scale = n.number("spatial_scale", 1);
  return ops::maxRoiPool(n.b, n.required(0), n.required(1), attrs);
}

ops::WindowAttrs readWindow(OpNode &n) {
  ops::WindowAttrs attrs;
  attrs.kernel = n.integers("kernel_shape");
  attrs.strides = n.integers("strides");
  attrs.dilations = n.integers("dilations");
  attrs.pads = n.integers("pads");
  return attrs;
}

Result deformConv(OpNode &n) {
  ops::WindowAttrs attrs = readWindow(n);
  int64_t groups = n.integer("group", 1), offsetGroups = n.integer("offset_group", 1);
  if (!n.isGood())
    return failure();
  return ops::deformConv(n.b, n.required(0), n.required(1), n.required(2), n.input(3), n.input(4), attrs, groups,
                         offsetGroups);
}

Result col2Im(OpNode &n) {
  ops::WindowAttrs attrs = readWindow(n);
  return n.isGood() ? Result(ops::col2Im(n.b, n.required(0), n.required(1), n.required(2), attrs)) : Result(failure());
}

Result maxUnpool(OpNode &n) {
  ops::WindowAttrs attrs = readWindow(n);
  if (attrs.kernel.empty())
    return n.fail("attribute 'kernel_shape' is missing");
  return n.isGood() ? Result(ops::maxUnpool(n.b, n.required(0), n.required(1), n.input(2), attrs)) : Result(failure());
}

const OpRow rows[] = {
    {"Col2Im", {18}, 3, 3, col2Im},
    {"DeformConv", {19, 22}, 3, 5, deformConv},
    {"Det", {11, 22}, 1, 1, [](OpNode &n) -> Result { return ops::determinant(n.b, n.required(0)); }},
    {"MaxRoiPool", {1, 22}, 2, 2, maxRoiPool},
    {"MaxUnpool", {9, 11, 22}, 2, 3, maxUnpool},
    {"RoiAlign", {10, 16, 22}, 3, 3, roiAlign},
};

} // namespace

ArrayRef<OpRow> visionOps() { return rows; }

} // namespace eyrie::import::onnx
