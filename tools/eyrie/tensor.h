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
  npy::Bytes text;  // what the elements of a string tensor point to

  size_t count() const;
};

// A tensor of the type and shape with uninitialised data; fails if it is too large.
Tensor MakeTensor(uint32_t type, const std::vector<int64_t>& shape);
// Converts an array that travels as the type's npy dtype; strings also as bytes. `found` describes the array's origin
// in errors.
Tensor FromArray(const npy::Array& array, const Value& expected, const std::string& found);
// Fails with expected and found if the tensor does not fit the input's type and static shape.
void CheckFits(const Tensor& tensor, const Value& expected, const std::string& found);

// An argument of a call: a tensor, a sequence of tensors, or nothing.
class Argument {
 public:
  Argument() = default;
  explicit Argument(Tensor tensor);
  explicit Argument(std::vector<Tensor> elements);

  bool is_sequence() const { return is_sequence_; }
  // The tensor alone, or the elements of the sequence.
  const std::vector<Tensor>& tensors() const { return tensors_; }
  // Lives as long as the argument, which may be moved.
  eyrie_tensor_t ToRuntime() const;

 private:
  std::vector<Tensor> tensors_;
  std::vector<eyrie_tensor_t> views_;  // of the tensors
  bool is_sequence_ = false;
};

// The elements of an output, which is a sequence.
std::vector<eyrie_tensor_t> ElementsOf(const eyrie_tensor_t& sequence);

// The bytes of a tensor's .npy file. Packed elements travel one to a byte, strings as code points.
struct NpyFile {
  std::string header;
  npy::Bytes converted;  // owns the data if it differs from the tensor's
  npy::Span data;
};
// Fails if it holds strings that are not UTF-8; `name` is the tensor's.
NpyFile ToNpy(const eyrie_tensor_t& tensor, const std::string& name);

std::vector<int64_t> ShapeOf(const eyrie_tensor_t& tensor);
size_t CountOf(const std::vector<int64_t>& shape);

// As NumPy prints arrays: nested brackets, the middle of long axes left out if there are more than 1000 elements.
std::string TensorText(const eyrie_tensor_t& tensor);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_TENSOR_H_
