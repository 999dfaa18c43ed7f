#include "compiler/graph/Graph.h"
#include "compiler/graph/SizeFacts.h"
#include "compiler/target/common/KernelPasses.h"

using namespace mlir;
using namespace eyrie::target;

KernelFunctions eyrie::target::createKernelFunctions(func::FuncOp tensorFunc) {
  std::string name = tensorFunc.getSymName().str();
  tensorFunc.setSymName(name + ".tensor");
  OpBuilder b(tensorFunc.getContext());
  b.setInsertionPointAfter(tensorFunc);
  Location loc = tensorFunc.getLoc();

  SmallVector<Type> bindings, indices;
  auto addBinding = [&](Type type) {
    auto tensor = cast<RankedTensorType>(type);
    bindings.push_back(MemRefType::get(tensor.getShape(), tensor.getElementType()));
  };
  for (Type type : tensorFunc.getArgumentTypes())
    if (isa<RankedTensorType>(type))
      addBinding(type);
    else
      indices.push_back(type);
  for (Type type : tensorFunc.getResultTypes())
    addBinding(type);

  SmallVector<Type> inputs(bindings);
  llvm::append_range(inputs, indices);
  inputs.append(3, b.getIndexType());
  inputs.push_back(MemRefType::get({ShapedType::kDynamic}, b.getI8Type()));
  KernelFunctions functions;
  functions.kernel = func::FuncOp::create(b, loc, name, b.getFunctionType(inputs, {}));
  functions.kernel->setAttr(kKernel, b.getUnitAttr());
  for (StringRef name : {StringRef(graph::kArgDims), StringRef(graph::kResultDims), StringRef(graph::kArgSizes)})
    if (Attribute value = tensorFunc->getAttr(name))
      functions.kernel->setAttr(name, value);
  OpBuilder inside = OpBuilder::atBlockBegin(functions.kernel.addEntryBlock());
  func::ReturnOp::create(inside, loc);

  SmallVector<Type> counts(3, b.getIndexType());
  functions.workgroups = func::FuncOp::create(b, loc, name + "_workgroups", b.getFunctionType(indices, counts));
  inside = OpBuilder::atBlockBegin(functions.workgroups.addEntryBlock());
  Value one = arith::ConstantIndexOp::create(inside, loc, 1);
  func::ReturnOp::create(inside, loc, ValueRange{one, one, one});
  return functions;
}
