// Reductions along axes, positions of extremes, and running sums.
#include "compiler/ops/Scalar.h"
#include "compiler/ops/Scan.h"

using namespace mlir;

namespace eyrie::ops {

FailureOr<SmallVector<int64_t>> axesOr(Builder &b, const Tensor *axes, int64_t count) {
  return axes ? b.constantIntegers(*axes, "axes") : FailureOr(llvm::to_vector(llvm::seq<int64_t>(0, count)));
}

FailureOr<SmallVector<int64_t>> normalizeAxes(Builder &b, ArrayRef<int64_t> axes, int64_t rank) {
  SmallVector<int64_t> result;
  for (int64_t axis : axes) {
    auto position = normalizeAxis(b, axis, rank);
    if (failed(position))
      return failure();
    if (llvm::is_contained(result, *position))
      return b.error() << "axis " << *position << " is given twice";
    result.push_back(*position);
  }
  llvm::sort(result);
  return result;
}

Dims withoutAxes(ArrayRef<Dim> shape, ArrayRef<int64_t> axes, bool keepDims) {
  Dims result;
  for (auto [i, size] : llvm::enumerate(shape)) {
    if (!llvm::is_contained(axes, static_cast<int64_t>(i)))
      result.push_back(size);
    else if (keepDims)
      result.push_back(1);
  }
  return result;
}

Tensor reduceAxes(Builder &b, ArrayRef<Tensor> xs, ArrayRef<AffineMap> maps, ArrayRef<Dim> loopSizes,
                  ArrayRef<int64_t> axes, TypedAttr init, bool isUnsigned,
                  llvm::function_ref<Value(const Scalar &, Value, ValueRange)> body) {
  SmallVector<int64_t> kept;
  SmallVector<unsigned> reductions;
  for (int64_t i = 0, e = loopSizes.size(); i < e; ++i) {
    if (llvm::is_contained(axes, i))
      reductions.push_back(i);
    else
      kept.push_back(i);
  }
  Tensor start = b.fill(withoutAxes(loopSizes, axes, false), init, isUnsigned);
  return b.reduce(start, projection(b, loopSizes.size(), kept), reductions, xs, maps,
                  [&](OpBuilder &builder, Location loc, ValueRange args) {
                    return body(Scalar{builder, loc}, args.back(), args.drop_back());
                  });
}

static std::optional<Tensor> foldReduce(Reduce kind, const Tensor &x, bool keepDims) {
  if (!x.contents || x.rank() != 1 || x.contents->empty())
    return std::nullopt;
  Dim result = x.contents->front();
  for (Dim d : ArrayRef(*x.contents).drop_front()) {
    switch (kind) {
    case Reduce::Sum:
      result = result + d;
      break;
    case Reduce::Prod:
      result = result * d;
      break;
    case Reduce::Max:
      result = max(result, d);
      break;
    case Reduce::Min:
      result = min(result, d);
      break;
    default:
      return std::nullopt;
    }
  }
  if (kind > Reduce::Prod || kind == Reduce::Mean)
    return std::nullopt;
  return fromContents(x.elementType, keepDims ? Dims{1} : Dims{}, {result}, x.isUnsigned);
}

namespace {
/// What happens to an element before, and to the result after, the combination.
struct Recipe {
  Reduce kind;
  bool isUnsigned;
  Value before(const Scalar &s, Value x) const {
    switch (kind) {
    case Reduce::L1:
      return Scalar::isFloat(x) ? s.op<math::AbsFOp>(x) : isUnsigned ? x : s.op<math::AbsIOp>(x);
    case Reduce::L2:
    case Reduce::SumSquare:
      return s.mul(x, x);
    default:
      return x;
    }
  }
  Value combine(const Scalar &s, Value acc, Value x) const {
    bool isBool = x.getType().isInteger(1);
    switch (kind) {
    case Reduce::Max:
      return s.max(acc, x, isUnsigned || isBool);
    case Reduce::Min:
      return s.min(acc, x, isUnsigned || isBool);
    case Reduce::Prod:
      return s.mul(acc, x);
    default:
      return s.add(acc, x);
    }
  }
  TypedAttr init(Type type) const {
    switch (kind) {
    case Reduce::Max:
      return extremeAttr(type, isUnsigned, /*lowest=*/true);
    case Reduce::Min:
      return extremeAttr(type, isUnsigned, /*lowest=*/false);
    case Reduce::Prod:
      return numberAttr(type, 1);
    default:
      return numberAttr(type, 0);
    }
  }
  bool hasAfter() const { return kind == Reduce::Mean || kind == Reduce::L2 || kind == Reduce::LogSum; }
  Value after(const Scalar &s, Value x, const Count &count) const {
    bool isFloat = Scalar::isFloat(x);
    switch (kind) {
    case Reduce::Mean:
      if (isFloat && !count.value && count.dim.constant() > 0)
        return s.mul(x, 1.0 / count.dim.constant());
      if (isFloat)
        return s.divF(x, count.get(s, x.getType()));
      return scalarBinary(s, Binary::Div, x, count.get(s, x.getType()), isUnsigned);
    case Reduce::L2: {
      Value real = isFloat ? x : scalarCast(s, x, isUnsigned, s.b.getF64Type(), false);
      return scalarCast(s, s.op<math::SqrtOp>(real), false, x.getType(), isUnsigned);
    }
    case Reduce::LogSum:
      return s.op<math::LogOp>(x);
    default:
      return x;
    }
  }
};
} // namespace

/// log(sum(exp(x - max))) + max.
static FailureOr<Tensor> logSumExp(Builder &b, const Tensor &x, ArrayRef<int64_t> axes) {
  if (!x.isFloat())
    return b.error() << "LogSumExp needs a floating-point tensor, found " << x.str();
  Type wide = computeType(x.elementType);
  auto maximum = reduce(b, Reduce::Max, x, axes, /*keepDims=*/false);
  if (failed(maximum))
    return failure();
  // An infinite maximum would give inf - inf.
  auto finite = [&](const Scalar &s, Value m) {
    Value isInfinite =
        s.cmp(arith::CmpFPredicate::OEQ, s.op<math::AbsFOp>(m), s.like(m, std::numeric_limits<double>::infinity()));
    return s.select(isInfinite, s.like(m, 0), m);
  };
  SmallVector<int64_t> kept;
  for (int64_t i = 0; i < x.rank(); ++i)
    if (!llvm::is_contained(axes, i))
      kept.push_back(i);
  Tensor sum = reduceAxes(b, {x, *maximum}, {b.identity(x.rank()), projection(b, x.rank(), kept)}, x.shape, axes,
                          numberAttr(wide, 0), false, [&](const Scalar &s, Value acc, ValueRange args) {
                            Value element = scalarCast(s, args[0], false, wide, false);
                            Value shift = finite(s, scalarCast(s, args[1], false, wide, false));
                            return s.add(acc, s.exp(s.sub(element, shift)));
                          });
  return elementwise(b, sum.shape, x.elementType, {sum, *maximum}, false, [&](const Scalar &s, ValueRange args) {
    Value shift = finite(s, scalarCast(s, args[1], false, wide, false));
    return scalarCast(s, s.add(s.op<math::LogOp>(args[0]), shift), false, x.elementType, false);
  });
}

FailureOr<Tensor> reduce(Builder &b, Reduce kind, const Tensor &x, ArrayRef<int64_t> givenAxes, bool keepDims,
                         bool noopWithEmptyAxes) {
  auto axes = normalizeAxes(b, givenAxes, x.rank());
  if (failed(axes))
    return failure();
  if (axes->empty()) {
    if (noopWithEmptyAxes)
      return x;
    *axes = llvm::to_vector(llvm::seq<int64_t>(0, x.rank()));
  }
  if (x.isBool() && kind != Reduce::Max && kind != Reduce::Min)
    return b.error() << "this reduction needs numbers, found " << x.str();
  if (auto folded = foldReduce(kind, x, keepDims))
    return *folded;
  Dims finalShape = withoutAxes(x.shape, *axes, keepDims);
  if (kind == Reduce::LogSumExp) {
    auto result = logSumExp(b, x, *axes);
    if (failed(result))
      return failure();
    return b.reshape(*result, finalShape);
  }
  if (kind == Reduce::LogSum && !x.isFloat())
    return b.error() << "LogSum needs a floating-point tensor, found " << x.str();
  Recipe recipe{kind, x.isUnsigned};
  bool isExtreme = kind == Reduce::Max || kind == Reduce::Min;
  Type type = x.elementType, accType = isExtreme ? type : computeType(type);
  Tensor result =
      reduceAxes(b, x, b.identity(x.rank()), x.shape, *axes, recipe.init(accType), x.isUnsigned,
                 [&](const Scalar &s, Value acc, ValueRange args) {
                   return recipe.combine(s, acc, recipe.before(s, scalarCast(s, args[0], false, accType, false)));
                 });
  if (recipe.hasAfter() || accType != type) {
    Dim n = 1;
    for (int64_t axis : *axes)
      n *= x.shape[axis];
    Count count(b, n);
    result = elementwise(b, result.shape, type, result, x.isUnsigned, [&](const Scalar &s, ValueRange args) {
      return scalarCast(s, recipe.after(s, args[0], count), false, type, false);
    });
  }
  return b.reshape(result, finalShape);
}

FailureOr<Tensor> argReduce(Builder &b, bool isMax, const Tensor &x, int64_t axis, bool keepDims, bool lastIndex) {
  auto position = normalizeAxis(b, axis, x.rank());
  if (failed(position))
    return failure();
  auto extreme = reduce(b, isMax ? Reduce::Max : Reduce::Min, x, *position, /*keepDims=*/false);
  if (failed(extreme))
    return failure();
  SmallVector<int64_t> kept;
  for (int64_t i = 0; i < x.rank(); ++i)
    if (i != *position)
      kept.push_back(i);
  Type i64 = b.builder.getI64Type();
  // NaN: the extreme is NaN, and then every element counts as equal, so the result is a position in any case.
  Tensor result = reduceAxes(b, {x, *extreme}, {b.identity(x.rank()), projection(b, x.rank(), kept)}, x.shape,
                             *position, numberAttr(i64, lastIndex ? 0 : double(int64_t(1) << 62)), false,
                             [&](const Scalar &s, Value acc, ValueRange args) -> Value {
                               Value isExtreme = Scalar::isFloat(args[0])
                                                     ? s.cmp(arith::CmpFPredicate::UEQ, args[0], args[1])
                                                     : s.cmp(arith::CmpIPredicate::eq, args[0], args[1]);
                               Value here = s.op<arith::IndexCastOp>(i64, s.op<linalg::IndexOp>(*position));
                               return s.select(isExtreme, lastIndex ? s.max(acc, here) : s.min(acc, here), acc);
                             });
  return b.reshape(result, withoutAxes(x.shape, *position, keepDims));
}

static FailureOr<Tensor> cumulate(Builder &b, Binary kind, double neutral, const Tensor &x, int64_t axis,
                                  bool exclusive, bool reverse) {
  auto position = normalizeAxis(b, axis, x.rank());
  if (failed(position))
    return failure();
  return scan(b, x, {kind, neutral, *position, exclusive, reverse});
}

FailureOr<Tensor> cumSum(Builder &b, const Tensor &x, int64_t axis, bool exclusive, bool reverse) {
  return cumulate(b, Binary::Add, 0, x, axis, exclusive, reverse);
}

FailureOr<Tensor> cumProd(Builder &b, const Tensor &x, int64_t axis, bool exclusive, bool reverse) {
  return cumulate(b, Binary::Mul, 1, x, axis, exclusive, reverse);
}

} // namespace eyrie::ops
