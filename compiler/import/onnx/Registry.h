// The table of supported operations: one row each, by family in its own file.
#pragma once
#include "compiler/import/onnx/OpNode.h"

namespace eyrie::import::onnx {

/// Operator sets of the default domain and IR versions that the importer knows.
inline constexpr int64_t kOldestOpset = 1, kNewestOpset = 28;
inline constexpr int64_t kNewestIrVersion = 14;

struct OpRow {
  llvm::StringLiteral name;
  /// The operator sets in which the operation was introduced or changed; a node means the last one up to its own.
  llvm::SmallVector<int64_t, 8> since;
  size_t minInputs, maxInputs;
  Result (*handle)(OpNode &);
};

/// An activation that an attribute names, with the defaults of its parameters (absent: it has none).
struct NamedActivation {
  StringRef name;
  ops::Unary kind;
  std::optional<double> alpha, beta;
  bool inRecurrentLayers = true;
};
/// Null if there is none of this name, whatever its case.
const NamedActivation *findActivation(StringRef name); // Recurrent.cpp

/// Input 0 with other elements; from and to strings as Cast does.
mlir::FailureOr<Tensor> castTo(OpNode &n, mlir::Type type, bool isUnsigned, bool isString,
                               const ops::TinyRounding &rounding = {}); // Elementwise.cpp

inline constexpr size_t kAnyNumber = SIZE_MAX;

ArrayRef<OpRow> elementwiseOps();     // Elementwise.cpp
ArrayRef<OpRow> contractionOps();     // Contraction.cpp
ArrayRef<OpRow> windowOps();          // Window.cpp
ArrayRef<OpRow> reductionOps();       // Reduction.cpp
ArrayRef<OpRow> normalizationOps();   // Normalization.cpp
ArrayRef<OpRow> movementOps();        // Movement.cpp
ArrayRef<OpRow> shapeOps();           // Shape.cpp
ArrayRef<OpRow> resizeOps();          // Resize.cpp
ArrayRef<OpRow> recurrentOps();       // Recurrent.cpp
ArrayRef<OpRow> lossOps();            // Loss.cpp
ArrayRef<OpRow> samplingOps();        // Sampling.cpp
ArrayRef<OpRow> visionOps();          // Vision.cpp
ArrayRef<OpRow> signalOps();          // Signal.cpp
ArrayRef<OpRow> randomOps();          // Random.cpp
ArrayRef<OpRow> vectorizerOps();      // Vectorizer.cpp
ArrayRef<OpRow> quantizedOps();       // Quantized.cpp
ArrayRef<OpRow> attentionOps();       // Attention.cpp
ArrayRef<OpRow> linearAttentionOps(); // LinearAttention.cpp
ArrayRef<OpRow> selectOps();          // Select.cpp
ArrayRef<OpRow> stringOps();          // StringOps.cpp
ArrayRef<OpRow> trainingOps();        // Training.cpp
// Other domains: the names of their rows begin with the domain, as in "com.microsoft::Gelu".
ArrayRef<OpRow> contribOps();          // Contrib.cpp
ArrayRef<OpRow> contribQuantizedOps(); // ContribQuantized.cpp
ArrayRef<OpRow> contribAttentionOps(); // ContribAttention.cpp
ArrayRef<OpRow> machineLearningOps();  // MachineLearning.cpp
ArrayRef<OpRow> labelTableOps();       // LabelTables.cpp
ArrayRef<OpRow> linearModelOps();      // LinearModels.cpp
ArrayRef<OpRow> treeEnsembleOps();     // TreeEnsembles.cpp

/// The row of an operation of a domain (empty: the default one); null if there is none.
const OpRow *findOp(StringRef domain, StringRef name);
/// True if the importer knows operations of this domain besides the default one.
bool isKnownDomain(StringRef domain);
/// The version of the operation that a node of operator set `opset` means; 0 when it came later.
int64_t effectiveVersion(const OpRow &row, int64_t opset);

} // namespace eyrie::import::onnx
