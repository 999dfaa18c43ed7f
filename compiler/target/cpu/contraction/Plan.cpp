#include "compiler/target/cpu/contraction/Plan.h"
#include "compiler/target/cpu/contraction/BodyEvaluator.h"
#include "compiler/target/cpu/contraction/TileUnit.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace eyrie::target::cpu;

namespace {

void forEachLoad(Expression *expression, llvm::function_ref<void(Expression *)> callback) {
  if (!expression)
    return;
  if (expression->kind == Expression::Kind::Load)
    callback(expression);
  for (Expression *operand : expression->operands)
    forEachLoad(operand, callback);
}

/// About how many instructions an expression takes for one vector. A function of `math` takes a polynomial.
int64_t costOf(const Expression *expression, llvm::SmallPtrSetImpl<const Expression *> &seen) {
  if (!expression || expression->kind != Expression::Kind::Body || !seen.insert(expression).second)
    return 0;
  int64_t cost = 0;
  for (Operation &op : linalg::GenericOp(expression->generic).getBlock()->without_terminator()) {
    bool isFunction = isa_and_nonnull<math::MathDialect>(op.getDialect()) &&
                      !isa<math::RoundEvenOp, math::FloorOp, math::CeilOp, math::AbsFOp, math::SqrtOp, math::FmaOp>(op);
    cost += isFunction ? 16 : op.hasTrait<OpTrait::ConstantLike>() ? 0 : 1;
  }
  for (const Expression *operand : expression->operands)
    cost += costOf(operand, seen);
  return cost;
}

int64_t mostOr(const Loop &loop, int64_t otherwise) { return loop.facts.hasBound() ? loop.facts.most : otherwise; }

unsigned bitsOf(Type type) { return type.isIndex() ? 64 : type.getIntOrFloatBitWidth(); }

struct Planner {
  const Contraction &contraction;
  const CpuTargetModel &machine;
  std::string &reason;
  std::optional<RowChoice> rows;
  Plan plan;
  SmallVector<Expression *> loads; // of the root's inputs
  unsigned elementBits = 0;        // of the root's result
  int64_t packedTile = 0;          // columns of a packed operand's tile; 0: there is none

  LogicalResult fail(StringRef text) {
    reason = text.str();
    return failure();
  }
  Type elementTypeOf(Expression *load) const {
    auto func = linalg::GenericOp(contraction.root)->getParentOfType<func::FuncOp>();
    return getElementTypeOrSelf(func.getArgumentTypes()[load->binding]);
  }
  const Loop &loop(unsigned number) const { return contraction.loops[number]; }
  const Monomial &size(unsigned number) const { return loop(number).size; }

  /// Do all iterations of `loop` share the vectors of some operand?
  bool sharesVectors(unsigned loop) const {
    return llvm::any_of(loads, [&](Expression *load) {
      return !load->function.dependsOn(loop) && load->function.dependsOn(plan.column);
    });
  }

  std::optional<unsigned> unitStrideLoop() const;
  void shortenVectors(int64_t elements);
  LogicalResult chooseColumn();
  LogicalResult chooseRows();
  bool runAlongReduction();
  bool hasWindows() const;
  void chooseTile();
  bool takesTileUnit() const;
  void chooseTileUnit();
  void chooseBlock();
  Expression *conflictingRows() const;
  void chooseStaging();
  bool isWidened(unsigned number) const;
  void chooseWidening();
  void chooseStreaming();
  int64_t tilesOfBlock(int64_t rows) const;
  Expression *packedOperand(int64_t leastBytes) const;
};

std::optional<unsigned> Planner::unitStrideLoop() const {
  std::optional<unsigned> found;
  for (unsigned loop = 0; loop < contraction.loops.size(); ++loop)
    if (!contraction.loops[loop].isReduction && contraction.outputs[0].function.strides[loop].isOne())
      found = loop;
  return found;
}

/// No longer ones than so many elements need.
void Planner::shortenVectors(int64_t elements) {
  while (plan.lanes / 2 >= std::max<int64_t>(elements, 4))
    plan.lanes /= 2;
}

LogicalResult Planner::chooseColumn() {
  std::optional<unsigned> column = unitStrideLoop();
  if (!column)
    return fail("no parallel loop walks the result with unit stride");
  plan.column = *column;

  for (Expression *load : loads) {
    if (load->function.group)
      return fail("an operand is packed in groups that no dot product takes");
    if (load->function.tile) {
      if (load->function.tiledLoop != plan.column)
        return fail("an operand is packed along a loop that is not the result's innermost");
      if (packedTile && packedTile != load->function.tile)
        return fail("two operands are packed with different tiles");
      packedTile = load->function.tile;
    }
    const Monomial &stride = load->function.strides[plan.column];
    if (stride.isZero() || stride.isOne() || (contraction.dot && load == contraction.dot->vectors))
      continue;
    bool isInput = llvm::is_contained(contraction.inputs, load);
    if (!isInput || plan.transposed || load->function.tile)
      return fail("an operand has no unit stride along the result's innermost loop");
    plan.transposed = load;
  }

  unsigned bits = bitsOf(getElementTypeOrSelf(linalg::GenericOp(contraction.root)->getResultTypes()[0]));
  if (bits < 8)
    return fail("a reduction of booleans");
  plan.lanes = machine.lanes(bits);
  elementBits = bits;
  if (packedTile) {
    while (plan.lanes > 1 && packedTile % plan.lanes)
      plan.lanes /= 2;
    return success();
  }
  shortenVectors(mostOr(loop(plan.column), plan.lanes));
  return success();
}

LogicalResult Planner::chooseRows() {
  SmallVector<unsigned> candidates;
  for (unsigned loop = 0; loop < contraction.loops.size(); ++loop) {
    if (contraction.loops[loop].isReduction)
      plan.reductions.push_back(loop);
    else if (loop != plan.column) {
      if (loads.size() > 1 && sharesVectors(loop))
        candidates.push_back(loop);
    }
  }
  if (rows && !llvm::is_contained(candidates, rows->loop))
    return fail("its rows share no vectors");
  if (rows) {
    plan.row = rows->loop;
  } else if (!candidates.empty()) {
    // Rows walk the result; the innermost such loop is the one with the nearest elements.
    plan.row = candidates.back();
    if (candidates.size() > 1 && size(candidates.back()).isConstant()) {
      unsigned band = candidates[candidates.size() - 2];
      if (size(band).isConstant())
        plan.band = band;
    }
  }
  for (unsigned loop = 0; loop < contraction.loops.size(); ++loop)
    if (!contraction.loops[loop].isReduction && loop != plan.column && loop != plan.row && loop != plan.band)
      plan.outer.push_back(loop);
  if (plan.transposed) {
    if (!plan.row || plan.transposed->function.dependsOn(*plan.row) ||
        (plan.band && plan.transposed->function.dependsOn(*plan.band)))
      return fail("an operand without unit stride is read once");
    for (unsigned reduction : plan.reductions)
      if (!loop(reduction).facts.hasBound())
        return fail("an operand without unit stride has a reduction of unbounded size");
  }
  return success();
}

/// Makes a plan whose vectors run along the innermost reduction, if operands allow it.
bool Planner::runAlongReduction() {
  std::optional<unsigned> column = unitStrideLoop(), along;
  linalg::GenericOp root = contraction.root;
  for (unsigned number = 0; number < contraction.loops.size(); ++number)
    if (contraction.loops[number].isReduction)
      along = number;
  Type element = getElementTypeOrSelf(root->getResultTypes()[0]);
  Operation *combiner = combinerOf(root);
  if (rows || contraction.dot || !column || !along || !combiner || !arith::getNeutralElement(combiner) ||
      !(element.isF32() || element.isF64() || element.isInteger(32) || element.isInteger(64)))
    return false;
  bool hasVectors = false, conflicts = false;
  for (Expression *load : loads) {
    const Monomial &stride = load->function.strides[*along], &distance = load->function.strides[*column];
    if (load->function.tile || load->function.group || !(stride.isZero() || stride.isOne()))
      return false;
    hasVectors |= stride.isOne();
    conflicts |= stride.isOne() && distance.isConstant() && !distance.isZero() &&
                 distance.factor * bitsOf(elementTypeOf(load)) / 8 % machine.l1WayBytes == 0;
  }
  // LLVM's vectoriser does well by sums of few: it takes their columns for lanes.
  constexpr int64_t few = 8;
  if (!hasVectors || mostOr(loop(*along), few + 1) <= few)
    return false;
  plan = Plan();
  plan.column = *column;
  plan.along = along;
  elementBits = bitsOf(element);
  plan.lanes = machine.lanes(elementBits);
  // Each column of a vector of results has a register.
  while (plan.lanes > machine.vectorsInRegisters(plan.lanes, elementBits) - machine.spareRegisters - 2)
    plan.lanes /= 2;
  shortenVectors(mostOr(loop(*along), plan.lanes));
  if (mostOr(loop(*column), plan.lanes) < plan.lanes)
    return false;
  // Enough to hide the latency of an addition, fewer if their lines evict each other.
  plan.columnsAtOnce = conflicts ? 4 : 8;
  plan.columnVectors = std::max<int64_t>(8 / plan.lanes, 1);
  for (unsigned number = 0; number < contraction.loops.size(); ++number)
    if (contraction.loops[number].isReduction)
      plan.reductions.push_back(number);
    else if (number != plan.column)
      plan.outer.push_back(number);
  return true;
}

/// Does an operand move with loops of the result and with reductions at once, as a convolution's does?
bool Planner::hasWindows() const {
  linalg::GenericOp root = contraction.root;
  auto types = root.getIteratorTypesArray();
  auto uses = [&](AffineExpr expr, utils::IteratorType type) {
    for (unsigned loop = 0; loop < types.size(); ++loop)
      if (types[loop] == type && expr.isFunctionOfDim(loop))
        return true;
    return false;
  };
  return llvm::any_of(root.getIndexingMapsArray(), [&](AffineMap map) {
    return llvm::any_of(map.getResults(), [&](AffineExpr expr) {
      return uses(expr, utils::IteratorType::parallel) && uses(expr, utils::IteratorType::reduction);
    });
  });
}

void Planner::chooseTile() {
  bool hasBroadcast = llvm::any_of(loads, [&](Expression *load) { return !load->function.dependsOn(plan.column); });
  int64_t columns = mostOr(loop(plan.column), ShapedType::kDynamic);
  int64_t numRows = plan.row ? mostOr(loop(*plan.row), ShapedType::kDynamic) : 1;
  if (plan.band)
    numRows *= size(*plan.band).factor;
  if (packedTile) {
    // Packed for several processors, a tile is several panels or the other way round.
    plan.columnVectors = choosePanel(machine, plan.lanes, elementBits, columns, numRows) / plan.lanes;
    while (packedTile % plan.panel() && plan.panel() % packedTile)
      --plan.columnVectors;
  } else if (hasBroadcast || !plan.row) {
    plan.columnVectors = choosePanel(machine, plan.lanes, elementBits, columns, numRows) / plan.lanes;
  } else { // both operands are streamed: whole pairs of cache lines where registers allow it
    bool hasRoom = machine.vectorsInRegisters(plan.lanes, elementBits) >= 32;
    plan.columnVectors = hasRoom && loop(plan.column).facts.isMultipleOf(2 * plan.lanes) ? 2 : 1;
  }
  if (takesTileUnit())
    return chooseTileUnit();
  int64_t operands = 0; // vectors that a dot product takes beside a row of columns and a broadcast
  if (contraction.dot) {
    operands = (plan.columnVectors + 1) * (contraction.dot->product.parts() - 1);
    operands += contraction.dot->product.shiftsScalars() ? plan.columnVectors : 0;
  }
  int64_t most = std::min(mostTileRows(machine, plan.columnVectors, plan.lanes, elementBits, operands),
                          machine.choices.mostTileRows);
  if (!machine.choices.stages && conflictingRows())
    most = std::min(most, machine.l1Ways);
  if (!hasBroadcast)
    most = plan.columnVectors == 2 ? 7 : std::max<int64_t>(machine.vectorsInRegisters(plan.lanes, elementBits) / 4, 1);
  if (!plan.row)
    return;
  if (rows)
    most = std::min(most, rows->mostTileRows);
  if (!size(*plan.row).isConstant()) {
    const eyrie::graph::SizeFacts &facts = loop(*plan.row).facts;
    plan.tileRows = std::max<int64_t>(std::min(most, facts.most), 1);
    // A little smaller, if no rows are left then.
    for (int64_t tile = plan.tileRows; 4 * tile >= 3 * plan.tileRows; --tile)
      if (facts.isMultipleOf(tile)) {
        plan.tileRows = tile;
        return;
      }
    plan.rowStep = std::gcd(plan.tileRows, facts.divisor);
    // Each tile is code of its own. A product reads its weights once for few rows, so waste shows there; a convolution
    // seldom has few.
    static constexpr int64_t ofProducts[] = {1, 2, 3, 4, 6, 8}, ofOthers[] = {2, 6};
    int64_t last = plan.tileRows - plan.rowStep;
    for (int64_t tail : hasWindows() ? ArrayRef(ofOthers) : ArrayRef(ofProducts))
      if (tail < last && tail % plan.rowStep == 0)
        plan.rowTails.push_back(tail);
    if (last > 0)
      plan.rowTails.push_back(last);
    // Half of rows that come in steps need not be a multiple of them.
    if (plan.rowStep > 1 || plan.rowTails.empty())
      return;
    // There is a tile of any number of rows.
    if (static_cast<int64_t>(plan.rowTails.size()) == plan.tileRows - 1)
      plan.rowTails.push_back(plan.tileRows);
    if (plan.rowTails.back() == plan.tileRows)
      plan.pairRows = 2 * plan.tileRows;
    else if (plan.rowTails.size() > 1 && 2 * plan.rowTails[plan.rowTails.size() - 2] > plan.tileRows)
      plan.pairRows = 2 * plan.rowTails[plan.rowTails.size() - 2];
    return;
  }
  int64_t row = std::max<int64_t>(size(*plan.row).factor, 1);
  plan.tileRows = llvm::divideCeil(row, llvm::divideCeil(row, most));
  if (row % plan.tileRows)
    plan.rowTails.push_back(row % plan.tileRows);
  if (plan.band && row <= most / 2) {
    int64_t band = std::max<int64_t>(size(*plan.band).factor, 1);
    plan.tileBands = llvm::divideCeil(band, llvm::divideCeil(band, most / row));
  }
}

static bool isZero(TypedAttr number) {
  if (auto real = dyn_cast_or_null<FloatAttr>(number))
    return real.getValue().isZero();
  auto integer = dyn_cast_or_null<IntegerAttr>(number);
  return integer && integer.getValue().isZero();
}

/// Does a TileUnit compute the sums? Its rows lie at one distance from each other, and it begins with zeros.
bool Planner::takesTileUnit() const {
  if (!contraction.dot || !TileUnit::has(machine, contraction.dot->product.elementType()) || !plan.row || plan.band ||
      plan.lanes != TileUnit::rowBytes / 4 || plan.columnVectors > 2 || contraction.dot->groups < TileUnit::groups)
    return false;
  if (contraction.init->kind != Expression::Kind::Constant || !isZero(contraction.init->constant))
    return false;
  constexpr int64_t leastRows = 4; // with fewer it waits for the columns
  return likelySize(loop(*plan.row), 1024) >= leastRows;
}

void Planner::chooseTileUnit() {
  plan.usesTileUnit = true;
  plan.loopsOverEpilogue = true;
  constexpr int64_t most = 2 * TileUnit::rows;
  if (const Monomial &rows = size(*plan.row); rows.isConstant()) {
    plan.tileRows = std::min(rows.factor, most);
    if (rows.factor % plan.tileRows)
      plan.rowTails.push_back(rows.factor % plan.tileRows);
    return;
  }
  plan.tileRows = most;
  plan.rowTails = {TileUnit::rows, most};
}

/// A block of rows keeps its part of the broadcast operand in half of L2 while panels of columns pass; blocks are made
/// smaller where there would be too few workgroups for many threads.
void Planner::chooseBlock() {
  int64_t depth = 1, total = 1;
  for (unsigned reduction : plan.reductions)
    depth *= std::max<int64_t>(likelySize(loop(reduction), 512), 1);
  int64_t rowsPerTile = plan.tileRows * plan.tileBands;
  if (plan.band)
    rowsPerTile = std::max<int64_t>(size(*plan.row).factor, 1) * plan.tileBands;
  plan.blockTiles = std::clamp<int64_t>(machine.l2Bytes / 2 / (depth * 4 * rowsPerTile), 8, 16);
  for (unsigned outer : plan.outer)
    total *= std::max<int64_t>(likelySize(loop(outer), 1), 1);
  total *= llvm::divideCeil(std::max<int64_t>(likelySize(loop(plan.column), 1024), 1), plan.panel());
  if (unsigned rows = plan.band.value_or(plan.row.value_or(~0u)); rows != ~0u) {
    int64_t tiles = llvm::divideCeil(std::max<int64_t>(likelySize(loop(rows), 1024), 1),
                                     plan.band ? plan.tileBands : plan.tileRows);
    // Each block of rows reads all columns again: where they do not stay in the cache, it should be large.
    const uint64_t enough = packedOperand(machine.l2Bytes / 4) ? 16 : 32;
    while (plan.blockTiles > 1 && total * llvm::divideCeil(tiles, plan.blockTiles) < enough &&
           (plan.blockTiles - 1) * rowsPerTile * plan.panel() * depth >= 4 * minWorkgroupIterations)
      --plan.blockTiles;
  }
  plan.blockTiles = std::max<int64_t>(plan.blockTiles * machine.choices.blockPercent / 100, 1);
}

/// An input whose rows fall into one set of the first-level cache, as those do that are a multiple of a way apart: more
/// of them than the set has lines evict each other. Null if there is none.
Expression *Planner::conflictingRows() const {
  if (!plan.row || plan.reductions.empty())
    return nullptr;
  unsigned innermost = plan.reductions.back();
  const Monomial &depth = size(innermost);
  for (Expression *load : loads) {
    const LinearFunction &function = load->function;
    if (function.isInBlock)
      continue;
    const Monomial &stride = function.strides[*plan.row];
    int64_t step = contraction.dot && load == contraction.dot->scalars ? contraction.dot->product.group() : 1;
    int64_t bytes = bitsOf(elementTypeOf(load)) / 8;
    if (llvm::is_contained(contraction.inputs, load) && !function.dependsOn(plan.column) && !stride.isZero() &&
        stride.isConstant() && function.strides[innermost] == Monomial(step) && bytes && depth.isConstant() &&
        depth.factor * step * bytes >= 1024 && stride.factor * bytes % machine.l1WayBytes == 0)
      return load;
  }
  return nullptr;
}

/// Not the default: smaller tiles are faster (docs/decisions/2026-11-27-conflicting-rows.md).
void Planner::chooseStaging() {
  plan.leastStagedRows = machine.l1Ways + 1;
  Expression *load = machine.choices.stages && !contraction.dot ? conflictingRows() : nullptr;
  if (!load || plan.tileRows * plan.tileBands < plan.leastStagedRows)
    return;
  int64_t depth = size(plan.reductions.back()).factor, chunk = depth % 128 ? 64 : 128;
  if (depth % 64 || chunk % plan.lanes)
    return;
  plan.staged = load;
  plan.stagedElementBytes = bitsOf(elementTypeOf(load)) / 8;
  plan.stagedDepth = chunk;
}

/// A packed operand of so many bytes or more; null if none.
Expression *Planner::packedOperand(int64_t leastBytes) const {
  if (!plan.row || plan.transposed || !llvm::isPowerOf2_64(plan.panel()))
    return nullptr;
  int64_t elements = likelySize(loop(plan.column), 1024) * (contraction.dot ? contraction.dot->product.group() : 1);
  for (unsigned reduction : plan.reductions)
    elements *= likelySize(loop(reduction), 1024);
  for (Expression *load : loads)
    if (load->function.tile == plan.panel() && llvm::is_contained(contraction.inputs, load) &&
        elements * int64_t(llvm::divideCeil(bitsOf(elementTypeOf(load)), 8)) >= leastBytes)
      return load;
  return nullptr;
}

/// Tiles of rows that read a panel one after the other, where there are so many rows.
int64_t Planner::tilesOfBlock(int64_t rows) const {
  int64_t tiles = llvm::divideCeil(rows, plan.tileRows);
  if (!plan.band)
    return std::min(tiles, plan.blockTiles);
  return tiles * std::min<int64_t>(llvm::divideCeil(size(*plan.band).factor, plan.tileBands), plan.blockTiles);
}

static bool dependsOn(const Expression *expression, unsigned loop) {
  if (expression->kind == Expression::Kind::Load)
    return expression->function.dependsOn(loop);
  return llvm::any_of(expression->operands, [&](const Expression *e) { return e && dependsOn(e, loop); }) ||
         llvm::any_of(expression->indices, [&](const LinearFunction &f) { return f.dependsOn(loop); });
}

/// Is it more work to read it than a load?
bool Planner::isWidened(unsigned number) const {
  Expression *input = contraction.inputs[number];
  if (!input || !dependsOn(input, plan.column) || dependsOn(input, *plan.row) ||
      (plan.band && dependsOn(input, *plan.band)))
    return false;
  if (input->kind == Expression::Kind::Body)
    return true;
  linalg::GenericOp root = contraction.root;
  return input->kind == Expression::Kind::Load && input->function.tile == plan.panel() && !input->element &&
         isa<Float16Type, BFloat16Type>(elementTypeOf(input)) &&
         llvm::all_of(root.getBlock()->getArgument(number).getUsers(), llvm::IsaPred<arith::ExtFOp>);
}

/// Each tile would compute the vectors again, on the units that multiply. Rows may be many, or few, if they are open.
void Planner::chooseWidening() {
  Type sum = getElementTypeOrSelf(linalg::GenericOp(contraction.root)->getResultTypes()[0]);
  if (!machine.choices.widens || !plan.row || rows || plan.transposed || contraction.dot || !sum.isF32() ||
      tilesOfBlock(likelySize(loop(*plan.row), 1024)) < Plan::fewTiles)
    return;
  int64_t elements = plan.panel();
  for (unsigned reduction : plan.reductions)
    if (!loop(reduction).facts.hasBound() ||
        llvm::MulOverflow(elements, std::max<int64_t>(loop(reduction).facts.most, 1), elements))
      return;
  if (elements > machine.l2Bytes * 3 / 4 / 4)
    return;
  for (unsigned number = 0; number < contraction.inputs.size(); ++number)
    if (isWidened(number)) {
      plan.widened = contraction.inputs[number];
      return;
    }
}

/// Panels that several tiles of rows read one after the other.
void Planner::chooseStreaming() {
  if (!plan.row)
    return;
  // Between one call and the next, the operands of a whole model pass through the second-level cache. Where the number
  // of rows is open, what prefetches needs registers that row tails lack: it pays for large operands alone.
  Expression *far = packedOperand(size(*plan.row).isConstant() ? machine.l1Bytes : machine.l2Bytes / 4);
  if (!far || plan.usesTileUnit || !machine.prefetch || !machine.choices.prefetches)
    return;
  int64_t likelyRows = likelySize(loop(*plan.row), 1024), tiles = tilesOfBlock(likelyRows);
  if (tiles < 2 || (!plan.band && likelyRows < Plan::fewStreamedRows))
    return;
  plan.streamed = far;
  constexpr int64_t elementsOfHalfLine = 8;
  plan.streamsFast = !size(*plan.row).isConstant() || llvm::divideCeil(plan.panel(), tiles) > elementsOfHalfLine;
}

} // namespace

int64_t eyrie::target::cpu::likelySize(const Loop &loop, int64_t usual) {
  return loop.size.isConstant() ? loop.size.factor : std::min(mostOr(loop, usual), usual);
}

/// Registers hold the tile, a row of vectors, a broadcast, and what is spare: beyond that the allocator spills.
int64_t eyrie::target::cpu::mostTileRows(const CpuTargetModel &machine, int64_t vectors, int64_t lanes, unsigned bits,
                                         int64_t others) {
  int64_t registers =
      machine.vectorsInRegisters(lanes, bits) - machine.spareRegisters - machine.broadcastRegisters - others;
  return std::clamp<int64_t>(registers / vectors - 1, 1, 14);
}

/// Vectors of a panel that many rows share. Where operands come from memory for nothing, two; else as many as load
/// least for each product. A broadcast loads one register, a vector as many as it has.
static int64_t vectorsOfPanel(const CpuTargetModel &machine, int64_t lanes, unsigned bits) {
  if (machine.memoryOperands)
    return 2;
  double group = double(machine.vectorRegisters) / machine.vectorsInRegisters(lanes, bits), least = 0;
  int64_t best = 0;
  for (int64_t vectors = 1; vectors <= 4; ++vectors) {
    int64_t rows = mostTileRows(machine, vectors, lanes, bits);
    double loads = (rows + vectors * group) / (rows * vectors * group);
    if (best && loads >= least)
      continue;
    best = vectors;
    least = loads;
  }
  return best;
}

int64_t eyrie::target::cpu::choosePanel(const CpuTargetModel &machine, int64_t lanes, unsigned bits, int64_t columns,
                                        int64_t rows) {
  int64_t vectors = rows == 1 ? 4 : vectorsOfPanel(machine, lanes, bits);
  if (columns != ShapedType::kDynamic)
    vectors = std::clamp<int64_t>(llvm::divideCeil(columns, lanes), 1, vectors);
  return lanes * vectors;
}

FailureOr<Plan> eyrie::target::cpu::makePlan(const Contraction &contraction, const CpuTargetModel &machine,
                                             std::string &reason, std::optional<RowChoice> rows) {
  Planner planner{contraction, machine, reason, rows, {}, {}};
  for (Expression *input : contraction.inputs)
    forEachLoad(input, [&](Expression *load) { planner.loads.push_back(load); });
  if (planner.loads.empty()) {
    reason = "the reduction reads no tensor";
    return failure();
  }
  if (failed(planner.chooseColumn()) || failed(planner.chooseRows())) {
    if (!planner.runAlongReduction())
      return failure();
    return std::move(planner.plan);
  }
  planner.chooseTile();
  planner.chooseBlock();
  planner.chooseStaging();
  planner.chooseWidening();
  planner.chooseStreaming();
  llvm::SmallPtrSet<const Expression *, 8> seen;
  int64_t epilogue = 0;
  for (const Output &output : contraction.outputs)
    epilogue += costOf(output.value, seen);
  planner.plan.loopsOverEpilogue |= epilogue >= longEpilogue;
  if (planner.plan.transposed) {
    int64_t bytes = planner.plan.panel() * 8;
    for (unsigned loop : planner.plan.reductions)
      if (llvm::MulOverflow(bytes, contraction.loops[loop].facts.most, bytes))
        bytes = std::numeric_limits<int64_t>::max();
    if (bytes > 2 * maxTransposedBytes) {
      reason = "a panel of the operand without unit stride does not fit local memory";
      return failure();
    }
  }
  return std::move(planner.plan);
}
