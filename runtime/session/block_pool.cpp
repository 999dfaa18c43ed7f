#include "runtime/session/block_pool.h"

namespace eyrie::rt::session {

namespace {
// Sizes are rounded up by at most an eighth, so that tensors that grow step by step find their memory again.
uint64_t RoundUp(uint64_t size) {
  uint64_t unit = 64;
  while (unit < size / 16) unit *= 2;
  return size > UINT64_MAX - unit ? size : (size + unit - 1) / unit * unit;
}
}  // namespace

BlockPool::~BlockPool() {
  for (Block& block : blocks_) device_->ReleaseBuffer(block.buffer);
}

hal::Buffer* BlockPool::Take(uint64_t size, uint32_t* block, bool* needs_barrier) {
  Block* best = nullptr;
  auto rank = [&](const Block& candidate) { return candidate.released_at == barriers_; };
  for (Block& candidate : blocks_) {
    if (candidate.holders || !candidate.buffer || candidate.buffer->size() < size) continue;
    bool is_better = !best || rank(candidate) < rank(*best) ||
                     (rank(candidate) == rank(*best) && candidate.buffer->size() < best->buffer->size());
    if (is_better) best = &candidate;
  }
  if (!best) return nullptr;
  *needs_barrier = best->released_at == barriers_;
  *block = static_cast<uint32_t>(best - blocks_.data()) + 1;
  best->holders = 1;
  free_bytes_ -= best->buffer->size();
  return best->buffer;
}

void BlockPool::Trim() {
  for (Block& block : blocks_) {
    if (block.holders || !block.buffer) continue;
    bytes_ -= block.buffer->size();
    device_->ReleaseBuffer(block.buffer);
    block.buffer = nullptr;
  }
  free_bytes_ = 0;
}

Result<hal::Buffer*> BlockPool::Make(uint64_t size, uint32_t* block) {
  if (MustTrim(size)) Trim();
  uint32_t index = 0;
  while (index < blocks_.size() && blocks_[index].buffer) ++index;
  if (index == blocks_.size()) EYRIE_RETURN_IF_ERROR(blocks_.Push({nullptr, 0, 0}));
  EYRIE_ASSIGN_OR_RETURN(hal::Buffer * buffer, device_->AllocateBuffer(RoundUp(size)));
  blocks_[index] = {buffer, 1, 0};
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
