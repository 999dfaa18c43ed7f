// Calls of host functions: from memory of the device to tensors.
#ifndef EYRIE_RUNTIME_SESSION_HOST_CALLS_H_
#define EYRIE_RUNTIME_SESSION_HOST_CALLS_H_

#include "runtime/session/host_functions.h"
#include "runtime/session/module.h"
#include "runtime/vm/host.h"

namespace eyrie::rt::session {

class HostCalls;

// A function that the caller added (caller_functions.cpp), with its name behind it.
struct CallerFunction {
  eyrie_host_function_t function;
  void* user;
  void (*release)(void* user);
  CallerFunction* before;
  size_t size;
  // HostCalls::CallCaller; see FunctionTable.
  Status (HostCalls::*call)(const CallerFunction& function, uint32_t index, std::span<const int64_t> sizes,
                            std::span<const vm::BindingRef> tensors, const hal::Stop& stop);

  const char* name() const { return reinterpret_cast<const char*>(this + 1); }
};

class HostCalls {
 public:
  HostCalls(const eyrie_module& module, StringTable& strings)
      : module_(module),
        strings_(strings),
        tensors_(module.runtime->allocator),
        views_(module.runtime->allocator),
        scratch_(module.runtime->allocator) {}
  // Room for every host function of the module.
  Status Prepare();
  // All work must have been waited for. `sizes` and `tensors` are as many as the function says; their values come from
  // the program unchecked. Functions may look at `stop` now and then.
  Status Call(uint32_t function, std::span<const int64_t> sizes, std::span<const vm::BindingRef> tensors,
              const hal::Stop& stop);
  Status CallCaller(const CallerFunction& function, uint32_t index, std::span<const int64_t> sizes,
                    std::span<const vm::BindingRef> tensors, const hal::Stop& stop);

 private:
  Status CallBuiltIn(const BuiltIn& built_in, uint32_t index, std::span<const int64_t> sizes,
                     std::span<const vm::BindingRef> tensors, const hal::Stop& stop);
  Status MakeTensors(const abi::fb::HostFunction& function, std::span<const int64_t> sizes,
                     std::span<const vm::BindingRef> bindings);

  const eyrie_module& module_;
  StringTable& strings_;
  Array<HostTensor> tensors_;
  Array<eyrie_tensor_t> views_;  // of `tensors_`, for the caller's functions
  Array<char> scratch_;
};

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_HOST_CALLS_H_
