// Functions that a module's code calls in the host: the runtime's own, which compute with strings, and the caller's
// (docs/decisions/2026-11-26-host-functions.md).
#ifndef EYRIE_RUNTIME_SESSION_HOST_FUNCTIONS_H_
#define EYRIE_RUNTIME_SESSION_HOST_FUNCTIONS_H_

#include <span>

#include "abi/module_generated.h"
#include "runtime/base/allocator.h"
#include "runtime/hal/hal.h"
#include "runtime/session/strings.h"

namespace eyrie::rt::session {

inline bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// A tensor of a call: its memory has been checked, its elements (ids of strings, say) have not.
struct HostTensor {
  uint32_t type;
  std::span<const int64_t> dims;
  uint8_t* data;
  uint64_t count;  // elements

  template <typename T>
  T Load(uint64_t i) const {
    T value;
    __builtin_memcpy(&value, data + i * sizeof(T), sizeof(T));
    return value;
  }
  template <typename T>
  void Store(uint64_t i, T value) const {
    __builtin_memcpy(data + i * sizeof(T), &value, sizeof(T));
  }
};

// One call of a built-in function.
struct HostCall {
  const abi::fb::HostFunction& function;
  std::span<const HostTensor> inputs, outputs;
  StringTable& strings;
  Array<char>& scratch;
  const hal::Stop& stop;

  Status Read(uint32_t input, uint64_t i, eyrie_string_t* text) const {
    return strings.At(inputs[input].Load<uint64_t>(i), text);
  }
  Status Write(uint32_t output, uint64_t i, const char* data, size_t size) const {
    uint64_t id;
    EYRIE_RETURN_IF_ERROR(strings.Intern(data, size, &id));
    outputs[output].Store(i, id);
    return {};
  }
  // For every element of the first input, until one fails or the call is to stop.
  template <typename Body>
  Status ForEach(Body body) const {
    for (uint64_t i = 0; i < inputs[0].count; ++i) {
      if (i % 1024 == 0) EYRIE_RETURN_IF_ERROR(stop.Check());
      EYRIE_RETURN_IF_ERROR(body(i));
    }
    return {};
  }
};

// A function of the runtime. All its tensors have one shape, unless its name says otherwise.
struct BuiltIn {
  const char* name;
  // A letter for each tensor: s string, i i64, u u64, f f32, d f64, b bool; '>' before the outputs, '+' if the last
  // output has one more dimension.
  const char* tensors;
  // What it needs of its attributes, when the module is loaded; null: nothing.
  Status (*check)(const abi::fb::HostFunction& function);
  Status (*run)(const HostCall& call);
};

std::span<const BuiltIn> TextFunctions();     // text_functions.cpp
std::span<const BuiltIn> NumberFunctions();   // text_numbers.cpp
std::span<const BuiltIn> PatternFunctions();  // text_pattern.cpp

// Null if it has no such attribute.
const abi::fb::HostAttribute* FindAttribute(const abi::fb::HostFunction& function, const char* name);
// Its first integer, or `initial`.
int64_t IntegerOf(const abi::fb::HostFunction& function, const char* name, int64_t initial);

// Names of functions that are not the runtime's own have a domain in front: "my.domain::Op".
inline bool IsCallerName(const char* name) { return __builtin_strstr(name, "::"); }

struct CallerFunction;

// What a host function of a module is: one of these.
struct HostTarget {
  const BuiltIn* built_in;
  const CallerFunction* caller;
};

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_HOST_FUNCTIONS_H_
