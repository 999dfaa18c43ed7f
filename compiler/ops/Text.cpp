#include "compiler/ops/Text.h"
#include "compiler/ops/Scalar.h"
#include <map>

using namespace mlir;

namespace eyrie::ops {

namespace {
/// The n-grams of one length by the column in which they count. A second one of a column goes into the next layer.
struct Layer {
  int64_t length;
  std::vector<int64_t> tokens; // [columns, length]
  std::vector<int64_t> isUsed; // [columns], 0 or 1
  std::vector<float> weights;  // [columns]
};
} // namespace

/// Where the n-grams of `length` start and end in the pool.
static std::pair<int64_t, int64_t> poolRange(const TfIdfAttrs &attrs, int64_t length) {
  int64_t begin = attrs.counts[length - 1];
  int64_t end = length < static_cast<int64_t>(attrs.counts.size()) ? attrs.counts[length] : attrs.pool.size();
  return {begin, end};
}

static LogicalResult checkPool(Builder &b, const TfIdfAttrs &attrs) {
  int64_t lengths = attrs.counts.size(), known = 0;
  if (attrs.minLength < 1 || attrs.maxLength < attrs.minLength || attrs.maxLength > lengths || attrs.maxSkip < 0)
    return b.error() << "n-grams of " << attrs.minLength << " to " << attrs.maxLength << " tokens with up to "
                     << attrs.maxSkip << " skipped do not fit ngram_counts of " << lengths << " values";
  for (int64_t length = 1; length <= lengths; ++length) {
    auto [begin, end] = poolRange(attrs, length);
    if (begin < 0 || end < begin || end > int64_t(attrs.pool.size()) || (end - begin) % length)
      return b.error() << "ngram_counts do not divide a pool of " << attrs.pool.size() << " tokens into n-grams";
    known += (end - begin) / length;
  }
  if (known > int64_t(attrs.columns.size()) || attrs.columns.empty())
    return b.error() << "ngram_indexes must have " << known << " values, found " << attrs.columns.size();
  for (int64_t column : attrs.columns)
    if (column < 0 || column > (int64_t(1) << 31))
      return b.error() << "ngram_indexes holds " << column;
  return success();
}

static std::vector<Layer> makeLayers(const TfIdfAttrs &attrs, int64_t columns) {
  std::vector<Layer> layers;
  int64_t gram = 0;
  for (int64_t length = 1; length <= int64_t(attrs.counts.size()); ++length) {
    auto [begin, end] = poolRange(attrs, length);
    // The last of equal n-grams counts.
    auto isBefore = [](ArrayRef<int64_t> x, ArrayRef<int64_t> y) {
      return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end());
    };
    std::map<ArrayRef<int64_t>, int64_t, decltype(isBefore)> gramOf(isBefore);
    for (int64_t at = begin; at < end; at += length)
      gramOf[ArrayRef(attrs.pool).slice(at, length)] = gram++;
    if (length < attrs.minLength || length > attrs.maxLength)
      continue;
    size_t first = layers.size();
    for (auto &[tokens, gram] : gramOf) {
      int64_t column = attrs.columns[gram];
      size_t i = first;
      while (i < layers.size() && layers[i].isUsed[column])
        ++i;
      if (i == layers.size())
        layers.push_back({length, std::vector<int64_t>(columns * length), std::vector<int64_t>(columns),
                          std::vector<float>(columns)});
      std::copy(tokens.begin(), tokens.end(), layers[i].tokens.begin() + column * length);
      layers[i].isUsed[column] = 1;
      layers[i].weights[column] = attrs.weights.empty() ? 1 : attrs.weights[gram];
    }
  }
  return layers;
}

template <typename T> static Tensor literal(ArrayRef<int64_t> shape, Type type, const std::vector<T> &elements) {
  return fromConstant(DenseElementsAttr::get(RankedTensorType::get(shape, type), ArrayRef<T>(elements)));
}

/// Counts into `sum` [N, columns] each place at which the tokens of a column's n-gram stand `distance` apart.
static Tensor countLayer(Builder &b, const Tensor &x, const Tensor &sum, const Layer &layer, int64_t distance,
                         TfIdfAttrs::Mode mode) {
  Type i64 = b.builder.getI64Type();
  int64_t columns = layer.isUsed.size();
  Dim starts = max(x.shape[1] - Dim(distance * (layer.length - 1)), 0);
  Tensor grams = literal({columns, layer.length}, i64, layer.tokens);
  // Loops: row, column, start. One operand for each token, and one of the n-gram's.
  AffineMap ofColumn = projection(b, 3, {1});
  SmallVector<Tensor> operands{literal(columns, i64, layer.isUsed), literal(columns, sum.elementType, layer.weights)};
  SmallVector<AffineMap> maps{ofColumn, ofColumn};
  for (int64_t j = 0; j < layer.length; ++j) {
    operands.push_back(b.extract(x, {0, j * distance}, {x.shape[0], starts}, {1, 1}));
    maps.push_back(projection(b, 3, {0, 2}));
    operands.push_back(grams);
    maps.push_back(AffineMap::get(3, 0, {b.builder.getAffineDimExpr(1), b.builder.getAffineConstantExpr(j)},
                                  b.builder.getContext()));
  }
  return b.reduce(sum, projection(b, 3, {0, 1}), 2u, operands, maps,
                  [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
                    Scalar s{builder, loc};
                    Value isHere = s.cmp(arith::CmpIPredicate::ne, args[0], s.like(args[0], 0)), old = args.back();
                    for (int64_t j = 0; j < layer.length; ++j) {
                      Value same = s.cmp(arith::CmpIPredicate::eq, args[2 + 2 * j], args[3 + 2 * j]);
                      isHere = s.op<arith::AndIOp>(isHere, same);
                    }
                    Value next = mode == TfIdfAttrs::Mode::Tf      ? s.add(old, 1.0)
                                 : mode == TfIdfAttrs::Mode::TfIdf ? s.add(old, args[1])
                                                                   : args[1];
                    return s.select(isHere, next, old);
                  });
}

FailureOr<Tensor> tfIdfVectorizer(Builder &b, const Tensor &x, const TfIdfAttrs &attrs) {
  if (!x.isInteger() || x.rank() > 2)
    return b.error() << "expected integers [C] or [N, C], found " << x.str();
  if (failed(checkPool(b, attrs)))
    return failure();
  int64_t columns = *llvm::max_element(attrs.columns) + 1;
  if (!attrs.weights.empty() && attrs.weights.size() != attrs.columns.size())
    return b.error() << "weights must have " << attrs.columns.size() << " values, found " << attrs.weights.size();
  bool isBatch = x.rank() == 2;
  Dim rows = isBatch ? x.shape[0] : Dim(1), tokens = x.rank() ? x.shape.back() : Dim(1);
  Type f32 = b.builder.getF32Type();
  auto wide = cast(b, b.reshape(x, {rows, tokens}), b.builder.getI64Type(), false);
  if (failed(wide))
    return failure();
  Tensor counts = b.splat({rows, columns}, f32, 0);
  for (const Layer &layer : makeLayers(attrs, columns))
    for (int64_t skip = 0; skip <= (layer.length == 1 ? 0 : attrs.maxSkip); ++skip)
      if (isLess(wide->shape[1], Dim((skip + 1) * (layer.length - 1) + 1)) != std::optional<bool>(true))
        counts = countLayer(b, *wide, counts, layer, skip + 1, attrs.mode);
  return isBatch ? counts : b.reshape(counts, {Dim(columns)});
}

} // namespace eyrie::ops
