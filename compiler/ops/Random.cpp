#include "compiler/ops/Random.h"
#include "compiler/ops/Scalar.h"
#include <numbers>

using namespace mlir;

namespace eyrie::ops {

namespace {

/// The generator inside a body: four words for each number of an element.
struct Philox {
  const Scalar &s;
  RandomKey key;

  Value word(uint32_t v) const { return s.op<arith::ConstantOp>(s.b.getI32IntegerAttr(static_cast<int32_t>(v))); }
  /// The ten rounds on the counter `element` (i64).
  SmallVector<Value, 4> operator()(Value element) const {
    Type i32 = s.b.getI32Type();
    Value high = s.op<arith::ShRUIOp>(element, s.op<arith::ConstantOp>(s.b.getI64IntegerAttr(32)));
    SmallVector<Value, 4> c{s.op<arith::TruncIOp>(i32, element), s.op<arith::TruncIOp>(i32, high), word(0), word(0)};
    uint32_t k0 = key.low, k1 = key.high;
    for (unsigned round = 0; round < 10; ++round) {
      auto first = arith::MulUIExtendedOp::create(s.b, s.loc, c[0], word(0xD2511F53u));
      auto second = arith::MulUIExtendedOp::create(s.b, s.loc, c[2], word(0xCD9E8D57u));
      auto mix = [&](Value x, Value y, uint32_t k) -> Value {
        return s.op<arith::XOrIOp>(Value(s.op<arith::XOrIOp>(x, y)), word(k));
      };
      c = {mix(second.getHigh(), c[1], k0), second.getLow(), mix(first.getHigh(), c[3], k1), first.getLow()};
      k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return c;
  }
};

/// The row-major number of the element that a body computes, over `shape`.
struct ElementNumber {
  SmallVector<Count> sizes;
  ElementNumber(Builder &b, ArrayRef<Dim> shape) {
    for (Dim d : shape)
      sizes.emplace_back(b, d);
  }
  Value get(const Scalar &s) const {
    Type i64 = s.b.getI64Type();
    Value number = s.number(i64, 0);
    for (auto [d, size] : llvm::enumerate(sizes)) {
      Value index = s.loopNumber(d);
      number = s.add(s.mul(number, size.get(s, i64)), index);
    }
    return number;
  }
};

} // namespace

/// [0, 1) from two words: 24 bits for f32, 53 for f64.
static Value unitFloat(const Scalar &s, Value first, Value second, Type type) {
  Type i64 = s.b.getI64Type();
  Value high = s.op<arith::ExtUIOp>(i64, first), low = s.op<arith::ExtUIOp>(i64, second);
  auto shift = [&](int64_t by) { return s.op<arith::ConstantOp>(s.b.getI64IntegerAttr(by)); };
  if (!type.isF64())
    return s.mul(s.op<arith::UIToFPOp>(type, Value(s.op<arith::ShRUIOp>(high, shift(8)))), 0x1p-24);
  Value bits = s.op<arith::OrIOp>(Value(s.op<arith::ShLIOp>(high, shift(32))), low);
  return s.mul(s.op<arith::UIToFPOp>(type, Value(s.op<arith::ShRUIOp>(bits, shift(11)))), 0x1p-53);
}

/// A uniform number for each element of `shape`, in `type` (f32 or f64), handed on to `body` with the elements of x.
static Tensor mapRandom(Builder &b, RandomKey key, ArrayRef<Dim> shape, ArrayRef<Tensor> xs, ArrayRef<AffineMap> maps,
                        Type resultType, bool isUnsigned, Type type,
                        llvm::function_ref<Value(const Scalar &, Value, Value, ValueRange)> body) {
  ElementNumber number(b, shape);
  return b.map(
      shape, resultType, xs, maps,
      [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
        Scalar s{builder, loc};
        SmallVector<Value, 4> words = Philox{s, key}(number.get(s));
        return body(s, unitFloat(s, words[0], words[1], type), unitFloat(s, words[2], words[3], type), args);
      },
      isUnsigned);
}

static LogicalResult checkFloat(Builder &b, Type type) {
  if (isa<FloatType>(type))
    return success();
  return b.error() << "random numbers must be floats, found " << type;
}

FailureOr<Tensor> randomUniform(Builder &b, RandomKey key, ArrayRef<Dim> shape, Type elementType, double low,
                                double high) {
  if (failed(checkFloat(b, elementType)))
    return failure();
  return mapRandom(b, key, shape, {}, {}, elementType, false, computeType(elementType),
                   [&](const Scalar &s, Value u, Value, ValueRange) {
                     return scalarCast(s, s.add(s.mul(u, high - low), low), false, elementType, false);
                   });
}

FailureOr<Tensor> randomNormal(Builder &b, RandomKey key, ArrayRef<Dim> shape, Type elementType, double mean,
                               double scale) {
  if (failed(checkFloat(b, elementType)))
    return failure();
  // Box and Muller's transform; 1 - u is never zero.
  return mapRandom(b, key, shape, {}, {}, elementType, false, computeType(elementType),
                   [&](const Scalar &s, Value u, Value v, ValueRange) {
                     Value radius = s.op<math::SqrtOp>(s.mul(s.op<math::LogOp>(s.sub(s.like(u, 1), u)), -2.0));
                     Value normal = s.mul(radius, s.op<math::CosOp>(s.mul(v, 2 * std::numbers::pi)));
                     return scalarCast(s, s.add(s.mul(normal, scale), mean), false, elementType, false);
                   });
}

FailureOr<Tensor> bernoulli(Builder &b, RandomKey key, const Tensor &x, Type elementType, bool isUnsigned) {
  if (failed(checkFloat(b, x.elementType)))
    return failure();
  Type type = computeType(x.elementType);
  return mapRandom(b, key, x.shape, x, b.identity(x.rank()), elementType, isUnsigned, type,
                   [&](const Scalar &s, Value u, Value, ValueRange args) {
                     Value isOne = s.less(u, scalarCast(s, args[0], false, type, false));
                     return scalarCast(s, isOne, true, elementType, isUnsigned);
                   });
}

FailureOr<Tensor> multinomial(Builder &b, RandomKey key, const Tensor &x, int64_t samples, Type elementType,
                              bool isUnsigned) {
  if (x.rank() != 2 || !x.isFloat() || samples < 1)
    return b.error() << "expected floats of rank 2 and at least one sample, found " << x.str() << " and " << samples;
  // The largest of logit + Gumbel noise is distributed as the classes are.
  Type type = computeType(x.elementType);
  Tensor noisy = mapRandom(b, key, {x.shape[0], samples, x.shape[1]}, x, projection(b, 3, {0, 2}), type, false, type,
                           [&](const Scalar &s, Value u, Value, ValueRange args) {
                             Value exponential = s.neg(s.op<math::LogOp>(s.sub(s.like(u, 1), u)));
                             Value tiny = s.max(exponential, s.like(u, type.isF64() ? 1e-300 : 1e-37));
                             return s.sub(scalarCast(s, args[0], false, type, false), s.op<math::LogOp>(tiny));
                           });
  auto classes = argReduce(b, /*isMax=*/true, noisy, 2, /*keepDims=*/false, /*lastIndex=*/false);
  if (failed(classes))
    return failure();
  return cast(b, *classes, elementType, isUnsigned);
}

FailureOr<SmallVector<Tensor>> dropout(Builder &b, RandomKey key, const Tensor &x, const Tensor *ratio,
                                       const Tensor &training) {
  if (failed(checkFloat(b, x.elementType)))
    return failure();
  if (!training.isBool() || !training.numElements().is(1))
    return b.error() << "training_mode must be one boolean, found " << training.str();
  if (ratio && (!ratio->isFloat() || !ratio->numElements().is(1)))
    return b.error() << "ratio must be one float, found " << ratio->str();
  Type type = computeType(x.elementType);
  AffineMap scalarMap = AffineMap::get(x.rank(), 0, b.builder.getContext());
  Tensor share = ratio ? b.reshape(*ratio, {}) : b.splat({}, type, 0.5), isTraining = b.reshape(training, {});
  Tensor kept = mapRandom(b, key, x.shape, {share, isTraining}, {scalarMap, scalarMap}, b.builder.getI1Type(), false,
                          type, [&](const Scalar &s, Value u, Value, ValueRange args) -> Value {
                            Value isLost = s.less(u, scalarCast(s, args[0], false, type, false));
                            Value isOff = s.op<arith::AndIOp>(isLost, args[1]);
                            return s.op<arith::XOrIOp>(isOff, Value(s.op<arith::ConstantOp>(s.b.getBoolAttr(true))));
                          });
  Tensor y = elementwise(b, x.shape, x.elementType, {x, kept, share, isTraining}, false,
                         [&](const Scalar &s, ValueRange args) {
                           Value element = scalarCast(s, args[0], false, type, false), one = s.like(element, 1);
                           Value rest = s.sub(one, scalarCast(s, args[2], false, type, false));
                           element = s.divF(element, s.select(args[3], rest, one));
                           Value result = s.select(args[1], element, s.like(element, 0));
                           return scalarCast(s, result, false, x.elementType, false);
                         });
  return SmallVector<Tensor>{y, kept};
}

} // namespace eyrie::ops
