#include "compiler/target/cpu/contraction/TileUnit.h"
#include "compiler/target/cpu/contraction/Access.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace eyrie::target::cpu;

Value TileUnit::number(int64_t value) { return arith::ConstantOp::create(b, loc, b.getI16IntegerAttr(value)); }

Value TileUnit::asI64(Value index) { return arith::IndexCastOp::create(b, loc, b.getI64Type(), index); }

static LLVM::CallIntrinsicOp call(OpBuilder &b, Location loc, StringRef name, ValueRange arguments,
                                  TypeRange results = {}) {
  auto attribute = b.getStringAttr("llvm.x86." + name.str() + ".internal");
  if (results.empty())
    return LLVM::CallIntrinsicOp::create(b, loc, attribute, arguments);
  return LLVM::CallIntrinsicOp::create(b, loc, results[0], attribute, arguments);
}

Value TileUnit::makeTile(StringRef name, ValueRange arguments) {
  return call(b, loc, name, arguments, LLVM::LLVMX86AMXType::get(b.getContext()))->getResult(0);
}

Value TileUnit::zero() { return makeTile("tilezero", {number(rows), number(rowBytes)}); }

Value TileUnit::load(Value memory, Value first, Value pitch) {
  return makeTile("tileloadd64",
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
  return makeTile(name, {number(rows), number(rowBytes), number(rowBytes), sums, ofRows, ofColumns});
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

namespace {
/// The steps of a tile's sums.
struct UnitSteps {
  Access &a;
  const UnitMemory &memory;
  const Dot &dot = *a.contraction.dot;
  const int64_t group = dot.product.group(), all = TileUnit::groups * group; // elements of a register's row

  /// The products of so many elements of each row. Where they do not fill the registers, or rows may not exist, they
  /// are copied first; what is in the place of rows that do not exist does not matter.
  void emit(int64_t elements) {
    bool isWhole = elements == all;
    TileUnit unit(a.b, a.loc);
    SmallVector<Value> ofRows, ofColumns;
    for (int64_t first = 0; first < a.tileRows; first += TileUnit::rows) {
      int64_t end = std::min(first + TileUnit::rows, a.tileRows);
      if (isWhole && end - first == TileUnit::rows && a.repeated.empty()) {
        Value pitch = a.s.value(a.functionOf(dot.scalars).strides[*a.plan.row]);
        ofRows.push_back(unit.load(a.memoryOf(dot.scalars), placeOf(dot.scalars, first, 0), pitch));
      } else {
        copyRows(first, end, elements);
        ofRows.push_back(unit.load(memory.rows, a.constant(first * all), a.constant(all)));
      }
    }
    if (!isWhole)
      copyColumns(llvm::divideCeil(elements, group));
    for (int64_t vector = 0; vector < a.columns.vectors; ++vector)
      if (isWhole)
        ofColumns.push_back(unit.load(a.memoryOf(dot.vectors), placeOf(dot.vectors, 0, vector),
                                      a.s.value(a.functionOf(dot.vectors).strides[dot.loop])));
      else
        ofColumns.push_back(
            unit.load(memory.columns, a.constant(vector * a.plan.lanes * group), a.constant(a.plan.panel() * group)));
    for (auto [number, sums] : llvm::enumerate(a.accumulators))
      sums =
          unit.multiply(dot.product, sums, ofRows[number / a.columns.vectors], ofColumns[number % a.columns.vectors]);
  }

  Value placeOf(const Expression *operand, int64_t row, int64_t vector) {
    return a.shifted(a.addresses[operand], a.functionOf(operand), 0, row, vector);
  }

  /// Copies `elements` elements of each of these rows, zeros behind them.
  void copyRows(int64_t firstRow, int64_t endRow, int64_t elements) {
    auto type = VectorType::get({all}, dot.product.elementType());
    Value zeros = arith::ConstantOp::create(a.b, a.loc, a.b.getZeroAttr(type));
    SmallVector<bool> exists(all, false);
    std::fill_n(exists.begin(), elements, true);
    Value mask = arith::ConstantOp::create(
        a.b, a.loc, DenseElementsAttr::get(VectorType::get({all}, a.b.getI1Type()), ArrayRef<bool>(exists)));
    for (int64_t row = firstRow; row < endRow; ++row) {
      Value place = placeOf(dot.scalars, row, 0), from = a.memoryOf(dot.scalars), part;
      if (elements == all)
        part = vector::LoadOp::create(a.b, a.loc, type, from, place);
      else
        part = vector::MaskedLoadOp::create(a.b, a.loc, type, from, ValueRange{place}, mask, zeros);
      vector::StoreOp::create(a.b, a.loc, part, memory.rows, a.constant(row * all));
    }
  }

  /// Copies the columns' part of so many groups, zeros behind them.
  void copyColumns(int64_t groups) {
    VectorType type = a.groupType();
    Value zeros = arith::ConstantOp::create(a.b, a.loc, a.b.getZeroAttr(type));
    auto outside = a.addresses;
    for (int64_t number = 0; number < TileUnit::groups; ++number, a.advance(dot.loop, Value(), 1))
      for (int64_t vector = 0; vector < a.columns.vectors; ++vector) {
        Value part = zeros;
        if (number < groups)
          part = vector::LoadOp::create(a.b, a.loc, type, a.memoryOf(dot.vectors), placeOf(dot.vectors, 0, vector));
        int64_t place = (number * a.plan.columnVectors + vector) * type.getNumElements();
        vector::StoreOp::create(a.b, a.loc, part, memory.columns, a.constant(place));
      }
    a.addresses = outside;
  }
};
} // namespace

void eyrie::target::cpu::emitUnitGroups(Access &a, const UnitMemory &memory) {
  UnitSteps steps{a, memory};
  int64_t whole = steps.dot.groups / TileUnit::groups * TileUnit::groups;
  auto outside = a.addresses;
  if (whole)
    a.carryAccumulators(a.constant(0), a.constant(whole), TileUnit::groups, [&](Value group) {
      a.advance(steps.dot.loop, group, 0);
      steps.emit(steps.all);
      a.addresses = outside;
    });
  if (int64_t left = (steps.dot.groups - whole) * steps.group + steps.dot.rest) {
    a.advance(steps.dot.loop, Value(), whole);
    steps.emit(left);
    a.addresses = outside;
  }
}
