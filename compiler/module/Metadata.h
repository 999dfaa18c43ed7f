// The parts of a module file that are built in memory, and the weights that are not.
#pragma once
#include "compiler/module/Module.h"
#include "compiler/stream/Weights.h"
#include "compiler/vm/Vm.h"
#include "llvm/ADT/SmallVector.h"
#include <map>

namespace eyrie::module {

/// The objects of all executables, each at a multiple of 64, equal ones once.
class Objects {
public:
  struct Place {
    uint64_t offset, size;
  };
  /// Fails without a diagnostic if it is not a tensor of i8.
  mlir::FailureOr<Place> add(mlir::ElementsAttr object);
  llvm::ArrayRef<char> bytes() const { return section; }

private:
  llvm::SmallVector<char, 0> section;
  std::multimap<uint64_t, Place> known; // by a hash of the bytes
};

/// The module.fbs section; adds the module's objects to `objects`.
mlir::FailureOr<llvm::SmallVector<char, 0>> buildMetadata(mlir::ModuleOp module, const vm::Program &program,
                                                          const WriteOptions &options, Objects &objects);

/// Writes a file's bytes; false if it has emitted an error.
using FileWriter = llvm::function_ref<mlir::LogicalResult(llvm::raw_ostream &os)>;

/// Writes to a temporary file that then takes the place of `path` (see writeModule).
mlir::LogicalResult writeFile(mlir::ModuleOp module, llvm::StringRef path, FileWriter write);

/// The weights section, as pieces of the model's memory.
class Weights {
public:
  static mlir::FailureOr<Weights> collect(mlir::ModuleOp module);

  bool isPresent() const { return present; }
  int64_t size() const { return bytes; }
  /// Calls `sink` with consecutive parts of the section.
  void forEachPart(llvm::function_ref<void(llvm::ArrayRef<char>)> sink) const;
  /// CRC-32C of every kWeightChunk bytes.
  std::vector<uint32_t> computeChecks() const;

private:
  struct Piece {
    int64_t offset;
    stream::WeightContent content;
  };
  std::vector<Piece> pieces; // by ascending offset
  int64_t bytes = 0;
  bool present = false;
};

} // namespace eyrie::module
