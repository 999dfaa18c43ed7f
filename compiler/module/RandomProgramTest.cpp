// Random host programs, checked against a direct evaluation: conversion, barriers, memory plan, register assignment
// and writer together. Programs add tensors of two dynamic lengths and one static one, with branches, results that are
// returned twice, and results that are arguments.
#include "compiler/module/TestProgram.h"
#include <random>

using namespace eyrie::test;

namespace {

/// A value of the program and its elements as multiples of those of its family's argument. Three families: lengths n
/// and m, and 100.
struct Value {
  std::string name;
  int64_t factor;
};

class Generator {
public:
  explicit Generator(unsigned seed, std::array<bool, 3> flags) : random(seed), flags(flags) {}

  std::string make(unsigned length) {
    values[0] = {{"%x", 1}};
    values[1] = {{"%z", 1}};
    values[2] = {{"%sd", 1}};
    makeOps(length, 2, "  ");
    std::string returned, types;
    unsigned numResults = 1 + random() % 6;
    for (unsigned i = 0; i < numResults; ++i) {
      unsigned family = random() % 3;
      const Value &value = pick(family);
      returned += (i ? ", " : "") + value.name;
      types += i ? ", tensor<?xf32>" : "tensor<?xf32>";
      results.push_back({family, value.factor});
    }
    return "func.func @main(%x: tensor<?xf32>, %z: tensor<?xf32>, %s: tensor<100xf32>, %flags: tensor<3xi1>) -> (" +
           types +
           ") {\n  %c0 = arith.constant 0 : index\n  %c1 = arith.constant 1 : index\n"
           "  %c2 = arith.constant 2 : index\n  %n0 = tensor.dim %x, %c0 : tensor<?xf32>\n"
           "  %n1 = tensor.dim %z, %c0 : tensor<?xf32>\n  %n2 = arith.constant 100 : index\n"
           "  %sd = tensor.cast %s : tensor<100xf32> to tensor<?xf32>\n" +
           text + "  return " + returned + " : " + types + "\n}\n";
  }

  std::vector<std::pair<unsigned, int64_t>> results;

private:
  Value pick(unsigned family) { return values[family][random() % values[family].size()]; }

  void makeOps(unsigned length, unsigned depth, const std::string &indent) {
    for (unsigned i = 0; i < length; ++i) {
      if (depth != 0 && random() % 8 == 0) {
        makeIf(depth, indent);
        continue;
      }
      unsigned family = random() % 3;
      Value a = pick(family), b = pick(family);
      if (random() % 12 == 0) {
        makeSelect(family, a, b, indent);
        continue;
      }
      if (a.factor + b.factor > 100000)
        continue;
      Value sum{"%v" + std::to_string(next++), a.factor + b.factor};
      text += indent + makeAdd(sum.name, a.name, b.name, "%n" + std::to_string(family));
      values[family].push_back(sum);
    }
  }

  void makeSelect(unsigned family, const Value &a, const Value &b, const std::string &indent) {
    unsigned flag = random() % 3;
    std::string number = std::to_string(next++);
    text += indent + "%cv" + number + " = graph.read_scalar %flags[%c" + std::to_string(flag) +
            "] : tensor<3xi1> -> i1\n" + indent + "%v" + number + " = arith.select %cv" + number + ", " + a.name +
            ", " + b.name + " : tensor<?xf32>\n";
    values[family].push_back({"%v" + number, flags[flag] ? a.factor : b.factor});
  }

  void makeIf(unsigned depth, const std::string &indent) {
    unsigned flag = random() % 3, numResults = 1 + random() % 3;
    std::string name = "%v" + std::to_string(next++), types;
    std::vector<unsigned> families;
    for (unsigned i = 0; i < numResults; ++i) {
      families.push_back(random() % 3);
      types += i ? ", tensor<?xf32>" : "tensor<?xf32>";
    }
    text += indent + "%c" + name.substr(1) + " = graph.read_scalar %flags[%c" + std::to_string(flag) +
            "] : tensor<3xi1> -> i1\n";
    text +=
        indent + name + ":" + std::to_string(numResults) + " = scf.if %c" + name.substr(1) + " -> (" + types + ") {\n";
    std::vector<int64_t> taken;
    for (bool branch : {true, false}) {
      auto outer = values;
      makeOps(1 + random() % 6, depth - 1, indent + "  ");
      std::string yielded;
      for (unsigned i = 0; i < numResults; ++i) {
        Value value = pick(families[i]);
        yielded += (i ? ", " : "") + value.name;
        if (branch == flags[flag])
          taken.push_back(value.factor);
      }
      text += indent + "  scf.yield " + yielded + " : " + types + "\n" + indent + (branch ? "} else {\n" : "}\n");
      values = outer;
    }
    for (unsigned i = 0; i < numResults; ++i)
      values[families[i]].push_back({name + "#" + std::to_string(i), taken[i]});
  }

  std::mt19937 random;
  std::array<bool, 3> flags;
  std::array<std::vector<Value>, 3> values;
  std::string text;
  unsigned next = 0;
};

class RandomProgram : public testing::TestWithParam<unsigned> {};

TEST_P(RandomProgram, ComputesTheSame) {
  unsigned seed = GetParam();
  std::array<bool, 3> flags = {(seed & 1) != 0, (seed & 2) != 0, (seed & 4) != 0};
  Generator generator(seed, flags);
  std::string text = generator.make(3 + seed % 40);
  // Threads show missing barriers.
  Loaded loaded(Compiled(text).write(), 1 + seed % 3);
  ASSERT_TRUE(loaded.instance) << text;
  for (auto [n, m] : {std::pair(5, 200), std::pair(300, 1), std::pair(0, 64)}) {
    std::vector<float> args[3];
    for (int i = 0; i < n; ++i)
      args[0].push_back(i % 5);
    for (int i = 0; i < m; ++i)
      args[1].push_back(i % 7);
    for (int i = 0; i < 100; ++i)
      args[2].push_back(i % 3);
    bool flagBytes[3] = {flags[0], flags[1], flags[2]};
    std::vector<eyrie_tensor_t> in = {
        asTensor(args[0]), asTensor(args[1]), asTensor(args[2]), {flagBytes, 3, EYRIE_BOOL, 1, {3}}};
    auto outputs = loaded.call(in, generator.results.size());
    for (auto [output, result] : llvm::zip_equal(outputs, generator.results)) {
      std::vector<float> expected;
      for (float value : args[result.first])
        expected.push_back(value * result.second);
      ASSERT_EQ(output, expected) << text;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomProgram, testing::Range(0u, 120u));

} // namespace
