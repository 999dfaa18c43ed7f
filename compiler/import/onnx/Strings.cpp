#include "compiler/import/onnx/Strings.h"

using eyrie::ops::Tensor;
using llvm::ArrayRef;
using llvm::StringRef;

namespace eyrie::import::onnx {

int64_t Texts::idOf(StringRef text) {
  if (text.empty())
    return 0;
  auto [entry, isNew] = ids.try_emplace(text, texts.size() + 1);
  if (isNew)
    texts.push_back(entry->first());
  return entry->second;
}

namespace {
struct Mover {
  StringRef op;
  uint64_t elements;       // bit i: operand i holds elements; the others are shapes, indices and the like
  bool givesThem = true;   // the results hold elements of the operands
  StringRef computes = ""; // an attribute that makes it compute, unless it is "none"
};

constexpr uint64_t kAll = ~uint64_t(0);
constexpr Mover movers[] = {
    {"Compress", 1},
    {"Concat", kAll},
    {"DepthToSpace", 1},
    {"Equal", 3, false},
    {"Expand", 1},
    {"Flatten", 1},
    {"Gather", 1},
    {"GatherElements", 1},
    {"GatherND", 1},
    {"Identity", 1},
    {"Pad", 5},
    {"Reshape", 1},
    {"ReverseSequence", 1},
    {"Scatter", 5},
    {"Shape", 1, false},
    {"ScatterElements", 5, true, "reduction"},
    {"Size", 1, false},
    {"Slice", 1},
    {"ScatterND", 5, true, "reduction"},
    {"SpaceToDepth", 1},
    {"Split", 1},
    {"Squeeze", 1},
    {"Tile", 1},
    {"Transpose", 1},
    {"Unsqueeze", 1},
    {"Where", 6},
};

const Mover *findMover(const Node &node) {
  if (!node.domain.empty() && node.domain != "ai.onnx")
    return nullptr;
  const Mover *found = llvm::find_if(movers, [&](const Mover &mover) { return mover.op == node.op; });
  return found == std::end(movers) ? nullptr : found;
}

bool holdsElements(const Mover &mover, size_t operand) { return operand >= 64 || (mover.elements >> operand & 1); }
} // namespace

std::string refuseStrings(const Node &node, ArrayRef<const Tensor *> operands) {
  auto isString = [](const Tensor *t) { return t && t->isString; };
  if (llvm::none_of(operands, isString))
    return {};
  const Mover *mover = findMover(node);
  for (auto [i, operand] : llvm::enumerate(operands)) {
    if (!operand || (mover && holdsElements(*mover, i) == operand->isString))
      continue;
    if (operand->isString)
      return "input " + std::to_string(i) + " is " + operand->str() + ", expected numbers";
    if (mover && holdsElements(*mover, i))
      return "input " + std::to_string(i) + " is " + operand->str() + ", expected strings like the other inputs";
  }
  if (!mover->computes.empty())
    for (const Attribute &attribute : node.attributes)
      if (attribute.name == mover->computes && attribute.string != "none")
        return "the attribute '" + mover->computes.str() + "' asks to compute with strings";
  return {};
}

void markStrings(const Node &node, ArrayRef<const Tensor *> operands, llvm::MutableArrayRef<Tensor> results) {
  const Mover *mover = findMover(node);
  if (!mover || !mover->givesThem || llvm::none_of(operands, [](const Tensor *t) { return t && t->isString; }))
    return;
  for (Tensor &result : results)
    result.isString = true;
}

} // namespace eyrie::import::onnx
