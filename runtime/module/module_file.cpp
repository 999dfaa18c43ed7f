#include "runtime/module/module_file.h"

#include <cstring>

#include "abi/crc32c.h"
#include "runtime/base/checked.h"
#include "runtime/module/metadata.h"

namespace eyrie::rt::module {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "module files are read in place");

unsigned long long Ull(uint64_t value) { return value; }

}  // namespace

const char* SectionName(uint32_t kind) {
  switch (static_cast<abi::SectionKind>(kind)) {
    case abi::SectionKind::kMetadata:
      return "metadata";
    case abi::SectionKind::kBytecode:
      return "bytecode";
    case abi::SectionKind::kObjects:
      return "objects";
    case abi::SectionKind::kWeights:
      return "weights";
    case abi::SectionKind::kWeightChecks:
      return "weight checks";
    case abi::SectionKind::kSignature:
      return "signature";
  }
  return "unknown";
}

Status ModuleFile::Parse(const uint8_t* data, size_t size) {
  data_ = data;
  size_ = size;
  EYRIE_RETURN_IF_ERROR(ParseHeader());
  return ParseSections();
}

Status ModuleFile::ParseHeader() {
  size_t known = size_ < sizeof(abi::kModuleMagic) ? size_ : sizeof(abi::kModuleMagic);
  if (memcmp(data_, abi::kModuleMagic, known) != 0 || known == 0)
    return Error(EYRIE_INVALID_ARGUMENT, "not a module: the file does not start as .eyr files do");
  if (size_ < sizeof(header_))
    return Error(EYRIE_DATA_LOSS, "the module is cut off: it has %llu bytes, its header alone has %llu", Ull(size_),
                 Ull(sizeof(header_)));
  memcpy(&header_, data_, sizeof(header_));
  if (abi::Crc32c(data_, offsetof(abi::FileHeader, header_crc)) != header_.header_crc)
    return Error(EYRIE_DATA_LOSS, "the module's header is damaged: its checksum does not agree");
  if (header_.byte_order_mark != abi::kByteOrderMark)
    return Error(EYRIE_INCOMPATIBLE, "the module was written for a machine of the other byte order");
  if (header_.format_major != abi::kFormatMajor)
    return Error(EYRIE_INCOMPATIBLE, "the module has format version %u.%u, this runtime reads %u.x: %s",
                 header_.format_major, header_.format_minor, abi::kFormatMajor,
                 header_.format_major > abi::kFormatMajor ? "use a newer runtime" : "compile the model again");
  if (uint64_t unknown = header_.required_features & ~abi::kKnownFeatures)
    return Error(EYRIE_INCOMPATIBLE,
                 "the module (format version %u.%u) needs features 0x%llx, which this runtime (%u.%u) does not know",
                 header_.format_major, header_.format_minor, Ull(unknown), abi::kFormatMajor, abi::kFormatMinor);
  if (header_.file_size != size_)
    return Error(EYRIE_DATA_LOSS, "the module is %s: the file has %llu bytes, its header says %llu",
                 header_.file_size > size_ ? "cut off" : "longer than it should be", Ull(size_),
                 Ull(header_.file_size));
  if (header_.section_table_offset != sizeof(header_))
    return Error(EYRIE_INVALID_ARGUMENT, "the section table is not behind the header");
  if (header_.section_count > abi::kMaxSections)
    return Error(EYRIE_INVALID_ARGUMENT, "the module has %u sections, limit %u", header_.section_count,
                 abi::kMaxSections);
  return {};
}

Status ModuleFile::CheckSection(const abi::SectionEntry& section) const {
  if (!IsPowerOfTwo(section.alignment) || section.alignment < 4 || section.alignment > 65536)
    return Error(EYRIE_INVALID_ARGUMENT, "alignment %u is not a power of two from 4 to 65536", section.alignment);
  if (section.offset % section.alignment)
    return Error(EYRIE_INVALID_ARGUMENT, "offset %llu is not aligned to %u", Ull(section.offset), section.alignment);
  if (!InRange(section.offset, section.size, size_))
    return Error(EYRIE_INVALID_ARGUMENT, "%llu bytes from byte %llu do not lie in the file", Ull(section.size),
                 Ull(section.offset));
  return {};
}

Status ModuleFile::ParseSections() {
  uint64_t table_size = uint64_t{header_.section_count} * sizeof(abi::SectionEntry);
  if (!InRange(sizeof(header_), table_size, size_))
    return Error(EYRIE_DATA_LOSS, "the module's section table is cut off");
  memcpy(sections_, data_ + sizeof(header_), table_size);
  if (abi::Crc32c(sections_, table_size) != header_.section_table_crc)
    return Error(EYRIE_DATA_LOSS, "the module's section table is damaged: its checksum does not agree");

  uint64_t end = sizeof(header_) + table_size;
  const abi::SectionEntry* by_kind[8] = {};
  for (const abi::SectionEntry& section : sections()) {
    const char* name = SectionName(section.kind);
    EYRIE_RETURN_IF_ERROR(Annotate(CheckSection(section), "section '%s'", name));
    if (section.offset < end)
      return Error(EYRIE_INVALID_ARGUMENT, "section '%s' overlaps what is before it, or is out of order", name);
    if (section.offset - end >= section.alignment)
      return Error(EYRIE_INVALID_ARGUMENT, "there is a gap before section '%s'", name);
    for (; end < section.offset; ++end)
      if (data_[end])
        return Error(EYRIE_DATA_LOSS, "the padding before section '%s' is not zero, at byte %llu", name, Ull(end));
    end = section.offset + section.size;
    if (section.kind >= 1 && section.kind < 8) {
      if (by_kind[section.kind]) return Error(EYRIE_INVALID_ARGUMENT, "section '%s' is there twice", name);
      by_kind[section.kind] = &section;
    } else if (!(section.flags & abi::kSectionOptional)) {
      return Error(EYRIE_INCOMPATIBLE,
                   "section %u is required but unknown to this runtime (format %u.%u, the module has %u.%u)",
                   section.kind, abi::kFormatMajor, abi::kFormatMinor, header_.format_major, header_.format_minor);
    }
    bool is_weights = section.kind == static_cast<uint32_t>(abi::SectionKind::kWeights);
    if (is_weights != !!(section.flags & abi::kSectionUnchecked))
      return Error(EYRIE_INVALID_ARGUMENT, "section '%s': only weights may go without a checksum of their own", name);
    if (!is_weights && abi::Crc32c(data_ + section.offset, section.size) != section.crc)
      return Error(EYRIE_DATA_LOSS,
                   "section '%s' is damaged: the checksum of its %llu bytes from byte %llu does not "
                   "agree",
                   name, Ull(section.size), Ull(section.offset));
  }
  if (end != size_) return Error(EYRIE_INVALID_ARGUMENT, "%llu bytes behind the last section", Ull(size_ - end));

  auto find = [&](abi::SectionKind kind) { return by_kind[static_cast<uint32_t>(kind)]; };
  const abi::SectionEntry* metadata = find(abi::SectionKind::kMetadata);
  const abi::SectionEntry* bytecode = find(abi::SectionKind::kBytecode);
  if (!metadata || !bytecode)
    return Error(EYRIE_INVALID_ARGUMENT, "the module has no %s section", metadata ? "bytecode" : "metadata");
  if (metadata->alignment < 8 || bytecode->size % 4)
    return Error(EYRIE_INVALID_ARGUMENT, "the metadata is not aligned or the bytecode is not whole words");
  bytecode_ = {reinterpret_cast<const uint32_t*>(data_ + bytecode->offset), static_cast<size_t>(bytecode->size / 4)};
  if (const abi::SectionEntry* objects = find(abi::SectionKind::kObjects)) {
    if (objects->alignment < 64) return Error(EYRIE_INVALID_ARGUMENT, "section 'objects' is not aligned to 64");
    objects_ = BytesOf(*objects);
  }
  if (const abi::SectionEntry* weights = find(abi::SectionKind::kWeights)) {
    const abi::SectionEntry* checks = find(abi::SectionKind::kWeightChecks);
    uint64_t chunks = weights->size / abi::kWeightChunk + (weights->size % abi::kWeightChunk != 0);
    if (!checks || checks->size != chunks * 4)
      return Error(EYRIE_INVALID_ARGUMENT, "the weights have no checksums, or not one for each MiB");
    if (weights->alignment < abi::kTensorAlignment)
      return Error(EYRIE_INVALID_ARGUMENT, "section 'weights' is not aligned to %u", abi::kTensorAlignment);
    weights_ = BytesOf(*weights);
    weight_checks_ = BytesOf(*checks);
  }
  return ParseMetadata(BytesOf(*metadata));
}

Status ModuleFile::ParseMetadata(std::span<const uint8_t> bytes) {
  if (bytes.size() < 8 || bytes.size() >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return Error(EYRIE_INVALID_ARGUMENT, "the metadata has an impossible size");
  // Tables may be referred to many times; what is in the file once takes at least so many bytes.
  auto max_tables = static_cast<uint32_t>(bytes.size() / 8 + 16);
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), /*max_depth=*/16, max_tables);
  if (!abi::fb::VerifyModuleBuffer(verifier)) return Error(EYRIE_INVALID_ARGUMENT, "the metadata is malformed");
  metadata_ = abi::fb::GetModule(bytes.data());
  return CheckMetadata(*metadata_, bytes.size(), bytecode_.size(), objects_.size());
}

Status ModuleFile::VerifyWeights(const MappedFile* mapping) const {
  for (size_t at = 0, chunk = 0; at < weights_.size(); at += abi::kWeightChunk, ++chunk) {
    size_t size = weights_.size() - at < abi::kWeightChunk ? weights_.size() - at : abi::kWeightChunk;
    uint32_t expected;
    memcpy(&expected, weight_checks_.data() + chunk * 4, 4);
    if (abi::Crc32c(weights_.data() + at, size) != expected)
      return Error(EYRIE_DATA_LOSS,
                   "section 'weights' is damaged: the checksum of its bytes %llu to %llu does not agree", Ull(at),
                   Ull(at + size));
    // From the beginning: the system maps large pages and neighbours along with what is touched.
    if (mapping) mapping->Forget(weights_.data(), at + size);
  }
  return {};
}

}  // namespace eyrie::rt::module
