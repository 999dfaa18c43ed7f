// Whole files in, and files out that appear at once or not at all.
#ifndef EYRIE_TOOLS_NPY_FILE_H_
#define EYRIE_TOOLS_NPY_FILE_H_

#include <string>

#include "tools/npy/bytes.h"

namespace eyrie::npy {

// Reads a regular file. On failure `*error` names the path and the reason.
[[nodiscard]] bool ReadFile(const std::string& path, Bytes* bytes, std::string* error);

// An output file that replaces `path` when it is committed: until then its bytes lie in a file without a name (where
// the file system has such files) in the same folder, so that a killed program leaves neither a half file nor a stray
// one. A path that is not a regular file (a device, a pipe) is written directly. Errors stick: after the first failed
// call the others fail too, and `error()` keeps the first reason.
class OutputFile {
 public:
  OutputFile() = default;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  [[nodiscard]] bool Open(const std::string& path);
  [[nodiscard]] bool Write(const void* data, size_t size);
  // Flushes to the disk and gives the file its name.
  [[nodiscard]] bool Commit();

  uint64_t size() const { return size_; }
  const std::string& error() const { return error_; }

 private:
  bool Fail(const char* what, int code);
  bool GiveName();

  std::string path_;
  std::string temporary_;  // the name of the unfinished file, or empty if it has none
  std::string error_;
  int file_ = -1;
  bool direct_ = false;
  uint64_t size_ = 0;
};

}  // namespace eyrie::npy

#endif  // EYRIE_TOOLS_NPY_FILE_H_
