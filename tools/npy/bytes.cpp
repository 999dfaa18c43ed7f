#include "tools/npy/bytes.h"

#include <cstdlib>

namespace eyrie::npy {

Bytes& Bytes::operator=(Bytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Bytes::~Bytes() { std::free(data_); }

bool Bytes::Allocate(size_t size, Bytes* bytes) {
  constexpr size_t kAlignment = 64;
  // An empty block still has an address, so that "no memory" and "no bytes" differ.
  constexpr size_t kLargest = size_t{1} << 39;
  if (size > kLargest) return false;
  size_t rounded = (size + kAlignment) & ~(kAlignment - 1);
  void* memory = std::aligned_alloc(kAlignment, rounded);
  if (memory == nullptr) return false;
  Bytes fresh;
  fresh.data_ = static_cast<uint8_t*>(memory);
  fresh.size_ = size;
  *bytes = std::move(fresh);
  return true;
}

}  // namespace eyrie::npy
