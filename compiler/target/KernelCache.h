// Compiled kernels, kept from one compilation to the next in a folder that several processes may use at once. Native
// code is trusted: only a folder that nobody else may write to is used.
#pragma once
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>

namespace eyrie::target {

class KernelCache {
public:
  struct Kernel {
    int64_t localMemory = 0;
    std::string workgroups; // the function that counts them, as IR
    llvm::SmallVector<char, 0> object;
  };

  /// An empty name keeps nothing, as does a folder that cannot be made or trusted.
  explicit KernelCache(llvm::StringRef folder, uint64_t mostBytes = 512 << 20);
  bool isUsed() const { return !folder.empty(); }

  /// The name of a kernel: a digest of all that it depends on, this very compiler included.
  static std::string keyOf(llvm::ArrayRef<llvm::StringRef> parts);
  /// Nothing if there is no such file, or if it is damaged.
  std::optional<Kernel> find(llvm::StringRef key) const;
  /// Writes a file whole or not at all. Fails without a word: the kernel will be compiled again.
  void store(llvm::StringRef key, const Kernel &kernel) const;

  /// $EYRIE_CACHE_DIR, else `eyrie` in the user's folder for caches; empty if there is none.
  static std::string defaultFolder();

  /// Removes what was used longest ago if the files take more than `mostBytes`. Now and then `store` does so.
  void evict() const;

private:
  std::string pathOf(llvm::StringRef key) const;
  std::string folder;
  uint64_t mostBytes;
};

} // namespace eyrie::target
