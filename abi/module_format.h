// The container of a module file (.eyr): a header, a table of sections, and the sections.
//
//   byte 0     FileHeader (64 bytes)
//   byte 64    SectionEntry[section_count]
//   ...        sections, in ascending order of offset, each at a multiple of its alignment; gaps are zero
//
// Everything is little-endian. Reading: magic, version, endianness, header checksum, file size, section table and its
// checksum, then the sections. Nothing behind a checksum is looked at before the checksum holds.
//
// Versions: a runtime reads every file of its own major version with any minor number whose `required_features` it
// knows, and every older major version. A newer minor version may add optional sections and optional metadata fields.
#ifndef EYRIE_ABI_MODULE_FORMAT_H_
#define EYRIE_ABI_MODULE_FORMAT_H_

#include <cstdint>

namespace eyrie::abi {

inline constexpr char kModuleMagic[8] = {'E', 'Y', 'R', 'I', 'E', '\0', '\r', '\n'};
inline constexpr uint16_t kFormatMajor = 1;
inline constexpr uint16_t kFormatMinor = 0;
inline constexpr uint32_t kByteOrderMark = 0x01020304;

struct FileHeader {
  char magic[8];                  //  0
  uint16_t format_major;          //  8
  uint16_t format_minor;          // 10
  uint32_t byte_order_mark;       // 12 kByteOrderMark
  uint64_t required_features;     // 16 bits of ModuleFeature: a reader must know all of them
  uint64_t file_size;             // 24 of the whole file
  uint32_t section_count;         // 32 at most kMaxSections
  uint32_t section_table_crc;     // 36 CRC-32C of the section table
  uint32_t section_table_offset;  // 40 sizeof(FileHeader)
  uint32_t reserved[4];           // 44 zero
  uint32_t header_crc;            // 60 CRC-32C of bytes 0..59
};
static_assert(sizeof(FileHeader) == 64);

enum ModuleFeature : uint64_t {
  kFeatureVariants = 1u << 0,  // the bytecode has `variant`: code of executables is chosen when the module is loaded
};
inline constexpr uint64_t kKnownFeatures = kFeatureVariants;

enum class SectionKind : uint32_t {
  kMetadata = 1,      // FlatBuffer of module.fbs; required; alignment 8 or more
  kBytecode = 2,      // 32-bit words, see vm_encoding.h; required; alignment 4 or more
  kObjects = 3,       // the objects of all executables, each at its offset; alignment 64
  kWeights = 4,       // constant tensors, each 64-byte aligned; alignment 4096 so that it is mapped; at most one
  kWeightChecks = 5,  // uint32 CRC-32C of every kWeightChunk bytes of kWeights, the last chunk shorter
  kSignature = 6,     // reserved
};

enum SectionFlags : uint32_t {
  kSectionOptional = 1u << 0,   // a reader that does not know the kind ignores it
  kSectionUnchecked = 1u << 1,  // `crc` is 0 and not compared: kWeights, whose chunks have checks of their own
};

struct SectionEntry {
  uint32_t kind;       //  0 SectionKind; a kind appears at most once
  uint32_t flags;      //  4
  uint64_t offset;     //  8 in the file
  uint64_t size;       // 16 in bytes, without padding
  uint32_t alignment;  // 24 a power of two, 4..65536
  uint32_t crc;        // 28 CRC-32C of the section's bytes
};
static_assert(sizeof(SectionEntry) == 32);

inline constexpr uint32_t kMaxSections = 64;
inline constexpr uint64_t kWeightChunk = 1u << 20;
inline constexpr uint32_t kWeightsAlignment = 4096;
inline constexpr uint32_t kTensorAlignment = 64;

// Limits that the loader enforces and the compiler respects.
inline constexpr uint32_t kMaxRank = 32;
inline constexpr uint32_t kMaxFunctions = 65536;
inline constexpr uint32_t kMaxValues = 65536;  // arguments or results of one function
inline constexpr uint32_t kMaxGlobals = 65536;
inline constexpr uint32_t kMaxRegisters = 65536;          // of one bank of one function
inline constexpr uint32_t kMaxCallDepth = 1024;           // functions that run at a time, the called one included
inline constexpr uint32_t kMaxStackRegisters = 1u << 20;  // of one bank of all of them
inline constexpr uint32_t kMaxExports = 1u << 20;
inline constexpr uint32_t kMaxVariants = 64;     // of one executable, besides its own code
inline constexpr uint32_t kMaxBindings = 4096;   // of one dispatch
inline constexpr uint32_t kMaxConstants = 4096;  // of one dispatch
inline constexpr uint32_t kMaxHostFunctions = 65536;
inline constexpr uint32_t kMaxHostTensors = 256;  // inputs and outputs of one host function
inline constexpr uint32_t kMaxLocalMemory = 1u << 28;

}  // namespace eyrie::abi

#endif  // EYRIE_ABI_MODULE_FORMAT_H_
