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
    return getMixedSizes(b, type, {});
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
  Value length = getByteCount(b, maker->getLoc(), *sizes, cast<TensorType>(root.getType()).getElementType());
  Value memory = BlockOp::create(b, maker->getLoc(), ResourceType::get(b.getContext(), Lifetime::Transient), length);
  targets[root] = {memory, getIndexConstant(b, maker->getLoc(), 0), length};
}

/// The place of `tensor`, if need be of a copy, that may be handed on.
FailureOr<Stored> FunctionConverter::getReference(Operation *before, Value tensor) {
  auto place = find(before, tensor);
  if (failed(place))
    return failure();
  Operation *maker = place->resource.getDefiningOp();
  if (!maker || isa<BlockOp, ShareOp, scf::IfOp, scf::WhileOp>(maker))
    return place;
  if (isa<ImportOp, ConstantsOp>(maker)) {
    b.setInsertionPoint(before);
    auto type = ResourceType::get(b.getContext(), Lifetime::Transient);
    Value shared = ShareOp::create(b, before->getLoc(), type, place->resource);
    return Stored{shared, place->offset, place->length};
  }
  if (!place->length)
    return before->emitOpError("hands on a tensor of unknown size");
  b.setInsertionPoint(before);
  Location loc = before->getLoc();
  Value memory = BlockOp::create(b, loc, ResourceType::get(b.getContext(), Lifetime::Transient), place->length);
  Stored block{memory, getIndexConstant(b, loc, 0), place->length};
  copy(loc, *place, block);
  return block;
}

//===- branches -----------------------------------------------------------------------------------------------------===

/// Sizes of a branch's result outside of it; failure (without an error) if they are known only inside.
FailureOr<SmallVector<OpFoldResult>> FunctionConverter::getIfSizes(scf::IfOp op, unsigned result) {
  auto type = cast<RankedTensorType>(op.getResultTypes()[result]);
  if (auto known = ifSizes.find(op.getResult(result)); known != ifSizes.end())
    return known->second;
  SmallVector<OpFoldResult> sizes = getMixedSizes(b, type.clone(SmallVector<int64_t>(type.getRank(), 0)), {});
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
    return count(getMixedSizes(b, type, {}));
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
  SmallVector<StringRef> names = getNodeNames(loc);
  StringRef name = names.empty() ? StringRef() : names.back();
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

LogicalResult FunctionConverter::convertWhile(scf::WhileOp op) {
  SmallVector<Carried> all;
  SmallVector<Value> inits;
  SmallVector<Type> types;
  for (auto [i, init] : llvm::enumerate(op.getInits())) {
    if (!isTensor(init))
      continue;
    Carried carried;
    carried.number = i;
    if (failed(planCarried(op, carried)) || failed(placeCarried(op, carried)))
      return failure();
    all.push_back(std::move(carried));
  }
  bool needsParity = llvm::any_of(all, [](const Carried &c) { return c.mode == Mode::Double; });
  DenseMap<unsigned, Carried *> byNumber;
  for (Carried &carried : all)
    byNumber[carried.number] = &carried;
  // The old operand numbers of tensors, by the argument of the condition that passes them on.
  auto carriedBy = [&](Value forwarded) -> Carried * {
    auto argument = dyn_cast<BlockArgument>(forwarded);
    if (!isTensor(forwarded) || !argument || argument.getOwner() != op.getBeforeBody())
      return nullptr;
    return byNumber.lookup(argument.getArgNumber());
  };
  SmallVector<Carried *> forwarded;
  for (Value value : op.getConditionOp().getArgs()) {
    forwarded.push_back(carriedBy(value));
    if (isTensor(value) && !forwarded.back())
      return op.emitOpError("computes a tensor in its condition; expected scalars");
  }

  // 1. Scalars stay; a reference is two operands, the parity comes last.
  Location loc = op.getLoc();
  auto resource = ResourceType::get(b.getContext(), Lifetime::Transient);
  b.setInsertionPoint(op);
  for (auto [i, init] : llvm::enumerate(op.getInits())) {
    if (!isTensor(init)) {
      inits.push_back(init);
    } else if (Carried *carried = byNumber.lookup(i); carried->mode == Mode::Reference) {
      Value first = carried->place.resource;
      inits.append({first, carried->place.offset});
    }
  }
  Value zero = getIndexConstant(b, loc, 0);
  if (needsParity)
    inits.push_back(zero);
  for (auto [value, carried] : llvm::zip_equal(op.getConditionOp().getArgs(), forwarded)) {
    if (!carried)
      types.push_back(value.getType());
    else if (carried->mode == Mode::Reference)
      types.append({resource, b.getIndexType()});
  }
  if (needsParity)
    types.push_back(b.getIndexType());

  // 2. The arguments of both regions, and where tensors are inside.
  scf::ConditionOp condition = op.getConditionOp();
  auto yield = op.getYieldOp();
  Block &before = *op.getBeforeBody(), &body = *op.getAfterBody();
  auto renew = [&](Block &block, auto carriedOf) {
    unsigned count = block.getNumArguments();
    SmallVector<std::pair<BlockArgument, BlockArgument>> references(count);
    SmallVector<BlockArgument> tensors;
    for (unsigned i = 0; i < count; ++i) {
      BlockArgument old = block.getArgument(i);
      Carried *carried = carriedOf(i);
      if (!carried) {
        old.replaceAllUsesWith(block.addArgument(old.getType(), loc));
      } else if (carried->mode == Mode::Reference) {
        BlockArgument first = block.addArgument(resource, loc), second = block.addArgument(b.getIndexType(), loc);
        references[i] = {first, second};
      }
    }
    Value parity = needsParity ? Value(block.addArgument(b.getIndexType(), loc)) : Value();
    for (unsigned i = 0; i < count; ++i) {
      BlockArgument old = block.getArgument(i);
      Carried *carried = carriedOf(i);
      if (!carried)
        continue;
      Value placeholder = makePlaceholder(old, op);
      old.replaceAllUsesWith(placeholder);
      stored[placeholder] = carried->mode == Mode::Reference
                                ? Stored{references[i].first, references[i].second, Value()}
                                : getCarried(*carried, &block.front(), parity, /*isNext=*/false);
    }
    return parity;
  };
  unsigned beforeCount = before.getNumArguments(), bodyCount = body.getNumArguments();
  Value beforeParity = renew(before, [&](unsigned i) { return byNumber.lookup(i); });
  Value bodyParity = renew(body, [&](unsigned i) { return forwarded[i]; });
  before.eraseArguments(0, beforeCount);
  body.eraseArguments(0, bodyCount);
  placeYields(op, all, bodyParity);

  // 3. The bodies.
  if (failed(convertBlock(before)) || failed(convertBlock(body)))
    return failure();
  SmallVector<Value> passed, next;
  for (auto [value, carried] : llvm::zip_equal(condition.getArgs(), forwarded)) {
    if (!carried)
      passed.push_back(value);
    else if (carried->mode == Mode::Reference)
      passed.append({stored[value].resource, stored[value].offset});
  }
  if (needsParity)
    passed.push_back(beforeParity);
  for (auto [i, value] : llvm::enumerate(yield.getOperands())) {
    Carried *carried = byNumber.lookup(i);
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
      Stored to = getCarried(*carried, yield, bodyParity, /*isNext=*/true);
      Value root = getRoot(value);
      if (auto target = targets.find(root); target != targets.end() && target->second.resource == to.resource)
        continue;
      b.setInsertionPoint(yield);
      copy(loc, {from->resource, from->offset, to.length}, to);
    }
  }
  if (needsParity) {
    b.setInsertionPoint(yield);
    next.push_back(arith::SubIOp::create(b, loc, getIndexConstant(b, loc, 1), bodyParity));
  }
  condition.getArgsMutable().assign(passed);
  yield.getResultsMutable().assign(next);

  // 4. The new loop.
  b.setInsertionPoint(op);
  auto loop = scf::WhileOp::create(b, loc, types, inits);
  loop.getBefore().takeBody(op.getBefore());
  loop.getAfter().takeBody(op.getAfter());
  Value parity = needsParity ? loop.getResults().back() : Value();
  unsigned number = 0;
  Operation *behind = loop->getNextNode();
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
      copy(loc, {stored[result].resource, stored[result].offset, target->second.length}, target->second);
      stored[result] = target->second;
    }
  }
  return success();
}
