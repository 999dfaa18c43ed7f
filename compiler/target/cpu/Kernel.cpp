#include "compiler/target/cpu/Kernel.h"
#include "compiler/graph/Graph.h"
#include "compiler/target/Target.h"
#include "compiler/target/common/KernelPasses.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::target;
using namespace eyrie::target::cpu;

Kernel Kernel::create(func::FuncOp tensorFunc) {
  Kernel kernel;
  kernel.tensorFunc = tensorFunc;
  kernel.numArgs = llvm::count_if(tensorFunc.getArgumentTypes(), llvm::IsaPred<RankedTensorType>);
  kernel.numIndices = tensorFunc.getNumArguments() - kernel.numArgs;
  KernelFunctions functions = createKernelFunctions(tensorFunc);
  kernel.func = functions.kernel;
  kernel.workgroups = functions.workgroups;
  return kernel;
}

void Kernel::abandon() {
  std::string name = func.getSymName().str();
  func.erase();
  workgroups.erase();
  tensorFunc.setSymName(name);
  tensorFunc->getParentOp()->removeAttr(kLocalMemory);
}

void Kernel::setLocalBytes(int64_t bytes) {
  func->getParentOp()->setAttr(kLocalMemory, OpBuilder(func).getI64IntegerAttr(bytes));
}

OpBuilder Kernel::bodyBuilder() { return OpBuilder(func.getBody().front().getTerminator()); }
OpBuilder Kernel::workgroupsBuilder() { return OpBuilder(workgroups.getBody().front().getTerminator()); }

void Kernel::setWorkgroups(ArrayRef<Value> xyz) {
  Operation *terminator = workgroups.getBody().front().getTerminator();
  for (auto [i, count] : llvm::enumerate(xyz))
    terminator->setOperand(i, count);
}

OpFoldResult Kernel::bindingSize(unsigned i, unsigned dim, bool inWorkgroups) {
  auto type = cast<MemRefType>(func.getArgumentTypes()[i]);
  if (!type.isDynamicDim(dim))
    return OpBuilder(func).getIndexAttr(type.getDimSize(dim));
  auto list = func->getAttrOfType<ArrayAttr>(i < numArgs ? StringRef(graph::kArgDims) : StringRef(graph::kResultDims));
  auto dims = cast<ArrayAttr>(list[i < numArgs ? i : i - numArgs]);
  unsigned constantIndex = cast<IntegerAttr>(dims[type.getDynamicDimIndex(dim)]).getInt();
  return inWorkgroups ? workgroupsConstant(constantIndex) : constant(constantIndex);
}
