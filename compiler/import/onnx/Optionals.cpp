// Optional values of which only the program knows whether they hold something.
#include "compiler/graph/Graph.h"
#include "compiler/import/onnx/Importer.h"

using namespace mlir;
using eyrie::ops::Dim;

namespace eyrie::import::onnx {

Dim holdsOne(ops::Builder &b, const Slot &optional) {
  if (optional.kind != Slot::Kind::Optional)
    return optional.kind != Slot::Kind::Nothing && optional.kind != Slot::Kind::Absent;
  return ops::min(lengthOf(b, optional.sequence), 1);
}

FailureOr<Slot> held(ops::Builder &b, const Slot &optional) {
  requireEqual(b, holdsOne(b, optional), 1, "takes the element of an optional value that holds nothing");
  if (optional.mayHoldSequence)
    return Slot::of(eraseAt(b, optional.sequence, 0));
  FailureOr<Tensor> element = elementAt(b, optional.sequence, 0);
  return failed(element) ? FailureOr<Slot>(failure()) : FailureOr<Slot>(Slot::of(std::move(*element)));
}

Slot asOptional(ops::Builder &b, const Slot &slot, const Slot &like) {
  const Slot &model = like.hasValue() ? like : slot;
  if (slot.kind == Slot::Kind::Optional || !model.hasValue())
    return slot;
  bool mayHoldSequence = model.kind == Slot::Kind::Sequence || model.mayHoldSequence;
  Sequence list = model.kind == Slot::Kind::Tensor ? Sequence::ofKnown({model.tensor}) : model.sequence;
  if (slot.kind == Slot::Kind::Nothing) {
    list.elements.emplace();
    return Slot::optional(list.withList(listOf(b, list), {}), mayHoldSequence);
  }
  if ((slot.kind == Slot::Kind::Sequence) != mayHoldSequence)
    return slot;
  if (!mayHoldSequence) {
    Sequence one = Sequence::ofKnown({slot.tensor});
    return one.hasTypeOf(list) ? Slot::optional(one.withList(listOf(b, one), one.elementShape()), false) : slot;
  }
  if (!slot.sequence.hasTypeOf(list))
    return slot;
  // In front of a sequence stands a zero of its element type.
  Value before = listOf(b, slot.sequence), zero = b.value(b.splat({}, slot.sequence.elementType, 0));
  Value marked = graph::ListInsertOp::create(b.builder, b.loc, before.getType(), before, b.index(0), zero);
  return Slot::optional(slot.sequence.withList(marked, slot.sequence.elementShape()), true);
}

} // namespace eyrie::import::onnx
