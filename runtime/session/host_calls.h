// Calls of host functions: from memory of the device to tensors.
#ifndef EYRIE_RUNTIME_SESSION_HOST_CALLS_H_
#define EYRIE_RUNTIME_SESSION_HOST_CALLS_H_

#include "runtime/session/host_functions.h"
#include "runtime/session/module.h"
#include "runtime/vm/host.h"

namespace eyrie::rt::session {

class HostCalls {
 public:
  HostCalls(const eyrie_module& module, StringTable& strings)
      : module_(module), strings_(strings), tensors_(module.runtime->allocator), scratch_(module.runtime->allocator) {}
  // Room for every host function of the module.
  Status Prepare();
  // All work must have been waited for. `sizes` and `tensors` are as many as the function says; their values come from
  // the program unchecked. The runtime's own functions look at `stop` now and then.
  Status Call(uint32_t function, std::span<const int64_t> sizes, std::span<const vm::BindingRef> tensors,
              const hal::Stop& stop);

 private:
  Status MakeTensors(const abi::fb::HostFunction& function, std::span<const int64_t> sizes,
                     std::span<const vm::BindingRef> bindings);

  const eyrie_module& module_;
  StringTable& strings_;
  Array<HostTensor> tensors_;
  Array<char> scratch_;
};

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_HOST_CALLS_H_
