// Which code is loaded where a module has some for several processors.
#include "runtime/testing/variants.h"

#include <gtest/gtest.h>

#include "runtime/testing/session.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;

// Loads a module for `cpu`, to look at or to use.
class Variants : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(Status(eyrie_runtime_create(nullptr, &runtime))); }
  void TearDown() override {
    eyrie_module_destroy(module);
    eyrie_runtime_destroy(runtime);
  }
  Status Load(const Module& description, const char* cpu = nullptr, bool inspect_only = false) {
    eyrie_module_destroy(module);
    module = nullptr;
    bytes = description.Build();
    eyrie_module_options_t options = {};
    options.struct_size = sizeof(options);
    options.inspect_only = inspect_only;
    options.cpu = cpu;
    return Status(eyrie_module_load_memory(runtime, bytes.data(), bytes.size(), &options, &module));
  }
  // The number of the code that is taken; -1: none.
  int Taken() {
    eyrie_variant_info_t info;
    int taken = -1;
    for (uint32_t i = 0; Status(eyrie_module_variant(module, 0, i, &info)).ok(); ++i)
      if (info.is_taken) taken = static_cast<int>(i);
    return taken;
  }

  eyrie_runtime_t* runtime = nullptr;
  eyrie_module_t* module = nullptr;
  std::vector<uint8_t> bytes;
};

TEST_F(Variants, TakesTheFirstThatThisProcessorCanRun) {
  Session session(VariantsModule());
  session.ExpectGoodCall();
  eyrie_executable_info_t executable;
  ASSERT_OK(Status(eyrie_module_executable(session.module, 0, &executable)));
  EXPECT_EQ(executable.variant_count, 4u);
  EXPECT_EQ(executable.features, 0u);
  EXPECT_EQ(executable.size, TestKernels().size());
  eyrie_export_info_t item;
  ASSERT_OK(Status(eyrie_module_export(session.module, 3, &item)));
  EXPECT_EQ(item.local_memory, 512u);
}

TEST_F(Variants, ThereIsNoOtherIndex) {
  ASSERT_OK(Load(VariantsModule()));
  eyrie_variant_info_t variant;
  eyrie_cpu_info_t cpu;
  EXPECT_STATUS(Status(eyrie_module_variant(module, 0, 4, &variant)), EYRIE_NOT_FOUND, "no variant 4");
  EXPECT_STATUS(Status(eyrie_module_variant(module, 1, 0, &variant)), EYRIE_NOT_FOUND, "no executable 1");
  ASSERT_OK(Status(eyrie_module_cpu(module, 1, &cpu)));
  EXPECT_STREQ(cpu.name, "amiga");
  EXPECT_FALSE(cpu.is_usable);
  EXPECT_STATUS(Status(eyrie_module_cpu(module, 3, &cpu)), EYRIE_NOT_FOUND, "no processor 3");
}

TEST_F(Variants, TellTheProgramWhichOfThemIsLoaded) {
  for (uint32_t good : {0u, 1u, 2u}) {
    Module description = VariantsModule();
    std::vector<Variant>& variants = description.executables[0].variants;
    std::swap(variants[good], variants[2]);
    Function f;
    f.results = {{"y", EYRIE_I64, {}}};
    f.Op(VmOp::kVariant, {0, 1}).Op(VmOp::kBufResult, {0, 0, 0}).Const(1, 0);
    f.Op(VmOp::kBufStore, {EYRIE_I64, 0, 1, 0}).Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
    description.functions = {f};
    Session session(description);
    eyrie_tensor_t output = {};
    ASSERT_OK(session.Call(nullptr, 0, &output, 1));
    EXPECT_EQ(*static_cast<const int64_t*>(output.data), good);
  }
}

TEST_F(Variants, AProcessorOfTheModuleMayBeNamed) {
  EXPECT_OK(Load(VariantsModule(), "plain"));
  EXPECT_EQ(Taken(), 2);
  EXPECT_STATUS(Load(VariantsModule(), "future"), EYRIE_INCOMPATIBLE, "needs an unknown feature, which");
  EXPECT_STATUS(Load(VariantsModule(), "amiga"), EYRIE_INCOMPATIBLE, "is of the format 'elf-m68k'");
  EXPECT_STATUS(Load(VariantsModule(), "vax"), EYRIE_NOT_FOUND,
                "not compiled for the processor 'vax', but for: future, amiga, plain");
  EXPECT_STATUS(Load(AddScaleModule(), "vax"), EYRIE_NOT_FOUND, "'vax', but for: ");
  // To look at, this machine need not run it.
  EXPECT_OK(Load(VariantsModule(), "future", true));
  EXPECT_EQ(Taken(), 0);
  EXPECT_OK(Load(VariantsModule(), "amiga", true));
  EXPECT_EQ(Taken(), 1);
  EXPECT_OK(Load(VariantsModule(), "", true));
  EXPECT_EQ(Taken(), 2);
}

TEST_F(Variants, WhatIsMissingIsNamedIfNoneFits) {
  Module description = VariantsModule();
  description.executables[0].variants.resize(2);
  description.executables[0].features = kNoSuchFeature | kNoSuchFeature >> 1;
  EXPECT_STATUS(Load(description), EYRIE_INCOMPATIBLE,
                "'kernels' needs an unknown feature, an unknown feature, which this processor lacks");
  EXPECT_OK(Load(description, nullptr, true));
  EXPECT_EQ(Taken(), -1);
}

}  // namespace
}  // namespace eyrie::rt::testing
