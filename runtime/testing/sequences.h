// Sequences of tensors for tests, and functions on them.
#ifndef EYRIE_RUNTIME_TESTING_SEQUENCES_H_
#define EYRIE_RUNTIME_TESTING_SEQUENCES_H_

#include <string>

#include "runtime/testing/session.h"

namespace eyrie::rt::testing {

inline Value Sequence(std::string name, uint8_t type, std::vector<Dim> dims) { return {name, type, dims, 1, false}; }
inline Value AnySequence(std::string name, uint8_t type) { return {name, type, {}, 1, true}; }

inline Module ModuleOf(const Function& function) {
  Module module = AddScaleModule();
  module.texts = {"cat", "dog"};
  module.functions = {function};
  return module;
}

// y = x
inline Function Echo(const Value& from, const Value& to) {
  Function f;
  f.arguments = {from};
  f.results = {to};
  f.Op(abi::VmOp::kListArg, {0, 0})
      .Op(abi::VmOp::kListResult, {0, 0})
      .Op(abi::VmOp::kSubmitWait)
      .Op(abi::VmOp::kReturn);
  return f;
}

// y = the rows of x, each in a block of its own.
inline Function Rows() {
  Function f;
  f.arguments = {{"x", EYRIE_F32, {-1, 3}}};
  f.results = {Sequence("y", EYRIE_F32, {3})};
  // r0 = n, r1 = row, r2 = bytes of a row, r3 = 1, r4 = 3, r5 = offset, r7 = 0
  f.Op(abi::VmOp::kArgDim, {0, 0, 0})
      .Const(2, 12)
      .Const(3, 1)
      .Const(4, 3)
      .Op(abi::VmOp::kBufArg, {0, 0})
      .Op(abi::VmOp::kBr, {1});
  f.Block().Op(abi::VmOp::kCmpLtS, {6, 1, 0}).Op(abi::VmOp::kCondBr, {6, 2, 3});
  f.Block().Op(abi::VmOp::kBufBlock, {1, 2}).Op(abi::VmOp::kMul, {5, 1, 2}).Op(abi::VmOp::kCopy, {0, 5, 1, 7, 2});
  f.Op(abi::VmOp::kListInsert, {0, 0, 1, EYRIE_F32, 1, 7, 1, 4}).Op(abi::VmOp::kAdd, {1, 1, 3}).Op(abi::VmOp::kBr, {1});
  f.Block().Op(abi::VmOp::kListResult, {0, 0}).Op(abi::VmOp::kSubmitWait).Op(abi::VmOp::kReturn);
  return f;
}

inline const eyrie_tensor_t& At(const eyrie_tensor_t& sequence, int64_t i) {
  EXPECT_LT(i, sequence.dims[0]);
  return static_cast<const eyrie_tensor_t*>(sequence.data)[i];
}

inline float FloatAt(const eyrie_tensor_t& sequence, int64_t element, int64_t i) {
  return static_cast<const float*>(At(sequence, element).data)[i];
}

// Sequences of tensors of f32, with their memory.
struct Floats {
  std::vector<std::vector<float>> memory;
  std::vector<eyrie_tensor_t> elements;
  void Add(std::vector<float> data, std::initializer_list<int64_t> dims) {
    memory.push_back(std::move(data));
    elements.push_back(F32(memory.back(), dims));
  }
  eyrie_tensor_t Get() { return SequenceOf(elements); }
};

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_SEQUENCES_H_
