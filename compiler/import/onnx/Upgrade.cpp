// The old forms, one row for each operation that had one. (`consumed_inputs`, by which operator set 1 allowed to work
// in place, means nothing here.)
#include "compiler/import/onnx/Upgrade.h"
#include "compiler/ops/RunTimeAxes.h"
#include <cmath>

using namespace mlir;
using eyrie::ops::Dim;
using eyrie::ops::Dims;

namespace eyrie::import::onnx {
namespace {

//===- broadcasting -------------------------------------------------------------------------------------------------===

/// Two sizes must be equal: an error of the node, or one when the program runs.
bool fit(OpNode &n, Dim a, Dim b) {
  std::optional<bool> isSame = ops::isEqual(a, b);
  if (!isSame)
    n.b.dims.assumeEqual(a, b);
  return isSame.value_or(true);
}

bool haveOneShape(OpNode &n, const Tensor &x, const Tensor &y) {
  return x.rank() == y.rank() && llvm::all_of(llvm::zip_equal(x.shape, y.shape),
                                              [&](auto p) { return fit(n, std::get<0>(p), std::get<1>(p)); });
}

/// Sum, Min, ...: nothing was repeated.
void needOneShape(OpNode &n) {
  for (size_t i = 1; i < n.numInputs(); ++i)
    if (!haveOneShape(n, n.required(0), n.required(i)))
      return (void)n.fail("before operator set 8 its inputs must have one shape, found " + n.required(0).str() +
                          " and " + n.required(i).str());
}

/// The second operand was repeated only if `broadcast` said so, and lay at dimension `axis` of the first (absent: at
/// the last ones), with the same sizes.
void alignSecond(OpNode &n) {
  const Tensor &x = n.required(0), &y = n.required(1);
  std::string both = "found " + x.str() + " and " + y.str();
  if (!n.flag("broadcast", false)) {
    if (!haveOneShape(n, x, y))
      (void)n.fail("without the attribute 'broadcast' its inputs must have one shape before operator set 7, " + both);
    return;
  }
  bool isOne = llvm::all_of(y.shape, [](Dim d) { return d.is(1); });
  if (y.rank() <= x.rank() && isOne)
    return;
  int64_t axis = n.integer("axis", x.rank() - y.rank());
  axis += axis < 0 ? x.rank() : 0;
  if (axis < 0 || axis + y.rank() > x.rank())
    return (void)n.fail("attribute 'axis' = " + llvm::Twine(n.integer("axis", 0)) +
                        ": the second input does not lie within the first there, " + both);
  Dims shape = y.shape;
  for (auto [i, size] : llvm::enumerate(y.shape))
    if (!size.is(1) && !fit(n, x.shape[axis + i], size))
      return (void)n.fail("the sizes of the second input are not those of the first from dimension " +
                          llvm::Twine(axis) + " on, " + both);
  shape.resize(x.rank() - axis, Dim(1));
  n.setInput(1, n.b.reshape(y, shape));
}

/// One slope for each channel, dimension 1.
void alignSlope(OpNode &n) {
  const Tensor &x = n.required(0), &slope = n.required(1);
  if (slope.rank() != 1 || slope.shape[0].is(1) || x.rank() < 2)
    return;
  Dims shape = slope.shape;
  shape.resize(x.rank() - 1, Dim(1));
  n.setInput(1, n.b.reshape(slope, shape));
}

void checkBias(OpNode &n) {
  const Tensor &x = n.required(0), &y = n.required(1), &bias = n.required(2);
  if (n.flag("broadcast", false) || x.rank() != 2 || y.rank() != 2)
    return;
  Dim rows = x.shape[n.flag("transA", false) ? 1 : 0], columns = y.shape[n.flag("transB", false) ? 0 : 1];
  if (bias.rank() != 2 || !fit(n, bias.shape[0], rows) || !fit(n, bias.shape[1], columns))
    (void)n.fail("without the attribute 'broadcast' input 2 must have the shape [" + rows.str() + ", " + columns.str() +
                 "] before operator set 7, found " + bias.str());
}

//===- attributes that are operands now, or have another name -------------------------------------------------------===

void castByName(OpNode &n) {
  static constexpr llvm::StringLiteral names[] = {"",      "FLOAT",  "UINT8", "INT8",    "UINT16", "INT16",  "INT32",
                                                  "INT64", "STRING", "BOOL",  "FLOAT16", "DOUBLE", "UINT32", "UINT64"};
  StringRef name = n.string("to", "");
  const auto *found = llvm::find_if(names, [&](StringRef known) { return name.equals_insensitive(known); });
  if (name.empty() || found == std::end(names))
    return (void)n.fail("attribute 'to' must name an element type, as \"FLOAT\", found \"" + name + "\"");
  n.setInteger("to", found - std::begin(names));
}

void concatByDefault(OpNode &n) { n.setInteger("axis", n.integer("axis", 1)); }

void padByOldName(OpNode &n) {
  if (!n.has("paddings"))
    return (void)n.fail("attribute 'paddings' is missing");
  n.setInput(1, integerTensor(n.b, n.integers("paddings")));
  Type element = n.required(0).elementType;
  n.setInput(2, n.b.splat({}, element, n.number("value", 0), n.required(0).isUnsigned));
  n.opset = 11;
}

void reshapeByAttribute(OpNode &n) {
  if (!n.has("shape"))
    return (void)n.fail("attribute 'shape' is missing");
  n.setInput(1, integerTensor(n.b, n.integers("shape")));
}

/// Sizes as an operand, of the type of the first one.
void splitByOperand(OpNode &n) {
  if (!n.input(1))
    return;
  FailureOr<Tensor> sizes = ops::cast(n.b, *n.input(1), n.b.builder.getI64Type(), false);
  if (failed(sizes))
    return (void)(n.hasBuilderError = true);
  n.setInput(1, *sizes);
  n.opset = 13;
}

/// How often along one axis: two operands, of the type of the first one.
void tileAlongAxis(OpNode &n) {
  Tensor whole[2];
  for (size_t i : {0, 1}) {
    const Tensor &given = n.required(i + 1);
    if (!given.numElements().is(1))
      return (void)n.fail("input " + llvm::Twine(i + 1) + " must be one number, found " + given.str());
    FailureOr<Tensor> cast = ops::cast(n.b, given, n.b.builder.getI64Type(), false);
    if (failed(cast))
      return (void)(n.hasBuilderError = true);
    whole[i] = n.b.reshape(*cast, {Dim(1)});
  }
  FailureOr<Tensor> repeats = ops::valuesByDimension(n.b, whole[0], whole[1], n.required(0).rank(), 1);
  if (failed(repeats))
    return (void)(n.hasBuilderError = true);
  n.setInput(1, *repeats);
  n.inputs.truncate(2);
}

/// The scales of images by name.
void upsampleImage(OpNode &n) {
  for (StringRef name : {"height_scale", "width_scale"})
    if (!n.has(name))
      return (void)n.fail("attribute '" + name + "' is missing");
  float scales[] = {1, 1, static_cast<float>(n.number("height_scale", 1)),
                    static_cast<float>(n.number("width_scale", 1))};
  auto type = RankedTensorType::get({4}, n.b.builder.getF32Type());
  n.setInput(1, ops::fromConstant(DenseElementsAttr::get(type, ArrayRef<float>(scales))));
  n.opset = 9;
}

//===- other defaults -----------------------------------------------------------------------------------------------===

void seluByOldDefaults(OpNode &n) {
  n.setNumber("alpha", n.number("alpha", 1.6732));
  n.setNumber("gamma", n.number("gamma", 1.0507));
}

/// The norm was a float.
void wholeNorm(OpNode &n) {
  double p = n.number("p", 2);
  if (p != std::floor(p) || p < 1 || p > 1e6)
    return (void)n.unsupported("attribute 'p' = " + llvm::Twine(std::to_string(p)) +
                               " is not supported, only whole numbers are");
  n.setInteger("p", static_cast<int64_t>(p));
}

void wholeNormOfWindow(OpNode &n) {
  wholeNorm(n);
  if (!n.has("kernel_shape"))
    (void)n.fail("attribute 'kernel_shape' is missing");
}

/// The default was misspelt in the standard, so files may hold it.
void spelledDirection(OpNode &n) {
  if (n.string("direction", "") == "foward")
    n.setString("direction", "forward");
}

struct OldForm {
  llvm::StringLiteral op;
  int64_t until; // the last operator set that has it
  void (*rewrite)(OpNode &n);
};

const OldForm oldForms[] = {
    {"Add", 6, alignSecond},        {"And", 6, alignSecond},      {"Cast", 5, castByName},
    {"Concat", 3, concatByDefault}, {"Div", 6, alignSecond},      {"Equal", 6, alignSecond},
    {"GRU", 2, spelledDirection},   {"Gemm", 6, checkBias},       {"GlobalLpPool", 1, wholeNorm},
    {"Greater", 6, alignSecond},    {"Less", 6, alignSecond},     {"LpPool", 1, wholeNormOfWindow},
    {"Max", 7, needOneShape},       {"Mean", 7, needOneShape},    {"Min", 7, needOneShape},
    {"Mul", 6, alignSecond},        {"Or", 6, alignSecond},       {"PRelu", 6, alignSlope},
    {"Pad", 1, padByOldName},       {"Pow", 6, alignSecond},      {"Reshape", 4, reshapeByAttribute},
    {"Selu", 5, seluByOldDefaults}, {"Split", 1, splitByOperand}, {"Sub", 6, alignSecond},
    {"Sum", 7, needOneShape},       {"Tile", 5, tileAlongAxis},   {"Upsample", 6, upsampleImage},
    {"Xor", 6, alignSecond},
};

} // namespace

void upgrade(OpNode &n) {
  if (!n.node.domain.empty() && n.node.domain != "ai.onnx")
    return;
  for (const OldForm &form : oldForms)
    if (n.opset <= form.until && n.node.op == form.op)
      return form.rewrite(n);
}

} // namespace eyrie::import::onnx
