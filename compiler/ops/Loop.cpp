#include "compiler/ops/Loop.h"
#include "compiler/graph/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

Tensor tied(Builder &b, Value v, ArrayRef<Dim> shape, bool isUnsigned) {
  Tensor t;
  t.elementType = cast<RankedTensorType>(v.getType()).getElementType();
  t.isUnsigned = isUnsigned;
  t.shape = Dims(shape);
  bool isStatic = cast<RankedTensorType>(v.getType()).hasStaticShape();
  t.value = isStatic ? v : graph::ReshapeOp::create(b.builder, b.loc, t.type(), v, b.dynamicSizes(shape)).getResult();
  return t;
}

Tensor tied(Builder &b, Value v, ArrayRef<Dim> shape, const Tensor &like) { return marked(tied(b, v, shape), like); }

Value handedOn(Builder &b, const Tensor &t, RankedTensorType type) {
  Value v = b.value(t);
  if (v.getType() == type)
    return v;
  SmallVector<Value> dims;
  for (auto [size, d] : llvm::zip_equal(type.getShape(), t.shape))
    if (ShapedType::isDynamic(size))
      dims.push_back(b.index(d));
  return graph::ReshapeOp::create(b.builder, b.loc, type, v, dims);
}

Tensor rowOf(Builder &b, const Tensor &x, Dim index) {
  Dims shape = x.shape;
  shape[0] = 1;
  Tensor part = x;
  part.shape = shape;
  Value source = b.value(x), offset = b.index(index);
  Value row = graph::SliceOp::create(b.builder, b.loc, part.type(), source, offset, b.dynamicSizes(shape));
  return b.reshape(marked(fromValue(row, shape), x), ArrayRef(x.shape).drop_front());
}

Tensor withRow(Builder &b, const Tensor &x, const Tensor &row, Dim index) {
  Dims shape{Dim(1)};
  llvm::append_range(shape, row.shape);
  Value whole = b.value(x), part = b.value(b.reshape(row, shape)), offset = b.index(index);
  return marked(fromValue(graph::UpdateOp::create(b.builder, b.loc, whole, part, offset), x.shape), x);
}

SmallVector<Tensor> countedLoop(Builder &b, Dim trips, ArrayRef<Tensor> inits,
                                llvm::function_ref<SmallVector<Tensor>(Dim, ArrayRef<Tensor>)> body) {
  SmallVector<Value> values;
  for (const Tensor &init : inits)
    values.push_back(b.value(init));
  Value zero = b.index(0), one = b.index(1), end = b.index(trips);
  auto loop = scf::ForOp::create(b.builder, b.loc, zero, end, one, values);
  {
    OpBuilder::InsertionGuard guard(b.builder);
    b.builder.setInsertionPointToStart(loop.getBody());
    SmallVector<Tensor> carried;
    for (auto [init, argument] : llvm::zip_equal(inits, loop.getRegionIterArgs()))
      carried.push_back(tied(b, argument, init.shape, init));
    Dim turn = b.dims.opaque(loop.getInductionVar(), "turn", /*lower=*/0);
    SmallVector<Value> next;
    for (const Tensor &t : body(turn, carried))
      next.push_back(b.value(t));
    assert(ValueRange(next).getTypes() == ValueRange(values).getTypes() && "a carried tensor changes its type");
    scf::YieldOp::create(b.builder, b.loc, next);
  }
  SmallVector<Tensor> results;
  for (auto [init, result] : llvm::zip_equal(inits, loop.getResults()))
    results.push_back(tied(b, result, init.shape, init));
  return results;
}

SmallVector<Tensor> loopWhile(Builder &b, Dim trips, ArrayRef<Tensor> inits,
                              llvm::function_ref<SmallVector<Tensor>(Dim, ArrayRef<Tensor>, Value &)> body) {
  // The number of the turn, whether there is another one, what is carried.
  SmallVector<Value> values{b.index(0), arith::ConstantIntOp::create(b.builder, b.loc, 1, 1)};
  for (const Tensor &init : inits)
    values.push_back(b.value(init));
  Value one = b.index(1), end = b.index(trips);
  SmallVector<Location> locs(values.size(), b.loc);
  auto loop = scf::WhileOp::create(b.builder, b.loc, ValueRange(values).getTypes(), values);
  OpBuilder::InsertionGuard guard(b.builder);
  Block &before = *b.builder.createBlock(&loop.getBefore(), {}, ValueRange(values).getTypes(), locs);
  Value isLeft = arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::slt, before.getArgument(0), end);
  isLeft = arith::AndIOp::create(b.builder, b.loc, isLeft, before.getArgument(1));
  scf::ConditionOp::create(b.builder, b.loc, isLeft, before.getArguments());

  Block &after = *b.builder.createBlock(&loop.getAfter(), {}, ValueRange(values).getTypes(), locs);
  SmallVector<Tensor> carried;
  for (auto [init, argument] : llvm::zip_equal(inits, after.getArguments().drop_front(2)))
    carried.push_back(tied(b, argument, init.shape, init));
  Value goesOn, number = after.getArgument(0);
  SmallVector<Tensor> made = body(b.dims.opaque(number, "turn", /*lower=*/0), carried, goesOn);
  SmallVector<Value> next{arith::AddIOp::create(b.builder, b.loc, number, one), goesOn};
  for (const Tensor &t : made)
    next.push_back(b.value(t));
  scf::YieldOp::create(b.builder, b.loc, next);

  b.builder.setInsertionPointAfter(loop);
  SmallVector<Tensor> results;
  for (auto [init, result] : llvm::zip_equal(inits, loop.getResults().drop_front(2)))
    results.push_back(tied(b, result, init.shape, init));
  return results;
}

} // namespace eyrie::ops
