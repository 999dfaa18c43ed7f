// A module with code for several processors, of which only that for this one is good.
#ifndef EYRIE_RUNTIME_TESTING_VARIANTS_H_
#define EYRIE_RUNTIME_TESTING_VARIANTS_H_

#include "runtime/testing/module_builder.h"

namespace eyrie::rt::testing {

inline constexpr uint64_t kNoSuchFeature = uint64_t{1} << 63;

// AddScaleModule, whose executable has the code: 0 for a processor that there is not, 1 of another kind, 2 for any of
// this kind, 3 (its own) damaged. What is not loaded is not looked at either.
inline Module VariantsModule() {
  Module module = AddScaleModule();
  Executable& executable = module.executables[0];
  const std::vector<uint8_t> damaged(100, 0xcc);
  executable.variants = {{"", kNoSuchFeature, damaged},
                         {"elf-m68k", 0, damaged, {0, 0, 0, 64, 0}},
                         {"", 0, executable.object, {0, 0, 0, 512, 0}}};
  executable.object = damaged;
  module.processors = {{"future", HostFormat(), kNoSuchFeature}, {"amiga", "elf-m68k", 0}, {"plain", HostFormat(), 0}};
  return module;
}

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_VARIANTS_H_
