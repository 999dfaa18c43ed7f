#include "runtime/hal/drivers/cpu/system_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

namespace eyrie::rt::hal::cpu {

bool ReadSystemFile(const char* path, char* text, size_t capacity) {
  text[0] = '\0';
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  ssize_t size = read(file, text, capacity - 1);
  close(file);
  text[size > 0 ? size : 0] = '\0';
  return size > 0;
}

bool NumberRanges::Next(uint32_t* first, uint32_t* last) {
  char* end;
  if (*at_ < '0' || *at_ > '9') return false;
  unsigned long begin = strtoul(at_, &end, 10), finish = begin;
  if (*end == '-') {
    const char* second = end + 1;
    if (*second < '0' || *second > '9') return false;
    finish = strtoul(second, &end, 10);
  }
  if (begin > finish || finish >= UINT32_MAX) return false;
  *first = static_cast<uint32_t>(begin);
  *last = static_cast<uint32_t>(finish);
  at_ = *end == ',' ? end + 1 : end;
  return true;
}

bool IsInRanges(const char* text, uint32_t number) {
  NumberRanges ranges(text);
  for (uint32_t first, last; ranges.Next(&first, &last);)
    if (first <= number && number <= last) return true;
  return false;
}

}  // namespace eyrie::rt::hal::cpu
