// Linear models and support vector machines of ai.onnx.ml.
#include "compiler/import/onnx/MachineLearning.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using eyrie::ops::Kernel;
using eyrie::ops::ScoreTransform;

namespace eyrie::import::onnx {
namespace {

Type f32(OpNode &n) { return n.b.builder.getF32Type(); }

/// Attribute `name` has `count` values, or an error that says what they are for.
bool hasValues(OpNode &n, StringRef name, size_t found, int64_t count, const Twine &what) {
  if (n.isGood() && static_cast<int64_t>(found) != count)
    (void)n.fail("attribute '" + name + "' has " + Twine(found) + " values, expected " + Twine(count) + ": " + what);
  return n.isGood();
}

/// x coefficients^T + intercepts, `targets` of them.
FailureOr<Tensor> linearScores(OpNode &n, const Tensor &x, int64_t targets, ArrayRef<double> coefficients,
                               ArrayRef<double> intercepts) {
  int64_t features = x.shape[1].constant();
  if (!hasValues(n, "coefficients", coefficients.size(), targets * features,
                 Twine(features) + " features for each of " + Twine(targets) + " scores"))
    return failure();
  Tensor weights = floats({targets, features}, coefficients, f32(n)), bias = floats({targets}, intercepts, f32(n));
  return ops::gemm(n.b, x, weights, &bias, 1, 1, false, /*transX, transY=*/true);
}

Result linearRegressor(OpNode &n) {
  SmallVector<double> coefficients = n.numbers("coefficients"), intercepts = n.numbers("intercepts");
  int64_t targets = n.integer("targets", 1);
  ScoreTransform transform = scoreTransform(n);
  if (n.isGood() && (targets < 1 || targets > std::ssize(coefficients)))
    return n.fail("attribute 'targets' is " + Twine(targets) + ", expected 1 or more, with coefficients for each");
  auto x = n.isGood() ? featureRows(n, f32(n)) : FailureOr<Tensor>(failure());
  if (failed(x))
    return failure();
  if (intercepts.empty())
    intercepts.resize(targets, 0);
  if (!hasValues(n, "intercepts", intercepts.size(), targets, "one for each target"))
    return failure();
  auto scores = linearScores(n, *x, targets, coefficients, intercepts);
  return failed(scores) ? Result(failure()) : Result(ops::transformScores(n.b, *scores, transform));
}

/// The label and the scores as the results of a classifier.
Result classified(OpNode &n, FailureOr<Tensor> index, const Elements &labels, FailureOr<Tensor> scores) {
  auto label = failed(index) ? index : labelled(n, *index, labels);
  if (failed(label) || failed(scores))
    return failure();
  return SmallVector<Tensor>{*label, *scores};
}

FailureOr<Tensor> largest(OpNode &n, const Tensor &scores) {
  return ops::argReduce(n.b, /*isMax=*/true, scores, 1, /*keepDims=*/false, /*lastIndex=*/false);
}

Result linearClassifier(OpNode &n) {
  Elements labels = classLabels(n, "classlabels_strings", "classlabels_ints");
  SmallVector<double> coefficients = n.numbers("coefficients"), intercepts = n.numbers("intercepts");
  ScoreTransform transform = scoreTransform(n);
  auto x = n.isGood() ? featureRows(n, f32(n)) : FailureOr<Tensor>(failure());
  if (failed(x))
    return failure();
  int64_t classes = labels.values.getNumElements(), features = x->shape[1].constant();
  // Two classes may have one score, that of the second.
  bool isOneScore = classes == 2 && std::ssize(coefficients) == features;
  int64_t targets = isOneScore ? 1 : classes;
  if (intercepts.empty())
    intercepts.resize(targets, 0);
  if (!hasValues(n, "intercepts", intercepts.size(), targets, "one for each score"))
    return failure();
  auto scores = linearScores(n, *x, targets, coefficients, intercepts);
  if (failed(scores))
    return failure();
  if (isOneScore) {
    auto changed = ops::transformScores(n.b, *scores, transform);
    return classified(n, ops::isAbove(n.b, *scores, 0), labels,
                      failed(changed) ? changed : ops::twoColumns(n.b, *changed, ops::Sign::OneMinus, ops::Sign::Plus));
  }
  return classified(n, largest(n, *scores), labels, ops::transformScores(n.b, *scores, transform));
}

//===- support vectors ----------------------------------------------------------------------------------------------===

/// The attributes of a support vector machine: `count` vectors, or none for a linear model.
struct Machine {
  SmallVector<double> vectors, coefficients, rho;
  ops::KernelAttrs kernel;
  int64_t count = 0;
};

FailureOr<Machine> readMachine(OpNode &n, int64_t count) {
  Machine m;
  m.vectors = n.numbers("support_vectors"), m.coefficients = n.numbers("coefficients"), m.rho = n.numbers("rho");
  m.count = count;
  m.kernel.kind = n.choice<Kernel>(
      "kernel_type", Kernel::Linear,
      {{"LINEAR", Kernel::Linear}, {"POLY", Kernel::Poly}, {"RBF", Kernel::Rbf}, {"SIGMOID", Kernel::Sigmoid}});
  SmallVector<double> parameters = n.numbers("kernel_params");
  if (!parameters.empty() && hasValues(n, "kernel_params", parameters.size(), 3, "gamma, coef0 and degree"))
    m.kernel.gamma = parameters[0], m.kernel.coef0 = parameters[1], m.kernel.degree = parameters[2];
  if (n.isGood() && count > 0 && m.kernel.kind != Kernel::Linear && parameters.empty())
    return n.fail("attribute 'kernel_params' is missing, which the kernel needs");
  if (n.isGood() && (m.rho.empty() || m.coefficients.empty()))
    return n.fail("attributes 'rho' and 'coefficients' have " + Twine(m.rho.size()) + " and " +
                  Twine(m.coefficients.size()) + " values, expected some");
  if (!n.isGood())
    return failure();
  return m;
}

/// The kernel between rows and support vectors: [N, count].
FailureOr<Tensor> kernels(OpNode &n, const Tensor &x, const Machine &m) {
  int64_t features = x.shape[1].constant(), values = 0;
  if (llvm::MulOverflow(m.count, features, values))
    values = INT64_MAX;
  if (!hasValues(n, "support_vectors", m.vectors.size(), values,
                 Twine(features) + " features for each of " + Twine(m.count) + " vectors"))
    return failure();
  return ops::kernelRows(n.b, x, floats({m.count, features}, m.vectors, f32(n)), m.kernel);
}

/// y weights [columns, rows]^T + bias [columns].
FailureOr<Tensor> combined(OpNode &n, const Tensor &y, ArrayRef<double> weights, ArrayRef<double> bias) {
  int64_t columns = bias.size(), rows = weights.size() / bias.size();
  Tensor w = floats({columns, rows}, weights, f32(n)), c = floats({columns}, bias, f32(n));
  return ops::gemm(n.b, y, w, &c, 1, 1, false, /*transX, transY=*/true);
}

Result svmRegressor(OpNode &n) {
  int64_t count = n.integer("n_supports", 0);
  bool isOneClass = n.flag("one_class", false);
  ScoreTransform transform = scoreTransform(n);
  auto m = readMachine(n, std::max<int64_t>(count, 0));
  auto x = failed(m) ? FailureOr<Tensor>(failure()) : featureRows(n, f32(n));
  if (failed(x))
    return failure();
  auto y = count > 0 ? kernels(n, *x, *m) : x;
  int64_t terms = failed(y) ? 0 : y->shape[1].constant();
  if (failed(y) || !hasValues(n, "coefficients", m->coefficients.size(), terms, "one for each term of the score"))
    return failure();
  auto scores = combined(n, *y, m->coefficients, m->rho.front());
  if (failed(scores))
    return failure();
  if (!isOneClass)
    return ops::transformScores(n.b, *scores, transform);
  // Inside or outside: 1 or -1.
  auto isInside = ops::cast(n.b, n.b.reshape(ops::isAbove(n.b, *scores, 0), scores->shape), f32(n), false);
  Tensor half = n.b.splat({}, f32(n), 0.5), two = n.b.splat({}, f32(n), 2);
  auto y0 = failed(isInside) ? isInside : ops::binary(n.b, ops::Binary::Sub, *isInside, half);
  return failed(y0) ? Result(failure()) : Result(ops::binary(n.b, ops::Binary::Mul, *y0, two));
}

/// One machine for each pair of classes (i < j), in lexicographic order.
struct Pairs {
  int64_t classes;
  SmallVector<std::pair<int64_t, int64_t>> list;

  explicit Pairs(int64_t classes) : classes(classes) {
    for (int64_t i = 0; i < classes; ++i)
      for (int64_t j = i + 1; j < classes; ++j)
        list.emplace_back(i, j);
  }
  int64_t size() const { return list.size(); }
};

FailureOr<Tensor> pairScores(OpNode &n, const Tensor &x, const Machine &m, ArrayRef<int64_t> counts) {
  auto values = kernels(n, x, m);
  if (failed(values))
    return failure();
  SmallVector<int64_t> first{0};
  for (int64_t count : counts)
    first.push_back(first.back() + count);
  Tensor coefficients = floats({std::ssize(counts) - 1, m.count}, m.coefficients, f32(n));
  return ops::pairScores(n.b, *values, coefficients, first, floats({std::ssize(m.rho)}, m.rho, f32(n)));
}

/// The class that wins most pairs; of equal ones the first.
FailureOr<Tensor> winner(OpNode &n, const Tensor &scores, const Pairs &pairs) {
  auto wins = ops::binary(n.b, ops::Binary::Greater, scores, n.b.splat({}, scores.elementType, 0));
  auto numbers = failed(wins) ? wins : ops::cast(n.b, *wins, f32(n), false);
  if (failed(numbers))
    return failure();
  SmallVector<double> weights(pairs.size() * pairs.classes, 0), lost(pairs.classes, 0);
  for (auto [p, pair] : llvm::enumerate(pairs.list)) {
    weights[pair.first * pairs.size() + p] = 1;
    weights[pair.second * pairs.size() + p] = -1;
    lost[pair.second] += 1;
  }
  auto votes = combined(n, *numbers, weights, lost);
  return failed(votes) ? votes : largest(n, *votes);
}

/// The probabilities of the classes [N, classes] from pair scores, by a sigmoid for each pair.
FailureOr<Tensor> probabilities(OpNode &n, const Tensor &scores, const Pairs &pairs, ArrayRef<double> a,
                                ArrayRef<double> b) {
  constexpr double kLeast = 1e-7;
  SmallVector<double> slopes(llvm::map_range(a, [](double v) { return -v; })),
      offsets(llvm::map_range(b, [](double v) { return -v; }));
  int64_t count = pairs.size(), classes = pairs.classes;
  auto y = ops::binary(n.b, ops::Binary::Mul, scores, floats({count}, slopes, f32(n)));
  if (succeeded(y))
    y = ops::binary(n.b, ops::Binary::Add, *y, floats({count}, offsets, f32(n)));
  if (succeeded(y))
    y = ops::unary(n.b, ops::Unary::Sigmoid, *y);
  Tensor least = n.b.splat({}, f32(n), kLeast), most = n.b.splat({}, f32(n), 1 - kLeast);
  if (succeeded(y))
    y = ops::clip(n.b, *y, &least, &most);
  if (failed(y))
    return failure();
  // [N, classes, classes]: p above the diagonal, 1 - p below it, 0 on it.
  SmallVector<int64_t> source(classes * classes, 0);
  SmallVector<double> factor(classes * classes, 0), start(classes * classes, 0);
  for (auto [p, pair] : llvm::enumerate(pairs.list)) {
    int64_t above = pair.first * classes + pair.second, below = pair.second * classes + pair.first;
    source[above] = source[below] = p;
    factor[above] = 1, factor[below] = -1, start[below] = 1;
  }
  auto square = ops::gather(n.b, *y, integerTensor(n.b, source), 1);
  if (succeeded(square))
    square = ops::binary(n.b, ops::Binary::Mul, *square, floats({classes * classes}, factor, f32(n)));
  if (succeeded(square))
    square = ops::binary(n.b, ops::Binary::Add, *square, floats({classes * classes}, start, f32(n)));
  if (failed(square))
    return failure();
  return ops::coupledProbabilities(n.b, n.b.reshape(*square, {square->shape[0], classes, classes}));
}

/// Without support vectors: one score for each class.
Result linearMachine(OpNode &n, const Tensor &x, const Machine &m, const Elements &labels, ScoreTransform transform) {
  int64_t classes = labels.values.getNumElements();
  auto scores = linearScores(n, x, classes, m.coefficients, SmallVector<double>(classes, m.rho.front()));
  if (failed(scores))
    return failure();
  return classified(n, largest(n, *scores), labels, ops::transformScores(n.b, *scores, transform));
}

Result svmClassifier(OpNode &n) {
  Elements labels = classLabels(n, "classlabels_strings", "classlabels_ints");
  SmallVector<int64_t> counts = n.integers("vectors_per_class");
  SmallVector<double> a = n.numbers("prob_a"), b = n.numbers("prob_b");
  ScoreTransform transform = scoreTransform(n);
  int64_t count = 0;
  for (int64_t part : counts)
    count = part < 0 || part > INT32_MAX ? -1 : count < 0 ? count : count + part;
  if (n.isGood() && count < 0)
    return n.fail("attribute 'vectors_per_class' holds numbers that are no counts");
  auto m = readMachine(n, count);
  auto x = failed(m) ? FailureOr<Tensor>(failure()) : featureRows(n, f32(n));
  if (failed(x))
    return failure();
  if (count == 0)
    return linearMachine(n, *x, *m, labels, transform);
  int64_t classes = labels.values.getNumElements();
  if (classes < 2)
    return n.fail("has one class, expected two or more");
  int64_t pairCount = classes * (classes - 1) / 2;
  if (!hasValues(n, "vectors_per_class", counts.size(), classes, "one for each class") ||
      !hasValues(n, "coefficients", m->coefficients.size(), (classes - 1) * count,
                 "one for each vector and other class") ||
      !hasValues(n, "rho", m->rho.size(), pairCount, "one for each pair of classes") ||
      !hasValues(n, "prob_a", a.size(), a.empty() && b.empty() ? 0 : pairCount, "one for each pair of classes") ||
      !hasValues(n, "prob_b", b.size(), a.size(), "as many as 'prob_a'"))
    return failure();
  Pairs pairs(classes);
  auto scores = pairScores(n, *x, *m, counts);
  if (failed(scores))
    return failure();
  auto index = winner(n, *scores, pairs);
  if (!a.empty()) {
    auto y = probabilities(n, *scores, pairs, a, b);
    return classified(n, index, labels, failed(y) ? y : ops::transformScores(n.b, *y, transform));
  }
  if (classes == 2)
    return classified(n, index, labels, scoresOfTwo(n, *scores, transform != ScoreTransform::None, transform));
  return classified(n, index, labels, ops::transformScores(n.b, *scores, transform));
}

const OpRow rows[] = {
    {"ai.onnx.ml::LinearClassifier", {1}, 1, 1, linearClassifier},
    {"ai.onnx.ml::LinearRegressor", {1}, 1, 1, linearRegressor},
    {"ai.onnx.ml::SVMClassifier", {1}, 1, 1, svmClassifier},
    {"ai.onnx.ml::SVMRegressor", {1}, 1, 1, svmRegressor},
};

} // namespace

ArrayRef<OpRow> linearModelOps() { return rows; }

} // namespace eyrie::import::onnx
