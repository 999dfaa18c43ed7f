// Names on the command line and in archives. A tensor has one name; a sequence travels in parts, which are tensors:
// NAME.len, the number of its elements, and NAME.0, NAME.1, ...
#ifndef EYRIE_TOOLS_EYRIE_PARTS_H_
#define EYRIE_TOOLS_EYRIE_PARTS_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/eyrie/module.h"
#include "tools/npy/npy.h"

namespace eyrie::cli {

// What a name means.
struct Part {
  enum Kind { kWhole, kLength, kElement };
  size_t value = 0;  // index in the signature
  Kind kind = kWhole;
  uint64_t index = 0;  // of the element

  // Its name and, if it is the value itself or an element, its type.
  Value Describe(const std::vector<Value>& values) const;
};

// The part of that name; false if there is none. The name of a value wins over that of an element.
bool FindPart(const std::vector<Value>& values, std::string_view name, Part* part);
// Splits "NAME=rest" at the longest name of a part (names may contain '='). Fails with the names that there are.
Part SplitName(const std::vector<Value>& values, const std::string& text, std::string* rest, const char* flag);

// "'x' batchx3xf32, 'y' sequence of f32"
std::string Signature(const std::vector<Value>& values);

npy::Array ReadArrayFile(const std::string& path);
// Calls `take` for every entry of the archive that is a part of one of the values, and returns how many there are.
size_t ReadArchive(const std::vector<Value>& values, const std::string& path,
                   const std::function<void(const Part&, npy::Array)>& take);

// The value of an array that is one integer, as a length; fails with its name if it is not.
uint64_t LengthFromArray(const npy::Array& array, const std::string& name, const std::string& found);
// Digits alone, without leading zeros; false for all else.
bool ReadCount(std::string_view text, uint64_t* count);

// The length of a sequence of which the elements `indices` (ascending) are given, and perhaps the length. Fails with
// the names of elements that are missing or too many.
size_t SettleLength(const Value& sequence, const uint64_t* length, const std::vector<uint64_t>& indices);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_PARTS_H_
