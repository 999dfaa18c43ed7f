// Text into a fixed memory: cut when it is full, but counted on.
#ifndef EYRIE_RUNTIME_BASE_TEXT_H_
#define EYRIE_RUNTIME_BASE_TEXT_H_

#include <cstdarg>
#include <cstddef>
#include <cstdio>

namespace eyrie::rt {

class Text {
 public:
  // `capacity` includes the terminating zero; with a capacity of 0 the text is only measured.
  Text(char* memory, size_t capacity) : memory_(memory), capacity_(capacity) {
    if (capacity_) memory_[0] = '\0';
  }
  __attribute__((format(printf, 2, 3))) void Print(const char* format, ...) {
    va_list args;
    va_start(args, format);
    size_t at = size_ < capacity_ ? size_ : capacity_;
    int length = vsnprintf(at < capacity_ ? memory_ + at : nullptr, capacity_ - at, format, args);
    va_end(args);
    if (length > 0) size_ += static_cast<size_t>(length);
  }
  // Without the zero, as if there had been room for everything.
  size_t size() const { return size_; }

 private:
  char* memory_;
  size_t capacity_;
  size_t size_ = 0;
};

}  // namespace eyrie::rt

#endif  // EYRIE_RUNTIME_BASE_TEXT_H_
