// What the processor and the operating system can run.
#ifndef EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_FEATURES_H_
#define EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_FEATURES_H_

#include <cstdint>

namespace eyrie::rt::hal::cpu {

// The bits of abi/cpu_features.def for the machine that this runs on.
uint64_t HostFeatures();
// The executable format that this machine runs: "elf-x86_64", "elf-aarch64", "elf-riscv64"; "" if none.
const char* HostFormat();
// The name, for the compiler's --cpu, of what all processors of this kind run.
const char* HostBaseline();
// Asks the operating system for the registers that need it (AMX). Must be called before code with these features runs.
bool EnableFeatures(uint64_t features);

}  // namespace eyrie::rt::hal::cpu

#endif  // EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_FEATURES_H_
