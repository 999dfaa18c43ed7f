// The states of an instance: tensors that live from call to call, each in a block of memory.
#ifndef EYRIE_RUNTIME_SESSION_STATES_H_
#define EYRIE_RUNTIME_SESSION_STATES_H_

#include "runtime/session/module.h"
#include "runtime/vm/host.h"

namespace eyrie::rt::session {

class States {
 public:
  // `host` gives the blocks.
  States(const eyrie_module& module, vm::Host& host);
  // Gives all blocks back; before the instance's block pool goes.
  void Release();
  // Every state begins as zeros.
  Status Reset();

  // What a call sees and leaves. A stored value counts from Commit on; Discard forgets it.
  vm::BufferRef Load(uint32_t state);
  int64_t Dim(uint32_t state, uint32_t axis) const { return slots_[state].value.dims[axis]; }
  Status Store(uint32_t state, const vm::BufferRef& block, std::span<const int64_t> dims);
  void Commit();
  void Discard();
  // The sizes of a state as the module describes it.
  std::span<const int64_t> ModelDims(uint32_t state, int64_t (&dims)[EYRIE_MAX_RANK]) const;

  // The caller's side, between calls; tensors in the model's order. Get fills in type, rank and dims, and copies to
  // `data` if that is not null.
  Status Get(uint32_t state, eyrie_tensor_t& tensor) const;
  Status Set(uint32_t state, const eyrie_tensor_t& tensor);
  // Room for these sizes, so that growing up to them moves nothing.
  Status Reserve(uint32_t state, const int64_t* dims);
  // All states as one piece of memory (see state_blob.cpp).
  Status Save(uint8_t* data, size_t capacity, size_t* needed) const;
  Status Restore(const uint8_t* data, size_t size);

  uint32_t count() const { return static_cast<uint32_t>(slots_.size()); }
  uint64_t bytes() const;

 private:
  struct Value {
    vm::BufferRef block;           // null: none
    int64_t dims[EYRIE_MAX_RANK];  // as in memory
  };
  struct Slot {
    Value value, next;
  };
  const eyrie_value_info_t& Info(uint32_t state) const { return module_.values[module_.states[state].value]; }
  Status Check(uint32_t state) const;
  // The bytes of a state in memory, in the order given and back.
  Result<size_t> Bytes(uint32_t state, std::span<const int64_t> dims) const;
  void Drop(Value& value);
  // A block with room for so many bytes in place of the value's, whose contents are given up.
  Status MakeRoom(uint32_t state, Value& value, uint64_t bytes);
  // `value` becomes a copy of the tensor.
  Status Fill(uint32_t state, const eyrie_tensor_t& tensor, Value& value);
  // Copies between the model's order and that in memory, whose sizes are `dims`.
  void Permute(uint32_t state, const int64_t* dims, const uint8_t* from, uint8_t* to, bool to_memory) const;

  const eyrie_module& module_;
  vm::Host& host_;
  Array<Slot> slots_;
};

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_STATES_H_
