// Ensembles of decision trees. Conventions as in Ops.h.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

/// How a feature may compare with a node's threshold; a feature that is NaN is missing.
enum TreeOutcome : uint8_t { kTreeLess = 1, kTreeEqual = 2, kTreeGreater = 4, kTreeMissing = 8 };

/// Goes to `onTrue` when the outcome is one of `outcomes`, else to `onFalse`. Places are nodes (from 0 on) or leaves
/// (~0 is the first, ~1 the second).
struct TreeNode {
  int64_t feature = 0;
  double threshold = 0;
  uint8_t outcomes = 0;
  int64_t onTrue = 0, onFalse = 0;
};
/// What reaching a leaf adds to the score of a target.
struct TreeVote {
  int64_t leaf, target;
  double weight;
};
struct TreeEnsemble {
  enum class Aggregate { Sum, Average, Min, Max };
  std::vector<TreeNode> nodes;
  std::vector<int64_t> roots; // places
  std::vector<TreeVote> votes;
  int64_t leaves = 0, targets = 1;
  Aggregate aggregate = Aggregate::Sum;
};
/// x [N, F] (f32 or f64), F known: [N, targets]. The score of a target that no leaf votes for is 0. Places, features
/// and targets out of range and cycles are errors.
FailureOr<Tensor> treeScores(Builder &b, const Tensor &x, const TreeEnsemble &ensemble);

} // namespace eyrie::ops
