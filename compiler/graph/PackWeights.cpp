// Packs the constant operands of contractions in the order in which the target's kernels read them.
//
//   %r = linalg.generic {matmul} ins(%x, %w)   ──►   %p = linalg.pack %w inner_dims_pos = [1] inner_tiles = [32] …
//                                                    %u = linalg.unpack %p …
//                                                    %r = linalg.generic {matmul} ins(%x, %u)
//
// The pack is a constant expression and is computed at compile time; the unpack stays with the contraction, whose
// kernel reads the packed tensor directly. The target chooses the packing; a weight that it does not choose stays.
// Where the kernel computes the weight, what it computes it from is packed.
#include "compiler/graph/Constants.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Parameters.h"
#include "compiler/graph/Passes.h"

using namespace mlir;
using namespace eyrie::graph;

namespace {
struct PackWeightsPass : PassWrapper<PackWeightsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PackWeightsPass)
  explicit PackWeightsPass(ChoosePacking choose) : choose(std::move(choose)) {}
  StringRef getArgument() const override { return "graph-pack-weights"; }
  StringRef getDescription() const override { return "Pack constant operands of contractions for the target"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<linalg::LinalgDialect, tensor::TensorDialect, arith::ArithDialect>();
  }

  void runOnOperation() override {
    SmallVector<linalg::GenericOp> contractions;
    getOperation().walk([&](linalg::GenericOp op) {
      if (op.getNumReductionLoops() > 0)
        contractions.push_back(op);
    });
    for (linalg::GenericOp op : contractions) {
      auto packing = choose ? choose(op) : std::nullopt;
      if (!packing)
        continue;
      OpOperand *operand = op.getDpsInputOperand(packing->operand);
      if (isConstantExpression(operand->get())) {
        if (auto largest = largestMagnitude(operand->get()))
          op->setAttr(kLargestWeight, OpBuilder(op).getI64IntegerAttr(*largest));
        pack(*operand, *packing);
      } else if (packing->innerDimsPos.size() == 1) {
        packSources(operand->get(), *packing);
      }
    }
  }

  /// What the kernel computes a weight from (KeepSmallWeights.cpp), each like the weight itself.
  void packSources(Value weight, const WeightPacking &packing) {
    auto producer = weight.getDefiningOp<linalg::GenericOp>();
    if (!producer || !producer->hasAttr(kInKernel) || producer.getNumReductionLoops())
      return;
    for (OpOperand *source : producer.getDpsInputOperands()) {
      packSources(source->get(), packing);
      AffineMap map = producer.getMatchingIndexingMap(source);
      auto column = map.getResultPosition(getAffineDimExpr(packing.innerDimsPos[0], map.getContext()));
      if (!column || !map.isProjectedPermutation() || !isConstantExpression(source->get()))
        continue;
      WeightPacking own{packing.operand, {static_cast<int64_t>(*column)}, packing.innerTiles, {}};
      for (int64_t dim : packing.outerDimsPerm)
        if (auto position = map.getResultPosition(getAffineDimExpr(dim, map.getContext())))
          own.outerDimsPerm.push_back(*position);
      pack(*source, own);
    }
  }

  /// The largest magnitude of signed bytes that are a global, moved perhaps.
  static std::optional<int64_t> largestMagnitude(Value value) {
    while (true) {
      Operation *op = value.getDefiningOp();
      if (!op || !isa<linalg::TransposeOp, ReshapeOp>(op))
        break;
      value = op->getOperand(0);
    }
    auto load = value.getDefiningOp<LoadGlobalOp>();
    if (!load || !getElementTypeOrSelf(value.getType()).isInteger(8))
      return std::nullopt;
    auto global = SymbolTable::lookupNearestSymbolFrom<GlobalOp>(load, load.getGlobalAttr());
    if (!global || global->hasAttr(kParameter)) // other bytes may take their place
      return std::nullopt;
    ArrayRef<char> bytes = getHeldBytes(global);
    if (bytes.empty())
      return std::nullopt;
    int64_t largest = 0;
    for (char byte : bytes)
      largest = std::max<int64_t>(largest, std::abs(static_cast<signed char>(byte)));
    return largest;
  }

  void pack(OpOperand &operand, const WeightPacking &packing) {
    OpBuilder b(operand.getOwner());
    Location loc = operand.getOwner()->getLoc();
    auto type = cast<RankedTensorType>(operand.get().getType());
    if (!type.hasStaticShape() || type.getNumElements() == 0)
      return;
    SmallVector<OpFoldResult> tiles = getAsIndexOpFoldResult(b.getContext(), packing.innerTiles);
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type.getElementType()));
    Value packedInit = linalg::PackOp::createDestinationTensor(b, loc, operand.get(), tiles, packing.innerDimsPos,
                                                               packing.outerDimsPerm);
    Value packed = linalg::PackOp::create(b, loc, operand.get(), packedInit, packing.innerDimsPos, tiles, zero,
                                          packing.outerDimsPerm)
                       ->getResult(0);
    Value init = tensor::EmptyOp::create(b, loc, type.getShape(), type.getElementType());
    operand.set(linalg::UnPackOp::create(b, loc, packed, init, packing.innerDimsPos, tiles, packing.outerDimsPerm)
                    ->getResult(0));
  }

  ChoosePacking choose;
};
} // namespace

std::unique_ptr<Pass> eyrie::graph::createPackWeightsPass(ChoosePacking choose) {
  return std::make_unique<PackWeightsPass>(std::move(choose));
}
