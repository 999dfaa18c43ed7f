// Compiles the executables of an .mlir text and runs them in this process.
#pragma once
#include "abi/kernel.h"
#include "compiler/target/Target.h"
#include <memory>
#include <string>
#include <vector>

namespace eyrie::target::test {

/// A tensor's bytes, with guard bytes behind them that `intact` checks.
class Buffer {
public:
  explicit Buffer(size_t bytes);
  uint8_t *data() const { return storage.get(); }
  size_t size() const { return bytes; }
  bool intact() const;

private:
  struct Free {
    void operator()(uint8_t *pointer) const { free(pointer); }
  };
  size_t bytes;
  std::unique_ptr<uint8_t, Free> storage;
};

struct Kernel {
  ~Kernel();
  std::string name;
  mlir::func::FuncOp tensorFunc, workgroups;
  int64_t localBytes = 0;
  uint64_t features = 0;        // abi/cpu_features.def
  eyrie_kernel entry = nullptr; // in this process; null if the code was compiled for another
  void *library = nullptr;
  std::string object;
};

/// Owns a module and the code of its executables.
class Program {
public:
  /// Null, with the diagnostics in `error`, if it does not parse or compile. With a `target`, for that one instead of
  /// the one that `options` name.
  static std::unique_ptr<Program> compile(llvm::StringRef text, const TargetOptions &options, std::string &error,
                                          bool parallel = false, const Target *target = nullptr);
  /// The same for code that another process will run (Emulator.h).
  static std::unique_ptr<Program> compileForAnother(llvm::StringRef text, const TargetOptions &options,
                                                    std::string &error);
  std::vector<std::unique_ptr<Kernel>> kernels;
  double seconds = 0; // compile time

  mlir::MLIRContext *context() { return ctx.get(); }

private:
  static std::unique_ptr<Program> compileKernels(llvm::StringRef text, const TargetOptions &options, std::string &error,
                                                 bool parallel, const Target *target = nullptr);
  /// Loads the kernels into this process; an error text, or nothing.
  std::string load();

  std::unique_ptr<mlir::MLIRContext> ctx;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

/// Shape and element type of tensor argument or result `i` (results after arguments) for these index arguments.
struct BindingType {
  std::vector<int64_t> shape;
  mlir::Type element;
  size_t elements() const;
  size_t elementBytes() const;
};
std::vector<BindingType> bindingTypes(Kernel &kernel, llvm::ArrayRef<int64_t> constants);

/// Runs all workgroups, in an order that hides no dependence. Returns the number of workgroups, -1 on an error code.
int64_t run(Kernel &kernel, llvm::ArrayRef<void *> bindings, llvm::ArrayRef<int64_t> constants);

/// Evaluates a function of index arithmetic.
std::vector<int64_t> evaluate(mlir::func::FuncOp func, llvm::ArrayRef<int64_t> args);

} // namespace eyrie::target::test
