#include "compiler/import/onnx/Registry.h"
#include "llvm/ADT/StringMap.h"

namespace eyrie::import::onnx {

bool isKnownDomain(StringRef domain) {
  return domain == "com.microsoft" || domain == "ai.onnx.ml" || domain == "ai.onnx.preview" ||
         domain == "ai.onnx.preview.training";
}

const OpRow *findOp(StringRef domain, StringRef name) {
  static const llvm::StringMap<const OpRow *> *const table = [] {
    auto *rows = new llvm::StringMap<const OpRow *>;
    for (ArrayRef<OpRow> family :
         {elementwiseOps(),     contractionOps(),  windowOps(),   reductionOps(),        normalizationOps(),
          movementOps(),        shapeOps(),        resizeOps(),   recurrentOps(),        lossOps(),
          samplingOps(),        visionOps(),       signalOps(),   randomOps(),           vectorizerOps(),
          quantizedOps(),       attentionOps(),    contribOps(),  contribQuantizedOps(), contribAttentionOps(),
          linearAttentionOps(), selectOps(),       trainingOps(), machineLearningOps(),  labelTableOps(),
          linearModelOps(),     treeEnsembleOps(), stringOps()})
      for (const OpRow &row : family)
        if (!rows->try_emplace(row.name, &row).second)
          llvm_unreachable("two rows for one operation");
    return rows;
  }();
  if (domain.empty())
    return name.contains("::") ? nullptr : table->lookup(name);
  return table->lookup((domain + "::" + name).str());
}

int64_t effectiveVersion(const OpRow &row, int64_t opset) {
  int64_t version = 0;
  for (int64_t since : row.since)
    if (since <= opset)
      version = since;
  return version;
}

} // namespace eyrie::import::onnx
