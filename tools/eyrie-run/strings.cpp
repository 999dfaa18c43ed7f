// Strings: UTF-8 here, code points of four bytes in .npy files.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/eyrie-run/eyrie_run.h"

namespace eyrie::run {
namespace {

// Writes a code point and returns its bytes; 0 if there is no such character.
size_t Encode(uint32_t code, char* out) {
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 0;
  size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = size - 1; i > 0; --i, code >>= 6) out[i] = static_cast<char>(0x80 | (code & 0x3f));
  // As many ones as there are bytes, a zero, and the rest of the code point.
  out[0] = static_cast<char>(size == 1 ? code : (0xf00u >> size) | code);
  return size;
}

// Reads a code point and returns its bytes; 0 if they are not UTF-8.
size_t Decode(const char* text, size_t size, uint32_t* code) {
  uint8_t first = static_cast<uint8_t>(text[0]);
  size_t length = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
  if (length == 0 || length > size) return 0;
  *code = length == 1 ? first : first & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) *code = *code << 6 | (static_cast<uint8_t>(text[i]) & 0x3f);
  // Only what would be written the same is UTF-8.
  char same[4];
  return Encode(*code, same) == length && memcmp(same, text, length) == 0 ? length : 0;
}

size_t CountOf(const eyrie_tensor_t& tensor) {
  size_t count = 1;
  for (uint32_t i = 0; i < tensor.rank; ++i) count *= static_cast<size_t>(tensor.dims[i]);
  return count;
}

eyrie_string_t* StringsOf(const eyrie_tensor_t& tensor) { return static_cast<eyrie_string_t*>(tensor.data); }

}  // namespace

void ReadStrings(const char* path, FILE* file, size_t width, eyrie_tensor_t* tensor) {
  size_t count = CountOf(*tensor), text_bytes;
  // A code point takes at most as many bytes in UTF-8 as in the file.
  if (__builtin_mul_overflow(count, 4 * width, &text_bytes)) Fail(kFailed, "%s: the shape is too large", path);
  AllocateTensor(tensor, text_bytes);
  char* out = static_cast<char*>(tensor->data) + tensor->size_bytes;
  for (size_t i = 0; i < count; ++i) {
    char* begin = out;
    char* end = out;  // behind the last character that is not zero
    for (size_t k = 0; k < width; ++k) {
      uint32_t code;
      if (fread(&code, sizeof(code), 1, file) != 1) Fail(kFailed, "%s: the data is cut off", path);
      size_t size = Encode(code, out);
      if (size == 0) Fail(kFailed, "%s: element %zu has U+%04X, which is not a character", path, i, code);
      out += size;
      if (code != 0) end = out;
    }
    StringsOf(*tensor)[i] = {begin, static_cast<size_t>(end - begin)};
    out = end;
  }
}

size_t LongestString(const char* path, const eyrie_tensor_t& tensor) {
  size_t longest = 1;
  for (size_t i = 0; i < CountOf(tensor); ++i) {
    const eyrie_string_t& string = StringsOf(tensor)[i];
    size_t codes = 0;
    for (size_t at = 0, step; at < string.size; at += step, ++codes) {
      uint32_t code;
      step = Decode(string.data + at, string.size - at, &code);
      if (step == 0) Fail(kFailed, "%s: element %zu is not UTF-8, so that an .npy file cannot hold it", path, i);
    }
    if (codes > longest) longest = codes;
  }
  return longest;
}

bool WriteStrings(FILE* file, size_t width, const eyrie_tensor_t& tensor) {
  bool good = true;
  for (size_t i = 0; i < CountOf(tensor); ++i) {
    const eyrie_string_t& string = StringsOf(tensor)[i];
    for (size_t k = 0, at = 0; good && k < width; ++k) {
      uint32_t code = 0;
      if (at < string.size) at += Decode(string.data + at, string.size - at, &code);
      good = fwrite(&code, sizeof(code), 1, file) == 1;
    }
  }
  return good;
}

void SetStrings(const char* text, eyrie_tensor_t* tensor) {
  size_t count = CountOf(*tensor);
  for (size_t i = 0; i < count; ++i) StringsOf(*tensor)[i] = {text, strlen(text)};
}

void PrintString(const eyrie_tensor_t& tensor, size_t index) {
  const eyrie_string_t& string = StringsOf(tensor)[index];
  fputs(" \"", stdout);
  for (size_t at = 0, step; at < string.size; at += step) {
    uint32_t code = 0;
    step = Decode(string.data + at, string.size - at, &code);
    if (step == 0 || code < 0x20 || code == 0x7f) {
      step = 1;
      printf("\\x%02x", static_cast<uint8_t>(string.data[at]));
    } else {
      if (code == '"' || code == '\\') putchar('\\');
      fwrite(string.data + at, 1, step, stdout);
    }
  }
  putchar('"');
}

}  // namespace eyrie::run
