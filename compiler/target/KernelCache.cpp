#include "compiler/target/KernelCache.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"

#include <dlfcn.h>
#include <unistd.h>

using namespace eyrie::target;
using llvm::ArrayRef;
using llvm::StringRef;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

namespace {
// A file: the mark, a digest of what follows, three sizes (local memory, workgroups, object), the two texts.
constexpr StringRef kMark = "eyrie kernel 1\n";
constexpr size_t kDigestBytes = 32, kSizes = 3, kHeadBytes = kMark.size() + kDigestBytes + kSizes * 8;
constexpr StringRef kSuffix = ".kernel";

std::string digest(StringRef bytes) {
  llvm::BLAKE3 hash;
  hash.update(bytes);
  auto result = hash.final<kDigestBytes>();
  return std::string(result.begin(), result.end());
}

/// What tells a program or a library from any other: the file that holds the code at an address. Empty if that is not
/// known for certain.
std::string identityOf(const void *code) {
  Dl_info info;
  fs::file_status status;
  if (!dladdr(code, &info) || !info.dli_fname || !path::is_absolute(info.dli_fname) ||
      fs::status(info.dli_fname, status))
    return "";
  return std::to_string(status.getSize()) + " " + std::to_string(status.getUniqueID().getDevice()) + " " +
         std::to_string(status.getUniqueID().getFile()) + " " +
         std::to_string(status.getLastModificationTime().time_since_epoch().count());
}

/// Of this compiler, of MLIR and of LLVM, which may be libraries of their own.
std::string findIdentity() {
  std::string all = LLVM_VERSION_STRING;
  auto isEffectFree = static_cast<bool (*)(mlir::Operation *)>(&mlir::isMemoryEffectFree);
  for (const void *code : {reinterpret_cast<const void *>(&identityOf), reinterpret_cast<const void *>(isEffectFree),
                           reinterpret_cast<const void *>(&llvm::sys::getDefaultTargetTriple)}) {
    std::string one = identityOf(code);
    if (one.empty())
      return "";
    all += "\n" + one;
  }
  return all;
}

const std::string &identity() {
  static const std::string found = findIdentity();
  return found;
}

bool isTrusted(StringRef folder) {
  fs::file_status status;
  if (fs::status(folder, status) || status.type() != fs::file_type::directory_file || status.getUser() != geteuid())
    return false;
  return (status.permissions() & (fs::group_write | fs::others_write)) == fs::no_perms;
}
} // namespace

KernelCache::KernelCache(StringRef given, uint64_t mostBytes) : mostBytes(mostBytes) {
  if (given.empty() || identity().empty() || fs::create_directories(given, /*IgnoreExisting=*/true, fs::owner_all) ||
      !isTrusted(given))
    return;
  folder = given.str();
}

std::string KernelCache::defaultFolder() {
  if (auto folder = llvm::sys::Process::GetEnv("EYRIE_CACHE_DIR"))
    return *folder;
  llvm::SmallString<256> folder;
  if (!path::cache_directory(folder))
    return "";
  path::append(folder, "eyrie");
  return folder.str().str();
}

std::string KernelCache::keyOf(ArrayRef<StringRef> parts) {
  llvm::BLAKE3 hash;
  auto add = [&](StringRef part) {
    uint8_t size[8];
    llvm::support::endian::write64le(size, part.size());
    hash.update(ArrayRef<uint8_t>(size));
    hash.update(part);
  };
  add(identity());
  for (StringRef part : parts)
    add(part);
  auto result = hash.final<kDigestBytes>();
  return llvm::toHex(ArrayRef<uint8_t>(result), /*LowerCase=*/true);
}

std::string KernelCache::pathOf(StringRef key) const {
  llvm::SmallString<256> file(folder);
  path::append(file, key.take_front(2), key.drop_front(2) + kSuffix);
  return file.str().str();
}

std::optional<KernelCache::Kernel> KernelCache::find(StringRef key) const {
  if (!isUsed())
    return std::nullopt;
  auto file = llvm::MemoryBuffer::getFile(pathOf(key), /*IsText=*/false, /*RequiresNullTerminator=*/false,
                                          /*IsVolatile=*/true);
  if (!file)
    return std::nullopt;
  StringRef bytes = (*file)->getBuffer();
  if (bytes.size() < kHeadBytes || !bytes.starts_with(kMark))
    return std::nullopt;
  StringRef checked = bytes.drop_front(kMark.size() + kDigestBytes);
  if (bytes.substr(kMark.size(), kDigestBytes) != digest(checked))
    return std::nullopt;
  auto size = [&](size_t i) { return llvm::support::endian::read64le(checked.data() + 8 * i); };
  StringRef texts = checked.drop_front(kSizes * 8);
  if (size(1) > texts.size() || texts.size() - size(1) != size(2))
    return std::nullopt;
  StringRef object = texts.drop_front(size(1));
  // What is used stays longest.
  int descriptor = -1;
  if (!fs::openFileForReadWrite(pathOf(key), descriptor, fs::CD_OpenExisting, fs::OF_None)) {
    (void)fs::setLastAccessAndModificationTime(descriptor, std::chrono::system_clock::now());
    (void)llvm::sys::Process::SafelyCloseFileDescriptor(descriptor);
  }
  return Kernel{static_cast<int64_t>(size(0)), texts.take_front(size(1)).str(), {object.begin(), object.end()}};
}

void KernelCache::store(StringRef key, const Kernel &kernel) const {
  if (!isUsed())
    return;
  std::string content;
  for (uint64_t size :
       {uint64_t(kernel.localMemory), uint64_t(kernel.workgroups.size()), uint64_t(kernel.object.size())}) {
    char bytes[8];
    llvm::support::endian::write64le(bytes, size);
    content.append(bytes, sizeof(bytes));
  }
  content += kernel.workgroups;
  content.append(kernel.object.begin(), kernel.object.end());

  std::string file = pathOf(key);
  if (fs::create_directories(path::parent_path(file), /*IgnoreExisting=*/true, fs::owner_all))
    return;
  auto temporary = fs::TempFile::create(file + "-%%%%%%%%", fs::owner_read | fs::owner_write);
  if (!temporary) {
    llvm::consumeError(temporary.takeError());
    return;
  }
  {
    llvm::raw_fd_ostream os(temporary->FD, /*shouldClose=*/false);
    os << kMark << digest(content) << content;
    os.flush();
    if (os.has_error()) {
      os.clear_error();
      llvm::consumeError(temporary->discard());
      return;
    }
  }
  llvm::consumeError(temporary->keep(file));
  constexpr StringRef oneOf256 = "00";
  if (key.starts_with(oneOf256))
    evict();
}

void KernelCache::evict() const {
  struct File {
    llvm::sys::TimePoint<> used;
    uint64_t size;
    std::string path;
  };
  std::vector<File> files;
  uint64_t total = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    auto status = at->status();
    if (!status || status->type() != fs::file_type::regular_file || !StringRef(at->path()).ends_with(kSuffix))
      continue;
    files.push_back({status->getLastModificationTime(), status->getSize(), at->path()});
    total += status->getSize();
  }
  if (total <= mostBytes)
    return;
  llvm::sort(files, [](const File &a, const File &b) { return a.used < b.used; });
  for (const File &file : files) {
    if (total <= mostBytes / 4 * 3) // well below, not to come again soon
      return;
    if (!fs::remove(file.path))
      total -= file.size;
  }
}
