// If: the branch itself where the condition is known, else scf.if on the host.
#include "compiler/graph/Graph.h"
#include "compiler/import/onnx/Importer.h"
#include "compiler/import/onnx/Text.h"
#include "compiler/ops/Loop.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using eyrie::ops::Dim;
using eyrie::ops::DimAtom;

namespace eyrie::import::onnx {

static std::optional<bool> knownCondition(const Tensor &t) {
  if (t.contents && t.contents->size() == 1 && t.contents->front().isConstant())
    return t.contents->front().constant() != 0;
  if (std::optional<double> value = ops::splatValue(t))
    return *value != 0;
  return std::nullopt;
}

Value Importer::readCondition(const Tensor &condition) {
  if (condition.contents && condition.contents->size() == 1)
    return arith::CmpIOp::create(builder, b->loc, arith::CmpIPredicate::ne, b->index(condition.contents->front()),
                                 b->index(0));
  SmallVector<Value> zeros(condition.rank());
  for (Value &zero : zeros)
    zero = b->index(0);
  return graph::ReadScalarOp::create(builder, b->loc, builder.getI1Type(), b->value(condition), zeros);
}

bool dependsOn(Dim dim, Region &region) {
  if (dim.isConstant())
    return false;
  for (const auto &term : dim.getNode()->terms)
    for (unsigned id : term.atoms) {
      const DimAtom &atom = dim.getNode()->context->getAtom(id);
      if (atom.kind == DimAtom::Kind::Symbol ? atom.value && region.isAncestor(Value(atom.value).getParentRegion())
                                             : dependsOn(atom.a, region) || dependsOn(atom.b, region))
        return true;
    }
  return false;
}

Slots Importer::importBranch(const Graph &graph, Scope &scope, const Env &env, StringRef place, const Around *around) {
  Scope inner(&scope);
  if (!graph.inputs.empty()) {
    errors.add("node '" + place.str() + "' (If): a branch has inputs, expected none");
    return {};
  }
  if (!addInitializers(graph, inner))
    return {};
  SmallVector<StringRef> names;
  for (const ValueInfo &output : graph.outputs)
    names.push_back(output.name);
  return importNodes(graph.nodes, names, inner, env, around);
}

/// Gives the results of two branches one type and yields them. Sizes and integers of the host that differ are yielded
/// beside the tensors. The text says what does not fit.
std::string Importer::mergeBranches(Value condition, scf::IfOp apart, ArrayRef<Slot> thenResults,
                                    ArrayRef<Slot> elseResults, Slots &merged) {
  SmallVector<Value> yields[2];
  SmallVector<Type> types;
  OpBuilder::InsertPoint outside = builder.saveInsertionPoint();
  auto regionOf = [&](int branch) -> Region & { return apart->getRegion(branch); };
  auto atEnd = [&](int branch) { builder.setInsertionPointToEnd(&regionOf(branch).front()); };
  // An integer that both branches know: itself if it is the same one, else the number of a new yield.
  struct Integer {
    Dim same;
    std::optional<unsigned> yield;
  };
  auto mergeIntegers = [&](Dim t, Dim e) -> Integer {
    if (t == e && !dependsOn(t, regionOf(0)) && !dependsOn(e, regionOf(1)))
      return {t, std::nullopt};
    for (int branch : {0, 1}) {
      atEnd(branch);
      yields[branch].push_back(b->index(branch ? e : t));
    }
    types.push_back(builder.getIndexType());
    return {0, types.size() - 1};
  };
  struct Merged {
    SmallVector<Integer> shape, contents;
    std::optional<unsigned> value; // of a tensor that is yielded, or a sequence
    ElementShape elements;
  };
  SmallVector<Merged> plans;
  Slots settled;
  for (auto [i, pair] : llvm::enumerate(llvm::zip_equal(thenResults, elseResults))) {
    Slot thenSlot = std::get<0>(pair), elseSlot = std::get<1>(pair);
    if (thenSlot.kind != elseSlot.kind) {
      atEnd(0);
      thenSlot = asOptional(*b, thenSlot, elseSlot);
      atEnd(1);
      elseSlot = asOptional(*b, elseSlot, thenSlot);
    }
    settled.push_back(thenSlot);
    if (thenSlot.kind == Slot::Kind::Nothing && elseSlot.kind == Slot::Kind::Nothing) {
      plans.emplace_back();
      continue;
    }
    const Tensor &t = thenSlot.tensor, &e = elseSlot.tensor;
    std::string both = "result " + std::to_string(i) + " is " + thenSlot.str() + " in one branch and " +
                       elseSlot.str() + " in the other";
    if (!thenSlot.hasTypeOf(elseSlot))
      return both + "; the types must be equal";
    if (thenSlot.isList()) {
      Merged plan;
      for (int branch : {0, 1}) {
        const Sequence &sequence = branch ? elseSlot.sequence : thenSlot.sequence;
        atEnd(branch);
        yields[branch].push_back(listOf(*b, sequence));
        plan.elements.join(sequence.elementShape());
      }
      plan.value = types.size();
      types.push_back(yields[0].back().getType());
      plans.push_back(std::move(plan));
      continue;
    }
    if (t.rank() != e.rank())
      return both + "; branches with results of different ranks are not supported when the condition is known only at "
                    "run time; --shape may make it known";
    Merged plan;
    SmallVector<int64_t> sizes;
    for (auto [x, y] : llvm::zip_equal(t.shape, e.shape)) {
      plan.shape.push_back(mergeIntegers(x, y));
      sizes.push_back(plan.shape.back().yield ? ShapedType::kDynamic : plan.shape.back().same.typeSize());
    }
    if (t.contents && e.contents && t.shape == e.shape && t.contents->size() <= ops::kMaxCarriedIntegers) {
      for (auto [x, y] : llvm::zip_equal(*t.contents, *e.contents))
        plan.contents.push_back(mergeIntegers(x, y));
    } else {
      auto type = RankedTensorType::get(sizes, t.elementType);
      for (int branch : {0, 1}) {
        atEnd(branch);
        yields[branch].push_back(ops::handedOn(*b, branch ? e : t, type));
      }
      plan.value = types.size();
      types.push_back(type);
    }
    plans.push_back(std::move(plan));
  }
  builder.restoreInsertionPoint(outside);
  auto branch = scf::IfOp::create(builder, b->loc, types, condition, /*withElseRegion=*/true);
  for (auto [i, region] : llvm::enumerate(branch->getRegions())) {
    region.takeBody(regionOf(i));
    OpBuilder end = OpBuilder::atBlockEnd(&region.front());
    scf::YieldOp::create(end, b->loc, yields[i]);
  }
  for (auto [slot, plan] : llvm::zip_equal(settled, plans)) {
    auto read = [&](Integer integer, std::optional<int64_t> lower) {
      return integer.yield ? dims.opaque(branch.getResult(*integer.yield), "v", lower) : integer.same;
    };
    if (slot.isList())
      slot.sequence = slot.sequence.withList(branch.getResult(*plan.value), plan.elements);
    if (slot.kind != Slot::Kind::Tensor) {
      merged.push_back(slot);
      continue;
    }
    Tensor t;
    t.elementType = slot.tensor.elementType;
    t.isUnsigned = slot.tensor.isUnsigned;
    t.isString = slot.tensor.isString;
    for (Integer size : plan.shape)
      t.shape.push_back(read(size, 0));
    if (plan.value) {
      t = ops::tied(*b, branch.getResult(*plan.value), t.shape, t);
    } else {
      t.contents.emplace();
      for (Integer element : plan.contents)
        t.contents->push_back(read(element, std::nullopt));
    }
    merged.push_back(Slot::of(std::move(t)));
  }
  return "";
}

void Importer::failFlow(const Node &node, Scope &scope, const Env &env, StringRef place, const std::string &text) {
  if (StringRef(text).contains("not supported"))
    errors.addUnsupported(
        {place.str(), printable(node.op) + " (opset " + std::to_string(opsetOf(node.domain, env)) + ")", text});
  else
    errors.add(describe(node, place) + text);
  poison(node, scope);
}

/// A branch that may not be taken: it stops the call with `text`. Its results look like those of the other branch.
Slots Importer::failingBranch(Region &region, StringRef text, Region &other, ArrayRef<Slot> results) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(&region.front());
  cf::AssertOp::create(builder, b->loc, arith::ConstantIntOp::create(builder, b->loc, 0, 1), text);
  Slots slots(results);
  for (Slot &slot : slots) {
    if (slot.isList()) {
      slot.sequence.list = nullptr;
      slot.sequence.elements.emplace();
    }
    if (slot.kind != Slot::Kind::Tensor)
      continue;
    ops::Dims shape = slot.tensor.shape;
    for (Dim &size : shape)
      if (dependsOn(size, other))
        size = 0;
    slot.tensor = ops::marked(b->empty(shape, slot.tensor.elementType), slot.tensor);
  }
  return slots;
}

static bool haveOneRank(ArrayRef<Slot> a, ArrayRef<Slot> b) {
  return llvm::all_of(llvm::zip_equal(a, b), [](auto pair) {
    const Slot &x = std::get<0>(pair), &y = std::get<1>(pair);
    return x.kind != Slot::Kind::Tensor || y.kind != Slot::Kind::Tensor || x.tensor.rank() == y.tensor.rank();
  });
}

/// The two branches of an If into which more and more of what is behind it is imported.
struct Importer::Branches {
  scf::IfOp apart;
  Slots ends[2];        // what they give so far
  std::string wrong[2]; // why what is behind does not fit a branch; then it must not be taken
};

/// Imports `left`, in which `node` gave what the branches give, into both; false after an error.
bool Importer::importRestOnce(Branches &branches, const Node &node, Scope &scope, const Env &env, Rest left) {
  left.around = nullptr;
  Location before = b->loc;
  for (int branch : {0, 1}) {
    if (!branches.wrong[branch].empty())
      continue;
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&branches.apart->getRegion(branch).front());
    Scope inner(&scope);
    for (auto [output, slot] : llvm::zip(node.outputs, branches.ends[branch]))
      if (!output.empty())
        inner.add(output, slot);
    auto mark = errors.mark();
    auto assumed = dims.countAssumptions();
    branches.ends[branch] = importRest(left, inner, env);
    b->loc = before;
    // What does not fit one branch's shapes is wrong only if that branch is taken.
    bool isOtherRight = branches.wrong[!branch].empty();
    if (errors.mark() != mark && isOtherRight && errors.forget(mark, branches.wrong[branch]))
      dims.forgetAssumptions(assumed);
    else if (errors.mark() != mark || branches.ends[branch].size() != left.results.size())
      return false;
  }
  return true;
}

/// Results of different ranks have no common type: what is left of the graph is imported in each branch, and the
/// graph's results are merged instead; or those of the graph around it.
void Importer::importRestInBranches(const Node &node, Scope &scope, const Env &env, StringRef place, Value condition,
                                    scf::IfOp apart, ArrayRef<Slots> results) {
  Branches branches{apart, {results[0], results[1]}, {}};
  SmallVector<Rest *> levels;
  bool isGood = true;
  Around here{node, scope, env, rest};
  for (const Around *around = &here; around; around = around->rest->around) {
    levels.push_back(around->rest);
    isGood = importRestOnce(branches, around->node, around->scope, around->env, *around->rest);
    bool isOneWrong = !branches.wrong[0].empty() || !branches.wrong[1].empty();
    if (!isGood || isOneWrong || haveOneRank(branches.ends[0], branches.ends[1]))
      break;
  }
  // None of the graphs has anything left to import.
  for (Rest *level : levels)
    level->merged.emplace(level->results.size());
  if (!isGood)
    return;
  for (int branch : {0, 1})
    if (!branches.wrong[branch].empty())
      branches.ends[branch] = failingBranch(apart->getRegion(branch), branches.wrong[branch], apart->getRegion(!branch),
                                            branches.ends[!branch]);
  Slots merged;
  std::string error = mergeBranches(condition, apart, branches.ends[0], branches.ends[1], merged);
  if (!error.empty())
    return failFlow(node, scope, env, place, error);
  apart.erase();
  levels.back()->merged = std::move(merged);
}

void Importer::importIf(const Node &node, Scope &scope, const Env &env, ArrayRef<const Slot *> operands,
                        StringRef place) {
  auto fail = [&](const std::string &text) { failFlow(node, scope, env, place, text); };
  const Graph *graphs[2] = {};
  for (auto [name, attribute] : attributesOf(node, env))
    if (name == "then_branch" || name == "else_branch")
      graphs[name == "else_branch"] = attribute->graph.get();
  if (!graphs[0] || !graphs[1])
    return fail("needs the attributes 'then_branch' and 'else_branch' with a graph each");
  for (const Graph *graph : graphs)
    if (graph->outputs.size() < node.outputs.size() || graph->outputs.empty())
      return fail("has " + std::to_string(node.outputs.size()) + " outputs, but a branch gives " +
                  std::to_string(graph->outputs.size()));
  if (graphs[0]->outputs.size() != graphs[1]->outputs.size())
    return fail("its branches give different numbers of results");
  if (operands.size() != 1 || operands[0]->kind != Slot::Kind::Tensor)
    return fail("has " + std::to_string(operands.size()) + " inputs, expected the condition");
  const Tensor &condition = operands[0]->tensor;
  if (!isOneBoolean(condition))
    return fail("the condition must be one boolean, found " + condition.str());
  if (depth >= kMaxDepth)
    return fail("functions and branches are nested too deeply");
  ++depth;
  llvm::scope_exit leave([&] { --depth; });

  size_t errorsBefore = errors.count();
  if (std::optional<bool> known = knownCondition(condition)) {
    Around around{node, scope, env, rest};
    Slots slots = importBranch(*graphs[*known ? 0 : 1], scope, env, place, &around);
    if (rest->merged)
      return; // what is behind this node has been imported already
    if (slots.empty())
      return poison(node, scope);
    for (auto [output, slot] : llvm::zip(node.outputs, slots))
      if (!output.empty())
        scope.add(output, slot);
    return;
  }

  Value read = readCondition(condition);
  // The types of the results are known only after the branches, so these are built apart.
  Slots results[2];
  auto apart = scf::IfOp::create(builder, b->loc, TypeRange(), read, /*withElseRegion=*/true);
  for (int i = 0; i < 2; ++i) {
    Region &region = i ? apart.getElseRegion() : apart.getThenRegion();
    OpBuilder::InsertionGuard guard(builder);
    region.front().clear();
    builder.setInsertionPointToEnd(&region.front());
    results[i] = importBranch(*graphs[i], scope, env, place);
  }
  bool isPoisoned = errors.count() != errorsBefore || results[0].empty() || results[1].empty();
  for (const Slot &slot : llvm::concat<Slot>(results[0], results[1]))
    isPoisoned |= !slot.isSettled();
  if (isPoisoned) {
    if (errors.count() == errorsBefore)
      return fail("a branch gives a result without a value");
    return poison(node, scope);
  }
  Slots merged;
  if (!haveOneRank(results[0], results[1]))
    return importRestInBranches(node, scope, env, place, read, apart, results);
  std::string error = mergeBranches(read, apart, results[0], results[1], merged);
  if (!error.empty())
    return fail(error);
  apart.erase();
  bind(node, scope, merged, place);
}

} // namespace eyrie::import::onnx
