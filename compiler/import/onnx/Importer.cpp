#include "compiler/import/onnx/Importer.h"
#include "abi/crc32c.h"
#include "abi/parameter_archive.h"
#include "compiler/graph/Graph.h"
#include "compiler/graph/Parameters.h"
#include "compiler/import/onnx/Order.h"
#include "compiler/import/onnx/Registry.h"
#include "compiler/import/onnx/Text.h"
#include "compiler/import/onnx/Upgrade.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using eyrie::ops::Dim;

namespace eyrie::import::onnx {

Importer::Importer(MLIRContext &context, const Model &model, std::shared_ptr<llvm::MemoryBuffer> file, StringRef path,
                   const ImportOptions &options, Errors &errors)
    : context(context), model(model), path(path), source{&context, origins, texts}, options(options), errors(errors),
      functions(model, options, origins, errors), builder(&context) {
  origins.add(path.str(), std::move(file), path);
  for (const std::string &text : options.texts)
    texts.idOf(text);
}

//===- versions -----------------------------------------------------------------------------------------------------===

bool Importer::checkVersions() {
  if (model.irVersion < 1 || model.irVersion > kNewestIrVersion)
    errors.add("the file has IR version " + std::to_string(model.irVersion) + ", supported are 1 to " +
               std::to_string(kNewestIrVersion) + (model.irVersion < 1 ? "; is it an ONNX file?" : ""));
  for (const OperatorSet &set : model.operatorSets)
    if (plainDomain(set.domain).empty() && (set.version < kOldestOpset || set.version > kNewestOpset))
      errors.add("the model is written for operator set " + std::to_string(set.version) + ", supported are " +
                 std::to_string(kOldestOpset) + " to " + std::to_string(kNewestOpset));
  if (model.operatorSets.empty() && model.irVersion >= 3)
    errors.add("the model names no operator set (opset_import), so the meaning of its nodes is open");
  functions.load();
  if (!model.graph)
    errors.add("the file holds no graph");
  else if (model.graph->outputs.empty())
    errors.add("the graph has no outputs");
  return !errors.any();
}

int64_t Importer::opsetOf(StringRef domain, const Env &env) const {
  auto search = [&](const std::vector<OperatorSet> &sets) -> int64_t {
    for (const OperatorSet &set : sets)
      if (plainDomain(set.domain) == plainDomain(domain))
        return set.version;
    return 0;
  };
  if (model.operatorSets.empty() && plainDomain(domain).empty())
    return 1; // files before IR version 3 name none
  int64_t version = search(*env.operatorSets);
  return version ? version : search(model.operatorSets);
}

//===- names --------------------------------------------------------------------------------------------------------===

std::string Importer::placeOf(const Node &node, unsigned index, const Env &env) const {
  return env.prefix + (node.name.empty() ? printable(node.op) + "_" + std::to_string(index) : printable(node.name));
}

std::string Importer::describe(const Node &node, StringRef place) {
  return "node '" + place.str() + "' (" + printable(node.op) + "): ";
}

bool Importer::addInitializers(const Graph &graph, Scope &scope) {
  bool isGood = true;
  auto add = [&](StringRef name, Slot slot) {
    if (name.empty() || name.contains('\0')) {
      errors.add("an initializer has " + (name.empty() ? "no name" : "a zero byte in its name " + quote(name)));
      isGood = false;
    } else if (!scope.add(name, std::move(slot))) {
      errors.add("the initializer " + quote(name) + " is there twice");
      isGood = false;
    }
  };
  for (const TensorProto &tensor : graph.initializers) {
    Slot slot{Slot::Kind::Initializer, {}, &tensor, nullptr};
    add(tensor.name, std::move(slot));
  }
  for (const SparseTensorProto &sparse : graph.sparseInitializers) {
    Slot slot{Slot::Kind::SparseInitializer, {}, nullptr, &sparse};
    add(sparse.values.name, std::move(slot));
  }
  return isGood;
}

/// Whether the weight may have other values at run time; if not, its values are noted. Few elements and integers wide
/// enough to be indices or sizes are part of the program.
bool Importer::isParameter(const Weight &weight, StringRef name) {
  constexpr int64_t kMaxFixed = 16;
  if (!options.parameters || weight.isString || name.empty() || name.size() > abi::kMaxParameterName)
    return false;
  int64_t count = weight.type.getNumElements();
  Type type = weight.type.getElementType();
  if (count > kMaxFixed && (isa<FloatType>(type) || (type.isInteger(8) && count > ops::kMaxContents)))
    return true;
  Builder b(&context);
  NamedAttrList row;
  row.set("name", b.getStringAttr(name));
  row.set("type", TypeAttr::get(weight.type));
  row.set("crc", b.getI64IntegerAttr(abi::Crc32c(weight.bytes.data.data(), weight.bytes.data.size())));
  if (weight.isUnsigned)
    row.set("eyrie.unsigned", b.getUnitAttr());
  fixedConstants.push_back(row.getDictionary(&context));
  return false;
}

Tensor Importer::makeWeight(const Weight &weight, StringRef name) {
  int64_t count = weight.type.getNumElements();
  bool isOutside = isParameter(weight, name);
  Tensor known;
  if (count <= ops::kMaxContents && !isOutside) {
    known = ops::fromConstant(toDense(weight), weight.isUnsigned);
    known.isString = weight.isString;
    // Integers are mostly shapes, and one number for all elements is no memory: neither needs a global.
    if (known.isInteger() || known.constant.isSplat() || count == 0)
      return known;
  }
  std::string symbol = printable(name);
  if (symbol.empty() || StringRef(symbol).starts_with("__"))
    symbol = "weight." + symbol;
  for (unsigned i = 1; !globalNames.insert(symbol).second; ++i)
    symbol = printable(name) + "." + std::to_string(i);

  OpBuilder atStart = OpBuilder::atBlockBegin(module->getBody());
  Location loc = NameLoc::get(StringAttr::get(&context, symbol));
  auto global = graph::GlobalOp::create(atStart, loc, atStart.getStringAttr(symbol), TypeAttr::get(weight.type),
                                        toResource(weight, symbol));
  // Names are distinct in one graph, but not in all graphs of the model and in functions.
  std::string parameter = name.str();
  for (unsigned i = 1; isOutside && !parameterNames.insert(parameter).second; ++i)
    parameter = name.str() + "." + std::to_string(i);
  if (isOutside)
    global->setAttr(graph::kParameter, atStart.getStringAttr(parameter));
  if (isOutside && weight.isUnsigned)
    global->setAttr("eyrie.unsigned", atStart.getUnitAttr());
  OpBuilder inEntry = OpBuilder::atBlockBegin(&main.getBody().front());
  if (lastOfEntry)
    inEntry.setInsertionPointAfter(lastOfEntry);
  auto load = graph::LoadGlobalOp::create(inEntry, loc, weight.type, FlatSymbolRefAttr::get(&context, symbol));
  lastOfEntry = load;
  Tensor tensor = ops::fromValue(load.getResult(),
                                 ops::Dims(llvm::map_range(weight.type.getShape(), [](int64_t d) { return Dim(d); })),
                                 weight.isUnsigned);
  tensor.isString = weight.isString;
  tensor.constant = known.constant;
  return tensor;
}

llvm::Expected<Tensor> Importer::readWeight(const TensorProto &tensor, StringRef name) {
  const char *key = tensor.message.empty() ? nullptr : tensor.message.data();
  if (auto made = weights.find(key); key && made != weights.end())
    return made->second;
  auto weight = readTensor(source, tensor);
  if (!weight)
    return weight.takeError();
  Tensor made = makeWeight(*weight, name);
  if (key)
    weights.try_emplace(key, made);
  return made;
}

llvm::Expected<Tensor> Importer::readWeight(const SparseTensorProto &sparse, StringRef name) {
  auto weight = readSparseTensor(source, sparse);
  if (!weight)
    return weight.takeError();
  return makeWeight(*weight, name);
}

const Slot *Importer::resolve(StringRef name, Scope &scope) {
  Slot *slot = scope.find(name);
  assert(slot && "names are checked before nodes are imported");
  if (slot->kind != Slot::Kind::Initializer && slot->kind != Slot::Kind::SparseInitializer)
    return slot;
  auto tensor = slot->initializer ? readWeight(*slot->initializer, name) : readWeight(*slot->sparse, name);
  if (tensor) {
    slot->tensor = std::move(*tensor);
    slot->kind = Slot::Kind::Tensor;
  } else {
    errors.add("initializer " + quote(name) + " " + llvm::toString(tensor.takeError()));
    slot->kind = Slot::Kind::Poisoned;
  }
  return slot;
}

void Importer::poison(const Node &node, Scope &scope) {
  for (StringRef output : node.outputs)
    if (!output.empty())
      scope.add(output, Slot{});
}

//===- nodes --------------------------------------------------------------------------------------------------------===

Slots Importer::importNodes(ArrayRef<Node> nodes, ArrayRef<StringRef> results, Scope &scope, const Env &env,
                            const Around *around) {
  bool isGood;
  StringRef outer = errors.inside(env.call ? StringRef(env.call->description) : StringRef());
  llvm::scope_exit restore([&] { errors.inside(outer); });
  auto report = [&](int64_t node, const std::string &text) {
    if (node >= 0)
      errors.add(describe(nodes[node], placeOf(nodes[node], node, env)) + text);
    else
      errors.add((env.prefix.empty() ? "" : "node " + quote(StringRef(env.prefix).drop_back()) + ": ") + text);
  };
  std::vector<unsigned> order =
      orderNodes(nodes, results, [&](StringRef name) { return scope.find(name) != nullptr; }, report, isGood);
  if (!isGood)
    return {};
  return importRest({nodes, order, results, std::nullopt, around}, scope, env);
}

Slots Importer::importRest(Rest left, Scope &scope, const Env &env) {
  Rest *outer = rest;
  StringRef outerFunction = errors.inside(env.call ? StringRef(env.call->description) : StringRef());
  llvm::scope_exit restore([&] {
    rest = outer;
    errors.inside(outerFunction);
  });
  rest = &left;
  while (!left.order.empty()) {
    if (budget-- <= 0) {
      if (budget == -1)
        errors.add("the model's functions and branches call each other so often that it becomes too large");
      return {};
    }
    unsigned index = left.order.front();
    left.order = left.order.drop_front();
    importNode(left.nodes[index], index, scope, env);
    if (left.merged)
      return *left.merged;
  }
  Slots slots;
  for (StringRef result : left.results)
    slots.push_back(*resolve(result, scope));
  return slots;
}

static std::string opName(const Node &node, int64_t version) {
  StringRef domain = plainDomain(node.domain);
  std::string number = version ? std::to_string(version) : "unknown";
  return domain.empty() ? printable(node.op) + " (opset " + number + ")"
                        : printable(domain) + "::" + printable(node.op) + " (version " + number + ")";
}

static std::string reasonFor(const Node &node) {
  std::string reason = !plainDomain(node.domain).empty() && !isKnownDomain(node.domain)
                           ? "operations of the domain " + quote(node.domain) + " are not supported"
                           : "this operation is not supported yet";
  return reason + "; a function that makes it of other operations may be given with --functions, or one of yours that "
                  "computes it at run time with --host-op";
}

Importer::FlowHandler Importer::findFlow(const Node &node) const {
  if (!hostOpsOf(node).empty())
    return &Importer::importHostOp;
  if (node.domain == "ai.onnx.preview" && node.op == "FlexAttention")
    return &Importer::importFlexAttention;
  if (!plainDomain(node.domain).empty())
    return nullptr;
  return llvm::StringSwitch<FlowHandler>(node.op)
      .Case("If", &Importer::importIf)
      .Case("Loop", &Importer::importLoop)
      .Case("Scan", &Importer::importScan)
      .Case("SequenceMap", &Importer::importSequenceMap)
      .Default(isSlotOp(node.op) ? &Importer::importSlotOp : nullptr);
}

bool Importer::isUnknown(const Node &node, const Env &env, StringRef place) {
  if (findFunction(node, env) || isBuiltIn(node, env))
    return false;
  if (functions.expander(node) && !expanderOf(node, env)) {
    errors.add(describe(node, place) + "the operator expands into itself: " + chainOf(node, env.call));
    return true;
  }
  int64_t opset = opsetOf(node.domain, env);
  const OpRow *row = findOp(plainDomain(node.domain), node.op);
  if (!row) {
    errors.addUnsupported({place.str(), opName(node, opset), reasonFor(node)});
    return true;
  }
  errors.addUnsupported({place.str(), opName(node, opset),
                         "the operation is there since operator set " + std::to_string(row->since.front()) +
                             ", but the model is written for " + std::to_string(opset)});
  return true;
}

void Importer::listUnsupported(const Graph &graph, const Env &env) {
  for (auto [i, node] : llvm::enumerate(graph.nodes)) {
    if (!expanderOf(node, env)) // which may leave it to others, but nobody can ask it now
      isUnknown(node, env, placeOf(node, i, env));
    for (const Attribute &attribute : node.attributes)
      if (attribute.graph)
        listUnsupported(*attribute.graph, env);
  }
}

static bool takesMaps(const Node &node) {
  return node.domain == "ai.onnx.ml" && (node.op == "CastMap" || node.op == "DictVectorizer");
}

void Importer::importNode(const Node &node, unsigned index, Scope &scope, const Env &env) {
  std::string place = placeOf(node, index, env);
  auto fail = [&](const std::string &text) {
    errors.add(describe(node, place) + text);
    poison(node, scope);
  };
  for (StringRef output : node.outputs) {
    if (output.contains('\0'))
      return fail("the output name " + quote(output) + " holds a zero byte");
    // Names of the graphs around may be hidden; inputs and initializers of this one may not.
    if (!output.empty() && scope.owns(output))
      return fail("makes " + quote(output) + ", which is an input or initializer already");
  }
  const Expander *expander = expanderOf(node, env);
  if (!expander && isUnknown(node, env, place))
    return poison(node, scope);

  static const Slot absent{Slot::Kind::Absent, {}};
  SmallVector<const Slot *> operands;
  bool isPoisoned = false;
  for (StringRef input : node.inputs) {
    operands.push_back(input.empty() ? &absent : resolve(input, scope));
    isPoisoned |= operands.back()->kind == Slot::Kind::Poisoned;
  }
  if (isPoisoned) {
    for (const Attribute &attribute : node.attributes)
      if (attribute.graph)
        listUnsupported(*attribute.graph, env);
    return poison(node, scope);
  }
  Location before = b->loc;
  std::string placeBefore = dims.exchangePlace(place);
  llvm::scope_exit restore([&] {
    b->loc = before;
    dims.exchangePlace(std::move(placeBefore));
  });
  b->loc = NameLoc::get(StringAttr::get(&context, place));
  if (importExpansion(expander, node, scope, env, operands, place))
    return;
  const bool isPlain = plainDomain(node.domain).empty();
  const bool takesOptionals = isPlain && (node.op.starts_with("Optional") || node.op == "Loop");
  auto nothing = llvm::find_if(operands, [](const Slot *slot) { return slot->kind == Slot::Kind::Nothing; });
  auto optional = llvm::find_if(operands, [](const Slot *slot) { return slot->kind == Slot::Kind::Optional; });
  auto map = llvm::find_if(operands, [](const Slot *slot) { return slot->kind == Slot::Kind::Map; });
  if (nothing != operands.end() && isPlain && node.op == "Identity")
    bind(node, scope, **nothing, place);
  else if (nothing != operands.end() && !takesOptionals)
    fail("input " + std::to_string(nothing - operands.begin()) + " is an optional value that holds nothing");
  else if (optional != operands.end() && !takesOptionals && !(isPlain && node.op == "Identity"))
    fail("input " + std::to_string(optional - operands.begin()) + " is " + (*optional)->str() +
         "; take its element with OptionalGetElement");
  else if (map != operands.end() && !takesMaps(node))
    fail("input " + std::to_string(map - operands.begin()) + " is a " + (*map)->str() +
         ", which only CastMap and DictVectorizer take");
  else if (FlowHandler handler = findFlow(node))
    (this->*handler)(node, scope, env, operands, place);
  else if (auto sequence = llvm::find_if(operands, [](const Slot *slot) { return slot->isList(); });
           sequence == operands.end())
    importOperation(node, scope, env, opsetOf(node.domain, env), operands, place);
  else if (node.op == "Identity" && isPlain)
    bind(node, scope, **sequence, place);
  else
    fail("an input is a " + (*sequence)->str() + ", expected a tensor");
}

SmallVector<std::pair<StringRef, const Attribute *>> Importer::attributesOf(const Node &node, const Env &env) {
  SmallVector<std::pair<StringRef, const Attribute *>> resolved;
  for (const Attribute &attribute : node.attributes) {
    if (attribute.reference.empty()) {
      resolved.emplace_back(attribute.name, &attribute);
    } else if (env.call) {
      for (auto &[name, value] : env.call->attributes)
        if (name == attribute.reference)
          resolved.emplace_back(attribute.name, value);
    }
  }
  return resolved;
}

bool Importer::checkResult(const Tensor &t, std::string &error) {
  int64_t count = 1;
  bool isEmpty = llvm::any_of(t.shape, [](Dim d) { return d.is(0); });
  for (Dim d : t.shape) {
    if (d.isConstant() && d.constant() < 0) {
      error = "gives a tensor with a negative size: " + t.str();
      return false;
    }
    if (!isEmpty && d.isConstant() && (llvm::MulOverflow(count, d.constant(), count) || count > kMaxElements)) {
      error = "gives a tensor with more than " + std::to_string(kMaxElements) + " elements: " + t.str();
      return false;
    }
  }
  if (t.shape.size() > kMaxRank)
    error = "gives a tensor with more than " + std::to_string(kMaxRank) + " dimensions: " + t.str();
  return error.empty();
}

void Importer::bind(const Node &node, Scope &scope, ArrayRef<Slot> results, StringRef place) {
  std::string error;
  for (auto [i, output] : llvm::enumerate(node.outputs)) {
    if (output.empty())
      continue;
    if (i >= results.size()) {
      errors.addUnsupported({place.str(), printable(node.op), "its output " + std::to_string(i) + " is not supported"});
      scope.add(output, Slot{});
    } else if (results[i].kind == Slot::Kind::Tensor && !checkResult(results[i].tensor, error)) {
      errors.add(describe(node, place) + error);
      return poison(node, scope);
    } else {
      scope.add(output, results[i]);
    }
  }
}

void Importer::importOperation(const Node &node, Scope &scope, const Env &env, int64_t opset,
                               ArrayRef<const Slot *> operands, StringRef place) {
  const OpRow &row = *findOp(plainDomain(node.domain), node.op);
  OpNode n(*b, node, opset);
  for (const Slot *slot : operands) {
    bool isMap = slot->kind == Slot::Kind::Map;
    n.inputs.push_back(isMap || slot->kind == Slot::Kind::Tensor ? &slot->tensor : nullptr);
    n.keys = isMap ? &slot->keys : n.keys;
  }
  n.attributes = attributesOf(node, env);
  StringRef weightName = node.outputs.empty() ? StringRef(place) : node.outputs.front();
  auto readTensorAttribute = [&](const TensorProto &proto, StringRef) { return readWeight(proto, weightName); };
  auto readSparseAttribute = [&](const SparseTensorProto &proto, StringRef) { return readWeight(proto, weightName); };
  auto readTable = [&](const TensorProto &proto) { return readTensor(source, proto); };
  n.readTensor = readTensorAttribute;
  n.readWeight = readTable;
  n.readSparseTensor = readSparseAttribute;
  n.texts = &texts;
  callHandler(n, scope, place, [&]() -> FailureOr<Slots> {
    upgrade(n);
    if (n.numInputs() > row.maxInputs)
      return n.fail("has " + llvm::Twine(n.numInputs()) + " inputs, expected at most " + llvm::Twine(row.maxInputs));
    for (size_t i = 0; i < row.minInputs; ++i)
      (void)n.required(i);
    if (std::string text = refuseStrings(node, n.inputs); !text.empty())
      return n.fail(text);
    if (!n.isGood())
      return failure();
    FailureOr<SmallVector<Tensor>> results = row.handle(n).results;
    if (failed(results))
      return failure();
    markStrings(node, n.inputs, *results);
    Slots slots(llvm::map_range(*results, [](Tensor &t) { return Slot::of(std::move(t)); }));
    if (!n.labels.empty())
      slots.front().labels = builder.getStrArrayAttr(SmallVector<StringRef>(n.labels.begin(), n.labels.end()));
    return slots;
  });
}

void Importer::callHandler(OpNode &n, Scope &scope, StringRef place, llvm::function_ref<FailureOr<Slots>()> handle) {
  std::string text;
  size_t errorsBefore = errors.count();
  FailureOr<Slots> results = failure();
  {
    // The library reports at the builder's location; here the error gets the operation and the file.
    ScopedDiagnosticHandler capture(&context, [&](Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() == DiagnosticSeverity::Error && text.empty())
        text = diagnostic.str();
    });
    results = handle();
  }
  if (!n.error.empty())
    text = n.error;
  if (succeeded(results) && text.empty())
    return bind(n.node, scope, *results, place);
  poison(n.node, scope);
  if (text.empty() && errors.count() != errorsBefore)
    return; // of a node in its body
  if (text.empty())
    text = "cannot be imported, and nothing says why: this is a bug of Eyrie";
  if (n.isUnsupported || StringRef(text).contains("not supported"))
    errors.addUnsupported({place.str(), opName(n.node, n.modelOpset), text});
  else
    errors.add(describe(n.node, place) + text);
}

//===- the whole ----------------------------------------------------------------------------------------------------===

OwningOpRef<ModuleOp> Importer::run() {
  if (!checkVersions())
    return nullptr;
  const Graph &graph = *model.graph;
  budget = 100000 + 16 * (countNodes(graph.nodes) + functions.countNodes());

  Location loc = NameLoc::get(StringAttr::get(&context, "main"));
  module = ModuleOp::create(loc);
  builder.setInsertionPointToEnd(module->getBody());
  main = func::FuncOp::create(builder, loc, "main", builder.getFunctionType({}, {}));
  globalNames.insert("main");
  builder.setInsertionPointToStart(main.addEntryBlock());
  b = std::make_unique<ops::Builder>(builder, loc, dims, *module);

  Scope scope;
  // What is an initializer too is a constant, not an argument.
  bool isGood = addInitializers(graph, scope);
  if (!addArguments(graph, scope) || !isGood)
    return nullptr;
  SmallVector<StringRef> names;
  for (const ValueInfo &output : graph.outputs)
    names.push_back(output.name);
  Env env{&model.operatorSets, nullptr, ""};
  Slots slots = importNodes(graph.nodes, names, scope, env);
  // A body that was given up may use values of another one around it.
  for (Operation *op : givenUp)
    op->dropAllReferences();
  for (Operation *op : givenUp)
    op->erase();
  for (auto [slot, output] : llvm::zip(slots, graph.outputs))
    settleOutput(output, slot);
  if (errors.any() || slots.empty())
    return nullptr;
  addResults(graph, slots);
  if (!fixedConstants.empty())
    (*module)->setAttr(graph::kFixed, builder.getArrayAttr(fixedConstants));
  // Errors of the verifier are errors of ours; they are emitted as they are.
  if (failed(verify(*module)))
    errors.add("the imported model is not valid: this is a bug of Eyrie");
  if (errors.any())
    return nullptr;
  for (const std::string &text : functions.warnings())
    emitWarning(FileLineColLoc::get(&context, path, 0, 0)) << text;
  return std::move(module);
}

} // namespace eyrie::import::onnx
