// Reads bytecode as text: the inverse of vm/disassembler.h, and a way to write programs of tests.
//
//   function factorial#1: 5 integer registers, 0 buffer registers, 0 list registers, takes 1, 0, 0, gives 1, 0, 0
//   block0:
//         0  const r1, 1
//         4  cmp.le.s r2, r0, r1  ; what follows a semicolon is not read
//            cond_br r2, block1, block2
//   block1:
//            ret (r1)
//   ...
//
// - An instruction has the operands of its row in abi/vm_instructions.def: registers r b l, blockN, argN, resN,
// numbers,
//   names of element types, [r0, r1] of the letter S, {r0 -> r1 in 2..3} of P, {b0[r1, r2]} of G, (r0, b1, l2) of R and
//   W. The word before an instruction says where it was and is not read.
// - A name is followed by its number (add#0, "a b"#1, @main#0). It may be left out for a function of the text, which
//   otherwise is numbered in the order of the text, for what `Tables` names, and for strings, which are added to the
//   table.
// - In quotes, \" \\ and \xHH are escapes.
#ifndef EYRIE_RUNTIME_TESTING_ASSEMBLER_H_
#define EYRIE_RUNTIME_TESTING_ASSEMBLER_H_

#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/testing/module_builder.h"

namespace eyrie::rt::testing {

// The names of a module, in the order of their numbers.
struct Tables {
  std::vector<std::string> strings, exports, globals;
};

// An error names the line and what was expected. Functions have no arguments and results, which the text does not tell;
// those that others call are internal. In a module each must stand where its number says. `tables` gets the strings
// that have no number.
Status Assemble(std::string_view text, Tables& tables, std::vector<Function>* functions);

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_ASSEMBLER_H_
