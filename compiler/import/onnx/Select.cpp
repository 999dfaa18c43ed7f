// Operations whose results have as many elements as the data says.
#include "compiler/ops/Select.h"
#include "compiler/import/onnx/Registry.h"
#include "compiler/ops/Suppression.h"

namespace eyrie::import::onnx {
namespace {

std::optional<int64_t> axisOf(OpNode &n) {
  return n.has("axis") ? std::optional<int64_t>(n.integer("axis", 0)) : std::nullopt;
}

Result compress(OpNode &n) { return ops::compress(n.b, n.required(0), n.required(1), axisOf(n)); }

Result unique(OpNode &n) {
  bool isSorted = n.flag("sorted", true);
  if (n.required(0).isString && isSorted)
    return n.unsupported("sorting strings is not supported; the attribute 'sorted' can ask for their order as it is");
  return ops::unique(n.b, n.required(0), axisOf(n), isSorted);
}

Result nonMaxSuppression(OpNode &n) {
  return ops::nonMaxSuppression(n.b, n.required(0), n.required(1), n.input(2), n.input(3), n.input(4),
                                n.flag("center_point_box", false));
}

const OpRow rows[] = {
    {"Compress", {9, 11, 28}, 2, 2, compress},
    {"NonMaxSuppression", {10, 11}, 2, 5, nonMaxSuppression},
    {"NonZero", {9, 13}, 1, 1, [](OpNode &n) -> Result { return ops::nonZero(n.b, n.required(0)); }},
    {"Unique", {11, 28}, 1, 1, unique},
};

} // namespace

ArrayRef<OpRow> selectOps() { return rows; }

} // namespace eyrie::import::onnx
