// Weights that are computed from something much smaller, as dequantised ones are from bytes or halves of bytes, stay
// small in the module: the kernel computes their elements where it reads them.
//
//   %q = … every 4 bits of %bytes … : tensor<64x8x16x2xi32>        (constant)
//   %f = … (%q - %zero) * %scale … : tensor<64x8x32xf32>           (constant, of %q reshaped)
//   %w = graph.reshape %f : tensor<64x256xf32>
//   %y = sum %x[m, k] %w[n, k]
// becomes, with k = 32 b + 2 i + j,
//   %q = … : tensor<64x8x16x2xi32> {graph.in_kernel}
//   %f = … : tensor<64x8x16x2xf32> {graph.in_kernel}
//   %y = sum %x[m, 32 b + 2 i + j] %f[n, b, i, j]
//
// Reductions are split until all reshapes between the sum and the small tensors are gone, so every operand is read at
// plain loops and can be packed. What is an eighth of the weight or less (scales, zero points) is computed at compile
// time.
//
// Only products are rewritten whose vectors run along the weight: a kernel reads its elements once for all rows there,
// or computes a panel of them once. A convolution would compute them for each block of pixels, a loop in each
// iteration.
#include "compiler/graph/Constants.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace eyrie::graph;

namespace {
/// Fewer elements stay in the cache from one call to the next, where reading them costs less than computing them.
constexpr int64_t kLeastElements = 1 << 15;
/// Operations that an element of a weight may take: shifts, casts, a zero point, a scale.
constexpr int64_t kMostOperations = 12;

int64_t bytesOf(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getNumElements() * llvm::divideCeil(type.getElementTypeBitWidth(), 8);
}

/// The loops of a sum in parts: part 0 of n is loop n, and what a part is split into follows. An index of a tensor is a
/// list of parts, the outermost first; an empty list is 0.
class Parts {
public:
  using Index = SmallVector<unsigned, 4>;

  explicit Parts(ArrayRef<int64_t> sizes) {
    for (int64_t size : sizes)
      all.push_back({size, {}});
  }

  int64_t size(unsigned part) const { return all[part].size; }
  /// The index in parts that are not split any more.
  Index expand(ArrayRef<unsigned> index) const {
    Index result;
    for (unsigned part : index)
      if (all[part].inner.empty())
        result.push_back(part);
      else
        result.append(expand(all[part].inner));
    return result;
  }
  /// Into `outer` times the rest.
  void split(unsigned part, int64_t outer) {
    unsigned first = all.size();
    int64_t inner = all[part].size / outer;
    all.push_back({outer, {}});
    all.push_back({inner, {}});
    all[part].inner = {first, first + 1};
  }

  /// Indices of a tensor of `shape` whose elements in row-major order are those at `index`; nothing if a dimension is
  /// not a product of parts.
  std::optional<SmallVector<Index>> distribute(ArrayRef<int64_t> shape, Index index) {
    SmallVector<Index> result;
    for (int64_t wanted : shape) {
      Index &dim = result.emplace_back();
      for (int64_t got = 1; got < wanted;) {
        index = expand(index);
        if (index.empty())
          return std::nullopt;
        unsigned part = index.front();
        int64_t rest = wanted / got;
        if (wanted % got || (size(part) > rest ? size(part) % rest : rest % size(part)))
          return std::nullopt;
        if (size(part) > rest) {
          split(part, rest);
          continue;
        }
        got *= size(part);
        dim.push_back(part);
        index.erase(index.begin());
      }
    }
    return expand(index).empty() ? std::optional(result) : std::nullopt;
  }

private:
  struct Part {
    int64_t size;
    SmallVector<unsigned, 2> inner;
  };
  std::vector<Part> all;
};

/// One product, whose operands are read at plain loops, and one of them.
class Weight {
public:
  using Index = Parts::Index;

  Weight(linalg::GenericOp sum, OpOperand &operand)
      : sum(sum), operand(operand), sizes(sum.getStaticLoopRanges()), parts(sizes) {}

  /// Finds how the reductions have to be split, without changing the IR.
  bool canStaySmall() { return 2 * measure(operand.get(), indices()) <= bytesOf(operand.get()); }

  void rewrite() {
    OpBuilder b(sum);
    SmallVector<AffineExpr> loops;
    SmallVector<utils::IteratorType> types;
    for (auto [loop, type] : llvm::enumerate(sum.getIteratorTypesArray())) {
      for (unsigned part : parts.expand({static_cast<unsigned>(loop)})) {
        dims[part] = b.getAffineDimExpr(types.size());
        types.push_back(type);
      }
      loops.push_back(linearized({static_cast<unsigned>(loop)}));
    }
    // The operand's own loops are its parts, in order.
    Index own;
    for (const Index &index : indices())
      own.append(parts.expand(index));
    SmallVector<AffineExpr> reading;
    for (unsigned part : own)
      reading.push_back(dims[part]);
    Value small = Producer{b, *this, own}.read(operand.get(), indices()).first;

    SmallVector<AffineMap> maps;
    for (OpOperand &other : sum->getOpOperands()) {
      AffineMap old = sum.getMatchingIndexingMap(&other);
      maps.push_back(&other == &operand ? AffineMap::get(types.size(), 0, reading, b.getContext())
                                        : old.replaceDimsAndSymbols(loops, {}, types.size(), 0));
    }
    SmallVector<Value> inputs(sum.getInputs());
    inputs[operand.getOperandNumber()] = small;
    auto split =
        linalg::GenericOp::create(b, sum.getLoc(), sum.getResultTypes(), inputs, sum.getDpsInits(), maps, types);
    split.getRegion().takeBody(sum.getRegion());
    split->setDiscardableAttrs(sum->getDiscardableAttrDictionary());
    sum->replaceAllUsesWith(split->getResults());
    sum->erase();
  }

private:
  /// Where the sum reads the operand: each dimension is a loop.
  SmallVector<Index> indices() {
    return llvm::map_to_vector(sum.getMatchingIndexingMap(&operand).getResults(),
                               [](AffineExpr expr) { return Index{cast<AffineDimExpr>(expr).getPosition()}; });
  }

  /// Is it computed at compile time, rather than from what it is made of?
  bool isLeaf(Value value) {
    Operation *op = value.getDefiningOp();
    auto generic = dyn_cast<linalg::GenericOp>(op);
    auto reshape = dyn_cast<ReshapeOp>(op);
    bool isView =
        reshape && getElementTypeOrSelf(reshape.getSource().getType()) == getElementTypeOrSelf(value.getType());
    return leaves.contains(value) ||
           !(isView || isa<linalg::TransposeOp>(op) || (generic && isElementwiseOnIndices(generic))) ||
           8 * cast<RankedTensorType>(value.getType()).getNumElements() <=
               cast<RankedTensorType>(operand.get().getType()).getNumElements();
  }

  /// Operations of an instruction or two.
  static bool isCheap(Operation &op) {
    auto isTiny = [](Type type) { return isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 16; };
    if (llvm::any_of(op.getOperandTypes(), isTiny) || llvm::any_of(op.getResultTypes(), isTiny))
      return false;
    return isa<arith::ConstantOp, linalg::IndexOp, arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::NegFOp,
               arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::ShLIOp, arith::ShRUIOp, arith::ShRSIOp,
               arith::AndIOp, arith::OrIOp, arith::XOrIOp, arith::ExtFOp, arith::TruncFOp, arith::ExtSIOp,
               arith::ExtUIOp, arith::TruncIOp, arith::SIToFPOp, arith::UIToFPOp, arith::IndexCastOp, arith::BitcastOp>(
        op);
  }

  /// Elements at plain indices of operands, by a few cheap operations on them.
  static bool isElementwiseOnIndices(linalg::GenericOp op) {
    if (op.getNumParallelLoops() != op.getNumLoops() || op->getNumResults() != 1 ||
        !op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isPermutation() ||
        op.payloadUsesValueFromOperand(op.getDpsInitOperand(0)))
      return false;
    for (OpOperand *input : op.getDpsInputOperands())
      if (!isa<RankedTensorType>(input->get().getType()) ||
          !llvm::all_of(op.getMatchingIndexingMap(input).getResults(), [](AffineExpr expr) {
            auto constant = dyn_cast<AffineConstantExpr>(expr);
            return isa<AffineDimExpr>(expr) || (constant && constant.getValue() == 0);
          }))
        return false;
    auto body = op.getBlock()->without_terminator();
    auto isCounted = [](Operation &inner) { return !isa<arith::ConstantOp, linalg::IndexOp>(inner); };
    return llvm::all_of(body, isCheap) && llvm::count_if(body, isCounted) <= kMostOperations;
  }

  static SmallVector<Index> transposed(linalg::TransposeOp op, ArrayRef<Index> indices) {
    SmallVector<Index> result(indices.size());
    for (auto [to, from] : llvm::enumerate(op.getPermutation()))
      result[from] = indices[to];
    return result;
  }
  std::optional<SmallVector<Index>> reshaped(ReshapeOp op, ArrayRef<Index> indices) {
    Index all;
    for (const Index &index : indices)
      all.append(index);
    return parts.distribute(cast<RankedTensorType>(op.getSource().getType()).getShape(), parts.expand(all));
  }
  /// What the loops of `op` count, where its result is read at `indices`.
  static SmallVector<Index> loopsOf(linalg::GenericOp op, ArrayRef<Index> indices) {
    SmallVector<Index> loops(indices.size());
    for (auto [expr, index] : llvm::zip(op.getMatchingIndexingMap(op.getDpsInitOperand(0)).getResults(), indices))
      loops[cast<AffineDimExpr>(expr).getPosition()] = index;
    return loops;
  }
  static SmallVector<Index> readAt(AffineMap map, ArrayRef<Index> loops) {
    return llvm::map_to_vector(map.getResults(), [&](AffineExpr expr) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      return dim ? loops[dim.getPosition()] : Index();
    });
  }

  bool splitsOnlyReductions() {
    auto types = sum.getIteratorTypesArray();
    return llvm::none_of(llvm::seq<unsigned>(0, sizes.size()), [&](unsigned loop) {
      return types[loop] != utils::IteratorType::reduction && parts.expand({loop}).size() > 1;
    });
  }

  /// Splits parts as reading `value` at `indices` needs it, unless it is as well computed at compile time, which goes
  /// to `leaves` then. Returns the bytes of what stays in the module.
  int64_t measure(Value value, ArrayRef<Index> indices) {
    if (isLeaf(value))
      return bytesOf(value);
    Parts before = parts;
    auto bytes = measureSources(value.getDefiningOp(), indices);
    if (bytes && *bytes < bytesOf(value) && splitsOnlyReductions())
      return *bytes;
    parts = std::move(before);
    leaves.insert(value);
    return bytesOf(value);
  }
  std::optional<int64_t> measureSources(Operation *op, ArrayRef<Index> indices) {
    if (auto transpose = dyn_cast<linalg::TransposeOp>(op))
      return measure(transpose.getInput(), transposed(transpose, indices));
    if (auto reshape = dyn_cast<ReshapeOp>(op)) {
      auto source = reshaped(reshape, indices);
      return source ? std::optional(measure(reshape.getSource(), *source)) : std::nullopt;
    }
    auto generic = cast<linalg::GenericOp>(op);
    SmallVector<Index> loops = loopsOf(generic, indices);
    int64_t total = 0;
    for (OpOperand *input : generic.getDpsInputOperands())
      total += measure(input->get(), readAt(generic.getMatchingIndexingMap(input), loops));
    return total;
  }

  AffineExpr linearized(const Index &index) {
    AffineExpr sum = getAffineConstantExpr(0, operand.getOwner()->getContext());
    for (unsigned part : parts.expand(index))
      sum = sum * parts.size(part) + dims[part];
    return sum;
  }

  /// Builds what the kernel computes, operation by operation, over the loops `own`.
  struct Producer {
    OpBuilder &b;
    Weight &weight;
    const Index &own;

    SmallVector<int64_t> shape() const {
      return llvm::map_to_vector(own, [&](unsigned part) { return weight.parts.size(part); });
    }
    AffineExpr loopOf(unsigned part) const { return b.getAffineDimExpr(llvm::find(own, part) - own.begin()); }

    /// A tensor, and how it is read at the loops.
    std::pair<Value, AffineMap> read(Value value, ArrayRef<Index> indices) {
      Operation *op = value.getDefiningOp();
      if (weight.isLeaf(value))
        return readLeaf(value, indices);
      if (auto transpose = dyn_cast<linalg::TransposeOp>(op))
        return read(transpose.getInput(), transposed(transpose, indices));
      if (auto reshape = dyn_cast<ReshapeOp>(op))
        return read(reshape.getSource(), *weight.reshaped(reshape, indices));
      return {build(cast<linalg::GenericOp>(op), indices), b.getMultiDimIdentityMap(own.size())};
    }

    std::pair<Value, AffineMap> readLeaf(Value value, ArrayRef<Index> indices) {
      // Each part is a dimension.
      SmallVector<AffineExpr> exprs;
      SmallVector<int64_t> sizes;
      for (const Index &index : indices)
        for (unsigned part : weight.parts.expand(index)) {
          exprs.push_back(loopOf(part));
          sizes.push_back(weight.parts.size(part));
        }
      auto type = cast<RankedTensorType>(value.getType());
      if (type.getShape() != ArrayRef(sizes))
        value = ReshapeOp::create(b, value.getLoc(), RankedTensorType::get(sizes, type.getElementType()), value,
                                  ValueRange());
      return {value, AffineMap::get(own.size(), 0, exprs, b.getContext())};
    }

    Value build(linalg::GenericOp generic, ArrayRef<Index> indices) {
      SmallVector<Index> loops = loopsOf(generic, indices);
      SmallVector<Value> inputs;
      SmallVector<AffineMap> maps;
      for (OpOperand *input : generic.getDpsInputOperands()) {
        auto [tensor, map] = read(input->get(), readAt(generic.getMatchingIndexingMap(input), loops));
        inputs.push_back(tensor);
        maps.push_back(map);
      }
      maps.push_back(b.getMultiDimIdentityMap(own.size()));
      Location loc = generic.getLoc();
      Value init = tensor::EmptyOp::create(b, loc, shape(), getElementTypeOrSelf(generic->getResultTypes()[0]));
      SmallVector<utils::IteratorType> types(own.size(), utils::IteratorType::parallel);
      auto made = linalg::GenericOp::create(
          b, loc, init.getType(), inputs, init, maps, types, [&](OpBuilder &body, Location, ValueRange args) {
            IRMapping mapping;
            mapping.map(generic.getBlock()->getArguments(), args);
            for (Operation &inner : *generic.getBlock())
              if (auto index = dyn_cast<linalg::IndexOp>(inner))
                mapping.map(index.getResult(), indexOf(body, loc, loops[index.getDim()]));
              else
                body.clone(inner, mapping);
          });
      made->setAttr(kInKernel, b.getUnitAttr());
      made->setAttr(kOperations, b.getI64IntegerAttr(0));
      return made->getResult(0);
    }

    Value indexOf(OpBuilder &body, Location loc, const Index &index) const {
      Value sum;
      for (unsigned part : weight.parts.expand(index)) {
        Value number = linalg::IndexOp::create(body, loc, llvm::find(own, part) - own.begin());
        if (sum) {
          Value size = arith::ConstantIndexOp::create(body, loc, weight.parts.size(part));
          number = arith::AddIOp::create(body, loc, arith::MulIOp::create(body, loc, sum, size), number);
        }
        sum = number;
      }
      return sum ? sum : arith::ConstantIndexOp::create(body, loc, 0).getResult();
    }
  };

  linalg::GenericOp sum;
  OpOperand &operand;
  SmallVector<int64_t> sizes;
  Parts parts;
  llvm::DenseSet<Value> leaves;              // found by measure()
  llvm::DenseMap<unsigned, AffineExpr> dims; // of parts, in the new sum
};

struct KeepSmallWeightsPass : PassWrapper<KeepSmallWeightsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(KeepSmallWeightsPass)
  StringRef getArgument() const override { return "graph-keep-small-weights"; }
  StringRef getDescription() const override { return "Leave weights as small as they come, for kernels to widen"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<linalg::LinalgDialect, tensor::TensorDialect, arith::ArithDialect>();
  }

  static bool isProduct(linalg::GenericOp op) {
    return op.getNumReductionLoops() > 0 && op->getNumResults() == 1 && op.getNumDpsInputs() > 1 &&
           !op->hasAttr(kInKernel) && op.getBlock()->getOps<linalg::IndexOp>().empty() &&
           !op->getParentOfType<LoopLikeOpInterface>() &&
           llvm::all_of(op.getIndexingMapsArray(), [](AffineMap map) { return map.isProjectedPermutation(); }) &&
           !isConstantExpression(op->getResult(0));
  }

  /// Is it read along the vectors: the innermost loop of the result that is more than one element?
  static bool hasColumns(linalg::GenericOp op, OpOperand *weight) {
    SmallVector<int64_t> sizes = op.getStaticLoopRanges();
    for (AffineExpr expr : llvm::reverse(op.getMatchingIndexingMap(op.getDpsInitOperand(0)).getResults()))
      if (unsigned loop = cast<AffineDimExpr>(expr).getPosition(); sizes[loop] != 1)
        return op.getMatchingIndexingMap(weight).isFunctionOfDim(loop);
    return false;
  }

  void runOnOperation() override {
    SmallVector<linalg::GenericOp> sums;
    getOperation().walk([&](linalg::GenericOp op) {
      if (isProduct(op))
        sums.push_back(op);
    });
    for (linalg::GenericOp op : sums)
      for (OpOperand *operand : op.getDpsInputOperands()) {
        auto type = dyn_cast<RankedTensorType>(operand->get().getType());
        if (!type || !type.getElementType().isF32() || !type.hasStaticShape() ||
            type.getNumElements() < kLeastElements || !hasColumns(op, operand) || !isConstantExpression(operand->get()))
          continue;
        Weight weight(op, *operand);
        if (!weight.canStaySmall())
          continue;
        weight.rewrite();
        break;
      }
  }
};
} // namespace

std::unique_ptr<Pass> eyrie::graph::createKeepSmallWeightsPass() { return std::make_unique<KeepSmallWeightsPass>(); }
