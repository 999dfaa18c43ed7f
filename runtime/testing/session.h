// A runtime, a module and an instance in one, for tests, and what tests say about statuses.
#ifndef EYRIE_RUNTIME_TESTING_SESSION_H_
#define EYRIE_RUNTIME_TESTING_SESSION_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <initializer_list>
#include <vector>

#include "eyrie/runtime.h"
#include "runtime/base/status.h"
#include "runtime/testing/module_builder.h"
#include "runtime/testing/tensors.h"

#define EXPECT_OK(expression)                       \
  do {                                              \
    ::eyrie::rt::Status status_ = (expression);     \
    EXPECT_TRUE(status_.ok()) << status_.message(); \
  } while (0)
#define ASSERT_OK(expression)                       \
  do {                                              \
    ::eyrie::rt::Status status_ = (expression);     \
    ASSERT_TRUE(status_.ok()) << status_.message(); \
  } while (0)
// `text` is a part of the message.
#define EXPECT_STATUS(expression, expected_code, text)                                                  \
  do {                                                                                                  \
    ::eyrie::rt::Status status_ = (expression);                                                         \
    EXPECT_STREQ(eyrie_code_name(status_.code()), eyrie_code_name(expected_code)) << status_.message(); \
    EXPECT_NE(strstr(status_.message(), text), nullptr) << status_.message();                           \
  } while (0)

namespace eyrie::rt::testing {

struct Session {
  explicit Session(const Module& description, uint32_t threads = 0) {
    eyrie_runtime_options_t options = {};
    options.struct_size = sizeof(options);
    options.threads = threads;
    EXPECT_OK(Status(eyrie_runtime_create(&options, &runtime)));
    owns_runtime = true;
    Load(description.Build());
  }
  Session(eyrie_runtime_t* runtime, const std::vector<uint8_t>& given) : runtime(runtime) { Load(given); }
  ~Session() {
    eyrie_instance_destroy(instance);
    eyrie_module_destroy(module);
    if (owns_runtime) eyrie_runtime_destroy(runtime);
  }
  void Load(const std::vector<uint8_t>& given) {
    bytes = given;
    EXPECT_OK(Status(eyrie_module_load_memory(runtime, bytes.data(), bytes.size(), nullptr, &module)));
    if (module) EXPECT_OK(Status(eyrie_instance_create(module, nullptr, &instance)));
  }
  Status Call(const eyrie_tensor_t* inputs, size_t input_count, eyrie_tensor_t* outputs, size_t output_count) {
    return Status(eyrie_call(instance, 0, inputs, input_count, outputs, output_count, nullptr));
  }
  // AddScaleModule still works.
  void ExpectGoodCall() {
    std::vector<float> a(8, 1), b(8, 2);
    eyrie_tensor_t inputs[2] = {F32(a, {1, 8}), F32(b, {1, 8})}, output = {};
    EXPECT_OK(Call(inputs, 2, &output, 1));
    if (output.data) EXPECT_EQ(static_cast<float*>(output.data)[7], 24.0f);
  }

  std::vector<uint8_t> bytes;
  eyrie_runtime_t* runtime = nullptr;
  eyrie_module_t* module = nullptr;
  eyrie_instance_t* instance = nullptr;
  bool owns_runtime = false;
};

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_SESSION_H_
