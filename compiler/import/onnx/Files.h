// Files of a model: mapped read-only, alive as long as a weight refers to them, and never outside the model's folder.
#pragma once
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include <map>
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

/// Where parsed bytes come from: the model, a library of functions, or the expansion of a node.
struct Origin {
  std::string name; // of the file, or what it is instead
  std::shared_ptr<llvm::MemoryBuffer> buffer;
  Files files; // beside it
};

/// All that were parsed in one import. What was parsed are views of its bytes, by which it finds back to its origin.
class Origins {
public:
  /// `path`: whose folder has its external data.
  void add(std::string name, std::shared_ptr<llvm::MemoryBuffer> buffer, llvm::StringRef path);
  /// The first one for what lies in none of them: empty messages.
  Origin &of(llvm::StringRef part);

private:
  std::map<const char *, Origin> byStart;
  Origin *first = nullptr;
};

} // namespace eyrie::import::onnx
