// Checks a function's bytecode once, so that the interpreter need not.
#ifndef EYRIE_RUNTIME_VM_VERIFIER_H_
#define EYRIE_RUNTIME_VM_VERIFIER_H_

#include "runtime/base/status.h"
#include "runtime/vm/program.h"

namespace eyrie::rt::vm {

// After it returned ok: every instruction is whole and known; every register, block, argument, result, string, export,
// element type and immediate is in range; every block ends with its only terminator; every list has the length that
// its instruction wants. What depends on values (ranges of buffers, division by zero, null buffers) is checked when
// the code runs.
Status Verify(const Program& program, const Function& function);

}  // namespace eyrie::rt::vm

#endif  // EYRIE_RUNTIME_VM_VERIFIER_H_
