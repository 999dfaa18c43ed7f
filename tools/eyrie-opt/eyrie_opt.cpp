// mlir-opt with Eyrie's dialects and passes: for development and for the rooms' lit tests.
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "compiler/module/Module.h"
#include "compiler/stream/Stream.h"
#include "compiler/target/Target.h"
#include "compiler/vm/Vm.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char** argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  registry.insert<eyrie::graph::GraphDialect>();
  eyrie::graph::registerGraphPasses();
  eyrie::stream::registerStreamDialect(registry);
  eyrie::stream::registerStreamPasses();
  eyrie::target::registerTargetDialects(registry);
  eyrie::target::registerTargetPasses();
  eyrie::vm::registerVmPasses();
  eyrie::module::registerModulePasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Eyrie's optimiser driver\n", registry));
}
