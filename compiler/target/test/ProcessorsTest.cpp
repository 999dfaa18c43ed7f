// Lists of processors: their order, and the variants that come of them.
#include "compiler/graph/Variants.h"
#include "compiler/target/Target.h"
#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>

using namespace eyrie;
using namespace eyrie::target;

namespace {

using Names = std::vector<std::string>;

/// The processors in the order in which their code is tried, or what is wrong with one.
Names orderOf(const Names &cpus, const std::string &target = "cpu") {
  std::string error;
  Names names;
  for (const TargetOptions &options : optionsOfProcessors(*findTarget(target), {}, cpus, error))
    names.push_back(options.cpu);
  return error.empty() ? names : Names{error};
}

TEST(Processors, MoreFeaturesComeFirst) {
  EXPECT_EQ(orderOf({"x86-64", "x86-64-v3", "x86-64-v2", "x86-64-v4"}),
            Names({"x86-64-v4", "x86-64-v3", "x86-64-v2", "x86-64"}));
  // Neither has all that the other has, and both have as many: as they were given.
  EXPECT_EQ(orderOf({"x86-64-v3,+gfni", "x86-64-v3,+avxvnni"}), Names({"x86-64-v3,+gfni", "x86-64-v3,+avxvnni"}));
  EXPECT_EQ(orderOf({"x86-64-v3,+avxvnni", "x86-64-v3,+gfni"}), Names({"x86-64-v3,+avxvnni", "x86-64-v3,+gfni"}));
}

TEST(Processors, NoneIsThisMachine) { EXPECT_EQ(orderOf({}), Names({"native"})); }

TEST(Processors, OneThatNeedsWhatAnotherNeedsIsLeftOut) {
  EXPECT_EQ(orderOf({"x86-64-v3", "x86-64", "x86-64-v3", "x86-64-v2,+avx,-avx"}),
            Names({"x86-64-v3", "x86-64-v2,+avx,-avx", "x86-64"}));
  EXPECT_EQ(orderOf({"x86-64-v3", "x86-64"}, "reference"), Names({"x86-64-v3"}));
}

TEST(Processors, WhatIsWrongWithOneIsSaid) {
  EXPECT_NE(orderOf({"x86-64", "z80"})[0].find("unknown processor 'z80'"), std::string::npos);
}

TEST(Processors, AsManyAsAModuleHolds) {
  Names cpus;
  for (unsigned set = 0; set < 66; ++set) {
    std::string cpu = "x86-64";
    for (unsigned bit = 0; bit < 7; ++bit)
      if (set >> bit & 1)
        cpu += std::vector<std::string>{",+popcnt", ",+lzcnt", ",+bmi", ",+bmi2", ",+movbe", ",+gfni", ",+sse3"}[bit];
    cpus.push_back(cpu);
  }
  EXPECT_EQ(orderOf(cpus)[0], "code for 66 different processors: a module holds it for at most 65");
  cpus.pop_back();
  EXPECT_EQ(orderOf(cpus).size(), 65u);
}

/// The variants of a copy of 64 rows for these processors.
struct Compiled {
  explicit Compiled(const Names &cpus) {
    mlir::DialectRegistry registry;
    registerTargetDialects(registry);
    context.appendDialectRegistry(registry);
    module = mlir::parseSourceString<mlir::ModuleOp>(R"(
      graph.executable @kernel {
        func.func @kernel(%x: tensor<64x24xf32>, %w: tensor<24x40xf32>) -> tensor<64x40xf32>
            attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} {
          %zero = arith.constant 0.0 : f32
          %empty = tensor.empty() : tensor<64x40xf32>
          %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<64x40xf32>) -> tensor<64x40xf32>
          %y = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>,
                                                affine_map<(i, j, k) -> (i, j)>],
                               iterator_types = ["parallel", "parallel", "reduction"]}
              ins(%x, %w : tensor<64x24xf32>, tensor<24x40xf32>) outs(%fill : tensor<64x40xf32>) {
          ^bb0(%a: f32, %b: f32, %c: f32):
            %p = arith.mulf %a, %b : f32
            %s = arith.addf %c, %p : f32
            linalg.yield %s : f32
          } -> tensor<64x40xf32>
          return %y : tensor<64x40xf32>
        }
      })",
                                                     &context);
    std::string error;
    mlir::PassManager pm(&context);
    pm.addNestedPass<graph::ExecutableOp>(
        createCompileExecutablesPass(optionsOfProcessors(*findTarget("cpu"), {}, cpus, error)));
    EXPECT_EQ(error, "");
    EXPECT_TRUE(mlir::succeeded(pm.run(*module)));
    executable = *module->getOps<graph::ExecutableOp>().begin();
    variants = graph::getVariants(executable);
  }

  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  mlir::OwningOpRef<mlir::ModuleOp> module;
  graph::ExecutableOp executable;
  llvm::SmallVector<graph::Variant> variants;
};

TEST(Variants, OfDifferentProcessorsHaveCodeOfTheirOwn) {
  Compiled compiled({"x86-64", "x86-64-v3"});
  ASSERT_EQ(compiled.variants.size(), 2u);
  EXPECT_EQ(compiled.variants[1].features, 0u);
  EXPECT_NE(compiled.variants[0].features, 0u);
  for (const graph::Variant &variant : compiled.variants) {
    EXPECT_EQ(variant.format.getValue(), "elf-x86_64");
    EXPECT_TRUE(compiled.executable.lookupSymbol(variant.workgroups.getAttr()));
  }
}

TEST(Variants, WithTheSameCodeAreOne) {
  uint64_t needed = Compiled({"x86-64-v3"}).variants[0].features;
  Compiled compiled({"x86-64-v3,+gfni", "x86-64", "x86-64-v3,+avxvnni"});
  ASSERT_EQ(compiled.variants.size(), 2u);
  EXPECT_EQ(compiled.variants[0].features, needed);
}

} // namespace
