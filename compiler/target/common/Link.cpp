#include "compiler/target/common/Serialize.h"
#include "lld/Common/Driver.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include <mutex>

LLD_HAS_DRIVER(elf)
LLD_HAS_DRIVER(wasm)

std::string eyrie::target::linkSharedObject(llvm::ArrayRef<char> object, llvm::StringRef name, bool isWasm,
                                            llvm::SmallVectorImpl<char> &result) {
  // The linker takes files. Both names are unique to this call and both files go with it.
  llvm::SmallString<128> inputPath, outputPath;
  int inputFd;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("eyrie", "o", inputFd, inputPath))
    return "cannot create a temporary file: " + error.message();
  llvm::FileRemover removeInput(inputPath);
  {
    llvm::raw_fd_ostream file(inputFd, /*shouldClose=*/true);
    file.write(object.data(), object.size());
    file.close();
    if (file.has_error()) {
      std::string message = file.error().message();
      file.clear_error();
      return ("cannot write '" + inputPath + "': ").str() + message;
    }
  }
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("eyrie", "so", outputPath))
    return "cannot create a temporary file: " + error.message();
  llvm::FileRemover removeOutput(outputPath);

  std::string exported = ("--export=" + name).str();
  llvm::SmallVector<const char *> args = {
      "ld.lld", "-shared", "-nostdlib", "--hash-style=sysv", "-z",         "noexecstack", "-z", "undefs",
      "-z",     "norelro", "-s",        "--build-id=none",   "--threads=1"};
  if (isWasm)
    args = {"wasm-ld", "-shared",     "--experimental-pic", "--no-entry", "--unresolved-symbols=import-dynamic",
            "-s",      "--threads=1", exported.c_str()};
  args.append({"-o", outputPath.c_str(), inputPath.c_str()});
  std::string talk;
  {
    // One link at a time: the linker keeps its state in globals.
    static std::mutex mutex;
    std::lock_guard lock(mutex);
    llvm::raw_string_ostream stream(talk);
    lld::Result linked =
        lld::lldMain(args, stream, stream, {{lld::Gnu, &lld::elf::link}, {lld::Wasm, &lld::wasm::link}});
    if (linked.retCode != 0)
      return "the linker failed on '" + name.str() + "': " + talk;
  }
  auto file = llvm::MemoryBuffer::getFile(outputPath, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!file)
    return ("cannot read '" + outputPath + "': ").str() + file.getError().message();
  result.assign((*file)->getBufferStart(), (*file)->getBufferEnd());
  return {};
}
