#include "compiler/target/cpu/ProcessorName.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/TargetParser/AArch64TargetParser.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/RISCVISAInfo.h"
#include "llvm/TargetParser/RISCVTargetParser.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/TargetParser/X86TargetParser.h"
#include <array>
#include <memory>

using namespace eyrie::target::cpu;
using llvm::StringRef;

namespace {
struct Feature {
  StringRef arch, name;
};
/// Code may use these and no others: the loader checks them before it runs anything.
const Feature knownFeatures[] = {
#define EYRIE_CPU_FEATURE(arch, Id, bit, name) {#arch, name},
#include "abi/cpu_features.def"
};

/// The features of one architecture, while the text of --cpu is read.
class FeatureSet {
public:
  virtual ~FeatureSet() = default;
  /// As in abi/cpu_features.def.
  virtual StringRef arch() const = 0;
  /// The features of a processor, or a level of the architecture, that has this name; false if there is none.
  virtual bool select(StringRef name) = 0;
  /// What all processors have.
  virtual void selectBaseline() = 0;
  virtual void change(StringRef feature, bool on) = 0;
  virtual bool has(StringRef feature) const = 0;
  /// What is missing for Eyrie's code to run at all; empty if nothing is.
  virtual std::string missing() const { return {}; }
};

class X86Features final : public FeatureSet {
public:
  StringRef arch() const override { return "x86_64"; }
  void selectBaseline() override {}
  bool select(StringRef name) override {
    if (llvm::X86::parseArchX86(name, /*Only64Bit=*/true) == llvm::X86::CK_None)
      return false;
    llvm::SmallVector<StringRef> features;
    llvm::X86::getFeaturesForCPU(name, features);
    for (StringRef feature : features) {
      feature.consume_front("+");
      change(feature, true);
    }
    return true;
  }
  void change(StringRef feature, bool on) override {
    llvm::StringMap<bool> implied;
    llvm::X86::updateImpliedFeatures(feature, on, implied);
    implied[feature] = on;
    for (auto &entry : implied)
      entry.second ? (void)enabled.insert(entry.first()) : (void)enabled.erase(entry.first());
  }
  bool has(StringRef feature) const override { return enabled.contains(feature); }

private:
  llvm::StringSet<> enabled;
};

class AArch64Features final : public FeatureSet {
public:
  AArch64Features() { selectBaseline(); }
  StringRef arch() const override { return "aarch64"; }
  void selectBaseline() override { set.addArchDefaults(llvm::AArch64::ARMV8A); }
  bool select(StringRef name) override {
    if (name == "aarch64" || name == "arm64")
      return true;
    if (auto processor = llvm::AArch64::parseCpu(name)) {
      set.addCPUDefaults(*processor);
      return true;
    }
    const llvm::AArch64::ArchInfo *level = name.starts_with("armv") ? llvm::AArch64::parseArch(name) : nullptr;
    if (level)
      set.addArchDefaults(*level);
    return level;
  }
  void change(StringRef feature, bool on) override {
    if (auto extension = find(feature))
      on ? set.enable(extension->ID) : set.disable(extension->ID);
  }
  bool has(StringRef feature) const override {
    auto extension = find(feature);
    return extension && set.Enabled.test(extension->ID);
  }

private:
  static std::optional<llvm::AArch64::ExtensionInfo> find(StringRef feature) {
    return llvm::AArch64::targetFeatureToExtension(("+" + feature).str());
  }
  llvm::AArch64::ExtensionSet set;
};

class Riscv64Features final : public FeatureSet {
public:
  Riscv64Features() { selectBaseline(); }
  StringRef arch() const override { return "riscv64"; }
  void selectBaseline() override { isa = parse("rv64gc"); }
  bool select(StringRef name) override {
    if (name == "riscv64" || name == "generic-rv64")
      return true;
    if (llvm::RISCV::parseCPU(name, /*IsRV64=*/true))
      name = llvm::RISCV::getMArchFromMcpu(name);
    else if (!name.starts_with("rv"))
      return false;
    auto found = parse(name);
    if (!found || found->getXLen() != 64)
      return false;
    isa = std::move(found);
    return true;
  }
  void change(StringRef feature, bool on) override {
    if (on) {
      if (auto more = parse(isa->toString() + "_" + feature.str()))
        isa = std::move(more);
      return;
    }
    llvm::RISCVISAUtils::OrderedExtensionMap kept;
    for (auto &[name, version] : isa->getExtensions()) {
      if (feature == "v" && StringRef(name).starts_with("zv"))
        continue; // of no use here without V
      auto alone = parse(name.size() == 1 ? "rv64i" + name : "rv64i_" + name);
      if (!alone || !alone->hasExtension(feature))
        kept[name] = version;
    }
    auto less = llvm::RISCVISAInfo::createFromExtMap(64, kept);
    if (less)
      isa = std::move(*less);
    else
      llvm::consumeError(less.takeError());
  }
  bool has(StringRef feature) const override { return isa->hasExtension(feature); }
  std::string missing() const override {
    std::string letters;
    for (StringRef letter : {"m", "a", "f", "d", "c"})
      if (!isa->hasExtension(letter))
        letters += (letters.empty() ? "" : ", ") + letter.str();
    return letters;
  }

private:
  static std::unique_ptr<llvm::RISCVISAInfo> parse(StringRef name) {
    auto isa = llvm::RISCVISAInfo::parseArchString(name, /*EnableExperimentalExtension=*/false);
    if (isa)
      return std::move(*isa);
    llvm::consumeError(isa.takeError());
    return nullptr;
  }
  std::unique_ptr<llvm::RISCVISAInfo> isa;
};

/// WebAssembly with vectors of 128 bits (and what else its version 2.0 has), which all engines of today run. There is
/// nothing to choose.
class Wasm32Features final : public FeatureSet {
public:
  StringRef arch() const override { return "wasm32"; }
  bool select(StringRef name) override { return name == "wasm32"; }
  void selectBaseline() override {}
  void change(StringRef, bool) override {}
  bool has(StringRef) const override { return false; }
};

using FeatureSets = std::array<std::unique_ptr<FeatureSet>, 4>;

/// The set in which `base` is a name, with the features of that name; null if there is none.
FeatureSet *select(FeatureSets &sets, StringRef base) {
  if (base != "native" && base != "generic") {
    for (auto &set : sets)
      if (set->select(base))
        return set.get();
    return nullptr;
  }
  std::string host = llvm::Triple(llvm::sys::getProcessTriple()).getArchName().str();
  auto set = llvm::find_if(sets, [&](auto &one) { return one->arch() == host; });
  if (set == sets.end())
    return nullptr;
  if (base == "native")
    for (bool on : {true, false}) // what is missing takes away what would imply it
      for (auto &feature : llvm::sys::getHostCPUFeatures())
        if (feature.second == on)
          (*set)->change(feature.first(), on);
  return set->get();
}

/// Changes the set as ",+feature,-feature" says; an error text, or nothing.
std::string applyChanges(FeatureSet &set, StringRef cpu, StringRef changes) {
  std::string known;
  for (const Feature &feature : knownFeatures)
    if (feature.arch == set.arch())
      known += (known.empty() ? "" : ", ") + feature.name.str();
  for (StringRef change : llvm::split(changes, ',')) {
    if (change.empty())
      continue;
    bool on = change.consume_front("+");
    if (!on && !change.consume_front("-"))
      return ("feature '" + change + "' of processor '" + cpu + "' must begin with + or -").str();
    if (llvm::none_of(knownFeatures, [&](const Feature &f) { return f.arch == set.arch() && f.name == change; }))
      return ("processor '" + cpu + "': code for " + set.arch() + " makes no use of a feature '" + change + "'; " +
              (known.empty() ? "there are none to choose" : "the features are " + known))
          .str();
    set.change(change, on);
  }
  return {};
}
} // namespace

Processor eyrie::target::cpu::parseProcessor(StringRef cpu, std::string &error) {
  FeatureSets sets{std::make_unique<X86Features>(), std::make_unique<AArch64Features>(),
                   std::make_unique<Riscv64Features>(), std::make_unique<Wasm32Features>()};
  auto [base, changes] = cpu.split(',');
  FeatureSet *set = select(sets, base);
  if (!set) {
    error =
        ("unknown processor '" + base +
         "': expected native, x86-64, x86-64-v2, x86-64-v3, x86-64-v4, aarch64, armv8.2-a, riscv64, rv64gcv, wasm32 or "
         "a name that LLVM knows")
            .str();
    return {};
  }
  error = applyChanges(*set, cpu, changes);
  if (std::string missing = set->missing(); error.empty() && !missing.empty())
    error = ("processor '" + cpu + "' lacks " + missing + ": Eyrie's code for it needs all of rv64gc").str();
  Processor processor;
  processor.arch = set->arch().str();
  for (const Feature &feature : knownFeatures)
    if (feature.arch == set->arch() && set->has(feature.name))
      processor.features.insert(feature.name);
  return processor;
}
