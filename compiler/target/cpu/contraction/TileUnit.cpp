#include "compiler/target/cpu/contraction/TileUnit.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace eyrie::target::cpu;

Type TileUnit::tileType() { return LLVM::LLVMX86AMXType::get(b.getContext()); }

Value TileUnit::number(int64_t value) { return arith::ConstantOp::create(b, loc, b.getI16IntegerAttr(value)); }

Value TileUnit::asI64(Value index) { return arith::IndexCastOp::create(b, loc, b.getI64Type(), index); }

static LLVM::CallIntrinsicOp call(OpBuilder &b, Location loc, StringRef name, ValueRange arguments) {
  return LLVM::CallIntrinsicOp::create(b, loc, b.getStringAttr("llvm.x86." + name.str() + ".internal"), arguments);
}
static Value call(OpBuilder &b, Location loc, Type result, StringRef name, ValueRange arguments) {
  return LLVM::CallIntrinsicOp::create(b, loc, result, b.getStringAttr("llvm.x86." + name.str() + ".internal"),
                                       arguments)
      ->getResult(0);
}

Value TileUnit::zero() { return call(b, loc, tileType(), "tilezero", {number(rows), number(rowBytes)}); }

Value TileUnit::load(Value memory, Value first, Value pitch) {
  return call(b, loc, tileType(), "tileloadd64",
              {number(rows), number(rowBytes), pointerTo(memory, first), asI64(bytesOf(memory, pitch))});
}

void TileUnit::store(Value memory, Value first, Value pitch, Value tile) {
  call(b, loc, "tilestored64",
       {number(rows), number(rowBytes), pointerTo(memory, first), asI64(bytesOf(memory, pitch)), tile});
}

Value TileUnit::multiply(const DotProduct &product, Value sums, Value ofRows, Value ofColumns) {
  std::string name = "tdpbf16ps";
  if (!product.elementType().isBF16())
    name =
        std::string("tdpb") + (product.hasSignedScalars() ? "s" : "u") + (product.hasSignedVectors() ? "s" : "u") + "d";
  return call(b, loc, tileType(), name, {number(rows), number(rowBytes), number(rowBytes), sums, ofRows, ofColumns});
}

Value TileUnit::bytesOf(Value memory, Value elements) {
  int64_t bytes = cast<MemRefType>(memory.getType()).getElementTypeBitWidth() / 8;
  return arith::MulIOp::create(b, loc, elements, arith::ConstantIndexOp::create(b, loc, bytes));
}

Value TileUnit::pointerTo(Value memory, Value index) {
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, memory);
  Value address = arith::AddIOp::create(b, loc, base, bytesOf(memory, index));
  return LLVM::IntToPtrOp::create(b, loc, LLVM::LLVMPointerType::get(b.getContext()), asI64(address));
}
