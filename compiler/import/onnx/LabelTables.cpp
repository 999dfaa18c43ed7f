// Operations of ai.onnx.ml that look elements up in tables of the model: labels, categories, maps.
#include "compiler/import/onnx/MachineLearning.h"
#include "compiler/ops/Lookup.h"
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using eyrie::ops::Binary;

namespace eyrie::import::onnx {
namespace {

Type idType(OpNode &n) { return n.b.builder.getI64Type(); }

/// The keys are of the type of input 0, or an error.
bool fits(OpNode &n, const Elements &keys, StringRef what) {
  const Tensor &x = n.required(0);
  if (x.elementType == keys.values.getElementType() && x.isString == keys.isString && !x.isUnsigned)
    return true;
  std::string type = keys.isString ? "strings" : "elements of " + ops::fromConstant(keys.values).str();
  (void)n.fail("input 0 is " + x.str() + ", expected " + type + " like the " + what);
  return false;
}

FailureOr<Tensor> mapped(OpNode &n, const Elements &keys, const Elements &values, TypedAttr otherwise) {
  if (!n.isGood())
    return failure();
  int64_t count = keys.values.getNumElements();
  if (values.values.getNumElements() != count)
    return n.fail("has " + Twine(count) + " keys and " + Twine(values.values.getNumElements()) +
                  " values, expected as many of both");
  if (!fits(n, keys, "keys"))
    return failure();
  auto y = ops::lookUp(n.b, n.required(0), {keys.values, values.values, otherwise});
  if (succeeded(y))
    y->isString = values.isString;
  return y;
}

/// The value of what is no key.
TypedAttr otherwiseOf(OpNode &n, const Elements &values) {
  Type type = values.values.getElementType();
  if (n.has("default_tensor")) {
    const TensorProto *proto = n.tensor("default_tensor");
    auto weight = proto ? n.readWeight(*proto) : llvm::Expected<Weight>(Weight{});
    if (!weight) {
      (void)n.fail("attribute 'default_tensor' " + llvm::toString(weight.takeError()));
    } else if (proto) {
      if (weight->type.getNumElements() == 1 && weight->type.getElementType() == type &&
          weight->isString == values.isString)
        return cast<TypedAttr>(*toDense(*weight).value_begin<mlir::Attribute>());
      (void)n.fail("attribute 'default_tensor' must hold one element of the type of the values");
    }
  }
  if (values.isString)
    return IntegerAttr::get(type, n.texts->idOf(n.string("default_string", "_Unused")));
  if (isa<FloatType>(type))
    return ops::numberAttr(type, n.number("default_float", -0.0));
  return IntegerAttr::get(type, n.integer("default_int64", -1));
}

/// Strings to their numbers, or numbers to their strings, as the input is of one or the other.
FailureOr<Tensor> translated(OpNode &n, const Elements &texts, const Elements &numbers) {
  bool isFromText = n.required(0).isString;
  const Elements &keys = isFromText ? texts : numbers, &values = isFromText ? numbers : texts;
  return mapped(n, keys, values, otherwiseOf(n, values));
}

/// In its first form: strings to their numbers in a list, or back.
Result indexEncoder(OpNode &n) {
  Elements texts = stringsOf(n, n.strings("classes_strings"));
  SmallVector<int64_t> places = llvm::to_vector(llvm::seq<int64_t>(0, texts.values.getNumElements()));
  Elements numbers{integerTensor(n.b, places).constant};
  if (!numbers.values)
    return n.fail("attribute 'classes_strings' is empty");
  return translated(n, texts, numbers);
}

/// Before version 4 NaN as a key is equal to nothing.
void dropNaN(OpNode &n, Elements &keys, Elements &values) {
  SmallVector<mlir::Attribute> keptKeys, keptValues;
  for (auto [key, value] :
       llvm::zip(keys.values.getValues<mlir::Attribute>(), values.values.getValues<mlir::Attribute>()))
    if (!cast<FloatAttr>(key).getValue().isNaN())
      keptKeys.push_back(key), keptValues.push_back(value);
  auto list = [](Elements &elements, ArrayRef<mlir::Attribute> kept) {
    auto type = RankedTensorType::get(int64_t(kept.size()), elements.values.getElementType());
    elements.values = DenseElementsAttr::get(type, kept);
  };
  list(keys, keptKeys), list(values, keptValues);
}

Result labelEncoder(OpNode &n) {
  if (n.has("classes_strings"))
    return indexEncoder(n);
  Elements keys = elementsOf(n, "keys"), values = elementsOf(n, "values");
  if (n.isGood() && n.opset < 4 && isa<FloatType>(keys.values.getElementType()) &&
      keys.values.getNumElements() == values.values.getNumElements())
    dropNaN(n, keys, values);
  return n.isGood() ? mapped(n, keys, values, otherwiseOf(n, values)) : FailureOr<Tensor>(failure());
}

Result categoryMapper(OpNode &n) {
  SmallVector<StringRef> names = n.strings("cats_strings");
  SmallVector<int64_t> integers = n.integers("cats_int64s");
  if (names.size() != integers.size() || names.empty())
    return n.fail("attributes 'cats_strings' and 'cats_int64s' have " + Twine(names.size()) + " and " +
                  Twine(integers.size()) + " values, expected the same number, at least one");
  Elements texts = stringsOf(n, names), numbers{integerTensor(n.b, integers).constant};
  return translated(n, texts, numbers);
}

/// A call fails with `text` unless the boolean, which is made here and may have failed, holds.
LogicalResult demand(OpNode &n, const FailureOr<Tensor> &isGood, StringRef what, StringRef text) {
  auto known = failed(isGood) ? FailureOr<ops::Dims>(failure()) : n.b.integers(*isGood, what);
  if (failed(known))
    return failure();
  Value holds =
      arith::CmpIOp::create(n.b.builder, n.b.loc, arith::CmpIPredicate::eq, n.b.index(known->front()), n.b.index(1));
  n.b.require(holds, text);
  return success();
}

/// Without `zeros` an element of no category is an error, which only a call can find.
LogicalResult demandCategories(OpNode &n, const Tensor &y) {
  auto hits = ops::reduce(n.b, ops::Reduce::Max, y, -1, /*keepDims=*/false);
  auto least = failed(hits) ? hits : ops::reduce(n.b, ops::Reduce::Min, *hits, {}, /*keepDims=*/false);
  auto isGood = failed(least) ? least : ops::binary(n.b, Binary::Greater, *least, n.b.splat({}, y.elementType, 0));
  return demand(n, isGood, "whether categories are known", "an element of the input is none of the categories");
}

Result oneHotEncoder(OpNode &n) {
  Elements categories = classLabels(n, "cats_strings", "cats_int64s");
  if (!n.isGood())
    return failure();
  FailureOr<Tensor> x = n.required(0);
  if (x->isString != categories.isString)
    return n.fail("input 0 is " + x->str() + ", expected " + (categories.isString ? "strings" : "numbers") +
                  " like the categories");
  if (!x->isString)
    x = ops::cast(n.b, *x, idType(n), false);
  if (failed(x))
    return failure();
  auto y = ops::oneHotOf(n.b, *x, categories.values);
  if (succeeded(y) && !n.flag("zeros", true) && failed(demandCategories(n, *y)))
    return failure();
  return y;
}

//===- maps ---------------------------------------------------------------------------------------------------------===

/// A module has tensors and sequences, no maps: the result is the tensor of scores [N, C] that the maps would be made
/// of (docs/decisions/2026-11-26-machine-learning.md), with the classes as text.
Result zipMap(OpNode &n) {
  Elements labels = classLabels(n, "classlabels_strings", "classlabels_int64s");
  const Tensor &x = n.required(0);
  if (!n.isGood())
    return failure();
  if (x.rank() != 1 && x.rank() != 2)
    return n.fail("input 0 is " + x.str() + ", expected scores [C] or [N, C]");
  int64_t classes = labels.values.getNumElements();
  if (x.shape.back().isConstant() && !x.shape.back().is(classes))
    return n.fail("input 0 is " + x.str() + ", expected a score for each of " + Twine(classes) + " classes");
  for (StringRef label : n.strings("classlabels_strings"))
    n.labels.push_back(label.str());
  for (int64_t label : n.integers("classlabels_int64s"))
    n.labels.push_back(std::to_string(label));
  return x;
}

/// Input 0 is a map with such keys, or an error.
bool isMapOf(OpNode &n, bool hasStrings) {
  const Tensor &x = n.required(0);
  if (!n.keys)
    (void)n.fail("input 0 is " + x.str() + ", expected a map");
  else if (n.keys->isString != hasStrings)
    (void)n.fail("the keys of input 0 are " + n.keys->str() + ", expected " + (hasStrings ? "strings" : "integers"));
  return n.isGood();
}

/// What `values`, those of the map that is input 0, are for the keys `wanted` [C], and `otherwise` where there is no
/// such key: [1, C]. Of equal keys, which a map cannot have, the last counts.
FailureOr<Tensor> valuesOf(OpNode &n, const Tensor &values, const Tensor &wanted, TypedAttr otherwise) {
  // The places of keys count from 1; 0 is that of `otherwise`, in front of the values.
  AffineMap row = AffineMap::get(2, 0, n.b.builder.getAffineDimExpr(0));
  AffineMap entry = AffineMap::get(2, 0, n.b.builder.getAffineDimExpr(1));
  Tensor places = n.b.reduce(n.b.splat(wanted.shape, idType(n), 0), row, 1u, {wanted, *n.keys}, {row, entry},
                             [](OpBuilder &builder, Location loc, ValueRange args) {
                               ops::Scalar s{builder, loc};
                               Value isHere = s.cmp(arith::CmpIPredicate::eq, args[0], args[1]);
                               return s.max(args[2], s.select(isHere, s.add(s.loopNumber(1), 1), s.like(args[2], 0)));
                             });
  auto table = ops::concat(n.b, {n.b.fill({1}, otherwise), values}, 0);
  auto y = failed(table) ? table : ops::gather(n.b, *table, places, 0);
  return failed(y) ? y : ops::marked(n.b.reshape(*y, {1, wanted.shape[0]}), values);
}

/// The values of the keys in a list, 0 for those that the map has not.
Result dictVectorizer(OpNode &n) {
  Elements keys = classLabels(n, "string_vocabulary", "int64_vocabulary");
  if (!n.isGood() || !isMapOf(n, keys.isString))
    return failure();
  const Tensor &values = n.required(0);
  return valuesOf(n, values, ops::fromConstant(keys.values), ops::numberAttr(values.elementType, 0));
}

/// The values in the order of their keys.
FailureOr<Tensor> denseValues(OpNode &n, const Tensor &values) {
  auto count = ops::shape(n.b, *n.keys);
  auto sorted =
      failed(count) ? FailureOr<SmallVector<Tensor>>(failure()) : ops::topK(n.b, *n.keys, *count, 0, /*largest=*/false);
  auto y = failed(sorted) ? FailureOr<Tensor>(failure()) : ops::gather(n.b, values, sorted->back(), 0);
  return failed(y) ? y : ops::marked(n.b.reshape(*y, {1, values.shape[0]}), values);
}

/// Each value at the place that is its key. Keys from `size` on are left out, as ONNX Runtime does.
FailureOr<Tensor> sparseValues(OpNode &n, const Tensor &values, int64_t size) {
  auto number = [&](int64_t value) { return ops::fromContents(idType(n), {}, {ops::Dim(value)}); };
  auto least = ops::reduce(n.b, ops::Reduce::Min, *n.keys, {}, /*keepDims=*/false);
  auto isGood = failed(least) ? least : ops::binary(n.b, Binary::GreaterOrEqual, *least, number(0));
  if (failed(demand(n, isGood, "whether keys are places", "a key of the map is negative, which is no place")))
    return failure();
  auto places = ops::range(n.b, number(0), number(size), number(1));
  if (failed(places))
    return failure();
  TypedAttr otherwise = values.isString ? TypedAttr(IntegerAttr::get(values.elementType, n.texts->idOf("0.f")))
                                        : ops::numberAttr(values.elementType, 0);
  return valuesOf(n, values, *places, otherwise);
}

Result castMap(OpNode &n) {
  enum class To { Float, Int64, String };
  To to =
      n.choice<To>("cast_to", To::Float, {{"TO_FLOAT", To::Float}, {"TO_INT64", To::Int64}, {"TO_STRING", To::String}});
  bool isSparse = n.choice<bool>("map_form", false, {{"DENSE", false}, {"SPARSE", true}});
  int64_t size = n.integer("max_map", 1);
  if (!n.isGood() || !isMapOf(n, /*hasStrings=*/false))
    return failure();
  if (isSparse && size < 1)
    return n.fail("attribute 'max_map' is " + Twine(size) + ", expected 1 or more");
  auto values = castTo(n, to == To::Float ? n.b.builder.getF32Type() : idType(n), false, to == To::String);
  if (failed(values))
    return failure();
  return isSparse ? sparseValues(n, *values, size) : denseValues(n, *values);
}

const OpRow rows[] = {
    {"ai.onnx.ml::CastMap", {1}, 1, 1, castMap},
    {"ai.onnx.ml::CategoryMapper", {1}, 1, 1, categoryMapper},
    {"ai.onnx.ml::DictVectorizer", {1}, 1, 1, dictVectorizer},
    {"ai.onnx.ml::LabelEncoder", {1, 2, 4}, 1, 1, labelEncoder},
    {"ai.onnx.ml::OneHotEncoder", {1}, 1, 1, oneHotEncoder},
    {"ai.onnx.ml::ZipMap", {1}, 1, 1, zipMap},
};

} // namespace

ArrayRef<OpRow> labelTableOps() { return rows; }

} // namespace eyrie::import::onnx
