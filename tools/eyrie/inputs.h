// The inputs of a call, from the command line's `--input` and `--shape`.
#ifndef EYRIE_TOOLS_EYRIE_INPUTS_H_
#define EYRIE_TOOLS_EYRIE_INPUTS_H_

#include <optional>
#include <string>
#include <vector>

#include "tools/eyrie/tensor.h"

namespace eyrie::cli {

// Forms of `--input`, told apart by their beginning:
//   @all.npz               every input that the archive has under its name; other entries are left alone
//   NAME=@file.npy         one array
//   NAME=1x3xf32=0.5       made up: one value for all elements, or as many as there are elements, with commas between;
//                          in strings \, is a comma and \\ a backslash
// An input that is a sequence is given in parts (parts.h): NAME.0=..., NAME.1=..., all of them, and perhaps
// NAME.len=@file.npy or NAME.len=2; NAME.len=0 alone is the empty sequence.
// What is named counts before an archive's.
inline constexpr const char* kInputHelp =
    "An input: NAME=@FILE.npy, @FILE.npz (by name), or made up as in NAME=1x3xf32=0.5; sequences as NAME.0, NAME.1, "
    "...";

// One argument for each input of the function, in order. Fails with a list of those that are missing.
std::vector<Argument> ReadInputs(const Function& function, const std::vector<std::string>& inputs);
// As ReadInputs, but makes up those that are not given: floats from a normal distribution with a fixed seed, empty
// strings, sequences of one element, all else zero. `shapes` holds NAME=1x3x224 for inputs with open dimensions (for a
// sequence it is the shape of the element), and NAME=8 for dimensions that have a name. Dimensions that nothing settles
// are `open_size`.
std::vector<Argument> MakeInputs(const Function& function, const std::vector<std::string>& inputs,
                                 const std::vector<std::string>& shapes, std::optional<int64_t> open_size = {});

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_INPUTS_H_
