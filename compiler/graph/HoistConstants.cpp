// Moves what is computed from constants alone out of the model's functions.
//
//   %w = graph.load_global @w                          func.func private @__initialize() {
//   %p = linalg.pack %w …                    ──►         %w = graph.load_global @w
//   %r = linalg.generic ins(%x, %p)                      %p = linalg.pack %w …
//                                                        graph.store_global @w.0, %p
//                                                      }
//                                                      %p = graph.load_global @w.0
//
// The pipeline compiles `@__initialize` with Eyrie itself, runs it once, and gives the new globals its results. An
// expression much larger than what it is made of (a broadcast constant) stays where it is.
#include "compiler/graph/Constants.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "mlir/Analysis/TopologicalSortUtils.h"

using namespace mlir;
using namespace eyrie::graph;

namespace {
int64_t sizeBytes(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape())
    return 0;
  unsigned bits = tensor.getElementType().isIntOrFloat() ? tensor.getElementTypeBitWidth() : 64;
  return tensor.getNumElements() * ((bits + 7) / 8);
}

struct HoistConstantsPass : PassWrapper<HoistConstantsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(HoistConstantsPass)
  StringRef getArgument() const override { return "graph-hoist-constants"; }
  StringRef getDescription() const override { return "Move constant expressions into @__initialize"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<GraphDialect, func::FuncDialect>();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    knownLeaves.clear();
    knownFeeders.clear();
    SmallVector<Value> leaves;
    for (auto func : module.getOps<func::FuncOp>())
      if (func.isPublic())
        func.walk([&](Operation *op) {
          for (Value result : op->getResults())
            if (isLeaf(result))
              leaves.push_back(result);
        });
    if (leaves.empty())
      return;
    OpBuilder b(module.getBodyRegion());
    b.setInsertionPointToEnd(module.getBody());
    auto init = func::FuncOp::create(b, module.getLoc(), "__initialize", b.getFunctionType({}, {}));
    init.setPrivate();
    symbols.insert(init);
    b.setInsertionPointToStart(init.addEntryBlock());
    func::ReturnOp::create(b, module.getLoc());

    IRMapping mapping;
    for (Value leaf : leaves) {
      b.setInsertionPoint(init.getBody().front().getTerminator());
      Value value = cloneExpression(b, leaf, mapping);
      OpBuilder atStart = OpBuilder::atBlockBegin(module.getBody());
      std::string name = originName(leaf);
      auto global = GlobalOp::create(atStart, leaf.getLoc(), name, leaf.getType(), ElementsAttr());
      symbols.insert(global);
      StoreGlobalOp::create(b, leaf.getLoc(), global.getSymName(), value);
      OpBuilder here(leaf.getDefiningOp());
      Value load = LoadGlobalOp::create(here, leaf.getLoc(), leaf.getType(), global.getSymName());
      leaf.replaceAllUsesWith(load);
      // Later expressions that contain this one use what is computed already.
      mapping.map(load, value);
    }
  }

  /// A tensor worth storing: constant, used by something that is not, and computed rather than loaded or reshaped.
  bool isLeaf(Value value) {
    if (auto known = knownLeaves.find(value); known != knownLeaves.end())
      return known->second;
    bool result = findsLeaf(value);
    knownLeaves[value] = result;
    return result;
  }

  bool findsLeaf(Value value) {
    Operation *op = value.getDefiningOp();
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || !type.hasStaticShape() || type.getNumElements() == 0 ||
        isa<LoadGlobalOp, ReshapeOp, tensor::EmptyOp, linalg::FillOp, arith::ConstantOp, linalg::UnPackOp>(op) ||
        !isConstantExpression(value))
      return false;
    int64_t inputs = 0;
    for (Value operand : op->getOperands())
      if (!operand.getDefiningOp<tensor::EmptyOp>() && !operand.getDefiningOp<linalg::FillOp>())
        inputs += sizeBytes(operand.getType());
    if (sizeBytes(type) > 4 * inputs + 4096)
      return false;
    return llvm::any_of(value.getUsers(), [&](Operation *user) { return !feedsConstant(user); });
  }

  bool feedsConstant(Operation *user) {
    if (auto known = knownFeeders.find(user); known != knownFeeders.end())
      return known->second;
    bool result = findsFeeder(user);
    knownFeeders[user] = result;
    return result;
  }

  bool findsFeeder(Operation *user) {
    while (!user->hasTrait<OpTrait::IsTerminator>() && user->getNumResults() == 0 && user->getParentOp())
      user = user->getParentOp();
    if (isa<ReshapeOp>(user) && user->getNumResults() == 1 && isConstantExpression(user->getResult(0)))
      return llvm::all_of(user->getUsers(), [&](Operation *next) { return feedsConstant(next); });
    return user->getNumResults() > 0 && isConstantExpression(user->getResult(0)) &&
           (isLeaf(user->getResult(0)) ||
            llvm::all_of(user->getUsers(), [&](Operation *next) { return feedsConstant(next); }));
  }

  static Value cloneExpression(OpBuilder &b, Value value, IRMapping &mapping) {
    if (Value known = mapping.lookupOrNull(value))
      return known;
    SetVector<Operation *> slice = getExpression(value);
    for (Operation *step : topologicalSort(slice)) {
      bool isNested = llvm::any_of(slice, [&](Operation *other) { return other->isProperAncestor(step); });
      bool isKnown = llvm::all_of(step->getResults(), [&](Value result) { return mapping.contains(result); });
      if (!isNested && !isKnown)
        b.clone(*step, mapping);
    }
    return mapping.lookup(value);
  }

  /// The name of the first global in the expression: the weight that the new one is made of.
  static std::string originName(Value value) {
    for (Operation *op : getExpression(value))
      if (auto load = dyn_cast<LoadGlobalOp>(op))
        return load.getGlobal().str();
    return "constant";
  }

  // Answers found already: an operation is asked about on every way that leads to it, of which there may be very many.
  llvm::DenseMap<Value, bool> knownLeaves;
  llvm::DenseMap<Operation *, bool> knownFeeders;
};
} // namespace

std::unique_ptr<Pass> eyrie::graph::createHoistConstantsPass() { return std::make_unique<HoistConstantsPass>(); }
