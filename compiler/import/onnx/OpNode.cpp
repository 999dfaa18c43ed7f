#include "compiler/import/onnx/OpNode.h"
#include "compiler/import/onnx/Text.h"
#include "compiler/import/onnx/Weights.h"

using namespace mlir;

namespace eyrie::import::onnx {

StringRef nameOf(Attribute::Type type) {
  static constexpr llvm::StringLiteral names[] = {
      "undefined", "a number", "an integer", "a string",        "a tensor",       "a graph", "numbers", "integers",
      "strings",   "tensors",  "graphs",     "a sparse tensor", "sparse tensors", "a type",  "types"};
  auto index = static_cast<size_t>(type);
  return index < std::size(names) ? StringRef(names[index]) : StringRef("of an unknown type");
}

const Tensor &OpNode::required(size_t i) {
  if (const Tensor *t = input(i))
    return *t;
  (void)fail("input " + llvm::Twine(i) + " is missing");
  if (!dummy.elementType)
    dummy = ops::fromConstant(DenseElementsAttr::get(RankedTensorType::get({}, b.builder.getF32Type()), 0.0f));
  return dummy;
}

SmallVector<Tensor> OpNode::all() {
  SmallVector<Tensor> tensors;
  for (size_t i = 0; i < inputs.size(); ++i)
    tensors.push_back(required(i));
  return tensors;
}

const Attribute *OpNode::find(StringRef name) const {
  for (auto &[key, attribute] : attributes)
    if (key == name)
      return attribute;
  return nullptr;
}

const Attribute *OpNode::expect(StringRef name, Attribute::Type type, StringRef typeName) {
  const Attribute *attribute = find(name);
  if (!attribute || attribute->type == type)
    return attribute;
  (void)fail("attribute '" + name + "' must be " + typeName + ", found " + nameOf(attribute->type));
  return nullptr;
}

int64_t OpNode::integer(StringRef name, int64_t initial) {
  const Attribute *attribute = expect(name, Attribute::Type::Int, "an integer");
  return attribute ? attribute->integer : initial;
}

int64_t OpNode::requiredInteger(StringRef name) {
  if (!has(name))
    (void)fail("attribute '" + name + "' is missing");
  return integer(name, 0);
}

double OpNode::number(StringRef name, double initial) {
  const Attribute *attribute = expect(name, Attribute::Type::Float, "a number");
  return attribute ? attribute->number : initial;
}

StringRef OpNode::string(StringRef name, StringRef initial) {
  const Attribute *attribute = expect(name, Attribute::Type::String, "a string");
  return attribute ? attribute->string : initial;
}

SmallVector<int64_t> OpNode::integers(StringRef name) {
  // An empty list written by some exporters has lost its type.
  if (const Attribute *attribute = find(name); attribute && attribute->type == Attribute::Type::Undefined)
    return {};
  const Attribute *attribute = expect(name, Attribute::Type::Ints, "integers");
  return attribute ? SmallVector<int64_t>(attribute->integers.begin(), attribute->integers.end())
                   : SmallVector<int64_t>();
}

SmallVector<double> OpNode::numbers(StringRef name) {
  const Attribute *attribute = expect(name, Attribute::Type::Floats, "numbers");
  return attribute ? SmallVector<double>(attribute->numbers.begin(), attribute->numbers.end()) : SmallVector<double>();
}

SmallVector<StringRef> OpNode::strings(StringRef name) {
  const Attribute *attribute = expect(name, Attribute::Type::Strings, "strings");
  return attribute ? SmallVector<StringRef>(attribute->strings.begin(), attribute->strings.end())
                   : SmallVector<StringRef>();
}

const TensorProto *OpNode::tensor(StringRef name) {
  const Attribute *attribute = expect(name, Attribute::Type::Tensor, "a tensor");
  if (attribute && !attribute->tensor)
    (void)fail("attribute '" + name + "' has no value");
  return attribute ? attribute->tensor.get() : nullptr;
}

SmallVector<int64_t> OpNode::constantIntegers(size_t i, StringRef what) {
  const Tensor *t = input(i);
  if (!t)
    return {};
  FailureOr<SmallVector<int64_t>> values = b.constantIntegers(*t, what);
  if (succeeded(values))
    return *values;
  hasBuilderError |= error.empty();
  return {};
}

void OpNode::setInput(size_t i, Tensor tensor) {
  inputs.resize(std::max(inputs.size(), i + 1), nullptr);
  inputs[i] = &madeTensors.emplace_back(std::move(tensor));
}

Attribute &OpNode::makeAttribute(StringRef name, Attribute::Type type) {
  llvm::erase_if(attributes, [&](auto &pair) { return pair.first == name; });
  Attribute &attribute = madeAttributes.emplace_back();
  attribute.name = name;
  attribute.type = type;
  attributes.emplace_back(name, &attribute);
  return attribute;
}

void OpNode::setInteger(StringRef name, int64_t value) { makeAttribute(name, Attribute::Type::Int).integer = value; }

void OpNode::setNumber(StringRef name, double value) {
  makeAttribute(name, Attribute::Type::Float).number = static_cast<float>(value);
}

void OpNode::setString(StringRef name, StringRef value) { makeAttribute(name, Attribute::Type::String).string = value; }

ElementType OpNode::elementTypeOrString(StringRef name, int64_t initial) {
  int64_t number = integer(name, initial);
  auto type = static_cast<DataType>(number < 0 || number > 1000 ? -1 : number);
  ElementType element = elementTypeOf(b.builder.getContext(), type);
  if (element.type)
    return element;
  (void)unsupported("attribute '" + name + "' asks for the unsupported type " + typeName(type));
  return {b.builder.getF32Type()};
}

OpNode::TypeAndSign OpNode::elementType(StringRef name, int64_t initial) {
  ElementType element = elementTypeOrString(name, initial);
  if (element.isString)
    (void)unsupported("attribute '" + name + "' asks for strings, which is not supported");
  return {element.type, element.isUnsigned};
}

Tensor integerTensor(ops::Builder &b, ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, b.builder.getI64Type());
  return ops::fromConstant(DenseElementsAttr::get(type, values));
}

} // namespace eyrie::import::onnx
