#include "tools/npy/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>

namespace eyrie::npy {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kDirectoryEntry = 0x02014b50, kEnd = 0x06054b50;
constexpr uint32_t kEnd64 = 0x06064b50, kEnd64Locator = 0x07064b50;
constexpr size_t kLocalSize = 30, kEntrySize = 46, kEndSize = 22, kEnd64Size = 56, kLocatorSize = 20;
constexpr uint16_t kZip64Extra = 1;
// Deflate cannot shrink data by more than this factor (zlib's technical notes).
constexpr uint64_t kMaxRatio = 1032;

uint64_t Load(const uint8_t* data, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(data[i]) << (8 * i);
  return value;
}

void Store(std::string* out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) *out += static_cast<char>(value >> (8 * i));
}

bool InRange(uint64_t offset, uint64_t size, uint64_t total) { return offset <= total && size <= total - offset; }

// Takes the 64-bit fields of an entry's extra data in the order that the format prescribes: those whose 32-bit field
// is all ones.
bool ReadZip64(const uint8_t* extra, size_t size, ZipEntry* entry) {
  while (size >= 4) {
    uint64_t id = Load(extra, 2), length = Load(extra + 2, 2);
    if (length > size - 4) return false;
    if (id == kZip64Extra) {
      const uint8_t* at = extra + 4;
      for (uint64_t* field : {&entry->size, &entry->packed_size, &entry->header_offset}) {
        if (*field != UINT32_MAX) continue;
        if (length < 8) return false;
        *field = Load(at, 8);
        at += 8;
        length -= 8;
      }
      return true;
    }
    extra += 4 + length;
    size -= 4 + length;
  }
  return true;
}

bool Inflate(Span packed, Bytes* bytes) {
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return false;
  // zlib counts in 32 bits: both sides are fed in pieces.
  constexpr size_t kPiece = 1u << 30;
  size_t in = 0, out = 0;
  int result = Z_OK;
  while (result == Z_OK) {
    size_t feed = std::min(kPiece, packed.size - in), room = std::min(kPiece, bytes->size() - out);
    stream.next_in = const_cast<Bytef*>(packed.data + in);
    stream.avail_in = static_cast<uInt>(feed);
    stream.next_out = bytes->data() + out;
    stream.avail_out = static_cast<uInt>(room);
    result = inflate(&stream, Z_NO_FLUSH);
    size_t used = feed - stream.avail_in, made = room - stream.avail_out;
    in += used;
    out += made;
    if (result == Z_OK && used == 0 && made == 0) break;
  }
  inflateEnd(&stream);
  return result == Z_STREAM_END && out == bytes->size() && in == packed.size;
}

uint32_t Checksum(uint32_t crc, Span span) { return static_cast<uint32_t>(crc32_z(crc, span.data, span.size)); }

}  // namespace

bool ZipReader::Open(Span archive, std::string* error) {
  archive_ = archive;
  entries_.clear();
  auto fail = [&](const char* text) {
    *error = text;
    return false;
  };
  if (archive.size < kEndSize) return fail("it is not a zip archive");
  // The end record is followed by a comment of at most 65535 bytes.
  size_t last = archive.size - kEndSize, first = last - std::min<size_t>(last, 65535), at = last + 1;
  bool found = false;
  while (!found && at-- > first) {
    found = Load(archive.data + at, 4) == kEnd && Load(archive.data + at + 20, 2) == last - at;
  }
  if (!found) return fail("it is not a zip archive, or it is cut off");
  const uint8_t* end = archive.data + at;
  uint64_t count = Load(end + 10, 2), size = Load(end + 12, 4), offset = Load(end + 16, 4);
  if (Load(end + 4, 2) != Load(end + 6, 2)) return fail("archives in several parts are not supported");
  bool large = count == UINT16_MAX || size == UINT32_MAX || offset == UINT32_MAX;
  if (large && at >= kLocatorSize && Load(end - kLocatorSize, 4) == kEnd64Locator) {
    uint64_t where = Load(end - kLocatorSize + 8, 8);
    if (!InRange(where, kEnd64Size, archive.size) || Load(archive.data + where, 4) != kEnd64)
      return fail("its zip64 record is damaged");
    count = Load(archive.data + where + 32, 8);
    size = Load(archive.data + where + 40, 8);
    offset = Load(archive.data + where + 48, 8);
  }
  return ReadDirectory(offset, size, count, error);
}

bool ZipReader::ReadDirectory(uint64_t offset, uint64_t size, uint64_t count, std::string* error) {
  auto fail = [&](std::string text) {
    *error = std::move(text);
    return false;
  };
  if (!InRange(offset, size, archive_.size) || count > size / kEntrySize) return fail("its directory is damaged");
  const uint8_t *at = archive_.data + offset, *end = at + size;
  std::unordered_set<std::string> names;
  for (uint64_t i = 0; i < count; ++i) {
    if (static_cast<size_t>(end - at) < kEntrySize || Load(at, 4) != kDirectoryEntry)
      return fail("its directory is damaged");
    size_t name = Load(at + 28, 2), extra = Load(at + 30, 2), comment = Load(at + 32, 2);
    if (static_cast<size_t>(end - at) - kEntrySize < name + extra + comment) return fail("its directory is damaged");
    ZipEntry entry;
    entry.method = static_cast<uint16_t>(Load(at + 10, 2));
    entry.crc = static_cast<uint32_t>(Load(at + 16, 4));
    entry.packed_size = Load(at + 20, 4);
    entry.size = Load(at + 24, 4);
    entry.header_offset = Load(at + 42, 4);
    entry.name.assign(reinterpret_cast<const char*>(at) + kEntrySize, name);
    if (!ReadZip64(at + kEntrySize + name, extra, &entry)) return fail("its directory is damaged");
    if ((Load(at + 8, 2) & 1) != 0) return fail("its entry '" + entry.name + "' is encrypted");
    if (!names.insert(entry.name).second) return fail("it has two entries of the name '" + entry.name + "'");
    entries_.push_back(std::move(entry));
    at += kEntrySize + name + extra + comment;
  }
  return true;
}

const ZipEntry* ZipReader::Find(const std::string& name) const {
  for (const ZipEntry& entry : entries_)
    if (entry.name == name) return &entry;
  return nullptr;
}

bool ZipReader::Extract(const ZipEntry& entry, Bytes* bytes, std::string* error) const {
  auto fail = [&](const char* text) {
    *error = "its entry '" + entry.name + "' " + text;
    return false;
  };
  uint64_t offset = entry.header_offset;
  if (!InRange(offset, kLocalSize, archive_.size) || Load(archive_.data + offset, 4) != kLocalHeader)
    return fail("is damaged");
  offset += kLocalSize + Load(archive_.data + offset + 26, 2) + Load(archive_.data + offset + 28, 2);
  if (!InRange(offset, entry.packed_size, archive_.size)) return fail("is cut off");
  Span packed{archive_.data + offset, static_cast<size_t>(entry.packed_size)};
  if (entry.method != 0 && entry.method != 8) return fail("is compressed in a way that is not supported");
  if (entry.method == 0 ? entry.size != entry.packed_size : entry.size / kMaxRatio > entry.packed_size)
    return fail("has an impossible size");
  if (!Bytes::Allocate(static_cast<size_t>(entry.size), bytes)) return fail("does not fit into memory");
  if (entry.method == 8) {
    if (!Inflate(packed, bytes)) return fail("is damaged");
  } else if (packed.size != 0) {
    std::memcpy(bytes->data(), packed.data, packed.size);
  }
  if (Checksum(0, {bytes->data(), bytes->size()}) != entry.crc) return fail("is damaged: its checksum differs");
  return true;
}

bool ZipWriter::Add(const std::string& name, Span head, Span body) {
  ZipEntry entry;
  entry.name = name;
  entry.size = entry.packed_size = head.size + body.size;
  entry.crc = Checksum(Checksum(0, head), body);
  entry.header_offset = file_->size();
  bool large = entry.size >= UINT32_MAX;
  std::string header;
  Store(&header, kLocalHeader, 4);
  Store(&header, large ? 45 : 20, 2);
  Store(&header, 0x800, 2);  // the name is UTF-8
  Store(&header, 0, 2);
  Store(&header, 0x00210000, 4);  // 1980-01-01 00:00
  Store(&header, entry.crc, 4);
  Store(&header, large ? UINT32_MAX : entry.size, 4);
  Store(&header, large ? UINT32_MAX : entry.size, 4);
  Store(&header, name.size(), 2);
  Store(&header, large ? 20 : 0, 2);
  header += name;
  if (large) {
    Store(&header, kZip64Extra, 2);
    Store(&header, 16, 2);
    Store(&header, entry.size, 8);
    Store(&header, entry.size, 8);
  }
  entries_.push_back(entry);
  return file_->Write(header.data(), header.size()) && file_->Write(head.data, head.size) &&
         file_->Write(body.data, body.size);
}

bool ZipWriter::Finish() {
  uint64_t offset = file_->size();
  std::string text;
  for (const ZipEntry& entry : entries_) {
    bool large = entry.size >= UINT32_MAX || entry.header_offset >= UINT32_MAX;
    Store(&text, kDirectoryEntry, 4);
    Store(&text, large ? 45 : 20, 2);
    Store(&text, large ? 45 : 20, 2);
    Store(&text, 0x800, 2);
    Store(&text, 0, 2);
    Store(&text, 0x00210000, 4);
    Store(&text, entry.crc, 4);
    Store(&text, large ? UINT32_MAX : entry.size, 4);
    Store(&text, large ? UINT32_MAX : entry.size, 4);
    Store(&text, entry.name.size(), 2);
    Store(&text, large ? 28 : 0, 2);
    Store(&text, 0, 6);  // no comment, first part, no attributes
    Store(&text, 0, 4);
    Store(&text, large ? UINT32_MAX : entry.header_offset, 4);
    text += entry.name;
    if (large) {
      Store(&text, kZip64Extra, 2);
      Store(&text, 24, 2);
      Store(&text, entry.size, 8);
      Store(&text, entry.size, 8);
      Store(&text, entry.header_offset, 8);
    }
  }
  uint64_t size = text.size(), count = entries_.size();
  bool large = count >= UINT16_MAX || size >= UINT32_MAX || offset >= UINT32_MAX;
  if (large) {
    Store(&text, kEnd64, 4);
    Store(&text, kEnd64Size - 12, 8);
    Store(&text, 45, 2);
    Store(&text, 45, 2);
    Store(&text, 0, 8);
    Store(&text, count, 8);
    Store(&text, count, 8);
    Store(&text, size, 8);
    Store(&text, offset, 8);
    Store(&text, kEnd64Locator, 4);
    Store(&text, 0, 4);
    Store(&text, offset + size, 8);
    Store(&text, 1, 4);
  }
  Store(&text, kEnd, 4);
  Store(&text, 0, 4);
  Store(&text, large ? UINT16_MAX : count, 2);
  Store(&text, large ? UINT16_MAX : count, 2);
  Store(&text, large ? UINT32_MAX : size, 4);
  Store(&text, large ? UINT32_MAX : offset, 4);
  Store(&text, 0, 2);
  return file_->Write(text.data(), text.size());
}

}  // namespace eyrie::npy
