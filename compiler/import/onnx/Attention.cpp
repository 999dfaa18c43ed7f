// Attention and what belongs to it.
#include "compiler/import/onnx/Registry.h"

using namespace mlir;

namespace eyrie::import::onnx {
namespace {

/// Queries, keys or values of rank 4; those of rank 3 have their heads split off.
FailureOr<Tensor> withHeads(OpNode &n, size_t operand, StringRef attribute) {
  const Tensor &x = n.required(operand);
  if (x.rank() != 3)
    return x;
  int64_t heads = n.requiredInteger(attribute);
  return n.isGood() ? ops::splitHeads(n.b, x, heads) : FailureOr<Tensor>(failure());
}

FailureOr<Tensor> behindPast(OpNode &n, const Tensor &x, const Tensor *past) {
  return past ? ops::concat(n.b, {*past, x}, 2) : FailureOr<Tensor>(x);
}

Result attention(OpNode &n) {
  const Tensor *pastKey = n.input(4), *pastValue = n.input(5);
  if (!pastKey != !pastValue)
    return n.fail("inputs 'past_key' and 'past_value' must be given together");
  auto q = withHeads(n, 0, "q_num_heads");
  auto newK = failed(q) ? q : withHeads(n, 1, "kv_num_heads");
  auto newV = failed(newK) ? newK : withHeads(n, 2, "kv_num_heads");
  auto k = failed(newV) ? newV : behindPast(n, *newK, pastKey);
  auto v = failed(k) ? k : behindPast(n, *newV, pastValue);
  if (failed(v))
    return failure();
  ops::AttentionAttrs attrs;
  if (n.has("scale"))
    attrs.scale = n.number("scale", 1);
  attrs.softcap = n.number("softcap", 0);
  attrs.isCausal = n.flag("is_causal", false);
  if (pastKey && pastKey->rank() == 4)
    attrs.offset = pastKey->shape[2];
  attrs.isOffsetFromCounts = n.input(6) != nullptr;
  if (n.input(6) && pastKey)
    return n.fail("input 'nonpad_kv_seqlen' cannot be given together with 'past_key' and 'past_value'");
  for (auto [name, window] :
       {std::pair("left_window_size", &attrs.leftWindow), {"right_window_size", &attrs.rightWindow}})
    if ((*window = n.integer(name, -1)) < -1)
      return n.fail("attribute '" + llvm::Twine(name) + "' is " + llvm::Twine(*window) + ", expected -1 or more");
  if (n.has("softmax_precision")) {
    attrs.softmaxType = n.elementType("softmax_precision", 1).type;
    if (!isa<FloatType>(attrs.softmaxType))
      return n.fail("attribute 'softmax_precision' must name a floating-point type");
  }
  int64_t mode = n.integer("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3)
    return n.fail("attribute 'qk_matmul_output_mode' is " + llvm::Twine(mode) + ", expected 0 to 3");
  if (!n.isGood())
    return failure();
  SmallVector<Tensor> masks;
  if (const Tensor *mask = n.input(3))
    masks.push_back(*mask);
  auto r = ops::attention(n.b, *q, *k, *v, masks, nullptr, n.input(6), attrs);
  if (failed(r))
    return failure();
  const Tensor *scores[] = {&r->raw, &r->capped, &r->biased, &r->probabilities};
  return SmallVector<Tensor>{n.required(0).rank() == 3 ? ops::mergeHeads(n.b, r->y) : r->y, *k, *v, *scores[mode]};
}

Result rotaryEmbedding(OpNode &n) {
  auto x = withHeads(n, 0, "num_heads");
  if (failed(x))
    return failure();
  const Tensor *positions = n.input(3);
  if (positions && positions->rank() != 2)
    return n.fail("input 'position_ids' must have rank 2, found " + positions->str());
  auto y = ops::rotaryEmbedding(n.b, *x, n.required(1), n.required(2), positions, n.flag("interleaved", false),
                                n.integer("rotary_embedding_dim", 0));
  if (failed(y) || n.required(0).rank() != 3)
    return y;
  return ops::mergeHeads(n.b, *y);
}

Result tensorScatter(OpNode &n) {
  bool isCircular = n.choice<bool>("mode", false, {{"linear", false}, {"circular", true}});
  return ops::updateCache(n.b, n.required(0), n.required(1), n.input(2), n.integer("axis", -2), isCircular);
}

const OpRow rows[] = {
    {"Attention", {23, 24, 25}, 3, 7, attention},
    {"RotaryEmbedding", {23}, 3, 4, rotaryEmbedding},
    {"TensorScatter", {24}, 2, 3, tensorScatter},
};

} // namespace

ArrayRef<OpRow> attentionOps() { return rows; }

} // namespace eyrie::import::onnx
