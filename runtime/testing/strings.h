// Strings of tests and those of tensors.
#ifndef EYRIE_RUNTIME_TESTING_STRINGS_H_
#define EYRIE_RUNTIME_TESTING_STRINGS_H_

#include <string>
#include <vector>

#include "eyrie/runtime.h"

namespace eyrie::rt::testing {

using Texts = std::vector<std::string>;

// `texts` must outlive them.
inline std::vector<eyrie_string_t> Refer(const Texts& texts) {
  std::vector<eyrie_string_t> strings;
  for (const std::string& text : texts) strings.push_back({text.data(), text.size()});
  return strings;
}

inline Texts Read(const eyrie_tensor_t& tensor) {
  Texts texts;
  for (int64_t i = 0; i < tensor.dims[0]; ++i) {
    const auto& string = static_cast<const eyrie_string_t*>(tensor.data)[i];
    texts.push_back(std::string(string.data, string.size));
  }
  return texts;
}

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_STRINGS_H_
