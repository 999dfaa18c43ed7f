#include "tools/npy/unicode.h"

namespace eyrie::npy {

bool AppendUtf8(uint32_t code, std::string* text) {
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
  auto add = [&](uint32_t byte) { *text += static_cast<char>(byte); };
  auto tail = [&](int shift) { add(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xC0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    add(0xE0 | code >> 12);
    tail(6);
    tail(0);
  } else {
    add(0xF0 | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
  return true;
}

bool ReadUtf8(std::string_view text, std::vector<uint32_t>* codes) {
  for (size_t i = 0; i < text.size();) {
    uint8_t first = static_cast<uint8_t>(text[i]);
    size_t length = first < 0x80 ? 1 : first < 0xC0 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF8 ? 4 : 0;
    if (length == 0 || length > text.size() - i) return false;
    uint32_t code = length == 1 ? first : first & (0x7Fu >> length);
    for (size_t k = 1; k < length; ++k) {
      uint8_t next = static_cast<uint8_t>(text[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      code = code << 6 | (next & 0x3F);
    }
    // Each length has its own range: anything shorter would have had to be written so.
    constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    codes->push_back(code);
    i += length;
  }
  return true;
}

}  // namespace eyrie::npy
