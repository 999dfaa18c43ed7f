// What --cpu says: an architecture, and the features of abi/cpu_features.def that may be used.
#pragma once
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/StringSet.h"
#include <string>

namespace eyrie::target::cpu {

struct Processor {
  std::string arch; // as in abi/cpu_features.def: "x86_64", "aarch64", "riscv64"
  llvm::StringSet<> features;
};

/// Reads "native", "generic" (what every processor of this machine's kind has), an x86-64 level or processor
/// ("x86-64-v3"), an AArch64 architecture or processor ("armv8.2-a", "neoverse-n1"), a RISC-V ISA string, profile or
/// processor ("rv64gcv", "rva22u64"), each with ",+feature" and ",-feature" behind it. A feature comes with those that
/// it implies, and goes with those that imply it. On failure `error` says what is wrong.
Processor parseProcessor(llvm::StringRef cpu, std::string &error);

} // namespace eyrie::target::cpu
