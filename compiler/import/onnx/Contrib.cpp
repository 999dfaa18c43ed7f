// Operations of com.microsoft on floats.
#include "compiler/import/onnx/Window.h"

using namespace mlir;
using eyrie::ops::Binary;
using eyrie::ops::Unary;

namespace eyrie::import::onnx {
namespace {

//===- activations --------------------------------------------------------------------------------------------------===

FailureOr<Tensor> sum(OpNode &n, FailureOr<Tensor> x, const Tensor *y) {
  return failed(x) || !y ? x : ops::binary(n.b, Binary::Add, *x, *y);
}

template <Unary kind> Result biasedGelu(OpNode &n) {
  auto x = sum(n, n.required(0), n.input(1));
  return failed(x) ? Result(failure()) : Result(ops::unary(n.b, kind, *x));
}

/// The left half of the last dimension times Gelu of the right one.
Result biasSplitGelu(OpNode &n) {
  auto x = sum(n, n.required(0), n.input(1));
  if (failed(x))
    return failure();
  auto halves = ops::splitEqually(n.b, *x, -1, 2);
  auto right = failed(halves) ? FailureOr<Tensor>(failure()) : ops::unary(n.b, Unary::Gelu, (*halves)[1]);
  return failed(right) ? Result(failure()) : Result(ops::binary(n.b, Binary::Mul, (*halves)[0], *right));
}

/// y with the activation that a fused node names; `p`: its parameters, with the defaults where fewer are given.
FailureOr<Tensor> activated(OpNode &n, FailureOr<Tensor> y, ArrayRef<double> p) {
  StringRef name = n.string("activation", "");
  if (failed(y) || !n.isGood() || name.empty())
    return n.isGood() ? y : FailureOr<Tensor>(failure());
  auto parameter = [&](size_t i, double initial) { return i < p.size() ? p[i] : initial; };
  if (name == "Clip") {
    Tensor low = n.b.splat({}, y->elementType, parameter(0, -3.402823466e+38)),
           high = n.b.splat({}, y->elementType, parameter(1, 3.402823466e+38));
    return ops::clip(n.b, *y, &low, &high);
  }
  if (const NamedActivation *a = findActivation(name); a && a->name == name)
    return ops::unary(n.b, a->kind, *y, parameter(0, a->alpha.value_or(0)), parameter(1, a->beta.value_or(0)));
  return n.unsupported("attribute 'activation' = '" + name + "' is not supported");
}

//===- products -----------------------------------------------------------------------------------------------------===

/// Swaps the last two dimensions (`isTransposed`), after the first has moved behind the other batch dimensions.
FailureOr<Tensor> turned(OpNode &n, const Tensor &x, bool isTransposed, bool movesBatch) {
  int64_t rank = x.rank();
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (rank < 2 || (!isTransposed && !movesBatch))
    return x;
  if (movesBatch)
    std::rotate(order.begin(), order.begin() + 1, order.end() - 1);
  if (isTransposed)
    std::swap(order[rank - 2], order[rank - 1]);
  return ops::transpose(n.b, x, order);
}

Result fusedMatmul(OpNode &n) {
  auto x = turned(n, n.required(0), n.flag("transA", false), n.flag("transBatchA", false));
  auto y = failed(x) ? x : turned(n, n.required(1), n.flag("transB", false), n.flag("transBatchB", false));
  auto product = failed(y) ? y : ops::matmul(n.b, *x, *y);
  double alpha = n.number("alpha", 1);
  if (failed(product) || alpha == 1)
    return product;
  return ops::binary(n.b, Binary::Mul, *product, n.b.splat({}, product->elementType, alpha));
}

Result fusedGemm(OpNode &n) {
  auto y = ops::gemm(n.b, n.required(0), n.required(1), n.input(2), n.number("alpha", 1), n.number("beta", 1),
                     n.flag("transA", false), n.flag("transB", false));
  SmallVector<double> parameters;
  for (StringRef name : {"activation_alpha", "activation_beta"})
    if (n.has(name))
      parameters.push_back(n.number(name, 0));
  return activated(n, y, parameters);
}

Result matmulNBits(OpNode &n) {
  if (n.input(4))
    return n.unsupported("input 'g_idx' is not supported");
  int64_t rows = n.requiredInteger("N"), columns = n.requiredInteger("K"), bits = n.integer("bits", 4),
          block = n.requiredInteger("block_size");
  if (!n.isGood())
    return failure();
  auto weights = ops::unpackWeights(n.b, n.required(1), n.required(2), n.input(3), rows, columns, bits, block);
  if (failed(weights))
    return failure();
  return sum(n, ops::matmul(n.b, n.required(0), n.b.transpose(*weights, {1, 0})), n.input(5));
}

//===- convolutions -------------------------------------------------------------------------------------------------===

Result fusedConv(OpNode &n) {
  SmallVector<double> parameters = n.numbers("activation_params");
  ops::WindowAttrs attrs;
  int64_t groups;
  if (!readConvolution(n, attrs, groups))
    return failure();
  auto y = ops::conv(n.b, n.required(0), n.required(1), n.input(2), attrs, groups);
  return activated(n, sum(n, y, n.input(3)), parameters);
}

/// Data with the channels last, the filter as ever.
Result nhwcConv(OpNode &n) {
  SmallVector<double> parameters = n.numbers("activation_params");
  ops::WindowAttrs attrs;
  int64_t groups;
  if (!readConvolution(n, attrs, groups))
    return failure();
  if (n.required(0).rank() != 4)
    return n.fail("input 0 must have rank 4, found " + n.required(0).str());
  Tensor x = ops::toChannelsFirst(n.b, n.required(0));
  auto y = ops::conv(n.b, x, n.required(1), n.input(2), attrs, groups);
  if (failed(y))
    return failure();
  return activated(n, sum(n, ops::toChannelsLast(n.b, *y), n.input(3)), parameters);
}

//===- normalisations -----------------------------------------------------------------------------------------------===

/// Results: y, mean, 1/deviation, the sum that is normalised.
Result skipLayerNorm(OpNode &n) {
  auto x = sum(n, ops::binary(n.b, Binary::Add, n.required(0), n.required(1)), n.input(4));
  if (failed(x))
    return failure();
  auto y = ops::layerNorm(n.b, *x, n.required(2), n.input(3), -1, n.number("epsilon", 1e-12f));
  if (failed(y))
    return failure();
  y->push_back(*x);
  return *y;
}

Result skipSimplifiedLayerNorm(OpNode &n) {
  if (n.wantsOutput(1) || n.wantsOutput(2))
    return n.unsupported("the outputs 'mean' and 'inv_std_var' are not supported");
  auto x = sum(n, ops::binary(n.b, Binary::Add, n.required(0), n.required(1)), n.input(3));
  auto y = failed(x) ? x : ops::rmsNorm(n.b, *x, n.required(2), -1, n.number("epsilon", 1e-12f));
  if (failed(y))
    return failure();
  return SmallVector<Tensor>{*y, *y, *y, *x}; // the two in the middle are not asked for
}

Result simplifiedLayerNorm(OpNode &n) {
  return ops::rmsNorm(n.b, n.required(0), n.required(1), n.integer("axis", -1), n.number("epsilon", 1e-5f));
}

Tensor integers(OpNode &n, ArrayRef<int64_t> values, bool isScalar = false) {
  SmallVector<int64_t> shape;
  if (!isScalar)
    shape.push_back(values.size());
  return ops::fromConstant(DenseElementsAttr::get(RankedTensorType::get(shape, n.b.builder.getI64Type()), values));
}

/// The embedding of each place: those of `position_ids`, or of 0, 1, ... along the sequence.
FailureOr<Tensor> positionEmbedding(OpNode &n, const Tensor &table, ops::Dim length) {
  if (const Tensor *positions = n.input(8))
    return ops::gather(n.b, table, *positions, 0);
  Tensor stop = ops::fromContents(n.b.builder.getI64Type(), {}, {length});
  auto places = ops::range(n.b, integers(n, 0, true), stop, integers(n, 1, true));
  return failed(places) ? places : ops::gather(n.b, table, *places, 0);
}

Result embedLayerNorm(OpNode &n) {
  const Tensor &ids = n.required(0), &words = n.required(2), &positions = n.required(3);
  (void)n.required(5), (void)n.required(6);
  if (!n.isGood())
    return failure();
  if (ids.rank() != 2)
    return n.fail("input 'input_ids' must have rank 2, found " + ids.str());
  auto x = ops::gather(n.b, words, ids, 0);
  auto places = failed(x) ? x : positionEmbedding(n, positions, ids.shape[1]);
  x = failed(places) ? places : sum(n, x, &*places);
  if (succeeded(x) && n.input(1)) {
    auto segments = ops::gather(n.b, n.required(4), *n.input(1), 0);
    x = failed(segments) ? segments : sum(n, x, &*segments);
  }
  if (failed(x))
    return failure();
  auto y = ops::layerNorm(n.b, *x, n.required(5), &n.required(6), -1, n.number("epsilon", 1e-12f));
  if (failed(y))
    return failure();
  Tensor lengths = n.b.splat({ids.shape[0]}, n.b.builder.getI32Type(), 0);
  if (const Tensor *mask = n.input(7)) {
    auto counted = ops::reduce(n.b, ops::Reduce::Sum, *mask, 1, false);
    if (failed(counted))
      return failure();
    lengths = *counted;
  }
  return SmallVector<Tensor>{y->front(), lengths, *x};
}

//===- movement -----------------------------------------------------------------------------------------------------===

Result pad(OpNode &n) {
  using M = ops::PadMode;
  M mode = n.choice<M>("mode", M::Constant,
                       {{"constant", M::Constant}, {"reflect", M::Reflect}, {"edge", M::Edge}, {"wrap", M::Wrap}});
  const Tensor &pads = n.required(1);
  Tensor flat = pads.rank() == 2 ? n.b.reshape(pads, {pads.numElements()}) : pads;
  return ops::pad(n.b, n.required(0), flat, mode, n.input(2), n.input(3));
}

Result expandDims(OpNode &n) {
  SmallVector<int64_t> axis = n.constantIntegers(1, "axis");
  if (!n.isGood())
    return failure();
  return ops::unsqueeze(n.b, n.required(0), axis);
}

Result groupNorm(OpNode &n) {
  bool isLast = n.flag("channels_last", true);
  int64_t groups = n.requiredInteger("groups"), activation = n.requiredInteger("activation");
  const Tensor &x = n.required(0);
  if (isLast && x.rank() != 4)
    return n.fail("input 'X' must have rank 4, found " + x.str());
  if (!n.isGood())
    return failure();
  auto y = ops::groupNorm(n.b, isLast ? ops::toChannelsFirst(n.b, x) : x, n.required(1), n.required(2), groups,
                          n.number("epsilon", 1e-5f));
  if (succeeded(y) && activation)
    y = ops::unary(n.b, Unary::Swish, *y, 1);
  return failed(y) || !isLast ? y : FailureOr<Tensor>(ops::toChannelsLast(n.b, *y));
}

const OpRow rows[] = {
    {"SimplifiedLayerNormalization", {1}, 2, 2, simplifiedLayerNorm},
    {"com.microsoft::BiasAdd",
     {1},
     3,
     3,
     [](OpNode &n) -> Result { return sum(n, sum(n, n.required(0), &n.required(1)), &n.required(2)); }},
    {"com.microsoft::BiasGelu", {1}, 2, 2, biasedGelu<Unary::Gelu>},
    {"com.microsoft::BiasSplitGelu", {1}, 2, 2, biasSplitGelu},
    {"com.microsoft::EmbedLayerNormalization", {1}, 1, 9, embedLayerNorm},
    {"com.microsoft::ExpandDims", {1}, 2, 2, expandDims},
    {"com.microsoft::FastGelu", {1}, 1, 2, biasedGelu<Unary::GeluTanh>},
    {"com.microsoft::FusedConv", {1}, 2, 4, fusedConv},
    {"com.microsoft::FusedGemm", {1}, 2, 3, fusedGemm},
    {"com.microsoft::FusedMatMul", {1}, 2, 2, fusedMatmul},
    {"com.microsoft::GatherND",
     {1},
     2,
     2,
     [](OpNode &n) -> Result { return ops::gatherND(n.b, n.required(0), n.required(1), 0); }},
    {"com.microsoft::Gelu", {1}, 1, 1, biasedGelu<Unary::Gelu>},
    {"com.microsoft::GroupNorm", {1}, 3, 3, groupNorm},
    {"com.microsoft::MatMulNBits", {1}, 3, 6, matmulNBits},
    {"com.microsoft::NhwcConv", {1}, 2, 3, nhwcConv},
    {"com.microsoft::NhwcFusedConv", {1}, 2, 4, nhwcConv},
    {"com.microsoft::Pad", {1}, 2, 4, pad},
    {"com.microsoft::QuickGelu",
     {1},
     1,
     1,
     [](OpNode &n) -> Result { return ops::unary(n.b, Unary::Swish, n.required(0), n.number("alpha", 1.702f)); }},
    {"com.microsoft::SimplifiedLayerNormalization", {1}, 2, 2, simplifiedLayerNorm},
    {"com.microsoft::SkipLayerNormalization", {1}, 3, 5, skipLayerNorm},
    {"com.microsoft::SkipSimplifiedLayerNormalization", {1}, 3, 4, skipSimplifiedLayerNorm},
    {"com.microsoft::TransposeMatMul", {1}, 2, 2, fusedMatmul},
    {"com.microsoft::Trilu",
     {1},
     1,
     2,
     [](OpNode &n) -> Result { return ops::trilu(n.b, n.required(0), n.input(1), n.flag("upper", true)); }},
};

} // namespace

ArrayRef<OpRow> contribOps() { return rows; }

} // namespace eyrie::import::onnx
