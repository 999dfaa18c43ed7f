// vm-inline-workgroups: gives every dispatch its workgroup counts.
//
//   stream.dispatch @f (%n) ...        ->   %x = arith.ceildivsi %n, %c64
//                                           stream.dispatch @f workgroups(%x, %c1, %c1) (%n) ...
//
// The arithmetic is the body of a function in the executable, which a target has put there. Where variants of the
// executable count differently, `stream.variant` chooses; what they have in common, the simplifications behind this
// pass find.
#include "compiler/graph/Variants.h"
#include "compiler/stream/Stream.h"
#include "compiler/vm/Vm.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace eyrie;

namespace {

/// How variants of an executable count, up to the number `last` and from behind those before.
struct Counting {
  unsigned last;
  func::FuncOp func;
};

/// In the order of the variants; empty after an error.
SmallVector<Counting> findCountings(stream::DispatchOp op, SymbolTableCollection &symbols) {
  auto executable = symbols.lookupNearestSymbolFrom<graph::ExecutableOp>(op, op.getExecutableAttr());
  if (!executable) {
    op.emitOpError("refers to the executable @") << op.getExecutable() << ", which does not exist";
    return {};
  }
  SmallVector<Counting> countings;
  for (auto [i, variant] : llvm::enumerate(graph::getVariants(executable))) {
    func::FuncOp func;
    if (variant.workgroups)
      func = dyn_cast_or_null<func::FuncOp>(symbols.lookupSymbolIn(executable, variant.workgroups.getAttr()));
    if (!func || !func.getBody().hasOneBlock() || func.getNumArguments() != op.getConstants().size() ||
        func.getNumResults() != 3) {
      op.emitOpError("needs a function in its executable that takes ")
          << op.getConstants().size() << " indices and returns three, for variant " << i;
      return {};
    }
    if (countings.empty() || countings.back().func != func)
      countings.push_back({unsigned(i), func});
    countings.back().last = i;
  }
  if (countings.empty())
    op.emitOpError("has an executable @") << op.getExecutable() << " without code: the target has not compiled it";
  return countings;
}

SmallVector<Value> inlineCounts(OpBuilder &b, stream::DispatchOp op, func::FuncOp func) {
  IRMapping map;
  Block &body = func.getBody().front();
  map.map(body.getArguments(), op.getConstants());
  for (Operation &inner : body.without_terminator())
    b.clone(inner, map)->setLoc(op.getLoc());
  return llvm::map_to_vector(body.getTerminator()->getOperands(), [&](Value count) { return map.lookup(count); });
}

/// The counts of the variant that was loaded, whose number is `variant`: only its own arithmetic is run.
SmallVector<Value> emitCounts(OpBuilder &b, stream::DispatchOp op, ArrayRef<Counting> countings, Value variant) {
  const Counting &first = countings.front();
  if (countings.size() == 1)
    return inlineCounts(b, op, first.func);
  Location loc = op.getLoc();
  Value last = arith::ConstantIndexOp::create(b, loc, first.last);
  Value isOneOfThem = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ule, variant, last);
  auto choice = scf::IfOp::create(
      b, loc, isOneOfThem,
      [&](OpBuilder &inner, Location) { scf::YieldOp::create(inner, loc, inlineCounts(inner, op, first.func)); },
      [&](OpBuilder &inner, Location) {
        scf::YieldOp::create(inner, loc, emitCounts(inner, op, countings.drop_front(), variant));
      });
  return SmallVector<Value>(choice.getResults());
}

struct InlineWorkgroupsPass : PassWrapper<InlineWorkgroupsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(InlineWorkgroupsPass)
  StringRef getArgument() const override { return "vm-inline-workgroups"; }
  StringRef getDescription() const override { return "Gives every dispatch its workgroup counts"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<scf::SCFDialect, arith::ArithDialect>();
  }
  void runOnOperation() override {
    SymbolTableCollection symbols;
    WalkResult result = getOperation().walk([&](stream::DispatchOp op) {
      if (!op.getWorkgroups().empty())
        return WalkResult::advance();
      SmallVector<Counting> countings = findCountings(op, symbols);
      if (countings.empty())
        return WalkResult::interrupt();
      OpBuilder b(op);
      Value variant;
      if (countings.size() > 1)
        variant = stream::VariantOp::create(b, op.getLoc(), b.getIndexType(), op.getExecutableAttr());
      op.getWorkgroupsMutable().assign(emitCounts(b, op, countings, variant));
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
