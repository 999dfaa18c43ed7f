// The functions that the contraction test compiles and runs.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace eyrie::target::cpu::test {

struct Case {
  std::string name;
  std::string source;            // one func.func @kernel
  std::vector<int64_t> indices;  // values of its index arguments
  bool packed = false;           // pack the operand that the target chooses
  double flops = 0;              // for the benchmark
};

std::vector<Case> correctnessCases();
std::vector<Case> benchmarkCases();

} // namespace eyrie::target::cpu::test
