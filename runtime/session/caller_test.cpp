// Functions that the caller adds to a runtime, and modules that call them.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "runtime/testing/failing.h"
#include "runtime/testing/session.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;
using Body = std::function<eyrie_status_t(const eyrie_host_call_t&)>;

// y = f(x): tensors [n] of one type, whose elements take `width` bytes. The node "scale" of the model calls it.
Module CallModule(const HostFunction& host, uint32_t width = 4) {
  Module module;
  module.symbols = {"n"};
  module.host_functions = {host};
  Function f;
  f.arguments = {{"x", host.types[0], {Dim::Symbol(0)}}};
  f.results = {{"y", host.types[1], {Dim::Symbol(0)}}};
  f.Op(VmOp::kArgDim, {0, 0, 0}).Const(1, width).Op(VmOp::kMul, {2, 0, 1}).Const(3, 0);
  f.Op(VmOp::kBufArg, {0, 0}).Op(VmOp::kBufResult, {1, 0, 1, 0});
  auto word = static_cast<uint32_t>(f.code.size());
  f.Op(VmOp::kHostCall, {0, 2, 0, 0, 2, 0, 3, 2, 1, 3, 2});
  f.Op(VmOp::kReturn);
  module.functions = {f};
  module.source_map = {{"scale"}, {word}, {1}};
  return module;
}

HostFunction Op(uint8_t type = EYRIE_F32) { return {"my.domain::Op", {type, type}, {1, 1}, 1}; }

eyrie_status_t CallBody(void* user, const eyrie_host_call_t* call) { return (*static_cast<Body*>(user))(*call); }

eyrie_status_t Scale(const eyrie_host_call_t& call) {
  auto factor = static_cast<float>(eyrie_host_call_number(&call, "factor", 2));
  for (int64_t i = 0; i < call.inputs[0].dims[0]; ++i)
    static_cast<float*>(call.outputs[0].data)[i] = static_cast<const float*>(call.inputs[0].data)[i] * factor;
  return nullptr;
}

// A runtime with one function, and sessions of it.
struct Fixture {
  explicit Fixture(Body body, const char* name = "my.domain::Op") : body(std::move(body)) {
    EXPECT_OK(Status(eyrie_runtime_create(nullptr, &runtime)));
    EXPECT_OK(Status(eyrie_runtime_add_function(runtime, name, CallBody, &this->body, nullptr)));
  }
  ~Fixture() { eyrie_runtime_destroy(runtime); }
  Status Load(const Module& description) {
    std::vector<uint8_t> bytes = description.Build();
    eyrie_module_t* module = nullptr;
    Status status(eyrie_module_load_memory(runtime, bytes.data(), bytes.size(), nullptr, &module));
    eyrie_module_destroy(module);
    return status;
  }

  Body body;
  eyrie_runtime_t* runtime = nullptr;
};

TEST(CallerFunctions, ComputeWithTensorsAndAttributes) {
  HostFunction host = Op();
  host.attributes = {{"axes", {3, -4}, {}, {}, true},
                     {"factor", {}, {0.5}},
                     {"mode", {}, {}, {"linear"}},
                     {"names", {}, {}, {"a", std::string("b\0c", 3)}, true},
                     {"nothing", {}, {}, {}, true}};
  Fixture fixture([](const eyrie_host_call_t& call) {
    EXPECT_STREQ(call.name, "my.domain::Op");
    EXPECT_EQ(call.struct_size, sizeof(call));
    EXPECT_EQ(call.input_count, 1u);
    EXPECT_EQ(call.output_count, 1u);
    for (const eyrie_tensor_t* tensor : {call.inputs, call.outputs}) {
      EXPECT_EQ(tensor->type, static_cast<uint32_t>(EYRIE_F32));
      EXPECT_EQ(tensor->rank, 1u);
      EXPECT_EQ(tensor->size_bytes, static_cast<size_t>(tensor->dims[0]) * 4);
    }
    eyrie_attribute_t attribute;
    EXPECT_TRUE(eyrie_host_call_attribute(&call, "axes", &attribute));
    EXPECT_EQ(attribute.count, 2u);
    EXPECT_TRUE(attribute.is_list);
    EXPECT_EQ(attribute.integers[1], -4);
    EXPECT_EQ(attribute.numbers, nullptr);
    EXPECT_TRUE(eyrie_host_call_attribute(&call, "names", &attribute));
    eyrie_string_t name = eyrie_attribute_string(&attribute, 1);
    EXPECT_EQ(std::string(name.data, name.size), std::string("b\0c", 3));
    EXPECT_EQ(eyrie_attribute_string(&attribute, 2).data, nullptr);
    EXPECT_TRUE(eyrie_host_call_attribute(&call, "nothing", &attribute));
    EXPECT_EQ(attribute.count, 0u);
    EXPECT_FALSE(eyrie_host_call_attribute(&call, "else", &attribute));
    EXPECT_EQ(eyrie_host_call_integer(&call, "axes", 7), 3);
    EXPECT_EQ(eyrie_host_call_integer(&call, "factor", 7), 7);
    EXPECT_EQ(eyrie_host_call_number(&call, "axes", 1.5), 1.5);
    EXPECT_STREQ(eyrie_host_call_string(&call, "mode", ""), "linear");
    EXPECT_STREQ(eyrie_host_call_string(&call, "factor", "none"), "none");
    EXPECT_EQ(eyrie_host_call_check_stop(&call), nullptr);
    return Scale(call);
  });
  Session session(fixture.runtime, CallModule(host).Build());
  for (int64_t n : {5, 0, 1}) {
    std::vector<float> x(static_cast<size_t>(n), 3);
    eyrie_tensor_t input = F32(x, {n}), output = {};
    ASSERT_OK(session.Call(&input, 1, &output, 1));
    EXPECT_EQ(output.dims[0], n);
    for (int64_t i = 0; i < n; ++i) EXPECT_EQ(static_cast<float*>(output.data)[i], 1.5f);
  }
}

TEST(CallerFunctions, DoNotAllocateAfterTheFirstCall) {
  Fixture fixture(Scale);
  Session session(fixture.runtime, CallModule(Op()).Build());
  std::vector<float> x(100, 1);
  eyrie_runtime_stats_t before = {}, after = {};
  for (int round = 0; round < 5; ++round) {
    eyrie_tensor_t input = F32(x, {100}), output = {};
    ASSERT_OK(session.Call(&input, 1, &output, 1));
    if (round == 0) eyrie_runtime_get_stats(fixture.runtime, &before);
  }
  eyrie_runtime_get_stats(fixture.runtime, &after);
  EXPECT_EQ(before.allocations, after.allocations);
}

TEST(CallerFunctions, HaveNamesOfTheirOwn) {
  Fixture fixture(Scale);
  auto add = [&](const char* name) {
    return Status(eyrie_runtime_add_function(fixture.runtime, name, CallBody, nullptr, nullptr));
  };
  EXPECT_STATUS(add("my.domain::Op"), EYRIE_ALREADY_EXISTS, "the runtime has a function 'my.domain::Op' already");
  for (const char* name : {"text.concat", "", "::Op", "my.domain::"})
    EXPECT_STATUS(add(name), EYRIE_INVALID_ARGUMENT, "expected a domain and a name, as in my.domain::Op");
  EXPECT_STATUS(Status(eyrie_runtime_add_function(fixture.runtime, "a::b", nullptr, nullptr, nullptr)),
                EYRIE_INVALID_ARGUMENT, "no function");
  EXPECT_OK(add("my.domain::Op.sizes"));
}

TEST(CallerFunctions, AreNeededWhenTheModuleIsLoaded) {
  Fixture fixture(Scale, "my.domain::Other");
  EXPECT_STATUS(fixture.Load(CallModule(Op())), EYRIE_NOT_FOUND,
                "node 'scale' needs the host function 'my.domain::Op', which is not there; add it, or a plug-in "
                "that has it (--plugin), before the module is loaded");
  Module stripped = CallModule(Op());
  stripped.source_map = {};
  EXPECT_STATUS(fixture.Load(stripped), EYRIE_NOT_FOUND, "the module needs the host function 'my.domain::Op'");
  HostFunction own = Op();
  own.name = "text.future";
  EXPECT_STATUS(fixture.Load(CallModule(own)), EYRIE_NOT_FOUND, "this runtime was built without it");
  EXPECT_OK(Status(eyrie_runtime_add_function(fixture.runtime, "my.domain::Op", CallBody, &fixture.body, nullptr)));
  EXPECT_OK(fixture.Load(CallModule(Op())));
}

TEST(CallerFunctions, FailWithTheNamesOfNodeAndFunction) {
  int code = EYRIE_OUT_OF_RANGE;
  Fixture fixture([&](const eyrie_host_call_t& call) -> eyrie_status_t {
    return code ? eyrie_status_create(static_cast<eyrie_code_t>(code), "index 100% wrong") : Scale(call);
  });
  Session session(fixture.runtime, CallModule(Op()).Build());
  std::vector<float> x(2, 1);
  eyrie_tensor_t input = F32(x, {2}), output = {};
  Status status = session.Call(&input, 1, &output, 1);
  EXPECT_EQ(status.code(), EYRIE_OUT_OF_RANGE);
  EXPECT_NE(strstr(status.message(), "node 'scale': "), nullptr) << status.message();
  EXPECT_NE(strstr(status.message(), "my.domain::Op: index 100% wrong"), nullptr) << status.message();
  code = 1000;
  EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_UNKNOWN, "index 100% wrong");
  code = EYRIE_OK;
  EXPECT_OK(session.Call(&input, 1, &output, 1));
  EXPECT_EQ(eyrie_status_create(EYRIE_OK, "fine"), nullptr);
  Status empty(eyrie_status_create(EYRIE_ABORTED, nullptr));
  EXPECT_STREQ(empty.message(), "");
}

TEST(CallerFunctions, EndWhenTheCallIsStopped) {
  eyrie_instance_t* instance = nullptr;
  bool asks = false;
  Fixture fixture([&](const eyrie_host_call_t& call) -> eyrie_status_t {
    if (instance) eyrie_instance_cancel(instance);
    if (asks)
      for (;;)
        if (eyrie_status_t status = eyrie_host_call_check_stop(&call)) return status;
    return Scale(call);
  });
  Session session(fixture.runtime, CallModule(Op()).Build());
  std::vector<float> x(2, 1);
  eyrie_tensor_t input = F32(x, {2}), output = {};
  instance = session.instance;
  EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_CANCELLED, "");
  asks = true;
  EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_CANCELLED, "");
  instance = nullptr;
  eyrie_call_options_t options = {};
  options.struct_size = sizeof(options);
  options.timeout_ns = 1000000;
  EXPECT_STATUS(Status(eyrie_call(session.instance, 0, &input, 1, &output, 1, &options)), EYRIE_DEADLINE_EXCEEDED, "");
  asks = false;
  EXPECT_OK(session.Call(&input, 1, &output, 1));
}

TEST(CallerFunctions, MayCallOtherInstances) {
  Session* own = nullptr;
  Session* other = nullptr;
  Fixture fixture([&](const eyrie_host_call_t& call) -> eyrie_status_t {
    if (!own) return Scale(call);
    eyrie_tensor_t inner = {};
    EXPECT_STATUS(own->Call(call.inputs, 1, &inner, 1), EYRIE_FAILED_PRECONDITION, "");
    own = nullptr;
    EXPECT_OK(other->Call(call.inputs, 1, &inner, 1));
    memcpy(call.outputs[0].data, inner.data, call.outputs[0].size_bytes);
    return nullptr;
  });
  Session first(fixture.runtime, CallModule(Op()).Build()), second(fixture.runtime, CallModule(Op()).Build());
  own = &first;
  other = &second;
  std::vector<float> x(2, 4);
  eyrie_tensor_t input = F32(x, {2}), output = {};
  ASSERT_OK(first.Call(&input, 1, &output, 1));
  EXPECT_EQ(static_cast<float*>(output.data)[1], 8.0f);
}

TEST(CallerFunctions, AreCalledFromManyThreads) {
  std::atomic<int> calls{0};
  Fixture fixture([&](const eyrie_host_call_t& call) {
    ++calls;
    return Scale(call);
  });
  std::vector<uint8_t> bytes = CallModule(Op()).Build();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      Session session(fixture.runtime, bytes);
      std::string name = "thread::F" + std::to_string(t);
      EXPECT_OK(Status(eyrie_runtime_add_function(fixture.runtime, name.c_str(), CallBody, nullptr, nullptr)));
      for (int i = 0; i < 100; ++i) {
        std::vector<float> x(static_cast<size_t>(t + 1), static_cast<float>(i));
        eyrie_tensor_t input = F32(x, {t + 1}), output = {};
        EXPECT_OK(session.Call(&input, 1, &output, 1));
        EXPECT_EQ(static_cast<float*>(output.data)[t], 2.0f * static_cast<float>(i));
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(calls, 400);
}

TEST(CallerFunctions, RunInAsynchronousCalls) {
  Fixture fixture(Scale);
  Session session(fixture.runtime, CallModule(Op()).Build());
  eyrie_fence_t* fence = nullptr;
  ASSERT_OK(Status(eyrie_fence_create(fixture.runtime, 0, &fence)));
  std::vector<float> x(3, 5);
  eyrie_tensor_t input = F32(x, {3}), output = {};
  ASSERT_OK(Status(eyrie_call_async(session.instance, 0, &input, 1, &output, 1, nullptr, nullptr, 0, {fence, 1})));
  ASSERT_OK(Status(eyrie_fence_wait(fence, 1, UINT64_MAX)));
  EXPECT_EQ(static_cast<float*>(output.data)[2], 10.0f);
  eyrie_fence_release(fence);
}

TEST(CallerFunctions, AreReleasedWithTheRuntime) {
  int released = 0;
  auto release = [](void* user) { ++*static_cast<int*>(user); };
  eyrie_runtime_t* runtime = nullptr;
  ASSERT_OK(Status(eyrie_runtime_create(nullptr, &runtime)));
  EXPECT_OK(Status(eyrie_runtime_add_function(runtime, "my.domain::Op", CallBody, &released, release)));
  EXPECT_STATUS(Status(eyrie_runtime_add_function(runtime, "my.domain::Op", CallBody, &released, release)),
                EYRIE_ALREADY_EXISTS, "");
  {
    Session session(runtime, CallModule(Op()).Build());
    eyrie_runtime_destroy(runtime);
    EXPECT_EQ(released, 0);  // the module holds it
  }
  EXPECT_EQ(released, 1);
}

// What a module says of a function's tensors is what the function gets; its memory is checked before.
TEST(CallerFunctions, SeeWhatTheModuleSays) {
  uint32_t type = 0;
  Fixture fixture([&](const eyrie_host_call_t& call) {
    type = call.inputs[0].type;
    memset(call.outputs[0].data, 0, call.outputs[0].size_bytes);
    return eyrie_status_t{};
  });
  std::vector<float> x(2, 1);
  eyrie_tensor_t input = F32(x, {2}), output = {};
  Module module = CallModule(Op());
  module.host_functions[0].types = {EYRIE_F16, EYRIE_F16};
  {
    Session session(fixture.runtime, module.Build());
    EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_OUT_OF_RANGE, "tensor 0 takes 4 bytes, but has 8");
    EXPECT_EQ(type, 0u);
  }
  module.host_functions[0].types = {EYRIE_I32, EYRIE_I32};
  Session session(fixture.runtime, module.Build());
  EXPECT_OK(session.Call(&input, 1, &output, 1));
  EXPECT_EQ(type, static_cast<uint32_t>(EYRIE_I32));
  module.host_functions[0].input_count = 2;  // the result's memory as an input: nothing is wrong with that
  EXPECT_OK(fixture.Load(module));
  module.host_functions[0].types = {EYRIE_STRING, EYRIE_STRING};
  EXPECT_STATUS(fixture.Load(module), EYRIE_INVALID_ARGUMENT,
                "host function 0, 'my.domain::Op': its tensor 0 is of strings");
}

TEST(CallerFunctions, HaveOutputsOfTheirOwn) {
  int calls = 0;
  Fixture fixture([&](const eyrie_host_call_t&) {
    ++calls;
    return eyrie_status_t{};
  });
  Module module = CallModule(Op());
  std::vector<uint32_t>& code = module.functions[0].code;
  code[code.size() - 1 - 6] = 1;  // the input's buffer: the result's
  Session session(fixture.runtime, module.Build());
  std::vector<float> x(2, 1), none;
  eyrie_tensor_t input = F32(x, {2}), output = {};
  EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_INVALID_ARGUMENT,
                "my.domain::Op: tensor 1, an output, lies in the memory of tensor 0");
  EXPECT_EQ(calls, 0);
  input = F32(none, {0});
  EXPECT_OK(session.Call(&input, 1, &output, 1));
}

TEST(CallerFunctions, AreListed) {
  HostFunction host = Op();
  host.attributes = {{"axes", {3, -4}, {}, {}, true}, {"mode", {}, {}, {"linear"}}};
  Fixture fixture(Scale);
  Session session(fixture.runtime, CallModule(host).Build());
  eyrie_host_function_info_t info = {};
  ASSERT_OK(Status(eyrie_module_host_function(session.module, 0, &info)));
  EXPECT_STREQ(info.name, "my.domain::Op");
  EXPECT_EQ(info.input_count + info.output_count, 2u);
  EXPECT_EQ(info.types[1], EYRIE_F32);
  EXPECT_EQ(info.ranks[0], 1);
  EXPECT_FALSE(info.is_built_in);
  EXPECT_STREQ(info.node, "scale");
  EXPECT_EQ(info.attribute_count, 2u);
  eyrie_attribute_t attribute = {};
  ASSERT_OK(Status(eyrie_module_host_attribute(session.module, 0, 0, &attribute)));
  EXPECT_STREQ(attribute.name, "axes");
  EXPECT_EQ(attribute.integers[0], 3);
  EXPECT_STATUS(Status(eyrie_module_host_attribute(session.module, 0, 2, &attribute)), EYRIE_NOT_FOUND,
                "there is no attribute 2: the function has 2");
  EXPECT_STATUS(Status(eyrie_module_host_function(session.module, 1, &info)), EYRIE_NOT_FOUND,
                "there is no host function 1: the module has 1");
}

TEST(CallerFunctions, SurviveFailingAllocations) {
  Body body = Scale;
  std::vector<float> x(2, 1);
  auto add = [&](eyrie_runtime_t* runtime) {
    return Status(eyrie_runtime_add_function(runtime, "my.domain::Op", CallBody, &body, nullptr));
  };
  CallWithFailingAllocations(CallModule(Op()).Build(), F32(x, {2}), add, [](const eyrie_tensor_t&) {});
}

TEST(Plugins, AreLibrariesThatAddFunctions) {
  eyrie_runtime_t* runtime = nullptr;
  ASSERT_OK(Status(eyrie_runtime_create(nullptr, &runtime)));
  EXPECT_STATUS(Status(eyrie_runtime_add_plugin(runtime, "no-such-plugin.so")), EYRIE_NOT_FOUND,
                "plug-in 'no-such-plugin.so': ");
  EXPECT_STATUS(Status(eyrie_runtime_add_plugin(runtime, EYRIE_TEST_KERNELS)), EYRIE_INVALID_ARGUMENT,
                "it is no plug-in: it has no 'eyrie_plugin_version'");
  EXPECT_STATUS(Status(eyrie_runtime_add_plugin(runtime, nullptr)), EYRIE_INVALID_ARGUMENT, "no path");
  eyrie_runtime_destroy(runtime);
}

}  // namespace
}  // namespace eyrie::rt::testing
