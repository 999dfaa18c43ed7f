// Host functions: what a module may ask of them, and what of it is refused.
#include <gtest/gtest.h>

#include <string>

#include "abi/pattern.h"
#include "runtime/testing/failing.h"
#include "runtime/testing/functions.h"
#include "runtime/testing/session.h"
#include "runtime/testing/strings.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;

// y = f(x, x, ...): tensors [n] of 64-bit elements.
Module CallModule(const HostFunction& host, uint8_t result_type = EYRIE_STRING) {
  Module module;
  module.symbols = {"n"};
  module.texts = {"AB", "ab"};
  module.host_functions = {host};
  Function f;
  uint8_t type = host.types.empty() ? uint8_t{EYRIE_STRING} : host.types[0];
  f.arguments = {{"x", type, {Dim::Symbol(0)}}};
  f.results = {{"y", result_type, {Dim::Symbol(0)}}};
  f.Op(VmOp::kArgDim, {0, 0, 0}).Const(1, 8).Op(VmOp::kMul, {2, 0, 1}).Const(3, 0);
  f.Op(VmOp::kBufArg, {0, 0}).Op(VmOp::kBufResult, {1, 0, 1, 0});
  std::vector<uint32_t> words = {0, static_cast<uint32_t>(host.types.size())};
  for (size_t i = 0; i < host.types.size(); ++i) words.push_back(0);
  words.push_back(static_cast<uint32_t>(host.types.size()));
  for (uint32_t i = 0; i < host.types.size(); ++i)
    for (uint32_t word : {i < host.input_count ? 0u : 1u, 3u, 2u}) words.push_back(word);
  f.code.push_back(abi::MakeVmHeader(VmOp::kHostCall, static_cast<uint32_t>(words.size()) + 1));
  f.code.insert(f.code.end(), words.begin(), words.end());
  f.Op(VmOp::kReturn);
  module.functions = {f};
  return module;
}

const HostFunction kConcat = {"text.concat", {EYRIE_STRING, EYRIE_STRING, EYRIE_STRING}, {1, 1, 1}, 2};
const HostFunction kLower = {"text.lower", {EYRIE_STRING, EYRIE_STRING}, {1, 1}, 1};

TEST(HostFunctions, GiveStringsTheirIds) {
  Session session(CallModule(kConcat));
  const Texts texts = {"", "a", "AB", std::string("\0", 1), "größer"};
  std::vector<eyrie_string_t> strings = Refer(texts);
  eyrie_tensor_t input = TensorOf(EYRIE_STRING, strings, {5}), output = {};
  for (int round = 0; round < 3; ++round) {
    ASSERT_OK(session.Call(&input, 1, &output, 1));
    EXPECT_EQ(Read(output), (Texts{"", "aa", "ABAB", std::string("\0\0", 2), "größergrößer"}));
  }
  Session lower(CallModule(kLower));
  const Texts words = {"AB", "ab", "ÄÖ",
                       "\xff"
                       "A\xc3"};
  strings = Refer(words);
  input = TensorOf(EYRIE_STRING, strings, {4});
  ASSERT_OK(lower.Call(&input, 1, &output, 1));
  EXPECT_EQ(Read(output), (Texts{"ab", "ab", "äö",
                                 "\xff"
                                 "a\xc3"}));
}

TEST(HostFunctions, DoNotAllocateAfterTheFirstCall) {
  Session session(CallModule(kConcat));
  Texts texts;
  for (int i = 0; i < 5000; ++i) texts.push_back("text " + std::to_string(i));
  eyrie_runtime_stats_t before = {}, after = {};
  for (int round = 0; round < 10; ++round) {
    for (std::string& text : texts) text[round % 4] ^= 1;  // others, as long
    std::vector<eyrie_string_t> strings = Refer(texts);
    eyrie_tensor_t input = TensorOf(EYRIE_STRING, strings, {5000}), output = {};
    ASSERT_OK(session.Call(&input, 1, &output, 1));
    EXPECT_EQ(Read(output)[4999], texts[4999] + texts[4999]);
    if (round == 0) eyrie_runtime_get_stats(session.runtime, &before);
  }
  eyrie_runtime_get_stats(session.runtime, &after);
  EXPECT_EQ(before.allocations, after.allocations);
}

TEST(HostFunctions, RefuseIdsThatNobodyGave) {
  Module module = CallModule(kLower);
  module.functions[0].arguments[0].type = EYRIE_I64;
  Session session(module);
  for (int64_t id : {int64_t{3}, int64_t{-1}, INT64_MAX}) {
    std::vector<int64_t> ids = {1, id};
    eyrie_tensor_t input = TensorOf(EYRIE_I64, ids, {2}), output = {};
    EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_OUT_OF_RANGE, "text.lower: there is no string");
  }
}

TEST(HostFunctions, CheckTheMemoryOfTheirTensors) {
  const Texts texts = {"a", "b"};
  std::vector<eyrie_string_t> strings = Refer(texts);
  eyrie_tensor_t input = TensorOf(EYRIE_STRING, strings, {2}), output = {};
  auto call = [&](void (*change)(Function&, uint32_t* operands)) {
    Module module = CallModule(kLower);
    Function& f = module.functions[0];
    // host.call 0, [r0, r0], {b0[r3, r2], b1[r3, r2]}
    change(f, &f.code[f.code.size() - 1 - 11]);
    Session session(module);
    return Status(session.Call(&input, 1, &output, 1));
  };
  EXPECT_OK(call([](Function&, uint32_t*) {}));
  EXPECT_STATUS(call([](Function&, uint32_t* w) { w[6] = 2; }), EYRIE_OUT_OF_RANGE,
                "tensor 0 takes 16 bytes, but has 16 from byte 16");
  EXPECT_STATUS(call([](Function&, uint32_t* w) { w[7] = 0; }), EYRIE_OUT_OF_RANGE,
                "tensor 0 takes 16 bytes, but has 2");
  EXPECT_STATUS(call([](Function&, uint32_t* w) { w[3] = 3, w[10] = 3; }), EYRIE_INVALID_ARGUMENT, "another shape");
  EXPECT_STATUS(call([](Function&, uint32_t* w) { w[8] = 0; }), EYRIE_PERMISSION_DENIED,
                "tensor 1, an output, lies in memory that is only read");
  EXPECT_STATUS(call([](Function&, uint32_t* w) { w[8] = 5; }), EYRIE_FAILED_PRECONDITION, "b5 is null");
}

Status Load(const Module& module) {
  static Session* const session = new Session(AddScaleModule());
  std::vector<uint8_t> bytes = module.Build();
  eyrie_module_t* loaded = nullptr;
  Status status(eyrie_module_load_memory(session->runtime, bytes.data(), bytes.size(), nullptr, &loaded));
  eyrie_module_destroy(loaded);
  return status;
}

TEST(HostFunctions, AreCheckedWhenTheModuleIsLoaded) {
  EXPECT_OK(Load(CallModule(kConcat)));
  HostFunction bad = kConcat;
  bad.name = "somebody::Else";
  EXPECT_STATUS(Load(CallModule(bad)), EYRIE_NOT_FOUND, "the module needs the host function 'somebody::Else'");
  bad = kConcat;
  bad.input_count = 1;
  EXPECT_STATUS(Load(CallModule(bad)), EYRIE_INVALID_ARGUMENT,
                "host function 0, 'text.concat': it has 3 tensors, 1 of them inputs");
  bad.input_count = 4;
  EXPECT_STATUS(Load(CallModule(bad)), EYRIE_INVALID_ARGUMENT, "3 types, limit 256, 3 ranks and 4 inputs");
  bad = kConcat;
  bad.types[1] = EYRIE_I64;
  EXPECT_STATUS(Load(CallModule(bad)), EYRIE_INVALID_ARGUMENT, "its tensor 1 is not string of rank 1");
  bad.types[1] = 99;
  EXPECT_STATUS(Load(CallModule(bad)), EYRIE_INVALID_ARGUMENT, "tensor 1 has the unknown element type 99");
  bad = kConcat;
  bad.ranks[2] = 33;
  EXPECT_STATUS(Load(CallModule(bad)), EYRIE_INVALID_ARGUMENT, "tensor 2 has rank 33, limit 32");
  bad = kConcat;
  bad.attributes = {{"a", {1}, {2.0}}};
  EXPECT_STATUS(Load(CallModule(bad)), EYRIE_INVALID_ARGUMENT, "its attribute 'a' has values of several kinds");
  bad = {"text.to_i64", {EYRIE_STRING, EYRIE_I64}, {1, 1}, 1, {{"bits", {65}}}};
  EXPECT_STATUS(Load(CallModule(bad, EYRIE_I64)), EYRIE_INVALID_ARGUMENT, "integers of 65 bits");
}

TEST(HostFunctions, AreWhatTheirCallsSay) {
  Module module = CallModule(kConcat);
  std::vector<uint32_t>& code = module.functions[0].code;
  uint32_t* operands = &code[code.size() - 1 - 15];
  operands[0] = 1;
  EXPECT_STATUS(Load(module), EYRIE_INVALID_ARGUMENT, "host function 1, limit 1");
  operands[0] = 0;
  module.host_functions[0].ranks[0] = 2;
  EXPECT_STATUS(Load(module), EYRIE_INVALID_ARGUMENT, "sizes given for a host function 3, limit 4");
  module.host_functions[0] = kLower;
  module.host_functions[0].ranks[0] = 2;
  EXPECT_STATUS(Load(module), EYRIE_INVALID_ARGUMENT, "tensors of a host function 3, limit 2");
}

HostFunction Matches(std::vector<int64_t> program) {
  return {"text.matches", {EYRIE_STRING, EYRIE_BOOL}, {1, 1}, 1, {{"program", program}}};
}

TEST(HostFunctions, RefusePatternsThatLeadAstray) {
  using abi::PatternOp;
  auto load = [](std::vector<abi::PatternStep> steps) {
    std::vector<int64_t> program;
    for (const abi::PatternStep& step : steps) program.push_back(abi::EncodeStep(step));
    return Load(CallModule(Matches(program), EYRIE_BOOL));
  };
  EXPECT_OK(load({{PatternOp::kMatch, 0, 0, 0, 0}}));
  EXPECT_STATUS(load({}), EYRIE_INVALID_ARGUMENT, "a pattern of 0 steps");
  EXPECT_STATUS(load({{PatternOp::kByte, 0, 255, 1, 0}}), EYRIE_INVALID_ARGUMENT,
                "step 0 of the pattern is unknown, or leads out of it");
  EXPECT_STATUS(load({{PatternOp::kSplit, 0, 0, 0, 1}}), EYRIE_INVALID_ARGUMENT, "step 0 of the pattern");
  EXPECT_STATUS(load({{static_cast<PatternOp>(9), 0, 0, 0, 0}}), EYRIE_INVALID_ARGUMENT, "step 0 of the pattern");
}

TEST(HostFunctions, DoNotShareLongPatterns) {
  std::vector<int64_t> program(60000, abi::EncodeStep({abi::PatternOp::kMatch, 0, 0, 0, 0}));
  Module module = CallModule(Matches(program), EYRIE_BOOL);
  EXPECT_OK(Load(module));
  module.host_functions.resize(20, module.host_functions[0]);
  EXPECT_STATUS(Load(module), EYRIE_RESOURCE_EXHAUSTED, "more host functions than it can hold");
}

TEST(HostFunctions, SurviveFailingAllocations) {
  Texts texts;
  for (int i = 0; i < 500; ++i) texts.push_back("text " + std::to_string(i));
  std::vector<eyrie_string_t> strings = Refer(texts);
  CallWithFailingAllocations(
      CallModule(kConcat).Build(), TensorOf(EYRIE_STRING, strings, {500}), [](eyrie_runtime_t*) { return Status(); },
      [](const eyrie_tensor_t& output) { EXPECT_EQ(Read(output)[499], "text 499text 499"); });
}

// A module that may take 70,000 bytes.
class LimitedCall {
 public:
  LimitedCall() : session_(CallModule(kConcat)) {
    eyrie_module_options_t options = {};
    options.struct_size = sizeof(options);
    options.max_arena_bytes = 70000;
    Status status(
        eyrie_module_load_memory(session_.runtime, session_.bytes.data(), session_.bytes.size(), &options, &module_));
    if (status.ok()) status = Status(eyrie_instance_create(module_, nullptr, &instance_));
    EXPECT_TRUE(status.ok()) << status.message();
  }
  ~LimitedCall() {
    eyrie_instance_destroy(instance_);
    eyrie_module_destroy(module_);
  }
  Status operator()(const Texts& texts) {
    std::vector<eyrie_string_t> strings = Refer(texts);
    eyrie_tensor_t input = TensorOf(EYRIE_STRING, strings, {static_cast<int64_t>(texts.size())}), output = {};
    Status status(eyrie_call(instance_, 0, &input, 1, &output, 1, nullptr));
    if (status.ok()) EXPECT_EQ(Read(output).back(), texts.back() + texts.back());
    return status;
  }

 private:
  Session session_;
  eyrie_module_t* module_ = nullptr;
  eyrie_instance_t* instance_ = nullptr;
};

TEST(HostFunctions, TakeNoMoreMemoryThanTheCallMay) {
  LimitedCall call;
  EXPECT_STATUS(call({std::string(40000, 'x')}), EYRIE_RESOURCE_EXHAUSTED,
                "the strings that the call computes need 80048 bytes, limit 70000");
  Texts many;
  for (int i = 0; i < 2000; ++i) many.push_back(std::to_string(i));
  EXPECT_STATUS(call(many), EYRIE_RESOURCE_EXHAUSTED, "limit 70000");
}

TEST(HostFunctions, GiveBackTheMemoryOfOtherCalls) {
  LimitedCall call;
  for (int round = 0; round < 3; ++round) {
    EXPECT_OK(call({std::string(10000, 'x'), std::string(10000, 'y'), std::string(10000, 'z')}));
    EXPECT_OK(call({std::string(34000, 'x')}));
    EXPECT_OK(call({"x", std::string(33000, 'y'), std::string(500, 'z')}));
    EXPECT_STATUS(call({std::string(20000, 'x'), std::string(15000, 'y')}), EYRIE_RESOURCE_EXHAUSTED, "limit 70000");
  }
}

TEST(HostFunctions, StopWhenTheCallMust) {
  Session session(CallModule(kLower));
  const std::string text(100, 'X');
  std::vector<eyrie_string_t> strings(1000000, {text.data(), text.size()});
  eyrie_tensor_t input = TensorOf(EYRIE_STRING, strings, {1000000}), output = {};
  eyrie_call_options_t options = {};
  options.struct_size = sizeof(options);
  options.timeout_ns = 20000000;  // so long that the function has begun, on a busy machine too
  EXPECT_STATUS(Status(eyrie_call(session.instance, 0, &input, 1, &output, 1, &options)), EYRIE_DEADLINE_EXCEEDED,
                "text.lower: the call did not end in its time");
}

}  // namespace
}  // namespace eyrie::rt::testing
