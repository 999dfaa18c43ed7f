#include "compiler/import/onnx/Registry.h"
#include "llvm/ADT/StringMap.h"

namespace eyrie::import::onnx {

const OpRow *findOp(StringRef name) {
  static const llvm::StringMap<const OpRow *> *const table = [] {
    auto *rows = new llvm::StringMap<const OpRow *>;
    for (ArrayRef<OpRow> family : {elementwiseOps(), contractionOps(), windowOps(), reductionOps(), normalizationOps(),
                                   movementOps(), shapeOps(), resizeOps(), recurrentOps(), lossOps(), samplingOps(),
                                   visionOps(), signalOps(), randomOps(), vectorizerOps(), linearAttentionOps()})
      for (const OpRow &row : family)
        if (!rows->try_emplace(row.name, &row).second)
          llvm_unreachable("two rows for one operation");
    return rows;
  }();
  return table->lookup(name);
}

int64_t effectiveVersion(const OpRow &row, int64_t opset) {
  int64_t version = 0;
  for (int64_t since : row.since)
    if (since <= opset)
      version = since;
  return version;
}

} // namespace eyrie::import::onnx
