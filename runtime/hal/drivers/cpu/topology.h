// Which processors there are, and in which order threads should take them.
//
// Order: one thread for each core before a second one shares it; faster cores before slower ones (hybrid x86,
// big.LITTLE); the memory node of the thread that asks before the next ones, node by node. Threads are not tied to one
// processor each (several pools would then fight for the same): a thread may run on all processors of the kind and node
// of its place, and the system chooses among them.
#ifndef EYRIE_RUNTIME_HAL_DRIVERS_CPU_TOPOLOGY_H_
#define EYRIE_RUNTIME_HAL_DRIVERS_CPU_TOPOLOGY_H_

#include <cstdint>
#include <span>

#include "runtime/base/allocator.h"
#include "runtime/base/status.h"

namespace eyrie::rt::hal::cpu {

// A processor, as the system numbers them.
struct CpuPlace {
  uint32_t cpu;
  uint32_t sibling;  // how many processors of the same core come before it
  uint32_t rank;     // of its kind: 0 is the fastest
  uint32_t node;     // of memory
  uint32_t group;    // same rank and node
  uint32_t speed;    // as the system tells it: only to be compared
};

class Topology {
 public:
  explicit Topology(Allocator& allocator) : places_(allocator), masks_(allocator) {}

  // Those whose bits are set in `allowed`. `root` is where the system shows its devices (/sys/devices), `home` the
  // processor whose node comes first. What the system does not say is taken to be alike. Fails only for want of memory.
  Status Read(const char* root, std::span<const uint64_t> allowed, uint32_t home);
  // The calling thread's affinity mask, and the processor that it runs on.
  Status ReadOwn(Allocator& allocator, const char* root);

  // In the order in which threads take them; the first is for the thread that submits.
  std::span<const CpuPlace> places() const { return {places_.data(), places_.size()}; }
  // The processors for the thread of this number, a bit each; empty if there is no reason to prefer any.
  std::span<const uint64_t> MaskOf(uint32_t thread) const;
  // Whether so many threads lie on several nodes of memory.
  bool SpansNodes(uint32_t threads) const;

 private:
  void ReadSpeeds(const char* root);
  void RankSpeeds();
  void ReadNodes(const char* root);
  void Sort(uint32_t home_node);
  Status MakeMasks(size_t words);

  Array<CpuPlace> places_;
  Array<uint64_t> masks_;  // of the groups, one after the other
  size_t words_ = 0;       // of a mask
  uint32_t group_count_ = 0;
};

}  // namespace eyrie::rt::hal::cpu

#endif  // EYRIE_RUNTIME_HAL_DRIVERS_CPU_TOPOLOGY_H_
