// Disassembles the functions of a loaded module and assembles the text.
#ifndef EYRIE_RUNTIME_TESTING_ROUND_TRIP_H_
#define EYRIE_RUNTIME_TESTING_ROUND_TRIP_H_

#include <algorithm>
#include <string>

#include "runtime/session/module.h"
#include "runtime/testing/assembler.h"
#include "runtime/vm/disassembler.h"

namespace eyrie::rt::testing {

inline std::string TextOf(const eyrie_module& module, const vm::Function& function) {
  Text measure(nullptr, 0);
  vm::Disassemble(function, module, measure);
  std::string result(measure.size() + 1, '\0');
  Text text(result.data(), result.size());
  vm::Disassemble(function, module, text);
  result.pop_back();
  return result;
}

// An error says which function came back otherwise, and in what. `words` counts the words that are equal.
inline Status CheckRoundTrip(const eyrie_module& module, uint64_t* words) {
  auto differs = [](const vm::Function& function, const char* what) {
    return Error(EYRIE_INTERNAL, "function '%.100s' has other %s after disassembling and assembling", function.name,
                 what);
  };
  for (const vm::Function& function : module.code) {
    std::string text = TextOf(module, function);
    Tables tables;
    std::vector<Function> back;
    EYRIE_RETURN_IF_ERROR(Annotate(Assemble(text, tables, &back), "function '%.100s'", function.name));
    auto equal = [](auto a, auto b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); };
    if (back.size() != 1 || back[0].name != function.name) return differs(function, "names");
    if (!equal(std::span<const uint32_t>(back[0].code), function.code)) return differs(function, "words");
    if (!equal(std::span<const uint32_t>(back[0].blocks), function.blocks)) return differs(function, "blocks");
    if (back[0].int_registers != function.int_registers || back[0].buffer_registers != function.buffer_registers ||
        back[0].list_registers != function.list_registers)
      return differs(function, "registers");
    const vm::Banks &takes = function.parameters, &gives = function.returned;
    std::vector<uint32_t> callee;
    if (function.is_callee) callee = {takes.ints, takes.buffers, takes.lists, gives.ints, gives.buffers, gives.lists};
    if (back[0].callee != callee) return differs(function, "values taken and given");
    if (!tables.strings.empty()) return differs(function, "strings");
    *words += function.code.size();
  }
  return {};
}

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_ROUND_TRIP_H_
