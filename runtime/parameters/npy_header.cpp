#include "runtime/parameters/npy_header.h"

#include <cstring>

#include "abi/element_types.h"

namespace eyrie::rt::parameters {
namespace {

// Reads the header's dictionary as NumPy writes it: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class DictReader {
 public:
  DictReader(const char* begin, const char* end) : at_(begin), end_(end) {}

  Status Read(NpyHeader* header) {
    bool seen[3] = {}, fortran = false;
    char descr[16] = {};
    EYRIE_RETURN_IF_ERROR(Expect('{'));
    while (!Take('}')) {
      char key[16];
      EYRIE_RETURN_IF_ERROR(String(key, sizeof(key)));
      EYRIE_RETURN_IF_ERROR(Expect(':'));
      int field = !strcmp(key, "descr") ? 0 : !strcmp(key, "fortran_order") ? 1 : !strcmp(key, "shape") ? 2 : -1;
      if (field < 0 || seen[field]) return Bad("an unknown or repeated key");
      seen[field] = true;
      if (field == 0) EYRIE_RETURN_IF_ERROR(Descr(descr, sizeof(descr), header));
      if (field == 1) EYRIE_RETURN_IF_ERROR(Boolean(&fortran));
      if (field == 2) EYRIE_RETURN_IF_ERROR(Shape(header));
      if (!Take(',') && !Peek('}')) return Bad("no comma between two keys");
    }
    Skip();
    if (at_ != end_ || !seen[0] || !seen[1] || !seen[2]) return Bad("a key too few, or text behind its dictionary");
    if (header->problem) return {};
    FindType(descr, header);
    if (fortran && header->rank > 1 && !header->problem) {
      header->type = 0;
      header->problem = "is in Fortran's order: save numpy.ascontiguousarray of it";
    }
    return {};
  }

 private:
  static Status Bad(const char* what) { return Error(EYRIE_INVALID_ARGUMENT, "its .npy header has %s", what); }

  static void FindType(const char* descr, NpyHeader* header) {
    header->problem = "has a dtype that is no element type: save it as another one";
    header->descr_name = "another dtype";
    // Types that NumPy lacks travel as their bits: the first row of a dtype is its own.
    for (const abi::ElementTypeInfo& info : abi::kElementTypes) {
      bool is_own = info.bits >= 8 && info.kind != abi::ElementKind::kBFloat &&
                    info.kind != abi::ElementKind::kFloat8 && info.kind != abi::ElementKind::kString;
      // The order of single bytes is written as '|', but read as anything.
      bool same = !strcmp(descr, info.npy) || (info.bits == 8 && descr[0] != '\0' && !strcmp(descr + 1, info.npy + 1));
      if (!is_own || !same) continue;
      header->type = static_cast<uint32_t>(info.type);
      header->problem = nullptr;
      return;
    }
    if (descr[0] != '>') return;
    header->problem = "is big-endian: save it in the order of this machine";
  }

  void Skip() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t')) ++at_;
  }
  bool Peek(char c) {
    Skip();
    return at_ != end_ && *at_ == c;
  }
  bool Take(char c) {
    if (!Peek(c)) return false;
    ++at_;
    return true;
  }
  Status Expect(char c) { return Take(c) ? Status() : Bad("no dictionary"); }

  Status String(char* text, size_t capacity) {
    Skip();
    if (at_ == end_ || (*at_ != '\'' && *at_ != '"')) return Bad("no string where one is expected");
    char quote = *at_++;
    size_t size = 0;
    for (; at_ != end_ && *at_ != quote; ++at_) {
      if (size + 1 == capacity || *at_ == '\0') return Bad("a string that is too long");
      text[size++] = *at_;
    }
    text[size] = '\0';
    if (at_ == end_) return Bad("an unfinished string");
    ++at_;
    return {};
  }
  // A dtype of structures is a list: what is in it is not looked at.
  Status Descr(char* text, size_t capacity, NpyHeader* header) {
    if (!Peek('[')) return String(text, capacity);
    header->descr_name = "structures";
    header->problem = "is an array of structures: save each field as an array";
    size_t depth = 0;
    for (; at_ != end_; ++at_) {
      if (*at_ == '[') ++depth;
      if (*at_ == ']' && --depth == 0) return ++at_, Status();
    }
    return Bad("an unfinished list");
  }
  bool Word(const char* word) {
    size_t size = strlen(word);
    Skip();
    if (static_cast<size_t>(end_ - at_) < size || memcmp(at_, word, size) != 0) return false;
    at_ += size;
    return true;
  }
  Status Boolean(bool* value) {
    *value = Word("True");
    return *value || Word("False") ? Status() : Bad("a fortran_order that is neither True nor False");
  }
  Status Shape(NpyHeader* header) {
    if (!Take('(')) return Bad("a shape that is no tuple");
    while (!Take(')')) {
      Skip();
      int64_t dim = 0;
      const char* begin = at_;
      for (; at_ != end_ && *at_ >= '0' && *at_ <= '9'; ++at_)
        if (__builtin_mul_overflow(dim, int64_t{10}, &dim) || __builtin_add_overflow(dim, int64_t{*at_ - '0'}, &dim))
          return Bad("a dimension that is too large");
      if (at_ == begin) return Bad("a shape that is no tuple of numbers");
      if (header->rank == abi::kMaxRank) return Bad("a shape of more than 32 dimensions");
      header->dims[header->rank++] = dim;
      if (!Take(',') && !Peek(')')) return Bad("a shape that is no tuple of numbers");
    }
    return {};
  }

  const char* at_;
  const char* end_;
};

}  // namespace

Status NpyHeader::Read(std::span<const uint8_t> file) {
  static constexpr char kMagic[] = "\x93NUMPY";
  if (file.size() < 10 || memcmp(file.data(), kMagic, 6) != 0)
    return Error(EYRIE_INVALID_ARGUMENT, "it is no .npy file");
  uint32_t major = file[6];
  if (major < 1 || major > 3) return Error(EYRIE_INVALID_ARGUMENT, "its .npy version %u is not known", major);
  size_t start = major == 1 ? 10 : 12;
  if (file.size() < start) return Error(EYRIE_INVALID_ARGUMENT, "it ends within its .npy header");
  uint32_t length = file[8] | uint32_t{file[9]} << 8;
  if (major > 1) length |= uint32_t{file[10]} << 16 | uint32_t{file[11]} << 24;
  if (length > file.size() - start) return Error(EYRIE_INVALID_ARGUMENT, "it ends within its .npy header");
  size = start + length;
  const char* text = reinterpret_cast<const char*>(file.data()) + start;
  return DictReader(text, text + length).Read(this);
}

}  // namespace eyrie::rt::parameters
