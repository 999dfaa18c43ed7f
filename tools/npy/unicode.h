// Between UTF-8 and the UTF-32 of NumPy's unicode arrays.
#ifndef EYRIE_TOOLS_NPY_UNICODE_H_
#define EYRIE_TOOLS_NPY_UNICODE_H_

#include <string>
#include <string_view>
#include <vector>

#include "tools/npy/bytes.h"

namespace eyrie::npy {

// Appends a code point; false if it is none (a surrogate, or above 10FFFF).
[[nodiscard]] bool AppendUtf8(uint32_t code, std::string* text);
// The code points of a text; false if it is not valid UTF-8 (overlong forms and surrogates are not).
[[nodiscard]] bool ReadUtf8(std::string_view text, std::vector<uint32_t>* codes);

}  // namespace eyrie::npy

#endif  // EYRIE_TOOLS_NPY_UNICODE_H_
