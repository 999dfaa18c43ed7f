// Element types and shapes, as calls and messages need them.
#ifndef EYRIE_RUNTIME_SESSION_TYPES_H_
#define EYRIE_RUNTIME_SESSION_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "eyrie/runtime.h"
#include "runtime/base/status.h"
#include "runtime/base/text.h"

namespace eyrie::rt::session {

// Bytes of a tensor; an error if the shape is not sane.
Result<size_t> TensorBytes(uint32_t type, std::span<const int64_t> dims);
// What the address of a tensor's data must be a multiple of.
size_t ElementAlignment(uint32_t type);
const char* TypeName(uint32_t type);
// "1x3x224xf32", "batchx3xf32".
void PrintShape(Text& text, uint32_t type, std::span<const int64_t> dims);
void PrintShape(Text& text, const eyrie_value_info_t& value);

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_TYPES_H_
