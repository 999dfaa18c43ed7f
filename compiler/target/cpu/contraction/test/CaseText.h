// What the texts of cases are made of.
#pragma once
#include "compiler/target/cpu/contraction/test/Cases.h"

namespace eyrie::target::cpu::test {

inline std::string n(int64_t v) { return std::to_string(v); }
inline std::string join(const std::vector<int64_t> &dims, const std::string &type) {
  std::string s = "tensor<";
  for (int64_t d : dims)
    s += (d < 0 ? "?" : n(d)) + "x";
  return s + type + ">";
}

/// Those of benchmarkCases() whose factors are bytes or bf16.
std::vector<Case> narrowBenchmarkCases();

} // namespace eyrie::target::cpu::test
