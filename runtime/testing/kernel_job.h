// How tests of the compiler run kernels of another kind of processor: the runner (kernel_runner.cpp) is built for that
// processor and started under an emulator; it reads jobs from its standard input and writes answers to its standard
// output until the input ends. Both machines are little-endian.
//
//   Greeting                                                       written once, when the runner starts
//   Job, object, symbol, constants, sizes of bindings, bindings    one job
//   Answer, text, bindings                                         its answer; the bindings only if `code` is 0
#ifndef EYRIE_RUNTIME_TESTING_KERNEL_JOB_H_
#define EYRIE_RUNTIME_TESTING_KERNEL_JOB_H_

#include <cstdint>

namespace eyrie::rt::testing {

struct Greeting {
  uint64_t features;  // abi/cpu_features.def, of the emulated processor
};

struct Job {
  uint64_t object_bytes, symbol_bytes;  // an ELF shared object, and the name of the kernel in it
  uint64_t features;                    // that the code needs
  uint64_t local_bytes;
  uint64_t constant_count;  // 8 bytes each
  uint64_t binding_count;   // 8 bytes each for their sizes, then their bytes
  uint64_t workgroup_count[3];
};

struct Answer {
  uint64_t code;  // 0: the kernel ran
  uint64_t text_bytes;
};

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_KERNEL_JOB_H_
