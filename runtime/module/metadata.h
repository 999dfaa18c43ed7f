// The rules that a module's metadata must keep beyond being a well-formed FlatBuffer.
#ifndef EYRIE_RUNTIME_MODULE_METADATA_H_
#define EYRIE_RUNTIME_MODULE_METADATA_H_

#include <cstddef>

#include "abi/module_generated.h"
#include "runtime/base/status.h"

namespace eyrie::rt::module {

Status CheckMetadata(const abi::fb::Module& metadata, size_t metadata_size, size_t bytecode_words, size_t objects_size);

// A field that may be missing, as a count and as text.
template <typename Vector>
uint32_t CountOf(const Vector* vector) {
  return vector ? vector->size() : 0;
}
inline const char* TextOf(const flatbuffers::String* text) { return text ? text->c_str() : ""; }

}  // namespace eyrie::rt::module

#endif  // EYRIE_RUNTIME_MODULE_METADATA_H_
