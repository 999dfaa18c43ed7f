#include "compiler/import/onnx/TreeReaders.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using eyrie::ops::TreeEnsemble;
using eyrie::ops::TreeNode;

namespace eyrie::import::onnx {
namespace {

constexpr int kLeaf = -1, kUnknown = -2;

/// The outcomes for which a comparison holds. A missing feature is different from everything.
constexpr uint8_t kOutcomes[] = {
    ops::kTreeLess | ops::kTreeEqual,                       // BRANCH_LEQ
    ops::kTreeLess,                                         // BRANCH_LT
    ops::kTreeGreater | ops::kTreeEqual,                    // BRANCH_GTE
    ops::kTreeGreater,                                      // BRANCH_GT
    ops::kTreeEqual,                                        // BRANCH_EQ
    ops::kTreeLess | ops::kTreeGreater | ops::kTreeMissing, // BRANCH_NEQ
};
constexpr int kMember = 6;

int modeOf(StringRef name) {
  return llvm::StringSwitch<int>(name)
      .Case("BRANCH_LEQ", 0)
      .Case("BRANCH_LT", 1)
      .Case("BRANCH_GTE", 2)
      .Case("BRANCH_GT", 3)
      .Case("BRANCH_EQ", 4)
      .Case("BRANCH_NEQ", 5)
      .Case("LEAF", kLeaf)
      .Default(kUnknown);
}

/// All lists that are there have `count` elements.
bool haveLength(OpNode &n, size_t count, StringRef like, ArrayRef<std::pair<StringRef, size_t>> lists) {
  for (auto [name, size] : lists)
    if (size != count)
      return (void)n.fail("attribute '" + name + "' has " + Twine(size) + " values, expected " + Twine(count) +
                          " like '" + like + "'"),
             false;
  return true;
}

//===- nodes by numbers ---------------------------------------------------------------------------------------------===

class NumberedReader {
public:
  NumberedReader(OpNode &n, StringRef prefix) : n(n), prefix(prefix) {}

  FailureOr<NumberedTrees> read() {
    if (failed(readNodes()) || failed(link()) || failed(readVotes()))
      return failure();
    return NumberedTrees{std::move(e), std::move(targets), std::move(weights)};
  }

private:
  using Key = std::pair<int64_t, int64_t>; // tree, number
  OpNode &n;
  StringRef prefix;
  TreeEnsemble e;
  SmallVector<int64_t> targets;
  SmallVector<double> weights;
  SmallVector<int64_t> trees, numbers, onTrue, onFalse;
  std::vector<int64_t> places; // of each node in its list
  llvm::DenseMap<Key, int64_t> placeOf;

  LogicalResult readNodes() {
    trees = n.integers("nodes_treeids"), numbers = n.integers("nodes_nodeids");
    onTrue = n.integers("nodes_truenodeids"), onFalse = n.integers("nodes_falsenodeids");
    SmallVector<int64_t> features = n.integers("nodes_featureids");
    SmallVector<int64_t> missing = n.integers("nodes_missing_value_tracks_true");
    SmallVector<StringRef> modes = n.strings("nodes_modes");
    SmallVector<double> values = numbersOf(n, "nodes_values", "nodes_values_as_tensor");
    size_t count = modes.size();
    if (!n.isGood())
      return failure();
    if (count == 0)
      return n.fail("attribute 'nodes_modes' is missing or empty");
    if (!haveLength(n, count, "nodes_modes",
                    {{"nodes_treeids", trees.size()},
                     {"nodes_nodeids", numbers.size()},
                     {"nodes_truenodeids", onTrue.size()},
                     {"nodes_falsenodeids", onFalse.size()},
                     {"nodes_featureids", features.size()},
                     {"nodes_values", values.size()},
                     {"nodes_missing_value_tracks_true", missing.empty() ? count : missing.size()}}))
      return failure();
    for (size_t i = 0; i < count; ++i) {
      int mode = modeOf(modes[i]);
      if (mode == kUnknown)
        return n.fail("attribute 'nodes_modes' holds '" + modes[i] +
                      "', expected BRANCH_LEQ, BRANCH_LT, BRANCH_GTE, "
                      "BRANCH_GT, BRANCH_EQ, BRANCH_NEQ or LEAF");
      places.push_back(mode == kLeaf ? ~e.leaves++ : int64_t(e.nodes.size()));
      if (!placeOf.try_emplace(Key(trees[i], numbers[i]), places[i]).second)
        return n.fail("node " + Twine(numbers[i]) + " of tree " + Twine(trees[i]) + " is there twice");
      if (mode == kLeaf)
        continue;
      bool isTrueOnMissing = !missing.empty() && missing[i];
      e.nodes.push_back({features[i], values[i], uint8_t(kOutcomes[mode] | (isTrueOnMissing ? ops::kTreeMissing : 0))});
    }
    return success();
  }

  /// Children and roots.
  LogicalResult link() {
    llvm::DenseSet<int64_t> children;
    for (size_t i = 0; i < places.size(); ++i) {
      if (places[i] < 0)
        continue;
      for (bool isTrue : {true, false}) {
        int64_t child = isTrue ? onTrue[i] : onFalse[i];
        auto found = placeOf.find(Key(trees[i], child));
        if (found == placeOf.end())
          return n.fail("node " + Twine(numbers[i]) + " of tree " + Twine(trees[i]) + " goes on at node " +
                        Twine(child) + ", which is not there");
        TreeNode &node = e.nodes[places[i]];
        (isTrue ? node.onTrue : node.onFalse) = found->second;
        children.insert(found->second);
      }
    }
    llvm::DenseMap<int64_t, unsigned> rootsOf;
    for (size_t i = 0; i < places.size(); ++i) {
      if (unsigned &count = rootsOf[trees[i]]; !children.contains(places[i])) {
        if (count++)
          return n.fail("tree " + Twine(trees[i]) + " has more than one root: nobody goes on at node " +
                        Twine(numbers[i]));
        e.roots.push_back(places[i]);
      }
    }
    // What has a parent and is not below a root is below itself.
    std::vector<bool> isReached(e.nodes.size(), false);
    std::vector<int64_t> open = e.roots;
    while (!open.empty()) {
      int64_t place = open.back();
      open.pop_back();
      if (place < 0 || isReached[place])
        continue;
      isReached[place] = true;
      open.push_back(e.nodes[place].onTrue);
      open.push_back(e.nodes[place].onFalse);
    }
    for (size_t i = 0; i < places.size(); ++i)
      if (places[i] >= 0 && !isReached[places[i]])
        return n.fail("node " + Twine(numbers[i]) + " of tree " + Twine(trees[i]) +
                      " is below itself: a tree must have no cycles");
    return success();
  }

  LogicalResult readVotes() {
    auto name = [&](StringRef rest) { return (prefix + rest).str(); };
    std::string ids = name("_ids"), treeIds = name("_treeids"), nodeIds = name("_nodeids"), plain = name("_weights");
    SmallVector<int64_t> trees = n.integers(treeIds), nodes = n.integers(nodeIds);
    targets = n.integers(ids), weights = numbersOf(n, plain, plain + "_as_tensor");
    if (!n.isGood() || !haveLength(n, targets.size(), ids,
                                   {{treeIds, trees.size()}, {nodeIds, nodes.size()}, {plain, weights.size()}}))
      return failure();
    for (size_t i = 0; i < targets.size(); ++i) {
      auto found = placeOf.find(Key(trees[i], nodes[i]));
      if (found == placeOf.end())
        return n.fail("a weight is of node " + Twine(nodes[i]) + " of tree " + Twine(trees[i]) +
                      ", which is not there");
      if (found->second < 0) // those of other nodes never count
        e.votes.push_back({~found->second, targets[i], weights[i]});
    }
    return success();
  }
};
} // namespace

FailureOr<NumberedTrees> readNumberedTrees(OpNode &n, StringRef prefix) { return NumberedReader(n, prefix).read(); }

//===- nodes and leaves by places -----------------------------------------------------------------------------------===

namespace {
/// A node that asks for membership becomes a chain of comparisons with each member.
LogicalResult addMembers(OpNode &n, TreeEnsemble &e, ArrayRef<int64_t> nodes, ArrayRef<double> members) {
  size_t at = 0;
  for (int64_t place : nodes) {
    size_t end =
        std::find_if(members.begin() + at, members.end(), [](double v) { return std::isnan(v); }) - members.begin();
    if (end == at)
      return n.fail("attribute 'membership_values' has no values for node " + Twine(place));
    TreeNode last = e.nodes[place];
    bool isMissing = last.outcomes & ops::kTreeMissing;
    for (size_t i = end; i-- > at;) {
      TreeNode node = last;
      node.threshold = members[i];
      node.outcomes = ops::kTreeEqual | (isMissing ? ops::kTreeMissing : 0);
      if (i + 1 < end)
        node.onFalse = e.nodes.size() - 1;
      if (i == at)
        e.nodes[place] = node;
      else
        e.nodes.push_back(node);
    }
    at = std::min(end + 1, members.size());
  }
  if (at != members.size())
    return n.fail("attribute 'membership_values' has more sets than there are nodes with the mode BRANCH_MEMBER (" +
                  Twine(nodes.size()) + ")");
  return success();
}

} // namespace

FailureOr<TreeEnsemble> readPlacedTrees(OpNode &n) {
  SmallVector<double> splits = numbersOf(n, "", "nodes_splits"), weights = numbersOf(n, "", "leaf_weights");
  SmallVector<double> members =
      n.has("membership_values") ? numbersOf(n, "", "membership_values") : SmallVector<double>();
  SmallVector<int64_t> features = n.integers("nodes_featureids"), targets = n.integers("leaf_targetids"),
                       missing = n.integers("nodes_missing_value_tracks_true"), roots = n.integers("tree_roots");
  SmallVector<int64_t> ids[] = {n.integers("nodes_truenodeids"), n.integers("nodes_falsenodeids")};
  SmallVector<int64_t> leafs[] = {n.integers("nodes_trueleafs"), n.integers("nodes_falseleafs")};
  Elements modes = tensorElements(n, "nodes_modes");
  if (!n.isGood())
    return failure();
  if (!modes.values || !modes.values.getElementType().isInteger(8))
    return n.fail("attribute 'nodes_modes' must be a tensor of uint8");
  size_t count = modes.values.getNumElements();
  if (!haveLength(n, count, "nodes_modes",
                  {{"nodes_splits", splits.size()},
                   {"nodes_featureids", features.size()},
                   {"nodes_truenodeids", ids[0].size()},
                   {"nodes_falsenodeids", ids[1].size()},
                   {"nodes_trueleafs", leafs[0].size()},
                   {"nodes_falseleafs", leafs[1].size()},
                   {"nodes_missing_value_tracks_true", missing.empty() ? count : missing.size()}}) ||
      !haveLength(n, targets.size(), "leaf_targetids", {{"leaf_weights", weights.size()}}))
    return failure();
  TreeEnsemble e;
  SmallVector<int64_t> membersOf;
  for (auto [i, element] : llvm::enumerate(modes.values.getValues<APInt>())) {
    uint64_t mode = element.getZExtValue();
    if (mode > kMember)
      return n.fail("attribute 'nodes_modes' holds " + Twine(mode) + ", expected 0 to " + Twine(kMember));
    TreeNode node{features[i], splits[i], mode == kMember ? uint8_t(0) : kOutcomes[mode]};
    if (!missing.empty() && missing[i])
      node.outcomes |= ops::kTreeMissing;
    if (mode == kMember)
      membersOf.push_back(i);
    for (int side : {0, 1}) {
      int64_t id = ids[side][i], most = leafs[side][i] ? targets.size() : count;
      if (id < 0 || id >= most)
        return n.fail("node " + Twine(i) + " goes on at " + (leafs[side][i] ? "leaf " : "node ") + Twine(id) +
                      ", and there are " + Twine(most));
      (side ? node.onFalse : node.onTrue) = leafs[side][i] ? ~id : id;
    }
    e.nodes.push_back(node);
  }
  for (int64_t root : roots) {
    if (root < 0 || root >= int64_t(count))
      return n.fail("attribute 'tree_roots' holds " + Twine(root) + ", and there are " + Twine(count) + " nodes");
    e.roots.push_back(root);
  }
  e.leaves = targets.size();
  for (auto [i, target] : llvm::enumerate(targets))
    e.votes.push_back({int64_t(i), target, weights[i]});
  if (failed(addMembers(n, e, membersOf, members)))
    return failure();
  return e;
}

} // namespace eyrie::import::onnx
