// Outputs against a reference archive.
#ifndef EYRIE_TOOLS_EYRIE_COMPARE_H_
#define EYRIE_TOOLS_EYRIE_COMPARE_H_

#include <string>
#include <vector>

#include "tools/eyrie/tensor.h"

namespace eyrie::cli {

struct Comparison {
  std::string name;
  std::string problem;      // not empty if type, shape or length differ: nothing else is then known
  bool is_numeric = true;   // otherwise there are no errors as numbers: strings, and the length of a sequence
  double max_absolute = 0;  // max |a - b|
  double max_relative = 0;  // max |a - b| / max |b|
  size_t differing = 0;     // elements with |a - b| > atol + rtol |b|
  size_t count = 0;
  std::string first;  // the first differing element: "[0,3]: 0.5, expected 0.25"

  bool good() const { return problem.empty() && differing == 0; }
};

// Compares every output with the archive's entry of its name. Floats and complex numbers as NumPy's allclose does with
// equal NaNs; integers, bools and strings must be equal. Of a sequence the length is compared, then every element.
std::vector<Comparison> CompareOutputs(const Function& function, const std::vector<eyrie_tensor_t>& outputs,
                                       const std::string& path, double rtol, double atol);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_COMPARE_H_
