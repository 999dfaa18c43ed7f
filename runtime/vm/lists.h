// Sequences of tensors: immutable lists with a count of their holders. What changes a list makes another one, in place
// where nobody else holds the old one. Elements are shared by the lists that have them and hold their block of memory.
//
// Memory comes in chunks of powers of two that are kept for later calls, so that the same calls need no new ones.
#ifndef EYRIE_RUNTIME_VM_LISTS_H_
#define EYRIE_RUNTIME_VM_LISTS_H_

#include "runtime/base/allocator.h"
#include "runtime/vm/host.h"

namespace eyrie::rt::vm {

struct Element {
  uint32_t references;
  uint8_t type;  // abi/element_types.def
  uint8_t rank;
  BufferRef memory;
  uint64_t offset, length;  // bytes in `memory`
  // The sizes stand behind it, as many as the rank.
  int64_t* dims() { return reinterpret_cast<int64_t*>(this + 1); }
  std::span<const int64_t> shape() { return {dims(), rank}; }
};

struct List {
  uint32_t references;
  uint32_t chunk;  // class of its memory
  uint64_t size;
  Element** elements() { return reinterpret_cast<Element**>(this + 1); }
};

// A null list is an empty one.
class Lists {
 public:
  Lists(Allocator& allocator, Host& host) : allocator_(allocator), host_(host) {}
  ~Lists() { Trim(); }  // every list has been released
  // Bytes that lists may take.
  void set_limit(uint64_t limit) { limit_ = limit < kMaxBytes ? limit : kMaxBytes; }

  static uint64_t SizeOf(const List* list) { return list ? list->size : 0; }
  // Fails if there is no such element.
  Result<Element*> At(List* list, int64_t position) const;
  // A tensor at `offset` of a buffer, for Insert. It takes a hold of its block.
  Result<Element*> Make(uint32_t type, const BufferRef& memory, uint64_t offset, std::span<const int64_t> dims);
  // target = source with the element before `position`; what target held is released. Takes over the caller's hold of
  // the element, also on failure. `target` may be `source`: the same register.
  Status Insert(List*& target, List* source, int64_t position, Element* element);
  Status Erase(List*& target, List* source, int64_t position);
  // target = source.
  void Assign(List*& target, List* source);
  void Release(List* list);
  void Release(Element* element);

 private:
  static constexpr uint64_t kMaxBytes = uint64_t{1} << 30;
  static constexpr uint32_t kClasses = 25;  // of 64 << class bytes

  Status Own(List*& target, List* source, uint64_t capacity);
  Result<void*> Take(uint32_t chunk);
  void Give(void* memory, uint32_t chunk);
  void Trim();

  Allocator& allocator_;
  Host& host_;
  uint64_t limit_ = kMaxBytes;
  uint64_t bytes_ = 0;
  void* free_[kClasses] = {};  // linked through their first word
};

}  // namespace eyrie::rt::vm

#endif  // EYRIE_RUNTIME_VM_LISTS_H_
