// The passes of the graph room, in the order in which the pipeline runs them.
#pragma once
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Pass/Pass.h"
#include <functional>
#include <memory>
#include <optional>

namespace eyrie::graph {

/// How a target wants one constant operand of a contraction packed (the arguments of `linalg.pack`).
struct WeightPacking {
  unsigned operand;
  llvm::SmallVector<int64_t> innerDimsPos, innerTiles, outerDimsPerm;
};
/// On a contraction whose packed operand is bytes, seen as signed: the largest magnitude among them, as far as it is
/// known. (Small ones allow products whose sums of two would otherwise not fit 16 bits.)
inline constexpr char kLargestWeight[] = "graph.largest_weight";
using ChoosePacking = std::function<std::optional<WeightPacking>(mlir::linalg::GenericOp)>;

/// A convolution with 3 x 3 filters and stride 1, of `rows` x `width` results for each of a batch: kDynamic if open.
struct WinogradCandidate {
  mlir::Type element;
  int64_t batch, rows, width, channels, outputs;
};
/// Should it be computed by Winograd's method?
using ChooseWinograd = std::function<bool(const WinogradCandidate &)>;

/// Is a sum of products with input `weight` in bf16 faster if its other factor, input `other`, is bf16 as well?
using ChooseNarrowFactors = std::function<bool(mlir::linalg::GenericOp, unsigned weight, unsigned other)>;

struct Attention; // Forms.h
/// Should it be computed by one dispatch? `mostKeys`: the most elements of a row (INT64_MAX if that is open).
using ChooseAttention = std::function<bool(const Attention &, int64_t mostKeys)>;

/// Computes elements of fewer than 8 bits one to a byte; what comes in, goes out or is a global stays packed.
std::unique_ptr<mlir::Pass> createWidenElementsPass();
/// Gives states that grow the form in which they grow in place.
std::unique_ptr<mlir::Pass> createPlaceStatesPass();
/// Folds transposes into the indexing maps of their consumers and sinks what remains towards the results.
std::unique_ptr<mlir::Pass> createPropagateLayoutPass();
/// Lets contractions write their results in the order of the only transpose that reads them.
std::unique_ptr<mlir::Pass> createAbsorbTransposesPass();
/// Computes the 3 x 3 convolutions that the target chooses by Winograd's method.
std::unique_ptr<mlir::Pass> createConvertWinogradPass(ChooseWinograd choose);
/// Stores the f32 weights of products and gathers as bf16, or as f16, and widens them where they are read.
std::unique_ptr<mlir::Pass> createNarrowWeightsPass(bool isHalf, ChooseNarrowFactors choose = nullptr);
/// Lets kernels compute weights from what is much smaller, as dequantised ones are.
std::unique_ptr<mlir::Pass> createKeepSmallWeightsPass();
/// Packs the constant operands of contractions as the target reads them: `unpack(pack(w))`.
std::unique_ptr<mlir::Pass> createPackWeightsPass(ChoosePacking choose);
/// Moves expressions of constants into `@__initialize`, leaving new globals in their place.
std::unique_ptr<mlir::Pass> createHoistConstantsPass();
/// Fuses elementwise producers into their consumers.
std::unique_ptr<mlir::Pass> createFuseElementwisePass();
/// Groups operations into dispatches and outlines each as a graph.executable.
std::unique_ptr<mlir::Pass> createFormDispatchesPass(ChooseAttention choose);
/// Makes dispatches of equal executables share one.
std::unique_ptr<mlir::Pass> createMergeExecutablesPass();

void registerGraphPasses();

} // namespace eyrie::graph
