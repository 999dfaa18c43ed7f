#include "compiler/graph/Constants.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;

bool eyrie::graph::isConstantExpression(Value root) {
  llvm::SmallVector<Value> work{root};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!work.empty()) {
    Operation *op = work.pop_back_val().getDefiningOp();
    // An unpack is how a dispatch reads a packed weight: it is part of the dispatch, not of the constant.
    if (!op || isa<linalg::UnPackOp>(op) || isa<tensor::DimOp>(op) || op->hasAttr(kInKernel) || !isPure(op))
      return false;
    if (!seen.insert(op).second)
      continue;
    if (seen.size() > 4096)
      return false;
    llvm::append_range(work, op->getOperands());
    bool closed = true;
    for (Region &region : op->getRegions())
      region.walk([&](Operation *inner) {
        for (Value operand : inner->getOperands())
          if (!op->isProperAncestor(operand.getParentBlock()->getParentOp()) &&
              operand.getParentBlock()->getParentOp() != op)
            work.push_back(operand);
        closed &= isPure(inner) || inner->hasTrait<OpTrait::IsTerminator>();
      });
    if (!closed)
      return false;
  }
  return true;
}

llvm::SetVector<Operation *> eyrie::graph::getExpression(Value value) {
  llvm::SetVector<Operation *> slice;
  BackwardSliceOptions options;
  options.inclusive = true;
  options.omitUsesFromAbove = false;
  (void)getBackwardSlice(value, &slice, options);
  return slice;
}

llvm::ArrayRef<char> eyrie::graph::getHeldBytes(GlobalOp global) {
  if (auto resource = llvm::dyn_cast_or_null<DenseResourceElementsAttr>(global.getValueAttr())) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    return blob ? blob->getData() : llvm::ArrayRef<char>();
  }
  auto dense = llvm::dyn_cast_or_null<DenseElementsAttr>(global.getValueAttr());
  return dense ? dense.getRawData() : llvm::ArrayRef<char>();
}
