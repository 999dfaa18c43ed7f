// MLIR's element types, which know no sign and no strings, and those of the module format.
#pragma once
#include "abi/element_types.h"
#include "compiler/graph/Graph.h"

namespace eyrie::graph {

/// kInvalid if the module format has no such type. Strings are ids: i64.
abi::ElementType getElementType(mlir::Type type, bool isUnsigned, bool isString);
abi::ElementType getElementType(ListType type);
/// Of an argument or result, a tensor or a sequence, with its attributes (eyrie.unsigned, eyrie.string; may be null).
abi::ElementType getValueElementType(mlir::Type type, mlir::DictionaryAttr attributes);
/// The type of sequences; null if the module format has no such element type.
ListType getListType(mlir::Type elementType, bool isUnsigned, bool isString);

} // namespace eyrie::graph
