// Losses.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

enum class LossReduction { None, Sum, Mean };
struct LossAttrs {
  LossReduction reduction = LossReduction::Mean;
  std::optional<int64_t> ignoreIndex; // targets of this class count nothing
};
/// x [N, C, spatial...] (log-probabilities), target [N, spatial...] (classes), weight [C]. Mean: weighted.
FailureOr<Tensor> negativeLogLikelihoodLoss(Builder &b, const Tensor &x, const Tensor &target, const Tensor *weight,
                                            const LossAttrs &attrs);
/// The same for scores. Results: the loss, the log-probabilities.
FailureOr<SmallVector<Tensor>> softmaxCrossEntropyLoss(Builder &b, const Tensor &scores, const Tensor &target,
                                                       const Tensor *weight, const LossAttrs &attrs);

} // namespace eyrie::ops
