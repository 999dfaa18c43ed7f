// Operations on sequences of tokens. Conventions as in Ops.h.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

struct TfIdfAttrs {
  enum class Mode { Tf, Idf, TfIdf } mode = Mode::Tf;
  int64_t minLength = 1, maxLength = 1; // of the n-grams that are counted
  int64_t maxSkip = 0;
  /// All n-grams one after the other, those of one token first; counts[n] is where those of n + 1 tokens start.
  SmallVector<int64_t> pool, counts;
  SmallVector<int64_t> columns; // of the result, one for each n-gram
  SmallVector<double> weights;  // one for each n-gram; empty: 1
};
/// x [C] or [N, C] tokens (integers): how often each n-gram occurs, [columns] or [N, columns], f32.
FailureOr<Tensor> tfIdfVectorizer(Builder &b, const Tensor &x, const TfIdfAttrs &attrs);

} // namespace eyrie::ops
