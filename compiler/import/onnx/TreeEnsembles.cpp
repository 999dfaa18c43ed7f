// Tree ensembles of ai.onnx.ml.
#include "compiler/import/onnx/TreeReaders.h"

using namespace mlir;
using eyrie::ops::ScoreTransform;
using Aggregate = eyrie::ops::TreeEnsemble::Aggregate;

namespace eyrie::import::onnx {
namespace {

/// Tables are of this size, whatever the votes.
constexpr int64_t kMostTargets = 1 << 20;
/// The type in which features are compared and weights are summed.
Type computeType(OpNode &n) {
  Type type = n.required(0).elementType;
  return type.isF64() ? type : Type(n.b.builder.getF32Type());
}

/// scores + base values, where there are any.
FailureOr<Tensor> withBase(OpNode &n, FailureOr<Tensor> scores, ArrayRef<double> base) {
  if (failed(scores) || base.empty())
    return scores;
  return ops::binary(n.b, ops::Binary::Add, *scores, floats({int64_t(base.size())}, base, scores->elementType));
}

SmallVector<double> baseValues(OpNode &n, int64_t targets) {
  SmallVector<double> base = numbersOf(n, "base_values", "base_values_as_tensor");
  bool isOfOneScore = targets == 2 && base.size() == 1; // two classes may have one score
  if (!base.empty() && std::ssize(base) != targets && !isOfOneScore)
    (void)n.fail("attribute 'base_values' has " + Twine(base.size()) + " values, expected " + Twine(targets));
  return base;
}

/// One base value for two targets is that of the first.
SmallVector<double> filledUp(SmallVector<double> base, int64_t targets) {
  if (!base.empty())
    base.resize(targets, 0);
  return base;
}

Result treeEnsembleRegressor(OpNode &n) {
  Aggregate aggregate = n.choice<Aggregate>(
      "aggregate_function", Aggregate::Sum,
      {{"SUM", Aggregate::Sum}, {"AVERAGE", Aggregate::Average}, {"MIN", Aggregate::Min}, {"MAX", Aggregate::Max}});
  ScoreTransform transform = scoreTransform(n);
  int64_t targets = n.integer("n_targets", 1);
  if (n.isGood() && (targets < 1 || targets > kMostTargets))
    return n.fail("attribute 'n_targets' is " + Twine(targets) + ", expected 1 to " + Twine(kMostTargets));
  SmallVector<double> base = baseValues(n, targets);
  auto read = readNumberedTrees(n, "target");
  auto x = failed(read) || !n.isGood() ? FailureOr<Tensor>(failure()) : featureRows(n, computeType(n));
  if (failed(x))
    return failure();
  read->ensemble.aggregate = aggregate, read->ensemble.targets = targets;
  auto scores = withBase(n, ops::treeScores(n.b, *x, read->ensemble), filledUp(base, targets));
  auto y = failed(scores) ? scores : ops::transformScores(n.b, *scores, transform);
  return failed(y) ? Result(failure()) : Result(ops::cast(n.b, *y, n.b.builder.getF32Type(), false));
}

//===- classes ------------------------------------------------------------------------------------------------------===

/// Scores for the choice of a class, among those that a leaf votes for.
FailureOr<Tensor> bestClass(OpNode &n, const Tensor &scores, ArrayRef<bool> hasVotes) {
  FailureOr<Tensor> counted = scores;
  if (llvm::is_contained(hasVotes, false) && llvm::is_contained(hasVotes, true)) {
    SmallVector<double> mask;
    for (bool has : hasVotes)
      mask.push_back(has ? 0 : -INFINITY);
    counted = ops::binary(n.b, ops::Binary::Add, scores, floats({int64_t(mask.size())}, mask, scores.elementType));
  }
  return failed(counted) ? counted : ops::argReduce(n.b, /*isMax=*/true, *counted, 1, false, /*lastIndex=*/false);
}

Result treeEnsembleClassifier(OpNode &n) {
  Elements labels = classLabels(n, "classlabels_strings", "classlabels_int64s");
  ScoreTransform transform = scoreTransform(n);
  if (!n.isGood())
    return failure();
  int64_t classes = labels.values.getNumElements();
  SmallVector<double> base = baseValues(n, classes);
  auto read = readNumberedTrees(n, "class");
  auto x = failed(read) || !n.isGood() ? FailureOr<Tensor>(failure()) : featureRows(n, computeType(n));
  if (failed(x))
    return failure();
  SmallVector<bool> hasVotes(classes, false);
  for (int64_t target : read->targets)
    if (target >= 0 && target < classes)
      hasVotes[target] = true;
  // With two classes and votes for the first one only, its score is in truth that of the second.
  bool isBinary = classes == 2 && llvm::count(hasVotes, true) == 1;
  bool isOneScore = isBinary && hasVotes[0] && base.size() != 2;
  read->ensemble.targets = isOneScore ? 1 : classes;
  bool isProbability = llvm::all_of(read->weights, [](double w) { return w >= 0; });
  auto scores = withBase(n, ops::treeScores(n.b, *x, read->ensemble), isOneScore ? base : filledUp(base, classes));
  if (failed(scores))
    return failure();
  FailureOr<Tensor> index = failure(), y = failure();
  if (isBinary) {
    auto column = ops::splitEqually(n.b, *scores, 1, read->ensemble.targets);
    if (failed(column))
      return failure();
    index = ops::isAbove(n.b, hasVotes[0] ? column->front() : column->back(), isProbability ? 0.5 : 0);
  } else {
    index = bestClass(n, *scores, base.empty() ? ArrayRef(hasVotes) : ArrayRef<bool>());
  }
  y = isOneScore ? scoresOfTwo(n, *scores, isProbability, transform) : ops::transformScores(n.b, *scores, transform);
  auto label = failed(index) ? index : labelled(n, *index, labels);
  if (succeeded(y))
    y = ops::cast(n.b, *y, n.b.builder.getF32Type(), false);
  if (failed(label) || failed(y))
    return failure();
  return SmallVector<Tensor>{*label, *y};
}

Result treeEnsemble(OpNode &n) {
  constexpr Aggregate aggregates[] = {Aggregate::Average, Aggregate::Sum, Aggregate::Min, Aggregate::Max};
  constexpr ScoreTransform transforms[] = {ScoreTransform::None, ScoreTransform::Softmax, ScoreTransform::Logistic,
                                           ScoreTransform::SoftmaxZero, ScoreTransform::Probit};
  int64_t aggregate = n.integer("aggregate_function", 1), transform = n.integer("post_transform", 0),
          targets = n.integer("n_targets", 1);
  if (aggregate < 0 || aggregate >= std::ssize(aggregates))
    return n.fail("attribute 'aggregate_function' is " + Twine(aggregate) + ", expected 0 to 3");
  if (transform < 0 || transform >= std::ssize(transforms))
    return n.fail("attribute 'post_transform' is " + Twine(transform) + ", expected 0 to 4");
  if (targets < 1 || targets > kMostTargets)
    return n.fail("attribute 'n_targets' is " + Twine(targets) + ", expected 1 to " + Twine(kMostTargets));
  if (!n.required(0).isFloat())
    return n.fail("input 0 is " + n.required(0).str() + ", expected floats");
  auto trees = readPlacedTrees(n);
  auto x = failed(trees) ? FailureOr<Tensor>(failure()) : featureRows(n, computeType(n));
  if (failed(x))
    return failure();
  trees->aggregate = aggregates[aggregate], trees->targets = targets;
  auto scores = ops::treeScores(n.b, *x, *trees);
  auto y = failed(scores) ? scores : ops::transformScores(n.b, *scores, transforms[transform]);
  return failed(y) ? Result(failure()) : Result(ops::cast(n.b, *y, n.required(0).elementType, false));
}

const OpRow rows[] = {
    {"ai.onnx.ml::TreeEnsemble", {5}, 1, 1, treeEnsemble},
    {"ai.onnx.ml::TreeEnsembleClassifier", {1, 3, 5}, 1, 1, treeEnsembleClassifier},
    {"ai.onnx.ml::TreeEnsembleRegressor", {1, 3, 5}, 1, 1, treeEnsembleRegressor},
};

} // namespace

ArrayRef<OpRow> treeEnsembleOps() { return rows; }

} // namespace eyrie::import::onnx
