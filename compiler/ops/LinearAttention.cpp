#include "compiler/ops/LinearAttention.h"
#include "compiler/ops/Loop.h"
#include "compiler/ops/Scalar.h"

using namespace mlir;

namespace eyrie::ops {

namespace {

/// The operands of all steps, time first, in the type that sums have; heads apart.
struct Steps {
  Tensor query, key, value;          // [T, B, H, G, K], [T, B, H, K], [T, B, H, V]
  std::optional<Tensor> decay, beta; // [T, B, H, K or 1], [T, B, H or 1, 1]
  double scale = 1;
};

} // namespace

/// [B, T, product(parts)] as [T, B, parts...].
static FailureOr<Tensor> timeFirst(Builder &b, const Tensor &x, ArrayRef<Dim> parts, Type type) {
  Dims shape{x.shape[0], x.shape[1]};
  llvm::append_range(shape, parts);
  SmallVector<int64_t> permutation{1, 0};
  for (size_t i = 2; i < shape.size(); ++i)
    permutation.push_back(i);
  return cast(b, b.transpose(b.reshape(x, shape), permutation), type, false);
}

static FailureOr<Steps> makeSteps(Builder &b, const Tensor &query, const Tensor &key, const Tensor &value,
                                  const Tensor *decay, const Tensor *beta, const LinearAttentionAttrs &attrs,
                                  Dim keySize, Dim valueSize, Type type) {
  Dim heads = attrs.keyHeads, groups = attrs.queryHeads / attrs.keyHeads;
  auto q = timeFirst(b, query, {heads, groups, keySize}, type), k = timeFirst(b, key, {heads, keySize}, type);
  auto v = timeFirst(b, value, {heads, valueSize}, type);
  if (failed(q) || failed(k) || failed(v))
    return failure();
  Steps steps{*q, *k, *v, std::nullopt, std::nullopt, attrs.scale};
  if (decay) {
    bool isPerHead = isEqual(decay->shape[2], heads) == std::optional<bool>(true);
    auto g = timeFirst(b, *decay, {heads, isPerHead ? Dim(1) : keySize}, type);
    if (failed(g))
      return failure();
    steps.decay = *g;
  }
  if (beta) {
    bool isPerHead = isEqual(beta->shape[2], heads) == std::optional<bool>(true);
    auto rate = timeFirst(b, *beta, {isPerHead ? heads : Dim(1), 1}, type);
    if (failed(rate))
      return failure();
    steps.beta = *rate;
  }
  return steps;
}

/// One step of the recurrence on the state [B, H, K, V]: the next state, and the result [B, H, G, V].
static FailureOr<std::pair<Tensor, Tensor>> step(Builder &b, const Steps &steps, const Tensor &state, Dim turn) {
  auto withUnit = [&](const Tensor &t, int64_t at) {
    Dims shape = t.shape;
    shape.insert(shape.begin() + at, Dim(1));
    return b.reshape(t, shape);
  };
  FailureOr<Tensor> next = state;
  auto apply = [&](Binary kind, const FailureOr<Tensor> &x, const FailureOr<Tensor> &y) -> FailureOr<Tensor> {
    return failed(x) || failed(y) ? FailureOr<Tensor>(failure()) : binary(b, kind, *x, *y);
  };
  Tensor key = rowOf(b, steps.key, turn);
  FailureOr<Tensor> value = rowOf(b, steps.value, turn);
  if (steps.decay)
    next = apply(Binary::Mul, next, unary(b, Unary::Exp, withUnit(rowOf(b, *steps.decay, turn), 3)));
  if (steps.beta && succeeded(next)) {
    auto known = einsum(b, "bhkv,bhk->bhv", {*next, key});
    value = apply(Binary::Mul, rowOf(b, *steps.beta, turn), apply(Binary::Sub, value, known));
  }
  if (failed(value))
    return failure();
  next = apply(Binary::Add, next, apply(Binary::Mul, withUnit(key, 3), withUnit(*value, 2)));
  if (failed(next))
    return failure();
  Tensor written = fromValue(b.value(*next), state.shape);
  auto result = einsum(b, "bhgk,bhkv->bhgv", {rowOf(b, steps.query, turn), written});
  if (failed(result))
    return failure();
  return std::pair(written, *result);
}

FailureOr<SmallVector<Tensor>> linearAttention(Builder &b, const Tensor &query, const Tensor &key, const Tensor &value,
                                               const Tensor *state, const Tensor *decay, const Tensor *beta,
                                               const LinearAttentionAttrs &attrs) {
  for (const Tensor *t : {&query, &key, &value, decay, beta})
    if (t && (t->rank() != 3 || t->elementType != query.elementType || !t->isFloat()))
      return b.error() << "query, key, value, decay and beta must be floats of one type and rank 3, found " << t->str();
  if (attrs.keyHeads < 1 || attrs.queryHeads < 1 || attrs.queryHeads % attrs.keyHeads)
    return b.error() << "q_num_heads = " << attrs.queryHeads
                     << " must be a multiple of kv_num_heads = " << attrs.keyHeads;
  if (!decay != !attrs.isGated || !beta != !attrs.isDelta)
    return b.error() << "the update rule " << (attrs.isGated ? "needs" : "forbids") << " decay and "
                     << (attrs.isDelta ? "needs" : "forbids") << " beta";
  auto keySize = divideExactly(query.shape[2], attrs.queryHeads);
  auto valueSize = divideExactly(value.shape[2], attrs.keyHeads);
  if (!keySize || !valueSize)
    return b.error() << "the last dimensions of " << query.str() << " and " << value.str() << " do not divide into "
                     << attrs.queryHeads << " and " << attrs.keyHeads << " heads";
  if (failed(checkSame(b, key.shape[2], *keySize * Dim(attrs.keyHeads), "the sizes of keys and queries")))
    return failure();
  Type type = computeType(query.elementType), stateType = state ? state->elementType : query.elementType;
  LinearAttentionAttrs known = attrs;
  if (known.scale == 0) {
    if (!keySize->isConstant() || keySize->constant() < 1)
      return b.error() << "the size of a key must be known at compile time, found " << query.str();
    known.scale = 1 / std::sqrt(double(keySize->constant()));
  }
  auto steps = makeSteps(b, query, key, value, decay, beta, known, *keySize, *valueSize, type);
  if (failed(steps))
    return failure();
  Dim batch = query.shape[0], length = query.shape[1], heads = attrs.keyHeads;
  Dim groups = attrs.queryHeads / attrs.keyHeads;
  Dims stateShape{batch, heads, *keySize, *valueSize}, rowShape{batch, heads, groups, *valueSize}, rows{length};
  rows.append(rowShape);
  auto before = state ? cast(b, *state, type, false) : FailureOr<Tensor>(b.splat(stateShape, type, 0));
  if (failed(before))
    return failure();
  if (before->rank() != 4)
    return b.error() << "the state must have rank 4, found " << state->str();
  for (int64_t d = 0; d < 4; ++d)
    if (failed(checkSame(b, before->shape[d], stateShape[d], "the sizes of the state and of heads, keys and values")))
      return failure();
  Tensor first = fromValue(b.withShape(b.value(*before), stateShape), stateShape);
  bool isGood = true;
  auto results = countedLoop(b, length, {first, b.splat(rows, type, 0)}, [&](Dim turn, ArrayRef<Tensor> carried) {
    auto both = step(b, *steps, carried[0], turn);
    isGood &= succeeded(both);
    if (failed(both))
      return SmallVector<Tensor>(carried);
    Tensor row = fromValue(b.withShape(b.value(both->second), rowShape), rowShape);
    return SmallVector<Tensor>{both->first, withRow(b, carried[1], row, turn)};
  });
  if (!isGood)
    return failure();
  Tensor batchFirst = b.transpose(results[1], {1, 0, 2, 3, 4});
  Tensor packed = b.reshape(batchFirst, {batch, length, Dim(attrs.queryHeads) * *valueSize});
  auto scaled = binary(b, Binary::Mul, packed, b.splat({}, type, known.scale));
  auto y = failed(scaled) ? scaled : cast(b, *scaled, query.elementType, false);
  auto after = cast(b, results[0], stateType, false);
  if (failed(y) || failed(after))
    return failure();
  return SmallVector<Tensor>{*y, *after};
}

FailureOr<SmallVector<Tensor>> causalConv(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *bias,
                                          const Tensor *state, bool swish) {
  if (x.rank() != 3 || filter.rank() != 3 || !filter.shape[0].isConstant() || !filter.shape[2].isConstant() ||
      filter.shape[2].constant() < 1)
    return b.error() << "expected an input [B, C, L] and a filter [C, 1, K] of known sizes, found " << x.str()
                     << " and " << filter.str();
  Dim earlier = filter.shape[2] - Dim(1);
  Tensor before = state ? *state : b.splat({x.shape[0], x.shape[1], earlier}, x.elementType, 0);
  if (before.rank() != 3 ||
      failed(checkSame(b, before.shape[2], earlier, "the state and the filter's length less one")))
    return failure();
  auto whole = earlier.is(0) ? FailureOr<Tensor>(x) : concat(b, {before, x}, 2);
  auto y = failed(whole) ? whole : conv(b, *whole, filter, bias, WindowAttrs(), filter.shape[0].constant());
  if (succeeded(y) && swish)
    y = unary(b, Unary::Swish, *y, 1);
  if (failed(y))
    return failure();
  Dims sizes{x.shape[0], x.shape[1], earlier};
  return SmallVector<Tensor>{*y, b.extract(*whole, {0, 0, x.shape[2]}, sizes, {1, 1, 1})};
}

} // namespace eyrie::ops
