#include "compiler/target/Target.h"

namespace eyrie::target {
// One function for every folder that called eyrie_target().
#define EYRIE_TARGET(name) const Target &name##Target();
#include "compiler/target/Targets.inc"
#undef EYRIE_TARGET
} // namespace eyrie::target

using namespace eyrie::target;

llvm::ArrayRef<const Target *> eyrie::target::targets() {
  static const std::vector<const Target *> all = [] {
    std::vector<const Target *> list;
#define EYRIE_TARGET(name) list.push_back(&name##Target());
#include "compiler/target/Targets.inc"
#undef EYRIE_TARGET
    llvm::sort(list, [](const Target *a, const Target *b) { return a->name() < b->name(); });
    return list;
  }();
  return all;
}

const Target *eyrie::target::findTarget(llvm::StringRef name) {
  for (const Target *target : targets())
    if (target->name() == name)
      return target;
  return nullptr;
}

void eyrie::target::registerTargetDialects(mlir::DialectRegistry &registry) {
  for (const Target *target : targets())
    target->registerDialects(registry);
}

eyrie::graph::ChoosePacking eyrie::target::packingOf(const TargetOptions &options) {
  const Target *target = findTarget(options.target);
  return [target, options](mlir::linalg::GenericOp op) -> std::optional<graph::WeightPacking> {
    return target ? target->choosePacking(op, options) : std::nullopt;
  };
}

eyrie::graph::ChooseWinograd eyrie::target::winogradOf(const TargetOptions &options) {
  const Target *target = findTarget(options.target);
  return [target, options](const graph::WinogradCandidate &candidate) {
    return options.winograd && target && target->choosesWinograd(candidate, options);
  };
}
