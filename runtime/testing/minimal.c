/* The smallest program that runs a module: reads it, calls its function with inputs of zeros, prints the first bytes of
 * the first result. Its size is a goal of the project (README.md). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eyrie/runtime.h"

static void check(eyrie_status_t status) {
  if (status) {
    fputs(eyrie_status_message(status), stderr);
    exit(1);
  }
}

int main(int argc, char** argv) {
  eyrie_runtime_t* runtime;
  eyrie_module_t* module;
  eyrie_instance_t* instance;
  eyrie_function_info_t info;
  static eyrie_tensor_t inputs[16], outputs[16];
  if (argc != 2) return 2;
  check(eyrie_runtime_create(NULL, &runtime));
  check(eyrie_module_load_file(runtime, argv[1], NULL, &module));
  check(eyrie_module_function(module, 0, &info));
  if (info.argument_count > 16 || info.result_count > 16) return 2;
  for (uint32_t i = 0; i < info.argument_count; ++i) {
    eyrie_value_info_t value;
    check(eyrie_module_argument(module, 0, i, &value));
    inputs[i].type = value.type;
    inputs[i].rank = value.rank;
    for (uint32_t k = 0; k < value.rank; ++k) inputs[i].dims[k] = value.dims[k].size < 0 ? 1 : value.dims[k].size;
    check(eyrie_tensor_bytes(value.type, value.rank, inputs[i].dims, &inputs[i].size_bytes));
    if (value.is_sequence) { /* an empty one */
      memset(&inputs[i], 0, sizeof(inputs[i]));
      inputs[i].type = EYRIE_SEQUENCE;
      inputs[i].rank = 1;
    }
    inputs[i].data = calloc(inputs[i].size_bytes + 1, 1);
  }
  check(eyrie_instance_create(module, NULL, &instance));
  check(eyrie_call(instance, 0, inputs, info.argument_count, outputs, info.result_count, NULL));
  for (size_t i = 0; info.result_count && i < 16 && i < outputs[0].size_bytes; ++i)
    printf("%02x ", ((unsigned char*)outputs[0].data)[i]);
  puts("");
  eyrie_instance_destroy(instance);
  eyrie_module_destroy(module);
  eyrie_runtime_destroy(runtime);
  return 0;
}
