// Bytecode as text, for people; testing/assembler.h reads it.
#ifndef EYRIE_RUNTIME_VM_DISASSEMBLER_H_
#define EYRIE_RUNTIME_VM_DISASSEMBLER_H_

#include "runtime/base/text.h"
#include "runtime/vm/program.h"

namespace eyrie::rt::vm {

// Names of what a module's code refers to.
class Names {
 public:
  virtual const char* String(uint32_t index) const = 0;
  virtual const char* Export(uint32_t index) const = 0;
  virtual const char* Global(uint32_t index) const = 0;
  virtual const char* Function(uint32_t index) const = 0;
  virtual const char* HostFunction(uint32_t index) const = 0;
  // The model's node that a word of the module's bytecode comes from; null: not known.
  virtual const char* Node(uint32_t word) const = 0;

 protected:
  ~Names() = default;
};

// `function` has been verified. The text says all that its code is made of: its number, its registers, what it takes
// and gives if others call it, and of every name the number. Names with uncommon letters are in quotes, with escapes.
void Disassemble(const Function& function, const Names& names, Text& text);

}  // namespace eyrie::rt::vm

#endif  // EYRIE_RUNTIME_VM_DISASSEMBLER_H_
