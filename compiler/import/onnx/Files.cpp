#include "compiler/import/onnx/Files.h"
#include "compiler/import/onnx/Text.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

namespace path = llvm::sys::path;
namespace fs = llvm::sys::fs;
using llvm::Expected;
using llvm::StringRef;

namespace eyrie::import::onnx {

template <typename... Args> static llvm::Error refuse(const char *format, Args &&...args) {
  return llvm::createStringError(llvm::formatv(format, std::forward<Args>(args)...).str());
}

Expected<std::shared_ptr<llvm::MemoryBuffer>> mapFile(StringRef file) {
  fs::file_status status;
  if (std::error_code error = fs::status(file, status))
    return refuse("cannot open {0}: {1}", quote(file), error.message());
  if (status.type() == fs::file_type::directory_file)
    return refuse("{0} is a directory, not a file", quote(file));
  if (status.type() != fs::file_type::regular_file)
    return refuse("{0} is not a regular file", quote(file));
  auto handle = fs::openNativeFileForRead(file);
  if (!handle)
    return refuse("cannot open {0}: {1}", quote(file), llvm::toString(handle.takeError()));
  auto buffer = llvm::MemoryBuffer::getOpenFile(*handle, file, status.getSize(), /*RequiresNullTerminator=*/false);
  fs::closeFile(*handle);
  if (!buffer)
    return refuse("cannot read {0}: {1}", quote(file), buffer.getError().message());
  return std::shared_ptr<llvm::MemoryBuffer>(std::move(*buffer));
}

Expected<std::shared_ptr<llvm::MemoryBuffer>> Files::open(StringRef location) {
  if (location.empty())
    return refuse("the location of the external data is empty");
  if (location.contains('\0'))
    return refuse("the location {0} of the external data holds a zero byte", quote(location));
  if (path::is_absolute(location) || location.starts_with("\\") || location.contains(":\\"))
    return refuse("the location {0} of the external data is absolute; it must be relative to the model's folder",
                  quote(location));
  for (StringRef part : llvm::make_range(path::begin(location), path::end(location)))
    if (part == "..")
      return refuse("the location {0} of the external data leads out of the model's folder", quote(location));

  llvm::SmallString<256> file(path::parent_path(modelPath));
  if (file.empty())
    file = ".";
  // Every step of the way must be a plain folder or file: a link could lead anywhere.
  fs::file_status status;
  for (StringRef part : llvm::make_range(path::begin(location), path::end(location))) {
    path::append(file, part);
    if (std::error_code error = fs::status(file, status, /*follow=*/false))
      return refuse("cannot open the external data {0}: {1}; it must lie beside the model", quote(location),
                    error.message());
    if (status.type() == fs::file_type::symlink_file)
      return refuse("the external data {0} is a symbolic link, which is not followed; put the file itself there",
                    quote(location));
  }
  if (status.type() == fs::file_type::regular_file && status.getLinkCount() > 1)
    return refuse(
        "the external data {0} is a hard link to a file with other names, which is not read; put a copy there",
        quote(location));
  return mapFile(file);
}

Expected<Bytes> Files::external(StringRef location, int64_t offset, int64_t length) {
  std::shared_ptr<llvm::MemoryBuffer> &file = opened[location];
  if (!file) {
    auto result = open(location);
    if (!result)
      return result.takeError();
    file = *result;
  }
  int64_t size = file->getBufferSize();
  if (offset < 0 || offset > size)
    return refuse("the external data {0} has {1} bytes, but the tensor begins at offset {2}", quote(location), size,
                  offset);
  if (length < 0)
    length = size - offset;
  if (length > size - offset)
    return refuse("the external data {0} has {1} bytes, but the tensor needs {2} bytes from offset {3}",
                  quote(location), size, length, offset);
  return Bytes{llvm::ArrayRef<char>(file->getBufferStart() + offset, length), file};
}

void Origins::add(std::string name, std::shared_ptr<llvm::MemoryBuffer> buffer, StringRef path) {
  const char *start = buffer->getBufferStart();
  Origin &origin = byStart.try_emplace(start, Origin{std::move(name), std::move(buffer), Files(path)}).first->second;
  if (!first)
    first = &origin;
}

Origin &Origins::of(StringRef part) {
  auto next = byStart.upper_bound(part.data());
  return next == byStart.begin() ? *first : std::prev(next)->second;
}

} // namespace eyrie::import::onnx
