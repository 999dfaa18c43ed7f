// Attributes that convolutions and poolings share.
#pragma once
#include "compiler/import/onnx/Registry.h"

namespace eyrie::import::onnx {

void readWindow(OpNode &n, ops::WindowAttrs &attrs);
/// False after an error, also of what was read before.
bool readConvolution(OpNode &n, ops::WindowAttrs &attrs, int64_t &groups);
bool readPool(OpNode &n, ops::PoolAttrs &attrs);

} // namespace eyrie::import::onnx
