#include "mlir/Conversion/Passes.h"
#include "compiler/stream/Stream.h"
#include "mlir/Dialect/SCF/Transforms/Passes.h"

using namespace mlir;
using namespace eyrie::stream;

void eyrie::stream::buildStreamPipeline(OpPassManager &pm) {
  pm.addNestedPass<func::FuncOp>(createForToWhileLoopPass());
  pm.addPass(createConvertGraphPass());
  // Sizes as plain arithmetic, so that stream-plan-memory can compare them.
  pm.addNestedPass<func::FuncOp>(createLowerAffinePass());
  pm.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  pm.addNestedPass<func::FuncOp>(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createSchedulePass());
  pm.addNestedPass<func::FuncOp>(createPlanMemoryPass());
  pm.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  pm.addNestedPass<func::FuncOp>(createCSEPass());
}

void eyrie::stream::registerStreamPasses() {
  registerPass(createConvertGraphPass);
  registerPass(createSchedulePass);
  registerPass(createPlanMemoryPass);
  PassPipelineRegistration<>("stream-pipeline", "All passes of the stream room", buildStreamPipeline);
}
