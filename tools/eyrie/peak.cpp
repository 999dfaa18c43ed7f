#include "tools/eyrie/peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace eyrie::cli {
namespace {

constexpr int kChains = 12;  // enough to hide the latency of an operation
constexpr int64_t kSteps = 20000;

// Chains of multiply-adds on vectors of `bytes`; the result depends on all of them.
#define EYRIE_DEFINE_CHAINS(Name, bytes, attributes)                          \
  attributes float Name() {                                                   \
    typedef float Vector __attribute__((vector_size(bytes)));                 \
    Vector sums[kChains] = {}, factor = {}, term = {};                        \
    factor += 0.5F;                                                           \
    term += 1.0F;                                                             \
    for (int64_t step = 0; step < kSteps; ++step) {                           \
      for (Vector& sum : sums) sum = sum * factor + term;                     \
      /* The compiler must not see that the chains are alike. */              \
      for (Vector& sum : sums) asm volatile("" : EYRIE_VECTOR_REGISTER(sum)); \
    }                                                                         \
    Vector all = {};                                                          \
    for (Vector& sum : sums) all += sum;                                      \
    return all[0];                                                            \
  }

#if defined(__x86_64__)
#define EYRIE_VECTOR_REGISTER(value) "+v"(value)
EYRIE_DEFINE_CHAINS(ChainsOf64Bytes, 64, __attribute__((target("avx512f,fma"))))
EYRIE_DEFINE_CHAINS(ChainsOf32Bytes, 32, __attribute__((target("avx2,fma"))))
#elif defined(__aarch64__)
#define EYRIE_VECTOR_REGISTER(value) "+w"(value)
#else
#define EYRIE_VECTOR_REGISTER(value) "+m"(value)
#endif
EYRIE_DEFINE_CHAINS(ChainsOf16Bytes, 16, )

struct Way {
  float (*run)();
  int bytes;
};

Way WidestWay() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {ChainsOf64Bytes, 64};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {ChainsOf32Bytes, 32};
#endif
  return {ChainsOf16Bytes, 16};
}

}  // namespace

double PeakGflops() {
  Way way = WidestWay();
  volatile float sink = way.run();
  double best = 1e9;  // seconds
  for (int round = 0; round < 30; ++round) {
    auto start = std::chrono::steady_clock::now();
    sink = way.run();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  static_cast<void>(sink);
  double operations = 2.0 * static_cast<double>(kSteps) * kChains * way.bytes / sizeof(float);
  return operations / best / 1e9;
}

}  // namespace eyrie::cli
