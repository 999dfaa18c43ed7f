#include "runtime/hal/drivers/cpu/cpu_count.h"

#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime/hal/drivers/cpu/system_file.h"

namespace eyrie::rt::hal::cpu {
namespace {

constexpr size_t kMaxPath = 1024;

uint32_t RoundUp(long long quota, long long period) {
  if (quota <= 0 || period <= 0) return UINT32_MAX;
  long long cpus = quota / period + (quota % period != 0);
  return cpus < UINT32_MAX ? static_cast<uint32_t>(cpus) : UINT32_MAX;
}

// Version 2: "QUOTA PERIOD" or "max PERIOD" in one file.
uint32_t QuotaOfGroup(const char* group) {
  char path[kMaxPath + 32], text[64];
  char* end;
  snprintf(path, sizeof(path), "%s/cpu.max", group);
  if (ReadSystemFile(path, text, sizeof(text))) {
    long long quota = strtoll(text, &end, 10);
    return end == text ? UINT32_MAX : RoundUp(quota, strtoll(end, nullptr, 10));
  }
  snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", group);
  if (!ReadSystemFile(path, text, sizeof(text))) return UINT32_MAX;
  long long quota = strtoll(text, nullptr, 10);
  snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", group);
  return ReadSystemFile(path, text, sizeof(text)) ? RoundUp(quota, strtoll(text, nullptr, 10)) : UINT32_MAX;
}

// The smallest quota of `root`/`path` and what lies above it.
uint32_t QuotaOfPath(const char* root, const char* path, size_t length) {
  char group[kMaxPath];
  size_t root_length = strlen(root);
  if (root_length + length >= kMaxPath) return UINT32_MAX;
  memcpy(group, root, root_length);
  memcpy(group + root_length, path, length);
  group[root_length + length] = '\0';
  uint32_t least = UINT32_MAX;
  for (;;) {
    uint32_t quota = QuotaOfGroup(group);
    least = quota < least ? quota : least;
    if (strlen(group) <= root_length) return least;
    *strrchr(group, '/') = '\0';
  }
}

// Whether the word stands in a list with commas.
bool Names(const char* list, size_t length, const char* word) {
  size_t size = strlen(word);
  for (const char *at = list, *end = list + length; at < end;) {
    const auto* comma = static_cast<const char*>(memchr(at, ',', static_cast<size_t>(end - at)));
    const char* stop = comma ? comma : end;
    if (static_cast<size_t>(stop - at) == size && memcmp(at, word, size) == 0) return true;
    at = stop + 1;
  }
  return false;
}

}  // namespace

uint32_t QuotaCpus(const char* membership, const char* root) {
  uint32_t least = UINT32_MAX;
  // Lines: NUMBER:CONTROLLERS:/PATH; version 2 has no controllers.
  for (const char* line = membership; *line;) {
    size_t length = strcspn(line, "\n");
    const auto* first = static_cast<const char*>(memchr(line, ':', length));
    const char* second =
        first ? static_cast<const char*>(memchr(first + 1, ':', length - static_cast<size_t>(first + 1 - line)))
              : nullptr;
    if (second && second[1] == '/') {
      auto list = static_cast<size_t>(second - first - 1);
      auto path = length - static_cast<size_t>(second + 1 - line);
      char mounted[kMaxPath];
      bool is_v1 = Names(first + 1, list, "cpu");
      snprintf(mounted, sizeof(mounted), "%s%s", root, is_v1 ? "/cpu" : "");
      if (is_v1 || list == 0) {
        uint32_t quota = QuotaOfPath(mounted, second + 1, path);
        least = quota < least ? quota : least;
      }
    }
    line += length;
    if (*line) ++line;
  }
  return least;
}

uint32_t UsableCpus() {
  // Machines with more processors than a cpu_set_t has bits need a larger mask.
  uint32_t cpus = 0;
  for (uint32_t bits = CPU_SETSIZE; bits <= 1u << 18 && !cpus; bits *= 4) {
    cpu_set_t* mask = CPU_ALLOC(bits);
    if (!mask) break;
    size_t size = CPU_ALLOC_SIZE(bits);
    if (sched_getaffinity(0, size, mask) == 0) cpus = static_cast<uint32_t>(CPU_COUNT_S(size, mask));
    CPU_FREE(mask);
  }
  char membership[4096];
  if (ReadSystemFile("/proc/self/cgroup", membership, sizeof(membership))) {
    uint32_t quota = QuotaCpus(membership, "/sys/fs/cgroup");
    cpus = quota < cpus ? quota : cpus;
  }
  return cpus ? cpus : 1;
}

}  // namespace eyrie::rt::hal::cpu
