// A thin C++ wrapper of eyrie/runtime.h: objects that free themselves, nothing more. Header-only; needs C++17, neither
// exceptions nor RTTI. A function that can fail returns a Status, which tells its user to look at it.
#ifndef EYRIE_RUNTIME_HPP_
#define EYRIE_RUNTIME_HPP_

#include <string_view>
#include <utility>

#include "eyrie/runtime.h"

namespace eyrie {

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(eyrie_status_t status) : status_(status) {}
  Status(Status&& other) noexcept : status_(std::exchange(other.status_, nullptr)) {}
  Status& operator=(Status&& other) noexcept {
    std::swap(status_, other.status_);
    return *this;
  }
  ~Status() { eyrie_status_free(status_); }
  bool ok() const { return !status_; }
  explicit operator bool() const { return ok(); }
  eyrie_code_t code() const { return eyrie_status_code(status_); }
  const char* message() const { return eyrie_status_message(status_); }
  // For a function of the C interface that gives a status to its caller, who frees it.
  eyrie_status_t Release() { return std::exchange(status_, nullptr); }

 private:
  eyrie_status_t status_ = nullptr;
};

// Owns a pointer of the C interface.
template <typename T, void (*destroy)(T*)>
class Handle {
 public:
  Handle() = default;
  Handle(Handle&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Handle() { destroy(object_); }
  T* get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 protected:
  // For a function that makes an object: the old one is destroyed first.
  T** Receive() {
    destroy(std::exchange(object_, nullptr));
    return &object_;
  }

 private:
  T* object_ = nullptr;
};

class Runtime : public Handle<eyrie_runtime_t, eyrie_runtime_destroy> {
 public:
  // 0 or 1: everything runs in the caller's thread.
  Status Create(uint32_t threads = 0) {
    eyrie_runtime_options_t options = {};
    options.struct_size = sizeof(options);
    options.threads = threads;
    return Create(options);
  }
  Status Create(const eyrie_runtime_options_t& options) { return eyrie_runtime_create(&options, Receive()); }
  // Functions of plug-ins; those of the program itself are added by eyrie::AddFunction (eyrie/functions.hpp).
  Status AddPlugin(const char* path) { return eyrie_runtime_add_plugin(get(), path); }
};

class Fence : public Handle<eyrie_fence_t, eyrie_fence_release> {
 public:
  Status Create(const Runtime& runtime, uint64_t value = 0) {
    return eyrie_fence_create(runtime.get(), value, Receive());
  }
  Status Signal(uint64_t value) { return eyrie_fence_signal(get(), value); }
  Status Wait(uint64_t value, uint64_t timeout_ns = UINT64_MAX) const {
    return eyrie_fence_wait(get(), value, timeout_ns);
  }
  eyrie_fence_point_t At(uint64_t value) const { return {get(), value}; }
};

class Parameters : public Handle<eyrie_parameters_t, eyrie_parameters_destroy> {
 public:
  Status Open(const Runtime& runtime, const char* path, const eyrie_parameters_options_t* options = nullptr) {
    return eyrie_parameters_open(runtime.get(), path, options, Receive());
  }
  Status Find(const char* name, size_t* index) const { return eyrie_parameters_find(get(), name, index); }
};

class Module : public Handle<eyrie_module_t, eyrie_module_destroy> {
 public:
  Status LoadFile(const Runtime& runtime, const char* path, const eyrie_module_options_t* options = nullptr) {
    return eyrie_module_load_file(runtime.get(), path, options, Receive());
  }
  Status LoadMemory(const Runtime& runtime, const void* data, size_t size,
                    const eyrie_module_options_t* options = nullptr) {
    return eyrie_module_load_memory(runtime.get(), data, size, options, Receive());
  }
  Status Find(const char* name, uint32_t* function) const { return eyrie_module_find(get(), name, function); }
};

class Instance : public Handle<eyrie_instance_t, eyrie_instance_destroy> {
 public:
  Status Create(const Module& module, const eyrie_instance_options_t* options = nullptr) {
    return eyrie_instance_create(module.get(), options, Receive());
  }
  // In memory of the caller's, which must outlive the instance.
  Status Create(const Module& module, void* arena, size_t arena_size) {
    eyrie_instance_options_t options = {};
    options.struct_size = sizeof(options);
    options.arena = arena;
    options.arena_size = arena_size;
    return Create(module, &options);
  }
  Status Call(uint32_t function, const eyrie_tensor_t* inputs, size_t input_count, eyrie_tensor_t* outputs,
              size_t output_count, const eyrie_call_options_t* options = nullptr) {
    return eyrie_call(get(), function, inputs, input_count, outputs, output_count, options);
  }
  Status CallAsync(uint32_t function, const eyrie_tensor_t* inputs, size_t input_count, eyrie_tensor_t* outputs,
                   size_t output_count, eyrie_fence_point_t signal, const eyrie_fence_point_t* waits = nullptr,
                   size_t wait_count = 0, const eyrie_call_options_t* options = nullptr) {
    return eyrie_call_async(get(), function, inputs, input_count, outputs, output_count, options, waits, wait_count,
                            signal);
  }
  // States are numbered as in eyrie_module_state.
  Status GetState(uint32_t index, eyrie_tensor_t* tensor) const { return eyrie_state_get(get(), index, tensor); }
  Status SetState(uint32_t index, const eyrie_tensor_t& tensor) { return eyrie_state_set(get(), index, &tensor); }
  Status ReserveState(uint32_t index, const int64_t* dims) { return eyrie_state_reserve(get(), index, dims); }
  Status ResetStates() { return eyrie_state_reset(get()); }
  Status SaveStates(void* data, size_t capacity, size_t* needed) const {
    return eyrie_state_save(get(), data, capacity, needed);
  }
  Status RestoreStates(const void* data, size_t size) { return eyrie_state_restore(get(), data, size); }
};

// Elements of tensors of strings: they refer to their bytes.
inline eyrie_string_t ToString(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view StringAt(const eyrie_tensor_t& tensor, size_t index) {
  const eyrie_string_t& string = static_cast<const eyrie_string_t*>(tensor.data)[index];
  return {string.data, string.size};
}

// A sequence of tensors, which it refers to, and an element of one.
inline eyrie_tensor_t ToSequence(eyrie_tensor_t* elements, size_t count) {
  return {elements, count * sizeof(*elements), EYRIE_SEQUENCE, 1, {static_cast<int64_t>(count)}};
}
inline const eyrie_tensor_t& ElementAt(const eyrie_tensor_t& sequence, size_t index) {
  return static_cast<const eyrie_tensor_t*>(sequence.data)[index];
}

}  // namespace eyrie

#endif  // EYRIE_RUNTIME_HPP_
