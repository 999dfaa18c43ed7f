// graph-place-states: lets states grow in place.
//
//   func.func @main(%old: tensor<1x8x?x64xf32> {eyrie.state = "k"}, …) -> (tensor<1x8x?x64xf32> {eyrie.state = "k"})
//     %new = tensor.concat dim(2) %old, %part
//     … %new …
//     return %new
// becomes
//   func.func @main(%old: tensor<?x1x8x64xf32> {eyrie.state = "k", eyrie.state_order = [2, 0, 1, 3]}, …) -> …
//     %rows = graph.append %old, transpose(%part, [2, 0, 1, 3])
//     … transpose(%rows, [1, 2, 0, 3]) …
//     return %rows
//
// A state that is its old value with something behind it along one dimension is kept with that dimension first, so that
// what is new lies behind what is old. The transposes back are absorbed by those who read (graph-propagate-layout). All
// functions of the module that have the state take it in that form.
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace eyrie::graph;

namespace {

using Order = SmallVector<int64_t>;

Value skipCasts(Value value) {
  while (auto cast = value.getDefiningOp<tensor::CastOp>())
    value = cast.getSource();
  return value;
}

/// One function's part in a state. Either number may be -1: a function may only read it, or only write it.
struct Use {
  func::FuncOp func;
  int argument = -1, result = -1;

  Value returned() { return func.getBody().front().getTerminator()->getOperand(result); }
  /// The concatenation through which the state grows here; null if it does not.
  tensor::ConcatOp growth() {
    if (argument < 0 || result < 0)
      return {};
    auto concat = skipCasts(returned()).getDefiningOp<tensor::ConcatOp>();
    bool grows = concat && concat.getInputs().size() > 1 && concat->getBlock() == &func.getBody().front() &&
                 skipCasts(concat.getInputs().front()) == func.getArgument(argument);
    return grows ? concat : tensor::ConcatOp();
  }
};

Value transpose(OpBuilder &b, Location loc, Value value, ArrayRef<int64_t> permutation) {
  if (isIdentityPermutation(permutation))
    return value;
  auto sizes = tensor::getMixedSizes(b, loc, value);
  SmallVector<OpFoldResult> permuted = applyPermutation(sizes, permutation);
  Value init = tensor::EmptyOp::create(b, loc, permuted, getElementTypeOrSelf(value.getType()));
  return linalg::TransposeOp::create(b, loc, value, init, permutation)->getResult(0);
}

RankedTensorType permuted(Type type, ArrayRef<int64_t> order) {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.clone(applyPermutation(tensor.getShape(), order));
}

/// Brings the attributes of an argument or result into the new order.
DictionaryAttr reordered(DictionaryAttr attributes, ArrayRef<int64_t> order) {
  Builder b(attributes.getContext());
  NamedAttrList list(attributes);
  if (auto names = attributes.getAs<ArrayAttr>("eyrie.dims"))
    list.set("eyrie.dims", b.getArrayAttr(applyPermutation(names.getValue(), order)));
  list.set(kStateOrder, b.getDenseI64ArrayAttr(order));
  return list.getDictionary(attributes.getContext());
}

/// %rows = append(%old, parts in the new order), returned; in the model's order for all other users.
void growInPlace(Use &use, tensor::ConcatOp concat, ArrayRef<int64_t> order) {
  OpBuilder b(concat);
  Location loc = concat.getLoc();
  SmallVector<Value> parts(llvm::drop_begin(concat.getInputs()));
  Value part = parts.front();
  if (parts.size() > 1)
    part = tensor::ConcatOp::create(b, loc, concat.getDim(), parts);
  part = transpose(b, loc, part, order);
  Value old = use.func.getArgument(use.argument);
  auto type = permuted(concat.getType(), order);
  SmallVector<Value> dims;
  for (int64_t i = 0; i < type.getRank(); ++i) {
    if (!type.isDynamicDim(i))
      continue;
    Value size = b.createOrFold<tensor::DimOp>(loc, old, i);
    if (i == 0)
      size = b.createOrFold<arith::AddIOp>(loc, size, b.createOrFold<tensor::DimOp>(loc, part, i));
    dims.push_back(size);
  }
  Value rows = AppendOp::create(b, loc, type, old, part, dims);
  Operation *terminator = use.func.getBody().front().getTerminator();
  Value model = transpose(b, loc, rows, invertPermutationVector(order));
  concat.replaceAllUsesWith(model);
  concat.erase();
  OpBuilder atEnd(terminator);
  auto resultType = permuted(use.returned().getType(), order);
  if (rows.getType() != resultType)
    rows = tensor::CastOp::create(atEnd, loc, resultType, rows);
  terminator->setOperand(use.result, rows);
}

/// The function takes and gives the state in this order.
void reorder(Use &use, ArrayRef<int64_t> order) {
  func::FuncOp func = use.func;
  tensor::ConcatOp concat = use.growth();
  if (use.argument >= 0) {
    BlockArgument argument = func.getArgument(use.argument);
    auto oldType = argument.getType();
    argument.setType(permuted(oldType, order));
    OpBuilder b = OpBuilder::atBlockBegin(argument.getOwner());
    auto model = transpose(b, argument.getLoc(), argument, invertPermutationVector(order));
    if (model != argument) {
      SmallPtrSet<Operation *, 4> made;
      for (Operation &op : *argument.getOwner()) {
        made.insert(&op);
        if (&op == model.getDefiningOp())
          break;
      }
      argument.replaceAllUsesExcept(model, made);
    }
    func.setArgAttrs(use.argument, reordered(func.getArgAttrDict(use.argument), order));
  }
  if (use.result >= 0) {
    if (concat) {
      growInPlace(use, concat, order);
    } else {
      Operation *terminator = func.getBody().front().getTerminator();
      OpBuilder b(terminator);
      terminator->setOperand(use.result, transpose(b, terminator->getLoc(), use.returned(), order));
    }
    func.setResultAttrs(use.result, reordered(func.getResultAttrDict(use.result), order));
  }
  func.setFunctionType(FunctionType::get(func.getContext(), func.getBody().front().getArgumentTypes(),
                                         func.getBody().front().getTerminator()->getOperandTypes()));
}

struct PlaceStatesPass : PassWrapper<PlaceStatesPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlaceStatesPass)
  StringRef getArgument() const override { return "graph-place-states"; }
  StringRef getDescription() const override { return "Let states grow in place"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<GraphDialect, linalg::LinalgDialect, tensor::TensorDialect, arith::ArithDialect>();
  }

  void runOnOperation() override {
    llvm::MapVector<StringAttr, SmallVector<Use, 1>> states;
    for (auto func : getOperation().getOps<func::FuncOp>())
      collect(func, states);
    for (auto &[name, uses] : states)
      for (Use &use : uses)
        if (tensor::ConcatOp concat = use.growth()) {
          Order order{int64_t(concat.getDim())};
          for (int64_t i = 0; i < concat.getType().getRank(); ++i)
            if (i != order.front())
              order.push_back(i);
          for (Use &each : uses)
            reorder(each, order);
          break;
        }
  }

  static void collect(func::FuncOp func, llvm::MapVector<StringAttr, SmallVector<Use, 1>> &states) {
    auto useOf = [&](StringAttr name) -> Use & {
      SmallVector<Use, 1> &uses = states[name];
      if (uses.empty() || uses.back().func != func)
        uses.push_back({func});
      return uses.back();
    };
    for (unsigned i = 0; i < func.getNumArguments(); ++i)
      if (auto name = func.getArgAttrOfType<StringAttr>(i, kState))
        useOf(name).argument = i;
    for (unsigned i = 0; i < func.getNumResults(); ++i)
      if (auto name = func.getResultAttrOfType<StringAttr>(i, kState))
        useOf(name).result = i;
  }
};
} // namespace

std::unique_ptr<Pass> eyrie::graph::createPlaceStatesPass() { return std::make_unique<PlaceStatesPass>(); }
