#include "compiler/ops/Scan.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

/// Elements of one block, and the length of an axis that is scanned without blocks.
static constexpr int64_t kBlock = 16, kShort = 64;
/// How often an axis of unknown length is cut into blocks of blocks. At a hundred million elements the work begins to
/// grow faster than their number.
static constexpr int kLevels = 3;

/// For each index of `shape` what `body` makes of the numbers 0 to kBlock - 1, one after the other. A reduction, so
/// that it is computed once and not again by every reader.
static Tensor
foldBlock(Builder &b, ArrayRef<Dim> shape, TypedAttr init,
          llvm::function_ref<Value(const Scalar &, Value acc, SmallVector<Value> indices, Value number)> body) {
  unsigned rank = shape.size();
  AffineMap outMap = b.builder.getMultiDimIdentityMap(rank + 1).getMajorSubMap(rank);
  Tensor extent = b.splat({kBlock}, b.builder.getI1Type(), 0);
  return b.reduce(b.fill(shape, init), outMap, rank, extent, projection(b, rank + 1, rank),
                  [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
                    Scalar s{builder, loc};
                    SmallVector<Value> indices;
                    for (unsigned d = 0; d < rank; ++d)
                      indices.push_back(s.op<linalg::IndexOp>(d));
                    return body(s, args.back(), indices, s.op<linalg::IndexOp>(rank));
                  });
}

/// The element of `source` at `indices` with `place` along `axis`, of the compute type; `otherwise` unless `isValid`.
static Value elementOr(const Scalar &s, Value source, SmallVector<Value> indices, int64_t axis, Value place,
                       Value isValid, Value otherwise) {
  indices[axis] = s.select(isValid, place, s.index(0)); // nothing is read outside
  Value element = s.op<tensor::ExtractOp>(source, indices);
  return s.select(isValid, scalarCast(s, element, false, otherwise.getType(), false), otherwise);
}

//===- running sums -------------------------------------------------------------------------------------------------===

/// A loop over all elements of the axis for each result; those on the wrong side change nothing.
static Tensor scanShort(Builder &b, const Tensor &x, const ScanAttrs &attrs) {
  unsigned rank = x.rank(), extra = rank;
  Dims loops = x.shape;
  loops.push_back(x.shape[attrs.axis]);
  SmallVector<int64_t> reads = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  reads[attrs.axis] = extra;
  Type type = computeType(x.elementType);
  return reduceAxes(b, x, projection(b, rank + 1, reads), loops, int64_t(extra), numberAttr(type, attrs.neutral),
                    x.isUnsigned, [&](const Scalar &s, Value acc, ValueRange args) -> Value {
                      Value to = s.op<linalg::IndexOp>(attrs.axis), from = s.op<linalg::IndexOp>(extra);
                      if (attrs.reverse)
                        std::swap(to, from);
                      auto predicate = attrs.exclusive ? arith::CmpIPredicate::slt : arith::CmpIPredicate::sle;
                      Value term = s.select(s.cmp(predicate, from, to), args[0], s.like(args[0], attrs.neutral));
                      return scalarBinary(s, attrs.kind, acc, scalarCast(s, term, false, type, false), x.isUnsigned);
                    });
}

/// The combination of the elements of each block, in `type`.
static Tensor blockTotals(Builder &b, const Tensor &x, const ScanAttrs &attrs, Type type) {
  Dims shape = x.shape;
  shape[attrs.axis] = ceilDiv(x.shape[attrs.axis], kBlock);
  Count size(b, x.shape[attrs.axis]);
  Value source = b.value(x);
  return foldBlock(b, shape, numberAttr(type, attrs.neutral),
                   [&](const Scalar &s, Value acc, SmallVector<Value> indices, Value number) {
                     Value place = s.add(s.mul(indices[attrs.axis], s.index(kBlock)), number);
                     Value isValid = s.cmp(arith::CmpIPredicate::slt, place, size.get(s, s.b.getIndexType()));
                     Value term = elementOr(s, source, indices, attrs.axis, place, isValid, s.like(acc, attrs.neutral));
                     return scalarBinary(s, attrs.kind, acc, term, x.isUnsigned);
                   });
}

/// In the compute type.
static Tensor scanWide(Builder &b, const Tensor &x, const ScanAttrs &attrs, int levels) {
  Dim size = x.shape[attrs.axis];
  if (levels == 0 || (size.isConstant() && size.constant() <= kShort))
    return scanShort(b, x, attrs);
  ScanAttrs ofBlocks = attrs;
  ofBlocks.exclusive = true;
  Tensor before = scanWide(b, blockTotals(b, x, attrs, computeType(x.elementType)), ofBlocks,
                           size.isConstant() ? levels : levels - 1);
  Count length(b, size);
  Value source = b.value(x), totals = b.value(before);
  auto isBefore = attrs.exclusive ? arith::CmpIPredicate::slt : arith::CmpIPredicate::sle;
  Tensor result = foldBlock(
      b, x.shape, numberAttr(before.elementType, attrs.neutral),
      [&](const Scalar &s, Value acc, SmallVector<Value> indices, Value number) {
        Value at = indices[attrs.axis], block = s.op<arith::DivUIOp>(at, s.index(kBlock));
        Value place = s.add(s.mul(block, s.index(kBlock)), number);
        Value isValid = attrs.reverse
                            ? s.op<arith::AndIOp>(s.cmp(isBefore, at, place), s.cmp(arith::CmpIPredicate::slt, place,
                                                                                    length.get(s, s.b.getIndexType())))
                            : s.cmp(isBefore, place, at);
        Value term = elementOr(s, source, indices, attrs.axis, place, isValid, s.like(acc, attrs.neutral));
        Value isFirst = s.cmp(arith::CmpIPredicate::eq, number, s.index(0));
        Value start = elementOr(s, totals, indices, attrs.axis, block, isFirst, s.like(acc, attrs.neutral));
        return scalarBinary(s, attrs.kind, scalarBinary(s, attrs.kind, acc, start, x.isUnsigned), term, x.isUnsigned);
      });
  result.isUnsigned = x.isUnsigned;
  return result;
}

Tensor scan(Builder &b, const Tensor &x, const ScanAttrs &attrs) {
  Tensor result = scanWide(b, x, attrs, kLevels);
  if (result.elementType == x.elementType)
    return result;
  return elementwise(b, result.shape, x.elementType, result, false, [&](const Scalar &s, ValueRange args) {
    return scalarCast(s, args[0], false, x.elementType, false);
  });
}

//===- places -------------------------------------------------------------------------------------------------------===

std::optional<bool> allNonZero(const Tensor &x) {
  if (std::optional<double> value = splatValue(x))
    return *value != 0;
  Attribute number;
  if (auto fill = x.value ? x.value.getDefiningOp<linalg::FillOp>() : nullptr)
    matchPattern(fill.getInputs()[0], m_Constant(&number));
  if (auto integer = dyn_cast_or_null<IntegerAttr>(number))
    return !integer.getValue().isZero();
  if (auto floating = dyn_cast_or_null<FloatAttr>(number))
    return !floating.getValue().isZero();
  return std::nullopt;
}

Value lastWhere(const Scalar &s, Value size, llvm::function_ref<Value(const Scalar &, Value middle)> holds) {
  // As many halvings as the size has bits.
  Value bits = s.sub(s.like(size, 64), s.op<math::CountLeadingZerosOp>(size));
  Value steps = s.op<arith::IndexCastOp>(s.b.getIndexType(), bits);
  SmallVector<Value> range{s.like(size, 0), size};
  auto halving = scf::ForOp::create(
      s.b, s.loc, s.index(0), steps, s.index(1), range, [&](OpBuilder &b, Location loc, Value, ValueRange range) {
        Scalar s{b, loc};
        Value middle = s.op<arith::ShRUIOp>(s.add(range[0], range[1]), s.like(range[0], 1));
        Value isHere = holds(s, middle);
        scf::YieldOp::create(b, loc,
                             ValueRange{s.select(isHere, middle, range[0]), s.select(isHere, range[1], middle)});
      });
  return halving.getResult(0);
}

/// The block of each of `count` places: the last one before which there are not more of them.
static Tensor blocksOf(Builder &b, const Tensor &before, Dim count) {
  Value starts = b.value(before);
  Count blocks(b, before.shape[0]);
  Type i64 = b.builder.getI64Type();
  return b.map({count}, i64, {}, {}, [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
    Scalar s{builder, loc};
    Value number = s.loopNumber(0);
    return lastWhere(s, blocks.get(s, i64), [&](const Scalar &s, Value block) {
      Value at = s.op<arith::IndexCastOp>(s.b.getIndexType(), block);
      return s.cmp(arith::CmpIPredicate::sle, s.op<tensor::ExtractOp>(starts, at), number);
    });
  });
}

FailureOr<Tensor> positionsOf(Builder &b, const Tensor &mask) {
  Type i64 = b.builder.getI64Type();
  Dim size = mask.shape[0];
  if (DenseElementsAttr known = knownElements(mask); known && size.constant() <= kMaxContents) {
    Dims places;
    for (auto [i, holds] : llvm::enumerate(known.getValues<bool>()))
      if (holds)
        places.push_back(i);
    return fromContents(i64, Dim(places.size()), places);
  }
  ScanAttrs attrs{Binary::Add, 0, 0, /*exclusive=*/true, false};
  Tensor totals = blockTotals(b, mask, attrs, i64), before = scan(b, totals, attrs);
  auto total = reduce(b, Reduce::Sum, totals, ArrayRef<int64_t>{0}, /*keepDims=*/false);
  if (failed(total))
    return failure();
  auto count = b.integers(*total, "the number of elements", /*lower=*/0);
  if (failed(count))
    return failure();
  Value blocks = b.value(blocksOf(b, before, count->front())), starts = b.value(before), source = b.value(mask);
  Count length(b, size);
  // Minus the number of places in the block that are still to pass, until the one is found.
  return foldBlock(b, count->front(), numberAttr(i64, -1),
                   [&](const Scalar &s, Value acc, SmallVector<Value> indices, Value number) {
                     Value block =
                         s.op<arith::IndexCastOp>(s.b.getIndexType(), Value(s.op<tensor::ExtractOp>(blocks, indices)));
                     Value start = s.op<tensor::ExtractOp>(starts, block);
                     Value toPass = s.sub(s.sub(start, s.loopNumber(0)), s.like(acc, 1));
                     Value left = s.select(s.cmp(arith::CmpIPredicate::eq, number, s.index(0)), toPass, acc);
                     Value place = s.add(s.mul(block, s.index(kBlock)), number);
                     Value isValid = s.cmp(arith::CmpIPredicate::slt, place, length.get(s, s.b.getIndexType()));
                     Value holds = elementOr(s, source, indices, 0, place, isValid, s.like(acc, 0));
                     Value found = s.op<arith::IndexCastOp>(i64, place);
                     Value next = s.select(s.cmp(arith::CmpIPredicate::eq, left, s.like(acc, -1)), found,
                                           s.add(left, s.like(acc, 1)));
                     Value passes = s.op<arith::AndIOp>(s.cmp(arith::CmpIPredicate::slt, left, s.like(acc, 0)),
                                                        s.cmp(arith::CmpIPredicate::ne, holds, s.like(acc, 0)));
                     return s.select(passes, next, left);
                   });
}

} // namespace eyrie::ops
