// What the code generator needs to know about a processor. Derived from feature bits, never from a processor's name.
#pragma once
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <string>

namespace eyrie::target::cpu {

/// What multiplies vectors of bytes and adds four neighbouring products to each 32-bit lane.
enum class DotUnit {
  None,
  Pairs,     // x86 without VNNI: bytes widened to 16 bits, vpmaddwd
  Vnni,      // vpdpbusd: unsigned by signed bytes
  Neon,      // sdot, udot: bytes of one sign
  NeonMixed, // and usdot: any two signs
  VnniModel, // the arithmetic of vpdpbusd in plain operations: tests run with it what surrounds the instruction
};

struct CpuTargetModel {
  std::string triple;
  /// All features as LLVM takes them: "+avx2,+fma,...".
  std::string features;
  unsigned vectorBits = 128;
  unsigned vectorRegisters = 16;
  bool fma = false; // fused multiply-add on float vectors; without it vector.fma must not be emitted
  bool avx2 = false, avx512 = false, avx512vnni = false, avx512bf16 = false, avx512fp16 = false, avxvnni = false;
  bool f16c = false, sse41 = false, amxInt8 = false, amxBf16 = false;
  DotUnit dot = DotUnit::None;
  int64_t l1Bytes = 32 << 10, l2Bytes = 1 << 20;

  bool has(llvm::StringRef feature) const;
  /// Elements of `bits` bits in a vector register.
  int64_t lanes(unsigned bits) const { return vectorBits / bits; }
};

/// The model of the processor that `cpu` names (see TargetOptions::cpu). Sets `error` if there is none.
CpuTargetModel getCpuTargetModel(llvm::StringRef cpu, std::string &error);

} // namespace eyrie::target::cpu
