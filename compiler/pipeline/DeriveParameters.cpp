#include "compiler/pipeline/DeriveParameters.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Parameters.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Analysis/TopologicalSortUtils.h"

using namespace mlir;
using namespace eyrie;
using graph::GlobalOp;
using graph::LoadGlobalOp;
using graph::StoreGlobalOp;

/// The operations that the value is computed by, in order, without those inside of others.
static SmallVector<Operation *> makersOf(Value value) {
  SetVector<Operation *> slice;
  BackwardSliceOptions options;
  options.inclusive = true;
  options.omitUsesFromAbove = false;
  (void)getBackwardSlice(value, &slice, options);
  SmallVector<Operation *> outer;
  for (Operation *op : topologicalSort(slice))
    if (isa<func::FuncOp>(op->getParentOp()))
      outer.push_back(op);
  return outer;
}

static void makeFunction(ModuleOp module, StoreGlobalOp store, ArrayRef<Operation *> makers, SymbolTable &symbols,
                         unsigned number) {
  auto target = symbols.lookup<GlobalOp>(store.getGlobal());
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  llvm::SetVector<GlobalOp> sources;
  for (Operation *op : makers)
    if (auto load = dyn_cast<LoadGlobalOp>(op))
      if (auto global = symbols.lookup<GlobalOp>(load.getGlobal()); global->hasAttr(graph::kParameter))
        sources.insert(global);
  SmallVector<Type> types;
  SmallVector<Attribute> names;
  for (GlobalOp source : sources) {
    types.push_back(source.getType());
    names.push_back(source.getSymNameAttr());
  }
  auto func = func::FuncOp::create(b, store.getLoc(), ("__derive." + Twine(number)).str(),
                                   b.getFunctionType(types, store.getValue().getType()));
  func->setAttr(graph::kSources, b.getArrayAttr(names));
  target->setAttr(graph::kDerivedBy, FlatSymbolRefAttr::get(func.getSymNameAttr()));
  Block *entry = func.addEntryBlock();
  b.setInsertionPointToStart(entry);
  IRMapping mapping;
  for (Operation *op : makers) {
    auto load = dyn_cast<LoadGlobalOp>(op);
    auto at = load ? llvm::find(sources, symbols.lookup<GlobalOp>(load.getGlobal())) : sources.end();
    if (at == sources.end())
      b.clone(*op, mapping);
    else
      mapping.map(load.getResult(), entry->getArgument(at - sources.begin()));
  }
  func::ReturnOp::create(b, store.getLoc(), mapping.lookup(store.getValue()));
  for (auto [i, source] : llvm::enumerate(sources)) {
    func.setArgAttr(i, "eyrie.name", source->getAttr(graph::kParameter));
    if (source->hasAttr("eyrie.unsigned"))
      func.setArgAttr(i, "eyrie.unsigned", b.getUnitAttr());
  }
  func.setResultAttr(0, "eyrie.name", target.getSymNameAttr());
}

void eyrie::pipeline::splitDerived(ModuleOp module) {
  auto initialize = module.lookupSymbol<func::FuncOp>("__initialize");
  if (!initialize)
    return;
  SymbolTable symbols(module);
  unsigned number = 0;
  for (auto store : llvm::make_early_inc_range(initialize.getOps<StoreGlobalOp>())) {
    SmallVector<Operation *> makers = makersOf(store.getValue());
    bool isDerived = llvm::any_of(makers, [&](Operation *op) {
      auto load = dyn_cast<LoadGlobalOp>(op);
      return load && symbols.lookup(load.getGlobal())->hasAttr(graph::kParameter);
    });
    if (!isDerived)
      continue;
    makeFunction(module, store, makers, symbols, number++);
    store.erase();
  }
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(initialize.getBody().front())))
    if (isOpTriviallyDead(&op))
      op.erase();
  if (initialize.getOps<StoreGlobalOp>().empty())
    initialize.erase();
}
