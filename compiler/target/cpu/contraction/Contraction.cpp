#include "compiler/target/cpu/contraction/Contraction.h"
#include "compiler/graph/Forms.h"
#include "compiler/graph/Graph.h"
#include "compiler/target/cpu/Kernel.h"
#include "compiler/target/cpu/contraction/BodyEvaluator.h"
#include "compiler/target/cpu/contraction/DotProduct.h"
#include "compiler/target/cpu/contraction/Emit.h"
#include "compiler/target/cpu/contraction/Loops.h"
#include "compiler/target/cpu/contraction/TileUnit.h"

using namespace mlir;
using namespace eyrie::target::cpu;

KernelValues eyrie::target::cpu::kernelValues(Kernel &kernel) {
  KernelValues values;
  for (unsigned i = 0; i < kernel.numArguments() + kernel.numResults(); ++i)
    values.bindings.push_back(kernel.binding(i));
  for (unsigned k = 0; k < kernel.numConstants(); ++k)
    values.indices.push_back(kernel.constant(k));
  for (unsigned dim : {0, 1, 2})
    values.workgroup[dim] = kernel.workgroupId(dim);
  values.local = kernel.local();
  return values;
}

SmallVector<Value> eyrie::target::cpu::workgroupIndices(Kernel &kernel) {
  SmallVector<Value> indices;
  for (unsigned k = 0; k < kernel.numConstants(); ++k)
    indices.push_back(kernel.workgroupsConstant(k));
  return indices;
}

LogicalResult eyrie::target::cpu::lowerContraction(Kernel &kernel, const CpuTargetModel &model, std::string &reason) {
  func::FuncOp func = kernel.tensorFunc;
  reason.clear();
  FailureOr<Contraction> contraction = analyseContraction(func, reason);
  if (failed(contraction))
    return failure();
  if (!canEvaluateBodies(*contraction, reason) || !canEvaluateBody(contraction->root, reason))
    return failure();
  collapseLoops(func, *contraction);
  formDotProducts(*contraction, model);
  FailureOr<Plan> plan = makePlan(*contraction, model, reason);
  if (failed(plan))
    return failure();

  KernelValues values = kernelValues(kernel);
  if (int64_t bytes = localBytes(*contraction, *plan))
    kernel.setLocalBytes(bytes);
  OpBuilder body = kernel.bodyBuilder();
  emitKernel(body, func, *contraction, *plan, model, values);
  OpBuilder workgroups = kernel.workgroupsBuilder();
  kernel.setWorkgroups(emitWorkgroupCounts(workgroups, func, *contraction, *plan, workgroupIndices(kernel)));
  return success();
}

/// The dimension of operand `number` along which it could be packed in groups of steps, for dot products: its factor
/// `other` has the elements of a group side by side.
static std::optional<int64_t> groupedDim(linalg::GenericOp op, unsigned number, unsigned other) {
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInputOperand(number)),
            otherMap = op.getMatchingIndexingMap(op.getDpsInputOperand(other));
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  AffineExpr innermost = getAffineDimExpr(reductions.back(), op.getContext());
  if (op.getStaticLoopRanges()[reductions.back()] < 2 || otherMap.getNumResults() == 0 ||
      otherMap.getResults().back() != innermost)
    return std::nullopt;
  if (auto dim = map.getResultPosition(innermost))
    return *dim;
  return std::nullopt;
}

/// For one processor; `lanes`: of its vectors.
static std::optional<eyrie::graph::WeightPacking> choosePacking(linalg::GenericOp op, const CpuTargetModel &model,
                                                                int64_t &lanes) {
  if (op.getNumDpsInits() != 1 || op.getNumReductionLoops() == 0 || op.getNumDpsInputs() < 2)
    return std::nullopt;
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  Type element = getElementTypeOrSelf(op.getResultTypes()[0]);
  if (out.getNumResults() == 0 || !out.isProjectedPermutation() || element.getIntOrFloatBitWidth() < 8)
    return std::nullopt;
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  if (llvm::is_contained(sizes, 0))
    return std::nullopt;
  // The columns: the innermost dim of the result that is not a single element, as collapseLoops will find.
  std::optional<unsigned> column;
  int64_t rows = 1;
  for (AffineExpr expr : llvm::reverse(out.getResults())) {
    unsigned loop = cast<AffineDimExpr>(expr).getPosition();
    if (sizes[loop] == 1)
      continue;
    if (!column)
      column = loop;
    else
      rows =
          ShapedType::isDynamic(rows) || ShapedType::isDynamic(sizes[loop]) ? ShapedType::kDynamic : rows * sizes[loop];
  }
  if (!column || ShapedType::isDynamic(sizes[*column]))
    return std::nullopt;

  bool hasBroadcast = false;
  std::optional<eyrie::graph::WeightPacking> packing;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    if (!map.isFunctionOfDim(*column)) {
      hasBroadcast |= map.getNumResults() > 0;
      continue;
    }
    if (packing || !map.isProjectedPermutation())
      return std::nullopt;
    packing.emplace();
    packing->operand = operand->getOperandNumber();
    int64_t columnPos = *map.getResultPosition(getAffineDimExpr(*column, op.getContext()));
    unsigned bits = element.getIntOrFloatBitWidth();
    lanes = model.lanes(bits);
    while (lanes / 2 >= std::max<int64_t>(sizes[*column], 4))
      lanes /= 2;
    packing->innerDimsPos = {columnPos};
    packing->innerTiles = {choosePanel(model, lanes, bits, sizes[*column], rows)};
    // Outermost the other parallel dims (groups), then the panels, then the reductions in the order of their loops. The
    // other parallel dim of Winograd's filter is the reduction of the products.
    bool isFilter = op->hasAttr(eyrie::graph::kInKernel);
    SmallVector<int64_t> reductions;
    for (auto type : {utils::IteratorType::parallel, utils::IteratorType::reduction})
      for (unsigned loop = 0; loop < op.getNumLoops(); ++loop)
        if (op.getIteratorTypesArray()[loop] == type && loop != *column)
          if (auto pos = map.getResultPosition(getAffineDimExpr(loop, op.getContext()))) {
            if (type == utils::IteratorType::parallel && !isFilter)
              packing->outerDimsPerm.push_back(*pos);
            else
              reductions.push_back(*pos);
          }
    packing->outerDimsPerm.push_back(columnPos);
    packing->outerDimsPerm.append(reductions);
    if (auto product = matchNarrowProduct(op, model)) {
      unsigned other = product->operands[product->operands[0] == packing->operand];
      if (auto grouped = groupedDim(op, packing->operand, other)) {
        packing->innerDimsPos.push_back(*grouped);
        packing->innerTiles.push_back(dotGroup(product->element));
      }
    }
  }
  if (!packing || !hasBroadcast)
    return std::nullopt;
  return packing;
}

/// Will the plan take a TileUnit: for rows at one distance from each other, and whole groups of steps and columns?
static bool fitsTiles(linalg::GenericOp op, unsigned weight, unsigned other, ArrayRef<int64_t> sizes) {
  OpOperand *ofRows = op.getDpsInputOperand(other);
  AffineMap rows = op.getMatchingIndexingMap(ofRows),
            columns = op.getMatchingIndexingMap(op.getDpsInputOperand(weight));
  bool hasWindows = llvm::any_of(eyrie::graph::withoutUnitLoops(op, op.getMatchingIndexingMap(ofRows)).getResults(),
                                 llvm::IsaPred<AffineBinaryOpExpr>);
  int64_t numRows = 1, steps = sizes[cast<AffineDimExpr>(rows.getResults().back()).getPosition()], numColumns = 1;
  for (auto [loop, type] : llvm::enumerate(op.getIteratorTypesArray())) {
    if (type != utils::IteratorType::parallel || sizes[loop] == 1)
      continue;
    int64_t &count = columns.isFunctionOfDim(loop) ? numColumns : numRows;
    count = ShapedType::isDynamic(sizes[loop]) ? 1024 : count * sizes[loop];
  }
  return !hasWindows && steps >= TileUnit::rowBytes / 2 && numRows >= 4 && numColumns > 8;
}

bool eyrie::target::cpu::areNarrowFactorsFaster(linalg::GenericOp op, unsigned weight, unsigned other,
                                                const CpuTargetModel &model) {
  int64_t lanes = 0;
  if (model.bf16Dot == DotUnit::None || !groupedDim(op, weight, other))
    return false;
  auto packing = choosePacking(op, model, lanes);
  if (!packing || packing->operand != weight)
    return false;
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  if (model.onlyTilesAreFast && !fitsTiles(op, weight, other, sizes))
    return false;
  // One row takes as long as its weights take to come from memory.
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInputOperand(weight));
  return llvm::any_of(llvm::seq(op.getNumLoops()), [&](unsigned loop) {
    return !map.isFunctionOfDim(loop) && op.getIteratorTypesArray()[loop] == utils::IteratorType::parallel &&
           sizes[loop] != 1;
  });
}

std::optional<eyrie::graph::WeightPacking>
eyrie::target::cpu::chooseContractionPacking(linalg::GenericOp op, ArrayRef<CpuTargetModel> models) {
  std::optional<graph::WeightPacking> common;
  int64_t widestVector = 0;
  for (const CpuTargetModel &model : models) {
    int64_t lanes = 0;
    auto packing = choosePacking(op, model, lanes);
    if (!packing)
      return std::nullopt;
    if (common && common->innerTiles.size() != packing->innerTiles.size())
      return std::nullopt; // only some have dot products
    widestVector = std::max(widestVector, lanes);
    if (!common || packing->innerTiles[0] < common->innerTiles[0])
      common = packing;
  }
  if (common)
    common->innerTiles[0] = std::max(common->innerTiles[0], widestVector);
  return common;
}
