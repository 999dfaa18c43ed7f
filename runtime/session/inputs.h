// The inputs of a call as its program sees them: buffers over the caller's memory, ids for strings, lists for
// sequences.
#ifndef EYRIE_RUNTIME_SESSION_INPUTS_H_
#define EYRIE_RUNTIME_SESSION_INPUTS_H_

#include "runtime/session/signature.h"
#include "runtime/vm/lists.h"

namespace eyrie::rt::session {

class Inputs {
 public:
  Inputs(const eyrie_module& module, vm::Lists& lists, StringTable& strings, SymbolSizes& symbols);
  ~Inputs();
  // Room for so many inputs.
  Status Prepare(uint32_t count);
  // Checks everything against the signature, then refers to the caller's memory.
  Status Bind(uint32_t function, const eyrie_tensor_t* inputs, size_t count);
  // Lets go of the lists.
  void Release();

  int64_t Dim(uint32_t input, uint32_t axis) const { return inputs_[input].dims[axis]; }
  vm::BufferRef Tensor(uint32_t input) const { return {buffers_[input], buffers_[input]->size()}; }
  vm::List* List(uint32_t input) const { return lists_of_[input]; }
  // An error that names the input, if one lies in this memory, at least in part.
  Status CheckOverlap(const void* memory, size_t bytes, uint32_t output) const;

 private:
  Status CountStrings(const eyrie_tensor_t& tensor, uint64_t* count) const;
  Status BindTensor(hal::Buffer* buffer, const eyrie_tensor_t& tensor);
  // A list: a sequence, or an optional value.
  Status BindList(vm::List*& list, const eyrie_value_info_t& value, const eyrie_tensor_t& input);
  Status PushElement(vm::List*& list, const eyrie_tensor_t& tensor);
  Result<hal::Buffer*> ElementBuffer();

  const eyrie_module& module_;
  vm::Lists& lists_;
  StringTable& strings_;
  SymbolSizes& symbols_;
  Array<hal::Buffer*> buffers_;   // by input; unused for lists
  Array<vm::List*> lists_of_;     // by input; null for plain tensors
  Array<hal::Buffer*> elements_;  // of all lists, one after the other
  size_t element_count_ = 0;
  Array<int64_t> ids_;  // of all strings, one tensor after the other
  const eyrie_tensor_t* inputs_ = nullptr;
  uint32_t count_ = 0;
};

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_INPUTS_H_
