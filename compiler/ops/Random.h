// Random numbers. Each element is a function of a key and the element's number alone (Philox4x32-10, Salmon et al.
// 2011), so a result depends neither on threads nor on earlier calls. Conventions as in Ops.h.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

/// Which stream of numbers: equal keys give equal numbers.
struct RandomKey {
  uint32_t low = 0, high = 0;
};
/// Floats in [low, high).
FailureOr<Tensor> randomUniform(Builder &b, RandomKey key, ArrayRef<Dim> shape, mlir::Type elementType, double low,
                                double high);
FailureOr<Tensor> randomNormal(Builder &b, RandomKey key, ArrayRef<Dim> shape, mlir::Type elementType, double mean,
                               double scale);
/// 1 with the probability that the element of x is, else 0.
FailureOr<Tensor> bernoulli(Builder &b, RandomKey key, const Tensor &x, mlir::Type elementType, bool isUnsigned);
/// x [N, classes] (logarithms of weights): [N, samples] classes drawn with replacement.
FailureOr<Tensor> multinomial(Builder &b, RandomKey key, const Tensor &x, int64_t samples, mlir::Type elementType,
                              bool isUnsigned);
/// Where `training` (a boolean) holds, each element of x is zero with the probability `ratio` (null: 0.5), else divided
/// by 1 - ratio. Results: y, and which elements are kept.
FailureOr<SmallVector<Tensor>> dropout(Builder &b, RandomKey key, const Tensor &x, const Tensor *ratio,
                                       const Tensor &training);

} // namespace eyrie::ops
