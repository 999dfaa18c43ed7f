#include "compiler/import/onnx/Registry.h"

using namespace mlir;

namespace eyrie::import::onnx {
namespace {

/// Whether a node means training: an attribute says it, or between operator sets 7 and 13 the number of its outputs.
bool isTraining(OpNode &n) {
  if (n.opset >= 14)
    return n.flag("training_mode", false);
  if (n.opset < 7)
    return !n.flag("is_test", false);
  bool wantsMore = false;
  for (size_t i = 1; i < n.node.outputs.size(); ++i)
    wantsMore |= n.wantsOutput(i);
  return wantsMore;
}

/// The results of training; before operator set 14 also the mean and variance of x itself.
Result trainBatchNorm(OpNode &n, const Tensor &x, ArrayRef<Tensor> parameters) {
  double epsilon = n.number("epsilon", 1e-5f), momentum = n.number("momentum", 0.9f);
  auto norm = [&](double kept) {
    return ops::batchNormTraining(n.b, x, parameters[0], parameters[1], parameters[2], parameters[3], epsilon, kept);
  };
  FailureOr<SmallVector<Tensor>> results = norm(momentum);
  if (succeeded(results) && n.opset < 14 && (n.wantsOutput(3) || n.wantsOutput(4))) {
    FailureOr<SmallVector<Tensor>> own = norm(0);
    if (failed(own))
      return failure();
    results->append({(*own)[1], (*own)[2]});
  }
  if (succeeded(results))
    results->truncate(std::min(results->size(), n.node.outputs.size()));
  return results;
}

/// Every element of a sample with its own parameters, those of operator sets before 9: [C, sizes...].
Result batchNormPerElement(OpNode &n) {
  const Tensor &x = n.required(0);
  SmallVector<Tensor> parameters;
  for (size_t i = 1; i < 5; ++i) {
    const Tensor &given = n.required(i);
    if (x.rank() < 2 || given.rank() != x.rank() - 1)
      return n.fail("with 'spatial' = 0, input " + llvm::Twine(i) +
                    " needs the dimensions of the first input without " + "its batch, found " + given.str() + " for " +
                    x.str());
    parameters.push_back(n.b.reshape(given, {given.numElements()}));
  }
  Tensor rows = n.b.reshape(x, {x.shape[0], ops::product(ArrayRef(x.shape).drop_front())});
  FailureOr<SmallVector<Tensor>> results = failure();
  if (isTraining(n)) {
    results = trainBatchNorm(n, rows, parameters).results;
  } else if (auto y = ops::batchNorm(n.b, rows, parameters[0], parameters[1], parameters[2], parameters[3],
                                     n.number("epsilon", 1e-5f));
             succeeded(y)) {
    results = SmallVector<Tensor>{*y};
  }
  if (failed(results))
    return failure();
  for (auto [i, result] : llvm::enumerate(*results))
    result = n.b.reshape(result, i ? n.required(1).shape : x.shape);
  return results;
}

Result batchNorm(OpNode &n) {
  if (n.opset < 9 && n.integer("spatial", 1) == 0)
    return batchNormPerElement(n);
  if (isTraining(n))
    return trainBatchNorm(n, n.required(0), {n.required(1), n.required(2), n.required(3), n.required(4)});
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
    {"BatchNormalization", {1, 6, 7, 9, 14, 15}, 5, 5, batchNorm},
    {"GroupNormalization", {18, 21}, 3, 3, groupNorm},
    {"InstanceNormalization", {1, 6, 22}, 3, 3, instanceNorm},
    {"LRN", {1, 13}, 1, 1, lrn},
    {"LayerNormalization", {17}, 2, 3, layerNorm},
    {"LpNormalization", {1, 22}, 1, 1, lpNorm},
    {"MeanVarianceNormalization", {9, 13}, 1, 1, meanVarianceNorm},
    {"RMSNormalization", {23}, 2, 2, rmsNorm},
};

} // namespace

ArrayRef<OpRow> normalizationOps() { return rows; }

} // namespace eyrie::import::onnx
