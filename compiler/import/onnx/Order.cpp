#include "compiler/import/onnx/Order.h"
#include "compiler/import/onnx/Text.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <queue>

using llvm::ArrayRef;
using llvm::DenseMap;
using llvm::DenseSet;
using llvm::SmallVector;

namespace eyrie::import::onnx {
namespace {

/// What a node reads: its inputs and what the graphs in its attributes take from outside.
SmallVector<StringRef> usesOf(const Node &node) {
  SmallVector<StringRef> uses(llvm::make_filter_range(node.inputs, [](StringRef s) { return !s.empty(); }));
  for (const Attribute &attribute : node.attributes)
    if (attribute.graph)
      llvm::append_range(uses, freeNames(*attribute.graph));
  return uses;
}

using Producers = DenseMap<StringRef, unsigned>;
using Dependencies = std::vector<SmallVector<unsigned, 4>>;

/// One cycle among the nodes that could not be ordered, for the error.
std::string describeCycle(ArrayRef<Node> nodes, const Dependencies &dependencies, ArrayRef<unsigned> missing) {
  std::vector<unsigned> path;
  DenseMap<unsigned, size_t> place;
  auto isStuck = [&](unsigned node) { return missing[node] > 0; };
  unsigned at = std::distance(missing.begin(), llvm::find_if(missing, [](unsigned m) { return m > 0; }));
  while (place.try_emplace(at, path.size()).second) {
    path.push_back(at);
    at = *llvm::find_if(dependencies[at], isStuck);
  }
  std::string text = "the graph has a cycle: ";
  path.erase(path.begin(), path.begin() + place[at]);
  std::reverse(path.begin(), path.end());
  path.push_back(path.front());
  for (auto [i, node] : llvm::enumerate(path)) {
    if (i == 8 && path.size() > 10) {
      text += " -> ...";
      break;
    }
    text += (i ? " -> " : "") + quote(nodes[node].name.empty() ? nodes[node].op : nodes[node].name);
  }
  return text;
}

/// All nodes in dependency order, the file's order first; empty if there is a cycle.
std::vector<unsigned> sortNodes(ArrayRef<Node> nodes, const Dependencies &dependencies, ReportNode report) {
  std::vector<unsigned> missing(nodes.size()), order;
  Dependencies users(nodes.size());
  std::priority_queue<unsigned, std::vector<unsigned>, std::greater<>> ready;
  for (unsigned i = 0; i < nodes.size(); ++i) {
    missing[i] = dependencies[i].size();
    for (unsigned producer : dependencies[i])
      users[producer].push_back(i);
    if (!missing[i])
      ready.push(i);
  }
  while (!ready.empty()) {
    unsigned next = ready.top();
    ready.pop();
    order.push_back(next);
    for (unsigned user : users[next])
      if (--missing[user] == 0)
        ready.push(user);
  }
  if (order.size() == nodes.size())
    return order;
  report(-1, describeCycle(nodes, dependencies, missing));
  return {};
}

} // namespace

DenseSet<StringRef> freeNames(const Graph &graph) {
  DenseSet<StringRef> made, free;
  for (const ValueInfo &input : graph.inputs)
    made.insert(input.name);
  for (const TensorProto &tensor : graph.initializers)
    made.insert(tensor.name);
  for (const SparseTensorProto &tensor : graph.sparseInitializers)
    made.insert(tensor.values.name);
  for (const Node &node : graph.nodes)
    made.insert(node.outputs.begin(), node.outputs.end());
  auto use = [&](StringRef name) {
    if (!name.empty() && !made.contains(name))
      free.insert(name);
  };
  for (const Node &node : graph.nodes)
    llvm::for_each(usesOf(node), use);
  for (const ValueInfo &output : graph.outputs)
    use(output.name);
  return free;
}

std::vector<unsigned> orderNodes(ArrayRef<Node> nodes, ArrayRef<StringRef> results,
                                 llvm::function_ref<bool(StringRef)> isKnown, ReportNode report, bool &isGood) {
  isGood = true;
  auto fail = [&](int64_t node, const std::string &text) {
    isGood = false;
    report(node, text);
  };
  Producers producers;
  for (auto [i, node] : llvm::enumerate(nodes))
    for (StringRef output : node.outputs)
      if (!output.empty() && !producers.try_emplace(output, i).second)
        fail(i, "makes " + quote(output) + ", which another node makes too; every name may be made once");

  Dependencies dependencies(nodes.size());
  for (auto [i, node] : llvm::enumerate(nodes)) {
    for (StringRef name : usesOf(node)) {
      auto it = producers.find(name);
      if (it != producers.end())
        dependencies[i].push_back(it->second);
      else if (!isKnown(name))
        fail(i, "reads " + quote(name) + ", which no node, input or initializer makes");
    }
    llvm::sort(dependencies[i]);
    dependencies[i].erase(llvm::unique(dependencies[i]), dependencies[i].end());
  }
  for (StringRef result : results)
    if (!producers.contains(result) && !isKnown(result))
      fail(-1, "the output " + quote(result) + " is not made by any node, input or initializer");
  std::vector<unsigned> order = sortNodes(nodes, dependencies, fail);
  if (!isGood)
    return {};

  std::vector<bool> isNeeded(nodes.size());
  for (StringRef result : results)
    if (auto it = producers.find(result); it != producers.end())
      isNeeded[it->second] = true;
  for (unsigned node : llvm::reverse(order))
    if (isNeeded[node])
      for (unsigned producer : dependencies[node])
        isNeeded[producer] = true;
  llvm::erase_if(order, [&](unsigned node) { return !isNeeded[node]; });
  return order;
}

} // namespace eyrie::import::onnx
