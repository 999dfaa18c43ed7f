// CRC-32 as zip archives have it. (Eyrie's own formats have CRC-32C, abi/crc32c.h.)
#ifndef EYRIE_RUNTIME_PARAMETERS_CRC32_H_
#define EYRIE_RUNTIME_PARAMETERS_CRC32_H_

#include <cstddef>
#include <cstdint>

namespace eyrie::rt::parameters {

// Eight tables, for eight bytes at a time.
struct Crc32Tables {
  uint32_t entry[8][256];
  constexpr Crc32Tables() : entry() {
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0xedb88320u : 0u);
      entry[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; ++i)
      for (int k = 1; k < 8; ++k) entry[k][i] = entry[0][entry[k - 1][i] & 0xff] ^ (entry[k - 1][i] >> 8);
  }
};

inline uint32_t Crc32(const uint8_t* data, size_t size) {
  // Made anew for each tensor: 8 KB of tables would be a part of every program that links the runtime.
  const Crc32Tables tables;
  const auto& t = tables.entry;
  uint32_t crc = ~0u;
  for (; size >= 8; data += 8, size -= 8) {
    uint64_t word;
    __builtin_memcpy(&word, data, 8);
    word ^= crc;
    crc = 0;
    for (int i = 0; i < 8; ++i) crc ^= t[7 - i][word >> (8 * i) & 0xff];
  }
  for (; size; ++data, --size) crc = t[0][(crc ^ *data) & 0xff] ^ (crc >> 8);
  return ~crc;
}

}  // namespace eyrie::rt::parameters

#endif  // EYRIE_RUNTIME_PARAMETERS_CRC32_H_
