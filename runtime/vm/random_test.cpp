// Random programs of every instruction but dispatches: with loops, lists, calls and waits they end with a result or an
// error, in time and with all memory given back, and come back from their text; damaged ones are refused or do the
// same. Best run under the address sanitizer.
#include <gtest/gtest.h>

#include <random>

#include "runtime/testing/round_trip.h"
#include "runtime/testing/sequences.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;

constexpr uint32_t kFunctions = 3;  // main, then two that take and give one value of each bank
constexpr uint32_t kBlocks = 6;
const std::vector<uint32_t> kSignature = {1, 1, 1, 1, 1, 1};

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  Module Make() {
    Module module;
    module.strings = {"given up"};
    module.weights.resize(256, 1);
    module.host_functions = {{"text.lower", {EYRIE_STRING, EYRIE_STRING}, {1, 1}, 1}};
    for (uint32_t i = 0; i < kFunctions; ++i) {
      module.functions.push_back(MakeFunction(i));
      module.source_map.words.push_back(words_);
      module.source_map.nodes.push_back(i + 1);
      module.source_map.names.push_back(module.functions.back().name);
      words_ += static_cast<uint32_t>(module.functions.back().code.size());
    }
    return module;
  }
  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }

 private:
  Function MakeFunction(uint32_t number) {
    Function f;
    f.name = "f" + std::to_string(number);
    is_main_ = number == 0;
    if (is_main_) {
      f.arguments = {{"x", EYRIE_F32, {-1, 3}}, AnySequence("s", EYRIE_F32)};
      f.results = {{"y", EYRIE_F32, {-1, -1}}, AnySequence("t", EYRIE_F32)};
    } else {
      f.internal = true;
      f.callee = kSignature;
    }
    // Most registers hold something that most instructions take.
    for (uint32_t i = 1; i < 8; ++i) f.Const(i, Below(4) ? Below(8) : 64u + Below(2000));
    if (Below(8)) f.Const(8, 4096);
    for (uint32_t i = is_main_ ? 0 : 1; i < 8; ++i)
      if (Below(16)) f.Op(VmOp::kBufBlock, {i, 8});
    if (is_main_ && Below(8)) f.Op(VmOp::kListArg, {0, 1}).Op(VmOp::kBufResult, {7, 0, 2, 0, 9});
    for (uint32_t i = 0; i < kBlocks; ++i) {
      if (i) f.Block();
      for (uint32_t left = Below(5); left; --left) AddInstruction(f);
      AddTerminator(f, i);
    }
    return f;
  }

  void AddInstruction(Function& f) {
    const abi::VmOpInfo* info = nullptr;
    do info = &abi::kVmOps[Below(std::size(abi::kVmOps))];
    while (abi::IsTerminator(info->op) || !IsPossible(*info));
    std::vector<uint32_t> words;
    for (const char* kind = info->operands; *kind; ++kind) AddOperand(*info, *kind, words);
    f.code.push_back(abi::MakeVmHeader(info->op, static_cast<uint32_t>(words.size()) + 1));
    f.code.insert(f.code.end(), words.begin(), words.end());
  }

  // Kernels trust what they are given; there are no states; only main has arguments and results.
  bool IsPossible(const abi::VmOpInfo& info) {
    // What mostly fails, rarely.
    bool is_hard = info.op == VmOp::kBufArena || info.op == VmOp::kBufResult || info.op == VmOp::kBufDrop ||
                   info.op == VmOp::kCopy || info.op == VmOp::kBufExtend || info.op == VmOp::kListResult ||
                   info.op == VmOp::kHostCall || (info.op >= VmOp::kDivS && info.op <= VmOp::kRemFloor);
    if ((info.op == VmOp::kAssert || is_hard) && Below(8)) return false;
    for (const char* kind = info.operands; *kind; ++kind)
      if (*kind == 'x' || *kind == 'g' || (!is_main_ && (*kind == 'a' || *kind == 'o'))) return false;
    return true;
  }

  void AddOperand(const abi::VmOpInfo& info, char kind, std::vector<uint32_t>& words) {
    auto list = [&](uint32_t count, uint32_t limit) {
      words.push_back(count);
      for (uint32_t i = 0; i < count; ++i) words.push_back(Below(limit));
    };
    bool is_list = info.op == VmOp::kListArg || info.op == VmOp::kListResult;
    switch (kind) {
      case 'b':
      case 'B':
        return words.push_back(Below(8));
      case 'l':
      case 'L':
        return words.push_back(Below(4));
      case 'a':
      case 'o':
        return words.push_back(is_list);
      case 't':
      case 'h':
        return words.push_back(0);
      case 'c':
        return words.push_back(1 + Below(kFunctions - 1));
      case 'e':
        return words.push_back(Below(4) ? EYRIE_F32 : EYRIE_I64);
      case 'i':
        return words.push_back(info.op == VmOp::kFill ? 1u << Below(4) : 1 + Below(info.op == VmOp::kArgDim ? 1 : 16));
      case 'I':
        words.push_back(Below(4) ? Below(300) : Below(~0u));
        return words.push_back(Below(16) ? 0 : Below(~0u));
      case 'S':
        return list(info.op == VmOp::kBufResult || info.op == VmOp::kHostCall ? 2 : Below(4), 16);
      case 'G':
        words.insert(words.end(), {2, Below(8), Below(16), Below(16), Below(8), Below(16), Below(16)});
        return;
      case 'P':
        words.push_back(Below(4));
        for (uint32_t left = words.back(); left; --left) {
          uint32_t first = Below(5);
          words.insert(words.end(), {Below(16), Below(16), first, first + Below(5)});
        }
        return;
      case 'R':
      case 'W':
        list(1, 16);
        list(1, 8);
        return list(1, 4);
      default:
        return words.push_back(Below(16));
    }
  }

  void AddTerminator(Function& f, uint32_t block) {
    if (block + 1 < kBlocks && Below(8)) {
      // Forward more often than back.
      uint32_t there = Below(4) ? block + 1 + Below(kBlocks - block - 1) : Below(kBlocks);
      if (Below(2))
        f.Op(VmOp::kBr, {there});
      else
        f.Op(VmOp::kCondBr, {Below(16), there, block + 1});
    } else if (Below(16) == 0) {
      f.Op(VmOp::kFail, {EYRIE_ABORTED, 0});
    } else if (is_main_) {
      f.Op(VmOp::kListResult, {1, Below(4)}).Op(VmOp::kReturn);
    } else {
      std::vector<uint32_t> words;
      AddOperand(*abi::FindVmOp(static_cast<uint32_t>(VmOp::kRet)), 'R', words);
      f.code.push_back(abi::MakeVmHeader(VmOp::kRet, static_cast<uint32_t>(words.size()) + 1));
      f.code.insert(f.code.end(), words.begin(), words.end());
    }
  }

  std::mt19937 random_;
  bool is_main_ = false;
  uint32_t words_ = 0;
};

// Loads the module and calls it twice; the code of the last call, or that of the loader with `loaded` false.
eyrie_code_t LoadAndCall(eyrie_runtime_t* runtime, const Module& description, bool* loaded) {
  std::vector<uint8_t> bytes = description.Build();
  eyrie_module_options_t limits = {};
  limits.struct_size = sizeof(limits);
  limits.max_arena_bytes = 1 << 20;
  eyrie_module_t* module = nullptr;
  Status status(eyrie_module_load_memory(runtime, bytes.data(), bytes.size(), &limits, &module));
  *loaded = status.ok();
  if (!*loaded) return status.code();
  uint64_t words = 0;
  EXPECT_OK(CheckRoundTrip(*module, &words));
  eyrie_instance_t* instance = nullptr;
  EXPECT_OK(Status(eyrie_instance_create(module, nullptr, &instance)));
  std::vector<float> x(6, 1);
  Floats s;
  s.Add({1, 2, 3}, {3});
  s.Add({4}, {1, 1});
  for (int round = 0; round < 2; ++round) {
    eyrie_tensor_t inputs[] = {F32(x, {2, 3}), s.Get()}, outputs[2] = {};
    eyrie_call_options_t options = {sizeof(options), 2000000};
    status = Status(eyrie_call(instance, 0, inputs, 2, outputs, 2, &options));
  }
  eyrie_instance_destroy(instance);
  eyrie_module_destroy(module);
  return status.code();
}

TEST(RandomPrograms, EndWithAResultOrAnError) {
  eyrie_runtime_t* runtime = nullptr;
  ASSERT_OK(Status(eyrie_runtime_create(nullptr, &runtime)));
  eyrie_runtime_stats_t before, after;
  eyrie_runtime_get_stats(runtime, &before);
  uint32_t well = 0;
  for (uint32_t seed = 0; seed < 1500; ++seed) {
    bool loaded = false;
    eyrie_code_t code = LoadAndCall(runtime, Generator(seed).Make(), &loaded);
    ASSERT_TRUE(loaded) << "seed " << seed;
    well += code == EYRIE_OK;
  }
  EXPECT_GT(well, 50u);  // not all end at once
  eyrie_runtime_get_stats(runtime, &after);
  EXPECT_EQ(before.bytes, after.bytes);
  eyrie_runtime_destroy(runtime);
}

TEST(RandomPrograms, DamagedOnesAreRefusedOrRun) {
  eyrie_runtime_t* runtime = nullptr;
  ASSERT_OK(Status(eyrie_runtime_create(nullptr, &runtime)));
  eyrie_runtime_stats_t before, after;
  eyrie_runtime_get_stats(runtime, &before);
  uint32_t refused = 0, accepted = 0;
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    Generator generator(seed % 500);
    Module module = generator.Make();
    std::mt19937 random(seed);
    for (uint32_t left = 1 + random() % 3; left; --left) {
      std::vector<uint32_t>& code = module.functions[random() % kFunctions].code;
      uint32_t& word = code[random() % code.size()];
      word = random() % 2 ? word ^ 1u << random() % 32 : static_cast<uint32_t>(random() % 20);
    }
    bool loaded = false;
    LoadAndCall(runtime, module, &loaded);
    (loaded ? accepted : refused) += 1;
  }
  EXPECT_GT(refused, 300u);
  EXPECT_GT(accepted, 300u);
  eyrie_runtime_get_stats(runtime, &after);
  EXPECT_EQ(before.bytes, after.bytes);
  eyrie_runtime_destroy(runtime);
}

}  // namespace
}  // namespace eyrie::rt::testing
