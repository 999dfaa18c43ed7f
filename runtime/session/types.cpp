// Element types and shapes of the public interface.
#include "runtime/session/types.h"

#include <cstring>

#include "abi/element_types.h"
#include "runtime/base/checked.h"

namespace eyrie::rt::session {

Result<size_t> TensorBytes(uint32_t type, std::span<const int64_t> dims) {
  const abi::ElementTypeInfo* info = abi::FindElementType(type);
  if (!info) return Error(EYRIE_INVALID_ARGUMENT, "unknown element type %u", type);
  if (info->bits == 0) return Error(EYRIE_UNIMPLEMENTED, "tensors of type %s are not supported", info->name);
  // A size of 0 makes the tensor empty whatever the other sizes are.
  for (int64_t dim : dims)
    if (dim == 0) return size_t{0};
  uint64_t count = 1, bits;
  for (int64_t dim : dims)
    if (dim < 0 || !CheckedMul(count, static_cast<uint64_t>(dim), &count))
      return Error(EYRIE_OUT_OF_RANGE, "a shape with a negative size or with more than 2^64 elements");
  if (!CheckedMul(count, uint64_t{info->bits}, &bits) || bits / 8 > PTRDIFF_MAX - 8)
    return Error(EYRIE_OUT_OF_RANGE, "a tensor of %llu elements is too large", static_cast<unsigned long long>(count));
  return static_cast<size_t>(bits / 8 + (bits % 8 != 0));
}

size_t ElementAlignment(uint32_t type) {
  const abi::ElementTypeInfo* info = abi::FindElementType(type);
  size_t bytes = info ? info->bits / 8u : 1;
  return bytes == 0 ? 1 : bytes > 8 ? 8 : bytes;
}

const char* TypeName(uint32_t type) {
  const abi::ElementTypeInfo* info = abi::FindElementType(type);
  return info ? info->name : "?";
}

void PrintShape(Text& text, uint32_t type, std::span<const int64_t> dims) {
  for (int64_t dim : dims) text.Print("%lldx", static_cast<long long>(dim));
  text.Print("%s", TypeName(type));
}

void PrintShape(Text& text, const eyrie_value_info_t& value) {
  for (uint32_t i = 0; i < value.rank; ++i) {
    const eyrie_dim_t& dim = value.dims[i];
    if (dim.size >= 0)
      text.Print("%lldx", static_cast<long long>(dim.size));
    else
      text.Print("%.60sx", dim.symbol ? dim.symbol : "?");
  }
  text.Print("%s", TypeName(value.type));
}

}  // namespace eyrie::rt::session

extern "C" {

const char* eyrie_type_name(uint32_t type) {
  const eyrie::abi::ElementTypeInfo* info = eyrie::abi::FindElementType(type);
  return info ? info->name : nullptr;
}

const char* eyrie_type_npy(uint32_t type) {
  const eyrie::abi::ElementTypeInfo* info = eyrie::abi::FindElementType(type);
  return info ? info->npy : nullptr;
}

uint32_t eyrie_type_bits(uint32_t type) {
  const eyrie::abi::ElementTypeInfo* info = eyrie::abi::FindElementType(type);
  return info ? info->bits : 0;
}

uint32_t eyrie_type_from_name(const char* name) {
  for (const eyrie::abi::ElementTypeInfo& info : eyrie::abi::kElementTypes)
    if (name && strcmp(info.name, name) == 0) return static_cast<uint32_t>(info.type);
  return 0;
}

eyrie_status_t eyrie_tensor_bytes(uint32_t type, uint32_t rank, const int64_t* dims, size_t* bytes) {
  using namespace eyrie::rt;
  if (rank > EYRIE_MAX_RANK || (rank && !dims) || !bytes)
    return Error(EYRIE_INVALID_ARGUMENT, "rank %u, limit %u", rank, EYRIE_MAX_RANK).Release();
  auto result = session::TensorBytes(type, {dims, rank});
  if (!result.ok()) return result.status().Release();
  *bytes = result.value();
  return nullptr;
}

}  // extern "C"
