// Pooling over regions of interest. How many elements a cell has depends on the data: bodies with loops.
#include "compiler/ops/Taps.h"
#include "compiler/ops/Vision.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

static LogicalResult checkRegions(Builder &b, const Tensor &x, const Tensor &rois, int64_t columns) {
  if (x.rank() != 4 || rois.rank() != 2 || !x.isFloat() || rois.elementType != x.elementType ||
      isEqual(rois.shape[1], columns) == std::optional<bool>(false))
    return b.error() << "expected an image of floats of rank 4 and regions [R, " << columns << "] of its type, found "
                     << x.str() << " and " << rois.str();
  return success();
}

/// acc = body(i0, i1, acc) for i0, i1 in their ranges (index).
static Value loopOverCell(const Scalar &s, std::pair<Value, Value> rows, std::pair<Value, Value> columns, Value init,
                          llvm::function_ref<Value(const Scalar &, Value, Value, Value)> body) {
  Value one = s.index(1);
  auto outer = scf::ForOp::create(
      s.b, s.loc, rows.first, rows.second, one, init, [&](OpBuilder &b, Location loc, Value i, ValueRange outerAcc) {
        auto inner = scf::ForOp::create(b, loc, columns.first, columns.second, one, outerAcc,
                                        [&](OpBuilder &b, Location loc, Value j, ValueRange acc) {
                                          scf::YieldOp::create(b, loc, body(Scalar{b, loc}, i, j, acc[0]));
                                        });
        scf::YieldOp::create(b, loc, inner.getResults());
      });
  return outer.getResult(0);
}

/// A float as an index, saturating; NaN gives 0.
static Value toIndex(const Scalar &s, Value x) {
  return s.op<arith::IndexCastOp>(s.b.getIndexType(), scalarCast(s, x, false, s.b.getI64Type(), false));
}

static AffineMap columnMap(Builder &b, int64_t column) {
  return AffineMap::get(4, 0, {b.builder.getAffineDimExpr(0), b.builder.getAffineConstantExpr(column)},
                        b.builder.getContext());
}

namespace {

/// A region along one dimension of the image.
struct AlignAxis {
  Value start, binSize; // of the compute type
  Value samples;        // in one bin, index
  Value size, floatSize;

  /// The two neighbours of sample `i` of bin `bin`; without weight where it lies outside.
  SampleTaps taps(const Scalar &s, Value bin, Value i) const {
    Type type = start.getType();
    Value inBin = s.divF(s.mul(s.add(s.toFloat(i, type), 0.5), binSize), s.toFloat(samples, type));
    Value x = s.add(s.add(start, s.mul(s.toFloat(bin, type), binSize)), inBin);
    Value isOutside = s.op<arith::OrIOp>(s.less(x, s.like(x, -1)), s.less(floatSize, x));
    Value last = s.add(floatSize, -1.0), inside = s.min(s.max(x, s.like(x, 0)), last);
    SampleTaps pair = linearTaps(s, inside, size);
    for (SampleTap &tap : pair) {
      tap.isInside = nullptr; // the second neighbour of the last element weighs nothing
      tap.weight = s.select(isOutside, s.like(x, 0), tap.weight);
    }
    return pair;
  }
};

} // namespace

/// The largest weight * element of the four neighbours (not of their sum: so the operation is defined).
static Value largestTerm(const Scalar &s, Value source, SmallVector<Value> indices, ArrayRef<SampleTaps> taps,
                         Type wide) {
  Value largest;
  for (const SampleTap &row : taps[0])
    for (const SampleTap &column : taps[1]) {
      indices.resize(2);
      indices.append({row.index, column.index});
      Value element = scalarCast(s, s.op<tensor::ExtractOp>(source, indices), false, wide, false);
      Value term = s.mul(s.mul(row.weight, column.weight), element);
      largest = largest ? s.max(largest, term) : term;
    }
  return largest;
}

FailureOr<Tensor> roiAlign(Builder &b, const Tensor &x, const Tensor &rois, const Tensor &batch,
                           const RoiAttrs &attrs) {
  if (failed(checkRegions(b, x, rois, 4)))
    return failure();
  if (batch.rank() != 1 || !batch.isInteger())
    return b.error() << "the batch indices must be a vector of integers, found " << batch.str();
  if (failed(checkSame(b, rois.shape[0], batch.shape[0], "regions and batch indices")))
    return failure();
  Dims shape{rois.shape[0], x.shape[1], attrs.height, attrs.width};
  SmallVector<Tensor> operands(4, rois);
  operands.push_back(batch);
  SmallVector<AffineMap> maps{columnMap(b, 0), columnMap(b, 1), columnMap(b, 2), columnMap(b, 3),
                              projection(b, 4, {0})};
  Count images(b, x.shape[0]), height(b, x.shape[2]), width(b, x.shape[3]);
  Value source = b.value(x);
  Type type = x.elementType, wide = computeType(type), index = b.builder.getIndexType();
  return b.map(shape, type, operands, maps, [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
    Scalar s{builder, loc};
    auto makeAxis = [&](Value first, Value second, int64_t bins, const Count &size) -> AlignAxis {
      auto place = [&](Value v) {
        return s.add(s.mul(scalarCast(s, v, false, wide, false), attrs.scale), attrs.halfPixel ? -0.5 : 0.0);
      };
      Value start = place(first), length = s.sub(place(second), start);
      if (!attrs.halfPixel)
        length = s.max(length, s.like(length, 1));
      Value binSize = s.divF(length, s.like(length, bins));
      Value samples = attrs.samplingRatio > 0 ? s.index(attrs.samplingRatio) : toIndex(s, s.op<math::CeilOp>(binSize));
      return {start, binSize, samples, size.get(s, index), size.get(s, wide)};
    };
    AlignAxis rows = makeAxis(args[1], args[3], attrs.height, height);
    AlignAxis columns = makeAxis(args[0], args[2], attrs.width, width);
    Value image = safeIndex(s, args[4], images.get(s, index), batch.isUnsigned);
    SmallVector<Value> prefix{image, s.op<linalg::IndexOp>(1)};
    Value row = s.op<linalg::IndexOp>(2), column = s.op<linalg::IndexOp>(3), zero = s.index(0);
    Value init = s.number(wide, attrs.isMax ? -INFINITY : 0);
    Value result = loopOverCell(s, {zero, rows.samples}, {zero, columns.samples}, init,
                                [&](const Scalar &s, Value i, Value j, Value acc) {
                                  SmallVector<SampleTaps> taps{rows.taps(s, row, i), columns.taps(s, column, j)};
                                  return attrs.isMax ? s.max(acc, largestTerm(s, source, prefix, taps, wide))
                                                     : s.add(acc, sampleTaps(s, source, false, prefix, taps, wide));
                                });
    Value count =
        s.op<arith::MulIOp>(s.op<arith::MaxSIOp>(rows.samples, zero), s.op<arith::MaxSIOp>(columns.samples, zero));
    Value isEmpty = s.cmp(arith::CmpIPredicate::eq, count, zero);
    if (!attrs.isMax)
      result = s.divF(result, s.toFloat(s.op<arith::MaxSIOp>(count, s.index(1)), wide));
    return scalarCast(s, s.select(isEmpty, s.number(wide, 0), result), false, type, false);
  });
}

FailureOr<Tensor> maxRoiPool(Builder &b, const Tensor &x, const Tensor &rois, const RoiAttrs &attrs) {
  if (failed(checkRegions(b, x, rois, 5)))
    return failure();
  Dims shape{rois.shape[0], x.shape[1], attrs.height, attrs.width};
  SmallVector<Tensor> operands(5, rois);
  SmallVector<AffineMap> maps;
  for (int64_t i = 0; i < 5; ++i)
    maps.push_back(columnMap(b, i));
  Count images(b, x.shape[0]), height(b, x.shape[2]), width(b, x.shape[3]);
  Value source = b.value(x);
  Type type = x.elementType, wide = computeType(type), index = b.builder.getIndexType();
  return b.map(shape, type, operands, maps, [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
    Scalar s{builder, loc};
    /// The elements of bin `bin` out of `bins`: corners are rounded, and belong to the region.
    auto binRange = [&](Value first, Value second, Value bin, int64_t bins, const Count &size) {
      auto place = [&](Value v) -> Value {
        return s.op<math::RoundOp>(s.mul(scalarCast(s, v, false, wide, false), attrs.scale));
      };
      Value start = place(first), length = s.max(s.add(s.sub(place(second), start), 1.0), s.number(wide, 1));
      Value binSize = s.divF(length, s.like(length, bins)), i = s.toFloat(bin, wide);
      Value low = s.add(s.op<math::FloorOp>(s.mul(i, binSize)), start);
      Value high = s.add(s.op<math::CeilOp>(s.mul(s.add(i, 1.0), binSize)), start);
      auto clamp = [&](Value v) -> Value {
        Value limit = size.get(s, index);
        return s.op<arith::MinSIOp>(s.op<arith::MaxSIOp>(toIndex(s, v), s.index(0)), limit);
      };
      return std::pair(clamp(low), clamp(high));
    };
    auto rows = binRange(args[2], args[4], s.op<linalg::IndexOp>(2), attrs.height, height);
    auto columns = binRange(args[1], args[3], s.op<linalg::IndexOp>(3), attrs.width, width);
    Value number = scalarCast(s, args[0], false, builder.getI64Type(), false);
    Value image = safeIndex(s, number, images.get(s, index), false), channel = s.op<linalg::IndexOp>(1);
    Value lowest = s.op<arith::ConstantOp>(extremeAttr(type, false, /*lowest=*/true));
    Value result = loopOverCell(s, rows, columns, lowest, [&](const Scalar &s, Value i, Value j, Value acc) {
      return s.max(acc, s.op<tensor::ExtractOp>(source, ValueRange{image, channel, i, j}));
    });
    Value isEmpty = s.op<arith::OrIOp>(s.cmp(arith::CmpIPredicate::sge, rows.first, rows.second),
                                       s.cmp(arith::CmpIPredicate::sge, columns.first, columns.second));
    return s.select(isEmpty, s.number(type, 0), result);
  });
}

} // namespace eyrie::ops
