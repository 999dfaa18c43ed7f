// How far a module whose weights are stored with fewer bits is from the same model in f32.
#ifndef EYRIE_TOOLS_EYRIE_PRECISION_H_
#define EYRIE_TOOLS_EYRIE_PRECISION_H_

#include <string>
#include <vector>

namespace eyrie::cli {

struct OutputError {
  std::string name;
  bool is_float = true;
  // Of floats: the largest difference and the root of the mean square, as parts of the largest finite magnitude in f32;
  // infinite where one side alone is not finite. Of others `largest` is the part of the elements that differ.
  double largest = 0, root_mean_square = 0;
};

struct PrecisionReport {
  std::vector<OutputError> outputs;  // of every function; tensors of numbers only
  std::string problem;               // why nothing was measured; empty if it was
};

// A module file, and files with its weights if they are outside.
struct ModuleFiles {
  std::string module;
  std::vector<std::string> parameters;
};

// Calls every function of both once, with `inputs` (forms of inputs.h); those that are not given are made up, with open
// sizes of 8, or of the first of a few others that the model takes.
PrecisionReport MeasurePrecision(const ModuleFiles& narrow, const ModuleFiles& reference,
                                 const std::vector<std::string>& inputs);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_PRECISION_H_
