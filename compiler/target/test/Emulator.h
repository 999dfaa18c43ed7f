// Runs kernels of other kinds of processors: a runner (runtime/testing/kernel_runner.cpp) of the preset of that kind,
// under qemu; for WebAssembly, one for Node (kernel_runner.mjs). One process runs all kernels of a test program.
#pragma once
#include "compiler/target/test/Harness.h"

namespace eyrie::target::test {

class Emulator;

/// A processor that tests compile for.
struct TestProcessor {
  std::string cpu; // for --cpu
  /// Where its code runs; null: in this process.
  Emulator *emulator = nullptr;

  std::unique_ptr<Program> compile(llvm::StringRef text, std::string &error) const;
  /// Runs all workgroups and returns their number, or -1 with the reason in `error`.
  int64_t run(Kernel &kernel, llvm::ArrayRef<Buffer> bindings, llvm::ArrayRef<int64_t> constants,
              std::string &error) const;
  /// After a run that failed: did the emulator end at what it cannot do? Says so on standard output; a test then leaves
  /// this processor out.
  bool isEmulatorToBlame(const Kernel &kernel) const;
};

/// What runs in this process: "native", and what else of its architecture this machine can run.
llvm::ArrayRef<TestProcessor> processorsHere();
/// Architectures that are emulated, as in abi/cpu_features.def.
inline const char *const emulatedArchs[] = {"x86_64", "aarch64", "riscv64", "wasm32"};
/// Processors of an architecture under emulators, the plainest first; none, and why in `reason`, where they cannot be
/// started.
std::vector<TestProcessor> emulatedProcessors(llvm::StringRef arch, std::string &reason);
/// Does $EYRIE_REQUIRE_EMULATORS say that a test must fail rather than be skipped without them?
bool emulatorsAreRequired();

/// Fails or skips a test if there are no `processors`.
#define EYRIE_NEED_PROCESSORS(processors, reason)                                                                      \
  do {                                                                                                                 \
    if ((processors).empty() && emulatorsAreRequired())                                                                \
      FAIL() << (reason);                                                                                              \
    if ((processors).empty())                                                                                          \
      GTEST_SKIP() << (reason);                                                                                        \
  } while (0)

class Emulator {
public:
  Emulator() = default;
  Emulator(const Emulator &) = delete;
  ~Emulator();

  /// Starts a runner for processors of `arch` on an emulated processor of this model (its option -cpu).
  bool start(llvm::StringRef arch, llvm::StringRef model, std::string &reason);
  /// False once the process has ended.
  bool isRunning() const { return pid > 0; }
  /// What the kernel has in it at which this emulator, not a processor, may end; empty if nothing.
  std::string weaknessAt(const Kernel &kernel) const;
  /// See TestProcessor::run.
  int64_t run(Kernel &kernel, llvm::ArrayRef<Buffer> bindings, llvm::ArrayRef<int64_t> constants, std::string &error);

private:
  bool send(const void *bytes, size_t size);
  bool receive(void *bytes, size_t size);
  /// Ends the process and says how it ended.
  std::string stop();

  int pid = 0, fd = -1;
  bool convertsTowardsZero = true; // see weaknessAt
};

} // namespace eyrie::target::test
