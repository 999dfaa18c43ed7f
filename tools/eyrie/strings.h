// Tensors of strings: made from strings and .npy arrays, and written as such.
#ifndef EYRIE_TOOLS_EYRIE_STRINGS_H_
#define EYRIE_TOOLS_EYRIE_STRINGS_H_

#include <string>
#include <vector>

#include "tools/eyrie/tensor.h"

namespace eyrie::cli {

// A tensor of these strings: one for each element, or one for all.
Tensor MakeStrings(const std::vector<int64_t>& shape, const std::vector<std::string>& strings);
// From an array of code points ("U") or of bytes ("S"), which end at their last character that is not zero. Fails if a
// code point does not exist; `name` is the tensor's, `found` describes the array's origin.
Tensor StringsFromArray(const npy::Array& array, const std::string& name, const std::string& found);
// As code points, "<U" and the longest string's size. Fails if one is not UTF-8; zeros at its end would be lost, and so
// they are when the file is read. `name` is the tensor's, for errors.
NpyFile StringsToNpy(const eyrie_tensor_t& tensor, const std::string& name);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_STRINGS_H_
