// The lowering that takes everything: one-shot bufferisation, then plain loops, all in one workgroup.
#include "compiler/target/Target.h"
#include "compiler/target/common/KernelPasses.h"
#include "mlir/Dialect/Arith/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Bufferization/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/SCF/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/IR/TensorTilingInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"

using namespace mlir;
using namespace eyrie::target;

/// The largest buffer that may live on the stack, and all of them together.
static constexpr int64_t kStackBytes = 16 << 10;

/// Copies the tensor function's body into the kernel: bindings are read and written through their tensors.
static void moveBodyToKernel(func::FuncOp tensorFunc, func::FuncOp kernel) {
  OpBuilder b(kernel.getBody().front().getTerminator());
  Location loc = kernel.getLoc();
  IRMapping mapping;
  unsigned tensors = llvm::count_if(tensorFunc.getArgumentTypes(), llvm::IsaPred<RankedTensorType>);
  unsigned results = tensorFunc.getNumResults();
  for (auto [i, arg] : llvm::enumerate(tensorFunc.getArguments())) {
    Value value = kernel.getArgument(i < tensors ? i : i + results);
    if (i < tensors)
      value = bufferization::ToTensorOp::create(b, loc, arg.getType(), value, /*restrict=*/true, /*writable=*/false);
    mapping.map(arg, value);
  }
  for (Operation &op : tensorFunc.getBody().front().without_terminator())
    b.clone(op, mapping);
  for (auto [i, value] : llvm::enumerate(tensorFunc.getBody().front().getTerminator()->getOperands()))
    bufferization::MaterializeInDestinationOp::create(b, loc, TypeRange(), mapping.lookup(value),
                                                      kernel.getArgument(tensors + i), /*restrict=*/true,
                                                      /*writable=*/true);
}

/// Rewrites what does not bufferise into what does.
static LogicalResult decompose(func::FuncOp kernel) {
  IRRewriter rewriter(kernel.getContext());
  SmallVector<Operation *> packs;
  kernel.walk([&](Operation *op) {
    if (isa<linalg::PackOp, linalg::UnPackOp>(op))
      packs.push_back(op);
  });
  for (Operation *op : packs) {
    rewriter.setInsertionPoint(op);
    if (auto pack = dyn_cast<linalg::PackOp>(op)) {
      if (failed(linalg::lowerPack(rewriter, pack)))
        return op->emitError("cannot lower this packing");
    } else if (failed(linalg::lowerUnPack(rewriter, cast<linalg::UnPackOp>(op)))) {
      return op->emitError("cannot lower this unpacking");
    }
  }
  RewritePatternSet patterns(kernel.getContext());
  tensor::populateDecomposeTensorConcatPatterns(patterns);
  linalg::populateDecomposePadPatterns(patterns);
  return applyPatternsGreedily(kernel, std::move(patterns));
}

/// Buffers that are left: on the stack if small, else in the workgroup's private memory.
static LogicalResult placeBuffers(ModuleOp module, func::FuncOp kernel, bool dynamicStack) {
  Block *entry = &kernel.getBody().front();
  SmallVector<memref::AllocOp> allocs;
  kernel.walk([&](memref::AllocOp op) { allocs.push_back(op); });
  kernel.walk([](memref::DeallocOp op) { op.erase(); });
  int64_t local = 0, stack = 0;
  for (memref::AllocOp alloc : allocs) {
    MemRefType type = alloc.getType();
    if (!type.hasStaticShape() && dynamicStack) {
      OpBuilder b(alloc);
      alloc.replaceAllUsesWith(
          memref::AllocaOp::create(b, alloc.getLoc(), type, alloc.getDynamicSizes(), b.getI64IntegerAttr(64))
              .getResult());
      alloc.erase();
      continue;
    }
    if (!type.hasStaticShape())
      return alloc.emitError() << "needs an intermediate tensor of a size that is known only at run time, " << type
                               << "; give the model's inputs fixed shapes (--shape)";
    unsigned bits = type.getElementType().isIndex() ? 64 : type.getElementTypeBitWidth();
    int64_t bytes = llvm::alignTo(type.getNumElements() * ((bits + 7) / 8), 64);
    OpBuilder b = OpBuilder::atBlockBegin(entry);
    Value buffer;
    if (stack + bytes <= kStackBytes) {
      buffer = memref::AllocaOp::create(b, alloc.getLoc(), type, b.getI64IntegerAttr(64));
      stack += bytes;
    } else {
      Value offset = arith::ConstantIndexOp::create(b, alloc.getLoc(), local);
      Value memory = entry->getArgument(entry->getNumArguments() - 1);
      buffer = memref::ViewOp::create(b, alloc.getLoc(), type, memory, offset, ValueRange());
      local += bytes;
    }
    alloc.replaceAllUsesWith(buffer);
    alloc.erase();
  }
  if (local)
    module->setAttr(kLocalMemory, OpBuilder(module).getI64IntegerAttr(local));
  return success();
}

LogicalResult eyrie::target::bufferizeKernel(ModuleOp module, func::FuncOp tensorFunc, bool dynamicStack) {
  func::FuncOp kernel = createKernelFunctions(tensorFunc).kernel;
  moveBodyToKernel(tensorFunc, kernel);
  tensorFunc.erase();
  IRRewriter rewriter(module.getContext());
  if (failed(decompose(kernel)) || failed(bufferization::eliminateEmptyTensors(rewriter, kernel)))
    return failure();

  bufferization::OneShotBufferizationOptions options;
  options.memCpyFn = [](OpBuilder &b, Location loc, Value from, Value to) {
    linalg::makeMemRefCopyOp(b, loc, from, to);
    return success();
  };
  bufferization::BufferizationState state;
  if (failed(bufferization::runOneShotBufferize(kernel, options, state)) ||
      failed(placeBuffers(module, kernel, dynamicStack)))
    return failure();

  // memref.copy comes from operations that copy by themselves.
  kernel.walk([&](memref::CopyOp copy) {
    rewriter.setInsertionPoint(copy);
    linalg::makeMemRefCopyOp(rewriter, copy.getLoc(), copy.getSource(), copy.getTarget());
    copy.erase();
  });
  SmallVector<linalg::LinalgOp> ops;
  kernel.walk([&](linalg::LinalgOp op) { ops.push_back(op); });
  for (linalg::LinalgOp op : ops) {
    rewriter.setInsertionPoint(op);
    if (failed(linalg::linalgOpToLoops(rewriter, op)))
      return op.emitError("cannot be lowered to loops");
    rewriter.eraseOp(op);
  }
  return success();
}
