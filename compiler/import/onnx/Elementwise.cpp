#include "compiler/import/onnx/Registry.h"
#include "compiler/import/onnx/Text.h"
#include "compiler/ops/Host.h"

using namespace mlir;
using eyrie::ops::Binary;
using eyrie::ops::Unary;

namespace eyrie::import::onnx {

FailureOr<Tensor> castTo(OpNode &n, Type type, bool isUnsigned, bool isString, const ops::TinyRounding &rounding) {
  const Tensor &x = n.required(0);
  if (x.isString && isString)
    return x;
  if (x.isString)
    return ops::stringsToNumbers(n.b, x, type, isUnsigned);
  if (isString)
    return ops::numbersToStrings(n.b, x);
  return ops::cast(n.b, x, type, isUnsigned, rounding);
}

namespace {

template <Unary kind> Result plain(OpNode &n) { return ops::unary(n.b, kind, n.required(0)); }

template <Binary kind> Result pair(OpNode &n) { return ops::binary(n.b, kind, n.required(0), n.required(1)); }

template <Binary kind> Result list(OpNode &n) { return ops::variadic(n.b, kind, n.all()); }

/// Unary with attribute alpha.
template <Unary kind, int millionths> Result withAlpha(OpNode &n) {
  return ops::unary(n.b, kind, n.required(0), n.number("alpha", millionths * 1e-6));
}

Result selu(OpNode &n) {
  return ops::unary(n.b, Unary::Selu, n.required(0), n.number("alpha", 1.67326319217681884765625),
                    n.number("gamma", 1.05070102214813232421875));
}

Result hardSigmoid(OpNode &n) {
  return ops::unary(n.b, Unary::HardSigmoid, n.required(0), n.number("alpha", 0.2), n.number("beta", 0.5));
}

Result shrink(OpNode &n) {
  return ops::unary(n.b, Unary::Shrink, n.required(0), n.number("lambd", 0.5), n.number("bias", 0.0));
}

Result gelu(OpNode &n) {
  return ops::unary(n.b,
                    n.choice<Unary>("approximate", Unary::Gelu, {{"none", Unary::Gelu}, {"tanh", Unary::GeluTanh}}),
                    n.required(0));
}

Result mod(OpNode &n) {
  bool isFmod = n.flag("fmod", false);
  if (n.required(0).isFloat() && !isFmod && n.opset < 28)
    return n.fail("attribute 'fmod' must be 1 for floating-point inputs");
  return ops::binary(n.b, isFmod ? Binary::Fmod : Binary::Mod, n.required(0), n.required(1));
}

Result bitShift(OpNode &n) {
  if (!n.has("direction"))
    return n.fail("attribute 'direction' is missing");
  Binary kind =
      n.choice<Binary>("direction", Binary::ShiftLeft, {{"LEFT", Binary::ShiftLeft}, {"RIGHT", Binary::ShiftRight}});
  return ops::binary(n.b, kind, n.required(0), n.required(1));
}

Result clip(OpNode &n) {
  const Tensor &x = n.required(0);
  if (n.opset >= 11)
    return ops::clip(n.b, x, n.input(1), n.input(2));
  auto scalar = [&](double value) {
    auto type = RankedTensorType::get({}, x.elementType);
    return ops::fromConstant(
        DenseElementsAttr::get(type, static_cast<mlir::Attribute>(ops::numberAttr(x.elementType, value, x.isUnsigned))),
        x.isUnsigned);
  };
  std::optional<Tensor> low, high;
  if (n.has("min"))
    low = scalar(n.number("min", 0));
  if (n.has("max"))
    high = scalar(n.number("max", 0));
  return ops::clip(n.b, x, low ? &*low : nullptr, high ? &*high : nullptr);
}

ops::TinyRounding readRounding(OpNode &n) {
  using Powers = ops::TinyRounding::Powers;
  return {n.flag("saturate", true),
          n.choice<Powers>("round_mode", Powers::Up,
                           {{"up", Powers::Up}, {"down", Powers::Down}, {"nearest", Powers::Nearest}})};
}

Result cast(OpNode &n) {
  if (!n.has("to"))
    return n.fail("attribute 'to' is missing");
  ElementType to = n.elementTypeOrString("to", 0);
  ops::TinyRounding rounding = readRounding(n);
  if (!n.isGood())
    return failure();
  return castTo(n, to.type, to.isUnsigned, to.isString, rounding);
}

Result bitCast(OpNode &n) {
  auto type = n.elementType("to", 1);
  return ops::bitCast(n.b, n.required(0), type.type, type.isUnsigned);
}

Result castLike(OpNode &n) {
  ops::TinyRounding rounding = readRounding(n);
  if (!n.isGood())
    return failure();
  const Tensor &like = n.required(1);
  return castTo(n, like.elementType, like.isUnsigned, like.isString, rounding);
}

/// The floating-point type that an attribute names; null when absent.
Type floatTypeOf(OpNode &n, StringRef name) {
  if (!n.integer(name, 0))
    return {};
  Type type = n.elementType(name, 0).type;
  if (!isa<FloatType>(type))
    (void)n.fail("attribute '" + name + "' must name a floating-point type");
  return type;
}

Result quantize(OpNode &n) {
  const Tensor *zero = n.input(2);
  OpNode::TypeAndSign type{n.b.builder.getI8Type(), true};
  if (n.integer("output_dtype", 0))
    type = n.elementType("output_dtype", 0);
  else if (zero)
    type = {zero->elementType, zero->isUnsigned};
  if (zero && (zero->elementType != type.type || zero->isUnsigned != type.isUnsigned))
    return n.fail("attribute 'output_dtype' and the type of the zero point " + zero->str() + " differ");
  bool saturate = n.flag("saturate", true);
  Type precision = floatTypeOf(n, "precision");
  int64_t axis = n.integer("axis", 1), blockSize = n.integer("block_size", 0);
  if (!n.isGood())
    return failure();
  return ops::quantizeLinear(n.b, n.required(0), n.required(1), zero, axis, type.type, type.isUnsigned, blockSize,
                             precision, saturate);
}

Result dequantize(OpNode &n) {
  Type type = floatTypeOf(n, "output_dtype");
  int64_t axis = n.integer("axis", 1), blockSize = n.integer("block_size", 0);
  if (!n.isGood())
    return failure();
  return ops::dequantizeLinear(n.b, n.required(0), n.required(1), n.input(2), axis, blockSize, type);
}

Result isInf(OpNode &n) {
  return ops::isInf(n.b, n.required(0), n.flag("detect_positive", true), n.flag("detect_negative", true));
}

const OpRow rows[] = {
    {"Abs", {1, 6, 13}, 1, 1, plain<Unary::Abs>},
    {"Acos", {7, 22}, 1, 1, plain<Unary::Acos>},
    {"Acosh", {9, 22}, 1, 1, plain<Unary::Acosh>},
    {"Add", {1, 6, 7, 13, 14}, 2, 2, pair<Binary::Add>},
    {"And", {1, 7}, 2, 2, pair<Binary::And>},
    {"Asin", {7, 22}, 1, 1, plain<Unary::Asin>},
    {"Asinh", {9, 22}, 1, 1, plain<Unary::Asinh>},
    {"Atan", {7, 22}, 1, 1, plain<Unary::Atan>},
    {"Atanh", {9, 22}, 1, 1, plain<Unary::Atanh>},
    {"BitCast", {26}, 1, 1, bitCast},
    {"BitShift", {11, 28}, 2, 2, bitShift},
    {"BitwiseAnd", {18}, 2, 2, pair<Binary::BitwiseAnd>},
    {"BitwiseNot", {18}, 1, 1, plain<Unary::BitwiseNot>},
    {"BitwiseOr", {18}, 2, 2, pair<Binary::BitwiseOr>},
    {"BitwiseXor", {18}, 2, 2, pair<Binary::BitwiseXor>},
    {"Cast", {1, 6, 9, 13, 19, 21, 23, 24, 25, 28}, 1, 1, cast},
    {"CastLike", {15, 19, 21, 23, 24, 25}, 2, 2, castLike},
    {"Ceil", {1, 6, 13}, 1, 1, plain<Unary::Ceil>},
    {"Celu", {12, 28}, 1, 1, withAlpha<Unary::Celu, 1000000>},
    {"Clip", {1, 6, 11, 12, 13}, 1, 3, clip},
    {"Cos", {7, 22}, 1, 1, plain<Unary::Cos>},
    {"Cosh", {9, 22}, 1, 1, plain<Unary::Cosh>},
    {"DequantizeLinear", {10, 13, 19, 21, 23, 24, 25, 28}, 2, 3, dequantize},
    {"Div", {1, 6, 7, 13, 14}, 2, 2, pair<Binary::Div>},
    {"Elu", {1, 6, 22}, 1, 1, withAlpha<Unary::Elu, 1000000>},
    {"Equal", {1, 7, 11, 13, 19}, 2, 2, pair<Binary::Equal>},
    {"Erf", {9, 13}, 1, 1, plain<Unary::Erf>},
    {"Exp", {1, 6, 13}, 1, 1, plain<Unary::Exp>},
    {"Floor", {1, 6, 13}, 1, 1, plain<Unary::Floor>},
    {"Gelu", {20}, 1, 1, gelu},
    {"Greater", {1, 7, 9, 13}, 2, 2, pair<Binary::Greater>},
    {"GreaterOrEqual", {12, 16}, 2, 2, pair<Binary::GreaterOrEqual>},
    {"HardSigmoid", {1, 6, 22}, 1, 1, hardSigmoid},
    {"HardSwish", {14, 22}, 1, 1, plain<Unary::HardSwish>},
    {"IsInf", {10, 20}, 1, 1, isInf},
    {"IsNaN", {9, 13, 20}, 1, 1, plain<Unary::IsNan>},
    {"LeakyRelu", {1, 6, 16}, 1, 1, withAlpha<Unary::LeakyRelu, 10000>},
    {"Less", {1, 7, 9, 13}, 2, 2, pair<Binary::Less>},
    {"LessOrEqual", {12, 16}, 2, 2, pair<Binary::LessOrEqual>},
    {"Log", {1, 6, 13}, 1, 1, plain<Unary::Log>},
    {"Max", {1, 6, 8, 12, 13}, 1, kAnyNumber, list<Binary::Max>},
    {"Mean", {1, 6, 8, 13}, 1, kAnyNumber, [](OpNode &n) -> Result { return ops::mean(n.b, n.all()); }},
    {"Min", {1, 6, 8, 12, 13}, 1, kAnyNumber, list<Binary::Min>},
    {"Mish", {18, 22}, 1, 1, plain<Unary::Mish>},
    {"Mod", {10, 13, 28}, 2, 2, mod},
    {"Mul", {1, 6, 7, 13, 14}, 2, 2, pair<Binary::Mul>},
    {"Neg", {1, 6, 13}, 1, 1, plain<Unary::Neg>},
    {"Not", {1}, 1, 1, plain<Unary::Not>},
    {"Or", {1, 7}, 2, 2, pair<Binary::Or>},
    {"PRelu", {1, 6, 7, 9, 16}, 2, 2, pair<Binary::PRelu>},
    {"Pow", {1, 7, 12, 13, 15}, 2, 2, pair<Binary::Pow>},
    {"QuantizeLinear", {10, 13, 19, 21, 23, 24, 25, 28}, 2, 3, quantize},
    {"Reciprocal", {1, 6, 13}, 1, 1, plain<Unary::Reciprocal>},
    {"Relu", {1, 6, 13, 14}, 1, 1, plain<Unary::Relu>},
    {"Round", {11, 22}, 1, 1, plain<Unary::Round>},
    {"Selu", {1, 6, 22}, 1, 1, selu},
    {"Shrink", {9}, 1, 1, shrink},
    {"Sigmoid", {1, 6, 13}, 1, 1, plain<Unary::Sigmoid>},
    {"Sign", {9, 13}, 1, 1, plain<Unary::Sign>},
    {"Sin", {7, 22}, 1, 1, plain<Unary::Sin>},
    {"Sinh", {9, 22}, 1, 1, plain<Unary::Sinh>},
    {"Softplus", {1, 22}, 1, 1, plain<Unary::Softplus>},
    {"Softsign", {1, 22}, 1, 1, plain<Unary::Softsign>},
    {"Sqrt", {1, 6, 13}, 1, 1, plain<Unary::Sqrt>},
    {"Sub", {1, 6, 7, 13, 14}, 2, 2, pair<Binary::Sub>},
    {"Sum", {1, 6, 8, 13}, 1, kAnyNumber, list<Binary::Add>},
    {"Swish", {24}, 1, 1, withAlpha<Unary::Swish, 1000000>},
    {"Tan", {7, 22}, 1, 1, plain<Unary::Tan>},
    {"Tanh", {1, 6, 13}, 1, 1, plain<Unary::Tanh>},
    {"ThresholdedRelu", {10, 22}, 1, 1, withAlpha<Unary::ThresholdedRelu, 1000000>},
    {"Where",
     {9, 16},
     3,
     3,
     [](OpNode &n) -> Result { return ops::where(n.b, n.required(0), n.required(1), n.required(2)); }},
    {"Xor", {1, 7}, 2, 2, pair<Binary::Xor>},
};

} // namespace

ArrayRef<OpRow> elementwiseOps() { return rows; }

} // namespace eyrie::import::onnx
