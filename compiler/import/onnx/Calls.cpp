// Nodes that functions expand: the model's own, those of libraries, and what callbacks give.
#include "compiler/import/onnx/Importer.h"
#include "compiler/import/onnx/Registry.h"
#include "compiler/import/onnx/Text.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using eyrie::ops::Dim;

namespace eyrie::import::onnx {

std::string chainOf(const Node &node, const Call *call) {
  std::string text = operatorName(node.domain, node.op);
  constexpr unsigned kMost = 12;
  for (unsigned i = 0; call; call = call->caller, ++i) {
    if (i == kMost)
      return "... -> " + text;
    text = operatorName(call->node.domain, call->node.op) + " -> " + text;
  }
  return text;
}

//===- which one ----------------------------------------------------------------------------------------------------===

bool Importer::isBuiltIn(const Node &node, const Env &env) const {
  if (findFlow(node))
    return true;
  const OpRow *row = findOp(plainDomain(node.domain), node.op);
  return row && effectiveVersion(*row, opsetOf(node.domain, env));
}

const Expander *Importer::expanderOf(const Node &node, const Env &env) const {
  const Expander *expander = functions.expander(node);
  for (const Call *call = env.call; call && expander; call = call->caller)
    if (functions.expander(call->node) == expander)
      return nullptr;
  return expander;
}

const Function *Importer::findFunction(const Node &node, const Env &env) {
  // A function's body is what to do where nobody computes the operator otherwise.
  if (!hostOpsOf(node).empty())
    return nullptr;
  const Function *ofLibrary = functions.ofLibrary(node), *ofModel = functions.ofModel(node);
  bool goesFirst = ofLibrary && functions.isOverridden(node);
  for (const Call *call = env.call; call && goesFirst; call = call->caller)
    goesFirst = call->function != ofLibrary;
  if (goesFirst || !(ofModel || isBuiltIn(node, env)))
    return ofLibrary;
  if (ofLibrary && !functions.isOverridden(node))
    functions.noteUnused(node);
  return ofModel;
}

//===- callbacks ----------------------------------------------------------------------------------------------------===

/// The elements as TensorProto.raw_data has them; nothing if they are not all known, many, or strings.
static std::optional<std::string> elementsOf(const Tensor &t) {
  unsigned bits = t.elementType.getIntOrFloatBitWidth();
  if (t.isString || (bits < 8 && bits != 1))
    return std::nullopt;
  std::string bytes;
  auto append = [&](const APInt &value) {
    bytes.append(reinterpret_cast<const char *>(value.getRawData()), (bits + 7) / 8);
  };
  if (t.constant) {
    if (t.constant.getNumElements() > ops::kMaxContents)
      return std::nullopt;
    if (t.isFloat())
      llvm::for_each(t.constant.getValues<APFloat>(), [&](const APFloat &value) { append(value.bitcastToAPInt()); });
    else
      llvm::for_each(t.constant.getValues<APInt>(), append);
    return bytes;
  }
  if (!t.contents || !llvm::all_of(*t.contents, [](Dim d) { return d.isConstant(); }))
    return std::nullopt;
  for (Dim d : *t.contents)
    append(APInt(64, d.constant(), /*isSigned=*/true));
  return bytes;
}

static int32_t dataTypeOf(MLIRContext *context, Type type, bool isUnsigned, bool isString) {
  for (int32_t i = 1; i <= static_cast<int32_t>(DataType::Int2); ++i) {
    ElementType element = elementTypeOf(context, static_cast<DataType>(i));
    if (element.type == type && element.isUnsigned == isUnsigned && element.isString == isString)
      return i;
  }
  return 0;
}

static ExpandInput describeInput(MLIRContext *context, const Slot &slot) {
  using Kind = ExpandInput::Kind;
  ExpandInput input;
  std::vector<int64_t> dims;
  if (slot.kind == Slot::Kind::Absent)
    return input;
  if (slot.kind == Slot::Kind::Tensor) {
    const Tensor &t = slot.tensor;
    input.kind = Kind::Tensor;
    input.type = dataTypeOf(context, t.elementType, t.isUnsigned, t.isString);
    for (Dim d : t.shape)
      dims.push_back(d.isConstant() ? d.constant() : -1);
    input.dims = std::move(dims);
    input.elements = elementsOf(t);
    return input;
  }
  input.kind = slot.kind == Slot::Kind::Sequence ? Kind::Sequence : Kind::Optional;
  if (!slot.isList())
    return input;
  const Sequence &sequence = slot.sequence;
  input.type = dataTypeOf(context, sequence.elementType, sequence.isUnsigned, sequence.isString);
  ElementShape shape = sequence.elementShape();
  if (shape.kind != ElementShape::Kind::Ranked)
    return input;
  for (int64_t d : shape.sizes)
    dims.push_back(ShapedType::isDynamic(d) ? -1 : d);
  input.dims = std::move(dims);
  return input;
}

const Function *Importer::expand(const Expander &expander, const Node &node, const Env &env,
                                 ArrayRef<const Slot *> operands, StringRef place, std::string &error) {
  ExpandNode asked;
  asked.place = place.str();
  asked.message = writeNode(node, attributesOf(node, env));
  asked.opset = opsetOf("", env);
  asked.version = opsetOf(node.domain, env);
  for (const Slot *slot : operands)
    asked.inputs.push_back(describeInput(&context, *slot));
  ExpandAnswer answer = expander.expand(asked);
  if (answer.error) {
    error = "its expansion failed: " + (answer.error->empty() ? "the callback does not say why" : *answer.error);
    return nullptr;
  }
  if (!answer.function)
    return nullptr;
  Function *function = functions.keep(*answer.function, place, path, error);
  if (function) // what it does not say is as it is around the node
    function->operatorSets.insert(function->operatorSets.end(), env.operatorSets->begin(), env.operatorSets->end());
  return function;
}

//===- importing ----------------------------------------------------------------------------------------------------===

/// What is wrong with calling the function here; empty if nothing is.
std::string Importer::checkCall(const Node &node, const Function &function, const Env &env) {
  std::string name = functions.describe(function, node);
  for (const Call *call = env.call; call; call = call->caller)
    if (call->function == &function)
      return name + " calls itself: " + chainOf(node, env.call);
  if (depth >= kMaxDepth)
    return "functions and branches are nested deeper than " + std::to_string(kMaxDepth) + ": " +
           chainOf(node, env.call);
  size_t inputs = node.inputs.size(), outputs = node.outputs.size();
  if (inputs > function.inputs.size() || outputs > function.outputs.size())
    return "has " + std::to_string(inputs) + " inputs and " + std::to_string(outputs) + " outputs, but " + name +
           " takes " + std::to_string(function.inputs.size()) + " and gives " + std::to_string(function.outputs.size());
  for (size_t i = 0; i < outputs; ++i)
    if (function.outputs[i].empty() && !node.outputs[i].empty())
      return "has output " + std::to_string(i) + ", but " + name + " does not give it";
  if (functions.isOfLibrary(&function)) {
    llvm::StringSet<> known = knownAttributes(function);
    for (auto &[attribute, value] : attributesOf(node, env))
      if (!known.contains(attribute))
        return "has the attribute " + quote(attribute) + ", which " + name +
               " neither declares nor uses; declare it there if it may be ignored";
  }
  return "";
}

void Importer::importCall(const Node &node, const Function &function, Scope &scope, const Env &env,
                          ArrayRef<const Slot *> operands, StringRef place) {
  auto fail = [&](const std::string &text) {
    errors.add(describe(node, place) + text);
    poison(node, scope);
  };
  if (std::string text = checkCall(node, function, env); !text.empty())
    return fail(text);
  ++depth;
  llvm::scope_exit leave([&] { --depth; });

  Call call{node, &function, attributesOf(node, env), functions.describe(function, node), env.call};
  for (const Attribute &initial : function.defaults)
    if (llvm::none_of(call.attributes, [&](auto &pair) { return pair.first == initial.name; }))
      call.attributes.emplace_back(initial.name, &initial);
  // What a callback gave may hold parts of the node, and so refer to what the node does.
  if (function.isMade && env.call)
    for (auto &[name, value] : env.call->attributes)
      if (llvm::none_of(call.attributes, [&](auto &pair) { return pair.first == name; }))
        call.attributes.emplace_back(name, value);
  Env inner{&function.operatorSets, &call, place.str() + "/"};
  Scope body;
  for (auto [i, input] : llvm::enumerate(function.inputs)) {
    Slot slot{Slot::Kind::Absent, {}};
    if (!body.add(input, i < operands.size() ? *operands[i] : slot))
      return fail(call.description + " has the input " + quote(input) + " twice");
  }
  size_t errorsBefore = errors.count();
  Around around{node, scope, env, rest};
  // Outputs that the node has not are not computed.
  auto wanted = ArrayRef(function.outputs).take_front(node.outputs.size());
  Slots slots = importNodes(function.nodes, wanted, body, inner, &around);
  if (rest->merged)
    return; // what is behind this node has been imported already
  if (slots.empty() && errors.count() == errorsBefore && !wanted.empty())
    return fail(call.description + " gives no results");
  if (slots.empty())
    return poison(node, scope);
  for (auto [i, output] : llvm::enumerate(node.outputs))
    if (!output.empty())
      scope.add(output, slots[i]);
}

bool Importer::importExpansion(const Expander *expander, const Node &node, Scope &scope, const Env &env,
                               ArrayRef<const Slot *> operands, StringRef place) {
  const Function *function = nullptr;
  if (std::string error; expander && !(function = expand(*expander, node, env, operands, place, error))) {
    if (!error.empty())
      errors.add(describe(node, place) + error);
    if (!error.empty() || isUnknown(node, env, place)) {
      poison(node, scope);
      return true;
    }
  }
  if (!function)
    function = findFunction(node, env);
  if (function)
    importCall(node, *function, scope, env, operands, place);
  return function;
}

} // namespace eyrie::import::onnx
