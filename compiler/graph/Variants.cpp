#include "compiler/graph/Variants.h"

using namespace mlir;
using namespace eyrie::graph;

static constexpr llvm::StringLiteral kVariants = "variants", kFormat = "format", kFeatures = "features",
                                     kLocalMemory = "local_memory", kObject = "object", kWorkgroups = "workgroups";

SmallVector<Variant> eyrie::graph::getVariants(ExecutableOp executable) {
  SmallVector<Variant> variants;
  auto list = executable->getAttrOfType<ArrayAttr>(kVariants);
  if (!list)
    return variants;
  for (auto row : list.getAsRange<DictionaryAttr>()) {
    auto number = [&](StringRef key) {
      auto value = row.getAs<IntegerAttr>(key);
      return value ? value.getInt() : 0;
    };
    variants.push_back({row.getAs<StringAttr>(kFormat), uint64_t(number(kFeatures)), number(kLocalMemory),
                        row.getAs<ElementsAttr>(kObject), row.getAs<FlatSymbolRefAttr>(kWorkgroups)});
  }
  return variants;
}

void eyrie::graph::setVariants(ExecutableOp executable, ArrayRef<Variant> variants) {
  Builder b(executable.getContext());
  SmallVector<Attribute> rows;
  for (const Variant &variant : variants)
    rows.push_back(b.getDictionaryAttr(
        {b.getNamedAttr(kFormat, variant.format), b.getNamedAttr(kFeatures, b.getI64IntegerAttr(variant.features)),
         b.getNamedAttr(kLocalMemory, b.getI64IntegerAttr(variant.localMemory)),
         b.getNamedAttr(kObject, variant.object), b.getNamedAttr(kWorkgroups, variant.workgroups)}));
  executable->setAttr(kVariants, b.getArrayAttr(rows));
}
