// Operations of ai.onnx.ml that change features one by one, and what all operations of the domain share.
#include "compiler/import/onnx/MachineLearning.h"
#include "compiler/ops/Lookup.h"

using namespace mlir;
using eyrie::ops::Binary;
using eyrie::ops::Dim;
using eyrie::ops::Unary;

namespace eyrie::import::onnx {

//===- what is shared -----------------------------------------------------------------------------------------------===

Tensor floats(ArrayRef<int64_t> shape, ArrayRef<double> values, Type type) {
  SmallVector<APFloat> elements;
  for (double value : values) {
    APFloat element(value);
    bool losesInfo;
    element.convert(cast<FloatType>(type).getFloatSemantics(), APFloat::rmNearestTiesToEven, &losesInfo);
    elements.push_back(element);
  }
  return ops::fromConstant(DenseElementsAttr::get(RankedTensorType::get(shape, type), elements));
}

FailureOr<Tensor> featureRows(OpNode &n, Type type) {
  const Tensor &x = n.required(0);
  if (x.rank() != 1 && x.rank() != 2)
    return n.fail("input 0 is " + x.str() + ", expected features [F] or rows of them [N, F]");
  if (x.shape.back().isSymbolic())
    return n.unsupported("the number of features, the last dimension of input 0, is not known; give it with --shape");
  Dim rows = x.rank() == 1 ? Dim(1) : x.shape[0];
  return ops::cast(n.b, n.b.reshape(x, {rows, x.shape.back()}), type, false);
}

Elements stringsOf(OpNode &n, ArrayRef<StringRef> texts) {
  SmallVector<int64_t> ids;
  for (StringRef text : texts)
    ids.push_back(n.texts->idOf(text));
  return {integerTensor(n.b, ids).constant, true};
}

static DenseElementsAttr integerElements(OpNode &n, ArrayRef<int64_t> values) {
  return DenseElementsAttr::get(RankedTensorType::get(int64_t(values.size()), n.b.builder.getI64Type()), values);
}

Elements tensorElements(OpNode &n, StringRef name) {
  const TensorProto *proto = n.tensor(name);
  if (!proto)
    return {};
  auto weight = n.readWeight(*proto);
  if (!weight) {
    (void)n.fail("attribute '" + name + "' " + llvm::toString(weight.takeError()));
    return {};
  }
  auto flat = RankedTensorType::get(weight->type.getNumElements(), weight->type.getElementType());
  return {toDense(*weight).reshape(flat), weight->isString};
}

Elements elementsOf(OpNode &n, StringRef base) {
  std::string strings = (base + "_strings").str(), integers = (base + "_int64s").str(),
              numbers = (base + "_floats").str(), tensor = (base + "_tensor").str();
  int found = n.has(strings) + n.has(integers) + n.has(numbers) + n.has(tensor);
  if (found != 1) {
    (void)n.fail("has " + Twine(found) + " of the attributes '" + strings + "', '" + integers + "', '" + numbers +
                 "' and '" + tensor + "', expected one");
    return {};
  }
  if (n.has(strings))
    return stringsOf(n, n.strings(strings));
  if (n.has(integers))
    return {integerElements(n, n.integers(integers))};
  if (n.has(tensor))
    return tensorElements(n, tensor);
  SmallVector<double> values = n.numbers(numbers);
  return {floats({int64_t(values.size())}, values, n.b.builder.getF32Type()).constant};
}

SmallVector<double> numbersOf(OpNode &n, StringRef plain, StringRef name) {
  if (!n.has(name))
    return n.numbers(plain);
  if (n.has(plain))
    (void)n.fail("has both attributes '" + plain + "' and '" + name + "', expected one");
  Elements elements = tensorElements(n, name);
  SmallVector<double> values;
  if (!elements.values)
    return values;
  if (!isa<FloatType>(elements.values.getElementType())) {
    (void)n.fail("attribute '" + name + "' must hold floats");
    return values;
  }
  for (APFloat value : elements.values.getValues<APFloat>()) {
    bool losesInfo;
    value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
    values.push_back(value.convertToDouble());
  }
  return values;
}

Elements classLabels(OpNode &n, StringRef strings, StringRef integers) {
  SmallVector<StringRef> texts = n.strings(strings);
  SmallVector<int64_t> numbers = n.integers(integers);
  if (texts.empty() == numbers.empty())
    (void)n.fail("attributes '" + strings + "' and '" + integers + "' have " + Twine(texts.size()) + " and " +
                 Twine(numbers.size()) + " values, expected classes in one of them");
  return texts.empty() ? Elements{integerElements(n, numbers)} : stringsOf(n, texts);
}

FailureOr<Tensor> labelled(OpNode &n, const Tensor &index, const Elements &labels) {
  Tensor table = ops::fromConstant(labels.values);
  auto y = ops::gather(n.b, table, index, 0);
  if (succeeded(y))
    y->isString = labels.isString;
  return y;
}

ops::ScoreTransform scoreTransform(OpNode &n) {
  using T = ops::ScoreTransform;
  return n.choice<T>("post_transform", T::None,
                     {{"NONE", T::None},
                      {"LOGISTIC", T::Logistic},
                      {"SOFTMAX", T::Softmax},
                      {"SOFTMAX_ZERO", T::SoftmaxZero},
                      {"PROBIT", T::Probit}});
}

FailureOr<Tensor> scoresOfTwo(OpNode &n, const Tensor &score, bool isProbability, ops::ScoreTransform transform) {
  using ops::Sign;
  if (transform == ops::ScoreTransform::Logistic)
    return ops::transformScores(n.b, ops::twoColumns(n.b, score, Sign::Minus, Sign::Plus), transform);
  if (transform != ops::ScoreTransform::Probit)
    return ops::twoColumns(n.b, score, isProbability ? Sign::OneMinus : Sign::Minus, Sign::Plus);
  auto changed = ops::transformScores(n.b, score, transform);
  return failed(changed) ? changed : ops::twoColumns(n.b, *changed, Sign::OneMinus, Sign::Plus);
}

//===- the operations -----------------------------------------------------------------------------------------------===

namespace {

/// (x - offset) * scale, one value for all features or one for each; float32 whatever the input.
Result scaler(OpNode &n) {
  const Tensor &x = n.required(0);
  SmallVector<double> offset = n.numbers("offset"), scale = n.numbers("scale");
  if (!n.isGood())
    return failure();
  if (offset.empty() || scale.size() != offset.size())
    return n.fail("attributes 'offset' and 'scale' have " + Twine(offset.size()) + " and " + Twine(scale.size()) +
                  " values, expected the same number, at least one");
  if (x.rank() < 1)
    return n.fail("input 0 is a scalar, expected features in its last dimension");
  int64_t size = offset.size();
  std::optional<int64_t> features = x.shape.back().asConstant();
  if (size > 1 && !features)
    return n.unsupported("the last dimension of input 0 is not known, expected " + Twine(size) +
                         " (give it with --shape)");
  if (size > 1 && *features != size)
    return n.fail("attribute 'offset' has " + Twine(size) + " values, expected 1 or the " + Twine(*features) +
                  " of the last dimension of input 0");
  Type f32 = n.b.builder.getF32Type(), type = x.elementType.isF64() ? x.elementType : Type(f32);
  auto y = ops::cast(n.b, x, type, false);
  if (succeeded(y))
    y = ops::binary(n.b, Binary::Sub, *y, floats({size}, offset, type));
  if (succeeded(y))
    y = ops::binary(n.b, Binary::Mul, *y, floats({size}, scale, type));
  return failed(y) ? Result(failure()) : Result(ops::cast(n.b, *y, f32, false));
}

/// Elements of the last dimension, of strings too. One row comes out with two dimensions.
Result arrayFeatureExtractor(OpNode &n) {
  const Tensor &x = n.required(0), &places = n.required(1);
  if (x.rank() < 1 || !places.isInteger() || places.isString)
    return n.fail("inputs are " + x.str() + " and " + places.str() + ", expected features and integers");
  auto y = ops::gather(n.b, x, n.b.reshape(places, {places.numElements()}), -1);
  if (failed(y))
    return failure();
  return ops::marked(x.rank() == 1 ? n.b.reshape(*y, {1, y->shape[0]}) : *y, x);
}

Result binarizer(OpNode &n) {
  const Tensor &x = n.required(0);
  auto isMore = ops::binary(n.b, Binary::Greater, x, n.b.splat({}, x.elementType, n.number("threshold", 0)));
  return failed(isMore) ? Result(failure()) : Result(ops::cast(n.b, *isMore, x.elementType, false));
}

/// `x` cut or filled up with zeros to `columns`.
FailureOr<Tensor> withColumns(OpNode &n, const Tensor &x, int64_t columns) {
  if (x.shape[1].is(columns))
    return x;
  if (x.shape[1].isSymbolic())
    return n.unsupported("the second dimension of " + x.str() + " is not known, expected " + Twine(columns) +
                         " (give it with --shape)");
  return n.b.pad(x, {0, 0}, {0, Dim(columns) - x.shape[1]}, ops::numberAttr(x.elementType, 0));
}

Result featureVectorizer(OpNode &n) {
  SmallVector<int64_t> sizes = n.integers("inputdimensions");
  SmallVector<Tensor> parts;
  if (n.has("inputdimensions") && sizes.size() != n.numInputs())
    return n.fail("attribute 'inputdimensions' has " + Twine(sizes.size()) + " values for " + Twine(n.numInputs()) +
                  " inputs");
  for (auto [i, x] : llvm::enumerate(n.all())) {
    if (x.rank() != 1 && x.rank() != 2)
      return n.fail("input " + Twine(i) + " is " + x.str() + ", expected one or two dimensions");
    auto part = ops::cast(n.b, x.rank() == 1 ? n.b.reshape(x, {1, x.shape[0]}) : x, n.b.builder.getF32Type(), false);
    if (succeeded(part) && !sizes.empty())
      part = sizes[i] < 0 ? FailureOr<Tensor>(n.fail("attribute 'inputdimensions' holds " + Twine(sizes[i])))
                          : withColumns(n, *part, sizes[i]);
    if (failed(part))
      return failure();
    parts.push_back(*part);
  }
  return n.isGood() ? ops::concat(n.b, parts, 1) : FailureOr<Tensor>(failure());
}

/// Elements that stand for a missing one are replaced, one value for all features or one for each.
Result imputer(OpNode &n) {
  const Tensor &x = n.required(0);
  bool isFloat = x.isFloat();
  StringRef name = isFloat ? "imputed_value_floats" : "imputed_value_int64s";
  SmallVector<double> numbers = n.numbers("imputed_value_floats");
  SmallVector<int64_t> integers = n.integers("imputed_value_int64s");
  int64_t count = isFloat ? numbers.size() : integers.size();
  double number = n.number("replaced_value_float", 0);
  int64_t integer = n.integer("replaced_value_int64", 0);
  if (!n.isGood())
    return failure();
  std::optional<int64_t> features = x.rank() ? x.shape.back().asConstant() : 1;
  if (count == 0)
    return n.fail("attribute '" + name + "' is missing, expected values for " + x.str());
  if (count > 1 && !features)
    return n.unsupported("the last dimension of input 0 is not known, expected " + Twine(count) +
                         " (give it with --shape)");
  if (count > 1 && *features != count)
    return n.fail("attribute '" + name + "' has " + Twine(count) + " values, expected 1 or the " + Twine(*features) +
                  " of the last dimension of input 0");
  TypedAttr replaced = ops::numberAttr(x.elementType, number);
  FailureOr<Tensor> values = isFloat ? floats({count}, numbers, x.elementType) : integerTensor(n.b, integers);
  if (!isFloat) {
    replaced = IntegerAttr::get(x.elementType, APInt(64, integer, true).trunc(x.elementType.getIntOrFloatBitWidth()));
    values = ops::cast(n.b, *values, x.elementType, false);
  }
  if (failed(values))
    return failure();
  return ops::replaceEqual(n.b, x, replaced, x.rank() ? *values : n.b.reshape(*values, {}));
}

/// Each row divided by its maximum, or by the sum of its magnitudes, or by its length; a row of zeros stays.
Result normalizer(OpNode &n) {
  enum class Norm { Max, L1, L2 };
  const Tensor &x = n.required(0);
  Norm norm = n.choice<Norm>("norm", Norm::Max, {{"MAX", Norm::Max}, {"L1", Norm::L1}, {"L2", Norm::L2}});
  if (n.isGood() && x.rank() != 1 && x.rank() != 2)
    return n.fail("input 0 is " + x.str() + ", expected one row [C] or rows [N, C]");
  auto y = n.isGood() ? ops::cast(n.b, x, n.b.builder.getF32Type(), false) : FailureOr<Tensor>(failure());
  if (failed(y))
    return failure();
  auto size = ops::reduce(n.b,
                          norm == Norm::Max  ? ops::Reduce::Max
                          : norm == Norm::L1 ? ops::Reduce::L1
                                             : ops::Reduce::L2,
                          *y, x.rank() - 1, /*keepDims=*/true);
  if (failed(size))
    return failure();
  auto isZero = ops::binary(n.b, Binary::Equal, *size, n.b.splat({}, y->elementType, 0));
  auto divisor = ops::where(n.b, *isZero, n.b.splat({}, y->elementType, 1), *size);
  return failed(divisor) ? Result(failure()) : Result(ops::binary(n.b, Binary::Div, *y, *divisor));
}

const OpRow rows[] = {
    {"ai.onnx.ml::ArrayFeatureExtractor", {1}, 2, 2, arrayFeatureExtractor},
    {"ai.onnx.ml::Binarizer", {1}, 1, 1, binarizer},
    {"ai.onnx.ml::FeatureVectorizer", {1}, 1, kAnyNumber, featureVectorizer},
    {"ai.onnx.ml::Imputer", {1}, 1, 1, imputer},
    {"ai.onnx.ml::Normalizer", {1}, 1, 1, normalizer},
    {"ai.onnx.ml::Scaler", {1}, 1, 1, scaler},
};

} // namespace

ArrayRef<OpRow> machineLearningOps() { return rows; }

} // namespace eyrie::import::onnx
