// Kernel functions to the LLVM dialect, with the entry point of abi/kernel.h.
//
//   func.func @fc(%x: memref<?x8xf32>, …) {eyrie.kernel}   ──►   llvm.func @fc(%dispatch: ptr, i32, i32, i32, ptr) ->
//   i32
//                                                                 llvm.func internal @fc.body(ptr noalias, …, i64, …)
//
// The body is a function of its own, so that `noalias` on its pointers tells LLVM that bindings do not overlap.
#include "compiler/graph/Graph.h"
#include "compiler/graph/SizeFacts.h"
#include "compiler/target/common/KernelPasses.h"
#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Linalg/Transforms/SubsetInsertionOpInterfaceImpl.h"
#include "mlir/Dialect/Linalg/Transforms/TilingInterfaceImpl.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/IR/TensorInferTypeOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/SubsetInsertionOpInterfaceImpl.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::target;

namespace {
/// Sizes of a binding: constants, or index arguments that the dims attribute names.
SmallVector<Value> sizesOf(OpBuilder &b, Location loc, MemRefType type, Attribute dims, ArrayRef<Value> indices) {
  SmallVector<Value> sizes;
  auto list = dyn_cast_if_present<ArrayAttr>(dims);
  unsigned next = 0;
  for (int64_t size : type.getShape()) {
    if (ShapedType::isStatic(size)) {
      sizes.push_back(LLVM::ConstantOp::create(b, loc, b.getI64Type(), b.getI64IntegerAttr(size)));
      continue;
    }
    sizes.push_back(indices[cast<IntegerAttr>(list[next++]).getInt()]);
  }
  return sizes;
}

/// A dense memref over `pointer`.
Value makeMemRef(OpBuilder &b, Location loc, const LLVMTypeConverter &converter, MemRefType type, Value pointer,
                 ArrayRef<Value> sizes) {
  Type descriptorType = converter.convertType(type);
  MemRefDescriptor descriptor = MemRefDescriptor::poison(b, loc, descriptorType);
  descriptor.setAllocatedPtr(b, loc, pointer);
  descriptor.setAlignedPtr(b, loc, pointer);
  descriptor.setConstantOffset(b, loc, 0);
  Value stride = LLVM::ConstantOp::create(b, loc, b.getI64Type(), b.getI64IntegerAttr(1));
  for (int64_t i = type.getRank() - 1; i >= 0; --i) {
    descriptor.setSize(b, loc, i, sizes[i]);
    descriptor.setStride(b, loc, i, stride);
    if (i > 0)
      stride = LLVM::MulOp::create(b, loc, stride, sizes[i]);
  }
  return UnrealizedConversionCastOp::create(b, loc, type, Value(descriptor)).getResult(0);
}

/// Replaces the kernel's signature by pointers and integers and adds the entry point.
LogicalResult makeEntryPoint(func::FuncOp kernel, const LLVMTypeConverter &converter, unsigned pointerBytes) {
  MLIRContext *context = kernel.getContext();
  Location loc = kernel.getLoc();
  std::string name = kernel.getSymName().str();
  auto pointer = LLVM::LLVMPointerType::get(context);
  OpBuilder b(context);
  Type i32 = b.getI32Type(), i64 = b.getI64Type();

  unsigned numBindings = llvm::count_if(kernel.getArgumentTypes(), llvm::IsaPred<MemRefType>) - 1;
  unsigned numIndices = kernel.getNumArguments() - numBindings - 4;
  auto argDims = kernel->getAttrOfType<ArrayAttr>(graph::kArgDims);
  auto resultDims = kernel->getAttrOfType<ArrayAttr>(graph::kResultDims);
  auto dimsOf = [&](unsigned binding) -> Attribute {
    unsigned inputs = argDims ? argDims.size() : 0;
    // Tensors come first: the attribute of the arguments may list index arguments, too.
    unsigned numResults = resultDims ? resultDims.size() : 0;
    inputs = std::min(inputs, numBindings - numResults);
    if (binding < inputs)
      return argDims[binding];
    return resultDims && binding - inputs < resultDims.size() ? resultDims[binding - inputs] : Attribute();
  };

  // The body: pointers, then index arguments and workgroup ids as i64, then the private memory.
  Block *entry = &kernel.getBody().front();
  kernel.setSymName(name + ".body");
  kernel.setPrivate();
  SmallVector<Type> types(numBindings, pointer);
  types.append(numIndices + 3, i64);
  types.push_back(pointer);
  SmallVector<Value> old(entry->getArguments()), fresh, indices;
  for (Type type : types)
    fresh.push_back(entry->addArgument(type, loc));
  b.setInsertionPointToStart(entry);
  auto argSizes = kernel->getAttrOfType<ArrayAttr>(graph::kArgSizes);
  for (unsigned i = 0; i < numIndices; ++i) {
    // Clearing bits that are 0 tells LLVM so.
    uint64_t divisor = graph::sizeFromAttr(argSizes, i).divisor;
    Value &index = fresh[numBindings + i];
    if (uint64_t power = divisor & -divisor; power > 1)
      index = LLVM::AndOp::create(b, loc, index,
                                  LLVM::ConstantOp::create(b, loc, i64, b.getI64IntegerAttr(-int64_t(power))));
    indices.push_back(index);
  }
  for (auto [i, arg] : llvm::enumerate(old)) {
    Value value;
    if (i < numBindings) {
      auto type = cast<MemRefType>(arg.getType());
      auto dims = dyn_cast_if_present<ArrayAttr>(dimsOf(i));
      if (!type.hasStaticShape() &&
          (!dims || static_cast<int64_t>(dims.size()) != static_cast<int64_t>(type.getNumDynamicDims())))
        return kernel.emitError() << "binding " << i << " has dynamic dimensions that "
                                  << "graph.arg_dims/graph.result_dims do not name";
      value = makeMemRef(b, loc, converter, type, fresh[i], sizesOf(b, loc, type, dims, indices));
    } else if (i + 1 < old.size()) {
      value = arith::IndexCastOp::create(b, loc, b.getIndexType(), fresh[i]);
    } else {
      Value size = LLVM::ConstantOp::create(b, loc, i64, b.getI64IntegerAttr(INT64_MAX));
      value = makeMemRef(b, loc, converter, cast<MemRefType>(arg.getType()), fresh[i], {size});
    }
    arg.replaceAllUsesWith(value);
  }
  entry->eraseArguments(0, old.size());
  kernel.setType(b.getFunctionType(types, {}));
  kernel.removeArgAttrsAttr();
  for (unsigned i = 0; i < numBindings; ++i)
    kernel.setArgAttr(i, "llvm.noalias", b.getUnitAttr());
  kernel.setArgAttr(types.size() - 1, "llvm.noalias", b.getUnitAttr());
  kernel->setAttr("llvm.linkage", LLVM::LinkageAttr::get(context, LLVM::Linkage::Internal));
  kernel->setAttr("passthrough", b.getStrArrayAttr({"noinline", "nounwind"}));
  for (StringRef attr :
       {StringRef(kKernel), StringRef(graph::kArgDims), StringRef(graph::kResultDims), StringRef(graph::kArgSizes)})
    kernel->removeAttr(attr);

  // The entry point.
  b.setInsertionPointAfter(kernel);
  auto outer =
      LLVM::LLVMFuncOp::create(b, loc, name, LLVM::LLVMFunctionType::get(i32, {pointer, i32, i32, i32, pointer}));
  Block *block = outer.addEntryBlock(b);
  b.setInsertionPointToStart(block);
  auto field = [&](Value base, int64_t offset, Type type) -> Value {
    Value address = LLVM::GEPOp::create(b, loc, pointer, b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{(int32_t)offset});
    return LLVM::LoadOp::create(b, loc, type, address);
  };
  SmallVector<Value> args;
  Value dispatch = block->getArgument(0);
  Value bindings = numBindings ? field(dispatch, 0, pointer) : Value();
  Value constants = numIndices ? field(dispatch, pointerBytes, pointer) : Value();
  for (unsigned i = 0; i < numBindings; ++i)
    args.push_back(field(bindings, pointerBytes * i, pointer));
  for (unsigned i = 0; i < numIndices; ++i)
    args.push_back(field(constants, 8 * i, i64));
  for (unsigned i = 0; i < 3; ++i)
    args.push_back(LLVM::ZExtOp::create(b, loc, i64, block->getArgument(1 + i)));
  args.push_back(block->getArgument(4));
  func::CallOp::create(b, loc, kernel, args);
  LLVM::ReturnOp::create(b, loc, LLVM::ConstantOp::create(b, loc, i32, b.getI32IntegerAttr(0)));
  return success();
}

/// Steps that need the greedy driver: n-D vectors to 1-D, subviews to offsets, arithmetic to simpler arithmetic.
LogicalResult simplify(ModuleOp module) {
  MLIRContext *context = module.getContext();
  RewritePatternSet patterns(context);
  vector::VectorTransformsOptions options;
  options.setVectorTransposeLowering(vector::VectorTransposeLowering::Shuffle16x16);
  vector::populateVectorContractLoweringPatterns(patterns, vector::VectorContractLowering::OuterProduct);
  vector::populateVectorOuterProductLoweringPatterns(patterns);
  vector::populateVectorTransposeLoweringPatterns(patterns, vector::VectorTransposeLowering::Shuffle16x16);
  vector::populateVectorBroadcastLoweringPatterns(patterns);
  vector::populateVectorMaskOpLoweringPatterns(patterns);
  vector::populateVectorShapeCastLoweringPatterns(patterns);
  vector::populateVectorFromElementsUnrollPatterns(patterns);
  vector::populateVectorInsertExtractStridedSliceTransforms(patterns);
  vector::populateVectorStepLoweringPatterns(patterns);
  vector::populateVectorRankReducingFMAPattern(patterns);
  vector::populateVectorMaskMaterializationPatterns(patterns, /*force32BitVectorIndices=*/false);
  memref::populateExpandStridedMetadataPatterns(patterns);
  arith::populateCeilFloorDivExpandOpsPatterns(patterns);
  populateAffineToStdConversionPatterns(patterns);
  return applyPatternsGreedily(module, std::move(patterns));
}

/// `type` with integers in the place of bf16.
Type withoutBf16(Type type) {
  Type bits = IntegerType::get(type.getContext(), 16);
  if (auto shaped = dyn_cast<ShapedType>(type))
    return shaped.getElementType().isBF16() ? shaped.clone(bits) : type;
  return type.isBF16() ? bits : type;
}

/// Arithmetic on bf16 has been expanded; what is left moves it, and moves its bits as well. Where bf16 is no type of
/// the processor, LLVM would compute even a select in f32, and call a function to round the result. What is LLVM's
/// already, as the operands of an instruction are, stays.
void moveBf16AsBits(ModuleOp module) {
  module.walk([](Operation *op) {
    if (isa_and_nonnull<LLVM::LLVMDialect>(op->getDialect()))
      return;
    for (Value result : op->getResults())
      result.setType(withoutBf16(result.getType()));
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (BlockArgument argument : block.getArguments())
          argument.setType(withoutBf16(argument.getType()));
    if (auto func = dyn_cast<func::FuncOp>(op)) {
      SmallVector<Type> inputs = llvm::map_to_vector(func.getArgumentTypes(), withoutBf16);
      func.setFunctionType(FunctionType::get(op->getContext(), inputs, func.getResultTypes()));
    } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      Type bits = IntegerType::get(op->getContext(), 16);
      if (auto number = dyn_cast<FloatAttr>(constant.getValue()); number && number.getType().isBF16())
        constant.setValueAttr(IntegerAttr::get(bits, number.getValue().bitcastToAPInt()));
      else if (auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
               elements && elements.getElementType().isBF16())
        constant.setValueAttr(elements.bitcast(bits));
    } else if (auto cast = dyn_cast<arith::BitcastOp>(op); cast && cast.getIn().getType() == cast.getType()) {
      cast.replaceAllUsesWith(cast.getIn());
      cast.erase();
    }
  });
}

struct ConvertKernelToLlvmPass : PassWrapper<ConvertKernelToLlvmPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertKernelToLlvmPass)
  explicit ConvertKernelToLlvmPass(unsigned pointerBytes) : pointerBytes(pointerBytes) {}
  StringRef getArgument() const override { return "target-convert-kernel-to-llvm"; }
  StringRef getDescription() const override { return "Lower kernel functions to the LLVM dialect"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<LLVM::LLVMDialect, cf::ControlFlowDialect>();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    MLIRContext *context = &getContext();
    if (failed(simplify(module)))
      return signalPassFailure();
    LowerToLLVMOptions options(context);
    LLVMTypeConverter converter(context, options);
    moveBf16AsBits(module);

    // The workgroup function stays as it is: it belongs to the host program.
    SmallVector<func::FuncOp> kernels, others;
    for (auto func : module.getOps<func::FuncOp>())
      (func->hasAttr(kKernel) ? kernels : others).push_back(func);
    for (func::FuncOp kernel : kernels)
      if (failed(makeEntryPoint(kernel, converter, pointerBytes)))
        return signalPassFailure();

    RewritePatternSet patterns(context);
    populateSCFToControlFlowConversionPatterns(patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    populateMathToLLVMConversionPatterns(converter, patterns);
    index::populateIndexToLLVMConversionPatterns(converter, patterns);
    ub::populateUBToLLVMConversionPatterns(converter, patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
    populateVectorToLLVMConversionPatterns(converter, patterns, /*reassociateFPReductions=*/true);
    populateFuncToLLVMConversionPatterns(converter, patterns);
    LLVMConversionTarget target(*context);
    target.addLegalOp<UnrealizedConversionCastOp>();
    target.addLegalOp<ModuleOp>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return false; });
    SmallVector<Operation *> ops;
    for (Operation &op : *module.getBody())
      if (!llvm::is_contained(others, &op))
        ops.push_back(&op);
    if (failed(applyFullConversion(ops, target, std::move(patterns))))
      return signalPassFailure();
    SmallVector<UnrealizedConversionCastOp> casts;
    for (Operation *op : module.getOps<LLVM::LLVMFuncOp>())
      op->walk([&](UnrealizedConversionCastOp cast) { casts.push_back(cast); });
    reconcileUnrealizedCasts(casts);
  }

private:
  unsigned pointerBytes;
};
} // namespace

std::unique_ptr<Pass> eyrie::target::createConvertKernelToLlvmPass(unsigned pointerBytes) {
  return std::make_unique<ConvertKernelToLlvmPass>(pointerBytes);
}

void eyrie::target::buildKernelToLlvmPipeline(OpPassManager &module, const ArithmeticModel &model,
                                              unsigned pointerBytes) {
  if (model.tables != ByteTables::None)
    module.addPass(createTabulateBytesPass(model.tables));
  if (model.shorten)
    module.addPass(createShortenQuantizationPass(model));
  module.addPass(createExpandMathPass(model));
  module.addPass(createBoolsToBytesPass());
  module.addPass(createCanonicalizerPass());
  module.addPass(createCSEPass());
  module.addPass(createConvertKernelToLlvmPass(pointerBytes));
}

void eyrie::target::registerKernelDialects(DialectRegistry &registry) {
  registry.insert<affine::AffineDialect, arith::ArithDialect, bufferization::BufferizationDialect,
                  cf::ControlFlowDialect, func::FuncDialect, graph::GraphDialect, index::IndexDialect,
                  linalg::LinalgDialect, LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect, scf::SCFDialect,
                  tensor::TensorDialect, ub::UBDialect, vector::VectorDialect>();
  arith::registerBufferizableOpInterfaceExternalModels(registry);
  linalg::registerBufferizableOpInterfaceExternalModels(registry);
  scf::registerBufferizableOpInterfaceExternalModels(registry);
  tensor::registerBufferizableOpInterfaceExternalModels(registry);
  linalg::registerTilingInterfaceExternalModels(registry);
  linalg::registerSubsetOpInterfaceExternalModels(registry);
  tensor::registerSubsetOpInterfaceExternalModels(registry);
  tensor::registerInferTypeOpInterfaceExternalModels(registry);
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}
