// What a tensor function computes at one point of its result, as an expression over loop variables.
//
// A loop variable is an affine dimension, an index scalar of the function an affine symbol; every coordinate is an
// affine expression of the two. Elementwise operations are computed where their value is used; a reduction has loop
// variables of its own.
#pragma once
#include "compiler/target/cpu/Kernel.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AffineExpr.h"
#include <memory>

namespace eyrie::target::cpu {

using Point = llvm::SmallVector<mlir::AffineExpr, 4>;

struct Node;
/// One result of a node.
struct NodeResult {
  Node *node = nullptr;
  unsigned number = 0;
};

struct Node {
  enum class Kind {
    Load,      // element `point` of tensor argument `binding`
    Scalar,    // `scalar` of the tensor function
    Body,      // what the body of `generic` yields, at `dims`
    Reduction, // the same, folded over `reductionVars`; `inits` are the values before
    Guarded,   // operands[0] if all `conditions` hold, else operands[1]
  };
  Kind kind;
  unsigned binding = 0;
  Point point;
  mlir::Value scalar;
  mlir::linalg::GenericOp generic;
  Point dims;                                // the coordinate of every loop of `generic`
  llvm::SmallVector<NodeResult, 4> operands; // of Body, Reduction: one per operand, null if the body ignores it
  llvm::SmallVector<unsigned, 2> reductionVars;
  llvm::SmallVector<mlir::AffineExpr, 2> conditions; // hold where not negative
};

/// Loops that fill (a part of) one or more results.
struct Statement {
  llvm::SmallVector<unsigned, 4> vars; // loop variables, outermost first
  struct Store {
    unsigned result; // of the function
    Point point;
    NodeResult value;
  };
  llvm::SmallVector<Store, 2> stores;
};

class Program {
public:
  explicit Program(Kernel &kernel) : kernel(kernel) {}

  /// Reads the tensor function. On failure `reason` says what does not fit.
  mlir::LogicalResult read(std::string &reason);

  Kernel &kernel;
  llvm::SmallVector<Statement> statements;
  /// Sizes of loop variables, as values of the tensor function or attributes.
  llvm::SmallVector<mlir::OpFoldResult> sizes;
  llvm::SmallVector<mlir::Value> symbols;
  std::vector<std::unique_ptr<Node>> nodes;

  /// The size of a dimension of a tensor of the function; null if it cannot be told.
  mlir::OpFoldResult sizeOf(mlir::Value tensor, unsigned dim);
  /// The size of a dimension of a binding, as an index argument of the tensor function or a constant.
  mlir::OpFoldResult bindingSize(unsigned binding, unsigned dim);

private:
  NodeResult evaluate(mlir::Value tensor, const Point &point);
  NodeResult evaluateGeneric(mlir::linalg::GenericOp generic, unsigned number, const Point &point);
  NodeResult fail(const llvm::Twine &why);
  Node *create(Node::Kind kind);
  unsigned newVar(mlir::OpFoldResult size);
  mlir::AffineExpr var(unsigned index);
  /// A size or offset as an affine expression (a constant or a symbol).
  mlir::AffineExpr expr(mlir::OpFoldResult value);
  NodeResult guarded(NodeResult inside, NodeResult outside, llvm::ArrayRef<mlir::AffineExpr> conditions);

  mlir::LogicalResult addStatements(unsigned result, mlir::Value tensor);
  mlir::LogicalResult addStatement(unsigned result, mlir::Value tensor, llvm::ArrayRef<mlir::OpFoldResult> shape,
                                   llvm::ArrayRef<mlir::OpFoldResult> offsets);

  struct Known {
    mlir::Operation *op;
    Point point;
    Node *node;
  };
  llvm::SmallVector<Known> known;
  std::string why;
};

} // namespace eyrie::target::cpu
