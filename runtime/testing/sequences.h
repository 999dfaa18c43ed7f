// Sequences of tensors for tests.
#ifndef EYRIE_RUNTIME_TESTING_SEQUENCES_H_
#define EYRIE_RUNTIME_TESTING_SEQUENCES_H_

#include "runtime/testing/functions.h"
#include "runtime/testing/session.h"

namespace eyrie::rt::testing {

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
