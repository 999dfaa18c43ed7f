#include "compiler/ops/Tensor.h"
#include "compiler/graph/Graph.h"
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

bool Tensor::hasStaticShape() const {
  return llvm::all_of(shape, [](Dim d) { return d.isConstant(); });
}

RankedTensorType Tensor::type() const {
  SmallVector<int64_t> sizes;
  for (Dim d : shape)
    sizes.push_back(d.typeSize());
  return RankedTensorType::get(sizes, elementType);
}

std::string Tensor::str() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (isString)
    os << "string";
  else if (isUnsigned && isInteger())
    os << "u" << elementType.getIntOrFloatBitWidth();
  else
    os << elementType;
  os << "[";
  llvm::interleaveComma(shape, os, [&](Dim d) { os << d.str(); });
  os << "]";
  return text;
}

Tensor marked(Tensor t, const Tensor &like) {
  t.isUnsigned = like.isUnsigned;
  t.isString = like.isString;
  return t;
}

Tensor fromContents(Type elementType, ArrayRef<Dim> shape, Dims contents, bool isUnsigned) {
  assert(shape.size() <= 1 && product(shape).is(contents.size()));
  Tensor t;
  t.elementType = elementType;
  t.isUnsigned = isUnsigned;
  t.shape = Dims(shape);
  t.contents = std::move(contents);
  return t;
}

Tensor fromConstant(DenseElementsAttr constant, bool isUnsigned) {
  Tensor t;
  ShapedType type = constant.getType();
  t.elementType = type.getElementType();
  t.isUnsigned = isUnsigned;
  for (int64_t size : type.getShape())
    t.shape.push_back(size);
  t.constant = constant;
  if (t.isInteger() && t.rank() <= 1 && type.getNumElements() <= kMaxContents &&
      t.elementType.getIntOrFloatBitWidth() <= 64) {
    Dims contents;
    for (const APInt &element : constant.getValues<APInt>())
      contents.push_back(isUnsigned || t.isBool() ? static_cast<int64_t>(element.getZExtValue())
                                                  : element.getSExtValue());
    t.contents = std::move(contents);
  }
  return t;
}

Tensor fromValue(Value value, ArrayRef<Dim> shape, bool isUnsigned) {
  Tensor t;
  t.value = value;
  t.elementType = cast<RankedTensorType>(value.getType()).getElementType();
  t.isUnsigned = isUnsigned;
  t.shape = Dims(shape);
  assert(t.type() == value.getType() && "the shape disagrees with the value's type");
  return t;
}

TypedAttr numberAttr(Type type, double value, bool isUnsigned) {
  if (isa<Float8E8M0FNUType>(type) && value == 0) // there is no zero: the smallest number
    return FloatAttr::get(type, APFloat(cast<FloatType>(type).getFloatSemantics(), APInt(8, 0)));
  if (auto floatType = dyn_cast<FloatType>(type))
    return FloatAttr::get(type, value);
  unsigned width = type.getIntOrFloatBitWidth();
  APSInt integer(width, isUnsigned || width == 1);
  bool isExact;
  APFloat(value).convertToInteger(integer, APFloat::rmTowardZero, &isExact);
  return IntegerAttr::get(type, integer);
}

std::optional<double> splatValue(const Tensor &t) {
  if (t.contents && !t.contents->empty() && t.contents->front().isConstant() && llvm::all_equal(*t.contents))
    return static_cast<double>(t.contents->front().constant());
  if (!t.constant || !t.constant.isSplat())
    return std::nullopt;
  if (t.isFloat())
    return t.constant.getSplatValue<APFloat>().convertToDouble();
  APInt element = t.constant.getSplatValue<APInt>();
  return t.isUnsigned || t.isBool() ? element.roundToDouble(false) : element.roundToDouble(true);
}

//===- values of known elements -------------------------------------------------------------------------------------===

Value Builder::constantValue(DenseElementsAttr attr) {
  if (attr.isSplat())
    return arith::ConstantOp::create(builder, loc, attr);
  StringAttr &name = globals[attr];
  if (!name) {
    std::string text;
    do
      text = "__const_" + std::to_string(nextGlobal++);
    while (module.lookupSymbol(text));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    name = builder.getStringAttr(text);
    graph::GlobalOp::create(builder, loc, name, TypeAttr::get(attr.getType()), attr);
  }
  return graph::LoadGlobalOp::create(builder, loc, attr.getType(), FlatSymbolRefAttr::get(name));
}

DenseElementsAttr knownElements(const Tensor &t) {
  if (t.constant || !t.contents || !llvm::all_of(*t.contents, [](Dim d) { return d.isConstant(); }))
    return t.constant;
  SmallVector<APInt> elements;
  for (Dim d : *t.contents)
    elements.push_back(APInt(t.elementType.getIntOrFloatBitWidth(), d.constant(), !t.isUnsigned && !t.isBool(),
                             /*implicitTrunc=*/true));
  return DenseElementsAttr::get(t.type(), elements);
}

std::optional<Tensor> foldMovement(const Tensor &x, ArrayRef<Dim> shape,
                                   llvm::function_ref<SmallVector<int64_t>(ArrayRef<int64_t>)> source) {
  if (!x.hasStaticShape() || !llvm::all_of(shape, [](Dim d) { return d.isConstant(); }) ||
      x.numElements().constant() > kMaxContents || product(shape).constant() > kMaxContents)
    return std::nullopt;
  DenseElementsAttr known = knownElements(x);
  if (!known)
    return std::nullopt;
  SmallVector<Attribute> elements(known.getValues<Attribute>()), result;
  int64_t count = product(shape).constant();
  for (int64_t i = 0; i < count; ++i) {
    SmallVector<int64_t> index(shape.size());
    int64_t rest = i;
    for (int64_t d = shape.size() - 1; d >= 0; --d) {
      index[d] = rest % shape[d].constant();
      rest /= shape[d].constant();
    }
    int64_t position = 0;
    for (auto [at, size] : llvm::zip_equal(source(index), x.shape))
      position = position * size.constant() + at;
    result.push_back(elements[position]);
  }
  Tensor moved = x;
  moved.shape = Dims(shape);
  return fromConstant(DenseElementsAttr::get(moved.type(), result), x.isUnsigned);
}

/// A tensor of integers of which some are only known at run time, on the host: they become scalars of one generic.
Value Builder::contentsValue(const Tensor &t) {
  if (DenseElementsAttr known = knownElements(t))
    return constantValue(known);
  SmallVector<Value> scalars;
  for (Dim d : *t.contents)
    scalars.push_back(index(d));
  return map(t.shape, t.elementType, {}, {},
             [&](OpBuilder &b, Location loc, ValueRange) -> Value {
               Value result = scalars[0];
               for (size_t i = 1; i < scalars.size(); ++i) {
                 Value position = linalg::IndexOp::create(b, loc, 0);
                 Value isHere = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, position,
                                                      arith::ConstantIndexOp::create(b, loc, i));
                 result = arith::SelectOp::create(b, loc, isHere, scalars[i], result);
               }
               return arith::IndexCastOp::create(b, loc, t.elementType, result);
             })
      .value;
}

Value Builder::value(const Tensor &t) {
  if (t.value)
    return t.value;
  if (t.constant)
    return constantValue(t.constant);
  assert(t.contents && "a tensor without value or known elements");
  return contentsValue(t);
}

SmallVector<OpFoldResult> Builder::fold(ArrayRef<Dim> ds) {
  SmallVector<OpFoldResult> folded;
  for (Dim d : ds)
    folded.push_back(fold(d));
  return folded;
}

SmallVector<Value> Builder::dynamicSizes(ArrayRef<Dim> shape) {
  SmallVector<Value> sizes;
  for (Dim d : shape)
    if (d.isSymbolic())
      sizes.push_back(index(d));
  return sizes;
}

Operation *Builder::require(Value holds, const Twine &text) {
  auto name = dyn_cast<NameLoc>(loc);
  std::string place = name ? "node '" + name.getName().str() + "': " : "";
  return cf::AssertOp::create(builder, loc, holds, (place + text).str());
}

FailureOr<Dims> Builder::integers(const Tensor &t, llvm::StringRef what, std::optional<int64_t> lower) {
  if (t.contents)
    return *t.contents;
  if (!t.isInteger())
    return error() << what << " must hold integers, found " << t.str();
  if (t.rank() > 1 && !(t.hasStaticShape() && t.numElements().is(1)))
    return error() << what << " must have rank 0 or 1, found " << t.str();
  if (!t.hasStaticShape())
    return error() << what << " has a length that is not known before the model runs: " << t.str();
  Dims result;
  int64_t count = t.numElements().constant();
  if (count > kMaxContents)
    return error() << what << " is too long: " << t.str();
  Value source = value(t);
  auto [known, isNew] = readIntegers.try_emplace({source, lower.value_or(-1)});
  if (!isNew)
    return known->second;
  // Where the tensor is made, so that all who need the integers, in whatever loop or branch, share them.
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfterValue(source);
  for (int64_t i = 0; i < count; ++i) {
    SmallVector<Value> indices(t.rank(), arith::ConstantIndexOp::create(builder, loc, i));
    Value element = graph::ReadScalarOp::create(builder, loc, t.elementType, source, indices);
    Value asIndex = t.isUnsigned || t.isBool()
                        ? Value(arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(), element))
                        : Value(arith::IndexCastOp::create(builder, loc, builder.getIndexType(), element));
    result.push_back(dims.opaque(asIndex, "v", lower));
  }
  return readIntegers[{source, lower.value_or(-1)}] = result;
}

FailureOr<SmallVector<int64_t>> Builder::constantIntegers(const Tensor &t, llvm::StringRef what) {
  SmallVector<int64_t> result;
  if (t.contents) {
    for (Dim d : *t.contents) {
      if (!d.isConstant())
        return error() << what << " must be known at compile time, found " << d.str();
      result.push_back(d.constant());
    }
    return result;
  }
  if (!t.constant || !t.isInteger())
    return error() << what << " must be integers known at compile time, found " << t.str();
  for (const APInt &element : t.constant.getValues<APInt>())
    result.push_back(t.isUnsigned || t.isBool() ? element.getZExtValue() : element.getSExtValue());
  return result;
}

FailureOr<SmallVector<double>> Builder::constantNumbers(const Tensor &t, llvm::StringRef what) {
  SmallVector<double> result;
  if (t.isFloat() && t.constant) {
    for (const APFloat &element : t.constant.getValues<APFloat>())
      result.push_back(element.convertToDouble());
    return result;
  }
  if (t.isFloat())
    return error() << what << " must be known at compile time, found " << t.str();
  auto integers = constantIntegers(t, what);
  if (failed(integers))
    return failure();
  for (int64_t element : *integers)
    result.push_back(element);
  return result;
}

//===- pieces of operations -----------------------------------------------------------------------------------------===

Tensor Builder::empty(ArrayRef<Dim> shape, Type elementType, bool isUnsigned) {
  Value v = tensor::EmptyOp::create(builder, loc, fold(shape), elementType);
  return fromValue(v, shape, isUnsigned);
}

Tensor Builder::splat(ArrayRef<Dim> shape, Type elementType, double value, bool isUnsigned) {
  return fill(shape, numberAttr(elementType, value, isUnsigned), isUnsigned);
}

Tensor Builder::fill(ArrayRef<Dim> shape, TypedAttr value, bool isUnsigned) {
  Tensor t;
  t.elementType = value.getType();
  t.shape = Dims(shape);
  if (t.hasStaticShape())
    return fromConstant(DenseElementsAttr::get(t.type(), static_cast<Attribute>(value)), isUnsigned);
  Value number = arith::ConstantOp::create(builder, loc, value);
  Value destination = empty(shape, t.elementType).value;
  Value filled = linalg::FillOp::create(builder, loc, number, destination).getResult(0);
  return fromValue(filled, shape, isUnsigned);
}

namespace {
/// Inputs of a generic: those that stay operands, and how each body argument is found again.
struct BodyInputs {
  SmallVector<Value> operands;
  SmallVector<AffineMap> maps;
  /// Per input: a constant or a scalar of the host, or null for an operand.
  SmallVector<TypedAttr> constants;
  SmallVector<Value> scalars;
  SmallVector<Type> types;

  BodyInputs(Builder &b, ArrayRef<Tensor> inputs, ArrayRef<AffineMap> inputMaps) {
    for (auto [t, map] : llvm::zip_equal(inputs, inputMaps)) {
      constants.push_back(nullptr);
      scalars.push_back(nullptr);
      types.push_back(t.elementType);
      if (t.constant && t.constant.isSplat()) {
        constants.back() = cast<TypedAttr>(t.constant.getSplatValue<Attribute>());
      } else if (!t.value && t.contents && t.contents->size() == 1 && t.contents->front().isConstant()) {
        constants.back() = IntegerAttr::get(
            t.elementType, APInt(t.elementType.getIntOrFloatBitWidth(), t.contents->front().constant(), true, true));
      } else if (!t.value && t.contents && t.contents->size() == 1) {
        scalars.back() = b.index(t.contents->front());
      } else if (const Tensor *source = t.value ? b.lookThroughUnitDims(t.value) : nullptr) {
        operands.push_back(source->value);
        maps.push_back(throughUnitDims(map, t.shape, source->shape));
      } else {
        operands.push_back(b.value(t));
        maps.push_back(map);
      }
    }
  }

  /// `map` reads `shape`; reads the same elements of `source`, which differs in dimensions of size one only.
  static AffineMap throughUnitDims(AffineMap map, ArrayRef<Dim> shape, ArrayRef<Dim> source) {
    SmallVector<AffineExpr> kept, exprs;
    for (auto [size, expr] : llvm::zip_equal(shape, map.getResults()))
      if (!size.is(1))
        kept.push_back(expr);
    unsigned next = 0;
    for (Dim size : source)
      exprs.push_back(size.is(1) ? getAffineConstantExpr(0, map.getContext()) : kept[next++]);
    return AffineMap::get(map.getNumDims(), 0, exprs, map.getContext());
  }

  SmallVector<Value> arguments(OpBuilder &b, Location loc, ValueRange blockArguments) {
    SmallVector<Value> all;
    unsigned next = 0;
    for (auto [constant, scalar, type] : llvm::zip(constants, scalars, types)) {
      if (constant)
        all.push_back(arith::ConstantOp::create(b, loc, constant));
      else if (scalar)
        all.push_back(arith::IndexCastOp::create(b, loc, type, scalar));
      else
        all.push_back(blockArguments[next++]);
    }
    return all;
  }
};
} // namespace

Tensor Builder::map(ArrayRef<Dim> shape, Type resultType, ArrayRef<Tensor> inputs, ArrayRef<AffineMap> maps, Body body,
                    bool isUnsigned) {
  BodyInputs in(*this, inputs, maps);
  Tensor out = empty(shape, resultType, isUnsigned);
  SmallVector<AffineMap> allMaps = in.maps;
  allMaps.push_back(identity(shape.size()));
  SmallVector<utils::IteratorType> iterators(shape.size(), utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(builder, loc, out.type(), in.operands, out.value, allMaps, iterators,
                                           [&](OpBuilder &b, Location loc, ValueRange args) {
                                             Value result = body(b, loc, in.arguments(b, loc, args.drop_back()));
                                             linalg::YieldOp::create(b, loc, result);
                                           });
  out.value = generic.getResult(0);
  return out;
}

Tensor Builder::reduce(const Tensor &init, AffineMap outMap, ArrayRef<unsigned> reductionDims, ArrayRef<Tensor> inputs,
                       ArrayRef<AffineMap> maps, Body body) {
  // Inputs stay operands here, constant or not: their shapes give the extents of the reduced loops.
  SmallVector<Value> operands;
  for (const Tensor &t : inputs)
    operands.push_back(value(t));
  Value start = init.value;
  if (!start && !(init.constant && init.constant.isSplat()))
    start = value(init);
  if (!start) {
    // A fill that a root can absorb, not a constant tensor.
    Value number = arith::ConstantOp::create(builder, loc, cast<TypedAttr>(init.constant.getSplatValue<Attribute>()));
    start = linalg::FillOp::create(builder, loc, number, empty(init.shape, init.elementType).value).getResult(0);
  }
  SmallVector<AffineMap> allMaps(maps);
  allMaps.push_back(outMap);
  SmallVector<utils::IteratorType> iterators(outMap.getNumDims(), utils::IteratorType::parallel);
  for (unsigned d : reductionDims)
    iterators[d] = utils::IteratorType::reduction;
  auto generic = linalg::GenericOp::create(
      builder, loc, start.getType(), operands, start, allMaps, iterators,
      [&](OpBuilder &b, Location loc, ValueRange args) { linalg::YieldOp::create(b, loc, body(b, loc, args)); });
  return fromValue(generic.getResult(0), init.shape, init.isUnsigned);
}

Tensor Builder::reshape(const Tensor &t, ArrayRef<Dim> shape) {
  if (ArrayRef<Dim>(t.shape) == shape)
    return t;
  Tensor result;
  result.elementType = t.elementType;
  result = marked(result, t);
  result.shape = Dims(shape);
  bool needsConstant = t.constant || shape.size() > 1;
  if (DenseElementsAttr constant = needsConstant ? knownElements(t) : nullptr; constant && result.hasStaticShape())
    return marked(fromConstant(constant.reshape(result.type())), t);
  if (t.contents && shape.size() <= 1 && product(shape).is(t.contents->size()))
    result.contents = t.contents;
  if (!result.contents || t.value) {
    Tensor source = t;
    source.value = value(t);
    if (const Tensor *before = lookThroughUnitDims(source.value))
      source = *before;
    auto isUnit = [](Dim d) { return d.is(1); };
    Dims kept(llvm::make_filter_range(source.shape, std::not_fn(isUnit)));
    bool isUnitReshape = kept == Dims(llvm::make_filter_range(shape, std::not_fn(isUnit)));
    if (isUnitReshape && ArrayRef<Dim>(source.shape) == shape) {
      result.value = source.value;
      return result;
    }
    result.value = graph::ReshapeOp::create(builder, loc, result.type(), source.value, dynamicSizes(shape));
    if (isUnitReshape)
      unitReshapes[result.value] = source;
  }
  return result;
}

Value Builder::withShape(Value v, ArrayRef<Dim> shape) {
  SmallVector<int64_t> sizes;
  for (Dim d : shape)
    sizes.push_back(d.typeSize());
  auto type = RankedTensorType::get(sizes, cast<RankedTensorType>(v.getType()).getElementType());
  if (type == v.getType())
    return v;
  return graph::ReshapeOp::create(builder, loc, type, v, dynamicSizes(shape));
}

Tensor Builder::transpose(const Tensor &t, ArrayRef<int64_t> permutation) {
  bool isIdentity = true;
  Dims shape;
  for (auto [i, p] : llvm::enumerate(permutation)) {
    isIdentity &= static_cast<int64_t>(i) == p;
    shape.push_back(t.shape[p]);
  }
  if (isIdentity)
    return t;
  if (DenseElementsAttr constant = t.constant; constant && constant.isSplat())
    return marked(fromConstant(constant.resizeSplat(RankedTensorType::get(
                      llvm::map_to_vector(shape, [](Dim d) { return d.constant(); }), t.elementType))),
                  t);
  auto folded = foldMovement(t, shape, [&](ArrayRef<int64_t> index) {
    SmallVector<int64_t> from(index.size());
    for (auto [i, p] : llvm::enumerate(permutation))
      from[p] = index[i];
    return from;
  });
  if (folded)
    return marked(*folded, t);
  // Only dimensions of size one move: the elements stay where they are.
  SmallVector<int64_t> moving;
  for (int64_t p : permutation)
    if (!t.shape[p].is(1))
      moving.push_back(p);
  if (llvm::is_sorted(moving))
    return reshape(t, shape);
  Value v = value(t);
  Value destination = empty(shape, t.elementType).value;
  Value result = linalg::TransposeOp::create(builder, loc, v, destination, permutation).getResult()[0];
  return marked(fromValue(result, shape), t);
}

/// min(n, 1): repeated like a size of 1, for where it is 0 there is nothing.
static bool isAtMostOne(Dim size) {
  if (size.isConstant() || size.getNode()->terms.size() != 1)
    return false;
  const DimNode::Term &term = size.getNode()->terms.front();
  if (term.coefficient != 1 || term.atoms.size() != 1)
    return false;
  const DimAtom &atom = size.getNode()->context->getAtom(term.atoms.front());
  return atom.kind == DimAtom::Kind::Min && (atom.a.is(1) || atom.b.is(1));
}

AffineMap Builder::broadcastMap(ArrayRef<Dim> shape, ArrayRef<Dim> outShape) {
  SmallVector<AffineExpr> exprs;
  size_t skip = outShape.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i) {
    Dim size = shape[i], out = outShape[i + skip];
    bool isRepeated = size != out && (size.is(1) || isAtMostOne(size));
    exprs.push_back(isRepeated ? builder.getAffineConstantExpr(0) : builder.getAffineDimExpr(i + skip));
  }
  return AffineMap::get(outShape.size(), 0, exprs, builder.getContext());
}

Tensor Builder::pad(const Tensor &t, ArrayRef<Dim> low, ArrayRef<Dim> high, TypedAttr padValue) {
  Dims shape;
  bool isNoop = true;
  for (auto [d, l, h] : llvm::zip_equal(t.shape, low, high)) {
    shape.push_back(d + l + h);
    isNoop &= l.is(0) && h.is(0);
  }
  if (isNoop)
    return t;
  Value source = value(t);
  SmallVector<OpFoldResult> lows = fold(low), highs = fold(high);
  Value number = arith::ConstantOp::create(builder, loc, padValue);
  Value result = tensor::PadOp::create(builder, loc, Type(), source, lows, highs, number);
  return marked(fromValue(withShape(result, shape), shape), t);
}

Tensor Builder::extract(const Tensor &t, ArrayRef<Dim> offsets, ArrayRef<Dim> sizes, ArrayRef<int64_t> strides) {
  bool isNoop = ArrayRef<Dim>(t.shape) == sizes && llvm::all_of(offsets, [](Dim d) { return d.is(0); }) &&
                llvm::all_of(strides, [](int64_t s) { return s == 1; });
  if (isNoop)
    return t;
  if (llvm::any_of(sizes, [](Dim d) { return d.is(0); })) // its offset may lie past the end
    return marked(empty(sizes, t.elementType), t);
  Value source = value(t);
  SmallVector<OpFoldResult> steps;
  for (int64_t s : strides)
    steps.push_back(builder.getIndexAttr(s));
  Value result = tensor::ExtractSliceOp::create(builder, loc, source, fold(offsets), fold(sizes), steps);
  return marked(fromValue(withShape(result, sizes), sizes), t);
}

//===- shapes -------------------------------------------------------------------------------------------------------===

FailureOr<Dims> broadcastShapes(Builder &b, ArrayRef<Dim> x, ArrayRef<Dim> y) {
  size_t rank = std::max(x.size(), y.size());
  Dims result(rank, Dim(1));
  for (size_t i = 0; i < rank; ++i) {
    Dim p = i + x.size() >= rank ? x[i + x.size() - rank] : Dim(1);
    Dim q = i + y.size() >= rank ? y[i + y.size() - rank] : Dim(1);
    if (p.is(1) || p == q) {
      result[i] = q;
    } else if (q.is(1)) {
      result[i] = p;
    } else if (p.isConstant() && q.isConstant()) {
      InFlightDiagnostic diagnostic = b.error();
      auto print = [&](ArrayRef<Dim> shape) {
        diagnostic << "[";
        llvm::interleaveComma(shape, diagnostic, [&](Dim d) { diagnostic << d.str(); });
        diagnostic << "]";
      };
      diagnostic << "shapes ";
      print(x);
      diagnostic << " and ";
      print(y);
      diagnostic << " cannot be broadcast together: sizes " << p.constant() << " and " << q.constant()
                 << " differ and neither is 1";
      return diagnostic;
    } else if (isAtMostOne(p) || isAtMostOne(q)) {
      // 1, but for an empty tensor: as the last row of something is.
      auto [one, other] = isAtMostOne(p) ? std::pair(p, q) : std::pair(q, p);
      result[i] = one == min(other, 1) ? other : one * other;
    } else if ((isOpenSize(p) || p.isConstant()) && (isOpenSize(q) || q.isConstant())) {
      // Either may be 1 at run time; otherwise they are equal.
      b.dims.assumeBroadcast(p, q);
      result[i] = q.isConstant() ? q : p.isConstant() ? p : broadcastSize(p, q);
    } else {
      // Equal at run time, or the model is wrong there. The known size is the better one.
      b.dims.assumeEqual(p, q);
      result[i] = q.isConstant() ? q : p;
    }
  }
  return result;
}

FailureOr<Dims> readShape(Builder &b, const Tensor &shape) {
  auto sizes = b.integers(shape, "shape", /*lower=*/0);
  if (failed(sizes))
    return failure();
  for (Dim size : *sizes)
    if (size.isConstant() && size.constant() < 0)
      return b.error() << "shape holds the negative size " << size.constant();
  return sizes;
}

FailureOr<int64_t> normalizeAxis(Builder &b, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return b.error() << "axis " << axis << " is out of range for a tensor of rank " << rank;
  return axis < 0 ? axis + rank : axis;
}

} // namespace eyrie::ops
