// Strings are numbers while a call runs (docs/decisions/2026-11-26-strings-and-sequences.md): id 0 is the empty string,
// 1 ... n are the module's texts, and the rest of the inputs' strings get the ids behind them.
#ifndef EYRIE_RUNTIME_SESSION_STRINGS_H_
#define EYRIE_RUNTIME_SESSION_STRINGS_H_

#include <span>

#include "abi/module_generated.h"
#include "runtime/base/allocator.h"

namespace eyrie::rt::session {

// Distinct strings, numbered from 0 in the order in which they came; found by hash. It keeps its memory when cleared.
class StringIndex {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Entry {
    const char* data;
    size_t size;
    uint64_t hash;
    uint64_t place;  // for the index's user; 0 at first
  };

  explicit StringIndex(Allocator& allocator) : entries_(allocator), slots_(allocator) {}
  // kNone if it is not there.
  uint32_t Find(const char* data, size_t size, uint64_t hash) const;
  // A string that is not there yet; its bytes must outlive their entry.
  Status Add(const char* data, size_t size, uint64_t hash);
  void Clear();
  size_t size() const { return entries_.size(); }
  Entry& operator[](size_t i) { return entries_[i]; }
  const Entry& operator[](size_t i) const { return entries_[i]; }

 private:
  Status Grow();
  void Place(uint32_t number);

  Array<Entry> entries_;
  Array<uint32_t> slots_;  // number + 1, or 0; a power of two of them, at least twice the entries
};

// The strings of a module.
class Texts {
 public:
  explicit Texts(Allocator& allocator) : index_(allocator) {}
  // Refers to the metadata. They must be distinct and not empty.
  Status Build(const abi::fb::Module& metadata);
  // The id, or 0 if the module has no such text.
  uint64_t Find(const char* data, size_t size, uint64_t hash) const {
    uint32_t number = index_.Find(data, size, hash);
    return number == StringIndex::kNone ? 0 : uint64_t{number} + 1;
  }
  uint64_t count() const { return index_.size(); }
  const StringIndex::Entry& operator[](uint64_t id) const { return index_[id - 1]; }
  // Seeded with an address, so that nobody can prepare strings that fall together.
  uint64_t Hash(const char* data, size_t size) const;

 private:
  StringIndex index_;
};

// The strings of one call, and the bytes of its results.
class StringTable {
 public:
  StringTable(Allocator& allocator, const Texts& texts)
      : allocator_(allocator), texts_(texts), index_(allocator), bytes_(allocator), chunks_(allocator) {}
  ~StringTable();
  // Strings that a call computes take at most so many bytes, with what it takes to find them.
  void set_limit(uint64_t bytes) { limit_ = bytes; }
  // A call begins: forgets its strings, and the bytes of the last results.
  void Clear();
  // Gives each string its id. The bytes are referred to until Clear.
  Status Encode(std::span<const eyrie_string_t> strings, int64_t* ids);
  // The string of an id; its bytes stay where they are until Clear.
  Status At(uint64_t id, eyrie_string_t* string) const;
  // The id of a string that was computed; its bytes are copied if it is new.
  Status Intern(const char* data, size_t size, uint64_t* id);
  // Results, in three steps: every id is noted; the bytes of noted strings are copied; then ids become strings. Ids are
  // `bytes` of memory of any alignment. An id that nobody gave is an error of the first step.
  Status Note(const uint8_t* ids, size_t bytes);
  Status CopyNoted();
  // `strings` may begin at the same address as `ids`.
  void Decode(const uint8_t* ids, size_t bytes, eyrie_string_t* strings) const;

 private:
  // Memory for computed strings. It is kept from call to call.
  struct Chunk {
    char* data;
    size_t size;
  };
  uint64_t Left() const { return limit_ - chunk_bytes_ - index_bytes_; }
  Status CheckLimit(uint64_t bytes);
  Status NextChunk(size_t size);
  void ReleaseChunks(size_t first);  // and all behind it
  Status Store(const char* data, size_t size, const char** stored);
  Status Lookup(const char* data, size_t size, bool copies, uint64_t* id);

  Allocator& allocator_;
  const Texts& texts_;
  StringIndex index_;
  Array<char> bytes_;  // of results; `place` of an entry is where its own begin, plus 1
  uint64_t noted_bytes_ = 0;
  Array<Chunk> chunks_;
  size_t chunk_ = 0, chunk_used_ = 0;  // the chunk that is being filled, and its bytes in use
  // Of all chunks; of what this call's computed strings take in the index. Together within the limit.
  uint64_t chunk_bytes_ = 0, index_bytes_ = 0, limit_ = UINT64_MAX;
};

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_STRINGS_H_
