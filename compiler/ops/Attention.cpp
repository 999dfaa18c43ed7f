// Attention: scores, masks, softmax and the weighted sum of values, each a contraction or an elementwise generic.
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cmath>

using namespace mlir;

namespace eyrie::ops {

FailureOr<Tensor> splitHeads(Builder &b, const Tensor &x, int64_t heads) {
  if (x.rank() != 3 || heads < 1 || (x.shape[2].isConstant() && x.shape[2].constant() % heads != 0))
    return b.error() << "expected a tensor of rank 3 whose last dimension is a multiple of the " << heads
                     << " heads, found " << x.str();
  return b.transpose(b.reshape(x, {x.shape[0], x.shape[1], heads, floorDiv(x.shape[2], heads)}), {0, 2, 1, 3});
}

Tensor mergeHeads(Builder &b, const Tensor &x) {
  Tensor y = b.transpose(x, {0, 2, 1, 3});
  return b.reshape(y, {y.shape[0], y.shape[1], y.shape[2] * y.shape[3]});
}

/// q k^T (or p v, `isValue`) with `q` [B, H, S, *] and `k` [B, HK, T, D]: H may be a multiple of HK.
static Tensor contractHeads(Builder &b, const Tensor &q, const Tensor &k, bool isValue) {
  Dim heads = q.shape[1], shared = k.shape[1], rows = q.shape[2], columns = k.shape[isValue ? 3 : 2];
  bool isGrouped = heads != shared;
  unsigned s = isGrouped ? 3 : 2, loops = s + 3;
  SmallVector<int64_t> xDims, yDims, outDims;
  for (unsigned i = 0; i < s; ++i)
    xDims.push_back(i), outDims.push_back(i);
  xDims.append({s, s + 2});
  outDims.append({s, s + 1});
  if (isValue)
    yDims = {0, 1, s + 2, s + 1};
  else
    yDims = {0, 1, s + 1, s + 2};
  Dims shape{q.shape[0], shared};
  if (isGrouped)
    shape.push_back(floorDiv(heads, shared));
  Dims split = shape;
  split.append({rows, q.shape[3]});
  shape.append({rows, columns});
  Tensor y = contract(b, shape, projection(b, loops, outDims), {loops - 1}, b.reshape(q, split),
                      projection(b, loops, xDims), k, projection(b, loops, yDims));
  return b.reshape(y, {q.shape[0], heads, rows, columns});
}

static LogicalResult checkOperands(Builder &b, const Tensor &q, const Tensor &k, const Tensor &v) {
  for (const Tensor *t : {&q, &k, &v})
    if (t->rank() != 4 || !t->isFloat() || t->elementType != q.elementType)
      return b.error() << "attention needs queries, keys and values of rank 4 and one floating-point type, found "
                       << q.str() << ", " << k.str() << " and " << v.str();
  std::string what = "attention over " + q.str() + ", " + k.str() + " and " + v.str();
  if (failed(checkSame(b, q.shape[0], k.shape[0], what)) || failed(checkSame(b, q.shape[0], v.shape[0], what)) ||
      failed(checkSame(b, q.shape[3], k.shape[3], what)) || failed(checkSame(b, k.shape[1], v.shape[1], what)) ||
      failed(checkSame(b, k.shape[2], v.shape[2], what)))
    return failure();
  Dim heads = q.shape[1], shared = k.shape[1];
  if (heads.isConstant() && shared.isConstant() && (shared.constant() < 1 || heads.constant() % shared.constant() != 0))
    return b.error() << "the " << heads.constant() << " heads of the queries are not a multiple of the "
                     << shared.constant() << " of the keys";
  return success();
}

/// A mask of rank up to 4 whose last dimension reaches over all `total` keys.
static FailureOr<Tensor> settleMask(Builder &b, const Tensor &mask, const Tensor &scores, double masked) {
  if (!mask.isBool() && mask.elementType != scores.elementType)
    return b.error() << "a mask must be boolean or have the type of the queries, found " << mask.str();
  Tensor t = mask;
  Dim total = scores.shape[3];
  if (t.rank() > 0 && t.shape.back() != total && !t.shape.back().is(1)) {
    Dims low(t.rank(), Dim(0)), high = low;
    high.back() = total - t.shape.back();
    if (high.back().isConstant() && high.back().constant() < 0)
      return b.error() << "the mask " << t.str() << " is longer than the " << total.str() << " keys";
    t = b.pad(t, low, high,
              mask.isBool() ? TypedAttr(b.builder.getBoolAttr(false)) : numberAttr(t.elementType, masked));
    t.shape.back() = total;
  }
  auto shape = broadcastShapes(b, t.shape, scores.shape);
  if (failed(shape))
    return failure();
  if (*shape != scores.shape)
    return b.error() << "the mask " << mask.str() << " does not broadcast to the scores " << scores.str();
  return t;
}

namespace {
/// Which keys a query sees by its place, inside the body of a generic over [B, H, S, T].
struct Places {
  const AttentionAttrs &attrs;
  Count offset, queries;
  Value see(const Scalar &s, Value first, Value end, Type firstType) const {
    Type i64 = s.b.getI64Type();
    Value key = s.loopNumber(3), seen;
    auto both = [&](Value condition) { seen = seen ? Value(s.op<arith::AndIOp>(seen, condition)) : condition; };
    if (attrs.hasPlaces()) {
      Value own = attrs.isOffsetFromCounts
                      ? s.add(s.loopNumber(2), s.sub(scalarCast(s, end, false, i64, false), queries.get(s, i64)))
                      : s.add(s.loopNumber(2), offset.get(s, i64));
      if (attrs.isCausal)
        both(s.cmp(arith::CmpIPredicate::sle, key, own));
      if (attrs.leftWindow >= 0)
        both(s.cmp(arith::CmpIPredicate::sge, key, s.sub(own, s.number(i64, attrs.leftWindow))));
      if (attrs.rightWindow >= 0)
        both(s.cmp(arith::CmpIPredicate::sle, key, s.add(own, s.number(i64, attrs.rightWindow))));
    }
    if (first)
      both(s.cmp(arith::CmpIPredicate::sge, key, scalarCast(s, first, false, i64, false)));
    if (end)
      both(s.cmp(arith::CmpIPredicate::slt, key, scalarCast(s, end, false, i64, false)));
    return seen;
  }
};
} // namespace

/// How a tensor that broadcasts to [B, S] is read in loops over [B, H, S, T].
static FailureOr<Tensor> perQuery(Builder &b, const Tensor &t, const Tensor &scores, llvm::StringRef name) {
  Dim batch = scores.shape[0];
  if (!t.isInteger() || t.isBool() || t.rank() > 2)
    return b.error() << name << " must be integers of rank 1 or 2, found " << t.str();
  Tensor laid = b.reshape(t, {t.rank() > 0 ? t.shape[0] : Dim(1), 1, t.rank() > 1 ? t.shape[1] : Dim(1), 1});
  if (!laid.shape[0].is(1) && failed(checkSame(b, laid.shape[0], batch, name)))
    return failure();
  if (!laid.shape[2].is(1) && failed(checkSame(b, laid.shape[2], scores.shape[2], name)))
    return failure();
  return laid;
}

static FailureOr<Tensor> applyMasks(Builder &b, const Tensor &scores, ArrayRef<Tensor> masks, const Tensor *firstKeys,
                                    const Tensor *keyCounts, const AttentionAttrs &attrs) {
  SmallVector<Tensor> operands{scores};
  for (const Tensor &mask : masks) {
    auto settled = settleMask(b, mask, scores, attrs.masked);
    if (failed(settled))
      return failure();
    operands.push_back(*settled);
  }
  for (auto [t, name] : {std::pair(firstKeys, "the first keys"), {keyCounts, "the numbers of keys"}}) {
    if (!t)
      continue;
    auto laid = perQuery(b, *t, scores, name);
    if (failed(laid))
      return failure();
    operands.push_back(*laid);
  }
  if (operands.size() == 1 && !attrs.hasPlaces())
    return scores;
  Places places{attrs, Count(b, attrs.offset), Count(b, scores.shape[2])};
  Type type = scores.elementType, wide = computeType(type);
  return elementwise(b, scores.shape, type, operands, false, [&](const Scalar &s, ValueRange args) {
    Value y = scalarCast(s, args[0], false, wide, false);
    Value never = s.number(wide, attrs.masked);
    unsigned next = 1;
    for (const Tensor &mask : masks) {
      Value m = args[next++];
      if (mask.isBool()) {
        y = s.select(m, y, never);
        continue;
      }
      // What is masked by minus infinity is not seen, whatever the score: not even infinity or NaN.
      m = scalarCast(s, m, false, wide, false);
      Value isHidden = s.cmp(arith::CmpFPredicate::OEQ, m, s.number(wide, -std::numeric_limits<double>::infinity()));
      y = s.select(isHidden, m, s.add(y, m));
    }
    Value first = firstKeys ? args[next++] : Value(), end = keyCounts ? args[next++] : Value();
    if (Value seen = places.see(s, first, end, wide))
      y = s.select(seen, y, never);
    return scalarCast(s, y, false, type, false);
  });
}

static Tensor applyCap(Builder &b, const Tensor &scores, double cap) {
  if (cap <= 0)
    return scores;
  return elementwiseWide(b, scores.shape, scores, [&](const Scalar &s, ValueRange args) {
    return s.mul(s.op<math::TanhOp>(s.divF(args[0], s.like(args[0], cap))), cap);
  });
}

FailureOr<AttentionResult> attention(Builder &b, const Tensor &q, const Tensor &k, const Tensor &v,
                                     ArrayRef<Tensor> masks, const Tensor *firstKeys, const Tensor *keyCounts,
                                     const AttentionAttrs &attrs) {
  if (failed(checkOperands(b, q, k, v)))
    return failure();
  Count size(b, q.shape[3]);
  Tensor scaled = elementwiseWide(b, q.shape, q, [&](const Scalar &s, ValueRange args) {
    if (attrs.scale)
      return s.mul(args[0], *attrs.scale);
    if (q.shape[3].isConstant())
      return s.mul(args[0], 1 / std::sqrt(static_cast<double>(q.shape[3].constant())));
    return s.divF(args[0], s.op<math::SqrtOp>(size.get(s, args[0].getType())));
  });
  AttentionResult r;
  r.raw = contractHeads(b, scaled, k, /*isValue=*/false);
  // The cap before the masks: it would make minus infinity a number.
  r.capped = applyCap(b, r.raw, attrs.softcap);
  auto biased = applyMasks(b, r.capped, masks, firstKeys, keyCounts, attrs);
  if (failed(biased))
    return failure();
  r.biased = *biased;
  auto scores = attrs.softmaxType ? cast(b, r.biased, attrs.softmaxType, false) : FailureOr<Tensor>(r.biased);
  if (succeeded(scores) && attrs.changeScores)
    scores = attrs.changeScores(*scores);
  bool maySeeNothing = !masks.empty() || firstKeys || keyCounts || attrs.leftWindow >= 0 || attrs.rightWindow >= 0;
  auto weights = failed(scores)                              ? scores
                 : maySeeNothing && std::isinf(attrs.masked) ? FailureOr<Tensor>(maskedSoftmax(b, *scores))
                                                             : softmax(b, *scores, 3);
  if (succeeded(weights) && attrs.changeProbabilities)
    weights = attrs.changeProbabilities(*weights);
  if (failed(weights))
    return failure();
  Type sumType = attrs.isWideValueSum ? weights->elementType : q.elementType;
  auto narrowed = cast(b, *weights, sumType, false), values = cast(b, v, sumType, false);
  if (failed(narrowed) || failed(values))
    return failure();
  r.probabilities = *narrowed;
  auto y = cast(b, contractHeads(b, r.probabilities, *values, /*isValue=*/true), q.elementType, false);
  if (failed(y))
    return failure();
  r.y = *y;
  return r;
}

//===- positions ----------------------------------------------------------------------------------------------------===

FailureOr<Tensor> rotaryEmbedding(Builder &b, const Tensor &x, const Tensor &cos, const Tensor &sin,
                                  const Tensor *positions, bool interleaved, int64_t rotaryDim) {
  if (x.rank() != 4 || !x.isFloat() || cos.elementType != x.elementType || sin.elementType != x.elementType)
    return b.error() << "expected a floating-point tensor of rank 4 and tables of its type, found " << x.str() << ", "
                     << cos.str() << " and " << sin.str();
  // The tables say it too, where the head size is not known.
  Dim all = rotaryDim                                      ? Dim(rotaryDim)
            : x.shape[3].isConstant() || cos.shape.empty() ? x.shape[3]
                                                           : cos.shape.back() * Dim(2);
  if (!all.isConstant())
    return b.error() << "the head size must be known, found " << x.str();
  int64_t rotated = all.constant(), half = rotated / 2;
  if (rotated < 2 || rotated % 2 != 0 || isLess(x.shape[3], rotated) == std::optional<bool>(true))
    return b.error() << "the rotary dimension " << rotated << " must be even and at most the head size of " << x.str();
  bool isTable = positions != nullptr;
  for (const Tensor *t : {&cos, &sin})
    if (t->rank() != (isTable ? 2 : 3) || isEqual(t->shape.back(), half) == std::optional<bool>(false))
      return b.error() << "a table of cosines or sines must have rank " << (isTable ? 2 : 3) << " and rows of " << half
                       << ", found " << t->str();
  SmallVector<Tensor> operands;
  SmallVector<AffineMap> maps;
  bool isOffset = isTable && positions->rank() < 2;
  if (isTable) {
    if (!positions->isInteger() || positions->rank() > 2 || (isOffset && !positions->numElements().is(1)))
      return b.error() << "positions must be integers, one for each batch and place or one offset, found "
                       << positions->str();
    if (!isOffset && (failed(checkSame(b, positions->shape[0], x.shape[0], "positions " + positions->str())) ||
                      failed(checkSame(b, positions->shape[1], x.shape[2], "positions " + positions->str()))))
      return failure();
    operands.push_back(isOffset ? b.reshape(*positions, {}) : *positions);
    maps.push_back(isOffset ? projection(b, 4, {}) : projection(b, 4, {0, 2}));
  }
  Value data = b.value(x), cosines = b.value(cos), sines = b.value(sin);
  Count rows(b, cos.shape[0]);
  Type wide = computeType(x.elementType);
  return b.map(x.shape, x.elementType, operands, maps, [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
    Scalar s{builder, loc};
    SmallVector<Value> at;
    for (unsigned d = 0; d < 4; ++d)
      at.push_back(s.op<linalg::IndexOp>(d));
    auto addI = [&](Value p, Value q) -> Value { return s.op<arith::AddIOp>(p, q); };
    auto isBelow = [&](Value p, int64_t q) { return s.cmp(arith::CmpIPredicate::ult, p, s.index(q)); };
    Value isIn = isBelow(at[3], rotated), place = s.op<arith::MinUIOp>(at[3], s.index(rotated - 1)), pair, isFirst;
    SmallVector<Value> other = at;
    if (interleaved) {
      pair = s.op<arith::DivUIOp>(place, s.index(2));
      other[3] = s.op<arith::XOrIOp>(place, s.index(1));
      isFirst = s.cmp(arith::CmpIPredicate::ult, place, other[3]);
    } else {
      isFirst = isBelow(place, half);
      pair = s.select(isFirst, place, s.op<arith::SubIOp>(place, s.index(half)));
      other[3] = s.select(isFirst, addI(place, s.index(half)), pair);
    }
    SmallVector<Value> entry{at[0], at[2], pair};
    if (isTable) {
      Value row = s.op<arith::IndexCastOp>(builder.getIndexType(), args[0]);
      if (isOffset)
        row = addI(row, at[2]);
      Value last = s.op<arith::SubIOp>(rows.get(s, builder.getIndexType()), s.index(1));
      row = s.op<arith::MaxSIOp>(Value(s.op<arith::MinSIOp>(row, last)), s.index(0));
      entry = {row, pair};
    }
    auto read = [&](Value source, ValueRange index) {
      return scalarCast(s, s.op<tensor::ExtractOp>(source, index), false, wide, false);
    };
    Value mine = read(data, at), its = s.mul(read(data, other), read(sines, entry));
    Value turned = s.add(s.mul(mine, read(cosines, entry)), s.select(isFirst, s.neg(its), its));
    return scalarCast(s, s.select(isIn, turned, mine), false, x.elementType, false);
  });
}

FailureOr<Tensor> updateCache(Builder &b, const Tensor &past, const Tensor &update, const Tensor *starts, int64_t axis,
                              bool circular) {
  auto position = normalizeAxis(b, axis, past.rank());
  if (failed(position))
    return failure();
  if (update.rank() != past.rank() || update.elementType != past.elementType || *position == 0)
    return b.error() << "the update " << update.str() << " does not fit the cache " << past.str() << " along axis "
                     << *position;
  for (int64_t i = 0; i < past.rank(); ++i)
    if (i != *position && failed(checkSame(b, past.shape[i], update.shape[i],
                                           "the update " + update.str() + " and the cache " + past.str())))
      return failure();
  if (isLess(past.shape[*position], update.shape[*position]) == std::optional<bool>(true))
    return b.error() << "the update " << update.str() << " is longer than the cache " << past.str();
  SmallVector<Tensor> operands{past};
  SmallVector<AffineMap> maps{b.identity(past.rank())};
  if (starts) {
    if (!starts->isInteger() || starts->rank() != 1)
      return b.error() << "expected one place for each batch, found " << starts->str();
    if (failed(checkSame(b, starts->shape[0], past.shape[0], "the places " + starts->str())))
      return failure();
    operands.push_back(*starts);
    maps.push_back(projection(b, past.rank(), {0}));
  }
  if (update.numElements().is(0))
    return past;
  Value source = b.value(update);
  Count length(b, update.shape[*position]), size(b, past.shape[*position]);
  return b.map(
      past.shape, past.elementType, operands, maps,
      [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
        Scalar s{builder, loc};
        Type index = builder.getIndexType();
        SmallVector<Value> at;
        for (int64_t d = 0; d < past.rank(); ++d)
          at.push_back(s.op<linalg::IndexOp>(d));
        Value from = at[*position], count = length.get(s, index);
        if (starts)
          from = s.op<arith::SubIOp>(from, Value(s.op<arith::IndexCastOp>(index, args[1])));
        if (circular) {
          from = s.op<arith::RemSIOp>(from, size.get(s, index));
          from = s.select(s.cmp(arith::CmpIPredicate::slt, from, s.index(0)),
                          s.op<arith::AddIOp>(from, size.get(s, index)), from);
        }
        Value isIn = s.cmp(arith::CmpIPredicate::ult, from, count);
        Value last = s.op<arith::SubIOp>(count, s.index(1));
        at[*position] = s.op<arith::MaxSIOp>(Value(s.op<arith::MinSIOp>(from, last)), s.index(0));
        return s.select(isIn, s.op<tensor::ExtractOp>(source, at), args[0]);
      },
      past.isUnsigned);
}

} // namespace eyrie::ops
