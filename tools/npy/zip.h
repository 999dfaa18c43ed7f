// Zip archives (PKWARE's APPNOTE 6.3), as far as .npz needs them: entries stored or deflated, zip64, no encryption.
#ifndef EYRIE_TOOLS_NPY_ZIP_H_
#define EYRIE_TOOLS_NPY_ZIP_H_

#include <string>
#include <vector>

#include "tools/npy/bytes.h"
#include "tools/npy/file.h"

namespace eyrie::npy {

struct ZipEntry {
  std::string name;
  uint16_t method = 0;  // 0 stored, 8 deflated
  uint32_t crc = 0;
  uint64_t packed_size = 0;
  uint64_t size = 0;
  uint64_t header_offset = 0;
};

// Reads an archive in memory, which must outlive the reader. Nothing but the directory is looked at before an entry is
// extracted; a size that the archive could not hold is refused before memory is taken for it.
class ZipReader {
 public:
  [[nodiscard]] bool Open(Span archive, std::string* error);
  const std::vector<ZipEntry>& entries() const { return entries_; }
  const ZipEntry* Find(const std::string& name) const;
  [[nodiscard]] bool Extract(const ZipEntry& entry, Bytes* bytes, std::string* error) const;

 private:
  bool ReadDirectory(uint64_t offset, uint64_t size, uint64_t count, std::string* error);

  Span archive_;
  std::vector<ZipEntry> entries_;
};

// Writes stored entries with a fixed date: equal contents make equal archives.
class ZipWriter {
 public:
  explicit ZipWriter(OutputFile* file) : file_(file) {}
  // The entry's bytes are those of `head` and then those of `body`.
  [[nodiscard]] bool Add(const std::string& name, Span head, Span body);
  // Writes the directory. The file is then complete, but not committed.
  [[nodiscard]] bool Finish();

 private:
  OutputFile* file_;
  std::vector<ZipEntry> entries_;
};

}  // namespace eyrie::npy

#endif  // EYRIE_TOOLS_NPY_ZIP_H_
