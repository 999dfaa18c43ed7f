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
constexpr uint64_t kAll = ~uint64_t(0);

struct Mover {
  StringRef op;
  uint64_t elements;       // bit i: operand i holds elements; the others are shapes, indices and the like
  uint64_t gives = kAll;   // bit i: result i holds elements of the operands
  StringRef computes = ""; // an attribute that makes it compute, unless it is "none"
};

constexpr Mover movers[] = {
    {"Compress", 1},
    {"Concat", kAll},
    {"DepthToSpace", 1},
    {"Equal", 3, 0},
    {"Expand", 1},
    {"Flatten", 1},
    {"Gather", 1},
    {"GatherElements", 1},
    {"GatherND", 1},
    {"Identity", 1},
    {"Pad", 5},
    {"RegexFullMatch", 1, 0},
    {"Reshape", 1},
    {"ReverseSequence", 1},
    {"Scatter", 5},
    {"Shape", 1, 0},
    {"ScatterElements", 5, kAll, "reduction"},
    {"Size", 1, 0},
    {"Slice", 1},
    {"ScatterND", 5, kAll, "reduction"},
    {"SpaceToDepth", 1},
    {"Split", 1},
    {"StringConcat", 3},
    {"StringNormalizer", 1},
    {"StringSplit", 1, 1},
    {"Squeeze", 1},
    {"TfIdfVectorizer", 1, 0},
    {"Tile", 1},
    {"Transpose", 1},
    {"Unique", 1, 1},
    {"Unsqueeze", 1},
    {"Where", 6},
};

bool isDefaultDomain(const Node &node) { return node.domain.empty() || node.domain == "ai.onnx"; }

const Mover *findMover(const Node &node) {
  if (!isDefaultDomain(node))
    return nullptr;
  const Mover *found = llvm::find_if(movers, [&](const Mover &mover) { return mover.op == node.op; });
  return found == std::end(movers) ? nullptr : found;
}

/// These look strings up, check what they get themselves, and mark their results.
bool looksUp(const Node &node) {
  constexpr StringRef ops[] = {"ArrayFeatureExtractor", "CastMap",      "CategoryMapper",
                               "DictVectorizer",        "LabelEncoder", "OneHotEncoder"};
  return node.domain == "ai.onnx.ml" && llvm::is_contained(ops, node.op);
}

bool holds(uint64_t bits, size_t i) { return i >= 64 ? bits == kAll : bits >> i & 1; }
} // namespace

std::string refuseStrings(const Node &node, ArrayRef<const Tensor *> operands) {
  auto isString = [](const Tensor *t) { return t && t->isString; };
  if (llvm::none_of(operands, isString) || looksUp(node))
    return {};
  if (isDefaultDomain(node) && (node.op == "Cast" || node.op == "CastLike"))
    return {}; // from or to strings
  const Mover *mover = findMover(node);
  for (auto [i, operand] : llvm::enumerate(operands)) {
    if (!operand || (mover && holds(mover->elements, i) == operand->isString))
      continue;
    if (operand->isString)
      return "input " + std::to_string(i) + " is " + operand->str() + ", expected numbers";
    if (mover && holds(mover->elements, i))
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
  if (!mover || llvm::none_of(operands, [](const Tensor *t) { return t && t->isString; }))
    return;
  for (auto [i, result] : llvm::enumerate(results))
    result.isString |= holds(mover->gives, i);
}

} // namespace eyrie::import::onnx
