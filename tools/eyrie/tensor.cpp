#include "tools/eyrie/tensor.h"

#include <algorithm>
#include <cstring>

#include "tools/eyrie/command.h"
#include "tools/eyrie/elements.h"
#include "tools/eyrie/strings.h"

namespace eyrie::cli {
namespace {

bool IsPacked(uint32_t type) { return eyrie_type_bits(type) < 8; }

// Does an array of this dtype carry elements of the type? Libraries that know bf16 or f8 write them as raw bits.
bool Carries(const npy::Array& array, uint32_t type) {
  if (type == EYRIE_STRING) return array.kind == 'U' || array.kind == 'S';
  const char* descr = eyrie_type_npy(type);
  if (descr == nullptr) return false;
  if (array.Descr() == descr) return true;
  return array.kind == 'V' && FamilyOf(type) == Family::kFloat && descr[1] == 'u' &&
         array.item_size == static_cast<uint32_t>(descr[2] - '0');
}

eyrie_tensor_t ViewOf(const Tensor& tensor) {
  eyrie_tensor_t result = {};
  // The runtime only reads inputs.
  result.data = const_cast<uint8_t*>(tensor.data.data());
  result.size_bytes = tensor.data.size();
  result.type = tensor.type;
  result.rank = static_cast<uint32_t>(tensor.shape.size());
  std::copy(tensor.shape.begin(), tensor.shape.end(), result.dims);
  return result;
}

// Prints the elements under one index of the axes before `axis`.
class TensorPrinter {
 public:
  explicit TensorPrinter(const eyrie_tensor_t& tensor) : tensor_(tensor), shape_(ShapeOf(tensor)) {
    summarise_ = CountOf(shape_) > 1000;
    // Two walks: the first finds the width of the widest element.
    Walk(0, 0);
    measuring_ = false;
    Walk(0, 0);
  }
  std::string text;

 private:
  void Walk(size_t axis, size_t index) {
    if (axis == shape_.size()) {
      std::string element = ElementText(tensor_.type, static_cast<const uint8_t*>(tensor_.data), index);
      // As NumPy does, which does not line strings up.
      if (measuring_ && tensor_.type != EYRIE_STRING) {
        width_ = std::max(width_, element.size());
      } else if (!measuring_) {
        text += std::string(std::max(width_, element.size()) - element.size(), ' ') + element;
      }
      return;
    }
    constexpr int64_t kEdge = 3;
    int64_t size = shape_[axis];
    bool cut = summarise_ && size > 2 * kEdge;
    bool last = axis + 1 == shape_.size();
    std::string separator = last ? " " : std::string(shape_.size() - axis - 1, '\n') + std::string(axis + 1, ' ');
    Add("[");
    for (int64_t i = 0; i < size; ++i) {
      if (i != 0) Add(separator);
      if (cut && i == kEdge) {
        Add("..." + separator);
        i = size - kEdge;
      }
      Walk(axis + 1, index * static_cast<size_t>(size) + static_cast<size_t>(i));
    }
    Add("]");
  }
  void Add(const std::string& part) {
    if (!measuring_) text += part;
  }

  const eyrie_tensor_t& tensor_;
  std::vector<int64_t> shape_;
  size_t width_ = 0;
  bool summarise_ = false, measuring_ = true;
};

}  // namespace

size_t CountOf(const std::vector<int64_t>& shape) {
  size_t count = 1;
  for (int64_t dim : shape) count *= static_cast<size_t>(dim);
  return count;
}

size_t Tensor::count() const { return CountOf(shape); }

std::vector<int64_t> ShapeOf(const eyrie_tensor_t& tensor) { return {tensor.dims, tensor.dims + tensor.rank}; }

Tensor MakeTensor(uint32_t type, const std::vector<int64_t>& shape) {
  Tensor tensor{type, shape, {}, {}};
  size_t bytes = 0;
  if (shape.size() > EYRIE_MAX_RANK) Fail("a tensor of " + std::to_string(shape.size()) + " dimensions is too large");
  Check(eyrie_tensor_bytes(type, static_cast<uint32_t>(shape.size()), shape.data(), &bytes), "");
  if (!npy::Bytes::Allocate(bytes, &tensor.data)) Fail("not enough memory for " + TypeText(type, shape));
  return tensor;
}

void CheckFits(const Tensor& tensor, const Value& expected, const std::string& found) {
  bool fits = tensor.type == expected.type && (expected.any_rank || tensor.shape.size() == expected.dims.size());
  for (size_t i = 0; fits && i < expected.dims.size(); ++i)
    fits = expected.dims[i].size < 0 || expected.dims[i].size == tensor.shape[i];
  if (!fits)
    Fail("input '" + expected.name + "': expected " + TypeText(expected) + ", found " +
         TypeText(tensor.type, tensor.shape) + " in " + found);
}

Tensor FromArray(const npy::Array& array, const Value& expected, const std::string& found) {
  if (!Carries(array, expected.type)) {
    const char* descr = eyrie_type_npy(expected.type);
    Fail("'" + expected.name + "': expected " + TypeText(expected) + ", which travels as dtype '" +
         (descr ? descr : "?") + "', found dtype '" + array.Descr() + "' of shape " + npy::ShapeText(array.shape) +
         " in " + found);
  }
  if (expected.type == EYRIE_STRING) return StringsFromArray(array, expected.name, found);
  Tensor tensor = MakeTensor(expected.type, array.shape);
  if (IsPacked(expected.type)) {
    if (tensor.data.size() != 0) std::memset(tensor.data.data(), 0, tensor.data.size());
    for (size_t i = 0; i < tensor.count(); ++i) StoreBits(expected.type, tensor.data.data(), i, array.data.data()[i]);
  } else if (FamilyOf(expected.type) == Family::kBool) {
    for (size_t i = 0; i < tensor.count(); ++i) tensor.data.data()[i] = array.data.data()[i] != 0;
  } else if (tensor.data.size() != 0) {
    std::memcpy(tensor.data.data(), array.data.data(), tensor.data.size());
  }
  return tensor;
}

NpyFile ToNpy(const eyrie_tensor_t& tensor, const std::string& name) {
  if (tensor.type == EYRIE_STRING) return StringsToNpy(tensor, name);
  std::vector<int64_t> shape = ShapeOf(tensor);
  NpyFile file{npy::NpyHeader(eyrie_type_npy(tensor.type), shape), {}, {}};
  const uint8_t* data = static_cast<const uint8_t*>(tensor.data);
  size_t bytes = 0, count = CountOf(shape);
  Check(eyrie_tensor_bytes(tensor.type, tensor.rank, tensor.dims, &bytes), "");
  file.data = {data, bytes};
  if (!IsPacked(tensor.type)) return file;
  if (!npy::Bytes::Allocate(count, &file.converted)) Fail("not enough memory for " + TypeText(tensor.type, shape));
  uint32_t unused = 8 - eyrie_type_bits(tensor.type);
  bool is_signed = FamilyOf(tensor.type) == Family::kSigned;
  for (size_t i = 0; i < count; ++i) {
    uint8_t bits = static_cast<uint8_t>(LoadBits(tensor.type, data, i));
    uint8_t extended = static_cast<uint8_t>(static_cast<int8_t>(static_cast<uint8_t>(bits << unused)) >> unused);
    file.converted.data()[i] = is_signed ? extended : bits;
  }
  file.data = {file.converted.data(), count};
  return file;
}

Argument::Argument(Tensor tensor) : is_sequence_(false) {
  views_.push_back(ViewOf(tensor));
  tensors_.push_back(std::move(tensor));
}

Argument::Argument(std::vector<Tensor> elements) : tensors_(std::move(elements)), is_sequence_(true) {
  for (const Tensor& tensor : tensors_) views_.push_back(ViewOf(tensor));
}

eyrie_tensor_t Argument::ToRuntime() const {
  if (!is_sequence_) return views_.empty() ? eyrie_tensor_t{nullptr, 0, EYRIE_NONE, 0, {}} : views_[0];
  eyrie_tensor_t sequence = {};
  // The runtime only reads inputs.
  sequence.data = const_cast<eyrie_tensor_t*>(views_.data());
  sequence.size_bytes = views_.size() * sizeof(eyrie_tensor_t);
  sequence.type = EYRIE_SEQUENCE;
  sequence.rank = 1;
  sequence.dims[0] = static_cast<int64_t>(views_.size());
  return sequence;
}

std::vector<eyrie_tensor_t> ElementsOf(const eyrie_tensor_t& sequence) {
  const eyrie_tensor_t* elements = static_cast<const eyrie_tensor_t*>(sequence.data);
  return {elements, elements + sequence.dims[0]};
}

std::string TensorText(const eyrie_tensor_t& tensor) { return TensorPrinter(tensor).text + "\n"; }

}  // namespace eyrie::cli
