// Which loop of a contraction becomes the vector, which the unrolled rows, and how large the register tile is.
#pragma once
#include "compiler/target/cpu/CpuTargetModel.h"
#include "compiler/target/cpu/contraction/Analysis.h"

namespace eyrie::target::cpu {

/// Vectors run along `column`; a register tile holds tileBands × tileRows rows of `columnVectors` vectors. Without
/// `row` a tile is one row. `band` is a second row loop, used when `row` is too short to fill the registers.
struct Plan {
  unsigned column;
  std::optional<unsigned> row, band;
  llvm::SmallVector<unsigned> outer;      // the other parallel loops, outermost first
  llvm::SmallVector<unsigned> reductions; // outermost first
  int64_t lanes, columnVectors = 1;
  int64_t tileRows = 1, tileBands = 1;
  /// Rows of the tiles of which one finishes what full tiles leave, ascending: the smallest that has room takes it, and
  /// its rows that do not exist repeat the last. (A second pass would read all columns again.) A number of rows that is
  /// known has one that fits.
  llvm::SmallVector<int64_t> rowTails;
  /// A number that divides what full tiles leave.
  int64_t rowStep = 1;
  /// The most rows that two of these tiles take which are alike, if more than a full tile. They take more than a full
  /// tile's in less time than that and a tile of few rows: of 8 rows two tiles of 4 read the columns twice as a tile of
  /// 6 and one of 2 do, but hide the latency of their sums. 0: no rows are shared out so.
  int64_t pairRows = 0;
  /// How many full tiles of rows (or bands) one workgroup takes.
  int64_t blockTiles = 1;
  /// A column-strided input that every workgroup first transposes into local memory; null if none.
  Expression *transposed = nullptr;
  /// An operand that is the same for all rows, and that is computed (dequantised weights) or f16 or bf16: where there
  /// are `fewTiles` tiles of rows, its panel is computed once, into local memory; null if none.
  Expression *widened = nullptr;
  static constexpr int64_t fewTiles = 3;
  /// Whose panel lies in local memory, if any.
  Expression *localPanel() const { return transposed ? transposed : widened; }

  /// The reduction along which vectors run, where operands have their unit stride there and not along `column`: a tile
  /// has a vector of sums for each of its columns, which are added up at the end. None if vectors run along `column`.
  std::optional<unsigned> along;
  /// How many columns of a tile are then summed at once.
  int64_t columnsAtOnce = 0;

  /// An input whose rows, a multiple of the cache's way size apart, would evict each other: a tile's rows are copied to
  /// local memory, `stagedDepth` elements of the innermost reduction at a time; null if none.
  Expression *staged = nullptr;
  int64_t stagedDepth = 0, stagedElementBytes = 0;
  /// Fewer rows than this have room in their set of the first-level cache.
  int64_t leastStagedRows = 0;

  /// A packed operand that comes from beyond the first-level cache: while a tile reads its panel it prefetches its
  /// part of the next one, so that this is near when the first tile of rows comes to it; null if none.
  Expression *streamed = nullptr;
  /// Fewer rows take the operand as fast as memory gives it: they prefetch of their own panel what they read next.
  static constexpr int64_t fewStreamedRows = 16;
  /// Tiles of no more rows have code of their own for the case that there are no others.
  static constexpr int64_t mostSmallRows = 4;
  /// Are there so few tiles that each prefetches more than a line in two steps of the reduction?
  bool streamsFast = false;

  /// Is the epilogue so long that it is emitted once, in a loop over the rows of a tile, whose accumulators lie in
  /// local memory meanwhile?
  bool loopsOverEpilogue = false;

  /// Are sums those of a TileUnit? The rows of a tile are then those of one or two of its registers, which they leave
  /// through local memory.
  bool usesTileUnit = false;

  int64_t panel() const { return lanes * columnVectors; }
};

/// Iterations that a workgroup should have at least, so that starting it does not count.
inline constexpr int64_t minWorkgroupIterations = 1 << 16;
/// Operations on each accumulator from which on an epilogue is a loop.
inline constexpr int64_t longEpilogue = 48;
/// Bytes of local memory that a transposed panel may take.
inline constexpr int64_t maxTransposedBytes = 256 << 10;

/// Elements between two rows of the staged input: not a multiple of a cache line's conflicts.
inline int64_t stagedPitch(const Plan &plan) { return plan.stagedDepth + 16; }

/// The loop that a plan has to take as rows, without bands, and the most rows of its tiles.
struct RowChoice {
  unsigned loop;
  int64_t mostTileRows = INT64_MAX;
};

/// Chooses; on failure `reason` says why this room has no good code for the contraction.
mlir::FailureOr<Plan> makePlan(const Contraction &contraction, const CpuTargetModel &machine, std::string &reason,
                               std::optional<RowChoice> rows = std::nullopt);

/// A size to plan for: `usual` unless it is known, or known to be smaller.
int64_t likelySize(const Loop &loop, int64_t usual);

/// Rows of the largest register tile of `vectors` vectors of so many lanes of `bits` bits in a row; `others`: registers
/// that are taken besides.
int64_t mostTileRows(const CpuTargetModel &machine, int64_t vectors, int64_t lanes, unsigned bits, int64_t others = 0);

/// Columns of a panel, in vectors of so many lanes of `bits` bits, of a contraction with `columns` columns (dynamic:
/// kDynamic) and at most `rows` rows.
int64_t choosePanel(const CpuTargetModel &machine, int64_t lanes, unsigned bits, int64_t columns, int64_t rows);

} // namespace eyrie::target::cpu
