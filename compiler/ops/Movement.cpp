// Operations that only move elements: views, parts, joins, padding.
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

FailureOr<Tensor> transpose(Builder &b, const Tensor &x, ArrayRef<int64_t> given) {
  SmallVector<int64_t> permutation;
  for (int64_t p : given) {
    auto axis = normalizeAxis(b, p, x.rank());
    if (failed(axis))
      return failure();
    permutation.push_back(*axis);
  }
  if (given.empty())
    permutation = llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, x.rank())));
  SmallVector<int64_t> sorted = permutation;
  llvm::sort(sorted);
  if (sorted != llvm::to_vector(llvm::seq<int64_t>(0, x.rank())))
    return b.error() << "perm must name each of the " << x.rank() << " dimensions of " << x.str() << " once";
  return b.transpose(x, permutation);
}

/// Sizes of which one may be -1 (inferred) or, unless `allowZero`, some 0 (copied) at run time. Flags are 0 or 1.
static void resolveSizes(const Tensor &x, llvm::MutableArrayRef<Dim> sizes, bool allowZero) {
  auto isOpen = [](Dim size) { return size.isSymbolic() && !lowerBound(size); };
  if (llvm::none_of(sizes, isOpen))
    return;
  SmallVector<Dim> isInferred(sizes.size(), Dim(0));
  Dim known = 1;
  for (auto [i, size] : llvm::enumerate(sizes)) {
    if (isOpen(size)) {
      Dim given = size, isNegative = min(max(-given, 0), 1), isPositive = min(max(given, 0), 1);
      Dim isZero = Dim(1) - isNegative - isPositive;
      isInferred[i] = isNegative;
      size = given * isPositive + isNegative;
      if (!allowZero && static_cast<int64_t>(i) < x.rank())
        size += isZero * x.shape[i];
    } else if (size.is(-1)) {
      isInferred[i] = 1, size = 1;
    } else if (size.is(0) && !allowZero && static_cast<int64_t>(i) < x.rank()) {
      size = x.shape[i];
    }
    known *= size;
  }
  for (auto [size, flag] : llvm::zip_equal(sizes, isInferred))
    if (!flag.is(0))
      size += flag * (floorDiv(x.numElements(), max(known, 1)) - Dim(1));
}

FailureOr<Tensor> reshape(Builder &b, const Tensor &x, const Tensor &shape, bool allowZero) {
  auto sizes = b.integers(shape, "shape");
  if (failed(sizes))
    return failure();
  resolveSizes(x, *sizes, allowZero);
  Dims result;
  Dim known = 1;
  int64_t inferred = -1;
  for (auto [i, size] : llvm::enumerate(*sizes)) {
    if (size.is(0) && !allowZero) {
      if (static_cast<int64_t>(i) >= x.rank())
        return b.error() << "shape copies dimension " << i << ", but the input is " << x.str();
      size = x.shape[i];
    }
    if (size.isConstant() && size.constant() < 0) {
      if (!size.is(-1) || inferred >= 0)
        return b.error() << "shape may hold one -1 and no other negative size";
      inferred = i;
      result.push_back(0);
      continue;
    }
    result.push_back(size);
    known *= size;
  }
  Dim total = x.numElements();
  if (inferred >= 0)
    result[inferred] = floorDiv(total, known);
  if (isEqual(product(result), total) == std::optional<bool>(false)) {
    Tensor target = x;
    target.shape = result;
    return b.error() << "cannot reshape " << x.str() << " to " << target.str() << ": " << total.str() << " and "
                     << product(result).str() << " elements";
  }
  return b.reshape(x, result);
}

FailureOr<Tensor> flatten(Builder &b, const Tensor &x, int64_t axis) {
  if (axis < -x.rank() || axis > x.rank())
    return b.error() << "axis " << axis << " is out of range for " << x.str();
  int64_t at = axis < 0 ? axis + x.rank() : axis;
  ArrayRef<Dim> shape = x.shape;
  return b.reshape(x, {product(shape.take_front(at)), product(shape.drop_front(at))});
}

FailureOr<Tensor> squeeze(Builder &b, const Tensor &x, ArrayRef<int64_t> given) {
  auto axes = normalizeAxes(b, given, x.rank());
  if (failed(axes))
    return failure();
  if (given.empty())
    for (int64_t i = 0; i < x.rank(); ++i)
      if (x.shape[i].is(1))
        axes->push_back(i);
  Tensor exact = x;
  for (int64_t axis : *axes) {
    if (x.shape[axis].isConstant() && !x.shape[axis].is(1))
      return b.error() << "cannot squeeze dimension " << axis << " of " << x.str() << ": its size is not 1";
    b.dims.assumeEqual(x.shape[axis], 1);
  }
  return b.reshape(x, withoutAxes(x.shape, *axes, /*keepDims=*/false));
}

FailureOr<Tensor> unsqueeze(Builder &b, const Tensor &x, ArrayRef<int64_t> given) {
  int64_t rank = x.rank() + given.size();
  auto axes = normalizeAxes(b, given, rank);
  if (failed(axes))
    return failure();
  Dims shape;
  unsigned next = 0;
  for (int64_t i = 0; i < rank; ++i)
    shape.push_back(llvm::is_contained(*axes, i) ? Dim(1) : x.shape[next++]);
  return b.reshape(x, shape);
}

/// x repeated along its dimensions of size one.
static Tensor broadcastTo(Builder &b, const Tensor &x, ArrayRef<Dim> shape) {
  if (ArrayRef<Dim>(x.shape) == shape)
    return x;
  if (x.contents && x.contents->size() == 1 && shape.size() == 1 && shape[0].isConstant() &&
      shape[0].constant() <= kMaxContents)
    return fromContents(x.elementType, shape, Dims(shape[0].constant(), x.contents->front()), x.isUnsigned);
  if (x.constant && x.constant.isSplat())
    return b.fill(shape, llvm::cast<TypedAttr>(x.constant.getSplatValue<Attribute>()), x.isUnsigned);
  return elementwise(b, shape, x.elementType, x, x.isUnsigned, [](const Scalar &, ValueRange args) { return args[0]; });
}

FailureOr<Tensor> expand(Builder &b, const Tensor &x, const Tensor &shape) {
  auto sizes = readShape(b, shape);
  if (failed(sizes))
    return failure();
  auto result = broadcastShapes(b, x.shape, *sizes);
  if (failed(result))
    return failure();
  return broadcastTo(b, x, *result);
}

FailureOr<Tensor> tile(Builder &b, const Tensor &x, const Tensor &repeats) {
  auto counts = b.integers(repeats, "repeats", /*lower=*/0);
  if (failed(counts))
    return failure();
  if (static_cast<int64_t>(counts->size()) != x.rank())
    return b.error() << "repeats must have one value per dimension of " << x.str() << ", found " << counts->size();
  for (Dim count : *counts)
    if (count.isConstant() && count.constant() < 0)
      return b.error() << "repeats holds the negative count " << count.constant();
  if (x.contents && x.rank() == 1 && counts->front().isConstant() &&
      counts->front().constant() * static_cast<int64_t>(x.contents->size()) <= kMaxContents) {
    Dims contents;
    for (int64_t i = 0; i < counts->front().constant(); ++i)
      contents.append(x.contents->begin(), x.contents->end());
    return fromContents(x.elementType, {Dim(contents.size())}, contents, x.isUnsigned);
  }
  // Each repeated dimension becomes two: the repetition, which no operand reads, and the dimension.
  Dims shape, flat;
  SmallVector<int64_t> reads;
  for (auto [size, count] : llvm::zip_equal(x.shape, *counts)) {
    if (!count.is(1))
      shape.push_back(count);
    reads.push_back(shape.size());
    shape.push_back(size);
    flat.push_back(size * count);
  }
  if (flat == x.shape)
    return x;
  Tensor repeated = b.map(
      shape, x.elementType, x, projection(b, shape.size(), reads),
      [](OpBuilder &, Location, ValueRange args) { return args[0]; }, x.isUnsigned);
  return b.reshape(repeated, flat);
}

//===- joining and splitting ----------------------------------------------------------------------------------------===

static std::optional<Tensor> foldConcat(ArrayRef<Tensor> xs) {
  const Tensor &first = xs.front();
  if (first.rank() != 1)
    return std::nullopt;
  if (llvm::all_of(xs, [](const Tensor &x) { return x.contents.has_value(); })) {
    Dims contents;
    for (const Tensor &x : xs)
      contents.append(x.contents->begin(), x.contents->end());
    return fromContents(first.elementType, {Dim(contents.size())}, contents, first.isUnsigned);
  }
  if (!llvm::all_of(
          xs, [](const Tensor &x) { return x.isFloat() && x.constant && x.constant.getNumElements() <= kMaxContents; }))
    return std::nullopt;
  SmallVector<APFloat> values;
  for (const Tensor &x : xs)
    llvm::append_range(values, x.constant.getValues<APFloat>());
  auto type = RankedTensorType::get(values.size(), first.elementType);
  return fromConstant(DenseElementsAttr::get(type, ArrayRef<APFloat>(values)));
}

FailureOr<Tensor> concat(Builder &b, ArrayRef<Tensor> xs, int64_t axis) {
  if (xs.empty())
    return b.error() << "expected at least one operand";
  auto position = normalizeAxis(b, axis, xs.front().rank());
  if (failed(position))
    return failure();
  Tensor result = xs.front();
  result.contents.reset(), result.constant = nullptr, result.value = nullptr;
  result.shape[*position] = 0;
  SmallVector<Tensor> parts;
  for (const Tensor &x : xs) {
    if (x.rank() != result.rank() || x.elementType != result.elementType)
      return b.error() << "cannot join " << xs.front().str() << " and " << x.str();
    for (int64_t i = 0; i < x.rank(); ++i) {
      if (i == *position) {
        result.shape[i] += x.shape[i];
        continue;
      }
      if (failed(checkSame(b, result.shape[i], x.shape[i],
                           "cannot join " + xs.front().str() + " and " + x.str() + " along axis " + Twine(*position))))
        return failure();
      if (x.shape[i].isConstant())
        result.shape[i] = x.shape[i];
    }
    if (!x.shape[*position].is(0))
      parts.push_back(x);
  }
  if (parts.size() == 1)
    return b.reshape(parts.front(), result.shape);
  if (parts.empty())
    return xs.front();
  if (auto folded = foldConcat(parts))
    return *folded;
  SmallVector<Value> values;
  for (const Tensor &part : parts) {
    Dims shape = result.shape;
    shape[*position] = part.shape[*position];
    values.push_back(b.withShape(b.value(part), shape));
  }
  result.value = tensor::ConcatOp::create(b.builder, b.loc, result.type(), *position, values);
  return result;
}

FailureOr<SmallVector<Tensor>> split(Builder &b, const Tensor &x, int64_t axis, ArrayRef<Dim> sizes) {
  auto position = normalizeAxis(b, axis, x.rank());
  if (failed(position))
    return failure();
  Dim total = 0;
  for (Dim size : sizes)
    total += size;
  if (failed(checkSame(b, total, x.shape[*position],
                       "the parts' sizes do not add up to dimension " + Twine(*position) + " of " + x.str())))
    return failure();
  SmallVector<Tensor> parts;
  Dims offsets(x.rank(), Dim(0)), shape = x.shape;
  for (Dim size : sizes) {
    if (x.shape[*position].is(0))
      size = 0;
    shape[*position] = size;
    if (x.contents && offsets[*position].isConstant() && size.isConstant()) {
      ArrayRef<Dim> part = ArrayRef(*x.contents).slice(offsets[*position].constant(), size.constant());
      parts.push_back(fromContents(x.elementType, shape, Dims(part), x.isUnsigned));
    } else {
      parts.push_back(b.extract(x, offsets, shape, SmallVector<int64_t>(x.rank(), 1)));
    }
    offsets[*position] += size;
  }
  return parts;
}

FailureOr<SmallVector<Tensor>> splitEqually(Builder &b, const Tensor &x, int64_t axis, int64_t parts) {
  auto position = normalizeAxis(b, axis, x.rank());
  if (failed(position))
    return failure();
  if (parts < 1)
    return b.error() << "expected at least one part, found " << parts;
  Dim size = ceilDiv(x.shape[*position], parts), rest = x.shape[*position] - size * Dim(parts - 1);
  if (rest.isConstant() && rest.constant() < 0)
    return b.error() << "cannot split " << x.str() << " into " << parts << " parts";
  Dims sizes(parts, size);
  sizes.back() = rest;
  return split(b, x, *position, sizes);
}

//===- slices -------------------------------------------------------------------------------------------------------===

namespace {
struct Range {
  Dim start, size;
  int64_t step;
};
} // namespace

/// A position given by a model: negative ones count from the end; huge ones mean "to the end".
static Dim resolvePosition(Dim v, Dim size) {
  constexpr int64_t kHuge = int64_t(1) << 31;
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
    if (v.isConstant() && v.constant() >= (int64_t(1) << 31) - 1)
      return high;
    return max(min(v, high), low);
  };
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
    SmallVector<int64_t> list = llvm::to_vector(llvm::seq<int64_t>(0, count.constant()));
    if (axes) {
      auto values = b.constantIntegers(*axes, "axes");
      if (failed(values))
        return failure();
      list = *values;
    }
    return sliceAtRunTime(b, x, list, starts, ends, *steps);
  }
  auto first = b.integers(starts, "starts"), last = b.integers(ends, "ends");
  if (failed(first) || failed(last))
    return failure();
  SmallVector<int64_t> axisList = llvm::to_vector(llvm::seq<int64_t>(0, first->size())), stepList(first->size(), 1);
  for (auto [tensor, list, name] : {std::tuple(axes, &axisList, "axes"), {steps, &stepList, "steps"}}) {
    if (!tensor)
      continue;
    auto values = b.constantIntegers(*tensor, name);
    if (failed(values))
      return failure();
    *list = *values;
  }
  if (first->size() != last->size() || first->size() != axisList.size() || first->size() != stepList.size())
    return b.error() << "starts, ends, axes and steps must be of one length";
  SmallVector<Range> ranges;
  for (Dim size : x.shape)
    ranges.push_back({0, size, 1});
  SmallVector<int64_t> seen;
  for (auto [axis, start, end, step] : llvm::zip_equal(axisList, *first, *last, stepList)) {
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

//===- padding ------------------------------------------------------------------------------------------------------===

/// Position `i` (possibly outside) of a dimension brought inside by `mode`.
static Value padIndex(const Scalar &s, PadMode mode, Value i, Value size) {
  Value zero = s.index(0), one = s.index(1), last = s.op<arith::SubIOp>(size, one);
  auto floorMod = [&](Value x, Value period) -> Value {
    Value safe = s.op<arith::MaxSIOp>(period, one);
    Value r = s.op<arith::RemSIOp>(x, safe);
    return s.select(s.cmp(arith::CmpIPredicate::slt, r, zero), s.op<arith::AddIOp>(r, safe), r);
  };
  if (mode == PadMode::Edge)
    return s.op<arith::MaxSIOp>(Value(s.op<arith::MinSIOp>(i, last)), zero);
  if (mode == PadMode::Wrap)
    return floorMod(i, size);
  Value period = s.op<arith::MulIOp>(last, s.index(2)), r = floorMod(i, period);
  return s.op<arith::MinSIOp>(r, Value(s.op<arith::SubIOp>(period, r)));
}

/// `part` padded with an element that is only known at run time.
static Tensor padWithValue(Builder &b, const Tensor &part, ArrayRef<Dim> low, ArrayRef<Dim> high, const Tensor &value) {
  Tensor padded = b.pad(part, low, high, numberAttr(part.elementType, 0));
  SmallVector<Count> begins, ends;
  for (auto [size, before] : llvm::zip_equal(part.shape, low))
    begins.emplace_back(b, before), ends.emplace_back(b, before + size);
  AffineMap scalarMap = AffineMap::get(part.rank(), 0, b.builder.getContext());
  return b.map(
      padded.shape, padded.elementType, {padded, b.reshape(value, {})}, {b.identity(part.rank()), scalarMap},
      [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
        Scalar s{builder, loc};
        Type index = builder.getIndexType();
        Value isInside = s.op<arith::ConstantOp>(builder.getBoolAttr(true));
        for (int64_t d = 0; d < part.rank(); ++d) {
          if (low[d].is(0) && high[d].is(0))
            continue;
          Value i = s.op<linalg::IndexOp>(d);
          Value isBehind = s.cmp(arith::CmpIPredicate::sge, i, begins[d].get(s, index));
          Value isBefore = s.cmp(arith::CmpIPredicate::slt, i, ends[d].get(s, index));
          isInside = s.op<arith::AndIOp>(isInside, Value(s.op<arith::AndIOp>(isBehind, isBefore)));
        }
        return s.select(isInside, args[0], args[1]);
      },
      padded.isUnsigned);
}

FailureOr<Tensor> pad(Builder &b, const Tensor &x, const Tensor &pads, PadMode mode, const Tensor *value,
                      const Tensor *axes) {
  SmallVector<int64_t> axisList = llvm::to_vector(llvm::seq<int64_t>(0, x.rank()));
  if (axes) {
    auto values = b.constantIntegers(*axes, "axes");
    if (failed(values))
      return failure();
    axisList = *values;
  }
  auto amounts = b.integers(pads, "pads");
  if (failed(amounts))
    return failure();
  if (amounts->size() != 2 * axisList.size())
    return b.error() << "pads must have " << 2 * axisList.size() << " values (begins, then ends), found "
                     << amounts->size();
  Dims low(x.rank(), Dim(0)), high = low, offsets = low, cropped = x.shape, padded = x.shape;
  for (auto [i, axis] : llvm::enumerate(axisList)) {
    auto position = normalizeAxis(b, axis, x.rank());
    if (failed(position))
      return failure();
    Dim before = (*amounts)[i], after = (*amounts)[axisList.size() + i];
    auto crop = [](Dim &amount) -> Dim {
      if (lowerBound(amount).value_or(-1) >= 0)
        return 0;
      Dim cut = max(-amount, 0);
      amount = max(amount, 0);
      return cut;
    };
    padded[*position] = x.shape[*position] + before + after;
    Dim cutLow = crop(before), cutHigh = crop(after);
    offsets[*position] = cutLow, cropped[*position] = x.shape[*position] - cutLow - cutHigh;
    low[*position] = before, high[*position] = after;
  }
  Tensor part = b.extract(x, offsets, cropped, SmallVector<int64_t>(x.rank(), 1));
  // Padding and cropping by one amount give a size that is simpler than the way there: n + a = n - max(-a, 0) + max(a,
  // 0).
  auto shaped = [&](const Tensor &t) {
    return ArrayRef<Dim>(t.shape) == ArrayRef<Dim>(padded)
               ? t
               : fromValue(b.withShape(b.value(t), padded), padded, t.isUnsigned);
  };
  if (mode == PadMode::Constant) {
    TypedAttr number = numberAttr(x.elementType, 0);
    if (value) {
      if (value->elementType != x.elementType || !value->numElements().is(1))
        return b.error() << "the padding must be one element of the type of " << x.str() << ", found " << value->str();
      auto known = splatValue(*value);
      if (!known)
        return shaped(padWithValue(b, part, low, high, *value));
      number = value->constant ? llvm::cast<TypedAttr>(value->constant.getSplatValue<Attribute>())
                               : numberAttr(x.elementType, *known);
    }
    return shaped(b.pad(part, low, high, number));
  }
  Dims shape;
  SmallVector<Count> begins, sizes;
  for (auto [size, before, after] : llvm::zip_equal(part.shape, low, high)) {
    shape.push_back(size + before + after);
    begins.emplace_back(b, before), sizes.emplace_back(b, size);
  }
  if (shape == part.shape)
    return shaped(part);
  return shaped(gatherMap(b, part, shape, {}, {}, [&](const Scalar &s, ValueRange indices, ValueRange) {
    SmallVector<Value> from;
    for (auto [i, index] : llvm::enumerate(indices)) {
      if (low[i].is(0) && high[i].is(0)) {
        from.push_back(index);
        continue;
      }
      Value position = s.op<arith::SubIOp>(index, begins[i].get(s, s.b.getIndexType()));
      from.push_back(padIndex(s, mode, position, sizes[i].get(s, s.b.getIndexType())));
    }
    return from;
  }));
}

FailureOr<Tensor> centerCropPad(Builder &b, const Tensor &x, const Tensor &sizes, ArrayRef<int64_t> axes) {
  SmallVector<int64_t> axisList(axes);
  if (axes.empty())
    axisList = llvm::to_vector(llvm::seq<int64_t>(0, x.rank()));
  auto wanted = readShape(b, sizes);
  if (failed(wanted))
    return failure();
  if (wanted->size() != axisList.size())
    return b.error() << "shape must have " << axisList.size() << " sizes, found " << wanted->size();
  Dims low(x.rank(), Dim(0)), high = low;
  for (auto [axis, size] : llvm::zip_equal(axisList, *wanted)) {
    auto position = normalizeAxis(b, axis, x.rank());
    if (failed(position))
      return failure();
    Dim more = size - x.shape[*position];
    low[*position] = floorDiv(max(more, 0), 2) - floorDiv(max(-more, 0), 2);
    high[*position] = more - low[*position];
  }
  low.append(high);
  return pad(b, x, fromContents(b.builder.getI64Type(), Dim(low.size()), low), PadMode::Constant, nullptr);
}

//===- blocks and sequences -----------------------------------------------------------------------------------------===

static LogicalResult checkBlocks(Builder &b, const Tensor &x, int64_t blockSize) {
  if (x.rank() == 4 && blockSize >= 1)
    return success();
  return b.error() << "expected a tensor of rank 4 and a positive block size, found " << x.str() << " and "
                   << blockSize;
}

FailureOr<Tensor> depthToSpace(Builder &b, const Tensor &x, int64_t blockSize, bool columnRowDepth) {
  if (failed(checkBlocks(b, x, blockSize)))
    return failure();
  Dim n = x.shape[0], c = floorDiv(x.shape[1], blockSize * blockSize), h = x.shape[2], w = x.shape[3], k = blockSize;
  if (isEqual(c * k * k, x.shape[1]) == std::optional<bool>(false))
    return b.error() << "the channels of " << x.str() << " are not a multiple of blocksize squared";
  Tensor apart = columnRowDepth ? b.reshape(x, {n, c, k, k, h, w}) : b.reshape(x, {n, k, k, c, h, w});
  Tensor moved = columnRowDepth ? b.transpose(apart, {0, 1, 4, 2, 5, 3}) : b.transpose(apart, {0, 3, 4, 1, 5, 2});
  return b.reshape(moved, {n, c, h * k, w * k});
}

FailureOr<Tensor> spaceToDepth(Builder &b, const Tensor &x, int64_t blockSize, bool columnRowDepth) {
  if (failed(checkBlocks(b, x, blockSize)))
    return failure();
  Dim n = x.shape[0], c = x.shape[1], k = blockSize, h = floorDiv(x.shape[2], k), w = floorDiv(x.shape[3], k);
  if (isEqual(h * k, x.shape[2]) == std::optional<bool>(false) ||
      isEqual(w * k, x.shape[3]) == std::optional<bool>(false))
    return b.error() << "the spatial sizes of " << x.str() << " are not multiples of blocksize " << blockSize;
  SmallVector<int64_t> order =
      columnRowDepth ? SmallVector<int64_t>{0, 1, 3, 5, 2, 4} : SmallVector<int64_t>{0, 3, 5, 1, 2, 4};
  Tensor moved = b.transpose(b.reshape(x, {n, c, h, k, w, k}), order);
  return b.reshape(moved, {n, c * k * k, h, w});
}

FailureOr<Tensor> reverseSequence(Builder &b, const Tensor &x, const Tensor &lengths, int64_t timeAxis,
                                  int64_t batchAxis) {
  auto time = normalizeAxis(b, timeAxis, x.rank()), batch = normalizeAxis(b, batchAxis, x.rank());
  if (failed(time) || failed(batch))
    return failure();
  if (*time == *batch || lengths.rank() != 1 || !lengths.isInteger())
    return b.error() << "expected two different axes and a vector of lengths, found " << lengths.str();
  Count size(b, x.shape[*time]);
  return gatherMap(b, x, x.shape, lengths, projection(b, x.rank(), {*batch}),
                   [&](const Scalar &s, ValueRange indices, ValueRange args) {
                     SmallVector<Value> from(indices);
                     Value t = indices[*time], length = s.op<arith::IndexCastOp>(s.b.getIndexType(), args[0]);
                     length = s.op<arith::MinSIOp>(length, size.get(s, s.b.getIndexType()));
                     Value mirrored = s.op<arith::SubIOp>(Value(s.op<arith::SubIOp>(length, s.index(1))), t);
                     from[*time] = s.select(s.cmp(arith::CmpIPredicate::slt, t, length), mirrored, t);
                     return from;
                   });
}

} // namespace eyrie::ops
