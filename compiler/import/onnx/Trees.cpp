#include "compiler/import/onnx/Registry.h"
namespace eyrie::import::onnx {
ArrayRef<OpRow> treeOps() { return {}; }
} // namespace eyrie::import::onnx
