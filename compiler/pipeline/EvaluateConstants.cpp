#include "compiler/pipeline/EvaluateConstants.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Parameters.h"
#include "compiler/stream/Weights.h"
#include "eyrie/runtime.h"

#include "mlir/IR/AsmState.h"

using namespace mlir;
namespace stream = eyrie::stream;
using eyrie::graph::GlobalOp;
using eyrie::graph::LoadGlobalOp;
using eyrie::graph::StoreGlobalOp;

namespace {

/// The program to run and the globals behind its arguments and results.
struct Program {
  OwningOpRef<ModuleOp> module;
  SmallVector<GlobalOp> inputs, outputs;
};

Program buildProgram(ModuleOp module, func::FuncOp initialize) {
  Program program;
  SymbolTable symbols(module);
  OpBuilder b(module.getContext());
  program.module = ModuleOp::create(b, module.getLoc());
  b.setInsertionPointToEnd(program.module->getBody());

  SmallVector<LoadGlobalOp> loads;
  SmallVector<StoreGlobalOp> stores;
  initialize.walk([&](LoadGlobalOp load) { loads.push_back(load); });
  initialize.walk([&](StoreGlobalOp store) { stores.push_back(store); });
  SmallVector<Type> inputTypes, outputTypes;
  llvm::DenseMap<StringAttr, unsigned> argOf;
  for (LoadGlobalOp load : loads) {
    auto global = symbols.lookup<GlobalOp>(load.getGlobal());
    if (argOf.try_emplace(global.getSymNameAttr(), program.inputs.size()).second) {
      program.inputs.push_back(global);
      inputTypes.push_back(global.getType());
    }
  }
  for (StoreGlobalOp store : stores) {
    program.outputs.push_back(symbols.lookup<GlobalOp>(store.getGlobal()));
    outputTypes.push_back(store.getValue().getType());
  }
  auto main = func::FuncOp::create(b, module.getLoc(), "main", b.getFunctionType(inputTypes, outputTypes));
  Block *entry = main.addEntryBlock();
  b.setInsertionPointToStart(entry);
  IRMapping mapping;
  SmallVector<Value> results;
  for (Operation &op : initialize.getBody().front().without_terminator()) {
    if (auto load = dyn_cast<LoadGlobalOp>(op))
      mapping.map(load.getResult(), entry->getArgument(argOf.lookup(load.getGlobalAttr().getAttr())));
    else if (auto store = dyn_cast<StoreGlobalOp>(op))
      results.push_back(mapping.lookup(store.getValue()));
    else
      b.clone(op, mapping);
  }
  func::ReturnOp::create(b, module.getLoc(), results);
  for (auto [i, global] : llvm::enumerate(program.inputs))
    main.setArgAttr(i, "eyrie.name", global.getSymNameAttr());
  for (auto [i, global] : llvm::enumerate(program.outputs))
    main.setResultAttr(i, "eyrie.name", global.getSymNameAttr());
  return program;
}

/// Frees what the runtime gave.
struct Session {
  eyrie_runtime_t *runtime = nullptr;
  eyrie_module_t *module = nullptr;
  eyrie_instance_t *instance = nullptr;
  ~Session() {
    if (instance)
      eyrie_instance_destroy(instance);
    if (module)
      eyrie_module_destroy(module);
    if (runtime)
      eyrie_runtime_destroy(runtime);
  }
};

LogicalResult check(ModuleOp module, eyrie_status_t status) {
  if (!status)
    return success();
  auto error = module.emitError("cannot compute the model's constants: ") << eyrie_status_message(status);
  eyrie_status_free(status);
  return error;
}

eyrie_tensor_t describe(const eyrie_value_info_t &info, RankedTensorType type, void *data, size_t size) {
  eyrie_tensor_t tensor = {};
  tensor.data = data;
  tensor.size_bytes = size;
  tensor.type = info.type;
  tensor.rank = type.getRank();
  llvm::copy(type.getShape(), tensor.dims);
  return tensor;
}

LogicalResult run(ModuleOp module, Program &program, ArrayRef<char> file) {
  Session session;
  if (failed(check(module, eyrie_runtime_create(nullptr, &session.runtime))) ||
      failed(check(module,
                   eyrie_module_load_memory(session.runtime, file.data(), file.size(), nullptr, &session.module))) ||
      failed(check(module, eyrie_instance_create(session.module, nullptr, &session.instance))))
    return failure();

  std::vector<stream::WeightContent> contents;
  std::vector<SmallVector<char, 0>> expanded(program.inputs.size());
  std::vector<eyrie_tensor_t> inputs, outputs;
  std::vector<AsmResourceBlob> blobs;
  eyrie_value_info_t info;
  for (auto [i, global] : llvm::enumerate(program.inputs)) {
    FailureOr<stream::WeightContent> content = failure();
    if (auto value = global.getValue())
      content = stream::getWeightContent(*value);
    if (failed(content))
      return global.emitError("has no value that can be stored, of type ") << global.getType();
    contents.push_back(std::move(*content));
    ArrayRef<char> bytes = contents.back().piece;
    auto type = cast<RankedTensorType>(global.getType());
    uintptr_t elementBytes = std::max<unsigned>(type.getElementTypeBitWidth() / 8, 1);
    // Splats are written out, and what the model file left unaligned is copied, for as long as the program runs.
    if (contents.back().repeat != 1 || reinterpret_cast<uintptr_t>(bytes.data()) % elementBytes != 0) {
      for (int64_t k = 0; k < contents.back().repeat; ++k)
        expanded[i].append(bytes.begin(), bytes.end());
      bytes = expanded[i];
    }
    if (failed(check(module, eyrie_module_argument(session.module, 0, i, &info))))
      return failure();
    inputs.push_back(describe(info, type, const_cast<char *>(bytes.data()), bytes.size()));
  }
  for (auto [i, global] : llvm::enumerate(program.outputs)) {
    auto type = cast<RankedTensorType>(global.getType());
    blobs.push_back(HeapAsmResourceBlob::allocate(stream::getStoredBytes(type), /*align=*/64, /*dataIsMutable=*/true));
    if (failed(check(module, eyrie_module_result(session.module, 0, i, &info))))
      return failure();
    outputs.push_back(describe(info, type, blobs.back().getMutableData().data(), blobs.back().getData().size()));
  }
  if (failed(check(module, eyrie_call(session.instance, 0, inputs.data(), inputs.size(), outputs.data(), outputs.size(),
                                      nullptr))))
    return failure();
  for (auto [global, blob] : llvm::zip(program.outputs, blobs))
    global.setValueAttr(
        DenseResourceElementsAttr::get(cast<RankedTensorType>(global.getType()), global.getSymName(), std::move(blob)));
  return success();
}

} // namespace

LogicalResult
eyrie::pipeline::evaluateConstants(ModuleOp module,
                                   llvm::function_ref<FailureOr<SmallVector<char, 0>>(ModuleOp)> compile) {
  if (auto initialize = module.lookupSymbol<func::FuncOp>("__initialize")) {
    Program program = buildProgram(module, initialize);
    auto file = compile(*program.module);
    program.module = nullptr;
    if (failed(file) || failed(run(module, program, *file)))
      return failure();
    initialize.erase();
  }
  llvm::DenseSet<StringAttr> used;
  module.walk([&](LoadGlobalOp load) { used.insert(load.getGlobalAttr().getAttr()); });
  for (auto func : module.getOps<func::FuncOp>())
    if (auto sources = func->getAttrOfType<ArrayAttr>(graph::kSources))
      for (auto source : sources.getAsRange<StringAttr>())
        used.insert(source);
  for (GlobalOp global : llvm::make_early_inc_range(module.getOps<GlobalOp>()))
    if (!used.contains(global.getSymNameAttr()))
      global.erase();
  return success();
}
