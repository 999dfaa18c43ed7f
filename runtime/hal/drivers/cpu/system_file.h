// What the system tells in small files of text (/proc, /sys).
#ifndef EYRIE_RUNTIME_HAL_DRIVERS_CPU_SYSTEM_FILE_H_
#define EYRIE_RUNTIME_HAL_DRIVERS_CPU_SYSTEM_FILE_H_

#include <cstddef>
#include <cstdint>

namespace eyrie::rt::hal::cpu {

// The text of a file, zero-terminated and cut at `capacity`. False, and an empty text, if it is empty or not there.
bool ReadSystemFile(const char* path, char* text, size_t capacity);

// Numbers in the form "0-3,8,10-11". Goes on behind the last range that Next gave; false at the end, or where the text
// is not a list.
class NumberRanges {
 public:
  explicit NumberRanges(const char* text) : at_(text) {}
  bool Next(uint32_t* first, uint32_t* last);

 private:
  const char* at_;
};

bool IsInRanges(const char* text, uint32_t number);

}  // namespace eyrie::rt::hal::cpu

#endif  // EYRIE_RUNTIME_HAL_DRIVERS_CPU_SYSTEM_FILE_H_
