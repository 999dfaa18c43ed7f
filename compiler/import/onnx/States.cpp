// Inputs and outputs that the module keeps from call to call (ImportOptions::states).
#include "compiler/graph/Graph.h"
#include "compiler/import/onnx/Importer.h"
#include "compiler/import/onnx/Text.h"

using namespace mlir;
using eyrie::ops::Dim;

namespace eyrie::import::onnx {

/// What the `*` of the pattern stands for in `name`; nothing if it does not match. Without a `*`: the empty text.
static std::optional<StringRef> match(StringRef pattern, StringRef name) {
  auto [before, after] = pattern.split('*');
  if (before.size() == pattern.size())
    return name == pattern ? std::optional<StringRef>("") : std::nullopt;
  if (name.size() < before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after))
    return std::nullopt;
  return name.drop_front(before.size()).drop_back(after.size());
}

static std::string fillIn(StringRef pattern, StringRef text) {
  auto [before, after] = pattern.split('*');
  return before.size() == pattern.size() ? pattern.str() : (before + text + after).str();
}

template <typename Names> static std::string list(Names names) {
  std::string text;
  for (StringRef name : names)
    text += (text.empty() ? "" : ", ") + quote(name);
  return text;
}

void Importer::addState(unsigned argument, unsigned result, StringRef output, ArrayRef<Slot> results,
                        llvm::function_ref<void(const std::string &)> fail) {
  const auto &[input, before] = arguments[argument];
  const Slot &after = results[result];
  std::string pair = "input " + quote(input) + " and output " + quote(output);
  if (before.isList() || after.isList() || before.tensor.isString)
    return fail(pair + " must be tensors, not of strings");
  const Tensor &x = before.tensor, &y = after.tensor;
  bool fits = x.elementType == y.elementType && x.isUnsigned == y.isUnsigned && x.shape.size() == y.shape.size();
  for (auto [i, dim] : llvm::enumerate(x.shape))
    fits = fits && (dim.isSymbolic() || y.shape[i].isSymbolic() || dim == y.shape[i]);
  if (!fits)
    return fail(pair + " must have one type, but are " + x.str() + " and " + y.str());
  for (auto [i, dim] : llvm::enumerate(x.shape)) {
    if (dim.isSymbolic() && dim == y.shape[i])
      return fail("dimension " + std::to_string(i) + " of " + pair +
                  " is open and never changes, so that it would be 0 "
                  "for ever; fix it with --shape");
    if (!dim.isSymbolic() && y.shape[i].isSymbolic())
      return fail("dimension " + std::to_string(i) + " of " + pair + " is fixed in the input but open in the output");
  }
  if (main.getArgAttr(argument, graph::kState) || main.getResultAttr(result, graph::kState))
    return fail(pair + " are not both free: one is a part of another state already");
  auto name = builder.getStringAttr(printable(input));
  main.setArgAttr(argument, graph::kState, name);
  main.setResultAttr(result, graph::kState, name);
}

void Importer::addStates(const Graph &graph, ArrayRef<Slot> results) {
  for (const auto &pair : options.states) {
    StringRef input = pair.first, output = pair.second;
    auto fail = [&](const std::string &text) {
      errors.add("--state " + printable(input) + "=" + printable(output) + ": " + text);
    };
    bool isUsed = false;
    for (auto [number, argument] : llvm::enumerate(arguments)) {
      auto star = match(input, argument.first);
      if (!star)
        continue;
      isUsed = true;
      std::string wanted = fillIn(output, *star);
      auto found = llvm::find_if(graph.outputs, [&](const ValueInfo &info) { return info.name == wanted; });
      if (found == graph.outputs.end())
        fail("the model has no output " + quote(wanted) + "; its outputs are " +
             list(llvm::map_range(graph.outputs, [](const ValueInfo &info) { return info.name; })));
      else
        addState(number, found - graph.outputs.begin(), wanted, results, fail);
    }
    if (isUsed && options.found)
      options.found->insert(pair.first);
    if (!isUsed && !options.found)
      fail("the model has no such input; its inputs are " +
           list(llvm::map_range(arguments, [](const auto &argument) { return StringRef(argument.first); })));
  }
}

} // namespace eyrie::import::onnx
