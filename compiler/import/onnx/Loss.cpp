#include "compiler/ops/Loss.h"
#include "compiler/import/onnx/Registry.h"

using namespace mlir;

namespace eyrie::import::onnx {
namespace {

ops::LossAttrs readAttrs(OpNode &n) {
  using R = ops::LossReduction;
  ops::LossAttrs attrs;
  attrs.reduction = n.choice<R>("reduction", R::Mean, {{"none", R::None}, {"sum", R::Sum}, {"mean", R::Mean}});
  if (n.has("ignore_index"))
    attrs.ignoreIndex = n.integer("ignore_index", 0);
  return attrs;
}

Result negativeLogLikelihoodLoss(OpNode &n) {
  return ops::negativeLogLikelihoodLoss(n.b, n.required(0), n.required(1), n.input(2), readAttrs(n));
}

Result softmaxCrossEntropyLoss(OpNode &n) {
  auto results = ops::softmaxCrossEntropyLoss(n.b, n.required(0), n.required(1), n.input(2), readAttrs(n));
  if (succeeded(results))
    results->truncate(n.wantsOutput(1) ? 2 : 1);
  return results;
}

const OpRow rows[] = {
    {"NegativeLogLikelihoodLoss", {12, 13, 22}, 2, 3, negativeLogLikelihoodLoss},
    {"SoftmaxCrossEntropyLoss", {12, 13}, 2, 3, softmaxCrossEntropyLoss},
};

} // namespace

ArrayRef<OpRow> lossOps() { return rows; }

} // namespace eyrie::import::onnx
