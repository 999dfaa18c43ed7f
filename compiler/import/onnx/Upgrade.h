// Nodes of operator sets 1 to 6 in the form of later ones, so that handlers know only what changed since.
#pragma once
#include "compiler/import/onnx/OpNode.h"

namespace eyrie::import::onnx {

/// Gives a node whose operation was written in another way before operator set 7 its later form, and says in
/// `OpNode::opset` of which operator set that is; others stay as they are. What does not fit is remembered as the
/// node's error.
void upgrade(OpNode &n);

} // namespace eyrie::import::onnx
