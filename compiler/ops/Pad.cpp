// Padding and cropping.
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

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

namespace {
/// What is cut off, then added, of each dimension.
struct Pads {
  Dims offsets, cropped, low, high, result;
};
} // namespace

/// A negative amount, of whichever sign it turns out to be, is cut off: it is set to zero, and its size is returned.
static Dim takeCut(Dim &amount) {
  if (lowerBound(amount).value_or(-1) >= 0)
    return 0;
  Dim cut = max(-amount, 0);
  amount = max(amount, 0);
  return cut;
}

static FailureOr<Pads> readPads(Builder &b, const Tensor &x, const Tensor &pads, const Tensor *axes) {
  auto axisList = axesOr(b, axes, x.rank());
  auto amounts = failed(axisList) ? FailureOr<Dims>(failure()) : b.integers(pads, "pads");
  if (failed(amounts))
    return failure();
  if (amounts->size() != 2 * axisList->size())
    return b.error() << "pads must have " << 2 * axisList->size() << " values (begins, then ends), found "
                     << amounts->size();
  Dims zeros(x.rank(), Dim(0));
  Pads result{zeros, x.shape, zeros, zeros, x.shape};
  for (auto [i, axis] : llvm::enumerate(*axisList)) {
    auto position = normalizeAxis(b, axis, x.rank());
    if (failed(position))
      return failure();
    unsigned d = *position;
    Dim size = x.shape[d], before = (*amounts)[i], after = (*amounts)[axisList->size() + i];
    result.result[d] = size + before + after;
    Dim cutLow = takeCut(before), cutHigh = takeCut(after);
    result.offsets[d] = cutLow, result.cropped[d] = size - cutLow - cutHigh;
    if (cutLow.isSymbolic() || cutHigh.isSymbolic()) { // nothing outside is read, whatever the amounts
      result.offsets[d] = min(cutLow, max(size - 1, 0));
      result.cropped[d] = max(result.cropped[d], 0);
    }
    result.low[d] = before, result.high[d] = after;
  }
  return result;
}

/// `part` padded with its own elements.
static Tensor padWithElements(Builder &b, const Tensor &part, const Pads &pads, PadMode mode) {
  SmallVector<Count> begins, sizes;
  for (auto [size, before] : llvm::zip_equal(part.shape, pads.low))
    begins.emplace_back(b, before), sizes.emplace_back(b, size);
  return gatherMap(b, part, pads.result, {}, {}, [&](const Scalar &s, ValueRange indices, ValueRange) {
    SmallVector<Value> from;
    for (auto [i, index] : llvm::enumerate(indices)) {
      if (pads.low[i].is(0) && pads.high[i].is(0)) {
        from.push_back(index);
        continue;
      }
      Value position = s.op<arith::SubIOp>(index, begins[i].get(s, s.b.getIndexType()));
      from.push_back(padIndex(s, mode, position, sizes[i].get(s, s.b.getIndexType())));
    }
    return from;
  });
}

FailureOr<Tensor> pad(Builder &b, const Tensor &x, const Tensor &amounts, PadMode mode, const Tensor *value,
                      const Tensor *axes) {
  auto pads = readPads(b, x, amounts, axes);
  if (failed(pads))
    return failure();
  Tensor part = b.extract(x, pads->offsets, pads->cropped, SmallVector<int64_t>(x.rank(), 1));
  if (mode != PadMode::Constant)
    return pads->result == part.shape ? part : padWithElements(b, part, *pads, mode);
  // An amount of unknown sign gives a size that is simpler than the way there: n + a = n - max(-a, 0) + max(a, 0).
  auto shaped = [&](const Tensor &t) {
    return t.shape == pads->result ? t : fromValue(b.withShape(b.value(t), pads->result), pads->result, t.isUnsigned);
  };
  TypedAttr number = numberAttr(x.elementType, 0);
  if (value) {
    if (value->elementType != x.elementType || !value->numElements().is(1))
      return b.error() << "the padding must be one element of the type of " << x.str() << ", found " << value->str();
    auto known = splatValue(*value);
    if (!known)
      return shaped(padWithValue(b, part, pads->low, pads->high, *value));
    number = value->constant ? llvm::cast<TypedAttr>(value->constant.getSplatValue<Attribute>())
                             : numberAttr(x.elementType, *known);
  }
  return shaped(b.pad(part, pads->low, pads->high, number));
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

} // namespace eyrie::ops
