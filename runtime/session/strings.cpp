#include "runtime/session/strings.h"

#include <cstring>
#include <utility>

#include "runtime/base/checked.h"
#include "runtime/module/metadata.h"

namespace eyrie::rt::session {
namespace {

constexpr size_t kMaxStrings = size_t{1} << 30;  // the slots have 32 bits
constexpr uint64_t kMinChunk = 16384;
// What a computed string takes in the index: its entry and, of slots that are at least half empty, four.
constexpr uint64_t kIndexBytes = sizeof(StringIndex::Entry) + 4 * sizeof(uint32_t);

unsigned long long Ull(uint64_t value) { return value; }

uint64_t LoadId(const uint8_t* ids, size_t i) {
  uint64_t id;
  memcpy(&id, ids + i * sizeof(id), sizeof(id));
  return id;
}

// Both halves of a product of 128 bits, the mixing step of Yi Wang's wyhash.
uint64_t Mix(uint64_t a, uint64_t b) {
  unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

// ---- Index

uint32_t StringIndex::Find(const char* data, size_t size, uint64_t hash) const {
  if (slots_.empty()) return kNone;
  size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask; slots_[at]; at = (at + 1) & mask) {
    const Entry& entry = entries_[slots_[at] - 1];
    if (entry.hash == hash && entry.size == size && memcmp(entry.data, data, size) == 0) return slots_[at] - 1;
  }
  return kNone;
}

void StringIndex::Place(uint32_t number) {
  size_t mask = slots_.size() - 1, at = entries_[number].hash & mask;
  while (slots_[at]) at = (at + 1) & mask;
  slots_[at] = number + 1;
}

Status StringIndex::Grow() {
  if (entries_.size() >= kMaxStrings) return Error(EYRIE_RESOURCE_EXHAUSTED, "more than %zu strings", kMaxStrings);
  size_t count = slots_.empty() ? 16 : slots_.size() * 2;
  EYRIE_RETURN_IF_ERROR(slots_.Reserve(count));
  slots_.Clear();
  EYRIE_RETURN_IF_ERROR(slots_.Resize(count));
  for (size_t i = 0; i < entries_.size(); ++i) Place(static_cast<uint32_t>(i));
  return {};
}

Status StringIndex::Add(const char* data, size_t size, uint64_t hash) {
  if (entries_.size() * 2 >= slots_.size()) EYRIE_RETURN_IF_ERROR(Grow());
  EYRIE_RETURN_IF_ERROR(entries_.Push({data, size, hash, 0}));
  Place(static_cast<uint32_t>(entries_.size() - 1));
  return {};
}

void StringIndex::Clear() {
  if (entries_.empty()) return;
  entries_.Clear();
  memset(slots_.data(), 0, slots_.size() * sizeof(uint32_t));
}

// ---- Texts of the module

uint64_t Texts::Hash(const char* data, size_t size) const {
  uint64_t hash = Mix(reinterpret_cast<uintptr_t>(this) ^ 0x9e3779b97f4a7c15u, size ^ 0xd6e8feb86659fd93u);
  while (size) {
    uint64_t word = 0;
    size_t part = size < 8 ? size : 8;
    memcpy(&word, data, part);
    hash = Mix(hash ^ word, 0xa0761d6478bd642fu);
    data += part;
    size -= part;
  }
  return hash;
}

Status Texts::Build(const abi::fb::Module& metadata) {
  for (uint32_t i = 0; i < module::CountOf(metadata.texts()); ++i) {
    const auto& text = *metadata.texts()->Get(i);
    uint64_t hash = Hash(text.c_str(), text.size());
    if (text.size() == 0) return Error(EYRIE_DATA_LOSS, "string %u of the module is empty", i + 1);
    uint32_t twin = index_.Find(text.c_str(), text.size(), hash);
    if (twin != StringIndex::kNone)
      return Error(EYRIE_DATA_LOSS, "strings %u and %u of the module are equal: '%.100s'", twin + 1, i + 1,
                   text.c_str());
    EYRIE_RETURN_IF_ERROR(index_.Add(text.c_str(), text.size(), hash));
  }
  return {};
}

// ---- Strings of a call

void StringTable::Clear() {
  index_.Clear();
  bytes_.Clear();
  noted_bytes_ = 0;
  chunk_ = chunk_used_ = 0;
  index_bytes_ = 0;
}

StringTable::~StringTable() { ReleaseChunks(0); }

void StringTable::ReleaseChunks(size_t first) {
  while (chunks_.size() > first) {
    Chunk chunk = chunks_.Pop();
    allocator_.Release(chunk.data, chunk.size, 1);
    chunk_bytes_ -= chunk.size;
  }
}

// Whether the call may take so many bytes more. Chunks that only earlier calls have used must not take its room.
Status StringTable::CheckLimit(uint64_t bytes) {
  if (bytes > Left()) ReleaseChunks(chunk_used_ ? chunk_ + 1 : chunk_);
  if (bytes > Left())
    return Error(EYRIE_RESOURCE_EXHAUSTED, "the strings that the call computes need %llu bytes, limit %llu",
                 Ull(limit_ - Left() + bytes), Ull(limit_));
  return {};
}

// Goes on to a chunk with room for `size` bytes: one that an earlier call left, or a new one.
Status StringTable::NextChunk(size_t size) {
  if (chunk_used_) ++chunk_;
  chunk_used_ = 0;
  size_t found = chunk_;
  while (found < chunks_.size() && chunks_[found].size < size) ++found;
  if (found == chunks_.size()) {
    EYRIE_RETURN_IF_ERROR(CheckLimit(size));
    // Each as large as all before it, so that there are few; the last one is all that is left.
    uint64_t bytes = chunk_bytes_ < kMinChunk ? kMinChunk : chunk_bytes_;
    if (bytes > Left()) bytes = Left();
    if (bytes < size) bytes = size;
    EYRIE_RETURN_IF_ERROR(chunks_.Reserve(chunks_.size() + 1));
    auto* memory = static_cast<char*>(allocator_.Allocate(bytes, 1));
    if (!memory) return OutOfMemory();
    chunk_bytes_ += bytes;
    found = chunks_.size();
    EYRIE_RETURN_IF_ERROR(chunks_.Push({memory, static_cast<size_t>(bytes)}));
  }
  std::swap(chunks_[found], chunks_[chunk_]);
  return {};
}

Status StringTable::Store(const char* data, size_t size, const char** stored) {
  if (chunk_ == chunks_.size() || chunks_[chunk_].size - chunk_used_ < size) EYRIE_RETURN_IF_ERROR(NextChunk(size));
  char* place = chunks_[chunk_].data + chunk_used_;
  memcpy(place, data, size);
  chunk_used_ += size;
  *stored = place;
  return {};
}

Status StringTable::Lookup(const char* data, size_t size, bool copies, uint64_t* id) {
  *id = 0;
  if (!size) return {};
  uint64_t hash = texts_.Hash(data, size);
  *id = texts_.Find(data, size, hash);
  if (*id) return {};
  uint32_t number = index_.Find(data, size, hash);
  if (number == StringIndex::kNone) {
    number = static_cast<uint32_t>(index_.size());
    if (copies) {
      EYRIE_RETURN_IF_ERROR(CheckLimit(kIndexBytes));
      index_bytes_ += kIndexBytes;
      EYRIE_RETURN_IF_ERROR(Store(data, size, &data));
    }
    EYRIE_RETURN_IF_ERROR(index_.Add(data, size, hash));
  }
  *id = texts_.count() + 1 + number;
  return {};
}

Status StringTable::Intern(const char* data, size_t size, uint64_t* id) { return Lookup(data, size, true, id); }

Status StringTable::Encode(std::span<const eyrie_string_t> strings, int64_t* ids) {
  for (size_t i = 0; i < strings.size(); ++i) {
    const eyrie_string_t& string = strings[i];
    if (string.size && !string.data)
      return Error(EYRIE_INVALID_ARGUMENT, "string %zu: no data, but a size of %zu", i, string.size);
    uint64_t id;
    EYRIE_RETURN_IF_ERROR(Lookup(string.data, string.size, false, &id));
    ids[i] = static_cast<int64_t>(id);
  }
  return {};
}

Status StringTable::At(uint64_t id, eyrie_string_t* string) const {
  uint64_t known = texts_.count();
  if (id > known && id - known > index_.size())
    return Error(EYRIE_OUT_OF_RANGE, "there is no string %llu, only %llu", Ull(id), Ull(known + index_.size()));
  if (!id) {
    *string = {"", 0};
    return {};
  }
  const StringIndex::Entry& entry = id > known ? index_[id - known - 1] : texts_[id];
  *string = {entry.data, entry.size};
  return {};
}

Status StringTable::Note(const uint8_t* ids, size_t bytes) {
  uint64_t known = texts_.count();
  for (size_t i = 0; i < bytes / sizeof(uint64_t); ++i) {
    uint64_t id = LoadId(ids, i);
    if (id <= known) continue;
    if (id - known > index_.size())
      return Error(EYRIE_OUT_OF_RANGE, "element %zu is string %llu, but there are only %llu", i, Ull(id),
                   Ull(known + index_.size()));
    StringIndex::Entry& entry = index_[id - known - 1];
    if (entry.place) continue;
    entry.place = noted_bytes_ + 1;
    noted_bytes_ += entry.size;  // every byte has been hashed: no sum that overflows
  }
  return {};
}

Status StringTable::CopyNoted() {
  EYRIE_RETURN_IF_ERROR(bytes_.Reserve(noted_bytes_));
  for (size_t i = 0; i < index_.size(); ++i)
    if (index_[i].place) memcpy(bytes_.data() + index_[i].place - 1, index_[i].data, index_[i].size);
  return {};
}

void StringTable::Decode(const uint8_t* ids, size_t bytes, eyrie_string_t* strings) const {
  static_assert(sizeof(eyrie_string_t) >= sizeof(int64_t), "read from the last one on, ids may share the memory");
  uint64_t known = texts_.count();
  for (size_t i = bytes / sizeof(uint64_t); i-- > 0;) {
    uint64_t id = LoadId(ids, i);
    eyrie_string_t string = {"", 0};
    if (id > known) {
      const StringIndex::Entry& entry = index_[id - known - 1];
      string = {bytes_.data() + entry.place - 1, entry.size};
    } else if (id) {
      string = {texts_[id].data, texts_[id].size};
    }
    memcpy(static_cast<void*>(strings + i), &string, sizeof(string));
  }
}

}  // namespace eyrie::rt::session
