// eyrie_test_assembler MODULE.eyr...: whether every function comes back from its text word for word.
#include <cstdio>

#include "eyrie/runtime.h"
#include "runtime/testing/round_trip.h"

namespace {

eyrie::rt::Status Check(eyrie_runtime_t* runtime, const char* path, size_t* functions, uint64_t* words) {
  eyrie_module_options_t options = {};
  options.struct_size = sizeof(options);
  options.inspect_only = true;
  eyrie_module_t* module = nullptr;
  EYRIE_RETURN_IF_ERROR(eyrie::rt::Status(eyrie_module_load_file(runtime, path, &options, &module)));
  eyrie::rt::Status status = eyrie::rt::testing::CheckRoundTrip(*module, words);
  *functions = module->code.size();
  eyrie_module_destroy(module);
  return eyrie::rt::Annotate(std::move(status), "%.400s", path);
}

}  // namespace

int main(int count, char** paths) {
  if (count < 2) {
    fprintf(stderr, "usage: %s MODULE.eyr...\n", paths[0]);
    return 2;
  }
  eyrie_runtime_t* runtime = nullptr;
  eyrie::rt::Status status(eyrie_runtime_create(nullptr, &runtime));
  for (int i = 1; i < count && status.ok(); ++i) {
    size_t functions = 0;
    uint64_t words = 0;
    status = Check(runtime, paths[i], &functions, &words);
    if (status.ok())
      printf("%s: %zu functions, %llu words\n", paths[i], functions, static_cast<unsigned long long>(words));
  }
  if (!status.ok()) fprintf(stderr, "%s\n", status.message());
  eyrie_runtime_destroy(runtime);
  return status.ok() ? 0 : 1;
}
