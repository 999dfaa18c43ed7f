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
  int fd = -1;
  Descriptor() = default;
  Descriptor(Descriptor&& other) : fd(std::exchange(other.fd, -1)), size(other.size) {}
  Descriptor& operator=(Descriptor&& other) {
    std::swap(fd, other.fd);
    std::swap(size, other.size);
    return *this;
  }
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  size_t size = 0;  // of the file
};

Result<Descriptor> OpenRegular(const char* path) {
  if (!path || !*path) return Error(EYRIE_INVALID_ARGUMENT, "no file name given");
  Descriptor descriptor;
  // Not blocking, so that a FIFO without a writer does not hold us.
  do descriptor.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  while (descriptor.fd < 0 && errno == EINTR);
  if (descriptor.fd < 0) return SystemError(path, "open");
  struct stat info;
  if (fstat(descriptor.fd, &info) != 0) return SystemError(path, "stat");
  if (!S_ISREG(info.st_mode))
    return Error(EYRIE_INVALID_ARGUMENT, "%s: is %s, not a file", path,
                 S_ISDIR(info.st_mode) ? "a directory" : "a device or pipe");
  if (info.st_size <= 0) return Error(EYRIE_INVALID_ARGUMENT, "%s: the file is empty", path);
  if (static_cast<uint64_t>(info.st_size) > SIZE_MAX)
    return Error(EYRIE_RESOURCE_EXHAUSTED, "%s: too large for this machine", path);
  descriptor.size = static_cast<size_t>(info.st_size);
  return descriptor;
}

}  // namespace

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<uint8_t*>(data_), size_);
}

Result<MappedFile> MappedFile::Open(const char* path) {
  EYRIE_ASSIGN_OR_RETURN(Descriptor descriptor, OpenRegular(path));
  void* data = mmap(nullptr, descriptor.size, PROT_READ, MAP_PRIVATE, descriptor.fd, 0);
  if (data == MAP_FAILED) return SystemError(path, "map");
  MappedFile file;
  file.data_ = static_cast<const uint8_t*>(data);
  file.size_ = descriptor.size;
  return file;
}

void MappedFile::Forget(const uint8_t* begin, size_t size) const {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t first = reinterpret_cast<uintptr_t>(begin) / page * page,
                  end = reinterpret_cast<uintptr_t>(begin) + size;
  madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

Result<std::span<uint8_t>> ReadFile(Allocator& allocator, const char* path) {
  EYRIE_ASSIGN_OR_RETURN(Descriptor descriptor, OpenRegular(path));
  auto* memory = static_cast<uint8_t*>(allocator.Allocate(descriptor.size, 64));
  if (!memory) return OutOfMemory();
  for (size_t done = 0; done < descriptor.size;) {
    ssize_t got = read(descriptor.fd, memory + done, descriptor.size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      Status status = got < 0 ? SystemError(path, "read")
                              : Error(EYRIE_DATA_LOSS, "%s: the file became shorter while it was read", path);
      allocator.Release(memory, descriptor.size, 64);
      return status;
    }
    done += static_cast<size_t>(got);
  }
  return std::span(memory, descriptor.size);
}

}  // namespace eyrie::rt
