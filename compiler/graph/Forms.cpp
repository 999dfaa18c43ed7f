#include "compiler/graph/Forms.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

std::array<linalg::GenericOp, 2> eyrie::graph::getWinogradParts(Operation *last) {
  auto products = last->getOperand(2).getDefiningOp<linalg::GenericOp>();
  return {products, products.getInputs()[0].getDefiningOp<linalg::GenericOp>()};
}

bool eyrie::graph::isConstantPadding(tensor::PadOp pad) {
  Value value = pad.getConstantPaddingValue();
  return value && matchPattern(value, m_Constant()) && !ShapedType::isDynamicShape(pad.getStaticLow()) &&
         !ShapedType::isDynamicShape(pad.getStaticHigh());
}
