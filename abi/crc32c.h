// CRC-32C (Castagnoli), the checksum of module files. Header-only, so that writer and reader share it.
#ifndef EYRIE_ABI_CRC32C_H_
#define EYRIE_ABI_CRC32C_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace eyrie::abi {
namespace crc32c_detail {

struct Table {
  uint32_t entry[256];
  constexpr Table() : entry() {
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78u : 0u);
      entry[i] = crc;
    }
  }
};

inline uint32_t Portable(uint32_t crc, const unsigned char* data, size_t size) {
  static constexpr Table kTable;
  for (size_t i = 0; i < size; ++i) crc = kTable.entry[(crc ^ data[i]) & 0xff] ^ (crc >> 8);
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) inline uint32_t Sse42(uint32_t crc, const unsigned char* data, size_t size) {
  uint64_t wide = crc;
  for (; size >= 8; data += 8, size -= 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<uint32_t>(wide);
  for (; size; ++data, --size) crc = _mm_crc32_u8(crc, *data);
  return crc;
}
#endif

}  // namespace crc32c_detail

// The CRC of `size` bytes; pass the CRC of what came before as `seed` to go on.
inline uint32_t Crc32c(const void* data, size_t size, uint32_t seed = 0) {
  const auto* bytes = static_cast<const unsigned char*>(data);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return ~crc32c_detail::Sse42(~seed, bytes, size);
#endif
  return ~crc32c_detail::Portable(~seed, bytes, size);
}

}  // namespace eyrie::abi

#endif  // EYRIE_ABI_CRC32C_H_
