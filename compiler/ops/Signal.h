// Operations on signals: Fourier transforms, windows, spectrograms. Complex numbers are a last dimension of two.
// Conventions as in Ops.h.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

/// x [..., 1 or 2] along `axis` (not the last one), cut or filled with zeros to `length` (null: as it is). `oneSided`
/// gives the first half and one, or, `inverse`, takes it and gives real numbers. A product with a table of waves.
FailureOr<Tensor> dft(Builder &b, const Tensor &x, const Tensor *length, int64_t axis, bool inverse, bool oneSided);
/// The same with an axis (one integer) that is known only while the model runs.
FailureOr<Tensor> dftAlong(Builder &b, const Tensor &x, const Tensor *length, const Tensor &axis, bool inverse,
                           bool oneSided);
/// signal [N, L] or [N, L, 1 or 2], window [W]: [N, frames, bins, 2].
FailureOr<Tensor> stft(Builder &b, const Tensor &signal, const Tensor &step, const Tensor *window,
                       const Tensor *frameLength, bool oneSided);

enum class Window1D { Hann, Hamming, Blackman };
FailureOr<Tensor> window(Builder &b, Window1D kind, const Tensor &size, bool periodic, mlir::Type elementType,
                         bool isUnsigned);
/// [dftLength / 2 + 1, bins]: triangles of equal width on the mel scale between two frequencies.
FailureOr<Tensor> melWeightMatrix(Builder &b, const Tensor &bins, const Tensor &dftLength, const Tensor &sampleRate,
                                  const Tensor &lowest, const Tensor &highest, mlir::Type elementType, bool isUnsigned);

} // namespace eyrie::ops
