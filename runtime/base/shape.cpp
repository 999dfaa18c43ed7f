#include "runtime/base/shape.h"

#include "abi/element_types.h"
#include "runtime/base/checked.h"

namespace eyrie::rt {

Result<size_t> DenseBytes(uint32_t bits, std::span<const int64_t> dims) {
  // A size of 0 makes the tensor empty whatever the other sizes are.
  for (int64_t dim : dims)
    if (dim == 0) return size_t{0};
  uint64_t count = 1, total;
  for (int64_t dim : dims)
    if (dim < 0 || !CheckedMul(count, static_cast<uint64_t>(dim), &count))
      return Error(EYRIE_OUT_OF_RANGE, "a shape with a negative size or with more than 2^64 elements");
  if (!CheckedMul(count, uint64_t{bits}, &total) || total / 8 > PTRDIFF_MAX - 8)
    return Error(EYRIE_OUT_OF_RANGE, "a tensor of %llu elements is too large", static_cast<unsigned long long>(count));
  return static_cast<size_t>(total / 8 + (total % 8 != 0));
}

Result<size_t> TensorBytes(uint32_t type, std::span<const int64_t> dims) {
  const abi::ElementTypeInfo* info = abi::FindElementType(type);
  if (!info) return Error(EYRIE_INVALID_ARGUMENT, "unknown element type %u", type);
  return DenseBytes(info->bits, dims);
}

size_t ElementAlignment(uint32_t type) {
  const abi::ElementTypeInfo* info = abi::FindElementType(type);
  size_t bytes = info ? info->bits / 8u : 1;
  return bytes == 0 ? 1 : bytes > 8 ? 8 : bytes;
}

}  // namespace eyrie::rt
