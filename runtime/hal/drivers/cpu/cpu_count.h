// How many processors this process may use.
#ifndef EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_COUNT_H_
#define EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_COUNT_H_

#include <cstdint>

namespace eyrie::rt::hal::cpu {

// Those of the affinity mask, at most as many as the quota of the process's control groups pays for, at least 1.
uint32_t UsableCpus();
// The quota of a control group and those above it, rounded up; UINT32_MAX: none. `membership` is the text of
// /proc/self/cgroup, `root` is where the groups are mounted. Both versions of control groups.
uint32_t QuotaCpus(const char* membership, const char* root);

}  // namespace eyrie::rt::hal::cpu

#endif  // EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_COUNT_H_
