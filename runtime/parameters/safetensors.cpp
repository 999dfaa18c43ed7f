// safetensors: eight bytes that hold the length of a header in JSON, the header, and the tensors without a gap:
//
//   {"__metadata__": {"text": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
#include <cstring>

#include "abi/element_types.h"
#include "abi/module_format.h"
#include "abi/parameter_archive.h"
#include "runtime/parameters/json.h"
#include "runtime/parameters/parameter_file.h"

namespace eyrie::rt::parameters {
namespace {

// The limit of the format's own library.
constexpr uint64_t kMaxHeader = 100000000;

struct Dtype {
  const char* name;
  abi::ElementType type;
};
constexpr Dtype kDtypes[] = {
    {"F64", abi::ElementType::kF64},        {"F32", abi::ElementType::kF32},
    {"F16", abi::ElementType::kF16},        {"BF16", abi::ElementType::kBF16},
    {"I64", abi::ElementType::kI64},        {"I32", abi::ElementType::kI32},
    {"I16", abi::ElementType::kI16},        {"I8", abi::ElementType::kI8},
    {"U64", abi::ElementType::kU64},        {"U32", abi::ElementType::kU32},
    {"U16", abi::ElementType::kU16},        {"U8", abi::ElementType::kU8},
    {"BOOL", abi::ElementType::kBool},      {"F8_E4M3", abi::ElementType::kF8E4M3FN},
    {"F8_E5M2", abi::ElementType::kF8E5M2}, {"F8_E8M0", abi::ElementType::kF8E8M0FNU},
    {"C64", abi::ElementType::kC64},
};

class HeaderReader {
 public:
  HeaderReader(std::span<const uint8_t> header, uint64_t data_begin, uint64_t data_size, ParameterFile& table)
      : json_(header), data_begin_(data_begin), data_size_(data_size), table_(table) {}

  Status Read() {
    EYRIE_RETURN_IF_ERROR(json_.Expect('{'));
    bool has_metadata = false;
    for (bool first = true;;) {
      EYRIE_ASSIGN_OR_RETURN(bool more, json_.Next('}', &first));
      if (!more) return json_.ExpectEnd();
      EYRIE_RETURN_IF_ERROR(json_.String(name_, sizeof(name_), &name_size_));
      EYRIE_RETURN_IF_ERROR(json_.Expect(':'));
      if (Is(name_, name_size_, "__metadata__")) {
        if (has_metadata) return Error(EYRIE_INVALID_ARGUMENT, "__metadata__ is there twice");
        has_metadata = true;
        EYRIE_RETURN_IF_ERROR(SkipMetadata());
      } else {
        EYRIE_RETURN_IF_ERROR(Annotate(Tensor(), EYRIE_NAME_FORMAT, NameWidth(name_size_), name_));
      }
    }
  }

 private:
  static bool Is(const char* text, size_t size, const char* word) {
    return size == strlen(word) && memcmp(text, word, size) == 0;
  }

  Status SkipMetadata() {
    EYRIE_RETURN_IF_ERROR(json_.Expect('{'));
    for (bool first = true;;) {
      EYRIE_ASSIGN_OR_RETURN(bool more, json_.Next('}', &first));
      if (!more) return {};
      EYRIE_RETURN_IF_ERROR(json_.SkipString());
      EYRIE_RETURN_IF_ERROR(json_.Expect(':'));
      EYRIE_RETURN_IF_ERROR(json_.SkipString());
    }
  }

  // An array of numbers, at most `capacity` of them.
  Status Numbers(int64_t* numbers, size_t capacity, size_t* count) {
    EYRIE_RETURN_IF_ERROR(json_.Expect('['));
    *count = 0;
    for (bool first = true;;) {
      EYRIE_ASSIGN_OR_RETURN(bool more, json_.Next(']', &first));
      if (!more) return {};
      if (*count == capacity) return Error(EYRIE_INVALID_ARGUMENT, "a list of more than %zu numbers", capacity);
      EYRIE_RETURN_IF_ERROR(json_.Count(&numbers[(*count)++]));
    }
  }

  Status Tensor() {
    int64_t dims[abi::kMaxRank], offsets[2];
    size_t rank = 0, offset_count = 0;
    bool seen[3] = {};
    uint32_t type = 0;
    EYRIE_RETURN_IF_ERROR(json_.Expect('{'));
    for (bool first = true;;) {
      EYRIE_ASSIGN_OR_RETURN(bool more, json_.Next('}', &first));
      if (!more) break;
      char key[32];
      size_t size = 0;
      EYRIE_RETURN_IF_ERROR(json_.String(key, sizeof(key), &size));
      EYRIE_RETURN_IF_ERROR(json_.Expect(':'));
      int field = Is(key, size, "dtype") ? 0 : Is(key, size, "shape") ? 1 : Is(key, size, "data_offsets") ? 2 : -1;
      if (field < 0 || seen[field])
        return Error(EYRIE_INVALID_ARGUMENT, "the key '%.*s' is unknown or there twice", static_cast<int>(size), key);
      seen[field] = true;
      if (field == 0) EYRIE_RETURN_IF_ERROR(Type(&type));
      if (field == 1) EYRIE_RETURN_IF_ERROR(Annotate(Numbers(dims, abi::kMaxRank, &rank), "shape"));
      if (field == 2) EYRIE_RETURN_IF_ERROR(Annotate(Numbers(offsets, 2, &offset_count), "data_offsets"));
    }
    if (!seen[0] || !seen[1] || !seen[2])
      return Error(EYRIE_INVALID_ARGUMENT, "dtype, shape or data_offsets is missing");
    if (offset_count != 2 || offsets[0] > offsets[1] || static_cast<uint64_t>(offsets[1]) > data_size_)
      return Error(EYRIE_INVALID_ARGUMENT, "data_offsets are not two numbers in order, up to the data's size of %llu",
                   Ull(data_size_));
    Entry entry;
    entry.type = type;
    entry.offset = data_begin_ + static_cast<uint64_t>(offsets[0]);
    entry.size = static_cast<uint64_t>(offsets[1] - offsets[0]);
    return table_.Add(name_, name_size_, {dims, rank}, entry);
  }

  Status Type(uint32_t* type) {
    char name[32];
    size_t size = 0;
    EYRIE_RETURN_IF_ERROR(json_.String(name, sizeof(name), &size));
    for (const Dtype& dtype : kDtypes) {
      if (!Is(name, size, dtype.name)) continue;
      *type = static_cast<uint32_t>(dtype.type);
      return {};
    }
    return Error(EYRIE_INVALID_ARGUMENT, "unknown dtype '%.*s'", static_cast<int>(size), name);
  }

  JsonReader json_;
  uint64_t data_begin_, data_size_;
  ParameterFile& table_;
  char name_[abi::kMaxParameterName];
  size_t name_size_ = 0;
};

}  // namespace

Status ReadSafetensors(std::span<const uint8_t> file, Allocator& allocator, ParameterFile& table) {
  uint64_t size;
  memcpy(&size, file.data(), sizeof(size));
  if (size > kMaxHeader)
    return Error(EYRIE_INVALID_ARGUMENT, "its header would have %llu bytes, limit %llu", Ull(size), Ull(kMaxHeader));
  if (size > file.size() - 8)
    return Error(EYRIE_DATA_LOSS, "it is cut off: its header would have %llu bytes, the file has %zu", Ull(size),
                 file.size());
  uint64_t begin = 8 + size;
  EYRIE_RETURN_IF_ERROR(HeaderReader(file.subspan(8, size), begin, file.size() - begin, table).Read());
  return CheckLayout(allocator, table.entries(), begin, file.size(), 1);
}

}  // namespace eyrie::rt::parameters
