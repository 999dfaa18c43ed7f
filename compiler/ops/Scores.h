// What classifiers and regressors make of their scores. Conventions as in Ops.h.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

enum class ScoreTransform { None, Logistic, Softmax, SoftmaxZero, Probit };
/// scores [N, C] (f32 or f64), each row by itself. SoftmaxZero: a softmax in which scores of nearly 0 (1e-7) do not
/// count: they stay nearly 0. Probit: the inverse of the normal distribution by Winitzki's formula (A handy
/// approximation for the error function and its inverse, 2008), with its constant 0.147.
FailureOr<Tensor> transformScores(Builder &b, const Tensor &scores, ScoreTransform transform);

/// s [N, 1] as two columns: `low` and `high` say what becomes of s for the first and the second class.
enum class Sign { Minus, Plus, OneMinus };
Tensor twoColumns(Builder &b, const Tensor &score, Sign first, Sign second);

/// 1 where x [N] or [N, 1] is above `threshold`, else 0 (i64 [N]).
Tensor isAbove(Builder &b, const Tensor &x, double threshold);

enum class Kernel { Linear, Poly, Rbf, Sigmoid };
struct KernelAttrs {
  Kernel kind = Kernel::Linear;
  double gamma = 0, coef0 = 0, degree = 0;
};
/// The kernel between each row of x [N, F] and each row of vectors [V, F]: [N, V].
FailureOr<Tensor> kernelRows(Builder &b, const Tensor &x, const Tensor &vectors, const KernelAttrs &attrs);

/// The scores [N, pairs] of one machine for each pair (i, j) of classes, i < j, in lexicographic order, from the
/// kernels [N, V] with all support vectors, those of class c from first[c] on: coefficients [C - 1, V] has theirs
/// against class j in row j - 1 for a class before j, and in row j for one behind it. `offsets`: [pairs].
Tensor pairScores(Builder &b, const Tensor &kernels, const Tensor &coefficients, ArrayRef<int64_t> first,
                  const Tensor &offsets);

/// Probabilities [N, C] of classes from those of pairs: r [N, C, C], where r[i][j] is that of class i when it is i or
/// j, and the diagonal is 0. Method 2 of Wu, Lin and Weng (Probability estimates for multi-class classification by
/// pairwise coupling, 2004): at most 100 turns, until no row is off by more than 0.005 / C.
FailureOr<Tensor> coupledProbabilities(Builder &b, const Tensor &pairs);

} // namespace eyrie::ops
