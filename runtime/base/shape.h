// How much memory tensors take.
#ifndef EYRIE_RUNTIME_BASE_SHAPE_H_
#define EYRIE_RUNTIME_BASE_SHAPE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/base/status.h"

namespace eyrie::rt {

// Bytes of a dense tensor whose elements have `bits` bits; an error if the shape is not sane.
Result<size_t> DenseBytes(uint32_t bits, std::span<const int64_t> dims);
// As the module stores them: strings are ids of 64 bits. What the caller's memory takes is session/types.h.
Result<size_t> TensorBytes(uint32_t type, std::span<const int64_t> dims);
// What the address of a tensor's data must be a multiple of.
size_t ElementAlignment(uint32_t type);

}  // namespace eyrie::rt

#endif  // EYRIE_RUNTIME_BASE_SHAPE_H_
