// Files of a model: mapped read-only, alive as long as a weight refers to them, and never outside the model's folder.
#pragma once
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>
#include <string>

namespace eyrie::import::onnx {

/// Bytes of a file and who keeps them mapped.
struct Bytes {
  llvm::ArrayRef<char> data;
  std::shared_ptr<llvm::MemoryBuffer> owner;
};

/// Maps regular files only (a directory, device or pipe is an error, as is a file that cannot be read).
llvm::Expected<std::shared_ptr<llvm::MemoryBuffer>> mapFile(llvm::StringRef path);

/// The model file and the external data files beside it.
class Files {
public:
  explicit Files(llvm::StringRef modelPath) : modelPath(modelPath) {}

  /// The part [offset, offset + length) of the external file `location`, a path relative to the model's folder;
  /// `length` of -1: up to the end. Refuses absolute paths, `..`, links and whatever leads out of the folder.
  llvm::Expected<Bytes> external(llvm::StringRef location, int64_t offset, int64_t length);

private:
  llvm::Expected<std::shared_ptr<llvm::MemoryBuffer>> open(llvm::StringRef location);

  std::string modelPath;
  llvm::StringMap<std::shared_ptr<llvm::MemoryBuffer>> opened;
};

} // namespace eyrie::import::onnx
