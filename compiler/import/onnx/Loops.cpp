// Loop and Scan: one scf.while on the host.
//
// A carried tensor keeps its shape from turn to turn, as far as the body says so; a dimension that changes is carried
// beside it as an integer. So the body is imported on trial with the shapes of the first turn, and again with the
// dimensions that turned out to change left open, until nothing changes any more. Small integers that the host knows
// (counters, shapes) are carried as integers of the host as long as the body knows their next values.
#include "compiler/graph/Graph.h"
#include "compiler/import/onnx/Importer.h"
#include "compiler/import/onnx/Text.h"
#include "compiler/ops/Loop.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using eyrie::ops::Dim;
using eyrie::ops::Dims;

namespace eyrie::import::onnx {

/// What is carried from turn to turn.
struct Importer::Carried {
  Slot start;               // a sequence or an optional value is a list
  bool onHost = false;      // as integers
  SmallVector<bool> isOpen; // per dimension: changes
  // In the body that is being imported.
  SmallVector<Value> integers; // of the host: the elements; else the open dimensions
  Value value;
  Tensor tensor;
  ElementShape elements; // of a sequence

  bool isSequence() const { return start.isList(); }
  /// It holds nothing in any turn.
  bool isNothing() const { return start.kind == Slot::Kind::Nothing; }
  Slot list(Value value) const {
    Slot slot = start;
    slot.sequence = start.sequence.withList(value, elements);
    return slot;
  }
};

namespace {
struct ScanInput {
  Tensor rows; // the scanned dimension first
  bool isReverse;
};

struct ScanOutput {
  Tensor row;
  bool isReverse = false;
  SmallVector<bool> isOpen; // per dimension of the row: known only in the body
  /// The rows are collected by making the tensor longer in each turn; else in place, where the number of turns is
  /// known.
  bool grows = false;
  Dims shape; // of all rows, before the first turn
};
} // namespace

struct Importer::Loop {
  std::string place;
  /// Imports the body for one turn: its results, or nothing after an error.
  std::function<Slots(ArrayRef<Slot> inputs)> importBody;
  bool isScan = false;
  std::optional<Dim> trips; // the most turns
  Value condition;          // whether the first turn runs; null: surely
  std::vector<Carried> carried;
  std::vector<ScanInput> scanned;
  SmallVector<bool> isReverseOutput;
  SmallVector<bool> isPlainResult; // of carried values: declared as no optional value (empty: none is)
  // Of the last import of the body.
  scf::WhileOp apart;
  Dim turnNumber;
  std::optional<Tensor> nextCondition; // null: surely another one
  std::vector<Slot> nextCarried;
  std::vector<ScanOutput> outputs;
  unsigned conditionNumber = 0; // among the operands of the loop

  bool hasCondition() const { return condition || nextCondition; }
};

/// One integer or boolean that the host can know without reading memory back.
static std::optional<Dim> knownInteger(const Tensor &t) {
  return t.contents && t.contents->size() == 1 ? std::optional<Dim>(t.contents->front()) : std::nullopt;
}

//===- one turn -----------------------------------------------------------------------------------------------------===

/// The results of a body's nodes; empty after an error.
Slots Importer::importLoopBody(const Graph &body, StringRef loop, ArrayRef<Slot> inputs, Scope &scope, const Env &env) {
  Scope inner(&scope);
  for (auto [value, slot] : llvm::zip_equal(body.inputs, inputs))
    inner.add(value.name, slot);
  if (!addInitializers(body, inner))
    return {};
  SmallVector<StringRef> names;
  for (const ValueInfo &output : body.outputs)
    names.push_back(output.name);
  Slots slots = importNodes(body.nodes, names, inner, env);
  for (auto [slot, name] : llvm::zip(slots, names))
    if (slot.kind != Slot::Kind::Poisoned && !slot.isSettled())
      errors.add("the body of " + loop.str() + " gives its result " + quote(name) + " no value");
  return slots;
}

/// Imports the body behind new block arguments; false after an error.
bool Importer::importTurn(Loop &loop) {
  OpBuilder::InsertionGuard guard(builder);
  loop.apart = scf::WhileOp::create(builder, b->loc, TypeRange(), ValueRange());
  Block &block = loop.apart.getAfter().emplaceBlock();
  builder.setInsertionPointToStart(&block);
  Type index = builder.getIndexType();
  Dim turn = loop.turnNumber = dims.opaque(block.addArgument(index, b->loc), "turn", /*lower=*/0);

  Slots inputs;
  if (!loop.isScan) {
    inputs.push_back(Slot::of(ops::fromContents(builder.getI64Type(), {}, Dims{turn})));
    inputs.push_back(Slot::of(ops::fromContents(builder.getI1Type(), {}, Dims{1}))); // else the turn would not run
  }
  for (Carried &carried : loop.carried) {
    carried.integers.clear();
    if (carried.isNothing()) {
      inputs.push_back(carried.start);
      continue;
    }
    if (carried.isSequence()) {
      carried.value = block.addArgument(carried.start.sequence.listType(), b->loc);
      inputs.push_back(carried.list(carried.value));
      continue;
    }
    Tensor &t = carried.tensor = Tensor();
    t.elementType = carried.start.tensor.elementType;
    t = ops::marked(t, carried.start.tensor);
    t.shape = carried.start.tensor.shape;
    if (carried.onHost) {
      t.contents.emplace();
      for (size_t i = 0; i < carried.start.tensor.contents->size(); ++i) {
        carried.integers.push_back(block.addArgument(index, b->loc));
        t.contents->push_back(dims.opaque(carried.integers.back(), "carried"));
      }
    } else {
      for (auto [size, isOpen] : llvm::zip_equal(t.shape, carried.isOpen))
        if (isOpen) {
          carried.integers.push_back(block.addArgument(index, b->loc));
          size = dims.opaque(carried.integers.back(), "carried", /*lower=*/0);
        }
      carried.value = block.addArgument(t.type(), b->loc);
      t = ops::tied(*b, carried.value, t.shape, t);
    }
    inputs.push_back(Slot::of(t));
  }
  for (const ScanInput &input : loop.scanned)
    inputs.push_back(Slot::of(ops::rowOf(*b, input.rows, input.isReverse ? *loop.trips - Dim(1) - turn : turn)));

  size_t errorsBefore = errors.count();
  Slots slots = loop.importBody(inputs);
  if (slots.empty() || errors.count() != errorsBefore)
    return false;
  ArrayRef<Slot> rest = slots;
  loop.nextCondition.reset();
  if (!loop.isScan) {
    if (rest.front().kind != Slot::Kind::Tensor || !isOneBoolean(rest.front().tensor)) {
      errors.add("the body of " + loop.place + " must give one boolean first, found " + rest.front().str());
      return false;
    }
    const Tensor &condition = rest.front().tensor;
    if (std::optional<Dim> known = knownInteger(condition); !known || !known->is(1))
      loop.nextCondition = condition;
    rest = rest.drop_front();
  }
  loop.nextCarried.assign(rest.begin(), rest.begin() + loop.carried.size());
  for (auto [carried, next] : llvm::zip_equal(loop.carried, loop.nextCarried))
    if (carried.start.kind != next.kind)
      next = asOptional(*b, next, carried.start);
  loop.outputs.clear();
  for (auto [i, row] : llvm::enumerate(rest.drop_front(loop.carried.size()))) {
    if (row.kind != Slot::Kind::Tensor) {
      errors.add("the body of " + loop.place + " gives a " + row.str() + " in each turn, expected a tensor");
      return false;
    }
    loop.outputs.push_back({row.tensor, loop.isReverseOutput[i], {}, false, {}});
  }
  return true;
}

/// Compares what a turn takes with what it gives; false if the body must be imported again with less taken for granted.
bool Importer::settleCarried(Loop &loop) {
  bool isSettled = true;
  for (auto [carried, nextSlot] : llvm::zip_equal(loop.carried, loop.nextCarried)) {
    if (carried.isNothing())
      continue;
    if (carried.isSequence()) {
      ElementShape wider = carried.elements;
      wider.join(nextSlot.sequence.elementShape());
      isSettled &= wider == carried.elements;
      carried.elements = wider;
      continue;
    }
    const Tensor &next = nextSlot.tensor;
    if (carried.onHost) {
      bool staysOnHost = next.contents && next.shape == carried.start.tensor.shape;
      isSettled &= staysOnHost;
      carried.onHost = staysOnHost;
      continue;
    }
    for (auto [isOpen, before, after] : llvm::zip_equal(carried.isOpen, carried.tensor.shape, next.shape))
      if (!isOpen && before != after)
        isOpen = true, isSettled = false;
  }
  return isSettled;
}

//===- the loop -----------------------------------------------------------------------------------------------------===

/// All rows of a result have one size: checked in every turn but the first.
void Importer::checkRowSize(const Loop &loop, Dim turn, Value before, Dim size) {
  auto is = [&](Value x, Value y) -> Value {
    return arith::CmpIOp::create(builder, b->loc, arith::CmpIPredicate::eq, x, y);
  };
  Value isFirst = is(b->index(turn), b->index(0)), isSame = is(before, b->index(size));
  cf::AssertOp::create(builder, b->loc, arith::OrIOp::create(builder, b->loc, isFirst, isSame),
                       loop.place + ": the rows that its turns give have different sizes");
}

/// Appends what stands for a carried value outside the body: `t`, before the loop or after a turn.
void Importer::handOn(const Carried &carried, const Slot &slot, SmallVectorImpl<Value> &values) {
  if (carried.isNothing())
    return;
  if (carried.isSequence())
    return values.push_back(listOf(*b, slot.sequence));
  const Tensor &t = slot.tensor;
  if (carried.onHost) {
    for (Dim element : *t.contents)
      values.push_back(b->index(element));
    return;
  }
  for (auto [size, isOpen] : llvm::zip_equal(t.shape, carried.isOpen))
    if (isOpen)
      values.push_back(b->index(size));
  values.push_back(ops::handedOn(*b, t, cast<RankedTensorType>(carried.value.getType())));
}

/// The operands of the loop, in the order of the body's arguments: the number of the turn, what is carried, the
/// condition if there is one, and the collected rows (behind their open sizes). The body has no arguments yet for those
/// that its nodes do not see; they are added.
SmallVector<Value> Importer::makeInits(Loop &loop) {
  SmallVector<Value> inits{b->index(0)};
  for (const Carried &carried : loop.carried)
    handOn(carried, carried.start, inits);
  loop.conditionNumber = inits.size();
  if (loop.hasCondition())
    inits.push_back(loop.condition ? loop.condition : arith::ConstantIntOp::create(builder, b->loc, 1, 1));
  for (ScanOutput &output : loop.outputs) {
    output.grows |= loop.hasCondition();
    output.shape = {output.grows ? Dim(0) : *loop.trips};
    for (auto [size, isOpen] : llvm::zip_equal(output.row.shape, output.isOpen)) {
      if (isOpen)
        inits.push_back(b->index(0));
      output.shape.push_back(isOpen ? Dim(0) : size);
    }
    Tensor rows = b->empty(output.shape, output.row.elementType);
    SmallVector<int64_t> sizes(rows.type().getShape());
    if (output.grows)
      sizes[0] = ShapedType::kDynamic;
    for (auto [i, isOpen] : llvm::enumerate(output.isOpen))
      if (isOpen)
        sizes[i + 1] = ShapedType::kDynamic;
    inits.push_back(ops::handedOn(*b, rows, rows.type().clone(sizes)));
  }
  for (Value init : ArrayRef(inits).drop_front(loop.conditionNumber))
    loop.apart.getAfter().front().addArgument(init.getType(), b->loc);
  return inits;
}

/// Ends the body: what it hands to the next turn.
void Importer::yieldNext(Loop &loop) {
  OpBuilder::InsertionGuard guard(builder);
  Block &body = loop.apart.getAfter().front();
  builder.setInsertionPointToEnd(&body);
  Dim turn = loop.turnNumber;
  SmallVector<Value> next{b->index(turn + Dim(1))};
  for (auto [carried, after] : llvm::zip_equal(loop.carried, loop.nextCarried))
    handOn(carried, after, next);
  if (loop.hasCondition())
    next.push_back(loop.nextCondition ? readCondition(*loop.nextCondition)
                                      : arith::ConstantIntOp::create(builder, b->loc, 1, 1));
  for (const ScanOutput &output : loop.outputs) {
    Dims before{output.grows ? turn : *loop.trips};
    llvm::append_range(before, output.row.shape);
    for (auto [size, isOpen] : llvm::zip_equal(output.row.shape, output.isOpen))
      if (isOpen) {
        checkRowSize(loop, turn, body.getArgument(next.size()), size);
        next.push_back(b->index(size));
      }
    Tensor rows = ops::tied(*b, body.getArgument(next.size()), before, output.row);
    if (output.grows) {
      Dims longer = before;
      longer[0] = turn + Dim(1);
      Value whole = b->empty(longer, output.row.elementType).value, start = b->index(0);
      whole = graph::UpdateOp::create(builder, b->loc, whole, rows.value, start);
      rows = ops::fromValue(whole, longer, output.row.isUnsigned);
    }
    next.push_back(ops::withRow(*b, rows, output.row, output.isReverse ? *loop.trips - Dim(1) - turn : turn).value);
  }
  scf::YieldOp::create(builder, b->loc, next);
}

/// Makes the real loop of the imported body.
scf::WhileOp Importer::makeLoop(Loop &loop) {
  SmallVector<Value> inits = makeInits(loop);
  Value most = loop.trips ? b->index(*loop.trips) : Value();
  yieldNext(loop);
  auto made = scf::WhileOp::create(builder, b->loc, ValueRange(inits).getTypes(), inits);
  made.getAfter().takeBody(loop.apart.getAfter());
  loop.apart.erase();
  // Another turn while there are turns left and the condition holds.
  SmallVector<Location> locs(inits.size(), b->loc);
  Block &before = *builder.createBlock(&made.getBefore(), {}, ValueRange(inits).getTypes(), locs);
  Value goesOn = loop.hasCondition() ? Value(before.getArgument(loop.conditionNumber)) : Value();
  if (most) {
    Value isLeft = arith::CmpIOp::create(builder, b->loc, arith::CmpIPredicate::slt, before.getArgument(0), most);
    goesOn = goesOn ? Value(arith::AndIOp::create(builder, b->loc, isLeft, goesOn)) : isLeft;
  }
  scf::ConditionOp::create(builder, b->loc, goesOn, before.getArguments());
  builder.setInsertionPointAfter(made);
  return made;
}

/// What the loop gives, read in the order of its operands.
Slots Importer::readResults(const Loop &loop, scf::WhileOp made) {
  Slots results;
  unsigned number = 1;
  for (const Carried &carried : loop.carried) {
    if (carried.isNothing() || carried.isSequence()) {
      results.push_back(carried.isNothing() ? carried.start : carried.list(made.getResult(number++)));
      continue;
    }
    Tensor t = carried.start.tensor;
    t.constant = nullptr;
    t.value = nullptr;
    if (carried.onHost) {
      for (Dim &element : *t.contents)
        element = dims.opaque(made.getResult(number++), "v");
    } else {
      for (auto [size, isOpen] : llvm::zip_equal(t.shape, carried.isOpen))
        if (isOpen)
          size = dims.opaque(made.getResult(number++), "v", 0);
      t = ops::tied(*b, made.getResult(number++), t.shape, t);
    }
    results.push_back(Slot::of(t));
  }
  number += loop.hasCondition();
  Dim turns = dims.opaque(made.getResult(0), "turns", 0);
  for (const ScanOutput &output : loop.outputs) {
    Dims shape = output.shape;
    if (output.grows)
      shape[0] = turns;
    for (auto [i, isOpen] : llvm::enumerate(output.isOpen))
      if (isOpen)
        shape[i + 1] = dims.opaque(made.getResult(number++), "row", 0);
    results.push_back(Slot::of(ops::tied(*b, made.getResult(number++), shape, output.row)));
  }
  return results;
}

/// The text says what does not fit; errors inside the body have been reported (then it is empty, and so are `results`).
std::string Importer::importTurns(Loop &loop, Slots &results) {
  auto prepare = [&](Carried &carried) {
    if (carried.isNothing())
      return;
    if (Sequence &sequence = carried.start.sequence; carried.isSequence()) {
      carried.elements = sequence.elementShape();
      sequence = sequence.withList(listOf(*b, sequence), carried.elements);
      return;
    }
    carried.onHost = carried.start.tensor.contents && carried.start.tensor.contents->size() <= ops::kMaxCarriedIntegers;
    carried.isOpen.assign(carried.start.tensor.rank(), false);
  };
  for (Carried &carried : loop.carried)
    prepare(carried);
  while (true) {
    auto assumed = dims.countAssumptions();
    if (!importTurn(loop))
      return "";
    bool isOfOneKind = true;
    for (auto [i, pair] : llvm::enumerate(llvm::zip_equal(loop.carried, loop.nextCarried))) {
      // What a turn may give or not is an optional value before the first one, too.
      if (Carried &carried = std::get<0>(pair); carried.start.kind != std::get<1>(pair).kind) {
        Slot start = asOptional(*b, carried.start, std::get<1>(pair));
        if (start.kind != carried.start.kind) {
          const Slot &after = std::get<1>(pair);
          carried.start = start;
          prepare(carried);
          carried.elements.join(after.kind == Slot::Kind::Tensor ? ElementShape::of(after.tensor)
                                                                 : after.sequence.elementShape());
          isOfOneKind = false;
          continue;
        }
      }
      const Slot &before = std::get<0>(pair).start, &after = std::get<1>(pair);
      std::string both = "carried value " + std::to_string(i) + " is " + before.str() + " before a turn and " +
                         after.str() + " after it; ";
      if (!before.hasTypeOf(after))
        return both + "the types must be equal";
      if (before.tensor.rank() != after.tensor.rank())
        return both + "a rank that changes is not supported";
    }
    if (isOfOneKind && settleCarried(loop))
      break;
    dims.forgetAssumptions(assumed);
    loop.apart->remove();
    givenUp.push_back(loop.apart);
  }
  for (auto [i, output] : llvm::enumerate(loop.outputs)) {
    for (Dim size : output.row.shape)
      output.isOpen.push_back(dependsOn(size, loop.apart.getAfter()));
    output.grows = llvm::is_contained(output.isOpen, true);
    if (output.grows && output.isReverse)
      return "its output " + std::to_string(loop.carried.size() + i) + ", " + output.row.str() +
             ", is collected from the end, which is not supported for rows whose size is known only in the body";
  }
  if (!loop.trips && !loop.condition && !loop.nextCondition)
    return "never ends: it has neither a trip count nor a condition that can become false";
  results = readResults(loop, makeLoop(loop));
  return "";
}

static const Graph *findBody(ArrayRef<std::pair<StringRef, const Attribute *>> attributes) {
  for (auto [name, attribute] : attributes)
    if (name == "body")
      return attribute->graph.get();
  return nullptr;
}

/// What is scanned together has one length; the text says what differs.
static std::string fitLength(std::optional<Dim> &length, Dim other, ops::DimContext &dims) {
  if (!length)
    length = other;
  if (ops::isEqual(*length, other) == std::optional<bool>(false))
    return "its scanned inputs have different lengths: " + length->str() + " and " + other.str();
  if (*length != other)
    dims.assumeEqual(*length, other);
  return "";
}

void Importer::importLoop(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands,
                          StringRef place) {
  auto fail = [&](const std::string &text) { failFlow(node, scope, env, place, text); };
  Loop loop;
  loop.place = "node '" + place.str() + "' (Loop)";
  const Graph *body = findBody(attributesOf(node, env));
  if (!body)
    return fail("needs the attribute 'body' with a graph");
  if (operands.size() < 2)
    return fail("has " + std::to_string(operands.size()) +
                " inputs, expected at least the trip count and the condition");
  size_t count = operands.size() - 2;
  if (body->inputs.size() != count + 2 || body->outputs.size() < count + 1)
    return fail("carries " + std::to_string(count) + " values, but its body has " +
                std::to_string(body->inputs.size()) + " inputs (expected " + std::to_string(count + 2) + ") and " +
                std::to_string(body->outputs.size()) + " outputs (expected at least " + std::to_string(count + 1) +
                ")");
  for (size_t i = 2; i < operands.size(); ++i) {
    if (!operands[i]->isSettled())
      return fail("input " + std::to_string(i) + " is missing");
    loop.carried.emplace_back().start = *operands[i];
    const ValueInfo &declared = body->outputs[i - 1];
    loop.isPlainResult.push_back(!declared.isOptional && (declared.kind == ValueInfo::Kind::Tensor ||
                                                          declared.kind == ValueInfo::Kind::Sequence));
  }
  loop.isReverseOutput.assign(body->outputs.size() - 1 - count, false);
  if (operands[0]->kind == Slot::Kind::Tensor) {
    const Tensor &trips = operands[0]->tensor;
    if (!trips.isInteger() || !trips.hasStaticShape() || !trips.numElements().is(1))
      return fail("the trip count must be one integer, found " + trips.str());
    auto known = b->integers(trips, "the trip count");
    if (failed(known))
      return fail("the trip count must be one integer, found " + trips.str());
    loop.trips = ops::max(known->front(), 0);
  }
  if (operands[1]->kind == Slot::Kind::Tensor) {
    const Tensor &condition = operands[1]->tensor;
    if (!isOneBoolean(condition))
      return fail("the condition must be one boolean, found " + condition.str());
    if (std::optional<Dim> known = knownInteger(condition); !known || !known->is(1))
      loop.condition = readCondition(condition);
  }
  loop.importBody = [&, body](ArrayRef<Slot> inputs) { return importLoopBody(*body, loop.place, inputs, scope, env); };
  finishLoop(node, scope, env, place, loop, {});
}

void Importer::importScan(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands,
                          StringRef place) {
  auto fail = [&](const std::string &text) { failFlow(node, scope, env, place, text); };
  if (opsetOf(node.domain, env) < 9)
    return importBatchedScan(node, scope, env, operands, place);
  Loop loop;
  loop.place = "node '" + place.str() + "' (Scan)";
  loop.isScan = true;
  auto attributes = attributesOf(node, env);
  const Graph *body = findBody(attributes);
  OpNode n(*b, node, opsetOf(node.domain, env));
  n.attributes = attributes;
  int64_t numScanned = n.requiredInteger("num_scan_inputs");
  SmallVector<int64_t> inputAxes = n.integers("scan_input_axes"), outputAxes = n.integers("scan_output_axes");
  SmallVector<int64_t> inputDirections = n.integers("scan_input_directions"),
                       outputDirections = n.integers("scan_output_directions");
  if (!n.error.empty())
    return fail(n.error);
  if (!body)
    return fail("needs the attribute 'body' with a graph");
  int64_t numCarried = static_cast<int64_t>(operands.size()) - numScanned;
  int64_t numOutputs = static_cast<int64_t>(body->outputs.size()) - numCarried;
  if (numScanned < 1 || numCarried < 0 || body->inputs.size() != operands.size() || numOutputs < 0)
    return fail("has " + std::to_string(operands.size()) + " inputs, num_scan_inputs " + std::to_string(numScanned) +
                ", and a body with " + std::to_string(body->inputs.size()) + " inputs and " +
                std::to_string(body->outputs.size()) + " outputs, which do not fit together");
  auto fits = [](ArrayRef<int64_t> list, int64_t size) { return list.empty() || std::ssize(list) == size; };
  if (!fits(inputAxes, numScanned) || !fits(inputDirections, numScanned) || !fits(outputAxes, numOutputs) ||
      !fits(outputDirections, numOutputs))
    return fail("its lists of axes and directions must have one entry for each scanned input and output");
  for (auto [i, operand] : llvm::enumerate(operands)) {
    if (operand->kind != Slot::Kind::Tensor)
      return fail("input " + std::to_string(i) + " is missing, or no tensor");
    Tensor t = operand->tensor;
    if (std::ssize(loop.carried) < numCarried) {
      loop.carried.emplace_back().start = *operand;
      continue;
    }
    size_t k = loop.scanned.size();
    int64_t axis = inputAxes.empty() ? 0 : inputAxes[k];
    if (axis < -t.rank() || axis >= t.rank())
      return fail("scan_input_axes: axis " + std::to_string(axis) + " is out of range for " + t.str());
    axis += axis < 0 ? t.rank() : 0;
    if (std::string error = fitLength(loop.trips, t.shape[axis], dims); !error.empty())
      return fail(error);
    SmallVector<int64_t> order{axis};
    for (int64_t d = 0; d < t.rank(); ++d)
      if (d != axis)
        order.push_back(d);
    loop.scanned.push_back({b->transpose(t, order), !inputDirections.empty() && inputDirections[k] == 1});
  }
  for (int64_t i = 0; i < numOutputs; ++i)
    loop.isReverseOutput.push_back(!outputDirections.empty() && outputDirections[i] == 1);
  loop.importBody = [&, body](ArrayRef<Slot> inputs) { return importLoopBody(*body, loop.place, inputs, scope, env); };
  finishLoop(node, scope, env, place, loop, outputAxes);
}

/// The number of turns for one entry of a batch, checked while the program runs.
Dim Importer::readLength(const Loop &loop, const Tensor &length, Dim most) {
  Dim turns = b->integers(length, "the length of a sequence")->front();
  auto is = [&](arith::CmpIPredicate predicate, Dim bound) -> Value {
    return arith::CmpIOp::create(builder, b->loc, predicate, b->index(turns), b->index(bound));
  };
  Value fits =
      arith::AndIOp::create(builder, b->loc, is(arith::CmpIPredicate::sge, 0), is(arith::CmpIPredicate::sle, most));
  cf::AssertOp::create(builder, b->loc, fits,
                       loop.place + ": a length of its sequences is negative or larger than " + most.str());
  return dims.opaque(b->index(turns), "length", /*lower=*/0);
}

/// The Scan of operator set 8: everything has a batch as its first dimension, and for each entry of it the second one
/// is scanned, as far as `sequence_lens` says.
void Importer::importBatchedScan(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands,
                                 StringRef place) {
  auto fail = [&](const std::string &text) { failFlow(node, scope, env, place, text); };
  OpNode n(*b, node, opsetOf(node.domain, env));
  n.attributes = attributesOf(node, env);
  const Graph *body = findBody(n.attributes);
  int64_t numScanned = n.requiredInteger("num_scan_inputs");
  SmallVector<int64_t> directions = n.integers("directions");
  if (!n.error.empty())
    return fail(n.error);
  if (!body)
    return fail("needs the attribute 'body' with a graph");
  int64_t numCarried = static_cast<int64_t>(operands.size()) - 1 - numScanned;
  if (numScanned < 1 || numCarried < 0 || std::ssize(body->inputs) != numCarried + numScanned ||
      std::ssize(body->outputs) < numCarried || (!directions.empty() && std::ssize(directions) != numScanned))
    return fail("has " + std::to_string(operands.size()) + " inputs, num_scan_inputs " + std::to_string(numScanned) +
                ", " + std::to_string(directions.size()) + " directions, and a body with " +
                std::to_string(body->inputs.size()) + " inputs and " + std::to_string(body->outputs.size()) +
                " outputs, which do not fit together");
  Loop batch;
  batch.place = "node '" + place.str() + "' (Scan)";
  batch.isScan = true;
  batch.isReverseOutput.assign(body->outputs.size(), false);
  bool hasLengths = operands[0]->kind == Slot::Kind::Tensor;
  std::optional<Dim> longest;
  for (auto [i, operand] : llvm::enumerate(operands.drop_front(hasLengths ? 0 : 1))) {
    bool isLength = hasLengths && i == 0;
    int64_t number = i + (hasLengths ? 0 : 1);
    if (operand->kind != Slot::Kind::Tensor)
      return fail("input " + std::to_string(number) + " is missing, or no tensor");
    const Tensor &t = operand->tensor;
    bool isScanned = number > numCarried;
    if (isLength ? t.rank() != 1 || !t.isInteger() : t.rank() < (isScanned ? 2 : 1))
      return fail("input " + std::to_string(number) + " needs " +
                  (isLength ? "one length for each entry of the batch" : "a batch as its first dimension") +
                  ", found " + t.str());
    std::string error = fitLength(batch.trips, t.shape[0], dims);
    if (error.empty() && isScanned)
      error = fitLength(longest, t.shape[1], dims);
    if (!error.empty())
      return fail(error);
    batch.scanned.push_back({t, false});
  }
  batch.importBody = [&](ArrayRef<Slot> rows) -> Slots {
    Loop loop;
    loop.place = batch.place;
    loop.isScan = true;
    loop.isReverseOutput.assign(body->outputs.size() - numCarried, false);
    loop.importBody = [&](ArrayRef<Slot> inputs) { return importLoopBody(*body, loop.place, inputs, scope, env); };
    loop.trips = hasLengths ? readLength(loop, rows.front().tensor, *longest) : *longest;
    rows = rows.drop_front(hasLengths ? 1 : 0);
    for (const Slot &row : rows.take_front(numCarried))
      loop.carried.emplace_back().start = row;
    for (auto [i, row] : llvm::enumerate(rows.drop_front(numCarried)))
      loop.scanned.push_back({row.tensor, !directions.empty() && directions[i] == 1});
    Slots results;
    std::string error = importTurns(loop, results);
    if (!error.empty())
      errors.add(describe(node, place) + error);
    // Behind the end of a shorter sequence there are zeros.
    for (Slot &result : llvm::drop_begin(results, std::min<size_t>(numCarried, results.size())))
      if (Tensor &t = result.tensor; hasLengths) {
        SmallVector<Dim> low(t.rank(), Dim(0)), high(t.rank(), Dim(0));
        high[0] = *longest - *loop.trips;
        t = ops::marked(b->pad(t, low, high, ops::numberAttr(t.elementType, 0, t.isUnsigned)), t);
      }
    return results;
  };
  finishLoop(node, scope, env, place, batch, {});
}

void Importer::finishLoop(const Node &node, Scope &scope, const Env &env, StringRef place, Loop &loop,
                          ArrayRef<int64_t> outputAxes) {
  if (depth >= kMaxDepth)
    return failFlow(node, scope, env, place, "functions, branches and loops are nested too deeply");
  ++depth;
  Slots results;
  std::string error = importTurns(loop, results);
  --depth;
  if (!error.empty())
    return failFlow(node, scope, env, place, error);
  if (results.empty())
    return poison(node, scope);
  for (auto [slot, isPlain] : llvm::zip(results, loop.isPlainResult))
    if (slot.kind == Slot::Kind::Optional && isPlain) {
      FailureOr<Slot> element = held(*b, slot);
      if (failed(element))
        return failFlow(node, scope, env, place, "gives " + slot.str() + ", whose rank nothing says");
      slot = *element;
    }
  for (auto [i, axis] : llvm::enumerate(outputAxes)) {
    Tensor &t = results[loop.carried.size() + i].tensor;
    if (axis < -t.rank() || axis >= t.rank())
      return failFlow(node, scope, env, place,
                      "scan_output_axes: axis " + std::to_string(axis) + " is out of range for " + t.str());
    SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(1, t.rank()));
    order.insert(order.begin() + (axis < 0 ? axis + t.rank() : axis), 0);
    t = b->transpose(t, order);
  }
  bind(node, scope, results, place);
}

} // namespace eyrie::import::onnx
