// Constants, shapes and tensors made from nothing.
#include "compiler/import/onnx/Registry.h"
#include "compiler/import/onnx/Weights.h"

using namespace mlir;

namespace eyrie::import::onnx {
namespace {

template <typename T, typename Values> Tensor literal(Type element, bool isScalar, const Values &values) {
  SmallVector<T> elements(values.begin(), values.end());
  SmallVector<int64_t> shape;
  if (!isScalar)
    shape.push_back(elements.size());
  return ops::fromConstant(DenseElementsAttr::get(RankedTensorType::get(shape, element), ArrayRef<T>(elements)));
}

Result readTensor(OpNode &n, const TensorProto &proto) {
  llvm::Expected<Tensor> tensor = n.readTensor(proto, "value");
  if (!tensor)
    return n.fail("attribute 'value' " + llvm::toString(tensor.takeError()));
  return std::move(*tensor);
}

Result constant(OpNode &n) {
  if (n.attributes.size() != 1)
    return n.fail("a constant needs exactly one attribute, found " + llvm::Twine(n.attributes.size()));
  auto [name, attribute] = n.attributes.front();
  Builder builder(n.b.builder.getContext());
  if (name == "value") {
    const TensorProto *proto = n.tensor("value");
    return proto ? readTensor(n, *proto) : Result(failure());
  }
  if (name == "sparse_value") {
    if (!attribute->sparseTensor)
      return n.fail("attribute 'sparse_value' has no value");
    llvm::Expected<Tensor> tensor = n.readSparseTensor(*attribute->sparseTensor, "sparse_value");
    if (!tensor)
      return n.fail("attribute 'sparse_value' " + llvm::toString(tensor.takeError()));
    return std::move(*tensor);
  }
  if (name == "value_float")
    return literal<float>(builder.getF32Type(), true, SmallVector<double>{n.number(name, 0)});
  if (name == "value_floats")
    return literal<float>(builder.getF32Type(), false, n.numbers(name));
  if (name == "value_int")
    return literal<int64_t>(builder.getI64Type(), true, SmallVector<int64_t>{n.integer(name, 0)});
  if (name == "value_ints")
    return literal<int64_t>(builder.getI64Type(), false, n.integers(name));
  if (name == "value_string" || name == "value_strings") {
    SmallVector<int64_t> ids;
    if (name == "value_string")
      ids.push_back(n.texts->idOf(n.string(name, "")));
    else
      for (StringRef text : n.strings(name))
        ids.push_back(n.texts->idOf(text));
    Tensor t = literal<int64_t>(builder.getI64Type(), name == "value_string", ids);
    t.isString = true;
    return t;
  }
  return n.unsupported("constants by attribute '" + name + "' are not supported");
}

Result constantOfShape(OpNode &n) {
  auto type = RankedTensorType::get({1}, n.b.builder.getF32Type());
  DenseElementsAttr value = DenseElementsAttr::get(type, 0.0f);
  bool isUnsigned = false;
  if (const TensorProto *proto = n.tensor("value")) {
    llvm::Expected<Tensor> tensor = n.readTensor(*proto, "value");
    if (!tensor)
      return n.fail("attribute 'value' " + llvm::toString(tensor.takeError()));
    if (!tensor->constant || tensor->constant.getNumElements() != 1 || tensor->isString)
      return n.fail("attribute 'value' must have one element that is a number, found " + tensor->str());
    value = tensor->constant;
    isUnsigned = tensor->isUnsigned;
  }
  return ops::constantOfShape(n.b, n.required(0), value, isUnsigned);
}

Result shape(OpNode &n) {
  std::optional<int64_t> end;
  if (n.has("end"))
    end = n.integer("end", 0);
  return ops::shape(n.b, n.required(0), n.integer("start", 0), end);
}

Result eyeLike(OpNode &n) {
  const Tensor &x = n.required(0);
  OpNode::TypeAndSign type{x.elementType, x.isUnsigned};
  if (n.has("dtype"))
    type = n.elementType("dtype", 1);
  return ops::eyeLike(n.b, x, n.integer("k", 0), type.type, type.isUnsigned);
}

const OpRow rows[] = {
    {"Constant", {1, 9, 11, 12, 13, 19, 21, 23, 24, 25}, 0, 0, constant},
    {"ConstantOfShape", {9, 20, 21, 23, 24, 25}, 1, 1, constantOfShape},
    {"EyeLike", {9, 22}, 1, 1, eyeLike},
    {"Range",
     {11, 27},
     3,
     3,
     [](OpNode &n) -> Result { return ops::range(n.b, n.required(0), n.required(1), n.required(2)); }},
    {"Shape", {1, 13, 15, 19, 21, 23, 24, 25}, 1, 1, shape},
    {"Size", {1, 13, 19, 21, 23, 24, 25}, 1, 1, [](OpNode &n) -> Result { return ops::size(n.b, n.required(0)); }},
};

} // namespace

ArrayRef<OpRow> shapeOps() { return rows; }

} // namespace eyrie::import::onnx
