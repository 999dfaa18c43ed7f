#include "compiler/module/Metadata.h"
#include "abi/element_types.h"
#include "abi/module_format.h"
#include "abi/module_generated.h"
#include "compiler/graph/ElementTypes.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Parameters.h"
#include "compiler/graph/Variants.h"
#include "compiler/stream/HostValues.h"
#include "compiler/stream/Stream.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include <set>

using namespace mlir;
using namespace eyrie;
using namespace eyrie::module;
namespace fb = eyrie::abi::fb;

namespace {

class MetadataBuilder {
public:
  MetadataBuilder(ModuleOp module, const vm::Program &program, const WriteOptions &options, Objects &objects)
      : module(module), program(program), options(options), objects(objects), symbolTable(module),
        states(stream::getStates(module)), parameters(stream::getParameters(module)) {}
  FailureOr<SmallVector<char, 0>> build();

private:
  using String = flatbuffers::Offset<flatbuffers::String>;

  FailureOr<flatbuffers::Offset<fb::Value>> addValue(Operation *func, Type type, DictionaryAttr attributes,
                                                     const std::string &fallback);
  FailureOr<flatbuffers::Offset<fb::Function>> addFunction(const vm::Function &function);
  FailureOr<flatbuffers::Offset<fb::Global>> addState(StringAttr name);
  FailureOr<flatbuffers::Offset<fb::Global>> addParameter(StringAttr name);
  FailureOr<flatbuffers::Offset<fb::Global>> addFixed(DictionaryAttr row);
  flatbuffers::Offset<fb::MemoryPlan> addMemoryPlan(func::FuncOp func);
  FailureOr<flatbuffers::Offset<fb::Executable>> addExecutable(graph::ExecutableOp executable);
  flatbuffers::Offset<fb::Variant> addVariant(const graph::Variant &variant, StringAttr ownFormat,
                                              Objects::Place place);
  flatbuffers::Offset<fb::HostFunction> addHostFunction(const vm::HostFunction &function);
  void collectNodes();
  flatbuffers::Offset<fb::SourceMap> addSourceMap();
  String string(StringRef text) { return builder.CreateString(text.data(), text.size()); }
  /// Texts behind each other; none where they could not be told apart.
  String labels(ArrayAttr labels) {
    std::string text;
    for (Attribute attribute : labels ? labels.getValue() : ArrayRef<Attribute>()) {
      StringRef label = cast<StringAttr>(attribute).getValue();
      if (label.empty() || label.contains('\0'))
        return {};
      text += label.str() + '\0';
    }
    return text.empty() ? String() : string(text);
  }
  std::vector<String> strings(llvm::iterator_range<const std::string *> texts);
  int32_t getSymbol(StringRef name);

  ModuleOp module;
  const vm::Program &program;
  const WriteOptions &options;
  Objects &objects;
  SymbolTable symbolTable;
  llvm::SetVector<StringAttr> states, parameters;
  flatbuffers::FlatBufferBuilder builder;
  llvm::MapVector<StringRef, int32_t> symbols;
  DenseMap<StringAttr, llvm::SetVector<StringRef>> nodes; // of each executable
};

int32_t MetadataBuilder::getSymbol(StringRef name) {
  return symbols.try_emplace(name, static_cast<int32_t>(symbols.size())).first->second;
}

FailureOr<flatbuffers::Offset<fb::Value>>
MetadataBuilder::addValue(Operation *func, Type type, DictionaryAttr attributes, const std::string &fallback) {
  auto get = [&](StringRef key) { return attributes ? attributes.get(key) : Attribute(); };
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto list = dyn_cast<graph::ListType>(type);
  abi::ElementType elementType = graph::getValueElementType(type, attributes);
  if (elementType == abi::ElementType::kInvalid || (tensor && tensor.getRank() > abi::kMaxRank))
    return func->emitOpError("has an argument or result of type ") << type << ", which a module cannot hold";
  auto optional = dyn_cast_or_null<StringAttr>(get("eyrie.optional"));
  uint8_t kind = !list ? 0 : !optional ? 1 : optional.getValue() == "sequence" ? 3 : 2;
  auto elementSizes = dyn_cast_or_null<DenseI64ArrayAttr>(get("eyrie.element_sizes"));
  auto names = dyn_cast_or_null<ArrayAttr>(get("eyrie.dims"));
  std::vector<fb::Dim> dims;
  ArrayRef<int64_t> sizes;
  if (tensor)
    sizes = tensor.getShape();
  else if (elementSizes)
    sizes = elementSizes;
  for (auto [i, size] : llvm::enumerate(sizes)) {
    if (!ShapedType::isDynamic(size)) {
      dims.emplace_back(size, -1);
      continue;
    }
    auto name = names && i < names.size() ? dyn_cast<StringAttr>(names[i]) : StringAttr();
    dims.emplace_back(-1, name && !name.getValue().empty() ? getSymbol(name.getValue()) : -1);
  }
  auto name = dyn_cast_or_null<StringAttr>(get("eyrie.name"));
  return fb::CreateValue(builder, string(name ? name.getValue() : StringRef(fallback)),
                         static_cast<uint8_t>(elementType), builder.CreateVectorOfStructs(dims), kind,
                         /*any_rank=*/list && !elementSizes, labels(dyn_cast_or_null<ArrayAttr>(get("eyrie.labels"))));
}

/// Of the function and its copies, in one of which a call goes on; -1 if one of them has none.
static int64_t getUpperBound(func::FuncOp func, const SymbolTable &symbols) {
  auto plan = func->getAttrOfType<DictionaryAttr>(stream::kMemoryPlan);
  auto own = plan ? plan.getAs<IntegerAttr>("upper_bound") : IntegerAttr();
  int64_t bound = own ? own.getInt() : -1;
  if (auto copies = func->getAttrOfType<ArrayAttr>(graph::kCopies))
    for (auto copy : copies.getAsRange<DictionaryAttr>()) {
      auto name = copy.getAs<FlatSymbolRefAttr>("function").getAttr();
      int64_t other = getUpperBound(symbols.lookup<func::FuncOp>(name), symbols);
      bound = bound < 0 || other < 0 ? -1 : std::max(bound, other);
    }
  return bound;
}

flatbuffers::Offset<fb::MemoryPlan> MetadataBuilder::addMemoryPlan(func::FuncOp func) {
  auto plan = func->getAttrOfType<DictionaryAttr>(stream::kMemoryPlan);
  if (!plan)
    return {};
  auto get = [](DictionaryAttr from, StringRef key) { return cast<IntegerAttr>(from.get(key)).getInt(); };
  std::vector<flatbuffers::Offset<fb::Transient>> transients;
  for (auto row : plan.getAs<ArrayAttr>("transients").getAsRange<DictionaryAttr>())
    transients.push_back(fb::CreateTransient(builder, string(row.getAs<StringAttr>("name").getValue()),
                                             get(row, "offset"), get(row, "size"), get(row, "first_use"),
                                             get(row, "last_use")));
  return fb::CreateMemoryPlan(builder, builder.CreateVector(transients), get(plan, "arena_bytes"),
                              get(plan, "total_bytes"), get(plan, "lower_bound"), getUpperBound(func, symbolTable));
}

FailureOr<flatbuffers::Offset<fb::Function>> MetadataBuilder::addFunction(const vm::Function &function) {
  auto func = symbolTable.lookup<func::FuncOp>(function.name);
  std::vector<flatbuffers::Offset<fb::Value>> arguments, results;
  std::set<uint32_t> used;
  auto isState = [&](StringAttr state) {
    if (state)
      used.insert(llvm::find(states, state) - states.begin());
    return !!state;
  };
  for (auto [i, type] : llvm::enumerate(func.getArgumentTypes())) {
    if (isState(stream::getStateOfArgument(func, i)))
      continue;
    auto value = addValue(func, type, func.getArgAttrDict(i), "arg" + std::to_string(i));
    if (failed(value))
      return failure();
    arguments.push_back(*value);
  }
  for (auto [i, type] : llvm::enumerate(func.getResultTypes())) {
    if (isState(stream::getStateOfResult(func, i)))
      continue;
    auto value = addValue(func, type, func.getResultAttrDict(i), "result" + std::to_string(i));
    if (failed(value))
      return failure();
    results.push_back(*value);
  }
  auto plan = addMemoryPlan(func);
  return fb::CreateFunction(
      builder, string(function.name), builder.CreateVector(arguments), builder.CreateVector(results),
      function.codeOffset, function.codeSize, function.intRegisters, function.bufferRegisters,
      builder.CreateVector(function.blocks), plan, function.listRegisters,
      builder.CreateVector(std::vector<uint32_t>(used.begin(), used.end())), graph::isInternal(func));
}

namespace {
/// A state as one function sees it.
struct StateView {
  func::FuncOp func;
  RankedTensorType type; // as it lies in memory
  DictionaryAttr attributes;
  DenseI64ArrayAttr order() const { return attributes.getAs<DenseI64ArrayAttr>(graph::kStateOrder); }
};

SmallVector<StateView> findViews(ModuleOp module, StringAttr state) {
  SmallVector<StateView> views;
  for (auto func : module.getOps<func::FuncOp>()) {
    for (auto [i, type] : llvm::enumerate(func.getArgumentTypes()))
      if (stream::getStateOfArgument(func, i) == state)
        views.push_back({func, cast<RankedTensorType>(type), func.getArgAttrDict(i)});
    for (auto [i, type] : llvm::enumerate(func.getResultTypes()))
      if (stream::getStateOfResult(func, i) == state)
        views.push_back({func, cast<RankedTensorType>(type), func.getResultAttrDict(i)});
  }
  return views;
}
} // namespace

/// Described in the model's order. A function may know sizes that are open in another one: what all know is known.
FailureOr<flatbuffers::Offset<fb::Global>> MetadataBuilder::addState(StringAttr name) {
  SmallVector<StateView> views = findViews(module, name);
  const StateView &first = views.front();
  SmallVector<int64_t> shape(first.type.getShape());
  for (const StateView &view : views) {
    bool isSame = view.type.getRank() == first.type.getRank() &&
                  view.type.getElementType() == first.type.getElementType() && view.order() == first.order();
    for (int64_t i = 0; isSame && i < view.type.getRank(); ++i) {
      int64_t size = view.type.getDimSize(i);
      isSame = size == shape[i] || ShapedType::isDynamic(size) || ShapedType::isDynamic(shape[i]);
      shape[i] = ShapedType::isDynamic(size) ? size : shape[i];
    }
    if (!isSame)
      return func::FuncOp(view.func).emitOpError("has the state '")
             << name.getValue() << "' as " << view.type << ", but it is " << first.type << " in '"
             << func::FuncOp(first.func).getName() << "'";
  }
  NamedAttrList attributes(first.attributes);
  attributes.set("eyrie.name", name);
  flatbuffers::Offset<flatbuffers::Vector<uint8_t>> order;
  if (auto known = first.order()) {
    SmallVector<int64_t> inverse = invertPermutationVector(known.asArrayRef());
    applyPermutationToVector(shape, inverse);
    if (auto dims = first.attributes.getAs<ArrayAttr>("eyrie.dims"))
      attributes.set("eyrie.dims", Builder(module).getArrayAttr(applyPermutation(dims.getValue(), inverse)));
    order = builder.CreateVector(std::vector<uint8_t>(known.asArrayRef().begin(), known.asArrayRef().end()));
  }
  auto value = addValue(first.func, first.type.clone(shape), attributes.getDictionary(module.getContext()), "");
  if (failed(value))
    return failure();
  return fb::CreateGlobal(builder, *value, /*kind=*/0, order);
}

FailureOr<flatbuffers::Offset<fb::Global>> MetadataBuilder::addParameter(StringAttr name) {
  auto global = symbolTable.lookup<graph::GlobalOp>(name);
  NamedAttrList attributes(global->getDiscardableAttrDictionary());
  Attribute inFiles = global->getAttr(graph::kParameter);
  attributes.set("eyrie.name", inFiles ? inFiles : name);
  auto value = addValue(global, global.getType(), attributes.getDictionary(module.getContext()), "");
  if (failed(value))
    return failure();
  std::vector<uint32_t> sources;
  uint32_t function = 0;
  if (auto symbol = global->getAttrOfType<FlatSymbolRefAttr>(graph::kDerivedBy)) {
    auto isIt = [&](const vm::Function &candidate) { return symbol.getValue() == candidate.name; };
    function = llvm::find_if(program.functions, isIt) - program.functions.begin();
    auto names = symbolTable.lookup(symbol.getAttr())->getAttrOfType<ArrayAttr>(graph::kSources);
    for (auto source : names.getAsRange<StringAttr>())
      sources.push_back(states.size() + (llvm::find(parameters, source) - parameters.begin()));
  }
  return fb::CreateGlobal(builder, *value, /*kind=*/1, /*order=*/0, builder.CreateVector(sources), function);
}

FailureOr<flatbuffers::Offset<fb::Global>> MetadataBuilder::addFixed(DictionaryAttr row) {
  NamedAttrList attributes(row);
  attributes.set("eyrie.name", row.get("name"));
  auto value =
      addValue(module, row.getAs<TypeAttr>("type").getValue(), attributes.getDictionary(module.getContext()), "");
  if (failed(value))
    return failure();
  return fb::CreateGlobal(builder, *value, /*kind=*/2, /*order=*/0, /*sources=*/0, /*function=*/0,
                          static_cast<uint32_t>(row.getAs<IntegerAttr>("crc").getInt()));
}

flatbuffers::Offset<fb::HostFunction> MetadataBuilder::addHostFunction(const vm::HostFunction &function) {
  std::vector<flatbuffers::Offset<fb::HostAttribute>> attributes;
  for (NamedAttribute named : function.config) {
    std::vector<int64_t> integers;
    std::vector<double> numbers;
    std::vector<String> texts;
    auto add = [&](Attribute value) {
      if (auto text = dyn_cast<StringAttr>(value))
        texts.push_back(string(text.getValue()));
      else if (auto number = dyn_cast<FloatAttr>(value))
        numbers.push_back(number.getValueAsDouble());
      else
        integers.push_back(cast<IntegerAttr>(value).getInt());
    };
    if (auto array = dyn_cast<ArrayAttr>(named.getValue()))
      llvm::for_each(array, add);
    else if (auto list = dyn_cast<DenseI64ArrayAttr>(named.getValue()))
      integers.assign(list.asArrayRef().begin(), list.asArrayRef().end());
    else
      add(named.getValue());
    bool isList = isa<ArrayAttr, DenseI64ArrayAttr>(named.getValue());
    attributes.push_back(fb::CreateHostAttribute(builder, string(named.getName()), builder.CreateVector(integers),
                                                 builder.CreateVector(numbers), builder.CreateVector(texts), isList));
  }
  return fb::CreateHostFunction(builder, string(function.name), builder.CreateVector(function.types),
                                builder.CreateVector(function.ranks), function.inputCount,
                                builder.CreateVector(attributes));
}

/// The model's nodes that each executable computes, from the locations of its dispatches.
void MetadataBuilder::collectNodes() {
  module.walk([&](stream::DispatchOp op) {
    for (StringRef name : stream::getNodeNames(op.getLoc()))
      nodes[op.getExecutableAttr().getAttr()].insert(name);
  });
}

flatbuffers::Offset<fb::Variant> MetadataBuilder::addVariant(const graph::Variant &variant, StringAttr ownFormat,
                                                             Objects::Place place) {
  auto format = variant.format != ownFormat ? string(variant.format.getValue()) : String();
  auto local = static_cast<uint32_t>(variant.localMemory);
  return fb::CreateVariant(builder, format, variant.features, place.offset, place.size,
                           builder.CreateVector(&local, 1));
}

FailureOr<flatbuffers::Offset<fb::Executable>> MetadataBuilder::addExecutable(graph::ExecutableOp executable) {
  StringRef name = executable.getSymName();
  auto func = dyn_cast_or_null<func::FuncOp>(SymbolTable::lookupSymbolIn(executable, executable.getSymNameAttr()));
  SmallVector<graph::Variant> variants = graph::getVariants(executable);
  if (!func || variants.empty())
    return executable.emitOpError("has no code: the target has not compiled it");
  int64_t local = 0;
  for (const graph::Variant &variant : variants)
    local = std::max(local, variant.localMemory);
  unsigned constants = llvm::count_if(func.getArgumentTypes(), [](Type type) { return type.isIndex(); });
  unsigned bindings = func.getNumArguments() - constants + func.getNumResults();
  if (bindings > abi::kMaxBindings || constants > abi::kMaxConstants || local > abi::kMaxLocalMemory ||
      variants.size() > abi::kMaxVariants + 1)
    return executable.emitOpError("exceeds a limit of the module format: it has ")
           << bindings << " bindings, " << constants << " constants, " << local << " bytes of local memory and "
           << variants.size() << " variants";
  std::string names;
  for (StringRef node : nodes[executable.getSymNameAttr()])
    names += node.str() + '\0';
  // The last one, which asks the least, is the executable's own code.
  const graph::Variant &own = variants.back();
  std::vector<flatbuffers::Offset<fb::Variant>> others;
  Objects::Place place = {};
  for (const graph::Variant &variant : variants) {
    auto added = variant.object ? objects.add(variant.object) : FailureOr<Objects::Place>();
    if (failed(added))
      return executable.emitOpError("has an object that is not a tensor of i8");
    place = *added;
    if (&variant != &own)
      others.push_back(addVariant(variant, own.format, place));
  }
  auto operations = func->getAttrOfType<IntegerAttr>(graph::kOperations);
  auto entry = fb::CreateExport(builder, string(name), bindings, constants, own.localMemory, string(names),
                                operations ? operations.getInt() : 0);
  return fb::CreateExecutable(builder, string(name), string(own.format.getValue()), own.features, place.offset,
                              place.size, builder.CreateVector(&entry, 1),
                              others.empty() ? 0 : builder.CreateVector(others));
}

std::vector<MetadataBuilder::String> MetadataBuilder::strings(llvm::iterator_range<const std::string *> texts) {
  std::vector<String> result;
  for (const std::string &text : texts)
    result.push_back(string(text));
  return result;
}

flatbuffers::Offset<fb::SourceMap> MetadataBuilder::addSourceMap() {
  if (program.origins.empty())
    return {};
  const std::string *first = program.nodes.data();
  auto names = strings(llvm::make_range(first, first + program.nodes.size()));
  std::vector<uint32_t> words, numbers;
  for (const vm::Origin &origin : program.origins) {
    words.push_back(origin.word);
    numbers.push_back(origin.node);
  }
  return fb::CreateSourceMap(builder, builder.CreateVector(names), builder.CreateVector(words),
                             builder.CreateVector(numbers));
}

FailureOr<SmallVector<char, 0>> MetadataBuilder::build() {
  if (!options.strip)
    collectNodes();
  std::vector<flatbuffers::Offset<fb::Function>> functions;
  for (const vm::Function &function : program.functions) {
    auto added = addFunction(function);
    if (failed(added))
      return failure();
    functions.push_back(*added);
  }
  std::vector<flatbuffers::Offset<fb::Executable>> executables;
  for (auto executable : module.getOps<graph::ExecutableOp>()) {
    auto added = addExecutable(executable);
    if (failed(added))
      return failure();
    executables.push_back(*added);
  }
  std::vector<flatbuffers::Offset<fb::Global>> globals;
  auto add = [&](FailureOr<flatbuffers::Offset<fb::Global>> added) {
    if (succeeded(added))
      globals.push_back(*added);
    return LogicalResult(added);
  };
  for (StringAttr state : states)
    if (failed(add(addState(state))))
      return failure();
  for (StringAttr parameter : parameters)
    if (failed(add(addParameter(parameter))))
      return failure();
  if (auto fixed = module->getAttrOfType<ArrayAttr>(graph::kFixed))
    for (auto row : fixed.getAsRange<DictionaryAttr>())
      if (failed(add(addFixed(row))))
        return failure();
  std::vector<String> symbolNames;
  for (auto &[name, number] : symbols)
    symbolNames.push_back(string(name));
  const std::string *first = program.strings.data();
  auto messages = strings(llvm::make_range(first, first + program.strings.size()));
  std::vector<String> texts;
  if (auto known = module->getAttrOfType<ArrayAttr>("eyrie.texts"))
    for (auto text : known.getAsRange<StringAttr>())
      texts.push_back(string(text.getValue()));
  std::vector<fb::SymbolRange> ranges;
  if (auto known = module->getAttrOfType<DictionaryAttr>(graph::kSymbolRanges))
    for (auto &[name, number] : symbols) {
      auto range = known.getAs<DenseI64ArrayAttr>(name);
      ranges.push_back(range ? fb::SymbolRange(range[0], range[1], range[2]) : fb::SymbolRange(0, INT64_MAX, 1));
    }
  auto rangeList = ranges.empty() ? 0 : builder.CreateVectorOfStructs(ranges);
  flatbuffers::Offset<fb::SourceMap> sourceMap;
  if (!options.strip)
    sourceMap = addSourceMap();
  std::vector<flatbuffers::Offset<fb::HostFunction>> hostFunctions;
  for (const vm::HostFunction &function : program.hostFunctions)
    hostFunctions.push_back(addHostFunction(function));
  std::vector<flatbuffers::Offset<fb::Processor>> processors;
  for (const Processor &processor : options.processors)
    processors.push_back(
        fb::CreateProcessor(builder, string(processor.name), string(processor.format), processor.features));
  auto root = fb::CreateModule(
      builder, string("eyrie " EYRIE_VERSION), string(options.target), builder.CreateVector(symbolNames),
      builder.CreateVector(messages), builder.CreateVector(functions), builder.CreateVector(executables),
      string(options.source), builder.CreateVector(texts), builder.CreateVector(globals), rangeList, sourceMap,
      string(options.archive), builder.CreateVector(hostFunctions), builder.CreateVector(processors));
  fb::FinishModuleBuffer(builder, root);
  auto *data = reinterpret_cast<const char *>(builder.GetBufferPointer());
  return SmallVector<char, 0>(data, data + builder.GetSize());
}

} // namespace

FailureOr<SmallVector<char, 0>> eyrie::module::buildMetadata(ModuleOp module, const vm::Program &program,
                                                             const WriteOptions &options, Objects &objects) {
  return MetadataBuilder(module, program, options, objects).build();
}
