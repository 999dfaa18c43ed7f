#include "compiler/target/cpu/contraction/Emit.h"
#include "compiler/target/cpu/contraction/BodyEvaluator.h"
#include "compiler/target/cpu/contraction/Moves.h"
#include "compiler/target/cpu/contraction/Sums.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace eyrie::target::cpu;

namespace {

/// Local memory in bytes; 8 per element whatever its type.
int64_t panelBytes(const Contraction &contraction, const Plan &plan) {
  if (!plan.localPanel())
    return 0;
  int64_t elements = plan.panel();
  for (unsigned loop : plan.reductions)
    elements *= contraction.loops[loop].facts.most;
  return llvm::alignTo(elements * 8, 64);
}
int64_t stagedBytes(const Plan &plan) {
  return plan.staged ? plan.tileRows * plan.tileBands * stagedPitch(plan) * 8 : 0;
}

/// A tile unit has rows that do not exist.
int64_t rowsOfTile(const Plan &plan) {
  return plan.usesTileUnit ? llvm::alignTo(plan.tileRows, TileUnit::rows) : plan.tileRows;
}

/// Accumulators of one tile, kept for its epilogue.
int64_t keptBytes(const Plan &plan) {
  return plan.loopsOverEpilogue ? rowsOfTile(plan) * plan.tileBands * plan.panel() * 8 : 0;
}

/// Copies of what a tile unit cannot read where it lies: rows, and columns.
int64_t unitBytes(const Plan &plan) {
  return plan.usesTileUnit ? rowsOfTile(plan) * TileUnit::rowBytes + TileUnit::groups * plan.panel() * 4 : 0;
}

struct Emitter : Sums {
  using Sums::Sums;

  Value existingRows;                 // of a tile some of whose rows may not exist
  const RowBlock *rowBlock = nullptr; // all that is wanted, if there is one

  // ---- the register tile -----------------------------------------------------------------------------------------

  void emitTile(int64_t bands, int64_t rows) {
    tileBands = bands;
    tileRows = rows;
    forgetValues();
    if (keepsSums()) {
      loadSums();
    } else if (!plan.usesTileUnit) {
      SmallVector<Value> initial;
      forEachVector([&](int64_t band, int64_t row, int64_t vector) {
        initial.push_back(broadcastTo(b, evaluate(contraction.init, band, row, vector), plan.lanes));
      });
      accumulators = initial;
    }
    if (!keepsSums() || !rowBlock->finishes)
      emitSums();
    if (keepsSums() && !rowBlock->finishes)
      storeSums();
    else if (plan.usesTileUnit || (plan.loopsOverEpilogue && tileBands * tileRows > 1))
      emitResultsInLoop();
    else
      emitResults();
  }

  /// The epilogue once for all rows of the tile: as code for each register it would take the compiler long, and the
  /// processor's cache of instructions.
  void emitResultsInLoop() {
    auto place = [&](int64_t number) { return constant(number * plan.lanes); };
    if (!plan.usesTileUnit)
      for (auto [number, accumulator] : llvm::enumerate(accumulators))
        vector::StoreOp::create(b, loc, accumulator, keptMemory, place(number));
    VectorType type = vectorType(cast<MemRefType>(keptMemory.getType()).getElementType());
    int64_t bands = std::exchange(tileBands, 1), rows = std::exchange(tileRows, 1);
    SmallVector<Value> uncertain = std::exchange(repeated, {});
    auto rowLoop = [&](Value firstKept) {
      Value first = at[*plan.row];
      loop(constant(0), uncertain.empty() ? constant(rows) : existingRows, 1, [&](Value row) {
        at[*plan.row] = s.add(first, row);
        Value kept = s.add(firstKept, s.mul(row, place(columns.vectors)));
        accumulators.clear();
        for (int64_t vector = 0; vector < columns.vectors; ++vector)
          accumulators.push_back(vector::LoadOp::create(b, loc, type, keptMemory, s.add(kept, place(vector))));
        emitResults();
      });
      at[*plan.row] = first;
    };
    if (bands == 1) {
      rowLoop(constant(0));
    } else {
      Value first = at[*plan.band];
      loop(constant(0), constant(bands), 1, [&](Value band) {
        at[*plan.band] = s.add(first, band);
        rowLoop(s.mul(band, place(rows * columns.vectors)));
      });
      at[*plan.band] = first;
    }
    tileBands = bands;
    tileRows = rows;
    repeated = uncertain;
  }

  // ---- loops around it -------------------------------------------------------------------------------------------

  /// Rows [lower, upper) in tiles of `bands` bands.
  void emitRows(Value lower, Value upper, int64_t bands) {
    unsigned row = *plan.row;
    auto tiles = [&](Value from, int64_t size) {
      Value end = s.add(from, s.mul(s.div(s.sub(upper, from), constant(size)), constant(size)));
      if (from == end)
        return end;
      loop(from, end, size, [&](Value first) {
        at[row] = first;
        emitTile(bands, size);
      });
      return end;
    };
    if (plan.pairRows) {
      emitPairAtEnd(lower, upper, bands);
      at[row] = Value();
      return;
    }
    Value from = tiles(lower, plan.tileRows);
    if (!contraction.loops[row].size.isConstant())
      emitTail(from, s.sub(upper, from), bands);
    else if (!plan.rowTails.empty())
      tiles(from, plan.rowTails.front());
    at[row] = Value();
  }

  /// Full tiles, and behind them a pair of tails or one.
  void emitPairAtEnd(Value lower, Value upper, int64_t bands) {
    Value one = constant(1), tile = constant(plan.tileRows);
    Value full = s.div(s.sub(upper, lower), tile), left = s.rem(s.sub(upper, lower), tile);
    auto is = [&](arith::CmpIPredicate predicate, Value a, int64_t number) -> Value {
      return arith::CmpIOp::create(b, loc, predicate, a, constant(number));
    };
    Value isPair = arith::AndIOp::create(
        b, loc, is(arith::CmpIPredicate::sgt, full, 0),
        arith::AndIOp::create(b, loc, is(arith::CmpIPredicate::sgt, left, 0),
                              is(arith::CmpIPredicate::sle, left, plan.pairRows - plan.tileRows)));
    full = arith::SelectOp::create(b, loc, isPair, s.sub(full, one), full);
    Value from = s.add(lower, s.mul(full, tile)), half = s.div(s.add(s.add(left, tile), one), constant(2));
    loop(lower, from, plan.tileRows, [&](Value first) {
      at[*plan.row] = first;
      emitTile(bands, plan.tileRows);
    });
    Value step = arith::SelectOp::create(b, loc, isPair, half, s.max(left, one));
    emitLoop(b, loc, from, upper, step, [&](Value part) { emitTail(part, s.min(step, s.sub(upper, part)), bands); });
  }

  /// The `left` rows behind `from`: one of the tiles takes all of them.
  void emitTail(Value from, Value left, int64_t bands) {
    auto is = [&](arith::CmpIPredicate predicate, int64_t rows) -> Value {
      return arith::CmpIOp::create(b, loc, predicate, left, constant(rows));
    };
    for (auto [i, tail] : llvm::enumerate(plan.rowTails)) {
      int64_t smaller = i ? plan.rowTails[i - 1] : 0, least = smaller + plan.rowStep;
      Value hasRoom = is(arith::CmpIPredicate::sle, tail), isNeeded = is(arith::CmpIPredicate::sgt, smaller);
      auto only = scf::IfOp::create(b, loc, arith::AndIOp::create(b, loc, hasRoom, isNeeded), /*withElse=*/false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(&only.getThenRegion().front());
      at[*plan.row] = from;
      certainRows = least;
      existingRows = left;
      for (int64_t row = certainRows; row < tail; ++row)
        repeated.push_back(s.min(constant(row), s.sub(left, constant(1))));
      emitTile(bands, tail);
      repeated.clear();
    }
  }

  void emitBlock(Value block) {
    if (rowBlock) {
      blockStart = firstRow;
      emitRows(firstRow, rowBlock->upper, 1);
      return;
    }
    if (!plan.row) {
      emitTile(1, 1);
      return;
    }
    Value rows = s.value(contraction.loops[*plan.row].size);
    if (!plan.band) {
      int64_t size = plan.tileRows * plan.blockTiles;
      Value lower = blockStart = s.mul(block, constant(size));
      emitRows(lower, s.min(s.add(lower, constant(size)), rows), 1);
      return;
    }
    int64_t size = plan.tileBands * plan.blockTiles, bands = contraction.loops[*plan.band].size.factor;
    Value lower = blockStart = s.mul(block, constant(size));
    Value upper = s.min(s.add(lower, constant(size)), constant(bands));
    auto bandLoop = [&](Value from, Value to, int64_t count) {
      loop(from, to, count, [&](Value band) {
        at[*plan.band] = band;
        emitRows(constant(0), rows, count);
        at[*plan.band] = Value();
      });
    };
    int64_t left = bands % plan.tileBands;
    Value full = upper;
    if (left)
      full = s.min(upper, constant(bands - left));
    bandLoop(lower, full, plan.tileBands);
    if (left)
      bandLoop(full, upper, left);
  }

  /// lanes x lanes elements: lines of columns are loaded, shuffled, and stored as rows.
  void emitTransposedBlock(const Expression *operand, Value from, Value to, int64_t vector, Value width) {
    VectorType type = vectorType(elementType(operand->binding));
    int64_t lanes = plan.lanes;
    SmallVector<Value> rows;
    for (int64_t i = 0; i < lanes; ++i) {
      Value column = constant(vector * lanes + i);
      if (!columns.masks.empty()) // columns that do not exist repeat the last
        column = s.min(column, s.sub(width, constant(1)));
      Value address = s.add(from, s.mul(column, s.value(operand->function.strides[plan.column])));
      rows.push_back(vector::LoadOp::create(b, loc, type, flat[operand->binding], address));
    }
    rows = transposeVectors(b, loc, rows);
    Value memory = redirections[operand].memory;
    for (int64_t i = 0; i < lanes; ++i)
      vector::StoreOp::create(b, loc, rows[i], memory, s.add(to, constant(i * plan.panel() + vector * lanes)));
  }

  /// Computes the panel of the widened operand into local memory.
  void emitWidenedPanel() {
    auto redirection = redirections.find(plan.widened);
    const auto [memory, function] = redirection->second;
    redirections.erase(redirection);
    Type element = cast<MemRefType>(memory.getType()).getElementType();
    tileBands = tileRows = 1;
    std::function<void(size_t, Value)> nest = [&](size_t depth, Value to) {
      if (depth < plan.reductions.size()) {
        unsigned reduction = plan.reductions[depth];
        loop(constant(0), s.value(contraction.loops[reduction].size), 1, [&](Value i) {
          at[reduction] = i;
          nest(depth + 1, s.add(to, s.mul(i, s.value(function.strides[reduction]))));
          at[reduction] = Value();
        });
        return;
      }
      forgetValues();
      for (int64_t vector = 0; vector < columns.vectors; ++vector) {
        Value value = broadcastTo(b, evaluate(plan.widened, 0, 0, vector), plan.lanes);
        vector::StoreOp::create(b, loc, widen(b, value, element), memory, s.add(to, constant(vector * plan.lanes)));
      }
      forgetValues();
    };
    nest(0, constant(0));
    redirections[plan.widened] = {memory, function};
  }

  /// Copies the panel of the column-strided operand to local memory, columns innermost.
  void emitTranspose() {
    const Expression *operand = plan.transposed;
    const LinearFunction &function = operand->function;
    const auto &[local, panelFunction] = redirections[operand];
    Value source = startOf(function);
    Value width = s.min(constant(plan.panel()),
                        s.sub(s.value(contraction.loops[plan.column].size), s.mul(panel, constant(plan.panel()))));
    Type element = elementType(operand->binding);
    unsigned bits = element.isIndex() ? 64 : element.getIntOrFloatBitWidth();
    unsigned innermost = plan.reductions.empty() ? plan.column : plan.reductions.back(); // none: all are of size 1
    bool byBlocks = innermost != plan.column && function.strides[innermost].isOne() && plan.lanes > 1 &&
                    llvm::isPowerOf2_64(plan.lanes) && plan.lanes <= machine.vectorsInRegisters(plan.lanes, bits) &&
                    contraction.loops[innermost].facts.isMultipleOf(plan.lanes);
    std::function<void(size_t, Value, Value)> nest = [&](size_t depth, Value from, Value to) {
      if (byBlocks && depth + 1 == plan.reductions.size()) {
        loop(constant(0), s.value(contraction.loops[innermost].size), plan.lanes, [&](Value i) {
          for (int64_t vector = 0; vector < columns.vectors; ++vector)
            emitTransposedBlock(operand, s.add(from, i), s.add(to, s.mul(i, constant(plan.panel()))), vector, width);
        });
        return;
      }
      if (depth < plan.reductions.size()) {
        unsigned reduction = plan.reductions[depth];
        loop(constant(0), s.value(contraction.loops[reduction].size), 1, [&](Value i) {
          nest(depth + 1, s.add(from, s.mul(i, s.value(function.strides[reduction]))),
               s.add(to, s.mul(i, s.value(panelFunction.strides[reduction]))));
        });
        return;
      }
      loop(constant(0), width, 1, [&](Value i) {
        Value value = memref::LoadOp::create(b, loc, flat[operand->binding],
                                             s.add(from, s.mul(i, s.value(function.strides[plan.column]))));
        memref::StoreOp::create(b, loc, value, redirections[operand].memory, s.add(to, i));
      });
    };
    nest(0, source, constant(0));
  }

  /// Masks for a panel of `width` columns, none for a vector that is full; kDynamic: as many as the panel's number
  /// says.
  void chooseMasks(int64_t width) {
    VectorType type = vectorType(b.getI1Type());
    for (int64_t vector = 0; vector < columns.vectors; ++vector) {
      int64_t before = vector * plan.lanes;
      Value &mask = columns.masks.emplace_back();
      if (width != ShapedType::kDynamic && width - before >= plan.lanes)
        continue;
      Value left = width != ShapedType::kDynamic
                       ? constant(width - before)
                       : s.sub(s.value(contraction.loops[plan.column].size), s.add(at[plan.column], constant(before)));
      mask = vector::CreateMaskOp::create(b, loc, type, ValueRange{left});
    }
  }

  void emitPanel(Value number, Value block, int64_t vectors, std::optional<int64_t> maskedWidth = std::nullopt) {
    panel = number;
    at[plan.column] = s.mul(number, constant(plan.panel()));
    columns = {vectors, {}};
    if (maskedWidth)
      chooseMasks(*maskedWidth);
    if (plan.transposed)
      emitTranspose();
    if (plan.widened)
      emitWidenedBlock(block);
    else
      emitBlock(block);
    at[plan.column] = Value();
  }

  /// Of few rows each tile computes the operand for itself; whether there are few may only be known when it runs.
  void emitWidenedBlock(Value block) {
    auto widened = [&] {
      emitWidenedPanel();
      emitBlock(block);
    };
    int64_t fewRows = Plan::fewTiles * plan.tileRows;
    if (plan.band || contraction.loops[*plan.row].facts.least >= fewRows)
      return widened();
    Value isMany = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, s.value(contraction.loops[*plan.row].size),
                                         constant(fewRows));
    auto branch = scf::IfOp::create(b, loc, isMany, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    widened();
    Redirection local = redirections[plan.widened];
    redirections.erase(plan.widened);
    b.setInsertionPointToStart(branch.elseBlock());
    emitBlock(block);
    redirections[plan.widened] = local;
  }

  void emitPanels(Value lower, Value upper, Value block) {
    const auto &[size, isReduction, facts] = contraction.loops[plan.column];
    bool packed = false;
    for (const auto &expression : contraction.expressions)
      packed |= expression->kind == Expression::Kind::Load && expression->function.tile;
    if (facts.isMultipleOf(plan.panel())) {
      loop(lower, upper, 1, [&](Value number) { emitPanel(number, block, plan.columnVectors); });
      return;
    }
    // Where one vector is all that may be left, it is whole.
    bool isHalfPanel = plan.columnVectors == 2 && facts.isMultipleOf(plan.lanes);
    std::optional<int64_t> lastWidth = ShapedType::kDynamic;
    int64_t tailVectors = isHalfPanel ? 1 : plan.columnVectors;
    if (size.isConstant()) {
      lastWidth = size.factor % plan.panel();
      tailVectors = llvm::divideCeil(*lastWidth, plan.lanes);
    }
    if (size.isConstant() && size.factor < plan.panel()) {
      loop(lower, upper, 1, [&](Value number) { emitPanel(number, block, tailVectors, lastWidth); });
      return;
    }
    if (size.isConstant() && packed && machine.fastMasks && tailVectors == plan.columnVectors) {
      loop(lower, upper, 1, [&](Value number) { emitPanel(number, block, tailVectors, ShapedType::kDynamic); });
      return;
    }
    if (isHalfPanel)
      lastWidth = std::nullopt;
    Value full = s.min(upper, s.div(s.value(size), constant(plan.panel())));
    full = s.max(lower, full);
    loop(lower, full, 1, [&](Value number) { emitPanel(number, block, plan.columnVectors); });
    loop(full, upper, 1, [&](Value number) { emitPanel(number, block, tailVectors, lastWidth); });
  }

  void setUpLocalMemory() {
    auto view = [&](Type element, int64_t offset, int64_t elements) -> Value {
      auto type = MemRefType::get({ShapedType::kDynamic}, element);
      return memref::ViewOp::create(b, loc, type, values.local, constant(offset), ValueRange{constant(elements)});
    };
    int64_t ofPanel = panelBytes(contraction, plan), staged = stagedBytes(plan);
    Type sum = getElementTypeOrSelf(linalg::GenericOp(contraction.root)->getResultTypes()[0]);
    if (plan.staged)
      stagedMemory = view(elementType(plan.staged->binding), ofPanel, staged / 8);
    if (plan.loopsOverEpilogue)
      keptMemory = view(sum, ofPanel + staged, keptBytes(plan) / 8);
    if (plan.usesTileUnit) {
      Type element = contraction.dot->product.elementType();
      int64_t bytes = element.getIntOrFloatBitWidth() / 8, first = ofPanel + staged + keptBytes(plan);
      int64_t rowsBytes = rowsOfTile(plan) * TileUnit::rowBytes, columnsBytes = TileUnit::groups * plan.panel() * 4;
      unitMemory = {view(element, first, rowsBytes / bytes), view(element, first + rowsBytes, columnsBytes / bytes)};
    }
    const Expression *operand = plan.localPanel();
    if (!operand)
      return;
    LinearFunction function;
    function.strides.assign(contraction.loops.size(), Monomial());
    int64_t stride = plan.panel();
    for (unsigned reduction : llvm::reverse(plan.reductions)) {
      function.strides[reduction] = Monomial(stride);
      stride *= contraction.loops[reduction].facts.most;
    }
    function.strides[plan.column] = Monomial(1);
    function.tile = plan.panel(); // panels overwrite each other: the panel's number does not matter
    function.tiledLoop = plan.column;
    redirections[operand] = {view(operand == plan.widened ? sum : elementType(operand->binding), 0, stride), function};
  }

  void emitRowBlock(const RowBlock &block) {
    rowBlock = &block;
    at.assign(block.point.begin(), block.point.end());
    steps.assign(contraction.loops.size(), Value());
    firstRow = block.lower;
    firstColumn = block.firstColumn;
    firstStep = block.firstStep;
    endStep = block.endStep;
    flatten();
    setUpLocalMemory();
    Value first = firstColumn ? s.div(firstColumn, constant(plan.panel())) : constant(0);
    Value end = block.endColumn ? block.endColumn : s.value(contraction.loops[plan.column].size);
    emitPanels(first, s.ceilDiv(end, constant(plan.panel())), Value());
  }

  bool keepsSums() const { return rowBlock && rowBlock->sums; }
  /// Where a sum of the tile lies in the block's memory.
  Value placeOfSum(int64_t band, int64_t row, int64_t vector) {
    LinearFunction function;
    function.strides.assign(contraction.loops.size(), Monomial());
    function.strides[*plan.row] = Monomial(rowBlock->sumsPitch);
    function.strides[plan.column] = Monomial(1);
    function.isInBlock = true;
    return shifted({startOf(function), 0}, function, band, row, vector);
  }
  void loadSums() {
    accumulators.clear();
    VectorType type = vectorType(cast<MemRefType>(rowBlock->sums.getType()).getElementType());
    forEachVector([&](int64_t band, int64_t row, int64_t vector) {
      accumulators.push_back(vector::LoadOp::create(b, loc, type, rowBlock->sums, placeOfSum(band, row, vector)));
    });
  }
  void storeSums() {
    forEachVector([&](int64_t band, int64_t row, int64_t vector) {
      Value sum = accumulators[(band * tileRows + row) * columns.vectors + vector];
      vector::StoreOp::create(b, loc, sum, rowBlock->sums, placeOfSum(band, row, vector));
    });
  }

  void emit() {
    at.assign(contraction.loops.size(), Value());
    steps.assign(contraction.loops.size(), Value());
    flatten();
    setUpLocalMemory();
    emitBorders();
    Grid grid = computeGrid(s, contraction, plan);
    Value outerLower = s.mul(values.workgroup[2], grid.outerPerGroup);
    Value outerUpper = s.min(s.add(outerLower, grid.outerPerGroup), grid.outer);
    Value panelLower = s.mul(values.workgroup[0], grid.panelsPerGroup);
    Value panelUpper = s.min(s.add(panelLower, grid.panelsPerGroup), grid.panels);
    auto body = [&](Value point) {
      for (unsigned l : llvm::reverse(plan.outer)) {
        Value size = s.value(contraction.loops[l].size);
        at[l] = l == plan.outer.front() ? point : s.rem(point, size);
        if (l != plan.outer.front())
          point = s.div(point, size);
      }
      emitPanels(panelLower, panelUpper, values.workgroup[1]);
    };
    if (plan.outer.empty())
      body(Value());
    else
      loop(outerLower, outerUpper, 1, body);
  }
};

} // namespace

int64_t eyrie::target::cpu::localBytes(const Contraction &contraction, const Plan &plan) {
  return panelBytes(contraction, plan) + stagedBytes(plan) + keptBytes(plan) + unitBytes(plan);
}

void eyrie::target::cpu::emitKernel(OpBuilder &b, func::FuncOp func, const Contraction &contraction, const Plan &plan,
                                    const CpuTargetModel &machine, const KernelValues &values) {
  Symbols symbols(b, func, contraction, values.indices);
  Emitter(b, func, contraction, plan, machine, values, symbols).emit();
}

void eyrie::target::cpu::emitRowBlock(OpBuilder &b, func::FuncOp func, const Contraction &contraction, const Plan &plan,
                                      const CpuTargetModel &machine, const KernelValues &values, Symbols &symbols,
                                      const RowBlock &block) {
  Emitter(b, func, contraction, plan, machine, values, symbols).emitRowBlock(block);
}

std::array<Value, 3> eyrie::target::cpu::emitWorkgroupCounts(OpBuilder &b, func::FuncOp func,
                                                             const Contraction &contraction, const Plan &plan,
                                                             ValueRange indices) {
  Symbols symbols(b, func, contraction, indices);
  Grid grid = computeGrid(symbols, contraction, plan);
  // A border is there even if nothing is inside.
  if (contraction.hasBorder())
    for (Value &count : grid.count)
      count = symbols.max(count, symbols.constant(1));
  return {grid.count[0], grid.count[1], grid.count[2]};
}
