#include "tools/eyrie/strings.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "tools/eyrie/command.h"
#include "tools/eyrie/elements.h"
#include "tools/npy/unicode.h"

namespace eyrie::cli {
namespace {

// Gives the tensor the strings that lie one after the other in `text`; a single one is for all elements.
void SetStrings(Tensor* tensor, std::string_view text, const std::vector<size_t>& sizes) {
  if (!npy::Bytes::Allocate(text.size() + 1, &tensor->text)) Fail("not enough memory for strings");
  if (!text.empty()) std::memcpy(tensor->text.data(), text.data(), text.size());
  const char* at = reinterpret_cast<const char*>(tensor->text.data());
  for (size_t i = 0; i < tensor->count(); ++i) {
    eyrie_string_t string{at, sizes.size() == 1 ? sizes[0] : sizes[i]};
    std::memcpy(tensor->data.data() + i * sizeof(string), &string, sizeof(string));
    if (sizes.size() != 1) at += sizes[i];
  }
}

uint32_t CodeAt(const uint8_t* data, size_t index) {
  uint32_t code;
  std::memcpy(&code, data + 4 * index, sizeof(code));
  return code;
}

}  // namespace

Tensor MakeStrings(const std::vector<int64_t>& shape, const std::vector<std::string>& strings) {
  Tensor tensor = MakeTensor(EYRIE_STRING, shape);
  std::string text;
  std::vector<size_t> sizes;
  for (const std::string& string : strings) {
    text += string;
    sizes.push_back(string.size());
  }
  SetStrings(&tensor, text, sizes);
  return tensor;
}

Tensor StringsFromArray(const npy::Array& array, const std::string& name, const std::string& found) {
  size_t count = CountOf(array.shape), item = array.item_size;
  // Otherwise a few bytes could ask for any amount of memory.
  if (item == 0 && count != 0) Fail("'" + name + "': found strings of size zero in " + found);
  Tensor tensor = MakeTensor(EYRIE_STRING, array.shape);
  std::string text;
  std::vector<size_t> sizes(count);
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* data = array.data.data() + i * item;
    size_t before = text.size(), unit = array.kind == 'U' ? 4 : 1, length = item / unit;
    auto is_zero = [&](size_t k) { return unit == 4 ? CodeAt(data, k) == 0 : data[k] == 0; };
    while (length != 0 && is_zero(length - 1)) --length;
    if (unit == 1) text.append(reinterpret_cast<const char*>(data), length);
    for (size_t k = 0; unit == 4 && k < length; ++k) {
      if (npy::AppendUtf8(CodeAt(data, k), &text)) continue;
      char code[16];
      std::snprintf(code, sizeof(code), "U+%04X", CodeAt(data, k));
      Fail("'" + name + "': element " + std::to_string(i) + " has " + code + ", which is not a character, in " + found);
    }
    sizes[i] = text.size() - before;
  }
  SetStrings(&tensor, text, sizes);
  return tensor;
}

NpyFile StringsToNpy(const eyrie_tensor_t& tensor, const std::string& name) {
  std::vector<int64_t> shape = ShapeOf(tensor);
  const uint8_t* data = static_cast<const uint8_t*>(tensor.data);
  size_t count = CountOf(shape), longest = 1, bytes = 0;
  std::vector<uint32_t> codes;
  for (size_t i = 0; i < count; ++i) {
    codes.clear();
    if (!npy::ReadUtf8(LoadString(data, i), &codes))
      Fail("'" + name + "': element " + std::to_string(i) + " is not UTF-8 (" +
           Quoted(LoadString(data, i).substr(0, 80)) + "), so that an .npy file cannot hold it");
    longest = std::max(longest, codes.size());
  }
  NpyFile file{npy::NpyHeader("<U" + std::to_string(longest), shape), {}, {}};
  if (__builtin_mul_overflow(count, 4 * longest, &bytes) || !npy::Bytes::Allocate(bytes, &file.converted))
    Fail("'" + name + "': not enough memory for " + std::to_string(count) + " strings of " + std::to_string(longest) +
         " characters");
  if (bytes != 0) std::memset(file.converted.data(), 0, bytes);
  for (size_t i = 0; i < count; ++i) {
    codes.clear();
    if (!npy::ReadUtf8(LoadString(data, i), &codes) || codes.empty()) continue;
    std::memcpy(file.converted.data() + i * 4 * longest, codes.data(), 4 * codes.size());
  }
  file.data = {file.converted.data(), bytes};
  return file;
}

}  // namespace eyrie::cli
