// Slices.
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

namespace {
struct Range {
  Dim start, size;
  int64_t step;
};
} // namespace

/// Positions from here on mean "to the end".
static constexpr int64_t kHuge = int64_t(1) << 31;

/// A position given by a model: negative ones count from the end.
static Dim resolvePosition(Dim v, Dim size) {
  if (v.isConstant()) {
    if (v.constant() >= kHuge - 1)
      return v.constant();
    return v.constant() < 0 ? max(size + max(v, -kHuge), -1) : v;
  }
  if (lowerBound(v).value_or(-1) >= 0)
    return v;
  if (lowerBound(-v).value_or(0) >= 1)
    return v + size;
  return v + size * min(max(-v, 0), 1);
}

static FailureOr<Range> makeRange(Builder &b, Dim size, Dim start, Dim end, int64_t step) {
  if (step == 0)
    return b.error() << "a step of a slice is 0";
  auto clamp = [](Dim v, Dim low, Dim high) {
    if (v.isConstant() && v.constant() >= kHuge - 1)
      return high;
    return min(max(v, low), high); // of an empty dimension the highest place is -1
  };
  // The last elements: all, if there are fewer.
  if (step > 0 && start.isConstant() && start.constant() < 0 && end.isConstant() && end.constant() >= kHuge - 1 &&
      start.constant() > -kHuge) {
    Dim count = -start;
    return Range{max(size - count, 0), ceilDiv(min(size, count), step), step};
  }
  start = resolvePosition(start, size), end = resolvePosition(end, size);
  if (step > 0) {
    start = clamp(start, 0, size), end = clamp(end, 0, size);
    return Range{start, max(ceilDiv(end - start, step), 0), step};
  }
  // A negative end below the first element means "to the beginning".
  start = clamp(start, 0, size - 1), end = clamp(end, -1, size - 1);
  return Range{start, max(ceilDiv(start - end, -step), 0), step};
}

static Tensor applyRanges(Builder &b, const Tensor &x, ArrayRef<Range> ranges) {
  Dims offsets, sizes;
  SmallVector<int64_t> steps;
  bool hasNegative = false, areConstant = true;
  for (const Range &range : ranges) {
    offsets.push_back(range.start), sizes.push_back(range.size), steps.push_back(range.step);
    hasNegative |= range.step < 0;
    areConstant &= range.start.isConstant() && range.size.isConstant();
  }
  if (x.contents && x.rank() == 1 && areConstant) {
    Dims contents;
    for (int64_t i = 0; i < sizes[0].constant(); ++i)
      contents.push_back((*x.contents)[offsets[0].constant() + i * steps[0]]);
    return fromContents(x.elementType, sizes, contents, x.isUnsigned);
  }
  if (areConstant)
    if (auto folded = foldMovement(x, sizes, [&](ArrayRef<int64_t> index) {
          SmallVector<int64_t> from;
          for (auto [i, at] : llvm::enumerate(index))
            from.push_back(offsets[i].constant() + at * steps[i]);
          return from;
        }))
      return *folded;
  if (!hasNegative)
    return b.extract(x, offsets, sizes, steps);
  SmallVector<Count> starts;
  for (Dim offset : offsets)
    starts.emplace_back(b, offset);
  return gatherMap(b, x, sizes, {}, {}, [&](const Scalar &s, ValueRange indices, ValueRange) {
    SmallVector<Value> from;
    for (auto [i, index] : llvm::enumerate(indices))
      from.push_back(s.op<arith::AddIOp>(starts[i].get(s, s.b.getIndexType()),
                                         Value(s.op<arith::MulIOp>(index, s.index(steps[i])))));
    return from;
  });
}

/// The same where steps, and so the direction, are known only at run time: (start, size, step) of each axis, computed
/// there, then read.
static FailureOr<Tensor> sliceAtRunTime(Builder &b, const Tensor &x, ArrayRef<int64_t> axes, const Tensor &starts,
                                        const Tensor &ends, const Tensor &steps) {
  Type i64 = b.builder.getI64Type();
  Dims sizes;
  for (int64_t axis : axes) {
    auto position = normalizeAxis(b, axis, x.rank());
    if (failed(position))
      return failure();
    sizes.push_back(x.shape[*position]);
  }
  Dim count(axes.size());
  SmallVector<Tensor> operands{starts, ends, steps, fromContents(i64, count, sizes)};
  for (const Tensor &t : operands)
    if (!t.isInteger() || t.rank() != 1 || !t.shape[0].is(axes.size()))
      return b.error() << "starts, ends and steps must be " << axes.size() << " integers each, found " << t.str();
  auto compute = [&](bool isSize) {
    return elementwise(b, count, i64, operands, false, [&](const Scalar &s, ValueRange args) {
      auto wide = [&](unsigned i) { return scalarCast(s, args[i], operands[i].isUnsigned, i64, false); };
      Value size = wide(3), zero = s.like(size, 0), one = s.like(size, 1), last = s.sub(size, one), step = wide(2);
      Value isDown = s.less(step, zero);
      auto clamp = [&](Value v, Value lowest) {
        v = s.select(s.less(v, zero), s.add(s.max(v, s.neg(size)), size), v);
        return s.min(s.max(v, lowest), s.select(isDown, last, size));
      };
      Value start = clamp(wide(0), zero), given = wide(1);
      // A negative end before the first element means "past the beginning" of a downward slice.
      Value isPast = s.op<arith::AndIOp>(isDown, s.less(given, s.neg(size)));
      Value end = s.select(isPast, s.like(size, -1), clamp(given, zero));
      if (!isSize)
        return start;
      Value distance = s.select(isDown, s.sub(start, end), s.sub(end, start));
      // The lowest step has no positive counterpart, and reaches one element.
      Value length = s.max(s.select(isDown, s.neg(step), step), one);
      length = s.select(s.cmp(arith::CmpIPredicate::eq, step, s.neg(step)), s.max(size, one), length);
      return s.max(s.op<arith::CeilDivSIOp>(s.max(distance, zero), length), zero);
    });
  };
  auto first = b.integers(compute(false), "starts"), extents = b.integers(compute(true), "sizes", 0);
  auto strides = b.integers(steps, "steps");
  if (failed(first) || failed(extents) || failed(strides))
    return failure();
  Dims shape = x.shape;
  SmallVector<Count> offsets(x.rank(), Count(b, 0)), factors(x.rank(), Count(b, 1));
  for (auto [i, axis] : llvm::enumerate(axes)) {
    int64_t d = axis < 0 ? axis + x.rank() : axis;
    shape[d] = (*extents)[i], offsets[d] = Count(b, (*first)[i]), factors[d] = Count(b, (*strides)[i]);
  }
  return gatherMap(b, x, shape, {}, {}, [&](const Scalar &s, ValueRange at, ValueRange) {
    SmallVector<Value> from;
    Type index = s.b.getIndexType();
    for (auto [i, position] : llvm::enumerate(at))
      from.push_back(s.add(offsets[i].get(s, index), s.mul(position, factors[i].get(s, index))));
    return from;
  });
}

FailureOr<Tensor> slice(Builder &b, const Tensor &x, const Tensor &starts, const Tensor &ends, const Tensor *axes,
                        const Tensor *steps) {
  if (steps && !steps->contents && !steps->constant) {
    Dim count = steps->numElements();
    if (!count.isConstant() || count.constant() > x.rank())
      return b.error() << "steps must be " << x.rank() << " integers or fewer, found " << steps->str();
    auto axisList = axesOr(b, axes, count.constant());
    return failed(axisList) ? FailureOr<Tensor>(failure()) : sliceAtRunTime(b, x, *axisList, starts, ends, *steps);
  }
  auto first = b.integers(starts, "starts"), last = b.integers(ends, "ends");
  if (failed(first) || failed(last))
    return failure();
  auto axisList = axesOr(b, axes, first->size());
  FailureOr<SmallVector<int64_t>> stepList = SmallVector<int64_t>(first->size(), 1);
  if (succeeded(axisList) && steps)
    stepList = b.constantIntegers(*steps, "steps");
  if (failed(axisList) || failed(stepList))
    return failure();
  if (first->size() != last->size() || first->size() != axisList->size() || first->size() != stepList->size())
    return b.error() << "starts, ends, axes and steps must be of one length";
  SmallVector<Range> ranges;
  for (Dim size : x.shape)
    ranges.push_back({0, size, 1});
  SmallVector<int64_t> seen;
  for (auto [axis, start, end, step] : llvm::zip_equal(*axisList, *first, *last, *stepList)) {
    auto position = normalizeAxis(b, axis, x.rank());
    if (failed(position))
      return failure();
    if (llvm::is_contained(seen, *position))
      return b.error() << "axis " << *position << " is given twice";
    seen.push_back(*position);
    auto range = makeRange(b, x.shape[*position], start, end, step);
    if (failed(range))
      return failure();
    ranges[*position] = *range;
  }
  return applyRanges(b, x, ranges);
}

} // namespace eyrie::ops
