// Tensors on the side of the command line: what is given to a call and what comes out of it.
#ifndef EYRIE_TOOLS_EYRIE_TENSOR_H_
#define EYRIE_TOOLS_EYRIE_TENSOR_H_

#include <eyrie/runtime.h>

#include <string>
#include <vector>

#include "tools/eyrie/module.h"
#include "tools/npy/npy.h"

namespace eyrie::cli {

// A dense, row-major tensor as the runtime stores it.
struct Tensor {
  uint32_t type = 0;
  std::vector<int64_t> shape;
  npy::Bytes data;

  size_t count() const;
};

// A tensor of the type and shape with uninitialised data; fails if it is too large.
Tensor MakeTensor(uint32_t type, const std::vector<int64_t>& shape);
// Converts an array that travels as the type's npy dtype. `found` describes the array's origin in errors.
Tensor FromArray(const npy::Array& array, const Value& expected, const std::string& found);
// Fails with expected and found if the tensor does not fit the input's type and static shape.
void CheckFits(const Tensor& tensor, const Value& expected, const std::string& found);

// The bytes of the tensor's .npy file: packed elements travel one to a byte.
struct NpyFile {
  std::string header;
  npy::Bytes unpacked;  // owns the data if it differs from the tensor's
  npy::Span data;
};
NpyFile ToNpy(const eyrie_tensor_t& tensor);

eyrie_tensor_t ToRuntime(const Tensor& tensor);
std::vector<int64_t> ShapeOf(const eyrie_tensor_t& tensor);
size_t CountOf(const std::vector<int64_t>& shape);

// As NumPy prints arrays: nested brackets, the middle of long axes left out if there are more than 1000 elements.
std::string TensorText(const eyrie_tensor_t& tensor);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_TENSOR_H_
