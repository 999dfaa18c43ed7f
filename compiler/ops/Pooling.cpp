// Poolings, computed channels-last: transpose, pad with the neutral element, one reduction over (n, out..., c |
// kernel...), transpose back. The window's sizes come from an empty tensor operand, as in linalg's own poolings.
#include "compiler/ops/Window.h"

using namespace mlir;

namespace eyrie::ops {

namespace {
/// One pooling in its channels-last form.
struct Pooling {
  Builder &b;
  const Tensor &x; // channels first, two or three spatial dimensions
  Window window;
  unsigned spatial;
  Tensor last;

  Pooling(Builder &b, const Tensor &x, Window w)
      : b(b), x(x), window(std::move(w)), spatial(window.rank()), last(toChannelsLast(b, x)) {}

  Dims outShape() const {
    Dims shape{x.shape[0]};
    shape.append(window.out.begin(), window.out.end());
    shape.push_back(x.shape[1]);
    return shape;
  }
  unsigned loops() const { return 2 + 2 * spatial; }
  AffineMap inputMap() const {
    SmallVector<AffineExpr> exprs{b.builder.getAffineDimExpr(0)};
    for (unsigned i = 0; i < spatial; ++i)
      exprs.push_back(windowExpr(b, window, i, 1 + i, 2 + spatial + i));
    exprs.push_back(b.builder.getAffineDimExpr(1 + spatial));
    return AffineMap::get(loops(), 0, exprs, b.builder.getContext());
  }
  AffineMap outMap() const {
    return AffineMap::getMultiDimIdentityMap(loops(), b.builder.getContext()).getMajorSubMap(2 + spatial);
  }
  SmallVector<unsigned> reductions() const { return llvm::to_vector(llvm::seq<unsigned>(2 + spatial, loops())); }
  /// Reduces the padded input; more operands may follow it. The body gets the accumulator and the operands' elements.
  Tensor reduce(TypedAttr padding, TypedAttr init, ArrayRef<Tensor> more,
                llvm::function_ref<Value(const Scalar &, Value, ValueRange)> body) const {
    Tensor padded = padSpatial(b, last, window.low, window.high, padding);
    SmallVector<int64_t> kernelDims;
    for (unsigned d : reductions())
      kernelDims.push_back(d);
    Dims kernel(window.kernel.begin(), window.kernel.end());
    SmallVector<Tensor> operands{padded};
    SmallVector<AffineMap> maps{inputMap()};
    operands.append(more.begin(), more.end());
    maps.append(more.size(), outMap());
    operands.push_back(b.empty(kernel, x.elementType));
    maps.push_back(projection(b, loops(), kernelDims));
    return b.reduce(b.fill(outShape(), init, x.isUnsigned), outMap(), reductions(), operands, maps,
                    [&](OpBuilder &builder, Location loc, ValueRange args) {
                      return body(Scalar{builder, loc}, args.back(), args.drop_back(2));
                    });
  }
};
} // namespace

static LogicalResult checkInput(Builder &b, const Tensor &x) {
  if (x.rank() < 3 || x.rank() > 5)
    return b.error() << "pooling needs an input of rank 3, 4 or 5, found " << x.str();
  return success();
}

static Tensor maxPool(const Pooling &p) {
  TypedAttr lowest = extremeAttr(p.x.elementType, p.x.isUnsigned, /*lowest=*/true);
  return p.reduce(lowest, lowest, {},
                  [&](const Scalar &s, Value acc, ValueRange args) { return s.max(acc, args[0], p.x.isUnsigned); });
}

/// How many positions of window o of spatial dimension i count: those in [begin, end) of the unpadded input.
static Tensor countPositions(const Pooling &p, unsigned i, Dim begin, Dim end) {
  Builder &b = p.b;
  int64_t stride = p.window.strides[i], dilation = p.window.dilations[i], k = p.window.kernel[i];
  Dim low = p.window.low[i], out = p.window.out[i];
  Type type = computeType(p.x.elementType);
  if (out.isConstant() && low.isConstant() && begin.isConstant() && end.isConstant()) {
    SmallVector<Attribute> counts;
    for (int64_t o = 0; o < out.constant(); ++o) {
      int64_t count = 0;
      for (int64_t j = 0; j < k; ++j) {
        int64_t position = o * stride - low.constant() + j * dilation;
        count += position >= begin.constant() && position < end.constant();
      }
      counts.push_back(FloatAttr::get(type, std::max<int64_t>(count, 1)));
    }
    return fromConstant(DenseElementsAttr::get(RankedTensorType::get({out.constant()}, type), counts));
  }
  Count lowValue(b, low), beginValue(b, begin), endValue(b, end);
  return b.map({out}, type, {}, {}, [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
    Scalar s{builder, loc};
    Type index = builder.getIndexType();
    auto smaller = [&](Value x, Value y) -> Value { return s.op<arith::MinSIOp>(x, y); };
    auto larger = [&](Value x, Value y) -> Value { return s.op<arith::MaxSIOp>(x, y); };
    Value start = s.sub(s.op<arith::MulIOp>(s.op<linalg::IndexOp>(0), s.index(stride)), lowValue.get(s, index));
    // First and last j with begin <= start + j * dilation < end.
    Value ahead = larger(s.sub(beginValue.get(s, index), start), s.index(0));
    Value first = s.op<arith::DivSIOp>(s.add(ahead, s.index(dilation - 1)), s.index(dilation));
    Value room = s.sub(s.sub(endValue.get(s, index), s.index(1)), start);
    Value lastPosition = smaller(s.op<arith::DivSIOp>(larger(room, s.index(0)), s.index(dilation)), s.index(k - 1));
    Value count = larger(s.add(s.sub(lastPosition, first), s.index(1)), s.index(1));
    return s.op<arith::SIToFPOp>(type, s.op<arith::IndexCastOp>(builder.getI64Type(), count));
  });
}

static Tensor averagePool(const Pooling &p, const PoolAttrs &attrs, ArrayRef<Dim> high) {
  Builder &b = p.b;
  Type type = p.x.elementType, sumType = computeType(type);
  Tensor sum =
      p.reduce(numberAttr(type, 0), numberAttr(sumType, 0), {}, [&](const Scalar &s, Value acc, ValueRange args) {
        return s.add(acc, scalarCast(s, args[0], false, sumType, false));
      });
  double window = 1;
  bool isPadded = false;
  for (unsigned i = 0; i < p.spatial; ++i) {
    window *= p.window.kernel[i];
    bool isWithin =
        attrs.countIncludePad ? p.window.high[i] == high[i] : p.window.low[i].is(0) && p.window.high[i].is(0);
    isPadded |= !isWithin;
  }
  SmallVector<Tensor> operands{sum};
  SmallVector<AffineMap> maps{b.identity(sum.rank())};
  if (isPadded)
    for (unsigned i = 0; i < p.spatial; ++i) {
      Dim in = p.last.shape[1 + i];
      Dim begin = attrs.countIncludePad ? -p.window.low[i] : Dim(0);
      Dim end = attrs.countIncludePad ? in + high[i] : in;
      operands.push_back(countPositions(p, i, begin, end));
      maps.push_back(projection(b, sum.rank(), {1 + i}));
    }
  return b.map(sum.shape, type, operands, maps, [&](OpBuilder &builder, Location loc, ValueRange args) {
    Scalar s{builder, loc};
    Value result;
    if (!isPadded) {
      result = s.mul(args[0], 1 / window);
    } else {
      Value count = args[1];
      for (Value more : args.drop_front(2))
        count = s.mul(count, more);
      result = s.divF(args[0], count);
    }
    return scalarCast(s, result, false, type, false);
  });
}

static Value lpPower(const Scalar &s, Value x, int64_t p) {
  Value magnitude = s.op<math::AbsFOp>(x);
  if (p == 1)
    return magnitude;
  return p == 2 ? s.mul(x, x) : s.op<math::PowFOp>(magnitude, s.like(x, p));
}

static Value lpRoot(const Scalar &s, Value x, int64_t p) {
  if (p == 1)
    return x;
  return p == 2 ? s.op<math::SqrtOp>(x) : s.op<math::PowFOp>(x, s.like(x, 1.0 / p));
}

static Tensor lpPool(const Pooling &pooling, int64_t p) {
  Type type = pooling.x.elementType, sumType = computeType(type);
  Tensor sum =
      pooling.reduce(numberAttr(type, 0), numberAttr(sumType, 0), {}, [&](const Scalar &s, Value acc, ValueRange args) {
        return s.add(acc, lpPower(s, scalarCast(s, args[0], false, sumType, false), p));
      });
  return elementwise(pooling.b, sum.shape, type, sum, false, [&](const Scalar &s, ValueRange args) {
    return scalarCast(s, lpRoot(s, args[0], p), false, type, false);
  });
}

FailureOr<Tensor> pool(Builder &b, Pool kind, const Tensor &x, const PoolAttrs &poolAttrs) {
  if (failed(checkInput(b, x)))
    return failure();
  if (kind != Pool::Max && !x.isFloat())
    return b.error() << "this pooling needs a floating-point tensor, found " << x.str();
  PoolAttrs attrs = poolAttrs;
  // The largest of dequantised bytes is the largest byte.
  if (const QuantizedForms::Codes *known = kind == Pool::Max ? uniformCodes(b, x) : nullptr) {
    QuantizedForms::Codes codes = *known;
    auto y = pool(b, kind, codes.x, attrs);
    if (failed(y))
      return failure();
    return dequantizeLinear(b, *y, codes.scale, codes.zeroPoint ? &*codes.zeroPoint : nullptr, 0);
  }
  if (x.rank() == 3) {
    addUnitSpatial(attrs);
    auto y = pool(b, kind, addUnitSpatial(b, x), attrs);
    return failed(y) ? y : FailureOr<Tensor>(dropUnitSpatial(b, *y));
  }
  if (attrs.kernel.empty())
    return b.error() << "pooling needs kernel_shape";
  ArrayRef<Dim> spatial = ArrayRef(x.shape).drop_front(2);
  auto window = makeWindow(b, spatial, attrs, attrs.ceilMode);
  if (failed(window))
    return failure();
  Dims high = window->high;
  if (attrs.ceilMode && attrs.autoPad == AutoPad::NotSet)
    for (size_t i = 0; i < high.size(); ++i)
      high[i] = attrs.pads.empty() ? Dim(0) : Dim(attrs.pads[high.size() + i]);
  Pooling pooling(b, x, *window);
  Tensor y = kind == Pool::Max       ? maxPool(pooling)
             : kind == Pool::Average ? averagePool(pooling, attrs, high)
                                     : lpPool(pooling, attrs.p);
  return toChannelsFirst(b, y);
}

FailureOr<SmallVector<Tensor>> maxPoolWithIndices(Builder &b, const Tensor &x, const PoolAttrs &poolAttrs) {
  if (failed(checkInput(b, x)))
    return failure();
  PoolAttrs attrs = poolAttrs;
  if (x.rank() == 3) {
    addUnitSpatial(attrs);
    auto results = maxPoolWithIndices(b, addUnitSpatial(b, x), attrs);
    if (succeeded(results))
      for (Tensor &t : *results)
        t = dropUnitSpatial(b, t);
    return results;
  }
  if (attrs.kernel.empty())
    return b.error() << "pooling needs kernel_shape";
  auto window = makeWindow(b, ArrayRef(x.shape).drop_front(2), attrs, attrs.ceilMode);
  if (failed(window))
    return failure();
  Pooling p(b, x, *window);
  Tensor values = maxPool(p);
  SmallVector<Count> low, sizes;
  for (unsigned i = 0; i < p.spatial; ++i)
    low.emplace_back(b, window->low[i]), sizes.emplace_back(b, x.shape[2 + i]);
  Count channels(b, x.shape[1]);
  Type i64 = b.builder.getI64Type(), index = b.builder.getIndexType();
  // The first position (in row-major order) that holds the maximum.
  Tensor positions =
      p.reduce(extremeAttr(x.elementType, x.isUnsigned, true), extremeAttr(i64, false, false), values,
               [&](const Scalar &s, Value acc, ValueRange args) -> Value {
                 auto loop = [&](unsigned d) -> Value { return s.op<linalg::IndexOp>(d); };
                 Value flat = s.add(s.mul(loop(0), channels.get(s, index)), loop(1 + p.spatial));
                 Value isInside;
                 SmallVector<Value> at;
                 for (unsigned i = 0; i < p.spatial; ++i) {
                   Value position = s.sub(s.add(s.mul(loop(1 + i), s.index(window->strides[i])),
                                                s.mul(loop(2 + p.spatial + i), s.index(window->dilations[i]))),
                                          low[i].get(s, index));
                   at.push_back(position);
                   // As unsigned, a negative position is large.
                   Value inside = s.cmp(arith::CmpIPredicate::ult, position, sizes[i].get(s, index));
                   isInside = isInside ? s.op<arith::AndIOp>(isInside, inside) : inside;
                 }
                 Value inPlane = s.index(0);
                 for (unsigned j = 0; j < p.spatial; ++j) {
                   // Column-major order counts the first spatial dimension fastest.
                   unsigned i = attrs.columnMajor ? p.spatial - 1 - j : j;
                   inPlane = s.add(s.mul(inPlane, sizes[i].get(s, index)), at[i]);
                 }
                 for (const Count &size : sizes)
                   flat = s.mul(flat, size.get(s, index));
                 Value candidate = s.op<arith::IndexCastOp>(i64, s.add(flat, inPlane));
                 Value isMax = Scalar::isFloat(args[0]) ? s.cmp(arith::CmpFPredicate::UEQ, args[0], args[1])
                                                        : s.cmp(arith::CmpIPredicate::eq, args[0], args[1]);
                 return s.select(s.op<arith::AndIOp>(isMax, isInside), s.min(acc, candidate), acc);
               });
  return SmallVector<Tensor>{toChannelsFirst(b, values), toChannelsFirst(b, positions)};
}

FailureOr<Tensor> globalPool(Builder &b, Pool kind, const Tensor &x, int64_t p) {
  if (x.rank() < 2)
    return b.error() << "global pooling needs an input of rank 2 or more, found " << x.str();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(2, x.rank()));
  if (axes.empty())
    return x;
  if (kind != Pool::Lp)
    return reduce(b, kind == Pool::Max ? Reduce::Max : Reduce::Mean, x, axes, /*keepDims=*/true);
  if (p == 1 || p == 2)
    return reduce(b, p == 1 ? Reduce::L1 : Reduce::L2, x, axes, /*keepDims=*/true);
  Tensor powers =
      elementwiseWide(b, x.shape, x, [&](const Scalar &s, ValueRange args) { return lpPower(s, args[0], p); });
  auto sum = reduce(b, Reduce::Sum, powers, axes, /*keepDims=*/true);
  if (failed(sum))
    return failure();
  return elementwiseWide(b, sum->shape, *sum, [&](const Scalar &s, ValueRange args) { return lpRoot(s, args[0], p); });
}

} // namespace eyrie::ops
