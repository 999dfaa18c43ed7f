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
// A named input counts before an archive's.
inline constexpr const char* kInputHelp =
    "An input: NAME=@FILE.npy, @FILE.npz (by name), or made up as in NAME=1x3xf32=0.5";

// One tensor for each input of the function, in order. Fails with a list of those that are missing.
std::vector<Tensor> ReadInputs(const Function& function, const std::vector<std::string>& inputs);
// As ReadInputs, but makes up those that are not given: floats from a normal distribution with a fixed seed, all else
// zero. `shapes` holds NAME=1x3x224 for inputs with open dimensions.
std::vector<Tensor> MakeInputs(const Function& function, const std::vector<std::string>& inputs,
                               const std::vector<std::string>& shapes);

// Splits "NAME=rest" at a name of the list (names may contain '='); null and a failure if there is none.
const Value* SplitName(const std::vector<Value>& values, const std::string& text, std::string* rest, const char* flag);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_INPUTS_H_
