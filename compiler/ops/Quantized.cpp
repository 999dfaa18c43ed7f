// Arithmetic on quantised tensors: exact sums of products of bytes in i32, corrections for zero points, then one
// elementwise generic that scales, rounds half to even and saturates.
#include "compiler/graph/Constants.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Parameters.h"
#include "compiler/ops/Scalar.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include <cmath>

using namespace mlir;

namespace eyrie::ops {

static LogicalResult checkQuantized(Builder &b, const Tensor &x, llvm::StringRef name) {
  if (x.isInteger() && x.elementType.isInteger(8))
    return success();
  return b.error() << name << " must hold 8-bit integers, found " << x.str()
                   << (x.isFloat() ? "; 8-bit floats are not supported here" : "");
}

/// One parameter, one per row (`isRow`) or column of a matrix product, or one with batch dimensions: in the form that
/// broadcasts to the matrix.
static FailureOr<Tensor> alongMatrix(Builder &b, const Tensor &p, const Tensor &matrix, bool isRow,
                                     llvm::StringRef name) {
  if (p.hasStaticShape() && p.numElements().is(1))
    return b.reshape(p, {});
  if (p.rank() == 1)
    return isRow ? b.reshape(p, {p.shape[0], 1}) : p;
  auto shape = broadcastShapes(b, p.shape, matrix.shape);
  if (failed(shape))
    return failure();
  if (static_cast<int64_t>(shape->size()) != matrix.rank())
    return b.error() << name << " " << p.str() << " does not broadcast to " << matrix.str();
  return p;
}

Tensor withOtherSign(Builder &b, const Tensor &bytes) {
  if (bytes.contents && llvm::all_of(*bytes.contents, [](Dim d) { return d.isConstant(); })) {
    Dims moved;
    for (Dim d : *bytes.contents)
      moved.push_back(d + (bytes.isUnsigned ? -128 : 128));
    return fromContents(bytes.elementType, bytes.shape, moved, !bytes.isUnsigned);
  }
  return elementwise(b, bytes.shape, bytes.elementType, bytes, !bytes.isUnsigned, [](const Scalar &s, ValueRange args) {
    return s.op<arith::XOrIOp>(args[0], s.like(args[0], -128));
  });
}

const QuantizedForms::Codes *uniformCodes(Builder &b, const Tensor &x) {
  auto found = b.quantized.codes.find(x.value);
  if (found == b.quantized.codes.end())
    return nullptr;
  const auto &[bytes, scale, zero, axis] = found->second;
  // A scale so small that products with it are not exact to a step is none.
  std::optional<double> step = splatValue(scale);
  bool isUniform = step && *step >= 1e-30 && std::isfinite(*step) && (!zero || splatValue(*zero));
  return isUniform ? &found->second : nullptr;
}

Tensor keepingCodes(Builder &b, const Tensor &x, const Tensor &moved, llvm::function_ref<Tensor(const Tensor &)> move) {
  const QuantizedForms::Codes *known = uniformCodes(b, x);
  if (!known || !moved.value || moved.value == x.value)
    return moved;
  QuantizedForms::Codes codes = *known;
  codes.x = move(codes.x);
  codes.scale = b.reshape(codes.scale, {});
  if (codes.zeroPoint)
    codes.zeroPoint = b.reshape(*codes.zeroPoint, {});
  b.quantized.codes[moved.value] = codes;
  return moved;
}

/// The signed bytes of a weight, if the module holds them as they are.
static ArrayRef<char> heldBytes(Builder &b, const Tensor &x) {
  auto load = x.value ? x.value.getDefiningOp<graph::LoadGlobalOp>() : graph::LoadGlobalOp();
  auto global = load ? b.module.lookupSymbol<graph::GlobalOp>(load.getGlobal()) : graph::GlobalOp();
  if (x.isUnsigned || !global || global->hasAttr(graph::kParameter))
    return {};
  if (auto resource = dyn_cast_or_null<DenseResourceElementsAttr>(global.getValueAttr()))
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      return blob->getData();
  return {};
}

/// Is the zero point 0 for all? (Few elements are known as such, many are a weight.)
static bool isZero(Builder &b, const Tensor &zeroPoint) {
  ArrayRef<char> bytes = heldBytes(b, zeroPoint);
  return splatValue(zeroPoint) == 0.0 || (!bytes.empty() && llvm::all_of(bytes, [](char byte) { return byte == 0; }));
}

namespace {
/// Bytes and their zero point (none: 0), laid out so that it broadcasts to them.
struct Bytes {
  Tensor x;
  std::optional<Tensor> zero;
  bool hasZeroPoint() const { return zero && splatValue(*zero) != 0.0; }
};
} // namespace

/// The same numbers in bytes of the wanted sign: products are of unsigned by signed bytes, because processors have
/// that.
static Bytes withSign(Builder &b, const Bytes &bytes, bool isUnsigned) {
  if (bytes.x.isUnsigned == isUnsigned)
    return bytes;
  Tensor zero = withOtherSign(b, bytes.zero ? *bytes.zero : b.splat({}, bytes.x.elementType, 0, bytes.x.isUnsigned));
  auto raised = b.quantized.raised.find(bytes.x.value);
  if (isUnsigned && raised != b.quantized.raised.end())
    return {raised->second, zero};
  return {withOtherSign(b, bytes.x), zero};
}

LogicalResult checkZeroPoint(Builder &b, const Tensor &x, const Tensor *zeroPoint, llvm::StringRef name) {
  if (!zeroPoint || (zeroPoint->elementType == x.elementType && zeroPoint->isUnsigned == x.isUnsigned))
    return success();
  return b.error() << "the zero point of " << name << " must have the type of " << x.str() << ", found "
                   << zeroPoint->str();
}

/// x - zeroPoint as integers of `type`.
static Tensor centred(Builder &b, const Bytes &bytes, Type type) {
  SmallVector<Tensor> operands{bytes.x};
  if (bytes.zero)
    operands.push_back(*bytes.zero);
  return elementwise(b, bytes.x.shape, type, operands, false, [&](const Scalar &s, ValueRange args) {
    Value value = scalarCast(s, args[0], bytes.x.isUnsigned, type, false);
    return bytes.zero ? s.sub(value, scalarCast(s, args[1], bytes.x.isUnsigned, type, false)) : value;
  });
}

/// Sums along neighbouring `axes`, which stay as dimensions of size one, in i32. Those of weights are computed here:
/// a kernel for each would take longer to compile.
static Tensor sumAlong(Builder &b, const Tensor &x, ArrayRef<int64_t> axes) {
  Type i32 = b.builder.getI32Type();
  if (ArrayRef<char> bytes = heldBytes(b, x); !bytes.empty() && x.hasStaticShape()) {
    int64_t inner = product(ArrayRef(x.shape).drop_front(axes.back() + 1)).constant(), at = 0;
    int64_t depth = product(ArrayRef(x.shape).slice(axes.front(), axes.size())).constant();
    Dims shape = withoutAxes(x.shape, axes, true);
    SmallVector<int32_t> sums(product(shape).constant());
    for (size_t first = 0; first < sums.size(); first += inner)
      for (int64_t step = 0; step < depth; ++step)
        for (int64_t i = 0; i < inner; ++i)
          sums[first + i] += static_cast<signed char>(bytes[at++]);
    auto type = RankedTensorType::get(llvm::map_to_vector(shape, [](Dim d) { return d.constant(); }), i32);
    return fromConstant(DenseElementsAttr::get(type, ArrayRef<int32_t>(sums)));
  }
  Tensor sums = reduceAxes(b, x, b.identity(x.rank()), x.shape, axes, numberAttr(i32, 0), false,
                           [&](const Scalar &s, Value acc, ValueRange args) {
                             return s.add(acc, scalarCast(s, args[0], x.isUnsigned, i32, false));
                           });
  return b.reshape(sums, withoutAxes(x.shape, axes, true));
}

// With zero points za and zb, of K products
//   sum (a - za)(b - zb) = sum ab - za (sum b - K zb) - zb sum a,
// modulo 2^32 as i32 sums are. `columnTerm` is the second part, known at compile time where b and za are.
static Tensor columnTerm(Builder &b, const Tensor &columnSums, const Tensor &za, bool isUnsigned,
                         const std::optional<Tensor> &zb, Dim depth) {
  Type i32 = b.builder.getI32Type();
  if (std::optional<double> zero = splatValue(za); zero && columnSums.constant && !zb)
    return fromConstant(columnSums.constant.mapValues(
        i32, [&](const APInt &sum) { return sum * APInt(32, -static_cast<int64_t>(*zero), /*isSigned=*/true); }));
  Count count(b, depth);
  SmallVector<Tensor> operands{columnSums, za};
  if (zb)
    operands.push_back(*zb);
  return elementwise(b, columnSums.shape, i32, operands, false, [&](const Scalar &s, ValueRange args) {
    Value sum = args[0];
    if (zb)
      sum = s.sub(sum, s.mul(count.get(s, i32), scalarCast(s, args[2], false, i32, false)));
    return s.neg(s.mul(scalarCast(s, args[1], isUnsigned, i32, false), sum));
  });
}

/// sums + columnTerm - zb * rowSums, as far as there are such.
static Tensor corrected(Builder &b, const Tensor &sums, std::optional<Tensor> columns, std::optional<Tensor> zb,
                        std::optional<Tensor> rowSums) {
  if (!columns && !rowSums)
    return sums;
  SmallVector<Tensor> operands{sums};
  if (columns)
    operands.push_back(*columns);
  if (rowSums)
    operands.append({*zb, *rowSums});
  Type i32 = b.builder.getI32Type();
  return elementwise(b, sums.shape, i32, operands, false, [&](const Scalar &s, ValueRange args) {
    Value sum = columns ? s.add(args[0], args[1]) : args[0];
    if (!rowSums)
      return sum;
    return s.sub(sum, s.mul(scalarCast(s, args[args.size() - 2], false, i32, false), args.back()));
  });
}

static FailureOr<Bytes> matrixBytes(Builder &b, const Tensor &x, const Tensor *zeroPoint, bool isRow,
                                    llvm::StringRef name) {
  if (failed(checkQuantized(b, x, name)) || failed(checkZeroPoint(b, x, zeroPoint, name)))
    return failure();
  Bytes bytes{x, std::nullopt};
  if (zeroPoint && !isZero(b, *zeroPoint)) {
    auto laid = alongMatrix(b, *zeroPoint, x, isRow, "the zero point");
    if (failed(laid))
      return failure();
    bytes.zero = *laid;
  }
  return withSign(b, bytes, /*isUnsigned=*/isRow);
}

FailureOr<Tensor> matmulInteger(Builder &b, const Tensor &left, const Tensor &right, const Tensor *xZero,
                                const Tensor *yZero) {
  if (left.rank() == 1 || right.rank() == 1) {
    // As a row, as a column, and that dimension dropped in the end.
    Tensor row = left.rank() == 1 ? b.reshape(left, {1, left.shape[0]}) : left;
    Tensor column = right.rank() == 1 ? b.reshape(right, {right.shape[0], 1}) : right;
    auto sums = matmulInteger(b, row, column, xZero, yZero);
    if (failed(sums))
      return failure();
    Dims shape(sums->shape.begin(), sums->shape.end() - 2);
    if (left.rank() > 1)
      shape.push_back(sums->shape[sums->rank() - 2]);
    if (right.rank() > 1)
      shape.push_back(sums->shape.back());
    return b.reshape(*sums, shape);
  }
  auto x = matrixBytes(b, left, xZero, /*isRow=*/true, "A");
  auto y = failed(x) ? x : matrixBytes(b, right, yZero, /*isRow=*/false, "B");
  auto sums = failed(y) ? FailureOr<Tensor>(failure()) : matmulSums(b, x->x, y->x);
  if (failed(sums))
    return failure();
  std::optional<Tensor> columns, rows;
  if (x->hasZeroPoint()) {
    Tensor ofColumns = sumAlong(b, y->x, {y->x.rank() - 2});
    std::optional<Tensor> zb = y->hasZeroPoint() ? y->zero : std::nullopt;
    if (!x->zero->isScalar()) { // one per row: a term for each element
      auto shape = broadcastShapes(b, ofColumns.shape, x->zero->shape);
      if (failed(shape))
        return failure();
      ofColumns = elementwise(b, *shape, ofColumns.elementType, ofColumns, false,
                              [](const Scalar &, ValueRange args) { return args[0]; });
    }
    columns = columnTerm(b, ofColumns, *x->zero, /*isUnsigned=*/true, zb, x->x.shape.back());
  }
  if (y->hasZeroPoint())
    rows = sumAlong(b, x->x, {x->x.rank() - 1});
  return corrected(b, *sums, columns, y->zero, rows);
}

/// One parameter for all channels, or one per channel, as it broadcasts to a tensor whose channels have `inner`
/// dimensions behind them.
static FailureOr<Tensor> perChannel(Builder &b, const Tensor &p, Dim channels, int64_t inner, llvm::StringRef name) {
  if (p.hasStaticShape() && p.numElements().is(1))
    return b.reshape(p, {});
  if (p.rank() != 1 || isEqual(p.shape[0], channels) == std::optional<bool>(false))
    return b.error() << name << " must be one number or one per output channel (" << channels.str() << "), found "
                     << p.str();
  Dims shape(inner + 1, Dim(1));
  shape[0] = channels;
  return b.reshape(p, shape);
}

static FailureOr<Bytes> channelBytes(Builder &b, const Tensor &x, const Tensor *zeroPoint, bool isFilter,
                                     llvm::StringRef name) {
  if (failed(checkQuantized(b, x, name)) || failed(checkZeroPoint(b, x, zeroPoint, name)))
    return failure();
  Bytes bytes{x, std::nullopt};
  if (zeroPoint && !isZero(b, *zeroPoint)) {
    auto laid = perChannel(b, *zeroPoint, isFilter ? x.shape[0] : Dim(1), isFilter ? x.rank() - 1 : 0,
                           (name + "'s zero point").str());
    if (failed(laid))
      return failure();
    bytes.zero = *laid;
  }
  return withSign(b, bytes, /*isUnsigned=*/!isFilter);
}

/// The sums of the windows of x over all channels, [N, 1, out...]; `padding` lies around each channel.
static FailureOr<Tensor> windowSums(Builder &b, const Tensor &x, const Tensor &filter, const WindowAttrs &attrs,
                                    int64_t padding) {
  Type i32 = b.builder.getI32Type();
  Dims window = filter.shape;
  window[0] = window[1] = 1;
  return convSums(b, sumAlong(b, x, {1}), b.splat(window, i32, 1), attrs, 1,
                  numberAttr(i32, padding * filter.shape[1].constant()));
}

static bool hasPadding(const WindowAttrs &attrs) {
  return attrs.autoPad == AutoPad::SameUpper || attrs.autoPad == AutoPad::SameLower ||
         llvm::any_of(attrs.pads, [](int64_t amount) { return amount != 0; });
}

FailureOr<Tensor> convInteger(Builder &b, const Tensor &input, const Tensor &filter, const Tensor *xZero,
                              const Tensor *filterZero, const WindowAttrs &attrs, int64_t groups) {
  if (filter.rank() < 3)
    return b.error() << "a convolution needs a filter of rank 3, 4 or 5, found " << filter.str();
  auto x = channelBytes(b, input, xZero, /*isFilter=*/false, "the input");
  auto w = failed(x) ? x : channelBytes(b, filter, filterZero, /*isFilter=*/true, "the filter");
  if (failed(w))
    return failure();
  Type i32 = b.builder.getI32Type();
  std::optional<double> padding = x->hasZeroPoint() ? splatValue(*x->zero) : 0.0;
  if (!padding && hasPadding(attrs)) // what lies around x is known only while the model runs
    return convSums(b, centred(b, *x, i32), centred(b, *w, i32), attrs, groups, numberAttr(i32, 0));
  // The windows' sums are cheap only where they are the same for all channels.
  if (w->hasZeroPoint() && groups > 1)
    *w = {centred(b, *w, b.builder.getI16Type()), std::nullopt};
  Tensor weights = w->x;
  // Fewer than four channels become four, so that those of neighbouring positions are one run.
  bool isPlain = groups == 1 && filter.hasStaticShape() && input.rank() == filter.rank() &&
                 input.shape[1] == filter.shape[1] && padding && !w->hasZeroPoint();
  if (int64_t channels = isPlain ? filter.shape[1].constant() : 4; channels < 4) {
    auto widen = [&](const Tensor &t, double value) {
      Dims low(t.rank(), Dim(0)), high = low;
      high[1] = 4 - channels;
      return b.pad(t, low, high, numberAttr(t.elementType, value, t.isUnsigned));
    };
    x->x = widen(x->x, *padding);
    w->x = widen(w->x, 0);
  }
  auto sums = convSums(b, x->x, w->x, attrs, groups, numberAttr(x->x.elementType, padding.value_or(0), true));
  if (failed(sums))
    return failure();
  std::optional<Tensor> columns, rows, zero;
  int64_t inner = sums->rank() - 2;
  Dims channelShape(inner + 1, Dim(1));
  channelShape[0] = sums->shape[1];
  if (w->hasZeroPoint())
    zero = w->zero->isScalar() ? *w->zero : b.reshape(*w->zero, channelShape);
  if (x->hasZeroPoint()) {
    Tensor ofFilter = sumAlong(b, weights, llvm::to_vector(llvm::seq<int64_t>(1, filter.rank())));
    Dim depth = product(ArrayRef(filter.shape).drop_front());
    columns = columnTerm(b, b.reshape(ofFilter, channelShape), *x->zero, /*isUnsigned=*/true, zero, depth);
  }
  if (zero) {
    auto ofWindows = windowSums(b, x->x, filter, attrs, padding.value_or(0));
    if (failed(ofWindows))
      return failure();
    rows = *ofWindows;
  }
  return corrected(b, *sums, columns, zero, rows);
}

/// xScale * yScale / outScale; all broadcast.
static FailureOr<Tensor> stepFactor(Builder &b, const Tensor &xScale, const Tensor &yScale, const Tensor &outScale) {
  for (const Tensor *scale : {&xScale, &yScale, &outScale})
    if (!scale->isFloat())
      return b.error() << "a scale must be a floating-point number, found " << scale->str();
  Type wide = computeType(outScale.elementType);
  auto x = cast(b, xScale, wide, false), y = failed(x) ? x : cast(b, yScale, wide, false);
  auto out = failed(y) ? y : cast(b, outScale, wide, false);
  auto product = failed(out) ? out : binary(b, Binary::Mul, *x, *y);
  return failed(product) ? product : binary(b, Binary::Div, *product, *out);
}

/// sums * xScale * yScale / outScale + outZero, saturated to outZero's type; all parameters broadcast.
static FailureOr<Tensor> requantize(Builder &b, const Tensor &sums, const Tensor &xScale, const Tensor &yScale,
                                    const Tensor &outScale, const Tensor &outZero) {
  auto factor = stepFactor(b, xScale, yScale, outScale);
  if (failed(factor) || failed(checkQuantized(b, outZero, "the result's zero point")))
    return failure();
  return quantizeSteps(b, sums.shape, {sums, *factor}, outZero, [](const Scalar &s, ValueRange args) {
    return s.mul(scalarCast(s, args[0], false, args[1].getType(), false), args[1]);
  });
}

//===- from floats --------------------------------------------------------------------------------------------------===

/// Sums of so many products of centred bytes fit 32 bits.
static constexpr int64_t maxDepth = ((int64_t(1) << 31) - 1) / (255 * 255);

namespace {
/// The operands of a product of floats, as they were before their dequantisation.
struct CodesOfProduct {
  QuantizedForms::Codes x, weights;
  bool isPerChannel; // the weights' scale
};
} // namespace

static bool isOneNumber(const Tensor &p) { return p.hasStaticShape() && p.numElements().is(1); }

/// Nothing unless x has one scale, and the constant weights one or one for each index of `axis`.
static std::optional<CodesOfProduct> findCodes(Builder &b, const Tensor &x, const Tensor &weights, int64_t axis,
                                               Dim depth) {
  auto xCodes = b.quantized.codes.find(x.value), wCodes = b.quantized.codes.find(weights.value);
  if (xCodes == b.quantized.codes.end() || wCodes == b.quantized.codes.end())
    return std::nullopt;
  CodesOfProduct found{xCodes->second, wCodes->second, !isOneNumber(wCodes->second.scale)};
  const auto &[codes, scale, zero, weightAxis] = found.weights;
  bool isConstant = !codes.value || graph::isConstantExpression(codes.value);
  bool isAlongAxis = !found.isPerChannel || weightAxis == axis || weightAxis == axis - codes.rank();
  bool fits = depth.isConstant() && depth.constant() <= maxDepth;
  auto isOneOf = [](const QuantizedForms::Codes &of) { return !of.zeroPoint || isOneNumber(*of.zeroPoint); };
  bool isOne = isOneNumber(found.x.scale) && isOneOf(found.x) && (found.isPerChannel || isOneOf(found.weights));
  if (!isOne || !isConstant || !isAlongAxis || !fits)
    return std::nullopt;
  return found;
}

static const Tensor *zeroOf(const QuantizedForms::Codes &codes) {
  return codes.zeroPoint ? &*codes.zeroPoint : nullptr;
}

/// Exact sums as the floats that they stand for.
static FailureOr<Tensor> floatsOf(Builder &b, FailureOr<Tensor> sums, const Tensor &xScale, const Tensor &scale,
                                  std::optional<Tensor> offset) {
  auto factor = failed(sums) ? sums : binary(b, Binary::Mul, b.reshape(xScale, {}), scale);
  if (failed(factor))
    return failure();
  SmallVector<Tensor> operands{*sums, *factor};
  if (offset)
    operands.push_back(*offset);
  Tensor y = elementwise(b, sums->shape, factor->elementType, operands, false, [&](const Scalar &s, ValueRange args) {
    Value product = s.mul(scalarCast(s, args[0], false, args[1].getType(), false), args[1]);
    return offset ? s.add(product, args[2]) : product;
  });
  b.quantized.sums[y.value] = {*sums, *factor, offset};
  return y;
}

std::optional<FailureOr<Tensor>> matmulOfCodes(Builder &b, const Tensor &x, const Tensor &y, bool transY,
                                               const Tensor *bias) {
  if (y.rank() != 2 || x.rank() < 2)
    return std::nullopt;
  auto found = findCodes(b, x, y, transY ? 0 : 1, y.shape[transY ? 1 : 0]);
  Dim columns = y.shape[transY ? 0 : 1];
  if (!found || (bias && (bias->rank() != 1 || isEqual(bias->shape[0], columns) != std::optional<bool>(true))))
    return std::nullopt;
  const auto &[xCodes, weights, isPerChannel] = *found;
  Tensor bytes = transY ? b.transpose(weights.x, {1, 0}) : weights.x;
  auto sums = matmulInteger(b, xCodes.x, bytes, zeroOf(xCodes), zeroOf(weights));
  Tensor scale = isPerChannel ? weights.scale : b.reshape(weights.scale, {});
  return floatsOf(b, sums, xCodes.scale, scale, bias ? std::optional(*bias) : std::nullopt);
}

std::optional<FailureOr<Tensor>> convOfCodes(Builder &b, const Tensor &x, const Tensor &filter, const Tensor *bias,
                                             const WindowAttrs &attrs, int64_t groups) {
  if (filter.rank() < 3 || filter.rank() != x.rank())
    return std::nullopt;
  auto found = findCodes(b, x, filter, 0, product(ArrayRef(filter.shape).drop_front()));
  if (!found || (found->x.zeroPoint && !splatValue(*found->x.zeroPoint)) || (bias && bias->rank() != 1))
    return std::nullopt;
  const auto &[xCodes, weights, isPerChannel] = *found;
  auto sums = convInteger(b, xCodes.x, weights.x, zeroOf(xCodes), zeroOf(weights), attrs, groups);
  if (failed(sums))
    return sums;
  Dim channels = sums->shape[1];
  int64_t inner = sums->rank() - 2;
  auto scale = perChannel(b, weights.scale, channels, inner, "the filter's scale");
  auto laid = failed(scale) || !bias ? scale : perChannel(b, *bias, channels, inner, "the bias");
  if (failed(laid))
    return laid;
  return floatsOf(b, sums, xCodes.scale, *scale, bias ? std::optional(*laid) : std::nullopt);
}

static FailureOr<Tensor> single(Builder &b, const Tensor &p, llvm::StringRef name) {
  if (p.hasStaticShape() && p.numElements().is(1))
    return b.reshape(p, {});
  return b.error() << name << " must be one number, found " << p.str();
}

FailureOr<Tensor> qlinearMatmul(Builder &b, Quantized x, Quantized y, const Tensor &outScale, const Tensor &outZero) {
  auto sums = matmulInteger(b, x.x, y.x, x.zeroPoint, y.zeroPoint);
  if (failed(sums))
    return failure();
  auto xScale = alongMatrix(b, *x.scale, *sums, true, "A's scale");
  auto yScale = failed(xScale) ? xScale : alongMatrix(b, *y.scale, *sums, false, "B's scale");
  auto scale = failed(yScale) ? yScale : alongMatrix(b, outScale, *sums, true, "the result's scale");
  auto zero = failed(scale) ? scale : alongMatrix(b, outZero, *sums, true, "the result's zero point");
  return failed(zero) ? zero : requantize(b, *sums, *xScale, *yScale, *scale, *zero);
}

FailureOr<Tensor> qlinearConv(Builder &b, Quantized x, Quantized filter, const Tensor *bias, const Tensor &outScale,
                              const Tensor &outZero, const WindowAttrs &attrs, int64_t groups) {
  auto sums = convInteger(b, x.x, filter.x, x.zeroPoint, filter.zeroPoint, attrs, groups);
  if (failed(sums))
    return failure();
  Dim channels = sums->shape[1];
  int64_t inner = sums->rank() - 2;
  if (bias) {
    if (!bias->elementType.isInteger(32))
      return b.error() << "the bias must hold 32-bit integers, found " << bias->str();
    auto laid = perChannel(b, *bias, channels, inner, "the bias");
    auto sum = failed(laid) ? laid : binary(b, Binary::Add, *sums, *laid);
    if (failed(sum))
      return failure();
    sums = sum;
  }
  auto xScale = single(b, *x.scale, "the input's scale");
  auto filterScale = failed(xScale) ? xScale : perChannel(b, *filter.scale, channels, inner, "the filter's scale");
  auto scale = failed(filterScale) ? filterScale : single(b, outScale, "the result's scale");
  auto zero = failed(scale) ? scale : single(b, outZero, "the result's zero point");
  return failed(zero) ? zero : requantize(b, *sums, *xScale, *filterScale, *scale, *zero);
}

FailureOr<SmallVector<Tensor>> dynamicQuantizeLinear(Builder &b, const Tensor &x) {
  Type f32 = b.builder.getF32Type(), u8 = b.builder.getI8Type();
  if (x.elementType != f32)
    return b.error() << "expected a tensor of f32, found " << x.str();
  Tensor flat = b.reshape(x, {x.numElements()});
  auto extreme = [&](bool lowest) {
    return reduceAxes(b, flat, b.identity(1), flat.shape, int64_t(0), numberAttr(f32, 0), false,
                      [&](const Scalar &s, Value acc, ValueRange args) {
                        return lowest ? s.min(acc, args[0]) : s.max(acc, args[0]);
                      });
  };
  Tensor low = extreme(true), high = extreme(false);
  Tensor scale = elementwise(b, {}, f32, {low, high}, false, [&](const Scalar &s, ValueRange args) {
    Value range = s.sub(args[1], args[0]);
    Value isZero = s.cmp(arith::CmpFPredicate::OEQ, range, s.like(range, 0));
    return s.select(isZero, s.like(range, 1), s.divF(range, s.like(range, 255)));
  });
  Tensor zero = elementwise(b, {}, u8, {low, scale}, true, [&](const Scalar &s, ValueRange args) {
    return scalarCast(s, s.op<math::RoundEvenOp>(s.neg(s.divF(args[0], args[1]))), false, u8, true);
  });
  auto y = quantizeLinear(b, x, scale, &zero, 0, u8, true);
  if (failed(y))
    return failure();
  return SmallVector<Tensor>{*y, scale, zero};
}

FailureOr<Tensor> scaledMatmulInteger(Builder &b, Quantized x, Quantized y, const Tensor *bias) {
  auto sums = matmulInteger(b, x.x, y.x, x.zeroPoint, y.zeroPoint);
  if (failed(sums))
    return failure();
  auto xScale = alongMatrix(b, *x.scale, *sums, true, "A's scale");
  auto yScale = failed(xScale) ? xScale : alongMatrix(b, *y.scale, *sums, false, "B's scale");
  if (failed(yScale))
    return failure();
  Type type = yScale->elementType;
  if (!isa<FloatType>(type) || xScale->elementType != type || (bias && bias->elementType != type))
    return b.error() << "the scales and the bias must have one floating-point type, found " << x.scale->str() << ", "
                     << y.scale->str() << (bias ? " and " + bias->str() : std::string());
  SmallVector<Tensor> operands{*sums, *xScale, *yScale};
  if (bias) {
    if (bias->rank() != 1 || isEqual(bias->shape[0], sums->shape.back()) == std::optional<bool>(false))
      return b.error() << "the bias must have one value per column (" << sums->shape.back().str() << "), found "
                       << bias->str();
    operands.push_back(*bias);
  }
  Type wide = computeType(type);
  return elementwise(b, sums->shape, type, operands, false, [&](const Scalar &s, ValueRange args) {
    auto widen = [&](Value v) { return scalarCast(s, v, false, wide, false); };
    Value y = s.mul(widen(args[0]), s.mul(widen(args[1]), widen(args[2])));
    return scalarCast(s, bias ? s.add(y, widen(args[3])) : y, false, type, false);
  });
}

} // namespace eyrie::ops
