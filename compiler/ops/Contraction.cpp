// Matrix products and their generalisation.
#include "compiler/ops/Scalar.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace eyrie::ops {

LogicalResult checkSame(Builder &b, Dim x, Dim y, llvm::Twine what) {
  if (x == y)
    return success();
  if (x.isConstant() && y.isConstant())
    return b.error() << what << ": sizes " << x.constant() << " and " << y.constant() << " differ";
  b.dims.assumeEqual(x, y);
  return success();
}

Tensor contract(Builder &b, ArrayRef<Dim> shape, AffineMap outMap, ArrayRef<unsigned> reductionDims, const Tensor &x,
                AffineMap xMap, const Tensor &y, AffineMap yMap, Type sumType) {
  Type type = sumType ? sumType : x.elementType;
  bool isUnsigned = !sumType && x.isUnsigned;
  if (!sumType)
    sumType = computeType(type);
  Tensor zero = b.splat(shape, sumType, 0, isUnsigned);
  Tensor sum = b.reduce(zero, outMap, reductionDims, {x, y}, {xMap, yMap},
                        [&](OpBuilder &builder, Location loc, ValueRange args) {
                          Scalar s{builder, loc};
                          Value p = scalarCast(s, args[0], x.isUnsigned, sumType, x.isUnsigned);
                          Value q = scalarCast(s, args[1], y.isUnsigned, sumType, y.isUnsigned);
                          return s.add(args[2], s.mul(p, q));
                        });
  if (sumType == type)
    return sum;
  return elementwise(b, shape, type, sum, x.isUnsigned,
                     [&](const Scalar &s, ValueRange args) { return scalarCast(s, args[0], false, type, false); });
}

static LogicalResult checkTypes(Builder &b, const Tensor &x, const Tensor &y) {
  if (x.elementType == y.elementType && x.isUnsigned == y.isUnsigned)
    return success();
  return b.error() << "the operands' types differ: " << x.str() << " and " << y.str();
}

static FailureOr<Tensor> product(Builder &b, const Tensor &left, const Tensor &right, Type sumType) {
  if (left.isScalar() || right.isScalar())
    return b.error() << "a matrix product needs operands of rank 1 or more, found " << left.str() << " and "
                     << right.str();
  Tensor x = left, y = right;
  if (left.rank() == 1)
    x = b.reshape(x, {1, x.shape[0]});
  if (right.rank() == 1)
    y = b.reshape(y, {y.shape[0], 1});
  Dim m = x.shape[x.rank() - 2], n = y.shape.back();
  if (failed(checkSame(b, x.shape.back(), y.shape[y.rank() - 2],
                       "inner dimensions of the matrix product " + left.str() + " x " + right.str())))
    return failure();
  auto batch = broadcastShapes(b, ArrayRef(x.shape).drop_back(2), ArrayRef(y.shape).drop_back(2));
  if (failed(batch))
    return failure();
  unsigned batches = batch->size(), loops = batches + 3;
  auto operandMap = [&](const Tensor &t, unsigned row, unsigned column) {
    AffineMap inner = b.broadcastMap(ArrayRef(t.shape).drop_back(2), *batch);
    SmallVector<AffineExpr> exprs(inner.getResults());
    exprs.push_back(b.builder.getAffineDimExpr(row));
    exprs.push_back(b.builder.getAffineDimExpr(column));
    return AffineMap::get(loops, 0, exprs, b.builder.getContext());
  };
  Dims shape = *batch;
  shape.append({m, n});
  AffineMap outMap = AffineMap::getMultiDimIdentityMap(loops, b.builder.getContext()).getMajorSubMap(loops - 1);
  Tensor result = contract(b, shape, outMap, {loops - 1}, x, operandMap(x, batches, batches + 2), y,
                           operandMap(y, batches + 2, batches + 1), sumType);
  Dims finalShape = *batch;
  if (left.rank() > 1)
    finalShape.push_back(m);
  if (right.rank() > 1)
    finalShape.push_back(n);
  return b.reshape(result, finalShape);
}

FailureOr<Tensor> matmul(Builder &b, const Tensor &left, const Tensor &right) {
  if (failed(checkTypes(b, left, right)))
    return failure();
  if (auto exact = matmulOfCodes(b, left, right))
    return *exact;
  return product(b, left, right, {});
}

FailureOr<Tensor> matmulSums(Builder &b, const Tensor &x, const Tensor &y) {
  return product(b, x, y, b.builder.getI32Type());
}

FailureOr<Tensor> gemm(Builder &b, const Tensor &x, const Tensor &y, const Tensor *c, double alpha, double beta,
                       bool transX, bool transY) {
  if (failed(checkTypes(b, x, y)))
    return failure();
  if (x.rank() != 2 || y.rank() != 2)
    return b.error() << "Gemm needs matrices, found " << x.str() << " and " << y.str();
  Dim m = x.shape[transX ? 1 : 0], n = y.shape[transY ? 0 : 1];
  if (failed(checkSame(b, x.shape[transX ? 0 : 1], y.shape[transY ? 1 : 0],
                       "inner dimensions of the matrix product " + x.str() + " x " + y.str())))
    return failure();
  if (alpha == 1 && (!c || beta == 1) && !transX)
    if (auto exact = matmulOfCodes(b, x, y, transY, c))
      return *exact;
  Tensor result = contract(b, {m, n}, projection(b, 3, {0, 1}), {2}, x,
                           transX ? projection(b, 3, {2, 0}) : projection(b, 3, {0, 2}), y,
                           transY ? projection(b, 3, {1, 2}) : projection(b, 3, {2, 1}));
  bool hasC = c && beta != 0;
  if (!hasC && alpha == 1)
    return result;
  SmallVector<Tensor> operands{result};
  if (hasC) {
    auto shape = broadcastShapes(b, c->shape, result.shape);
    if (failed(shape))
      return failure();
    if (shape->size() != 2 || isEqual((*shape)[0], m) == false || isEqual((*shape)[1], n) == false)
      return b.error() << "C of Gemm, " << c->str() << ", does not broadcast to the product's shape " << result.str();
    operands.push_back(*c);
  }
  Type type = result.elementType;
  return elementwise(b, result.shape, type, operands, x.isUnsigned, [&](const Scalar &s, ValueRange args) {
    Value product = alpha == 1 ? args[0] : s.mul(args[0], alpha);
    if (!hasC)
      return product;
    return s.add(product, beta == 1 ? args[1] : s.mul(args[1], beta));
  });
}

//===- einsum -------------------------------------------------------------------------------------------------------===

namespace {
struct Equation {
  SmallVector<std::string> inputs;
  std::string output;
};
} // namespace

/// Ellipsis dimensions become the labels 1, 2, ... (right-aligned).
static FailureOr<Equation> parseEquation(Builder &b, llvm::StringRef text, ArrayRef<Tensor> xs) {
  std::string compact;
  for (char c : text)
    if (c != ' ')
      compact += c;
  auto [left, right] = llvm::StringRef(compact).split("->");
  bool isExplicit = llvm::StringRef(compact).contains("->");
  SmallVector<llvm::StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != xs.size())
    return b.error() << "equation '" << text << "' has " << terms.size() << " terms for " << xs.size() << " operands";
  int64_t ellipsisRank = 0;
  for (auto [term, x] : llvm::zip_equal(terms, xs))
    if (term.contains("..."))
      ellipsisRank = std::max<int64_t>(ellipsisRank, x.rank() - (static_cast<int64_t>(term.size()) - 3));
  auto expand = [&](llvm::StringRef term, int64_t rank) -> std::string {
    auto [head, tail] = term.split("...");
    if (!term.contains("..."))
      return term.str();
    std::string labels;
    for (int64_t i = ellipsisRank - rank; i < ellipsisRank; ++i)
      labels += static_cast<char>(1 + i);
    return head.str() + labels + tail.str();
  };
  Equation equation;
  for (auto [term, x] : llvm::zip_equal(terms, xs)) {
    int64_t rank = x.rank() - (static_cast<int64_t>(term.size()) - 3);
    if (term.contains("...") && (rank < 0 || ellipsisRank > 30))
      return b.error() << "term '" << term << "' of equation '" << text << "' does not fit operand " << x.str();
    std::string labels = expand(term, rank);
    bool areLetters = llvm::all_of(labels, [](char c) { return llvm::isAlpha(c) || (c >= 1 && c < 32); });
    if (!areLetters || static_cast<int64_t>(labels.size()) != x.rank())
      return b.error() << "term '" << term << "' of equation '" << text << "' does not fit operand " << x.str();
    equation.inputs.push_back(labels);
  }
  std::string all;
  for (const std::string &labels : equation.inputs)
    all += labels;
  if (isExplicit) {
    equation.output = expand(right, ellipsisRank);
  } else {
    std::string letters;
    for (char c : all)
      if (c >= 32 && llvm::count(all, c) == 1)
        letters += c;
    llvm::sort(letters);
    equation.output = expand("...", ellipsisRank) + letters;
  }
  for (char c : equation.output)
    if (!llvm::is_contained(all, c) || llvm::count(equation.output, c) != 1)
      return b.error() << "the output of equation '" << text << "' names a label twice or one that no operand has";
  return equation;
}

FailureOr<Tensor> einsum(Builder &b, llvm::StringRef text, ArrayRef<Tensor> xs) {
  if (xs.empty())
    return b.error() << "expected at least one operand";
  auto equation = parseEquation(b, text, xs);
  if (failed(equation))
    return failure();
  std::map<char, Dim> sizes;
  for (auto [labels, x] : llvm::zip_equal(equation->inputs, xs))
    for (auto [label, size] : llvm::zip_equal(labels, x.shape)) {
      auto [it, isNew] = sizes.try_emplace(label, size);
      if (isNew || size.is(1))
        continue;
      if (it->second.is(1))
        it->second = size;
      else if (failed(checkSame(b, it->second, size, "einsum label in equation '" + text + "'")))
        return failure();
    }
  Tensor current = xs[0];
  std::string labels = equation->inputs[0];
  for (size_t i = 1; i < xs.size() || i == 1; ++i) {
    bool isPair = i < xs.size();
    // What a later operand or the output needs stays.
    std::string kept, summed, later = equation->output;
    for (size_t j = i + 1; j < xs.size(); ++j)
      later += equation->inputs[j];
    if (i + 1 >= xs.size())
      kept = equation->output;
    std::string here = labels + (isPair ? equation->inputs[i] : "");
    for (char c : here) {
      if (llvm::is_contained(kept, c) || llvm::is_contained(summed, c))
        continue;
      (llvm::is_contained(later, c) ? kept : summed) += c;
    }
    std::string loops = kept + summed;
    auto mapOf = [&](const Tensor &t, llvm::StringRef names) {
      SmallVector<AffineExpr> exprs;
      for (auto [c, size] : llvm::zip_equal(names, t.shape))
        exprs.push_back(size.is(1) && !sizes[c].is(1) ? b.builder.getAffineConstantExpr(0)
                                                      : b.builder.getAffineDimExpr(loops.find(c)));
      return AffineMap::get(loops.size(), 0, exprs, b.builder.getContext());
    };
    Dims shape;
    for (char c : kept)
      shape.push_back(sizes[c]);
    auto order = llvm::to_vector(llvm::seq<int64_t>(0, kept.size()));
    AffineMap outMap = projection(b, loops.size(), order);
    SmallVector<unsigned> reductions;
    for (size_t d = kept.size(); d < loops.size(); ++d)
      reductions.push_back(d);
    if (isPair) {
      if (failed(checkTypes(b, current, xs[i])))
        return failure();
      current = contract(b, shape, outMap, reductions, current, mapOf(current, labels), xs[i],
                         mapOf(xs[i], equation->inputs[i]));
    } else {
      Tensor zero = b.splat(shape, current.elementType, 0, current.isUnsigned);
      current = b.reduce(
          zero, outMap, reductions, current, mapOf(current, labels),
          [](OpBuilder &builder, Location loc, ValueRange args) { return Scalar{builder, loc}.add(args[1], args[0]); });
    }
    labels = kept;
  }
  return current;
}

} // namespace eyrie::ops
