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

// An array of trivial elements that grows and never shrinks: Clear keeps the memory, which is what lets a call run
// without allocating.
template <typename T>
class Array {
 public:
  static_assert(__is_trivially_copyable(T));
  explicit Array(Allocator& allocator) : allocator_(&allocator) {}
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { Free(); }

  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  void Clear() { size_ = 0; }

  Status Reserve(size_t capacity) {
    if (capacity <= capacity_) return {};
    if (capacity > SIZE_MAX / 2 / sizeof(T)) return OutOfMemory();
    if (capacity < capacity_ * 2) capacity = capacity_ * 2;
    void* memory = allocator_->Allocate(capacity * sizeof(T), alignof(T));
    if (!memory) return OutOfMemory();
    if (size_) __builtin_memcpy(memory, static_cast<const void*>(data_), size_ * sizeof(T));
    size_t size = size_;
    Free();
    data_ = static_cast<T*>(memory);
    capacity_ = capacity;
    size_ = size;
    return {};
  }
  // New elements are zero bytes.
  Status Resize(size_t size) {
    EYRIE_RETURN_IF_ERROR(Reserve(size));
    if (size > size_) __builtin_memset(static_cast<void*>(data_ + size_), 0, (size - size_) * sizeof(T));
    size_ = size;
    return {};
  }
  Status Push(const T& value) {
    T copy = value;
    EYRIE_RETURN_IF_ERROR(Reserve(size_ + 1));
    data_[size_++] = copy;
    return {};
  }

 private:
  void Free() {
    if (data_) allocator_->Release(data_, capacity_ * sizeof(T), alignof(T));
    data_ = nullptr;
    capacity_ = size_ = 0;
  }

  Allocator* allocator_;
  T* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace eyrie::rt

#endif  // EYRIE_RUNTIME_BASE_ALLOCATOR_H_
