// Trees are data: a table of nodes that one loop walks. Where every tree votes for one target, the walk is part of the
// sum over the trees of that target; else the leaves of all trees are found first, and then summed for every target.
#include "compiler/ops/Trees.h"
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

using Aggregate = TreeEnsemble::Aggregate;

/// The number of bits beside the feature in the first word of a node.
static constexpr int kOutcomeBits = 4;
static constexpr int64_t kMostFeatures = int64_t(1) << (31 - kOutcomeBits);
/// Leaves times targets, when trees vote for several: this, or a multiple of the votes.
static constexpr int64_t kMostWeights = int64_t(1) << 24, kMostWeightsOfVote = 64;

namespace {
/// The leaves of each tree, found by a walk that also finds what is wrong.
class Walker {
public:
  Walker(Builder &b, const TreeEnsemble &e) : b(b), e(e), state(e.nodes.size(), State::New) {}

  /// The leaves below `root`, each at least once.
  FailureOr<std::vector<int64_t>> leavesOf(int64_t root) {
    std::vector<int64_t> leaves, open{root};
    while (!open.empty()) {
      int64_t place = open.back();
      if (place >= std::ssize(e.nodes) || ~place >= e.leaves)
        return b.error() << "a tree goes on at " << (place < 0 ? "leaf " : "node ") << (place < 0 ? ~place : place)
                         << ", but there are " << (place < 0 ? e.leaves : std::ssize(e.nodes));
      if (place < 0 || state[place] != State::New) {
        open.pop_back();
        if (place < 0)
          leaves.push_back(~place);
        else if (state[place] == State::Open)
          state[place] = State::Done, own.push_back(place);
        else if (state[place] == State::OfOther)
          return b.error() << "node " << place << " belongs to two trees";
        continue;
      }
      state[place] = State::Open;
      for (int64_t child : {e.nodes[place].onTrue, e.nodes[place].onFalse}) {
        if (child >= 0 && child < std::ssize(e.nodes) && state[child] == State::Open)
          return b.error() << "node " << child << " is below itself: a tree must have no cycles";
        open.push_back(child);
      }
    }
    for (int64_t node : own)
      state[node] = State::OfOther;
    own.clear();
    return leaves;
  }

private:
  enum class State : uint8_t { New, Open, Done, OfOther };
  Builder &b;
  const TreeEnsemble &e;
  std::vector<State> state;
  std::vector<int64_t> own;
};

/// The trees as the code reads them.
struct Tables {
  Tensor nodes;      // [nodes, 4] (i32): feature and outcomes, threshold (if f32), places on true and false
  Tensor thresholds; // [nodes] if f64
  Tensor roots;      // [trees] (i32), of one target after the other if each tree has one
  Tensor firstTrees; // [targets + 1] (i32): where those of each target begin; if each tree has one
  Tensor weights;    // [leaves], or [leaves, targets]
  int64_t trees = 0;
  bool hasOneTarget = true;        // each tree
  std::optional<uint8_t> outcomes; // of all nodes, but for kTreeMissing
  bool maybeMissing = false;       // whether some node has that one
};

template <typename T> Tensor table(ArrayRef<int64_t> shape, Type type, ArrayRef<T> elements) {
  return fromConstant(DenseElementsAttr::get(RankedTensorType::get(shape, type), elements));
}

/// Numbers in the type of the scores.
Tensor numberTable(ArrayRef<int64_t> shape, Type type, ArrayRef<double> numbers) {
  if (type.isF64())
    return table<double>(shape, type, numbers);
  std::vector<float> narrow(numbers.begin(), numbers.end());
  return table<float>(shape, type, narrow);
}
} // namespace

static LogicalResult checkNumbers(Builder &b, const TreeEnsemble &e, Dim features) {
  if (std::ssize(e.nodes) > INT32_MAX || e.leaves > INT32_MAX)
    return b.error() << "more than 2^31 nodes are not supported";
  int64_t most = std::min(features.asConstant().value_or(kMostFeatures), kMostFeatures);
  for (const auto &[i, node] : llvm::enumerate(e.nodes))
    if (node.feature < 0 || node.feature >= most)
      return b.error() << "node " << i << " asks for feature " << node.feature << ", but the input has " << most;
  for (const TreeVote &vote : e.votes) {
    if (vote.leaf < 0 || vote.leaf >= e.leaves)
      return b.error() << "a vote is of leaf " << vote.leaf << ", but there are " << e.leaves;
    if (vote.target < 0 || vote.target >= e.targets)
      return b.error() << "a vote is for target " << vote.target << ", but there are " << e.targets;
  }
  return success();
}

static void addNodes(const TreeEnsemble &e, Type type, MLIRContext *context, Tables &tables) {
  std::vector<int32_t> words;
  std::vector<double> thresholds;
  for (const TreeNode &node : e.nodes) {
    auto threshold = static_cast<float>(node.threshold);
    for (int64_t word : {node.feature << kOutcomeBits | node.outcomes, int64_t(llvm::bit_cast<int32_t>(threshold)),
                         node.onTrue, node.onFalse})
      words.push_back(static_cast<int32_t>(word));
    thresholds.push_back(node.threshold);
  }
  if (e.nodes.empty())
    words.resize(4), thresholds.resize(1);
  int64_t count = thresholds.size();
  tables.nodes = table<int32_t>({count, 4}, IntegerType::get(context, 32), words);
  if (type.isF64())
    tables.thresholds = numberTable(count, type, thresholds);
  tables.maybeMissing = llvm::any_of(e.nodes, [](const TreeNode &node) { return node.outcomes & kTreeMissing; });
  auto plain = [](const TreeNode &node) -> uint8_t { return node.outcomes & ~kTreeMissing; };
  if (!e.nodes.empty() && llvm::all_of(e.nodes, [&](const TreeNode &n) { return plain(n) == plain(e.nodes[0]); }))
    tables.outcomes = plain(e.nodes[0]);
}

static double neutral(Aggregate aggregate) {
  return aggregate == Aggregate::Min ? INFINITY : aggregate == Aggregate::Max ? -INFINITY : 0;
}

static double combined(Aggregate aggregate, double x, double y) {
  return aggregate == Aggregate::Min ? std::min(x, y) : aggregate == Aggregate::Max ? std::max(x, y) : x + y;
}

static FailureOr<Tables> makeTables(Builder &b, const TreeEnsemble &e, Type type) {
  Tables tables;
  tables.trees = e.roots.size();
  addNodes(e, type, b.builder.getContext(), tables);
  // The target of each leaf, and of each tree: -1 none yet, -2 several.
  std::vector<int64_t> targetOfLeaf(e.leaves, -1);
  auto join = [](int64_t &one, int64_t other) { one = other == -1 || one == other ? one : one == -1 ? other : -2; };
  for (const TreeVote &vote : e.votes)
    join(targetOfLeaf[vote.leaf], vote.target);
  Walker walker(b, e);
  std::vector<std::vector<int32_t>> rootsOf(e.targets);
  std::vector<int32_t> roots;
  for (int64_t root : e.roots) {
    auto leaves = walker.leavesOf(root);
    if (failed(leaves))
      return failure();
    int64_t target = -1;
    for (int64_t leaf : *leaves)
      join(target, targetOfLeaf[leaf]);
    tables.hasOneTarget &= target != -2;
    roots.push_back(static_cast<int32_t>(root));
    if (target >= 0)
      rootsOf[target].push_back(roots.back());
  }
  Type i32 = b.builder.getI32Type();
  if (tables.hasOneTarget) {
    roots.clear();
    std::vector<int32_t> first{0};
    for (const std::vector<int32_t> &some : rootsOf) {
      roots.insert(roots.end(), some.begin(), some.end());
      first.push_back(roots.size());
    }
    tables.firstTrees = table<int32_t>(int64_t(first.size()), i32, first);
  }
  if (roots.empty())
    roots.push_back(0);
  tables.roots = table<int32_t>(int64_t(roots.size()), i32, roots);

  int64_t columns = tables.hasOneTarget ? 1 : e.targets, rows = std::max<int64_t>(e.leaves, 1);
  if (rows > std::max(kMostWeights, kMostWeightsOfVote * std::ssize(e.votes)) / columns)
    return b.error() << e.leaves << " leaves that vote for " << columns << " targets are not supported";
  std::vector<double> weights(rows * columns, neutral(e.aggregate));
  for (const TreeVote &vote : e.votes) {
    double &weight = weights[vote.leaf * columns + (columns == 1 ? 0 : vote.target)];
    weight = combined(e.aggregate, weight, vote.weight);
  }
  tables.weights = columns == 1 ? numberTable(rows, type, weights) : numberTable({rows, columns}, type, weights);
  return tables;
}

namespace {
/// Code that walks a tree.
struct Walk {
  Value x, nodes, thresholds;
  std::optional<uint8_t> outcomes;
  bool maybeMissing;

  Walk(Builder &b, const Tensor &features, const Tables &tables)
      : x(b.value(features)), nodes(b.value(tables.nodes)),
        thresholds(tables.thresholds.elementType ? b.value(tables.thresholds) : Value()), outcomes(tables.outcomes),
        maybeMissing(tables.maybeMissing) {}

  static Value toIndex(const Scalar &s, Value number) { return s.op<arith::IndexCastOp>(s.b.getIndexType(), number); }
  /// Whether the walk goes on where `outcomes` (the node's) has the outcome of comparing the feature.
  Value isTrue(const Scalar &s, Value feature, Value threshold, Value mask) const {
    using P = arith::CmpFPredicate;
    Type i32 = s.b.getI32Type();
    auto bit = [&](int value) { return s.number(i32, value); };
    auto has = [&](Value mask, Value bits) {
      return s.cmp(arith::CmpIPredicate::ne, s.op<arith::AndIOp>(mask, bits), bit(0));
    };
    Value isMissing = s.cmp(P::UNO, feature, feature);
    if (outcomes) {
      constexpr P ordered[] = {P::AlwaysFalse, P::OLT, P::OEQ, P::OLE, P::OGT, P::ONE, P::OGE, P::ORD};
      Value holds = s.cmp(ordered[*outcomes], feature, threshold);
      if (!maybeMissing)
        return holds;
      return s.op<arith::OrIOp>(holds, Value(s.op<arith::AndIOp>(isMissing, has(mask, bit(kTreeMissing)))));
    }
    Value outcome = s.select(s.cmp(P::OLT, feature, threshold), bit(kTreeLess),
                             s.select(s.cmp(P::OGT, feature, threshold), bit(kTreeGreater), bit(kTreeEqual)));
    return has(mask, s.select(isMissing, bit(kTreeMissing), outcome));
  }
  /// The place (i32) after node `place` for row `row`.
  Value next(const Scalar &s, Value row, Value place) const {
    Value node = toIndex(s, place);
    auto word = [&](int64_t i) -> Value { return s.op<tensor::ExtractOp>(nodes, ValueRange{node, s.index(i)}); };
    Value first = word(0);
    Value column = toIndex(s, s.op<arith::ShRUIOp>(first, s.number(s.b.getI32Type(), kOutcomeBits)));
    Value feature = s.op<tensor::ExtractOp>(x, ValueRange{row, column});
    Value threshold = thresholds ? Value(s.op<tensor::ExtractOp>(thresholds, node))
                                 : Value(s.op<arith::BitcastOp>(s.b.getF32Type(), word(1)));
    return s.select(isTrue(s, feature, threshold, first), word(2), word(3));
  }
  /// The leaf (i32) that row `row` reaches from `root`.
  Value leaf(const Scalar &s, Value row, Value root) const {
    auto loop = scf::WhileOp::create(
        s.b, s.loc, TypeRange{root.getType()}, ValueRange{root},
        [](OpBuilder &b, Location loc, ValueRange args) {
          Scalar s{b, loc};
          Value isNode = s.cmp(arith::CmpIPredicate::sge, args[0], s.like(args[0], 0));
          scf::ConditionOp::create(b, loc, isNode, args);
        },
        [&](OpBuilder &b, Location loc, ValueRange args) {
          scf::YieldOp::create(b, loc, next(Scalar{b, loc}, row, args[0]));
        });
    return s.op<arith::XOrIOp>(loop.getResult(0), s.number(s.b.getI32Type(), -1));
  }
};
} // namespace

/// The sum (or extreme) of what `weightOf` gives for each tree from `begin` to `end`.
static Value sumOver(const Scalar &s, Value begin, Value end, const TreeEnsemble &e, Type type,
                     llvm::function_ref<Value(const Scalar &, Value tree)> weightOf) {
  auto loop = scf::ForOp::create(s.b, s.loc, begin, end, s.index(1), ValueRange{s.number(type, neutral(e.aggregate))},
                                 [&](OpBuilder &b, Location loc, Value tree, ValueRange args) {
                                   Scalar s{b, loc};
                                   Value weight = weightOf(s, tree), sum = args[0];
                                   if (e.aggregate == Aggregate::Min)
                                     sum = s.select(s.less(weight, sum), weight, sum);
                                   else if (e.aggregate == Aggregate::Max)
                                     sum = s.select(s.less(sum, weight), weight, sum);
                                   else
                                     sum = s.add(sum, weight);
                                   scf::YieldOp::create(b, loc, sum);
                                 });
  Value result = loop.getResult(0);
  if (e.aggregate == Aggregate::Average)
    return s.divF(result, s.number(type, std::max<double>(e.roots.size(), 1)));
  if (e.aggregate == Aggregate::Sum)
    return result;
  Value isNone = s.cmp(arith::CmpFPredicate::OEQ, result, s.number(type, neutral(e.aggregate)));
  return s.select(isNone, s.number(type, 0), result);
}

/// The walk and the sum in one.
static Tensor scoresOfOwnTrees(Builder &b, const Tensor &x, const TreeEnsemble &e, const Tables &tables) {
  Walk walk(b, x, tables);
  Value roots = b.value(tables.roots), first = b.value(tables.firstTrees), weights = b.value(tables.weights);
  Type type = x.elementType;
  return b.map({x.shape[0], Dim(e.targets)}, type, {}, {}, [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
    Scalar s{builder, loc};
    Value row = s.op<linalg::IndexOp>(0), target = s.op<linalg::IndexOp>(1);
    auto firstOf = [&](Value target) { return Walk::toIndex(s, s.op<tensor::ExtractOp>(first, target)); };
    Value end = firstOf(s.op<arith::AddIOp>(target, s.index(1)));
    return sumOver(s, firstOf(target), end, e, type, [&](const Scalar &s, Value tree) -> Value {
      Value leaf = walk.leaf(s, row, s.op<tensor::ExtractOp>(roots, tree));
      return s.op<tensor::ExtractOp>(weights, Walk::toIndex(s, leaf));
    });
  });
}

/// First the leaves, then the sums.
static Tensor scoresOfAllTrees(Builder &b, const Tensor &x, const TreeEnsemble &e, const Tables &tables) {
  Walk walk(b, x, tables);
  Value roots = b.value(tables.roots), weights = b.value(tables.weights);
  Type type = x.elementType;
  Tensor reached = b.map({x.shape[0], Dim(tables.trees)}, b.builder.getI32Type(), {}, {},
                         [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
                           Scalar s{builder, loc};
                           Value root = s.op<tensor::ExtractOp>(roots, Value(s.op<linalg::IndexOp>(1)));
                           return walk.leaf(s, s.op<linalg::IndexOp>(0), root);
                         });
  Value leaves = b.value(reached);
  return b.map({x.shape[0], Dim(e.targets)}, type, {}, {}, [&](OpBuilder &builder, Location loc, ValueRange) -> Value {
    Scalar s{builder, loc};
    Value row = s.op<linalg::IndexOp>(0), target = s.op<linalg::IndexOp>(1);
    return sumOver(s, s.index(0), s.index(tables.trees), e, type, [&](const Scalar &s, Value tree) -> Value {
      Value leaf = s.op<tensor::ExtractOp>(leaves, ValueRange{row, tree});
      return s.op<tensor::ExtractOp>(weights, ValueRange{Walk::toIndex(s, leaf), target});
    });
  });
}

FailureOr<Tensor> treeScores(Builder &b, const Tensor &x, const TreeEnsemble &ensemble) {
  assert(x.rank() == 2 && (x.elementType.isF32() || x.elementType.isF64()));
  if (failed(checkNumbers(b, ensemble, x.shape[1])))
    return failure();
  auto tables = makeTables(b, ensemble, x.elementType);
  if (failed(tables))
    return failure();
  return tables->hasOneTarget ? scoresOfOwnTrees(b, x, ensemble, *tables) : scoresOfAllTrees(b, x, ensemble, *tables);
}

} // namespace eyrie::ops
