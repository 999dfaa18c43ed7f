// Tensors on the side of the command line: what is given to a call and what comes out of it.
#ifndef EYRIE_TOOLS_EYRIE_TENSOR_H_
#define EYRIE_TOOLS_EYRIE_TENSOR_H_

#include <eyrie/runtime.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tools/eyrie/module.h"
#include "tools/npy/npy.h"

namespace eyrie::cli {

// A dense, row-major tensor as the runtime stores it. Movable, not copyable.
struct Tensor {
  uint32_t type = 0;
  std::vector<int64_t> shape;
  npy::Bytes data;
  std::vector<std::string> texts = {};  // the elements of a string tensor, to which its data refers

  size_t count() const;
};

// What is given for an input: a tensor, or the elements of a sequence.
struct Argument {
  bool is_sequence = false;
  Tensor tensor = {};
  std::vector<Tensor> elements = {};
};

// A call's inputs, in the form that the runtime takes.
class Arguments {
 public:
  explicit Arguments(std::vector<Argument> values);
  const eyrie_tensor_t* data() const { return tensors_.data(); }
  size_t size() const { return tensors_.size(); }

 private:
  std::vector<Argument> values_;
  std::vector<std::vector<eyrie_tensor_t>> elements_;  // of each sequence
  std::vector<eyrie_tensor_t> tensors_;
};

// The tensors that a value holds, under the names that they have in files: NAME; or NAME.len, NAME.0, NAME.1, ...
class NamedTensors {
 public:
  // `value` must outlive the list.
  NamedTensors(const std::string& name, const eyrie_tensor_t& value);
  struct Entry {
    std::string name;
    eyrie_tensor_t tensor;
  };
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::unique_ptr<int64_t> length_;
  std::vector<Entry> entries_;
};

// The elements of a sequence that a call returned.
std::span<const eyrie_tensor_t> ElementsOf(const eyrie_tensor_t& sequence);
// Makes the element's data refer to its text.
void SetTexts(Tensor* tensor, std::vector<std::string> texts);

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
// `name` is for errors.
NpyFile ToNpy(const eyrie_tensor_t& tensor, const std::string& name);

std::vector<int64_t> ShapeOf(const eyrie_tensor_t& tensor);
size_t CountOf(const std::vector<int64_t>& shape);

// As NumPy prints arrays: nested brackets, the middle of long axes left out if there are more than 1000 elements.
std::string TensorText(const eyrie_tensor_t& tensor);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_TENSOR_H_
