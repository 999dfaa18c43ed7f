// NumPy's .npy arrays and .npz archives, as NumPy's documentation of the format describes them (versions 1 to 3).
// Every byte read is hostile: no size is believed before it is checked against the file.
#ifndef EYRIE_TOOLS_NPY_NPY_H_
#define EYRIE_TOOLS_NPY_NPY_H_

#include <string>
#include <vector>

#include "tools/npy/bytes.h"

namespace eyrie::npy {

inline constexpr size_t kMaxRank = 64;

struct Array {
  char kind = 'f';         // b bool, i and u integers, f floats, c complex, U and S strings, V raw bits
  uint32_t item_size = 4;  // bytes of an element
  std::vector<int64_t> shape;
  Bytes data;  // row-major, little-endian: other orders are converted when reading

  // NumPy's name of the element type: "<f4", "|b1", "<U12".
  std::string Descr() const;
};

// "3x4", or "scalar".
std::string ShapeText(const std::vector<int64_t>& shape);

[[nodiscard]] bool ReadNpy(Span file, Array* array, std::string* error);
// The bytes before the data of an array, which follow unchanged.
std::string NpyHeader(const std::string& descr, const std::vector<int64_t>& shape);

}  // namespace eyrie::npy

#endif  // EYRIE_TOOLS_NPY_NPY_H_
