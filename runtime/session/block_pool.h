// Transient memory whose size or lifetime is known only while a call runs: blocks with a count of their holders, kept
// for later calls.
//
// Commands that use a block may still be waiting when its last holder lets go of it. They were recorded before, so
// a command that is recorded later may use the memory again once a barrier lies between: Allocate says when one is
// needed.
//
// With memory of the caller's, blocks are parts of it, and it is an error if they have no room there.
#ifndef EYRIE_RUNTIME_SESSION_BLOCK_POOL_H_
#define EYRIE_RUNTIME_SESSION_BLOCK_POOL_H_

#include "runtime/base/allocator.h"
#include "runtime/hal/hal.h"

namespace eyrie::rt::session {

class BlockPool {
 public:
  BlockPool(Allocator& allocator, hal::Device* device) : device_(device), blocks_(allocator), by_address_(allocator) {}
  ~BlockPool();

  // All blocks will lie in [memory, memory + size), aligned to 64 bytes. Before the first block is made.
  void UseMemory(void* memory, uint64_t size) {
    memory_ = static_cast<uint8_t*>(memory);
    memory_size_ = size;
  }
  bool has_memory() const { return memory_; }
  // Whether Make would find room in the caller's memory.
  bool HasRoom(uint64_t size) const { return FindGap(size, /*may_trim=*/true) != UINT64_MAX; }

  // A free block of at least `size` bytes, its number in `block`; null if a new one must be made. `needs_barrier` says
  // whether commands recorded since the last barrier may still use it.
  hal::Buffer* Take(uint64_t size, uint32_t* block, bool* needs_barrier);
  // Makes a block. Frees those that are free first if they hold as much memory: no recorded command may be waiting
  // then (see MustTrim).
  Result<hal::Buffer*> Make(uint64_t size, uint32_t* block);
  bool MustTrim(uint64_t size) const;

  // Numbers start at 1.
  void Retain(uint32_t block) { ++blocks_[block - 1].holders; }
  void Release(uint32_t block);
  void NoteBarrier() { ++barriers_; }
  // No recorded command is waiting: parts of the caller's memory that are free are one again.
  void BeginCall() {
    NoteBarrier();
    if (memory_) Trim();
  }
  uint64_t bytes() const { return bytes_; }
  // The most that was in use at one time, blocks that had no room included.
  uint64_t most_needed() const { return most_needed_; }

 private:
  struct Block {
    hal::Buffer* buffer;
    uint32_t holders;      // registers and elements of lists
    uint64_t released_at;  // number of barriers before
  };
  void Trim();
  void NoteUse(uint64_t more);
  // Where so many bytes have room in the caller's memory, in the smallest gap; UINT64_MAX: nowhere. With `may_trim`
  // free blocks do not count.
  uint64_t FindGap(uint64_t size, bool may_trim) const;
  void InsertByAddress(uint32_t index);
  // `used`: a buffer of the caller's memory without any, to be used again; null: there is none.
  Result<hal::Buffer*> Allocate(uint64_t size, hal::Buffer* used);

  hal::Device* device_;
  Array<Block> blocks_;
  Array<uint32_t> by_address_;  // those in the caller's memory
  uint64_t barriers_ = 1;
  uint64_t bytes_ = 0, free_bytes_ = 0, most_needed_ = 0;
  uint8_t* memory_ = nullptr;  // the caller's
  uint64_t memory_size_ = 0;
};

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_BLOCK_POOL_H_
