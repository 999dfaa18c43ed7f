// Element types and shapes of the public interface, as calls and messages need them.
#ifndef EYRIE_RUNTIME_SESSION_TYPES_H_
#define EYRIE_RUNTIME_SESSION_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "eyrie/runtime.h"
#include "runtime/base/shape.h"
#include "runtime/base/status.h"
#include "runtime/base/text.h"

namespace eyrie::rt::session {

// Bytes that a tensor takes in the caller's memory, where strings are eyrie_string_t and elements of a sequence
// eyrie_tensor_t. Memory of the module is base/shape.h.
Result<size_t> CallerBytes(uint32_t type, std::span<const int64_t> dims);
// What the address of the caller's data must be a multiple of.
size_t CallerAlignment(uint32_t type);
const char* TypeName(uint32_t type);
// "1x3x224xf32"; "a sequence"; "nothing".
void PrintShape(Text& text, uint32_t type, std::span<const int64_t> dims);
// "batchx3xf32", "optional f32 of any rank", "sequence of ?x3xf32", "sequence of f32" (of any rank).
void PrintShape(Text& text, const eyrie_value_info_t& value);
// Whether the value is a list in its program: all but plain tensors are.
inline bool IsList(const eyrie_value_info_t& value) { return value.is_sequence || value.is_optional; }
// The elements of that list which stand for no tensor, if there is a value at all: one in front of an optional
// sequence.
inline uint32_t MarkersOf(const eyrie_value_info_t& value) { return value.is_sequence && value.is_optional; }
// What an element of a sequence must be: "?x3xf32", "f32 of any rank".
void PrintElementShape(Text& text, const eyrie_value_info_t& value);

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_TYPES_H_
