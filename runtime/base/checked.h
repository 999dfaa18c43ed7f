// Arithmetic that says when it overflows, and ranges.
#ifndef EYRIE_RUNTIME_BASE_CHECKED_H_
#define EYRIE_RUNTIME_BASE_CHECKED_H_

#include <cstddef>
#include <cstdint>

namespace eyrie::rt {

template <typename T>
[[nodiscard]] bool CheckedAdd(T a, T b, T* sum) {
  return !__builtin_add_overflow(a, b, sum);
}
template <typename T>
[[nodiscard]] bool CheckedMul(T a, T b, T* product) {
  return !__builtin_mul_overflow(a, b, product);
}

// Whether [offset, offset + length) lies in [0, size).
inline bool InRange(uint64_t offset, uint64_t length, uint64_t size) {
  return offset <= size && length <= size - offset;
}

inline bool IsPowerOfTwo(uint64_t value) { return value && !(value & (value - 1)); }
inline bool IsAligned(const void* pointer, size_t alignment) {
  return (reinterpret_cast<uintptr_t>(pointer) & (alignment - 1)) == 0;
}

}  // namespace eyrie::rt

#endif  // EYRIE_RUNTIME_BASE_CHECKED_H_
