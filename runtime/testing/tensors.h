// Tensors of the C interface on memory of a test.
#ifndef EYRIE_RUNTIME_TESTING_TENSORS_H_
#define EYRIE_RUNTIME_TESTING_TENSORS_H_

#include <initializer_list>
#include <vector>

#include "eyrie/runtime.h"

namespace eyrie::rt::testing {

template <typename T>
eyrie_tensor_t TensorOf(uint32_t type, std::vector<T>& data, std::initializer_list<int64_t> dims) {
  eyrie_tensor_t tensor = {data.data(), data.size() * sizeof(T), type, 0, {}};
  for (int64_t dim : dims) tensor.dims[tensor.rank++] = dim;
  return tensor;
}
inline eyrie_tensor_t F32(std::vector<float>& data, std::initializer_list<int64_t> dims) {
  return TensorOf(EYRIE_F32, data, dims);
}
inline eyrie_tensor_t SequenceOf(std::vector<eyrie_tensor_t>& elements) {
  return TensorOf(EYRIE_SEQUENCE, elements, {static_cast<int64_t>(elements.size())});
}

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_TENSORS_H_
