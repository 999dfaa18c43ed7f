// stream-schedule: puts barriers between commands that depend on each other.
//
//   stream.dispatch @a () ins(%x) outs(%t0)        stream.dispatch @a () ins(%x) outs(%t0)
//   stream.dispatch @b () ins(%x) outs(%t1)   ->   stream.dispatch @b () ins(%x) outs(%t1)
//   stream.dispatch @c () ins(%t0, %t1) ...        stream.barrier
//                                                  stream.dispatch @c () ins(%t0, %t1) ...
//
// Program order is kept; a barrier is placed only before a command that reads or writes what a command since the last
// barrier writes, or writes what one reads. Runs before memory is planned: every transient is still its own resource,
// and stream-plan-memory lets tensors share memory only across barriers, so no new dependences appear. A branch starts
// and ends with nothing outstanding.
#include "compiler/stream/HostValues.h"
#include "compiler/stream/Stream.h"

using namespace mlir;
using namespace eyrie::stream;

namespace {

struct Access {
  Value resource;
  bool isWrite;
};

SmallVector<Access> getAccesses(Operation *op) {
  SmallVector<Access> accesses;
  if (auto dispatch = dyn_cast<DispatchOp>(op)) {
    for (auto [i, resource] : llvm::enumerate(dispatch.getResources()))
      accesses.push_back({resource, dispatch.isWrite(i)});
  } else if (auto copy = dyn_cast<CopyOp>(op)) {
    accesses = {{copy.getSource(), false}, {copy.getTarget(), true}};
  } else if (auto extend = dyn_cast<ExtendOp>(op)) {
    accesses = {{extend.getSource(), false}}; // what it writes lies in front of what anybody else writes
  } else if (auto fill = dyn_cast<FillOp>(op)) {
    accesses = {{fill.getTarget(), true}};
  }
  return accesses;
}

class Scheduler {
public:
  void run(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (isa<BarrierOp>(op)) {
        op.erase(); // one of an earlier run
      } else if (isa<ReadScalarOp, HostCallOp>(op)) {
        clear(); // waits for everything
      } else if (op.getNumRegions() != 0) {
        flush(&op);
        for (Region &region : op.getRegions())
          for (Block &inner : region) {
            run(inner);
            flush(inner.getTerminator());
          }
      } else if (auto insert = dyn_cast<ListInsertOp>(op)) {
        // Whoever takes it out of the list again has another name for the resource.
        if (written.contains(insert.getResource()))
          flush(&op);
      } else {
        SmallVector<Access> accesses = getAccesses(&op);
        if (llvm::any_of(accesses, [&](Access access) { return conflicts(access); }))
          flush(&op);
        for (Access access : accesses)
          (access.isWrite ? written : read).insert(access.resource);
      }
    }
  }

private:
  bool conflicts(Access access) const {
    return written.contains(access.resource) || (access.isWrite && read.contains(access.resource));
  }
  void clear() {
    written.clear();
    read.clear();
  }
  void flush(Operation *before) {
    if (written.empty() && read.empty())
      return;
    OpBuilder b(before);
    BarrierOp::create(b, before->getLoc());
    clear();
  }

  llvm::SmallDenseSet<Value> written, read;
};

struct SchedulePass : PassWrapper<SchedulePass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SchedulePass)
  StringRef getArgument() const override { return "stream-schedule"; }
  StringRef getDescription() const override { return "Puts barriers between commands that depend on each other"; }
  void getDependentDialects(DialectRegistry &registry) const override { registry.insert<StreamDialect>(); }
  void runOnOperation() override {
    if (!getOperation().isExternal())
      Scheduler().run(getOperation().getBody().front());
  }
};
} // namespace

std::unique_ptr<Pass> eyrie::stream::createSchedulePass() { return std::make_unique<SchedulePass>(); }
