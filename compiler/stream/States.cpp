// Which arguments and results of functions are states (graph.h, kState), and the numbers of the others.
#include "compiler/graph/Graph.h"
#include "compiler/graph/Parameters.h"
#include "compiler/stream/Stream.h"

using namespace mlir;
using namespace eyrie;

StringAttr stream::getStateOfArgument(func::FuncOp func, unsigned i) {
  return func.getArgAttrOfType<StringAttr>(i, graph::kState);
}

StringAttr stream::getStateOfResult(func::FuncOp func, unsigned i) {
  return func.getResultAttrOfType<StringAttr>(i, graph::kState);
}

unsigned stream::getArgumentNumber(func::FuncOp func, unsigned i) {
  return llvm::count_if(llvm::seq(i), [&](unsigned earlier) { return !getStateOfArgument(func, earlier); });
}

unsigned stream::getResultNumber(func::FuncOp func, unsigned i) {
  return llvm::count_if(llvm::seq(i), [&](unsigned earlier) { return !getStateOfResult(func, earlier); });
}

llvm::SetVector<StringAttr> stream::getStates(ModuleOp module) {
  llvm::SetVector<StringAttr> states;
  for (auto func : module.getOps<func::FuncOp>()) {
    for (unsigned i = 0; i < func.getNumArguments(); ++i)
      if (StringAttr state = getStateOfArgument(func, i))
        states.insert(state);
    for (unsigned i = 0; i < func.getNumResults(); ++i)
      if (StringAttr state = getStateOfResult(func, i))
        states.insert(state);
  }
  return states;
}

bool stream::isParameter(Operation *global) {
  return global->hasAttr(graph::kParameter) || global->hasAttr(graph::kDerivedBy);
}

llvm::SetVector<StringAttr> stream::getParameters(ModuleOp module) {
  llvm::SetVector<StringAttr> parameters;
  for (auto global : module.getOps<graph::GlobalOp>())
    if (isParameter(global))
      parameters.insert(global.getSymNameAttr());
  return parameters;
}
