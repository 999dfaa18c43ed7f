// FlexAttention of ai.onnx.preview: attention with two graphs of its own, for the scores and for the probabilities.
#include "compiler/import/onnx/Importer.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;

namespace eyrie::import::onnx {

/// What the graph of attribute `name` makes of `t`: a tensor of the same shape and type.
FailureOr<Tensor> Importer::importModifier(OpNode &n, StringRef name, const Tensor &t, Scope &scope, const Env &env) {
  const Graph *body = n.find(name)->graph.get();
  if (!body || body->inputs.size() != 1 || body->outputs.size() != 1)
    return n.fail("attribute '" + name + "' must be a graph with one input and one output");
  if (depth >= kMaxDepth)
    return n.fail("functions, branches and loops are nested too deeply");
  ++depth;
  llvm::scope_exit leave([&] { --depth; });
  Scope inner(&scope);
  inner.add(body->inputs[0].name, Slot::of(t));
  if (!addInitializers(*body, inner))
    return failure();
  Slots results = importNodes(body->nodes, {body->outputs[0].name}, inner, env);
  if (results.empty() || results[0].kind == Slot::Kind::Poisoned)
    return failure();
  if (results[0].kind != Slot::Kind::Tensor || results[0].tensor.elementType != t.elementType ||
      results[0].tensor.rank() != t.rank())
    return n.fail("the graph of attribute '" + name + "' gives " + results[0].str() + ", expected " + t.str());
  for (auto [given, needed] : llvm::zip_equal(results[0].tensor.shape, t.shape)) {
    std::optional<bool> isSame = ops::isEqual(given, needed);
    if (isSame == std::optional<bool>(false))
      return n.fail("the graph of attribute '" + name + "' gives " + results[0].str() + ", expected " + t.str());
    if (!isSame)
      dims.assumeEqual(given, needed);
  }
  return results[0].tensor;
}

void Importer::importFlexAttention(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands,
                                   StringRef place) {
  OpNode n(*b, node, opsetOf(node.domain, env));
  n.attributes = attributesOf(node, env);
  callHandler(n, scope, place, [&]() -> FailureOr<Slots> {
    if (operands.size() != 3 ||
        llvm::any_of(operands, [](const Slot *slot) { return slot->kind != Slot::Kind::Tensor; }))
      return n.fail("needs queries, keys and values: three tensors");
    const Tensor &q = operands[0]->tensor, &k = operands[1]->tensor, &v = operands[2]->tensor;
    ops::AttentionAttrs attrs;
    if (n.has("scale"))
      attrs.scale = n.number("scale", 1);
    attrs.softmaxType = q.elementType.isF64() ? q.elementType : Type(builder.getF32Type());
    if (n.has("softmax_precision"))
      attrs.softmaxType = n.elementType("softmax_precision", 1).type;
    if (n.isGood() && !isa<FloatType>(attrs.softmaxType))
      return n.fail("attribute 'softmax_precision' must name a floating-point type");
    if (!n.isGood())
      return failure();
    attrs.isWideValueSum = true;
    auto changeScores = [&](const Tensor &t) { return importModifier(n, "score_mod", t, scope, env); };
    auto changeProbabilities = [&](const Tensor &t) { return importModifier(n, "prob_mod", t, scope, env); };
    if (n.has("score_mod"))
      attrs.changeScores = changeScores;
    if (n.has("prob_mod"))
      attrs.changeProbabilities = changeProbabilities;
    auto r = ops::attention(*b, q, k, v, {}, nullptr, nullptr, attrs);
    return failed(r) ? FailureOr<Slots>(failure()) : FailureOr<Slots>(Slots{Slot::of(r->y)});
  });
}

} // namespace eyrie::import::onnx
