// Packs the transient tensors of a function into one arena when their sizes are known only at run time.
#ifndef EYRIE_RUNTIME_VM_ARENA_PACKER_H_
#define EYRIE_RUNTIME_VM_ARENA_PACKER_H_

#include <cstdint>
#include <span>

#include "runtime/base/allocator.h"
#include "runtime/base/status.h"

namespace eyrie::rt::vm {

// The operand rows of `arena.pack`: where a tensor's size is read and its offset is written, and its life.
struct PackRow {
  uint32_t size_register, offset_register, first_step, last_step;
};

class ArenaPacker {
 public:
  explicit ArenaPacker(Allocator& allocator)
      : sizes_(allocator),
        offsets_(allocator),
        best_(allocator),
        pressure_(allocator),
        order_(allocator),
        placed_(allocator) {}

  // Room for so many rows, so that Pack does not allocate.
  Status Reserve(uint32_t rows);
  // Reads sizes from the registers and writes offsets, all multiples of 64, such that tensors whose lives overlap do
  // not share bytes; `total` gets the end of the last one. Greedy placement in several orders, each in several ways;
  // the best counts. The packing for the same rows and sizes as the last time is remembered.
  Status Pack(std::span<const PackRow> rows, int64_t* registers, int64_t* total);

 private:
  // Where a tensor goes: into the smallest gap that holds it, or into the first; or into the smallest, where the room
  // below the lower bound is a gap that is filled from above. In a chain of tensors, each alive with the one before,
  // every second one must lie at the top: what is filled from below only leaves gaps that none fits into.
  enum class Fit { kSmallestGap, kFirstGap, kBothEnds };
  static constexpr int kFits = 3;

  uint64_t Bound(std::span<const PackRow> rows);
  uint64_t Place(std::span<const PackRow> rows, Fit fit, uint64_t bound, uint64_t limit);
  void Sort(std::span<const PackRow> rows, int order);

  Array<uint64_t> sizes_, offsets_, best_, pressure_;
  Array<uint32_t> order_, placed_;  // placed: in the order of their offsets
  const PackRow* remembered_ = nullptr;
  uint64_t total_ = 0;
};

}  // namespace eyrie::rt::vm

#endif  // EYRIE_RUNTIME_VM_ARENA_PACKER_H_
