// A device that checks and forgets: commands are recorded and never run. It measures what everything around the
// kernels costs, and shows how small a driver may be.
#ifndef EYRIE_RUNTIME_HAL_DRIVERS_NULL_NULL_DEVICE_H_
#define EYRIE_RUNTIME_HAL_DRIVERS_NULL_NULL_DEVICE_H_

#include "runtime/base/allocator.h"
#include "runtime/hal/hal.h"

namespace eyrie::rt::hal::null {

Result<Device*> CreateNullDevice(Allocator& allocator);

}  // namespace eyrie::rt::hal::null

#endif  // EYRIE_RUNTIME_HAL_DRIVERS_NULL_NULL_DEVICE_H_
