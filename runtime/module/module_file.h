// A module file in memory: its container and its metadata, checked.
#ifndef EYRIE_RUNTIME_MODULE_MODULE_FILE_H_
#define EYRIE_RUNTIME_MODULE_MODULE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/module_format.h"
#include "abi/module_generated.h"
#include "runtime/base/file.h"
#include "runtime/base/status.h"

namespace eyrie::rt::module {

// Views into the file's bytes, which must outlive it and be aligned to 64 bytes.
class ModuleFile {
 public:
  // After it returned ok: every section but the weights has the right checksum; the metadata is a well-formed
  // FlatBuffer whose types, ranks, symbols, code and object ranges and counts are in range. The bytecode itself is the
  // verifier's business.
  Status Parse(const uint8_t* data, size_t size);
  // Compares the weights with their checksums. `mapping`, if not null, is the file: what has been compared is not kept
  // in memory, so that a process has only those weights that its calls read (of a table of words, the words that
  // occur).
  Status VerifyWeights(const MappedFile* mapping) const;

  const abi::FileHeader& header() const { return header_; }
  std::span<const abi::SectionEntry> sections() const { return {sections_, header_.section_count}; }
  const abi::fb::Module& metadata() const { return *metadata_; }
  std::span<const uint32_t> bytecode() const { return bytecode_; }
  std::span<const uint8_t> objects() const { return objects_; }
  std::span<const uint8_t> weights() const { return weights_; }

 private:
  Status ParseHeader();
  Status ParseSections();
  Status CheckSection(const abi::SectionEntry& section) const;
  Status ParseMetadata(std::span<const uint8_t> bytes);
  std::span<const uint8_t> BytesOf(const abi::SectionEntry& section) const {
    return {data_ + section.offset, static_cast<size_t>(section.size)};
  }

  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  abi::FileHeader header_{};
  abi::SectionEntry sections_[abi::kMaxSections];
  const abi::fb::Module* metadata_ = nullptr;
  std::span<const uint32_t> bytecode_;
  std::span<const uint8_t> objects_;
  std::span<const uint8_t> weights_;
  std::span<const uint8_t> weight_checks_;
};

// "metadata", "bytecode", ...; "unknown".
const char* SectionName(uint32_t kind);

}  // namespace eyrie::rt::module

#endif  // EYRIE_RUNTIME_MODULE_MODULE_FILE_H_
