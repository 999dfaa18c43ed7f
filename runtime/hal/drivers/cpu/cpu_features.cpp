#include "runtime/hal/drivers/cpu/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace eyrie::rt::hal::cpu {
namespace {

namespace bits {
enum : uint64_t {
#define EYRIE_CPU_FEATURE(arch, Id, bit, name) k##arch##Id = uint64_t{1} << bit,
#include "abi/cpu_features.def"
};
}  // namespace bits

}  // namespace

#if defined(__x86_64__)

namespace {

struct Row {
  uint8_t leaf;  // index into `words`
  uint8_t bit;
  uint8_t state;  // what the operating system must save: 0 nothing, 1 AVX, 2 AVX-512, 3 AMX
  uint64_t feature;
};

enum Word : uint8_t { k1c, k7b, k7c, k7d, k71a, kExt1c, kWordCount };

}  // namespace

uint64_t HostFeatures() {
  using namespace bits;
  static constexpr Row rows[] = {
      {k1c, 0, 0, kx86_64Sse3},          {k1c, 9, 0, kx86_64Ssse3},
      {k1c, 19, 0, kx86_64Sse41},        {k1c, 20, 0, kx86_64Sse42},
      {k1c, 23, 0, kx86_64Popcnt},       {k1c, 22, 0, kx86_64Movbe},
      {k1c, 28, 1, kx86_64Avx},          {k1c, 29, 1, kx86_64F16c},
      {k1c, 12, 1, kx86_64Fma},          {k7b, 5, 1, kx86_64Avx2},
      {k7b, 3, 0, kx86_64Bmi},           {k7b, 8, 0, kx86_64Bmi2},
      {kExt1c, 5, 0, kx86_64Lzcnt},      {k7b, 16, 2, kx86_64Avx512f},
      {k7b, 30, 2, kx86_64Avx512bw},     {k7b, 28, 2, kx86_64Avx512cd},
      {k7b, 17, 2, kx86_64Avx512dq},     {k7b, 31, 2, kx86_64Avx512vl},
      {k7c, 11, 2, kx86_64Avx512vnni},   {k71a, 5, 2, kx86_64Avx512bf16},
      {k7d, 23, 2, kx86_64Avx512fp16},   {k7c, 1, 2, kx86_64Avx512vbmi},
      {k7c, 6, 2, kx86_64Avx512vbmi2},   {k7b, 21, 2, kx86_64Avx512ifma},
      {k7c, 12, 2, kx86_64Avx512bitalg}, {k7c, 14, 2, kx86_64Avx512vpopcntdq},
      {k7c, 8, 0, kx86_64Gfni},          {k71a, 4, 1, kx86_64Avxvnni},
      {k7d, 24, 3, kx86_64AmxTile},      {k7d, 25, 3, kx86_64AmxInt8},
      {k7d, 22, 3, kx86_64AmxBf16},
  };
  uint32_t words[kWordCount] = {};
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  words[k1c] = c;
  uint64_t saved = 0;
  if (c & bit_OSXSAVE) {
    uint32_t low, high;
    __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    saved = low | static_cast<uint64_t>(high) << 32;
  }
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    words[k7b] = b;
    words[k7c] = c;
    words[k7d] = d;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) words[k71a] = a;
  }
  if (__get_cpuid(0x80000001, &a, &b, &c, &d)) words[kExt1c] = c;
  const uint64_t needed[] = {0, 0x6, 0xe6, 0x60000};
  uint64_t features = 0;
  for (const Row& row : rows)
    if ((words[row.leaf] >> row.bit & 1) && (saved & needed[row.state]) == needed[row.state]) features |= row.feature;
  return features;
}

const char* HostFormat() { return "elf-x86_64"; }
const char* HostBaseline() { return "x86-64"; }

bool EnableFeatures(uint64_t features) {
  using namespace bits;
  if (!(features & (kx86_64AmxTile | kx86_64AmxInt8 | kx86_64AmxBf16))) return true;
#if defined(__linux__)
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

#elif defined(__aarch64__) && defined(__linux__)

uint64_t HostFeatures() {
  using namespace bits;
  uint64_t caps = getauxval(AT_HWCAP), caps2 = getauxval(AT_HWCAP2), features = 0;
  if (caps & (1u << 10)) features |= kaarch64Fp16;
  if (caps & (1u << 20)) features |= kaarch64DotProd;
  if (caps & (1u << 22)) features |= kaarch64Sve;
  if (caps2 & (1u << 1)) features |= kaarch64Sve2;
  if (caps2 & (1u << 13)) features |= kaarch64I8mm;
  if (caps2 & (1u << 14)) features |= kaarch64Bf16;
  return features;
}

const char* HostFormat() { return "elf-aarch64"; }
const char* HostBaseline() { return "aarch64"; }
bool EnableFeatures(uint64_t) { return true; }

#elif defined(__riscv) && __riscv_xlen == 64 && defined(__linux__)

namespace {

// The system call riscv_hwprobe of Linux 6.4 and later, and the one of its keys that lists extensions.
constexpr long kHwprobe = 258;
constexpr int64_t kKeyExtensions = 4;
struct Probe {
  int64_t key;
  uint64_t value;
};
struct Row {
  uint8_t bit;  // in the value of kKeyExtensions
  uint64_t feature;
};

// Where V is there, programs may read how long its registers are.
uint64_t VectorBytes() {
  uint64_t bytes;
  __asm__ __volatile__("csrr %0, 0xc22" : "=r"(bytes));  // vlenb
  return bytes;
}

}  // namespace

uint64_t HostFeatures() {
  using namespace bits;
  static constexpr Row rows[] = {{2, kriscv64V},    {3, kriscv64Zba},     {4, kriscv64Zbb},   {5, kriscv64Zbs},
                                 {27, kriscv64Zfh}, {28, kriscv64Zfhmin}, {30, kriscv64Zvfh}, {31, kriscv64Zvfhmin}};
  uint64_t features = 0;
  Probe probe = {kKeyExtensions, 0};
  if (syscall(kHwprobe, &probe, 1, 0, nullptr, 0) == 0 && probe.key == kKeyExtensions) {
    for (const Row& row : rows)
      if (probe.value >> row.bit & 1) features |= row.feature;
  } else if (getauxval(AT_HWCAP) >> ('V' - 'A') & 1) {
    features |= kriscv64V;
  }
  // An extension holds what it contains.
  if (features & kriscv64Zfh) features |= kriscv64Zfhmin;
  if (features & kriscv64Zvfh) features |= kriscv64Zvfhmin;
  if (features & kriscv64V) {
    uint64_t bytes = VectorBytes();
    if (bytes >= 32) features |= kriscv64Zvl256b;
    if (bytes >= 64) features |= kriscv64Zvl512b;
    if (bytes >= 128) features |= kriscv64Zvl1024b;
  }
  return features;
}

const char* HostFormat() { return "elf-riscv64"; }
const char* HostBaseline() { return "riscv64"; }
bool EnableFeatures(uint64_t) { return true; }

#else

uint64_t HostFeatures() { return 0; }
const char* HostFormat() { return ""; }
const char* HostBaseline() { return ""; }
bool EnableFeatures(uint64_t) { return true; }

#endif

}  // namespace eyrie::rt::hal::cpu
