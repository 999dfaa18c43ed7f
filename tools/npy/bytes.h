// Owned memory for file contents and tensors. Allocation failure is a return value: sizes come from files.
#ifndef EYRIE_TOOLS_NPY_BYTES_H_
#define EYRIE_TOOLS_NPY_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <utility>

namespace eyrie::npy {

// A block of memory aligned to 64 bytes. Movable, not copyable; freed with the object.
class Bytes {
 public:
  Bytes() = default;
  Bytes(Bytes&& other) noexcept { *this = std::move(other); }
  Bytes& operator=(Bytes&& other) noexcept;
  ~Bytes();

  // Uninitialised memory in `*bytes`. False if there is not enough; `*bytes` is then unchanged.
  [[nodiscard]] static bool Allocate(size_t size, Bytes* bytes);

  uint8_t* data() { return data_; }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// Somebody else's memory.
struct Span {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

}  // namespace eyrie::npy

#endif  // EYRIE_TOOLS_NPY_BYTES_H_
