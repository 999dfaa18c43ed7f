// Non-maximum suppression: a loop on the host takes the best box that is left of every batch and class in each turn,
// and drops those that overlap it. It ends when none of them has a box left.
#include "compiler/ops/Suppression.h"
#include "compiler/ops/Loop.h"
#include "compiler/ops/Scalar.h"
#include "compiler/ops/Scan.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

namespace {
/// A box inside a body, by its two corners in rising order.
struct Box {
  Value low[2], high[2];

  static Box read(const Scalar &s, Value boxes, Value batch, Value number, bool isCentered) {
    Value v[4];
    for (int64_t i = 0; i < 4; ++i)
      v[i] = s.op<tensor::ExtractOp>(boxes, ValueRange{batch, number, s.index(i)});
    Box box;
    for (int d = 0; d < 2; ++d) {
      Value half = isCentered ? s.mul(v[d + 2], 0.5) : Value();
      box.low[d] = isCentered ? s.sub(v[d], half) : s.min(v[d], v[d + 2]);
      box.high[d] = isCentered ? s.add(v[d], half) : s.max(v[d], v[d + 2]);
    }
    return box;
  }
  Value area(const Scalar &s) const { return s.mul(s.sub(high[0], low[0]), s.sub(high[1], low[1])); }

  /// Whether the intersection is more than `threshold` of the union.
  Value overlaps(const Scalar &s, const Box &other, Value threshold) const {
    Value zero = s.like(threshold, 0), intersection;
    for (int d = 0; d < 2; ++d) {
      Value length = s.max(s.sub(s.min(high[d], other.high[d]), s.max(low[d], other.low[d])), zero);
      intersection = d ? s.mul(intersection, length) : length;
    }
    Value all = s.sub(s.add(area(s), other.area(s)), intersection);
    Value isOne = s.op<arith::AndIOp>(s.less(zero, intersection), s.less(zero, all));
    return s.op<arith::AndIOp>(isOne, s.less(threshold, s.divF(intersection, all)));
  }
};

/// The one number of an operand, read in a body; 0 without the operand.
struct Threshold {
  Value source;
  int64_t rank = 0;

  Threshold(Builder &b, const Tensor *t) : source(t ? b.value(*t) : Value()), rank(t ? t->rank() : 0) {}
  Value get(const Scalar &s) const {
    return source ? s.op<tensor::ExtractOp>(source, SmallVector<Value>(rank, s.index(0)))
                  : s.number(s.b.getF32Type(), 0);
  }
};
} // namespace

static LogicalResult checkOperands(Builder &b, const Tensor &boxes, const Tensor &scores,
                                   std::initializer_list<const Tensor *> bounds) {
  if (boxes.rank() != 3 || scores.rank() != 3 || !boxes.elementType.isF32() || !scores.elementType.isF32() ||
      isEqual(boxes.shape[2], 4) == std::optional<bool>(false))
    return b.error() << "expected boxes f32[B, N, 4] and scores f32[B, C, N], found " << boxes.str() << " and "
                     << scores.str();
  for (const Tensor *bound : bounds)
    if (bound && (!bound->elementType.isF32() || !bound->hasStaticShape() || !bound->numElements().is(1)))
      return b.error() << "a threshold must be one f32, found " << bound->str();
  if (failed(checkSame(b, boxes.shape[2], 4, "numbers of a box")) ||
      failed(checkSame(b, boxes.shape[0], scores.shape[0], "batches of boxes and scores")))
    return failure();
  return checkSame(b, boxes.shape[1], scores.shape[2], "numbers of boxes and scores");
}

/// The number of the best box that is left for each batch and class; -1 for none. Of equal ones the first.
static Tensor bestBoxes(Builder &b, const Tensor &left) {
  Type i64 = b.builder.getI64Type();
  AffineMap outMap = projection(b, 3, {0, 1});
  TypedAttr none = extremeAttr(left.elementType, false, /*lowest=*/true);
  Tensor best = reduceAxes(b, left, b.identity(3), left.shape, int64_t(2), none, false,
                           [](const Scalar &s, Value acc, ValueRange args) { return s.max(acc, args[0]); });
  int64_t past = int64_t(1) << 62;
  Tensor number = reduceAxes(b, {left, best}, {b.identity(3), outMap}, left.shape, int64_t(2), numberAttr(i64, past),
                             false, [&](const Scalar &s, Value acc, ValueRange args) {
                               Value isBest = s.cmp(arith::CmpFPredicate::OEQ, args[0], args[1]);
                               return s.select(isBest, s.min(acc, s.loopNumber(2)), acc);
                             });
  return elementwise(b, number.shape, i64, {number, best}, false, [&](const Scalar &s, ValueRange args) {
    Value isNone = s.cmp(arith::CmpFPredicate::OEQ, args[1], s.op<arith::ConstantOp>(none));
    Value isPast = s.cmp(arith::CmpIPredicate::eq, args[0], s.like(args[0], past));
    return s.select(s.op<arith::OrIOp>(isNone, isPast), s.like(args[0], -1), args[0]);
  });
}

/// The scores of the boxes that count; minus infinity for the others.
static Tensor scoresThatCount(Builder &b, const Tensor &scores, const Tensor *least) {
  Threshold bound(b, least);
  return elementwise(b, scores.shape, scores.elementType, scores, false, [&](const Scalar &s, ValueRange args) {
    Value isGood = least ? s.less(bound.get(s), args[0]) : s.cmp(arith::CmpFPredicate::ORD, args[0], args[0]);
    return s.select(isGood, args[0], s.like(args[0], -INFINITY));
  });
}

/// `left` without the boxes `chosen` [B, C] and those that overlap them.
static Tensor withoutOverlaps(Builder &b, const Tensor &left, const Tensor &chosenBoxes, const Tensor &boxes,
                              const Threshold &overlap, bool isCentered) {
  Value corners = b.value(boxes), chosen = b.value(chosenBoxes);
  return elementwise(b, left.shape, left.elementType, left, false, [&](const Scalar &s, ValueRange args) {
    Value batch = s.op<linalg::IndexOp>(0), number = s.op<linalg::IndexOp>(2), zero = s.number(s.b.getI64Type(), 0);
    Value other = s.op<tensor::ExtractOp>(chosen, ValueRange{batch, Value(s.op<linalg::IndexOp>(1))});
    Value at = s.op<arith::IndexCastOp>(s.b.getIndexType(), s.max(other, zero));
    Box mine = Box::read(s, corners, batch, number, isCentered);
    Value isDropped = mine.overlaps(s, Box::read(s, corners, batch, at, isCentered), overlap.get(s));
    isDropped = s.op<arith::OrIOp>(isDropped, s.cmp(arith::CmpIPredicate::eq, other, s.loopNumber(2)));
    isDropped = s.op<arith::AndIOp>(isDropped, s.cmp(arith::CmpIPredicate::sge, other, zero));
    return s.select(isDropped, s.like(args[0], -INFINITY), args[0]);
  });
}

/// The rows [batch, class, number] of what each turn chose [turns, B, C]; -1 is none.
static FailureOr<Tensor> rowsOf(Builder &b, const Tensor &chosenInTurns) {
  Type i64 = b.builder.getI64Type();
  Dim turns = chosenInTurns.shape[0], batches = chosenInTurns.shape[1], classes = chosenInTurns.shape[2];
  Tensor chosen = b.reshape(b.transpose(chosenInTurns, {1, 2, 0}), {batches * classes * turns});
  Tensor isChosen =
      elementwise(b, chosen.shape, b.builder.getI1Type(), chosen, false, [](const Scalar &s, ValueRange args) {
        return s.cmp(arith::CmpIPredicate::sge, args[0], s.like(args[0], 0));
      });
  auto positions = positionsOf(b, isChosen);
  if (failed(positions))
    return failure();
  Value places = b.value(*positions), numbers = b.value(chosen);
  Count perClass(b, turns), perBatch(b, classes);
  return b.map({positions->shape[0], 3}, i64, {}, {}, [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
    Scalar s{builder, loc};
    Value place = s.op<tensor::ExtractOp>(places, Value(s.op<linalg::IndexOp>(0))), one = s.number(i64, 1);
    auto divide = [&](Value x, const Count &by) -> Value {
      return s.op<arith::DivUIOp>(x, s.max(by.get(s, i64), one)); // never traps
    };
    Value row = divide(place, perClass), batch = divide(row, perBatch);
    Value kind = s.sub(row, s.mul(batch, perBatch.get(s, i64)));
    Value number = s.op<tensor::ExtractOp>(numbers, Value(s.op<arith::IndexCastOp>(builder.getIndexType(), place)));
    Value column = s.op<linalg::IndexOp>(1);
    auto isColumn = [&](int64_t c) { return s.cmp(arith::CmpIPredicate::eq, column, s.index(c)); };
    return s.select(isColumn(0), batch, s.select(isColumn(1), kind, number));
  });
}

FailureOr<Tensor> nonMaxSuppression(Builder &b, const Tensor &boxes, const Tensor &scores, const Tensor *most,
                                    const Tensor *overlap, const Tensor *score, bool isCentered) {
  Type i64 = b.builder.getI64Type();
  if (failed(checkOperands(b, boxes, scores, {overlap, score})))
    return failure();
  auto limit = most ? b.integers(*most, "the most boxes of a class") : FailureOr<Dims>(Dims{0});
  if (failed(limit))
    return failure();
  if (limit->size() != 1)
    return b.error() << "the most boxes of a class must be one number, found " << most->str();
  Dim turns = max(min(limit->front(), scores.shape[2]), 0);
  if (turns.is(0) || product(scores.shape).is(0))
    return b.empty({0, 3}, i64);
  Threshold bound(b, overlap);
  SmallVector<Tensor> inits{scoresThatCount(b, scores, score),
                            b.splat({turns, scores.shape[0], scores.shape[1]}, i64, -1)};
  SmallVector<Tensor> last = loopWhile(b, turns, inits, [&](Dim turn, ArrayRef<Tensor> carried, Value &goesOn) {
    Tensor best = bestBoxes(b, carried[0]);
    Tensor highest = *reduce(b, Reduce::Max, best, ArrayRef<int64_t>{0, 1}, /*keepDims=*/false);
    Dim number = b.integers(highest, "the best boxes")->front();
    goesOn = arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::sge, b.index(number), b.index(0));
    return SmallVector<Tensor>{withoutOverlaps(b, carried[0], best, boxes, bound, isCentered),
                               withRow(b, carried[1], best, turn)};
  });
  return rowsOf(b, last[1]);
}

} // namespace eyrie::ops
