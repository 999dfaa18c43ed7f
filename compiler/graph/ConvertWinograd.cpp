// Computes convolutions with 3 x 3 filters by Winograd's minimal filtering, F(4x4, 3x3): 36 multiplications where the
// direct way has 144, with the numbers of Winograd.h.
//
//   %y[n, y, x, o] = sum %x[n, y + ky, x + kx, c] %w[ky, kx, c, o]
// becomes, for tiles (ty, tx) of 4 x 4 outputs and the points (i, j) of 6 x 6,
//   %u[i, j, c, o]          = sum G[i, ky] G[j, kx] %w[ky, kx, c, o]
//   %v[i, j, n, ty, tx, c]  = sum B[i, a] B[j, b] %x[n, 4 ty + a, 4 tx + b, c]
//   %m[i, j, n, ty, tx, o]  = sum %v[i, j, n, ty, tx, c] %u[i, j, c, o]
//   %y[n, y, x, o]          = sum A[y mod 4, i] A[x mod 4, j] %m[i, j, n, y / 4, x / 4, o]
// The last is marked with `graph.winograd`, and the four stay in one dispatch. %u is marked with `graph.in_kernel`: it
// is constant, but four times as large as the filter. The target chooses the convolutions.
#include "compiler/graph/Constants.h"
#include "compiler/graph/Forms.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "compiler/graph/Winograd.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace eyrie::graph;
using namespace eyrie::graph::winograd;

namespace {
constexpr int64_t kTile = 4, kPoints = 6;

// clang-format off
constexpr double kInput[] = {kProduct2, 0, -kSum2, 0, 1, 0,
                             0, -kNear * kFar2, -kFar2, kNear, 1, 0,
                             0, kNear * kFar2, -kFar2, -kNear, 1, 0,
                             0, -kFar * kNear2, -kNear2, kFar, 1, 0,
                             0, kFar * kNear2, -kNear2, -kFar, 1, 0,
                             0, kProduct2, 0, -kSum2, 0, 1};
constexpr double kFilter[] = {1, 0, 0,
                              1, kNear, kNear2,
                              1, -kNear, kNear2,
                              1, kFar, kFar2,
                              1, -kFar, kFar2,
                              0, 0, 1};
constexpr double kNear3 = kNear * kNear2, kFar3 = kFar * kFar2;
constexpr double kOutput[] = {kAtZero, kAtNear, kAtNear, kAtFar, kAtFar, 0,
                              0, kAtNear * kNear, -kAtNear * kNear, kAtFar * kFar, -kAtFar * kFar, 0,
                              0, kAtNear * kNear2, kAtNear * kNear2, kAtFar * kFar2, kAtFar * kFar2, 0,
                              0, kAtNear * kNear3, -kAtNear * kNear3, kAtFar * kFar3, -kAtFar * kFar3, 1};
// clang-format on

/// What a 3 x 3 convolution of stride 1 reads and in which order: (n, y, x, o | ky, kx, c).
struct Convolution {
  unsigned n, y, x, o, ky, kx, c;
  SmallVector<unsigned, 4> filter; // dimension of the filter for ky, kx, c, o
};

/// `expr` as the sum of two loops, each counted once.
std::optional<std::pair<unsigned, unsigned>> sumOfLoops(AffineExpr expr) {
  auto sum = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!sum || sum.getKind() != AffineExprKind::Add)
    return std::nullopt;
  auto a = dyn_cast<AffineDimExpr>(sum.getLHS()), b = dyn_cast<AffineDimExpr>(sum.getRHS());
  if (!a || !b)
    return std::nullopt;
  return std::pair(a.getPosition(), b.getPosition());
}

bool sumsProducts(linalg::GenericOp op) {
  Block &body = *op.getBlock();
  auto yield = cast<linalg::YieldOp>(body.getTerminator());
  auto sum = yield.getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!sum || std::distance(body.begin(), body.end()) != 3)
    return false;
  for (auto [total, product] : {std::pair(sum.getLhs(), sum.getRhs()), std::pair(sum.getRhs(), sum.getLhs())})
    if (auto mul = product.getDefiningOp<arith::MulFOp>(); mul && total == body.getArgument(2))
      return mul.getLhs() != mul.getRhs() && isa<BlockArgument>(mul.getLhs()) && isa<BlockArgument>(mul.getRhs());
  return false;
}

std::optional<Convolution> matchConvolution(linalg::GenericOp op) {
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1 || op.getNumLoops() != 7 ||
      op.getNumReductionLoops() != 3 || !sumsProducts(op))
    return std::nullopt;
  auto maps = op.getIndexingMapsArray();
  auto loopOf = [](AffineExpr expr) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    return dim ? std::optional(dim.getPosition()) : std::nullopt;
  };
  AffineMap in = maps[0], filter = maps[1], out = maps[2];
  if (in.getNumResults() != 4 || filter.getNumResults() != 4 || out.getNumResults() != 4 ||
      !out.isProjectedPermutation() || !filter.isProjectedPermutation())
    return std::nullopt;
  Convolution conv;
  conv.n = out.getDimPosition(0), conv.y = out.getDimPosition(1);
  conv.x = out.getDimPosition(2), conv.o = out.getDimPosition(3);
  auto rows = sumOfLoops(in.getResult(1)), columns = sumOfLoops(in.getResult(2));
  if (loopOf(in.getResult(0)) != conv.n || !rows || !columns || !loopOf(in.getResult(3)) || rows->first != conv.y ||
      columns->first != conv.x)
    return std::nullopt;
  conv.ky = rows->second, conv.kx = columns->second, conv.c = *loopOf(in.getResult(3));
  for (unsigned loop : {conv.ky, conv.kx, conv.c, conv.o}) {
    auto position = filter.getResultPosition(getAffineDimExpr(loop, op.getContext()));
    if (!position)
      return std::nullopt;
    conv.filter.push_back(*position);
  }
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  if (llvm::any_of(ArrayRef{conv.o, conv.c}, [&](unsigned loop) { return ShapedType::isDynamic(sizes[loop]); }) ||
      llvm::any_of(ArrayRef{conv.y, conv.x, conv.o, conv.c}, [&](unsigned loop) { return sizes[loop] == 0; }))
    return std::nullopt;
  auto input = cast<RankedTensorType>(op.getInputs()[0].getType());
  auto isRead = [&](unsigned dim, unsigned loop) {
    bool isOpen = ShapedType::isDynamic(sizes[loop]);
    return input.isDynamicDim(dim) == isOpen && (isOpen || input.getDimSize(dim) == sizes[loop] + 2);
  };
  if (sizes[conv.ky] != 3 || sizes[conv.kx] != 3 || !isRead(1, conv.y) || !isRead(2, conv.x))
    return std::nullopt;
  return conv;
}

struct Builder {
  OpBuilder &b;
  Location loc;

  Value matrix(ArrayRef<double> values, int64_t rows, Type element) {
    auto type = RankedTensorType::get({rows, static_cast<int64_t>(values.size()) / rows}, element);
    SmallVector<Attribute> numbers;
    for (double value : values)
      numbers.push_back(b.getFloatAttr(element, value));
    return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, numbers));
  }

  Value zeros(ArrayRef<OpFoldResult> sizes, Type element) {
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(element));
    Value empty = tensor::EmptyOp::create(b, loc, sizes, element);
    return linalg::FillOp::create(b, loc, zero, empty)->getResult(0);
  }

  AffineMap map(unsigned loops, ArrayRef<AffineExpr> exprs) { return AffineMap::get(loops, 0, exprs, b.getContext()); }

  /// The sum over the last `reductions` loops of the product of the operands.
  linalg::GenericOp sum(ValueRange operands, Value init, ArrayRef<AffineMap> maps, unsigned reductions) {
    unsigned loops = maps.back().getNumDims();
    SmallVector<utils::IteratorType> types(loops - reductions, utils::IteratorType::parallel);
    types.append(reductions, utils::IteratorType::reduction);
    return linalg::GenericOp::create(
        b, loc, init.getType(), operands, init, maps, types, [&](OpBuilder &nested, Location l, ValueRange args) {
          Value product;
          for (Value factor : args.drop_back())
            product = product ? arith::MulFOp::create(nested, l, product, factor).getResult() : factor;
          linalg::YieldOp::create(nested, l, arith::AddFOp::create(nested, l, args.back(), product).getResult());
        });
  }
};

/// The input with room for whole tiles: 4 t + 2 rows and columns; of an open size at least, so that the padding is
/// known.
Value padToTiles(OpBuilder &b, Location loc, Value input) {
  auto type = cast<RankedTensorType>(input.getType());
  SmallVector<int64_t> sizes(type.getShape()), more(4, 0);
  for (unsigned dim : {1, 2}) {
    bool isOpen = type.isDynamicDim(dim);
    more[dim] = isOpen ? kTile - 1 : llvm::alignTo(sizes[dim] - 2, kTile) + 2 - sizes[dim];
    sizes[dim] += isOpen ? 0 : more[dim];
  }
  if (more[1] == 0 && more[2] == 0)
    return input;
  SmallVector<OpFoldResult> low(4, b.getIndexAttr(0)), high = getAsIndexOpFoldResult(b.getContext(), more);
  Value source = input, zero;
  auto pad = input.getDefiningOp<tensor::PadOp>();
  if (pad && isConstantPadding(pad) && matchPattern(pad.getConstantPaddingValue(), m_AnyZeroFloat())) {
    source = pad.getSource();
    zero = pad.getConstantPaddingValue();
    for (unsigned dim = 0; dim < 4; ++dim) {
      low[dim] = b.getIndexAttr(pad.getStaticLow()[dim]);
      high[dim] = b.getIndexAttr(pad.getStaticHigh()[dim] + more[dim]);
    }
  }
  if (!zero)
    zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type.getElementType()));
  auto padded = RankedTensorType::get(sizes, type.getElementType());
  return tensor::PadOp::create(b, loc, padded, source, low, high, zero, /*nofold=*/false);
}

/// How many tiles cover dimension `dim` of the result.
OpFoldResult tilesOf(OpBuilder &b, Location loc, Value result, unsigned dim) {
  OpFoldResult size = tensor::getMixedSize(b, loc, result, dim);
  if (auto known = getConstantIntValue(size))
    return b.getIndexAttr(llvm::divideCeil(*known, kTile));
  Value last = arith::ConstantIndexOp::create(b, loc, kTile - 1), tile = arith::ConstantIndexOp::create(b, loc, kTile);
  Value up = arith::AddIOp::create(b, loc, cast<Value>(size), last);
  return arith::DivSIOp::create(b, loc, up, tile).getResult();
}

void convert(linalg::GenericOp op, const Convolution &conv) {
  OpBuilder b(op);
  Builder builder{b, op.getLoc()};
  Type element = getElementTypeOrSelf(op.getResultTypes()[0]);
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  Value input = padToTiles(b, op.getLoc(), op.getInputs()[0]), init = op.getDpsInits()[0];
  OpFoldResult batch = tensor::getMixedSize(b, op.getLoc(), init, 0);
  OpFoldResult tileRows = tilesOf(b, op.getLoc(), init, 1), tileColumns = tilesOf(b, op.getLoc(), init, 2);
  auto sizesWith = [&](int64_t last) {
    OpFoldResult points = b.getIndexAttr(kPoints);
    return SmallVector<OpFoldResult>{points, points, batch, tileRows, tileColumns, b.getIndexAttr(last)};
  };
  SmallVector<AffineExpr> d;
  for (unsigned i = 0; i < 8; ++i)
    d.push_back(b.getAffineDimExpr(i));
  // (i, j, c, o | ky, kx)
  Value matrix = builder.matrix(kFilter, kPoints, element);
  SmallVector<AffineExpr> taps(4);
  for (auto [position, index] : llvm::zip_equal(conv.filter, ArrayRef<AffineExpr>{d[4], d[5], d[2], d[3]}))
    taps[position] = index;
  SmallVector<OpFoldResult> filterSizes =
      getAsIndexOpFoldResult(b.getContext(), ArrayRef<int64_t>{kPoints, kPoints, sizes[conv.c], sizes[conv.o]});
  linalg::GenericOp filter = builder.sum({matrix, matrix, op.getInputs()[1]}, builder.zeros(filterSizes, element),
                                         {builder.map(6, {d[0], d[4]}), builder.map(6, {d[1], d[5]}),
                                          builder.map(6, taps), builder.map(6, {d[0], d[1], d[2], d[3]})},
                                         2);
  filter->setAttr(kInKernel, b.getUnitAttr());
  // (i, j, n, ty, tx, c | a, b)
  matrix = builder.matrix(kInput, kPoints, element);
  Value tiles = builder
                    .sum({matrix, matrix, input}, builder.zeros(sizesWith(sizes[conv.c]), element),
                         {builder.map(8, {d[0], d[6]}), builder.map(8, {d[1], d[7]}),
                          builder.map(8, {d[2], d[3] * kTile + d[6], d[4] * kTile + d[7], d[5]}),
                          builder.map(8, {d[0], d[1], d[2], d[3], d[4], d[5]})},
                         2)
                    ->getResult(0);
  // (i, j, n, ty, tx, o | c)
  Value products =
      builder
          .sum({tiles, filter->getResult(0)}, builder.zeros(sizesWith(sizes[conv.o]), element),
               {builder.map(7, {d[0], d[1], d[2], d[3], d[4], d[6]}), builder.map(7, {d[0], d[1], d[6], d[5]}),
                builder.map(7, {d[0], d[1], d[2], d[3], d[4], d[5]})},
               1)
          ->getResult(0);
  // (n, y, x, o | i, j)
  matrix = builder.matrix(kOutput, kTile, element);
  linalg::GenericOp result =
      builder.sum({matrix, matrix, products}, init,
                  {builder.map(6, {d[1] % kTile, d[4]}), builder.map(6, {d[2] % kTile, d[5]}),
                   builder.map(6, {d[4], d[5], d[0], d[1].floorDiv(kTile), d[2].floorDiv(kTile), d[3]}),
                   builder.map(6, {d[0], d[1], d[2], d[3]})},
                  2);
  result->setAttr(kWinograd, b.getUnitAttr());
  // The four count as the convolution that they compute.
  auto none = b.getI64IntegerAttr(0);
  filter->setAttr(kOperations, none);
  tiles.getDefiningOp()->setAttr(kOperations, none);
  products.getDefiningOp()->setAttr(kOperations, none);
  result->setAttr(kOperations, b.getI64IntegerAttr(operationsOf(op)));
  op->replaceAllUsesWith(result->getResults());
  op->erase();
}

struct ConvertWinogradPass : PassWrapper<ConvertWinogradPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertWinogradPass)
  explicit ConvertWinogradPass(ChooseWinograd choose) : choose(std::move(choose)) {}
  StringRef getArgument() const override { return "graph-convert-winograd"; }
  StringRef getDescription() const override { return "Compute 3 x 3 convolutions by Winograd's method"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<linalg::LinalgDialect, tensor::TensorDialect, arith::ArithDialect>();
  }

  void runOnOperation() override {
    SmallVector<std::pair<linalg::GenericOp, Convolution>> chosen;
    getOperation().walk([&](linalg::GenericOp op) {
      auto conv = matchConvolution(op);
      if (!conv || !isConstantExpression(op.getInputs()[1]) || !startsAtZero(op))
        return;
      SmallVector<int64_t> sizes = op.getStaticLoopRanges();
      WinogradCandidate candidate{getElementTypeOrSelf(op.getResultTypes()[0]),
                                  sizes[conv->n],
                                  sizes[conv->y],
                                  sizes[conv->x],
                                  sizes[conv->c],
                                  sizes[conv->o]};
      if (choose && choose(candidate))
        chosen.push_back({op, *conv});
    });
    for (auto [op, conv] : chosen)
      convert(op, conv);
  }

  static bool startsAtZero(linalg::GenericOp op) {
    auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
    return fill && matchPattern(fill.getInputs()[0], m_AnyZeroFloat());
  }

  ChooseWinograd choose;
};
} // namespace

std::unique_ptr<Pass> eyrie::graph::createConvertWinogradPass(ChooseWinograd choose) {
  return std::make_unique<ConvertWinogradPass>(std::move(choose));
}
