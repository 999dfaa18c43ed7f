// The alternatives that `eyrie tune` measures.
#include "compiler/target/cpu/CpuTargetModel.h"

using namespace eyrie::target::cpu;

namespace {
struct Named {
  llvm::StringLiteral name;
  void (*apply)(KernelChoices &);
};
constexpr Named kAll[] = {
    {"rows=3", [](KernelChoices &choices) { choices.mostTileRows = 3; }},
    {"rows=4", [](KernelChoices &choices) { choices.mostTileRows = 4; }},
    {"rows=6", [](KernelChoices &choices) { choices.mostTileRows = 6; }},
    {"rows=8", [](KernelChoices &choices) { choices.mostTileRows = 8; }},
    {"rows=10", [](KernelChoices &choices) { choices.mostTileRows = 10; }},
    {"rows=12", [](KernelChoices &choices) { choices.mostTileRows = 12; }},
    {"blocks=50%", [](KernelChoices &choices) { choices.blockPercent = 50; }},
    {"blocks=200%", [](KernelChoices &choices) { choices.blockPercent = 200; }},
    {"prefetch=off", [](KernelChoices &choices) { choices.prefetches = false; }},
    {"staging=on", [](KernelChoices &choices) { choices.stages = true; }},
    {"widening=off", [](KernelChoices &choices) { choices.widens = false; }},
};
} // namespace

llvm::ArrayRef<llvm::StringLiteral> eyrie::target::cpu::namesOfChoices() {
  static const std::vector<llvm::StringLiteral> names = [] {
    std::vector<llvm::StringLiteral> list;
    for (const Named &each : kAll)
      list.push_back(each.name);
    return list;
  }();
  return names;
}

KernelChoices eyrie::target::cpu::readChoices(llvm::StringRef name) {
  KernelChoices choices;
  for (const Named &each : kAll)
    if (name == each.name)
      each.apply(choices);
  return choices;
}
