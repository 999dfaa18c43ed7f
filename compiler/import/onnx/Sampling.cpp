#include "compiler/ops/Sampling.h"
#include "compiler/import/onnx/Registry.h"

using namespace mlir;

namespace eyrie::import::onnx {
namespace {

Result gridSample(OpNode &n) {
  using M = ops::GridMode;
  using P = ops::GridPadding;
  M mode = n.choice<M>("mode", M::Linear,
                       {{"linear", M::Linear},
                        {"bilinear", M::Linear},
                        {"nearest", M::Nearest},
                        {"cubic", M::Cubic},
                        {"bicubic", M::Cubic}});
  P padding = n.choice<P>("padding_mode", P::Zeros,
                          {{"zeros", P::Zeros}, {"border", P::Border}, {"reflection", P::Reflection}});
  return ops::gridSample(n.b, n.required(0), n.required(1), mode, padding, n.flag("align_corners", false));
}

Result affineGrid(OpNode &n) {
  return ops::affineGrid(n.b, n.required(0), n.required(1), n.flag("align_corners", false));
}

const OpRow rows[] = {
    {"AffineGrid", {20}, 2, 2, affineGrid},
    {"GridSample", {16, 20, 22}, 2, 2, gridSample},
};

} // namespace

ArrayRef<OpRow> samplingOps() { return rows; }

} // namespace eyrie::import::onnx
