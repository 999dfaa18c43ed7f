// Convolutions, computed channels-last: transpose, pad, one contraction over (n, out..., co | kernel..., ci), bias,
// transpose back.
#include "compiler/ops/Window.h"

using namespace mlir;

namespace eyrie::ops {

namespace {
/// Positions of the loops of a convolution's nest.
struct Loops {
  unsigned spatial, channels; // channels: number of parallel channel loops (1, or 2: group and channel in it)
  bool hasInner;              // a reduction over input channels
  unsigned out(unsigned i) const { return 1 + i; }
  unsigned channel(unsigned i = 0) const { return 1 + spatial + i; }
  unsigned kernel(unsigned i) const { return 1 + spatial + channels + i; }
  unsigned inner() const { return 1 + 2 * spatial + channels; }
  unsigned count() const { return 1 + 2 * spatial + channels + hasInner; }
};
} // namespace

/// Adds the bias to the last dimensions of y (bias reshaped to them).
static Tensor addBias(Builder &b, const Tensor &y, const Tensor *bias, ArrayRef<Dim> channelShape) {
  if (!bias)
    return y;
  Tensor shaped = b.reshape(*bias, channelShape);
  return elementwise(b, y.shape, y.elementType, {y, shaped}, false,
                     [](const Scalar &s, ValueRange args) { return s.add(args[0], args[1]); });
}

/// x [N, spatial..., C] already padded, filter [CO, C/groups, kernel...]. Result [N, out..., CO].
static Tensor convChannelsLast(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *bias, const Window &w,
                               int64_t groups, Type sumType = {}) {
  unsigned spatial = w.rank();
  int64_t co = filter.shape[0].constant(), ciPerGroup = filter.shape[1].constant(), coPerGroup = co / groups;
  bool isDepthwise = groups > 1 && ciPerGroup == 1;
  bool isGrouped = groups > 1 && !isDepthwise;
  Loops loops{spatial, (isDepthwise && coPerGroup > 1) || isGrouped ? 2u : 1u, !isDepthwise};

  Dims kernelSizes(w.kernel.begin(), w.kernel.end());
  Dims channelShape, filterShape;
  if (loops.channels == 2)
    channelShape = {groups, coPerGroup};
  else
    channelShape = {co};
  // The filter as [kernel..., (g), ci, co]: split its channels, then move the kernel first.
  filterShape = channelShape;
  if (loops.hasInner)
    filterShape.push_back(ciPerGroup);
  filterShape.append(kernelSizes.begin(), kernelSizes.end());
  Tensor split = b.reshape(filter, filterShape);
  SmallVector<int64_t> permutation;
  int64_t firstKernel = loops.channels + loops.hasInner;
  for (unsigned i = 0; i < spatial; ++i)
    permutation.push_back(firstKernel + i);
  if (loops.channels == 2)
    permutation.push_back(0);
  if (loops.hasInner)
    permutation.push_back(loops.channels);
  permutation.push_back(loops.channels - 1);
  if (isDepthwise && loops.channels == 2)
    permutation = [&] {
      SmallVector<int64_t> p(permutation.begin(), permutation.begin() + spatial);
      p.append({0, 1});
      return p;
    }();
  Tensor weights = b.transpose(split, permutation);

  Tensor input = x;
  if (isGrouped) {
    Dims shape(x.shape.begin(), x.shape.end() - 1);
    shape.append({groups, ciPerGroup});
    input = b.reshape(x, shape);
  }

  auto dim = [&](unsigned i) { return b.builder.getAffineDimExpr(i); };
  SmallVector<AffineExpr> xExprs{dim(0)}, wExprs, outExprs{dim(0)};
  Dims outShape{x.shape[0]};
  for (unsigned i = 0; i < spatial; ++i) {
    xExprs.push_back(windowExpr(b, w, i, loops.out(i), loops.kernel(i)));
    wExprs.push_back(dim(loops.kernel(i)));
    outExprs.push_back(dim(loops.out(i)));
    outShape.push_back(w.out[i]);
  }
  if (isGrouped || isDepthwise)
    xExprs.push_back(dim(loops.channel(0)));
  if (loops.hasInner)
    xExprs.push_back(dim(loops.inner()));
  if (loops.channels == 2)
    wExprs.push_back(dim(loops.channel(0)));
  if (loops.hasInner)
    wExprs.push_back(dim(loops.inner()));
  wExprs.push_back(dim(loops.channel(loops.channels - 1)));
  for (unsigned i = 0; i < loops.channels; ++i)
    outExprs.push_back(dim(loops.channel(i)));
  outShape.append(channelShape);
  SmallVector<unsigned> reductions;
  for (unsigned i = loops.kernel(0); i < loops.count(); ++i)
    reductions.push_back(i);
  auto map = [&](ArrayRef<AffineExpr> exprs) {
    return AffineMap::get(loops.count(), 0, exprs, b.builder.getContext());
  };
  Tensor y = contract(b, outShape, map(outExprs), reductions, input, map(xExprs), weights, map(wExprs), sumType);
  y = addBias(b, y, bias, channelShape);
  Dims flat(outShape.begin(), outShape.begin() + 1 + spatial);
  flat.push_back(co);
  return b.reshape(y, flat);
}

/// Checks common to both directions; channelsOfFilter is the dimension that must match x's channels.
static LogicalResult checkOperands(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *bias, Dim channels,
                                   Dim outChannels, int64_t groups, bool areIntegers = false) {
  if (x.rank() < 3 || x.rank() > 5 || filter.rank() != x.rank())
    return b.error() << "a convolution needs an input of rank 3, 4 or 5 and a filter of the same rank, found "
                     << x.str() << " and " << filter.str();
  if (!filter.hasStaticShape())
    return b.error() << "the filter's shape must be known, found " << filter.str();
  if (areIntegers ? !x.isInteger() || !filter.isInteger() : !x.isFloat() || x.elementType != filter.elementType)
    return b.error() << "a convolution needs an input and a filter of one floating-point type, found " << x.str()
                     << " and " << filter.str();
  if (groups < 1 || outChannels.constant() % groups != 0)
    return b.error() << "group = " << groups << " does not divide the " << outChannels.constant() << " output channels";
  if (isEqual(x.shape[1], channels) == std::optional<bool>(false))
    return b.error() << "the input " << x.str() << " has " << x.shape[1].str() << " channels, but the filter "
                     << filter.str() << " with group = " << groups << " expects " << channels.str();
  if (bias && (bias->rank() != 1 || isEqual(bias->shape[0], outChannels) == std::optional<bool>(false) ||
               bias->elementType != x.elementType))
    return b.error() << "the bias must have one value per output channel (" << outChannels.constant() << "), found "
                     << bias->str();
  return success();
}

static LogicalResult setKernel(Builder &b, WindowAttrs &attrs, const Tensor &filter) {
  SmallVector<int64_t> kernel;
  for (Dim d : ArrayRef(filter.shape).drop_front(2))
    kernel.push_back(d.constant());
  if (attrs.kernel.empty() || attrs.kernel == kernel) {
    attrs.kernel = kernel;
    return success();
  }
  return b.error() << "kernel_shape does not match the filter " << filter.str();
}

/// A tensor whose channel count is the known one (a symbolic count becomes static).
static Tensor withChannels(Builder &b, const Tensor &x, Dim channels) {
  if (x.shape[1] == channels)
    return x;
  b.dims.assumeEqual(x.shape[1], channels);
  Dims shape = x.shape;
  shape[1] = channels;
  return b.reshape(x, shape);
}

/// `padding` lies around x. Integers are summed in `sumType`, floats (null) as contract does.
static FailureOr<Tensor> convPadded(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *bias,
                                    const WindowAttrs &windowAttrs, int64_t groups, TypedAttr padding, Type sumType) {
  Dim channels = filter.rank() > 1 ? filter.shape[1] * Dim(groups) : Dim(0);
  WindowAttrs attrs = windowAttrs;
  if (failed(checkOperands(b, x, filter, bias, channels, filter.rank() ? filter.shape[0] : Dim(0), groups,
                           bool(sumType))) ||
      failed(setKernel(b, attrs, filter)))
    return failure();
  if (x.rank() == 3) {
    addUnitSpatial(attrs);
    auto y = convPadded(b, addUnitSpatial(b, x), addUnitSpatial(b, filter), bias, attrs, groups, padding, sumType);
    return failed(y) ? y : FailureOr<Tensor>(dropUnitSpatial(b, *y));
  }
  auto window = makeWindow(b, ArrayRef(x.shape).drop_front(2), attrs);
  if (failed(window))
    return failure();
  Tensor last = toChannelsLast(b, withChannels(b, x, channels));
  Tensor padded = padSpatial(b, last, window->low, window->high, padding);
  return toChannelsFirst(b, convChannelsLast(b, padded, filter, bias, *window, groups, sumType));
}

FailureOr<Tensor> conv(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *bias, const WindowAttrs &attrs,
                       int64_t groups) {
  if (auto exact = convOfCodes(b, x, filter, bias, attrs, groups))
    return *exact;
  return convPadded(b, x, filter, bias, attrs, groups, numberAttr(x.elementType, 0), {});
}

FailureOr<Tensor> convSums(Builder &b, const Tensor &x, const Tensor &filter, const WindowAttrs &attrs, int64_t groups,
                           TypedAttr padding) {
  return convPadded(b, x, filter, nullptr, attrs, groups, padding, b.builder.getI32Type());
}

//===- transposed ---------------------------------------------------------------------------------------------------===

/// Padding and output size per spatial dimension; `w.out` is the result's size.
static LogicalResult setTransposedSizes(Builder &b, Window &w, ArrayRef<Dim> in, const WindowAttrs &attrs,
                                        ArrayRef<int64_t> outputPadding, ArrayRef<int64_t> outputShape) {
  unsigned rank = w.rank();
  if (!outputPadding.empty() && outputPadding.size() != rank)
    return b.error() << "output_padding must have " << rank << " values, found " << outputPadding.size();
  if (outputShape.size() == rank + 2)
    outputShape = outputShape.drop_front(2);
  if (!outputShape.empty() && outputShape.size() != rank)
    return b.error() << "output_shape must have " << rank << " values, found " << outputShape.size();
  for (unsigned i = 0; i < rank; ++i) {
    Dim stride = w.strides[i], extra = outputPadding.empty() ? 0 : outputPadding[i];
    Dim full = stride * (in[i] - 1) + extra + Dim(w.extent(i));
    bool isSame = attrs.autoPad == AutoPad::SameUpper || attrs.autoPad == AutoPad::SameLower;
    if (outputShape.empty() && !isSame) {
      int64_t low = attrs.pads.empty() ? 0 : attrs.pads[i], high = attrs.pads.empty() ? 0 : attrs.pads[rank + i];
      if (attrs.autoPad == AutoPad::Valid)
        low = high = 0;
      w.low[i] = low, w.high[i] = high, w.out[i] = full - low - high;
      continue;
    }
    w.out[i] = outputShape.empty() ? in[i] * stride : Dim(outputShape[i]);
    Dim total = max(full - w.out[i], 0), half = floorDiv(total, 2);
    w.low[i] = attrs.autoPad == AutoPad::SameUpper ? half : total - half;
    w.high[i] = full - w.out[i] - w.low[i];
  }
  return success();
}

/// Windows that tile the result: every output element has one contribution per input channel, so that the product is a
/// plain contraction (n, h, kh, w, kw, co | ci).
static Tensor convTransposeTiled(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *bias,
                                 const Window &w) {
  unsigned spatial = w.rank(), loops = 3 + 2 * spatial;
  SmallVector<int64_t> permutation;
  for (unsigned i = 0; i < spatial; ++i)
    permutation.push_back(2 + i);
  permutation.append({0, 1});
  Tensor weights = b.transpose(filter, permutation);
  SmallVector<int64_t> xDims{0}, wDims, outDims = llvm::to_vector(llvm::seq<int64_t>(0, loops - 1));
  Dims shape{x.shape[0]}, flat{x.shape[0]};
  for (unsigned i = 0; i < spatial; ++i) {
    xDims.push_back(1 + 2 * i);
    wDims.push_back(2 + 2 * i);
    shape.append({x.shape[1 + i], w.kernel[i]});
    flat.push_back(x.shape[1 + i] * Dim(w.kernel[i]));
  }
  xDims.push_back(loops - 1);
  wDims.append({loops - 1, loops - 2});
  shape.push_back(filter.shape[1]);
  flat.push_back(filter.shape[1]);
  Tensor y = contract(b, shape, projection(b, loops, outDims), {loops - 1}, x, projection(b, loops, xDims), weights,
                      projection(b, loops, wDims));
  return b.reshape(addBias(b, y, bias, {filter.shape[1]}), flat);
}

/// Puts stride - 1 zeros after every element of the spatial dimensions, except the last of each.
static Tensor insertZeros(Builder &b, const Tensor &x, const Window &w) {
  Dims apart{x.shape[0]}, low, high, merged{x.shape[0]}, cropped{x.shape[0]};
  low.push_back(0), high.push_back(0);
  for (unsigned i = 0; i < w.rank(); ++i) {
    apart.append({x.shape[1 + i], 1});
    low.append({0, 0});
    high.append({0, w.strides[i] - 1});
    merged.push_back(x.shape[1 + i] * Dim(w.strides[i]));
    cropped.push_back((x.shape[1 + i] - 1) * Dim(w.strides[i]) + 1);
  }
  for (Dims *dims : {&apart, &merged, &cropped})
    dims->push_back(x.shape.back());
  low.push_back(0), high.push_back(0);
  Tensor padded = b.pad(b.reshape(x, apart), low, high, numberAttr(x.elementType, 0));
  return b.extract(b.reshape(padded, merged), Dims(x.rank(), Dim(0)), cropped, SmallVector<int64_t>(x.rank(), 1));
}

/// [C, CO/groups, kernel...] as the filter of the forward convolution [CO, C/groups, kernel...], kernel reversed.
static Tensor reverseFilter(Builder &b, const Tensor &filter, int64_t groups) {
  int64_t c = filter.shape[0].constant(), coPerGroup = filter.shape[1].constant();
  Dims split{groups, c / groups, coPerGroup}, flat{groups * coPerGroup, c / groups},
      shape{groups, coPerGroup, c / groups};
  SmallVector<AffineExpr> exprs;
  for (int64_t d : {0, 2, 1})
    exprs.push_back(b.builder.getAffineDimExpr(d));
  for (auto [i, k] : llvm::enumerate(ArrayRef(filter.shape).drop_front(2))) {
    split.push_back(k), shape.push_back(k), flat.push_back(k);
    exprs.push_back(k.is(1) ? b.builder.getAffineDimExpr(3 + i)
                            : b.builder.getAffineConstantExpr(k.constant() - 1) - b.builder.getAffineDimExpr(3 + i));
  }
  AffineMap map = AffineMap::get(shape.size(), 0, exprs, b.builder.getContext());
  Tensor reversed = b.map(shape, filter.elementType, b.reshape(filter, split), map,
                          [](OpBuilder &, Location, ValueRange args) { return args[0]; });
  return b.reshape(reversed, flat);
}

FailureOr<Tensor> convTranspose(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *bias,
                                const WindowAttrs &windowAttrs, int64_t groups, ArrayRef<int64_t> outputPadding,
                                ArrayRef<int64_t> outputShape) {
  WindowAttrs attrs = windowAttrs;
  Dim outChannels = filter.rank() > 1 ? filter.shape[1] * Dim(groups) : Dim(0);
  Dim channels = filter.rank() ? filter.shape[0] : Dim(0);
  if (failed(checkOperands(b, x, filter, bias, channels, outChannels, groups)) || failed(setKernel(b, attrs, filter)))
    return failure();
  if (channels.constant() % groups != 0)
    return b.error() << "group = " << groups << " does not divide the " << channels.constant() << " input channels";
  if (x.rank() == 3) {
    addUnitSpatial(attrs);
    SmallVector<int64_t> padding(outputPadding), shape(outputShape);
    if (!padding.empty())
      padding.insert(padding.begin(), 0);
    if (!shape.empty())
      shape.insert(shape.end() - 1, 1);
    auto y = convTranspose(b, addUnitSpatial(b, x), addUnitSpatial(b, filter), bias, attrs, groups, padding, shape);
    return failed(y) ? y : FailureOr<Tensor>(dropUnitSpatial(b, *y));
  }
  ArrayRef<Dim> in = ArrayRef(x.shape).drop_front(2);
  WindowAttrs unpadded = attrs;
  unpadded.autoPad = AutoPad::SameUpper; // only for the defaults: sizes are set below
  auto window = makeWindow(b, in, unpadded);
  if (failed(window))
    return failure();
  if (!attrs.pads.empty() && attrs.pads.size() != 2 * window->rank())
    return b.error() << "pads must have " << 2 * window->rank() << " values, found " << attrs.pads.size();
  if (failed(setTransposedSizes(b, *window, in, attrs, outputPadding, outputShape)))
    return failure();
  Tensor last = toChannelsLast(b, withChannels(b, x, channels));
  bool isTiled = groups == 1;
  for (unsigned i = 0; i < window->rank(); ++i)
    isTiled &= window->kernel[i] == window->strides[i] && window->dilations[i] == 1 && window->low[i].is(0) &&
               window->high[i].is(0) && window->out[i] == last.shape[1 + i] * Dim(window->kernel[i]);
  if (isTiled)
    return toChannelsFirst(b, convTransposeTiled(b, last, filter, bias, *window));
  Dims low, high;
  for (unsigned i = 0; i < window->rank(); ++i) {
    Dim reach = window->extent(i) - 1;
    low.push_back(reach - window->low[i]);
    // What the forward convolution must see to give exactly `out` elements.
    high.push_back(window->out[i] + reach - low.back() - ((in[i] - 1) * Dim(window->strides[i]) + 1));
  }
  Tensor padded = padSpatial(b, insertZeros(b, last, *window), low, high, numberAttr(x.elementType, 0));
  Window forward = *window;
  forward.strides.assign(window->rank(), 1);
  return toChannelsFirst(b, convChannelsLast(b, padded, reverseFilter(b, filter, groups), bias, forward, groups));
}

} // namespace eyrie::ops
