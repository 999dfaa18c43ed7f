#include "tools/npy/npy.h"

#include <algorithm>
#include <cstring>

namespace eyrie::npy {
namespace {

constexpr char kMagic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

// Reads the header's dictionary, the part of Python's literals that NumPy writes:
// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  HeaderParser(const char* begin, const char* end) : at_(begin), end_(end) {}

  bool Parse(Header* header, std::string* error) {
    error_ = error;
    bool seen[3] = {};
    if (!Expect('{')) return false;
    while (!Take('}')) {
      std::string key;
      if (!String(&key) || !Expect(':')) return false;
      int field = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : -1;
      if (field < 0 || seen[field]) return Fail("the header has an unknown or repeated key");
      seen[field] = true;
      bool ok = field == 0   ? Descr(&header->descr)
                : field == 1 ? Boolean(&header->fortran_order)
                             : Shape(&header->shape);
      if (!ok) return false;
      if (!Take(',') && !Peek('}')) return Fail("the header is not a dictionary");
    }
    Skip();
    if (at_ != end_) return Fail("the header has text after its dictionary");
    if (!seen[0] || !seen[1] || !seen[2]) return Fail("the header lacks descr, fortran_order or shape");
    return true;
  }

 private:
  bool Fail(const char* text) {
    *error_ = text;
    return false;
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
  bool Expect(char c) { return Take(c) || Fail("the header is not a dictionary"); }

  bool String(std::string* text) {
    Skip();
    if (at_ == end_ || (*at_ != '\'' && *at_ != '"')) return Fail("the header lacks a string");
    char quote = *at_++;
    const char* close = std::find(at_, end_, quote);
    if (close == end_) return Fail("the header has an unfinished string");
    text->assign(at_, close);
    at_ = close + 1;
    return true;
  }
  bool Descr(std::string* text) {
    if (Peek('[')) return Fail("arrays of structures are not supported");
    return String(text);
  }
  bool Word(const char* word) {
    size_t size = std::strlen(word);
    Skip();
    if (static_cast<size_t>(end_ - at_) < size || std::memcmp(at_, word, size) != 0) return false;
    at_ += size;
    return true;
  }
  bool Boolean(bool* value) {
    *value = Word("True");
    return *value || Word("False") || Fail("fortran_order is neither True nor False");
  }
  bool Shape(std::vector<int64_t>* shape) {
    if (!Expect('(')) return false;
    while (!Take(')')) {
      Skip();
      int64_t dim = 0;
      const char* begin = at_;
      for (; at_ != end_ && *at_ >= '0' && *at_ <= '9'; ++at_) {
        if (dim > (INT64_MAX - 9) / 10) return Fail("a dimension is too large");
        dim = dim * 10 + (*at_ - '0');
      }
      if (at_ == begin) return Fail("the shape is not a tuple of numbers");
      if (shape->size() == kMaxRank) return Fail("the shape has more than 64 dimensions");
      shape->push_back(dim);
      if (!Take(',') && !Peek(')')) return Fail("the shape is not a tuple of numbers");
    }
    return true;
  }

  const char* at_;
  const char* end_;
  std::string* error_ = nullptr;
};

bool ParseDescr(const std::string& descr, Array* array, bool* swap, std::string* error) {
  auto fail = [&] {
    *error = "the element type '" + descr.substr(0, 40) + "' is not supported";
    return false;
  };
  if (descr.size() < 3 || descr.size() > 12) return fail();
  char order = descr[0];
  if (order != '<' && order != '>' && order != '|' && order != '=') return fail();
  array->kind = descr[1];
  uint64_t count = 0;
  for (char c : descr.substr(2)) {
    if (c < '0' || c > '9') return fail();
    count = count * 10 + static_cast<uint64_t>(c - '0');
  }
  auto one_of = [&](std::initializer_list<uint64_t> sizes) {
    return std::find(sizes.begin(), sizes.end(), count) != sizes.end();
  };
  bool known = false;
  switch (array->kind) {
    case 'b':
      known = count == 1;
      break;
    case 'i':
    case 'u':
      known = one_of({1, 2, 4, 8});
      break;
    case 'f':
      known = one_of({2, 4, 8});
      break;
    case 'c':
      known = one_of({8, 16});
      break;
    case 'U':
      known = count <= UINT32_MAX / 8;
      break;
    case 'S':
    case 'V':
      known = count <= UINT32_MAX / 8;
      break;
    default:
      break;
  }
  if (!known) return fail();
  array->item_size = static_cast<uint32_t>(array->kind == 'U' ? count * 4 : count);
  *swap = order == '>';
  return true;
}

// The bytes of an array, or false if they do not fit into 63 bits.
bool ByteCount(const Array& array, size_t* bytes) {
  size_t total = array.item_size;
  bool empty = false;
  for (int64_t dim : array.shape) {
    if (dim == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(total, static_cast<size_t>(dim), &total) || total > INT64_MAX) {
      return false;
    }
  }
  *bytes = empty ? 0 : total;
  return true;
}

void SwapBytes(Array* array) {
  size_t unit = array->kind == 'U' ? 4 : array->kind == 'c' ? array->item_size / 2 : array->item_size;
  if (array->kind == 'S' || array->kind == 'V' || unit < 2) return;
  uint8_t* data = array->data.data();
  for (size_t i = 0; i + unit <= array->data.size(); i += unit) std::reverse(data + i, data + i + unit);
}

// Copies an array in Fortran's order (first index fastest) into row-major order.
void FromFortran(const Array& array, const uint8_t* source, uint8_t* target) {
  size_t rank = array.shape.size(), item = array.item_size;
  std::vector<size_t> stride(rank), index(rank, 0);
  size_t step = item;
  for (size_t d = 0; d < rank; ++d) {
    stride[d] = step;
    step *= static_cast<size_t>(array.shape[d]);
  }
  size_t from = 0;
  for (size_t done = 0; done < array.data.size(); done += item) {
    std::memcpy(target + done, source + from, item);
    for (size_t d = rank; d-- > 0;) {
      from += stride[d];
      if (++index[d] < static_cast<size_t>(array.shape[d])) break;
      from -= stride[d] * index[d];
      index[d] = 0;
    }
  }
}

}  // namespace

std::string Array::Descr() const {
  std::string text(1, item_size == 1 || kind == 'S' || kind == 'V' ? '|' : '<');
  return text + kind + std::to_string(kind == 'U' ? item_size / 4 : item_size);
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (int64_t dim : shape) text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text;
}

bool ReadNpy(Span file, Array* array, std::string* error) {
  auto fail = [&](std::string text) {
    *error = std::move(text);
    return false;
  };
  if (file.size < 10 || std::memcmp(file.data, kMagic, sizeof(kMagic)) != 0) return fail("it is not an .npy file");
  int major = file.data[6];
  if (major < 1 || major > 3) return fail("its .npy version " + std::to_string(major) + " is not known");
  size_t start = major == 1 ? 10 : 12;
  if (file.size < start) return fail("it ends within its header");
  size_t length = file.data[8] | static_cast<size_t>(file.data[9]) << 8;
  if (major > 1) length |= static_cast<size_t>(file.data[10]) << 16 | static_cast<size_t>(file.data[11]) << 24;
  if (length > file.size - start) return fail("it ends within its header");
  const char* text = reinterpret_cast<const char*>(file.data) + start;
  Header header;
  if (!HeaderParser(text, text + length).Parse(&header, error)) return false;
  Array result;
  bool swap = false;
  size_t bytes = 0;
  if (!ParseDescr(header.descr, &result, &swap, error)) return false;
  result.shape = std::move(header.shape);
  if (!ByteCount(result, &bytes)) return fail("its shape " + ShapeText(result.shape) + " is too large");
  size_t available = file.size - start - length;
  if (bytes != available)
    return fail("its shape needs " + std::to_string(bytes) + " bytes of data, it has " + std::to_string(available));
  if (!Bytes::Allocate(bytes, &result.data)) return fail("not enough memory");
  const uint8_t* source = file.data + start + length;
  if (header.fortran_order && result.shape.size() > 1) {
    FromFortran(result, source, result.data.data());
  } else if (bytes != 0) {
    std::memcpy(result.data.data(), source, bytes);
  }
  if (swap) SwapBytes(&result);
  *array = std::move(result);
  return true;
}

std::string NpyHeader(const std::string& descr, const std::vector<int64_t>& shape) {
  std::string text = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  text += shape.size() == 1 ? ",), }" : "), }";
  size_t before = sizeof(kMagic) + 4;
  // The data begins at a multiple of 64 bytes and the header ends with a line feed.
  while ((before + text.size() + 1) % 64 != 0) text += ' ';
  text += '\n';
  std::string header(kMagic, sizeof(kMagic));
  header += '\x01';
  header += '\0';
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

}  // namespace eyrie::npy
