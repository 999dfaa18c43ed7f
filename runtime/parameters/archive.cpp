// Eyrie's own archive: abi/parameter_archive.h.
#include <cstddef>
#include <cstring>

#include "abi/crc32c.h"
#include "abi/element_types.h"
#include "abi/module_format.h"
#include "abi/parameter_archive.h"
#include "runtime/base/checked.h"
#include "runtime/parameters/parameter_file.h"

namespace eyrie::rt::parameters {
namespace {

uint64_t RoundUp(uint64_t value, uint64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

class ArchiveReader {
 public:
  ArchiveReader(std::span<const uint8_t> file, ParameterFile& table) : file_(file), table_(table) {}

  Status Read() {
    EYRIE_RETURN_IF_ERROR(ReadHeader());
    EYRIE_RETURN_IF_ERROR(CheckIndex());
    EYRIE_RETURN_IF_ERROR(table_.ReserveEntries(header_.entry_count));
    for (uint32_t i = 0; i < header_.entry_count; ++i) EYRIE_RETURN_IF_ERROR(ReadEntry(i));
    if (next_dim_ != header_.dim_count || next_name_ != header_.name_bytes || next_tensor_ != file_.size())
      return Error(EYRIE_INVALID_ARGUMENT, "its index has dims, names or bytes that belong to no tensor");
    return {};
  }

 private:
  Status ReadHeader() {
    if (file_.size() < sizeof(header_))
      return Error(EYRIE_DATA_LOSS, "it is cut off: it has %zu bytes, its header alone has %zu", file_.size(),
                   sizeof(header_));
    memcpy(&header_, file_.data(), sizeof(header_));
    if (abi::Crc32c(file_.data(), offsetof(abi::ArchiveHeader, header_crc)) != header_.header_crc)
      return Error(EYRIE_DATA_LOSS, "the checksum of its header does not agree");
    if (header_.byte_order_mark != abi::kByteOrderMark)
      return Error(EYRIE_INCOMPATIBLE, "it was written for a machine of the other byte order");
    if (header_.format_major != abi::kArchiveMajor || header_.required_features)
      return Error(EYRIE_INCOMPATIBLE,
                   "it has version %u.%u and needs features 0x%llx, this runtime reads %u.x without features",
                   header_.format_major, header_.format_minor, Ull(header_.required_features), abi::kArchiveMajor);
    if (header_.file_size != file_.size())
      return Error(EYRIE_DATA_LOSS, "it is %s: the file has %zu bytes, its header says %llu",
                   header_.file_size > file_.size() ? "cut off" : "longer than it should be", file_.size(),
                   Ull(header_.file_size));
    return {};
  }

  Status CheckIndex() {
    if (header_.entry_count > abi::kMaxParameters)
      return Error(EYRIE_RESOURCE_EXHAUSTED, "it has %u tensors, limit %u", header_.entry_count, abi::kMaxParameters);
    dims_at_ = sizeof(header_) + uint64_t{header_.entry_count} * sizeof(abi::ArchiveEntry);
    names_at_ = dims_at_ + uint64_t{header_.dim_count} * 8;
    if (!InRange(names_at_, header_.name_bytes, file_.size()))
      return Error(EYRIE_INVALID_ARGUMENT, "its index does not lie in the file");
    uint64_t end = names_at_ + header_.name_bytes;
    if (header_.data_offset != RoundUp(end, abi::kArchiveDataAlignment) || header_.data_offset > file_.size())
      return Error(EYRIE_INVALID_ARGUMENT, "its tensors do not begin behind its index");
    if (abi::Crc32c(file_.data() + sizeof(header_), end - sizeof(header_)) != header_.index_crc)
      return Error(EYRIE_DATA_LOSS, "the checksum of its index does not agree");
    for (uint64_t at = end; at < header_.data_offset; ++at)
      if (file_[at]) return Error(EYRIE_DATA_LOSS, "the padding behind its index is not zero, at byte %llu", Ull(at));
    next_tensor_ = header_.data_offset;
    return {};
  }

  Status ReadEntry(uint32_t index) {
    abi::ArchiveEntry given;
    memcpy(&given, file_.data() + sizeof(header_) + index * sizeof(given), sizeof(given));
    if (given.name_size >= header_.name_bytes - next_name_ || given.rank > header_.dim_count - next_dim_)
      return Error(EYRIE_INVALID_ARGUMENT, "the name or the dims of tensor %u do not lie in the index", index);
    const char* name = reinterpret_cast<const char*>(file_.data()) + names_at_ + next_name_;
    if (name[given.name_size] || given.reserved || (given.flags & ~abi::kArchiveDerived))
      return Error(EYRIE_INVALID_ARGUMENT, "the row of tensor %u is malformed", index);
    if (index && !IsAfter({name, given.name_size}))
      return Error(EYRIE_INVALID_ARGUMENT, "the names of its tensors are not in order, or not distinct");
    previous_ = {name, given.name_size};
    uint64_t padded = RoundUp(given.size, abi::kArchiveTensorAlignment);
    if (given.offset != next_tensor_ || padded < given.size || !InRange(given.offset, padded, file_.size()))
      return Error(EYRIE_INVALID_ARGUMENT, "tensor %u does not lie behind the one before it", index);
    const abi::ElementTypeInfo* type = abi::FindElementType(given.element_type);
    if (!type || type->kind == abi::ElementKind::kString)
      return Error(EYRIE_INVALID_ARGUMENT, "tensor %u has the element type %u", index, given.element_type);
    int64_t dims[256];
    memcpy(dims, file_.data() + dims_at_ + uint64_t{next_dim_} * 8, given.rank * size_t{8});
    next_dim_ += given.rank;
    next_name_ += given.name_size + 1;
    next_tensor_ += padded;
    Entry entry;
    entry.type = given.element_type;
    entry.offset = entry.checked_offset = given.offset;
    entry.size = given.size;
    entry.checked_size = padded;
    entry.check = Check::kCrc32c;
    entry.crc = given.crc;
    entry.is_derived = given.flags & abi::kArchiveDerived;
    entry.source_check = given.source_check;
    return Annotate(table_.Add(name, given.name_size, {dims, given.rank}, entry), "tensor %u", index);
  }

  bool IsAfter(std::span<const char> name) const {
    size_t size = previous_.size() < name.size() ? previous_.size() : name.size();
    int order = memcmp(previous_.data(), name.data(), size);
    return order ? order < 0 : previous_.size() < name.size();
  }

  std::span<const uint8_t> file_;
  ParameterFile& table_;
  abi::ArchiveHeader header_;
  uint64_t dims_at_ = 0, names_at_ = 0;
  uint32_t next_dim_ = 0;
  uint64_t next_name_ = 0, next_tensor_ = 0;
  std::span<const char> previous_;
};

}  // namespace

Status ReadArchive(std::span<const uint8_t> file, Allocator&, ParameterFile& table) {
  return ArchiveReader(file, table).Read();
}

}  // namespace eyrie::rt::parameters
