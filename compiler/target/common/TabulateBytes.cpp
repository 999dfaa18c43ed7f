// Functions of one byte, read from a table of their 256 values.
//
//   %q = … : vector<16xi8>                          %q = … : vector<16xi8>
//   %x = (float %q - zero) * scale                  %t0…%t3 = what the arithmetic gives for all bytes, computed here
//   %s = quantise 1 / (1 + exp(-%x))         ──►    %y = the bytes of %t0…%t3 at %q
//   %y = quantise %x * (float %s) * scale
//
// Quantised models are full of such functions: an activation between two quantisations. The table's bytes are those
// that the same operations give, folded one by one: each is rounded as it says, even where code would fuse two.
// Only vectors are looked up, by the instructions that take bytes of registers at indices.
#include "compiler/target/common/KernelPasses.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using eyrie::target::ByteTables;

namespace {
constexpr int64_t kBytes = 256;

bool isBytes(Value value) {
  auto type = dyn_cast<VectorType>(value.getType());
  return type && type.getRank() == 1 && !type.isScalable() && type.getElementType().isInteger(8);
}

/// Arithmetic on each element of vectors.
bool isArithmetic(Operation *op) {
  return op && isa_and_nonnull<arith::ArithDialect, math::MathDialect>(op->getDialect()) && op->getNumResults() == 1 &&
         OpTrait::hasElementwiseMappableTraits(op);
}

/// What an operation takes, in instructions.
int64_t costOf(Operation *op) {
  if (isa<math::RoundEvenOp, math::FloorOp, math::CeilOp, math::TruncOp, math::AbsFOp, math::FmaOp>(op))
    return 1;
  if (isa<math::MathDialect>(op->getDialect()))
    return 12;
  return 1;
}

class Tabulation {
public:
  explicit Tabulation(ByteTables tables) : tables(tables) {}

  void run(Operation *root) {
    SmallVector<Operation *> arithmetic;
    root->walk([&](Operation *op) {
      if (!isArithmetic(op))
        return;
      arithmetic.push_back(op);
      if (isa<arith::TruncIOp>(op) && isBytes(op->getResult(0)) && fits(op->getResult(0)))
        argumentOf[op->getResult(0)] = findArgument(op->getResult(0));
    });
    // Users before what they use: what a table replaces is dead when its turn comes.
    for (Operation *op : llvm::reverse(arithmetic)) {
      Value result = op->getResult(0), argument = argumentOf.lookup(result);
      std::optional<Table> table;
      if (argument && !isOpTriviallyDead(op))
        table = tabulate(result, argument);
      if (table) {
        OpBuilder b(op);
        result.replaceAllUsesWith(lookUp(b, op->getLoc(), argument, *table));
      }
      if (isOpTriviallyDead(op))
        op->erase();
    }
  }

private:
  using Table = std::array<int8_t, kBytes>;

  int64_t registerBytes() const { return tables == ByteTables::Vbmi ? 64 : 16; }
  /// Instructions of arithmetic that take no longer than a table.
  int64_t mostArithmetic() const { return tables == ByteTables::Vbmi ? 14 : 24; }
  /// Does a register hold the elements, each in an integer of 8 to 64 bits?
  bool fits(Value bytes) const {
    int64_t elements = cast<VectorType>(bytes.getType()).getNumElements();
    return registerBytes() % elements == 0 && registerBytes() / elements <= 8;
  }

  /// The arithmetic behind `value` up to leaves and constants, in order. False if there is something else behind it.
  static bool collect(Value value, llvm::function_ref<bool(Value)> isLeaf, SetVector<Operation *> &operations) {
    if (isLeaf(value) || matchPattern(value, m_Constant()))
      return true;
    Operation *op = value.getDefiningOp();
    if (!isArithmetic(op))
      return false;
    if (operations.contains(op))
      return true;
    for (Value operand : op->getOperands())
      if (!collect(operand, isLeaf, operations))
        return false;
    operations.insert(op);
    return true;
  }

  /// The bytes of which `result` is a function; itself if it is one of several, or of something else.
  Value findArgument(Value result) const {
    SetVector<Value> arguments;
    SetVector<Operation *> operations;
    auto isLeaf = [&](Value value) {
      Value argument = argumentOf.lookup(value);
      if (!argument && isBytes(value) && !isArithmetic(value.getDefiningOp()))
        argument = value;
      if (argument)
        arguments.insert(argument);
      return bool(argument);
    };
    bool isFunction =
        collect(result, isLeaf, operations) && arguments.size() == 1 && arguments.front().getType() == result.getType();
    return isFunction ? arguments.front() : result;
  }

  /// Floats are compared, which MLIR does not fold for vectors.
  static DenseElementsAttr compare(arith::CmpFOp op, Attribute left, Attribute right) {
    auto lefts = dyn_cast<DenseFPElementsAttr>(left), rights = dyn_cast<DenseFPElementsAttr>(right);
    if (!lefts || !rights)
      return {};
    SmallVector<bool> bits;
    for (auto [a, b] : llvm::zip(lefts.getValues<APFloat>(), rights.getValues<APFloat>()))
      bits.push_back(arith::applyCmpPredicate(op.getPredicate(), a, b));
    return DenseElementsAttr::get(cast<VectorType>(op.getType()), bits);
  }

  /// What the operations between the two give for all bytes; none if they take no longer than a table, or if one of
  /// them cannot be folded.
  std::optional<Table> tabulate(Value result, Value argument) const {
    SetVector<Operation *> operations;
    int64_t cost = 0;
    if (!collect(result, [&](Value value) { return value == argument; }, operations))
      return std::nullopt;
    for (Operation *op : operations)
      cost += costOf(op);
    if (cost <= mostArithmetic())
      return std::nullopt;
    auto type = cast<VectorType>(argument.getType());
    Table table;
    for (int64_t first = 0; first < kBytes; first += type.getNumElements()) {
      SmallVector<int8_t> bytes;
      for (int64_t i = 0; i < type.getNumElements(); ++i)
        bytes.push_back(static_cast<int8_t>(first + i));
      DenseMap<Value, Attribute> known{{argument, DenseElementsAttr::get(type, ArrayRef(bytes))}};
      for (Operation *op : operations) {
        Attribute value = fold(op, known);
        if (!value)
          return std::nullopt;
        known[op->getResult(0)] = value;
      }
      auto values = dyn_cast<DenseIntElementsAttr>(known.lookup(result));
      if (!values)
        return std::nullopt;
      for (auto [i, value] : llvm::enumerate(values.getValues<APInt>()))
        table[first + i] = static_cast<int8_t>(value.getSExtValue());
    }
    return table;
  }

  static Attribute fold(Operation *op, const DenseMap<Value, Attribute> &known) {
    SmallVector<Attribute> operands;
    for (Value operand : op->getOperands()) {
      Attribute value = known.lookup(operand);
      if (!value && !matchPattern(operand, m_Constant(&value)))
        return {};
      operands.push_back(value);
    }
    if (auto comparison = dyn_cast<arith::CmpFOp>(op))
      return compare(comparison, operands[0], operands[1]);
    SmallVector<OpFoldResult> folded;
    if (failed(op->fold(operands, folded)) || folded.size() != 1)
      return {};
    if (auto value = dyn_cast<Value>(folded[0])) {
      Attribute same = known.lookup(value);
      if (!same)
        matchPattern(value, m_Constant(&same));
      return same;
    }
    return cast<Attribute>(folded[0]);
  }

  /// Elements widened to what of a register each has, the register's bytes looked up, and of each the lowest taken.
  Value lookUp(OpBuilder &b, Location loc, Value bytes, const Table &table) const {
    auto type = cast<VectorType>(bytes.getType());
    int64_t bits = 8 * registerBytes() / type.getNumElements();
    auto registerType = VectorType::get({registerBytes()}, b.getI8Type());
    auto wideType = VectorType::get(type.getShape(), b.getIntegerType(bits));
    Value indices = bytes;
    if (bits > 8)
      indices = vector::BitCastOp::create(b, loc, registerType, arith::ExtUIOp::create(b, loc, wideType, bytes));
    SmallVector<Value> parts;
    for (int64_t at = 0; at < kBytes; at += registerBytes())
      parts.push_back(arith::ConstantOp::create(
          b, loc, DenseElementsAttr::get(registerType, ArrayRef(table).slice(at, registerBytes()))));
    Value found = tables == ByteTables::Vbmi ? lookUpVbmi(b, loc, parts, indices) : lookUpNeon(b, loc, parts, indices);
    if (bits == 8)
      return found;
    return arith::TruncIOp::create(b, loc, type, vector::BitCastOp::create(b, loc, wideType, found));
  }

  static Value call(OpBuilder &b, Location loc, StringRef name, ValueRange operands) {
    return LLVM::CallIntrinsicOp::create(b, loc, operands.back().getType(), b.getStringAttr(name), operands)
        ->getResult(0);
  }

  /// Two registers at a time, by the lower seven bits of an index; the eighth chooses.
  static Value lookUpVbmi(OpBuilder &b, Location loc, ArrayRef<Value> parts, Value indices) {
    auto half = [&](Value first, Value second) {
      return call(b, loc, "llvm.x86.avx512.vpermi2var.qi.512", {first, indices, second});
    };
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(indices.getType()));
    Value isUpper = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, indices, zero);
    return arith::SelectOp::create(b, loc, isUpper, half(parts[2], parts[3]), half(parts[0], parts[1]));
  }

  /// Four registers at a time; indices beyond them leave what was found before.
  static Value lookUpNeon(OpBuilder &b, Location loc, ArrayRef<Value> parts, Value indices) {
    Value found;
    for (unsigned at = 0; at < parts.size(); at += 4) {
      Value within = indices;
      if (at) {
        Value before = arith::ConstantOp::create(
            b, loc, DenseElementsAttr::get(cast<VectorType>(indices.getType()), static_cast<int8_t>(at * 16)));
        within = arith::SubIOp::create(b, loc, indices, before);
      }
      SmallVector<Value> operands(parts.slice(at, 4));
      operands.push_back(within);
      if (found)
        operands.insert(operands.begin(), found);
      found = call(b, loc, found ? "llvm.aarch64.neon.tbx4" : "llvm.aarch64.neon.tbl4", operands);
    }
    return found;
  }

  ByteTables tables;
  DenseMap<Value, Value> argumentOf; // of vectors of bytes that arithmetic makes: what they are functions of
};

struct TabulateBytesPass : PassWrapper<TabulateBytesPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TabulateBytesPass)
  explicit TabulateBytesPass(ByteTables tables) : tables(tables) {}
  StringRef getArgument() const override { return "target-tabulate-bytes"; }
  StringRef getDescription() const override { return "Read functions of one byte from tables"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<LLVM::LLVMDialect, vector::VectorDialect>();
  }
  void runOnOperation() override { Tabulation(tables).run(getOperation()); }

  ByteTables tables;
};
} // namespace

std::unique_ptr<Pass> eyrie::target::createTabulateBytesPass(ByteTables tables) {
  return std::make_unique<TabulateBytesPass>(tables);
}
