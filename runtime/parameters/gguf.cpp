// GGUF, versions 2 and 3, as its specification (ggml's docs/gguf.md) describes it: a header, keys with values, a table
// of tensors, and the tensors, each at a multiple of `general.alignment`. Dimensions are stored the fastest first.
#include <cstring>

#include "abi/element_types.h"
#include "abi/module_format.h"
#include "abi/parameter_archive.h"
#include "runtime/base/checked.h"
#include "runtime/parameters/parameter_file.h"

namespace eyrie::rt::parameters {
namespace {

struct BlockType {
  uint32_t number;
  const char* name;
  uint32_t elements, bytes;  // of a block
  abi::ElementType type;     // if it is one of ours
};
constexpr auto kNone = abi::ElementType::kInvalid;
constexpr BlockType kBlockTypes[] = {
    {0, "f32", 1, 4, abi::ElementType::kF32},
    {1, "f16", 1, 2, abi::ElementType::kF16},
    {2, "q4_0", 32, 18, kNone},
    {3, "q4_1", 32, 20, kNone},
    {6, "q5_0", 32, 22, kNone},
    {7, "q5_1", 32, 24, kNone},
    {8, "q8_0", 32, 34, kNone},
    {9, "q8_1", 32, 40, kNone},
    {10, "q2_k", 256, 84, kNone},
    {11, "q3_k", 256, 110, kNone},
    {12, "q4_k", 256, 144, kNone},
    {13, "q5_k", 256, 176, kNone},
    {14, "q6_k", 256, 210, kNone},
    {15, "q8_k", 256, 292, kNone},
    {16, "iq2_xxs", 256, 66, kNone},
    {17, "iq2_xs", 256, 74, kNone},
    {18, "iq3_xxs", 256, 98, kNone},
    {19, "iq1_s", 256, 50, kNone},
    {20, "iq4_nl", 32, 18, kNone},
    {21, "iq3_s", 256, 110, kNone},
    {22, "iq2_s", 256, 82, kNone},
    {23, "iq4_xs", 256, 136, kNone},
    {24, "i8", 1, 1, abi::ElementType::kI8},
    {25, "i16", 1, 2, abi::ElementType::kI16},
    {26, "i32", 1, 4, abi::ElementType::kI32},
    {27, "i64", 1, 8, abi::ElementType::kI64},
    {28, "f64", 1, 8, abi::ElementType::kF64},
    {29, "iq1_m", 256, 56, kNone},
    {30, "bf16", 1, 2, abi::ElementType::kBF16},
    {34, "tq1_0", 256, 54, kNone},
    {35, "tq2_0", 256, 66, kNone},
    {39, "mxfp4", 32, 17, kNone},
    {40, "nvfp4", 64, 36, kNone},
    {41, "q1_0", 128, 18, kNone},
};

// The dimensions that ggml allows.
constexpr uint32_t kMaxDims = 4;
constexpr uint32_t kString = 8, kArray = 9, kUint32 = 4;
// Bytes of a value of each type; 0: it has a length of its own.
constexpr uint8_t kValueBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
// The least bytes that a key with its value, and a row of the table, take.
constexpr uint64_t kLeastPair = 8 + 4 + 1, kLeastRow = 8 + 4 + 4 + 8;

class GgufReader {
 public:
  GgufReader(std::span<const uint8_t> file, ParameterFile& table) : file_(file), table_(table) {}

  Status Read() {
    uint32_t version = 0;
    uint64_t tensors = 0, pairs = 0;
    at_ = 4;
    EYRIE_RETURN_IF_ERROR(Number(&version));
    if (version == 0 || !(version & 0xffff))
      return Error(EYRIE_INVALID_ARGUMENT, "it has version 0x%x: it may be big-endian, which is not supported",
                   version);
    if (version != 2 && version != 3)
      return Error(EYRIE_INVALID_ARGUMENT, "it has version %u, supported are 2 and 3", version);
    EYRIE_RETURN_IF_ERROR(Number(&tensors));
    EYRIE_RETURN_IF_ERROR(Number(&pairs));
    if (pairs > Left() / kLeastPair || tensors > Left() / kLeastRow)
      return Error(EYRIE_INVALID_ARGUMENT, "%llu keys and %llu tensors do not fit into a file of %zu bytes", Ull(pairs),
                   Ull(tensors), file_.size());
    for (uint64_t i = 0; i < pairs; ++i) EYRIE_RETURN_IF_ERROR(Annotate(Pair(), "key %llu", Ull(i)));
    EYRIE_RETURN_IF_ERROR(table_.ReserveEntries(tensors));
    EYRIE_RETURN_IF_ERROR(Rows(tensors));
    return {};
  }
  uint64_t data_begin() const { return data_begin_; }
  uint32_t alignment() const { return alignment_; }

 private:
  uint64_t Left() const { return file_.size() - at_; }

  Status Skip(uint64_t bytes) {
    if (bytes > Left())
      return Error(EYRIE_INVALID_ARGUMENT, "%llu bytes from byte %llu do not lie in the file of %zu", Ull(bytes),
                   Ull(at_), file_.size());
    at_ += bytes;
    return {};
  }

  template <typename T>
  Status Number(T* value) {
    EYRIE_RETURN_IF_ERROR(Skip(sizeof(T)));
    memcpy(value, &file_[at_ - sizeof(T)], sizeof(T));
    return {};
  }

  Status String(std::span<const char>* text) {
    uint64_t size = 0;
    EYRIE_RETURN_IF_ERROR(Number(&size));
    EYRIE_RETURN_IF_ERROR(Skip(size));
    *text = {reinterpret_cast<const char*>(file_.data()) + at_ - size, static_cast<size_t>(size)};
    return {};
  }

  Status Pair() {
    std::span<const char> key;
    uint32_t type = 0;
    EYRIE_RETURN_IF_ERROR(String(&key));
    EYRIE_RETURN_IF_ERROR(Number(&type));
    constexpr char kAlignment[] = "general.alignment";
    if (key.size() != sizeof(kAlignment) - 1 || memcmp(key.data(), kAlignment, key.size()) != 0)
      return Annotate(Value(type), EYRIE_NAME_FORMAT, NameWidth(key.size()), key.data());
    if (type != kUint32) return Error(EYRIE_INVALID_ARGUMENT, "general.alignment is not a number of 32 bits");
    EYRIE_RETURN_IF_ERROR(Number(&alignment_));
    if (!IsPowerOfTwo(alignment_) || alignment_ < 8 || alignment_ > 65536)
      return Error(EYRIE_INVALID_ARGUMENT, "general.alignment is %u, expected a power of two from 8 to 65536",
                   alignment_);
    return {};
  }

  Status Value(uint32_t type) {
    std::span<const char> text;
    if (type >= sizeof(kValueBytes)) return Error(EYRIE_INVALID_ARGUMENT, "a value of the unknown type %u", type);
    if (type == kString) return String(&text);
    if (type != kArray) return Skip(kValueBytes[type]);
    uint32_t element = 0;
    uint64_t count = 0;
    EYRIE_RETURN_IF_ERROR(Number(&element));
    EYRIE_RETURN_IF_ERROR(Number(&count));
    if (element >= sizeof(kValueBytes) || element == kArray)
      return Error(EYRIE_INVALID_ARGUMENT, "an array with elements of type %u, which is unknown or an array", element);
    uint64_t least = element == kString ? 8 : kValueBytes[element];
    if (count > Left() / least)
      return Error(EYRIE_INVALID_ARGUMENT, "an array of %llu elements does not lie in the file", Ull(count));
    if (element != kString) return Skip(count * least);
    for (uint64_t i = 0; i < count; ++i) EYRIE_RETURN_IF_ERROR(String(&text));
    return {};
  }

  // The table of tensors. Their offsets count from behind it, so it is gone through twice.
  Status Rows(uint64_t count) {
    uint64_t begin = at_;
    for (int pass = 0; pass < 2; ++pass) {
      at_ = begin;
      for (uint64_t i = 0; i < count; ++i) {
        std::span<const char> name;
        EYRIE_RETURN_IF_ERROR(Annotate(String(&name), "tensor %llu", Ull(i)));
        EYRIE_RETURN_IF_ERROR(
            Annotate(Row(name, pass == 1), "tensor " EYRIE_NAME_FORMAT, NameWidth(name.size()), name.data()));
      }
      data_begin_ = (at_ + alignment_ - 1) / alignment_ * alignment_;
      // A file without tensors may end with its table.
      if (data_begin_ > file_.size()) data_begin_ = file_.size();
    }
    return {};
  }

  Status Row(std::span<const char> name, bool add) {
    uint32_t rank = 0, number = 0;
    uint64_t offset = 0, count = 1;
    int64_t dims[kMaxDims];
    EYRIE_RETURN_IF_ERROR(Number(&rank));
    if (rank > kMaxDims) return Error(EYRIE_INVALID_ARGUMENT, "it has %u dimensions, limit %u", rank, kMaxDims);
    for (uint32_t i = 0; i < rank; ++i) {
      uint64_t dim = 0;
      EYRIE_RETURN_IF_ERROR(Number(&dim));
      if (dim == 0 || !CheckedMul(count, dim, &count) || count > INT64_MAX)
        return Error(EYRIE_INVALID_ARGUMENT, "dimension %u is %llu, which is 0 or too much", i, Ull(dim));
      dims[rank - 1 - i] = static_cast<int64_t>(dim);
    }
    EYRIE_RETURN_IF_ERROR(Number(&number));
    EYRIE_RETURN_IF_ERROR(Number(&offset));
    return add ? AddTensor(name, {dims, rank}, number, count, offset) : Status();
  }

  Status AddTensor(std::span<const char> name, std::span<const int64_t> dims, uint32_t number, uint64_t count,
                   uint64_t offset) {
    const BlockType* type = nullptr;
    for (const BlockType& row : kBlockTypes)
      if (row.number == number) type = &row;
    if (!type) return Error(EYRIE_INVALID_ARGUMENT, "its type %u is unknown", number);
    uint64_t row = dims.empty() ? 1 : static_cast<uint64_t>(dims.back()), bytes = 0;
    if (row % type->elements)
      return Error(EYRIE_INVALID_ARGUMENT, "its rows of %llu elements are no whole blocks of %u", Ull(row),
                   type->elements);
    if (!CheckedMul(count / type->elements, uint64_t{type->bytes}, &bytes))
      return Error(EYRIE_INVALID_ARGUMENT, "%llu elements are too many", Ull(count));
    if (offset % alignment_ || !InRange(offset, bytes, file_.size() - data_begin_))
      return Error(EYRIE_INVALID_ARGUMENT,
                   "its %llu bytes from byte %llu of the data are not aligned to %u, or do not lie in the file",
                   Ull(bytes), Ull(offset), alignment_);
    Entry entry;
    entry.type = static_cast<uint32_t>(type->type);
    entry.type_name = type->name;
    if (!entry.type)
      entry.problem = "is quantised in blocks, which Eyrie does not compute with: store it as f16 or f32";
    entry.offset = data_begin_ + offset;
    entry.size = bytes;
    return table_.Add(name.data(), name.size(), dims, entry);
  }

  std::span<const uint8_t> file_;
  ParameterFile& table_;
  uint64_t at_ = 0, data_begin_ = 0;
  uint32_t alignment_ = 32;
};

}  // namespace

Status ReadGguf(std::span<const uint8_t> file, Allocator& allocator, ParameterFile& table) {
  GgufReader reader(file, table);
  EYRIE_RETURN_IF_ERROR(reader.Read());
  return CheckLayout(allocator, table.entries(), reader.data_begin(), file.size(), reader.alignment());
}

}  // namespace eyrie::rt::parameters
