#include "runtime/parameters/parameter_file.h"

#include <algorithm>
#include <cstring>

#include "abi/crc32c.h"
#include "abi/element_types.h"
#include "abi/module_format.h"
#include "abi/parameter_archive.h"
#include "runtime/base/checked.h"
#include "runtime/base/shape.h"
#include "runtime/parameters/crc32.h"

namespace eyrie::rt::parameters {
namespace {

struct Format {
  const char* name;
  bool (*matches)(std::span<const uint8_t> file);
  Status (*read)(std::span<const uint8_t> file, Allocator& allocator, ParameterFile& table);
};

bool StartsWith(std::span<const uint8_t> file, const char* magic, size_t size) {
  return file.size() >= size && memcmp(file.data(), magic, size) == 0;
}

const Format kFormats[] = {
    {"eyp",
     [](std::span<const uint8_t> file) { return StartsWith(file, abi::kArchiveMagic, sizeof(abi::kArchiveMagic)); },
     ReadArchive},
    {"gguf", [](std::span<const uint8_t> file) { return StartsWith(file, "GGUF", 4); }, ReadGguf},
    {"npz",
     [](std::span<const uint8_t> file) { return StartsWith(file, "PK\3\4", 4) || StartsWith(file, "PK\5\6", 4); },
     ReadNpz},
    // It has no magic: a length, then the brace that opens its header.
    {"safetensors", [](std::span<const uint8_t> file) { return file.size() > 8 && file[8] == '{'; }, ReadSafetensors},
};

int Compare(const char* a, size_t a_size, const char* b, size_t b_size) {
  int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
  return order ? order : a_size < b_size ? -1 : a_size > b_size;
}

}  // namespace

ParameterFile::~ParameterFile() { allocator_.Release(copy_.data(), copy_.size(), 64); }

Status ParameterFile::Open(const char* path, bool in_memory) {
  if (in_memory) {
    EYRIE_ASSIGN_OR_RETURN(copy_, ReadFile(allocator_, path));
    return Annotate(Parse(copy_.data(), copy_.size()), "%.400s", path);
  }
  EYRIE_ASSIGN_OR_RETURN(mapping_, MappedFile::Open(path));
  return Annotate(Parse(mapping_.data(), mapping_.size()), "%.400s", path);
}

Status ParameterFile::Parse(const uint8_t* data, size_t size) {
  data_ = data;
  size_ = size;
  std::span<const uint8_t> file(data, size);
  for (const Format& format : kFormats) {
    if (!format.matches(file)) continue;
    format_ = format.name;
    EYRIE_RETURN_IF_ERROR(Annotate(format.read(file, allocator_, *this), "damaged or unknown .%s file", format.name));
    return Annotate(Finish(), "damaged .%s file", format.name);
  }
  return Error(EYRIE_INVALID_ARGUMENT,
               "not a file of parameters: it begins neither as .eyp nor as .safetensors, .gguf or .npz files do");
}

Status ParameterFile::Add(const char* name, size_t name_size, std::span<const int64_t> dims, const Entry& given) {
  if (entries_.size() == abi::kMaxParameters)
    return Error(EYRIE_RESOURCE_EXHAUSTED, "more than %u tensors", abi::kMaxParameters);
  if (name_size == 0) return Error(EYRIE_INVALID_ARGUMENT, "it has no name");
  if (name_size > abi::kMaxParameterName)
    return Error(EYRIE_INVALID_ARGUMENT, "its name has %zu bytes, limit %u", name_size, abi::kMaxParameterName);
  if (!IsText(name, name_size)) return Error(EYRIE_INVALID_ARGUMENT, "its name is not UTF-8, or has a zero byte");
  if (dims.size() > abi::kMaxRank)
    return Error(EYRIE_INVALID_ARGUMENT, "it has %zu dimensions, limit %u", dims.size(), abi::kMaxRank);
  if (!InRange(given.offset, given.size, size_) || !InRange(given.checked_offset, given.checked_size, size_))
    return Error(EYRIE_INVALID_ARGUMENT, "its %llu bytes from byte %llu do not lie in the file of %llu",
                 Ull(given.size), Ull(given.offset), Ull(size_));
  Entry entry = given;
  if (entry.type) {
    auto bytes = TensorBytes(entry.type, dims);
    if (!bytes.ok()) return Error(EYRIE_INVALID_ARGUMENT, "its shape is too large, or has a negative size");
    if (bytes.value() != entry.size)
      return Error(EYRIE_INVALID_ARGUMENT, "its type and shape take %zu bytes, it has %llu", bytes.value(),
                   Ull(entry.size));
    entry.type_name = abi::FindElementType(entry.type)->name;
  }
  entry.name_size = static_cast<uint32_t>(name_size);
  entry.rank = static_cast<uint32_t>(dims.size());
  size_t at = names_.size();
  EYRIE_RETURN_IF_ERROR(names_.Resize(at + name_size + 1));
  memcpy(names_.data() + at, name, name_size);
  for (int64_t dim : dims) EYRIE_RETURN_IF_ERROR(dims_.Push(dim));
  return entries_.Push(entry);
}

// Gives the entries the addresses of their names and dims, which may have moved while the table grew, and sorts them.
Status ParameterFile::Finish() {
  const char* name = names_.data();
  const int64_t* dims = dims_.data();
  for (Entry& entry : entries_) {
    entry.name = name;
    entry.dims = dims;
    name += entry.name_size + 1;
    dims += entry.rank;
  }
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return Compare(a.name, a.name_size, b.name, b.name_size) < 0; });
  for (size_t i = 1; i < entries_.size(); ++i) {
    const Entry &a = entries_[i - 1], &b = entries_[i];
    if (Compare(a.name, a.name_size, b.name, b.name_size) == 0)
      return Error(EYRIE_INVALID_ARGUMENT, "two tensors have the name " EYRIE_NAME_FORMAT, NameWidth(a.name_size),
                   a.name);
  }
  return {};
}

const Entry* ParameterFile::Find(const char* name, size_t name_size) const {
  const Entry* found = std::lower_bound(entries_.begin(), entries_.end(), name, [&](const Entry& entry, const char*) {
    return Compare(entry.name, entry.name_size, name, name_size) < 0;
  });
  if (found == entries_.end() || Compare(found->name, found->name_size, name, name_size) != 0) return nullptr;
  return found;
}

Status ParameterFile::Verify(const Entry& entry) const {
  if (entry.check == Check::kNone) return {};
  const uint8_t* data = data_ + entry.checked_offset;
  uint32_t crc = entry.check == Check::kCrc32 ? Crc32(data, entry.checked_size) : abi::Crc32c(data, entry.checked_size);
  if (crc == entry.crc) return {};
  return Error(EYRIE_DATA_LOSS,
               "tensor " EYRIE_NAME_FORMAT " is damaged: the checksum of its %llu bytes from byte %llu does not agree",
               NameWidth(entry.name_size), entry.name, Ull(entry.size), Ull(entry.offset));
}

bool IsText(const char* text, size_t size) {
  for (size_t i = 0; i < size;) {
    auto first = static_cast<uint8_t>(text[i]);
    size_t more = first < 0x80 ? 0 : first >> 5 == 6 ? 1 : first >> 4 == 14 ? 2 : first >> 3 == 30 ? 3 : 4;
    if (first == 0 || more == 4 || more >= size - i) return false;
    uint32_t code = more == 0 ? first : first & (0x3fu >> more);
    for (size_t k = 1; k <= more; ++k) {
      auto next = static_cast<uint8_t>(text[i + k]);
      if (next >> 6 != 2) return false;
      code = code << 6 | (next & 0x3f);
    }
    static constexpr uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (code < kLeast[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    i += more + 1;
  }
  return true;
}

Status CheckLayout(Allocator& allocator, std::span<const Entry> entries, uint64_t begin, uint64_t end,
                   uint64_t alignment) {
  struct Range {
    uint64_t offset, size;
    size_t entry;
  };
  Array<Range> ranges(allocator);
  EYRIE_RETURN_IF_ERROR(ranges.Reserve(entries.size()));
  for (size_t i = 0; i < entries.size(); ++i)
    EYRIE_RETURN_IF_ERROR(ranges.Push({entries[i].offset, entries[i].size, i}));
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.size < b.size;
  });
  for (const Range& range : ranges) {
    if (range.offset < begin || !InRange(range.offset, range.size, end))
      return Error(EYRIE_INVALID_ARGUMENT, "tensor %zu of the file overlaps another, or lies outside the data",
                   range.entry);
    if (range.offset - begin >= alignment)
      return Error(EYRIE_INVALID_ARGUMENT, "%llu bytes from byte %llu belong to no tensor", Ull(range.offset - begin),
                   Ull(begin));
    begin = range.offset + range.size;
  }
  if (end - begin >= alignment)
    return Error(EYRIE_INVALID_ARGUMENT, "%llu bytes from byte %llu belong to no tensor", Ull(end - begin), Ull(begin));
  return {};
}

}  // namespace eyrie::rt::parameters
