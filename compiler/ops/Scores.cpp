#include "compiler/ops/Scores.h"
#include "compiler/ops/Loop.h"
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <numbers>

using namespace mlir;

namespace eyrie::ops {

static Value probit(const Scalar &s, Value p) {
  constexpr double a = 0.147;
  Value x = s.add(s.mul(p, 2), -1.0);
  Value log = s.op<math::LogOp>(s.mul(s.sub(s.like(x, 1), x), s.add(x, 1.0)));
  Value v = s.add(s.mul(log, 0.5), 2 / (std::numbers::pi * a));
  Value root = s.op<math::SqrtOp>(s.sub(s.mul(v, v), s.mul(log, 1 / a)));
  Value size = s.op<math::SqrtOp>(s.sub(root, v));
  return s.mul(s.select(s.less(x, s.like(x, 0)), s.neg(size), size), std::numbers::sqrt2);
}

static FailureOr<Tensor> softmaxWithoutZeros(Builder &b, const Tensor &x) {
  auto most = reduce(b, Reduce::Max, x, 1, /*keepDims=*/true);
  if (failed(most))
    return failure();
  auto isCounted = [](const Scalar &s, Value x) { return s.less(s.like(x, 1e-7), s.op<math::AbsFOp>(x)); };
  Tensor powers = elementwise(b, x.shape, x.elementType, {x, *most}, false, [&](const Scalar &s, ValueRange args) {
    return s.select(isCounted(s, args[0]), s.exp(s.sub(args[0], args[1])), s.like(args[0], 0));
  });
  auto sum = reduce(b, Reduce::Sum, powers, 1, /*keepDims=*/true);
  if (failed(sum))
    return failure();
  return elementwise(b, x.shape, x.elementType, {x, powers, *most, *sum}, false, [&](const Scalar &s, ValueRange args) {
    Value small = s.mul(args[0], s.exp(s.neg(args[2])));
    return s.divF(s.select(isCounted(s, args[0]), args[1], small), args[3]);
  });
}

FailureOr<Tensor> transformScores(Builder &b, const Tensor &scores, ScoreTransform transform) {
  switch (transform) {
  case ScoreTransform::None:
    return scores;
  case ScoreTransform::Logistic:
    return unary(b, Unary::Sigmoid, scores);
  case ScoreTransform::Softmax:
    return softmax(b, scores, 1);
  case ScoreTransform::SoftmaxZero:
    return softmaxWithoutZeros(b, scores);
  case ScoreTransform::Probit:
    return elementwise(b, scores.shape, scores.elementType, scores, false,
                       [](const Scalar &s, ValueRange args) { return probit(s, args[0]); });
  }
  llvm_unreachable("unknown transform");
}

Tensor twoColumns(Builder &b, const Tensor &score, Sign first, Sign second) {
  auto changed = [](const Scalar &s, Value x, Sign sign) {
    return sign == Sign::Plus ? x : sign == Sign::Minus ? s.neg(x) : s.sub(s.like(x, 1), x);
  };
  return elementwise(b, {score.shape[0], 2}, score.elementType, score, false, [&](const Scalar &s, ValueRange args) {
    Value isFirst = s.cmp(arith::CmpIPredicate::eq, s.op<linalg::IndexOp>(1), s.index(0));
    return s.select(isFirst, changed(s, args[0], first), changed(s, args[0], second));
  });
}

Tensor isAbove(Builder &b, const Tensor &x, double threshold) {
  Tensor column = b.reshape(x, {x.shape[0]});
  Type i64 = b.builder.getI64Type();
  return elementwise(b, column.shape, i64, column, false, [&](const Scalar &s, ValueRange args) {
    return s.select(s.less(s.like(args[0], threshold), args[0]), s.number(i64, 1), s.number(i64, 0));
  });
}

FailureOr<Tensor> kernelRows(Builder &b, const Tensor &x, const Tensor &vectors, const KernelAttrs &attrs) {
  Type type = x.elementType;
  if (attrs.kind == Kernel::Rbf) {
    Tensor zero = b.splat({x.shape[0], vectors.shape[0]}, type, 0);
    Tensor distances =
        b.reduce(zero, projection(b, 3, {0, 1}), 2u, {x, vectors}, {projection(b, 3, {0, 2}), projection(b, 3, {1, 2})},
                 [](OpBuilder &builder, Location loc, ValueRange args) -> Value {
                   Scalar s{builder, loc};
                   Value difference = s.sub(args[0], args[1]);
                   return s.add(args[2], s.mul(difference, difference));
                 });
    return elementwise(b, distances.shape, type, distances, false,
                       [&](const Scalar &s, ValueRange args) { return s.exp(s.mul(args[0], -attrs.gamma)); });
  }
  auto product = gemm(b, x, vectors, nullptr, 1, 1, false, /*transX, transY=*/true);
  if (failed(product) || attrs.kind == Kernel::Linear)
    return product;
  return elementwise(b, product->shape, type, *product, false, [&](const Scalar &s, ValueRange args) {
    Value y = s.add(s.mul(args[0], attrs.gamma), attrs.coef0);
    return attrs.kind == Kernel::Poly ? s.op<math::PowFOp>(y, s.like(y, attrs.degree)) : s.op<math::TanhOp>(y);
  });
}

Tensor pairScores(Builder &b, const Tensor &kernels, const Tensor &coefficients, ArrayRef<int64_t> first,
                  const Tensor &offsets) {
  // For each pair the row and the vectors of each of the two sums.
  SmallVector<int64_t> sums;
  int64_t classes = first.size() - 1;
  for (int64_t i = 0; i < classes; ++i)
    for (int64_t j = i + 1; j < classes; ++j)
      sums.append({j - 1, first[i], first[i + 1], i, first[j], first[j + 1]});
  int64_t pairs = sums.size() / 6;
  auto tableType = RankedTensorType::get({pairs, 6}, b.builder.getI64Type());
  Value table = b.value(fromConstant(DenseElementsAttr::get(tableType, ArrayRef<int64_t>(sums))));
  Value k = b.value(kernels), c = b.value(coefficients);
  AffineMap ofPair = projection(b, 2, 1);
  return b.map({kernels.shape[0], Dim(pairs)}, kernels.elementType, offsets, ofPair,
               [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
                 Scalar s{builder, loc};
                 Value row = s.op<linalg::IndexOp>(0), pair = s.op<linalg::IndexOp>(1), sum = args[0];
                 auto entry = [&](int64_t i) -> Value {
                   return s.op<arith::IndexCastOp>(builder.getIndexType(),
                                                   s.op<tensor::ExtractOp>(table, ValueRange{pair, s.index(i)}));
                 };
                 for (int64_t part : {0, 3}) {
                   Value line = entry(part);
                   auto loop =
                       scf::ForOp::create(builder, loc, entry(part + 1), entry(part + 2), s.index(1), sum,
                                          [&](OpBuilder &inner, Location loc, Value vector, ValueRange sums) {
                                            Scalar s{inner, loc};
                                            Value weight = s.op<tensor::ExtractOp>(c, ValueRange{line, vector});
                                            Value kernel = s.op<tensor::ExtractOp>(k, ValueRange{row, vector});
                                            scf::YieldOp::create(inner, loc, s.add(sums[0], s.mul(weight, kernel)));
                                          });
                   sum = loop.getResult(0);
                 }
                 return sum;
               });
}

//===- probabilities of classes -------------------------------------------------------------------------------------===

namespace {
/// The quadratic form [N, C, C] that the probabilities minimize.
Tensor pairForm(Builder &b, const Tensor &pairs) {
  Type type = pairs.elementType;
  Value r = b.value(pairs);
  auto diagonal = reduceAxes(b, pairs, b.identity(3), pairs.shape, 1, numberAttr(type, 0), false,
                             [](const Scalar &s, Value acc, ValueRange args) {
                               return s.add(acc, s.mul(args[0], args[0])); // of r[j][i] over j, for class i
                             });
  Value sums = b.value(diagonal);
  return b.map(pairs.shape, type, {}, {}, [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
    Scalar s{builder, loc};
    Value row = s.op<linalg::IndexOp>(0), i = s.op<linalg::IndexOp>(1), j = s.op<linalg::IndexOp>(2);
    Value product =
        s.mul(s.op<tensor::ExtractOp>(r, ValueRange{row, i, j}), s.op<tensor::ExtractOp>(r, ValueRange{row, j, i}));
    Value isDiagonal = s.cmp(arith::CmpIPredicate::eq, i, j);
    return s.select(isDiagonal, s.op<tensor::ExtractOp>(sums, ValueRange{row, i}), s.neg(product));
  });
}

/// One turn of the method: every class in its order gets its best probability while the others keep theirs.
struct Coupling {
  Builder &b;
  Tensor form; // [N, C, C]
  Type type;
  Dims rows, matrix; // [N], [N, C]
  int64_t classes;

  Tensor product(const Tensor &p) {
    return reduceAxes(b, {form, p}, {b.identity(3), projection(b, 3, {0, 2})}, form.shape, 2, numberAttr(type, 0),
                      false,
                      [](const Scalar &s, Value acc, ValueRange args) { return s.add(acc, s.mul(args[0], args[1])); });
  }
  Tensor value(const Tensor &p, const Tensor &product) {
    return reduceAxes(b, {p, product}, {b.identity(2), b.identity(2)}, matrix, 1, numberAttr(type, 0), false,
                      [](const Scalar &s, Value acc, ValueRange args) { return s.add(acc, s.mul(args[0], args[1])); });
  }
  /// The largest error of each row.
  Tensor error(const Tensor &product, const Tensor &value) {
    return reduceAxes(b, {product, value}, {b.identity(2), projection(b, 2, 0)}, matrix, 1, numberAttr(type, 0), false,
                      [](const Scalar &s, Value acc, ValueRange args) {
                        return s.max(acc, s.op<math::AbsFOp>(s.sub(args[0], args[1])));
                      });
  }
  /// carried: probabilities and product [N, C], value [N]; the next ones after class `i`. Rows with an error of at most
  /// `limit` stay.
  SmallVector<Tensor> step(Dim i, ArrayRef<Tensor> carried, const Tensor &error, double limit) {
    Count number(b, i);
    Value form = b.value(this->form), product = b.value(carried[1]);
    Tensor change = elementwise(b, rows, type, {carried[2], error}, false, [&](const Scalar &s, ValueRange args) {
      Value row = s.op<linalg::IndexOp>(0), at = number.get(s, s.b.getIndexType());
      Value own = s.op<tensor::ExtractOp>(product, ValueRange{row, at});
      Value d = s.divF(s.sub(args[0], own), s.op<tensor::ExtractOp>(form, ValueRange{row, at, at}));
      return s.select(s.less(args[1], s.like(d, limit)), s.like(d, 0), d);
    });
    AffineMap ofRow = projection(b, 2, 0);
    auto scaled = [&](const Tensor &x, llvm::function_ref<Value(const Scalar &, Value row, Value column)> add) {
      return b.map(matrix, type, {x, change}, {b.identity(2), ofRow},
                   [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
                     Scalar s{builder, loc};
                     Value factor = add(s, s.op<linalg::IndexOp>(0), s.op<linalg::IndexOp>(1));
                     return s.divF(s.add(args[0], s.mul(args[1], factor)), s.add(args[1], 1.0));
                   });
    };
    Tensor probabilities = scaled(carried[0], [&](const Scalar &s, Value, Value column) {
      Value isOwn = s.cmp(arith::CmpIPredicate::eq, column, number.get(s, s.b.getIndexType()));
      return s.select(isOwn, s.number(type, 1), s.number(type, 0));
    });
    Tensor products = scaled(carried[1], [&](const Scalar &s, Value row, Value column) -> Value {
      return s.op<tensor::ExtractOp>(form, ValueRange{row, number.get(s, s.b.getIndexType()), column});
    });
    Tensor value = elementwise(b, rows, type, {carried[2], change}, false, [&](const Scalar &s, ValueRange args) {
      Value row = s.op<linalg::IndexOp>(0), at = number.get(s, s.b.getIndexType()), d = args[1];
      Value own = s.op<tensor::ExtractOp>(product, ValueRange{row, at});
      Value curve = s.op<tensor::ExtractOp>(form, ValueRange{row, at, at}), whole = s.add(d, 1.0);
      Value rise = s.mul(d, s.add(s.mul(d, curve), s.mul(own, 2)));
      return s.divF(s.divF(s.add(args[0], rise), whole), whole);
    });
    return {probabilities, products, value};
  }
};
} // namespace

FailureOr<Tensor> coupledProbabilities(Builder &b, const Tensor &pairs) {
  constexpr int64_t kMostTurns = 100;
  int64_t classes = pairs.shape[2].constant();
  double limit = 0.005 / static_cast<double>(classes);
  Dims rows{pairs.shape[0]}, matrix{pairs.shape[0], classes};
  Coupling coupling{b, pairForm(b, pairs), pairs.elementType, rows, matrix, classes};
  Tensor even = b.splat(matrix, pairs.elementType, 1 / static_cast<double>(classes));
  return loopWhile(b, kMostTurns, even, [&](Dim, ArrayRef<Tensor> carried, Value &goesOn) {
    Tensor product = coupling.product(carried[0]), value = coupling.value(carried[0], product);
    Tensor error = coupling.error(product, value);
    SmallVector<Tensor> next =
        countedLoop(b, classes, {carried[0], product, value},
                    [&](Dim i, ArrayRef<Tensor> carried) { return coupling.step(i, carried, error, limit); });
    Tensor most = reduceAxes(b, error, b.identity(1), rows, 0, numberAttr(pairs.elementType, 0), false,
                             [](const Scalar &s, Value acc, ValueRange args) { return s.max(acc, args[0]); });
    Tensor isOff = elementwise(b, {}, b.builder.getI64Type(), most, false, [&](const Scalar &s, ValueRange args) {
      Value isDone = s.less(args[0], s.like(args[0], limit));
      return s.select(isDone, s.number(b.builder.getI64Type(), 0), s.number(b.builder.getI64Type(), 1));
    });
    Dim known = b.integers(isOff, "whether probabilities are off")->front();
    goesOn = arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::ne, b.index(known), b.index(0));
    return SmallVector<Tensor>{next[0]};
  })[0];
}

} // namespace eyrie::ops
