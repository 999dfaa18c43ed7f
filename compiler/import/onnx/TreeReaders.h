// The trees of ai.onnx.ml's ensembles, which are described in two ways: nodes by numbers that a tree gives them, where
// leaves are nodes, too; or (version 5) nodes and leaves by their places in lists.
#pragma once
#include "compiler/import/onnx/MachineLearning.h"
#include "compiler/ops/Trees.h"

namespace eyrie::import::onnx {

/// The attributes nodes_* and those of votes, which begin with `prefix` ("class" or "target"). Of the ensemble the
/// number of targets and how they are summed are left to the caller.
struct NumberedTrees {
  ops::TreeEnsemble ensemble;
  SmallVector<int64_t> targets; // of the votes
  SmallVector<double> weights;
};
mlir::FailureOr<NumberedTrees> readNumberedTrees(OpNode &n, StringRef prefix);

/// The attributes nodes_* and leaf_* of version 5.
mlir::FailureOr<ops::TreeEnsemble> readPlacedTrees(OpNode &n);

} // namespace eyrie::import::onnx
