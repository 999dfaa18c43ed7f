#include "compiler/pipeline/ImportModels.h"
#include "compiler/graph/Graph.h"
#include "compiler/pipeline/Linker.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::pipeline;
using import::onnx::ImportOptions;
using import::onnx::SymbolRange;

static bool isNameLetter(char c) { return llvm::isAlnum(c) || c == '_' || c == '-' || c == '.'; }

bool pipeline::isFunctionName(StringRef name) {
  return !name.empty() && name.size() <= 200 && (llvm::isAlpha(name.front()) || name.front() == '_') &&
         !name.starts_with("__") && llvm::all_of(name, isNameLetter);
}

std::string pipeline::functionNameOf(StringRef path) {
  std::string name = llvm::sys::path::stem(path).str();
  for (char &c : name)
    c = isNameLetter(c) ? c : '_';
  if (name.empty() || !(llvm::isAlpha(name.front()) || name.front() == '_') || StringRef(name).starts_with("__"))
    name = "f" + name;
  return name;
}

namespace {

/// A size for every listed dimension.
using Sizes = std::vector<std::pair<std::string, int64_t>>;

std::string show(const Sizes &sizes) {
  std::string text;
  for (auto &[name, size] : sizes)
    text += (text.empty() ? "" : ",") + name + "=" + std::to_string(size);
  return text;
}

class ModelImporter {
public:
  ModelImporter(MLIRContext &context, const ImportOptions &options) : context(context), options(options) {}

  FailureOr<OwningOpRef<ModuleOp>> run(ArrayRef<ModelFile> models);

private:
  LogicalResult addModel(const ModelFile &model, bool isOnly);
  LogicalResult addCopies(const ModelFile &model, func::FuncOp entry, const std::set<std::string> &found);
  FailureOr<func::FuncOp> add(const ModelFile &model, const ImportOptions &changed, const std::string &name);
  LogicalResult checkFound();
  InFlightDiagnostic error() { return emitError(UnknownLoc::get(&context)); }

  MLIRContext &context;
  const ImportOptions &options;
  OwningOpRef<ModuleOp> module;
  std::unique_ptr<Linker> linker;
  std::set<std::string> found;
};

/// The strings that the module's functions refer to by number.
std::vector<std::string> textsOf(ModuleOp module) {
  std::vector<std::string> texts;
  if (auto known = module->getAttrOfType<ArrayAttr>("eyrie.texts"))
    for (StringRef text : known.getAsValueRange<StringAttr>())
      texts.push_back(text.str());
  return texts;
}

/// All combinations, the first dimension's values slowest.
std::vector<Sizes> combine(ArrayRef<const SymbolRange *> listed) {
  std::vector<Sizes> all = {{}};
  for (const SymbolRange *range : listed) {
    std::vector<Sizes> longer;
    for (const Sizes &sizes : all)
      for (int64_t value : range->values) {
        longer.push_back(sizes);
        longer.back().emplace_back(range->name, value);
      }
    all = std::move(longer);
  }
  return all;
}

/// Argument, dimension and size for each of `sizes`; nothing if a name is no dimension of the caller's arguments.
std::optional<SmallVector<int64_t>> guardsOf(func::FuncOp func, const Sizes &sizes) {
  SmallVector<int64_t> guards;
  for (auto &[name, size] : sizes) {
    size_t before = guards.size();
    for (unsigned i = 0; i < func.getNumArguments() && guards.size() == before; ++i) {
      auto dims = func.getArgAttrOfType<ArrayAttr>(i, "eyrie.dims");
      if (!dims || func.getArgAttr(i, graph::kState))
        continue;
      for (auto [k, dim] : llvm::enumerate(dims.getAsValueRange<StringAttr>()))
        if (dim == name && guards.size() == before)
          guards.append({int64_t(i), int64_t(k), size});
    }
    if (guards.size() == before)
      return std::nullopt;
  }
  return guards;
}

FailureOr<func::FuncOp> ModelImporter::add(const ModelFile &model, const ImportOptions &changed,
                                           const std::string &name) {
  auto imported = import::onnx::importOnnx(context, model.path, changed);
  if (failed(imported))
    return failure();
  if (linker)
    return linker->add(**imported, name);
  module = std::move(*imported);
  auto func = module->lookupSymbol<func::FuncOp>("main");
  if (name != "main") {
    SymbolTable symbols(*module);
    if (auto weight = symbols.lookup<graph::GlobalOp>(name))
      if (failed(symbols.rename(weight, name + ".weight")))
        return failure();
    if (failed(symbols.rename(func, name)))
      return failure();
  }
  return func;
}

LogicalResult ModelImporter::addCopies(const ModelFile &model, func::FuncOp entry, const std::set<std::string> &known) {
  SmallVector<const SymbolRange *> listed;
  uint64_t count = 1;
  for (const SymbolRange &range : options.ranges)
    if (!range.values.empty() && known.contains(range.name)) {
      listed.push_back(&range);
      count = std::min<uint64_t>(count * range.values.size(), 1000000);
    }
  if (listed.empty())
    return success();
  if (count > kMaxCopies)
    return error() << "--shape asks for " << count << " copies of the function '" << model.function
                   << "' (every combination of the listed sizes); at most " << kMaxCopies << " are made";
  SmallVector<Attribute> copies;
  for (const Sizes &sizes : combine(listed)) {
    auto guards = guardsOf(entry, sizes);
    if (!guards)
      return error() << "--shape " << show(sizes) << ": a dimension of the function '" << model.function
                     << "' belongs to states alone or always equals another one, so that no call can be told by it";
    ImportOptions changed = options;
    std::set<std::string> ignored;
    changed.found = &ignored;
    changed.texts = textsOf(*module);
    llvm::erase_if(changed.ranges, [](const SymbolRange &range) { return !range.values.empty(); });
    for (auto &[name, size] : sizes)
      changed.ranges.push_back({name, size, size, 1, {}});
    auto copy = add(model, changed, model.function + "." + show(sizes));
    if (failed(copy))
      return error() << "this is about the copy of the function '" << model.function << "' for " << show(sizes)
                     << " (--shape)";
    (*copy)->setAttr(graph::kInternal, UnitAttr::get(&context));
    Builder b(&context);
    copies.push_back(b.getDictionaryAttr({b.getNamedAttr("function", FlatSymbolRefAttr::get(*copy)),
                                          b.getNamedAttr("guards", b.getDenseI64ArrayAttr(*guards))}));
  }
  entry->setAttr(graph::kCopies, ArrayAttr::get(&context, copies));
  return success();
}

LogicalResult ModelImporter::addModel(const ModelFile &model, bool isOnly) {
  std::set<std::string> known;
  ImportOptions changed = options;
  bool hasLists = llvm::any_of(options.ranges, [](const SymbolRange &range) { return !range.values.empty(); });
  if (!isOnly || hasLists)
    changed.found = &known;
  if (module)
    changed.texts = textsOf(*module);
  auto func = add(model, changed, model.function);
  if (failed(func))
    return failure();
  if (!linker && (!isOnly || hasLists))
    linker = std::make_unique<Linker>(*module);
  found.insert(known.begin(), known.end());
  return addCopies(model, *func, known);
}

/// With several models each name must be one of at least one of them.
LogicalResult ModelImporter::checkFound() {
  bool isGood = true;
  auto check = [&](StringRef option, const std::string &name) {
    if (!found.contains(name)) {
      error() << option << " " << name << ": no model has such an input or open dimension";
      isGood = false;
    }
  };
  for (auto &[name, sizes] : options.shapes)
    check("--shape", name);
  for (const SymbolRange &range : options.ranges)
    check("--shape", range.name);
  for (auto &[input, output] : options.states)
    check("--state", input);
  return success(isGood);
}

FailureOr<OwningOpRef<ModuleOp>> ModelImporter::run(ArrayRef<ModelFile> models) {
  for (const ModelFile &model : models)
    if (failed(addModel(model, models.size() == 1)))
      return failure();
  if (linker && failed(checkFound()))
    return failure();
  return std::move(module);
}

} // namespace

FailureOr<OwningOpRef<ModuleOp>> pipeline::importModels(MLIRContext &context, ArrayRef<ModelFile> models,
                                                        const ImportOptions &options) {
  return ModelImporter(context, options).run(models);
}
