#include "compiler/target/cpu/CpuTargetModel.h"
#include "compiler/target/cpu/ProcessorName.h"
#include "llvm/ADT/StringExtras.h"
#include <unistd.h>

using namespace eyrie::target::cpu;
using llvm::StringRef;

namespace {
// In a column that names a feature.
constexpr const char *kAlways = "", *kNever = nullptr;

/// Of an architecture's levels the first is taken whose features (`needs`, separated by commas) the processor has.
struct Level {
  StringRef arch, name, needs;
  // Vectors: bits of a register, registers, registers that one vector takes (see README.md).
  unsigned registerBits, registers, group;
  unsigned broadcast; // registers that a broadcast operand takes
  bool memoryOperands, fastMasks;
  const char *fma, *round, *f16; // the feature that brings the instructions
  // Caches, for code that is not made for the machine that makes it.
  int64_t l1KiB, l1Ways, l2KiB;
};

// clang-format off
const Level levels[] = {
    //                                                                 registers  broadcast, memory             feature that has                caches
    // architecture, name, needs                                       bits  n  group        operands, masks    fma      rounding  f16          L1, ways, L2
    {"x86_64",  "avx512", "avx512f,avx512bw,avx512dq,avx512vl",        512, 32, 1,  1,       true,  true,      "fma",   "sse4.1", "f16c",      32, 8, 1024},
    {"x86_64",  "avx2",   "avx2",                                      256, 16, 1,  1,       true,  false,     "fma",   "sse4.1", "f16c",      32, 8, 1024},
    {"x86_64",  "sse",    "",                                          128, 16, 1,  1,       true,  false,     "fma",   "sse4.1", "f16c",      32, 8, 1024},
    {"aarch64", "neon",   "",                                          128, 32, 1,  1,       false, false,     kAlways, kAlways,  kAlways,     64, 4, 512},
    {"riscv64", "v",      "v,zvfhmin",                                 128, 32, 4,  0,       false, true,      kAlways, kAlways,  "zfhmin",    32, 4, 512},
    {"riscv64", "v",      "v",                                         128, 32, 4,  0,       false, true,      kAlways, kAlways,  kNever,      32, 4, 512},
    {"riscv64", "scalar", "",                                            0, 32, 1,  1,       false, false,     kAlways, kAlways,  "zfhmin",    32, 4, 512},
    {"wasm32",  "simd128", "",                                         128, 16, 1,  1,       false, false,     kNever,  kAlways,  kNever,      32, 8, 512},
};
// clang-format on
} // namespace

bool CpuTargetModel::has(StringRef feature) const {
  for (StringRef part : llvm::split(features, ','))
    if (part.consume_front("+") && part == feature)
      return true;
  return false;
}

static const Level &levelOf(const Processor &processor) {
  for (const Level &level : levels)
    if (level.arch == processor.arch && llvm::all_of(llvm::split(level.needs, ','), [&](StringRef feature) {
          return feature.empty() || processor.features.contains(feature);
        }))
      return level;
  llvm_unreachable("every architecture has a level without needs");
}

/// Features as LLVM takes them: those that all processors have that Eyrie runs on, then those of the table in the
/// order of their bits.
static std::string featureText(const Processor &processor) {
  std::string text;
  if (processor.arch == "riscv64")
    text = "+m,+a,+f,+d,+c";
  else if (processor.arch == "wasm32")
    text = "+simd128,+bulk-memory,+bulk-memory-opt,+nontrapping-fptoint,+sign-ext,+mutable-globals";
#define EYRIE_CPU_FEATURE(forArch, Id, bit, name)                                                                      \
  if (processor.arch == #forArch && processor.features.contains(name))                                                 \
    text += (text.empty() ? "+" : ",+") + std::string(name);
#include "abi/cpu_features.def"
  return text;
}

/// The least length of vector registers that the processor promises.
static unsigned registerBitsOf(const Level &level, const Processor &processor) {
  if (level.arch == "riscv64" && level.registerBits)
    for (unsigned bits : {1024, 512, 256})
      if (processor.features.contains("zvl" + std::to_string(bits) + "b"))
        return bits;
  return level.registerBits;
}

static void readCaches(CpuTargetModel &model) {
  // A cache that the system does not describe keeps the default.
  if (long bytes = sysconf(_SC_LEVEL1_DCACHE_SIZE); bytes > 0)
    model.l1Bytes = bytes;
  if (long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0)
    model.l2Bytes = bytes;
}

CpuTargetModel eyrie::target::cpu::getCpuTargetModel(StringRef cpu, std::string &error) {
  CpuTargetModel model;
  Processor processor = parseProcessor(cpu, error);
  if (!error.empty())
    return model;
  const Level &level = levelOf(processor);
  auto holds = [&](const char *feature) {
    return feature && (!*feature || processor.features.contains(StringRef(feature)));
  };
  model.arch = processor.arch;
  bool isWasm = processor.arch == "wasm32";
  model.triple = processor.arch + (isWasm ? "-unknown-unknown" : "-unknown-linux-gnu");
  model.pointerBytes = isWasm ? 4 : 8;
  model.abi = processor.arch == "riscv64" ? "lp64d" : "";
  model.features = featureText(processor);
  model.level = level.name.str();
  model.registerBits = registerBitsOf(level, processor);
  model.vectorBits = model.registerBits * level.group;
  model.vectorRegisters = level.registers;
  model.broadcastRegisters = level.broadcast;
  model.memoryOperands = level.memoryOperands;
  model.fastMasks = level.fastMasks;
  model.prefetch = !isWasm && (model.arch != "riscv64" || model.has("zicbop"));
  model.fma = holds(level.fma);
  model.round = holds(level.round);
  model.f16Conversions = holds(level.f16);
  // Without fused multiply-add, products and the copies that two-operand instructions need take some registers more;
  // where vectors are groups of registers, the tile takes all.
  model.spareRegisters = level.group > 1 ? 0 : model.fma ? 1 : 4;
  model.l1Bytes = level.l1KiB << 10;
  model.l2Bytes = level.l2KiB << 10;
  model.l1Ways = level.l1Ways;
  model.l1WayBytes = model.l1Bytes / model.l1Ways;

  model.avx512 = model.level == "avx512";
  model.avx2 = model.has("avx2");
  model.avx512vnni = model.has("avx512vnni");
  model.avx512bf16 = model.has("avx512bf16");
  model.avx512fp16 = model.has("avx512fp16");
  model.avxvnni = model.has("avxvnni");
  model.avx512vbmi = model.has("avx512vbmi");
  if (model.arch == "x86_64")
    model.dot = (model.avx512 ? model.avx512vnni : model.avxvnni) ? DotUnit::Vnni : DotUnit::Pairs;
  else if (isWasm)
    model.dot = DotUnit::Pairs;
  else if (model.arch == "aarch64" && model.has("dotprod"))
    model.dot = model.has("i8mm") ? DotUnit::NeonMixed : DotUnit::Neon;
  model.amxInt8 = model.has("amx-int8");
  model.amxBf16 = model.has("amx-bf16");
  // Processors that have avx512fp16 as well start vdpbf16ps a quarter as often as multiply-adds, others as often.
  if (model.avx512 && model.avx512bf16 && (!model.avx512fp16 || model.amxBf16))
    model.bf16Dot = DotUnit::Bf16;
  model.onlyTilesAreFast = model.bf16Dot == DotUnit::Bf16 && model.avx512fp16;
  if (cpu.split(',').first == "native")
    readCaches(model);
  return model;
}
