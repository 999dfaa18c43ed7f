// Makes dispatches of equal executables share one: a model's repeated layers are compiled once.
//
// Two executables are equal when they print alike, names and locations aside.
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace eyrie::graph;

namespace {
std::string bodyText(ExecutableOp executable) {
  std::string text;
  llvm::raw_string_ostream os(text);
  auto func = *executable.getOps<func::FuncOp>().begin();
  func.getFunctionType().print(os);
  func->getDiscardableAttrDictionary().print(os);
  for (Operation &op : func.getBody().front())
    op.print(os, OpPrintingFlags().useLocalScope().printGenericOpForm());
  return text;
}

struct MergeExecutablesPass : PassWrapper<MergeExecutablesPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(MergeExecutablesPass)
  StringRef getArgument() const override { return "graph-merge-executables"; }
  StringRef getDescription() const override { return "Share one executable between equal dispatches"; }

  void runOnOperation() override {
    llvm::StringMap<StringAttr> first;
    DenseMap<StringAttr, StringAttr> replacement;
    for (auto executable : llvm::make_early_inc_range(getOperation().getOps<ExecutableOp>())) {
      auto [entry, isNew] = first.try_emplace(bodyText(executable), executable.getSymNameAttr());
      if (isNew)
        continue;
      replacement[executable.getSymNameAttr()] = entry->second;
      executable.erase();
    }
    getOperation().walk([&](DispatchOp dispatch) {
      if (StringAttr name = replacement.lookup(dispatch.getExecutableAttr().getAttr()))
        dispatch.setExecutable(name);
    });
  }
};
} // namespace

std::unique_ptr<Pass> eyrie::graph::createMergeExecutablesPass() { return std::make_unique<MergeExecutablesPass>(); }

void eyrie::graph::registerGraphPasses() {
  registerPass([] { return createWidenElementsPass(); });
  registerPass([] { return createPropagateLayoutPass(); });
  registerPass([] { return createPlaceStatesPass(); });
  registerPass([] { return createAbsorbTransposesPass(); });
  registerPass([] { return createConvertWinogradPass([](const WinogradCandidate &) { return true; }); });
  registerPass([] { return createNarrowWeightsPass(/*isHalf=*/false); });
  PassPipelineRegistration<>("graph-narrow-factors", "graph-narrow-weights, and all that they are multiplied by",
                             [](OpPassManager &pm) {
                               auto always = [](linalg::GenericOp, unsigned, unsigned) { return true; };
                               pm.addPass(createNarrowWeightsPass(/*isHalf=*/false, always));
                             });
  registerPass([] { return createKeepSmallWeightsPass(); });
  registerPass([] { return createPackWeightsPass(nullptr); });
  registerPass([] { return createHoistConstantsPass(); });
  registerPass([] { return createFuseElementwisePass(); });
  registerPass([] { return createFormDispatchesPass([](const Attention &, int64_t) { return true; }); });
  registerPass([] { return createMergeExecutablesPass(); });
}
