// Compares a call's tensors with a function's signature.
#ifndef EYRIE_RUNTIME_SESSION_SIGNATURE_H_
#define EYRIE_RUNTIME_SESSION_SIGNATURE_H_

#include "runtime/session/module.h"

namespace eyrie::rt::session {

// The sizes of symbolic dimensions in one call: equal symbols have equal sizes.
class SymbolSizes {
 public:
  explicit SymbolSizes(const eyrie_module& module) : module_(module), sizes_(module.runtime->allocator) {}
  Status Prepare();
  void Clear();
  // `what`: "input" or "result".
  Status Bind(const char* what, uint32_t index, const eyrie_value_info_t& value, std::span<const int64_t> dims);

 private:
  // Whether the size that is bound is one that the module was compiled for.
  Status CheckRange(uint32_t symbol, const eyrie_value_info_t& value, const char* what) const;

  struct Binding {
    int64_t size;
    const char* what;  // null: not bound
    uint32_t index;
  };
  const eyrie_module& module_;
  Array<Binding> sizes_;
};

// Type, rank and known sizes of a tensor, or of an element if the value is a sequence.
Status CheckShape(const eyrie_value_info_t& value, uint32_t type, std::span<const int64_t> dims);
// The same and its memory.
Status CheckTensor(const eyrie_value_info_t& value, const eyrie_tensor_t& tensor);
// An input and, if it is a sequence, every element: as above, and their memory.
Status CheckInput(uint32_t index, const eyrie_value_info_t& value, const eyrie_tensor_t& tensor);

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_SIGNATURE_H_
