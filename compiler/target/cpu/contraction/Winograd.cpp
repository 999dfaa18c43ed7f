// A workgroup takes a block of tiles and a group of output columns. It transforms the block's tiles of the input to
// local memory (36 matrices of tiles x channels). Then, for each panel of columns, it transforms the filter of some
// channels to local memory (36 of channels x columns), multiplies, adding up in local memory (36 of tiles x columns),
// and at last transforms the sums back, tile by tile, with what follows the convolution. Blocks are so large that all
// of it lies in the second-level cache. Transformed, the filter is four times as large as in the file: to read that
// from memory would cost more than to transform it again in each block.
#include "compiler/target/cpu/contraction/Winograd.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Winograd.h"
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
using namespace eyrie::graph::winograd;

namespace {
constexpr int64_t kTaps = 3, kTile = 4, kPoints = 6, kProducts = kPoints * kPoints;
constexpr int64_t kLine = 64 / sizeof(float); // of the cache

struct WinogradPlan {
  int64_t lanes, vectors; // a panel of the filter is lanes * vectors columns
  int64_t channels, columns;
  int64_t rows, width;                               // of the output; may be dynamic
  int64_t tileRows, blockTiles;                      // of the products: rows of a register tile, and tiles of a block
  int64_t groupColumns;                              // of a workgroup
  int64_t chunk;                                     // of channels, a divisor of theirs
  int64_t step() const { return chunk % 2 ? 1 : 2; } // channels of an iteration
  int64_t panel() const { return lanes * vectors; }
  // Numbers from one of the 36 matrices in local memory to the next.
  int64_t inputStep() const { return oddLines(blockTiles * channels); }
  int64_t filterStep() const { return oddLines(chunk * panel()); }
  int64_t sumsStep() const { return oddLines(blockTiles * panel()); }
  int64_t localBytes() const { return kProducts * 4 * (inputStep() + filterStep() + sumsStep()); }

private:
  /// At least `numbers`, and an odd number of cache lines: a transform touches all 36 matrices at once, which must not
  /// fall into the same sets of the first-level cache.
  static int64_t oddLines(int64_t numbers) { return (llvm::divideCeil(numbers, kLine) | 1) * kLine; }
};

/// Rows of a register tile that leave little to do for nothing in a block of `tiles`.
int64_t chooseTileRows(int64_t tiles, int64_t vectors, int64_t most) {
  int64_t best = std::min(tiles, most);
  auto cost = [&](int64_t rows) {
    return llvm::divideCeil(tiles, rows) * rows * (1 + 1.0 / static_cast<double>(rows * vectors));
  };
  for (int64_t rows = best; rows >= std::max<int64_t>(best / 2, 1); --rows)
    if (cost(rows) < cost(best))
      best = rows;
  return best;
}

/// Tiles of a block that fill most of the second-level cache.
int64_t fittingTiles(int64_t channels, int64_t panel, const CpuTargetModel &machine) {
  return std::clamp<int64_t>(machine.l2Bytes * 3 / 4 / (kProducts * 4 * (channels + panel)), 12, 128);
}

/// The filter of a chunk of channels takes a quarter of the second-level cache, and sums over a chunk are short.
int64_t chooseChunk(const WinogradPlan &plan, const CpuTargetModel &machine) {
  constexpr int64_t most = 32;
  int64_t fitting = std::clamp(machine.l2Bytes / 4 / (kProducts * 4 * plan.panel()), plan.lanes, most);
  int64_t chunks = llvm::divideCeil(plan.channels, fitting);
  while (plan.channels % (chunks * plan.lanes))
    ++chunks;
  return plan.channels / chunks;
}

/// About how many tiles cover images of these sizes, of which open ones are images of some size and batches of one.
int64_t likelyTiles(int64_t batch, int64_t rows, int64_t width) {
  constexpr int64_t usual = 32;
  auto tiles = [](int64_t size) { return llvm::divideCeil(ShapedType::isDynamic(size) ? usual : size, kTile); };
  return tiles(rows) * tiles(width) * (ShapedType::isDynamic(batch) ? 1 : std::max<int64_t>(batch, 1));
}

/// Blocks that fill the second-level cache; if there are few of them, the columns are shared out as well.
void chooseBlocks(WinogradPlan &plan, int64_t batch, const CpuTargetModel &machine) {
  constexpr int64_t leastGroups = 4, leastColumns = 64;
  int64_t tiles = likelyTiles(batch, plan.rows, plan.width);
  int64_t most = std::min(mostTileRows(machine, plan.vectors, plan.lanes, 32), machine.choices.mostTileRows);
  int64_t blocks = llvm::divideCeil(tiles, fittingTiles(plan.channels, plan.panel(), machine));
  int64_t needed = llvm::divideCeil(tiles, blocks);
  plan.tileRows = chooseTileRows(needed, plan.vectors, most);
  plan.blockTiles = llvm::alignTo(needed, plan.tileRows);
  int64_t groups = std::clamp<int64_t>(leastGroups / blocks, 1, std::max<int64_t>(plan.columns / leastColumns, 1));
  plan.groupColumns = llvm::alignTo(llvm::divideCeil(plan.columns, groups), plan.panel());
}

/// How many tiles all images have. `s` has the symbols of the input's tiles.
Value allTiles(Symbols &s, const WinogradKernel &kernel) {
  auto sizeOf = [&](unsigned loop) { return s.value(kernel.tiles.loops[loop].size); };
  return s.mul(sizeOf(2), s.mul(sizeOf(3), sizeOf(4)));
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
  Value filter;                     // flat
  Value transformed, factors, sums; // local memory: of the input, of the filter, their products
  Value firstTile, tileCount;       // of the block
  Value tilesDown, tilesAcross;     // of an image

  WinogradEmitter(OpBuilder &b, func::FuncOp func, const WinogradKernel &kernel, const WinogradPlan &plan,
                  const std::array<Plan, 2> &access, const CpuTargetModel &machine, const KernelValues &values)
      : b(b), loc(func.getLoc()), kernel(kernel), plan(plan), machine(machine), values(values),
        image(b, func, kernel.tiles, access[0], machine, values),
        result(b, func, kernel.outputs, access[1], machine, values), s(result.symbols()),
        vector(VectorType::get({plan.lanes}, b.getF32Type())),
        tilesDown(image.symbols().value(kernel.tiles.loops[3].size)),
        tilesAcross(image.symbols().value(kernel.tiles.loops[4].size)) {}

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
  Value everywhere(double number) {
    return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(vector, static_cast<float>(number)));
  }
  Value scale(double factor, Value x) { return arith::MulFOp::create(b, loc, everywhere(factor), x); }
  /// factor * x + y
  Value fma(double factor, Value x, Value y) { return multiplyAdd(everywhere(factor), x, y); }
  Value multiplyAdd(Value x, Value y, Value z) {
    if (machine.fma)
      return vector::FMAOp::create(b, loc, x, y, z);
    return add(arith::MulFOp::create(b, loc, x, y), z);
  }

  using Line = SmallVector<Value, 6>;
  /// The rows of B^T times six values.
  Line transformInput(ArrayRef<Value> x) {
    Value evenNear = fma(-kFar2, x[2], x[4]), oddNear = fma(-kFar2, x[1], x[3]);
    Value evenFar = fma(-kNear2, x[2], x[4]), oddFar = fma(-kNear2, x[1], x[3]);
    return {fma(kProduct2, x[0], fma(-kSum2, x[2], x[4])),
            fma(kNear, oddNear, evenNear),
            fma(-kNear, oddNear, evenNear),
            fma(kFar, oddFar, evenFar),
            fma(-kFar, oddFar, evenFar),
            fma(kProduct2, x[1], fma(-kSum2, x[3], x[5]))};
  }
  /// The rows of G times three values.
  Line transformFilter(ArrayRef<Value> x) {
    Value near = fma(kNear2, x[2], x[0]), far = fma(kFar2, x[2], x[0]);
    return {x[0], fma(kNear, x[1], near), fma(-kNear, x[1], near), fma(kFar, x[1], far), fma(-kFar, x[1], far), x[2]};
  }
  /// The rows of A^T times six values.
  Line transformOutput(ArrayRef<Value> x) {
    Value evenNear = add(x[1], x[2]), oddNear = scale(kAtNear * kNear, sub(x[1], x[2]));
    Value evenFar = add(x[3], x[4]), oddFar = scale(kAtFar * kFar, sub(x[3], x[4]));
    return {fma(kAtZero, x[0], fma(kAtNear, evenNear, scale(kAtFar, evenFar))), add(oddNear, oddFar),
            fma(kAtNear * kNear2, evenNear, scale(kAtFar * kFar2, evenFar)),
            fma(kNear2, oddNear, fma(kFar2, oddFar, x[5]))};
  }
  /// A transform of the columns of a square of `size`, then of the rows.
  static SmallVector<Line> transformBoth(int64_t size, llvm::function_ref<Value(int64_t, int64_t)> element,
                                         llvm::function_ref<Line(ArrayRef<Value>)> transform) {
    SmallVector<Line> columns, rows;
    for (int64_t j = 0; j < size; ++j) {
      Line column;
      for (int64_t i = 0; i < size; ++i)
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

  // ---- the steps -------------------------------------------------------------------------------------------------

  struct Place {
    Value image, down, across; // of a tile
  };
  Place placeOf(Value tile) {
    Value number = s.add(firstTile, tile), perImage = s.mul(tilesDown, tilesAcross);
    Value inImage = s.rem(number, perImage);
    return {s.div(number, perImage), s.div(inImage, tilesAcross), s.rem(inImage, tilesAcross)};
  }

  void transformTiles() {
    loop(constant(0), tileCount, 1, [&](Value tile) {
      Place place = placeOf(tile);
      loop(plan.channels, plan.lanes, [&](Value channel) {
        image.moveTo({{}, {}, place.image, place.down, place.across, channel, {}, {}});
        auto element = [&](int64_t i, int64_t j) { return image.read(kernel.tiles.inputs[2], i, j); };
        auto all = transformBoth(kPoints, element, [&](ArrayRef<Value> line) { return transformInput(line); });
        Value at = s.add(s.mul(tile, constant(plan.channels)), channel);
        for (int64_t k = 0; k < kProducts; ++k)
          vector::StoreOp::create(b, loc, all[k / kPoints][k % kPoints], transformed,
                                  s.add(at, constant(k * plan.inputStep())));
      });
    });
  }

  Value loadTap(Value at) {
    Type element = cast<MemRefType>(filter.getType()).getElementType();
    Value taps = vector::LoadOp::create(b, loc, VectorType::get({plan.lanes}, element), filter, at);
    return element == b.getF32Type() ? taps : Value(arith::ExtFOp::create(b, loc, vector, taps));
  }

  /// Of `plan.chunk` channels from `from` in the packed filter.
  void transformFactors(Value from) {
    const LinearFunction &taps = kernel.filter.inputs[2]->function;
    loop(plan.chunk, 1, [&](Value channel) {
      Value source = s.add(from, s.mul(channel, s.value(taps.strides[2])));
      Value target = s.mul(channel, constant(plan.panel()));
      for (int64_t v = 0; v < plan.vectors; ++v) {
        auto element = [&](int64_t i, int64_t j) -> Value {
          Value tap = s.add(s.mul(constant(i), s.value(taps.strides[4])), s.mul(constant(j), s.value(taps.strides[5])));
          return loadTap(s.add(source, s.add(tap, constant(v * plan.lanes))));
        };
        auto all = transformBoth(kTaps, element, [&](ArrayRef<Value> line) { return transformFilter(line); });
        for (int64_t k = 0; k < kProducts; ++k)
          vector::StoreOp::create(b, loc, all[k / kPoints][k % kPoints], factors,
                                  s.add(target, constant(k * plan.filterStep() + v * plan.lanes)));
      }
    });
  }

  /// Stores the products of a chunk, or adds them to those of the chunks before: the sums of a chunk begin at zero,
  /// since rounding adds up less in short sums.
  void addToSums(ValueRange products, Value output, Value isFirst) {
    auto forEach = [&](llvm::function_ref<void(Value, Value)> body) {
      for (auto [number, product] : llvm::enumerate(products)) {
        int64_t row = number / plan.vectors, column = number % plan.vectors * plan.lanes;
        body(product, s.add(output, constant(row * plan.panel() + column)));
      }
    };
    auto branch = scf::IfOp::create(b, loc, isFirst, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    forEach([&](Value product, Value at) { vector::StoreOp::create(b, loc, product, sums, at); });
    b.setInsertionPointToStart(branch.elseBlock());
    forEach([&](Value product, Value at) {
      Value sum = vector::LoadOp::create(b, loc, vector, sums, at);
      vector::StoreOp::create(b, loc, add(sum, product), sums, at);
    });
  }

  /// One register tile of the sums at `output`, a chunk of channels at one of the points: tileRows tiles, whose values
  /// are at `input`, x a panel of columns, whose factors are at `weights`. Meanwhile it prefetches its part of the
  /// filter of the next chunk, at `ahead`: it comes from afar.
  void multiplyTile(Value input, Value weights, Value output, Value isFirst, Value ahead) {
    SmallVector<Value> zeros(plan.tileRows * plan.vectors, everywhere(0));
    auto forOp = scf::ForOp::create(b, loc, constant(0), constant(plan.chunk), constant(plan.step()), zeros);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(forOp.getBody());
      SmallVector<Value> accumulators(forOp.getRegionIterArgs());
      prefetch(s.add(ahead, s.mul(s.div(forOp.getInductionVar(), constant(plan.step())), constant(prefetchShare()))));
      for (int64_t i = 0; i < plan.step(); ++i) {
        Value channel = s.add(forOp.getInductionVar(), constant(i));
        Value from = s.add(weights, s.mul(channel, constant(plan.panel())));
        SmallVector<Value> columns;
        for (int64_t v = 0; v < plan.vectors; ++v)
          columns.push_back(vector::LoadOp::create(b, loc, vector, factors, s.add(from, constant(v * plan.lanes))));
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
    addToSums(forOp.getResults(), output, isFirst);
  }

  /// Numbers of the next chunk's filter that a step of a register tile prefetches: all steps together fetch it whole.
  int64_t prefetchShare() const {
    int64_t numbers = kTaps * kTaps * plan.chunk * plan.panel();
    int64_t steps = kProducts * (plan.blockTiles / plan.tileRows) * (plan.chunk / plan.step());
    return llvm::divideCeil(numbers, steps);
  }

  void prefetch(Value from) {
    for (int64_t number = 0, share = prefetchShare(); number < share; number += kLine)
      memref::PrefetchOp::create(b, loc, filter, s.add(from, constant(number)), /*isWrite=*/false, /*localityHint=*/2,
                                 /*isDataCache=*/true);
  }

  /// The sums of a panel of columns. Tiles beyond the block's last are computed from what is there, and not read.
  void multiply(Value panel) {
    const LinearFunction &taps = kernel.filter.inputs[2]->function;
    Value perChannel = s.value(taps.strides[2]);
    Value rows = s.mul(s.ceilDiv(tileCount, constant(plan.tileRows)), constant(plan.tileRows));
    Value firstChannel = s.add(s.sum(taps.base), s.mul(panel, s.value(taps.tileStride)));
    loop(plan.channels, plan.chunk, [&](Value channel) {
      Value from = s.add(firstChannel, s.mul(channel, perChannel));
      transformFactors(from);
      Value next = s.add(from, s.mul(perChannel, constant(plan.chunk)));
      Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, channel, constant(0));
      int64_t perTile = plan.chunk / plan.step() * prefetchShare();
      loop(kProducts, 1, [&](Value k) {
        loop(constant(0), rows, plan.tileRows, [&](Value row) {
          Value input = s.add(s.mul(k, constant(plan.inputStep())), s.mul(row, constant(plan.channels)));
          Value output = s.add(s.mul(k, constant(plan.sumsStep())), s.mul(row, constant(plan.panel())));
          Value part = s.div(s.add(s.mul(k, constant(plan.blockTiles)), row), constant(plan.tileRows));
          multiplyTile(s.add(input, channel), s.mul(k, constant(plan.filterStep())), output, isFirst,
                       s.add(next, s.mul(part, constant(perTile))));
        });
      });
    });
  }

  /// Which columns from `first` on exist; null if all do.
  Value maskOf(Value first) {
    if (plan.columns % plan.lanes == 0)
      return {};
    auto type = VectorType::get({plan.lanes}, b.getI1Type());
    return vector::CreateMaskOp::create(b, loc, type, ValueRange{s.sub(constant(plan.columns), first)});
  }

  /// To row `i` and column `j` of a tile of the results, from column `first` of the filter on.
  void moveResult(const Place &place, Value i, Value j, Value first, Value mask) {
    Value row = s.add(s.mul(place.down, constant(kTile)), i), at = s.add(s.mul(place.across, constant(kTile)), j);
    result.moveTo({place.image, row, at, first, {}, {}}, mask);
  }

  void storeTile(Value tile, const Place &place, Value column, Value firstColumn, int64_t rows, int64_t width) {
    Value first = s.add(firstColumn, column);
    moveResult(place, constant(0), constant(0), first, maskOf(first));
    SmallVector<Line> all = transformedSums(tile, column);
    SmallVector<Value> accumulators;
    for (int64_t i = 0; i < rows; ++i)
      accumulators.append(all[i].begin(), all[i].begin() + width);
    result.store(accumulators, rows, width);
  }

  /// Likewise of as many rows and columns as only the run tells: they wait in local memory, in place of their sums.
  void storePartOfTile(Value tile, const Place &place, Value column, Value firstColumn, Value rows, Value width) {
    auto at = [&](Value i, Value j) {
      Value number = s.add(s.mul(i, constant(kTile)), j);
      return s.add(s.mul(number, constant(plan.sumsStep())), s.add(s.mul(tile, constant(plan.panel())), column));
    };
    SmallVector<Line> all = transformedSums(tile, column);
    for (int64_t i = 0; i < kTile; ++i)
      for (int64_t j = 0; j < kTile; ++j)
        vector::StoreOp::create(b, loc, all[i][j], sums, at(constant(i), constant(j)));
    Value first = s.add(firstColumn, column), mask = maskOf(first);
    loop(constant(0), rows, 1, [&](Value i) {
      loop(constant(0), width, 1, [&](Value j) {
        moveResult(place, i, j, first, mask);
        result.store(Value(vector::LoadOp::create(b, loc, vector, sums, at(i, j))), 1, 1);
      });
    });
  }

  SmallVector<Line> transformedSums(Value tile, Value column) {
    Value at = s.add(s.mul(tile, constant(plan.panel())), column);
    auto element = [&](int64_t i, int64_t j) -> Value {
      int64_t offset = (i * kPoints + j) * plan.sumsStep();
      return vector::LoadOp::create(b, loc, vector, sums, s.add(at, constant(offset)));
    };
    return transformBoth(kPoints, element, [&](ArrayRef<Value> line) { return transformOutput(line); });
  }

  /// Calls back in a branch for tiles that are whole in a direction, and in another for the last if it is not.
  void forWhole(Value place, int64_t size, llvm::function_ref<void(int64_t)> body) {
    if (size % kTile == 0)
      return body(kTile);
    int64_t tiles = llvm::divideCeil(size, kTile);
    Value isLast = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, place, constant(tiles - 1));
    auto branch = scf::IfOp::create(b, loc, isLast, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    body(size % kTile);
    b.setInsertionPointToStart(branch.elseBlock());
    if (tiles > 1)
      body(kTile);
  }

  /// The vectors of the panel that have columns.
  void forEachVector(Value firstColumn, llvm::function_ref<void(Value)> body) {
    Value panel = constant(plan.panel());
    Value upper = plan.columns % plan.panel() ? s.min(panel, s.sub(constant(plan.columns), firstColumn)) : panel;
    loop(constant(0), upper, plan.lanes, body);
  }

  void transformSums(Value firstColumn) {
    loop(constant(0), tileCount, 1, [&](Value tile) {
      Place place = placeOf(tile);
      if (ShapedType::isDynamic(plan.rows) || ShapedType::isDynamic(plan.width))
        return transformOpenSums(tile, place, firstColumn);
      forWhole(place.down, plan.rows, [&](int64_t rows) {
        forWhole(place.across, plan.width, [&](int64_t width) {
          forEachVector(firstColumn, [&](Value column) { storeTile(tile, place, column, firstColumn, rows, width); });
        });
      });
    });
  }

  void transformOpenSums(Value tile, const Place &place, Value firstColumn) {
    auto left = [&](Value place, unsigned loop) {
      return s.min(constant(kTile), s.sub(s.value(kernel.outputs.loops[loop].size), s.mul(place, constant(kTile))));
    };
    Value rows = left(place.down, 1), width = left(place.across, 2);
    Value isWhole = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, s.add(rows, width), constant(2 * kTile));
    auto branch = scf::IfOp::create(b, loc, isWhole, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    forEachVector(firstColumn, [&](Value column) { storeTile(tile, place, column, firstColumn, kTile, kTile); });
    b.setInsertionPointToStart(branch.elseBlock());
    forEachVector(firstColumn, [&](Value column) { storePartOfTile(tile, place, column, firstColumn, rows, width); });
  }

  void emit() {
    int64_t used = 0;
    auto local = [&](int64_t step) -> Value {
      auto type = MemRefType::get({ShapedType::kDynamic}, b.getF32Type());
      Value from = constant(used * 4), numbers = constant(kProducts * step);
      used += kProducts * step;
      return memref::ViewOp::create(b, loc, type, values.local, from, numbers);
    };
    filter = flatView(b, loc, s, values.bindings[kernel.filter.inputs[2]->binding]);
    transformed = local(plan.inputStep());
    factors = local(plan.filterStep());
    sums = local(plan.sumsStep());
    result.writeBorders();
    firstTile = s.mul(values.workgroup[1], constant(plan.blockTiles));
    // A workgroup that only writes a border has no tiles.
    tileCount =
        s.max(constant(0), s.min(constant(plan.blockTiles), s.sub(allTiles(image.symbols(), kernel), firstTile)));
    Value firstColumn = s.mul(values.workgroup[0], constant(plan.groupColumns));
    Value columns = s.min(constant(plan.groupColumns), s.sub(constant(plan.columns), firstColumn));
    transformTiles();
    loop(firstColumn, s.add(firstColumn, columns), plan.panel(), [&](Value column) {
      multiply(s.div(column, constant(plan.panel())));
      transformSums(column);
    });
  }
};

int64_t panelOf(int64_t outputs, const CpuTargetModel &machine) {
  return choosePanel(machine, machine.lanes(32), 32, outputs, ShapedType::kDynamic);
}

/// Vectors of one register, even where there are wider ones: a transform has 36 values at a time.
int64_t lanesOf(const CpuTargetModel &machine) { return std::max<int64_t>(machine.registerBits / 32, 1); }

bool canTake(const eyrie::graph::WinogradCandidate &candidate, const CpuTargetModel &machine) {
  return candidate.element.isF32() && candidate.channels % lanesOf(machine) == 0 &&
         2 * candidate.outputs > lanesOf(machine); // fewer are packed for shorter vectors
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
  const Expression *weights = kernel.filter.inputs[2];
  if (weights->kind != Expression::Kind::Load || !weights->function.tile || weights->function.tile % plan.lanes) {
    reason = "the filter is not packed";
    return failure();
  }
  plan.vectors = weights->function.tile / plan.lanes;
  plan.chunk = chooseChunk(plan, machine);
  chooseBlocks(plan, size(kernel.outputs, 0), machine);
  return plan;
}
} // namespace

bool eyrie::target::cpu::isWinograd(func::FuncOp tensorFunc) {
  return bool(graph::findMarked(tensorFunc, eyrie::graph::kWinograd));
}

/// Counts vector operations: sums of products, the transforms, and what it costs to stream the filter: about two bytes
/// come from memory for each operation.
bool eyrie::target::cpu::isWinogradFaster(const graph::WinogradCandidate &candidate, const CpuTargetModel &machine) {
  if (!canTake(candidate, machine))
    return false;
  // Columns that do not exist fill a panel up.
  int64_t panel = panelOf(candidate.outputs, machine);
  double lanes = lanesOf(machine), channels = candidate.channels, outputs = llvm::alignTo(candidate.outputs, panel);
  double tiles = likelyTiles(candidate.batch, candidate.rows, candidate.width);
  double pairs = channels * outputs, stream = kTaps * kTaps * pairs * 4 / 2;
  // An open size counts as whole tiles.
  auto used = [](int64_t size) {
    return ShapedType::isDynamic(size) ? 1 : double(size) / llvm::alignTo(std::max<int64_t>(size, 1), kTile);
  };
  double pixels = tiles * kTile * kTile * used(candidate.rows) * used(candidate.width);
  double direct = pixels * kTaps * kTaps * channels * llvm::alignTo(candidate.outputs, lanesOf(machine)) / lanes;
  double blocks = std::ceil(tiles / fittingTiles(channels, panel, machine));
  // The filter's transform is bound by its 36 stores: it takes as long as 250 operations, as measured.
  double transforms = (tiles * (channels * 150 + outputs * 130) + blocks * pairs * 250) / lanes;
  double products = tiles * kProducts * pairs / lanes;
  return 1.25 * std::max(transforms + products, stream) < std::max(direct, stream);
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
  Symbols s(workgroups, func, winograd->tiles, workgroupIndices(kernel));
  Value blocks = s.ceilDiv(allTiles(s, *winograd), s.constant(plan->blockTiles));
  if (winograd->outputs.hasBorder())
    blocks = s.max(blocks, s.constant(1));
  kernel.setWorkgroups({s.constant(llvm::divideCeil(plan->columns, plan->groupColumns)), blocks});
  return success();
}
