// The archive of tensors outside modules (.eyp): a header, an index, and the tensors.
//
//   byte 0            ArchiveHeader (64 bytes)
//   byte 64           ArchiveEntry[entry_count], in strictly ascending order of their names (as bytes)
//   then              int64 dims[dim_count], those of all entries one after the other
//   then              names, each ended by a zero byte; `name_bytes` of them in all
//   data_offset       the tensors in the order of the entries, each at a multiple of 64; `data_offset` is the first
//                     multiple of 4096 behind the names, so that a tensor is used where it is mapped
//
// Everything is little-endian, gaps are zero, and the last tensor's padding is part of the file: a file has one form
// for given tensors, and every bit of it is behind a checksum or known to be zero. Reading: magic, header checksum,
// version, file size, checksum of the index, then the index; a tensor's own checksum before it is used.
//
// A derived tensor is what a compiled module computes from others (a packed weight). It is worth something only as long
// as those it was made of are the ones in use: `source_check` is the CRC-32C of their checksums (`crc`, 4 bytes each)
// in the order in which the module lists them.
#ifndef EYRIE_ABI_PARAMETER_ARCHIVE_H_
#define EYRIE_ABI_PARAMETER_ARCHIVE_H_

#include <cstdint>

namespace eyrie::abi {

inline constexpr char kArchiveMagic[8] = {'E', 'Y', 'R', 'P', 'A', 'R', '\r', '\n'};
inline constexpr uint16_t kArchiveMajor = 1;
inline constexpr uint16_t kArchiveMinor = 0;

struct ArchiveHeader {
  char magic[8];               //  0
  uint16_t format_major;       //  8
  uint16_t format_minor;       // 10
  uint32_t byte_order_mark;    // 12 kByteOrderMark of module_format.h
  uint64_t required_features;  // 16 bits that a reader must know; none is defined yet
  uint64_t file_size;          // 24 of the whole file
  uint32_t entry_count;        // 32
  uint32_t dim_count;          // 36
  uint64_t name_bytes;         // 40
  uint64_t data_offset;        // 48
  uint32_t index_crc;          // 56 CRC-32C of all from byte 64 to the end of the names
  uint32_t header_crc;         // 60 CRC-32C of bytes 0..59
};
static_assert(sizeof(ArchiveHeader) == 64);

enum ArchiveFlags : uint8_t {
  kArchiveDerived = 1u << 0,
};

struct ArchiveEntry {
  uint64_t offset;        //  0 in the file; a multiple of 64
  uint64_t size;          //  8 in bytes, as element type and dims say, without padding
  uint32_t crc;           // 16 CRC-32C of the bytes up to the next multiple of 64, padding included
  uint32_t source_check;  // 20 of a derived tensor, else 0
  uint32_t name_size;     // 24 without the zero; at least 1
  uint8_t element_type;   // 28 abi/element_types.def; not a string
  uint8_t rank;           // 29 at most kMaxRank
  uint8_t flags;          // 30 ArchiveFlags
  uint8_t reserved;       // 31 zero
};
static_assert(sizeof(ArchiveEntry) == 32);

inline constexpr uint64_t kArchiveDataAlignment = 4096;
inline constexpr uint64_t kArchiveTensorAlignment = 64;
// Of any format of parameters: longer names are taken for damage.
inline constexpr uint32_t kMaxParameterName = 4096;
inline constexpr uint32_t kMaxParameters = 1u << 24;

}  // namespace eyrie::abi

#endif  // EYRIE_ABI_PARAMETER_ARCHIVE_H_
