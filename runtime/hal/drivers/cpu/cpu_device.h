// The CPU as a device: kernels are native code, run by the calling thread and the workers of a pool.
#ifndef EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_DEVICE_H_
#define EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_DEVICE_H_

#include "runtime/base/allocator.h"
#include "runtime/hal/hal.h"

namespace eyrie::rt::hal::cpu {

struct CpuOptions {
  uint32_t threads = 0;  // 0 or 1: no workers
  uint32_t spin_us = 0;
  eyrie_executor_t executor = {};
};

Result<Device*> CreateCpuDevice(Allocator& allocator, const CpuOptions& options);

}  // namespace eyrie::rt::hal::cpu

#endif  // EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_DEVICE_H_
