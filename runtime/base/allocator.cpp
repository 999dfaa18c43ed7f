#include "runtime/base/allocator.h"

#include <cstdlib>

namespace eyrie::rt {
namespace {

void* SystemAllocate(void*, size_t size, size_t alignment) {
  if (alignment <= alignof(max_align_t)) return malloc(size);
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr;
}

void SystemRelease(void*, void* memory, size_t, size_t) { free(memory); }

}  // namespace

Allocator::Allocator(const eyrie_allocator_t& functions) : functions_(functions) {
  if (!functions_.allocate || !functions_.release) functions_ = {nullptr, SystemAllocate, SystemRelease};
}

void* Allocator::Allocate(size_t size, size_t alignment) {
  if (size == 0) size = 1;
  if (alignment < alignof(max_align_t)) alignment = alignof(max_align_t);
  allocations_.fetch_add(1, std::memory_order_relaxed);
  void* memory = functions_.allocate(functions_.user, size, alignment);
  if (!memory) return nullptr;
  uint64_t now = bytes_.fetch_add(size, std::memory_order_relaxed) + size;
  uint64_t peak = peak_bytes_.load(std::memory_order_relaxed);
  while (now > peak && !peak_bytes_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
  return memory;
}

void Allocator::Release(void* memory, size_t size, size_t alignment) {
  if (!memory) return;
  if (size == 0) size = 1;
  if (alignment < alignof(max_align_t)) alignment = alignof(max_align_t);
  bytes_.fetch_sub(size, std::memory_order_relaxed);
  functions_.release(functions_.user, memory, size, alignment);
}

Status ArrayMemory::Grow(size_t capacity, size_t element_size, size_t alignment) {
  if (capacity > SIZE_MAX / 2 / element_size) return OutOfMemory();
  if (capacity < capacity_ * 2) capacity = capacity_ * 2;
  void* memory = allocator_->Allocate(capacity * element_size, alignment);
  if (!memory) return OutOfMemory();
  size_t size = size_;
  if (size) __builtin_memcpy(memory, memory_, size * element_size);
  Free(element_size, alignment);
  memory_ = memory;
  capacity_ = capacity;
  size_ = size;
  return {};
}

Status ArrayMemory::GrowAndZero(size_t size, size_t element_size, size_t alignment) {
  if (size > capacity_) EYRIE_RETURN_IF_ERROR(Grow(size, element_size, alignment));
  __builtin_memset(static_cast<uint8_t*>(memory_) + size_ * element_size, 0, (size - size_) * element_size);
  size_ = size;
  return {};
}

void ArrayMemory::Free(size_t element_size, size_t alignment) {
  if (memory_) allocator_->Release(memory_, capacity_ * element_size, alignment);
  memory_ = nullptr;
  capacity_ = size_ = 0;
}

}  // namespace eyrie::rt

// The runtime links without the C++ library; a pure virtual call is the one thing the compiler would want from it.
extern "C" __attribute__((weak, visibility("hidden"))) void __cxa_pure_virtual() { abort(); }
