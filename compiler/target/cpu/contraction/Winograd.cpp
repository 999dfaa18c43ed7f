// A workgroup takes a block of tiles and a group of output columns. It transforms the block's tiles of the input to
// local memory (36 matrices of tiles x channels), multiplies each with its matrix of the transformed filter, which
// streams by, to local memory again (36 of tiles x columns), and transforms those back, tile by tile, with what follows
// the convolution. Blocks are so large that both lie in the second-level cache.
#include "compiler/target/cpu/contraction/Winograd.h"
#include "compiler/graph/Graph.h"
#include "compiler/target/cpu/contraction/Access.h"
#include "compiler/target/cpu/contraction/Analysis.h"
#include "compiler/target/cpu/contraction/BodyEvaluator.h"
#include "compiler/target/cpu/contraction/Moves.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace eyrie::target::cpu;

namespace {
constexpr int64_t kTile = 4, kPoints = 6, kProducts = kPoints * kPoints;

struct WinogradPlan {
  int64_t lanes, vectors; // a panel of the filter is lanes * vectors columns
  int64_t channels, columns;
  int64_t rows, width;          // of the output
  int64_t tileRows, blockTiles; // of the products: rows of a register tile, and tiles of a block
  int64_t groupColumns;         // of a workgroup
  int64_t tilesDown() const { return llvm::divideCeil(rows, kTile); }
  int64_t tilesAcross() const { return llvm::divideCeil(width, kTile); }
  int64_t panel() const { return lanes * vectors; }
  int64_t inputBytes() const { return kProducts * blockTiles * channels * 4; }
  int64_t localBytes() const { return inputBytes() + kProducts * blockTiles * groupColumns * 4; }
};

/// Rows of a register tile that leave little to do for nothing in a block of `tiles`.
int64_t chooseTileRows(int64_t tiles, int64_t vectors, int64_t most) {
  int64_t best = most;
  auto cost = [&](int64_t rows) {
    return llvm::divideCeil(tiles, rows) * rows * (1 + 1.0 / static_cast<double>(rows * vectors));
  };
  for (int64_t rows = most; rows >= std::max<int64_t>(most / 2, 1); --rows)
    if (cost(rows) < cost(best))
      best = rows;
  return best;
}

/// Blocks that fill most of the second-level cache; if there are few of them, the columns are shared out as well.
void chooseBlocks(WinogradPlan &plan, int64_t batch, const CpuTargetModel &machine) {
  constexpr int64_t leastGroups = 4, leastColumns = 64;
  int64_t tiles =
      plan.tilesDown() * plan.tilesAcross() * (ShapedType::isDynamic(batch) ? 1 : std::max<int64_t>(batch, 1));
  int64_t most = mostTileRows(machine, plan.vectors, plan.lanes, 32);
  int64_t perTile = kProducts * 4 * (plan.channels + plan.columns);
  int64_t fitting = std::clamp<int64_t>(machine.l2Bytes * 3 / 4 / perTile, 12, 96);
  int64_t blocks = llvm::divideCeil(tiles, fitting);
  int64_t needed = llvm::divideCeil(tiles, blocks);
  plan.tileRows = chooseTileRows(needed, plan.vectors, most);
  plan.blockTiles = llvm::alignTo(needed, plan.tileRows);
  int64_t groups = std::clamp<int64_t>(leastGroups / blocks, 1, std::max<int64_t>(plan.columns / leastColumns, 1));
  plan.groupColumns = llvm::alignTo(llvm::divideCeil(plan.columns, groups), plan.panel());
}

struct WinogradEmitter {
  OpBuilder &b;
  Location loc;
  const WinogradKernel &kernel;
  const WinogradPlan &plan;
  const CpuTargetModel &machine;
  const KernelValues &values;
  TileAccess image, result;
  Symbols &s;
  VectorType vector;
  Value filter;               // flat
  Value transformed, sums;    // local memory
  Value firstTile, tileCount; // of the block

  WinogradEmitter(OpBuilder &b, func::FuncOp func, const WinogradKernel &kernel, const WinogradPlan &plan,
                  const std::array<Plan, 2> &access, const CpuTargetModel &machine, const KernelValues &values)
      : b(b), loc(func.getLoc()), kernel(kernel), plan(plan), machine(machine), values(values),
        image(b, func, kernel.tiles, access[0], machine, values),
        result(b, func, kernel.outputs, access[1], machine, values), s(result.symbols()),
        vector(VectorType::get({plan.lanes}, b.getF32Type())) {}

  Value constant(int64_t value) { return s.constant(value); }

  void loop(Value lower, Value upper, int64_t step, llvm::function_ref<void(Value)> body) {
    emitLoop(b, loc, lower, upper, constant(step), body);
  }
  void loop(int64_t upper, int64_t step, llvm::function_ref<void(Value)> body) {
    loop(constant(0), constant(upper), step, body);
  }

  // ---- arithmetic ------------------------------------------------------------------------------------------------

  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y); }
  /// factor * x + y
  Value fma(double factor, Value x, Value y) {
    Value k = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(vector, static_cast<float>(factor)));
    return multiplyAdd(k, x, y);
  }
  Value multiplyAdd(Value x, Value y, Value z) {
    if (machine.fma)
      return vector::FMAOp::create(b, loc, x, y, z);
    return add(arith::MulFOp::create(b, loc, x, y), z);
  }

  using Line = SmallVector<Value, 6>;
  /// The rows of B^T times six values.
  Line transformInput(ArrayRef<Value> x) {
    Value even = fma(-4, x[2], x[4]), odd = fma(-4, x[1], x[3]), e = sub(x[4], x[2]), o = sub(x[3], x[1]);
    return {fma(4, x[0], fma(-5, x[2], x[4])), add(even, odd), sub(even, odd), fma(2, o, e), fma(-2, o, e),
            fma(4, x[1], fma(-5, x[3], x[5]))};
  }
  /// The rows of A^T times six values.
  Line transformOutput(ArrayRef<Value> x) {
    Value ones = add(x[1], x[2]), minus = sub(x[1], x[2]), twos = add(x[3], x[4]), minusTwos = sub(x[3], x[4]);
    return {add(add(x[0], ones), twos), fma(2, minusTwos, minus), fma(4, twos, ones),
            add(fma(8, minusTwos, minus), x[5])};
  }
  /// A transform of the columns, then of the rows.
  static SmallVector<Line> transformBoth(llvm::function_ref<Value(int64_t, int64_t)> element,
                                         llvm::function_ref<Line(ArrayRef<Value>)> transform) {
    SmallVector<Line> columns, rows;
    for (int64_t j = 0; j < kPoints; ++j) {
      Line column;
      for (int64_t i = 0; i < kPoints; ++i)
        column.push_back(element(i, j));
      columns.push_back(transform(column));
    }
    for (size_t i = 0; i < columns.front().size(); ++i) {
      Line row;
      for (const Line &column : columns)
        row.push_back(column[i]);
      rows.push_back(transform(row));
    }
    return rows;
  }

  // ---- the three steps -------------------------------------------------------------------------------------------

  struct Place {
    Value image, down, across; // of a tile
  };
  Place placeOf(Value tile) {
    Value number = s.add(firstTile, tile), perImage = constant(plan.tilesDown() * plan.tilesAcross());
    Value inImage = s.rem(number, perImage);
    return {s.div(number, perImage), s.div(inImage, constant(plan.tilesAcross())),
            s.rem(inImage, constant(plan.tilesAcross()))};
  }

  void transformTiles() {
    loop(constant(0), tileCount, 1, [&](Value tile) {
      Place place = placeOf(tile);
      loop(plan.channels, plan.lanes, [&](Value channel) {
        image.moveTo({{}, {}, place.image, place.down, place.across, channel, {}, {}});
        auto element = [&](int64_t i, int64_t j) { return image.read(kernel.tiles.inputs[2], i, j); };
        auto all = transformBoth(element, [&](ArrayRef<Value> line) { return transformInput(line); });
        Value at = s.add(s.mul(tile, constant(plan.channels)), channel);
        for (int64_t k = 0; k < kProducts; ++k)
          vector::StoreOp::create(b, loc, all[k / kPoints][k % kPoints], transformed,
                                  s.add(at, constant(k * plan.blockTiles * plan.channels)));
      });
    });
  }

  /// One register tile: tileRows tiles x a panel of columns at the point `input` of the transformed tiles. Meanwhile it
  /// prefetches its part, number `part`, of the panel behind, which the next products read: the filter comes from afar.
  void multiplyTile(Value input, Value weights, Value output, Value part) {
    SmallVector<Value> zeros(plan.tileRows * plan.vectors,
                             arith::ConstantOp::create(b, loc, b.getZeroAttr(vector)).getResult());
    const Monomial &channelStride = kernel.products.inputs[1]->function.strides[6];
    int64_t step = plan.channels % 2 ? 1 : 2;
    constexpr int64_t line = 64 / sizeof(float);
    int64_t share = llvm::divideCeil(plan.panel(), plan.blockTiles / plan.tileRows); // of a channel's columns
    Value ahead = s.add(weights, constant(plan.panel() * plan.channels));
    ahead = s.add(ahead, s.mul(part, constant(share * plan.channels)));
    auto forOp = scf::ForOp::create(b, loc, constant(0), constant(plan.channels), constant(step), zeros);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(forOp.getBody());
      SmallVector<Value> accumulators(forOp.getRegionIterArgs());
      for (int64_t i = 0; i < step; ++i) {
        Value channel = s.add(forOp.getInductionVar(), constant(i));
        Value from = s.add(weights, s.mul(channel, s.value(channelStride)));
        for (int64_t column = 0; column < share && (i == 0 || share > line / 2); column += line)
          memref::PrefetchOp::create(b, loc, filter,
                                     s.add(ahead, s.add(s.mul(channel, constant(share)), constant(column))),
                                     /*isWrite=*/false, /*localityHint=*/2, /*isDataCache=*/true);
        SmallVector<Value> columns;
        for (int64_t v = 0; v < plan.vectors; ++v)
          columns.push_back(vector::LoadOp::create(b, loc, vector, filter, s.add(from, constant(v * plan.lanes))));
        for (int64_t row = 0; row < plan.tileRows; ++row) {
          Value element =
              memref::LoadOp::create(b, loc, transformed, s.add(s.add(input, channel), constant(row * plan.channels)));
          Value wide = broadcastTo(b, element, plan.lanes);
          for (int64_t v = 0; v < plan.vectors; ++v) {
            Value &sum = accumulators[row * plan.vectors + v];
            sum = multiplyAdd(wide, columns[v], sum);
          }
        }
      }
      scf::YieldOp::create(b, loc, accumulators);
    }
    for (int64_t row = 0; row < plan.tileRows; ++row)
      for (int64_t v = 0; v < plan.vectors; ++v)
        vector::StoreOp::create(b, loc, forOp.getResult(row * plan.vectors + v), sums,
                                s.add(output, constant(row * plan.groupColumns + v * plan.lanes)));
  }

  /// Tiles beyond the block's last are computed from what is there, and not read.
  void multiply(Value firstPanel, Value panels) {
    const LinearFunction &weights = kernel.products.inputs[1]->function;
    Value rows = s.mul(s.ceilDiv(tileCount, constant(plan.tileRows)), constant(plan.tileRows));
    loop(kProducts, 1, [&](Value k) {
      Value matrix = s.add(s.sum(weights.base), s.mul(k, s.value(weights.strides[1])));
      loop(constant(0), panels, 1, [&](Value panel) {
        Value from = s.add(matrix, s.mul(s.add(firstPanel, panel), s.value(weights.tileStride)));
        loop(constant(0), rows, plan.tileRows, [&](Value row) {
          Value tile = s.add(s.mul(k, constant(plan.blockTiles)), row);
          multiplyTile(s.mul(tile, constant(plan.channels)), from,
                       s.add(s.mul(tile, constant(plan.groupColumns)), s.mul(panel, constant(plan.panel()))),
                       s.div(row, constant(plan.tileRows)));
        });
      });
    });
  }

  void storeTile(Value tile, const Place &place, Value column, Value firstColumn, int64_t rows, int64_t width) {
    result.moveTo({place.image,
                   s.mul(place.down, constant(kTile)),
                   s.mul(place.across, constant(kTile)),
                   s.add(firstColumn, column),
                   {},
                   {}});
    Value at = s.add(s.mul(tile, constant(plan.groupColumns)), column);
    auto element = [&](int64_t i, int64_t j) -> Value {
      int64_t offset = (i * kPoints + j) * plan.blockTiles * plan.groupColumns;
      return vector::LoadOp::create(b, loc, vector, sums, s.add(at, constant(offset)));
    };
    auto all = transformBoth(element, [&](ArrayRef<Value> line) { return transformOutput(line); });
    SmallVector<Value> accumulators;
    for (int64_t i = 0; i < rows; ++i)
      accumulators.append(all[i].begin(), all[i].begin() + width);
    result.store(accumulators, rows, width);
  }

  /// Calls back in a branch for tiles that are whole in a direction, and in another for the last if it is not.
  void forWhole(Value place, int64_t tiles, int64_t size, llvm::function_ref<void(int64_t)> body) {
    if (size % kTile == 0)
      return body(kTile);
    Value isLast = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, place, constant(tiles - 1));
    auto branch = scf::IfOp::create(b, loc, isLast, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    body(size % kTile);
    b.setInsertionPointToStart(branch.elseBlock());
    if (tiles > 1)
      body(kTile);
  }

  void transformSums(Value firstColumn, Value columns) {
    loop(constant(0), tileCount, 1, [&](Value tile) {
      Place place = placeOf(tile);
      forWhole(place.down, plan.tilesDown(), plan.rows, [&](int64_t rows) {
        forWhole(place.across, plan.tilesAcross(), plan.width, [&](int64_t width) {
          loop(constant(0), columns, plan.lanes,
               [&](Value column) { storeTile(tile, place, column, firstColumn, rows, width); });
        });
      });
    });
  }

  Value allTiles() {
    return s.mul(s.value(kernel.outputs.loops[0].size), constant(plan.tilesDown() * plan.tilesAcross()));
  }

  void emit() {
    auto local = [&](int64_t from, int64_t bytes) -> Value {
      auto type = MemRefType::get({ShapedType::kDynamic}, b.getF32Type());
      return memref::ViewOp::create(b, loc, type, values.local, constant(from), ValueRange{constant(bytes / 4)});
    };
    filter = flatView(b, loc, s, values.bindings[kernel.products.inputs[1]->binding]);
    transformed = local(0, plan.inputBytes());
    sums = local(plan.inputBytes(), plan.localBytes() - plan.inputBytes());
    result.writeBorders();
    firstTile = s.mul(values.workgroup[1], constant(plan.blockTiles));
    // A workgroup that only writes a border has no tiles.
    tileCount = s.max(constant(0), s.min(constant(plan.blockTiles), s.sub(allTiles(), firstTile)));
    Value firstColumn = s.mul(values.workgroup[0], constant(plan.groupColumns));
    Value columns = s.min(constant(plan.groupColumns), s.sub(constant(plan.columns), firstColumn));
    transformTiles();
    multiply(s.div(firstColumn, constant(plan.panel())), s.div(columns, constant(plan.panel())));
    transformSums(firstColumn, columns);
  }
};

int64_t panelOf(int64_t outputs, const CpuTargetModel &machine) {
  return choosePanel(machine, machine.lanes(32), 32, outputs, ShapedType::kDynamic);
}

/// Vectors of one register, even where there are wider ones: a transform has 36 values at a time.
int64_t lanesOf(const CpuTargetModel &machine) { return std::max<int64_t>(machine.registerBits / 32, 1); }

bool canTake(const eyrie::graph::WinogradCandidate &candidate, const CpuTargetModel &machine) {
  return candidate.element.isF32() && candidate.channels % lanesOf(machine) == 0 &&
         candidate.outputs % panelOf(candidate.outputs, machine) == 0;
}

FailureOr<WinogradPlan> planWinograd(const WinogradKernel &kernel, const CpuTargetModel &machine, std::string &reason) {
  auto size = [](const Contraction &contraction, unsigned loop) {
    const Monomial &size = contraction.loops[loop].size;
    return size.isConstant() ? size.factor : ShapedType::kDynamic;
  };
  WinogradPlan plan{};
  plan.lanes = lanesOf(machine);
  plan.channels = size(kernel.tiles, 5);
  plan.rows = size(kernel.outputs, 1), plan.width = size(kernel.outputs, 2), plan.columns = size(kernel.outputs, 3);
  const Expression *weights = kernel.products.inputs[1];
  if (weights->kind != Expression::Kind::Load || !weights->function.tile || weights->function.tile % plan.lanes ||
      weights->function.strides[0] != weights->function.strides[1] * Monomial(kPoints)) {
    reason = "the filter is not packed";
    return failure();
  }
  plan.vectors = weights->function.tile / plan.lanes;
  chooseBlocks(plan, size(kernel.outputs, 0), machine);
  return plan;
}
} // namespace

bool eyrie::target::cpu::isWinograd(func::FuncOp tensorFunc) {
  return bool(graph::findMarked(tensorFunc, eyrie::graph::kWinograd));
}

/// Counts vector operations: sums of products, the transforms, and what it costs to stream the filter, which is four
/// times as large as that of the direct way. About two bytes come from memory for each operation.
bool eyrie::target::cpu::isWinogradFaster(const graph::WinogradCandidate &candidate, const CpuTargetModel &machine) {
  if (!canTake(candidate, machine))
    return false;
  double lanes = lanesOf(machine), channels = candidate.channels, outputs = candidate.outputs;
  double images = ShapedType::isDynamic(candidate.batch) ? 1 : std::max<int64_t>(candidate.batch, 1);
  double tiles = images * llvm::divideCeil(candidate.rows, kTile) * llvm::divideCeil(candidate.width, kTile);
  double pairs = channels * outputs;
  double direct = images * candidate.rows * candidate.width * 9 * pairs / lanes;
  double transforms = tiles * (channels * 150 + outputs * 120) / lanes;
  double products = tiles * kProducts * pairs / lanes, stream = kProducts * pairs * 4 / 2;
  return 1.25 * (transforms + std::max(products, stream)) < std::max(direct, 9 * pairs * 4 / 2);
}

LogicalResult eyrie::target::cpu::lowerWinograd(Kernel &kernel, const CpuTargetModel &machine, std::string &reason) {
  func::FuncOp func = kernel.tensorFunc;
  reason.clear();
  FailureOr<WinogradKernel> winograd = analyseWinograd(func, reason);
  if (failed(winograd))
    return failure();
  if (!canEvaluateBodies(winograd->outputs, reason))
    return failure();
  FailureOr<WinogradPlan> plan = planWinograd(*winograd, machine, reason);
  if (failed(plan))
    return failure();

  std::array<Plan, 2> access;
  for (Plan &one : access)
    one.lanes = plan->lanes, one.columnVectors = 1;
  access[0].column = 5, access[0].band = 6, access[0].row = 7; // channels; rows and columns of a tile
  access[1].column = 3, access[1].band = 1, access[1].row = 2;

  KernelValues values = kernelValues(kernel);
  kernel.setLocalBytes(plan->localBytes());
  OpBuilder body = kernel.bodyBuilder();
  WinogradEmitter(body, func, *winograd, *plan, access, machine, values).emit();

  OpBuilder workgroups = kernel.workgroupsBuilder();
  Symbols s(workgroups, func, winograd->outputs, workgroupIndices(kernel));
  Value tiles = s.mul(s.value(winograd->outputs.loops[0].size), s.constant(plan->tilesDown() * plan->tilesAcross()));
  Value blocks = s.ceilDiv(tiles, s.constant(plan->blockTiles));
  if (winograd->outputs.hasBorder())
    blocks = s.max(blocks, s.constant(1));
  kernel.setWorkgroups({s.constant(llvm::divideCeil(plan->columns, plan->groupColumns)), blocks});
  return success();
}
