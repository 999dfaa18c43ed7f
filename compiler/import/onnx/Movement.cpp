// Operations that move elements without changing them.
#include "compiler/import/onnx/Registry.h"
#include "compiler/ops/RunTimeAxes.h"

using namespace mlir;
using eyrie::ops::Dim;
using eyrie::ops::PadMode;

namespace eyrie::import::onnx {
namespace {

Result concat(OpNode &n) {
  int64_t axis = n.requiredInteger("axis");
  return ops::concat(n.b, n.all(), axis);
}

SmallVector<int64_t> axesOf(OpNode &n) { return n.opset >= 13 ? n.constantIntegers(1, "axes") : n.integers("axes"); }

/// Axes that are an operand and known only while the model runs; else null.
const Tensor *runTimeAxes(OpNode &n) {
  const Tensor *axes = n.opset >= 13 ? n.input(1) : nullptr;
  return axes && !ops::isKnown(*axes) && !axes->numElements().is(0) ? axes : nullptr;
}

Result squeeze(OpNode &n) {
  if (const Tensor *axes = runTimeAxes(n))
    return ops::squeeze(n.b, n.required(0), *axes);
  SmallVector<int64_t> axes = axesOf(n);
  if (!n.isGood())
    return failure();
  // An empty list of axes squeezes nothing; no list squeezes all.
  if (axes.empty() && (n.opset >= 13 ? n.input(1) != nullptr : n.has("axes")))
    return n.required(0);
  return ops::squeeze(n.b, n.required(0), axes);
}

Result unsqueeze(OpNode &n) {
  if (n.opset < 13 && !n.has("axes"))
    return n.fail("attribute 'axes' is missing");
  if (n.opset >= 13)
    (void)n.required(1);
  if (const Tensor *axes = runTimeAxes(n))
    return ops::unsqueeze(n.b, n.required(0), *axes);
  SmallVector<int64_t> axes = axesOf(n);
  return n.isGood() ? Result(ops::unsqueeze(n.b, n.required(0), axes)) : Result(failure());
}

Result split(OpNode &n) {
  const Tensor &x = n.required(0);
  int64_t axis = n.integer("axis", 0), parts = n.node.outputs.size();
  if (n.opset < 13 && n.has("split")) {
    SmallVector<Dim> sizes;
    for (int64_t size : n.integers("split"))
      sizes.push_back(size);
    return ops::split(n.b, x, axis, sizes);
  }
  if (n.opset >= 13 && n.input(1)) {
    FailureOr<ops::Dims> sizes = n.b.integers(*n.input(1), "split", 0);
    if (failed(sizes))
      return failure();
    return ops::split(n.b, x, axis, *sizes);
  }
  if (int64_t asked = n.integer("num_outputs", parts); asked != parts)
    return n.fail("attribute 'num_outputs' is " + llvm::Twine(asked) + ", but the node has " + llvm::Twine(parts) +
                  " outputs");
  return ops::splitEqually(n.b, x, axis, parts);
}

/// A slice along axes that are known only while the model runs, as a slice of all dimensions.
Result sliceAlong(OpNode &n) {
  const Tensor &x = n.required(0), &axes = *n.input(3), *steps = n.input(4);
  auto starts = ops::valuesByDimension(n.b, n.required(1), axes, x.rank(), 0);
  auto ends = ops::valuesByDimension(n.b, n.required(2), axes, x.rank(), INT64_MAX);
  if (failed(starts) || failed(ends))
    return failure();
  if (!steps)
    return ops::slice(n.b, x, *starts, *ends, nullptr, nullptr);
  auto all = ops::valuesByDimension(n.b, *steps, axes, x.rank(), 1);
  return failed(all) ? Result(failure()) : Result(ops::slice(n.b, x, *starts, *ends, nullptr, &*all));
}

Result slice(OpNode &n) {
  if (n.opset >= 10 && n.input(3) && !ops::isKnown(*n.input(3)))
    return sliceAlong(n);
  if (n.opset >= 10)
    return ops::slice(n.b, n.required(0), n.required(1), n.required(2), n.input(3), n.input(4));
  SmallVector<int64_t> starts = n.integers("starts"), ends = n.integers("ends"), axes = n.integers("axes");
  if (!n.has("starts") || !n.has("ends"))
    return n.fail("attributes 'starts' and 'ends' are needed");
  Tensor axesTensor = integerTensor(n.b, axes);
  return ops::slice(n.b, n.required(0), integerTensor(n.b, starts), integerTensor(n.b, ends),
                    n.has("axes") ? &axesTensor : nullptr, nullptr);
}

/// Pads of axes that are known only while the model runs, as pads of all dimensions.
Result padAlong(OpNode &n, PadMode mode) {
  const Tensor &x = n.required(0), &pads = n.required(1), &axes = *n.input(3);
  if (pads.rank() != 1 || axes.rank() != 1 || pads.shape[0] != axes.shape[0] * Dim(2))
    return n.fail("expected two pads for each axis, found " + pads.str() + " and " + axes.str());
  auto halves = ops::splitEqually(n.b, pads, 0, 2);
  if (failed(halves))
    return failure();
  auto begins = ops::valuesByDimension(n.b, (*halves)[0], axes, x.rank(), 0);
  auto ends = ops::valuesByDimension(n.b, (*halves)[1], axes, x.rank(), 0);
  if (failed(begins) || failed(ends))
    return failure();
  auto all = ops::concat(n.b, {*begins, *ends}, 0);
  return failed(all) ? Result(failure()) : Result(ops::pad(n.b, x, *all, mode, n.input(2)));
}

Result pad(OpNode &n) {
  PadMode mode = n.choice<PadMode>("mode", PadMode::Constant,
                                   {{"constant", PadMode::Constant},
                                    {"reflect", PadMode::Reflect},
                                    {"edge", PadMode::Edge},
                                    {"wrap", PadMode::Wrap}});
  const Tensor &x = n.required(0);
  if (n.opset >= 11 && n.input(3) && !ops::isKnown(*n.input(3)))
    return padAlong(n, mode);
  if (n.opset >= 11)
    return ops::pad(n.b, x, n.required(1), mode, n.input(2), n.input(3));
  if (!n.has("pads"))
    return n.fail("attribute 'pads' is missing");
  auto type = RankedTensorType::get({}, x.elementType);
  auto value = ops::numberAttr(x.elementType, n.number("value", 0), x.isUnsigned);
  Tensor scalar = ops::fromConstant(DenseElementsAttr::get(type, static_cast<mlir::Attribute>(value)), x.isUnsigned);
  return ops::pad(n.b, x, integerTensor(n.b, n.integers("pads")), mode, &scalar);
}

Result depthToSpace(OpNode &n) {
  bool isColumnRowDepth = n.choice<bool>("mode", false, {{"DCR", false}, {"CRD", true}});
  return ops::depthToSpace(n.b, n.required(0), n.requiredInteger("blocksize"), isColumnRowDepth);
}

/// The order of depth and blocks is free since operator set 28.
Result spaceToDepth(OpNode &n) {
  bool isColumnRowDepth = n.choice<bool>("mode", false, {{"DCR", false}, {"CRD", true}});
  return ops::spaceToDepth(n.b, n.required(0), n.requiredInteger("blocksize"), isColumnRowDepth);
}

Result reverseSequence(OpNode &n) {
  return ops::reverseSequence(n.b, n.required(0), n.required(1), n.integer("time_axis", 0), n.integer("batch_axis", 1));
}

Result oneHot(OpNode &n) {
  return ops::oneHot(n.b, n.required(0), n.required(1), n.required(2), n.integer("axis", -1));
}

ops::Scatter reduction(OpNode &n) {
  using S = ops::Scatter;
  return n.choice<S>("reduction", S::Set,
                     {{"none", S::Set}, {"add", S::Add}, {"mul", S::Mul}, {"min", S::Min}, {"max", S::Max}});
}

Result scatterElements(OpNode &n) {
  return ops::scatterElements(n.b, n.required(0), n.required(1), n.required(2), n.integer("axis", 0), reduction(n));
}

Result scatterND(OpNode &n) { return ops::scatterND(n.b, n.required(0), n.required(1), n.required(2), reduction(n)); }

/// The number of elements moved from an attribute to an operand in operator set 10.
Result topK(OpNode &n) {
  Tensor k = n.opset >= 10 ? n.required(1) : integerTensor(n.b, {n.requiredInteger("k")});
  return ops::topK(n.b, n.required(0), k, n.integer("axis", -1), n.flag("largest", true));
}

Result reshape(OpNode &n) { return ops::reshape(n.b, n.required(0), n.required(1), n.flag("allowzero", false)); }

const OpRow rows[] = {
    {"CenterCropPad",
     {18},
     2,
     2,
     [](OpNode &n) -> Result { return ops::centerCropPad(n.b, n.required(0), n.required(1), n.integers("axes")); }},
    {"Concat", {1, 4, 11, 13}, 1, kAnyNumber, concat},
    {"DepthToSpace", {1, 11, 13, 28}, 1, 1, depthToSpace},
    {"Expand", {8, 13}, 2, 2, [](OpNode &n) -> Result { return ops::expand(n.b, n.required(0), n.required(1)); }},
    {"Flatten",
     {1, 9, 11, 13, 21, 23, 24, 25},
     1,
     1,
     [](OpNode &n) -> Result { return ops::flatten(n.b, n.required(0), n.integer("axis", 1)); }},
    {"Gather",
     {1, 11, 13},
     2,
     2,
     [](OpNode &n) -> Result { return ops::gather(n.b, n.required(0), n.required(1), n.integer("axis", 0)); }},
    {"GatherElements",
     {11, 13},
     2,
     2,
     [](OpNode &n) -> Result { return ops::gatherElements(n.b, n.required(0), n.required(1), n.integer("axis", 0)); }},
    {"GatherND",
     {11, 12, 13},
     2,
     2,
     [](OpNode &n) -> Result { return ops::gatherND(n.b, n.required(0), n.required(1), n.integer("batch_dims", 0)); }},
    {"Identity", {1, 13, 14, 16, 19, 21, 23, 24, 25}, 1, 1, [](OpNode &n) -> Result { return n.required(0); }},
    {"OneHot", {9, 11, 28}, 3, 3, oneHot},
    {"Pad", {1, 2, 11, 13, 18, 19, 21, 23, 24, 25}, 1, 4, pad},
    {"Reshape", {1, 5, 13, 14, 19, 21, 23, 24, 25}, 2, 2, reshape},
    {"ReverseSequence", {10, 28}, 2, 2, reverseSequence},
    {"Scatter", {9, 11}, 3, 3, scatterElements},
    {"ScatterElements", {11, 13, 16, 18}, 3, 3, scatterElements},
    {"ScatterND", {11, 13, 16, 18}, 3, 3, scatterND},
    {"Slice", {1, 10, 11, 13}, 1, 5, slice},
    {"SpaceToDepth", {1, 13, 28}, 1, 1, spaceToDepth},
    {"Split", {1, 2, 11, 13, 18}, 1, 2, split},
    {"Squeeze", {1, 11, 13, 21, 23, 24, 25}, 1, 2, squeeze},
    {"Tile", {1, 6, 13}, 2, 2, [](OpNode &n) -> Result { return ops::tile(n.b, n.required(0), n.required(1)); }},
    {"TopK", {1, 10, 11, 24}, 1, 2, topK},
    {"Transpose",
     {1, 13, 21, 23, 24, 25},
     1,
     1,
     [](OpNode &n) -> Result { return ops::transpose(n.b, n.required(0), n.integers("perm")); }},
    {"Trilu",
     {14},
     1,
     2,
     [](OpNode &n) -> Result { return ops::trilu(n.b, n.required(0), n.input(1), n.flag("upper", true)); }},
    {"Unsqueeze", {1, 11, 13, 21, 23, 24, 25}, 1, 2, unsqueeze},
};

} // namespace

ArrayRef<OpRow> movementOps() { return rows; }

} // namespace eyrie::import::onnx
