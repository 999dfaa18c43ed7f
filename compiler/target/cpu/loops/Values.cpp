#include "compiler/target/cpu/loops/Values.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace eyrie::target::cpu;

Node *Program::create(Node::Kind kind) {
  nodes.push_back(std::make_unique<Node>());
  nodes.back()->kind = kind;
  return nodes.back().get();
}

NodeResult Program::fail(const Twine &reason) {
  if (why.empty())
    why = reason.str();
  return {};
}

unsigned Program::newVar(OpFoldResult size) {
  sizes.push_back(size);
  return sizes.size() - 1;
}

AffineExpr Program::var(unsigned index) { return getAffineDimExpr(index, kernel.func.getContext()); }

AffineExpr Program::expr(OpFoldResult value) {
  if (auto constant = getConstantIntValue(value))
    return getAffineConstantExpr(*constant, kernel.func.getContext());
  auto symbol = llvm::find(symbols, cast<Value>(value));
  unsigned position = symbol - symbols.begin();
  if (symbol == symbols.end())
    symbols.push_back(cast<Value>(value));
  return getAffineSymbolExpr(position, kernel.func.getContext());
}

OpFoldResult Program::sizeOf(Value tensor, unsigned dim) {
  auto type = cast<RankedTensorType>(tensor.getType());
  OpBuilder b(tensor.getContext());
  if (!type.isDynamicDim(dim))
    return b.getIndexAttr(type.getDimSize(dim));
  if (auto arg = dyn_cast<BlockArgument>(tensor))
    return bindingSize(arg.getArgNumber(), dim);
  Operation *op = tensor.getDefiningOp();
  unsigned number = cast<OpResult>(tensor).getResultNumber();
  if (auto empty = dyn_cast<tensor::EmptyOp>(op))
    return empty.getMixedSizes()[dim];
  if (auto destination = dyn_cast<DestinationStyleOpInterface>(op))
    return sizeOf(destination.getDpsInitOperand(number)->get(), dim);
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    llvm::SmallBitVector dropped = slice.getDroppedDims();
    unsigned kept = 0;
    for (auto [i, size] : llvm::enumerate(slice.getMixedSizes()))
      if (!dropped.test(i) && kept++ == dim)
        return size;
  }
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return sizeOf(cast.getSource(), dim);
  return {};
}

OpFoldResult Program::bindingSize(unsigned binding, unsigned dim) {
  OpFoldResult size = kernel.bindingSize(binding, dim);
  if (auto arg = dyn_cast_if_present<BlockArgument>(dyn_cast<Value>(size)))
    return kernel.tensorFunc.getArgument(arg.getArgNumber() - kernel.numResults());
  return size;
}

NodeResult Program::guarded(NodeResult inside, NodeResult outside, ArrayRef<AffineExpr> conditions) {
  if (!inside.node || !outside.node)
    return {};
  Node *node = create(Node::Kind::Guarded);
  for (AffineExpr condition : conditions)
    if (auto constant = dyn_cast<AffineConstantExpr>(condition); !constant || constant.getValue() < 0)
      node->conditions.push_back(condition);
  node->operands = {inside, outside};
  return node->conditions.empty() ? inside : NodeResult{node, 0};
}

NodeResult Program::evaluate(Value tensor, const Point &point) {
  if (!isa<RankedTensorType>(tensor.getType())) {
    Node *node = create(Node::Kind::Scalar);
    node->scalar = tensor;
    return {node, 0};
  }
  if (auto arg = dyn_cast<BlockArgument>(tensor)) {
    Node *node = create(Node::Kind::Load);
    node->binding = arg.getArgNumber();
    node->point = point;
    return {node, 0};
  }
  Operation *op = tensor.getDefiningOp();
  unsigned number = cast<OpResult>(tensor).getResultNumber();
  return llvm::TypeSwitch<Operation *, NodeResult>(op)
      .Case([&](linalg::FillOp fill) { return evaluate(fill.getInputs()[0], {}); })
      .Case([&](linalg::GenericOp generic) { return evaluateGeneric(generic, number, point); })
      .Case([&](tensor::CastOp cast) { return evaluate(cast.getSource(), point); })
      .Case([&](tensor::SplatOp splat) { return evaluate(splat.getInput(), {}); })
      .Case([&](tensor::ExtractSliceOp slice) {
        llvm::SmallBitVector dropped = slice.getDroppedDims();
        Point source;
        unsigned next = 0;
        for (auto [i, offset] : llvm::enumerate(slice.getMixedOffsets())) {
          AffineExpr coordinate = expr(offset);
          if (!dropped.test(i))
            coordinate = coordinate + point[next++] * expr(slice.getMixedStrides()[i]);
          source.push_back(coordinate);
        }
        return evaluate(slice.getSource(), source);
      })
      .Case([&](tensor::PadOp pad) {
        Value value = pad.getConstantPaddingValue();
        if (!value)
          return fail("the padding is not constant");
        Point source;
        SmallVector<AffineExpr> conditions;
        for (unsigned i = 0; i < point.size(); ++i) {
          OpFoldResult low = pad.getMixedLowPad()[i], high = pad.getMixedHighPad()[i];
          AffineExpr coordinate = point[i] - expr(low);
          source.push_back(coordinate);
          if (!isConstantIntValue(low, 0))
            conditions.push_back(coordinate);
          OpFoldResult size = sizeOf(pad.getSource(), i);
          if (!size)
            return fail("a padded tensor's size is unknown");
          if (!isConstantIntValue(high, 0))
            conditions.push_back(expr(size) - coordinate - 1);
        }
        return guarded(evaluate(pad.getSource(), source), evaluate(value, {}), conditions);
      })
      .Case([&](tensor::InsertSliceOp insert) {
        if (!insert.hasUnitStride())
          return fail("an inserted slice has strides");
        llvm::SmallBitVector dropped = insert.getDroppedDims();
        Point source;
        SmallVector<AffineExpr> conditions;
        for (unsigned i = 0; i < point.size(); ++i) {
          AffineExpr coordinate = point[i] - expr(insert.getMixedOffsets()[i]);
          if (!dropped.test(i))
            source.push_back(coordinate);
          conditions.push_back(coordinate);
          conditions.push_back(expr(insert.getMixedSizes()[i]) - coordinate - 1);
        }
        return guarded(evaluate(insert.getSource(), source), evaluate(insert.getDest(), point), conditions);
      })
      .Case([&](linalg::UnPackOp unpack) {
        // packed[outer coordinates, permuted][inner coordinates]
        Point outer(point);
        SmallVector<AffineExpr> inner;
        for (auto [dim, tile] : llvm::zip(unpack.getInnerDimsPos(), unpack.getMixedTiles())) {
          outer[dim] = point[dim].floorDiv(expr(tile));
          inner.push_back(point[dim] % expr(tile));
        }
        Point source;
        for (unsigned i = 0; i < outer.size(); ++i)
          source.push_back(outer[unpack.getOuterDimsPerm().empty() ? i : unpack.getOuterDimsPerm()[i]]);
        llvm::append_range(source, inner);
        return evaluate(unpack.getSource(), source);
      })
      .Case([&](linalg::PackOp pack) {
        unsigned rank = pack.getSourceRank();
        Point source(rank);
        for (unsigned i = 0; i < rank; ++i)
          source[pack.getOuterDimsPerm().empty() ? i : pack.getOuterDimsPerm()[i]] = point[i];
        SmallVector<AffineExpr> conditions;
        for (auto [i, dim] : llvm::enumerate(pack.getInnerDimsPos())) {
          source[dim] = source[dim] * expr(pack.getMixedTiles()[i]) + point[rank + i];
          OpFoldResult size = sizeOf(pack.getSource(), dim);
          if (!size)
            return fail("a packed tensor's size is unknown");
          auto constant = getConstantIntValue(size), tile = getConstantIntValue(pack.getMixedTiles()[i]);
          if (!constant || !tile || *constant % *tile)
            conditions.push_back(expr(size) - source[dim] - 1);
        }
        NodeResult inside = evaluate(pack.getSource(), source);
        return pack.getPaddingValue() ? guarded(inside, evaluate(pack.getPaddingValue(), {}), conditions) : inside;
      })
      .Default([&](Operation *other) { return fail("an operand is made by " + other->getName().getStringRef()); });
}

NodeResult Program::evaluateGeneric(linalg::GenericOp generic, unsigned number, const Point &point) {
  for (const Known &entry : known)
    if (entry.op == generic && entry.point == point)
      return {entry.node, number};
  unsigned loops = generic.getNumLoops();
  AffineMap map = generic.getMatchingIndexingMap(generic.getDpsInitOperand(number));
  bool isReduction = generic.getNumReductionLoops() > 0;
  Node *node = create(isReduction ? Node::Kind::Reduction : Node::Kind::Body);
  node->generic = generic;
  node->dims.resize(loops);
  for (auto [result, coordinate] : llvm::zip(map.getResults(), point)) {
    auto dim = dyn_cast<AffineDimExpr>(result);
    if (!dim || node->dims[dim.getPosition()])
      return fail("a result's indexing map is no projected permutation");
    node->dims[dim.getPosition()] = coordinate;
  }
  for (OpOperand &init : generic.getDpsInitsMutable())
    if (generic.getMatchingIndexingMap(&init) != map)
      return fail("results have different indexing maps");
  auto iterators = generic.getIteratorTypesArray();
  for (unsigned d = 0; d < loops; ++d) {
    if (node->dims[d])
      continue;
    if (iterators[d] != utils::IteratorType::reduction)
      return fail("a parallel loop is in no result");
    OpFoldResult size;
    for (OpOperand &operand : generic->getOpOperands())
      for (auto [i, result] : llvm::enumerate(generic.getMatchingIndexingMap(&operand).getResults()))
        if (auto dim = dyn_cast<AffineDimExpr>(result); dim && dim.getPosition() == d && !size)
          size = sizeOf(operand.get(), i);
    if (!size)
      return fail("the size of a reduction is unknown");
    node->reductionVars.push_back(newVar(size));
    node->dims[d] = var(node->reductionVars.back());
  }
  for (OpOperand &operand : generic->getOpOperands()) {
    bool isInit = generic.isDpsInit(&operand);
    if (!generic.payloadUsesValueFromOperand(&operand) && !(isInit && isReduction)) {
      node->operands.emplace_back();
      continue;
    }
    Point coordinates;
    for (AffineExpr result : generic.getMatchingIndexingMap(&operand).getResults())
      coordinates.push_back(result.replaceDims(node->dims));
    NodeResult value = evaluate(operand.get(), coordinates);
    if (!value.node)
      return {};
    node->operands.push_back(value);
  }
  known.push_back({generic, point, node});
  return {node, number};
}

LogicalResult Program::addStatement(unsigned result, Value tensor, ArrayRef<OpFoldResult> shape,
                                    ArrayRef<OpFoldResult> offsets) {
  // Results of one shape are computed in the same loops.
  if (offsets.empty())
    for (Statement &statement : statements) {
      if (statement.vars.size() != shape.size() || !llvm::all_of(llvm::zip(statement.vars, shape), [&](auto pair) {
            return isEqualConstantIntOrValue(sizes[std::get<0>(pair)], std::get<1>(pair));
          }))
        continue;
      Point point;
      for (unsigned v : statement.vars)
        point.push_back(var(v));
      NodeResult value = evaluate(tensor, point);
      statement.stores.push_back({result, point, value});
      return success(value.node);
    }
  Statement statement;
  Point point, target;
  for (auto [i, size] : llvm::enumerate(shape)) {
    statement.vars.push_back(newVar(size));
    point.push_back(var(statement.vars.back()));
    target.push_back(offsets.empty() ? point.back() : point.back() + expr(offsets[i]));
  }
  NodeResult value = evaluate(tensor, point);
  statement.stores.push_back({result, target, value});
  statements.push_back(std::move(statement));
  return success(value.node);
}

LogicalResult Program::addStatements(unsigned result, Value tensor) {
  unsigned binding = kernel.numArguments() + result;
  SmallVector<OpFoldResult> shape;
  for (unsigned i = 0; i < cast<RankedTensorType>(tensor.getType()).getRank(); ++i)
    shape.push_back(bindingSize(binding, i));
  while (auto cast = tensor.getDefiningOp<tensor::CastOp>())
    tensor = cast.getSource();
  auto concat = tensor.getDefiningOp<tensor::ConcatOp>();
  if (!concat)
    return addStatement(result, tensor, shape, {});
  // Every input is copied to its place by loops of its own.
  OpBuilder b(concat);
  OpFoldResult offset = b.getIndexAttr(0);
  for (Value input : concat.getInputs()) {
    SmallVector<OpFoldResult> inputShape(shape), offsets(shape.size(), b.getIndexAttr(0));
    inputShape[concat.getDim()] = sizeOf(input, concat.getDim());
    if (!inputShape[concat.getDim()])
      return fail("the size of a concatenation's input is unknown"), failure();
    offsets[concat.getDim()] = offset;
    if (failed(addStatement(result, input, inputShape, offsets)))
      return failure();
    auto known = getConstantIntValue(offset), size = getConstantIntValue(inputShape[concat.getDim()]);
    if (known && size)
      offset = b.getIndexAttr(*known + *size);
    else
      offset = arith::AddIOp::create(b, concat.getLoc(), getValueOrCreateConstantIndexOp(b, concat.getLoc(), offset),
                                     getValueOrCreateConstantIndexOp(b, concat.getLoc(), inputShape[concat.getDim()]))
                   .getResult();
  }
  return success();
}

LogicalResult Program::read(std::string &reason) {
  Operation *terminator = kernel.tensorFunc.getBody().front().getTerminator();
  for (auto [i, value] : llvm::enumerate(terminator->getOperands()))
    if (failed(addStatements(i, value))) {
      reason = why;
      return failure();
    }
  return success();
}
