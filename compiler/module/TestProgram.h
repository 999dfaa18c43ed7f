// Compiles text after `graph` with the `add` kernel of the runtime's tests (n floats, 64 in a workgroup) and calls it.
#pragma once
#include "compiler/graph/Variants.h"
#include "compiler/module/Module.h"
#include "compiler/stream/Stream.h"
#include "compiler/vm/Vm.h"
#include "eyrie/runtime.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include <gtest/gtest.h>

namespace eyrie::test {
using namespace mlir;

inline constexpr char kAdd[] = R"(
graph.executable @add attributes {target = "test"} {
  func.func @add(%a: tensor<?xf32>, %b: tensor<?xf32>, %n: index) -> tensor<?xf32>
      attributes {graph.arg_dims = [[0], [0]], graph.result_dims = [[0]]} {
    return %a : tensor<?xf32>
  }
  func.func @add_workgroups(%n: index) -> (index, index, index) {
    %c1 = arith.constant 1 : index
    %x = affine.apply affine_map<()[s0] -> (s0 ceildiv 64)>()[%n]
    return %x, %c1, %c1 : index, index, index
  }
}
)";

class Compiled {
public:
  explicit Compiled(const std::string &functions) {
    DialectRegistry registry;
    registry.insert<graph::GraphDialect, func::FuncDialect, arith::ArithDialect, scf::SCFDialect, tensor::TensorDialect,
                    affine::AffineDialect, cf::ControlFlowDialect>();
    stream::registerStreamDialect(registry);
    context.appendDialectRegistry(registry);
    module = parseSourceString<ModuleOp>(kAdd + functions, &context);
    if (!module)
      return;
    auto file = llvm::MemoryBuffer::getFile(EYRIE_TEST_KERNELS);
    StringRef object = (*file)->getBuffer();
    auto type = RankedTensorType::get({int64_t(object.size())}, IntegerType::get(&context, 8));
    graph::Variant variant{StringAttr::get(&context, "elf-x86_64"), 0, 0,
                           DenseElementsAttr::getFromRawBuffer(type, ArrayRef(object.data(), object.size())),
                           FlatSymbolRefAttr::get(&context, "add_workgroups")};
    for (auto executable : module->getOps<graph::ExecutableOp>())
      graph::setVariants(executable, variant);
    PassManager pm(&context);
    stream::buildStreamPipeline(pm);
    vm::buildVmPipeline(pm);
    if (failed(pm.run(*module)))
      module = {};
  }
  std::string write() {
    std::string bytes;
    llvm::raw_string_ostream os(bytes);
    return module && succeeded(module::writeModule(*module, os)) ? bytes : "";
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

inline std::string take(eyrie_status_t status) {
  std::string text = status ? eyrie_status_message(status) : "";
  eyrie_status_free(status);
  return text;
}

inline eyrie_tensor_t asTensor(std::vector<float> &values) {
  return {values.data(), values.size() * 4, EYRIE_F32, 1, {int64_t(values.size())}};
}

class Loaded {
public:
  explicit Loaded(const std::string &bytes, uint32_t threads = 1) : bytes(bytes) {
    eyrie_runtime_options_t options = {};
    options.struct_size = sizeof(options);
    options.threads = threads;
    EXPECT_EQ(take(eyrie_runtime_create(&options, &runtime)), "");
    EXPECT_EQ(take(eyrie_module_load_memory(runtime, this->bytes.data(), this->bytes.size(), nullptr, &module)), "");
    if (module)
      EXPECT_EQ(take(eyrie_instance_create(module, nullptr, &instance)), "");
  }
  ~Loaded() {
    eyrie_instance_destroy(instance);
    eyrie_module_destroy(module);
    eyrie_runtime_destroy(runtime);
  }
  std::vector<std::vector<float>> call(const std::vector<eyrie_tensor_t> &in, size_t numOutputs) {
    std::vector<eyrie_tensor_t> out(numOutputs);
    EXPECT_EQ(take(eyrie_call(instance, 0, in.data(), in.size(), out.data(), out.size(), nullptr)), "");
    std::vector<std::vector<float>> outputs;
    for (const eyrie_tensor_t &tensor : out) {
      auto *data = static_cast<const float *>(tensor.data);
      outputs.emplace_back(data, data + (data ? tensor.dims[0] : 0));
    }
    return outputs;
  }

  std::string bytes;
  eyrie_runtime_t *runtime = nullptr;
  eyrie_module_t *module = nullptr;
  eyrie_instance_t *instance = nullptr;
};

inline std::string makeAdd(const std::string &result, const std::string &a, const std::string &b,
                           const std::string &n) {
  return result + " = graph.dispatch @add(" + a + ", " + b + ", " + n +
         ") {arg_dims = [[0], [0]], result_dims = [[0]]} : (tensor<?xf32>, tensor<?xf32>, index) -> tensor<?xf32>\n";
}

} // namespace eyrie::test
