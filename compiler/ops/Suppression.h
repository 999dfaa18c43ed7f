// Non-maximum suppression.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

/// boxes [B, N, 4], scores [B, C, N], one number each (absent: 0 for the limit and the overlap, no bound for the
/// score): the most boxes of a class, the overlap (intersection over union) beyond which a box is dropped, and the
/// score that a box must exceed. Boxes are two corners [y, x, y, x] in any order; `isCentered`: [x, y, width, height].
/// A score that is NaN or minus infinity is none. The result [count, 3] (i64): batch, class and number of each box that
/// stays, by batch and class and falling score.
FailureOr<Tensor> nonMaxSuppression(Builder &b, const Tensor &boxes, const Tensor &scores, const Tensor *most,
                                    const Tensor *overlap, const Tensor *score, bool isCentered);

} // namespace eyrie::ops
