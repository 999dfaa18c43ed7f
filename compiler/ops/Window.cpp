#include "compiler/ops/Window.h"

using namespace mlir;

namespace eyrie::ops {

static LogicalResult fillDefaults(Builder &b, SmallVector<int64_t> &values, size_t rank, llvm::StringRef name,
                                  int64_t least) {
  if (values.empty())
    values.assign(rank, least);
  if (values.size() != rank)
    return b.error() << name << " must have " << rank << " values (one per spatial dimension), found " << values.size();
  for (int64_t v : values)
    if (v < least || v > (int64_t(1) << 31))
      return b.error() << name << " has the value " << v << ", expected at least " << least;
  return success();
}

FailureOr<Window> makeWindow(Builder &b, ArrayRef<Dim> spatial, const WindowAttrs &attrs, bool ceilMode) {
  Window w;
  size_t rank = spatial.size();
  w.kernel = attrs.kernel, w.strides = attrs.strides, w.dilations = attrs.dilations;
  SmallVector<int64_t> pads = attrs.pads;
  if (pads.empty() || attrs.autoPad != AutoPad::NotSet)
    pads.assign(2 * rank, 0);
  if (pads.size() != 2 * rank)
    return b.error() << "pads must have " << 2 * rank << " values (begins, then ends), found " << pads.size();
  if (failed(fillDefaults(b, w.kernel, rank, "kernel_shape", 1)) ||
      failed(fillDefaults(b, w.strides, rank, "strides", 1)) ||
      failed(fillDefaults(b, w.dilations, rank, "dilations", 1)))
    return failure();
  for (size_t i = 0; i < rank; ++i) {
    Dim in = spatial[i], low = pads[i], high = pads[rank + i], stride = w.strides[i], extent = w.extent(i), out;
    if (attrs.autoPad == AutoPad::SameUpper || attrs.autoPad == AutoPad::SameLower) {
      out = ceilDiv(in, stride);
      Dim total = max((out - 1) * stride + extent - in, 0), half = floorDiv(total, 2);
      low = attrs.autoPad == AutoPad::SameUpper ? half : total - half;
      high = total - low;
    } else {
      Dim room = in + low + high - extent;
      if (room.isConstant() && room.constant() < 0)
        return b.error() << "the window of size " << extent.constant() << " does not fit into the padded input of size "
                         << (in + low + high).constant() << " in spatial dimension " << i;
      out = floorDiv(room, stride) + 1;
      if (ceilMode) {
        // A window may hang over the end, but must start inside the input or the padding before it.
        out = min(ceilDiv(room, stride) + 1, floorDiv(in + low - 1, stride) + 1);
        high = max(high, (out - 1) * stride + extent - in - low);
      }
    }
    w.low.push_back(low), w.high.push_back(high), w.out.push_back(out);
  }
  return w;
}

Tensor toChannelsLast(Builder &b, const Tensor &x) {
  SmallVector<int64_t> permutation{0};
  for (int64_t i = 2; i < x.rank(); ++i)
    permutation.push_back(i);
  permutation.push_back(1);
  return b.transpose(x, permutation);
}

Tensor toChannelsFirst(Builder &b, const Tensor &x) {
  SmallVector<int64_t> permutation{0, x.rank() - 1};
  for (int64_t i = 1; i < x.rank() - 1; ++i)
    permutation.push_back(i);
  return b.transpose(x, permutation);
}

Tensor addUnitSpatial(Builder &b, const Tensor &x) { return b.reshape(x, {x.shape[0], x.shape[1], 1, x.shape[2]}); }

Tensor dropUnitSpatial(Builder &b, const Tensor &x) { return b.reshape(x, {x.shape[0], x.shape[1], x.shape[3]}); }

void addUnitSpatial(WindowAttrs &attrs) {
  auto prepend = [](SmallVector<int64_t> &values, int64_t v) {
    if (!values.empty())
      values.insert(values.begin(), v);
  };
  prepend(attrs.kernel, 1), prepend(attrs.strides, 1), prepend(attrs.dilations, 1);
  if (attrs.pads.size() == 2)
    attrs.pads = {0, attrs.pads[0], 0, attrs.pads[1]};
}

Tensor padSpatial(Builder &b, const Tensor &x, ArrayRef<Dim> low, ArrayRef<Dim> high, TypedAttr value) {
  Dims before(x.rank(), Dim(0)), after = before, offsets = before, sizes = x.shape;
  for (size_t i = 0; i < low.size(); ++i) {
    auto split = [](Dim amount) {
      bool isCrop = amount.isConstant() && amount.constant() < 0;
      return std::pair<Dim, Dim>(isCrop ? 0 : amount, isCrop ? -amount : 0);
    };
    auto [padLow, cropLow] = split(low[i]);
    auto [padHigh, cropHigh] = split(high[i]);
    before[i + 1] = padLow, after[i + 1] = padHigh;
    offsets[i + 1] = cropLow, sizes[i + 1] = sizes[i + 1] - cropLow - cropHigh;
  }
  Tensor cropped = b.extract(x, offsets, sizes, SmallVector<int64_t>(x.rank(), 1));
  return b.pad(cropped, before, after, value);
}

AffineExpr windowExpr(Builder &b, const Window &window, unsigned i, unsigned outLoop, unsigned kernelLoop) {
  return b.builder.getAffineDimExpr(outLoop) * window.strides[i] +
         b.builder.getAffineDimExpr(kernelLoop) * window.dilations[i];
}

} // namespace eyrie::ops
