#include "compiler/ops/Signal.h"
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <numbers>

using namespace mlir;

namespace eyrie::ops {

//===- Fourier transforms -------------------------------------------------------------------------------------------===

namespace {

struct Transform {
  Dim length;                // of one period
  Dim in, out;               // elements along the axis
  int64_t inParts, outParts; // 1: real, 2: complex
  bool inverse, isHalf;      // isHalf: the input is the first half of a spectrum of real numbers
};

} // namespace

/// The table [in, inParts, out, outParts] by which a transform multiplies.
static Tensor waves(Builder &b, const Transform &t, Type type) {
  Dims shape{t.in, t.inParts, t.out, t.outParts};
  Count length(b, t.length);
  Type i64 = b.builder.getI64Type(), f64 = b.builder.getF64Type();
  return b.map(shape, type, {}, {}, [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
    Scalar s{builder, loc};
    Value n = s.loopNumber(0), k = s.loopNumber(2), period = s.max(length.get(s, i64), s.number(i64, 1));
    // The angle from the remainder, so that it is exact however long the signal is.
    Value turn = s.op<arith::RemUIOp>(s.mul(n, k), period), floatPeriod = s.op<arith::SIToFPOp>(f64, period);
    Value angle = s.divF(s.mul(s.op<arith::SIToFPOp>(f64, turn), 2 * std::numbers::pi), floatPeriod);
    Value cosine = s.op<math::CosOp>(angle), sine = s.op<math::SinOp>(angle);
    if (t.inverse)
      sine = s.neg(sine);
    // (re + i im) (cos - i sin): the parts of input and output are equal for cos; im adds sin, and re takes it away.
    auto isImaginary = [&](unsigned loop) {
      return s.cmp(arith::CmpIPredicate::eq, s.op<linalg::IndexOp>(loop), s.index(1));
    };
    Value fromImaginary = isImaginary(1), toImaginary = isImaginary(3);
    Value crossed = s.select(fromImaginary, sine, s.neg(sine));
    Value weight = s.select(s.cmp(arith::CmpIPredicate::eq, fromImaginary, toImaginary), cosine, crossed);
    if (t.isHalf) {
      // Every bin but the first and the middle one stands for two; of those two the imaginary part counts for nothing.
      Value isEnd = s.op<arith::OrIOp>(s.cmp(arith::CmpIPredicate::eq, n, s.number(i64, 0)),
                                       s.cmp(arith::CmpIPredicate::eq, s.mul(n, 2.0), period));
      Value atEnd = s.select(fromImaginary, s.like(weight, 0), weight);
      weight = s.select(isEnd, atEnd, s.mul(weight, 2.0));
    }
    if (t.inverse)
      weight = s.divF(weight, floatPeriod);
    return scalarCast(s, weight, false, type, false);
  });
}

/// x [..., n, parts] times the table: [..., out, parts].
static FailureOr<Tensor> transformLast(Builder &b, const Tensor &x, const Transform &t) {
  Dims batch(x.shape.begin(), x.shape.end() - 2), shape = batch;
  Dim rows = product(batch);
  Tensor table = b.reshape(waves(b, t, x.elementType), {t.in * Dim(t.inParts), t.out * Dim(t.outParts)});
  auto y = matmul(b, b.reshape(x, {rows, t.in * Dim(t.inParts)}), table);
  if (failed(y))
    return failure();
  shape.append({t.out, Dim(t.outParts)});
  return b.reshape(*y, shape);
}

static FailureOr<Dim> readOne(Builder &b, const Tensor &t, llvm::StringRef what, int64_t lower) {
  auto values = b.integers(t, what, lower);
  if (failed(values))
    return failure();
  if (values->size() != 1)
    return b.error() << what << " must be one number, found " << t.str();
  Dim value = values->front();
  if (value.isConstant() && value.constant() < lower)
    return b.error() << what << " must be at least " << lower << ", found " << value.constant();
  return value;
}

FailureOr<Tensor> dft(Builder &b, const Tensor &x, const Tensor *length, int64_t axis, bool inverse, bool oneSided) {
  if (x.rank() < 2 || !x.isFloat() || !(x.shape.back().is(1) || x.shape.back().is(2)))
    return b.error() << "expected floats of rank 2 or more with a last dimension of 1 or 2, found " << x.str();
  auto position = normalizeAxis(b, axis, x.rank());
  if (failed(position))
    return failure();
  if (*position == x.rank() - 1)
    return b.error() << "axis " << axis << " is that of the real and imaginary parts";
  Dim given = x.shape[*position];
  bool isHalf = inverse && oneSided;
  Transform t;
  t.inverse = inverse, t.isHalf = isHalf;
  t.length = isHalf ? Dim(2) * (given - Dim(1)) : given;
  if (length) {
    auto asked = readOne(b, *length, "dft_length", 1);
    if (failed(asked))
      return failure();
    t.length = *asked;
  }
  Dim half = floorDiv(t.length, 2) + Dim(1);
  t.in = isHalf ? half : t.length;
  t.out = oneSided && !inverse ? half : t.length;
  t.inParts = x.shape.back().constant(), t.outParts = isHalf ? 1 : 2;
  // The axis to the end, cut or filled up.
  SmallVector<int64_t> permutation, back(x.rank());
  for (int64_t i = 0; i < x.rank(); ++i)
    if (i != *position && i != x.rank() - 1)
      permutation.push_back(i);
  permutation.append({*position, x.rank() - 1});
  for (auto [i, p] : llvm::enumerate(permutation))
    back[p] = i;
  Tensor moved = b.transpose(x, permutation);
  int64_t at = x.rank() - 2;
  Dims low(x.rank(), Dim(0)), high = low, kept = moved.shape;
  kept[at] = min(given, t.in);
  high[at] = t.in - kept[at];
  Tensor part = b.extract(moved, low, kept, SmallVector<int64_t>(x.rank(), 1));
  auto y = transformLast(b, b.pad(part, low, high, numberAttr(x.elementType, 0)), t);
  if (failed(y))
    return failure();
  return b.transpose(*y, back);
}

/// A vector of integers read at run time: `body` gets the number of the element and the axis (i64).
static FailureOr<Dims> readByAxis(Builder &b, int64_t count, int64_t rank, const Tensor &axis,
                                  llvm::function_ref<Value(const Scalar &, Value, Value)> body) {
  Type i64 = b.builder.getI64Type();
  AffineMap scalarMap = AffineMap::get(1, 0, b.builder.getContext());
  Tensor numbers =
      b.map({count}, i64, b.reshape(axis, {}), scalarMap, [&](OpBuilder &builder, Location loc, ValueRange args) {
        Scalar s{builder, loc};
        Value at = scalarCast(s, args[0], axis.isUnsigned, i64, false), zero = s.number(i64, 0);
        at = s.select(s.less(at, zero), s.add(at, double(rank)), at);
        return body(s, s.loopNumber(0), at);
      });
  return b.integers(numbers, "axis", /*lower=*/0);
}

FailureOr<Tensor> dftAlong(Builder &b, const Tensor &x, const Tensor *length, const Tensor &axis, bool inverse,
                           bool oneSided) {
  int64_t rank = x.rank();
  if (rank < 2 || !axis.isInteger() || !axis.numElements().is(1))
    return b.error() << "expected a tensor of rank 2 or more and one axis, found " << x.str() << " and " << axis.str();
  SmallVector<Count> sizes;
  for (Dim d : x.shape)
    sizes.emplace_back(b, d);
  Type i64 = b.builder.getI64Type();
  auto isEqualTo = [](const Scalar &s, Value a, Value b) { return s.cmp(arith::CmpIPredicate::eq, a, b); };
  // The sizes before the axis, of it, and behind it.
  auto apart = readByAxis(b, 3, rank, axis, [&](const Scalar &s, Value i, Value at) {
    Value result = s.like(i, 1);
    for (int64_t d = 0; d < rank - 1; ++d) {
      Value here = s.like(i, d);
      Value part = s.select(s.less(here, at), s.like(i, 0), s.select(s.less(at, here), s.like(i, 2), s.like(i, 1)));
      result = s.select(isEqualTo(s, part, i), s.mul(result, sizes[d].get(s, i64)), result);
    }
    return result;
  });
  if (failed(apart))
    return failure();
  apart->push_back(x.shape.back());
  auto y = dft(b, b.reshape(x, *apart), length, 1, inverse, oneSided);
  if (failed(y))
    return failure();
  Count out(b, y->shape[1]);
  auto shape = readByAxis(b, rank - 1, rank, axis, [&](const Scalar &s, Value i, Value at) {
    Value size = sizes[0].get(s, i64);
    for (int64_t d = 1; d < rank - 1; ++d)
      size = s.select(isEqualTo(s, i, s.like(i, d)), sizes[d].get(s, i64), size);
    return s.select(isEqualTo(s, i, at), out.get(s, i64), size);
  });
  if (failed(shape))
    return failure();
  shape->push_back(y->shape.back());
  return b.reshape(*y, *shape);
}

FailureOr<Tensor> stft(Builder &b, const Tensor &signal, const Tensor &step, const Tensor *window,
                       const Tensor *frameLength, bool oneSided) {
  bool isFlat = signal.rank() == 2;
  if (!(isFlat || signal.rank() == 3) || !signal.isFloat() ||
      !(isFlat || signal.shape.back().is(1) || signal.shape.back().is(2)))
    return b.error() << "expected a signal of floats [N, L], [N, L, 1] or [N, L, 2], found " << signal.str();
  if (window && (window->rank() != 1 || window->elementType != signal.elementType))
    return b.error() << "the window must be a vector of the signal's type, found " << window->str();
  auto hop = readOne(b, step, "frame_step", 1);
  if (failed(hop))
    return failure();
  Dim length = window ? window->shape[0] : signal.shape[1];
  if (frameLength) {
    auto asked = readOne(b, *frameLength, "frame_length", 1);
    if (failed(asked))
      return failure();
    length = *asked;
  }
  if (window && failed(checkSame(b, window->shape[0], length, "window and frame_length")))
    return failure();
  Dim frames = max(floorDiv(signal.shape[1] - length, *hop) + Dim(1), 0);
  int64_t parts = isFlat ? 1 : signal.shape.back().constant();
  Dims shape{signal.shape[0], frames, length, parts};
  Count stepCount(b, *hop);
  SmallVector<Tensor> operands;
  SmallVector<AffineMap> maps;
  if (window)
    operands.push_back(*window), maps.push_back(projection(b, 4, {2}));
  Value source = b.value(signal);
  Tensor framed =
      b.map(shape, signal.elementType, operands, maps, [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
        Scalar s{builder, loc};
        Value start = s.op<arith::MulIOp>(s.op<linalg::IndexOp>(1), stepCount.get(s, builder.getIndexType()));
        SmallVector<Value> indices{s.op<linalg::IndexOp>(0), s.op<arith::AddIOp>(start, s.op<linalg::IndexOp>(2))};
        if (!isFlat)
          indices.push_back(s.op<linalg::IndexOp>(3));
        Value element = s.op<tensor::ExtractOp>(source, indices);
        return window ? s.mul(element, args[0]) : element;
      });
  return dft(b, framed, nullptr, 2, /*inverse=*/false, oneSided);
}

//===- windows and scales -------------------------------------------------------------------------------------------===

FailureOr<Tensor> window(Builder &b, Window1D kind, const Tensor &size, bool periodic, Type elementType,
                         bool isUnsigned) {
  auto length = readOne(b, size, "size", 0);
  if (failed(length))
    return failure();
  Count period(b, periodic ? *length : *length - Dim(1));
  Type f64 = b.builder.getF64Type();
  return b.map(
      *length, elementType, {}, {},
      [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
        Scalar s{builder, loc};
        Value n = s.op<arith::SIToFPOp>(f64, s.loopNumber(0));
        auto cosine = [&](double turns) -> Value {
          return s.op<math::CosOp>(s.divF(s.mul(n, 2 * std::numbers::pi * turns), period.get(s, f64)));
        };
        // A sum of cosines: the second coefficient is 1 minus the first where there are two.
        double first = kind == Window1D::Hann ? 0.5 : kind == Window1D::Hamming ? 25.0 / 46 : 0.42;
        double second = kind == Window1D::Blackman ? 0.5 : 1 - first;
        Value sum = s.add(s.mul(cosine(1), -second), first);
        if (kind == Window1D::Blackman)
          sum = s.add(sum, s.mul(cosine(2), 0.08));
        return scalarCast(s, sum, false, elementType, isUnsigned);
      },
      isUnsigned);
}

FailureOr<Tensor> melWeightMatrix(Builder &b, const Tensor &bins, const Tensor &dftLength, const Tensor &sampleRate,
                                  const Tensor &lowest, const Tensor &highest, Type elementType, bool isUnsigned) {
  auto count = readOne(b, bins, "num_mel_bins", 0), length = readOne(b, dftLength, "dft_length", 0);
  if (failed(count) || failed(length))
    return failure();
  for (const Tensor *t : {&sampleRate, &lowest, &highest})
    if (!t->numElements().is(1) || t->isFloat() != (t != &sampleRate))
      return b.error() << "sample_rate must be one integer, the frequencies one float each, found " << t->str();
  Count binCount(b, *count), dftCount(b, *length);
  Type f64 = b.builder.getF64Type();
  AffineMap scalarMap = AffineMap::get(2, 0, b.builder.getContext());
  SmallVector<Tensor> operands{b.reshape(sampleRate, {}), b.reshape(lowest, {}), b.reshape(highest, {})};
  return b.map(
      {floorDiv(*length, 2) + Dim(1), *count}, elementType, operands, {scalarMap, scalarMap, scalarMap},
      [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
        Scalar s{builder, loc};
        Value rate = scalarCast(s, args[0], sampleRate.isUnsigned, f64, false);
        auto mel = [&](Value hertz) {
          Value wide = scalarCast(s, hertz, false, f64, false);
          return s.mul(s.op<math::Log1pOp>(s.divF(wide, s.like(wide, 700))), 2595 / std::numbers::ln10);
        };
        Value low = mel(args[1]), points = s.add(binCount.get(s, f64), 2.0);
        Value step = s.divF(s.sub(mel(args[2]), low), points);
        Value mine = s.op<arith::SIToFPOp>(f64, s.loopNumber(1)), row = s.op<arith::SIToFPOp>(f64, s.loopNumber(0));
        /// The bin of the spectrum in which corner `i` of this triangle lies.
        auto corner = [&](int i) -> Value {
          Value at = s.add(s.mul(s.add(mine, double(i)), step), low);
          Value hertz = s.mul(s.op<math::ExpM1Op>(s.mul(at, std::numbers::ln10 / 2595)), 700.0);
          return s.op<math::FloorOp>(s.divF(s.mul(s.add(dftCount.get(s, f64), 1.0), hertz), rate));
        };
        Value left = corner(0), middle = corner(1), right = corner(2), zero = s.like(row, 0), one = s.like(row, 1);
        auto isBetween = [&](Value from, Value to) -> Value { // both belong
          return s.op<arith::AndIOp>(s.cmp(arith::CmpFPredicate::OLE, from, row),
                                     s.cmp(arith::CmpFPredicate::OLE, row, to));
        };
        Value rise = s.sub(middle, left), fall = s.sub(right, middle);
        Value isSteep = s.cmp(arith::CmpFPredicate::OEQ, rise, zero);
        Value rising = s.select(isSteep, one, s.divF(s.sub(row, left), s.select(isSteep, one, rise)));
        Value up = s.select(isBetween(left, middle), rising, zero);
        Value falls = s.op<arith::AndIOp>(isBetween(middle, right), s.less(row, right));
        Value weight = s.select(falls, s.divF(s.sub(right, row), s.max(fall, one)), up);
        return scalarCast(s, weight, false, elementType, isUnsigned);
      },
      isUnsigned);
}

} // namespace eyrie::ops
