// A file of named tensors, mapped: safetensors, gguf, .npz or Eyrie's own archive.
#ifndef EYRIE_RUNTIME_PARAMETERS_PARAMETER_FILE_H_
#define EYRIE_RUNTIME_PARAMETERS_PARAMETER_FILE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/base/allocator.h"
#include "runtime/base/file.h"

namespace eyrie::rt::parameters {

enum class Check : uint8_t { kNone, kCrc32c, kCrc32 };

struct Entry {
  const char* name = nullptr;  // UTF-8 without zero bytes, and a zero byte
  uint32_t name_size = 0;
  uint32_t type = 0;                // abi/element_types.def; 0: none of ours, see `problem`
  const char* type_name = nullptr;  // ours, or what the format calls it
  const char* problem = nullptr;    // why the entry cannot be used as a tensor; null: it can
  uint32_t rank = 0;
  const int64_t* dims = nullptr;  // row-major: the last varies fastest
  uint64_t offset = 0;            // in the file
  uint64_t size = 0;
  // The checksum, and of which bytes of the file: those of the tensor, and what comes with them.
  Check check = Check::kNone;
  uint32_t crc = 0;
  uint64_t checked_offset = 0, checked_size = 0;
  bool is_derived = false;  // abi/parameter_archive.h
  uint32_t source_check = 0;
};

class ParameterFile {
 public:
  explicit ParameterFile(Allocator& allocator)
      : allocator_(allocator), entries_(allocator), names_(allocator), dims_(allocator) {}
  ParameterFile(const ParameterFile&) = delete;
  ParameterFile& operator=(const ParameterFile&) = delete;
  ~ParameterFile();

  // `in_memory`: the file is read instead of mapped, so that nobody can change it meanwhile. Once.
  Status Open(const char* path, bool in_memory);
  // The memory must outlive the object.
  Status Parse(const uint8_t* data, size_t size);

  const char* format() const { return format_; }
  std::span<const Entry> entries() const { return {entries_.data(), entries_.size()}; }
  const Entry* Find(const char* name, size_t name_size) const;
  const uint8_t* DataOf(const Entry& entry) const { return data_ + entry.offset; }
  // Compares the entry's bytes with its checksum, if it has one.
  Status Verify(const Entry& entry) const;
  // The entry's pages need not stay in memory: they are read again when they are used.
  void Forget(const Entry& entry) const {
    if (mapping_.data()) mapping_.Forget(DataOf(entry), entry.size);
  }

  // ---- For the readers of the formats.

  // Adds an entry; name and dims are copied. Checks name, rank, range in the file, and the size of a tensor of ours;
  // messages do not name it.
  Status Add(const char* name, size_t name_size, std::span<const int64_t> dims, const Entry& entry);
  Status ReserveEntries(size_t count) { return entries_.Reserve(count); }

 private:
  Status Finish();

  Allocator& allocator_;
  MappedFile mapping_;
  std::span<uint8_t> copy_;  // instead of the mapping
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  const char* format_ = nullptr;
  Array<Entry> entries_;
  Array<char> names_;
  Array<int64_t> dims_;
};

// "'name'" cut to a sane length, for messages.
#define EYRIE_NAME_FORMAT "'%.*s'"
inline int NameWidth(size_t size) { return size < 100 ? static_cast<int>(size) : 100; }

inline unsigned long long Ull(uint64_t value) { return value; }

// Whether the bytes are UTF-8 without zero bytes.
bool IsText(const char* text, size_t size);
// Whether the entries lie one behind the other: no byte belongs to two of them, and between two, as well as before the
// first and behind the last, there are fewer than `alignment` bytes. [begin, end) is where tensors may lie.
Status CheckLayout(Allocator& allocator, std::span<const Entry> entries, uint64_t begin, uint64_t end,
                   uint64_t alignment);

Status ReadSafetensors(std::span<const uint8_t> file, Allocator& allocator, ParameterFile& table);
Status ReadGguf(std::span<const uint8_t> file, Allocator& allocator, ParameterFile& table);
Status ReadNpz(std::span<const uint8_t> file, Allocator& allocator, ParameterFile& table);
Status ReadArchive(std::span<const uint8_t> file, Allocator& allocator, ParameterFile& table);

}  // namespace eyrie::rt::parameters

#endif  // EYRIE_RUNTIME_PARAMETERS_PARAMETER_FILE_H_
