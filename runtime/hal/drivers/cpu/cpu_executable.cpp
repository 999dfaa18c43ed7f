#include "runtime/hal/drivers/cpu/cpu_executable.h"

#include <cstring>

#include "abi/cpu_features.h"
#include "runtime/base/text.h"
#include "runtime/hal/drivers/cpu/cpu_features.h"

namespace eyrie::rt::hal::cpu {

Status CpuExecutable::Load(const ExecutableSpec& spec) {
  // What the machine can run is settled before any code is mapped.
  if (strcmp(spec.format, HostFormat()) != 0)
    return Error(EYRIE_INCOMPATIBLE,
                 "executable '%.100s' is of the format '%.40s'; this machine runs '%s': compile it with --cpu=%s",
                 spec.name, spec.format, HostFormat(), HostBaseline());
  if (uint64_t missing = spec.features & ~HostFeatures()) {
    char names[400];
    Text text(names, sizeof(names));
    for (; missing; missing &= missing - 1) {
      const char* known = abi::CpuFeatureName(spec.format, static_cast<uint32_t>(__builtin_ctzll(missing)));
      text.Print(text.size() ? ", %s" : "%s", known ? known : "an unknown feature");
    }
    return Error(EYRIE_INCOMPATIBLE,
                 "executable '%.100s' needs %s, which this processor lacks; compile with --cpu=native here, or add "
                 "--cpu=%s",
                 spec.name, names, HostBaseline());
  }
  if (!EnableFeatures(spec.features))
    return Error(EYRIE_INCOMPATIBLE, "executable '%.100s': the operating system does not grant AMX", spec.name);
  EYRIE_ASSIGN_OR_RETURN(image_, ElfImage::Load(spec.object, spec.object_size));
  EYRIE_RETURN_IF_ERROR(kernels_.Reserve(spec.exports.size()));
  for (const ExportSpec& item : spec.exports) {
    void* address = image_.FindFunction(item.symbol);
    if (!address)
      return Error(EYRIE_INVALID_ARGUMENT, "executable '%.100s' has no function '%.100s'", spec.name, item.symbol);
    EYRIE_RETURN_IF_ERROR(kernels_.Push(reinterpret_cast<eyrie_kernel>(address)));
  }
  return {};
}

}  // namespace eyrie::rt::hal::cpu
