// A file mapped for reading.
#ifndef EYRIE_RUNTIME_BASE_FILE_H_
#define EYRIE_RUNTIME_BASE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "runtime/base/allocator.h"
#include "runtime/base/status.h"

namespace eyrie::rt {

class MappedFile {
 public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile();

  // Only regular files that are not empty.
  static Result<MappedFile> Open(const char* path);

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  // The process does not keep the pages of this part of the file in its memory; they come back, from the system's, when
  // they are touched.
  void Forget(const uint8_t* begin, size_t size) const;

 private:
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// Reads such a file. The memory is aligned to 64 bytes; the caller gives it back to the allocator.
Result<std::span<uint8_t>> ReadFile(Allocator& allocator, const char* path);

}  // namespace eyrie::rt

#endif  // EYRIE_RUNTIME_BASE_FILE_H_
