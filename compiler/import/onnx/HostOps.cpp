// Nodes that a function of the caller computes when the model runs (--host-op).
#include "compiler/graph/ElementTypes.h"
#include "compiler/import/onnx/Importer.h"
#include "compiler/import/onnx/Text.h"
#include "compiler/ops/Host.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using eyrie::ops::Dim;
using eyrie::ops::Dims;

namespace eyrie::import::onnx {
namespace {

StringRef typeNameOf(const Tensor &t) {
  const abi::ElementTypeInfo *info =
      abi::FindElementType(static_cast<uint64_t>(graph::getElementType(t.elementType, t.isUnsigned, t.isString)));
  return info ? StringRef(info->name) : StringRef("?");
}

/// The element type of that name in abi/element_types.def.
ElementType elementTypeNamed(MLIRContext *context, StringRef name) {
  for (auto type = DataType::Float; type <= DataType::Int2; type = DataType(int32_t(type) + 1)) {
    ElementType element = elementTypeOf(context, type);
    if (!element.type || element.isString)
      continue;
    const abi::ElementTypeInfo *info =
        abi::FindElementType(static_cast<uint64_t>(graph::getElementType(element.type, element.isUnsigned, false)));
    if (info && name == info->name)
      return element;
  }
  llvm_unreachable("signatures name types of the format");
}

/// A signature held against the operands of a node.
class Match {
public:
  explicit Match(const HostOp &op) : op(op) {}

  /// What does not fit; empty if all does, as far as is known. Binds names; makes no IR.
  std::string run(ArrayRef<const Slot *> operands, size_t numOutputs);
  /// Assumes what is only known when the model runs.
  void assume(ops::DimContext &dims) const {
    for (auto &[a, b] : equalities)
      dims.assumeEqual(a, b);
  }
  const Tensor *typeOf(const HostTensor &tensor) const { return types.lookup(tensor.type); }
  /// The sizes of an output; those that are unknown are taken from `unknown`.
  Dims shapeOf(const HostTensor &tensor, ArrayRef<Dim> &unknown) const;
  Dim evaluate(const HostSize &size) const;

  const HostOp &op;

private:
  std::string matchInput(unsigned index, const Slot &slot);
  std::string matchSize(unsigned index, const HostSize &expected, Dim found);
  std::string compareSizes();

  llvm::StringMap<const Tensor *> types; // of the names in upper case: an operand that has the type
  llvm::StringMap<Dim> sizes;
  std::optional<Dims> rest;
  struct Computed {
    unsigned input;
    const HostSize *expected;
    Dim found;
  };
  SmallVector<Computed> computed;
  SmallVector<std::pair<Dim, Dim>> equalities;
};

std::string Match::run(ArrayRef<const Slot *> operands, size_t numOutputs) {
  if (operands.size() != op.inputs.size())
    return "it has " + std::to_string(operands.size()) + " inputs, expected " + std::to_string(op.inputs.size());
  if (numOutputs > op.outputs.size())
    return "it has " + std::to_string(numOutputs) + " outputs, expected at most " + std::to_string(op.outputs.size());
  for (auto [i, slot] : llvm::enumerate(operands))
    if (std::string error = matchInput(i, *slot); !error.empty())
      return error;
  return compareSizes();
}

std::string Match::matchInput(unsigned index, const Slot &slot) {
  const HostTensor &expected = op.inputs[index];
  std::string place = "input " + std::to_string(index);
  if (slot.kind == Slot::Kind::Absent)
    return place + " is left out, expected " + expected.str();
  if (slot.kind != Slot::Kind::Tensor)
    return place + " is " + slot.str() + ", expected " + expected.str();
  const Tensor &t = slot.tensor;
  std::string mismatch = place + " is " + t.str() + ", expected " + expected.str();
  if (t.isString)
    return place + " holds strings, which functions of the caller cannot take";
  if (expected.isAnyType()) {
    auto [known, isNew] = types.try_emplace(expected.type, &t);
    if (!isNew && typeNameOf(*known->second) != typeNameOf(t))
      return mismatch + ", where " + expected.type + " is " + typeNameOf(*known->second).str();
  } else if (typeNameOf(t) != expected.type) {
    return mismatch;
  }
  auto isRest = [](const HostSize &size) { return size.kind == HostSize::Kind::Rest; };
  size_t first = llvm::find_if(expected.sizes, isRest) - expected.sizes.begin();
  bool hasRest = first < expected.sizes.size();
  size_t fixed = expected.sizes.size() - hasRest, rank = t.shape.size();
  if (rank < fixed || (rank > fixed && !hasRest))
    return mismatch;
  if (hasRest) {
    Dims found(ArrayRef<Dim>(t.shape).slice(first, rank - fixed));
    if (!rest)
      rest = found;
    if (rest->size() != found.size())
      return mismatch + ", where '...' stands for " + std::to_string(rest->size()) + " sizes";
    for (auto [a, b] : llvm::zip_equal(*rest, found))
      equalities.emplace_back(a, b);
  }
  for (size_t i = 0; i < fixed; ++i) {
    bool isBehind = hasRest && i >= first;
    const HostSize &size = expected.sizes[i + isBehind];
    if (std::string error = matchSize(index, size, t.shape[isBehind ? i + rank - fixed : i]); !error.empty())
      return error;
  }
  return "";
}

std::string Match::matchSize(unsigned index, const HostSize &expected, Dim found) {
  if (expected.kind == HostSize::Kind::Unknown)
    return "";
  if (expected.kind == HostSize::Kind::Name && sizes.try_emplace(expected.name, found).second)
    return "";
  computed.push_back({index, &expected, found});
  return "";
}

/// Once every name has its size.
std::string Match::compareSizes() {
  for (const Computed &size : computed) {
    Dim expected = evaluate(*size.expected);
    if (isEqual(expected, size.found) == std::optional<bool>(false))
      return "input " + std::to_string(size.input) + " has the size " + size.found.str() + ", expected " +
             size.expected->str() + (size.expected->str() == expected.str() ? "" : " = " + expected.str());
    equalities.emplace_back(expected, size.found);
  }
  for (auto &[a, b] : equalities)
    if (isEqual(a, b) == std::optional<bool>(false))
      return "sizes for which '...' stands are " + a.str() + " and " + b.str();
  return "";
}

Dim Match::evaluate(const HostSize &size) const {
  switch (size.kind) {
  case HostSize::Kind::Name:
    return sizes.lookup(size.name);
  case HostSize::Kind::Add:
    return evaluate(size.operands[0]) + evaluate(size.operands[1]);
  case HostSize::Kind::Subtract:
    return evaluate(size.operands[0]) - evaluate(size.operands[1]);
  case HostSize::Kind::Multiply:
    return evaluate(size.operands[0]) * evaluate(size.operands[1]);
  case HostSize::Kind::Divide:
    return floorDiv(evaluate(size.operands[0]), evaluate(size.operands[1]));
  default:
    return size.number;
  }
}

Dims Match::shapeOf(const HostTensor &tensor, ArrayRef<Dim> &unknown) const {
  Dims shape;
  for (const HostSize &size : tensor.sizes) {
    if (size.kind == HostSize::Kind::Rest) {
      llvm::append_range(shape, *rest);
    } else if (size.kind == HostSize::Kind::Unknown) {
      shape.push_back(unknown.front());
      unknown = unknown.drop_front();
    } else {
      shape.push_back(evaluate(size));
    }
  }
  return shape;
}

/// What the function gets of the node besides tensors.
FailureOr<SmallVector<NamedAttribute>> configOf(OpNode &n) {
  Builder b(n.b.builder.getContext());
  SmallVector<NamedAttribute> config;
  for (auto &[name, attribute] : n.attributes) {
    SmallVector<mlir::Attribute> list;
    mlir::Attribute value;
    switch (attribute->type) {
    case Attribute::Type::Int:
      value = b.getI64IntegerAttr(attribute->integer);
      break;
    case Attribute::Type::Float:
      value = b.getF64FloatAttr(attribute->number);
      break;
    case Attribute::Type::String:
      value = b.getStringAttr(attribute->string);
      break;
    case Attribute::Type::Ints:
      value = b.getI64ArrayAttr(attribute->integers);
      break;
    case Attribute::Type::Floats:
      for (float number : attribute->numbers)
        list.push_back(b.getF64FloatAttr(number));
      value = b.getArrayAttr(list);
      break;
    case Attribute::Type::Strings:
      for (StringRef text : attribute->strings)
        list.push_back(b.getStringAttr(text));
      value = b.getArrayAttr(list);
      break;
    case Attribute::Type::Undefined: // an empty list of some exporters
      value = b.getArrayAttr({});
      break;
    default:
      return n.fail("attribute " + quote(name) + " is " + nameOf(attribute->type) +
                    "; functions of the caller take integers, numbers, strings and lists of them");
    }
    config.push_back(b.getNamedAttr(name, value));
  }
  return config;
}

/// `size`, which is below 0 only if a call is wrong: such a call stops here.
FailureOr<Dim> checkedSize(OpNode &n, const HostOp &op, Dim size) {
  if (size.isConstant() && size.constant() < 0)
    return n.fail("the signature '" + op.text + "' gives the negative size " + size.str());
  if (auto least = lowerBound(size); least && *least >= 0)
    return size;
  OpBuilder &b = n.b.builder;
  Value value = n.b.index(size), zero = arith::ConstantIndexOp::create(b, n.b.loc, 0);
  n.b.require(arith::CmpIOp::create(b, n.b.loc, arith::CmpIPredicate::sge, value, zero),
              "a size of an output of " + op.callee() + " is negative");
  return n.b.dims.opaque(value, "v", 0);
}

FailureOr<Slots> callHost(OpNode &n, const Match &match) {
  const HostOp &op = match.op;
  auto config = configOf(n);
  if (failed(config))
    return failure();
  match.assume(n.b.dims);
  SmallVector<Tensor> inputs = n.all();
  auto isUnknown = [](const HostSize &size) { return size.kind == HostSize::Kind::Unknown; };
  int64_t count = 0;
  for (const HostTensor &output : op.outputs)
    count += llvm::count_if(output.sizes, isUnknown);
  Dims read;
  if (count) {
    ops::HostResult result{n.b.builder.getI64Type(), false, false, {Dim(count)}};
    Tensor sizes = ops::hostCall(n.b, op.callee() + ".sizes", inputs, result, *config)[0];
    auto integers = n.b.integers(sizes, "the sizes");
    if (failed(integers))
      return failure();
    read = *integers;
  }
  ArrayRef<Dim> unknown = read;
  SmallVector<ops::HostResult> results;
  for (const HostTensor &output : op.outputs) {
    Dims shape = match.shapeOf(output, unknown);
    for (Dim &size : shape) {
      auto checked = checkedSize(n, op, size);
      if (failed(checked))
        return failure();
      size = *checked;
    }
    const Tensor *like = match.typeOf(output);
    ElementType type = like ? ElementType{like->elementType, like->isUnsigned}
                            : elementTypeNamed(n.b.builder.getContext(), output.type);
    results.push_back({type.type, type.isUnsigned, false, shape});
  }
  SmallVector<Tensor> tensors = ops::hostCall(n.b, op.callee(), inputs, results, *config);
  return Slots(llvm::map_range(tensors, [](Tensor &t) { return Slot::of(std::move(t)); }));
}

} // namespace

SmallVector<const HostOp *> Importer::hostOpsOf(const Node &node) const {
  StringRef domain = node.domain.empty() ? StringRef("ai.onnx") : node.domain;
  SmallVector<const HostOp *> ops;
  for (const HostOp &op : options.hostOps)
    if (op.name == node.op && op.domain == domain)
      ops.push_back(&op);
  // What a library has to compute. (Python has it: eyrie.images.)
  static const HostOp imageDecoder = llvm::cantFail(parseHostOp("ai.onnx::ImageDecoder(u8[n]) -> u8[?, ?, ?]"));
  if (ops.empty() && node.op == imageDecoder.name && domain == imageDecoder.domain)
    ops.push_back(&imageDecoder);
  return ops;
}

void Importer::importHostOp(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands,
                            StringRef place) {
  while (!operands.empty() && operands.back()->kind == Slot::Kind::Absent)
    operands = operands.drop_back();
  OpNode n(*b, node, opsetOf(node.domain, env));
  for (const Slot *slot : operands)
    n.inputs.push_back(slot->kind == Slot::Kind::Tensor ? &slot->tensor : nullptr);
  n.attributes = attributesOf(node, env);
  callHandler(n, scope, place, [&]() -> FailureOr<Slots> {
    SmallVector<const HostOp *> candidates = hostOpsOf(node);
    std::string reasons;
    for (const HostOp *op : candidates) {
      Match match(*op);
      std::string reason = match.run(operands, node.outputs.size());
      if (reason.empty())
        return callHost(n, match);
      reasons += "; as '" + op->text + "': " + reason;
    }
    return n.fail("it fits no signature given by --host-op" + reasons);
  });
}

} // namespace eyrie::import::onnx
