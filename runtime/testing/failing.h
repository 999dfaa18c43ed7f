// Memory that runs out.
#ifndef EYRIE_RUNTIME_TESTING_FAILING_H_
#define EYRIE_RUNTIME_TESTING_FAILING_H_

#include <cstdlib>

#include "eyrie/runtime.h"

namespace eyrie::rt::testing {

struct Failing {
  int64_t left;  // allocations that still work
  bool once;     // only one fails

  eyrie_allocator_t allocator() {
    return {this, Allocate, [](void*, void* memory, size_t, size_t) { free(memory); }};
  }

 private:
  static void* Allocate(void* user, size_t size, size_t alignment) {
    auto& failing = *static_cast<Failing*>(user);
    if (failing.left-- <= 0 && (!failing.once || failing.left == -1)) return nullptr;
    void* memory = nullptr;
    return posix_memalign(&memory, alignment, size) ? nullptr : memory;
  }
};

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_FAILING_H_
