#include "compiler/stream/SizeExpr.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace eyrie::stream;

/// Beyond this an expression is treated as one unknown.
static constexpr size_t kMaxTerms = 16;

SizeExpr SizeExprs::asUnknown(Value value) {
  auto [entry, isNew] = numbers.try_emplace(value, unknowns.size());
  if (isNew)
    unknowns.push_back(value);
  return {{{entry->second}, 1}};
}

SizeExpr SizeExprs::get(Value value) {
  if (auto constant = getConstantIntValue(value))
    return *constant == 0 ? SizeExpr() : SizeExpr{{{}, *constant}};
  Operation *op = value.getDefiningOp();
  if (!op || !isa<arith::MulIOp, arith::AddIOp>(op))
    return asUnknown(value);
  SizeExpr a = get(op->getOperand(0)), b = get(op->getOperand(1)), result;
  if (isa<arith::AddIOp>(op)) {
    result = a;
    for (auto &[monomial, coefficient] : b)
      result[monomial] += coefficient;
  } else {
    for (auto &[ma, ca] : a)
      for (auto &[mb, cb] : b) {
        Monomial product(ma);
        product.insert(product.end(), mb.begin(), mb.end());
        llvm::sort(product);
        result[product] += ca * cb;
      }
  }
  std::erase_if(result, [](const auto &term) { return term.second == 0; });
  // Negative terms could make a size smaller than its other terms: not comparable.
  if (result.size() > kMaxTerms || llvm::any_of(result, [](const auto &term) { return term.second < 0; }))
    return asUnknown(value);
  return result;
}
