// The frame of a kernel between the tensor level and LLVM.
//
//   func.func @fc(%x: tensor<?x8xf32>, %w: tensor<8xf32>, %n: index) -> tensor<?x8xf32> {graph.arg_dims = [[0], []], …}
// becomes
//   func.func @fc(%x: memref<?x8xf32>, %w: memref<8xf32>, %result: memref<?x8xf32>, %n: index,
//                 %wx: index, %wy: index, %wz: index, %local: memref<?xi8>) attributes {eyrie.kernel}
//   func.func @fc_workgroups(%n: index) -> (index, index, index)
//
// Bindings are memrefs with the identity layout (row-major, dense); no result overlaps another binding. Elements are as
// on tensors, i1 too (stored as one byte each). memref.dim of a binding folds to a constant or an index argument when
// the kernel is converted, so both ways of naming a size are as good. `%local` is 64-byte aligned.
// The conversion to LLVM (target/common) makes it a function of the kernel ABI (abi/kernel.h). It accepts func, scf,
// cf, arith, math, index, affine.apply/min/max, memref, vector (load, store, maskedload, maskedstore, fma, broadcast,
// reduction, shuffle, extract, insert, create_mask, bitcast, from_elements, transpose …) and llvm.
#pragma once
#include "compiler/target/cpu/CpuTargetModel.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace eyrie::target::cpu {

class Kernel {
public:
  /// Creates the two functions, empty but for their terminators, after `tensorFunc`, which keeps its body and is
  /// renamed to `<name>.tensor`. Whoever lowers it reads the one and fills the other; the frame erases the former.
  static Kernel create(mlir::func::FuncOp tensorFunc);
  /// Takes it all back, so that another way of lowering can be tried.
  void abandon();

  mlir::func::FuncOp tensorFunc, func, workgroups;

  unsigned numArguments() const { return numArgs; } // tensors
  unsigned numResults() const { return mlir::func::FuncOp(tensorFunc).getNumResults(); }
  unsigned numConstants() const { return numIndices; }
  /// Tensor argument `i`.
  mlir::Value argument(unsigned i) { return func.getArgument(i); }
  mlir::Value result(unsigned i) { return func.getArgument(numArgs + i); }
  /// Any binding: arguments, then results.
  mlir::Value binding(unsigned i) { return func.getArgument(i); }
  /// Index scalar `k`, in the kernel and in the workgroup function.
  mlir::Value constant(unsigned k) { return func.getArgument(numArgs + numResults() + k); }
  mlir::Value workgroupsConstant(unsigned k) { return workgroups.getArgument(k); }
  /// Workgroup id, 0 = x.
  mlir::Value workgroupId(unsigned dim) { return func.getArgument(numArgs + numResults() + numIndices + dim); }
  /// Private memory of the workgroup, as bytes.
  mlir::Value local() { return func.getArgument(numArgs + numResults() + numIndices + 3); }
  /// Asks for `bytes` of private memory in all.
  void setLocalBytes(int64_t bytes);

  /// A builder at the end of the kernel's body, before the return.
  mlir::OpBuilder bodyBuilder();
  /// A builder at the end of the workgroup function, before its return.
  mlir::OpBuilder workgroupsBuilder();
  /// Sets the grid; missing dimensions are 1. Values belong to the workgroup function.
  void setWorkgroups(llvm::ArrayRef<mlir::Value> xyz);
  /// The kernel index argument or constant that is the size of dimension `dim` of binding `i`; `inWorkgroups` chooses
  /// for which of the two functions.
  mlir::OpFoldResult bindingSize(unsigned i, unsigned dim, bool inWorkgroups = false);

private:
  unsigned numArgs = 0, numIndices = 0;
};

/// Lowers a contraction-like kernel (compiler/target/cpu/contraction). Fails without a diagnostic, and with the
/// kernel's functions untouched, if `kernel.tensorFunc` is not one that it handles; `reason` then says why.
mlir::LogicalResult lowerContraction(Kernel &kernel, const CpuTargetModel &model, std::string &reason);

} // namespace eyrie::target::cpu
