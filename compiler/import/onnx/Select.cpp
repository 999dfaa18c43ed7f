// Operations whose results have as many elements as the data says.
#include "compiler/ops/Select.h"
#include "compiler/import/onnx/Registry.h"

namespace eyrie::import::onnx {
namespace {

Result compress(OpNode &n) {
  std::optional<int64_t> axis;
  if (n.has("axis"))
    axis = n.integer("axis", 0);
  return ops::compress(n.b, n.required(0), n.required(1), axis);
}

const OpRow rows[] = {
    {"Compress", {9, 11}, 2, 2, compress},
    {"NonZero", {9, 13}, 1, 1, [](OpNode &n) -> Result { return ops::nonZero(n.b, n.required(0)); }},
};

} // namespace

ArrayRef<OpRow> selectOps() { return rows; }

} // namespace eyrie::import::onnx
