#include "compiler/target/cpu/LowerKernel.h"
using namespace mlir;
LogicalResult eyrie::target::cpu::lowerToLoops(Kernel &, const CpuTargetModel &, std::string &) { return failure(); }
