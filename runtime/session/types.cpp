#include "runtime/session/types.h"

#include <cstring>

#include "abi/element_types.h"

namespace eyrie::rt::session {

namespace {

uint32_t CallerBits(uint32_t type) {
  if (type == EYRIE_STRING) return sizeof(eyrie_string_t) * 8;
  if (type == EYRIE_SEQUENCE) return sizeof(eyrie_tensor_t) * 8;
  const abi::ElementTypeInfo* info = abi::FindElementType(type);
  return info ? info->bits : 0;
}

}  // namespace

Result<size_t> CallerBytes(uint32_t type, std::span<const int64_t> dims) {
  uint32_t bits = CallerBits(type);
  if (!bits) return Error(EYRIE_INVALID_ARGUMENT, "unknown element type %u", type);
  return DenseBytes(bits, dims);
}

size_t CallerAlignment(uint32_t type) {
  if (type == EYRIE_STRING) return alignof(eyrie_string_t);
  if (type == EYRIE_SEQUENCE) return alignof(eyrie_tensor_t);
  return ElementAlignment(type);
}

const char* TypeName(uint32_t type) {
  const abi::ElementTypeInfo* info = abi::FindElementType(type);
  return info ? info->name : "?";
}

void PrintShape(Text& text, uint32_t type, std::span<const int64_t> dims) {
  if (type == EYRIE_SEQUENCE) return text.Print("a sequence");
  if (type == EYRIE_NONE) return text.Print("nothing");
  for (int64_t dim : dims) text.Print("%lldx", static_cast<long long>(dim));
  text.Print("%s", TypeName(type));
}

void PrintShape(Text& text, const eyrie_value_info_t& value) {
  if (value.is_optional) text.Print("optional ");
  if (value.is_sequence) text.Print("sequence of ");
  for (uint32_t i = 0; i < value.rank; ++i) {
    const eyrie_dim_t& dim = value.dims[i];
    if (dim.size >= 0)
      text.Print("%lldx", static_cast<long long>(dim.size));
    else
      text.Print("%.60sx", dim.symbol ? dim.symbol : "?");
  }
  text.Print("%s", TypeName(value.type));
  if (value.any_rank && !value.is_sequence) text.Print(" of any rank");
}

void PrintElementShape(Text& text, const eyrie_value_info_t& value) {
  eyrie_value_info_t element = value;
  element.is_sequence = element.is_optional = 0;
  PrintShape(text, element);
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

uint32_t eyrie_type_bits(uint32_t type) { return type == EYRIE_SEQUENCE ? 0 : eyrie::rt::session::CallerBits(type); }

uint32_t eyrie_type_from_name(const char* name) {
  for (const eyrie::abi::ElementTypeInfo& info : eyrie::abi::kElementTypes)
    if (name && strcmp(info.name, name) == 0) return static_cast<uint32_t>(info.type);
  return 0;
}

eyrie_status_t eyrie_tensor_bytes(uint32_t type, uint32_t rank, const int64_t* dims, size_t* bytes) {
  using namespace eyrie::rt;
  if (rank > EYRIE_MAX_RANK || (rank && !dims) || !bytes)
    return Error(EYRIE_INVALID_ARGUMENT, "rank %u, limit %u", rank, EYRIE_MAX_RANK).Release();
  auto result = session::CallerBytes(type, {dims, rank});
  if (!result.ok()) return result.status().Release();
  *bytes = result.value();
  return nullptr;
}

}  // extern "C"
