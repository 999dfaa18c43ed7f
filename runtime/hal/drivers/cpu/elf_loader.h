// Loads a freestanding ELF shared object of this machine from memory. Needs nothing of the system's dynamic linker.
//
// The object may import only memcpy, memmove and memset, has no initialisers, no thread-local storage and no
// dependencies. Every range is checked against the object and the image before anything is written; no page is ever
// writable and executable at once.
#ifndef EYRIE_RUNTIME_HAL_DRIVERS_CPU_ELF_LOADER_H_
#define EYRIE_RUNTIME_HAL_DRIVERS_CPU_ELF_LOADER_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "runtime/base/status.h"

namespace eyrie::rt::hal::cpu {

class ElfImage {
 public:
  ElfImage() = default;
  ElfImage(ElfImage&& other);
  ElfImage& operator=(ElfImage&& other);
  ~ElfImage();

  static Result<ElfImage> Load(const uint8_t* object, size_t size);
  // The address of a function; null if the object exports none of this name.
  void* FindFunction(const char* name) const;
  size_t size() const { return image_size_; }

 private:
  friend class ElfLoader;
  uint8_t* image_ = nullptr;
  size_t image_size_ = 0;
  // Inside the image, checked when loading.
  uint64_t symbols_ = 0, symbol_count_ = 0, strings_ = 0, strings_size_ = 0;
  uint64_t code_begin_ = 0, code_end_ = 0;
};

}  // namespace eyrie::rt::hal::cpu

#endif  // EYRIE_RUNTIME_HAL_DRIVERS_CPU_ELF_LOADER_H_
