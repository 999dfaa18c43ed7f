#include "tools/npy/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace eyrie::npy {
namespace {

std::string FolderOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool ReadError(const std::string& path, const char* reason, std::string* error) {
  *error = "cannot read '" + path + "': " + reason;
  return false;
}

}  // namespace

bool ReadFile(const std::string& path, Bytes* bytes, std::string* error) {
  // Without O_NONBLOCK the open of a pipe that nobody writes would never return.
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return ReadError(path, std::strerror(errno), error);
  struct stat info;
  bool ok = true;
  if (fstat(file, &info) != 0) {
    ok = ReadError(path, std::strerror(errno), error);
  } else if (S_ISDIR(info.st_mode)) {
    ok = ReadError(path, "it is a directory", error);
  } else if (!S_ISREG(info.st_mode)) {
    ok = ReadError(path, "it is not a regular file", error);
  } else if (!Bytes::Allocate(static_cast<size_t>(info.st_size), bytes)) {
    ok = ReadError(path, "not enough memory", error);
  }
  for (size_t done = 0; ok && done < bytes->size();) {
    ssize_t got = read(file, bytes->data() + done, bytes->size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) ok = ReadError(path, std::strerror(errno), error);
    if (got == 0) ok = ReadError(path, "it became shorter while it was read", error);
    if (got > 0) done += static_cast<size_t>(got);
  }
  close(file);
  return ok;
}

OutputFile::~OutputFile() {
  if (file_ >= 0) close(file_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

bool OutputFile::Fail(const char* what, int code) {
  if (error_.empty()) error_ = std::string(what) + " '" + path_ + "': " + std::strerror(code);
  return false;
}

bool OutputFile::Open(const std::string& path) {
  path_ = path;
  struct stat info;
  bool exists = stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) return Fail("cannot write", EISDIR);
  if (exists && !S_ISREG(info.st_mode)) {
    direct_ = true;
    file_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    return file_ >= 0 || Fail("cannot write", errno);
  }
  // Replacing a file needs only the folder's permission; a read-only file is nevertheless meant to stay.
  if (exists && access(path.c_str(), W_OK) != 0) return Fail("cannot write", errno);
  file_ = open(FolderOf(path).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
  if (file_ >= 0) return true;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) return Fail("cannot write", errno);
  std::string name = path + ".tmp-" + std::to_string(getpid());
  file_ = open(name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
  if (file_ < 0) return Fail("cannot write", errno);
  temporary_ = name;
  return true;
}

bool OutputFile::Write(const void* data, size_t size) {
  const char* bytes = static_cast<const char*>(data);
  for (size_t done = 0; error_.empty() && done < size;) {
    ssize_t written = write(file_, bytes + done, size - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Fail("cannot write", errno);
    done += static_cast<size_t>(written);
    size_ += static_cast<uint64_t>(written);
  }
  return error_.empty();
}

bool OutputFile::GiveName() {
  if (!temporary_.empty()) return true;
  std::string name = path_ + ".tmp-" + std::to_string(getpid());
  char descriptor[32];
  std::snprintf(descriptor, sizeof(descriptor), "/proc/self/fd/%d", file_);
  unlink(name.c_str());
  if (linkat(AT_FDCWD, descriptor, AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0) return Fail("cannot write", errno);
  temporary_ = name;
  return true;
}

bool OutputFile::Commit() {
  if (!error_.empty()) return false;
  if (!direct_) {
    if (fsync(file_) != 0) return Fail("cannot write", errno);
    if (!GiveName()) return false;
    if (rename(temporary_.c_str(), path_.c_str()) != 0) return Fail("cannot write", errno);
    temporary_.clear();
  }
  int file = file_;
  file_ = -1;
  return close(file) == 0 || Fail("cannot write", errno);
}

}  // namespace eyrie::npy
