// Branches and loops. A tensor that crosses their border either has memory that is chosen outside and written in place,
// or, where its size is known only inside, the place itself (resource and offset) is handed on. What is handed on this
// way is an argument, a constant or a block, which live as long as something refers to them; never a part of the arena.
#include "compiler/stream/FunctionConverter.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::stream;

using Mode = Carried::Mode;

//===- common -------------------------------------------------------------------------------------------------------===

/// The sizes as values that exist at `before`; failure (without an error) if they do not.
FailureOr<SmallVector<OpFoldResult>> FunctionConverter::getAvailableSizes(Value tensor, Operation *before) {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (type.hasStaticShape())
    return graph::mixedSizes(type, {});
  Operation *op = tensor.getDefiningOp();
  if (isa_and_nonnull<scf::WhileOp>(op) || (!op && cast<BlockArgument>(tensor).getOwner() != &func.getBody().front()))
    return failure();
  if (auto cast = dyn_cast_or_null<tensor::CastOp>(op))
    return getAvailableSizes(cast.getSource(), before);
  auto ifOp = dyn_cast_or_null<scf::IfOp>(op);
  auto sizes = ifOp ? getIfSizes(ifOp, cast<OpResult>(tensor).getResultNumber()) : getSizes(tensor);
  if (failed(sizes) || !available.get(*sizes, before))
    return failure();
  return sizes;
}

/// Stands for a tensor that has a place but no op any more, until its users are converted.
Value FunctionConverter::makePlaceholder(Value tensor, Operation *before) {
  b.setInsertionPoint(before);
  auto cast = UnrealizedConversionCastOp::create(b, tensor.getLoc(), tensor.getType(), ValueRange());
  converted.insert(converted.begin(), cast);
  return cast.getResult(0);
}

/// If the op that makes `tensor` stands in `block`, lets it write a block of memory.
void FunctionConverter::placeBlock(Value tensor, Block &block) {
  Value root = getRoot(tensor);
  if (!canWriteInPlace(root, block) || targets.contains(root) || isa<scf::WhileOp>(root.getDefiningOp()))
    return;
  Operation *maker = root.getDefiningOp();
  auto sizes = getAvailableSizes(root, maker);
  if (failed(sizes))
    return;
  b.setInsertionPoint(maker);
  targets[root] =
      makeBlock(maker, getByteCount(b, maker->getLoc(), *sizes, cast<TensorType>(root.getType()).getElementType()));
}

Stored FunctionConverter::makeBlock(Operation *before, Value length) {
  b.setInsertionPoint(before);
  Location loc = before->getLoc();
  Value memory = BlockOp::create(b, loc, ResourceType::get(b.getContext(), Lifetime::Transient), length);
  return {memory, getIndexConstant(b, loc, 0), length};
}

/// The place of `tensor`, if need be of a copy, that may be handed on.
FailureOr<Stored> FunctionConverter::getReference(Operation *before, Value tensor) {
  auto place = find(before, tensor);
  if (failed(place))
    return failure();
  Operation *maker = place->resource.getDefiningOp();
  if (!maker || isa<BlockOp, ShareOp, ListGetOp, scf::IfOp, scf::WhileOp>(maker))
    return place;
  if (isa<ImportOp, ConstantsOp, ParameterOp>(maker)) {
    b.setInsertionPoint(before);
    auto type = ResourceType::get(b.getContext(), Lifetime::Transient);
    Value shared = ShareOp::create(b, before->getLoc(), type, place->resource);
    return Stored{shared, place->offset, place->length};
  }
  if (!place->length)
    return before->emitOpError("hands on a tensor of unknown size");
  Stored block = makeBlock(before, place->length);
  copy(before->getLoc(), *place, block);
  return block;
}

//===- branches -----------------------------------------------------------------------------------------------------===

/// Sizes of a branch's result outside of it; failure (without an error) if they are known only inside.
FailureOr<SmallVector<OpFoldResult>> FunctionConverter::getIfSizes(scf::IfOp op, unsigned result) {
  auto type = cast<RankedTensorType>(op.getResultTypes()[result]);
  if (auto known = ifSizes.find(op.getResult(result)); known != ifSizes.end())
    return known->second;
  SmallVector<OpFoldResult> sizes = graph::mixedSizes(type.clone(SmallVector<int64_t>(type.getRank(), 0)), {});
  if (!type.hasStaticShape()) {
    auto thenSizes = getAvailableSizes(op.thenYield().getOperand(result), op),
         elseSizes = getAvailableSizes(op.elseYield().getOperand(result), op);
    if (failed(thenSizes) || failed(elseSizes))
      return failure();
    for (int64_t i = 0; i < type.getRank(); ++i) {
      OpFoldResult x = (*thenSizes)[i], y = (*elseSizes)[i];
      if (type.isDynamicDim(i) && isEqualConstantIntOrValue(x, y)) {
        sizes[i] = x;
      } else if (type.isDynamicDim(i)) {
        b.setInsertionPoint(op);
        sizes[i] = arith::SelectOp::create(b, op.getLoc(), op.getCondition(), materialize(b, op.getLoc(), x),
                                           materialize(b, op.getLoc(), y))
                       .getResult();
      }
    }
  }
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (!type.isDynamicDim(i))
      sizes[i] = b.getIndexAttr(type.getDimSize(i));
  return ifSizes[op.getResult(result)] = sizes;
}

/// `yielded`: what the new branch yields for the results that are not written in place.
LogicalResult FunctionConverter::convertBranch(scf::IfOp op, Block &block, const llvm::SmallBitVector &byReference,
                                               SmallVectorImpl<Value> &yielded) {
  auto yield = cast<scf::YieldOp>(block.getTerminator());
  DenseMap<unsigned, Value> direct;
  for (auto [i, value] : llvm::enumerate(yield.getOperands())) {
    if (!isTensor(value))
      continue;
    Value root = getRoot(value);
    if (byReference.test(i)) {
      placeBlock(value, block);
    } else if (canWriteInPlace(root, block) && !targets.contains(root)) {
      targets[root] = stored[op.getResult(i)];
      direct[i] = root;
    }
  }
  if (failed(convertBlock(block)))
    return failure();
  for (auto [i, value] : llvm::enumerate(yield.getOperands())) {
    if (!isTensor(value)) {
      yielded.push_back(value);
      continue;
    }
    if (direct.contains(i))
      continue;
    auto from = byReference.test(i) ? getReference(yield, value) : find(yield, value);
    if (failed(from))
      return failure();
    if (byReference.test(i)) {
      yielded.append({from->resource, from->offset});
      continue;
    }
    b.setInsertionPoint(yield);
    Stored to = stored[op.getResult(i)];
    copy(op.getLoc(), {from->resource, from->offset, to.length}, to);
  }
  yield.getResultsMutable().assign(yielded);
  return success();
}

LogicalResult FunctionConverter::convertIf(scf::IfOp op) {
  llvm::SmallBitVector byReference(op.getNumResults());
  SmallVector<Type> types;
  for (OpResult result : op->getResults()) {
    if (!isTensor(result)) {
      types.push_back(result.getType());
      continue;
    }
    // The sizes first, even if the memory is chosen already: later ops may ask for them when the branches are gone.
    if (failed(getIfSizes(op, result.getResultNumber())) && !targets.contains(result)) {
      byReference.set(result.getResultNumber());
      types.append({ResourceType::get(b.getContext(), Lifetime::Transient), b.getIndexType()});
      continue;
    }
    auto place = getTarget(result);
    if (failed(place))
      return failure();
    stored[result] = *place;
  }
  for (Region &region : op->getRegions()) {
    SmallVector<Value> yielded;
    if (!region.empty() && failed(convertBranch(op, region.front(), byReference, yielded)))
      return failure();
  }
  b.setInsertionPoint(op);
  auto newIf = scf::IfOp::create(b, op.getLoc(), types, op.getCondition(), false, false);
  newIf.getThenRegion().takeBody(op.getThenRegion());
  newIf.getElseRegion().takeBody(op.getElseRegion());
  unsigned next = 0;
  for (OpResult result : op->getResults()) {
    if (byReference.test(result.getResultNumber())) {
      stored[result] = {newIf.getResult(next), newIf.getResult(next + 1), Value()};
      next += 2;
    } else if (!isTensor(result)) {
      result.replaceAllUsesWith(newIf.getResult(next++));
    }
  }
  return success();
}

//===- loops --------------------------------------------------------------------------------------------------------===

/// The bytes of a carried tensor if every turn sees the same size, as a value that exists before the loop.
Value FunctionConverter::getInvariantBytes(scf::WhileOp op, const Carried &carried) {
  Value init = op.getInits()[carried.number];
  auto type = cast<RankedTensorType>(init.getType());
  auto count = [&](ArrayRef<OpFoldResult> sizes) {
    b.setInsertionPoint(op);
    return getByteCount(b, op.getLoc(), sizes, type.getElementType());
  };
  if (type.hasStaticShape())
    return count(graph::mixedSizes(type, {}));
  for (BlockArgument argument : carried.after)
    for (Operation *user : argument.getUsers())
      if (auto reshape = dyn_cast<graph::ReshapeOp>(user))
        if (auto sizes = getAvailableSizes(reshape.getResult(), op); succeeded(sizes))
          return count(*sizes);
  return {};
}

LogicalResult FunctionConverter::planCarried(scf::WhileOp op, Carried &carried) {
  Value before = op.getBeforeArguments()[carried.number], yielded = op.getYieldedValues()[carried.number];
  for (auto [forwarded, argument] : llvm::zip_equal(op.getConditionOp().getArgs(), op.getAfterArguments()))
    if (forwarded == before)
      carried.after.push_back(argument);
  for (Operation *user : before.getUsers())
    if (user != op.getConditionOp().getOperation())
      return op.emitOpError("computes with a tensor in its condition; expected scalars");
  // A tensor that only changes its type on the way round is the same tensor.
  Value same = yielded;
  while (auto cast = same.getDefiningOp<tensor::CastOp>())
    same = cast.getSource();
  if (llvm::is_contained(carried.after, same)) {
    carried.mode = Mode::Fixed;
    return success();
  }
  carried.bytes = getInvariantBytes(op, carried);
  if (!carried.bytes)
    carried.mode = Mode::Reference;
  else if (carried.after.size() == 1 && updates.isChangedInPlace(carried.after.front()))
    carried.mode = Mode::InPlace;
  else
    carried.mode = Mode::Double;
  return success();
}

/// Chooses the memory and puts the tensor's first value there.
LogicalResult FunctionConverter::placeCarried(scf::WhileOp op, Carried &carried) {
  Value init = op.getInits()[carried.number];
  Location loc = op.getLoc();
  if (carried.mode == Mode::Fixed || carried.mode == Mode::Reference) {
    auto place = carried.mode == Mode::Fixed ? find(op, init) : getReference(op, init);
    if (failed(place))
      return failure();
    carried.place = *place;
    return success();
  }
  auto type = ResourceType::get(b.getContext(), Lifetime::Transient);
  StringRef name = getNodeName(loc);
  b.setInsertionPoint(op);
  Value zero = getIndexConstant(b, loc, 0);
  std::optional<Stored> target;
  if (carried.mode == Mode::InPlace) {
    // The result of the loop is the carried tensor: its memory may have been chosen.
    for (auto [forwarded, result] : llvm::zip_equal(op.getConditionOp().getArgs(), op.getResults()))
      if (forwarded == op.getBeforeArguments()[carried.number])
        if (auto known = targets.find(result); known != targets.end())
          target = known->second;
    carried.place = target ? *target : Stored{AllocOp::create(b, loc, type, carried.bytes, name), zero, carried.bytes};
  } else {
    Value rounded = b.createOrFold<arith::AddIOp>(loc, carried.bytes, getIndexConstant(b, loc, kAlignment - 1));
    rounded = b.createOrFold<arith::AndIOp>(loc, rounded, getIndexConstant(b, loc, -kAlignment));
    Value both = b.createOrFold<arith::MulIOp>(loc, rounded, getIndexConstant(b, loc, 2));
    carried.place = {AllocOp::create(b, loc, type, both, name), rounded, carried.bytes};
  }
  if (getRoot(init).getDefiningOp<tensor::EmptyOp>())
    return success();
  auto from = find(op, init);
  if (failed(from))
    return failure();
  b.setInsertionPoint(op);
  copy(loc, {from->resource, from->offset, carried.bytes},
       {carried.place.resource, target ? carried.place.offset : zero, carried.bytes});
  return success();
}

/// Where a carried tensor lies at `before`, in turns of this parity; `isNext`: where its next value goes.
Stored FunctionConverter::getCarried(const Carried &carried, Operation *before, Value parity, bool isNext) {
  if (carried.mode != Mode::Double)
    return carried.place;
  b.setInsertionPoint(before);
  Location loc = before->getLoc();
  if (isNext)
    parity = arith::SubIOp::create(b, loc, getIndexConstant(b, loc, 1), parity);
  Value offset = arith::MulIOp::create(b, loc, parity, carried.place.offset);
  return {carried.place.resource, offset, carried.bytes};
}

/// Lets the ops of the body write the next values where they belong.
void FunctionConverter::placeYields(scf::WhileOp op, ArrayRef<Carried> all, Value parity) {
  Block &body = *op.getAfterBody();
  for (const Carried &carried : all) {
    Value yielded = op.getYieldedValues()[carried.number];
    if (carried.mode == Mode::Reference)
      placeBlock(yielded, body);
    Value root = getRoot(yielded);
    if (carried.mode == Mode::Double && canWriteInPlace(root, body) && !targets.contains(root))
      targets[root] = getCarried(carried, &body.front(), parity, /*isNext=*/true);
  }
}

/// Which carried tensors the condition passes on, by argument of the body: null for scalars.
FailureOr<SmallVector<Carried *>> FunctionConverter::getForwarded(scf::WhileOp op, ArrayRef<Carried *> byNumber) {
  SmallVector<Carried *> forwarded;
  for (Value value : op.getConditionOp().getArgs()) {
    auto argument = dyn_cast<BlockArgument>(value);
    bool isArgument = argument && argument.getOwner() == op.getBeforeBody();
    if (isTensor(value) && !isArgument)
      return op.emitOpError("computes a tensor in its condition; expected scalars");
    forwarded.push_back(isTensor(value) ? byNumber[argument.getArgNumber()] : nullptr);
  }
  return forwarded;
}

/// New arguments for a region of the loop: scalars stay, a reference is a resource and an offset, and the parity comes
/// last if there is one; it is returned. Tensors get their places. `carriedOf`: by old argument, null for scalars.
Value FunctionConverter::renewArguments(scf::WhileOp op, Block &block, ArrayRef<Carried *> carriedOf, bool hasParity) {
  Location loc = op.getLoc();
  auto resource = ResourceType::get(b.getContext(), Lifetime::Transient);
  unsigned count = block.getNumArguments();
  SmallVector<Stored> references(count);
  for (unsigned i = 0; i < count; ++i) {
    BlockArgument old = block.getArgument(i);
    if (!carriedOf[i]) {
      old.replaceAllUsesWith(block.addArgument(old.getType(), loc));
    } else if (carriedOf[i]->mode == Mode::Reference) {
      Value memory = block.addArgument(resource, loc), offset = block.addArgument(b.getIndexType(), loc);
      references[i] = {memory, offset, Value()};
    }
  }
  Value parity = hasParity ? Value(block.addArgument(b.getIndexType(), loc)) : Value();
  for (unsigned i = 0; i < count; ++i) {
    if (!carriedOf[i])
      continue;
    BlockArgument old = block.getArgument(i);
    Value placeholder = makePlaceholder(old, op);
    old.replaceAllUsesWith(placeholder);
    stored[placeholder] = carriedOf[i]->mode == Mode::Reference
                              ? references[i]
                              : getCarried(*carriedOf[i], &block.front(), parity, /*isNext=*/false);
  }
  block.eraseArguments(0, count);
  return parity;
}

/// What the converted body hands to the next turn. Tensors that do not lie where they belong are copied there.
LogicalResult FunctionConverter::convertYield(scf::YieldOp yield, ArrayRef<Carried *> byNumber, Value parity) {
  SmallVector<Value> next;
  for (auto [value, carried] : llvm::zip_equal(yield.getOperands(), byNumber)) {
    if (!carried) {
      next.push_back(value);
    } else if (carried->mode == Mode::Reference) {
      auto place = getReference(yield, value);
      if (failed(place))
        return failure();
      next.append({place->resource, place->offset});
    } else if (carried->mode == Mode::Double) {
      auto from = find(yield, value);
      if (failed(from))
        return failure();
      Stored to = getCarried(*carried, yield, parity, /*isNext=*/true);
      if (auto target = targets.find(getRoot(value)); target != targets.end() && target->second.resource == to.resource)
        continue;
      b.setInsertionPoint(yield);
      copy(yield.getLoc(), {from->resource, from->offset, to.length}, to);
    }
  }
  if (parity) {
    b.setInsertionPoint(yield);
    next.push_back(arith::SubIOp::create(b, yield.getLoc(), getIndexConstant(b, yield.getLoc(), 1), parity));
  }
  yield.getResultsMutable().assign(next);
  return success();
}

/// Gives the results of the old loop their places, or the scalars of the new one.
void FunctionConverter::placeResults(scf::WhileOp op, scf::WhileOp loop, ArrayRef<Carried *> forwarded, Value parity) {
  Operation *behind = loop->getNextNode();
  unsigned number = 0;
  for (auto [result, carried] : llvm::zip_equal(op.getResults(), forwarded)) {
    if (!carried) {
      result.replaceAllUsesWith(loop.getResult(number++));
      continue;
    }
    if (carried->mode == Mode::Reference) {
      stored[result] = {loop.getResult(number), loop.getResult(number + 1), Value()};
      number += 2;
    } else {
      stored[result] = getCarried(*carried, behind, parity, /*isNext=*/false);
    }
    // Memory that was chosen for the result and that the loop does not work in.
    if (auto target = targets.find(result); target != targets.end() && carried->mode != Mode::InPlace) {
      b.setInsertionPoint(behind);
      copy(op.getLoc(), {stored[result].resource, stored[result].offset, target->second.length}, target->second);
      stored[result] = target->second;
    }
  }
}

LogicalResult FunctionConverter::convertWhile(scf::WhileOp op) {
  // 1. How each tensor is carried, and its first value.
  std::vector<Carried> all;
  all.reserve(op.getInits().size());
  SmallVector<Carried *> byNumber(op.getInits().size(), nullptr);
  for (auto [i, init] : llvm::enumerate(op.getInits())) {
    if (!isTensor(init))
      continue;
    byNumber[i] = &all.emplace_back();
    byNumber[i]->number = i;
    if (failed(planCarried(op, *byNumber[i])) || failed(placeCarried(op, *byNumber[i])))
      return failure();
  }
  auto forwarded = getForwarded(op, byNumber);
  if (failed(forwarded))
    return failure();

  // 2. The regions.
  bool hasParity = llvm::any_of(all, [](const Carried &c) { return c.mode == Mode::Double; });
  scf::ConditionOp condition = op.getConditionOp();
  Value parityBefore = renewArguments(op, *op.getBeforeBody(), byNumber, hasParity);
  Value parityInBody = renewArguments(op, *op.getAfterBody(), *forwarded, hasParity);
  placeYields(op, all, parityInBody);
  if (failed(convertBlock(*op.getBeforeBody())) || failed(convertBlock(*op.getAfterBody())))
    return failure();
  SmallVector<Value> inits, passed;
  for (auto [init, carried] : llvm::zip_equal(op.getInits(), byNumber)) {
    if (!carried)
      inits.push_back(init);
    else if (carried->mode == Mode::Reference)
      inits.append({carried->place.resource, carried->place.offset});
  }
  for (auto [value, carried] : llvm::zip_equal(condition.getArgs(), *forwarded)) {
    if (!carried)
      passed.push_back(value);
    else if (carried->mode == Mode::Reference)
      passed.append({stored[value].resource, stored[value].offset});
  }
  b.setInsertionPoint(op);
  if (hasParity) {
    inits.push_back(getIndexConstant(b, op.getLoc(), 0));
    passed.push_back(parityBefore);
  }
  if (failed(convertYield(op.getYieldOp(), byNumber, parityInBody)))
    return failure();
  condition.getArgsMutable().assign(passed);

  // 3. The new loop.
  b.setInsertionPoint(op);
  auto loop = scf::WhileOp::create(b, op.getLoc(), ValueRange(passed).getTypes(), inits);
  loop.getBefore().takeBody(op.getBefore());
  loop.getAfter().takeBody(op.getAfter());
  placeResults(op, loop, *forwarded, hasParity ? loop.getResults().back() : Value());
  return success();
}
