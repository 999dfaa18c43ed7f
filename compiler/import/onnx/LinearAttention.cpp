// The layers of models with linear attention.
#include "compiler/ops/LinearAttention.h"
#include "compiler/import/onnx/Registry.h"

using namespace mlir;

namespace eyrie::import::onnx {
namespace {

Result linearAttention(OpNode &n) {
  using Rule = std::pair<bool, bool>;
  Rule rule = n.choice<Rule>(
      "update_rule", {true, true},
      {{"linear", {false, false}}, {"gated", {true, false}}, {"delta", {false, true}}, {"gated_delta", {true, true}}});
  ops::LinearAttentionAttrs attrs;
  attrs.queryHeads = n.requiredInteger("q_num_heads"), attrs.keyHeads = n.requiredInteger("kv_num_heads");
  attrs.scale = n.number("scale", 0);
  attrs.isGated = rule.first, attrs.isDelta = rule.second;
  if (!n.isGood())
    return failure();
  return ops::linearAttention(n.b, n.required(0), n.required(1), n.required(2), n.input(3), n.input(4), n.input(5),
                              attrs);
}

Result causalConv(OpNode &n) {
  bool swish = n.choice<bool>("activation", false, {{"none", false}, {"silu", true}, {"swish", true}});
  if (!n.isGood())
    return failure();
  return ops::causalConv(n.b, n.required(0), n.required(1), n.input(2), n.input(3), swish);
}

Result swiGlu(OpNode &n) {
  auto gate = ops::unary(n.b, ops::Unary::Swish, n.required(0), n.number("alpha", 1));
  return failed(gate) ? Result(failure()) : ops::binary(n.b, ops::Binary::Mul, *gate, n.required(1));
}

const OpRow rows[] = {
    {"CausalConvWithState", {27}, 2, 4, causalConv},
    {"LinearAttention", {27}, 3, 6, linearAttention},
    {"SwiGLU", {28}, 2, 2, swiGlu},
};

} // namespace

ArrayRef<OpRow> linearAttentionOps() { return rows; }

} // namespace eyrie::import::onnx
