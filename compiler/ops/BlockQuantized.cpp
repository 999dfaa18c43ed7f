// Weights of a few bits, packed into bytes.
#include "compiler/ops/Scalar.h"

using namespace mlir;

namespace eyrie::ops {

/// The numbers of `bits` packed into the bytes of x [..., n], the first in the lowest bits: [..., n * 8 / bits], i32.
static Tensor unpack(Builder &b, const Tensor &x, int64_t bits) {
  Type i32 = b.builder.getI32Type();
  int64_t perByte = 8 / bits, rank = x.rank();
  Dims shape = x.shape;
  shape.push_back(perByte);
  SmallVector<int64_t> reads = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  Tensor numbers =
      b.map(shape, i32, x, projection(b, rank + 1, reads), [&](OpBuilder &builder, Location loc, ValueRange args) {
        Scalar s{builder, loc};
        Value byte = scalarCast(s, args[0], /*fromUnsigned=*/true, i32, false);
        if (perByte == 1)
          return byte;
        Value place = s.op<arith::IndexCastOp>(i32, Value(s.op<linalg::IndexOp>(rank)));
        Value shifted = s.op<arith::ShRUIOp>(byte, s.mul(place, double(bits)));
        return Value(s.op<arith::AndIOp>(shifted, s.number(i32, (1 << bits) - 1)));
      });
  Dims flat = x.shape;
  flat.back() = x.shape.back() * Dim(perByte);
  return b.reshape(numbers, flat);
}

static Tensor firstColumns(Builder &b, const Tensor &x, int64_t count) {
  Dims sizes = x.shape;
  sizes.back() = count;
  return b.extract(x, Dims(x.rank(), Dim(0)), sizes, SmallVector<int64_t>(x.rank(), 1));
}

FailureOr<Tensor> unpackWeights(Builder &b, const Tensor &packed, const Tensor &scales, const Tensor *zeroPoints,
                                int64_t rows, int64_t columns, int64_t bits, int64_t blockSize) {
  if (bits != 2 && bits != 4 && bits != 8)
    return b.error() << "weights of " << bits << " bits are not supported; expected 2, 4 or 8";
  if (blockSize < 1 || blockSize * bits % 8 != 0 || rows < 0 || columns < 1)
    return b.error() << "blocks of " << blockSize << " for weights [" << rows << ", " << columns << "] do not fit";
  int64_t blocks = llvm::divideCeil(columns, blockSize), bytes = blockSize * bits / 8;
  Type u8 = b.builder.getI8Type();
  auto expect = [&](const Tensor &t, int64_t count, llvm::StringRef name) -> LogicalResult {
    if (t.hasStaticShape() && t.numElements().is(count))
      return success();
    return b.error() << name << " must have " << count << " elements, found " << t.str();
  };
  if (packed.elementType != u8 || !packed.isUnsigned)
    return b.error() << "packed weights must be u8, found " << packed.str();
  if (failed(expect(packed, rows * blocks * bytes, "the packed weights")) ||
      failed(expect(scales, rows * blocks, "the scales")))
    return failure();
  SmallVector<Tensor> operands{
      b.reshape(unpack(b, b.reshape(packed, {rows, blocks, bytes}), bits), {rows, blocks, blockSize}),
      b.reshape(scales, {rows, blocks, 1})};
  Type type = scales.elementType, wide = computeType(type);
  if (zeroPoints && zeroPoints->isFloat()) {
    if (failed(expect(*zeroPoints, rows * blocks, "the zero points")))
      return failure();
    operands.push_back(b.reshape(*zeroPoints, {rows, blocks, 1}));
  } else if (zeroPoints) {
    int64_t zeroBytes = llvm::divideCeil(blocks * bits, 8);
    if (zeroPoints->elementType != u8)
      return b.error() << "packed zero points must be u8, found " << zeroPoints->str();
    if (failed(expect(*zeroPoints, rows * zeroBytes, "the zero points")))
      return failure();
    Tensor zeros = firstColumns(b, unpack(b, b.reshape(*zeroPoints, {rows, zeroBytes}), bits), blocks);
    operands.push_back(b.reshape(zeros, {rows, blocks, 1}));
  }
  Tensor y = elementwise(b, operands[0].shape, type, operands, false, [&](const Scalar &s, ValueRange args) {
    auto widen = [&](Value v) { return scalarCast(s, v, false, wide, false); };
    Value zero = zeroPoints ? widen(args[2]) : s.number(wide, double(1 << (bits - 1)));
    return scalarCast(s, s.mul(s.sub(widen(args[0]), zero), widen(args[1])), false, type, false);
  });
  return firstColumns(b, b.reshape(y, {rows, blocks * blockSize}), columns);
}

} // namespace eyrie::ops
