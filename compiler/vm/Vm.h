// Lowers the host program (stream ops and scalar arithmetic) to the runtime's bytecode.
#pragma once
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include <string>
#include <vector>

namespace eyrie::vm {

/// One function of bytecode; see abi/vm_encoding.h.
struct Function {
  std::string name;
  uint32_t codeOffset = 0, codeSize = 0; // in words of Program::code
  uint32_t intRegisters = 0, bufferRegisters = 0, listRegisters = 0;
  std::vector<uint32_t> blocks; // word offsets from codeOffset
};

/// From this word of Program::code to the next such entry: Program::nodes[node - 1], or no node for 0.
struct Origin {
  uint32_t word, node;
};

/// A function of the host that the code calls (abi/module.fbs).
struct HostFunction {
  std::string name;
  std::vector<uint8_t> types, ranks; // inputs, then outputs
  uint32_t inputCount;
  mlir::DictionaryAttr config;

  bool operator==(const HostFunction &) const = default;
};

struct Program {
  std::vector<uint32_t> code;
  std::vector<Function> functions;         // public ones of the module, in its order
  std::vector<std::string> strings;        // messages
  std::vector<std::string> nodes;          // names of the model's nodes, those of one op as one text; distinct
  std::vector<Origin> origins;             // by ascending word
  std::vector<HostFunction> hostFunctions; // distinct
  bool readsVariants = false;              // it has `variant`
};

/// Emits the module's functions. Needs `stream-pipeline` and `vm-pipeline`; reads only. Exports are numbered by the
/// order of the module's graph.executables. Deterministic. Reports at the op that cannot be expressed.
mlir::FailureOr<Program> emitProgram(mlir::ModuleOp module);

/// Gives every stream.dispatch its workgroup counts by inlining functions of its executable; then lowers what is left
/// of affine and simplifies.
void buildVmPipeline(mlir::OpPassManager &pm);
void registerVmPasses();
std::unique_ptr<mlir::Pass> createInlineWorkgroupsPass();

} // namespace eyrie::vm
