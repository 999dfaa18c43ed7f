#include "compiler/graph/SizeFacts.h"
#include "compiler/graph/Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace eyrie::graph;

namespace {
constexpr int64_t kNoLeast = INT64_MIN, kNoMost = INT64_MAX;

/// The sum of two bounds of one side, or that there is none.
int64_t addBounds(int64_t a, int64_t b, int64_t none) {
  int64_t sum;
  return a == none || b == none || llvm::AddOverflow(a, b, sum) ? none : sum;
}

SizeFacts add(SizeFacts a, SizeFacts b) {
  return {addBounds(a.least, b.least, kNoLeast), addBounds(a.most, b.most, kNoMost), std::gcd(a.divisor, b.divisor)};
}

SizeFacts negate(SizeFacts a) {
  return {a.most == kNoMost ? kNoLeast : -a.most, a.least == kNoLeast ? kNoMost : -a.least, a.divisor};
}

/// Of a size that is not negative, by a positive number; both roundings lie in the bounds.
SizeFacts divide(SizeFacts a, int64_t by) {
  if (a.least < 0 || by < 1)
    return {};
  return {a.least / by, a.hasBound() ? a.most / by + (a.most % by != 0) : kNoMost,
          a.isMultipleOf(by) ? a.divisor / by : 1};
}

SizeFacts dimOfArgument(tensor::DimOp dim) {
  SizeFacts facts{0, kNoMost, 1};
  auto argument = dyn_cast<BlockArgument>(dim.getSource());
  auto index = dim.getConstantIndex();
  auto func = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : nullptr;
  auto ranges = func ? func->getParentOfType<ModuleOp>()->getAttrOfType<DictionaryAttr>(kSymbolRanges) : nullptr;
  auto names = ranges ? func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "eyrie.dims") : nullptr;
  if (!names || !index || *index >= static_cast<int64_t>(names.size()))
    return facts;
  auto name = dyn_cast<StringAttr>(names[*index]);
  if (auto range = name ? ranges.getAs<DenseI64ArrayAttr>(name.getValue()) : nullptr)
    facts = {std::max<int64_t>(range[0], 0), range[1], std::max<int64_t>(range[2], 1)};
  return facts;
}
} // namespace

SizeFacts eyrie::graph::operator*(SizeFacts a, SizeFacts b) {
  SizeFacts product;
  if (llvm::MulOverflow(a.divisor, b.divisor, product.divisor))
    product.divisor = std::max(a.divisor, b.divisor);
  if (a.least >= 0 && b.least >= 0) {
    if (llvm::MulOverflow(a.least, b.least, product.least))
      product.least = 0;
    if (!a.hasBound() || !b.hasBound() || llvm::MulOverflow(a.most, b.most, product.most))
      product.most = a.most == 0 || b.most == 0 ? 0 : kNoMost;
  }
  return product;
}

SizeAnalysis SizeAnalysis::ofHost() {
  return SizeAnalysis([](Value value) {
    auto dim = value.getDefiningOp<tensor::DimOp>();
    return dim ? dimOfArgument(dim) : SizeFacts();
  });
}

SizeFacts SizeAnalysis::of(Value size) {
  if (auto found = known.find(size); found != known.end())
    return found->second;
  SizeFacts facts = compute(size);
  known[size] = facts;
  return facts;
}

SizeFacts SizeAnalysis::compute(Value size) {
  if (APInt number; matchPattern(size, m_ConstantInt(&number)))
    return number.getSignificantBits() <= 64 ? SizeFacts::number(number.getSExtValue()) : SizeFacts();
  Operation *op = size.getDefiningOp();
  if (!op)
    return leaf(size);
  auto operand = [&](unsigned i) { return of(op->getOperand(i)); };
  auto divided = [&]() -> SizeFacts {
    SizeFacts by = operand(1);
    return by.least == by.most ? divide(operand(0), by.most) : SizeFacts();
  };
  return llvm::TypeSwitch<Operation *, SizeFacts>(op)
      .Case<arith::AddIOp>([&](auto) { return add(operand(0), operand(1)); })
      .Case<arith::SubIOp>([&](auto) { return add(operand(0), negate(operand(1))); })
      .Case<arith::MulIOp>([&](auto) { return operand(0) * operand(1); })
      .Case<arith::DivSIOp, arith::DivUIOp, arith::FloorDivSIOp, arith::CeilDivSIOp>([&](auto) { return divided(); })
      .Case<arith::MinSIOp>([&](auto) {
        SizeFacts a = operand(0), b = operand(1);
        return SizeFacts{std::min(a.least, b.least), std::min(a.most, b.most), std::gcd(a.divisor, b.divisor)};
      })
      .Case<arith::MaxSIOp>([&](auto) {
        SizeFacts a = operand(0), b = operand(1);
        return SizeFacts{std::max(a.least, b.least), std::max(a.most, b.most), std::gcd(a.divisor, b.divisor)};
      })
      .Case<arith::SelectOp>([&](auto) {
        SizeFacts a = operand(1), b = operand(2);
        return SizeFacts{std::min(a.least, b.least), std::max(a.most, b.most), std::gcd(a.divisor, b.divisor)};
      })
      .Case<arith::IndexCastOp>([&](auto) { return operand(0); })
      .Default([&](Operation *) { return leaf(size); });
}

ArrayAttr eyrie::graph::sizesAttr(OpBuilder &b, ArrayRef<SizeFacts> sizes) {
  return b.getArrayAttr(llvm::map_to_vector(sizes, [&](const SizeFacts &facts) -> Attribute {
    return b.getDenseI64ArrayAttr({facts.least, facts.most, facts.divisor});
  }));
}

SizeFacts eyrie::graph::sizeFromAttr(ArrayAttr sizes, unsigned number) {
  if (!sizes || number >= sizes.size())
    return {};
  auto facts = cast<DenseI64ArrayAttr>(sizes[number]);
  return {facts[0], facts[1], facts[2]};
}
