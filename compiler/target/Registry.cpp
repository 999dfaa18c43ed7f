#include "abi/module_format.h"
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

eyrie::graph::ChoosePacking eyrie::target::packingOf(std::vector<TargetOptions> options) {
  const Target *target = findTarget(options.front().target);
  return [target, options = std::move(options)](mlir::linalg::GenericOp op) -> std::optional<graph::WeightPacking> {
    return target ? target->choosePacking(op, options) : std::nullopt;
  };
}

/// What all processors must want: `wants` is asked about each.
template <typename Wants> static auto byAll(std::vector<TargetOptions> options, Wants wants) {
  const Target *target = findTarget(options.front().target);
  return [target, wants, options = std::move(options)](const auto &...what) {
    return target && llvm::all_of(options, [&](const TargetOptions &each) { return wants(*target, each, what...); });
  };
}

eyrie::graph::ChooseNarrowFactors eyrie::target::narrowFactorsOf(std::vector<TargetOptions> options) {
  return byAll(std::move(options),
               [](const Target &target, const TargetOptions &each, mlir::linalg::GenericOp op, unsigned weight,
                  unsigned other) { return target.choosesNarrowFactors(op, weight, other, each); });
}

eyrie::graph::ChooseWinograd eyrie::target::winogradOf(std::vector<TargetOptions> options) {
  return byAll(std::move(options),
               [](const Target &target, const TargetOptions &each, const graph::WinogradCandidate &candidate) {
                 return each.winograd && target.choosesWinograd(candidate, each);
               });
}

eyrie::graph::ChooseAttention eyrie::target::attentionOf(std::vector<TargetOptions> options) {
  return byAll(std::move(options),
               [](const Target &target, const TargetOptions &each, const graph::Attention &attention,
                  int64_t mostKeys) { return target.choosesAttention(attention, mostKeys, each); });
}

std::vector<TargetOptions> eyrie::target::optionsOfProcessors(const Target &target, const TargetOptions &common,
                                                              llvm::ArrayRef<std::string> cpus, std::string &error) {
  struct Processor {
    TargetOptions options;
    std::string format;
    uint64_t features;
  };
  std::vector<Processor> processors;
  for (const std::string &cpu : cpus.empty() ? llvm::ArrayRef(common.cpu) : cpus) {
    TargetOptions options = common;
    options.cpu = cpu;
    error = target.checkOptions(options);
    if (!error.empty())
      return {};
    Processor processor{options, target.format(options), target.requiredFeatures(options)};
    auto needsTheSame = [&](const Processor &other) {
      return other.format == processor.format && other.features == processor.features;
    };
    auto needsLess = [&](const Processor &other) {
      return llvm::popcount(other.features) < llvm::popcount(processor.features);
    };
    if (llvm::none_of(processors, needsTheSame))
      processors.insert(llvm::find_if(processors, needsLess), processor);
  }
  if (processors.size() > abi::kMaxVariants + 1) {
    error = "code for " + std::to_string(processors.size()) + " different processors: a module holds it for at most " +
            std::to_string(abi::kMaxVariants + 1);
    return {};
  }
  std::vector<TargetOptions> options;
  for (Processor &processor : processors)
    options.push_back(std::move(processor.options));
  return options;
}
