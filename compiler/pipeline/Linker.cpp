#include "compiler/pipeline/Linker.h"
#include "compiler/graph/Parameters.h"
#include "compiler/stream/Weights.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::pipeline;
using graph::GlobalOp;

/// Of the beginning and the end only: models are large, and what looks equal is compared.
static uint64_t hashOf(const stream::WeightContent &content) {
  constexpr size_t kPart = 4096;
  ArrayRef<char> piece = content.piece;
  auto hash = [](ArrayRef<char> part) {
    return llvm::xxh3_64bits(ArrayRef(reinterpret_cast<const uint8_t *>(part.data()), part.size()));
  };
  return hash(piece.take_front(kPart)) ^ hash(piece.take_back(kPart)) * 3 ^ content.size();
}

static FailureOr<stream::WeightContent> contentOf(GlobalOp global) {
  auto value = global.getValue();
  return value ? stream::getWeightContent(*value) : FailureOr<stream::WeightContent>(failure());
}

Linker::Linker(ModuleOp module) : module(module), symbols(module) {
  for (GlobalOp global : module.getOps<GlobalOp>())
    remember(global);
}

void Linker::remember(GlobalOp global) {
  // The values of parameters may become others.
  if (auto content = contentOf(global); succeeded(content) && !global->hasAttr(graph::kParameter))
    globals[{global.getType(), hashOf(*content)}].push_back(global);
}

FailureOr<GlobalOp> Linker::findParameter(GlobalOp global) {
  auto name = global->getAttrOfType<StringAttr>(graph::kParameter);
  for (GlobalOp other : module.getOps<GlobalOp>()) {
    if (other->getAttr(graph::kParameter) != name)
      continue;
    auto content = contentOf(global), known = contentOf(other);
    if (other.getType() == global.getType() && succeeded(content) && succeeded(known) && *content == *known)
      return other;
    return emitError(UnknownLoc::get(name.getContext()))
           << "two models have different weights of the name '" << name.getValue()
           << "': with --parameters a name stands for one tensor; compile the models into modules of their own, or "
              "without --parameters";
  }
  return GlobalOp();
}

GlobalOp Linker::findEqual(GlobalOp global) {
  auto content = contentOf(global);
  if (failed(content))
    return {};
  auto known = globals.find({global.getType(), hashOf(*content)});
  if (known == globals.end())
    return {};
  for (GlobalOp other : known->second)
    if (auto otherContent = contentOf(other); succeeded(otherContent) && *content == *otherContent)
      return other;
  return {};
}

namespace {
/// What two functions must agree on.
struct StateType {
  RankedTensorType type;
  bool isUnsigned;
};
} // namespace

static void forEachState(func::FuncOp func, llvm::function_ref<void(StringAttr, StateType)> visit) {
  auto visitOne = [&](Type type, DictionaryAttr attributes) {
    if (auto name = attributes ? attributes.getAs<StringAttr>(graph::kState) : StringAttr())
      visit(name, {cast<RankedTensorType>(type), attributes.contains("eyrie.unsigned")});
  };
  for (auto [i, type] : llvm::enumerate(func.getArgumentTypes()))
    visitOne(type, func.getArgAttrDict(i));
  for (auto [i, type] : llvm::enumerate(func.getResultTypes()))
    visitOne(type, func.getResultAttrDict(i));
}

LogicalResult Linker::checkStates(func::FuncOp func) {
  bool isGood = true;
  forEachState(func, [&](StringAttr name, StateType state) {
    for (auto other : module.getOps<func::FuncOp>())
      forEachState(other, [&](StringAttr otherName, StateType known) {
        bool fits = state.isUnsigned == known.isUnsigned && succeeded(verifyCompatibleShape(state.type, known.type)) &&
                    state.type.getElementType() == known.type.getElementType();
        if (name != otherName || fits || !isGood)
          return;
        isGood = false;
        emitError(UnknownLoc::get(func.getContext()))
            << "the state '" << name.getValue() << "' is " << state.type << " in the function '" << func.getName()
            << "', but " << known.type << " in '" << other.getName()
            << "': functions share states of one name, so they must have one type";
      });
  });
  return success(isGood);
}

FailureOr<func::FuncOp> Linker::add(ModuleOp from, StringRef name) {
  auto func = from.lookupSymbol<func::FuncOp>("main");
  func.setName(name);
  if (failed(checkStates(func)))
    return failure();
  // The function first: its name is given, those of weights are free.
  if (auto weight = symbols.lookup<GlobalOp>(name))
    if (failed(symbols.rename(weight, weight.getSymName().str() + ".weight")))
      return failure();
  func->remove();
  symbols.insert(func, module.getBody()->end());
  llvm::DenseMap<StringAttr, StringAttr> renamed;
  for (GlobalOp global : llvm::make_early_inc_range(from.getOps<GlobalOp>())) {
    StringAttr old = global.getSymNameAttr();
    FailureOr<GlobalOp> equal = global->hasAttr(graph::kParameter) ? findParameter(global) : findEqual(global);
    if (failed(equal))
      return failure();
    if (*equal) {
      renamed[old] = equal->getSymNameAttr();
      continue;
    }
    global->remove();
    symbols.insert(global, module.getBody()->begin());
    remember(global);
    renamed[old] = global.getSymNameAttr();
  }
  func.walk([&](graph::LoadGlobalOp load) { load.setGlobal(renamed.at(load.getGlobalAttr().getAttr())); });
  // Strings are numbered behind those of the modules before.
  if (Attribute texts = from->getAttr("eyrie.texts"))
    module->setAttr("eyrie.texts", texts);
  if (auto more = from->getAttrOfType<ArrayAttr>(graph::kFixed)) {
    auto known = module->getAttrOfType<ArrayAttr>(graph::kFixed);
    llvm::SetVector<Attribute> rows(llvm::from_range, known ? known.getValue() : ArrayRef<Attribute>());
    rows.insert_range(more);
    module->setAttr(graph::kFixed, ArrayAttr::get(module.getContext(), rows.getArrayRef()));
  }
  NamedAttrList ranges(module->getAttrOfType<DictionaryAttr>(graph::kSymbolRanges));
  if (auto more = from->getAttrOfType<DictionaryAttr>(graph::kSymbolRanges))
    for (NamedAttribute range : more)
      ranges.set(range.getName(), range.getValue());
  if (!ranges.empty())
    module->setAttr(graph::kSymbolRanges, ranges.getDictionary(module.getContext()));
  return func;
}
