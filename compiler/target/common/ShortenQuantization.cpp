// Makes the arithmetic around quantised values short, with the same results.
//
//   clamp(%x / %scale)                     ──►  clamp(%x) times the reciprocal, rounded as the division is
//   trunci(fptosi(roundeven(%c) + %zero))  ──►  trunci(lrint(%c) + %zero)
//   sitofp(extui(trunci(fptosi(roundeven(%c) + %zero))) - %zero)  ──►  roundeven(%c) + 0.0
//
// where %c is clamped to what a byte holds. Scales and zero points are constants. There is no integer -0: what gives
// the same for -0 as for 0 takes roundeven(%c) itself.
#include "compiler/target/common/KernelPasses.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include <cmath>
#include <cstring>

using namespace mlir;

namespace {
std::optional<double> floatOf(Value value) {
  Attribute attribute;
  if (!matchPattern(value, m_Constant(&attribute)))
    return std::nullopt;
  if (auto splat = dyn_cast<SplatElementsAttr>(attribute))
    attribute = splat.getSplatValue<Attribute>();
  auto number = dyn_cast<FloatAttr>(attribute);
  return number ? std::optional<double>(number.getValueAsDouble()) : std::nullopt;
}

/// f(x) = lo where not x > lo (NaN too), hi where not x < hi.
struct Clamp {
  Value x;
  double lo, hi;
};

std::optional<Clamp> matchClamp(Value value) {
  auto bound = [](Value value, arith::CmpFPredicate predicate) -> std::pair<Value, std::optional<double>> {
    auto select = value.getDefiningOp<arith::SelectOp>();
    auto compare = select ? select.getCondition().getDefiningOp<arith::CmpFOp>() : arith::CmpFOp();
    if (!compare || compare.getPredicate() != predicate || compare.getLhs() != select.getTrueValue())
      return {};
    std::optional<double> limit = floatOf(select.getFalseValue());
    if (!limit || floatOf(compare.getRhs()) != limit)
      return {};
    return {select.getTrueValue(), limit};
  };
  auto [below, hi] = bound(value, arith::CmpFPredicate::OLT);
  if (!below || !hi || !getElementTypeOrSelf(below.getType()).isF32())
    return std::nullopt;
  auto [x, lo] = bound(below, arith::CmpFPredicate::OGT);
  if (!x || !lo || !(*lo <= *hi) || std::abs(*lo) > 1024 || std::abs(*hi) > 1024)
    return std::nullopt;
  return Clamp{x, *lo, *hi};
}

/// A byte as a number of steps from its zero point: trunci(fptosi(roundeven(clamped) + zero)).
struct Quantised {
  Value clamped;
  double lo, hi, zero; // of the clamped value
};

std::optional<Quantised> matchQuantised(Value value) {
  auto byte = value.getDefiningOp<arith::TruncIOp>();
  auto whole = byte ? byte.getIn().getDefiningOp<arith::FPToSIOp>() : arith::FPToSIOp();
  auto shifted = whole ? whole.getIn().getDefiningOp<arith::AddFOp>() : arith::AddFOp();
  auto rounded = shifted ? shifted.getLhs().getDefiningOp<math::RoundEvenOp>() : math::RoundEvenOp();
  if (!rounded || !getElementTypeOrSelf(byte.getType()).isInteger(8) ||
      !getElementTypeOrSelf(whole.getType()).isInteger(32))
    return std::nullopt;
  std::optional<Clamp> clamp = matchClamp(rounded.getOperand());
  std::optional<double> zero = floatOf(shifted.getRhs());
  if (!clamp || !zero || *zero != std::rint(*zero) || clamp->lo != std::rint(clamp->lo) ||
      clamp->hi != std::rint(clamp->hi))
    return std::nullopt;
  return Quantised{rounded.getOperand(), clamp->lo, clamp->hi, *zero};
}

/// The number as a value of `type`, a scalar or a vector.
Value constantOf(OpBuilder &b, Location loc, Type type, TypedAttr number) {
  auto vector = dyn_cast<VectorType>(type);
  return arith::ConstantOp::create(b, loc,
                                   vector ? TypedAttr(DenseElementsAttr::get(vector, Attribute(number))) : number);
}
Value constantOf(OpBuilder &b, Location loc, Type type, double number) {
  return constantOf(b, loc, type, b.getFloatAttr(getElementTypeOrSelf(type), number));
}

/// Is all that is made of a float the same for -0 as for 0? Numbers that are scaled, added and clamped until they
/// become integers are.
bool ignoresSignOfZero(Value value, unsigned depth = 0) {
  constexpr unsigned mostDepth = 16;
  auto ignores = [&](OpOperand &use) {
    Operation *user = use.getOwner();
    if (auto call = dyn_cast<LLVM::CallIntrinsicOp>(user))
      return call.getIntrin() == "llvm.lrint";
    if (isa<arith::CmpFOp, arith::FPToSIOp, arith::FPToUIOp>(user))
      return true;
    bool isDivisor = isa<arith::DivFOp>(user) && use.getOperandNumber() == 1;
    return !isDivisor &&
           isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp, math::FmaOp, math::RoundEvenOp,
               arith::SelectOp>(user) &&
           ignoresSignOfZero(user->getResult(0), depth + 1);
  };
  return depth < mostDepth && llvm::all_of(value.getUses(), ignores);
}

/// Steps back to floats do not pass through the byte.
void shortenRoundTrip(arith::SIToFPOp op) {
  Value steps = op.getIn();
  double zero = 0;
  if (auto difference = steps.getDefiningOp<arith::SubIOp>()) {
    APInt number;
    if (!matchPattern(difference.getRhs(), m_ConstantInt(&number)))
      return;
    zero = static_cast<double>(number.getSExtValue());
    steps = difference.getLhs();
  }
  Operation *widened = steps.getDefiningOp();
  if (!isa_and_nonnull<arith::ExtUIOp, arith::ExtSIOp>(widened) || !getElementTypeOrSelf(op.getType()).isF32() ||
      !getElementTypeOrSelf(steps.getType()).isInteger(32))
    return;
  bool isUnsigned = isa<arith::ExtUIOp>(widened);
  std::optional<Quantised> quantised = matchQuantised(widened->getOperand(0));
  if (!quantised || quantised->zero != zero || quantised->lo + zero < (isUnsigned ? 0 : -128) ||
      quantised->hi + zero > (isUnsigned ? 255 : 127))
    return;
  OpBuilder b(op);
  Value rounded = math::RoundEvenOp::create(b, op.getLoc(), quantised->clamped);
  if (!ignoresSignOfZero(op)) {
    Value none = constantOf(b, op.getLoc(), rounded.getType(), 0.0);
    rounded = arith::AddFOp::create(b, op.getLoc(), rounded, none);
  }
  op.replaceAllUsesWith(rounded);
}

/// One conversion rounds, and the zero point is added as an integer.
void shortenConversion(arith::TruncIOp op) {
  std::optional<Quantised> quantised = matchQuantised(op);
  if (!quantised)
    return;
  OpBuilder b(op);
  Type type = op.getIn().getType();
  Value whole =
      LLVM::CallIntrinsicOp::create(b, op.getLoc(), type, b.getStringAttr("llvm.lrint"), ValueRange{quantised->clamped})
          ->getResult(0);
  if (auto zero = static_cast<int64_t>(quantised->zero)) {
    Value offset = constantOf(b, op.getLoc(), type, b.getI32IntegerAttr(static_cast<int32_t>(zero)));
    whole = arith::AddIOp::create(b, op.getLoc(), whole, offset);
  }
  op.getInMutable().set(whole);
}

/// The divisor's reciprocal in two parts: x / divisor = fma(x, head, x * tail), which is right but for the last bit of
/// some quotients (Brisebarre, Muller and Raina, Accelerating Correctly Rounded Floating-Point Division when the
/// Divisor Is Known in Advance, 2004). Rounded to integers, quotients must be right where they are near halves, and all
/// of these in the range are tried here.
std::optional<std::pair<float, float>> reciprocalOf(float divisor, double lo, double hi) {
  if (!(divisor > 0x1p-60f && divisor < 0x1p60f))
    return std::nullopt;
  auto head = 1 / divisor;
  auto tail = static_cast<float>(1 / static_cast<double>(divisor) - head);
  constexpr int32_t mostUlps = 6;
  for (double half = std::floor(lo) - 0.5; half <= hi + 1; ++half) {
    auto near = static_cast<float>(half * divisor);
    for (int32_t ulps = -mostUlps; ulps <= mostUlps; ++ulps) {
      int32_t bits;
      std::memcpy(&bits, &near, sizeof(bits));
      bits += ulps;
      float x;
      std::memcpy(&x, &bits, sizeof(x));
      if (std::fma(x, head, x * tail) != x / divisor)
        return std::nullopt;
    }
  }
  return std::pair(head, tail);
}

/// What is divided is clamped first, so that neither infinity nor NaN is multiplied.
Value multipliedInstead(OpBuilder &b, Location loc, Value clamped) {
  std::optional<Clamp> clamp = matchClamp(clamped);
  auto division = clamp ? clamp->x.getDefiningOp<arith::DivFOp>() : arith::DivFOp();
  std::optional<double> divisor = division ? floatOf(division.getRhs()) : std::nullopt;
  if (!divisor || clamp->lo != std::rint(clamp->lo) || clamp->hi != std::rint(clamp->hi))
    return {};
  auto reciprocal = reciprocalOf(static_cast<float>(*divisor), clamp->lo, clamp->hi);
  if (!reciprocal)
    return {};
  Type type = clamped.getType();
  auto constant = [&](double value) { return constantOf(b, loc, type, value); };
  auto bounded = [&](Value x, arith::CmpFPredicate predicate, double bound) -> Value {
    Value limit = constant(static_cast<float>(bound * *divisor));
    return arith::SelectOp::create(b, loc, arith::CmpFOp::create(b, loc, predicate, x, limit), x, limit);
  };
  Value x = bounded(division.getLhs(), arith::CmpFPredicate::OGT, clamp->lo);
  x = bounded(x, arith::CmpFPredicate::OLT, clamp->hi);
  Value tail = arith::MulFOp::create(b, loc, x, constant(reciprocal->second));
  return math::FmaOp::create(b, loc, x, constant(reciprocal->first), tail);
}

struct ShortenQuantizationPass : PassWrapper<ShortenQuantizationPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ShortenQuantizationPass)
  explicit ShortenQuantizationPass(eyrie::target::ArithmeticModel model) : model(model) {}
  StringRef getArgument() const override { return "target-shorten-quantization"; }
  StringRef getDescription() const override { return "Make the arithmetic around quantised values short"; }
  void getDependentDialects(DialectRegistry &registry) const override { registry.insert<LLVM::LLVMDialect>(); }

  void runOnOperation() override {
    getOperation().walk([](arith::SIToFPOp op) { shortenRoundTrip(op); });
    getOperation().walk([](arith::TruncIOp op) { shortenConversion(op); });
    if (!model.fma)
      return;
    getOperation().walk([](Operation *op) {
      auto call = dyn_cast<LLVM::CallIntrinsicOp>(op);
      if (!isa<math::RoundEvenOp>(op) && !(call && call.getIntrin() == "llvm.lrint"))
        return;
      OpBuilder b(op);
      if (Value quotient = multipliedInstead(b, op->getLoc(), op->getOperand(0)))
        op->setOperand(0, quotient);
    });
  }

  eyrie::target::ArithmeticModel model;
};
} // namespace

std::unique_ptr<Pass> eyrie::target::createShortenQuantizationPass(ArithmeticModel model) {
  return std::make_unique<ShortenQuantizationPass>(model);
}
