// Operations that only move elements: views, joins, blocks.
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
  auto move = [&](const Tensor &t) { return b.transpose(t, permutation); };
  return keepingCodes(b, x, move(x), move);
}

/// A size that a formula says becomes a value of its own, never below 0: formulas made of such, and others of them,
/// would double with every step.
static Dim valueOf(Builder &b, Dim size) {
  if (size.isConstant() || size.getNode()->terms.size() == 1)
    return size;
  return b.dims.opaque(b.dims.materialize(b.builder, b.loc, size), "size", /*lower=*/0);
}

/// Sizes of which one may be -1 (inferred) or, unless `allowZero`, some 0 (copied) at run time. Flags are 0 or 1.
static void resolveSizes(Builder &b, const Tensor &x, llvm::MutableArrayRef<Dim> sizes, bool allowZero) {
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
      size = valueOf(b, size);
    } else if (size.is(-1)) {
      isInferred[i] = 1, size = 1;
    } else if (size.is(0) && !allowZero && static_cast<int64_t>(i) < x.rank()) {
      size = x.shape[i];
    }
    known *= size;
  }
  for (auto [size, flag] : llvm::zip_equal(sizes, isInferred))
    if (!flag.is(0))
      size = valueOf(b, size + flag * (floorDiv(x.numElements(), max(known, 1)) - Dim(1)));
}

static Tensor reshapeTo(Builder &b, const Tensor &x, ArrayRef<Dim> shape) {
  auto move = [&](const Tensor &t) { return b.reshape(t, shape); };
  return keepingCodes(b, x, move(x), move);
}

FailureOr<Tensor> reshape(Builder &b, const Tensor &x, const Tensor &shape, bool allowZero) {
  auto sizes = b.integers(shape, "shape");
  if (failed(sizes))
    return failure();
  resolveSizes(b, x, *sizes, allowZero);
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
  std::optional<bool> fits = isEqual(product(result), total);
  if (fits == std::optional<bool>(false)) {
    Tensor target = x;
    target.shape = result;
    return b.error() << "cannot reshape " << x.str() << " to " << target.str() << ": " << total.str() << " and "
                     << product(result).str() << " elements";
  }
  if (!fits)
    b.dims.assumeEqual(product(result), total);
  return reshapeTo(b, x, result);
}

FailureOr<Tensor> flatten(Builder &b, const Tensor &x, int64_t axis) {
  if (axis < -x.rank() || axis > x.rank())
    return b.error() << "axis " << axis << " is out of range for " << x.str();
  int64_t at = axis < 0 ? axis + x.rank() : axis;
  ArrayRef<Dim> shape = x.shape;
  return reshapeTo(b, x, {product(shape.take_front(at)), product(shape.drop_front(at))});
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
