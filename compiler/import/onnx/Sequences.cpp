// Operations on sequences and optional values. They see slots, not tensors, so they are no rows of the registry.
#include "compiler/import/onnx/Importer.h"
#include "compiler/import/onnx/Text.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using eyrie::ops::Dim;

namespace eyrie::import::onnx {

using Results = FailureOr<Slots>;

/// Up to this many known elements the body of a SequenceMap is imported for each of them; beyond, it becomes a loop.
static constexpr size_t kMostUnrolled = 16;

static Results one(FailureOr<Sequence> sequence) {
  if (failed(sequence))
    return failure();
  return Slots{Slot::of(std::move(*sequence))};
}

static Results one(FailureOr<Tensor> tensor) {
  if (failed(tensor))
    return failure();
  return Slots{Slot::of(std::move(*tensor))};
}

namespace {
/// The operands of a node by kind; an error where one is missing or of the other kind.
struct Operands {
  OpNode &n;
  ArrayRef<const Slot *> slots;

  bool has(size_t i) const { return i < slots.size() && slots[i]->kind != Slot::Kind::Absent; }
  FailureOr<Sequence> sequence(size_t i) const {
    if (!has(i))
      return n.fail("input " + llvm::Twine(i) + " is missing");
    if (slots[i]->kind != Slot::Kind::Sequence)
      return n.fail("input " + llvm::Twine(i) + " is " + slots[i]->tensor.str() + ", expected a sequence");
    return slots[i]->sequence;
  }
  FailureOr<Tensor> tensor(size_t i) const {
    if (!has(i))
      return n.fail("input " + llvm::Twine(i) + " is missing");
    if (slots[i]->kind != Slot::Kind::Tensor)
      return n.fail("input " + llvm::Twine(i) + " is a " + slots[i]->sequence.str() + ", expected a tensor");
    return slots[i]->tensor;
  }
  /// The position that input `i` gives, from the start of the sequence; without it: the end.
  FailureOr<Dim> position(size_t i, const Sequence &sequence, Dim initial, bool orEnd = false) const {
    if (!has(i))
      return positionIn(n.b, sequence, initial, orEnd);
    FailureOr<Tensor> given = tensor(i);
    if (failed(given))
      return failure();
    if (!given->isInteger() || given->isString || !given->hasStaticShape() || !given->numElements().is(1))
      return n.fail("the position must be one integer, found " + given->str());
    auto known = n.b.integers(*given, "the position");
    if (failed(known))
      return failure();
    return positionIn(n.b, sequence, known->front(), orEnd);
  }
};
} // namespace

static Results sequenceConstruct(const Operands &operands) {
  std::vector<Tensor> elements;
  for (size_t i = 0; i < operands.slots.size(); ++i) {
    FailureOr<Tensor> element = operands.tensor(i);
    if (failed(element))
      return failure();
    if (!elements.empty() && !Sequence::ofKnown(elements).hasTypeOf(*element))
      return operands.n.fail("cannot put " + elements.front().str() + " and " + element->str() + " into one sequence");
    elements.push_back(*element);
  }
  if (elements.empty())
    return operands.n.fail("has no inputs, expected at least one");
  return one(Sequence::ofKnown(std::move(elements)));
}

static Results sequenceEmpty(const Operands &operands) {
  ElementType type = operands.n.elementTypeOrString("dtype", 1);
  Sequence sequence;
  sequence.elementType = type.type;
  sequence.isUnsigned = type.isUnsigned;
  sequence.isString = type.isString;
  sequence.elements.emplace();
  return one(sequence);
}

static Results sequenceAt(const Operands &operands) {
  FailureOr<Sequence> sequence = operands.sequence(0);
  FailureOr<Tensor> given = operands.tensor(1);
  if (failed(sequence) || failed(given))
    return failure();
  FailureOr<Dim> position = operands.position(1, *sequence, 0);
  if (failed(position))
    return failure();
  return one(elementAt(operands.n.b, *sequence, *position));
}

static Results sequenceInsert(const Operands &operands) {
  FailureOr<Sequence> sequence = operands.sequence(0);
  FailureOr<Tensor> element = operands.tensor(1);
  if (failed(sequence) || failed(element))
    return failure();
  FailureOr<Dim> position = operands.position(2, *sequence, lengthOf(operands.n.b, *sequence), /*orEnd=*/true);
  if (failed(position))
    return failure();
  return one(insertAt(operands.n.b, *sequence, *element, *position));
}

static Results sequenceErase(const Operands &operands) {
  FailureOr<Sequence> sequence = operands.sequence(0);
  if (failed(sequence))
    return failure();
  FailureOr<Dim> position = operands.position(1, *sequence, -1);
  if (failed(position))
    return failure();
  return one(FailureOr<Sequence>(eraseAt(operands.n.b, *sequence, *position)));
}

static Results sequenceLength(const Operands &operands) {
  FailureOr<Sequence> sequence = operands.sequence(0);
  if (failed(sequence))
    return failure();
  ops::Builder &b = operands.n.b;
  return one(FailureOr<Tensor>(ops::fromContents(b.builder.getI64Type(), {}, {lengthOf(b, *sequence)})));
}

static Results splitToSequence(const Operands &operands) {
  FailureOr<Tensor> t = operands.tensor(0);
  FailureOr<Tensor> sizes = operands.has(1) ? operands.tensor(1) : FailureOr<Tensor>(Tensor());
  if (failed(t) || failed(sizes))
    return failure();
  OpNode &n = operands.n;
  return one(split(n.b, *t, operands.has(1) ? &*sizes : nullptr, n.integer("axis", 0), n.flag("keepdims", true)));
}

static Results concatFromSequence(const Operands &operands) {
  FailureOr<Sequence> sequence = operands.sequence(0);
  int64_t axis = operands.n.requiredInteger("axis");
  bool isNewAxis = operands.n.flag("new_axis", false);
  if (failed(sequence) || !operands.n.isGood())
    return failure();
  return one(concatenate(operands.n.b, *sequence, axis, isNewAxis));
}

//===- optional values ----------------------------------------------------------------------------------------------===
// One that surely holds something is that; what is known only at run time is in Optionals.cpp.

static Results optional(const Operands &operands) {
  if (operands.slots.size() > 1)
    return operands.n.fail("has " + llvm::Twine(operands.slots.size()) + " inputs, expected at most 1");
  if (operands.has(0)) {
    if (operands.slots[0]->kind == Slot::Kind::Nothing || operands.slots[0]->kind == Slot::Kind::Optional)
      return operands.n.fail("input 0 is an optional value already, expected a tensor or a sequence");
    return Slots{*operands.slots[0]};
  }
  if (!operands.n.has("type"))
    return operands.n.fail("has neither an input nor the attribute 'type'");
  return Slots{Slot{Slot::Kind::Nothing, {}}};
}

static Results optionalHasElement(const Operands &operands) {
  Dim holds = operands.has(0) ? holdsOne(operands.n.b, *operands.slots[0]) : Dim(0);
  return one(FailureOr<Tensor>(ops::fromContents(operands.n.b.builder.getI1Type(), {}, {holds})));
}

static Results optionalGetElement(const Operands &operands) {
  if (!operands.has(0))
    return operands.n.fail("input 0 is missing");
  if (operands.slots[0]->kind == Slot::Kind::Nothing)
    return operands.n.fail("takes the element of an optional value that holds nothing");
  if (operands.slots[0]->kind != Slot::Kind::Optional)
    return Slots{*operands.slots[0]};
  FailureOr<Slot> element = held(operands.n.b, *operands.slots[0]);
  return failed(element) ? Results(failure()) : Results(Slots{*element});
}

using Handler = Results (*)(const Operands &);
static Handler findHandler(StringRef op) {
  return llvm::StringSwitch<Handler>(op)
      .Case("SequenceConstruct", sequenceConstruct)
      .Case("SequenceEmpty", sequenceEmpty)
      .Case("SequenceAt", sequenceAt)
      .Case("SequenceInsert", sequenceInsert)
      .Case("SequenceErase", sequenceErase)
      .Case("SequenceLength", sequenceLength)
      .Case("SplitToSequence", splitToSequence)
      .Case("ConcatFromSequence", concatFromSequence)
      .Case("Optional", optional)
      .Case("OptionalHasElement", optionalHasElement)
      .Case("OptionalGetElement", optionalGetElement)
      .Default(nullptr);
}

bool isSlotOp(StringRef op) { return findHandler(op) != nullptr; }

void Importer::importSlotOp(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands,
                            StringRef place) {
  OpNode n(*b, node, opsetOf(node.domain, env));
  n.attributes = attributesOf(node, env);
  callHandler(n, scope, place, [&] { return findHandler(node.op)(Operands{n, operands}); });
}

//===- SequenceMap --------------------------------------------------------------------------------------------------===

/// The tensors that the body of a SequenceMap gives for one element of each sequence; empty after an error.
Slots Importer::importMapBody(const Graph &body, Scope &scope, const Env &env, ArrayRef<const Slot *> operands,
                              Dim position, StringRef place) {
  Scope inner(&scope);
  for (auto [input, operand] : llvm::zip_equal(body.inputs, operands)) {
    Slot slot = *operand;
    if (operand->kind == Slot::Kind::Sequence) {
      FailureOr<Tensor> element = elementAt(*b, operand->sequence, position);
      if (failed(element))
        return {};
      slot = Slot::of(*element);
    }
    inner.add(input.name, slot);
  }
  if (!addInitializers(body, inner))
    return {};
  SmallVector<StringRef> names;
  for (const ValueInfo &output : body.outputs)
    names.push_back(output.name);
  Slots results = importNodes(body.nodes, names, inner, env);
  for (auto [slot, name] : llvm::zip(results, names))
    if (slot.kind != Slot::Kind::Tensor) {
      errors.add("the body of node '" + place.str() + "' (SequenceMap) must give a tensor as " + quote(name));
      return {};
    }
  return results;
}

/// All sequences have the length of the first one; an error when they surely do not.
LogicalResult Importer::checkLengths(OpNode &n, ArrayRef<const Slot *> operands, Dim length) {
  for (auto [i, operand] : llvm::enumerate(operands)) {
    if (i == 0 || operand->kind != Slot::Kind::Sequence)
      continue;
    Dim other = lengthOf(*b, operand->sequence);
    std::optional<bool> isSame = ops::isEqual(length, other);
    if (isSame == std::optional<bool>(false))
      return n.fail("its sequences have different lengths: " + length.str() + " and " + other.str());
    if (!isSame)
      requireEqual(*b, length, other, "its sequences have different lengths");
  }
  return success();
}

void Importer::importSequenceMap(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands,
                                 StringRef place) {
  OpNode n(*b, node, opsetOf(node.domain, env));
  n.attributes = attributesOf(node, env);
  callHandler(n, scope, place, [&]() -> Results {
    const Attribute *attribute = n.find("body");
    const Graph *body = attribute ? attribute->graph.get() : nullptr;
    if (!body)
      return n.fail("needs the attribute 'body' with a graph");
    if (operands.empty() || operands[0]->kind != Slot::Kind::Sequence)
      return n.fail("its first input must be a sequence");
    if (body->inputs.size() != operands.size())
      return n.fail("has " + llvm::Twine(operands.size()) + " inputs, but its body has " +
                    llvm::Twine(body->inputs.size()));
    if (depth >= kMaxDepth)
      return n.fail("functions, branches and loops are nested too deeply");
    ++depth;
    llvm::scope_exit leave([&] { --depth; });
    Dim length = lengthOf(*b, operands[0]->sequence);
    if (failed(checkLengths(n, operands, length)))
      return failure();
    bool isKnown = llvm::all_of(operands, [](const Slot *slot) {
      return slot->kind != Slot::Kind::Sequence || slot->sequence.elements.has_value();
    });
    SmallVector<Sequence> results(body->outputs.size());
    if (isKnown && length.constant() > 0 && length.constant() <= static_cast<int64_t>(kMostUnrolled)) {
      for (int64_t i = 0; i < length.constant(); ++i) {
        Slots elements = importMapBody(*body, scope, env, operands, i, place);
        if (elements.empty())
          return failure();
        for (auto [result, element] : llvm::zip_equal(results, elements)) {
          if (i == 0)
            result = Sequence::ofKnown({element.tensor});
          else if (!result.hasTypeOf(element.tensor))
            return n.fail("its body gives elements of different types");
          else
            result.elements->push_back(element.tensor);
        }
      }
    } else {
      // The lists are made once, not in every turn.
      Slots lists;
      for (const Slot *operand : operands) {
        lists.push_back(*operand);
        if (Sequence &s = lists.back().sequence; lists.back().kind == Slot::Kind::Sequence)
          s = s.withList(listOf(*b, s), s.elementShape());
      }
      SmallVector<const Slot *> slots;
      for (const Slot &list : lists)
        slots.push_back(&list);
      auto made = makeSequences(*b, length, [&](Dim position, Dim &) -> FailureOr<SmallVector<Tensor>> {
        Slots elements = importMapBody(*body, scope, env, slots, position, place);
        if (elements.empty())
          return failure();
        SmallVector<Tensor> tensors;
        for (const Slot &element : elements)
          tensors.push_back(element.tensor);
        return tensors;
      });
      if (failed(made))
        return failure();
      results = std::move(*made);
    }
    Slots slots;
    for (Sequence &result : results)
      slots.push_back(Slot::of(std::move(result)));
    return slots;
  });
}

} // namespace eyrie::import::onnx
