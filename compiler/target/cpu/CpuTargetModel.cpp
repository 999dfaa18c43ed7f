#include "compiler/target/cpu/CpuTargetModel.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/TargetParser/X86TargetParser.h"
#include <unistd.h>

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
} // namespace

bool CpuTargetModel::has(StringRef feature) const {
  for (StringRef part : llvm::split(features, ','))
    if (part.consume_front("+") && part == feature)
      return true;
  return false;
}

static std::string archOf(bool isHost) {
  llvm::Triple host(llvm::sys::getProcessTriple());
  return isHost ? host.getArchName().str() : "x86_64";
}

CpuTargetModel eyrie::target::cpu::getCpuTargetModel(StringRef cpu, std::string &error) {
  CpuTargetModel model;
  auto [base, extra] = cpu.split(',');
  bool isX86Name =
      base.starts_with("x86-64") || llvm::X86::parseArchX86(base, /*Only64Bit=*/true) != llvm::X86::CK_None;
  std::string arch = archOf(base == "native" || !isX86Name);
  llvm::StringSet<> enabled;
  // A feature comes with those that it implies, and goes with those that imply it.
  auto enable = [&](StringRef feature, bool on) {
    llvm::StringMap<bool> implied;
    llvm::X86::updateImpliedFeatures(feature, on, implied);
    implied[feature] = on;
    for (auto &entry : implied)
      entry.second ? (void)enabled.insert(entry.first()) : (void)enabled.erase(entry.first());
  };
  if (base == "native") {
    for (auto &feature : llvm::sys::getHostCPUFeatures())
      if (feature.second)
        enabled.insert(feature.first());
  } else if (isX86Name) {
    llvm::SmallVector<StringRef> features;
    llvm::X86::getFeaturesForCPU(base, features);
    for (StringRef feature : features) {
      feature.consume_front("+");
      enable(feature, true);
    }
  } else if (base == "generic" || base == "aarch64") {
    arch = base == "aarch64" ? "aarch64" : arch;
  } else {
    error = ("unknown processor '" + base +
             "': expected native, x86-64, x86-64-v2, x86-64-v3, x86-64-v4 or a name that LLVM knows")
                .str();
    return model;
  }
  for (StringRef change : llvm::split(extra, ',')) {
    if (change.consume_front("+"))
      enable(change, true);
    else if (change.consume_front("-"))
      enable(change, false);
    else if (!change.empty())
      error = ("feature '" + change + "' of processor '" + cpu + "' must begin with + or -").str();
  }
  for (const Feature &feature : knownFeatures)
    if (feature.arch == arch && enabled.contains(feature.name))
      model.features += (model.features.empty() ? "+" : ",+") + feature.name.str();

  model.triple = arch + "-unknown-linux-gnu";
  if (arch == "aarch64") {
    model.vectorRegisters = 32;
    model.fma = model.sse41 = model.f16c = true;
    if (model.has("dotprod"))
      model.dot = model.has("i8mm") ? DotUnit::NeonMixed : DotUnit::Neon;
  } else {
    model.avx512 = model.has("avx512f") && model.has("avx512vl") && model.has("avx512bw") && model.has("avx512dq");
    model.avx2 = model.has("avx2");
    model.vectorBits = model.avx512 ? 512 : model.avx2 ? 256 : 128;
    model.vectorRegisters = model.avx512 ? 32 : 16;
    model.fma = model.has("fma");
    model.sse41 = model.has("sse4.1");
    model.f16c = model.has("f16c");
    model.avx512vnni = model.has("avx512vnni");
    model.avx512bf16 = model.has("avx512bf16");
    model.avx512fp16 = model.has("avx512fp16");
    model.avxvnni = model.has("avxvnni");
    model.dot = (model.avx512 ? model.avx512vnni : model.avxvnni) ? DotUnit::Vnni : DotUnit::Pairs;
    model.amxInt8 = model.has("amx-int8");
    model.amxBf16 = model.has("amx-bf16");
  }
  if (base == "native") {
    // A cache that the system does not describe keeps the default.
    if (long bytes = sysconf(_SC_LEVEL1_DCACHE_SIZE); bytes > 0)
      model.l1Bytes = bytes;
    if (long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0)
      model.l2Bytes = bytes;
  }
  return model;
}
