// Operations that sample images: grids, regions of interest, deformable convolution, and the ways back from patches.
// Conventions as in Ops.h.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

enum class SampleMode { Nearest, Linear, Cubic };
enum class SamplePadding { Zeros, Border, Reflection };
/// x [N, C, spatial...] at the places that grid [N, out..., R] gives in [-1, 1], last dimension of space first:
/// [N, C, out...]. Any number R of spatial dimensions.
FailureOr<Tensor> gridSample(Builder &b, const Tensor &x, const Tensor &grid, SampleMode mode, SamplePadding padding,
                             bool alignCorners);
/// theta [N, R, R + 1], size [N, C, spatial...] with R = 2 or 3: [N, spatial..., R].
FailureOr<Tensor> affineGrid(Builder &b, const Tensor &theta, const Tensor &size, bool alignCorners);

struct RoiAttrs {
  int64_t height = 1, width = 1, samplingRatio = 0;
  double scale = 1;
  bool isMax = false;     // RoiAlign: else the average
  bool halfPixel = false; // RoiAlign
};
/// x [N, C, H, W], rois [R, 4] (x1, y1, x2, y2), batch [R]: [R, C, height, width].
FailureOr<Tensor> roiAlign(Builder &b, const Tensor &x, const Tensor &rois, const Tensor &batch, const RoiAttrs &attrs);
/// x [N, C, H, W], rois [R, 5] (batch, x1, y1, x2, y2): [R, C, height, width].
FailureOr<Tensor> maxRoiPool(Builder &b, const Tensor &x, const Tensor &rois, const RoiAttrs &attrs);

/// x [N, C, H, W], filter [CO, C/groups, kH, kW], offset [N, offsetGroups * kH * kW * 2, oH, oW], bias [CO],
/// mask [N, offsetGroups * kH * kW, oH, oW].
FailureOr<Tensor> deformConv(Builder &b, const Tensor &x, const Tensor &filter, const Tensor &offset,
                             const Tensor *bias, const Tensor *mask, const WindowAttrs &attrs, int64_t groups,
                             int64_t offsetGroups);

/// x [N, C * product(block), L], image and block shapes [R]: sums of overlapping blocks [N, C, image...].
FailureOr<Tensor> col2Im(Builder &b, const Tensor &x, const Tensor &imageShape, const Tensor &blockShape,
                         const WindowAttrs &attrs);
/// Puts x [N, C, spatial...] at the flat positions `indices` of the tensor that max pooling read. Compares every
/// element of the result with every index.
FailureOr<Tensor> maxUnpool(Builder &b, const Tensor &x, const Tensor &indices, const Tensor *outputShape,
                            const WindowAttrs &attrs);
/// Crops or pads with zeros, around the middle. No axes: all.
FailureOr<Tensor> centerCropPad(Builder &b, const Tensor &x, const Tensor &shape, ArrayRef<int64_t> axes);

} // namespace eyrie::ops
