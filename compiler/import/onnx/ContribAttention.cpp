// The attentions of com.microsoft: each lays out its operands for ops::attention.
#include "compiler/import/onnx/Registry.h"

using namespace mlir;
using eyrie::ops::Binary;
using eyrie::ops::Dim;

namespace eyrie::import::onnx {
namespace {

using Parts = FailureOr<SmallVector<Tensor>>;

Type i64(OpNode &n) { return n.b.builder.getI64Type(); }
Tensor integer(OpNode &n, Dim value) { return ops::fromContents(i64(n), {}, {value}); }

LogicalResult expectRank(OpNode &n, const Tensor &x, int64_t rank, StringRef name) {
  if (x.rank() == rank)
    return success();
  return n.fail("input '" + name + "' must have rank " + llvm::Twine(rank) + ", found " + x.str());
}

/// A form of the operation that is not there: any of the named inputs or attributes.
LogicalResult refuse(OpNode &n, ArrayRef<std::pair<size_t, StringRef>> inputs, ArrayRef<StringRef> attributes) {
  for (auto [i, name] : inputs)
    if (n.input(i))
      return n.unsupported("input '" + name + "' is not supported");
  for (StringRef name : attributes)
    if (n.integer(name, 0) > 0)
      return n.unsupported("attribute '" + name + "' = 1 is not supported");
  return success(n.isGood());
}

/// 0 where the integer mask lets a key through and `hidden` where it does not, laid out as [B, 1, S or 1, T].
FailureOr<Tensor> additiveMask(OpNode &n, const Tensor &mask, Type type, double hidden) {
  Tensor laid = mask;
  if (mask.rank() == 2)
    laid = n.b.reshape(mask, {mask.shape[0], 1, 1, mask.shape[1]});
  else if (mask.rank() == 3)
    laid = n.b.reshape(mask, {mask.shape[0], 1, mask.shape[1], mask.shape[2]});
  else if (mask.rank() != 4)
    return n.fail("a mask of keys must have rank 1 to 4, found " + mask.str());
  auto isSeen = ops::binary(n.b, Binary::Greater, laid, n.b.splat({}, mask.elementType, 0));
  if (failed(isSeen))
    return failure();
  return ops::where(n.b, *isSeen, n.b.splat({}, type, 0), n.b.splat({}, type, hidden));
}

/// The masks of the node: numbers of keys stay apart (`counts`), the others are added to the scores.
struct Masks {
  SmallVector<Tensor> added;
  const Tensor *counts = nullptr;
};
FailureOr<Masks> readMasks(OpNode &n, const Tensor *keys, const Tensor *bias, const Tensor &q, double hidden) {
  Masks masks;
  if (keys && keys->rank() == 1) {
    if (isEqual(keys->shape[0], q.shape[0]) == std::optional<bool>(false))
      return n.unsupported("a mask of keys of rank 1 must hold one number of keys for each of the " + q.shape[0].str() +
                           " batches; found " + keys->str());
    masks.counts = keys;
  } else if (keys) {
    auto mask = additiveMask(n, *keys, q.elementType, hidden);
    if (failed(mask))
      return failure();
    masks.added.push_back(*mask);
  }
  if (bias)
    masks.added.push_back(*bias);
  return masks;
}

void readScale(OpNode &n, ops::AttentionAttrs &attrs) {
  if (double scale = n.number("scale", 0); scale != 0)
    attrs.scale = scale;
}

Parts withBias(OpNode &n, SmallVector<Tensor> parts, const Tensor *bias) {
  if (!bias)
    return parts;
  SmallVector<Dim> sizes;
  for (const Tensor &part : parts)
    sizes.push_back(part.shape.back());
  auto biases = ops::split(n.b, *bias, 0, sizes);
  if (failed(biases))
    return failure();
  for (auto [part, its] : llvm::zip(parts, *biases)) {
    auto sum = ops::binary(n.b, Binary::Add, part, its);
    if (failed(sum))
      return failure();
    part = *sum;
  }
  return parts;
}

Parts splitHeads(OpNode &n, ArrayRef<Tensor> parts, int64_t heads) {
  SmallVector<Tensor> result;
  for (const Tensor &part : parts) {
    auto x = ops::splitHeads(n.b, part, heads);
    if (failed(x))
      return failure();
    result.push_back(*x);
  }
  return result;
}

FailureOr<Tensor> behind(OpNode &n, const Tensor *past, const Tensor &x) {
  return past ? ops::concat(n.b, {*past, x}, 2) : FailureOr<Tensor>(x);
}

//===- MultiHeadAttention -------------------------------------------------------------------------------------------===

/// Queries, keys and values of rank 4. Keys and values of rank 4 are laid out already (those of a cross attention).
Parts multiHeadOperands(OpNode &n, int64_t heads) {
  const Tensor &q = n.required(0), *k = n.input(1), *v = n.input(2), *bias = n.input(3);
  if (!k || !v)
    return n.unsupported("packed queries, keys and values (inputs 'key' and 'value' left out) are not supported");
  if (failed(expectRank(n, q, 3, "query")))
    return failure();
  if (k->rank() == 3) {
    auto parts = withBias(n, {q, *k, *v}, bias);
    return failed(parts) ? parts : splitHeads(n, *parts, heads);
  }
  if (failed(expectRank(n, *k, 4, "key")) || failed(expectRank(n, *v, 4, "value")))
    return failure();
  Tensor query = q;
  if (bias) {
    auto own = ops::split(n.b, *bias, 0, {q.shape[2], bias->shape[0] - q.shape[2]});
    auto sum = failed(own) ? FailureOr<Tensor>(failure()) : ops::binary(n.b, Binary::Add, q, own->front());
    if (failed(sum))
      return failure();
    query = *sum;
  }
  auto split = ops::splitHeads(n.b, query, heads);
  if (failed(split))
    return failure();
  return SmallVector<Tensor>{*split, *k, *v};
}

Result multiHeadAttention(OpNode &n) {
  int64_t heads = n.requiredInteger("num_heads");
  double hidden = n.number("mask_filter_value", -10000);
  if (failed(refuse(n, {{8, "past_sequence_length"}, {9, "cache_indirection"}}, {})))
    return failure();
  const Tensor *pastKey = n.input(6), *pastValue = n.input(7);
  if (!pastKey != !pastValue)
    return n.fail("inputs 'past_key' and 'past_value' must be given together");
  auto parts = multiHeadOperands(n, heads);
  if (failed(parts))
    return failure();
  auto k = behind(n, pastKey, (*parts)[1]), v = failed(k) ? k : behind(n, pastValue, (*parts)[2]);
  auto masks = failed(v) ? FailureOr<Masks>(failure()) : readMasks(n, n.input(4), n.input(5), parts->front(), hidden);
  if (failed(masks))
    return failure();
  ops::AttentionAttrs attrs;
  readScale(n, attrs);
  attrs.masked = hidden;
  if (n.flag("unidirectional", false))
    attrs.isCausal = true, attrs.offset = pastKey && pastKey->rank() == 4 ? pastKey->shape[2] : Dim(0);
  if (!n.isGood())
    return failure();
  auto r = ops::attention(n.b, parts->front(), *k, *v, masks->added, nullptr, masks->counts, attrs);
  if (failed(r))
    return failure();
  return SmallVector<Tensor>{ops::mergeHeads(n.b, r->y), *k, *v, r->raw};
}

//===- Attention ----------------------------------------------------------------------------------------------------===

/// Queries, keys and values out of one product with the packed weights.
Parts projected(OpNode &n, int64_t heads) {
  SmallVector<int64_t> sizes = n.integers("qkv_hidden_sizes");
  auto product = ops::matmul(n.b, n.required(0), n.required(1));
  if (succeeded(product) && n.input(2))
    product = ops::binary(n.b, Binary::Add, *product, *n.input(2));
  if (failed(product) || failed(expectRank(n, *product, 3, "input")))
    return failure();
  if (!sizes.empty() && sizes.size() != 3)
    return n.fail("attribute 'qkv_hidden_sizes' must hold 3 sizes, found " + llvm::Twine(sizes.size()));
  auto parts = sizes.empty() ? ops::splitEqually(n.b, *product, 2, 3)
                             : ops::split(n.b, *product, 2, SmallVector<Dim>(sizes.begin(), sizes.end()));
  return failed(parts) ? parts : splitHeads(n, *parts, heads);
}

Result attention(OpNode &n) {
  int64_t heads = n.requiredInteger("num_heads");
  double hidden = n.number("mask_filter_value", -10000);
  if (failed(refuse(n, {{6, "past_sequence_length"}}, {"do_rotary", "past_present_share_buffer"})))
    return failure();
  auto parts = projected(n, heads);
  if (failed(parts))
    return failure();
  Tensor k = (*parts)[1], v = (*parts)[2];
  ops::AttentionAttrs attrs;
  Dim before = 0;
  if (const Tensor *past = n.input(4)) { // [2, B, heads, P, D]
    if (failed(expectRank(n, *past, 5, "past")))
      return failure();
    auto halves = ops::splitEqually(n.b, *past, 0, 2);
    if (failed(halves))
      return failure();
    auto half = [&](size_t i) { return n.b.reshape((*halves)[i], ArrayRef<Dim>(past->shape).drop_front()); };
    auto longK = ops::concat(n.b, {half(0), k}, 2), longV = failed(longK) ? longK : ops::concat(n.b, {half(1), v}, 2);
    if (failed(longV))
      return failure();
    k = *longK, v = *longV, before = past->shape[3];
  }
  readScale(n, attrs);
  attrs.masked = hidden;
  if (n.flag("unidirectional", false))
    attrs.isCausal = true, attrs.offset = before;
  auto masks = readMasks(n, n.input(3), n.input(5), parts->front(), hidden);
  if (failed(masks) || !n.isGood())
    return failure();
  auto r = ops::attention(n.b, parts->front(), k, v, masks->added, nullptr, masks->counts, attrs);
  if (failed(r))
    return failure();
  Tensor y = ops::mergeHeads(n.b, r->y);
  if (!n.wantsOutput(1))
    return y;
  auto first = ops::unsqueeze(n.b, k, 0), second = failed(first) ? first : ops::unsqueeze(n.b, v, 0);
  auto present = failed(second) ? second : ops::concat(n.b, {*first, *second}, 0);
  return failed(present) ? Result(failure()) : Result(SmallVector<Tensor>{y, *present});
}

//===- GroupQueryAttention ------------------------------------------------------------------------------------------===

/// Where each batch's new tokens begin in the cache, max(seqlens_k + 1 - S, 0): a first prompt that is filled up on the
/// right begins at 0. i64 [B].
FailureOr<Tensor> firstPlaces(OpNode &n, const Tensor &lastKeys, Dim length) {
  auto last = ops::cast(n.b, n.b.reshape(lastKeys, {lastKeys.numElements()}), i64(n), false);
  auto start = failed(last) ? last : ops::binary(n.b, Binary::Add, *last, integer(n, Dim(1) - length));
  return failed(start) ? start : ops::binary(n.b, Binary::Max, *start, integer(n, 0));
}

/// The places start + 0, 1, ... S-1 of each batch, [B, S].
FailureOr<Tensor> placesFrom(OpNode &n, const Tensor &starts, Dim length) {
  auto steps = ops::range(n.b, integer(n, 0), integer(n, length), integer(n, 1));
  return failed(steps) ? steps : ops::binary(n.b, Binary::Add, n.b.reshape(starts, {starts.shape[0], 1}), *steps);
}

/// The cache with the new keys (or values); it grows to hold `total` of them.
FailureOr<Tensor> cached(OpNode &n, const Tensor *past, const Tensor &x, const Tensor &starts, Dim total) {
  if (!past)
    return x;
  if (failed(expectRank(n, *past, 4, "past_key or past_value")))
    return failure();
  SmallVector<Dim> low(4, Dim(0)), high = low;
  high[2] = max(past->shape[2], total) - past->shape[2];
  Tensor grown = high[2].is(0) ? *past : n.b.pad(*past, low, high, ops::numberAttr(past->elementType, 0));
  return ops::updateCache(n.b, grown, x, &starts, 2, false);
}

Parts groupedOperands(OpNode &n, int64_t heads, int64_t shared) {
  const Tensor &q = n.required(0), *k = n.input(1), *v = n.input(2);
  if (failed(expectRank(n, q, 3, "query")))
    return failure();
  SmallVector<Tensor> parts{q};
  if (k && v) {
    parts.append({*k, *v});
  } else if (k || v || heads < 1 || shared < 1) {
    return n.fail("inputs 'key' and 'value' must be given together, and the numbers of heads be positive");
  } else {
    Dim size = floorDiv(q.shape[2], heads + 2 * shared);
    auto split = ops::split(n.b, q, 2, {size * Dim(heads), size * Dim(shared), size * Dim(shared)});
    if (failed(split))
      return failure();
    parts = *split;
  }
  auto query = ops::splitHeads(n.b, parts[0], heads);
  auto others = failed(query) ? Parts(failure()) : splitHeads(n, ArrayRef<Tensor>(parts).drop_front(), shared);
  if (failed(others))
    return failure();
  return SmallVector<Tensor>{*query, (*others)[0], (*others)[1]};
}

Result groupQueryAttention(OpNode &n) {
  int64_t heads = n.requiredInteger("num_heads"), shared = n.requiredInteger("kv_num_heads"),
          window = n.integer("local_window_size", -1);
  bool isInterleaved = n.flag("rotary_interleaved", false), isRotated = n.flag("do_rotary", false);
  if (failed(refuse(n,
                    {{11, "head_sink"},
                     {12, "k_scale"},
                     {13, "v_scale"},
                     {14, "q_norm_weight"},
                     {15, "k_norm_weight"},
                     {16, "query_seqlens"}},
                    {"smooth_softmax", "qk_output", "kv_cache_bit_width", "sliding_window_cache"})))
    return failure();
  if (!n.flag("causal", true))
    return n.unsupported("attribute 'causal' = 0 is not supported");
  const Tensor &lastKeys = n.required(5), &totals = n.required(6);
  auto parts = n.isGood() ? groupedOperands(n, heads, shared) : Parts(failure());
  if (failed(parts))
    return failure();
  Dim length = parts->front().shape[2];
  auto starts = firstPlaces(n, lastKeys, length);
  auto places = failed(starts) ? starts : placesFrom(n, *starts, length);
  if (failed(places))
    return failure();
  if (isRotated) {
    const Tensor &cosines = n.required(7), &sines = n.required(8);
    for (size_t i = 0; i < 2 && n.isGood(); ++i) {
      auto turned =
          ops::rotaryEmbedding(n.b, (*parts)[i], cosines, sines, n.input(9) ? n.input(9) : &*places, isInterleaved,
                               cosines.shape.back().isConstant() ? 2 * cosines.shape.back().constant() : 0);
      if (failed(turned))
        return failure();
      (*parts)[i] = *turned;
    }
  }
  Dim total = 0;
  if (n.input(3)) {
    auto given = n.b.integers(totals, "total_sequence_length", /*lower=*/0);
    if (failed(given))
      return failure();
    total = given->front();
  }
  auto k = cached(n, n.input(3), (*parts)[1], *starts, total);
  auto v = failed(k) ? k : cached(n, n.input(4), (*parts)[2], *starts, total);
  auto counts = failed(v) ? v : ops::binary(n.b, Binary::Add, *places, integer(n, 1));
  FailureOr<Tensor> first = failure();
  if (succeeded(counts) && window > 0 && failed(first = ops::binary(n.b, Binary::Sub, *counts, integer(n, window))))
    return failure();
  ops::AttentionAttrs attrs;
  readScale(n, attrs);
  attrs.softcap = n.number("softcap", 0);
  if (failed(counts) || !n.isGood())
    return failure();
  SmallVector<Tensor> masks;
  if (const Tensor *bias = n.input(10))
    masks.push_back(*bias);
  auto r = ops::attention(n.b, parts->front(), *k, *v, masks, window > 0 ? &*first : nullptr, &*counts, attrs);
  if (failed(r))
    return failure();
  return SmallVector<Tensor>{ops::mergeHeads(n.b, r->y), *k, *v};
}

//===- RotaryEmbedding ----------------------------------------------------------------------------------------------===

Result rotaryEmbedding(OpNode &n) {
  const Tensor &x = n.required(0), &positions = n.required(1), &cosines = n.required(2), &sines = n.required(3);
  int64_t heads = n.integer("num_heads", 0), rotated = n.integer("rotary_embedding_dim", 0);
  if (failed(refuse(n, {}, {"is_packed_batching"})))
    return failure();
  if (n.number("scale", 1) != 1)
    return n.unsupported("attribute 'scale' is supported only as 1");
  Tensor laid = x;
  if (x.rank() == 3) {
    if (!heads) { // heads as wide as the tables
      if (!x.shape[2].isConstant() || cosines.rank() != 2 || !cosines.shape[1].isConstant() || cosines.shape[1].is(0))
        return n.fail("the number of heads must be known: attribute 'num_heads' is absent and the input is " + x.str());
      heads = x.shape[2].constant() / (2 * cosines.shape[1].constant());
    }
    auto split = ops::splitHeads(n.b, x, heads);
    if (failed(split))
      return failure();
    laid = *split;
  }
  auto y = ops::rotaryEmbedding(n.b, laid, cosines, sines, &positions, n.flag("interleaved", false), rotated);
  return failed(y) || x.rank() != 3 ? Result(y) : Result(ops::mergeHeads(n.b, *y));
}

const OpRow rows[] = {
    {"com.microsoft::Attention", {1}, 2, 7, attention},
    {"com.microsoft::GroupQueryAttention", {1}, 1, 17, groupQueryAttention},
    {"com.microsoft::MultiHeadAttention", {1}, 1, 10, multiHeadAttention},
    {"com.microsoft::RotaryEmbedding", {1}, 4, 4, rotaryEmbedding},
};

} // namespace

ArrayRef<OpRow> contribAttentionOps() { return rows; }

} // namespace eyrie::import::onnx
