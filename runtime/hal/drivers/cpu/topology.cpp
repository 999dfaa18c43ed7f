#include "runtime/hal/drivers/cpu/topology.h"

#include <sched.h>

#include <cstdio>
#include <cstdlib>

#include "runtime/hal/drivers/cpu/system_file.h"

namespace eyrie::rt::hal::cpu {
namespace {

constexpr size_t kMaxText = 4096;  // of a list of processors
constexpr size_t kMaxPath = 512;
constexpr uint32_t kMostCpus = 1u << 18;

bool HasBit(std::span<const uint64_t> mask, uint32_t bit) {
  return bit / 64 < mask.size() && (mask[bit / 64] >> bit % 64 & 1);
}

// A number in a file, 0 if there is none.
uint32_t ReadNumber(const char* root, const char* form, uint32_t cpu) {
  char name[128], path[kMaxPath], text[64];
  snprintf(name, sizeof(name), form, cpu);
  snprintf(path, sizeof(path), "%s/%s", root, name);
  if (!ReadSystemFile(path, text, sizeof(text))) return 0;
  const unsigned long value = strtoul(text, nullptr, 10);
  return value < UINT32_MAX ? static_cast<uint32_t>(value) : 0;
}

// How many processors of the same core, among the allowed ones, have smaller numbers.
uint32_t CountSiblingsBefore(const char* root, uint32_t cpu, std::span<const uint64_t> allowed) {
  char path[kMaxPath], text[kMaxText];
  // Newer kernels call the file core_cpus_list.
  for (const char* name : {"core_cpus_list", "thread_siblings_list"}) {
    snprintf(path, sizeof(path), "%s/system/cpu/cpu%u/topology/%s", root, cpu, name);
    if (!ReadSystemFile(path, text, sizeof(text))) continue;
    uint32_t count = 0, first, last;
    for (NumberRanges ranges(text); ranges.Next(&first, &last);)
      for (uint32_t other = first; other <= last && other < cpu; ++other) count += HasBit(allowed, other);
    return count;
  }
  return 0;
}

}  // namespace

// Hybrid x86 names its two kinds; elsewhere the kernel rates processors (cpu_capacity), or tells their clocks.
void Topology::ReadSpeeds(const char* root) {
  char path[kMaxPath], fast[kMaxText];
  snprintf(path, sizeof(path), "%s/cpu_core/cpus", root);
  const bool is_hybrid = ReadSystemFile(path, fast, sizeof(fast));
  bool is_rated = false;
  for (CpuPlace& place : places_) {
    if (is_hybrid)
      place.speed = IsInRanges(fast, place.cpu) ? 2 : 1;
    else
      place.speed = ReadNumber(root, "system/cpu/cpu%u/cpu_capacity", place.cpu);
    is_rated = is_rated || place.speed != places_[0].speed;
  }
  if (is_hybrid || is_rated) return;
  for (CpuPlace& place : places_)
    place.speed = ReadNumber(root, "system/cpu/cpu%u/cpufreq/cpuinfo_max_freq", place.cpu);
}

// Cores of one kind differ a little in their clocks: a new rank begins where the speed falls by more than a tenth.
void Topology::RankSpeeds() {
  uint32_t below = UINT32_MAX;
  for (uint32_t rank = 0;; ++rank) {
    uint32_t fastest = 0;
    bool found = false;
    for (const CpuPlace& place : places_) {
      if (place.speed >= below) continue;
      found = true;
      fastest = place.speed > fastest ? place.speed : fastest;
    }
    if (!found) return;
    const uint32_t slowest = fastest - fastest / 10;
    for (CpuPlace& place : places_)
      if (place.speed < below && place.speed >= slowest) place.rank = rank;
    if (slowest == 0) return;
    below = slowest;
  }
}

void Topology::ReadNodes(const char* root) {
  char path[kMaxPath], online[kMaxText], cpus[kMaxText];
  snprintf(path, sizeof(path), "%s/system/node/online", root);
  if (!ReadSystemFile(path, online, sizeof(online))) return;
  uint32_t first, last;
  for (NumberRanges nodes(online); nodes.Next(&first, &last);)
    for (uint32_t node = first; node <= last && node < kMostCpus; ++node) {
      snprintf(path, sizeof(path), "%s/system/node/node%u/cpulist", root, node);
      if (!ReadSystemFile(path, cpus, sizeof(cpus))) continue;
      for (CpuPlace& place : places_)
        if (IsInRanges(cpus, place.cpu)) place.node = node;
    }
}

void Topology::Sort(uint32_t home_node) {
  auto before = [&](const CpuPlace& a, const CpuPlace& b) {
    if (a.sibling != b.sibling) return a.sibling < b.sibling;
    if (a.rank != b.rank) return a.rank < b.rank;
    if (a.node != b.node) return a.node == home_node || (b.node != home_node && a.node < b.node);
    return a.cpu < b.cpu;
  };
  for (size_t gap = places_.size() / 2; gap > 0; gap /= 2)
    for (size_t i = gap; i < places_.size(); ++i) {
      const CpuPlace moved = places_[i];
      size_t at = i;
      for (; at >= gap && before(moved, places_[at - gap]); at -= gap) places_[at] = places_[at - gap];
      places_[at] = moved;
    }
}

Status Topology::MakeMasks(size_t words) {
  words_ = words;
  group_count_ = 0;
  for (size_t i = 0; i < places_.size(); ++i) {
    size_t same = 0;
    while (same < i && (places_[same].rank != places_[i].rank || places_[same].node != places_[i].node)) ++same;
    places_[i].group = same < i ? places_[same].group : group_count_++;
  }
  masks_.Clear();
  EYRIE_RETURN_IF_ERROR(masks_.Resize(group_count_ * words));
  for (const CpuPlace& place : places_) masks_[place.group * words + place.cpu / 64] |= uint64_t{1} << place.cpu % 64;
  return {};
}

Status Topology::Read(const char* root, std::span<const uint64_t> allowed, uint32_t home) {
  places_.Clear();
  for (uint32_t cpu = 0; cpu < allowed.size() * 64; ++cpu)
    if (HasBit(allowed, cpu))
      EYRIE_RETURN_IF_ERROR(places_.Push({cpu, CountSiblingsBefore(root, cpu, allowed), 0, 0, 0, 0}));
  if (places_.empty()) return {};
  ReadSpeeds(root);
  RankSpeeds();
  ReadNodes(root);
  uint32_t home_node = places_[0].node;
  for (const CpuPlace& place : places_)
    if (place.cpu == home) home_node = place.node;
  Sort(home_node);
  return MakeMasks(allowed.size());
}

Status Topology::ReadOwn(Allocator& allocator, const char* root) {
  Array<uint64_t> mask(allocator);
  // The mask must be at least as large as the kernel's.
  for (uint32_t bits = 1024; bits <= kMostCpus; bits *= 4) {
    EYRIE_RETURN_IF_ERROR(mask.Resize(bits / 64));
    if (sched_getaffinity(0, bits / 8, reinterpret_cast<cpu_set_t*>(mask.data())) != 0) continue;
    const int home = sched_getcpu();
    return Read(root, {mask.data(), mask.size()}, home < 0 ? 0 : static_cast<uint32_t>(home));
  }
  return {};
}

std::span<const uint64_t> Topology::MaskOf(uint32_t thread) const {
  if (group_count_ < 2 || thread >= places_.size()) return {};
  return {masks_.data() + places_[thread].group * words_, words_};
}

bool Topology::SpansNodes(uint32_t threads) const {
  for (uint32_t i = 1; i < threads && i < places_.size(); ++i)
    if (places_[i].node != places_[0].node) return true;
  return false;
}

}  // namespace eyrie::rt::hal::cpu
