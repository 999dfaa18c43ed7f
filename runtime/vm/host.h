// What the interpreter asks of its surroundings.
#ifndef EYRIE_RUNTIME_VM_HOST_H_
#define EYRIE_RUNTIME_VM_HOST_H_

#include <cstdint>
#include <span>

#include "runtime/base/status.h"
#include "runtime/vm/program.h"

namespace eyrie::rt::vm {

// A buffer register: the host's handle, null in a register that was never written.
struct BufferRef {
  void* handle = nullptr;
  uint64_t size = 0;
  uint32_t block = 0;  // not 0: the number under which the host counts the registers that hold this memory
};

struct BindingRef {
  void* buffer;
  uint64_t offset;
  uint64_t length;
};

struct List;  // vm/lists.h

// Offsets and lengths come from the program unchecked: the host compares them with the buffer.
class Host {
 public:
  virtual int64_t ArgumentDim(uint32_t argument, uint32_t axis) = 0;
  virtual BufferRef Argument(uint32_t argument) = 0;
  virtual BufferRef Weights() = 0;
  virtual Status Arena(uint64_t size, BufferRef* buffer) = 0;
  // A block of transient memory; it is held by the register that it is written to.
  virtual Status AllocateBlock(uint64_t size, BufferRef* buffer) = 0;
  virtual void RetainBlock(uint32_t block) = 0;
  virtual void ReleaseBlock(uint32_t block) = 0;
  // At least `bytes` bytes that begin with the first `used` of `from`; see buf.extend. Comes with a hold of its own.
  virtual Status Extend(const BufferRef& from, uint64_t bytes, uint64_t used, BufferRef* buffer) = 0;
  // A state; the buffer comes with a hold of its own.
  virtual BufferRef State(uint32_t state) = 0;
  virtual int64_t StateDim(uint32_t state, uint32_t axis) = 0;
  virtual Status StoreState(uint32_t state, const BufferRef& value, std::span<const int64_t> dims) = 0;
  // An argument that is a sequence; null: an empty one. The interpreter takes a hold of its own.
  virtual List* ListArgument(uint32_t argument) = 0;
  // A result that is a sequence: the host takes a hold of it.
  virtual Status ListResult(uint32_t result, List* list) = 0;
  virtual Status AllocateResult(uint32_t result, std::span<const int64_t> dims, BufferRef* buffer) = 0;
  virtual Status Load(uint32_t element_type, void* buffer, uint64_t offset, int64_t* value) = 0;
  virtual Status Store(uint32_t element_type, void* buffer, uint64_t offset, int64_t value) = 0;
  virtual Status Dispatch(uint32_t export_index, const uint64_t workgroup_count[3], std::span<const int64_t> constants,
                          std::span<const BindingRef> bindings) = 0;
  virtual Status Copy(const BindingRef& source, const BindingRef& destination) = 0;
  virtual Status Fill(const BindingRef& destination, uint64_t pattern, uint32_t pattern_bytes) = 0;
  virtual Status Barrier() = 0;
  virtual Status SubmitAndWait() = 0;
  // Waits for all work, then runs a function of the host; `sizes` are those of all its tensors, one after the other.
  virtual Status CallHost(uint32_t function, std::span<const int64_t> sizes, std::span<const BindingRef> tensors) = 0;
  virtual Status Return() = 0;
  virtual const char* Message(uint32_t string) = 0;
  // The model's node that a word of the module's bytecode comes from; null: not known.
  virtual const char* Node(uint32_t word) = 0;
  // Whether the call should be given up: asked at every backward jump.
  virtual Status CheckStop() = 0;

 protected:
  ~Host() = default;
};

}  // namespace eyrie::rt::vm

#endif  // EYRIE_RUNTIME_VM_HOST_H_
