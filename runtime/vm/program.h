// Bytecode as the verifier, the interpreter and the disassembler see it: views into a module that must outlive them.
#ifndef EYRIE_RUNTIME_VM_PROGRAM_H_
#define EYRIE_RUNTIME_VM_PROGRAM_H_

#include <cstdint>
#include <span>

namespace eyrie::rt::vm {

inline constexpr uint32_t kSequence = ~0u;  // in place of a rank: not a tensor

// Numbers of registers in the three banks.
struct Banks {
  uint32_t ints = 0, buffers = 0, lists = 0;
  bool operator==(const Banks&) const = default;
};

struct Function {
  const char* name = "";
  std::span<const uint32_t> code;
  uint32_t first_word = 0;           // of the code in the module's bytecode
  std::span<const uint32_t> blocks;  // word offsets
  uint32_t int_registers = 0;
  uint32_t buffer_registers = 0;
  uint32_t list_registers = 0;
  std::span<const uint32_t> argument_ranks;
  std::span<const uint32_t> result_ranks;
  std::span<const uint8_t> types;    // of arguments and results
  std::span<const uint32_t> states;  // ascending
  uint32_t index = 0;                // in the module
  // Others call it, with `parameters` in the first registers; its ret gives `returned`.
  bool is_callee = false;
  Banks parameters, returned;
};

struct ExportCounts {
  uint32_t bindings;
  uint32_t constants;
  uint32_t variant = 0;  // what `variant` gives
};

// The tensors of a host function, inputs and outputs, and the sum of their ranks.
struct HostCounts {
  uint32_t tensors;
  uint32_t sizes;
};

// What the code may refer to in its module.
struct Program {
  uint32_t string_count = 0;
  std::span<const ExportCounts> exports;
  std::span<const uint32_t> state_ranks;  // of the globals that are states, which come first
  uint32_t parameter_count = 0;           // of the globals behind them
  std::span<const Function> functions;
  std::span<const HostCounts> host_functions;
};

}  // namespace eyrie::rt::vm

#endif  // EYRIE_RUNTIME_VM_PROGRAM_H_
