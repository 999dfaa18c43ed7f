#include "abi/crc32c.h"
#include "abi/module_format.h"
#include "compiler/module/Metadata.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Process.h"
#include <cerrno>
#include <unistd.h>

using namespace mlir;
using namespace eyrie;
using namespace eyrie::module;

namespace {

struct Section {
  abi::SectionEntry entry;
  ArrayRef<char> bytes; // empty for the weights, which are streamed
};

template <typename T> ArrayRef<char> asBytes(const std::vector<T> &values) {
  return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)};
}

Section makeSection(abi::SectionKind kind, uint32_t alignment, ArrayRef<char> bytes) {
  Section section{{}, bytes};
  section.entry.kind = static_cast<uint32_t>(kind);
  section.entry.alignment = alignment;
  section.entry.size = bytes.size();
  section.entry.crc = abi::Crc32c(bytes.data(), bytes.size());
  return section;
}

/// Gives the sections their offsets and returns the header.
abi::FileHeader layOut(std::vector<Section> &sections, uint64_t requiredFeatures) {
  uint64_t end = sizeof(abi::FileHeader) + sections.size() * sizeof(abi::SectionEntry);
  for (Section &section : sections) {
    section.entry.offset = llvm::alignTo(end, section.entry.alignment);
    end = section.entry.offset + section.entry.size;
  }
  abi::FileHeader header = {};
  std::memcpy(header.magic, abi::kModuleMagic, sizeof(header.magic));
  header.format_major = abi::kFormatMajor;
  header.format_minor = abi::kFormatMinor;
  header.byte_order_mark = abi::kByteOrderMark;
  header.required_features = requiredFeatures;
  header.file_size = end;
  header.section_count = sections.size();
  header.section_table_offset = sizeof(abi::FileHeader);
  uint32_t crc = 0;
  for (const Section &section : sections)
    crc = abi::Crc32c(&section.entry, sizeof(section.entry), crc);
  header.section_table_crc = crc;
  header.header_crc = abi::Crc32c(&header, offsetof(abi::FileHeader, header_crc));
  return header;
}

void writeSections(ArrayRef<Section> sections, const abi::FileHeader &header, const Weights &weights,
                   llvm::raw_ostream &os) {
  uint64_t at = 0;
  auto write = [&](ArrayRef<char> bytes) {
    os.write(bytes.data(), bytes.size());
    at += bytes.size();
  };
  write({reinterpret_cast<const char *>(&header), sizeof(header)});
  for (const Section &section : sections)
    write({reinterpret_cast<const char *>(&section.entry), sizeof(section.entry)});
  for (const Section &section : sections) {
    os.write_zeros(section.entry.offset - at);
    at = section.entry.offset;
    if (section.entry.kind == static_cast<uint32_t>(abi::SectionKind::kWeights))
      weights.forEachPart(write);
    else
      write(section.bytes);
  }
}

LogicalResult reportFile(ModuleOp module, StringRef path, StringRef reason) {
  return emitError(UnknownLoc::get(module.getContext())) << "cannot write '" << path << "': " << reason;
}

/// A new file beside `path`. Not fs::createUniqueFile, which would replace every '%' of the path.
std::error_code createTemporary(StringRef path, int &fd, SmallVectorImpl<char> &temporary) {
  namespace fs = llvm::sys::fs;
  std::error_code error;
  for (int attempt = 0; attempt < 100; ++attempt) {
    temporary.clear();
    (path + ".tmp-" + Twine(llvm::sys::Process::getProcessId()) + "-" + Twine(attempt)).toVector(temporary);
    StringRef name(temporary.data(), temporary.size());
    error = fs::openFileForWrite(name, fd, fs::CD_CreateNew);
    if (error != std::errc::file_exists)
      break;
  }
  return error;
}

/// Writes, syncs and closes. Returns the error's text, empty if all is well; the module's own errors are emitted and
/// set `isInvalid`.
std::string writeTo(int fd, FileWriter write, bool sync, bool &isInvalid) {
  llvm::raw_fd_ostream os(fd, /*shouldClose=*/true);
  os.SetBufferSize(1 << 20);
  isInvalid = failed(write(os));
  os.flush();
  if (!os.has_error() && sync && ::fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
    return std::error_code(errno, std::generic_category()).message();
  os.close();
  if (!os.has_error())
    return {};
  std::string text = os.error().message();
  os.clear_error();
  return text;
}

} // namespace

LogicalResult eyrie::module::writeModule(ModuleOp module, llvm::raw_ostream &os, const WriteOptions &options) {
  auto program = vm::emitProgram(module);
  if (failed(program))
    return failure();
  Objects objects;
  auto metadata = buildMetadata(module, *program, options, objects);
  if (failed(metadata))
    return failure();
  auto weights = Weights::collect(module);
  if (failed(weights))
    return failure();
  std::vector<uint32_t> checks = weights->computeChecks();

  std::vector<Section> sections = {makeSection(abi::SectionKind::kMetadata, 8, *metadata),
                                   makeSection(abi::SectionKind::kBytecode, 64, asBytes(program->code))};
  if (!objects.bytes().empty())
    sections.push_back(makeSection(abi::SectionKind::kObjects, 64, objects.bytes()));
  if (weights->isPresent()) {
    sections.push_back(makeSection(abi::SectionKind::kWeightChecks, 4, asBytes(checks)));
    Section section = makeSection(abi::SectionKind::kWeights, abi::kWeightsAlignment, {});
    section.entry.flags = abi::kSectionUnchecked;
    section.entry.size = weights->size();
    section.entry.crc = 0;
    sections.push_back(section);
  }
  uint64_t features = program->readsVariants ? abi::kFeatureVariants : 0;
  writeSections(sections, layOut(sections, features), *weights, os);
  return success();
}

LogicalResult eyrie::module::writeModule(ModuleOp module, StringRef path, const WriteOptions &options) {
  return writeFile(module, path, [&](llvm::raw_ostream &os) { return writeModule(module, os, options); });
}

LogicalResult eyrie::module::writeFile(ModuleOp module, StringRef path, FileWriter write) {
  namespace fs = llvm::sys::fs;
  fs::file_status status;
  std::error_code error = fs::status(path, status);
  if (!error && fs::is_directory(status))
    return reportFile(module, path, "it is a directory");
  bool isInvalid = false;
  int fd = -1;
  if (!error && fs::exists(status) && !fs::is_regular_file(status)) {
    // A device or a pipe.
    if (std::error_code failed = fs::openFileForWrite(path, fd, fs::CD_OpenExisting))
      return reportFile(module, path, failed.message());
    std::string text = writeTo(fd, write, /*sync=*/false, isInvalid);
    return isInvalid ? failure() : text.empty() ? success() : reportFile(module, path, text);
  }
  // Through a symbolic link to the file itself.
  SmallString<256> target(path), temporary;
  if (!error && fs::exists(status))
    if (std::error_code failed = fs::real_path(path, target))
      return reportFile(module, path, failed.message());
  if (std::error_code failed = createTemporary(target, fd, temporary))
    return reportFile(module, path, failed.message());
  std::string text = writeTo(fd, write, /*sync=*/true, isInvalid);
  if (!isInvalid && text.empty()) {
    if (std::error_code failed = fs::rename(temporary, target))
      text = failed.message();
    else
      return success();
  }
  fs::remove(temporary);
  return isInvalid ? failure() : reportFile(module, path, text);
}
