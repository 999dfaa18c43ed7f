// The layers of models with linear attention, which carry a state from call to call. Conventions as in Ops.h.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

struct LinearAttentionAttrs {
  int64_t queryHeads = 0, keyHeads = 0; // a multiple of keyHeads; keyHeads
  bool isGated = false, isDelta = false;
  double scale = 0; // 0: 1 / sqrt(size of a key)
};
/// query [B, T, HQ * K], key [B, T, H * K], value [B, T, H * V], state [B, H, K, V], decay (gated, logarithms)
/// [B, T, H or H * K], beta (delta) [B, T, H or 1]. Results: [B, T, HQ * V], and the state after the last step.
FailureOr<SmallVector<Tensor>> linearAttention(Builder &b, const Tensor &query, const Tensor &key, const Tensor &value,
                                               const Tensor *state, const Tensor *decay, const Tensor *beta,
                                               const LinearAttentionAttrs &attrs);

/// Each channel of x [B, C, L] with its filter [C, 1, K], over the present and K - 1 earlier elements; those before the
/// first are `state` [B, C, K - 1], or zero. Results: [B, C, L] and the next state.
FailureOr<SmallVector<Tensor>> causalConv(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *bias,
                                          const Tensor *state, bool swish);

} // namespace eyrie::ops
