// Lower and upper case of UTF-8 by Unicode's simple mapping: the compiler and the runtime must agree on it.
#ifndef EYRIE_ABI_LETTER_CASE_H_
#define EYRIE_ABI_LETTER_CASE_H_

#include <cstddef>
#include <cstdint>

namespace eyrie::abi {

enum CaseDirection : uint8_t { kBoth, kToLower, kToUpper };

// Every `stride`-th code point from first to last has its counterpart `delta` further on: in lower case, or for
// kToUpper in upper case. Unicode 14; ASCII is not in the table.
struct CaseRange {
  uint32_t first, last;
  uint8_t stride;
  int32_t delta;
  CaseDirection direction;
};

// clang-format off
inline constexpr CaseRange kCaseRanges[] = {
    {0xc0, 0xd6, 1, 32, kBoth}, {0xd8, 0xde, 1, 32, kBoth}, {0x100, 0x12e, 2, 1, kBoth}, {0x130, 0x130, 1, -199, kToLower},
    {0x132, 0x136, 2, 1, kBoth},
    {0x139, 0x147, 2, 1, kBoth}, {0x14a, 0x176, 2, 1, kBoth}, {0x178, 0x178, 1, -121, kBoth},
    {0x179, 0x17d, 2, 1, kBoth}, {0x181, 0x181, 1, 210, kBoth}, {0x182, 0x184, 2, 1, kBoth},
    {0x186, 0x186, 1, 206, kBoth}, {0x187, 0x187, 1, 1, kBoth}, {0x189, 0x18a, 1, 205, kBoth},
    {0x18b, 0x18b, 1, 1, kBoth}, {0x18e, 0x18e, 1, 79, kBoth}, {0x18f, 0x18f, 1, 202, kBoth},
    {0x190, 0x190, 1, 203, kBoth}, {0x191, 0x191, 1, 1, kBoth}, {0x193, 0x193, 1, 205, kBoth},
    {0x194, 0x194, 1, 207, kBoth}, {0x196, 0x196, 1, 211, kBoth}, {0x197, 0x197, 1, 209, kBoth},
    {0x198, 0x198, 1, 1, kBoth}, {0x19c, 0x19c, 1, 211, kBoth}, {0x19d, 0x19d, 1, 213, kBoth},
    {0x19f, 0x19f, 1, 214, kBoth}, {0x1a0, 0x1a4, 2, 1, kBoth}, {0x1a6, 0x1a6, 1, 218, kBoth},
    {0x1a7, 0x1a7, 1, 1, kBoth}, {0x1a9, 0x1a9, 1, 218, kBoth}, {0x1ac, 0x1ac, 1, 1, kBoth},
    {0x1ae, 0x1ae, 1, 218, kBoth}, {0x1af, 0x1af, 1, 1, kBoth}, {0x1b1, 0x1b2, 1, 217, kBoth},
    {0x1b3, 0x1b5, 2, 1, kBoth}, {0x1b7, 0x1b7, 1, 219, kBoth}, {0x1b8, 0x1b8, 1, 1, kBoth},
    {0x1bc, 0x1bc, 1, 1, kBoth}, {0x1c4, 0x1c4, 1, 2, kBoth}, {0x1c5, 0x1c5, 1, 1, kToLower},
    {0x1c7, 0x1c7, 1, 2, kBoth}, {0x1c8, 0x1c8, 1, 1, kToLower}, {0x1ca, 0x1ca, 1, 2, kBoth},
    {0x1cb, 0x1cb, 1, 1, kToLower}, {0x1cd, 0x1db, 2, 1, kBoth}, {0x1de, 0x1ee, 2, 1, kBoth},
    {0x1f1, 0x1f1, 1, 2, kBoth}, {0x1f2, 0x1f2, 1, 1, kToLower}, {0x1f4, 0x1f4, 1, 1, kBoth},
    {0x1f6, 0x1f6, 1, -97, kBoth}, {0x1f7, 0x1f7, 1, -56, kBoth}, {0x1f8, 0x21e, 2, 1, kBoth},
    {0x220, 0x220, 1, -130, kBoth}, {0x222, 0x232, 2, 1, kBoth}, {0x23a, 0x23a, 1, 10795, kBoth},
    {0x23b, 0x23b, 1, 1, kBoth}, {0x23d, 0x23d, 1, -163, kBoth}, {0x23e, 0x23e, 1, 10792, kBoth},
    {0x241, 0x241, 1, 1, kBoth}, {0x243, 0x243, 1, -195, kBoth}, {0x244, 0x244, 1, 69, kBoth},
    {0x245, 0x245, 1, 71, kBoth}, {0x246, 0x24e, 2, 1, kBoth}, {0x370, 0x372, 2, 1, kBoth},
    {0x376, 0x376, 1, 1, kBoth}, {0x37f, 0x37f, 1, 116, kBoth}, {0x386, 0x386, 1, 38, kBoth},
    {0x388, 0x38a, 1, 37, kBoth}, {0x38c, 0x38c, 1, 64, kBoth}, {0x38e, 0x38f, 1, 63, kBoth},
    {0x391, 0x3a1, 1, 32, kBoth}, {0x3a3, 0x3ab, 1, 32, kBoth}, {0x3cf, 0x3cf, 1, 8, kBoth},
    {0x3d8, 0x3ee, 2, 1, kBoth}, {0x3f4, 0x3f4, 1, -60, kToLower}, {0x3f7, 0x3f7, 1, 1, kBoth},
    {0x3f9, 0x3f9, 1, -7, kBoth}, {0x3fa, 0x3fa, 1, 1, kBoth}, {0x3fd, 0x3ff, 1, -130, kBoth},
    {0x400, 0x40f, 1, 80, kBoth}, {0x410, 0x42f, 1, 32, kBoth}, {0x460, 0x480, 2, 1, kBoth},
    {0x48a, 0x4be, 2, 1, kBoth}, {0x4c0, 0x4c0, 1, 15, kBoth}, {0x4c1, 0x4cd, 2, 1, kBoth},
    {0x4d0, 0x52e, 2, 1, kBoth}, {0x531, 0x556, 1, 48, kBoth}, {0x10a0, 0x10c5, 1, 7264, kBoth},
    {0x10c7, 0x10c7, 1, 7264, kBoth}, {0x10cd, 0x10cd, 1, 7264, kBoth}, {0x13a0, 0x13ef, 1, 38864, kBoth},
    {0x13f0, 0x13f5, 1, 8, kBoth}, {0x1c90, 0x1cba, 1, -3008, kBoth}, {0x1cbd, 0x1cbf, 1, -3008, kBoth},
    {0x1e00, 0x1e94, 2, 1, kBoth}, {0x1e9e, 0x1e9e, 1, -7615, kToLower}, {0x1ea0, 0x1efe, 2, 1, kBoth},
    {0x1f08, 0x1f0f, 1, -8, kBoth}, {0x1f18, 0x1f1d, 1, -8, kBoth}, {0x1f28, 0x1f2f, 1, -8, kBoth},
    {0x1f38, 0x1f3f, 1, -8, kBoth}, {0x1f48, 0x1f4d, 1, -8, kBoth}, {0x1f59, 0x1f5f, 2, -8, kBoth},
    {0x1f68, 0x1f6f, 1, -8, kBoth}, {0x1f88, 0x1f8f, 1, -8, kBoth}, {0x1f98, 0x1f9f, 1, -8, kBoth},
    {0x1fa8, 0x1faf, 1, -8, kBoth}, {0x1fb8, 0x1fb9, 1, -8, kBoth}, {0x1fba, 0x1fbb, 1, -74, kBoth},
    {0x1fbc, 0x1fbc, 1, -9, kBoth}, {0x1fc8, 0x1fcb, 1, -86, kBoth}, {0x1fcc, 0x1fcc, 1, -9, kBoth},
    {0x1fd8, 0x1fd9, 1, -8, kBoth}, {0x1fda, 0x1fdb, 1, -100, kBoth}, {0x1fe8, 0x1fe9, 1, -8, kBoth},
    {0x1fea, 0x1feb, 1, -112, kBoth}, {0x1fec, 0x1fec, 1, -7, kBoth}, {0x1ff8, 0x1ff9, 1, -128, kBoth},
    {0x1ffa, 0x1ffb, 1, -126, kBoth}, {0x1ffc, 0x1ffc, 1, -9, kBoth}, {0x2126, 0x2126, 1, -7517, kToLower},
    {0x212a, 0x212a, 1, -8383, kToLower}, {0x212b, 0x212b, 1, -8262, kToLower}, {0x2132, 0x2132, 1, 28, kBoth},
    {0x2160, 0x216f, 1, 16, kBoth}, {0x2183, 0x2183, 1, 1, kBoth}, {0x24b6, 0x24cf, 1, 26, kBoth},
    {0x2c00, 0x2c2f, 1, 48, kBoth}, {0x2c60, 0x2c60, 1, 1, kBoth}, {0x2c62, 0x2c62, 1, -10743, kBoth},
    {0x2c63, 0x2c63, 1, -3814, kBoth}, {0x2c64, 0x2c64, 1, -10727, kBoth}, {0x2c67, 0x2c6b, 2, 1, kBoth},
    {0x2c6d, 0x2c6d, 1, -10780, kBoth}, {0x2c6e, 0x2c6e, 1, -10749, kBoth}, {0x2c6f, 0x2c6f, 1, -10783, kBoth},
    {0x2c70, 0x2c70, 1, -10782, kBoth}, {0x2c72, 0x2c72, 1, 1, kBoth}, {0x2c75, 0x2c75, 1, 1, kBoth},
    {0x2c7e, 0x2c7f, 1, -10815, kBoth}, {0x2c80, 0x2ce2, 2, 1, kBoth}, {0x2ceb, 0x2ced, 2, 1, kBoth},
    {0x2cf2, 0x2cf2, 1, 1, kBoth}, {0xa640, 0xa66c, 2, 1, kBoth}, {0xa680, 0xa69a, 2, 1, kBoth},
    {0xa722, 0xa72e, 2, 1, kBoth}, {0xa732, 0xa76e, 2, 1, kBoth}, {0xa779, 0xa77b, 2, 1, kBoth},
    {0xa77d, 0xa77d, 1, -35332, kBoth}, {0xa77e, 0xa786, 2, 1, kBoth}, {0xa78b, 0xa78b, 1, 1, kBoth},
    {0xa78d, 0xa78d, 1, -42280, kBoth}, {0xa790, 0xa792, 2, 1, kBoth}, {0xa796, 0xa7a8, 2, 1, kBoth},
    {0xa7aa, 0xa7aa, 1, -42308, kBoth}, {0xa7ab, 0xa7ab, 1, -42319, kBoth}, {0xa7ac, 0xa7ac, 1, -42315, kBoth},
    {0xa7ad, 0xa7ad, 1, -42305, kBoth}, {0xa7ae, 0xa7ae, 1, -42308, kBoth}, {0xa7b0, 0xa7b0, 1, -42258, kBoth},
    {0xa7b1, 0xa7b1, 1, -42282, kBoth}, {0xa7b2, 0xa7b2, 1, -42261, kBoth}, {0xa7b3, 0xa7b3, 1, 928, kBoth},
    {0xa7b4, 0xa7c2, 2, 1, kBoth}, {0xa7c4, 0xa7c4, 1, -48, kBoth}, {0xa7c5, 0xa7c5, 1, -42307, kBoth},
    {0xa7c6, 0xa7c6, 1, -35384, kBoth}, {0xa7c7, 0xa7c9, 2, 1, kBoth}, {0xa7d0, 0xa7d0, 1, 1, kBoth},
    {0xa7d6, 0xa7d8, 2, 1, kBoth}, {0xa7f5, 0xa7f5, 1, 1, kBoth}, {0xff21, 0xff3a, 1, 32, kBoth},
    {0x10400, 0x10427, 1, 40, kBoth}, {0x104b0, 0x104d3, 1, 40, kBoth}, {0x10570, 0x1057a, 1, 39, kBoth},
    {0x1057c, 0x1058a, 1, 39, kBoth}, {0x1058c, 0x10592, 1, 39, kBoth}, {0x10594, 0x10595, 1, 39, kBoth},
    {0x10c80, 0x10cb2, 1, 64, kBoth}, {0x118a0, 0x118bf, 1, 32, kBoth}, {0x16e40, 0x16e5f, 1, 32, kBoth},
    {0x1e900, 0x1e921, 1, 34, kBoth}, {0xb5, 0xb5, 1, 743, kToUpper}, {0x131, 0x131, 1, -232, kToUpper},
    {0x17f, 0x17f, 1, -300, kToUpper}, {0x1c5, 0x1c5, 1, -1, kToUpper}, {0x1c8, 0x1c8, 1, -1, kToUpper},
    {0x1cb, 0x1cb, 1, -1, kToUpper}, {0x1f2, 0x1f2, 1, -1, kToUpper}, {0x345, 0x345, 1, 84, kToUpper},
    {0x3c2, 0x3c2, 1, -31, kToUpper}, {0x3d0, 0x3d0, 1, -62, kToUpper}, {0x3d1, 0x3d1, 1, -57, kToUpper},
    {0x3d5, 0x3d5, 1, -47, kToUpper}, {0x3d6, 0x3d6, 1, -54, kToUpper}, {0x3f0, 0x3f0, 1, -86, kToUpper},
    {0x3f1, 0x3f1, 1, -80, kToUpper}, {0x3f5, 0x3f5, 1, -96, kToUpper}, {0x1c80, 0x1c80, 1, -6254, kToUpper},
    {0x1c81, 0x1c81, 1, -6253, kToUpper}, {0x1c82, 0x1c82, 1, -6244, kToUpper}, {0x1c83, 0x1c84, 1, -6242, kToUpper},
    {0x1c85, 0x1c85, 1, -6243, kToUpper}, {0x1c86, 0x1c86, 1, -6236, kToUpper}, {0x1c87, 0x1c87, 1, -6181, kToUpper},
    {0x1c88, 0x1c88, 1, 35266, kToUpper}, {0x1e9b, 0x1e9b, 1, -59, kToUpper}, {0x1fbe, 0x1fbe, 1, -7205, kToUpper},
};
// clang-format on

inline uint32_t ChangeCase(uint32_t c, bool to_upper) {
  if (c < 0x80) {
    if (to_upper) return c >= 'a' && c <= 'z' ? c - 32 : c;
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
  }
  for (const CaseRange& range : kCaseRanges) {
    if (range.direction == (to_upper ? kToLower : kToUpper)) continue;
    // From lower to upper the rows of both are read backwards.
    int64_t back = to_upper && range.direction == kBoth ? range.delta : 0;
    int64_t from = int64_t{c} - back - range.first;
    if (from >= 0 && from <= int64_t{range.last} - range.first && from % range.stride == 0)
      return static_cast<uint32_t>(back ? c - back : c + range.delta);
  }
  return c;
}

// The code point at the begin of UTF-8, and its bytes; 0 bytes if it is not well-formed.
inline uint32_t DecodeUtf8(const char* data, size_t size, uint32_t* length) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(data);
  uint32_t first = bytes[0], count = first < 0x80   ? 1
                                     : first < 0xc2 ? 0
                                     : first < 0xe0 ? 2
                                     : first < 0xf0 ? 3
                                     : first < 0xf5 ? 4
                                                    : 0;
  *length = 0;
  if (count == 0 || count > size) return 0;
  uint32_t c = count == 1 ? first : first & (0x7f >> count);
  for (uint32_t i = 1; i < count; ++i) {
    if ((bytes[i] & 0xc0) != 0x80) return 0;
    c = c << 6 | (bytes[i] & 0x3f);
  }
  // Longer than need be, or no character.
  if ((count == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) || (count == 4 && (c < 0x10000 || c > 0x10ffff)))
    return 0;
  *length = count;
  return c;
}

// Returns the bytes written, at most 4.
inline uint32_t EncodeUtf8(uint32_t c, char* data) {
  if (c < 0x80) {
    data[0] = static_cast<char>(c);
    return 1;
  }
  uint32_t count = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (uint32_t i = count - 1; i > 0; --i, c >>= 6) data[i] = static_cast<char>(0x80 | (c & 0x3f));
  data[0] = static_cast<char>((0xf00 >> count & 0xff) | c);
  return count;
}

// Writes the text in another case, bytes that are no UTF-8 as they are; returns its size. A letter of two bytes may
// have a counterpart of three: `out` has room for twice the size.
inline size_t ChangeCase(const char* data, size_t size, bool to_upper, char* out) {
  size_t written = 0;
  for (size_t at = 0; at < size;) {
    uint32_t length;
    uint32_t c = DecodeUtf8(data + at, size - at, &length);
    if (length)
      written += EncodeUtf8(ChangeCase(c, to_upper), out + written);
    else
      out[written++] = data[at];
    at += length ? length : 1;
  }
  return written;
}

}  // namespace eyrie::abi

#endif  // EYRIE_ABI_LETTER_CASE_H_
