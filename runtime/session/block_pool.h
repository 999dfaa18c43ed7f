// Transient memory whose size or lifetime is known only while a call runs: blocks with a count of their holders, kept
// for later calls.
//
// Commands that use a block may still be waiting when its last holder lets go of it. They were recorded before, so
// a command that is recorded later may use the memory again once a barrier lies between: Allocate says when one is
// needed.
#ifndef EYRIE_RUNTIME_SESSION_BLOCK_POOL_H_
#define EYRIE_RUNTIME_SESSION_BLOCK_POOL_H_

#include "runtime/base/allocator.h"
#include "runtime/hal/hal.h"

namespace eyrie::rt::session {

class BlockPool {
 public:
  BlockPool(Allocator& allocator, hal::Device* device) : device_(device), blocks_(allocator) {}
  ~BlockPool();

  // A free block of at least `size` bytes, its number in `block`; null if a new one must be made. `needs_barrier` says
  // whether commands recorded since the last barrier may still use it.
  hal::Buffer* Take(uint64_t size, uint32_t* block, bool* needs_barrier);
  // Makes a block. Frees those that are free first if they hold as much memory: no recorded command may be waiting
  // then (see MustTrim).
  Result<hal::Buffer*> Make(uint64_t size, uint32_t* block);
  bool MustTrim(uint64_t size) const { return free_bytes_ >= size; }

  // Numbers start at 1.
  void Retain(uint32_t block) { ++blocks_[block - 1].holders; }
  void Release(uint32_t block);
  void NoteBarrier() { ++barriers_; }
  uint64_t bytes() const { return bytes_; }

 private:
  struct Block {
    hal::Buffer* buffer;
    uint32_t holders;      // registers and elements of lists
    uint64_t released_at;  // number of barriers before
  };
  void Trim();

  hal::Device* device_;
  Array<Block> blocks_;
  uint64_t barriers_ = 1;
  uint64_t bytes_ = 0, free_bytes_ = 0;
};

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_BLOCK_POOL_H_
