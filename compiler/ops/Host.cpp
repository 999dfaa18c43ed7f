#include "compiler/ops/Host.h"
#include "compiler/graph/ElementTypes.h"
#include "compiler/ops/Pattern.h"
#include "compiler/ops/Scalar.h"
#include "compiler/ops/Select.h"

using namespace mlir;

namespace eyrie::ops {

static Attribute typeName(Builder &b, Type type, bool isUnsigned, bool isString) {
  const abi::ElementTypeInfo *info =
      abi::FindElementType(static_cast<uint64_t>(graph::getElementType(type, isUnsigned, isString)));
  assert(info && "models have element types of the format only");
  return b.builder.getStringAttr(info->name);
}

SmallVector<Tensor> hostCall(Builder &b, StringRef callee, ArrayRef<Tensor> inputs, ArrayRef<HostResult> results,
                             ArrayRef<NamedAttribute> config) {
  SmallVector<Value> values, dims;
  SmallVector<Attribute> types;
  SmallVector<Type> resultTypes;
  for (const Tensor &input : inputs) {
    values.push_back(b.value(input));
    types.push_back(typeName(b, input.elementType, input.isUnsigned, input.isString));
  }
  SmallVector<Tensor> tensors;
  for (const HostResult &result : results) {
    Tensor tensor;
    tensor.elementType = result.elementType;
    tensor.shape = result.shape;
    tensor.isUnsigned = result.isUnsigned;
    tensor.isString = result.isString;
    tensors.push_back(tensor);
    types.push_back(typeName(b, result.elementType, result.isUnsigned, result.isString));
    resultTypes.push_back(tensor.type());
    llvm::append_range(dims, b.dynamicSizes(result.shape));
  }
  auto call = graph::HostCallOp::create(b.builder, b.loc, resultTypes, callee, values, dims,
                                        b.builder.getArrayAttr(types), b.builder.getDictionaryAttr(config));
  for (auto [tensor, value] : llvm::zip_equal(tensors, call.getResults()))
    tensor.value = value;
  return tensors;
}

static HostResult strings(Builder &b, ArrayRef<Dim> shape) {
  return {b.builder.getI64Type(), false, true, Dims(shape)};
}

static LogicalResult expectStrings(Builder &b, const Tensor &x) {
  if (x.isString)
    return success();
  return b.error() << "expected strings, found " << x.str();
}

static Tensor broadcast(Builder &b, const Tensor &x, ArrayRef<Dim> shape) {
  bool isSame = x.shape.size() == shape.size();
  for (size_t i = 0; isSame && i < shape.size(); ++i)
    isSame = isEqual(x.shape[i], shape[i]) == std::optional<bool>(true);
  if (isSame)
    return x;
  return marked(b.map(shape, x.elementType, x, b.broadcastMap(x.shape, shape),
                      [](OpBuilder &, Location, ValueRange args) { return args[0]; }),
                x);
}

FailureOr<Tensor> concatStrings(Builder &b, const Tensor &x, const Tensor &y) {
  if (failed(expectStrings(b, x)) || failed(expectStrings(b, y)))
    return failure();
  auto shape = broadcastShapes(b, x.shape, y.shape);
  if (failed(shape))
    return failure();
  return hostCall(b, "text.concat", {broadcast(b, x, *shape), broadcast(b, y, *shape)}, strings(b, *shape))[0];
}

Tensor changeCase(Builder &b, const Tensor &x, Case to) {
  if (to == Case::Same)
    return x;
  return hostCall(b, to == Case::Lower ? "text.lower" : "text.upper", x, strings(b, x.shape))[0];
}

FailureOr<SmallVector<Tensor>> splitStrings(Builder &b, const Tensor &x, const SplitAttrs &attrs) {
  if (failed(expectStrings(b, x)))
    return failure();
  SmallVector<NamedAttribute> config;
  if (!attrs.delimiter.empty())
    config.push_back(b.builder.getNamedAttr("delimiter", b.builder.getStringAttr(attrs.delimiter)));
  if (attrs.most)
    config.push_back(b.builder.getNamedAttr("maxsplit", b.builder.getI64IntegerAttr(*attrs.most)));
  Type i64 = b.builder.getI64Type();
  Tensor counts = hostCall(b, "text.split_count", x, HostResult{i64, false, false, x.shape}, config)[0];
  // The longest; of no strings at all, 0.
  Tensor flat = b.reshape(counts, {x.numElements()});
  Tensor most = b.reduce(
      b.splat({}, i64, 0), AffineMap::get(1, 0, b.builder.getContext()), 0u, flat, b.identity(1),
      [](OpBuilder &builder, Location loc, ValueRange args) { return Scalar{builder, loc}.max(args[0], args[1]); });
  auto width = b.integers(most, "the number of parts", /*lower=*/0);
  if (failed(width))
    return failure();
  Dims shape = x.shape;
  shape.push_back(width->front());
  return SmallVector<Tensor>{hostCall(b, "text.split", x, strings(b, shape), config)[0], counts};
}

FailureOr<Tensor> matchStrings(Builder &b, const Tensor &x, StringRef pattern) {
  if (failed(expectStrings(b, x)))
    return failure();
  auto program = compilePattern(pattern);
  if (!program)
    return b.error() << llvm::toString(program.takeError());
  NamedAttribute config = b.builder.getNamedAttr("program", b.builder.getDenseI64ArrayAttr(*program));
  return hostCall(b, "text.matches", x, HostResult{b.builder.getI1Type(), false, false, x.shape}, config)[0];
}

FailureOr<Tensor> stringsToNumbers(Builder &b, const Tensor &x, Type type, bool isUnsigned) {
  Type i64 = b.builder.getI64Type(), f32 = b.builder.getF32Type(), f64 = b.builder.getF64Type();
  bool isFloat = isa<FloatType>(type) || type.isInteger(1);
  Type wide = !isFloat ? i64 : type.isF64() || type.isInteger(1) ? f64 : f32;
  StringRef callee = !isFloat      ? (isUnsigned ? "text.to_u64" : "text.to_i64")
                     : wide == f64 ? "text.to_f64"
                                   : "text.to_f32";
  SmallVector<NamedAttribute> config;
  if (!isFloat && !type.isInteger(64))
    config.push_back(b.builder.getNamedAttr("bits", b.builder.getI64IntegerAttr(type.getIntOrFloatBitWidth())));
  Tensor numbers = hostCall(b, callee, x, HostResult{wide, !isFloat && isUnsigned, false, x.shape}, config)[0];
  return wide == type ? FailureOr<Tensor>(numbers) : cast(b, numbers, type, isUnsigned);
}

FailureOr<Tensor> numbersToStrings(Builder &b, const Tensor &x) {
  if (!x.isFloat() && !x.isInteger())
    return b.error() << "expected numbers, found " << x.str();
  bool isUnsigned = x.isUnsigned || x.isBool();
  Type wide = x.isFloat() ? (x.elementType.isF64() ? x.elementType : b.builder.getF32Type()) : b.builder.getI64Type();
  StringRef callee = !x.isFloat()            ? (isUnsigned ? "text.from_u64" : "text.from_i64")
                     : x.elementType.isF64() ? "text.from_f64"
                                             : "text.from_f32";
  auto numbers = wide == x.elementType ? FailureOr<Tensor>(x) : cast(b, x, wide, !x.isFloat() && isUnsigned);
  if (failed(numbers))
    return failure();
  return hostCall(b, callee, *numbers, strings(b, x.shape))[0];
}

FailureOr<Tensor> normalizeStrings(Builder &b, const Tensor &given, const NormalizeAttrs &attrs) {
  if (failed(expectStrings(b, given)))
    return failure();
  bool isRow = given.rank() == 2 && given.shape[0].is(1);
  if (given.rank() != 1 && !isRow)
    return b.error() << "expected strings [C] or [1, C], found " << given.str();
  Tensor x = b.reshape(given, {given.shape.back()});
  Type i1 = b.builder.getI1Type();
  // What is compared with the stop words; none of them is there twice.
  Tensor compared = attrs.isSensitive || attrs.stops.empty() ? x : changeCase(b, x, Case::Lower);
  Tensor stays = b.map(x.shape, i1, compared, b.identity(1), [&](OpBuilder &builder, Location loc, ValueRange args) {
    Scalar s{builder, loc};
    Value holds = s.number(builder.getI1Type(), 1);
    for (int64_t stop : attrs.stops)
      holds = s.op<arith::AndIOp>(holds, s.cmp(arith::CmpIPredicate::ne, args[0], s.number(args[0].getType(), stop)));
    return holds;
  });
  Tensor left = x;
  if (!attrs.stops.empty()) {
    auto some = compress(b, x, stays, 0);
    if (failed(some))
      return failure();
    left = marked(*some, x);
  }
  left = changeCase(b, left, attrs.to);
  Dim count = max(left.shape[0], 1);
  Tensor padded = marked(b.pad(left, Dim(0), Dim(1), b.builder.getI64IntegerAttr(0)), left);
  Tensor result = marked(b.extract(padded, Dim(0), count, {1}), left);
  return isRow ? b.reshape(result, {Dim(1), count}) : result;
}

} // namespace eyrie::ops
