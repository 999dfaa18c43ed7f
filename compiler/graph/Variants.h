// The code of an executable: variants of it for different processors, in the attribute `variants` of the executable.
#pragma once
#include "compiler/graph/Graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace eyrie::graph {

struct Variant {
  mlir::StringAttr format;            // of the object, as in the module file: "elf-x86_64"
  uint64_t features = 0;              // what it needs of the processor: bits of abi/cpu_features.def
  int64_t localMemory = 0;            // bytes for every running workgroup
  mlir::ElementsAttr object;          // tensor of i8
  mlir::FlatSymbolRefAttr workgroups; // a function of the executable: index arguments to numbers of workgroups

  bool operator==(const Variant &) const = default;
};

/// Best first: the loader takes the first that the processor can run. None before a target has compiled the executable.
llvm::SmallVector<Variant> getVariants(ExecutableOp executable);
void setVariants(ExecutableOp executable, llvm::ArrayRef<Variant> variants);

} // namespace eyrie::graph
