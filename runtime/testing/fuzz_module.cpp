// libFuzzer target: any bytes as a module, with their checksums made right so that the later checks are reached. Native
// code is not run. Build with -DEYRIE_SANITIZE=address,undefined,fuzzer-no-link; start from eyrie_test_module's file.
#include <cstdlib>

#include "eyrie/runtime.h"
#include "runtime/testing/module_builder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static eyrie_runtime_t* runtime = nullptr;
  if (!runtime && eyrie_runtime_create(nullptr, &runtime)) abort();
  std::vector<uint8_t> bytes(data, data + size);
  eyrie::rt::testing::Reseal(bytes);
  eyrie_module_t* module = nullptr;
  eyrie_status_free(eyrie_module_load_memory(runtime, bytes.data(), bytes.size(), nullptr, &module));
  if (module) {
    eyrie_instance_t* instance = nullptr;
    eyrie_status_free(eyrie_instance_create(module, nullptr, &instance));
    eyrie_instance_destroy(instance);
    eyrie_module_info_t info;
    eyrie_module_get_info(module, &info);
    for (uint32_t i = 0; i < info.function_count; ++i) {
      char text[256];
      eyrie_status_free(eyrie_module_disassemble(module, i, text, sizeof(text), nullptr));
    }
    eyrie_module_destroy(module);
  }
  return 0;
}
