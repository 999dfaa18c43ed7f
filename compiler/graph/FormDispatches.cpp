// Groups operations into dispatches and outlines each as an executable.
//
//   %0 = linalg.generic {matmul} ins(%x, %w)          %1 = graph.dispatch @fc(%x, %w, %b, %n) …
//   %1 = linalg.generic {add, relu} ins(%0, %b)  ──►  graph.executable @fc { func.func @fc(%x, %w, %b, %n) … }
//
// Two kinds of groups are formed around an elementwise operation: a contraction, convolution, pooling or other
// reduction whose result it alone uses, element by element (an epilogue), and the reductions along trailing
// dimensions whose results only the group uses (softmax, layer normalisation: a row at a time). The former writes the
// border too if its result is padded. Attention (Forms.h) is one dispatch where the target has a kernel for it. Every
// other operation is a dispatch of its own. Fills, slices, literals and unpacks are cloned into the dispatches that
// read them.
//
// Invariant left: no tensor computation outside executables but graph.load_global, views and updates (graph.reshape,
// graph.slice, graph.update, graph.append) and graph.dispatch.
#include "compiler/graph/Forms.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "compiler/graph/SizeFacts.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/Iterators.h"
#include "mlir/Transforms/CSE.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace eyrie::graph;

namespace {
/// The name of the model's node behind a location, or empty.
StringRef nodeName(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc))
    return name.getName();
  if (auto fused = dyn_cast<FusedLoc>(loc))
    for (Location part : fused.getLocations())
      if (StringRef name = nodeName(part); !name.empty())
        return name;
  if (auto call = dyn_cast<CallSiteLoc>(loc))
    return nodeName(call.getCallee());
  return {};
}

/// Cloned into every dispatch that uses it, rather than computed by one of its own.
bool isCloned(Operation *op) {
  return isa<tensor::EmptyOp, linalg::FillOp, arith::ConstantOp, tensor::ExtractSliceOp, linalg::UnPackOp>(op) ||
         op->hasAttr(kInKernel);
}

bool computesTensor(Operation *op) {
  return llvm::any_of(op->getResultTypes(), [](Type type) { return isa<RankedTensorType>(type); }) &&
         !isa<LoadGlobalOp, ReshapeOp, SliceOp, UpdateOp, AppendOp, ListGetOp, HostCallOp, DispatchOp, scf::IfOp,
              scf::ForOp, scf::WhileOp, arith::SelectOp>(op);
}

/// A generic that copies `source`, read through `reading`, to the shape of `init`.
Value copyInto(OpBuilder &b, Location loc, Value source, Value init, AffineMap reading) {
  unsigned rank = reading.getNumDims();
  return linalg::GenericOp::create(
             b, loc, init.getType(), source, init, {reading, b.getMultiDimIdentityMap(rank)},
             SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
             [](OpBuilder &nested, Location l, ValueRange args) { linalg::YieldOp::create(nested, l, args[0]); })
      ->getResult(0);
}

struct Group {
  linalg::GenericOp last; // null if the group is one operation of another kind
  SetVector<Operation *> ops;
  bool hasRoot = false; // a reduction that is computed as a whole, with `last` as its epilogue
  bool hasRows = false;
};

class Grouping {
public:
  Grouping(Block &block, const ChooseAttention &choose) : choose(choose) {
    for (Operation &op : llvm::reverse(block)) {
      if (!computesTensor(&op) || isCloned(&op) || groupOf.count(&op))
        continue;
      if (isa<tensor::PadOp>(op) && formPadded(cast<tensor::PadOp>(op)))
        continue;
      form(&op);
    }
    std::reverse(groups.begin(), groups.end());
  }
  SmallVector<Group> groups;

private:
  const ChooseAttention &choose;

  void add(unsigned index, Operation *op) {
    groups[index].ops.insert(op);
    groupOf[op] = index;
    if (op->hasAttr(kWinograd))
      for (Operation *part : getWinogradParts(op))
        if (!isCloned(part)) {
          groups[index].ops.insert(part);
          groupOf[part] = index;
        }
  }

  /// A group with `last` at its end.
  void form(Operation *last) {
    groups.emplace_back();
    add(groups.size() - 1, last);
    if (isElementwise(last)) {
      groups.back().last = cast<linalg::GenericOp>(last);
      pullProducers(groups.size() - 1);
    }
    for (Operation *op : groups.back().ops)
      if (isReduction(op) && !groups.back().hasRows && pullAttention(groups.size() - 1, cast<linalg::GenericOp>(op)))
        break;
  }

  /// Adds what comes before the sums of attention to their group.
  bool pullAttention(unsigned index, linalg::GenericOp sums) {
    std::optional<Attention> attention = matchAttention(sums);
    if (!attention)
      return false;
    auto rows = attention->rows().getDefiningOp<linalg::GenericOp>();
    int64_t keys = cast<RankedTensorType>(attention->rows().getType()).getShape().back();
    if (ShapedType::isDynamic(keys)) {
      Value init = rows.getDpsInits()[0];
      if (auto fill = init.getDefiningOp<linalg::FillOp>())
        init = fill.getOutputs()[0];
      auto empty = init.getDefiningOp<tensor::EmptyOp>();
      auto size = empty ? dyn_cast<Value>(empty.getMixedSizes().back()) : Value();
      keys = size ? SizeAnalysis::ofHost().of(size).most : INT64_MAX;
    }
    attention->following = groups[index].last;
    if (!choose(*attention, keys))
      return false;
    sums->setAttr(kAttention, UnitAttr::get(sums.getContext()));
    for (linalg::GenericOp part : attention->parts())
      add(index, part);
    return true;
  }

  /// A contraction whose result is padded with a constant, and read nowhere else, writes the border as well.
  bool formPadded(tensor::PadOp pad) {
    Operation *source = pad.getSource().getDefiningOp();
    auto crops = [](ArrayRef<int64_t> sizes) { return llvm::any_of(sizes, [](int64_t size) { return size < 0; }); };
    if (!isConstantPadding(pad) || crops(pad.getStaticLow()) || crops(pad.getStaticHigh()) || !source ||
        !source->hasOneUse() || source->getBlock() != pad->getBlock() ||
        !(isElementwise(source) || isReduction(source)))
      return false;
    form(source);
    Group &group = groups.back();
    if (!group.hasRoot && !isReduction(source)) {
      for (Operation *op : group.ops)
        groupOf.erase(op);
      groups.pop_back();
      return false;
    }
    SetVector<Operation *> inner = std::move(group.ops);
    group.ops.clear();
    add(groups.size() - 1, pad);
    group.ops.insert(inner.begin(), inner.end());
    return true;
  }

  void pullProducers(unsigned index) {
    for (unsigned i = 0; i < groups[index].ops.size(); ++i) {
      auto consumer = cast<linalg::GenericOp>(groups[index].ops[i]);
      for (OpOperand *use : consumer.getDpsInputOperands()) {
        Operation *producer = use->get().getDefiningOp();
        if (!producer || groupOf.count(producer) || producer->getBlock() != consumer->getBlock())
          continue;
        Group &group = groups[index];
        if (canBeRoot(group, consumer, use, producer)) {
          group.hasRoot = true;
          add(index, producer);
        } else if (canBeRow(group, producer)) {
          group.hasRows = true;
          add(index, producer);
        }
      }
    }
  }

  static bool canBeRoot(const Group &group, linalg::GenericOp consumer, OpOperand *use, Operation *producer) {
    return isReduction(producer) && !group.hasRoot && !group.hasRows && consumer == group.last &&
           llvm::all_of(
               producer->getUses(),
               [&](OpOperand &other) { return other.getOwner() == consumer && readsAlike(consumer, other); }) &&
           readsAlike(consumer, *use);
  }

  /// All users are in the group and read one value per row, a row being the trailing dimensions of the last operation.
  static bool canBeRow(Group &group, Operation *producer) {
    if (group.hasRoot || !isRowReduction(producer))
      return false;
    for (OpOperand &use : producer->getUses()) {
      auto user = dyn_cast<linalg::GenericOp>(use.getOwner());
      if (!user || !group.ops.contains(user))
        return false;
      AffineMap map = user.getMatchingIndexingMap(&use);
      unsigned rows = 0;
      for (AffineExpr expr : map.getResults())
        if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
          if (dim.getPosition() != rows++)
            return false;
        } else if (!isa<AffineConstantExpr>(expr)) {
          return false;
        }
      if (rows >= group.last.getNumLoops())
        return false;
    }
    return true;
  }

  DenseMap<Operation *, unsigned> groupOf;
};

/// Builds the executable of one group and the dispatch in the group's place.
class Outliner {
public:
  Outliner(SymbolTable &symbols, const Group &group) : symbols(symbols), group(group), last(group.ops.front()) {}

  void run() {
    SetVector<Operation *> body(group.ops.begin(), group.ops.end());
    for (unsigned i = 0; i < body.size(); ++i)
      collect(body[i], body);
    body = topologicalSort(body);
    OpBuilder b(last);
    for (unsigned i = 0, n = tensors.size(); i < n; ++i)
      argDims.push_back(dimsOf(b, getHostSizes(b, tensors[i])));
    SmallVector<Attribute> resultDims;
    for (Value result : last->getResults())
      resultDims.push_back(dimsOf(b, getHostSizes(b, result)));

    SmallVector<Value> operands(tensors.begin(), tensors.end());
    llvm::append_range(operands, scalars);
    ExecutableOp executable = outline(body, operands, b.getArrayAttr(resultDims));
    SmallVector<Location> locs;
    for (Operation *op : group.ops)
      locs.push_back(op->getLoc());
    auto dispatch = DispatchOp::create(b, b.getFusedLoc(locs), last->getResultTypes(), executable.getSymName(),
                                       operands, b.getArrayAttr(argDims), b.getArrayAttr(resultDims));
    last->replaceAllUsesWith(dispatch->getResults());
    for (Operation *op : group.ops) {
      assert(op->use_empty() && "a group's inner results are used by the group alone");
      op->erase();
    }
  }

private:
  /// Adds what `op` reads to the body (if cloned) or to the operands.
  void collect(Operation *op, SetVector<Operation *> &body) {
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands()) {
        Operation *def = operand.getDefiningOp();
        if (def ? op->isAncestor(def) : op->isAncestor(operand.getParentBlock()->getParentOp()))
          continue;
        if (def && (isCloned(def) || group.ops.contains(def)))
          body.insert(def);
        else if (isa<RankedTensorType>(operand.getType()))
          tensors.insert(operand);
        else
          scalars.insert(asIndex(operand));
      }
    });
  }

  /// Push constants are indices: another integer travels as one, and is cast back inside.
  Value asIndex(Value scalar) {
    if (scalar.getType().isIndex())
      return scalar;
    Value &index = indexOf[scalar];
    if (!index) {
      OpBuilder b(last);
      index = arith::IndexCastOp::create(b, last->getLoc(), b.getIndexType(), scalar);
    }
    return index;
  }

  Attribute dimsOf(OpBuilder &b, ArrayRef<OpFoldResult> sizes) {
    SmallVector<Attribute> dims;
    for (OpFoldResult size : sizes)
      if (auto value = dyn_cast<Value>(size)) {
        scalars.insert(value);
        dims.push_back(b.getI64IntegerAttr(llvm::find(scalars, value) - scalars.begin()));
      }
    return b.getArrayAttr(dims);
  }

  ExecutableOp outline(const SetVector<Operation *> &body, ArrayRef<Value> operands, ArrayAttr resultDims) {
    OpBuilder detached(last->getContext());
    auto executable = ExecutableOp::create(detached, last->getLoc(), executableName());
    symbols.insert(executable, Block::iterator(last->getParentOfType<func::FuncOp>()));
    OpBuilder b = OpBuilder::atBlockBegin(&executable.getBody().front());
    auto type = b.getFunctionType(ValueRange(operands).getTypes(), last->getResultTypes());
    auto func = func::FuncOp::create(b, last->getLoc(), executable.getSymName(), type);
    func->setAttr(kArgDims, b.getArrayAttr(argDims));
    func->setAttr(kResultDims, resultDims);
    setOperations(func, body);
    Block *entry = func.addEntryBlock();
    b.setInsertionPointToStart(entry);
    IRMapping mapping;
    for (auto [operand, arg] : llvm::zip(operands, entry->getArguments()))
      mapping.map(operand, arg);
    for (auto [scalar, index] : indexOf)
      mapping.map(scalar, arith::IndexCastOp::create(b, last->getLoc(), scalar.getType(), mapping.lookup(index)));
    for (Operation *op : body)
      b.clone(*op, mapping);
    SmallVector<Value> results;
    for (Value result : last->getResults())
      results.push_back(mapping.lookup(result));
    func::ReturnOp::create(b, last->getLoc(), results);
    return executable;
  }

  static void setOperations(func::FuncOp func, const SetVector<Operation *> &body) {
    int64_t total = 0;
    for (Operation *op : body)
      if (auto loops = dyn_cast<linalg::LinalgOp>(op)) {
        if (llvm::any_of(loops.getStaticLoopRanges(), ShapedType::isDynamic))
          return;
        total = llvm::AddOverflow(total, operationsOf(loops), total) ? INT64_MAX : total;
      }
    func->setAttr(kOperations, OpBuilder(func).getI64IntegerAttr(total));
  }

  std::string executableName() {
    Operation *root = last;
    for (Operation *op : group.ops)
      if (isReduction(op))
        root = op;
    StringRef node = nodeName(root->getLoc());
    std::string name;
    for (char c : node.take_back(48))
      name += llvm::isAlnum(c) ? c : '_';
    while (!name.empty() && name.front() == '_')
      name.erase(name.begin());
    if (name.empty())
      name = root->getName().stripDialect().str();
    return llvm::isDigit(name.front()) ? "node_" + name : name;
  }

  SymbolTable &symbols;
  const Group &group;
  Operation *last;
  SetVector<Value> tensors, scalars;
  llvm::MapVector<Value, Value> indexOf; // the index for each scalar of another integer type
  SmallVector<Attribute> argDims;
};

struct FormDispatchesPass : PassWrapper<FormDispatchesPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FormDispatchesPass)
  explicit FormDispatchesPass(ChooseAttention choose) : choose(std::move(choose)) {}
  StringRef getArgument() const override { return "graph-form-dispatches"; }
  StringRef getDescription() const override { return "Group operations into dispatches and outline them"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry
        .insert<GraphDialect, func::FuncDialect, linalg::LinalgDialect, tensor::TensorDialect, arith::ArithDialect>();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    SmallVector<func::FuncOp> funcs(module.getOps<func::FuncOp>());
    for (func::FuncOp func : funcs) {
      normalise(func, symbols);
      SmallVector<Block *> blocks;
      func.walk<WalkOrder::PreOrder>([&](Operation *op) {
        if (op != func && !isa<scf::IfOp, scf::ForOp, scf::WhileOp>(op))
          return op->getNumRegions() ? WalkResult::skip() : WalkResult::advance();
        for (Region &region : op->getRegions())
          for (Block &block : region)
            blocks.push_back(&block);
        return WalkResult::advance();
      });
      for (Block *block : blocks) {
        materialiseClonedResults(*block);
        Grouping grouping(*block, choose);
        for (const Group &group : grouping.groups)
          Outliner(symbols, group).run();
      }
      func.walk([](tensor::DimOp dim) { dim->removeAttr("graph.entry"); });
      IRRewriter rewriter(func.getContext());
      DominanceInfo dominance(func);
      eliminateCommonSubExpressions(rewriter, dominance, func);
      eraseDead(func);
      SizeAnalysis analysis = SizeAnalysis::ofHost();
      func.walk([&](DispatchOp dispatch) { simplifyConstants(dispatch, symbols, analysis); });
      eraseDead(func);
    }
  }

  /// Makes the push constants of a dispatch distinct, and known ones literals of its executable. The executable is
  /// still the dispatch's own: executables are merged later.
  static void simplifyConstants(DispatchOp dispatch, SymbolTable &symbols, SizeAnalysis &analysis) {
    auto executable = symbols.lookup<ExecutableOp>(dispatch.getExecutable());
    auto func = *executable.getOps<func::FuncOp>().begin();
    Block &entry = func.getBody().front();
    unsigned first = dispatch.getNumTensorOperands();
    SmallVector<int64_t> newNumber;
    SmallVector<Value> kept;
    llvm::BitVector erased(entry.getNumArguments());
    OpBuilder b = OpBuilder::atBlockBegin(&entry);
    // A scalar that gives a dynamic dimension stays an operand even where its value is known.
    llvm::SmallDenseSet<int64_t> dims;
    for (ArrayAttr table : {dispatch.getArgDims(), dispatch.getResultDims()})
      for (Attribute row : table)
        for (Attribute dim : cast<ArrayAttr>(row))
          dims.insert(cast<IntegerAttr>(dim).getInt());
    for (auto [i, constant] : llvm::enumerate(dispatch.getConstants())) {
      BlockArgument arg = entry.getArgument(first + i);
      auto known = getConstantIntValue(constant);
      auto same = llvm::find(kept, constant);
      if (known && !dims.contains(i)) {
        arg.replaceAllUsesWith(arith::ConstantIndexOp::create(b, arg.getLoc(), *known));
        newNumber.push_back(-1);
        erased.set(first + i);
      } else if (same != kept.end()) {
        int64_t number = same - kept.begin();
        newNumber.push_back(number);
        arg.replaceAllUsesWith(entry.getArgument(first + (llvm::find(newNumber, number) - newNumber.begin())));
        erased.set(first + i);
      } else {
        newNumber.push_back(kept.size());
        kept.push_back(constant);
      }
    }
    if (erased.none())
      return addSizeFacts(func, kept, analysis);
    auto renumber = [&](ArrayAttr table) {
      SmallVector<Attribute> rows;
      for (Attribute row : table) {
        SmallVector<Attribute> numbers;
        for (Attribute dim : cast<ArrayAttr>(row))
          numbers.push_back(b.getI64IntegerAttr(newNumber[cast<IntegerAttr>(dim).getInt()]));
        rows.push_back(b.getArrayAttr(numbers));
      }
      return b.getArrayAttr(rows);
    };
    dispatch.setArgDimsAttr(renumber(dispatch.getArgDims()));
    dispatch.setResultDimsAttr(renumber(dispatch.getResultDims()));
    SmallVector<Value> operands(dispatch.getTensors());
    llvm::append_range(operands, kept);
    dispatch.getOperandsMutable().assign(operands);
    (void)func.eraseArguments(erased);
    func->setAttr(kArgDims, dispatch.getArgDims());
    func->setAttr(kResultDims, dispatch.getResultDims());
    addSizeFacts(func, kept, analysis);
  }

  /// Notes on an executable's function what is known of the sizes that it is called with.
  static void addSizeFacts(func::FuncOp func, ArrayRef<Value> sizes, SizeAnalysis &analysis) {
    SmallVector<SizeFacts> facts = llvm::map_to_vector(sizes, [&](Value size) { return analysis.of(size); });
    OpBuilder b(func);
    if (llvm::any_of(facts, [](const SizeFacts &f) { return f.hasBound() || f.divisor != 1; }))
      func->setAttr(kArgSizes, sizesAttr(b, facts));
  }

  /// Brings the function to the few operations that grouping knows.
  static void normalise(func::FuncOp func, SymbolTable &symbols) {
    func.walk([&](Operation *op) {
      OpBuilder b(op);
      if (op->hasAttr(kWinograd)) {
        // Convolutions of one input share its tiles, but are dispatches of their own.
        auto [products, tiles, filter] = getWinogradParts(op);
        if (!tiles->hasOneUse())
          products->setOperand(0, OpBuilder(products).clone(*tiles)->getResult(0));
        return;
      }
      if (auto transpose = dyn_cast<linalg::TransposeOp>(op)) {
        unsigned rank = transpose.getPermutation().size();
        AffineMap reading = throughTranspose(transpose, b.getMultiDimIdentityMap(rank));
        op->replaceAllUsesWith(
            ValueRange(copyInto(b, op->getLoc(), transpose.getInput(), transpose.getInit(), reading)));
        op->erase();
      } else if (auto cast = dyn_cast<tensor::CastOp>(op)) {
        auto to = llvm::cast<RankedTensorType>(cast.getType());
        SmallVector<Value> dims;
        for (auto [i, size] : llvm::enumerate(getHostSizes(b, cast.getSource())))
          if (to.isDynamicDim(i))
            dims.push_back(getValueOrCreateConstantIndexOp(b, op->getLoc(), size));
        op->replaceAllUsesWith(ReshapeOp::create(b, op->getLoc(), to, cast.getSource(), dims));
        op->erase();
      } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
        auto elements = dyn_cast<ElementsAttr>(constant.getValue());
        if (!elements || isa<linalg::GenericOp>(op->getParentOp()))
          return;
        auto type = llvm::cast<RankedTensorType>(constant.getType());
        Value value;
        if (auto splat = dyn_cast<SplatElementsAttr>(elements)) {
          Value scalar = arith::ConstantOp::create(b, op->getLoc(), splat.getSplatValue<TypedAttr>());
          Value empty = tensor::EmptyOp::create(b, op->getLoc(), type.getShape(), type.getElementType());
          value = linalg::FillOp::create(b, op->getLoc(), scalar, empty)->getResult(0);
        } else {
          OpBuilder atModule(func);
          auto global = GlobalOp::create(atModule, op->getLoc(), "constant", type, elements);
          symbols.insert(global, Block::iterator(func));
          value = LoadGlobalOp::create(b, op->getLoc(), type, global.getSymName());
        }
        op->replaceAllUsesWith(ValueRange(value));
        op->erase();
      }
    });
    RewritePatternSet patterns(func.getContext());
    memref::populateResolveRankedShapedTypeResultDimsPatterns(patterns);
    tensor::DimOp::getCanonicalizationPatterns(patterns, func.getContext());
    tensor::ExtractSliceOp::getCanonicalizationPatterns(patterns, func.getContext());
    (void)applyPatternsGreedily(func, std::move(patterns));
  }

  /// A fill, a slice or an unpack whose value leaves the dispatches (it is returned, reshaped or read by the host)
  /// is copied by a dispatch of its own.
  static void materialiseClonedResults(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (!isCloned(&op) || !computesTensor(&op) || isa<tensor::EmptyOp>(op))
        continue;
      bool leaves = llvm::any_of(op.getUsers(), [&](Operation *user) {
        Operation *here = block.findAncestorOpInBlock(*user);
        return !here || here != user || !computesTensor(user);
      });
      if (!leaves)
        continue;
      Value value = op.getResult(0);
      OpBuilder b(op.getContext());
      b.setInsertionPointAfter(&op);
      auto type = cast<RankedTensorType>(value.getType());
      SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, op.getLoc(), value);
      ReifiedRankedShapedTypeDims shapes;
      if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op); slice && slice.getDroppedDims().none())
        sizes = slice.getMixedSizes();
      else if (!type.hasStaticShape() && succeeded(reifyResultShapes(b, &op, shapes)))
        sizes = shapes[0];
      Value init = tensor::EmptyOp::create(b, op.getLoc(), sizes, type.getElementType());
      Value copy = copyInto(b, op.getLoc(), value, init, b.getMultiDimIdentityMap(type.getRank()));
      Value result = copy;
      if (result.getType() != type)
        result = tensor::CastOp::create(b, op.getLoc(), type, result);
      value.replaceUsesWithIf(result, [&](OpOperand &use) {
        Operation *user = use.getOwner();
        return user != copy.getDefiningOp() && (user->getBlock() != &block || !computesTensor(user));
      });
    }
  }

  static void eraseDead(func::FuncOp func) {
    bool changed = true;
    while (changed) {
      changed = false;
      func.walk<WalkOrder::PostOrder, mlir::ReverseIterator>([&](Operation *op) {
        if (op != func && isOpTriviallyDead(op)) {
          op->erase();
          changed = true;
        }
      });
    }
  }

private:
  ChooseAttention choose;
};
} // namespace

std::unique_ptr<Pass> eyrie::graph::createFormDispatchesPass(ChooseAttention choose) {
  return std::make_unique<FormDispatchesPass>(std::move(choose));
}
