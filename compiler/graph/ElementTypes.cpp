#include "compiler/graph/ElementTypes.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace eyrie;

abi::ElementType eyrie::graph::getElementType(Type type, bool isUnsigned, bool isString) {
  using abi::ElementType;
  if (isString)
    return ElementType::kString;
  if (type.isInteger(1))
    return ElementType::kBool;
  if (type.isInteger(2))
    return isUnsigned ? ElementType::kU2 : ElementType::kI2;
  if (type.isInteger(4))
    return isUnsigned ? ElementType::kU4 : ElementType::kI4;
  if (type.isInteger(8))
    return isUnsigned ? ElementType::kU8 : ElementType::kI8;
  if (type.isInteger(16))
    return isUnsigned ? ElementType::kU16 : ElementType::kI16;
  if (type.isInteger(32))
    return isUnsigned ? ElementType::kU32 : ElementType::kI32;
  if (type.isInteger(64))
    return isUnsigned ? ElementType::kU64 : ElementType::kI64;
  if (auto complex = dyn_cast<ComplexType>(type))
    return complex.getElementType().isF32()   ? ElementType::kC64
           : complex.getElementType().isF64() ? ElementType::kC128
                                              : ElementType::kInvalid;
  return TypeSwitch<Type, ElementType>(type)
      .Case<Float64Type>([](auto) { return ElementType::kF64; })
      .Case<Float32Type>([](auto) { return ElementType::kF32; })
      .Case<Float16Type>([](auto) { return ElementType::kF16; })
      .Case<BFloat16Type>([](auto) { return ElementType::kBF16; })
      .Case<Float8E4M3FNType>([](auto) { return ElementType::kF8E4M3FN; })
      .Case<Float8E4M3FNUZType>([](auto) { return ElementType::kF8E4M3FNUZ; })
      .Case<Float8E5M2Type>([](auto) { return ElementType::kF8E5M2; })
      .Case<Float8E5M2FNUZType>([](auto) { return ElementType::kF8E5M2FNUZ; })
      .Case<Float8E8M0FNUType>([](auto) { return ElementType::kF8E8M0FNU; })
      .Case<Float4E2M1FNType>([](auto) { return ElementType::kF4E2M1FN; })
      .Default([](Type) { return ElementType::kInvalid; });
}

graph::ListType eyrie::graph::getListType(Type elementType, bool isUnsigned, bool isString) {
  const abi::ElementTypeInfo *info =
      abi::FindElementType(static_cast<uint64_t>(getElementType(elementType, isUnsigned, isString)));
  return info ? ListType::get(elementType.getContext(), elementType, info->name) : ListType();
}

abi::ElementType eyrie::graph::getElementType(ListType type) {
  for (const abi::ElementTypeInfo &info : abi::kElementTypes)
    if (type.getName() == info.name)
      return info.type;
  return abi::ElementType::kInvalid;
}

abi::ElementType eyrie::graph::getValueElementType(Type type, DictionaryAttr attributes) {
  if (auto list = dyn_cast<ListType>(type))
    return getElementType(list);
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto has = [&](StringRef name) { return attributes && attributes.contains(name); };
  return tensor ? getElementType(tensor.getElementType(), has("eyrie.unsigned"), has("eyrie.string"))
                : abi::ElementType::kInvalid;
}
