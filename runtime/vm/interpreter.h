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
        frames_(allocator),
        constants_(allocator),
        bindings_(allocator),
        packer_(allocator) {}
  // Makes room for a function, so that Run does not allocate.
  Status Prepare(const Program& program, const Function& function);
  // `function`, one of the program's, has been verified against it, and prepared. Afterwards no register holds
  // anything.
  Status Run(const Program& program, const Function& function, Host& host);

 private:
  // A function that runs: where its registers begin in their banks.
  struct Frame {
    const Function* function;
    const uint32_t* call;  // the instruction of the caller; null: it is the first
    size_t integers, buffers, lists;
  };

  Status RunOne(const Program& program, const Function& function, Host& host);
  Status Execute(const Program& program, const Function& function, Host& host);
  Status ExecuteList(abi::VmOp op, const uint32_t* operands, const Frame& frame, Host& host);
  Status Push(const Function& function, const uint32_t* call);
  Status Enter(const Program& program, const uint32_t* call, Host& host);
  void Leave(const uint32_t* ret, Host& host);
  void ReleaseFrom(size_t buffers, size_t lists, Host& host);

  Lists& lists_;
  Array<int64_t> integers_;
  Array<BufferRef> buffers_;
  Array<List*> list_registers_;
  Array<Frame> frames_;
  Array<int64_t> constants_;
  Array<BindingRef> bindings_;
  ArenaPacker packer_;
  const Function* tail_ = nullptr;  // where a tail call goes on
};

}  // namespace eyrie::rt::vm

#endif  // EYRIE_RUNTIME_VM_INTERPRETER_H_
