// Operators of the caller's own in C++: a function object that computes outputs from inputs, added to a runtime (see
// "Functions of the caller" in eyrie/runtime.h). Header-only; needs C++17. With exceptions, one that the function
// throws becomes an error of the call.
#ifndef EYRIE_FUNCTIONS_HPP_
#define EYRIE_FUNCTIONS_HPP_

#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <string_view>

#include "eyrie/runtime.hpp"

namespace eyrie {

// An error to return from a function.
inline Status MakeError(eyrie_code_t code, const char* message) { return eyrie_status_create(code, message); }

// One call of a function: its tensors and attributes, valid until it returns.
class HostCall {
 public:
  explicit HostCall(const eyrie_host_call_t& call) : call_(call) {}
  const eyrie_host_call_t& get() const { return call_; }
  std::string_view name() const { return call_.name; }
  uint32_t input_count() const { return call_.input_count; }
  uint32_t output_count() const { return call_.output_count; }
  const eyrie_tensor_t& input(uint32_t index) const { return call_.inputs[index]; }
  const eyrie_tensor_t& output(uint32_t index) const { return call_.outputs[index]; }

  // The elements of an input or output; null unless it is there, its elements are of `type`, and have T's size.
  template <typename T>
  const T* InputAs(uint32_t index, eyrie_type_t type) const {
    return index < call_.input_count ? As<const T>(call_.inputs[index], type) : nullptr;
  }
  template <typename T>
  T* OutputAs(uint32_t index, eyrie_type_t type) const {
    return index < call_.output_count ? As<T>(call_.outputs[index], type) : nullptr;
  }
  static int64_t CountOf(const eyrie_tensor_t& tensor) {
    int64_t count = 1;
    for (uint32_t i = 0; i < tensor.rank; ++i) count *= tensor.dims[i];
    return count;
  }

  // The first element of an attribute; `initial` if the node has none of that name and kind.
  int64_t Integer(const char* attribute, int64_t initial) const {
    return eyrie_host_call_integer(&call_, attribute, initial);
  }
  double Number(const char* attribute, double initial) const {
    return eyrie_host_call_number(&call_, attribute, initial);
  }
  std::string_view String(const char* attribute, std::string_view initial) const {
    eyrie_attribute_t found;
    if (!Find(attribute, &found) || !found.strings) return initial;
    eyrie_string_t text = eyrie_attribute_string(&found, 0);
    return {text.data, text.size};
  }
  bool Find(const char* attribute, eyrie_attribute_t* found) const {
    return eyrie_host_call_attribute(&call_, attribute, found) != 0;
  }
  // An error when the function should give up: see eyrie_host_call_check_stop.
  Status CheckStop() const { return eyrie_host_call_check_stop(&call_); }

 private:
  template <typename T>
  static T* As(const eyrie_tensor_t& tensor, eyrie_type_t type) {
    bool fits = tensor.type == static_cast<uint32_t>(type) && eyrie_type_bits(tensor.type) == 8 * sizeof(T);
    return fits ? static_cast<T*>(tensor.data) : nullptr;
  }

  const eyrie_host_call_t& call_;
};

using HostFunction = std::function<Status(const HostCall& call)>;

// The runtime keeps the function as long as it lives, and its modules. It is called from several threads at once if
// instances are.
inline Status AddFunction(eyrie_runtime_t* runtime, const char* name, HostFunction function) {
  auto* kept = new (std::nothrow) HostFunction(std::move(function));
  if (!kept) return MakeError(EYRIE_RESOURCE_EXHAUSTED, "out of memory");
  auto call = [](void* user, const eyrie_host_call_t* given) -> eyrie_status_t {
#if defined(__cpp_exceptions)
    try {
      return (*static_cast<HostFunction*>(user))(HostCall(*given)).Release();
    } catch (const std::bad_alloc&) {
      return eyrie_status_create(EYRIE_RESOURCE_EXHAUSTED, "out of memory");
    } catch (const std::exception& error) {
      return eyrie_status_create(EYRIE_UNKNOWN, error.what());
    } catch (...) {
      return eyrie_status_create(EYRIE_UNKNOWN, "an exception that is no std::exception");
    }
#else
    return (*static_cast<HostFunction*>(user))(HostCall(*given)).Release();
#endif
  };
  auto release = [](void* user) { delete static_cast<HostFunction*>(user); };
  Status status = eyrie_runtime_add_function(runtime, name, call, kept, release);
  if (!status.ok()) release(kept);
  return status;
}
inline Status AddFunction(const Runtime& runtime, const char* name, HostFunction function) {
  return AddFunction(runtime.get(), name, std::move(function));
}

}  // namespace eyrie

#endif  // EYRIE_FUNCTIONS_HPP_
