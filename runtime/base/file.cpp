#include "runtime/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace eyrie::rt {
namespace {

Status SystemError(const char* path, const char* what) {
  int error = errno;
  eyrie_code_t code = error == ENOENT || error == ENOTDIR                     ? EYRIE_NOT_FOUND
                      : error == EACCES || error == EPERM                     ? EYRIE_PERMISSION_DENIED
                      : error == ENOMEM || error == EMFILE || error == ENFILE ? EYRIE_RESOURCE_EXHAUSTED
                                                                              : EYRIE_UNKNOWN;
  return Error(code, "%s: cannot %s: %s", path, what, strerror(error));
}

struct Descriptor {
  int fd;
  ~Descriptor() { close(fd); }
};

}  // namespace

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<uint8_t*>(data_), size_);
}

Result<MappedFile> MappedFile::Open(const char* path) {
  if (!path || !*path) return Error(EYRIE_INVALID_ARGUMENT, "no file name given");
  int fd;
  // Not blocking, so that a FIFO without a writer does not hold us.
  do fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) return SystemError(path, "open");
  Descriptor descriptor{fd};
  struct stat info;
  if (fstat(fd, &info) != 0) return SystemError(path, "stat");
  if (!S_ISREG(info.st_mode))
    return Error(EYRIE_INVALID_ARGUMENT, "%s: is %s, not a file", path,
                 S_ISDIR(info.st_mode) ? "a directory" : "a device or pipe");
  if (info.st_size <= 0) return Error(EYRIE_INVALID_ARGUMENT, "%s: the file is empty, so it is not a module", path);
  if (static_cast<uint64_t>(info.st_size) > SIZE_MAX)
    return Error(EYRIE_RESOURCE_EXHAUSTED, "%s: too large for this machine", path);
  void* data = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) return SystemError(path, "map");
  MappedFile file;
  file.data_ = static_cast<const uint8_t*>(data);
  file.size_ = static_cast<size_t>(info.st_size);
  return file;
}

}  // namespace eyrie::rt
