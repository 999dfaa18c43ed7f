// vm-inline-workgroups: gives every dispatch its workgroup counts.
//
//   stream.dispatch @f (%n) ...        ->   %x = arith.ceildivsi %n, %c64
//                                           stream.dispatch @f workgroups(%x, %c1, %c1) (%n) ...
//
// The arithmetic is the body of `@f_workgroups` in the executable, which a target has put there.
#include "compiler/graph/Graph.h"
#include "compiler/stream/Stream.h"
#include "compiler/vm/Vm.h"
#include "mlir/Conversion/Passes.h"

using namespace mlir;
using namespace eyrie;

namespace {

func::FuncOp findWorkgroups(stream::DispatchOp op, SymbolTableCollection &symbols) {
  auto executable = symbols.lookupNearestSymbolFrom<graph::ExecutableOp>(op, op.getExecutableAttr());
  if (!executable) {
    op.emitOpError("refers to the executable @") << op.getExecutable() << ", which does not exist";
    return {};
  }
  auto name = StringAttr::get(op.getContext(), op.getExecutable() + "_workgroups");
  auto func = dyn_cast_or_null<func::FuncOp>(symbols.lookupSymbolIn(executable, name));
  if (!func || !func.getBody().hasOneBlock() || func.getNumArguments() != op.getConstants().size() ||
      func.getNumResults() != 3) {
    op.emitOpError("needs a function @") << name.getValue() << " in its executable that takes "
                                         << op.getConstants().size()
                                         << " indices and returns three: the target has not compiled it";
    return {};
  }
  return func;
}

struct InlineWorkgroupsPass : PassWrapper<InlineWorkgroupsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(InlineWorkgroupsPass)
  StringRef getArgument() const override { return "vm-inline-workgroups"; }
  StringRef getDescription() const override { return "Gives every dispatch its workgroup counts"; }
  void runOnOperation() override {
    SymbolTableCollection symbols;
    WalkResult result = getOperation().walk([&](stream::DispatchOp op) {
      if (!op.getWorkgroups().empty())
        return WalkResult::advance();
      func::FuncOp func = findWorkgroups(op, symbols);
      if (!func)
        return WalkResult::interrupt();
      OpBuilder b(op);
      IRMapping map;
      Block &body = func.getBody().front();
      map.map(body.getArguments(), op.getConstants());
      for (Operation &inner : body.without_terminator())
        b.clone(inner, map)->setLoc(op.getLoc());
      SmallVector<Value> counts;
      for (Value count : body.getTerminator()->getOperands())
        counts.push_back(map.lookup(count));
      op.getWorkgroupsMutable().assign(counts);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace

std::unique_ptr<Pass> vm::createInlineWorkgroupsPass() { return std::make_unique<InlineWorkgroupsPass>(); }

void vm::buildVmPipeline(OpPassManager &pm) {
  pm.addPass(createInlineWorkgroupsPass());
  pm.addNestedPass<func::FuncOp>(createLowerAffinePass());
  pm.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  pm.addNestedPass<func::FuncOp>(createCSEPass());
}

void vm::registerVmPasses() {
  registerPass(createInlineWorkgroupsPass);
  PassPipelineRegistration<>("vm-pipeline", "All passes of the vm room", buildVmPipeline);
}
