// What a contraction-like executable computes, in a form from which register-tiled code is emitted directly: loops,
// and for every tensor that is read or written an address that is linear in the loops.
#pragma once
#include "compiler/graph/Forms.h"
#include "compiler/graph/SizeFacts.h"
#include "compiler/target/cpu/contraction/DotProduct.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace eyrie::target::cpu {

/// A product of an integer and of index values of the function (its `index` arguments, or values computed from them).
/// Symbols are sorted, so that equal products compare equal.
struct Monomial {
  int64_t factor = 0;
  llvm::SmallVector<mlir::Value, 2> symbols;

  Monomial() = default;
  Monomial(int64_t factor) : factor(factor) {}
  static Monomial symbol(mlir::Value value);
  bool isConstant() const { return symbols.empty() || factor == 0; }
  bool isZero() const { return factor == 0; }
  bool isOne() const { return factor == 1 && symbols.empty(); }
  bool operator==(const Monomial &other) const;
  bool operator!=(const Monomial &other) const { return !(*this == other); }
  Monomial operator*(const Monomial &other) const;
};

struct Loop {
  Monomial size;
  bool isReduction;
  graph::SizeFacts facts = {}; // of the size; filled by collapseLoops
};

/// A function of the loops: sum(base) + sum(strides[l] * loop l). Where `tile` is not 0, loop `tiledLoop` counts as
/// `strides[tiledLoop]` inside a tile of `tile` iterations and as `tileStride` from tile to tile (a packed operand).
/// Likewise loop `groupedLoop` where `group` is not 0: a reduction whose steps are packed in groups.
struct LinearFunction {
  llvm::SmallVector<Monomial, 2> base;
  llvm::SmallVector<Monomial, 6> strides;
  int64_t tile = 0;
  unsigned tiledLoop = 0;
  Monomial tileStride;
  int64_t group = 0;
  unsigned groupedLoop = 0;
  Monomial groupStride;
  /// Counts the plan's rows from the first of the workgroup's block: an address in local memory.
  bool isInBlock = false;

  bool dependsOn(unsigned loop) const { return !strides[loop].isZero(); }
};

/// An expression that has a value at each point of the loops.
struct Expression {
  enum class Kind {
    Load,        // the element of binding `binding` at `function`
    Constant,    // `constant`
    Body,        // yield number `result` of `generic`'s body, whose inputs are `operands`
    Accumulator, // the value of the reduction
  };
  Kind kind;
  // Load
  unsigned binding = 0;
  LinearFunction function;
  mlir::Type element; // what the elements are, where the memory has a wider type; else null
  // Constant: an attribute, or (if null) a scalar value that the function computes from its index arguments
  mlir::TypedAttr constant;
  // Body
  mlir::linalg::GenericOp generic;
  unsigned result = 0;
  // One per block argument, null if the body does not use it; then one per tensor.extract.
  llvm::SmallVector<Expression *, 4> operands;
  std::vector<LinearFunction> indices; // one per loop of `generic`: the value of linalg.index
};

/// Elements around a result that the loops do not reach, in each dimension `low` at the beginning and `high` at the
/// end.
struct Border {
  llvm::SmallVector<Monomial> sizes; // of the result, the border included
  llvm::SmallVector<int64_t> low, high;
  mlir::TypedAttr value;
};

struct Output {
  unsigned binding;
  LinearFunction function;
  Expression *value;
  std::optional<Border> border;
};

/// A reduction that is computed in groups of steps by dot products: `loop`, whose size is then that of its groups.
struct Dot {
  DotProduct product;
  const Expression *scalars, *vectors; // the operand that is the same in all columns, and the packed one
  unsigned loop;
  int64_t groups, rest; // whole groups, and steps behind them
};

/// A function whose root is one linalg.generic with reductions, and elementwise operations after it, whose results may
/// be padded with a constant.
struct Contraction {
  mlir::linalg::GenericOp root;
  llvm::SmallVector<Loop> loops;
  llvm::SmallVector<Expression *> inputs; // of the root; null where its body does not use one
  Expression *init = nullptr;
  std::vector<Output> outputs;
  std::optional<Dot> dot;
  std::vector<std::unique_ptr<Expression>> expressions; // owns all of the above

  bool hasBorder() const {
    return llvm::any_of(outputs, [](const Output &output) { return output.border.has_value(); });
  }
  /// Every address and index of the contraction.
  void forEachFunction(llvm::function_ref<void(LinearFunction &)> callback);
};

/// Can every body among the expressions be evaluated (BodyEvaluator.h)? If not, `reason` says what cannot.
bool canEvaluateBodies(const Contraction &contraction, std::string &reason);

/// Reads `func`, an executable's function on tensors. On failure `reason` says what does not fit.
mlir::FailureOr<Contraction> analyseContraction(mlir::func::FuncOp func, std::string &reason);

/// A convolution by Winograd's method (graph/ConvertWinograd.cpp): of each of its operations what the kernel reads.
struct WinogradKernel {
  Contraction tiles;   // loops (i, j, n, ty, tx, c, a, b); inputs[2] is the image
  Contraction filter;  // loops (i, j, c, o, ky, kx); inputs[2] is the filter
  Contraction outputs; // loops (n, y, x, o, i, j); no inputs, but what follows the sum
};

mlir::FailureOr<WinogradKernel> analyseWinograd(mlir::func::FuncOp func, std::string &reason);

/// Attention (graph/Forms.h). Its rows lie in local memory, a block of them at a time: `scores` has it for its result,
/// `sums` for an operand, as binding number `rowsBinding`.
struct AttentionKernel {
  graph::Attention parts;
  Contraction scores, sums; // without loops of size 1
  /// For each dimension of the rows' tensor but the last the loop of `scores` and of `sums`; none if of size 1.
  llvm::SmallVector<std::array<std::optional<unsigned>, 2>> dims;
  /// What the functions of rows read from outside: loads at the points of `scores`.
  llvm::DenseMap<mlir::OpOperand *, Expression *> operands;
  std::optional<unsigned> column; // the loop of `scores` along a row
  int64_t mostKeys;
};
/// `pitchOf` gives the distance between rows in local memory, for the most elements that a row may have and their type.
mlir::FailureOr<AttentionKernel> analyseAttention(mlir::func::FuncOp func,
                                                  llvm::function_ref<int64_t(int64_t, mlir::Type)> pitchOf,
                                                  std::string &reason);

} // namespace eyrie::target::cpu
