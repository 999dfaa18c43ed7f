// The results of a call: where its program writes them, and how the caller gets them.
#ifndef EYRIE_RUNTIME_SESSION_RESULTS_H_
#define EYRIE_RUNTIME_SESSION_RESULTS_H_

#include "runtime/session/inputs.h"

namespace eyrie::rt::session {

class Results {
 public:
  Results(const eyrie_module& module, vm::Lists& lists, StringTable& strings, SymbolSizes& symbols,
          const Inputs& inputs);
  ~Results();
  // Room for so many results.
  Status Prepare(uint32_t count);
  // A call begins. `outputs` is the caller's.
  Status Begin(uint32_t function, const eyrie_tensor_t* outputs, size_t count);
  // Lets go of the sequences of the last call.
  void Release();

  // Memory for a tensor: the caller's, or the instance's.
  Status Allocate(uint32_t result, std::span<const int64_t> dims, vm::BufferRef* buffer);
  Status SetList(uint32_t result, vm::List* list);
  // Whether the program gave every result.
  Status CheckComplete() const;
  // Turns ids into strings and lists into arrays, then fills in the caller's outputs. A failure changes none of them.
  Status HandOut(eyrie_tensor_t* outputs);
  uint64_t bytes() const;

 private:
  struct Slot {
    hal::Buffer* view;   // what the program writes to
    hal::Buffer* owned;  // the instance's memory, if it was ever needed; kept and grown
    vm::List* list;      // of a sequence or an optional value
    int64_t dims[EYRIE_MAX_RANK];
    size_t bytes;  // in the caller's terms
    bool given;    // in this call
  };
  const eyrie_value_info_t& ValueOf(uint32_t result) const;
  Status Own(Slot& slot, size_t bytes);
  // Notes the ids of a result, and finds memory for a list.
  Status PrepareToHandOut(uint32_t result);
  void FillTensor(uint32_t result, eyrie_tensor_t& output);
  void FillList(Slot& slot, const eyrie_value_info_t& value, eyrie_tensor_t& output);

  const eyrie_module& module_;
  vm::Lists& lists_;
  StringTable& strings_;
  SymbolSizes& symbols_;
  const Inputs& inputs_;
  Array<Slot> slots_;

  // Of the running call.
  uint32_t function_ = 0, count_ = 0;
  const eyrie_tensor_t* outputs_ = nullptr;
};

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_RESULTS_H_
