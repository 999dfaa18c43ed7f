#include "compiler/import/onnx/Registry.h"
namespace eyrie::import::onnx {
ArrayRef<OpRow> classicalOps() { return {}; }
} // namespace eyrie::import::onnx
