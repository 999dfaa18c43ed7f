// Samples of images at positions that the model computes.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

enum class GridMode { Linear, Nearest, Cubic };
enum class GridPadding { Zeros, Border, Reflection };
/// theta [N, D, D + 1], size [N, C, spatial... (D)]: the grid [N, spatial..., D] of positions in [-1, 1], innermost
/// first.
FailureOr<Tensor> affineGrid(Builder &b, const Tensor &theta, const Tensor &size, bool alignCorners);
/// x [N, C, spatial...], grid [N, out..., D]: [N, C, out...]. Any number of spatial dimensions.
FailureOr<Tensor> gridSample(Builder &b, const Tensor &x, const Tensor &grid, GridMode mode, GridPadding padding,
                             bool alignCorners);

} // namespace eyrie::ops
