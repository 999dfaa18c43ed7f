// The runtime object: an allocator and a device.
#ifndef EYRIE_RUNTIME_SESSION_RUNTIME_H_
#define EYRIE_RUNTIME_SESSION_RUNTIME_H_

#include <atomic>

#include "runtime/base/allocator.h"
#include "runtime/hal/hal.h"

struct eyrie_runtime {
  explicit eyrie_runtime(const eyrie_allocator_t& functions) : allocator(functions), functions(functions) {}
  ~eyrie_runtime() {
    if (device) device->Destroy();
  }
  void Retain() { references.fetch_add(1, std::memory_order_relaxed); }
  void Release();

  eyrie::rt::Allocator allocator;
  eyrie_allocator_t functions;
  eyrie::rt::hal::Device* device = nullptr;
  std::atomic<uint32_t> references{1};  // the caller's and one for each module
};

namespace eyrie::rt::session {

// Reads the caller's option structure, which may be of an older or newer version: what it lacks is zero.
template <typename Options>
Options ReadOptions(const Options* given) {
  Options options{};
  if (given) {
    size_t size = given->struct_size < sizeof(Options) ? given->struct_size : sizeof(Options);
    __builtin_memcpy(&options, given, size);
  }
  return options;
}

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_RUNTIME_H_
