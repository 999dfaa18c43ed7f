// Runs verified bytecode. What it does to the world it does through Host.
#ifndef EYRIE_RUNTIME_VM_INTERPRETER_H_
#define EYRIE_RUNTIME_VM_INTERPRETER_H_

#include <cstdint>

#include "abi/vm_encoding.h"
#include "runtime/base/allocator.h"
#include "runtime/base/status.h"
#include "runtime/vm/arena_packer.h"
#include "runtime/vm/host.h"
#include "runtime/vm/lists.h"
#include "runtime/vm/program.h"

namespace eyrie::rt::vm {

class Interpreter {
 public:
  Interpreter(Allocator& allocator, Lists& lists)
      : lists_(lists),
        integers_(allocator),
        buffers_(allocator),
        list_registers_(allocator),
        constants_(allocator),
        bindings_(allocator),
        packer_(allocator) {}
  // Makes room for a function, so that Run does not allocate.
  Status Prepare(const Program& program, const Function& function);
  // `function` has been verified against `program`, and prepared. Afterwards no register holds anything.
  Status Run(const Function& function, Host& host);

 private:
  Status RunOne(const Function& function, Host& host);
  Status Execute(const Function& function, Host& host);
  Status ExecuteList(abi::VmOp op, const uint32_t* operands, Host& host);

  Lists& lists_;
  Array<int64_t> integers_;
  Array<BufferRef> buffers_;
  Array<List*> list_registers_;
  Array<int64_t> constants_;
  Array<BindingRef> bindings_;
  ArenaPacker packer_;
  uint32_t next_function_ = 0;  // of a tail call
};

}  // namespace eyrie::rt::vm

#endif  // EYRIE_RUNTIME_VM_INTERPRETER_H_
