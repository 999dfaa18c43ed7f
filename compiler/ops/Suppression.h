// Non-maximum suppression.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

struct SuppressionAttrs {
  bool isCentered = false; // boxes are [x, y, width, height] of the center, not two corners [y, x, y, x]
};
/// boxes [B, N, 4], scores [B, C, N], one number each (absent: 0 for the limit and the overlap, no bound for the
/// score): the most boxes of a class, the overlap (intersection over union) from which on a box is dropped, and the
/// score that a box must exceed. The result [count, 3] (i64): batch, class and number of each box that stays, by batch
/// and class and falling score. A score that is NaN or minus infinity is none.
FailureOr<Tensor> nonMaxSuppression(Builder &b, const Tensor &boxes, const Tensor &scores, const Tensor *most,
                                    const Tensor *overlap, const Tensor *score, const SuppressionAttrs &attrs);

} // namespace eyrie::ops
