// Single elements of tensors, of any type, as numbers and as text.
#ifndef EYRIE_TOOLS_EYRIE_ELEMENTS_H_
#define EYRIE_TOOLS_EYRIE_ELEMENTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace eyrie::cli {

enum class Family { kFloat, kSigned, kUnsigned, kBool, kComplex, kString };

// `type` is an eyrie_type_t throughout.
Family FamilyOf(uint32_t type);

// Element `index` of dense data; below 8 bits elements are packed, the first in the lowest bits of its byte.
uint64_t LoadBits(uint32_t type, const uint8_t* data, size_t index);
void StoreBits(uint32_t type, uint8_t* data, size_t index, uint64_t bits);

// The value of a real element. Exact for all types but 64-bit integers beyond 2^53.
double LoadReal(uint32_t type, const uint8_t* data, size_t index);
// Rounds to the nearest value of a float type, ties to even; out of range to infinity, or to NaN or the largest value
// where the type has no infinity. Integers and bools take the value itself. False if an integer type cannot hold it.
[[nodiscard]] bool StoreReal(uint32_t type, uint8_t* data, size_t index, double value);
// As StoreReal, from text: integers are read exactly. False if the text is not a value of the type.
[[nodiscard]] bool StoreText(uint32_t type, uint8_t* data, size_t index, const std::string& text);

// An element of a string tensor.
std::string_view LoadString(const uint8_t* data, size_t index);
// In quotes, with quotes, backslashes and control characters escaped, and what is not ASCII if it is not UTF-8.
std::string Quoted(std::string_view text);

// As a person reads it: "0.125", "-3", "true", "1+2j"; strings in quotes.
std::string ElementText(uint32_t type, const uint8_t* data, size_t index);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_ELEMENTS_H_
