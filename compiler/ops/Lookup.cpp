// Few keys are compared one after the other, with the values in the code. More are sorted by the compiler and found by
// halving: a fixed number of steps without branches.
#include "compiler/ops/Lookup.h"
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <numeric>

using namespace mlir;

namespace eyrie::ops {

static constexpr size_t kMostCompared = 8;

namespace {
using Entry = std::pair<TypedAttr, TypedAttr>;

bool isNaN(Attribute key) {
  auto number = dyn_cast<FloatAttr>(key);
  return number && number.getValue().isNaN();
}

/// Numbers in rising order, NaN last.
bool isBefore(Attribute x, Attribute y) {
  if (auto number = dyn_cast<IntegerAttr>(x))
    return number.getValue().slt(cast<IntegerAttr>(y).getValue());
  if (isNaN(x) || isNaN(y))
    return !isNaN(x) && isNaN(y);
  return cast<FloatAttr>(x).getValue() < cast<FloatAttr>(y).getValue();
}

Value equals(const Scalar &s, Value x, TypedAttr key) {
  if (isNaN(key))
    return s.cmp(arith::CmpFPredicate::UNO, x, x);
  Value y = s.op<arith::ConstantOp>(key);
  return Scalar::isFloat(x) ? s.cmp(arith::CmpFPredicate::OEQ, x, y) : s.cmp(arith::CmpIPredicate::eq, x, y);
}

DenseElementsAttr column(ArrayRef<Entry> entries, bool isKey, Type type) {
  SmallVector<Attribute> elements;
  for (const Entry &entry : entries)
    elements.push_back(isKey ? entry.first : entry.second);
  return DenseElementsAttr::get(RankedTensorType::get(static_cast<int64_t>(elements.size()), type), elements);
}
} // namespace

/// Different keys in rising order.
static std::vector<Entry> sortedEntries(const Map &map) {
  std::vector<Entry> entries;
  for (auto [key, value] : llvm::zip_equal(map.keys.getValues<Attribute>(), map.values.getValues<Attribute>()))
    entries.emplace_back(cast<TypedAttr>(key), cast<TypedAttr>(value));
  std::vector<size_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) {
    bool isFirst = isBefore(entries[i].first, entries[j].first);
    return isFirst || (i < j && !isBefore(entries[j].first, entries[i].first));
  });
  std::vector<Entry> different;
  for (size_t i : order) {
    const Entry &entry = entries[i];
    if (!different.empty() && !isBefore(different.back().first, entry.first))
      different.back() = entry;
    else
      different.push_back(entry);
  }
  return different;
}

/// The number (index) of keys that are before x.
static Value countBefore(const Scalar &s, Value keys, Value x, int64_t count) {
  int64_t steps = llvm::Log2_64_Ceil(count + 1);
  Value one = s.index(1), size = s.index(count);
  auto halving = scf::ForOp::create(
      s.b, s.loc, s.index(0), s.index(steps), one, ValueRange{s.index(0), size},
      [&](OpBuilder &b, Location loc, Value, ValueRange range) {
        Scalar s{b, loc};
        Value low = range[0], high = range[1];
        Value middle = s.op<arith::ShRUIOp>(Value(s.op<arith::AddIOp>(low, high)), one);
        Value isOpen = s.cmp(arith::CmpIPredicate::ult, low, high);
        Value key = s.op<tensor::ExtractOp>(keys, Value(s.op<arith::MinUIOp>(middle, s.index(count - 1))));
        // NaN is behind all numbers, so a number is not before NaN's keys, and NaN is behind every number's.
        Value isPast = Scalar::isFloat(x)
                           ? s.op<arith::OrIOp>(s.less(key, x),
                                                Value(s.op<arith::AndIOp>(s.cmp(arith::CmpFPredicate::UNO, x, x),
                                                                          s.cmp(arith::CmpFPredicate::ORD, key, key))))
                           : s.less(key, x);
        Value rises = s.op<arith::AndIOp>(isOpen, isPast);
        Value next = s.op<arith::AddIOp>(middle, one);
        Value falls = s.op<arith::AndIOp>(
            isOpen, Value(s.op<arith::XOrIOp>(isPast, s.op<arith::ConstantOp>(s.b.getBoolAttr(true)))));
        scf::YieldOp::create(b, loc, ValueRange{s.select(rises, next, low), s.select(falls, middle, high)});
      });
  return halving.getResult(0);
}

static LogicalResult checkKeys(Builder &b, const Tensor &x, DenseElementsAttr keys) {
  if (x.elementType == keys.getElementType())
    return success();
  return b.error() << "the keys have elements of type " << keys.getElementType() << ", expected those of " << x.str();
}

FailureOr<Tensor> lookUp(Builder &b, const Tensor &x, const Map &map) {
  if (failed(checkKeys(b, x, map.keys)))
    return failure();
  Type type = map.values.getElementType();
  std::vector<Entry> entries = sortedEntries(map);
  if (entries.size() <= kMostCompared)
    return elementwise(b, x.shape, type, x, false, [&](const Scalar &s, ValueRange args) {
      Value y = s.op<arith::ConstantOp>(map.otherwise);
      for (const auto &[key, value] : entries)
        y = s.select(equals(s, args[0], key), s.op<arith::ConstantOp>(value), y);
      return y;
    });
  int64_t count = entries.size();
  Value keys = b.value(fromConstant(column(entries, true, x.elementType)));
  Value values = b.value(fromConstant(column(entries, false, type)));
  return elementwise(b, x.shape, type, x, false, [&](const Scalar &s, ValueRange args) {
    Value place = s.op<arith::MinUIOp>(countBefore(s, keys, args[0], count), s.index(count - 1));
    Value key = s.op<tensor::ExtractOp>(keys, place);
    Value isKey = Scalar::isFloat(key) ? s.cmp(arith::CmpFPredicate::OEQ, key, args[0])
                                       : s.cmp(arith::CmpIPredicate::eq, key, args[0]);
    if (isNaN(entries.back().first)) { // then NaN is found where it stands, at the end
      Value areNaN = s.op<arith::AndIOp>(s.cmp(arith::CmpFPredicate::UNO, key, key),
                                         s.cmp(arith::CmpFPredicate::UNO, args[0], args[0]));
      isKey = s.op<arith::OrIOp>(isKey, areNaN);
    }
    return s.select(isKey, s.op<tensor::ExtractOp>(values, place), s.op<arith::ConstantOp>(map.otherwise));
  });
}

FailureOr<Tensor> oneHotOf(Builder &b, const Tensor &x, DenseElementsAttr categories) {
  if (failed(checkKeys(b, x, categories)))
    return failure();
  Dims shape = x.shape, column = x.shape;
  shape.push_back(categories.getNumElements());
  column.push_back(1);
  Type f32 = b.builder.getF32Type();
  return elementwise(b, shape, f32, {b.reshape(x, column), fromConstant(categories)}, false,
                     [&](const Scalar &s, ValueRange args) {
                       Value isHere = s.cmp(arith::CmpIPredicate::eq, args[0], args[1]);
                       return s.select(isHere, s.number(f32, 1), s.number(f32, 0));
                     });
}

FailureOr<Tensor> replaceEqual(Builder &b, const Tensor &x, TypedAttr replaced, const Tensor &values) {
  return elementwise(b, x.shape, x.elementType, {x, values}, false, [&](const Scalar &s, ValueRange args) {
    return s.select(equals(s, args[0], replaced), args[1], args[0]);
  });
}

} // namespace eyrie::ops
