// Booleans in memory become bytes of value 0 or 1: LLVM's vectors of i1 are packed bits in memory, tensors are not.
//
//   %b = memref.load %m[%i] : memref<?xi1>    ──►    %0 = memref.load %m[%i] : memref<?xi8>
//                                                    %b = arith.trunci %0 : i8 to i1
#include "compiler/target/common/KernelPasses.h"

using namespace mlir;

namespace {
Type bytesFor(Type type) {
  if (auto memref = dyn_cast<MemRefType>(type); memref && memref.getElementType().isInteger(1))
    return MemRefType::get(memref.getShape(), IntegerType::get(type.getContext(), 8), memref.getLayout(),
                           memref.getMemorySpace());
  return type;
}

Type withElement(Type like, Type element) {
  if (auto vector = dyn_cast<VectorType>(like))
    return vector.clone(element);
  return element;
}

struct BoolsToBytesPass : PassWrapper<BoolsToBytesPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(BoolsToBytesPass)
  StringRef getArgument() const override { return "target-bools-to-bytes"; }
  StringRef getDescription() const override { return "Store booleans as bytes"; }

  void runOnOperation() override {
    getOperation().walk([](func::FuncOp func) {
      SmallVector<Type> inputs = llvm::map_to_vector(func.getArgumentTypes(), bytesFor);
      func.setType(FunctionType::get(func.getContext(), inputs, func.getResultTypes()));
      for (Block &block : func.getBody())
        for (BlockArgument arg : block.getArguments())
          arg.setType(bytesFor(arg.getType()));
    });
    getOperation().walk([](Operation *op) {
      for (Value result : op->getResults())
        result.setType(bytesFor(result.getType()));
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (BlockArgument arg : block.getArguments())
            arg.setType(bytesFor(arg.getType()));
    });
    Type byte = IntegerType::get(&getContext(), 8);
    getOperation().walk([&](Operation *op) {
      OpBuilder b(op);
      auto storeBytes = [&](OpOperand &value) {
        if (getElementTypeOrSelf(value.get().getType()).isInteger(1))
          value.set(arith::ExtUIOp::create(b, op->getLoc(), withElement(value.get().getType(), byte), value.get()));
      };
      auto loadBytes = [&](Value result) {
        Type type = result.getType();
        if (!getElementTypeOrSelf(type).isInteger(1))
          return;
        result.setType(withElement(type, byte));
        b.setInsertionPointAfter(op);
        auto truth = arith::TruncIOp::create(b, op->getLoc(), type, result);
        result.replaceAllUsesExcept(truth, truth);
      };
      if (auto load = dyn_cast<memref::LoadOp>(op)) {
        loadBytes(load.getResult());
      } else if (auto load = dyn_cast<vector::LoadOp>(op)) {
        loadBytes(load.getResult());
      } else if (auto load = dyn_cast<vector::MaskedLoadOp>(op)) {
        storeBytes(load.getPassThruMutable());
        loadBytes(load.getResult());
      } else if (auto gather = dyn_cast<vector::GatherOp>(op)) {
        storeBytes(gather.getPassThruMutable());
        loadBytes(gather.getResult());
      } else if (auto store = dyn_cast<memref::StoreOp>(op)) {
        storeBytes(store.getValueMutable());
      } else if (auto store = dyn_cast<vector::StoreOp>(op)) {
        storeBytes(store.getValueToStoreMutable());
      } else if (auto store = dyn_cast<vector::MaskedStoreOp>(op)) {
        storeBytes(store.getValueToStoreMutable());
      } else if (auto scatter = dyn_cast<vector::ScatterOp>(op)) {
        storeBytes(scatter.getValueToStoreMutable());
      }
    });
  }
};
} // namespace

std::unique_ptr<Pass> eyrie::target::createBoolsToBytesPass() { return std::make_unique<BoolsToBytesPass>(); }
