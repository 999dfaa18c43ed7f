// The CPU as a device: kernels are native code, run by the calling thread and the workers of a pool.
#ifndef EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_DEVICE_H_
#define EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_DEVICE_H_

#include "runtime/base/allocator.h"
#include "runtime/hal/drivers/cpu/worker_pool.h"
#include "runtime/hal/hal.h"

namespace eyrie::rt::hal::cpu {

// `devices` is where the system shows its processors; tests have other systems there.
Result<Device*> CreateCpuDevice(Allocator& allocator, const PoolOptions& options, const char* devices = "/sys/devices");

}  // namespace eyrie::rt::hal::cpu

#endif  // EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_DEVICE_H_
