// The inputs of a call, from the command line's `--input` and `--shape`.
#ifndef EYRIE_TOOLS_EYRIE_INPUTS_H_
#define EYRIE_TOOLS_EYRIE_INPUTS_H_

#include <string>
#include <vector>

#include "tools/eyrie/tensor.h"

namespace eyrie::cli {

// Forms of `--input`, told apart by their beginning:
//   @all.npz               every input that the archive has under its name; other entries are left alone
//   NAME=@file.npy         one array
//   NAME=1x3xf32=0.5       made up: one value for all elements, or as many as there are elements, with commas between
//   NAME.0=..., NAME.len=2 an element of a sequence, and its length, which may be left out unless it is 0
// A named input counts before an archive's.
inline constexpr const char* kInputHelp =
    "An input: NAME=@FILE.npy, @FILE.npz (by name), or made up as in NAME=1x3xf32=0.5; elements of a sequence are "
    "NAME.0, NAME.1, ..., and NAME.len=0 is an empty one";

// One argument for each input of the function, in order. Fails with a list of those that are missing.
std::vector<Argument> ReadInputs(const Function& function, const std::vector<std::string>& inputs);
// As ReadInputs, but makes up those that are not given: floats from a normal distribution with a fixed seed, all else
// zero or empty; sequences have one element. `shapes` holds NAME=1x3x224 for inputs with open dimensions.
std::vector<Argument> MakeInputs(const Function& function, const std::vector<std::string>& inputs,
                                 const std::vector<std::string>& shapes);

// What "NAME=rest", "NAME.len=rest" or "NAME.3=rest" names.
struct Place {
  enum class Part { kWhole, kLength, kElement };
  const Value* value;
  Part part;
  size_t element;
  std::string rest;
};
// Names may contain '=' and dots: the longest that fits counts, and whole values count before elements of sequences.
// Fails with a list of names if there is none.
Place FindPlace(const std::vector<Value>& values, const std::string& text, const char* flag);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_INPUTS_H_
