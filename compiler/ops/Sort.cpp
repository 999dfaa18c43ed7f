// A merge sort in which every place of the result looks for its element: one kernel for each doubling of the length of
// the sorted runs. The first d elements of two runs that are merged are i of the first and d - i of the second, and i
// is found by halving (Odeh et al., Merge Path, 2012).
#include "compiler/ops/Sort.h"
#include "compiler/ops/Loop.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

namespace {
/// Two sorted runs that lie one behind the other in `order`.
struct Merge {
  Value order;
  Value firstBegin, firstLength, secondBegin, secondLength; // i64
  Value last;                                               // number of the last element of all
  Compare compare;

  Value element(const Scalar &s, Value place) const {
    Value inside = s.min(s.max(place, s.like(place, 0)), last); // reads that do not count stay in the tensor
    return s.op<tensor::ExtractOp>(order, Value(s.op<arith::IndexCastOp>(s.b.getIndexType(), inside)));
  }
  /// Element i of the first run comes before element j of the second.
  Value isFirstBefore(const Scalar &s, Value i, Value j) const {
    Value order = compare(s, element(s, s.add(firstBegin, i)), element(s, s.add(secondBegin, j)));
    return s.cmp(arith::CmpIPredicate::sle, order, s.like(order, 0));
  }
  /// How many of the first `d` merged elements are of the first run.
  Value countOfFirst(const Scalar &s, Value d, Value bits) const {
    SmallVector<Value> range{s.max(s.sub(d, secondLength), s.like(d, 0)), s.min(d, firstLength)};
    auto halving = scf::ForOp::create(
        s.b, s.loc, s.index(0), bits, s.index(1), range, [&](OpBuilder &b, Location loc, Value, ValueRange range) {
          Scalar s{b, loc};
          Value low = range[0], high = range[1], one = s.like(low, 1);
          Value middle = s.op<arith::ShRUIOp>(s.add(low, high), one);
          Value isOpen = s.cmp(arith::CmpIPredicate::slt, low, high);
          Value isBefore = isFirstBefore(s, middle, s.sub(s.sub(d, one), middle));
          Value rises = s.op<arith::AndIOp>(isOpen, isBefore);
          Value falls = s.op<arith::AndIOp>(isOpen, s.cmp(arith::CmpIPredicate::eq, isBefore, s.like(isBefore, 0)));
          scf::YieldOp::create(b, loc,
                               ValueRange{s.select(rises, s.add(middle, one), low), s.select(falls, middle, high)});
        });
    return halving.getResult(0);
  }
  Value elementAt(const Scalar &s, Value d, Value bits) const {
    Value i = countOfFirst(s, d, bits), j = s.sub(d, i);
    Value hasFirst = s.cmp(arith::CmpIPredicate::slt, i, firstLength);
    Value hasNoSecond = s.cmp(arith::CmpIPredicate::sge, j, secondLength);
    Value isFirst = s.op<arith::AndIOp>(hasFirst, s.op<arith::OrIOp>(hasNoSecond, isFirstBefore(s, i, j)));
    return element(s, s.select(isFirst, s.add(firstBegin, i), s.add(secondBegin, j)));
  }
};
} // namespace

/// Merges the runs of 2^turn elements of `order`.
static Tensor mergeRuns(Builder &b, const Tensor &order, Dim turn, Compare compare) {
  Type i64 = b.builder.getI64Type();
  Count size(b, order.shape[0]), doublings(b, turn);
  Value source = b.value(order);
  return b.map(order.shape, i64, {}, {}, [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
    Scalar s{builder, loc};
    Value place = s.loopNumber(0), one = s.number(i64, 1), shift = doublings.get(s, i64), end = size.get(s, i64);
    Value run = s.op<arith::ShLIOp>(one, shift), shiftOfPair = s.add(shift, one);
    Value begin = s.op<arith::ShLIOp>(Value(s.op<arith::ShRUIOp>(place, shiftOfPair)), shiftOfPair);
    Value second = s.min(s.add(begin, run), end), last = s.min(s.add(second, run), end);
    Merge merge{source, begin, s.sub(second, begin), second, s.sub(last, second), s.sub(end, one), compare};
    Value bits = s.op<arith::IndexCastOp>(builder.getIndexType(), shiftOfPair);
    return merge.elementAt(s, s.sub(place, begin), bits);
  });
}

Tensor sortedOrder(Builder &b, Dim count, Compare compare) {
  Tensor numbers = b.map({count}, b.builder.getI64Type(), {}, {}, [](OpBuilder &builder, Location loc, ValueRange) {
    return Scalar{builder, loc}.loopNumber(0);
  });
  // The logarithm, rounded up: how many powers of two are below the count.
  Dim turns = 0;
  for (int power = 0; power < 40; ++power)
    turns += min(max(count - Dim(int64_t(1) << power), 0), 1);
  return countedLoop(b, turns, numbers, [&](Dim turn, ArrayRef<Tensor> carried) {
    return SmallVector<Tensor>{mergeRuns(b, carried[0], turn, compare)};
  })[0];
}

} // namespace eyrie::ops
