#include "tools/eyrie/elements.h"

#include <eyrie/runtime.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "tools/npy/unicode.h"

namespace eyrie::cli {
namespace {

// How a small float encodes what is not finite.
enum class Special {
  kIeee,  // the highest exponent: infinities and NaNs
  kFn,    // no infinity; NaN is all ones
  kFnuz,  // no infinity, no negative zero; NaN is the sign bit alone
  kNone,  // all codes are finite
};

struct SmallFloat {
  int exponent_bits, mantissa_bits, bias;
  Special special;
};

// The formats of IEEE 754 (f16), bf16, the OCP specifications of 8-bit floats and microscaling formats, and the
// FNUZ variants of StableHLO's specification.
const SmallFloat* SmallFloatOf(uint32_t type) {
  static constexpr SmallFloat kF16{5, 10, 15, Special::kIeee}, kBf16{8, 7, 127, Special::kIeee};
  static constexpr SmallFloat kE4M3{4, 3, 7, Special::kFn}, kE4M3Uz{4, 3, 8, Special::kFnuz};
  static constexpr SmallFloat kE5M2{5, 2, 15, Special::kIeee}, kE5M2Uz{5, 2, 16, Special::kFnuz};
  static constexpr SmallFloat kE2M1{2, 1, 1, Special::kNone};
  switch (type) {
    case EYRIE_F16:
      return &kF16;
    case EYRIE_BF16:
      return &kBf16;
    case EYRIE_F8E4M3FN:
      return &kE4M3;
    case EYRIE_F8E4M3FNUZ:
      return &kE4M3Uz;
    case EYRIE_F8E5M2:
      return &kE5M2;
    case EYRIE_F8E5M2FNUZ:
      return &kE5M2Uz;
    case EYRIE_F4E2M1FN:
      return &kE2M1;
    default:
      return nullptr;
  }
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The value of a code without its sign.
double Magnitude(const SmallFloat& format, uint32_t code) {
  int exponent = static_cast<int>(code >> format.mantissa_bits);
  uint32_t mantissa = code & ((1u << format.mantissa_bits) - 1);
  uint32_t ones = (1u << (format.exponent_bits + format.mantissa_bits)) - 1;
  if (format.special == Special::kIeee && exponent == (1 << format.exponent_bits) - 1)
    return mantissa == 0 ? std::numeric_limits<double>::infinity() : kNan;
  if (format.special == Special::kFn && code == ones) return kNan;
  double fraction = exponent == 0 ? mantissa : mantissa + (1u << format.mantissa_bits);
  return std::ldexp(fraction, (exponent == 0 ? 1 : exponent) - format.bias - format.mantissa_bits);
}

double DecodeSmall(const SmallFloat& format, uint32_t code) {
  uint32_t sign = 1u << (format.exponent_bits + format.mantissa_bits);
  if (format.special == Special::kFnuz && code == sign) return kNan;
  double value = Magnitude(format, code & (sign - 1));
  return code & sign ? -value : value;
}

uint32_t EncodeSmall(const SmallFloat& format, double value) {
  uint32_t sign = 1u << (format.exponent_bits + format.mantissa_bits);
  // The codes below `limit` are finite and ascend.
  uint32_t limit = format.special == Special::kIeee ? ((1u << format.exponent_bits) - 1) << format.mantissa_bits
                   : format.special == Special::kFn ? sign - 1
                                                    : sign;
  uint32_t nan = format.special == Special::kIeee   ? limit + (1u << (format.mantissa_bits - 1))
                 : format.special == Special::kFn   ? limit
                 : format.special == Special::kFnuz ? sign
                                                    : limit - 1;
  if (std::isnan(value)) return nan;
  double magnitude = std::fabs(value);
  uint32_t low = 0, high = limit - 1;
  while (low < high) {
    uint32_t middle = (low + high + 1) / 2;
    if (Magnitude(format, middle) <= magnitude) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  uint32_t code = low;
  double below = Magnitude(format, low);
  // Beyond the largest value the next step is where the next code would lie.
  double above = low + 1 < limit ? Magnitude(format, low + 1) : below + (below - Magnitude(format, low - 1));
  double to_below = magnitude - below, to_above = above - magnitude;
  if (to_above < to_below || (to_above == to_below && (low & 1))) ++code;
  if (code >= limit)
    code = format.special == Special::kIeee ? limit : format.special == Special::kNone ? limit - 1 : nan;
  if (format.special == Special::kFnuz && (code == 0 || code == sign)) return code;
  return std::signbit(value) ? code | sign : code;
}

template <typename T>
T Load(const uint8_t* data, size_t index) {
  T value;
  std::memcpy(&value, data + index * sizeof(T), sizeof(T));
  return value;
}

int64_t SignExtend(uint64_t bits, uint32_t width) {
  uint32_t shift = 64 - width;
  return static_cast<int64_t>(bits << shift) >> shift;
}

}  // namespace

Family FamilyOf(uint32_t type) {
  if (type >= EYRIE_F64 && type <= EYRIE_F4E2M1FN) return Family::kFloat;
  if (type >= EYRIE_I64 && type <= EYRIE_I2) return Family::kSigned;
  if (type >= EYRIE_U64 && type <= EYRIE_U2) return Family::kUnsigned;
  if (type == EYRIE_BOOL) return Family::kBool;
  return type == EYRIE_STRING ? Family::kString : Family::kComplex;
}

uint64_t LoadBits(uint32_t type, const uint8_t* data, size_t index) {
  uint32_t bits = eyrie_type_bits(type);
  switch (bits) {
    case 64:
      return Load<uint64_t>(data, index);
    case 32:
      return Load<uint32_t>(data, index);
    case 16:
      return Load<uint16_t>(data, index);
    case 8:
      return data[index];
    default: {
      size_t per_byte = 8 / bits;
      return (data[index / per_byte] >> (index % per_byte * bits)) & ((1u << bits) - 1);
    }
  }
}

void StoreBits(uint32_t type, uint8_t* data, size_t index, uint64_t value) {
  uint32_t bits = eyrie_type_bits(type);
  if (bits >= 8) {
    std::memcpy(data + index * (bits / 8), &value, bits / 8);
    return;
  }
  size_t per_byte = 8 / bits, shift = index % per_byte * bits;
  uint8_t mask = static_cast<uint8_t>(((1u << bits) - 1) << shift);
  uint8_t& byte = data[index / per_byte];
  byte = static_cast<uint8_t>((byte & ~mask) | ((value << shift) & mask));
}

double LoadReal(uint32_t type, const uint8_t* data, size_t index) {
  if (type == EYRIE_F64) return Load<double>(data, index);
  if (type == EYRIE_F32) return Load<float>(data, index);
  uint64_t bits = LoadBits(type, data, index);
  if (const SmallFloat* format = SmallFloatOf(type)) return DecodeSmall(*format, static_cast<uint32_t>(bits));
  if (type == EYRIE_F8E8M0FNU) return bits == 255 ? kNan : std::ldexp(1.0, static_cast<int>(bits) - 127);
  if (FamilyOf(type) == Family::kSigned) return static_cast<double>(SignExtend(bits, eyrie_type_bits(type)));
  return static_cast<double>(bits);
}

bool StoreReal(uint32_t type, uint8_t* data, size_t index, double value) {
  uint64_t bits = 0;
  uint32_t width = eyrie_type_bits(type);
  if (type == EYRIE_F64) {
    std::memcpy(&bits, &value, sizeof(value));
  } else if (type == EYRIE_F32) {
    float narrow = static_cast<float>(value);
    std::memcpy(&bits, &narrow, sizeof(narrow));
  } else if (const SmallFloat* format = SmallFloatOf(type)) {
    bits = EncodeSmall(*format, value);
  } else if (type == EYRIE_F8E8M0FNU) {
    if (!(value > 0)) return false;
    double exponent = std::round(std::log2(value)) + 127;
    bits = exponent < 0 ? 0 : exponent > 254 ? 254 : static_cast<uint64_t>(exponent);
  } else if (FamilyOf(type) == Family::kBool) {
    if (value != 0 && value != 1) return false;
    bits = value != 0;
  } else if (FamilyOf(type) == Family::kSigned) {
    double limit = std::ldexp(1.0, static_cast<int>(width) - 1);
    if (!(value >= -limit && value < limit) || value != std::floor(value)) return false;
    bits = static_cast<uint64_t>(static_cast<int64_t>(value));
  } else if (FamilyOf(type) == Family::kUnsigned) {
    if (!(value >= 0 && value < std::ldexp(1.0, static_cast<int>(width))) || value != std::floor(value)) return false;
    bits = static_cast<uint64_t>(value);
  } else {
    float parts[2] = {static_cast<float>(value), 0};
    double wide[2] = {value, 0};
    if (type == EYRIE_COMPLEX64) {
      std::memcpy(data + index * sizeof(parts), parts, sizeof(parts));
    } else {
      std::memcpy(data + index * sizeof(wide), wide, sizeof(wide));
    }
    return type == EYRIE_COMPLEX64 || type == EYRIE_COMPLEX128;
  }
  StoreBits(type, data, index, bits);
  return true;
}

bool StoreText(uint32_t type, uint8_t* data, size_t index, const std::string& text) {
  if (text.empty() || text[0] == ' ') return false;
  char* end = nullptr;
  Family family = FamilyOf(type);
  if (family == Family::kBool && (text == "true" || text == "false"))
    return StoreReal(type, data, index, text == "true");
  if (text.find_first_not_of("-0123456789") == std::string::npos && eyrie_type_bits(type) == 64) {
    errno = 0;
    uint64_t bits = family == Family::kUnsigned ? std::strtoull(text.c_str(), &end, 10)
                                                : static_cast<uint64_t>(std::strtoll(text.c_str(), &end, 10));
    if (family == Family::kSigned || family == Family::kUnsigned) {
      if (*end != 0 || errno != 0 || (family == Family::kUnsigned && text[0] == '-')) return false;
      StoreBits(type, data, index, bits);
      return true;
    }
  }
  double value = std::strtod(text.c_str(), &end);
  return *end == 0 && StoreReal(type, data, index, value);
}

std::string_view LoadString(const uint8_t* data, size_t index) {
  eyrie_string_t string = Load<eyrie_string_t>(data, index);
  return string.size == 0 ? std::string_view() : std::string_view(string.data, string.size);
}

std::string Quoted(std::string_view text) {
  std::vector<uint32_t> codes;
  bool is_text = npy::ReadUtf8(text, &codes);
  std::string result = "\"";
  for (unsigned char c : text) {
    char escape[8];
    if (c < 0x20 || c == 0x7f || (c >= 0x80 && !is_text)) {
      std::snprintf(escape, sizeof(escape), "\\x%02x", c);
      result += escape;
    } else {
      if (c == '"' || c == '\\') result += '\\';
      result += static_cast<char>(c);
    }
  }
  return result + "\"";
}

std::string ElementText(uint32_t type, const uint8_t* data, size_t index) {
  char text[80];
  switch (FamilyOf(type)) {
    case Family::kFloat:
      std::snprintf(text, sizeof(text), type == EYRIE_F64 ? "%.9g" : "%.6g", LoadReal(type, data, index));
      break;
    case Family::kSigned:
      std::snprintf(text, sizeof(text), "%lld",
                    static_cast<long long>(SignExtend(LoadBits(type, data, index), eyrie_type_bits(type))));
      break;
    case Family::kUnsigned:
      std::snprintf(text, sizeof(text), "%llu", static_cast<unsigned long long>(LoadBits(type, data, index)));
      break;
    case Family::kBool:
      return LoadBits(type, data, index) != 0 ? "true" : "false";
    case Family::kString:
      return Quoted(LoadString(data, index));
    case Family::kComplex: {
      bool wide = type == EYRIE_COMPLEX128;
      double real = wide ? Load<double>(data, 2 * index) : Load<float>(data, 2 * index);
      double imaginary = wide ? Load<double>(data, 2 * index + 1) : Load<float>(data, 2 * index + 1);
      std::snprintf(text, sizeof(text), "%.6g%+.6gj", real, imaginary);
    }
  }
  return text;
}

}  // namespace eyrie::cli
