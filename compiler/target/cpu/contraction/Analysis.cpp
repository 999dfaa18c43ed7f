#include "compiler/target/cpu/contraction/Analysis.h"
#include "compiler/graph/Forms.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "compiler/target/cpu/contraction/BodyEvaluator.h"
#include "compiler/target/cpu/contraction/Loops.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace eyrie::target::cpu;

Monomial Monomial::symbol(Value value) {
  Monomial result(1);
  result.symbols.push_back(value);
  return result;
}

bool Monomial::operator==(const Monomial &other) const {
  return factor == other.factor && (factor == 0 || symbols == other.symbols);
}

/// An order that is the same in every run: no value, then arguments, then operations as they stand in their block.
static bool isBefore(Value a, Value b) {
  if (!a || !b || a == b)
    return !a && b;
  auto argumentA = dyn_cast<BlockArgument>(a), argumentB = dyn_cast<BlockArgument>(b);
  if (argumentA && argumentB)
    return argumentA.getArgNumber() < argumentB.getArgNumber();
  if (argumentA || argumentB)
    return bool(argumentA);
  return a.getDefiningOp()->isBeforeInBlock(b.getDefiningOp());
}

Monomial Monomial::operator*(const Monomial &other) const {
  Monomial result(factor * other.factor);
  if (result.factor == 0)
    return result;
  result.symbols = symbols;
  result.symbols.append(other.symbols);
  llvm::sort(result.symbols, isBefore);
  return result;
}

void Contraction::forEachFunction(llvm::function_ref<void(LinearFunction &)> callback) {
  for (auto &expression : expressions) {
    if (expression->kind == Expression::Kind::Load)
      callback(expression->function);
    for (LinearFunction &index : expression->indices)
      callback(index);
  }
  for (Output &output : outputs)
    callback(output.function);
}

bool eyrie::target::cpu::canEvaluateBodies(const Contraction &contraction, std::string &reason) {
  return llvm::all_of(contraction.expressions, [&](const std::unique_ptr<Expression> &expression) {
    return !expression->generic || canEvaluateBody(expression->generic, reason, /*areElementsGiven=*/true);
  });
}

namespace {

/// A tensor seen as memory: the offset of element (i0, i1, …) is sum(base) + sum(strides[d] * i_d).
struct View {
  BlockArgument argument;
  SmallVector<Monomial, 2> base;
  SmallVector<Monomial> strides;
  int64_t tile = 0;
  unsigned tiledDim = 0;
  Monomial tileStride;
  int64_t group = 0;
  unsigned groupedDim = 0;
  Monomial groupStride;
};

struct Analyser {
  Analyser(func::FuncOp func, std::string &reason) : func(func), reason(reason) {}

  func::FuncOp func;
  std::string &reason;
  Contraction result;
  /// Where a tensor computed by the root or after it stands: its dims as functions of the loops.
  DenseMap<Value, std::vector<LinearFunction>> coordinates;
  DenseMap<Value, Expression *> values;

  Expression *fail(const Twine &text) {
    if (reason.empty())
      reason = text.str();
    return nullptr;
  }
  Expression *create(Expression::Kind kind) {
    result.expressions.push_back(std::make_unique<Expression>());
    result.expressions.back()->kind = kind;
    return result.expressions.back().get();
  }

  Monomial monomial(OpFoldResult value) {
    if (auto constant = getConstantIntValue(value))
      return Monomial(*constant);
    Value v = cast<Value>(value);
    if (auto dim = v.getDefiningOp<tensor::DimOp>())
      if (auto index = dim.getConstantIndex())
        return sizeOf(dim.getSource(), *index);
    if (auto product = v.getDefiningOp<arith::MulIOp>())
      return monomial(product.getLhs()) * monomial(product.getRhs());
    if (!computesFromIndices(v))
      fail("a size or an offset is not computed from the index arguments");
    return Monomial::symbol(v);
  }

  unsigned numTensors() {
    return llvm::count_if(func.getArgumentTypes(), [](Type type) { return isa<RankedTensorType>(type); });
  }
  /// The index argument that is dimension `dim` of tensor `number` of a table of the function's attributes.
  Monomial sizeFrom(StringRef table, unsigned number, RankedTensorType type, unsigned dim) {
    auto dims = func->getAttrOfType<ArrayAttr>(table);
    if (!dims || number >= dims.size())
      return Monomial::symbol(Value());
    unsigned index = cast<IntegerAttr>(cast<ArrayAttr>(dims[number])[type.getDynamicDimIndex(dim)]).getInt();
    return Monomial::symbol(func.getArgument(numTensors() + index));
  }

  Monomial sizeOf(Value tensor, unsigned dim) {
    auto type = cast<RankedTensorType>(tensor.getType());
    if (!type.isDynamicDim(dim))
      return Monomial(type.getDimSize(dim));
    if (auto argument = dyn_cast<BlockArgument>(tensor))
      return sizeFrom(eyrie::graph::kArgDims, argument.getArgNumber(), type, dim);
    Operation *op = tensor.getDefiningOp();
    if (auto empty = dyn_cast<tensor::EmptyOp>(op))
      return monomial(empty.getMixedSizes()[dim]);
    if (auto dps = dyn_cast<DestinationStyleOpInterface>(op))
      return sizeOf(dps.getTiedOpOperand(cast<OpResult>(tensor))->get(), dim);
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
      llvm::SmallBitVector dropped = slice.getDroppedDims();
      for (auto [i, size] : llvm::enumerate(slice.getMixedSizes()))
        if (!dropped[i] && dim-- == 0)
          return monomial(size);
    }
    if (auto dimOf = dyn_cast<tensor::CastOp>(op))
      return sizeOf(dimOf.getSource(), dim);
    fail("a dynamic size comes from " + op->getName().getStringRef());
    return Monomial::symbol(tensor);
  }

  static SmallVector<Monomial> rowMajor(ArrayRef<Monomial> sizes) {
    SmallVector<Monomial> strides(sizes.size());
    Monomial stride(1);
    for (size_t i = sizes.size(); i-- > 0;) {
      strides[i] = stride;
      stride = stride * sizes[i];
    }
    return strides;
  }
  SmallVector<Monomial> sizesOf(Value tensor) {
    SmallVector<Monomial> sizes;
    for (int64_t i = 0, e = cast<RankedTensorType>(tensor.getType()).getRank(); i < e; ++i)
      sizes.push_back(sizeOf(tensor, i));
    return sizes;
  }

  std::optional<View> viewOf(Value tensor) {
    if (auto argument = dyn_cast<BlockArgument>(tensor)) {
      View view;
      view.argument = argument;
      view.strides = rowMajor(sizesOf(tensor));
      return view;
    }
    Operation *op = tensor.getDefiningOp();
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
      std::optional<View> source = viewOf(slice.getSource());
      if (!source || source->tile)
        return std::nullopt;
      View result = *source;
      result.strides.clear();
      llvm::SmallBitVector dropped = slice.getDroppedDims();
      for (auto [i, offset, step] : llvm::enumerate(slice.getMixedOffsets(), slice.getMixedStrides())) {
        Monomial shift = monomial(offset) * source->strides[i];
        if (!shift.isZero())
          result.base.push_back(shift);
        if (!dropped[i])
          result.strides.push_back(source->strides[i] * monomial(step));
      }
      return result;
    }
    if (auto unpack = dyn_cast<linalg::UnPackOp>(op)) {
      std::optional<View> source = viewOf(unpack.getSource());
      auto tiles = unpack.getStaticInnerTiles();
      if (!source || source->tile || tiles.empty() || tiles.size() > 2 || ShapedType::isDynamicShape(tiles))
        return std::nullopt;
      View result = *source;
      int64_t rank = unpack.getDestType().getRank();
      SmallVector<int64_t> permutation(unpack.getOuterDimsPerm());
      if (permutation.empty())
        permutation = llvm::to_vector(llvm::seq<int64_t>(0, rank));
      result.strides.assign(rank, Monomial());
      for (int64_t outer = 0; outer < rank; ++outer)
        result.strides[permutation[outer]] = source->strides[outer];
      result.tile = tiles[0];
      result.tiledDim = unpack.getInnerDimsPos()[0];
      result.tileStride = result.strides[result.tiledDim];
      result.strides[result.tiledDim] = source->strides[rank];
      if (tiles.size() == 2) {
        result.group = tiles[1];
        result.groupedDim = unpack.getInnerDimsPos()[1];
        result.groupStride = result.strides[result.groupedDim];
        result.strides[result.groupedDim] = source->strides[rank + 1];
      }
      return result;
    }
    return std::nullopt;
  }

  LinearFunction zero() {
    LinearFunction function;
    function.strides.assign(result.loops.size(), Monomial());
    return function;
  }
  /// function += factor * other
  static void add(LinearFunction &function, const LinearFunction &other, const Monomial &factor) {
    for (const Monomial &term : other.base)
      if (Monomial product = term * factor; !product.isZero())
        function.base.push_back(product);
    for (auto [stride, more] : llvm::zip(function.strides, other.strides)) {
      Monomial product = more * factor;
      if (product.isZero())
        continue;
      if (stride.isZero())
        stride = product;
      else if (stride.symbols == product.symbols)
        stride.factor += product.factor;
      else
        stride = Monomial::symbol(Value()); // refused below
    }
  }

  /// The loop that is the coordinate.
  static std::optional<unsigned> onlyLoop(const LinearFunction &coordinate) {
    std::optional<unsigned> loop;
    for (auto [l, stride] : llvm::enumerate(coordinate.strides))
      if (!stride.isZero()) {
        if (loop || !stride.isOne())
          return std::nullopt;
        loop = l;
      }
    return coordinate.base.empty() ? loop : std::nullopt;
  }

  std::optional<LinearFunction> address(const View &view, const std::vector<LinearFunction> &point) {
    LinearFunction function = zero();
    function.base.append(view.base.begin(), view.base.end());
    for (auto [dim, coordinate] : llvm::enumerate(point)) {
      add(function, coordinate, view.strides[dim]);
      bool isTiled = view.tile && view.tiledDim == dim, isGrouped = view.group && view.groupedDim == dim;
      if (!isTiled && !isGrouped)
        continue;
      std::optional<unsigned> loop = onlyLoop(coordinate);
      if (!loop)
        return std::nullopt;
      if (isTiled) {
        function.tile = view.tile;
        function.tiledLoop = *loop;
        function.tileStride = view.tileStride;
      } else {
        function.group = view.group;
        function.groupedLoop = *loop;
        function.groupStride = view.groupStride;
      }
    }
    for (const Monomial &stride : function.strides)
      if (llvm::is_contained(stride.symbols, Value()))
        return std::nullopt;
    return function;
  }

  /// Adds `expr` (over dims whose values are `dims`) times `factor`.
  LogicalResult apply(AffineExpr expr, const std::vector<LinearFunction> &dims, int64_t factor, LinearFunction &out) {
    switch (expr.getKind()) {
    case AffineExprKind::Constant:
      if (int64_t value = cast<AffineConstantExpr>(expr).getValue() * factor)
        out.base.push_back(Monomial(value));
      return success();
    case AffineExprKind::DimId:
      add(out, dims[cast<AffineDimExpr>(expr).getPosition()], Monomial(factor));
      return success();
    case AffineExprKind::Add: {
      auto sum = cast<AffineBinaryOpExpr>(expr);
      if (failed(apply(sum.getLHS(), dims, factor, out)))
        return failure();
      return apply(sum.getRHS(), dims, factor, out);
    }
    case AffineExprKind::Mul: {
      auto product = cast<AffineBinaryOpExpr>(expr);
      auto constant = dyn_cast<AffineConstantExpr>(product.getRHS());
      return constant ? apply(product.getLHS(), dims, factor * constant.getValue(), out) : failure();
    }
    default:
      return failure();
    }
  }

  std::optional<std::vector<LinearFunction>> apply(AffineMap map, const std::vector<LinearFunction> &dims) {
    std::vector<LinearFunction> point;
    for (AffineExpr expr : map.getResults()) {
      LinearFunction coordinate = zero();
      if (failed(apply(expr, dims, 1, coordinate)))
        return std::nullopt;
      point.push_back(coordinate);
    }
    return point;
  }

  /// A tensor of which the kernel has a block of rows in local memory, and where the loops read it.
  Value rows;
  Monomial rowPitch;
  std::vector<LinearFunction> rowsPoint;

  unsigned rowsBinding() { return numTensors() + func.getNumResults(); }
  /// The place of a point of the rows' tensor in the block.
  LinearFunction rowsAddress(const std::vector<LinearFunction> &point) {
    LinearFunction function = zero();
    add(function, point[point.size() - 2], rowPitch);
    add(function, point.back(), Monomial(1));
    function.isInBlock = true;
    return function;
  }

  /// The value of `tensor` at `point`.
  Expression *read(Value tensor, const std::vector<LinearFunction> &point) {
    if (tensor == rows) {
      rowsPoint = point;
      Expression *load = create(Expression::Kind::Load);
      load->binding = rowsBinding();
      load->function = rowsAddress(point);
      load->element = getElementTypeOrSelf(tensor.getType());
      return load;
    }
    if (auto known = values.find(tensor); known != values.end()) {
      for (auto [a, b] : llvm::zip(coordinates[tensor], point))
        if (!llvm::equal(a.strides, b.strides) || !b.base.empty())
          return fail("an operation after the root reads it at other places");
      return known->second;
    }
    if (!isa<RankedTensorType>(tensor.getType())) {
      TypedAttr constant;
      if (!matchPattern(tensor, m_Constant(&constant)))
        return fail("a scalar operand is not a constant");
      return literal(constant);
    }
    if (auto fill = tensor.getDefiningOp<linalg::FillOp>())
      return read(fill.getInputs()[0], {});
    DenseElementsAttr dense;
    if (matchPattern(tensor, m_Constant(&dense)) && dense.isSplat())
      return literal(cast<TypedAttr>(dense.getSplatValue<Attribute>()));
    if (std::optional<View> memory = viewOf(tensor)) {
      std::optional<LinearFunction> function = address(*memory, point);
      if (!function)
        return fail("an operand's address is not linear");
      Expression *load = create(Expression::Kind::Load);
      load->binding = memory->argument.getArgNumber();
      load->function = *function;
      return load;
    }
    if (auto generic = tensor.getDefiningOp<linalg::GenericOp>())
      return readProducer(generic, cast<OpResult>(tensor), point);
    return fail("an operand is made by " +
                (tensor.getDefiningOp() ? tensor.getDefiningOp()->getName().getStringRef() : StringRef("an argument")));
  }

  Expression *literal(TypedAttr constant) {
    Expression *expression = create(Expression::Kind::Constant);
    expression->constant = constant;
    return expression;
  }

  /// An elementwise producer is computed where its value is needed.
  Expression *readProducer(linalg::GenericOp generic, OpResult value, const std::vector<LinearFunction> &point) {
    AffineMap map = generic.getMatchingIndexingMap(generic.getDpsInitOperand(value.getResultNumber()));
    if (generic.getNumParallelLoops() != generic.getNumLoops() || !map.isPermutation())
      return fail("an operand is made by a reduction");
    std::vector<LinearFunction> dims(generic.getNumLoops());
    for (auto [expr, coordinate] : llvm::zip(map.getResults(), point))
      dims[cast<AffineDimExpr>(expr).getPosition()] = coordinate;
    return body(generic, value.getResultNumber(), dims);
  }

  /// An index that a body computes: a linear function of `dims`, or none.
  std::optional<LinearFunction> indexAt(Value index, const std::vector<LinearFunction> &dims) {
    if (auto number = getConstantIntValue(index)) {
      LinearFunction function = zero();
      if (*number != 0)
        function.base.push_back(Monomial(*number));
      return function;
    }
    if (auto position = index.getDefiningOp<linalg::IndexOp>())
      return dims[position.getDim()];
    Operation *op = index.getDefiningOp();
    if (!isa_and_nonnull<arith::AddIOp, arith::MulIOp>(op))
      return std::nullopt;
    Value x = op->getOperand(0), y = op->getOperand(1);
    if (isa<arith::AddIOp>(op)) {
      std::optional<LinearFunction> a = indexAt(x, dims), c = indexAt(y, dims);
      if (!a || !c)
        return std::nullopt;
      add(*a, *c, Monomial(1));
      return a;
    }
    // The same for all points.
    auto isFactor = [&](Value value) {
      return getConstantIntValue(value) || (value.getParentBlock() == &func.front() && computesFromIndices(value));
    };
    if (isFactor(x))
      std::swap(x, y);
    std::optional<LinearFunction> function = indexAt(x, dims);
    if (!function || !isFactor(y))
      return std::nullopt;
    LinearFunction product = zero();
    add(product, *function, monomial(y));
    return product;
  }

  /// The element that a body takes, if its place is linear in the loops: an operand like others.
  Expression *readElement(tensor::ExtractOp extract, const std::vector<LinearFunction> &dims) {
    std::vector<LinearFunction> point;
    for (Value index : extract.getIndices()) {
      std::optional<LinearFunction> coordinate = indexAt(index, dims);
      if (!coordinate)
        return fail("the body takes an element at a place that is not linear");
      point.push_back(*coordinate);
    }
    return read(extract.getTensor(), point);
  }

  Expression *body(linalg::GenericOp generic, unsigned number, const std::vector<LinearFunction> &dims) {
    SmallVector<Expression *, 4> operands;
    for (OpOperand &operand : generic->getOpOperands()) {
      operands.push_back(nullptr);
      if (!generic.payloadUsesValueFromOperand(&operand))
        continue;
      auto point = apply(generic.getMatchingIndexingMap(&operand), dims);
      if (!point)
        return fail("an indexing map is not linear");
      operands.back() = read(operand.get(), *point);
      if (!operands.back())
        return nullptr;
    }
    for (auto extract : generic.getBlock()->getOps<tensor::ExtractOp>()) {
      operands.push_back(readElement(extract, dims));
      if (!operands.back())
        return nullptr;
    }
    Expression *expression = create(Expression::Kind::Body);
    expression->generic = generic;
    expression->result = number;
    expression->operands = operands;
    if (llvm::any_of(generic.getBlock()->getOperations(), [](Operation &op) { return isa<linalg::IndexOp>(op); }))
      expression->indices.assign(dims.begin(), dims.end());
    return expression;
  }

  LogicalResult analyse();
  /// `reads` says which inputs of the root; the others stay null.
  LogicalResult analyseRoot(llvm::function_ref<bool(unsigned)> reads);
  LogicalResult analyseAfterRoot();
  LogicalResult analyseConsumer(linalg::GenericOp generic);
  LogicalResult analyseResult(unsigned number, Value value);
};

/// The size of each loop, preferring a static one.
LogicalResult Analyser::analyseRoot(llvm::function_ref<bool(unsigned)> reads) {
  linalg::GenericOp root = result.root;
  for (utils::IteratorType type : root.getIteratorTypesArray())
    result.loops.push_back({Monomial(), type == utils::IteratorType::reduction});
  SmallVector<bool> known(result.loops.size(), false);
  for (unsigned number = root->getNumOperands(); number-- > 0;) {
    OpOperand *operand = &root->getOpOperand(number);
    if (!isa<RankedTensorType>(operand->get().getType()))
      continue;
    for (auto [dim, expr] : llvm::enumerate(root.getMatchingIndexingMap(operand).getResults()))
      if (auto loop = dyn_cast<AffineDimExpr>(expr)) {
        Loop &l = result.loops[loop.getPosition()];
        Monomial size = sizeOf(operand->get(), dim);
        if (!known[loop.getPosition()] || (size.isConstant() && !l.size.isConstant()))
          l.size = size;
        known[loop.getPosition()] = true;
      }
  }
  if (!reason.empty() || llvm::is_contained(known, false)) {
    fail("a loop has no size");
    return failure();
  }

  std::vector<LinearFunction> dims;
  for (size_t i = 0; i < result.loops.size(); ++i) {
    dims.push_back(zero());
    dims.back().strides[i] = Monomial(1);
  }
  for (OpOperand *operand : root.getDpsInputOperands()) {
    result.inputs.push_back(nullptr);
    if (!root.payloadUsesValueFromOperand(operand) || !reads(operand->getOperandNumber()))
      continue;
    auto point = apply(root.getMatchingIndexingMap(operand), dims);
    result.inputs.back() = point ? read(operand->get(), *point) : fail("an indexing map is not linear");
    if (!result.inputs.back())
      return failure();
  }
  OpOperand *init = root.getDpsInitOperand(0);
  auto point = apply(root.getMatchingIndexingMap(init), dims);
  if (!root.getMatchingIndexingMap(init).isProjectedPermutation() ||
      root.getMatchingIndexingMap(init).getNumResults() != root.getNumParallelLoops()) {
    fail("the result does not range over the parallel loops");
    return failure();
  }
  result.init = read(init->get(), *point);
  if (!result.init)
    return failure();
  coordinates[root.getResult(0)] = *point;
  values[root.getResult(0)] = create(Expression::Kind::Accumulator);
  for (Operation &op : root.getBlock()->getOperations())
    if (isa<linalg::IndexOp>(op)) {
      fail("the reduction's body uses linalg.index");
      return failure();
    }
  return success();
}

/// An elementwise operation after the root: its loops are the root's parallel loops, in some order.
LogicalResult Analyser::analyseConsumer(linalg::GenericOp generic) {
  if (generic.getNumParallelLoops() != generic.getNumLoops()) {
    fail("there are two reductions");
    return failure();
  }
  std::vector<LinearFunction> dims(generic.getNumLoops());
  for (OpOperand &operand : generic->getOpOperands())
    if (auto known = coordinates.find(operand.get()); known != coordinates.end())
      for (auto [expr, coordinate] : llvm::zip(generic.getMatchingIndexingMap(&operand).getResults(), known->second))
        if (auto dim = dyn_cast<AffineDimExpr>(expr))
          dims[dim.getPosition()] = coordinate;
  SmallVector<int64_t> sizes = generic.getStaticLoopRanges();
  for (auto [dim, size] : llvm::zip_equal(dims, sizes))
    if (dim.strides.empty() && size == 1) {
      dim = zero();
    } else if (dim.strides.empty()) {
      fail("an operation after the root has loops of its own");
      return failure();
    }
  for (OpResult value : generic->getResults()) {
    AffineMap map = generic.getMatchingIndexingMap(generic.getDpsInitOperand(value.getResultNumber()));
    if (!map.isPermutation()) {
      fail("an operation after the root does not write all of its result once");
      return failure();
    }
    Expression *expression = body(generic, value.getResultNumber(), dims);
    if (!expression)
      return failure();
    coordinates[value] = *apply(map, dims);
    values[value] = expression;
  }
  return success();
}

/// Padding of a known size with a constant, done to a result of the function.
static bool isBorder(Operation &op) {
  auto pad = dyn_cast<tensor::PadOp>(op);
  return pad && eyrie::graph::isConstantPadding(pad) && pad->hasOneUse() &&
         pad->user_begin()->hasTrait<OpTrait::IsTerminator>();
}

LogicalResult Analyser::analyseResult(unsigned number, Value value) {
  auto pad = value.getDefiningOp<tensor::PadOp>();
  if (pad && !isBorder(*pad)) {
    fail("a result is padded in a way that is not known");
    return failure();
  }
  auto known = coordinates.find(pad ? pad.getSource() : value);
  if (known == coordinates.end()) {
    fail("a result is not computed from the reduction");
    return failure();
  }
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<Monomial> sizes;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    sizes.push_back(type.isDynamicDim(dim) ? sizeFrom(eyrie::graph::kResultDims, number, type, dim)
                                           : Monomial(type.getDimSize(dim)));
  std::vector<LinearFunction> point = known->second;
  std::optional<Border> border;
  if (pad) {
    border = {sizes, SmallVector<int64_t>(pad.getStaticLow()), SmallVector<int64_t>(pad.getStaticHigh()), {}};
    matchPattern(pad.getConstantPaddingValue(), m_Constant(&border->value));
    for (auto [coordinate, low] : llvm::zip(point, border->low))
      if (low)
        coordinate.base.push_back(Monomial(low));
  }
  View memory;
  memory.strides = rowMajor(sizes);
  std::optional<LinearFunction> function = address(memory, point);
  if (!function || !reason.empty()) {
    fail("a result's address is not linear");
    return failure();
  }
  result.outputs.push_back({numTensors() + number, *function, values[known->first], border});
  return success();
}

/// The operations that follow the root, and the function's results.
LogicalResult Analyser::analyseAfterRoot() {
  for (auto generic : func.front().getOps<linalg::GenericOp>())
    if (llvm::any_of(generic->getOperands(), [&](Value value) { return coordinates.contains(value); }))
      if (generic != result.root && failed(analyseConsumer(generic)))
        return failure();
  for (auto [number, value] : llvm::enumerate(func.front().getTerminator()->getOperands()))
    if (failed(analyseResult(number, value)))
      return failure();
  return reason.empty() ? success() : failure();
}

LogicalResult Analyser::analyse() {
  if (func.getBlocks().size() != 1) {
    fail("the function has control flow");
    return failure();
  }
  for (Operation &op : func.front().without_terminator()) {
    if (op.getNumRegions() && !isa<linalg::GenericOp, linalg::FillOp>(op) && !isBorder(op)) {
      fail("the function contains " + op.getName().getStringRef());
      return failure();
    }
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic || generic.getNumReductionLoops() == 0)
      continue;
    if (result.root) {
      fail("there are two reductions");
      return failure();
    }
    result.root = generic;
  }
  if (!result.root || result.root.getNumDpsInits() != 1) {
    fail("there is no reduction of one result");
    return failure();
  }
  if (failed(analyseRoot([](unsigned) { return true; })))
    return failure();
  return analyseAfterRoot();
}

} // namespace

FailureOr<Contraction> eyrie::target::cpu::analyseContraction(func::FuncOp func, std::string &reason) {
  Analyser analyser(func, reason);
  if (failed(analyser.analyse()))
    return failure();
  return std::move(analyser.result);
}

FailureOr<WinogradKernel> eyrie::target::cpu::analyseWinograd(func::FuncOp func, std::string &reason) {
  auto analyse = [&](linalg::GenericOp root, unsigned loops, std::optional<unsigned> input) -> FailureOr<Contraction> {
    Analyser analyser(func, reason);
    analyser.result.root = root;
    if (!root || root.getNumLoops() != loops || root.getNumDpsInits() != 1 ||
        failed(analyser.analyseRoot([&](unsigned number) { return number == input; })) ||
        (!input && failed(analyser.analyseAfterRoot())))
      return failure();
    return std::move(analyser.result);
  };
  linalg::GenericOp last = eyrie::graph::findMarked(func, eyrie::graph::kWinograd);
  auto [products, tiles, filter] = eyrie::graph::getWinogradParts(last);
  FailureOr<Contraction> first = analyse(tiles, 8, 2), second = analyse(filter, 6, 2), third = analyse(last, 6, {});
  if (failed(first) || failed(second) || failed(third))
    return failure();
  return WinogradKernel{std::move(*first), std::move(*second), std::move(*third)};
}

FailureOr<AttentionKernel> eyrie::target::cpu::analyseAttention(func::FuncOp func,
                                                                llvm::function_ref<int64_t(int64_t, Type)> pitchOf,
                                                                std::string &reason) {
  AttentionKernel kernel;
  std::optional<eyrie::graph::Attention> parts =
      eyrie::graph::matchAttention(eyrie::graph::findMarked(func, eyrie::graph::kAttention));
  if (!parts) {
    reason = "its parts are not those of attention";
    return failure();
  }
  kernel.parts = *parts;

  Analyser before(func, reason);
  before.result.root = parts->scores;
  if (failed(before.analyseRoot([](unsigned) { return true; })) ||
      (parts->epilogue && failed(before.analyseConsumer(parts->epilogue))))
    return failure();
  Value rows = parts->rows();
  const std::vector<LinearFunction> &point = before.coordinates[rows];
  eyrie::graph::SizeAnalysis analysis = sizeAnalysis(func);
  kernel.mostKeys = factsOf(before.sizeOf(rows, point.size() - 1), analysis).most;
  before.rowPitch = Monomial(pitchOf(kernel.mostKeys, getElementTypeOrSelf(rows.getType())));
  before.result.outputs.push_back({before.rowsBinding(), before.rowsAddress(point), before.values[rows], {}});

  for (linalg::GenericOp op : parts->rowFunctions())
    for (OpOperand *input : op.getDpsInputOperands()) {
      auto producer = input->get().getDefiningOp<linalg::GenericOp>();
      if (!op.payloadUsesValueFromOperand(input) || input->get() == rows ||
          llvm::is_contained(parts->statistics, producer))
        continue;
      auto place = before.apply(op.getMatchingIndexingMap(input), point);
      Expression *load = place ? before.read(input->get(), *place) : before.fail("an indexing map is not linear");
      if (!load)
        return failure();
      kernel.operands[input] = load;
    }

  Analyser after(func, reason);
  after.result.root = parts->sums;
  after.rows = linalg::GenericOp(parts->weights)->getResult(0);
  after.rowPitch = before.rowPitch;
  if (failed(after.analyseRoot([](unsigned) { return true; })) || failed(after.analyseAfterRoot()))
    return failure();

  for (size_t dim = 0; dim < point.size(); ++dim)
    kernel.dims.push_back({Analyser::onlyLoop(point[dim]), Analyser::onlyLoop(after.rowsPoint[dim])});
  for (auto [side, contraction] : llvm::enumerate(std::array{&before.result, &after.result})) {
    for (unsigned loop = contraction->loops.size(); loop-- > 0;) {
      if (!contraction->loops[loop].size.isOne())
        continue;
      eraseLoop(*contraction, loop);
      for (auto &loops : kernel.dims)
        if (loops[side] == loop)
          loops[side] = std::nullopt;
        else if (loops[side] > loop)
          --*loops[side];
    }
    addSizeFacts(func, *contraction);
  }
  kernel.column = kernel.dims.pop_back_val()[0];
  if (!reason.empty() || !kernel.column)
    return failure();
  kernel.scores = std::move(before.result);
  kernel.sums = std::move(after.result);
  return kernel;
}
