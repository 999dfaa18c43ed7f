// Tensors outside the module: found in files, derived from others, and what a module may not say about them.
#include <gtest/gtest.h>

#include "abi/crc32c.h"
#include "runtime/testing/failing.h"
#include "runtime/testing/parameter_files.h"
#include "runtime/testing/session.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;

Value Row(const std::string& name, int64_t size = 4) { return {name, EYRIE_F32, {size}}; }

// Result 0 is a copy of `size` bytes of buffer 0.
Function& Give(Function& f, int64_t size) {
  f.Const(0, size).Const(1, 0).Const(2, size / 4);
  f.Op(VmOp::kBufResult, {1, 0, 1, 2}).Op(VmOp::kCopy, {0, 1, 1, 1, 0});
  return f.Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
}

// y = packed, which `pack` makes from w: a copy. `fixed` is part of the code.
Module PackedModule() {
  Module module;
  Function main;
  main.results = {Row("y")};
  main.Op(VmOp::kGlobalBuf, {0, 1});
  Give(main, 16);
  Function pack;
  pack.name = "pack";
  pack.internal = true;
  pack.arguments = {Row("w")};
  pack.results = {Row("packed")};
  pack.Op(VmOp::kBufArg, {0, 0});
  Give(pack, 16);
  module.functions = {main, pack};
  float fixed[4] = {5, 6, 7, 8};
  module.parameters = {{Row("w")}, {Row("packed"), 1, {0}, 1}, {Row("fixed"), 2, {}, 0, abi::Crc32c(fixed, 16)}};
  module.archive = "model.eyp";
  return module;
}

class ModuleParameters : public ::testing::Test {
 protected:
  ModuleParameters() { options_.struct_size = sizeof(options_); }

  void TearDown() override {
    CloseModule();
    for (eyrie_parameters_t* file : files_) eyrie_parameters_destroy(file);
    eyrie_runtime_destroy(runtime_);
  }

  void CloseModule() {
    eyrie_instance_destroy(instance_);
    eyrie_module_destroy(module_);
    instance_ = nullptr;
    module_ = nullptr;
  }

  Status Open(const std::string& bytes) {
    if (!runtime_) EYRIE_RETURN_IF_ERROR(Status(eyrie_runtime_create(&options_, &runtime_)));
    TemporaryFile file(bytes);
    eyrie_parameters_t* opened = nullptr;
    EYRIE_RETURN_IF_ERROR(Status(eyrie_parameters_open(runtime_, file.path(), nullptr, &opened)));
    files_.push_back(opened);
    return {};
  }

  Status Load(const Module& module) {
    bytes_ = module.Build();
    if (!runtime_) EYRIE_RETURN_IF_ERROR(Status(eyrie_runtime_create(&options_, &runtime_)));
    eyrie_module_options_t options = {};
    options.struct_size = sizeof(options);
    options.parameters = files_.data();
    options.parameter_count = files_.size();
    options.max_arena_bytes = limit_;
    CloseModule();
    EYRIE_RETURN_IF_ERROR(Status(eyrie_module_load_memory(runtime_, bytes_.data(), bytes_.size(), &options, &module_)));
    return Status(eyrie_instance_create(module_, nullptr, &instance_));
  }

  Status Call(std::vector<float>* values) {
    eyrie_tensor_t output = {};
    Status status(eyrie_call(instance_, 0, nullptr, 0, &output, 1, nullptr));
    const auto* data = static_cast<const float*>(output.data);
    if (status.ok()) values->assign(data, data + output.size_bytes / 4);
    return status;
  }

  void ExpectValues(const std::vector<float>& expected) {
    std::vector<float> values;
    EXPECT_OK(Call(&values));
    EXPECT_EQ(values, expected);
  }

  eyrie_runtime_options_t options_ = {};
  eyrie_runtime_t* runtime_ = nullptr;
  std::vector<eyrie_parameters_t*> files_;
  std::vector<uint8_t> bytes_;
  uint64_t limit_ = 0;
  eyrie_module_t* module_ = nullptr;
  eyrie_instance_t* instance_ = nullptr;
};

TEST_F(ModuleParameters, AreDerivedFromTheLastFileThatHasThem) {
  ASSERT_OK(Open(WriteArchive({FloatTensor("other", {1}, {9}), FloatTensor("w", {4}, {1, 2, 3, 4})})));
  ASSERT_OK(Load(PackedModule()));
  ExpectValues({1, 2, 3, 4});
  ASSERT_OK(Open(WriteSafetensors({FloatTensor("w", {4}, {4, 3, 2, 1})})));
  ASSERT_OK(Load(PackedModule()));
  ExpectValues({4, 3, 2, 1});
  eyrie_module_parameter_t info = {};
  ASSERT_OK(Status(eyrie_module_parameter(module_, 1, &info)));
  EXPECT_STREQ(info.value.name, "packed");
  EXPECT_TRUE(info.is_derived && !info.is_fixed && info.source_count == 1 && info.size_bytes == 16);
  uint32_t source = 7;
  ASSERT_OK(Status(eyrie_module_parameter_source(module_, 1, 0, &source)));
  EXPECT_EQ(source, 0u);
  EXPECT_STATUS(Status(eyrie_module_parameter_source(module_, 1, 1, &source)), EYRIE_NOT_FOUND, "no source 1");
  EXPECT_STATUS(Status(eyrie_module_parameter(module_, 3, &info)), EYRIE_NOT_FOUND, "the module has 3");
  EXPECT_STREQ(eyrie_module_archive(module_), "model.eyp");
}

TEST_F(ModuleParameters, AFileLivesAsLongAsItsModules) {
  ASSERT_OK(Open(WriteArchive({FloatTensor("w", {4}, {1, 2, 3, 4})})));
  Module direct = PackedModule();
  direct.functions[0].code.clear();
  direct.functions[0].Op(VmOp::kGlobalBuf, {0, 0});
  Give(direct.functions[0], 16);
  ASSERT_OK(Load(direct));
  eyrie_parameters_destroy(files_[0]);
  files_.clear();
  ExpectValues({1, 2, 3, 4});
}

TEST_F(ModuleParameters, WhatIsMissingOrOfAnotherTypeIsNamed) {
  EXPECT_STATUS(Load(PackedModule()), EYRIE_NOT_FOUND, "'w' is missing: searched no file; give the module the file");
  ASSERT_OK(Open(WriteArchive({FloatTensor("w", {2, 2}, {1, 2, 3, 4})})));
  EXPECT_STATUS(Load(PackedModule()), EYRIE_INVALID_ARGUMENT, "parameter 'w' must be 4xf32");
  ASSERT_OK(Open(WriteArchive({FloatTensor("fixed", {4}, {5, 6, 7, 9}), FloatTensor("w", {4}, {1, 2, 3, 4})})));
  EXPECT_STATUS(Load(PackedModule()), EYRIE_FAILED_PRECONDITION, "'fixed' of");
  ASSERT_OK(Open(WriteArchive({FloatTensor("fixed", {4}, {5, 6, 7, 8})})));
  ASSERT_OK(Load(PackedModule()));
  ExpectValues({1, 2, 3, 4});
}

TEST_F(ModuleParameters, DamageIsFoundBeforeTheFirstCall) {
  std::string archive = WriteArchive({FloatTensor("w", {4}, {1, 2, 3, 4})});
  archive[4096] ^= 1;
  ASSERT_OK(Open(archive));
  EXPECT_STATUS(Load(PackedModule()), EYRIE_DATA_LOSS, "'w'");
}

TEST_F(ModuleParameters, AreRefusedWhenMalformed) {
  ASSERT_OK(Open(WriteArchive({FloatTensor("w", {4}, {1, 2, 3, 4})})));
  auto refuse = [&](auto change, const char* message) {
    Module module = PackedModule();
    change(module);
    EXPECT_STATUS(Load(module), EYRIE_INVALID_ARGUMENT, message);
  };
  refuse([](Module& m) { m.parameters[2].kind = 3; }, "unknown kind of a global 3");
  refuse([](Module& m) { m.parameters[1].sources = {1}; }, "its source 0 is global 1, which is no parameter of a file");
  refuse([](Module& m) { m.parameters[1].sources = {2}; }, "global 2, which is no parameter of a file");
  refuse([](Module& m) { m.parameters[1].sources = {9}; }, "global 9");
  refuse([](Module& m) { m.parameters[1].sources = {0, 0}; }, "does not take its sources");
  refuse([](Module& m) { m.parameters[1].function = 0; }, "is no internal one");
  refuse([](Module& m) { m.parameters[1].function = 2; }, "function 2");
  refuse([](Module& m) { m.parameters[0].value.dims = {8}; }, "of other types");
  refuse([](Module& m) { m.parameters[1].value.type = EYRIE_I32; }, "of other types");
  refuse([](Module& m) { m.parameters[0].value.dims = {-1}; }, "unknown size");
  refuse([](Module& m) { m.parameters[0].value.name = ""; }, "without a name");
  refuse([](Module& m) { m.parameters[2].sources = {0}; }, "a constant with sources");
  refuse([](Module& m) { std::swap(m.parameters[0], m.parameters[2]), m.parameters[1].sources = {}; },
         "behind a higher one");
  refuse(
      [](Module& m) { m.functions[0].code.clear(), m.functions[0].Op(VmOp::kGlobalDim, {3, 0, 0}).Op(VmOp::kReturn); },
      "state");
  refuse(
      [](Module& m) {
        m.functions[0].code.clear(), m.functions[0].Op(VmOp::kGlobalStore, {0, 0, 1, 2}).Op(VmOp::kReturn);
      },
      "state");
  refuse([](Module& m) { m.functions[0].code.clear(), m.functions[0].Op(VmOp::kGlobalBuf, {0, 2}).Op(VmOp::kReturn); },
         "global");
  refuse([](Module& m) { m.functions[0].states = {0}; }, "its state 0 is global 0");
}

TEST_F(ModuleParameters, AFunctionThatReadsWhatItShouldMakeFails) {
  ASSERT_OK(Open(WriteArchive({FloatTensor("w", {4}, {1, 2, 3, 4})})));
  Module module = PackedModule();
  module.functions[1].code.clear();
  module.functions[1].Op(VmOp::kGlobalBuf, {0, 1});
  Give(module.functions[1], 16);
  EXPECT_STATUS(Load(module), EYRIE_FAILED_PRECONDITION, "parameter 'packed'");
}

TEST_F(ModuleParameters, WhatIsDerivedIsLimited) {
  ASSERT_OK(Open(WriteArchive({FloatTensor("w", {4}, {1, 2, 3, 4})})));
  limit_ = 8;
  EXPECT_STATUS(Load(PackedModule()), EYRIE_RESOURCE_EXHAUSTED, "'packed' takes 16 bytes, of which 8 are left");
}

TEST_F(ModuleParameters, FilesOfAnotherRuntimeAreRefused) {
  ASSERT_OK(Open(WriteArchive({FloatTensor("w", {4}, {1, 2, 3, 4})})));
  eyrie_runtime_t* first = runtime_;
  runtime_ = nullptr;
  EXPECT_STATUS(Load(PackedModule()), EYRIE_INVALID_ARGUMENT, "of another runtime");
  eyrie_runtime_destroy(runtime_);
  runtime_ = first;
  files_.push_back(nullptr);
  EXPECT_STATUS(Load(PackedModule()), EYRIE_INVALID_ARGUMENT, "file of parameters 1 is null");
}

TEST_F(ModuleParameters, EveryAllocationMayFail) {
  std::string archive = WriteArchive({FloatTensor("w", {4}, {1, 2, 3, 4})});
  for (bool once : {false, true}) {
    for (int64_t allowed = 0;; ++allowed) {
      ASSERT_LT(allowed, 1000);
      Failing failing = {allowed, once};
      options_.allocator = failing.allocator();
      std::vector<float> values;
      Status status = Open(archive);
      if (status.ok()) status = Load(PackedModule());
      if (status.ok()) status = Call(&values);
      if (!status.ok()) EXPECT_EQ(status.code(), EYRIE_RESOURCE_EXHAUSTED) << status.message();
      bool done = failing.left > 0 && status.ok();
      TearDown();
      files_.clear();
      runtime_ = nullptr;
      if (done) break;
    }
  }
}

}  // namespace
}  // namespace eyrie::rt::testing
