// The processor features of abi/cpu_features.def by format and bit.
#ifndef EYRIE_ABI_CPU_FEATURES_H_
#define EYRIE_ABI_CPU_FEATURES_H_

#include <cstdint>
#include <cstring>

namespace eyrie::abi {

// The texts lie in the row: pointers would have to be relocated, which takes more bytes than the rows.
struct CpuFeatureInfo {
  char format[12];  // of the executable: "elf-x86_64"
  char name[16];    // LLVM's
  uint8_t bit;
};

inline constexpr CpuFeatureInfo kCpuFeatures[] = {
#define EYRIE_CPU_FEATURE(arch, Id, bit, name) {"elf-" #arch, name, bit},
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
