// eyrie_test_module FILE: writes AddScaleModule, for tests of tools.
#include <cstdio>

#include "runtime/testing/module_builder.h"

int main(int argc, char** argv) {
  auto bytes = eyrie::rt::testing::AddScaleModule().Build();
  FILE* file = argc == 2 ? fopen(argv[1], "wb") : nullptr;
  if (!file || fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() || fclose(file) != 0) return 1;
  return 0;
}
