// What the code generator needs to know about a processor: a row of a table of instruction-set levels
// (CpuTargetModel.cpp), chosen by feature bits, never by a processor's name.
#pragma once
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

namespace eyrie::target::cpu {

/// What multiplies vectors of bytes, or of bf16, and adds neighbouring products to each 32-bit lane.
enum class DotUnit {
  None,
  Pairs,     // x86 without VNNI, and WebAssembly: bytes widened to 16 bits, vpmaddwd
  Vnni,      // vpdpbusd: unsigned by signed bytes
  Neon,      // sdot, udot: bytes of one sign
  NeonMixed, // and usdot: any two signs
  VnniModel, // the arithmetic of vpdpbusd in plain operations: tests run with it what surrounds the instruction
  Bf16,      // vdpbf16ps: pairs of bf16
  Bf16Model, // likewise of vdpbf16ps
};

/// What a kernel is to choose otherwise than by the model's arithmetic.
struct KernelChoices {
  int64_t mostTileRows = std::numeric_limits<int64_t>::max();
  int64_t blockPercent = 100; // rows of a block, of what they would be
  bool prefetches = true, stages = false, widens = true;
};
/// The texts that readChoices knows, but the empty one.
llvm::ArrayRef<llvm::StringLiteral> namesOfChoices();
KernelChoices readChoices(llvm::StringRef name);

struct CpuTargetModel {
  std::string arch, triple; // "aarch64", "aarch64-unknown-linux-gnu"
  std::string abi;          // of calls, as LLVM names it; empty for the only one
  /// All features as LLVM takes them: "+avx2,+fma,...".
  std::string features;
  std::string level; // "avx512", "neon", ...
  unsigned pointerBytes = 8;

  /// Bits of a register, and of the vectors that code is made of: one register, or a group that one instruction takes
  /// (RISC-V's LMUL). Vectors of 0 bits are scalars.
  unsigned registerBits = 128, vectorBits = 128;
  unsigned vectorRegisters = 16;
  /// Vector registers that a broadcast operand takes, and that are kept free beside the register tile.
  unsigned broadcastRegisters = 1, spareRegisters = 1;
  /// Arithmetic may take an operand from memory: loading is part of it.
  bool memoryOperands = true;
  /// A vector is loaded and stored under a mask by one fast instruction.
  bool fastMasks = false;
  /// There is an instruction that prefetches. Without it the addresses alone would cost instructions.
  bool prefetch = true;

  bool fma = false; // fused multiply-add on float vectors; without it vector.fma must not be emitted
  bool round = false, f16Conversions = false; // floor, ceil, trunc, roundeven; f16 from and to f32
  bool avx2 = false, avx512 = false, avx512vnni = false, avx512bf16 = false, avx512fp16 = false, avxvnni = false;
  bool avx512vbmi = false;
  bool amxInt8 = false, amxBf16 = false;
  DotUnit dot = DotUnit::None;     // of bytes
  DotUnit bf16Dot = DotUnit::None; // of bf16, where that takes more products a cycle than f32's multiply-adds
  bool onlyTilesAreFast = false;   // which it does with registers of two dimensions alone

  int64_t l1Bytes = 32 << 10, l2Bytes = 1 << 20;
  /// Lines of the first-level cache that fall into one set, and the distance of addresses that do.
  int64_t l1Ways = 8, l1WayBytes = 4096;

  KernelChoices choices;

  bool has(llvm::StringRef feature) const;
  /// Elements of `bits` bits in a vector.
  int64_t lanes(unsigned bits) const { return std::max<int64_t>(vectorBits / bits, 1); }
  /// Vectors of so many elements of `bits` bits that registers hold.
  int64_t vectorsInRegisters(int64_t lanes, unsigned bits) const {
    return vectorRegisters / std::max<int64_t>(vectorBits ? lanes * bits / registerBits : 1, 1);
  }
};

/// The model of the processor that `cpu` names (see ProcessorName.h). Sets `error` if there is none.
CpuTargetModel getCpuTargetModel(llvm::StringRef cpu, std::string &error);

} // namespace eyrie::target::cpu
