#include "compiler/import/onnx/Registry.h"

using namespace mlir;

namespace eyrie::import::onnx {
namespace {

Result batchNorm(OpNode &n) {
  if (n.opset >= 14 && n.flag("training_mode", false)) {
    auto results = ops::batchNormTraining(n.b, n.required(0), n.required(1), n.required(2), n.required(3),
                                          n.required(4), n.number("epsilon", 1e-5f), n.number("momentum", 0.9f));
    if (succeeded(results))
      results->truncate(std::min<size_t>(3, n.node.outputs.size()));
    return results;
  }
  if (n.integer("spatial", 1) != 1)
    return n.unsupported("attribute 'spatial' = 0 is not supported");
  if (n.wantsOutput(1))
    return n.unsupported("the outputs of training are not supported; export the model for inference");
  return ops::batchNorm(n.b, n.required(0), n.required(1), n.required(2), n.required(3), n.required(4),
                        n.number("epsilon", 1e-5f));
}

Result layerNorm(OpNode &n) {
  return ops::layerNorm(n.b, n.required(0), n.required(1), n.input(2), n.integer("axis", -1),
                        n.number("epsilon", 1e-5f));
}

Result rmsNorm(OpNode &n) {
  return ops::rmsNorm(n.b, n.required(0), n.required(1), n.integer("axis", -1), n.number("epsilon", 1e-5f));
}

Result instanceNorm(OpNode &n) {
  return ops::instanceNorm(n.b, n.required(0), n.required(1), n.required(2), n.number("epsilon", 1e-5f));
}

/// In operator set 18 scale and bias are one per group, later one per channel.
Result groupNorm(OpNode &n) {
  return ops::groupNorm(n.b, n.required(0), n.required(1), n.required(2), n.requiredInteger("num_groups"),
                        n.number("epsilon", 1e-5f), n.opset < 21);
}

Result lrn(OpNode &n) {
  return ops::lrn(n.b, n.required(0), n.requiredInteger("size"), n.number("alpha", 0.0001f), n.number("beta", 0.75),
                  n.number("bias", 1));
}

Result meanVarianceNorm(OpNode &n) {
  SmallVector<int64_t> axes = n.integers("axes");
  if (!n.has("axes"))
    axes = {0, 2, 3};
  return ops::meanVarianceNorm(n.b, n.required(0), axes);
}

Result lpNorm(OpNode &n) { return ops::lpNorm(n.b, n.required(0), n.integer("axis", -1), n.integer("p", 2)); }

const OpRow rows[] = {
    {"BatchNormalization", {7, 9, 14, 15}, 5, 5, batchNorm},
    {"GroupNormalization", {18, 21}, 3, 3, groupNorm},
    {"InstanceNormalization", {6, 22}, 3, 3, instanceNorm},
    {"LRN", {1, 13}, 1, 1, lrn},
    {"LayerNormalization", {17}, 2, 3, layerNorm},
    {"LpNormalization", {1, 22}, 1, 1, lpNorm},
    {"MeanVarianceNormalization", {9, 13}, 1, 1, meanVarianceNorm},
    {"RMSNormalization", {23}, 2, 2, rmsNorm},
};

} // namespace

ArrayRef<OpRow> normalizationOps() { return rows; }

} // namespace eyrie::import::onnx
