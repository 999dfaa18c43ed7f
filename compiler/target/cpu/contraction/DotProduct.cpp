#include "compiler/target/cpu/contraction/DotProduct.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace eyrie::target::cpu;

static DotUnit unitOf(const CpuTargetModel &model, Type element) {
  return element.isBF16() ? model.bf16Dot : element.isInteger(8) ? model.dot : DotUnit::None;
}

std::optional<NarrowProduct> eyrie::target::cpu::matchNarrowProduct(linalg::GenericOp root,
                                                                    const CpuTargetModel &model) {
  if (root.getNumDpsInits() != 1)
    return std::nullopt;
  Block *body = root.getBlock();
  Value accumulator = body->getArguments().back();
  Operation *sum = body->getTerminator()->getOperand(0).getDefiningOp();
  if (!isa_and_nonnull<arith::AddIOp, arith::AddFOp>(sum) ||
      !(accumulator.getType().isInteger(32) || accumulator.getType().isF32()) ||
      !llvm::is_contained(sum->getOperands(), accumulator))
    return std::nullopt;
  Operation *product = sum->getOperand(sum->getOperand(0) == accumulator ? 1 : 0).getDefiningOp();
  if (!isa_and_nonnull<arith::MulIOp, arith::MulFOp>(product))
    return std::nullopt;
  NarrowProduct result;
  for (unsigned side : {0u, 1u}) {
    Operation *extension = product->getOperand(side).getDefiningOp();
    if (!isa_and_nonnull<arith::ExtSIOp, arith::ExtUIOp, arith::ExtFOp>(extension))
      return std::nullopt;
    auto argument = dyn_cast<BlockArgument>(extension->getOperand(0));
    if (!argument || argument.getOwner() != body || argument == accumulator ||
        (side && argument.getType() != result.element))
      return std::nullopt;
    result.operands[side] = argument.getArgNumber();
    result.isSigned[side] = !isa<arith::ExtUIOp>(extension);
    result.element = argument.getType();
  }
  if (result.operands[0] == result.operands[1] || unitOf(model, result.element) == DotUnit::None)
    return std::nullopt;
  return result;
}

static Value bytesOf(OpBuilder &b, Location loc, int64_t count, int8_t value) {
  auto type = VectorType::get({count}, b.getI8Type());
  return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, APInt(8, uint8_t(value))));
}

static Value bitcast(OpBuilder &b, Location loc, Value vector, Type element) {
  auto type = cast<VectorType>(vector.getType());
  int64_t bits = type.getNumElements() * type.getElementTypeBitWidth();
  auto to = VectorType::get({bits / element.getIntOrFloatBitWidth()}, element);
  return vector::BitCastOp::create(b, loc, to, vector);
}

static Value intrinsic(OpBuilder &b, Location loc, Type type, StringRef name, ValueRange arguments) {
  return LLVM::CallIntrinsicOp::create(b, loc, type, b.getStringAttr(name), arguments)->getResult(0);
}

DotProduct::DotProduct(const CpuTargetModel &model, const NarrowProduct &product, unsigned scalarSide,
                       int64_t largestVector)
    : element(product.element), unit(unitOf(model, element)), scalarsAreSigned(product.isSigned[scalarSide]),
      vectorsAreSigned(product.isSigned[1 - scalarSide]), isWasm(model.arch == "wasm32") {
  constexpr int64_t largestScalar = 255, largestSum = 32767;
  sumsFit = unit == DotUnit::Pairs && model.has("ssse3") && !scalarsAreSigned && vectorsAreSigned &&
            2 * largestScalar * largestVector <= largestSum;
}

bool DotProduct::shiftsScalars() const {
  switch (unit) {
  case DotUnit::Vnni:
  case DotUnit::VnniModel:
    return scalarsAreSigned == vectorsAreSigned;
  case DotUnit::Neon:
    return scalarsAreSigned != vectorsAreSigned;
  default:
    return false;
  }
}

/// The first or the second byte of each pair, in 16 bits.
Value DotProduct::widen(OpBuilder &b, Location loc, Value bytes, bool isSigned, int64_t part) const {
  Value pairs = bitcast(b, loc, bytes, b.getI16Type());
  auto type = cast<VectorType>(pairs.getType());
  auto splat = [&](int16_t value) -> Value {
    return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, APInt(16, uint16_t(value))));
  };
  if (!isSigned)
    return part ? Value(arith::ShRUIOp::create(b, loc, pairs, splat(8)))
                : Value(arith::AndIOp::create(b, loc, pairs, splat(0xff)));
  Value high = part ? pairs : Value(arith::ShLIOp::create(b, loc, pairs, splat(8)));
  return arith::ShRSIOp::create(b, loc, high, splat(8));
}

Value DotProduct::prepareScalars(OpBuilder &b, Location loc, Value bytes, int64_t part) const {
  if (parts() == 2)
    return widen(b, loc, bytes, scalarsAreSigned, part);
  if (!shiftsScalars())
    return bytes;
  int64_t count = cast<VectorType>(bytes.getType()).getNumElements();
  return arith::XOrIOp::create(b, loc, bytes, bytesOf(b, loc, count, -128));
}

Value DotProduct::prepareVectors(OpBuilder &b, Location loc, Value bytes, int64_t part) const {
  return parts() == 2 ? widen(b, loc, bytes, vectorsAreSigned, part) : bytes;
}

Value DotProduct::ones(OpBuilder &b, Location loc, int64_t lanes) const { return bytesOf(b, loc, lanes * group(), 1); }

/// The arithmetic of an instruction, product by product: of unsigned by signed bytes, or of bf16.
static Value modelOf(OpBuilder &b, Location loc, Value accumulator, Value first, Value second) {
  auto type = cast<VectorType>(accumulator.getType());
  auto narrow = cast<VectorType>(first.getType());
  bool areFloats = isa<FloatType>(type.getElementType());
  int64_t lanes = type.getNumElements(), group = narrow.getNumElements() / lanes;
  auto wide = VectorType::get(narrow.getShape(), type.getElementType());
  Value products;
  if (areFloats)
    products = arith::MulFOp::create(b, loc, arith::ExtFOp::create(b, loc, wide, first),
                                     arith::ExtFOp::create(b, loc, wide, second));
  else
    products = arith::MulIOp::create(b, loc, arith::ExtUIOp::create(b, loc, wide, first),
                                     arith::ExtSIOp::create(b, loc, wide, second));
  for (int64_t i = 0; i < group; ++i) {
    SmallVector<int64_t> positions;
    for (int64_t lane = 0; lane < lanes; ++lane)
      positions.push_back(lane * group + i);
    Value part = vector::ShuffleOp::create(b, loc, products, products, positions);
    accumulator = areFloats ? Value(arith::AddFOp::create(b, loc, accumulator, part))
                            : Value(arith::AddIOp::create(b, loc, accumulator, part));
  }
  return accumulator;
}

Value DotProduct::accumulate(OpBuilder &b, Location loc, Value accumulator, Value scalars, Value vectors) const {
  auto type = cast<VectorType>(accumulator.getType());
  int64_t lanes = type.getNumElements();
  // Where the signs differ, the unsigned operand comes first.
  Value first = scalars, second = vectors;
  if (seesSignedScalars() && !vectorsAreSigned)
    std::swap(first, second);
  switch (unit) {
  case DotUnit::Pairs: {
    StringRef name = isWasm        ? "llvm.wasm.dot"
                     : lanes == 16 ? "llvm.x86.avx512.pmaddw.d.512"
                     : lanes == 8  ? "llvm.x86.avx2.pmadd.wd"
                                   : "llvm.x86.sse2.pmadd.wd";
    if (sumsFit) {
      StringRef ofBytes = lanes == 16  ? "llvm.x86.avx512.pmaddubs.w.512"
                          : lanes == 8 ? "llvm.x86.avx2.pmadd.ub.sw"
                                       : "llvm.x86.ssse3.pmadd.ub.sw.128";
      auto pairs = VectorType::get({2 * lanes}, b.getI16Type());
      Value one = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(pairs, APInt(16, 1)));
      Value sums = intrinsic(b, loc, pairs, ofBytes, {first, second});
      return arith::AddIOp::create(b, loc, accumulator, intrinsic(b, loc, type, name, {sums, one}));
    }
    return arith::AddIOp::create(b, loc, accumulator, intrinsic(b, loc, type, name, ValueRange{first, second}));
  }
  case DotUnit::Vnni: {
    std::string name = "llvm.x86.avx512.vpdpbusd." + std::to_string(lanes * 32);
    return intrinsic(b, loc, type, name, {accumulator, first, second});
  }
  case DotUnit::VnniModel:
  case DotUnit::Bf16Model:
    return modelOf(b, loc, accumulator, first, second);
  case DotUnit::Bf16: {
    // bf16 moves as bits; only the instruction has the type.
    auto bf16 = VectorType::get({2 * lanes}, b.getBF16Type());
    auto typed = [&](Value pairs) -> Value {
      return LLVM::BitcastOp::create(b, loc, bf16, bitcast(b, loc, pairs, b.getI32Type()));
    };
    std::string name = "llvm.x86.avx512bf16.dpbf16ps." + std::to_string(lanes * 32);
    return intrinsic(b, loc, type, name, {accumulator, typed(first), typed(second)});
  }
  case DotUnit::Neon:
  case DotUnit::NeonMixed: {
    StringRef name = seesSignedScalars() != vectorsAreSigned ? "llvm.aarch64.neon.usdot.v4i32.v16i8"
                     : vectorsAreSigned                      ? "llvm.aarch64.neon.sdot.v4i32.v16i8"
                                                             : "llvm.aarch64.neon.udot.v4i32.v16i8";
    return intrinsic(b, loc, type, name, {accumulator, first, second});
  }
  case DotUnit::None:
    break;
  }
  llvm_unreachable("no dot product without a unit");
}

Value DotProduct::correct(OpBuilder &b, Location loc, Value accumulator, Value byteSums) const {
  // Signed bytes seen as unsigned ones are 128 more, unsigned ones seen as signed 128 less.
  Value shift = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(cast<VectorType>(byteSums.getType()), 7));
  Value difference = arith::ShLIOp::create(b, loc, byteSums, shift);
  if (scalarsAreSigned)
    return arith::SubIOp::create(b, loc, accumulator, difference);
  return arith::AddIOp::create(b, loc, accumulator, difference);
}
