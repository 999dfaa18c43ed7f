#include "runtime/vm/lists.h"

#include <cstring>

#include "abi/module_format.h"
#include "runtime/base/checked.h"
#include "runtime/base/shape.h"

namespace eyrie::rt::vm {
namespace {

unsigned long long Ull(uint64_t value) { return value; }

constexpr size_t BytesOf(uint32_t chunk) { return size_t{64} << chunk; }

uint32_t ChunkFor(uint64_t bytes) {
  uint32_t chunk = 0;
  while (BytesOf(chunk) < bytes) ++chunk;
  return chunk;
}

uint32_t ChunkForRank(size_t rank) { return ChunkFor(sizeof(Element) + rank * sizeof(int64_t)); }
uint64_t Capacity(const List& list) { return (BytesOf(list.chunk) - sizeof(List)) / sizeof(Element*); }

Status NoPosition(int64_t position, uint64_t size) {
  return Error(EYRIE_OUT_OF_RANGE, "position %lld of a list of %llu", static_cast<long long>(position), Ull(size));
}

}  // namespace

// ---- Memory

Result<void*> Lists::Take(uint32_t chunk) {
  if (chunk < kClasses && free_[chunk]) {
    void* memory = free_[chunk];
    memcpy(&free_[chunk], memory, sizeof(void*));
    return memory;
  }
  if (chunk < kClasses && bytes_ + BytesOf(chunk) > limit_) Trim();
  if (chunk >= kClasses || bytes_ + BytesOf(chunk) > limit_)
    return Error(EYRIE_RESOURCE_EXHAUSTED, "the call's sequences need more than %llu bytes besides their tensors",
                 Ull(limit_));
  void* memory = allocator_.Allocate(BytesOf(chunk), alignof(max_align_t));
  if (!memory) return OutOfMemory();
  bytes_ += BytesOf(chunk);
  return memory;
}

void Lists::Give(void* memory, uint32_t chunk) {
  memcpy(memory, &free_[chunk], sizeof(void*));
  free_[chunk] = memory;
}

void Lists::Trim() {
  for (uint32_t chunk = 0; chunk < kClasses; ++chunk) {
    while (void* memory = free_[chunk]) {
      memcpy(&free_[chunk], memory, sizeof(void*));
      allocator_.Release(memory, BytesOf(chunk), alignof(max_align_t));
      bytes_ -= BytesOf(chunk);
    }
  }
}

// ---- Elements

Result<Element*> Lists::At(List* list, int64_t position) const {
  if (position < 0 || static_cast<uint64_t>(position) >= SizeOf(list)) return NoPosition(position, SizeOf(list));
  return list->elements()[position];
}

Result<Element*> Lists::Make(uint32_t type, const BufferRef& memory, uint64_t offset, std::span<const int64_t> dims) {
  for (int64_t dim : dims)
    if (dim < 0) return Error(EYRIE_OUT_OF_RANGE, "an element with the size %lld", static_cast<long long>(dim));
  EYRIE_ASSIGN_OR_RETURN(size_t length, TensorBytes(type, dims));
  if (!InRange(offset, length, memory.size) || offset % ElementAlignment(type))
    return Error(EYRIE_OUT_OF_RANGE, "an element of %zu bytes at byte %llu of a buffer of %llu bytes", length,
                 Ull(offset), Ull(memory.size));
  EYRIE_ASSIGN_OR_RETURN(void* chunk, Take(ChunkForRank(dims.size())));
  auto* element =
      new (chunk) Element{1, static_cast<uint8_t>(type), static_cast<uint8_t>(dims.size()), memory, offset, length};
  for (size_t i = 0; i < dims.size(); ++i) element->dims()[i] = dims[i];
  if (memory.block) host_.RetainBlock(memory.block);
  return element;
}

void Lists::Release(Element* element) {
  if (--element->references) return;
  if (element->memory.block) host_.ReleaseBlock(element->memory.block);
  Give(element, ChunkForRank(element->rank));
}

// ---- Lists

void Lists::Release(List* list) {
  if (!list || --list->references) return;
  for (uint64_t i = 0; i < list->size; ++i) Release(list->elements()[i]);
  Give(list, list->chunk);
}

void Lists::Assign(List*& target, List* source) {
  if (source) ++source->references;
  Release(target);
  target = source;
}

// Makes `target` a list that nobody else holds, with the elements of `source` and room for `capacity`.
Status Lists::Own(List*& target, List* source, uint64_t capacity) {
  bool is_only_holder = target && target == source && target->references == 1;
  if (is_only_holder && Capacity(*target) >= capacity) return {};
  uint32_t chunk = ChunkFor(sizeof(List) + capacity * sizeof(Element*));
  EYRIE_ASSIGN_OR_RETURN(void* memory, Take(chunk));
  auto* copy = new (memory) List{1, chunk, SizeOf(source)};
  if (copy->size) memcpy(copy->elements(), source->elements(), copy->size * sizeof(Element*));
  if (is_only_holder) {
    Give(target, target->chunk);
  } else {
    for (uint64_t i = 0; i < copy->size; ++i) ++copy->elements()[i]->references;
    Release(target);
  }
  target = copy;
  return {};
}

Status Lists::Insert(List*& target, List* source, int64_t position, Element* element) {
  uint64_t size = SizeOf(source);
  bool exists = position >= 0 && static_cast<uint64_t>(position) <= size;
  Status status = exists ? Own(target, source, size + 1) : NoPosition(position, size);
  if (!status.ok()) {
    Release(element);
    return status;
  }
  Element** place = target->elements() + position;
  memmove(place + 1, place, (size - static_cast<uint64_t>(position)) * sizeof(Element*));
  *place = element;
  ++target->size;
  return {};
}

Status Lists::Erase(List*& target, List* source, int64_t position) {
  EYRIE_ASSIGN_OR_RETURN(Element * element, At(source, position));
  EYRIE_RETURN_IF_ERROR(Own(target, source, source->size));
  Element** place = target->elements() + position;
  --target->size;
  memmove(place, place + 1, (target->size - static_cast<uint64_t>(position)) * sizeof(Element*));
  Release(element);
  return {};
}

}  // namespace eyrie::rt::vm
