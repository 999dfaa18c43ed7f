#include "tools/eyrie/tensor.h"

#include <algorithm>
#include <cstring>

#include "tools/eyrie/command.h"
#include "tools/eyrie/elements.h"
#include "tools/npy/unicode.h"

namespace eyrie::cli {
namespace {

eyrie_tensor_t ToRuntime(const Tensor& tensor) {
  eyrie_tensor_t result = {};
  // The runtime only reads inputs.
  result.data = const_cast<uint8_t*>(tensor.data.data());
  result.size_bytes = tensor.data.size();
  result.type = tensor.type;
  result.rank = static_cast<uint32_t>(tensor.shape.size());
  std::copy(tensor.shape.begin(), tensor.shape.end(), result.dims);
  return result;
}

bool IsPacked(uint32_t type) { return eyrie_type_bits(type) < 8; }

// Does an array of this dtype carry elements of the type? Libraries that know bf16 or f8 write them as raw bits.
bool Carries(const npy::Array& array, uint32_t type) {
  const char* descr = eyrie_type_npy(type);
  if (descr == nullptr) return false;
  if (FamilyOf(type) == Family::kString) return array.kind == 'U' || array.kind == 'S';
  if (array.Descr() == descr) return true;
  return array.kind == 'V' && FamilyOf(type) == Family::kFloat && descr[1] == 'u' &&
         array.item_size == static_cast<uint32_t>(descr[2] - '0');
}

// The text of an element of an array of strings: it ends before the zeros that fill it up.
std::string TextAt(const npy::Array& array, size_t index, const std::string& found) {
  const uint8_t* item = array.data.data() + index * array.item_size;
  size_t unit = array.kind == 'U' ? 4 : 1, length = array.item_size / unit;
  auto code_at = [&](size_t i) {
    uint32_t code = 0;
    std::memcpy(&code, item + i * unit, unit);
    return code;
  };
  while (length > 0 && code_at(length - 1) == 0) --length;
  if (unit == 1) return std::string(reinterpret_cast<const char*>(item), length);
  std::string text;
  for (size_t i = 0; i < length; ++i)
    if (!npy::AppendUtf8(code_at(i), &text))
      Fail("element " + std::to_string(index) + " of the strings in " + found + " holds " + std::to_string(code_at(i)) +
           ", which is not a code point of Unicode");
  return text;
}

// Strings as an array of UTF-32, as wide as the longest.
NpyFile TextsToNpy(const eyrie_tensor_t& tensor, const std::string& name) {
  std::vector<int64_t> shape = ShapeOf(tensor);
  std::vector<std::vector<uint32_t>> texts(CountOf(shape));
  size_t longest = 1;
  for (size_t i = 0; i < texts.size(); ++i) {
    const eyrie_string_t& text = static_cast<const eyrie_string_t*>(tensor.data)[i];
    if (!npy::ReadUtf8({text.data, text.size}, &texts[i]))
      Fail("output '" + name + "': element " + std::to_string(i) +
           " is not valid UTF-8, so that it cannot be written as text");
    longest = std::max(longest, texts[i].size());
  }
  NpyFile file{npy::NpyHeader("<U" + std::to_string(longest), shape), {}, {}};
  size_t bytes = 0;
  if (__builtin_mul_overflow(texts.size(), 4 * longest, &bytes) || !npy::Bytes::Allocate(bytes, &file.unpacked))
    Fail("not enough memory for " + TypeText(tensor.type, shape));
  if (bytes != 0) std::memset(file.unpacked.data(), 0, bytes);
  for (size_t i = 0; i < texts.size(); ++i)
    if (!texts[i].empty()) std::memcpy(file.unpacked.data() + i * 4 * longest, texts[i].data(), 4 * texts[i].size());
  file.data = {file.unpacked.data(), bytes};
  return file;
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
      if (measuring_) {
        width_ = std::max(width_, element.size());
      } else {
        text += std::string(width_ - element.size(), ' ') + element;
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
  Tensor tensor{type, shape, {}};
  size_t bytes = 0;
  if (shape.size() > EYRIE_MAX_RANK) Fail("a tensor of " + std::to_string(shape.size()) + " dimensions is too large");
  Check(eyrie_tensor_bytes(type, static_cast<uint32_t>(shape.size()), shape.data(), &bytes), "");
  if (!npy::Bytes::Allocate(bytes, &tensor.data)) Fail("not enough memory for " + TypeText(type, shape));
  return tensor;
}

void CheckFits(const Tensor& tensor, const Value& expected, const std::string& found) {
  bool fits = tensor.type == expected.type && (expected.any_rank || tensor.shape.size() == expected.dims.size());
  for (size_t i = 0; fits && !expected.any_rank && i < tensor.shape.size(); ++i)
    fits = expected.dims[i].size < 0 || expected.dims[i].size == tensor.shape[i];
  if (!fits)
    Fail("input '" + expected.name + "': expected " + TypeText(expected) + ", found " +
         TypeText(tensor.type, tensor.shape) + " in " + found);
}

Tensor FromArray(const npy::Array& array, const Value& expected, const std::string& found) {
  if (!Carries(array, expected.type)) {
    const char* descr = eyrie_type_npy(expected.type);
    Fail("'" + expected.name + "': expected " + TypeText(expected) + ", which travels as dtype '" +
         (descr ? FamilyOf(expected.type) == Family::kString ? "<U" : descr : "?") + "', found dtype '" +
         array.Descr() + "' of shape " + npy::ShapeText(array.shape) + " in " + found);
  }
  Tensor tensor = MakeTensor(expected.type, array.shape);
  if (FamilyOf(expected.type) == Family::kString) {
    std::vector<std::string> texts;
    for (size_t i = 0; i < tensor.count(); ++i) texts.push_back(TextAt(array, i, found));
    SetTexts(&tensor, std::move(texts));
  } else if (IsPacked(expected.type)) {
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
  if (FamilyOf(tensor.type) == Family::kString) return TextsToNpy(tensor, name);
  std::vector<int64_t> shape = ShapeOf(tensor);
  NpyFile file{npy::NpyHeader(eyrie_type_npy(tensor.type), shape), {}, {}};
  const uint8_t* data = static_cast<const uint8_t*>(tensor.data);
  size_t bytes = 0, count = CountOf(shape);
  Check(eyrie_tensor_bytes(tensor.type, tensor.rank, tensor.dims, &bytes), "");
  file.data = {data, bytes};
  if (!IsPacked(tensor.type)) return file;
  if (!npy::Bytes::Allocate(count, &file.unpacked)) Fail("not enough memory for " + TypeText(tensor.type, shape));
  uint32_t unused = 8 - eyrie_type_bits(tensor.type);
  bool is_signed = FamilyOf(tensor.type) == Family::kSigned;
  for (size_t i = 0; i < count; ++i) {
    uint8_t bits = static_cast<uint8_t>(LoadBits(tensor.type, data, i));
    uint8_t extended = static_cast<uint8_t>(static_cast<int8_t>(static_cast<uint8_t>(bits << unused)) >> unused);
    file.unpacked.data()[i] = is_signed ? extended : bits;
  }
  file.data = {file.unpacked.data(), count};
  return file;
}

void SetTexts(Tensor* tensor, std::vector<std::string> texts) {
  tensor->texts = std::move(texts);
  auto* strings = reinterpret_cast<eyrie_string_t*>(tensor->data.data());
  for (size_t i = 0; i < tensor->texts.size(); ++i) strings[i] = {tensor->texts[i].data(), tensor->texts[i].size()};
}

Arguments::Arguments(std::vector<Argument> values) : values_(std::move(values)) {
  elements_.reserve(values_.size());
  for (const Argument& value : values_) {
    std::vector<eyrie_tensor_t>& elements = elements_.emplace_back();
    if (!value.is_sequence) {
      tensors_.push_back(ToRuntime(value.tensor));
      continue;
    }
    for (const Tensor& element : value.elements) elements.push_back(ToRuntime(element));
    eyrie_tensor_t sequence = {};
    sequence.data = elements.data();
    sequence.size_bytes = elements.size() * sizeof(eyrie_tensor_t);
    sequence.type = EYRIE_SEQUENCE;
    sequence.rank = 1;
    sequence.dims[0] = static_cast<int64_t>(elements.size());
    tensors_.push_back(sequence);
  }
}

std::span<const eyrie_tensor_t> ElementsOf(const eyrie_tensor_t& sequence) {
  return {static_cast<const eyrie_tensor_t*>(sequence.data), static_cast<size_t>(sequence.dims[0])};
}

NamedTensors::NamedTensors(const std::string& name, const eyrie_tensor_t& value) {
  if (value.type != EYRIE_SEQUENCE) {
    entries_.push_back({name, value});
    return;
  }
  length_ = std::make_unique<int64_t>(value.dims[0]);
  eyrie_tensor_t length = {};
  length.data = length_.get();
  length.size_bytes = sizeof(int64_t);
  length.type = EYRIE_I64;
  entries_.push_back({name + ".len", length});
  for (const eyrie_tensor_t& element : ElementsOf(value))
    entries_.push_back({name + "." + std::to_string(entries_.size() - 1), element});
}

std::string TensorText(const eyrie_tensor_t& tensor) { return TensorPrinter(tensor).text + "\n"; }

}  // namespace eyrie::cli
