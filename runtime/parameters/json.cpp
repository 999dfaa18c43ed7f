#include "runtime/parameters/json.h"

#include "runtime/parameters/parameter_file.h"

namespace eyrie::rt::parameters {
namespace {

// Bytes of a character in UTF-8.
size_t EncodedSize(uint32_t code) { return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4; }

void Encode(uint32_t code, char* to) {
  size_t size = EncodedSize(code);
  static constexpr uint8_t kLead[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = size; i-- > 1; code >>= 6) to[i] = static_cast<char>(0x80 | (code & 0x3f));
  to[0] = static_cast<char>(kLead[size] | code);
}

}  // namespace

Status JsonReader::Fail(const char* expected) const {
  if (at_ >= text_.size()) return Error(EYRIE_INVALID_ARGUMENT, "its header ends where %s is expected", expected);
  uint8_t found = text_[at_];
  if (found < 0x20 || found >= 0x7f)
    return Error(EYRIE_INVALID_ARGUMENT, "byte %zu of its header: expected %s, found byte 0x%02x", at_ + 8, expected,
                 found);
  return Error(EYRIE_INVALID_ARGUMENT, "byte %zu of its header: expected %s, found '%c'", at_ + 8, expected, found);
}

void JsonReader::SkipSpace() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
    ++at_;
}

bool JsonReader::Take(char c) {
  SkipSpace();
  if (at_ >= text_.size() || text_[at_] != static_cast<uint8_t>(c)) return false;
  ++at_;
  return true;
}

Status JsonReader::Expect(char c) {
  char what[] = {'\'', c, '\'', '\0'};
  return Take(c) ? Status() : Fail(what);
}

Status JsonReader::ExpectEnd() {
  SkipSpace();
  return at_ == text_.size() ? Status() : Fail("nothing but spaces");
}

Result<bool> JsonReader::Next(char close, bool* first) {
  if (*first) {
    *first = false;
    return !Take(close);
  }
  if (Take(',')) return true;
  EYRIE_RETURN_IF_ERROR(Expect(close));
  return false;
}

Status JsonReader::Hex(uint32_t* code) {
  *code = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    uint8_t c = at_ < text_.size() ? text_[at_] : 0, lower = c | 0x20;
    uint32_t digit;
    if (c >= '0' && c <= '9')
      digit = c - '0';
    else if (lower >= 'a' && lower <= 'f')
      digit = lower - 'a' + 10u;
    else
      return Fail("a hexadecimal digit");
    *code = *code << 4 | digit;
  }
  return {};
}

Status JsonReader::Escape(uint32_t* code) {
  if (at_ >= text_.size()) return Fail("a character behind '\\'");
  switch (text_[at_++]) {
    case 'b':
      *code = '\b';
      return {};
    case 'f':
      *code = '\f';
      return {};
    case 'n':
      *code = '\n';
      return {};
    case 'r':
      *code = '\r';
      return {};
    case 't':
      *code = '\t';
      return {};
    case '"':
    case '\\':
    case '/':
      *code = text_[at_ - 1];
      return {};
    case 'u':
      break;
    default:
      --at_;
      return Fail("an escape of JSON");
  }
  EYRIE_RETURN_IF_ERROR(Hex(code));
  if (*code == 0) return Fail("a character that is not \\u0000");
  if (*code < 0xd800 || *code >= 0xe000) return {};
  // The first half of a pair.
  uint32_t second = 0;
  if (*code >= 0xdc00 || text_.size() - at_ < 2 || text_[at_] != '\\' || text_[at_ + 1] != 'u')
    return Fail("a pair of surrogates");
  at_ += 2;
  EYRIE_RETURN_IF_ERROR(Hex(&second));
  if (second < 0xdc00 || second >= 0xe000) return Fail("a pair of surrogates");
  *code = 0x10000 + ((*code - 0xd800) << 10) + (second - 0xdc00);
  return {};
}

Status JsonReader::Character(uint32_t* code) {
  if (at_ >= text_.size()) return Fail("'\"'");
  uint8_t first = text_[at_];
  if (first < 0x20) return Fail("a character of a string");
  ++at_;
  *code = first;
  if (first == '"') return *code = 0, Status();
  if (first == '\\') return Escape(code);
  if (first < 0x80) return {};
  size_t more = first >> 5 == 6 ? 1 : first >> 4 == 14 ? 2 : first >> 3 == 30 ? 3 : 0;
  --at_;
  if (!more || more >= text_.size() - at_ || !IsText(reinterpret_cast<const char*>(text_.data()) + at_, more + 1))
    return Fail("UTF-8");
  *code = first & (0x3fu >> more);
  for (size_t i = 1; i <= more; ++i) *code = *code << 6 | (text_[at_ + i] & 0x3fu);
  at_ += more + 1;
  return {};
}

Status JsonReader::String(char* memory, size_t capacity, size_t* size) {
  EYRIE_RETURN_IF_ERROR(Expect('"'));
  *size = 0;
  for (uint32_t code;;) {
    EYRIE_RETURN_IF_ERROR(Character(&code));
    if (code == 0) return {};
    if (EncodedSize(code) > capacity - *size) return Fail("the end of a string that is too long");
    Encode(code, memory + *size);
    *size += EncodedSize(code);
  }
}

Status JsonReader::SkipString() {
  EYRIE_RETURN_IF_ERROR(Expect('"'));
  uint32_t code;
  do EYRIE_RETURN_IF_ERROR(Character(&code));
  while (code);
  return {};
}

Status JsonReader::Count(int64_t* value) {
  SkipSpace();
  size_t begin = at_;
  *value = 0;
  for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
    if (__builtin_mul_overflow(*value, int64_t{10}, value) ||
        __builtin_add_overflow(*value, int64_t{text_[at_]} - '0', value))
      return Fail("a number below 2^63");
  }
  bool goes_on = at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E');
  if (at_ == begin || goes_on || (text_[begin] == '0' && at_ - begin > 1))
    return Fail("a whole number that is not negative");
  return {};
}

}  // namespace eyrie::rt::parameters
