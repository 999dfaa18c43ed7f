// Elements of fewer than 8 bits are computed with one to a byte. Tensors that come in, go out or lie in the module stay
// packed.
//
//   func.func @main(%x: tensor<5xi4>) -> tensor<5xi4> {
//     %y = linalg.generic ins(%x) outs(%init : tensor<5xi4>)
//     return %y
// becomes
//   func.func @main(%x: tensor<5xi4>) -> tensor<5xi4> {
//     %bytes = graph.reshape %x : tensor<5xi4> -> tensor<3xi8>
//     %wide = … every byte's elements, in their lowest bits … : tensor<5xi8>
//     %y = linalg.generic ins(%wide) outs(%init : tensor<5xi8>)
//     %packed = … every byte of its elements … : tensor<3xi8>
//     %result = graph.reshape %packed : tensor<3xi8> -> tensor<5xi4>
//     return %result
//
// A packed byte is written whole by the one iteration that owns it, so workgroups never share one. Invariant left:
// tensors of such elements are arguments, results, globals and those of host calls only, and all that is done to them
// is that reshape; the upper bits of every byte of the others are 0. Functions of the host take and give packed
// elements.
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace eyrie::graph;

namespace {
bool isPacked(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isInteger(2) || element.isInteger(4) || isa<Float4E2M1FNType>(element);
}

/// The type with one byte for each element.
Type widened(Type type) {
  Type byte = IntegerType::get(type.getContext(), 8);
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return isPacked(type) ? tensor.clone(byte) : type;
  return isPacked(type) ? byte : type;
}

/// Elements as arithmetic sees them, from their byte, and back.
Value narrow(OpBuilder &b, Location loc, Value byte, Type element) {
  Type integer = b.getIntegerType(element.getIntOrFloatBitWidth());
  Value value = arith::TruncIOp::create(b, loc, integer, byte);
  return integer == element ? value : Value(arith::BitcastOp::create(b, loc, element, value));
}

Value widen(OpBuilder &b, Location loc, Value element) {
  Value value = element;
  if (auto cast = value.getDefiningOp<arith::BitcastOp>(); cast && !value.getType().isInteger())
    value = cast.getIn();
  if (auto truncated = value.getDefiningOp<arith::TruncIOp>(); truncated && truncated->hasAttr("eyrie.byte"))
    return truncated.getIn();
  if (!element.getType().isInteger())
    value = arith::BitcastOp::create(b, loc, b.getIntegerType(element.getType().getIntOrFloatBitWidth()), element);
  else
    value = element;
  return arith::ExtUIOp::create(b, loc, b.getI8Type(), value);
}

/// Packs and unpacks tensors of one shape and element type.
struct Packing {
  OpBuilder &b;
  Location loc;
  RankedTensorType type; // packed
  SmallVector<OpFoldResult> sizes;

  int64_t bits() const { return type.getElementTypeBitWidth(); }
  int64_t perByte() const { return 8 / bits(); }

  OpFoldResult compute(AffineExpr expr, ArrayRef<OpFoldResult> operands) {
    auto evaluate = [&](auto &&self, AffineExpr e) -> OpFoldResult {
      if (auto constant = dyn_cast<AffineConstantExpr>(e))
        return b.getIndexAttr(constant.getValue());
      if (auto symbol = dyn_cast<AffineDimExpr>(e))
        return operands[symbol.getPosition()];
      auto binary = cast<AffineBinaryOpExpr>(e);
      OpFoldResult x = self(self, binary.getLHS()), y = self(self, binary.getRHS());
      auto cx = getConstantIntValue(x), cy = getConstantIntValue(y);
      bool isMul = e.getKind() == AffineExprKind::Mul, isAdd = e.getKind() == AffineExprKind::Add;
      if (cx && cy)
        return b.getIndexAttr(isMul ? *cx * *cy : isAdd ? *cx + *cy : llvm::divideCeil(*cx, *cy));
      Value vx = getValueOrCreateConstantIndexOp(b, loc, x), vy = getValueOrCreateConstantIndexOp(b, loc, y);
      if (isMul)
        return arith::MulIOp::create(b, loc, vx, vy).getResult();
      return isAdd ? arith::AddIOp::create(b, loc, vx, vy).getResult()
                   : arith::CeilDivSIOp::create(b, loc, vx, vy).getResult();
    };
    return evaluate(evaluate, expr);
  }
  OpFoldResult count() {
    OpFoldResult product = b.getIndexAttr(1);
    for (OpFoldResult size : sizes)
      product = compute(b.getAffineDimExpr(0) * b.getAffineDimExpr(1), {product, size});
    return product;
  }
  OpFoldResult bytes() { return compute(b.getAffineDimExpr(0).ceilDiv(perByte()), {count()}); }

  Value reshape(Value source, Type element, ArrayRef<OpFoldResult> shape) {
    SmallVector<int64_t> fixed;
    SmallVector<Value> dynamic;
    dispatchIndexOpFoldResults(shape, dynamic, fixed);
    return ReshapeOp::create(b, loc, RankedTensorType::get(fixed, element), source, dynamic);
  }
  /// How far the elements of column `loop` lie from the lowest bit, i8.
  Value shift(OpBuilder &body, unsigned loop) {
    Value column = arith::IndexCastOp::create(body, loc, body.getI8Type(), linalg::IndexOp::create(body, loc, loop));
    Value width = arith::ConstantOp::create(body, loc, body.getI8IntegerAttr(bits()));
    return arith::MulIOp::create(body, loc, column, width);
  }

  Value unpack(Value packed) {
    Type byte = b.getI8Type();
    OpFoldResult rows = bytes(), columns = b.getIndexAttr(perByte());
    Value source = reshape(packed, byte, {rows});
    Value init = tensor::EmptyOp::create(b, loc, {rows, columns}, byte);
    AffineMap ofRow = AffineMap::get(2, 0, b.getAffineDimExpr(0)), all = b.getMultiDimIdentityMap(2);
    SmallVector<utils::IteratorType> loops(2, utils::IteratorType::parallel);
    Value wide = linalg::GenericOp::create(b, loc, init.getType(), source, init, {ofRow, all}, loops,
                                           [&](OpBuilder &body, Location, ValueRange args) {
                                             Value low = arith::ShRUIOp::create(body, loc, args[0], shift(body, 1));
                                             Value mask = arith::ConstantOp::create(
                                                 body, loc, body.getI8IntegerAttr((1 << bits()) - 1));
                                             Value element = arith::AndIOp::create(body, loc, low, mask);
                                             linalg::YieldOp::create(body, loc, element);
                                           })
                     .getResult(0);
    OpFoldResult all1d = compute(b.getAffineDimExpr(0) * perByte(), {rows}), n = count();
    wide = reshape(wide, byte, {all1d});
    if (getConstantIntValue(n) == std::nullopt || getConstantIntValue(n) != getConstantIntValue(all1d))
      wide = tensor::ExtractSliceOp::create(b, loc, wide, ArrayRef<OpFoldResult>{b.getIndexAttr(0)}, {n},
                                            {b.getIndexAttr(1)});
    return reshape(wide, byte, sizes);
  }

  Value pack(Value wide) {
    Type byte = b.getI8Type();
    OpFoldResult rows = bytes(), columns = b.getIndexAttr(perByte()), n = count();
    OpFoldResult filled = compute(b.getAffineDimExpr(0) * perByte(), {rows});
    Value zero = arith::ConstantOp::create(b, loc, b.getI8IntegerAttr(0));
    Value source = reshape(wide, byte, {n});
    if (getConstantIntValue(n) == std::nullopt || getConstantIntValue(n) != getConstantIntValue(filled)) {
      OpFoldResult behind = compute(b.getAffineDimExpr(0) + b.getAffineDimExpr(1) * -1, {filled, n});
      source = tensor::PadOp::create(b, loc, Type(), source, ArrayRef<OpFoldResult>{b.getIndexAttr(0)}, {behind}, zero);
    }
    source = reshape(source, byte, {rows, columns});
    Value empty = tensor::EmptyOp::create(b, loc, {rows}, byte);
    Value init = linalg::FillOp::create(b, loc, zero, empty)->getResult(0);
    AffineMap ofRow = AffineMap::get(2, 0, b.getAffineDimExpr(0)), all = b.getMultiDimIdentityMap(2);
    Value packed = linalg::GenericOp::create(b, loc, init.getType(), source, init, {all, ofRow},
                                             {utils::IteratorType::parallel, utils::IteratorType::reduction},
                                             [&](OpBuilder &body, Location, ValueRange args) {
                                               Value placed = arith::ShLIOp::create(body, loc, args[0], shift(body, 1));
                                               Value sum = arith::OrIOp::create(body, loc, args[1], placed);
                                               linalg::YieldOp::create(body, loc, sum);
                                             })
                       .getResult(0);
    return reshape(packed, type.getElementType(), sizes);
  }
};

struct WidenElementsPass : PassWrapper<WidenElementsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(WidenElementsPass)
  StringRef getArgument() const override { return "graph-widen-elements"; }
  StringRef getDescription() const override { return "Compute with one element to a byte"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<GraphDialect, arith::ArithDialect, tensor::TensorDialect, linalg::LinalgDialect>();
  }

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    SmallVector<Operation *> ops;
    func.walk([&](Operation *op) {
      if (op != func)
        ops.push_back(op);
    });
    // 1. Inside: bytes everywhere but in arithmetic.
    llvm::SmallDenseSet<Operation *> loads;
    SmallVector<HostCallOp> calls;
    SmallVector<std::pair<OpOperand *, RankedTensorType>> given; // to the calls
    for (Operation *op : ops) {
      if (auto call = dyn_cast<HostCallOp>(op)) {
        calls.push_back(call);
        for (OpOperand &operand : op->getOpOperands())
          if (isPacked(operand.get().getType()))
            given.emplace_back(&operand, cast<RankedTensorType>(operand.get().getType()));
      }
    }
    for (Operation *op : ops) {
      if (failed(checkLists(op)))
        return signalPassFailure();
      if (auto load = dyn_cast<LoadGlobalOp>(op); load && isPacked(load.getType()))
        loads.insert(op);
      else if (isa<HostCallOp>(op))
        continue;
      else if (!isa<func::ReturnOp>(op))
        widenOp(op);
    }
    // 2. What comes in.
    OpBuilder b = OpBuilder::atBlockBegin(&func.getBody().front());
    for (BlockArgument arg : func.getArguments())
      if (isPacked(arg.getType()) && isa<RankedTensorType>(arg.getType()))
        unpack(b, arg);
    for (Operation *load : loads) {
      b.setInsertionPointAfter(load);
      unpack(b, load->getResult(0));
    }
    for (HostCallOp call : calls) {
      b.setInsertionPointAfter(call);
      for (Value result : call.getResults())
        if (isPacked(result.getType()))
          unpack(b, result);
    }
    // 3. What goes out.
    for (auto [operand, type] : given) {
      b.setInsertionPoint(operand->getOwner());
      operand->set(pack(b, operand->get(), type));
    }
    Operation *ret = func.getBody().front().getTerminator();
    b.setInsertionPoint(ret);
    for (auto [operand, type] : llvm::zip_equal(ret->getOpOperands(), func.getResultTypes()))
      if (isPacked(type) && isa<RankedTensorType>(type))
        operand.set(pack(b, operand.get(), cast<RankedTensorType>(type)));
  }

  LogicalResult checkLists(Operation *op) {
    for (Type type : llvm::concat<const Type>(op->getResultTypes(), op->getOperandTypes()))
      if (auto list = dyn_cast<ListType>(type); list && isPacked(list.getElementType()))
        return op->emitError("sequences of elements of fewer than 8 bits are not supported, found ") << list.getName();
    return success();
  }

  void widenOp(Operation *op) {
    if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      if (auto elements = dyn_cast<DenseElementsAttr>(constant.getValue()); elements && isPacked(elements.getType())) {
        auto type = cast<RankedTensorType>(widened(elements.getType()));
        Type byte = type.getElementType();
        DenseElementsAttr wide =
            isa<FloatType>(elements.getElementType())
                ? elements.mapValues(byte, [](const APFloat &x) { return x.bitcastToAPInt().zext(8); })
                : elements.mapValues(byte, [](const APInt &x) { return x.zext(8); });
        constant.setValueAttr(wide);
        constant.getResult().setType(type);
      }
      return;
    }
    bool isArithmetic = isa<arith::ArithDialect, math::MathDialect>(op->getDialect());
    OpBuilder b(op);
    if (!isArithmetic)
      for (OpOperand &operand : op->getOpOperands())
        if (Type type = operand.get().getType(); isPacked(type) && !isa<RankedTensorType>(type))
          if (type.isIntOrFloat())
            operand.set(widen(b, op->getLoc(), operand.get()));
    b.setInsertionPointAfter(op);
    for (Value result : op->getResults())
      if (isa<RankedTensorType>(result.getType()) || !isArithmetic)
        setByte(b, result);
    for (Region &region : op->getRegions())
      for (Block &block : region) {
        b.setInsertionPointToStart(&block);
        for (BlockArgument arg : block.getArguments())
          setByte(b, arg);
      }
  }

  void setByte(OpBuilder &b, Value value) {
    Type type = value.getType();
    if (!isPacked(type))
      return;
    value.setType(widened(type));
    if (isa<RankedTensorType>(type) || value.use_empty())
      return;
    Value element = narrow(b, value.getLoc(), value, type);
    Operation *first = element.getDefiningOp();
    if (auto cast = dyn_cast<arith::BitcastOp>(first))
      first = cast.getIn().getDefiningOp();
    first->setAttr("eyrie.byte", b.getUnitAttr());
    value.replaceAllUsesExcept(element, first);
  }

  void unpack(OpBuilder &b, Value packed) {
    if (packed.use_empty())
      return;
    auto type = cast<RankedTensorType>(packed.getType());
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : packed.getUses())
      if (!isa<tensor::DimOp>(use.getOwner()))
        uses.push_back(&use);
    if (uses.empty())
      return;
    Packing packing{b, packed.getLoc(), type, tensor::getMixedSizes(b, packed.getLoc(), packed)};
    Value wide = packing.unpack(packed);
    sources[wide] = packed;
    for (OpOperand *use : uses)
      use->set(wide);
  }

  Value pack(OpBuilder &b, Value wide, RankedTensorType type) {
    // What goes out as it came in.
    if (Value packed = sources.lookup(wide); packed && packed.getType() == type)
      return packed;
    return Packing{b, wide.getLoc(), type, tensor::getMixedSizes(b, wide.getLoc(), wide)}.pack(wide);
  }

  llvm::DenseMap<Value, Value> sources; // unpacked to packed
};
} // namespace

std::unique_ptr<Pass> eyrie::graph::createWidenElementsPass() { return std::make_unique<WidenElementsPass>(); }
