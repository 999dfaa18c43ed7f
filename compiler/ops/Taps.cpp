#include "compiler/ops/Taps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

SampleTap tapAt(const Scalar &s, Value x, Value size) {
  Type i64 = s.b.getI64Type();
  Value number = scalarCast(s, x, false, i64, false);
  Value last = s.op<arith::SubIOp>(Value(s.op<arith::IndexCastOp>(i64, size)), s.number(i64, 1));
  Value clamped = s.max(s.min(number, last), s.number(i64, 0));
  Value isInside = s.cmp(arith::CmpIPredicate::eq, clamped, number);
  return {s.op<arith::IndexCastOp>(s.b.getIndexType(), clamped), isInside, nullptr};
}

SampleTaps linearTaps(const Scalar &s, Value x, Value size) {
  Value low = s.op<math::FloorOp>(x), fraction = s.sub(x, low);
  SampleTap first = tapAt(s, low, size), second = tapAt(s, s.add(low, 1.0), size);
  first.weight = s.sub(s.like(x, 1), fraction);
  second.weight = fraction;
  return {first, second};
}

Value sampleTaps(const Scalar &s, Value source, bool isUnsigned, SmallVector<Value> indices, ArrayRef<SampleTaps> dims,
                 Type wide) {
  auto walk = [&](auto &self, ArrayRef<SampleTaps> rest, Value isInside) -> Value {
    if (rest.empty()) {
      Value element = s.op<tensor::ExtractOp>(source, indices);
      element = scalarCast(s, element, isUnsigned, wide, false);
      return isInside ? s.select(isInside, element, s.like(element, 0)) : element;
    }
    Value sum;
    for (const SampleTap &tap : rest.front()) {
      indices.push_back(tap.index);
      Value both = isInside && tap.isInside ? Value(s.op<arith::AndIOp>(isInside, tap.isInside))
                   : isInside               ? isInside
                                            : tap.isInside;
      Value term = self(self, rest.drop_front(), both);
      indices.pop_back();
      if (tap.weight)
        term = s.mul(term, scalarCast(s, tap.weight, false, wide, false));
      sum = sum ? s.add(sum, term) : term;
    }
    return sum;
  };
  return walk(walk, dims, nullptr);
}

} // namespace eyrie::ops
