// Arguments and results of @main: types, symbolic dimensions, names.
#include "compiler/graph/Graph.h"
#include "compiler/import/onnx/Importer.h"
#include "compiler/import/onnx/Text.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include <map>
#include <numeric>

using namespace mlir;
using eyrie::ops::Dim;

namespace eyrie::import::onnx {

static StringRef kindName(ValueInfo::Kind kind) {
  static constexpr llvm::StringLiteral names[] = {
      "a value without a type", "a tensor",        "a sequence",     "a map",
      "an optional value",      "a sparse tensor", "an opaque value"};
  return names[static_cast<size_t>(kind)];
}

static std::string showDims(ArrayRef<int64_t> sizes) {
  std::string text;
  for (int64_t size : sizes)
    text += (text.empty() ? "" : "x") + std::to_string(size);
  return text.empty() ? "scalar" : text;
}

static std::string showDims(const ValueInfo &input) {
  std::string text;
  for (const Dimension &dim : input.dims)
    text += (text.empty() ? "" : "x") + (dim.value && *dim.value >= 0 ? std::to_string(*dim.value)
                                         : dim.name.empty()           ? "?"
                                                                      : printable(dim.name));
  return text.empty() ? "scalar" : text;
}

/// A dimension of this name is shared with other inputs; exporters write "?" (or nothing) for one that is just open.
static bool isSymbol(const Dimension &dim) {
  return !(dim.value && *dim.value >= 0) && !dim.name.empty() && dim.name != "?" && dim.name != "-1" &&
         !dim.name.contains('\0');
}

static std::string listSymbols(const Graph &graph) {
  std::string names;
  llvm::StringSet<> seen;
  for (const ValueInfo &info : graph.inputs)
    for (const Dimension &dim : info.dims)
      if (isSymbol(dim) && seen.insert(dim.name).second)
        names += (names.empty() ? "; its open dimensions are " : ", ") + quote(dim.name);
  return names.empty() ? "; none of its open dimensions has a name" : names;
}

static bool hasSymbol(const ValueInfo &info, StringRef name) {
  return llvm::any_of(info.dims, [&](const Dimension &dim) { return isSymbol(dim) && dim.name == name; });
}

static bool hasSymbol(const Graph &graph, StringRef name) {
  return llvm::any_of(graph.inputs, [&](const ValueInfo &info) { return hasSymbol(info, name); });
}

/// Ranges are for names of open dimensions.
static bool checkRanges(const Graph &graph, const ImportOptions &options, Errors &errors) {
  bool isGood = true;
  for (const SymbolRange &range : options.ranges) {
    if (hasSymbol(graph, range.name)) {
      if (options.found)
        options.found->insert(range.name);
      continue;
    }
    if (options.found)
      continue;
    bool isInput = llvm::any_of(graph.inputs, [&](const ValueInfo &info) { return info.name == range.name; });
    errors.add("--shape " + printable(range.name) + ": " +
               (isInput ? "a range or list of sizes is given for an open dimension, not for an input"
                        : "the model has no open dimension of this name") +
               listSymbols(graph));
    isGood = false;
  }
  return isGood;
}

/// Sizes from `options` for the names that inputs give to their dimensions.
static bool findFixedSymbols(const Graph &graph, const ImportOptions &options, Errors &errors,
                             llvm::StringMap<int64_t> &fixed) {
  bool isGood = true;
  for (const SymbolRange &range : options.ranges)
    if (range.least == range.most)
      fixed[range.name] = range.least;
  for (auto &[name, sizes] : options.shapes) {
    auto input = llvm::find_if(graph.inputs, [&](const ValueInfo &info) { return info.name == name; });
    auto fail = [&](const std::string &text) {
      errors.add("--shape " + printable(name) + "=" + showDims(sizes) + ": " + text);
      isGood = false;
    };
    bool isName = input == graph.inputs.end() && sizes.size() == 1 && hasSymbol(graph, name);
    if (options.found && (isName || input != graph.inputs.end()))
      options.found->insert(name);
    if (isName) {
      if (auto [it, isNew] = fixed.try_emplace(name, sizes.front()); !isNew && it->second != sizes.front())
        fail("the dimension is " + std::to_string(it->second) + " elsewhere");
      continue;
    }
    if (input == graph.inputs.end()) {
      if (options.found)
        continue;
      std::string names;
      for (const ValueInfo &info : graph.inputs)
        names += (names.empty() ? "" : ", ") + quote(info.name);
      fail("the model has no such input; its inputs are " + names + (sizes.size() == 1 ? listSymbols(graph) : ""));
      continue;
    }
    if (!input->hasShape)
      continue;
    if (input->dims.size() != sizes.size()) {
      fail("the input has " + std::to_string(input->dims.size()) + " dimensions: " + showDims(*input));
      continue;
    }
    for (auto [dim, size] : llvm::zip_equal(input->dims, sizes)) {
      if (size < 0)
        continue; // stays open
      if (dim.value && *dim.value >= 0 && *dim.value != size)
        fail("the model fixes the sizes " + showDims(*input));
      if (isSymbol(dim))
        if (auto [it, isNew] = fixed.try_emplace(dim.name, size); !isNew && it->second != size)
          fail("the dimension " + quote(dim.name) + " is " + std::to_string(it->second) + " elsewhere");
    }
  }
  return isGood;
}

static const std::vector<int64_t> *findShape(const ImportOptions &options, StringRef input) {
  for (auto &[name, sizes] : options.shapes)
    if (input == name)
      return &sizes;
  return nullptr;
}

/// What is wrong with a map; empty if nothing is.
static std::string refuseMap(const Graph &graph, const ValueInfo &map) {
  if (map.type == DataType::Undefined)
    return "is a map whose values are no tensors, which is not supported";
  if (map.keyType != DataType::Int64 && map.keyType != DataType::String)
    return "is a map with keys of the type " + typeName(map.keyType) + ", supported are int64 and string";
  for (const ValueInfo &other : graph.inputs) {
    if (&other == &map)
      continue;
    if (hasSymbol(other, map.name))
      return "is a map, and a dimension of the input " + quote(other.name) + " has its name";
    if (StringRef part = other.name; part.consume_front(map.name) && (part == ".keys" || part == ".values"))
      return "is a map, and the input " + quote(other.name) + " has the name of a part of it";
  }
  return "";
}

bool Importer::addArguments(const Graph &graph, Scope &scope) {
  llvm::StringMap<int64_t> fixed;
  bool isGood = checkRanges(graph, options, errors);
  isGood &= findFixedSymbols(graph, options, errors, fixed);
  llvm::DenseSet<StringRef> names;
  for (const ValueInfo &input : graph.inputs) {
    bool isMap = input.kind == ValueInfo::Kind::Map;
    auto fail = [&](const std::string &text) {
      errors.add("input " + quote(input.name) + " " + text);
      isGood = false;
    };
    // After these errors the walk goes on, for the list of all that is not supported.
    auto refuse = [&](const std::string &text) {
      errors.add("input " + quote(input.name) + " " + text);
      scope.add(input.name, Slot{});
    };
    if (input.name.empty() || input.name.contains('\0'))
      fail("has no usable name");
    else if (!names.insert(input.name).second)
      fail("is there twice");
    else if (scope.owns(input.name))
      continue; // an initializer
    else if (input.kind != ValueInfo::Kind::Tensor && input.kind != ValueInfo::Kind::Sequence &&
             input.kind != ValueInfo::Kind::Map)
      refuse("is " + kindName(input.kind).str() +
             "; only tensors, sequences of tensors, optional ones of these, and maps are supported");
    else if (std::string text = isMap ? refuseMap(graph, input) : ""; !text.empty())
      refuse(text);
    else if (input.kind == ValueInfo::Kind::Sequence && input.type == DataType::Undefined)
      refuse("is a sequence whose elements are no tensors, which is not supported");
    else if (!elementTypeOf(&context, input.type).type)
      refuse("has the unsupported type " + typeName(input.type));
    else if (input.dims.size() > kMaxRank)
      fail("has " + std::to_string(input.dims.size()) + " dimensions, at most " + std::to_string(kMaxRank) +
           " are supported");
    else if (input.kind == ValueInfo::Kind::Sequence || input.isOptional)
      addListArgument(input, scope);
    else if (isMap)
      isGood &= addMapArgument(input, fixed, scope);
    else if (std::optional<Tensor> tensor = addArgument(input, fixed))
      scope.add(input.name, Slot::of(*tensor));
    else
      isGood = false;
  }
  return isGood;
}

/// A sequence, or an optional value. The elements differ in size, so a symbol says nothing: only numbers are kept.
/// `--shape` fixes the elements' sizes.
void Importer::addListArgument(const ValueInfo &input, Scope &scope) {
  ElementType element = elementTypeOf(&context, input.type);
  Sequence sequence{element.type, element.isUnsigned, element.isString, std::nullopt, Value(), {}};
  const std::vector<int64_t> *given = findShape(options, input.name);
  sequence.shape.kind = input.hasShape || given ? ElementShape::Kind::Ranked : ElementShape::Kind::AnyRank;
  if (given)
    sequence.shape.sizes.assign(given->begin(), given->end());
  else
    for (const Dimension &dim : input.dims)
      sequence.shape.sizes.push_back(dim.value.value_or(-1));
  for (int64_t &size : sequence.shape.sizes)
    size = size < 0 ? ShapedType::kDynamic : size;
  Location loc = NameLoc::get(StringAttr::get(&context, printable(input.name)));
  sequence.list = main.getBody().front().addArgument(sequence.listType(), loc);
  bool isSequence = input.kind == ValueInfo::Kind::Sequence;
  Slot slot = input.isOptional ? Slot::optional(sequence, isSequence) : Slot::of(sequence);
  arguments.emplace_back(input.name, slot);
  scope.add(input.name, slot);
}

/// A map is two arguments of one size, its keys and its values.
bool Importer::addMapArgument(const ValueInfo &input, const llvm::StringMap<int64_t> &fixed, Scope &scope) {
  auto addPart = [&](StringRef name, DataType type) {
    ValueInfo part = input;
    part.name = StringAttr::get(&context, input.name + "." + name);
    part.kind = ValueInfo::Kind::Tensor;
    part.type = type;
    return addArgument(part, fixed);
  };
  std::optional<Tensor> keys = addPart("keys", input.keyType), values = addPart("values", input.type);
  if (!keys || !values)
    return false;
  dims.assumeEqual(keys->shape[0], values->shape[0]); // they differ where the map's name is no name of a dimension
  scope.add(input.name, Slot::map(*keys, *values));
  return true;
}

std::optional<Tensor> Importer::addArgument(const ValueInfo &input, const llvm::StringMap<int64_t> &fixed) {
  auto fail = [&](const std::string &text) {
    errors.add("input " + quote(input.name) + " " + text);
    return std::nullopt;
  };
  Block *entry = &main.getBody().front();
  const std::vector<int64_t> *given = findShape(options, input.name);
  if (!input.hasShape && !given)
    return fail("has no shape in the file; give one with --shape " + printable(input.name) + "=1x3x224x224");
  size_t rank = input.hasShape ? input.dims.size() : given->size();
  if (rank > kMaxRank)
    return fail("has " + std::to_string(rank) + " dimensions, at most " + std::to_string(kMaxRank) + " are supported");

  // The shape: known sizes, symbols by name, and symbols of their own; the latter two are read from the argument.
  ElementType element = elementTypeOf(&context, input.type);
  Tensor tensor;
  tensor.elementType = element.type;
  tensor.isUnsigned = element.isUnsigned;
  tensor.isString = element.isString;
  tensor.shape.resize(rank);
  SmallVector<std::pair<unsigned, Dim>> fresh;
  for (size_t i = 0; i < rank; ++i) {
    Dimension dim = input.hasShape ? input.dims[i] : Dimension{};
    std::optional<int64_t> size = dim.value;
    if (given && i < given->size() && (*given)[i] >= 0)
      size = (*given)[i];
    if (isSymbol(dim))
      if (auto it = fixed.find(dim.name); it != fixed.end())
        size = it->second;
    if (size && *size < -1)
      return fail("has the negative size " + std::to_string(*size) + ": " + showDims(input));
    if (size && *size >= 0) {
      tensor.shape[i] = *size;
      continue;
    }
    std::string name = isSymbol(dim) ? printable(dim.name) : "";
    std::string key = name.empty() ? printable(input.name) + "." + std::to_string(i) : name;
    // The library's own symbols begin with '%'.
    if (key.front() == '%' || name.empty())
      key = "'" + key + "'";
    auto range = llvm::find_if(options.ranges, [&](const SymbolRange &each) { return dim.name == each.name; });
    tensor.shape[i] = dims.symbol(key, range == options.ranges.end() || name.empty() ? 0 : range->least);
    bool isNew = llvm::none_of(argumentSymbols, [&](auto &pair) { return pair.first == tensor.shape[i]; });
    if (isNew) {
      argumentSymbols.emplace_back(tensor.shape[i], name);
      fresh.emplace_back(i, tensor.shape[i]);
    }
  }
  std::string error;
  if (!checkResult(tensor, error))
    return fail(error);
  Location loc = NameLoc::get(StringAttr::get(&context, printable(input.name)));
  BlockArgument argument = entry->addArgument(tensor.type(), loc);
  for (auto [i, symbol] : fresh) {
    OpBuilder inEntry = OpBuilder::atBlockBegin(entry);
    if (lastOfEntry)
      inEntry.setInsertionPointAfter(lastOfEntry);
    Value index = arith::ConstantIndexOp::create(inEntry, loc, i);
    auto size = tensor::DimOp::create(inEntry, loc, argument, index);
    lastOfEntry = size;
    dims.setValue(symbol, size);
  }
  tensor.value = argument;
  arguments.emplace_back(input.name, Slot::of(tensor));
  return tensor;
}

ArrayAttr Importer::dimNames(ArrayRef<Dim> shape) {
  SmallVector<StringRef> names;
  for (Dim d : shape) {
    auto it = llvm::find_if(argumentSymbols, [&](auto &pair) { return pair.first == d; });
    names.push_back(it == argumentSymbols.end() ? StringRef() : StringRef(it->second));
  }
  return builder.getStrArrayAttr(names);
}

/// Two inputs whose open dimensions must be equal get one name for them, which the runtime checks.
static void unifyNames(ArrayRef<ops::DimContext::Assumption> assumptions,
                       std::vector<std::pair<Dim, std::string>> &argumentSymbols) {
  auto find = [&](Dim d) { return llvm::find_if(argumentSymbols, [&](auto &pair) { return pair.first == d; }); };
  for (const auto &assumption : assumptions) {
    auto a = find(assumption.a), b = find(assumption.b);
    if (a == argumentSymbols.end() || b == argumentSymbols.end())
      continue;
    std::string from = a->second, to = b->second;
    if (to.empty())
      to = from.empty() ? a->first.str() : from;
    a->second = b->second = to;
    if (!from.empty())
      for (auto &pair : argumentSymbols)
        if (pair.second == from)
          pair.second = to;
  }
}

namespace {
/// Where all that a size is computed from is known: behind `last` in `block`, or at its start.
struct KnownSince {
  Block *block = nullptr;
  Operation *last = nullptr;
  void add(Dim dim);
};
} // namespace

void KnownSince::add(Dim dim) {
  if (dim.isConstant())
    return;
  for (const auto &term : dim.getNode()->terms)
    for (unsigned id : term.atoms) {
      const ops::DimAtom &atom = dim.getNode()->context->getAtom(id);
      if (atom.kind != ops::DimAtom::Kind::Symbol) {
        add(atom.a);
        add(atom.b);
        continue;
      }
      Value value = atom.value;
      Block *home = value.getParentBlock();
      if (!block || block->getParent()->isProperAncestor(home->getParent())) {
        block = home; // deeper inside
        last = nullptr;
      }
      if (Operation *source = value.getDefiningOp(); source && home == block)
        if (!last || last->isBeforeInBlock(source))
          last = source;
    }
}

static constexpr size_t kMaxFormula = 300;

/// What the operations took for granted about sizes is checked before anything runs on them, about values at the end.
/// dimensions are checked by the runtime already.
void Importer::addChecks() {
  auto nameOf = [&](Dim d) {
    auto it = llvm::find_if(argumentSymbols, [&](auto &pair) { return pair.first == d; });
    return it == argumentSymbols.end() ? StringRef() : StringRef(it->second);
  };
  auto check = [&](const ops::DimContext::Assumption &assumption, bool orOne) {
    Dim x = assumption.a, y = assumption.b;
    if (!nameOf(x).empty() && nameOf(x) == nameOf(y))
      return;
    KnownSince known;
    known.add(x);
    known.add(y);
    OpBuilder after(known.block, known.last ? std::next(known.last->getIterator()) : known.block->begin());
    Location loc = known.last ? known.last->getLoc() : main.getLoc();
    auto equal = [&](Dim a, Dim b) -> Value {
      return arith::CmpIOp::create(after, loc, arith::CmpIPredicate::eq, dims.materialize(after, loc, a),
                                   dims.materialize(after, loc, b));
    };
    Value holds = equal(x, y);
    if (orOne)
      for (Dim d : {x, y})
        if (d.isSymbolic())
          holds = arith::OrIOp::create(after, loc, holds, equal(d, 1));
    // Formulas of sizes that are computed at run time can be pages long.
    std::string sizes = x.str() + " must equal " + y.str();
    if (sizes.size() > kMaxFormula)
      sizes = "two sizes or numbers of elements must be equal";
    cf::AssertOp::create(after, loc, holds,
                         (assumption.place.empty() ? "" : "node '" + assumption.place + "': ") +
                             "the sizes of the inputs do not fit the model: " + sizes +
                             (orOne ? ", or one of them be 1" : ""));
  };
  main.walk([](cf::AssertOp op) {
    if (!op->removeAttr(graph::kAtEnd))
      return;
    Operation *compare = op.getArg().getDefiningOp(), *end = op->getBlock()->getTerminator();
    for (Operation *part : {compare->getOperand(0).getDefiningOp(), compare, op.getOperation()})
      part->moveBefore(end);
  });
  for (const auto &assumption : dims.getAssumptions())
    check(assumption, /*orOne=*/false);
  for (const auto &assumption : dims.getBroadcastAssumptions())
    check(assumption, /*orOne=*/true);
}

/// What is promised of sizes, under the names that dimensions have in the end: [least, most, divisor]. Dimensions that
/// must be equal have one name, and keep both promises.
void Importer::addRanges() {
  std::map<std::string, SymbolRange> kept;
  for (auto &[symbol, name] : argumentSymbols)
    for (const SymbolRange &range : options.ranges) {
      if (!range.isPromise() || symbol.str() != printable(range.name) || name.empty())
        continue;
      auto [known, isNew] = kept.try_emplace(name, range);
      SymbolRange &both = known->second;
      both.divisor = std::lcm(both.divisor, range.divisor);
      both.least = llvm::divideCeil(std::max(both.least, range.least), both.divisor) * both.divisor;
      both.most = std::min(both.most, range.most) / both.divisor * both.divisor;
      if (both.most < both.least)
        errors.add("--shape " + printable(range.name) + ": the dimension must equal " + quote(both.name) +
                   ", but no size is in the ranges of both");
    }
  NamedAttrList ranges;
  for (auto &[name, range] : kept)
    ranges.set(name, builder.getDenseI64ArrayAttr({range.least, range.most, range.divisor}));
  if (!ranges.empty())
    (*module)->setAttr(graph::kSymbolRanges, ranges.getDictionary(&context));
}

DictionaryAttr Importer::describeValue(StringRef name, const Slot &value) {
  NamedAttrList attributes;
  attributes.append("eyrie.name", builder.getStringAttr(name));
  if (value.kind == Slot::Kind::Optional)
    attributes.append("eyrie.optional", builder.getStringAttr(value.mayHoldSequence ? "sequence" : "tensor"));
  if (value.isList()) {
    ElementShape shape = value.sequence.elementShape();
    if (shape.kind == ElementShape::Kind::Ranked)
      attributes.append("eyrie.element_sizes", builder.getDenseI64ArrayAttr(shape.sizes));
    return attributes.getDictionary(&context);
  }
  attributes.append("eyrie.dims", dimNames(value.tensor.shape));
  if (value.labels)
    attributes.append("eyrie.labels", value.labels);
  if (value.tensor.isString)
    attributes.append("eyrie.string", builder.getUnitAttr());
  else if (value.tensor.isUnsigned)
    attributes.append("eyrie.unsigned", builder.getUnitAttr());
  return attributes.getDictionary(&context);
}

void Importer::settleOutput(const ValueInfo &output, Slot &slot) {
  b->loc = NameLoc::get(StringAttr::get(&context, printable(output.name)));
  ElementType element = elementTypeOf(&context, output.type);
  if (slot.kind == Slot::Kind::Nothing && output.isOptional && element.type) {
    Sequence sequence{element.type, element.isUnsigned, element.isString, std::nullopt, Value(), {}};
    slot = asOptional(*b, slot, Slot::optional(sequence, output.kind == ValueInfo::Kind::Sequence));
  }
  bool isPlain = output.kind == ValueInfo::Kind::Tensor || output.kind == ValueInfo::Kind::Sequence;
  if (slot.kind == Slot::Kind::Optional && isPlain && !output.isOptional) {
    FailureOr<Slot> element = held(*b, slot);
    if (failed(element))
      errors.add("the output " + quote(output.name) + " is " + slot.str() + ", but declared as what it holds");
    else
      slot = *element;
  }
  if (slot.kind == Slot::Kind::Absent || slot.kind == Slot::Kind::Nothing)
    errors.add("the output " + quote(output.name) + " has no value");
  if (slot.kind == Slot::Kind::Map)
    errors.add("the output " + quote(output.name) + " is a " + slot.str() + ", and maps are supported as inputs only");
}

void Importer::addResults(const Graph &graph, ArrayRef<Slot> results) {
  unifyNames(dims.getAssumptions(), argumentSymbols);
  SmallVector<Value> values;
  SmallVector<Type> types;
  for (auto [slot, output] : llvm::zip_equal(results, graph.outputs)) {
    b->loc = NameLoc::get(StringAttr::get(&context, printable(output.name)));
    values.push_back(slot.isList() ? listOf(*b, slot.sequence) : b->value(slot.tensor));
    types.push_back(values.back().getType());
  }
  func::ReturnOp::create(builder, main.getLoc(), values);
  addChecks();
  Block &entry = main.getBody().front();
  main.setFunctionType(builder.getFunctionType(entry.getArgumentTypes(), types));
  for (auto [i, slot, output] : llvm::enumerate(results, graph.outputs))
    main.setResultAttrs(i, describeValue(printable(output.name), slot));
  for (auto [i, argument] : llvm::enumerate(arguments))
    main.setArgAttrs(i, describeValue(argument.first, argument.second));
  addStates(graph, results);
  addRanges();
  if (SmallVector<StringRef> all(texts.all()); !all.empty())
    (*module)->setAttr("eyrie.texts", builder.getStrArrayAttr(all));
}

} // namespace eyrie::import::onnx
