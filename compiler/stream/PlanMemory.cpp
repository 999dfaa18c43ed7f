// stream-plan-memory: places all transient tensors in one arena.
//
//   %t0 = stream.alloc %c1000                       %a = stream.arena %c2048
//   stream.dispatch @a () ins(..) outs(%t0)    ->   stream.dispatch @a () ins(..) outs(%a[%c0 for %c1000])
//   stream.barrier                                  stream.barrier
//   %t1 = stream.alloc %c1000 ...                   ... %a[%c1024 for %c1000]
//
// A tensor lives from the first to the last command that touches it, counted in steps between barriers, so tensors that
// share bytes are always separated by a barrier. Tensors of static size are packed offline (Packer.h), and so are those
// whose sizes are all multiples of one product of unknowns, in units of it. Otherwise the program packs them itself
// when it knows their sizes (stream.pack): the arena is then small for every size, not only for those that we thought
// of. Where every size has an upper bound, so has the arena: at the largest sizes it is packed offline as well, and a
// call whose own packing turns out larger takes those places. Tensors whose size is known only after the first of them
// is needed get blocks (stream.block) instead. Leaves the plan as an attribute (kMemoryPlan) on the function. Needs
// barriers (stream-schedule) and unique arithmetic (cse).
#include "compiler/graph/SizeFacts.h"
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
      if (isa<BarrierOp, ReadScalarOp, HostCallOp>(op))
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

/// Sizes of tensors that are all static, or all multiples of one product of unknowns: then in its multiples.
std::vector<Lifespan> getLifespans(ArrayRef<Transient> transients) {
  std::vector<Lifespan> spans;
  for (const Transient &t : transients) {
    int64_t size = t.size.empty() ? 0 : t.size.begin()->second;
    spans.push_back({static_cast<int64_t>(llvm::alignTo(size, kAlignment)), t.firstStep, t.lastStep});
  }
  return spans;
}

/// More tensors than this have no room in one instruction, and packing them would take the program too long.
constexpr size_t kMostPacked = 4096;

/// Where tensors are placed as multiples of one product of unknowns (the batch, say), all of them are: their plan is as
/// good as one of static sizes. The empty monomial if they are not, or if aligning the multiples would waste memory: a
/// few bytes per unit times many units.
Monomial findUnit(ArrayRef<Transient> transients) {
  auto unitOf = [](const Transient &t) { return t.size.size() == 1 ? t.size.begin()->first : Monomial(); };
  Monomial unit = transients.empty() ? Monomial() : unitOf(transients.front());
  if (unit.empty() || !llvm::all_of(transients, [&](const Transient &t) { return unitOf(t) == unit; }))
    return Monomial();
  double exact = 0, aligned = 0;
  for (const Transient &t : transients) {
    exact += t.size.begin()->second;
    aligned += llvm::alignTo(t.size.begin()->second, kAlignment);
  }
  return aligned <= 1.02 * exact ? unit : Monomial();
}

/// Larger than any tensor that the runtime packs.
constexpr int64_t kMostTensorBytes = int64_t(1) << 47;

/// The plan at the largest sizes that are promised; none if a size has no bound. Every tensor has room in its place
/// there whatever its size is, so the plan is right for all calls, and no call needs more than its bytes. (What the
/// program packs itself may: greedy placement is not monotone in the sizes.)
std::optional<Packing> packLargest(ArrayRef<Transient> transients, eyrie::graph::SizeAnalysis &facts) {
  std::vector<Lifespan> spans;
  for (const Transient &t : transients) {
    int64_t most = facts.of(AllocOp(t.alloc).getBytes()).most;
    if (most > kMostTensorBytes)
      return std::nullopt;
    spans.push_back(
        {static_cast<int64_t>(llvm::alignTo(std::max<int64_t>(most, 0), kAlignment)), t.firstStep, t.lastStep});
  }
  return pack(spans);
}

/// The largest value of a product of unknowns times `factor`; -1 if it has no bound.
int64_t getMost(const Monomial &unit, int64_t factor, SizeExprs &exprs, eyrie::graph::SizeAnalysis &facts) {
  auto product = eyrie::graph::SizeFacts::number(factor);
  for (unsigned number : unit)
    product = product * facts.of(exprs.getUnknowns()[number]);
  return product.hasBound() ? product.most : -1;
}

//===- rewriting ----------------------------------------------------------------------------------------------------===

class Rewriter {
public:
  /// `before`: the arena is made in front of this op of the function's body.
  Rewriter(Operation *before, SizeExprs &exprs) : b(before), loc(before->getLoc()), before(before), exprs(exprs) {}

  /// Offsets that are known.
  void emitStatic(MutableArrayRef<Transient> transients, const Packing &packing) {
    for (auto [t, offset] : llvm::zip(transients, packing.offsets))
      t.offset = getIndexConstant(b, loc, offset);
    makeArena(getIndexConstant(b, loc, packing.bytes));
  }

  /// Offsets in multiples of a product of unknowns.
  void emitInUnits(MutableArrayRef<Transient> transients, const Monomial &unit, const Packing &packing) {
    Value size;
    for (unsigned number : unit) {
      Value factor = getEarly(exprs.getUnknowns()[number]);
      size = size ? b.createOrFold<arith::MulIOp>(loc, size, factor) : factor;
    }
    for (auto [t, offset] : llvm::zip(transients, packing.offsets))
      t.offset = mul(size, offset);
    makeArena(mul(size, packing.bytes));
  }

  /// Offsets that the program computes when it knows the sizes.
  /// `largest`: where they lie if the packing is larger than this one.
  void emitPack(MutableArrayRef<Transient> transients, const std::optional<Packing> &largest) {
    SmallVector<Value> sizes;
    SmallVector<int64_t> first, last;
    for (Transient &t : transients) {
      sizes.push_back(getEarly(t.alloc.getBytes()));
      first.push_back(t.firstStep);
      last.push_back(t.lastStep);
    }
    SmallVector<Type> types(sizes.size(), b.getIndexType());
    auto pack = PackOp::create(b, loc, b.getIndexType(), types, sizes, first, last);
    for (auto [t, offset] : llvm::zip_equal(transients, pack.getOffsets()))
      t.offset = offset;
    if (!largest)
      return makeArena(pack.getTotal());
    Value most = getIndexConstant(b, loc, largest->bytes);
    Value fits = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle, pack.getTotal(), most);
    for (auto [t, offset] : llvm::zip_equal(transients, largest->offsets))
      t.offset = arith::SelectOp::create(b, loc, fits, t.offset, getIndexConstant(b, loc, offset));
    makeArena(arith::SelectOp::create(b, loc, fits, pack.getTotal(), most));
  }

  void replace(Transient &t) {
    for (OpOperand &use : llvm::make_early_inc_range(t.alloc.getResult().getUses())) {
      Operation *user = use.getOwner();
      unsigned number = use.getOperandNumber();
      unsigned offset = number + 1; // of copies, fills and reads
      if (auto dispatch = dyn_cast<DispatchOp>(user))
        offset = number + dispatch.getResources().size();
      else if (auto call = dyn_cast<HostCallOp>(user))
        offset = number + call.getResources().size();
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
  Value mul(Value a, int64_t c) { return b.createOrFold<arith::MulIOp>(loc, a, getIndexConstant(b, loc, c)); }
  void makeArena(Value bytes) {
    arena = ArenaOp::create(b, loc, ResourceType::get(b.getContext(), Lifetime::Transient), bytes);
  }

  OpBuilder b;
  Location loc;
  Operation *before;
  SizeExprs &exprs;
  Availability available;
  Value arena;
};

DictionaryAttr describe(MLIRContext *context, ArrayRef<Transient> transients, int64_t arenaBytes, bool isStatic,
                        int64_t upperBound) {
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
      b.getNamedAttr("upper_bound", b.getI64IntegerAttr(upperBound)),
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

  static void makeBlock(AllocOp op) {
    OpBuilder b(op);
    Value block = BlockOp::create(b, op.getLoc(), op.getType(), op.getBytes());
    op.replaceAllUsesWith(block);
    op.erase();
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
        makeBlock(op);
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
    // 2. The plan: offline if sizes are known, or all multiples of one product of unknowns.
    bool isStatic = llvm::all_of(transients, [](const Transient &t) { return t.isStatic(); });
    Monomial unit = findUnit(transients);
    Packing packing;
    if (isStatic || !unit.empty())
      packing = pack(getLifespans(transients));
    if (isStatic)
      for (auto [t, offset] : llvm::zip(transients, packing.offsets))
        t.staticOffset = offset;
    if (!isStatic && unit.empty() && transients.size() > kMostPacked) {
      for (Transient &t : MutableArrayRef(transients).drop_front(kMostPacked))
        makeBlock(t.alloc);
      transients.resize(kMostPacked, transients.front());
    }
    // 3. What no call exceeds. Blocks come on top of the arena, as many as the program happens to make.
    auto facts = eyrie::graph::SizeAnalysis::ofHost();
    std::optional<Packing> largest;
    int64_t upperBound = -1;
    if (isStatic || !unit.empty())
      upperBound = getMost(unit, packing.bytes, liveness.exprs, facts);
    else if ((largest = packLargest(transients, facts)))
      upperBound = largest->bytes;
    if (func.walk([](Operation *op) {
              return isa<BlockOp, ExtendOp>(op) ? WalkResult::interrupt() : WalkResult::advance();
            })
            .wasInterrupted())
      upperBound = -1;
    // 4. The attribute, while the names are still there.
    DictionaryAttr plan = describe(&getContext(), transients, packing.bytes, isStatic, upperBound);
    func->setAttr(kMemoryPlan, plan);
    auto get = [&](StringRef key) { return std::max<int64_t>(0, cast<IntegerAttr>(plan.get(key)).getInt()); };
    arenaBytes += get("arena_bytes");
    lowerBound += get("lower_bound");
    totalBytes += get("total_bytes");
    if (transients.empty())
      return;
    // 5. The arena in front of the first op that needs it.
    Rewriter rewriter(first, liveness.exprs);
    if (isStatic)
      rewriter.emitStatic(transients, packing);
    else if (!unit.empty())
      rewriter.emitInUnits(transients, unit, packing);
    else
      rewriter.emitPack(transients, largest);
    for (Transient &t : transients)
      rewriter.replace(t);
  }

  Statistic arenaBytes{this, "arena-bytes", "Bytes of static arenas"};
  Statistic lowerBound{this, "lower-bound", "Most bytes alive at one time"};
  Statistic totalBytes{this, "total-bytes", "Sum of all transient tensors"};
};
} // namespace

std::unique_ptr<Pass> eyrie::stream::createPlanMemoryPass() { return std::make_unique<PlanMemoryPass>(); }
