#include "runtime/session/block_pool.h"

namespace eyrie::rt::session {

namespace {
// Sizes are rounded up by at most an eighth, so that tensors that grow step by step find their memory again.
uint64_t RoundUp(uint64_t size) {
  uint64_t unit = 64;
  while (unit < size / 16) unit *= 2;
  return size > UINT64_MAX - unit ? size : (size + unit - 1) / unit * unit;
}
// In the caller's memory every block takes a multiple of this, so that the next one is aligned.
constexpr uint64_t kAlignment = EYRIE_ARENA_ALIGNMENT;
uint64_t AlignUp(uint64_t size) { return size ? (size + kAlignment - 1) / kAlignment * kAlignment : kAlignment; }
}  // namespace

BlockPool::~BlockPool() {
  for (Block& block : blocks_) device_->ReleaseBuffer(block.buffer);
}

hal::Buffer* BlockPool::Take(uint64_t size, uint32_t* block, bool* needs_barrier) {
  Block* best = nullptr;
  auto rank = [&](const Block& candidate) { return candidate.released_at == barriers_; };
  for (Block& candidate : blocks_) {
    if (candidate.holders || !candidate.buffer || candidate.buffer->size() < size) continue;
    // The caller's memory is not wasted: what is too large is cut anew.
    if (memory_ && candidate.buffer->size() != AlignUp(size)) continue;
    bool is_better = !best || rank(candidate) < rank(*best) ||
                     (rank(candidate) == rank(*best) && candidate.buffer->size() < best->buffer->size());
    if (is_better) best = &candidate;
  }
  if (!best) return nullptr;
  *needs_barrier = best->released_at == barriers_;
  *block = static_cast<uint32_t>(best - blocks_.data()) + 1;
  best->holders = 1;
  NoteUse(best->buffer->size());
  free_bytes_ -= best->buffer->size();
  return best->buffer;
}

void BlockPool::NoteUse(uint64_t more) {
  uint64_t used = bytes_ - free_bytes_ + more;
  most_needed_ = used > most_needed_ ? used : most_needed_;
}

bool BlockPool::MustTrim(uint64_t size) const {
  if (memory_) return free_bytes_ && FindGap(size, /*may_trim=*/false) == UINT64_MAX;
  return free_bytes_ >= size;
}

uint64_t BlockPool::FindGap(uint64_t size, bool may_trim) const {
  const uint64_t limit = memory_size_ / kAlignment * kAlignment;
  uint64_t best = UINT64_MAX, best_gap = UINT64_MAX, begin = 0;
  if (size > limit) return best;
  size = AlignUp(size);
  auto consider = [&](uint64_t end) {
    if (end - begin < size || end - begin >= best_gap) return;
    best = begin;
    best_gap = end - begin;
  };
  for (uint32_t index : by_address_) {
    const Block& block = blocks_[index];
    if (may_trim && !block.holders) continue;
    auto at = static_cast<uint64_t>(block.buffer->host() - memory_);
    consider(at);
    begin = at + block.buffer->size();
  }
  consider(limit);
  return best;
}

void BlockPool::InsertByAddress(uint32_t index) {
  uint32_t at = static_cast<uint32_t>(by_address_.size());
  (void)by_address_.Resize(at + 1);  // there is room
  for (; at && blocks_[by_address_[at - 1]].buffer->host() > blocks_[index].buffer->host(); --at)
    by_address_[at] = by_address_[at - 1];
  by_address_[at] = index;
}

Result<hal::Buffer*> BlockPool::Allocate(uint64_t size, hal::Buffer* used) {
  if (!memory_) return device_->AllocateBuffer(RoundUp(size));
  const uint64_t rounded = size > memory_size_ ? size : AlignUp(size);
  NoteUse(rounded);
  const uint64_t at = FindGap(rounded, /*may_trim=*/false);
  if (at != UINT64_MAX && !used) return device_->ImportHostMemory(memory_ + at, rounded, /*writable=*/true);
  if (at != UINT64_MAX) {
    used->Rebind(memory_ + at, rounded, /*writable=*/true);
    return used;
  }
  const uint64_t needed = bytes_ - free_bytes_ + rounded;
  return Error(EYRIE_RESOURCE_EXHAUSTED,
               "%llu bytes of memory are needed at once%s; the arena that the instance was given has %llu",
               static_cast<unsigned long long>(needed),
               needed <= memory_size_ ? ", in pieces that have no room beside each other" : "",
               static_cast<unsigned long long>(memory_size_));
}

void BlockPool::Trim() {
  uint32_t kept = 0;
  for (uint32_t index : by_address_)
    if (blocks_[index].holders) by_address_[kept++] = index;
  (void)by_address_.Resize(kept);
  for (Block& block : blocks_) {
    if (block.holders || !block.buffer) continue;
    bytes_ -= block.buffer->size();
    if (memory_) {
      block.buffer->Rebind(nullptr, 0, false);  // kept for the next block
      continue;
    }
    device_->ReleaseBuffer(block.buffer);
    block.buffer = nullptr;
  }
  free_bytes_ = 0;
}

Result<hal::Buffer*> BlockPool::Make(uint64_t size, uint32_t* block) {
  if (MustTrim(size)) Trim();
  uint32_t index = 0;
  auto is_free = [](const Block& block) { return !block.buffer || !block.buffer->host(); };
  while (index < blocks_.size() && !is_free(blocks_[index])) ++index;
  if (index == blocks_.size()) EYRIE_RETURN_IF_ERROR(blocks_.Push({nullptr, 0, 0}));
  if (memory_) EYRIE_RETURN_IF_ERROR(by_address_.Reserve(blocks_.size()));
  EYRIE_ASSIGN_OR_RETURN(hal::Buffer * buffer, Allocate(size, blocks_[index].buffer));
  blocks_[index] = {buffer, 1, 0};
  if (memory_)
    InsertByAddress(index);
  else
    NoteUse(buffer->size());
  bytes_ += buffer->size();
  *block = index + 1;
  return buffer;
}

void BlockPool::Release(uint32_t block) {
  Block& released = blocks_[block - 1];
  if (--released.holders) return;
  released.released_at = barriers_;
  free_bytes_ += released.buffer->size();
}

}  // namespace eyrie::rt::session
