// Memory through the caller's allocator, counted.
#ifndef EYRIE_RUNTIME_BASE_ALLOCATOR_H_
#define EYRIE_RUNTIME_BASE_ALLOCATOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "runtime/base/status.h"

namespace eyrie::rt {

class Allocator {
 public:
  // Zero function pointers: malloc and free.
  explicit Allocator(const eyrie_allocator_t& functions);
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // Null when there is no memory. A size of 0 gives a valid, unique address.
  void* Allocate(size_t size, size_t alignment);
  // Null is fine.
  void Release(void* memory, size_t size, size_t alignment);

  template <typename T, typename... Args>
  T* New(Args&&... args) {
    void* memory = Allocate(sizeof(T), alignof(T));
    return memory ? new (memory) T(std::forward<Args>(args)...) : nullptr;
  }
  template <typename T>
  void Delete(T* object) {
    if (!object) return;
    object->~T();
    Release(object, sizeof(T), alignof(T));
  }

  uint64_t allocations() const { return allocations_.load(std::memory_order_relaxed); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  uint64_t peak_bytes() const { return peak_bytes_.load(std::memory_order_relaxed); }

 private:
  eyrie_allocator_t functions_;
  std::atomic<uint64_t> allocations_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> peak_bytes_{0};
};

// What arrays have in common, compiled once: memory for a number of elements.
class ArrayMemory {
 public:
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  void Clear() { size_ = 0; }

 protected:
  explicit ArrayMemory(Allocator& allocator) : allocator_(&allocator) {}
  Status Grow(size_t capacity, size_t element_size, size_t alignment);
  Status GrowAndZero(size_t size, size_t element_size, size_t alignment);
  void Free(size_t element_size, size_t alignment);

  Allocator* allocator_;
  void* memory_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

// An array of trivial elements that grows and never shrinks: Clear keeps the memory, which is what lets a call run
// without allocating.
template <typename T>
class Array : public ArrayMemory {
 public:
  static_assert(__is_trivially_copyable(T));
  explicit Array(Allocator& allocator) : ArrayMemory(allocator) {}
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { Free(sizeof(T), alignof(T)); }

  T* data() { return static_cast<T*>(memory_); }
  const T* data() const { return static_cast<const T*>(memory_); }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](size_t i) { return data()[i]; }
  const T& operator[](size_t i) const { return data()[i]; }

  Status Reserve(size_t capacity) { return capacity <= capacity_ ? Status() : Grow(capacity, sizeof(T), alignof(T)); }
  // New elements are zero bytes.
  Status Resize(size_t size) {
    if (size > size_) return GrowAndZero(size, sizeof(T), alignof(T));
    size_ = size;
    return {};
  }
  T Pop() { return data()[--size_]; }
  Status Push(const T& value) {
    T copy = value;
    EYRIE_RETURN_IF_ERROR(Reserve(size_ + 1));
    data()[size_++] = copy;
    return {};
  }
};

}  // namespace eyrie::rt

#endif  // EYRIE_RUNTIME_BASE_ALLOCATOR_H_
