// Stores the f32 weights of products with fewer bits. Products and sums stay f32: the kernel widens what it reads.
//
//   %r = linalg.generic {matmul} ins(%x, %w)   ──►   %n = linalg.generic {truncf} ins(%w)          (constant)
//                                                    %r = linalg.generic {extf, matmul} ins(%x, %n)
//
// Likewise tables that rows are gathered from (tensor.extract). Weights are constants made of f32 globals; biases,
// scales and whatever else is not multiplied in a sum are few, and stay. So does a weight that has a finite number
// beyond the range of the type; what is computed from weights, and leaves the range only then, becomes its largest
// number.
//
// Where the target multiplies two bf16 faster, the other factor is rounded to bf16 as well, by an operation of its own
// that whoever computes the factor will take up; in front of padding, if it is padded.
#include "compiler/graph/Constants.h"
#include "compiler/graph/Forms.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/Endian.h"

using namespace mlir;
using namespace eyrie::graph;

namespace {
/// The largest finite magnitude among the numbers of a global; 0 if they are not known here.
float largestMagnitude(GlobalOp global) {
  ArrayRef<char> bytes = getHeldBytes(global);
  float largest = 0;
  for (; bytes.size() >= sizeof(float); bytes = bytes.drop_front(sizeof(float)))
    if (float number = llvm::support::endian::read<float, llvm::endianness::native>(bytes.data());
        std::isfinite(number))
      largest = std::max(largest, std::abs(number));
  return largest;
}

struct NarrowWeightsPass : PassWrapper<NarrowWeightsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(NarrowWeightsPass)
  NarrowWeightsPass() = default;
  NarrowWeightsPass(const NarrowWeightsPass &other) : PassWrapper(other), isHalf(other.isHalf), choose(other.choose) {}
  NarrowWeightsPass(bool isHalf, ChooseNarrowFactors choose) : isHalf(isHalf), choose(std::move(choose)) {}
  StringRef getArgument() const override { return "graph-narrow-weights"; }
  StringRef getDescription() const override { return "Store the weights of products as bf16 or f16"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<linalg::LinalgDialect, tensor::TensorDialect, arith::ArithDialect, math::MathDialect>();
  }

  void runOnOperation() override {
    symbols.emplace(getOperation());
    narrow = isHalf ? Type(Float16Type::get(&getContext())) : Type(BFloat16Type::get(&getContext()));
    narrowed.clear();
    SmallVector<linalg::GenericOp> sums;
    SmallVector<tensor::ExtractOp> gathers;
    getOperation().walk([&](Operation *op) {
      if (auto generic = dyn_cast<linalg::GenericOp>(op); generic && generic.getNumReductionLoops() > 0)
        sums.push_back(generic);
      else if (auto extract = dyn_cast<tensor::ExtractOp>(op); extract && extract->getParentOfType<linalg::GenericOp>())
        gathers.push_back(extract);
    });
    for (linalg::GenericOp op : sums)
      for (OpOperand *operand : op.getDpsInputOperands())
        if (isFactor(op, operand) && isWeight(operand->get())) {
          OpOperand *other = otherFactor(op, operand);
          bool areBothNarrow = other && !isHalf && choose && !isInKernel(op) &&
                               choose(op, operand->getOperandNumber(), other->getOperandNumber());
          narrowFactor(op, *operand);
          if (areBothNarrow)
            narrowFactor(op, *other);
        }
    for (tensor::ExtractOp op : gathers)
      if (isWeight(op.getTensor()))
        narrowTable(op);
  }

private:
  static bool isFactor(linalg::GenericOp op, OpOperand *operand) {
    BlockArgument element = op.getMatchingBlockArgument(operand);
    return !element.use_empty() &&
           llvm::all_of(element.getUsers(), [](Operation *user) { return isa<arith::MulFOp>(user); });
  }

  /// What alone the operand is multiplied by, if it is an f32 tensor.
  static OpOperand *otherFactor(linalg::GenericOp op, OpOperand *operand) {
    BlockArgument element = op.getMatchingBlockArgument(operand);
    if (!element.hasOneUse() || op.getNumDpsInputs() != 2)
      return nullptr;
    OpOperand *other = op.getDpsInputOperand(1 - operand->getOperandNumber());
    auto type = dyn_cast<RankedTensorType>(other->get().getType());
    BlockArgument factor = op.getMatchingBlockArgument(other);
    bool isMultiplied = factor.hasOneUse() && *factor.getUsers().begin() == *element.getUsers().begin();
    return type && type.getElementType().isF32() && isMultiplied ? other : nullptr;
  }

  /// Is it a part of Winograd's method?
  static bool isInKernel(linalg::GenericOp op) {
    return op->hasAttr(kInKernel) || op->hasAttr(kWinograd) ||
           llvm::any_of(op->getUsers(), [](Operation *user) { return user->hasAttr(kWinograd); });
  }

  bool isWeight(Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    if (!type.getElementType().isF32() || !type.hasStaticShape() || type.getNumElements() == 0 ||
        !isConstantExpression(value))
      return false;
    bool hasGlobal = false;
    for (Operation *op : getExpression(value))
      if (auto load = dyn_cast<LoadGlobalOp>(op)) {
        hasGlobal = true;
        auto global = symbols->lookup<GlobalOp>(load.getGlobal());
        if (!getElementTypeOrSelf(load.getType()).isF32() || !fits(global))
          return false;
      }
    return hasGlobal;
  }

  float largest() const { return APFloat::getLargest(cast<FloatType>(narrow).getFloatSemantics()).convertToDouble(); }
  bool fits(GlobalOp global) const { return largestMagnitude(global) <= largest(); }

  void narrowFactor(linalg::GenericOp op, OpOperand &operand) {
    BlockArgument element = op.getMatchingBlockArgument(&operand);
    operand.set(getNarrowed(operand.get()));
    element.setType(narrow);
    widen(OpBuilder::atBlockBegin(op.getBlock()), element);
  }

  void narrowTable(tensor::ExtractOp op) {
    op.getTensorMutable().set(getNarrowed(op.getTensor()));
    op.getResult().setType(narrow);
    OpBuilder b(op);
    b.setInsertionPointAfter(op);
    widen(b, op.getResult());
  }

  static void widen(OpBuilder b, Value element) {
    Value wide = arith::ExtFOp::create(b, element.getLoc(), b.getF32Type(), element);
    element.replaceAllUsesExcept(wide, wide.getDefiningOp());
  }

  /// Infinities and NaN stay.
  Value clamped(OpBuilder &b, Location loc, Value x) const {
    auto number = [&](float value) -> Value { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value)); };
    Value magnitude = math::AbsFOp::create(b, loc, x);
    Value isBeyond = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, magnitude, number(largest()));
    Value isFinite = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, magnitude, number(INFINITY));
    Value bound = math::CopySignOp::create(b, loc, number(largest()), x);
    return arith::SelectOp::create(b, loc, arith::AndIOp::create(b, loc, isBeyond, isFinite), bound, x);
  }

  Value getNarrowed(Value value) {
    if (Value known = narrowed.lookup(value))
      return known;
    OpBuilder b(value.getContext());
    b.setInsertionPointAfterValue(value);
    auto type = cast<RankedTensorType>(value.getType());
    if (auto pad = value.getDefiningOp<tensor::PadOp>(); pad && isConstantPadding(pad)) {
      Value source = getNarrowed(pad.getSource());
      FloatAttr number;
      matchPattern(pad.getConstantPaddingValue(), m_Constant(&number));
      Value fill = arith::ConstantOp::create(b, pad.getLoc(), b.getFloatAttr(narrow, number.getValueAsDouble()));
      return narrowed[value] = tensor::PadOp::create(b, pad.getLoc(), RankedTensorType::get(type.getShape(), narrow),
                                                     source, pad.getMixedLowPad(), pad.getMixedHighPad(), fill);
    }
    bool isConstant = isConstantExpression(value);
    Value init = tensor::EmptyOp::create(b, value.getLoc(), tensor::getMixedSizes(b, value.getLoc(), value), narrow);
    AffineMap map = b.getMultiDimIdentityMap(type.getRank());
    SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
    Value result = linalg::GenericOp::create(b, value.getLoc(), init.getType(), value, init, {map, map}, loops,
                                             [&](OpBuilder &body, Location loc, ValueRange args) {
                                               Value element = isConstant ? clamped(body, loc, args[0]) : args[0];
                                               element = arith::TruncFOp::create(body, loc, narrow, element);
                                               linalg::YieldOp::create(body, loc, element);
                                             })
                       .getResult(0);
    return narrowed[value] = result;
  }

  bool isHalf = false;
  ChooseNarrowFactors choose;
  Type narrow;
  std::optional<SymbolTable> symbols;
  llvm::DenseMap<Value, Value> narrowed;
};
} // namespace

std::unique_ptr<Pass> eyrie::graph::createNarrowWeightsPass(bool isHalf, ChooseNarrowFactors choose) {
  return std::make_unique<NarrowWeightsPass>(isHalf, std::move(choose));
}
