// Operations on images: regions of interest, deformable convolution, the ways back from patches; determinants.
// Conventions as in Ops.h.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

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
/// x [..., M, M]: [...].
FailureOr<Tensor> determinant(Builder &b, const Tensor &x);

} // namespace eyrie::ops
