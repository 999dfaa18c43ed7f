// Deformable convolution, and the ways back from patches and pooled elements to the image.
#include "compiler/ops/Taps.h"
#include "compiler/ops/Vision.h"
#include "compiler/ops/Window.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

namespace {
/// The loops of the sampled patches: batch, offset group, channel in it, window..., result....
struct PatchLoops {
  unsigned space;
  unsigned kernel(unsigned i) const { return 3 + i; }
  unsigned out(unsigned i) const { return 3 + space + i; }
  unsigned count() const { return 3 + 2 * space; }
};
} // namespace

/// x at the places of every window, moved by the offsets: [N, G, C / G, kernel..., out...].
static Tensor samplePatches(Builder &b, const Tensor &x, const Tensor &offset, const Tensor *mask, const Window &window,
                            int64_t groups, Dim channels) {
  PatchLoops loops{window.rank()};
  unsigned space = loops.space;
  Dims kernel(window.kernel.begin(), window.kernel.end()), out(offset.shape.begin() + 2, offset.shape.end());
  Dims shape{x.shape[0], groups, channels}, offsetShape{x.shape[0], groups}, maskShape{x.shape[0], groups};
  for (Dims *dims : {&shape, &offsetShape, &maskShape}) {
    dims->append(kernel);
    if (dims == &offsetShape)
      dims->push_back(space);
    dims->append(out);
  }
  Tensor apart = b.reshape(offset, offsetShape);
  SmallVector<Tensor> operands(space, apart);
  SmallVector<AffineMap> maps;
  auto loop = [&](unsigned i) { return b.builder.getAffineDimExpr(i); };
  for (unsigned d = 0; d <= space; ++d) { // the last one: the mask
    SmallVector<AffineExpr> exprs{loop(0), loop(1)};
    for (unsigned i = 0; i < space; ++i)
      exprs.push_back(loop(loops.kernel(i)));
    if (d < space)
      exprs.push_back(b.builder.getAffineConstantExpr(d));
    for (unsigned i = 0; i < space; ++i)
      exprs.push_back(loop(loops.out(i)));
    if (d < space || mask)
      maps.push_back(AffineMap::get(loops.count(), 0, exprs, b.builder.getContext()));
  }
  if (mask)
    operands.push_back(b.reshape(*mask, maskShape));
  SmallVector<Count> sizes, lows;
  for (unsigned d = 0; d < space; ++d)
    sizes.emplace_back(b, x.shape[2 + d]), lows.emplace_back(b, window.low[d]);
  Count channelCount(b, channels);
  Value source = b.value(x);
  Type type = x.elementType, wide = computeType(type), index = b.builder.getIndexType();
  return b.map(shape, type, operands, maps, [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
    Scalar s{builder, loc};
    SmallVector<SampleTaps> taps;
    for (unsigned d = 0; d < space; ++d) {
      Value start = s.op<arith::MulIOp>(s.op<linalg::IndexOp>(loops.out(d)), s.index(window.strides[d]));
      Value inside = s.op<arith::MulIOp>(s.op<linalg::IndexOp>(loops.kernel(d)), s.index(window.dilations[d]));
      Value place = s.op<arith::SubIOp>(s.op<arith::AddIOp>(start, inside), lows[d].get(s, index));
      Value number = s.toFloat(place, wide);
      taps.push_back(linearTaps(s, s.add(number, scalarCast(s, args[d], false, wide, false)), sizes[d].get(s, index)));
    }
    Value group = s.op<arith::MulIOp>(s.op<linalg::IndexOp>(1), channelCount.get(s, index));
    SmallVector<Value> indices{s.op<linalg::IndexOp>(0), s.op<arith::AddIOp>(group, s.op<linalg::IndexOp>(2))};
    Value sum = sampleTaps(s, source, false, indices, taps, wide);
    if (mask)
      sum = s.mul(sum, scalarCast(s, args[space], false, wide, false));
    return scalarCast(s, sum, false, type, false);
  });
}

FailureOr<Tensor> deformConv(Builder &b, const Tensor &x, const Tensor &filter, const Tensor &offset,
                             const Tensor *bias, const Tensor *mask, const WindowAttrs &givenAttrs, int64_t groups,
                             int64_t offsetGroups) {
  WindowAttrs attrs = givenAttrs;
  if (x.rank() < 3 || filter.rank() != x.rank() || offset.rank() != x.rank() || !x.isFloat())
    return b.error() << "input " << x.str() << ", filter " << filter.str() << " and offset " << offset.str()
                     << " must be floats of one rank, at least 3";
  for (Dim d : ArrayRef(filter.shape).drop_front(2)) {
    if (!d.isConstant())
      return b.error() << "the window's sizes must be known at compile time, found " << filter.str();
    if (givenAttrs.kernel.empty())
      attrs.kernel.push_back(d.constant());
  }
  auto window = makeWindow(b, ArrayRef(x.shape).drop_front(2), attrs);
  if (failed(window))
    return failure();
  Dim total = x.shape[1].isConstant() ? x.shape[1] : filter.shape[1] * Dim(groups);
  auto channels = divideExactly(total, offsetGroups);
  auto filters = divideExactly(filter.shape[0], groups);
  if (groups < 1 || offsetGroups < 1 || !channels || !filters)
    return b.error() << "the channels of input " << x.str() << " and filter " << filter.str()
                     << " do not divide into group = " << groups << " and offset_group = " << offsetGroups;
  Dim places = Dim(offsetGroups) * product(Dims(window->kernel.begin(), window->kernel.end()));
  if (failed(checkSame(b, filter.shape[1] * Dim(groups), x.shape[1], "the channels of filter and input")) ||
      failed(checkSame(b, offset.shape[1], places * Dim(int64_t(window->rank())), "the channels of the offset")))
    return failure();
  for (unsigned d = 0; d < window->rank(); ++d)
    if (failed(checkSame(b, offset.shape[2 + d], window->out[d], "the spatial sizes of offset and result")))
      return failure();
  Tensor patches = samplePatches(b, x, offset, mask, *window, offsetGroups, *channels);
  Dims out(offset.shape.begin() + 2, offset.shape.end());
  Dim depth = product(ArrayRef(filter.shape).drop_front(1));
  Tensor columns = b.reshape(patches, {x.shape[0], groups, depth, product(out)});
  auto sums = matmul(b, b.reshape(filter, {1, groups, *filters, depth}), columns);
  if (failed(sums))
    return failure();
  Dims shape{x.shape[0], filter.shape[0]};
  shape.append(out);
  Tensor y = b.reshape(*sums, shape);
  if (!bias)
    return y;
  Dims biasShape(x.rank(), Dim(1));
  biasShape[1] = filter.shape[0];
  if (bias->rank() != 1 || failed(checkSame(b, bias->shape[0], filter.shape[0], "bias and filter")))
    return b.error() << "the bias must have one element for each filter, found " << bias->str();
  return binary(b, Binary::Add, y, b.reshape(*bias, biasShape));
}

namespace {
/// How blocks lie in an image: where the first one starts, how many there are.
struct Blocks {
  SmallVector<int64_t> lows, strides, dilations;
  Dims counts;
};
} // namespace

static FailureOr<Blocks> makeBlocks(Builder &b, ArrayRef<Dim> image, ArrayRef<Dim> block, const WindowAttrs &attrs) {
  size_t space = image.size();
  auto orDefault = [&](ArrayRef<int64_t> list, size_t count, int64_t value) {
    return list.empty() ? SmallVector<int64_t>(count, value) : SmallVector<int64_t>(list);
  };
  SmallVector<int64_t> pads = orDefault(attrs.pads, 2 * space, 0);
  Blocks blocks;
  blocks.strides = orDefault(attrs.strides, space, 1), blocks.dilations = orDefault(attrs.dilations, space, 1);
  auto isPositive = [](int64_t v) { return v > 0; };
  if (pads.size() != 2 * space || blocks.strides.size() != space || blocks.dilations.size() != space ||
      !llvm::all_of(blocks.strides, isPositive) || !llvm::all_of(blocks.dilations, isPositive))
    return b.error() << "strides and dilations must be " << space << " positive numbers, pads " << 2 * space
                     << " numbers";
  for (size_t d = 0; d < space; ++d) {
    Dim extent = (block[d] - Dim(1)) * Dim(blocks.dilations[d]) + Dim(1);
    blocks.lows.push_back(pads[d]);
    blocks.counts.push_back(floorDiv(image[d] + Dim(pads[d] + pads[space + d]) - extent, blocks.strides[d]) + Dim(1));
  }
  return blocks;
}

FailureOr<Tensor> col2Im(Builder &b, const Tensor &x, const Tensor &imageShape, const Tensor &blockShape,
                         const WindowAttrs &attrs) {
  auto image = readShape(b, imageShape), block = readShape(b, blockShape);
  if (failed(image) || failed(block))
    return failure();
  unsigned space = image->size();
  if (x.rank() != 3 || block->size() != space)
    return b.error() << "expected a tensor of rank 3 and image and block shapes of one length, found " << x.str()
                     << ", " << space << " and " << block->size() << " sizes";
  auto blocksIn = makeBlocks(b, *image, *block, attrs);
  if (failed(blocksIn))
    return failure();
  const Dims &kernel = *block;
  auto channels = divideExactly(x.shape[1], product(kernel));
  if (!channels && x.shape[1].isConstant() && product(kernel).isConstant())
    return b.error() << "dimension 1 of " << x.str() << " is not a multiple of the block's "
                     << product(kernel).constant() << " elements";
  if (!channels)
    channels = floorDiv(x.shape[1], max(product(kernel), 1));
  if (failed(checkSame(b, x.shape[2], product(blocksIn->counts), "the blocks of input and image")))
    return failure();
  Dims apart{x.shape[0], *channels}, shape = apart;
  apart.append(kernel), apart.append(blocksIn->counts);
  shape.append(*image);
  Value source = b.value(b.reshape(x, apart));
  SmallVector<Count> lows, blocks;
  for (unsigned d = 0; d < space; ++d)
    lows.emplace_back(b, blocksIn->lows[d]), blocks.emplace_back(b, blocksIn->counts[d]);
  Type type = x.elementType, wide = computeType(type), index = b.builder.getIndexType();
  // Loops: the result's, then the block's. Each element of the image takes from the blocks that cover it.
  unsigned rank = shape.size(), loops = rank + space;
  SmallVector<int64_t> blockLoops = llvm::to_vector(llvm::seq<int64_t>(rank, loops));
  Dims loopSizes = shape;
  loopSizes.append(kernel);
  Tensor extents = b.empty(kernel, type); // only its sizes count
  Tensor sum = reduceAxes(
      b, extents, projection(b, loops, blockLoops), loopSizes, blockLoops, numberAttr(wide, 0), x.isUnsigned,
      [&](const Scalar &s, Value acc, ValueRange) -> Value {
        SmallVector<Value> indices{s.op<linalg::IndexOp>(0), s.op<linalg::IndexOp>(1)}, positions;
        Value isThere = s.op<arith::ConstantOp>(s.b.getBoolAttr(true)), zero = s.index(0);
        for (unsigned d = 0; d < space; ++d)
          indices.push_back(s.op<linalg::IndexOp>(rank + d));
        for (unsigned d = 0; d < space; ++d) {
          Value inBlock = s.op<arith::MulIOp>(indices[2 + d], s.index(blocksIn->dilations[d]));
          Value at = s.op<arith::AddIOp>(s.op<linalg::IndexOp>(2 + d), lows[d].get(s, index));
          Value start = s.op<arith::SubIOp>(at, inBlock), stride = s.index(blocksIn->strides[d]);
          Value number = s.op<arith::DivSIOp>(start, stride), rest = s.op<arith::RemSIOp>(start, stride);
          Value last = s.op<arith::SubIOp>(blocks[d].get(s, index), s.index(1));
          for (Value ok : {s.cmp(arith::CmpIPredicate::sge, start, zero), s.cmp(arith::CmpIPredicate::eq, rest, zero),
                           s.cmp(arith::CmpIPredicate::sle, number, last)})
            isThere = s.op<arith::AndIOp>(isThere, ok);
          positions.push_back(s.op<arith::MaxSIOp>(s.op<arith::MinSIOp>(number, last), zero));
        }
        indices.append(positions);
        Value element = scalarCast(s, s.op<tensor::ExtractOp>(source, indices), x.isUnsigned, wide, x.isUnsigned);
        return s.add(acc, s.select(isThere, element, s.like(element, 0)));
      });
  return cast(b, sum, type, x.isUnsigned);
}

FailureOr<Tensor> maxUnpool(Builder &b, const Tensor &x, const Tensor &indices, const Tensor *outputShape,
                            const WindowAttrs &attrs) {
  unsigned space = attrs.kernel.size();
  if (x.rank() != int64_t(space) + 2 || indices.rank() != x.rank())
    return b.error() << "input " << x.str() << " and indices " << indices.str() << " must have rank " << space + 2
                     << " for a window of " << space << " dimensions";
  for (ArrayRef<int64_t> list : {ArrayRef(attrs.strides), ArrayRef(attrs.pads)})
    if (!list.empty() && list.size() != space * (list.data() == attrs.pads.data() ? 2 : 1))
      return b.error() << "strides and pads must fit a window of " << space << " dimensions";
  for (int64_t i = 0; i < x.rank(); ++i)
    if (failed(checkSame(b, x.shape[i], indices.shape[i], "input and indices")))
      return failure();
  Dims pooled{x.shape[0], x.shape[1]};
  for (unsigned d = 0; d < space; ++d) {
    int64_t stride = attrs.strides.empty() ? 1 : attrs.strides[d];
    int64_t pads = attrs.pads.empty() ? 0 : attrs.pads[d] + attrs.pads[space + d];
    pooled.push_back((x.shape[2 + d] - Dim(1)) * Dim(stride) - Dim(pads) + Dim(attrs.kernel[d]));
  }
  Tensor zeros = b.splat({product(pooled)}, x.elementType, 0, x.isUnsigned);
  auto flat = scatterElements(b, zeros, b.reshape(indices, indices.numElements()), b.reshape(x, x.numElements()), 0,
                              Scatter::Set);
  if (failed(flat))
    return failure();
  Tensor y = b.reshape(*flat, pooled);
  if (!outputShape)
    return y;
  // The indices count in the tensor that pooling would need; the wanted one is larger at the ends.
  auto wanted = readShape(b, *outputShape);
  if (failed(wanted))
    return failure();
  if (wanted->size() != pooled.size())
    return b.error() << "output_shape must have " << pooled.size() << " sizes, found " << wanted->size();
  Dims low(pooled.size(), Dim(0)), high, kept;
  for (auto [size, want] : llvm::zip_equal(pooled, *wanted)) {
    kept.push_back(min(size, want));
    high.push_back(want - min(size, want));
  }
  Tensor part = b.extract(y, low, kept, SmallVector<int64_t>(pooled.size(), 1));
  return b.pad(part, low, high, numberAttr(x.elementType, 0));
}

} // namespace eyrie::ops
