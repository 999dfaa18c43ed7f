// The header of NumPy's .npy format, versions 1 to 3.
#ifndef EYRIE_RUNTIME_PARAMETERS_NPY_HEADER_H_
#define EYRIE_RUNTIME_PARAMETERS_NPY_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/module_format.h"
#include "runtime/base/status.h"

namespace eyrie::rt::parameters {

struct NpyHeader {
  size_t size = 0;    // of the header; the data follow
  uint32_t type = 0;  // abi/element_types.def; 0: see `problem`
  const char* descr_name = nullptr;
  const char* problem = nullptr;
  uint32_t rank = 0;
  int64_t dims[abi::kMaxRank];

  Status Read(std::span<const uint8_t> file);
};

}  // namespace eyrie::rt::parameters

#endif  // EYRIE_RUNTIME_PARAMETERS_NPY_HEADER_H_
