// .npz: a zip archive (PKWARE's APPNOTE 6.3) of NumPy's .npy files. Members must be stored, which is what numpy.savez
// does: they are used where they lie.
#include <cstring>

#include "abi/element_types.h"
#include "abi/module_format.h"
#include "runtime/base/checked.h"
#include "runtime/parameters/npy_header.h"
#include "runtime/parameters/parameter_file.h"

namespace eyrie::rt::parameters {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kDirectoryEntry = 0x02014b50, kEnd = 0x06054b50;
constexpr uint32_t kEnd64 = 0x06064b50, kEnd64Locator = 0x07064b50;
constexpr size_t kLocalSize = 30, kEntrySize = 46, kEndSize = 22, kEnd64Size = 56, kLocatorSize = 20;

uint64_t Load(const uint8_t* data, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(data[i]) << (8 * i);
  return value;
}

struct Member {
  std::span<const char> name;
  uint64_t size = 0, packed_size = 0, header_offset = 0;
  uint32_t crc = 0, method = 0;
};

class NpzReader {
 public:
  NpzReader(std::span<const uint8_t> file, ParameterFile& table) : file_(file), table_(table) {}

  Status Read() {
    uint64_t count = 0, size = 0, offset = 0;
    EYRIE_RETURN_IF_ERROR(FindDirectory(&count, &size, &offset));
    if (!InRange(offset, size, file_.size()) || count > size / kEntrySize)
      return Error(EYRIE_DATA_LOSS, "its directory of %llu members does not lie in the file", Ull(count));
    EYRIE_RETURN_IF_ERROR(table_.ReserveEntries(count));
    std::span<const uint8_t> directory = file_.subspan(offset, size);
    for (uint64_t i = 0; i < count; ++i) {
      Member member;
      EYRIE_RETURN_IF_ERROR(Annotate(ReadMember(directory, &member), "member %llu of its directory", Ull(i)));
      EYRIE_RETURN_IF_ERROR(
          Annotate(AddMember(member), "member " EYRIE_NAME_FORMAT, NameWidth(member.name.size()), member.name.data()));
    }
    return {};
  }

 private:
  Status FindDirectory(uint64_t* count, uint64_t* size, uint64_t* offset) {
    if (file_.size() < kEndSize) return Error(EYRIE_DATA_LOSS, "it is cut off: it has %zu bytes", file_.size());
    // The end record is followed by a comment of at most 65535 bytes.
    size_t last = file_.size() - kEndSize, first = last > 65535 ? last - 65535 : 0, at = last + 1;
    bool found = false;
    while (!found && at-- > first) found = Load(&file_[at], 4) == kEnd && Load(&file_[at] + 20, 2) == last - at;
    if (!found) return Error(EYRIE_DATA_LOSS, "it is cut off: the end of its directory is missing");
    const uint8_t* end = &file_[at];
    *count = Load(end + 10, 2);
    *size = Load(end + 12, 4);
    *offset = Load(end + 16, 4);
    if (Load(end + 4, 2) != Load(end + 6, 2) || Load(end + 8, 2) != *count)
      return Error(EYRIE_INVALID_ARGUMENT, "archives in several parts are not supported");
    bool is_large = *count == UINT16_MAX || *size == UINT32_MAX || *offset == UINT32_MAX;
    if (!is_large || at < kLocatorSize || Load(end - kLocatorSize, 4) != kEnd64Locator) return {};
    uint64_t where = Load(end - kLocatorSize + 8, 8);
    if (!InRange(where, kEnd64Size, file_.size()) || Load(&file_[where], 4) != kEnd64)
      return Error(EYRIE_DATA_LOSS, "its zip64 record is damaged");
    *count = Load(&file_[where] + 32, 8);
    *size = Load(&file_[where] + 40, 8);
    *offset = Load(&file_[where] + 48, 8);
    return {};
  }

  // Takes a row off the directory.
  Status ReadMember(std::span<const uint8_t>& directory, Member* member) {
    if (directory.size() < kEntrySize || Load(directory.data(), 4) != kDirectoryEntry)
      return Error(EYRIE_DATA_LOSS, "it is damaged");
    const uint8_t* at = directory.data();
    size_t name = Load(at + 28, 2), extra = Load(at + 30, 2), comment = Load(at + 32, 2);
    if (directory.size() - kEntrySize < name + extra + comment) return Error(EYRIE_DATA_LOSS, "it is cut off");
    if (Load(at + 8, 2) & 1) return Error(EYRIE_INVALID_ARGUMENT, "it is encrypted");
    member->method = static_cast<uint32_t>(Load(at + 10, 2));
    member->crc = static_cast<uint32_t>(Load(at + 16, 4));
    member->packed_size = Load(at + 20, 4);
    member->size = Load(at + 24, 4);
    member->header_offset = Load(at + 42, 4);
    member->name = {reinterpret_cast<const char*>(at) + kEntrySize, name};
    directory = directory.subspan(kEntrySize);
    EYRIE_RETURN_IF_ERROR(ReadZip64(directory.subspan(name, extra), member));
    directory = directory.subspan(name + extra + comment);
    return {};
  }

  // The 64-bit values of those fields whose 32-bit ones are full, in the order that the format prescribes.
  Status ReadZip64(std::span<const uint8_t> extra, Member* member) {
    while (extra.size() >= 4) {
      uint64_t id = Load(extra.data(), 2), length = Load(extra.data() + 2, 2);
      extra = extra.subspan(4);
      if (length > extra.size()) return Error(EYRIE_DATA_LOSS, "its extra fields are cut off");
      if (id == 1) {
        for (uint64_t* field : {&member->size, &member->packed_size, &member->header_offset}) {
          if (*field != UINT32_MAX) continue;
          if (length < 8) return Error(EYRIE_DATA_LOSS, "its zip64 field is cut off");
          *field = Load(extra.data(), 8);
          extra = extra.subspan(8);
          length -= 8;
        }
        return {};
      }
      extra = extra.subspan(length);
    }
    return {};
  }

  Status AddMember(const Member& member) {
    if (member.method != 0)
      return Error(EYRIE_INVALID_ARGUMENT,
                   "it is compressed, so it cannot be used where it lies: write the file with numpy.savez, not "
                   "numpy.savez_compressed, or convert it with `eyrie params convert`");
    if (member.size != member.packed_size) return Error(EYRIE_DATA_LOSS, "it has two different sizes");
    uint64_t offset = member.header_offset;
    if (!InRange(offset, kLocalSize, file_.size()) || Load(&file_[offset], 4) != kLocalHeader)
      return Error(EYRIE_DATA_LOSS, "its header is not where the directory says");
    offset += kLocalSize + Load(&file_[offset] + 26, 2) + Load(&file_[offset] + 28, 2);
    if (!InRange(offset, member.size, file_.size())) return Error(EYRIE_DATA_LOSS, "it is cut off");
    std::span<const char> name = member.name;
    constexpr char kSuffix[] = ".npy";
    if (name.size() < 5 || memcmp(name.data() + name.size() - 4, kSuffix, 4) != 0)
      return Error(EYRIE_INVALID_ARGUMENT, "it is no array: its name does not end with .npy");
    NpyHeader header;
    EYRIE_RETURN_IF_ERROR(header.Read(file_.subspan(offset, member.size)));
    Entry entry;
    entry.type = header.type;
    entry.type_name = header.descr_name;
    entry.problem = header.problem;
    entry.offset = offset + header.size;
    entry.size = member.size - header.size;
    entry.check = Check::kCrc32;
    entry.crc = member.crc;
    entry.checked_offset = offset;
    entry.checked_size = member.size;
    return table_.Add(name.data(), name.size() - 4, {header.dims, header.rank}, entry);
  }

  std::span<const uint8_t> file_;
  ParameterFile& table_;
};

}  // namespace

Status ReadNpz(std::span<const uint8_t> file, Allocator& allocator, ParameterFile& table) {
  EYRIE_RETURN_IF_ERROR(NpzReader(file, table).Read());
  // Between the tensors lie headers; but two members must not share bytes.
  return CheckLayout(allocator, table.entries(), 0, file.size(), UINT64_MAX);
}

}  // namespace eyrie::rt::parameters
