// Memory that runs out.
#ifndef EYRIE_RUNTIME_TESTING_FAILING_H_
#define EYRIE_RUNTIME_TESTING_FAILING_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "eyrie/runtime.h"
#include "runtime/base/status.h"

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

// Makes a runtime and `prepare`s it, loads the module and calls its first function, again and again, each time with one
// allocation more that works. All but the last time must fail with RESOURCE_EXHAUSTED; `check` sees the last's output.
template <typename Prepare, typename Check>
void CallWithFailingAllocations(const std::vector<uint8_t>& bytes, const eyrie_tensor_t& input, Prepare prepare,
                                Check check) {
  int64_t failures = 0;
  for (bool is_done = false; !is_done; ++failures) {
    ASSERT_LT(failures, 500);
    Failing failing = {failures, false};
    eyrie_runtime_options_t options = {};
    options.struct_size = sizeof(options);
    options.allocator = failing.allocator();
    eyrie_runtime_t* runtime = nullptr;
    eyrie_module_t* module = nullptr;
    eyrie_instance_t* instance = nullptr;
    eyrie_tensor_t output = {};
    Status status(eyrie_runtime_create(&options, &runtime));
    if (status.ok()) status = prepare(runtime);
    if (status.ok()) status = Status(eyrie_module_load_memory(runtime, bytes.data(), bytes.size(), nullptr, &module));
    if (status.ok()) status = Status(eyrie_instance_create(module, nullptr, &instance));
    if (status.ok()) status = Status(eyrie_call(instance, 0, &input, 1, &output, 1, nullptr));
    is_done = status.ok();
    if (is_done)
      check(output);
    else
      EXPECT_EQ(status.code(), EYRIE_RESOURCE_EXHAUSTED) << status.message();
    eyrie_instance_destroy(instance);
    eyrie_module_destroy(module);
    eyrie_runtime_destroy(runtime);
  }
  EXPECT_GT(failures, 20);
}

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_FAILING_H_
