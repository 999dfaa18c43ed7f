#include "compiler/target/cpu/contraction/test/Interpreter.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cmath>

using namespace mlir;
using namespace eyrie::target::cpu::test;

namespace {

struct Interpreter {
  DenseMap<Value, Tensor> tensors;
  DenseMap<Value, double> scalars;

  double number(Attribute attr) {
    if (auto f = dyn_cast<FloatAttr>(attr))
      return f.getValueAsDouble();
    return double(cast<IntegerAttr>(attr).getInt());
  }
  int64_t index(OpFoldResult value) {
    if (auto attr = dyn_cast<Attribute>(value))
      return cast<IntegerAttr>(attr).getInt();
    return int64_t(scalars.lookup(cast<Value>(value)));
  }

  static int64_t offset(const Tensor &t, ArrayRef<int64_t> point) {
    int64_t at = 0;
    for (size_t i = 0; i < point.size(); ++i)
      at = at * t.shape[i] + point[i];
    return at;
  }
  static bool next(std::vector<int64_t> &point, const std::vector<int64_t> &shape) {
    for (size_t i = shape.size(); i-- > 0;) {
      if (++point[i] < shape[i])
        return true;
      point[i] = 0;
    }
    return false;
  }

  void scalar(Operation &op) {
    auto in = [&](unsigned i) { return scalars.lookup(op.getOperand(i)); };
    Value out = op.getResult(0);
    double &r = scalars[out];
    if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      r = number(constant.getValue());
      return;
    }
    double a = in(0), b = op.getNumOperands() > 1 ? in(1) : 0, c = op.getNumOperands() > 2 ? in(2) : 0;
    double &result = scalars[out];
    if (isa<arith::AddFOp, arith::AddIOp>(op))
      result = a + b;
    else if (isa<arith::SubFOp, arith::SubIOp>(op))
      result = a - b;
    else if (isa<arith::MulFOp, arith::MulIOp>(op))
      result = a * b;
    else if (isa<arith::DivFOp>(op))
      result = a / b;
    else if (isa<arith::MaximumFOp, arith::MaxSIOp>(op))
      result = std::max(a, b);
    else if (isa<arith::MinimumFOp, arith::MinSIOp>(op))
      result = std::min(a, b);
    else if (isa<arith::ExtFOp, arith::TruncFOp, arith::ExtSIOp, arith::SIToFPOp, arith::IndexCastOp>(op))
      result = a;
    else if (isa<math::AbsFOp>(op))
      result = std::fabs(a);
    else if (auto cmp = dyn_cast<arith::CmpIOp>(op))
      result = cmp.getPredicate() == arith::CmpIPredicate::slt ? a < b : a == b;
    else if (isa<arith::SelectOp>(op))
      result = a != 0 ? b : c;
    else
      llvm::report_fatal_error("the interpreter lacks an operation");
  }

  void generic(linalg::GenericOp op) {
    std::vector<int64_t> sizes(op.getNumLoops(), 0);
    for (OpOperand &operand : op->getOpOperands())
      for (auto [d, expr] : llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
        if (auto dim = dyn_cast<AffineDimExpr>(expr))
          sizes[dim.getPosition()] = tensors.lookup(operand.get()).shape[d];
    for (auto [i, init] : llvm::enumerate(op.getDpsInits()))
      tensors[op.getResult(i)] = tensors.lookup(init);
    for (int64_t size : sizes)
      if (size == 0)
        return;
    // References stay valid: nothing is added to the map of tensors below.
    SmallVector<Tensor *> operands;
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    for (OpOperand &operand : op->getOpOperands())
      operands.push_back(op.isDpsInput(&operand)
                             ? (isa<ShapedType>(operand.get().getType()) ? &tensors[operand.get()] : nullptr)
                             : &tensors[op.getTiedOpResult(&operand)]);
    std::vector<int64_t> point(sizes.size(), 0);
    do {
      SmallVector<int64_t> at;
      for (auto [number, operand] : llvm::enumerate(operands)) {
        Value argument = op.getBlock()->getArgument(number);
        if (!operand) {
          scalars[argument] = scalars.lookup(op->getOperand(number));
          at.push_back(0);
          continue;
        }
        SmallVector<int64_t> coordinates = maps[number].compose(ArrayRef<int64_t>(point));
        at.push_back(offset(*operand, coordinates));
        if (int64_t(number) < op.getNumDpsInputs() || op.payloadUsesValueFromOperand(&op->getOpOperand(number)))
          scalars[argument] = operand->data[at.back()];
      }
      for (Operation &inner : op.getBlock()->without_terminator()) {
        if (auto indexOp = dyn_cast<linalg::IndexOp>(inner))
          scalars[inner.getResult(0)] = double(point[indexOp.getDim()]);
        else
          scalar(inner);
      }
      for (auto [i, value] : llvm::enumerate(op.getBlock()->getTerminator()->getOperands()))
        operands[op.getNumDpsInputs() + i]->data[at[op.getNumDpsInputs() + i]] = scalars.lookup(value);
    } while (next(point, sizes));
  }

  void run(Operation &op) {
    if (auto empty = dyn_cast<tensor::EmptyOp>(op)) {
      Tensor t;
      for (OpFoldResult size : empty.getMixedSizes())
        t.shape.push_back(index(size));
      t.data.assign(t.size(), 0);
      tensors[empty] = t;
    } else if (auto fill = dyn_cast<linalg::FillOp>(op)) {
      Tensor t = tensors.lookup(fill.getOutputs()[0]);
      t.data.assign(t.size(), scalars.lookup(fill.getInputs()[0]));
      tensors[fill.getResult(0)] = t;
    } else if (auto g = dyn_cast<linalg::GenericOp>(op)) {
      generic(g);
    } else if (auto dim = dyn_cast<tensor::DimOp>(op)) {
      scalars[dim] = double(tensors.lookup(dim.getSource()).shape[*dim.getConstantIndex()]);
    } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
      Tensor source = tensors.lookup(slice.getSource()), t;
      std::vector<int64_t> sizes;
      llvm::SmallBitVector dropped = slice.getDroppedDims();
      for (auto [i, size] : llvm::enumerate(slice.getMixedSizes())) {
        sizes.push_back(index(size));
        if (!dropped[i])
          t.shape.push_back(sizes.back());
      }
      std::vector<int64_t> point(sizes.size(), 0);
      if (t.size())
        do {
          SmallVector<int64_t> from;
          for (size_t i = 0; i < point.size(); ++i)
            from.push_back(index(slice.getMixedOffsets()[i]) + point[i] * index(slice.getMixedStrides()[i]));
          t.data.push_back(source.data[offset(source, from)]);
        } while (next(point, sizes));
      tensors[slice] = t;
    } else if (auto unpack = dyn_cast<linalg::UnPackOp>(op)) {
      Tensor source = tensors.lookup(unpack.getSource()), t = tensors.lookup(unpack.getDest());
      std::vector<int64_t> point(t.shape.size(), 0);
      if (t.size())
        do {
          SmallVector<int64_t> from;
          for (int64_t dim : unpack.getOuterDimsPerm())
            from.push_back(dim == unpack.getInnerDimsPos()[0] ? point[dim] / unpack.getStaticInnerTiles()[0]
                                                              : point[dim]);
          from.push_back(point[unpack.getInnerDimsPos()[0]] % unpack.getStaticInnerTiles()[0]);
          t.data[offset(t, point)] = source.data[offset(source, from)];
        } while (next(point, t.shape));
      tensors[unpack.getResult()] = t;
    } else if (auto constant = dyn_cast<arith::ConstantOp>(op); constant && isa<ShapedType>(constant.getType())) {
      Tensor t;
      t.shape = cast<ShapedType>(constant.getType()).getShape();
      t.data.assign(t.size(), number(cast<DenseElementsAttr>(constant.getValue()).getSplatValue<Attribute>()));
      tensors[constant] = t;
    } else {
      scalar(op);
    }
  }
};

} // namespace

std::vector<Tensor> eyrie::target::cpu::test::interpret(func::FuncOp func, const std::vector<Tensor> &tensors,
                                                        const std::vector<int64_t> &indices) {
  Interpreter interpreter;
  for (auto [i, tensor] : llvm::enumerate(tensors))
    interpreter.tensors[func.getArgument(i)] = tensor;
  for (auto [i, value] : llvm::enumerate(indices))
    interpreter.scalars[func.getArgument(tensors.size() + i)] = double(value);
  for (Operation &op : func.front().without_terminator())
    interpreter.run(op);
  std::vector<Tensor> results;
  for (Value value : func.front().getTerminator()->getOperands())
    results.push_back(interpreter.tensors.lookup(value));
  return results;
}
