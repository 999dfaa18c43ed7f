// The element types of tensors, expanded from element_types.def.
#ifndef EYRIE_ABI_ELEMENT_TYPES_H_
#define EYRIE_ABI_ELEMENT_TYPES_H_

#include <cstdint>

namespace eyrie::abi {

enum class ElementType : uint8_t {
  kInvalid = 0,
#define EYRIE_ELEMENT_TYPE(Id, number, name, bits, kind, npy) k##Id = number,
#include "abi/element_types.def"
};

enum class ElementKind : uint8_t { kFloat, kBFloat, kFloat8, kFloat4, kInt, kUInt, kBool, kComplex, kString };

struct ElementTypeInfo {
  ElementType type;
  ElementKind kind;
  uint16_t bits;  // as stored; of a string: of its id
  // Arrays, not pointers: a table without relocations is smaller.
  char name[12];
  char npy[5];
};

inline constexpr ElementTypeInfo kElementTypes[] = {
#define EYRIE_ELEMENT_TYPE(Id, number, name, bits, kind, npy) \
  {ElementType::k##Id, ElementKind::k##kind, bits, name, npy},
#include "abi/element_types.def"
};

// The row of `number`, or null if there is no such type.
constexpr const ElementTypeInfo* FindElementType(uint64_t number) {
  for (const ElementTypeInfo& info : kElementTypes)
    if (static_cast<uint64_t>(info.type) == number) return &info;
  return nullptr;
}

}  // namespace eyrie::abi

#endif  // EYRIE_ABI_ELEMENT_TYPES_H_
