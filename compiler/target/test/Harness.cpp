#include "compiler/target/test/Harness.h"
#include "compiler/graph/Variants.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

using namespace mlir;
using namespace eyrie;
using namespace eyrie::target;
using namespace eyrie::target::test;

static constexpr size_t kGuardBytes = 256;
static constexpr uint8_t kGuard = 0xa5;

Buffer::Buffer(size_t bytes) : bytes(bytes) {
  storage.reset(static_cast<uint8_t *>(std::aligned_alloc(64, llvm::alignTo(bytes + kGuardBytes, 64))));
  std::memset(storage.get(), kGuard, bytes + kGuardBytes);
}

bool Buffer::intact() const {
  return llvm::all_of(llvm::seq<size_t>(bytes, bytes + kGuardBytes),
                      [&](size_t i) { return storage.get()[i] == kGuard; });
}

Kernel::~Kernel() {
  if (library)
    dlclose(library);
}

namespace {
struct CompileForPass : PassWrapper<CompileForPass, OperationPass<graph::ExecutableOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CompileForPass)
  CompileForPass(const Target &target, TargetOptions options) : target(target), options(std::move(options)) {}
  StringRef getArgument() const override { return "test-compile-for"; }
  void getDependentDialects(DialectRegistry &registry) const override { registerTargetDialects(registry); }
  void runOnOperation() override {
    auto run = [&](OpPassManager &pipeline, Operation *op) { return runPipeline(pipeline, op); };
    if (failed(compileExecutable(getOperation(), target, options, run)))
      signalPassFailure();
  }
  const Target &target;
  TargetOptions options;
};
} // namespace

std::unique_ptr<Program> Program::compile(llvm::StringRef text, const TargetOptions &options, std::string &error,
                                          bool parallel, const Target *target) {
  auto program = compileKernels(text, options, error, parallel, target);
  std::string failure = program ? program->load() : "";
  error += failure;
  return failure.empty() ? std::move(program) : nullptr;
}

std::unique_ptr<Program> Program::compileForAnother(llvm::StringRef text, const TargetOptions &options,
                                                    std::string &error) {
  return compileKernels(text, options, error, /*parallel=*/false);
}

std::unique_ptr<Program> Program::compileKernels(llvm::StringRef text, const TargetOptions &options, std::string &error,
                                                 bool parallel, const Target *target) {
  auto program = std::make_unique<Program>();
  DialectRegistry registry;
  registerTargetDialects(registry);
  program->ctx = std::make_unique<MLIRContext>(registry, parallel ? MLIRContext::Threading::ENABLED
                                                                  : MLIRContext::Threading::DISABLED);
  ScopedDiagnosticHandler handler(program->ctx.get(), [&](Diagnostic &diagnostic) {
    llvm::raw_string_ostream stream(error);
    stream << diagnostic.getLocation() << ": " << diagnostic << "\n";
    for (Diagnostic &note : diagnostic.getNotes())
      stream << "  note: " << note << "\n";
    return success();
  });
  program->module = parseSourceString<ModuleOp>(text, program->ctx.get());
  if (!program->module)
    return nullptr;
  auto start = std::chrono::steady_clock::now();
  PassManager pm(program->ctx.get());
  if (getenv("EYRIE_TEST_PRINT"))
    pm.enableIRPrinting([](Pass *, Operation *) { return false; }, [](Pass *, Operation *) { return true; });
  if (getenv("EYRIE_TEST_TIMING"))
    pm.enableTiming();
  if (target)
    pm.addNestedPass<graph::ExecutableOp>(std::make_unique<CompileForPass>(*target, options));
  else
    pm.addNestedPass<graph::ExecutableOp>(createCompileExecutablesPass({options}));
  if (failed(pm.run(*program->module)))
    return nullptr;
  program->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (auto executable : program->module->getOps<graph::ExecutableOp>()) {
    auto kernel = std::make_unique<Kernel>();
    kernel->name = executable.getSymName().str();
    kernel->tensorFunc = executable.lookupSymbol<func::FuncOp>(kernel->name);
    graph::Variant variant = graph::getVariants(executable).front();
    kernel->workgroups = executable.lookupSymbol<func::FuncOp>(variant.workgroups.getAttr());
    kernel->localBytes = variant.localMemory;
    kernel->features = variant.features;
    auto object = cast<DenseResourceElementsAttr>(variant.object).getRawHandle().getBlob()->getData();
    kernel->object.assign(object.data(), object.size());
    program->kernels.push_back(std::move(kernel));
  }
  return program;
}

std::string Program::load() {
  for (auto &kernel : kernels) {
    llvm::SmallString<64> path;
    int fd;
    if (llvm::sys::fs::createTemporaryFile("kernel", "so", fd, path))
      return "no temporary file";
    llvm::FileRemover remover(path);
    llvm::raw_fd_ostream(fd, true) << kernel->object;
    kernel->library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (kernel->library)
      kernel->entry = reinterpret_cast<eyrie_kernel>(dlsym(kernel->library, kernel->name.c_str()));
    if (!kernel->entry)
      return std::string("cannot load: ") + dlerror();
  }
  return {};
}

size_t BindingType::elements() const {
  size_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}
size_t BindingType::elementBytes() const { return (element.getIntOrFloatBitWidth() + 7) / 8; }

std::vector<BindingType> eyrie::target::test::bindingTypes(Kernel &kernel, llvm::ArrayRef<int64_t> constants) {
  std::vector<BindingType> types;
  auto add = [&](ArrayRef<Type> list, StringRef attr) {
    auto all = kernel.tensorFunc->getAttrOfType<ArrayAttr>(attr);
    unsigned i = 0;
    for (Type type : list) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      if (!tensor)
        continue;
      BindingType binding{tensor.getShape().vec(), tensor.getElementType()};
      unsigned next = 0;
      for (int64_t &size : binding.shape)
        if (ShapedType::isDynamic(size))
          size = constants[cast<IntegerAttr>(cast<ArrayAttr>(all[i])[next++]).getInt()];
      types.push_back(std::move(binding));
      ++i;
    }
  };
  add(kernel.tensorFunc.getArgumentTypes(), graph::kArgDims);
  add(kernel.tensorFunc.getResultTypes(), graph::kResultDims);
  return types;
}

std::vector<int64_t> eyrie::target::test::evaluate(func::FuncOp func, llvm::ArrayRef<int64_t> args) {
  // Constants for arguments, then folding: the function is index arithmetic.
  OwningOpRef<func::FuncOp> clone(func.clone());
  Block &block = clone->getBody().front();
  OpBuilder b = OpBuilder::atBlockBegin(&block);
  for (auto [arg, value] : llvm::zip(block.getArguments(), args))
    arg.replaceAllUsesWith(arith::ConstantIndexOp::create(b, func.getLoc(), value));
  RewritePatternSet patterns(func.getContext());
  (void)applyPatternsGreedily(*clone, std::move(patterns));
  std::vector<int64_t> results;
  for (Value result : block.getTerminator()->getOperands()) {
    auto value = getConstantIntValue(result);
    if (!value) {
      clone->dump();
      assert(false && "the workgroup function does not fold");
    }
    results.push_back(*value);
  }
  return results;
}

int64_t eyrie::target::test::run(Kernel &kernel, llvm::ArrayRef<void *> bindings, llvm::ArrayRef<int64_t> constants) {
  std::vector<int64_t> count = evaluate(kernel.workgroups, constants);
  Buffer local(std::max<int64_t>(kernel.localBytes, 64));
  eyrie_kernel_dispatch dispatch = {};
  dispatch.bindings = bindings.data();
  dispatch.constants = constants.data();
  dispatch.binding_count = bindings.size();
  dispatch.constant_count = constants.size();
  for (int i = 0; i < 3; ++i)
    dispatch.workgroup_count[i] = count[i];
  for (int64_t z = count[2] - 1; z >= 0; --z)
    for (int64_t y = count[1] - 1; y >= 0; --y)
      for (int64_t x = count[0] - 1; x >= 0; --x)
        if (kernel.entry(&dispatch, x, y, z, kernel.localBytes ? local.data() : nullptr) != 0 || !local.intact())
          return -1;
  return count[0] * count[1] * count[2];
}
