#include "compiler/target/cpu/contraction/Loops.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace eyrie::target::cpu;

void eyrie::target::cpu::eraseLoop(Contraction &contraction, unsigned loop) {
  contraction.loops.erase(contraction.loops.begin() + loop);
  contraction.forEachFunction([&](LinearFunction &function) {
    function.strides.erase(function.strides.begin() + loop);
    if (function.tile && function.tiledLoop > loop)
      --function.tiledLoop;
    else if (function.tile && function.tiledLoop == loop)
      function.tile = 0; // a loop of size 1: always the first element of the first tile
    if (function.group && function.groupedLoop > loop)
      --function.groupedLoop;
    else if (function.group && function.groupedLoop == loop)
      function.group = 0;
  });
}

eyrie::graph::SizeAnalysis eyrie::target::cpu::sizeAnalysis(func::FuncOp func) {
  auto attr = func->getAttrOfType<ArrayAttr>(eyrie::graph::kArgSizes);
  unsigned tensors = llvm::count_if(func.getArgumentTypes(), llvm::IsaPred<RankedTensorType>);
  return eyrie::graph::SizeAnalysis([=](Value value) {
    auto argument = dyn_cast<BlockArgument>(value);
    return argument ? eyrie::graph::sizeFromAttr(attr, argument.getArgNumber() - tensors) : eyrie::graph::SizeFacts();
  });
}

eyrie::graph::SizeFacts eyrie::target::cpu::factsOf(const Monomial &size, eyrie::graph::SizeAnalysis &analysis) {
  auto facts = eyrie::graph::SizeFacts::number(size.factor);
  if (!size.isConstant())
    for (Value symbol : size.symbols)
      facts = facts * analysis.of(symbol);
  return facts;
}

void eyrie::target::cpu::addSizeFacts(func::FuncOp func, Contraction &contraction) {
  eyrie::graph::SizeAnalysis analysis = sizeAnalysis(func);
  for (Loop &loop : contraction.loops)
    loop.facts = factsOf(loop.size, analysis);
}

void eyrie::target::cpu::collapseLoops(func::FuncOp func, Contraction &contraction) {
  auto &loops = contraction.loops;
  for (size_t i = loops.size(); i-- > 0;)
    if (loops[i].size.isOne())
      eraseLoop(contraction, i);
  // Is outer's stride inner's stride times inner's size, everywhere?
  auto walksAsOne = [&](unsigned outer, unsigned inner) {
    if (loops[outer].isReduction != loops[inner].isReduction)
      return false;
    bool fits = true;
    contraction.forEachFunction([&](LinearFunction &function) {
      const Monomial &size = loops[inner].size;
      if (function.group && function.groupedLoop == inner) // whole groups go on where the loop begins again
        fits &= size.isConstant() && size.factor % function.group == 0 &&
                function.strides[outer] == function.groupStride * Monomial(size.factor / function.group);
      else
        fits &= function.strides[outer] == function.strides[inner] * size;
      fits &= !function.tile || (function.tiledLoop != outer && function.tiledLoop != inner);
      fits &= !function.group || function.groupedLoop != outer;
    });
    return fits;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (unsigned outer = 0; outer < loops.size() && !changed; ++outer)
      for (unsigned inner = 0; inner < loops.size() && !changed; ++inner)
        if (outer != inner && walksAsOne(outer, inner)) {
          loops[inner].size = loops[inner].size * loops[outer].size;
          eraseLoop(contraction, outer);
          changed = true;
        }
  }
  addSizeFacts(func, contraction);
}

void eyrie::target::cpu::formDotProducts(Contraction &contraction, const CpuTargetModel &model) {
  std::optional<NarrowProduct> product = matchNarrowProduct(contraction.root, model);
  if (!product)
    return;
  const int64_t group = dotGroup(product->element);
  for (unsigned side : {0u, 1u}) {
    Expression *vectors = contraction.inputs[product->operands[side]];
    Expression *scalars = contraction.inputs[product->operands[1 - side]];
    if (!vectors || !scalars || vectors->kind != Expression::Kind::Load || scalars->kind != Expression::Kind::Load)
      continue;
    LinearFunction &packed = vectors->function, &plain = scalars->function;
    if (packed.group != group || !packed.tile || plain.tile || plain.dependsOn(packed.tiledLoop))
      continue;
    unsigned loop = packed.groupedLoop;
    Loop &reduction = contraction.loops[loop];
    bool isInnermost = reduction.isReduction && llvm::none_of(ArrayRef(contraction.loops).drop_front(loop + 1),
                                                              [](const Loop &other) { return other.isReduction; });
    if (!isInnermost || !reduction.size.isConstant() || !plain.strides[loop].isOne())
      continue;
    int64_t size = reduction.size.factor;
    auto largest = contraction.root->getAttrOfType<IntegerAttr>(eyrie::graph::kLargestWeight);
    DotProduct dot(model, *product, 1 - side, largest ? largest.getInt() : 255);
    contraction.dot = Dot{dot, scalars, vectors, loop, size / group, size % group};
    reduction.size = Monomial(llvm::divideCeil(size, group));
    reduction.facts = eyrie::graph::SizeFacts::number(reduction.size.factor);
    plain.strides[loop] = Monomial(group);
    packed.strides[loop] = packed.groupStride;
    packed.group = 0;
    return;
  }
}
