#include "compiler/import/onnx/Sequence.h"
#include "compiler/graph/ElementTypes.h"
#include "compiler/ops/Loop.h"
#include "compiler/ops/Ops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using eyrie::ops::Dim;
using eyrie::ops::Dims;
using eyrie::ops::Tensor;
using llvm::Twine;

namespace eyrie::import::onnx {

//===- what is known ------------------------------------------------------------------------------------------------===

ElementShape ElementShape::of(const Tensor &element) {
  ElementShape shape{Kind::Ranked, {}};
  for (Dim size : element.shape)
    shape.sizes.push_back(size.typeSize());
  return shape;
}

void ElementShape::join(const ElementShape &other) {
  if (other.kind == Kind::Unfilled || kind == Kind::AnyRank)
    return;
  if (kind == Kind::Unfilled) {
    *this = other;
  } else if (other.kind == Kind::AnyRank || sizes.size() != other.sizes.size()) {
    *this = {Kind::AnyRank, {}};
  } else {
    for (auto [mine, theirs] : llvm::zip_equal(sizes, other.sizes))
      if (mine != theirs)
        mine = ShapedType::kDynamic;
  }
}

Sequence Sequence::ofKnown(std::vector<Tensor> elements) {
  Sequence sequence;
  sequence.elementType = elements.front().elementType;
  sequence.isUnsigned = elements.front().isUnsigned;
  sequence.isString = elements.front().isString;
  sequence.elements = std::move(elements);
  return sequence;
}

Sequence Sequence::withList(Value list, ElementShape shape) const {
  return {elementType, isUnsigned, isString, std::nullopt, list, std::move(shape)};
}

ElementShape Sequence::elementShape() const {
  if (!elements)
    return shape;
  ElementShape joined;
  for (const Tensor &element : *elements)
    joined.join(ElementShape::of(element));
  return joined;
}

Type Sequence::listType() const { return graph::getListType(elementType, isUnsigned, isString); }

std::string Sequence::str() const { return "sequence of " + elementText(); }

std::string Sequence::elementText() const {
  ElementShape shape = elementShape();
  Tensor like;
  like.elementType = elementType;
  like.isUnsigned = isUnsigned;
  like.isString = isString;
  std::string text = like.str(); // "f32[]"
  text.resize(text.size() - 2);
  if (shape.kind == ElementShape::Kind::Ranked) {
    text += "[";
    for (auto [i, size] : llvm::enumerate(shape.sizes))
      text += (i ? ", " : "") + (ShapedType::isDynamic(size) ? "?" : std::to_string(size));
    text += "]";
  }
  return text;
}

//===- elements -----------------------------------------------------------------------------------------------------===

/// The same tensor with what `sequence` says about its elements.
static Tensor marked(Tensor t, const Sequence &sequence) {
  t.isUnsigned = sequence.isUnsigned;
  t.isString = sequence.isString;
  return t;
}

static Value insert(ops::Builder &b, Value list, Dim position, const Tensor &element) {
  Value at = b.index(position), value = b.value(element);
  return graph::ListInsertOp::create(b.builder, b.loc, list.getType(), list, at, value);
}

Value listOf(ops::Builder &b, const Sequence &sequence) {
  if (!sequence.elements)
    return sequence.list;
  Value list = graph::ListEmptyOp::create(b.builder, b.loc, sequence.listType());
  for (auto [i, element] : llvm::enumerate(*sequence.elements))
    list = insert(b, list, i, element);
  return list;
}

Dim lengthOf(ops::Builder &b, const Sequence &sequence) {
  if (sequence.elements)
    return sequence.elements->size();
  return b.dims.opaque(graph::ListSizeOp::create(b.builder, b.loc, sequence.list), "length", /*lower=*/0);
}

/// A position that counts from the end when it is negative, as one that counts from the start.
static Dim fromStart(ops::Builder &b, Dim position, Dim length) {
  if (position.isConstant())
    return position.constant() < 0 ? position + length : position;
  if (std::optional<int64_t> lower = ops::lowerBound(position); lower && *lower >= 0)
    return position;
  Value given = b.index(position), wrapped = b.index(position + length);
  Value isNegative = arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::slt, given, b.index(0));
  return b.dims.opaque(arith::SelectOp::create(b.builder, b.loc, isNegative, wrapped, given), "position");
}

static Value compare(ops::Builder &b, arith::CmpIPredicate predicate, Dim x, Dim y) {
  Value a = b.index(x), c = b.index(y);
  return arith::CmpIOp::create(b.builder, b.loc, predicate, a, c);
}

void requireEqual(ops::Builder &b, Dim x, Dim y, const Twine &text) {
  b.require(compare(b, arith::CmpIPredicate::eq, x, y), text);
}

/// The position, if it and the elements are known.
static std::optional<size_t> knownPosition(const Sequence &sequence, Dim position) {
  if (!sequence.elements || !position.isConstant())
    return std::nullopt;
  return position.constant();
}

FailureOr<Dim> positionIn(ops::Builder &b, const Sequence &sequence, Dim given, bool orEnd) {
  Dim length = lengthOf(b, sequence), position = fromStart(b, given, length);
  if (knownPosition(sequence, position)) {
    if (position.constant() < 0 || position.constant() >= length.constant() + orEnd)
      return b.error() << "the position " << given.str() << " is out of range for a sequence of " << length.str()
                       << " elements";
    return position;
  }
  Value fromStart = compare(b, arith::CmpIPredicate::sge, position, 0);
  Value toEnd = compare(b, orEnd ? arith::CmpIPredicate::sle : arith::CmpIPredicate::slt, position, length);
  b.require(arith::AndIOp::create(b.builder, b.loc, fromStart, toEnd), "the position is out of range for the sequence");
  return position;
}

FailureOr<Tensor> elementAt(ops::Builder &b, const Sequence &sequence, Dim position) {
  if (std::optional<size_t> known = knownPosition(sequence, position))
    return (*sequence.elements)[*known];
  ElementShape shape = sequence.elementShape();
  if (shape.kind == ElementShape::Kind::Unfilled)
    return b.error() << "takes an element of a sequence that has none";
  if (shape.kind == ElementShape::Kind::AnyRank)
    return b.error() << "taking an element of a sequence whose elements have no known rank is not supported; give the "
                        "elements a shape where the sequence comes from (" +
                            sequence.str() + ")";
  Value list = listOf(b, sequence), at = b.index(position);
  Tensor element;
  element.elementType = sequence.elementType;
  SmallVector<Value> sizes;
  for (auto [i, size] : llvm::enumerate(shape.sizes)) {
    if (!ShapedType::isDynamic(size)) {
      element.shape.push_back(size);
      continue;
    }
    sizes.push_back(graph::ListDimOp::create(b.builder, b.loc, list, at, i));
    element.shape.push_back(b.dims.opaque(sizes.back(), "size", /*lower=*/0));
  }
  element.value = graph::ListGetOp::create(b.builder, b.loc, element.type(), list, at, sizes);
  return marked(element, sequence);
}

FailureOr<Sequence> insertAt(ops::Builder &b, const Sequence &sequence, const Tensor &element, Dim position) {
  if (!sequence.hasTypeOf(element))
    return b.error() << "cannot put " << element.str() << " into a " << sequence.str();
  if (std::optional<size_t> known = knownPosition(sequence, position)) {
    Sequence result = sequence;
    result.elements->insert(result.elements->begin() + *known, element);
    return result;
  }
  ElementShape shape = sequence.elementShape();
  shape.join(ElementShape::of(element));
  return sequence.withList(insert(b, listOf(b, sequence), position, element), shape);
}

Sequence eraseAt(ops::Builder &b, const Sequence &sequence, Dim position) {
  if (std::optional<size_t> known = knownPosition(sequence, position)) {
    Sequence result = sequence;
    result.elements->erase(result.elements->begin() + *known);
    return result;
  }
  Value list = listOf(b, sequence), at = b.index(position);
  return sequence.withList(graph::ListEraseOp::create(b.builder, b.loc, list.getType(), list, at),
                           sequence.elementShape());
}

//===- loops over elements ------------------------------------------------------------------------------------------===

FailureOr<SmallVector<Sequence>> makeSequences(ops::Builder &b, Dim length, MakeElements make) {
  Value zero = b.index(0), one = b.index(1), end = b.index(length);
  // The types of the lists are known only after the first element, so the body is built apart.
  auto apart = scf::ForOp::create(b.builder, b.loc, zero, end, one, zero);
  Dim position = b.dims.opaque(apart.getInductionVar(), "position", /*lower=*/0);
  Dim before = b.dims.opaque(apart.getRegionIterArg(0), "carried", /*lower=*/0), carried = before;
  FailureOr<SmallVector<Tensor>> elements = failure();
  SmallVector<Value> values, next;
  {
    OpBuilder::InsertionGuard guard(b.builder);
    b.builder.setInsertionPointToStart(apart.getBody());
    elements = make(position, carried);
    if (failed(elements))
      return failure();
    for (const Tensor &element : *elements)
      values.push_back(b.value(element));
    next.push_back(b.index(carried));
  }
  SmallVector<Sequence> sequences;
  SmallVector<Value> inits{zero};
  for (const Tensor &element : *elements) {
    Sequence known = Sequence::ofKnown({element});
    inits.push_back(graph::ListEmptyOp::create(b.builder, b.loc, known.listType()));
    sequences.push_back(known.withList(Value(), ElementShape::of(element)));
  }
  auto loop = scf::ForOp::create(b.builder, b.loc, zero, end, one, inits);
  Block *body = loop.getBody();
  if (next.front() == apart.getRegionIterArg(0))
    next.front() = loop.getRegionIterArg(0);
  apart.getInductionVar().replaceAllUsesWith(loop.getInductionVar());
  apart.getRegionIterArg(0).replaceAllUsesWith(loop.getRegionIterArg(0));
  b.dims.setValue(position, loop.getInductionVar());
  b.dims.setValue(before, loop.getRegionIterArg(0));
  body->getOperations().splice(body->end(), apart.getBody()->getOperations());
  apart.erase();
  OpBuilder::InsertionGuard guard(b.builder);
  b.builder.setInsertionPointToEnd(body);
  for (auto [list, value] : llvm::zip_equal(loop.getRegionIterArgs().drop_front(), values))
    next.push_back(graph::ListInsertOp::create(b.builder, b.loc, list.getType(), list, loop.getInductionVar(), value));
  scf::YieldOp::create(b.builder, b.loc, next);
  for (auto [sequence, list] : llvm::zip_equal(sequences, loop.getResults().drop_front()))
    sequence.list = list;
  return sequences;
}

/// The axis of an operation that joins: along an existing one, or a new one.
static FailureOr<int64_t> joinedAxis(ops::Builder &b, int64_t axis, int64_t rank, bool isNewAxis) {
  if (!isNewAxis && rank == 0)
    return b.error() << "cannot join scalars along an axis that exists";
  return ops::normalizeAxis(b, axis, rank + isNewAxis);
}

/// All sizes of the elements but the one along `axis` must be those of the first one: checked in every turn.
static void checkSizes(ops::Builder &b, const Tensor &element, const Dims &shape, int64_t axis) {
  for (auto [i, size] : llvm::enumerate(element.shape)) {
    if (static_cast<int64_t>(i) == axis || size == shape[i])
      continue;
    requireEqual(b, size, shape[i], "the elements of the sequence have different sizes and cannot be joined");
  }
}

/// The elements of a list, one behind the other along the first axis of the result.
static FailureOr<Tensor> concatenateList(ops::Builder &b, const Sequence &sequence, int64_t axis, bool isNewAxis) {
  Sequence list = sequence.withList(listOf(b, sequence), sequence.elementShape());
  Dim length = lengthOf(b, list);
  b.require(compare(b, arith::CmpIPredicate::sgt, length, 0), "the sequence has no elements that could be joined");
  FailureOr<Tensor> first = elementAt(b, list, 0);
  if (failed(first))
    return failure();
  auto position = joinedAxis(b, axis, first->rank(), isNewAxis);
  if (failed(position))
    return failure();
  int64_t along = isNewAxis ? -1 : *position;
  // 1. How many rows.
  Dim rows = length;
  Value zero = b.index(0), one = b.index(1), end = b.index(length);
  if (!isNewAxis) {
    auto sum = scf::ForOp::create(b.builder, b.loc, zero, end, one, zero);
    OpBuilder inBody = OpBuilder::atBlockBegin(sum.getBody());
    Value size = graph::ListDimOp::create(inBody, b.loc, list.list, sum.getInductionVar(), along);
    Value next = arith::AddIOp::create(inBody, b.loc, sum.getRegionIterArg(0), size);
    scf::YieldOp::create(inBody, b.loc, next);
    rows = b.dims.opaque(sum.getResult(0), "rows", /*lower=*/0);
  }
  // 2. The joined axis comes first while they are put in.
  SmallVector<int64_t> order;
  for (int64_t i = 0; i < first->rank(); ++i)
    if (i != along)
      order.push_back(i);
  Dims shape{rows};
  for (int64_t i : order)
    shape.push_back(first->shape[i]);
  if (!isNewAxis)
    order.insert(order.begin(), along);
  Tensor whole = b.empty(shape, sequence.elementType);
  Value inits[] = {zero, whole.value};
  auto loop = scf::ForOp::create(b.builder, b.loc, zero, end, one, inits);
  {
    OpBuilder::InsertionGuard guard(b.builder);
    b.builder.setInsertionPointToStart(loop.getBody());
    FailureOr<Tensor> element = elementAt(b, list, b.dims.opaque(loop.getInductionVar(), "position", 0));
    if (failed(element))
      return failure();
    checkSizes(b, *element, first->shape, along);
    Tensor part = b.transpose(*element, order);
    Dims partShape = shape;
    partShape[0] = isNewAxis ? Dim(1) : part.shape[0];
    part = b.reshape(part, partShape);
    Tensor before = ops::tied(b, loop.getRegionIterArg(1), shape);
    Value offset = loop.getRegionIterArg(0);
    Value after =
        graph::UpdateOp::create(b.builder, b.loc, before.value, b.withShape(b.value(part), partShape), offset);
    Value next = arith::AddIOp::create(b.builder, b.loc, offset, b.index(partShape[0]));
    scf::YieldOp::create(b.builder, b.loc,
                         ValueRange{next, ops::handedOn(b, ops::fromValue(after, shape),
                                                        cast<RankedTensorType>(whole.value.getType()))});
  }
  Tensor joined = ops::tied(b, loop.getResult(1), shape);
  SmallVector<int64_t> back = llvm::to_vector(llvm::seq<int64_t>(1, joined.rank()));
  back.insert(back.begin() + *position, 0);
  return marked(b.transpose(joined, back), sequence);
}

FailureOr<Tensor> concatenate(ops::Builder &b, const Sequence &sequence, int64_t axis, bool isNewAxis) {
  if (!sequence.elements)
    return concatenateList(b, sequence, axis, isNewAxis);
  if (sequence.elements->empty())
    return b.error() << "joins the elements of a sequence that has none";
  auto position = joinedAxis(b, axis, sequence.elements->front().rank(), isNewAxis);
  if (failed(position))
    return failure();
  SmallVector<Tensor> parts(sequence.elements->begin(), sequence.elements->end());
  if (isNewAxis)
    for (Tensor &part : parts) {
      FailureOr<Tensor> wider = ops::unsqueeze(b, part, {*position});
      if (failed(wider))
        return failure();
      part = *wider;
    }
  FailureOr<Tensor> joined = ops::concat(b, parts, *position);
  if (failed(joined))
    return failure();
  return marked(*joined, sequence);
}

//===- split --------------------------------------------------------------------------------------------------------===

/// Parts whose number is known only at run time: `sizeOf` says how large the one at a position is.
static FailureOr<Sequence> splitInLoop(ops::Builder &b, const Tensor &t, int64_t axis, Dim count, bool isDropped,
                                       llvm::function_ref<Dim(Dim position, Dim offset)> sizeOf) {
  Sequence like = Sequence::ofKnown({t});
  auto made = makeSequences(b, count, [&](Dim position, Dim &offset) -> FailureOr<SmallVector<Tensor>> {
    Dims offsets(t.rank(), Dim(0)), lengths = t.shape;
    offsets[axis] = offset;
    lengths[axis] = sizeOf(position, offset);
    offset = offset + lengths[axis];
    Tensor part = b.extract(t, offsets, lengths, SmallVector<int64_t>(t.rank(), 1));
    FailureOr<Tensor> element = isDropped ? ops::squeeze(b, part, {axis}) : FailureOr<Tensor>(part);
    if (failed(element))
      return failure();
    return SmallVector<Tensor>{marked(*element, like)};
  });
  if (failed(made))
    return failure();
  return made->front();
}

/// By a tensor of sizes whose length is known only at run time.
static FailureOr<Sequence> splitByTensor(ops::Builder &b, const Tensor &t, const Tensor &sizes, int64_t axis) {
  Dim whole = t.shape[axis];
  Value values = b.value(sizes);
  auto readSize = [&](Dim position, std::optional<int64_t> lower) {
    Value read = graph::ReadScalarOp::create(b.builder, b.loc, sizes.elementType, values, b.index(position));
    return b.dims.opaque(arith::IndexCastOp::create(b.builder, b.loc, b.builder.getIndexType(), read), "size", lower);
  };
  // 1. They must fit.
  Value zero = b.index(0), one = b.index(1), end = b.index(sizes.shape[0]);
  auto sum = scf::ForOp::create(b.builder, b.loc, zero, end, one, zero);
  {
    OpBuilder::InsertionGuard guard(b.builder);
    b.builder.setInsertionPointToStart(sum.getBody());
    Dim size = readSize(b.dims.opaque(sum.getInductionVar(), "position", 0), std::nullopt);
    b.require(compare(b, arith::CmpIPredicate::sge, size, 0), "the sizes of the parts must not be negative");
    b.require(compare(b, arith::CmpIPredicate::sle, size, whole), "the parts' sizes do not add up to " + t.str());
    Value next = arith::AddIOp::create(b.builder, b.loc, sum.getRegionIterArg(0), b.index(size));
    scf::YieldOp::create(b.builder, b.loc, next);
  }
  Dim total = b.dims.opaque(sum.getResult(0), "total", 0);
  requireEqual(b, total, whole, "the parts' sizes do not add up to " + t.str());
  // 2. The parts.
  return splitInLoop(b, t, axis, sizes.shape[0], /*isDropped=*/false,
                     [&](Dim position, Dim) { return readSize(position, /*lower=*/0); });
}

/// The parts are all of one size; the last one may be smaller.
static FailureOr<Sequence> splitEvenly(ops::Builder &b, const Tensor &t, Dim step, int64_t axis, bool isDropped) {
  Dim whole = t.shape[axis];
  if (!step.isConstant()) {
    b.require(compare(b, arith::CmpIPredicate::sgt, step, 0), "the size of the parts must be at least 1");
    step = ops::max(step, 1);
  } else if (step.constant() < 1) {
    return b.error() << "the size of the parts must be at least 1, found " << step.str();
  }
  return splitInLoop(b, t, axis, ops::ceilDiv(whole, step), isDropped,
                     [&](Dim, Dim offset) { return step.is(1) ? Dim(1) : ops::min(step, whole - offset); });
}

FailureOr<Sequence> split(ops::Builder &b, const Tensor &t, const Tensor *sizes, int64_t axis, bool keepAxis) {
  auto position = ops::normalizeAxis(b, axis, t.rank());
  if (failed(position))
    return failure();
  if (sizes && sizes->rank() == 1 && !sizes->hasStaticShape())
    return splitByTensor(b, t, *sizes, *position);
  bool isDropped = !sizes && !keepAxis;
  Dim whole = t.shape[*position];
  Dims parts{1};
  if (sizes) {
    auto given = b.integers(*sizes, "the sizes of the parts");
    if (failed(given))
      return failure();
    parts = *given;
  }
  if (!sizes || sizes->rank() == 0) {
    Dim step = parts.front();
    if (!step.isConstant() || step.constant() < 1 || !whole.isConstant())
      return splitEvenly(b, t, step, *position, isDropped);
    parts.clear();
    for (int64_t left = whole.constant(); left > 0; left -= step.constant())
      parts.push_back(std::min(left, step.constant()));
  }
  for (Dim size : parts) {
    if (size.isConstant() && size.constant() < 0)
      return b.error() << "the sizes of the parts must not be negative, found " << size.str();
    if (!size.isConstant())
      b.require(compare(b, arith::CmpIPredicate::sge, size, 0), "the sizes of the parts must not be negative");
  }
  auto tensors = ops::split(b, t, *position, parts);
  if (failed(tensors))
    return failure();
  Sequence result = Sequence::ofKnown({t});
  result.elements.emplace();
  for (const Tensor &part : *tensors) {
    FailureOr<Tensor> element = isDropped ? ops::squeeze(b, part, {*position}) : FailureOr<Tensor>(part);
    if (failed(element))
      return failure();
    result.elements->push_back(marked(*element, result));
  }
  return result;
}

} // namespace eyrie::import::onnx
