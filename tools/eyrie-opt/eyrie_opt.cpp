// mlir-opt with Eyrie's dialects and passes: for development and for the rooms' lit tests.
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  registry.insert<eyrie::graph::GraphDialect>();
  eyrie::graph::registerGraphPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Eyrie's optimiser driver\n", registry));
}
