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
};

/// The case with what is known of its index arguments: arrays of [least, most, divisor].
Case withSizes(Case testCase, const std::string &sizes);
/// A product with a bias of m rows, which are open, as the n columns may be.
Case openMatmul(int64_t m, int64_t n, bool openColumns);

std::vector<Case> correctnessCases();
std::vector<Case> benchmarkCases();

/// The case as the text of an executable; if it says so, with the operand packed that the target of `options`, one or
/// several processors, chooses.
std::string executableText(const Case &testCase, llvm::ArrayRef<TargetOptions> options);

} // namespace eyrie::target::cpu::test
