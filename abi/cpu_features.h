// The processor features of abi/cpu_features.def by format and bit.
#ifndef EYRIE_ABI_CPU_FEATURES_H_
#define EYRIE_ABI_CPU_FEATURES_H_

#include <cstdint>
#include <cstring>

namespace eyrie::abi {

struct CpuFeatureInfo {
  const char* format;  // of the executable: "elf-x86_64"
  uint32_t bit;
  const char* name;  // LLVM's
};

inline constexpr CpuFeatureInfo kCpuFeatures[] = {
#define EYRIE_CPU_FEATURE(arch, Id, bit, name) {"elf-" #arch, bit, name},
#include "abi/cpu_features.def"
};

// Null if there is no such feature.
inline const char* CpuFeatureName(const char* format, uint32_t bit) {
  for (const CpuFeatureInfo& info : kCpuFeatures)
    if (info.bit == bit && std::strcmp(info.format, format) == 0) return info.name;
  return nullptr;
}

}  // namespace eyrie::abi

#endif  // EYRIE_ABI_CPU_FEATURES_H_
