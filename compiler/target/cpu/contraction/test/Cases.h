// The functions that the contraction test compiles and runs.
#pragma once
#include "compiler/target/Target.h"
#include <cstdint>
#include <string>
#include <vector>

namespace eyrie::target::cpu::test {

struct Case {
  std::string name;
  std::string source;           // one func.func @kernel
  std::vector<int64_t> indices; // values of its index arguments
  std::string refusal = {};     // why lowerContraction does not take it; empty if it does
  bool packed = false;          // pack the operand that the target chooses
  double flops = 0;             // for the benchmark
  int64_t largestWeight = 128;  // magnitude of the bytes of the second argument
};

/// The case with what is known of its index arguments: arrays of [least, most, divisor].
Case withSizes(Case testCase, const std::string &sizes);
/// The case, whose second argument's bytes have no larger magnitude, which its root says.
Case withLargestWeight(Case testCase, int64_t magnitude);
/// A product with a bias of m rows, which are open, as the n columns may be.
Case openMatmul(int64_t m, int64_t n, bool openColumns);

std::vector<Case> correctnessCases();
/// Products of bytes in all pairs of signs.
std::vector<Case> byteCases();
/// Products of bf16 summed in f32.
std::vector<Case> bf16Cases();
/// Both, with enough of both rows and steps for registers of two dimensions.
std::vector<Case> tileCases();
std::vector<Case> benchmarkCases();

/// The case as the text of an executable; if it says so, with the operand packed that `target` (null: the one that the
/// options name) chooses for one or several processors.
std::string executableText(const Case &testCase, llvm::ArrayRef<TargetOptions> options, const Target *target = nullptr);

} // namespace eyrie::target::cpu::test
