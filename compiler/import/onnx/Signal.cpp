// Fourier transforms, windows and spectrograms.
#include "compiler/ops/Signal.h"
#include "compiler/import/onnx/Registry.h"
#include "compiler/ops/RunTimeAxes.h"

using namespace mlir;
using eyrie::ops::Window1D;

namespace eyrie::import::onnx {
namespace {

/// The axis moved from an attribute to an operand in operator set 20, and its default from 1 to -2.
Result dft(OpNode &n) {
  int64_t axis = n.opset >= 20 ? -2 : n.integer("axis", 1);
  bool inverse = n.flag("inverse", false), oneSided = n.flag("onesided", false);
  if (n.opset >= 20 && n.input(2)) {
    if (!ops::isKnown(*n.input(2)))
      return ops::dftAlong(n.b, n.required(0), n.input(1), *n.input(2), inverse, oneSided);
    SmallVector<int64_t> axes = n.constantIntegers(2, "axis");
    if (!n.isGood() || axes.size() != 1)
      return n.fail("input 'axis' must hold one number");
    axis = axes[0];
  }
  return ops::dft(n.b, n.required(0), n.input(1), axis, inverse, oneSided);
}

Result stft(OpNode &n) {
  return ops::stft(n.b, n.required(0), n.required(1), n.input(2), n.input(3), n.flag("onesided", true));
}

template <Window1D kind> Result window(OpNode &n) {
  auto [type, isUnsigned] = n.elementType("output_datatype", 1);
  bool periodic = n.flag("periodic", true);
  if (!n.isGood())
    return failure();
  return ops::window(n.b, kind, n.required(0), periodic, type, isUnsigned);
}

Result melWeightMatrix(OpNode &n) {
  auto [type, isUnsigned] = n.elementType("output_datatype", 1);
  if (!n.isGood())
    return failure();
  return ops::melWeightMatrix(n.b, n.required(0), n.required(1), n.required(2), n.required(3), n.required(4), type,
                              isUnsigned);
}

const OpRow rows[] = {
    {"BlackmanWindow", {17}, 1, 1, window<Window1D::Blackman>}, {"DFT", {17, 20}, 1, 3, dft},
    {"HammingWindow", {17}, 1, 1, window<Window1D::Hamming>},   {"HannWindow", {17}, 1, 1, window<Window1D::Hann>},
    {"MelWeightMatrix", {17}, 5, 5, melWeightMatrix},           {"STFT", {17}, 2, 4, stft},
};

} // namespace

ArrayRef<OpRow> signalOps() { return rows; }

} // namespace eyrie::import::onnx
