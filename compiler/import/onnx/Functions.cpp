#include "compiler/import/onnx/Functions.h"
#include "compiler/import/onnx/Registry.h"
#include "compiler/import/onnx/Text.h"

namespace eyrie::import::onnx {

std::string operatorName(StringRef domain, StringRef name) {
  StringRef plain = plainDomain(domain);
  return plain.empty() ? printable(name) : printable(plain) + "::" + printable(name);
}

std::string Functions::keyOf(StringRef domain, StringRef name, StringRef overload) {
  return (plainDomain(domain) + llvm::Twine('\n') + name + llvm::Twine('\n') + overload).str();
}

int64_t countNodes(llvm::ArrayRef<Node> nodes) {
  int64_t count = nodes.size();
  for (const Node &node : nodes)
    for (const Attribute &attribute : node.attributes)
      if (attribute.graph)
        count += countNodes(attribute.graph->nodes);
  return count;
}

static void addReferences(llvm::ArrayRef<Node> nodes, llvm::StringSet<> &names) {
  for (const Node &node : nodes)
    for (const Attribute &attribute : node.attributes) {
      if (!attribute.reference.empty())
        names.insert(attribute.reference);
      if (attribute.graph)
        addReferences(attribute.graph->nodes, names);
    }
}

llvm::StringSet<> knownAttributes(const Function &function) {
  llvm::StringSet<> names;
  names.insert_range(function.attributes);
  for (const Attribute &initial : function.defaults)
    names.insert(initial.name);
  addReferences(function.nodes, names);
  return names;
}

//===- reading ------------------------------------------------------------------------------------------------------===

void Functions::checkVersions(const Function &function) {
  for (const OperatorSet &set : function.operatorSets)
    if (plainDomain(set.domain).empty() && (set.version < kOldestOpset || set.version > kNewestOpset))
      errors.add("the function " + quote(function.name) + " is written for operator set " +
                 std::to_string(set.version) + ", supported are " + std::to_string(kOldestOpset) + " to " +
                 std::to_string(kNewestOpset));
}

void Functions::loadLibrary(const std::string &path) {
  const std::string option = "--functions " + quote(path) + ": ";
  auto file = mapFile(path);
  if (!file)
    return errors.add(option + llvm::toString(file.takeError()));
  if ((*file)->getBufferSize() == 0)
    return errors.add(option + "the file is empty, expected functions of ONNX");
  origins.add(path, *file, path);
  std::string error;
  std::vector<Function> &functions = libraries.emplace_back();
  if (!parseFunctions((*file)->getBuffer(), functions, error))
    return errors.add(option + "this is neither a whole ONNX model nor a function: " + error);
  if (functions.empty())
    return errors.add(option + "the model holds no functions");
  for (const Function &function : functions) {
    if (function.name.empty())
      return errors.add(option + "a function has no name");
    checkVersions(function);
    libraryFunctions.insert(&function);
    auto [other, isNew] = ofLibrary_.try_emplace(keyOf(function.domain, function.name, function.overload), &function);
    if (!isNew && other->second->message != function.message)
      errors.add(option + "the function " + quote(operatorName(function.domain, function.name)) +
                 " is defined otherwise in " + quote(origins.of(other->second->message).name));
  }
}

void Functions::load() {
  for (const Function &function : model.functions) {
    checkVersions(function);
    if (!ofModel_.try_emplace(keyOf(function.domain, function.name, function.overload), &function).second)
      errors.add("the function " + quote(function.name) + " is defined twice");
  }
  for (const std::string &path : options.functions)
    loadLibrary(path);
  for (const std::string &name : options.overrides) {
    auto [domain, op] =
        StringRef(name).contains("::") ? StringRef(name).rsplit("::") : std::pair(StringRef(), StringRef(name));
    overrides.insert(operatorName(domain, op));
    std::string start = keyOf(domain, op, "");
    if (llvm::none_of(ofLibrary_.keys(), [&](StringRef key) { return key.starts_with(start); }))
      errors.add("--override " + quote(name) + ": no file of --functions has a function for this operator");
  }
}

//===- looking up ---------------------------------------------------------------------------------------------------===

const Expander *Functions::expander(const Node &node) const {
  for (const Expander &each : options.expanders)
    if (each.name == node.op && plainDomain(each.domain) == plainDomain(node.domain))
      return &each;
  return nullptr;
}

Function *Functions::keep(StringRef bytes, StringRef place, StringRef modelPath, std::string &error) {
  std::string name = "the expansion of " + quote(place);
  if (bytes.empty()) {
    error = "its expansion is empty, expected a FunctionProto";
    return nullptr;
  }
  std::shared_ptr<llvm::MemoryBuffer> buffer = llvm::MemoryBuffer::getMemBufferCopy(bytes, name);
  origins.add(std::move(name), buffer, modelPath);
  Function &function = made.emplace_back();
  function.isMade = true;
  if (std::string text; !parseFunction(buffer->getBuffer(), function, text)) {
    error = "its expansion is not a whole FunctionProto: " + text;
    return nullptr;
  }
  size_t before = errors.count();
  checkVersions(function);
  if (errors.count() != before)
    error = "its expansion cannot be used";
  return error.empty() ? &function : nullptr;
}

std::string Functions::describe(const Function &function, const Node &caller) const {
  if (function.isMade)
    return "the expansion of " + operatorName(caller.domain, caller.op);
  std::string text = "the function " + quote(operatorName(function.domain, function.name));
  return isOfLibrary(&function) ? text + " of " + quote(origins.of(function.message).name) : text;
}

void Functions::noteUnused(const Node &node) {
  std::string name = operatorName(node.domain, node.op);
  if (!noted.insert(name).second)
    return;
  unused.push_back("the function " + quote(name) + " of " + quote(origins.of(ofLibrary(node)->message).name) +
                   " is not used, because " +
                   (ofModel(node) ? "the model has one of its own" : "the compiler knows this operator") +
                   "; --override " + name + " prefers it");
}

int64_t Functions::countNodes() const {
  int64_t count = 0;
  for (const Function &function : model.functions)
    count += onnx::countNodes(function.nodes);
  for (const std::vector<Function> &library : libraries)
    for (const Function &function : library)
      count += onnx::countNodes(function.nodes);
  return count;
}

} // namespace eyrie::import::onnx
