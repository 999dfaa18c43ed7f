// stream-plan-memory: places all transient tensors in one arena.
//
//   %t0 = stream.alloc %c1000                       %a = stream.arena %c2048
//   stream.dispatch @a () ins(..) outs(%t0)    ->   stream.dispatch @a () ins(..) outs(%a[%c0 for %c1000])
//   stream.barrier                                  stream.barrier
//   %t1 = stream.alloc %c1000 ...                   ... %a[%c1024 for %c1000]
//
// A tensor lives from the first to the last command that touches it, counted in steps between barriers, so tensors that
// share bytes are always separated by a barrier. Tensors of static size are packed offline (Packer.h). For the others
// two plans are made and the one that is smaller at a few sample sizes wins:
//   by class: tensors whose sizes are multiples of one product of unknowns (batch, batch * length, ...) are packed
//     like static ones, in units of that product;
//   by slots: tensors that are never alive together share a slot, as large as its largest at run time.
// Tensors whose size is known only after the first of them is needed get blocks (stream.block) instead.
// Leaves the plan as an attribute (kMemoryPlan) on the function. Needs barriers (stream-schedule) and unique
// arithmetic (cse).
#include "compiler/stream/HostValues.h"
#include "compiler/stream/Packer.h"
#include "compiler/stream/SizeExpr.h"
#include "compiler/stream/Stream.h"

using namespace mlir;
using namespace eyrie::stream;

namespace {

struct Transient {
  Transient(AllocOp alloc, SizeExpr size) : alloc(alloc), size(std::move(size)) {}

  AllocOp alloc;
  SizeExpr size;
  unsigned firstStep = ~0u, lastStep = 0;
  unsigned firstUse = ~0u, lastUse = 0; // numbers of commands, for people
  int64_t staticOffset = -1;
  Value offset;

  bool isStatic() const { return size.empty() || (size.size() == 1 && size.begin()->first.empty()); }
  int64_t staticSize() const { return size.empty() ? 0 : size.begin()->second; }
  bool isUsed() const { return firstStep != ~0u; }
};

//===- analysis -----------------------------------------------------------------------------------------------------===

/// Numbers steps and commands in program order. The branches of an scf.if follow each other: tensors of one may share
/// memory with those of the other.
class Liveness {
public:
  Liveness(func::FuncOp func, std::vector<Transient> &transients) : transients(transients) {
    func.walk([&](AllocOp op) {
      numbers[op.getResult()] = transients.size();
      transients.emplace_back(op, exprs.get(op.getBytes()));
    });
    walk(func.getBody().front());
  }

  SizeExprs exprs;

private:
  void walk(Block &block) {
    for (Operation &op : block) {
      for (Value operand : op.getOperands())
        if (auto known = numbers.find(operand); known != numbers.end())
          touch(transients[known->second]);
      if (isa<BarrierOp, ReadScalarOp>(op))
        ++step;
      if (isa<DispatchOp, CopyOp, FillOp>(op))
        ++command;
      unsigned begin = step + 1;
      for (Region &region : op.getRegions())
        for (Block &inner : region) {
          ++step;
          walk(inner);
          ++step;
        }
      if (isa<scf::WhileOp>(op))
        extendOver(op, begin);
    }
  }
  /// What a loop uses and does not make itself is alive in all of its turns.
  void extendOver(Operation &loop, unsigned begin) {
    for (Transient &t : transients)
      if (t.isUsed() && t.lastStep >= begin && !loop.isAncestor(t.alloc)) {
        t.firstStep = std::min(t.firstStep, begin);
        t.lastStep = std::max(t.lastStep, step);
      }
  }
  void touch(Transient &t) {
    t.firstStep = std::min(t.firstStep, step);
    t.lastStep = std::max(t.lastStep, step);
    t.firstUse = std::min(t.firstUse, command);
    t.lastUse = std::max(t.lastUse, command);
  }

  std::vector<Transient> &transients;
  DenseMap<Value, unsigned> numbers;
  unsigned step = 0, command = 0;
};

std::vector<Lifespan> getLifespans(ArrayRef<Transient *> tensors, function_ref<int64_t(const Transient &)> size) {
  std::vector<Lifespan> spans;
  for (Transient *t : tensors)
    spans.push_back({static_cast<int64_t>(llvm::alignTo(size(*t), kAlignment)), t->firstStep, t->lastStep});
  return spans;
}

/// Tensors of dynamic size that share memory among themselves: placed at `offsets[i]` times the product of `unit`, or
/// (no offsets) in slots.
struct Group {
  SmallVector<Transient *> members;
  Monomial unit;
  Packing packing;
  std::vector<unsigned> slots;
  bool isPacked() const { return !packing.offsets.empty(); }
};

/// What the unknowns might be. Small, so that plans suit the sizes where memory is dominated by constant factors.
constexpr int64_t kSamples[] = {1, 16, 128};

int64_t getSlotBytes(const Group &group, int64_t sample) {
  std::map<unsigned, int64_t> slots;
  for (auto [t, slot] : llvm::zip(group.members, group.slots))
    slots[slot] = std::max<int64_t>(slots[slot], llvm::alignTo(evaluate(t->size, sample), kAlignment));
  int64_t sum = 0;
  for (auto [slot, bytes] : slots)
    sum += bytes;
  return sum;
}

int64_t getBytes(const Group &group, int64_t sample) {
  return group.isPacked() ? evaluate({{group.unit, group.packing.bytes}}, sample) : getSlotBytes(group, sample);
}

double getCost(ArrayRef<Group> groups) {
  double cost = 0;
  for (int64_t sample : kSamples) {
    double bytes = 0, all = 1;
    for (const Group &group : groups) {
      bytes += getBytes(group, sample);
      for (Transient *t : group.members)
        all += evaluate(t->size, sample);
    }
    cost += bytes / all;
  }
  return cost;
}

Group makeSlots(ArrayRef<Transient *> members) {
  Group group{SmallVector<Transient *>(members), {}, {}, {}};
  group.slots = assignSlots(getLifespans(members, [](const Transient &t) { return evaluate(t.size, 16); }));
  return group;
}

SmallVector<Group> planByClass(ArrayRef<Transient *> tensors) {
  std::map<Monomial, SmallVector<Transient *>> classes;
  for (Transient *t : tensors)
    classes[t->size.size() == 1 ? t->size.begin()->first : Monomial()].push_back(t); // sums: no class
  SmallVector<Group> groups;
  for (auto &[unit, members] : classes) {
    Group slots = makeSlots(members);
    if (!unit.empty()) {
      Group packed{
          members, unit, pack(getLifespans(members, [](const Transient &t) { return t.size.begin()->second; })), {}};
      if (getCost(packed) <= getCost(slots)) {
        groups.push_back(std::move(packed));
        continue;
      }
    }
    groups.push_back(std::move(slots));
  }
  return groups;
}

SmallVector<Group> planDynamic(ArrayRef<Transient *> tensors) {
  if (tensors.empty())
    return {};
  SmallVector<Group> byClass = planByClass(tensors), bySlots = {makeSlots(tensors)};
  return getCost(byClass) <= getCost(bySlots) ? byClass : bySlots;
}

//===- rewriting ----------------------------------------------------------------------------------------------------===

class Rewriter {
public:
  /// `before`: the arena is made in front of this op of the function's body.
  Rewriter(Operation *before, SizeExprs &exprs) : b(before), loc(before->getLoc()), before(before), exprs(exprs) {}

  void emit(ArrayRef<Transient *> fixed, int64_t fixedBytes, ArrayRef<Group> groups) {
    Value base = getIndexConstant(b, loc, fixedBytes);
    for (Transient *t : fixed)
      t->offset = getIndexConstant(b, loc, t->staticOffset);
    for (const Group &group : groups)
      group.isPacked() ? emitPacked(group, base) : emitSlots(group, base);
    arena = ArenaOp::create(b, loc, ResourceType::get(b.getContext(), Lifetime::Transient), base);
  }

  void replace(Transient &t) {
    for (OpOperand &use : llvm::make_early_inc_range(t.alloc.getResult().getUses())) {
      Operation *user = use.getOwner();
      unsigned number = use.getOperandNumber();
      unsigned offset = number + 1; // of copies, fills and reads
      if (auto dispatch = dyn_cast<DispatchOp>(user))
        offset = number + dispatch.getResources().size();
      use.set(arena);
      OpBuilder at(user);
      Value old = user->getOperand(offset);
      user->setOperand(offset, isZero(old) ? t.offset : at.createOrFold<arith::AddIOp>(user->getLoc(), old, t.offset));
    }
    t.alloc.erase();
  }

private:
  static bool isZero(Value value) { return getConstantIntValue(value) == 0; }

  /// Never null for the sizes of what is placed: see makeBlocks.
  Value getEarly(Value value) { return available.getUpperBound(value, before); }
  Value add(Value a, Value c) { return b.createOrFold<arith::AddIOp>(loc, a, c); }
  Value mul(Value a, int64_t c) { return b.createOrFold<arith::MulIOp>(loc, a, getIndexConstant(b, loc, c)); }

  void emitPacked(const Group &group, Value &base) {
    Value unit;
    for (unsigned number : group.unit) {
      Value factor = getEarly(exprs.getUnknowns()[number]);
      unit = unit ? b.createOrFold<arith::MulIOp>(loc, unit, factor) : factor;
    }
    for (auto [t, offset] : llvm::zip(group.members, group.packing.offsets))
      t->offset = add(base, mul(unit, offset));
    base = add(base, mul(unit, group.packing.bytes));
  }

  void emitSlots(const Group &group, Value &base) {
    unsigned count = *llvm::max_element(group.slots) + 1;
    for (unsigned slot = 0; slot < count; ++slot) {
      SmallVector<Transient *> members;
      for (auto [t, own] : llvm::zip(group.members, group.slots))
        if (own == slot)
          members.push_back(t);
      Value size;
      for (unsigned i = 0; i < members.size(); ++i) {
        members[i]->offset = base;
        bool isCovered = llvm::any_of(llvm::seq<unsigned>(0, members.size()), [&](unsigned j) {
          return j != i && dominates(members[j]->size, members[i]->size) &&
                 (j < i || !dominates(members[i]->size, members[j]->size));
        });
        if (isCovered)
          continue;
        Value bytes = getEarly(members[i]->alloc.getBytes());
        size = size ? b.createOrFold<arith::MaxSIOp>(loc, size, bytes) : bytes;
      }
      Value rounded = add(size, getIndexConstant(b, loc, kAlignment - 1));
      base = add(base, b.createOrFold<arith::AndIOp>(loc, rounded, getIndexConstant(b, loc, -kAlignment)));
    }
  }

  OpBuilder b;
  Location loc;
  Operation *before;
  SizeExprs &exprs;
  Availability available;
  Value arena;
};

DictionaryAttr describe(MLIRContext *context, ArrayRef<Transient> transients, int64_t arenaBytes, bool isStatic) {
  Builder b(context);
  int64_t total = 0;
  std::vector<Lifespan> spans;
  SmallVector<Attribute> rows;
  for (const Transient &t : transients) {
    int64_t size = t.isStatic() ? t.staticSize() : -1;
    total += size;
    if (isStatic)
      spans.push_back({static_cast<int64_t>(llvm::alignTo(size, kAlignment)), t.firstStep, t.lastStep});
    rows.push_back(b.getDictionaryAttr({
        b.getNamedAttr("name", b.getStringAttr(t.alloc ? AllocOp(t.alloc).getName() : "")),
        b.getNamedAttr("offset", b.getI64IntegerAttr(t.staticOffset)),
        b.getNamedAttr("size", b.getI64IntegerAttr(size)),
        b.getNamedAttr("first_use", b.getI64IntegerAttr(t.firstUse)),
        b.getNamedAttr("last_use", b.getI64IntegerAttr(t.lastUse)),
    }));
  }
  return b.getDictionaryAttr({
      b.getNamedAttr("arena_bytes", b.getI64IntegerAttr(isStatic ? arenaBytes : -1)),
      b.getNamedAttr("lower_bound", b.getI64IntegerAttr(isStatic && !spans.empty() ? getLowerBound(spans)
                                                        : isStatic                 ? 0
                                                                                   : -1)),
      b.getNamedAttr("total_bytes", b.getI64IntegerAttr(isStatic ? total : -1)),
      b.getNamedAttr("transients", b.getArrayAttr(rows)),
  });
}

struct PlanMemoryPass : PassWrapper<PlanMemoryPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlanMemoryPass)
  PlanMemoryPass() = default;
  PlanMemoryPass(const PlanMemoryPass &other) : PassWrapper(other) {}
  StringRef getArgument() const override { return "stream-plan-memory"; }
  StringRef getDescription() const override { return "Places all transient tensors in one arena"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<StreamDialect, arith::ArithDialect>();
  }

  /// The arena is made in front of the first op that needs it. Tensors whose size is not known there, but only after
  /// data has been read back or inside a loop, get blocks of their own. Returns that op; null if no tensor is left.
  Operation *makeBlocks(func::FuncOp func) {
    SmallVector<AllocOp> allocs;
    func.walk([&](AllocOp op) {
      if (!op.getResult().use_empty())
        allocs.push_back(op);
    });
    Availability available;
    while (!allocs.empty()) {
      Operation *first = func.getBody().front().findAncestorOpInBlock(*allocs.front());
      unsigned before = allocs.size();
      llvm::erase_if(allocs, [&](AllocOp op) {
        if (available.getUpperBound(op.getBytes(), first))
          return false;
        OpBuilder b(op);
        Value block = BlockOp::create(b, op.getLoc(), op.getType(), op.getBytes());
        op.replaceAllUsesWith(block);
        op.erase();
        return true;
      });
      if (before == allocs.size())
        return first;
    }
    return nullptr;
  }

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isExternal())
      return;
    Operation *first = makeBlocks(func);
    // 1. Who lives when.
    std::vector<Transient> transients;
    Liveness liveness(func, transients);
    std::erase_if(transients, [](Transient &t) {
      if (t.isUsed())
        return false;
      t.alloc.erase();
      return true;
    });
    // 2. Plans for static and dynamic sizes.
    SmallVector<Transient *> fixed, dynamic;
    for (Transient &t : transients)
      (t.isStatic() ? fixed : dynamic).push_back(&t);
    Packing packing = pack(getLifespans(fixed, [](const Transient &t) { return t.staticSize(); }));
    for (auto [t, offset] : llvm::zip(fixed, packing.offsets))
      t->staticOffset = offset;
    SmallVector<Group> groups = planDynamic(dynamic);
    // 3. The attribute, while the names are still there.
    DictionaryAttr plan = describe(&getContext(), transients, packing.bytes, dynamic.empty());
    func->setAttr(kMemoryPlan, plan);
    auto get = [&](StringRef key) { return std::max<int64_t>(0, cast<IntegerAttr>(plan.get(key)).getInt()); };
    arenaBytes += get("arena_bytes");
    lowerBound += get("lower_bound");
    totalBytes += get("total_bytes");
    if (transients.empty())
      return;
    // 4. The arena in front of the first op that needs it.
    Rewriter rewriter(first, liveness.exprs);
    rewriter.emit(fixed, packing.bytes, groups);
    for (Transient &t : transients)
      rewriter.replace(t);
  }

  Statistic arenaBytes{this, "arena-bytes", "Bytes of static arenas"};
  Statistic lowerBound{this, "lower-bound", "Most bytes alive at one time"};
  Statistic totalBytes{this, "total-bytes", "Sum of all transient tensors"};
};
} // namespace

std::unique_ptr<Pass> eyrie::stream::createPlanMemoryPass() { return std::make_unique<PlanMemoryPass>(); }
