#include "compiler/ops/Loss.h"
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

static LogicalResult checkOperands(Builder &b, const Tensor &x, const Tensor &target, const Tensor *weight) {
  if (!x.isFloat() || x.rank() < 2)
    return b.error() << "expected floats of rank 2 or more, found " << x.str();
  if (!target.isInteger() || target.rank() != x.rank() - 1)
    return b.error() << "the target must be integers of rank " << x.rank() - 1 << ", found " << target.str();
  for (int64_t d = 0; d < target.rank(); ++d)
    if (failed(checkSame(b, target.shape[d], x.shape[d ? d + 1 : 0],
                         "target " + target.str() + " and scores " + x.str() + " differ in size")))
      return failure();
  if (!weight)
    return success();
  if (weight->rank() != 1 || weight->elementType != x.elementType)
    return b.error() << "the weight must have one number for each class of " << x.str() << ", found " << weight->str();
  return checkSame(b, weight->shape[0], x.shape[1], "weight " + weight->str() + " does not fit the classes");
}

/// The weight of each target's class; 0 for the ignored one.
static Tensor targetWeights(Builder &b, const Tensor &x, const Tensor &target, const Tensor *weight,
                            std::optional<int64_t> ignored) {
  Count classes(b, x.shape[1]);
  Value source = weight ? b.value(*weight) : Value();
  return elementwise(b, target.shape, x.elementType, target, false, [&](const Scalar &s, ValueRange args) {
    Value w = s.number(x.elementType, 1);
    if (source)
      w = s.op<tensor::ExtractOp>(
          source, ValueRange(safeIndex(s, args[0], classes.get(s, s.b.getIndexType()), target.isUnsigned)));
    if (!ignored)
      return w;
    Value isIgnored = s.cmp(arith::CmpIPredicate::eq, args[0],
                            s.op<arith::ConstantOp>(IntegerAttr::get(args[0].getType(), *ignored)));
    return s.select(isIgnored, s.number(x.elementType, 0), w);
  });
}

FailureOr<Tensor> negativeLogLikelihoodLoss(Builder &b, const Tensor &x, const Tensor &target, const Tensor *weight,
                                            const LossAttrs &attrs) {
  if (failed(checkOperands(b, x, target, weight)))
    return failure();
  bool isWeighted = weight || attrs.ignoreIndex;
  Count classes(b, x.shape[1]);
  Tensor loss = gatherMap(b, x, target.shape, target, b.identity(target.rank()),
                          [&](const Scalar &s, ValueRange at, ValueRange args) {
                            SmallVector<Value> from(at);
                            Value size = classes.get(s, s.b.getIndexType());
                            from.insert(from.begin() + 1, safeIndex(s, args[0], size, target.isUnsigned));
                            return from;
                          });
  auto result = unary(b, Unary::Neg, loss);
  Tensor weights;
  if (isWeighted && succeeded(result)) {
    weights = targetWeights(b, x, target, weight, attrs.ignoreIndex);
    // Selected, not multiplied: an ignored target may meet an infinite score.
    result = elementwiseWide(b, target.shape, {*result, weights}, [](const Scalar &s, ValueRange args) {
      Value zero = s.like(args[1], 0);
      return s.select(s.cmp(arith::CmpFPredicate::OEQ, args[1], zero), zero, s.mul(args[0], args[1]));
    });
  }
  if (failed(result) || attrs.reduction == LossReduction::None)
    return result;
  if (attrs.reduction == LossReduction::Mean && !isWeighted)
    return reduce(b, Reduce::Mean, *result, {}, /*keepDims=*/false);
  auto sum = reduce(b, Reduce::Sum, *result, {}, /*keepDims=*/false);
  if (failed(sum) || attrs.reduction == LossReduction::Sum)
    return sum;
  auto total = reduce(b, Reduce::Sum, weights, {}, /*keepDims=*/false);
  return failed(total) ? FailureOr<Tensor>(failure()) : binary(b, Binary::Div, *sum, *total);
}

FailureOr<SmallVector<Tensor>> softmaxCrossEntropyLoss(Builder &b, const Tensor &scores, const Tensor &target,
                                                       const Tensor *weight, const LossAttrs &attrs) {
  if (failed(checkOperands(b, scores, target, weight)))
    return failure();
  auto logs = logSoftmax(b, scores, /*axis=*/1);
  if (failed(logs))
    return failure();
  auto loss = negativeLogLikelihoodLoss(b, *logs, target, weight, attrs);
  if (failed(loss))
    return failure();
  return SmallVector<Tensor>{*loss, *logs};
}

} // namespace eyrie::ops
