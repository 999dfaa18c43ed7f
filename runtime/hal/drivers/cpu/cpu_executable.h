// An executable of the CPU: a loaded ELF image and the addresses of its kernels.
#ifndef EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_EXECUTABLE_H_
#define EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_EXECUTABLE_H_

#include "abi/kernel.h"
#include "runtime/base/allocator.h"
#include "runtime/hal/drivers/cpu/elf_loader.h"
#include "runtime/hal/hal.h"

namespace eyrie::rt::hal::cpu {

class CpuExecutable final : public Executable {
 public:
  CpuExecutable(Allocator& allocator, Device* device, const ExecutableSpec& spec)
      : Executable(device, spec.exports), allocator_(allocator), kernels_(allocator) {}
  Status Load(const ExecutableSpec& spec);
  void Destroy() override { allocator_.Delete(this); }
  eyrie_kernel kernel(uint32_t ordinal) const { return kernels_[ordinal]; }

 private:
  friend class ::eyrie::rt::Allocator;
  Allocator& allocator_;
  ElfImage image_;
  Array<eyrie_kernel> kernels_;
};

}  // namespace eyrie::rt::hal::cpu

#endif  // EYRIE_RUNTIME_HAL_DRIVERS_CPU_CPU_EXECUTABLE_H_
