// Damaged and hostile modules: an error or a right answer, never a crash. Best run under the address sanitizer.
#include <gtest/gtest.h>

#include <cstring>

#include "runtime/testing/failing.h"
#include "runtime/testing/session.h"
#include "runtime/testing/states.h"
#include "runtime/testing/variants.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;
using Bytes = std::vector<uint8_t>;

class Hostile : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Status(eyrie_runtime_create(nullptr, &runtime)));
    good = AddScaleModule().Build();
  }
  void TearDown() override {
    Session session(runtime, good);
    session.ExpectGoodCall();
    session.owns_runtime = true;
  }
  Status Load(const Bytes& bytes, eyrie_module_t** module, const eyrie_module_options_t* options = nullptr) {
    // On the heap, exactly as long as the file, so that the sanitizer sees every step beyond.
    return Status(eyrie_module_load_memory(runtime, bytes.data(), bytes.size(), options, module));
  }
  // Loads and, if that works, calls. `run` says whether native code may be called.
  Status LoadAndCall(const Bytes& bytes, bool run, bool* right = nullptr) {
    eyrie_module_t* module = nullptr;
    Status status = Load(bytes, &module);
    if (!status.ok()) return status;
    eyrie_instance_t* instance = nullptr;
    if (run) status = Status(eyrie_instance_create(module, nullptr, &instance));
    eyrie_function_info_t info;
    if (run && status.ok() && Status(eyrie_module_function(module, 0, &info)).ok()) {
      std::vector<float> a(8, 1), b(8, 2);
      eyrie_tensor_t inputs[2] = {F32(a, {1, 8}), F32(b, {1, 8})}, output = {};
      eyrie_call_options_t options = {sizeof(options), 50000000};
      status = Status(eyrie_call(instance, 0, inputs, 2, &output, 1, &options));
      if (right) *right = status.ok() && output.rank == 2 && static_cast<float*>(output.data)[7] == 24.0f;
    }
    eyrie_instance_destroy(instance);
    eyrie_module_destroy(module);
    return status;
  }

  eyrie_runtime_t* runtime = nullptr;
  Bytes good;
};

abi::SectionEntry SectionAt(const Bytes& bytes, uint32_t index) {
  abi::SectionEntry entry;
  memcpy(&entry, bytes.data() + 64 + index * sizeof(entry), sizeof(entry));
  return entry;
}

void SetSection(Bytes& bytes, uint32_t index, const abi::SectionEntry& entry) {
  memcpy(bytes.data() + 64 + index * sizeof(entry), &entry, sizeof(entry));
}

// y = x with s put before its first element, z = s
Module StringSequenceModule() {
  Module module;
  module.texts = {"cat", "dog", "bird"};
  Function f;
  f.arguments = {{"x", EYRIE_STRING, {}, 1, true}, {"s", EYRIE_STRING, {-1}}};
  f.results = {{"y", EYRIE_STRING, {}, 1, true}, {"z", EYRIE_STRING, {-1}}};
  f.Op(VmOp::kArgDim, {0, 1, 0}).Const(8, 8).Op(VmOp::kMul, {1, 0, 8}).Op(VmOp::kBufArg, {0, 1});
  f.Op(VmOp::kBufBlock, {1, 1}).Op(VmOp::kCopy, {0, 2, 1, 2, 1}).Op(VmOp::kBufResult, {2, 1, 1, 0});
  f.Op(VmOp::kCopy, {0, 2, 2, 2, 1}).Op(VmOp::kListArg, {0, 0});
  f.Op(VmOp::kListInsert, {0, 0, 2, EYRIE_STRING, 1, 2, 1, 0}).Op(VmOp::kListResult, {0, 0});
  f.Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
  module.functions = {f};
  return module;
}

TEST_F(Hostile, SourceMaps) {
  struct Case {
    SourceMap map;
    const char* text;
  };
  const Case cases[] = {
      {{{"n"}, {0, 4, 9}, {1, 0}}, "3 words with 2 nodes"},
      {{{"n"}, {0}, {}}, "1 words with 0 nodes"},
      {{{"n"}, {0, 100000}, {1, 0}}, "entry 1 is for word 100000, of"},
      {{{"n"}, {0, 0xffffffff}, {1, 0}}, "entry 1 is for word 4294967295, of"},
      {{{"n"}, {4, 4}, {1, 0}}, "entry 1 is for word 4, behind word 4"},
      {{{"n"}, {4, 3}, {1, 0}}, "entry 1 is for word 3, behind word 4"},
      {{{"n"}, {0, 4}, {1, 2}}, "entry 1 has node 2, of 1"},
      {{{}, {0}, {0xffffffff}}, "entry 0 has node 4294967295, of 0"},
  };
  for (const Case& bad : cases) {
    Module module = AddScaleModule();
    module.source_map = bad.map;
    EXPECT_STATUS(LoadAndCall(module.Build(), false), EYRIE_INVALID_ARGUMENT, bad.text);
  }
  Module module = AddScaleModule();
  module.source_map = {{"n", "m"}, {0, 4, 9}, {2, 1, 0}};
  EXPECT_OK(LoadAndCall(module.Build(), true));
}

TEST_F(Hostile, EveryTruncation) {
  for (size_t size = 0; size < good.size(); ++size) {
    Bytes cut(good.begin(), good.begin() + size);
    Status status = LoadAndCall(cut, true);
    ASSERT_FALSE(status.ok()) << size;
    ASSERT_TRUE(status.code() == EYRIE_DATA_LOSS || size < 8) << size << ": " << status.message();
  }
}

TEST_F(Hostile, EveryBitFlip) {
  // All bits of what is small; the object and the padding before the weights in steps of a prime.
  size_t dense = SectionAt(good, 2).offset;
  for (size_t bit = 0; bit < good.size() * 8; bit += bit < dense * 8 ? 1 : 61) {
    Bytes bad = good;
    bad[bit / 8] ^= 1u << bit % 8;
    bool right = false;
    Status status = LoadAndCall(bad, true, &right);
    ASSERT_TRUE(!status.ok() || right) << "bit " << bit;
  }
}

TEST_F(Hostile, AppendedBytes) {
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_STATUS(LoadAndCall(longer, true), EYRIE_DATA_LOSS, "longer");
  Bytes twice = good;
  twice.insert(twice.end(), good.begin(), good.end());
  EXPECT_STATUS(LoadAndCall(twice, true), EYRIE_DATA_LOSS, "longer");
}

TEST_F(Hostile, RandomBytes) {
  uint32_t state = 1;
  for (int round = 0; round < 300; ++round) {
    Bytes bytes(16 + round * 3);
    for (uint8_t& byte : bytes) byte = (state = state * 1664525 + 1013904223) >> 24;
    if (round % 3) memcpy(bytes.data(), good.data(), std::min<size_t>(round, bytes.size() - 1));
    EXPECT_FALSE(LoadAndCall(bytes, true).ok());
  }
}

// With right checksums the later checks are reached. Native code is not run: it is as trusted as a shared library.
TEST_F(Hostile, ResealedMetadataAndBytecode) {
  bool has_misaligned = false;
  auto load = [&](Bytes& bad) {
    Reseal(bad);
    Status status = LoadAndCall(bad, false);
    has_misaligned |= strstr(status.message(), "its dimensions are not aligned") != nullptr;
  };
  for (const Bytes& original :
       {good, StringSequenceModule().Build(), CacheModule().Build(), VariantsModule().Build()}) {
    for (uint32_t section : {0u, 1u}) {
      abi::SectionEntry entry = SectionAt(original, section);
      for (size_t bit = 0; bit < entry.size * 8; ++bit) {
        Bytes bad = original;
        bad[entry.offset + bit / 8] ^= 1u << bit % 8;
        load(bad);
      }
      for (size_t at = 0; at + 4 <= entry.size; at += 4) {
        for (uint32_t word : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffffffu, 0xffffu}) {
          Bytes bad = original;
          memcpy(&bad[entry.offset + at], &word, 4);
          load(bad);
        }
      }
    }
  }
  EXPECT_TRUE(has_misaligned);
}

TEST_F(Hostile, ResealedObject) {
  abi::SectionEntry entry = SectionAt(good, 2);
  uint32_t state = 7;
  for (int round = 0; round < 6000; ++round) {
    Bytes bad = good;
    state = state * 1664525 + 1013904223;
    // Mostly headers and tables, which are at the beginning.
    size_t at = round < 3000 ? (state >> 8) % std::min<size_t>(entry.size - 8, 1024) : (state >> 8) % (entry.size - 8);
    const uint64_t values[] = {0, 1, 4096, uint64_t{1} << 40, uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} << 12};
    uint64_t value = values[state >> 4 & 7 ? (state >> 4 & 7) - 1 : 0];
    memcpy(&bad[entry.offset + at / 8 * 8], &value, round & 1 ? 8 : 4);
    Reseal(bad);
    (void)LoadAndCall(bad, false);
  }
}

TEST_F(Hostile, SectionTable) {
  auto expect = [&](auto change, eyrie_code_t code, const char* text) {
    Bytes bad = good;
    abi::SectionEntry entry = SectionAt(bad, 1);
    change(entry);
    SetSection(bad, 1, entry);
    Reseal(bad);
    EXPECT_STATUS(LoadAndCall(bad, true), code, text);
  };
  using Entry = abi::SectionEntry;
  expect([](Entry& e) { e.offset -= 64; }, EYRIE_INVALID_ARGUMENT, "overlaps");
  expect([](Entry& e) { e.offset = ~uint64_t{0} & ~uint64_t{63}; }, EYRIE_INVALID_ARGUMENT, "do not lie in the file");
  expect([](Entry& e) { e.size = ~uint64_t{0}; }, EYRIE_INVALID_ARGUMENT, "do not lie in the file");
  expect([](Entry& e) { e.alignment = 3; }, EYRIE_INVALID_ARGUMENT, "power of two");
  expect([](Entry& e) { e.alignment = 0; }, EYRIE_INVALID_ARGUMENT, "power of two");
  expect([](Entry& e) { e.offset += 4; }, EYRIE_INVALID_ARGUMENT, "not aligned");
  expect([](Entry& e) { e.kind = 1; }, EYRIE_INVALID_ARGUMENT, "there twice");
  expect([](Entry& e) { e.kind = 77; }, EYRIE_INCOMPATIBLE, "section 77");
  expect([](Entry& e) { e.flags = abi::kSectionUnchecked; }, EYRIE_INVALID_ARGUMENT, "only weights");
  expect([](Entry& e) { e.size = 0; }, EYRIE_INVALID_ARGUMENT, "gap");
}

TEST_F(Hostile, Header) {
  auto expect = [&](auto change, eyrie_code_t code, const char* text) {
    Bytes bad = good;
    abi::FileHeader header;
    memcpy(&header, bad.data(), sizeof(header));
    change(header);
    memcpy(bad.data(), &header, sizeof(header));
    Reseal(bad);
    EXPECT_STATUS(LoadAndCall(bad, true), code, text);
  };
  using Header = abi::FileHeader;
  expect([](Header& h) { h.format_major = 2; }, EYRIE_INCOMPATIBLE, "version 2.0, this runtime reads 1.x");
  expect([](Header& h) { h.format_major = 0; }, EYRIE_INCOMPATIBLE, "compile the model again");
  expect([](Header& h) { h.required_features = 4; }, EYRIE_INCOMPATIBLE, "needs features 0x4");
  expect([](Header& h) { h.byte_order_mark = 0x04030201; }, EYRIE_INCOMPATIBLE, "byte order");
  expect([](Header& h) { h.section_count = ~0u; }, EYRIE_INVALID_ARGUMENT, "sections");
  expect([](Header& h) { h.section_table_offset = 128; }, EYRIE_INVALID_ARGUMENT, "section table");
  expect([](Header& h) { h.file_size += 1; }, EYRIE_DATA_LOSS, "cut off");
  expect([](Header& h) { h.magic[0] = 'e'; }, EYRIE_INVALID_ARGUMENT, "not a module");
  Bytes newer = good;
  newer[10] = 9;  // the minor version
  Reseal(newer);
  EXPECT_OK(LoadAndCall(newer, true));
}

TEST_F(Hostile, UnknownOptionalSectionIsIgnored) {
  Module module = AddScaleModule();
  module.extra_sections.push_back({77, abi::kSectionOptional, {1, 2, 3}, 16});
  EXPECT_OK(LoadAndCall(module.Build(), true));
  module.extra_sections[0].flags = 0;
  EXPECT_STATUS(LoadAndCall(module.Build(), true), EYRIE_INCOMPATIBLE, "unknown to this runtime");
}

TEST_F(Hostile, DamagedWeights) {
  Bytes bad = good;
  bad.back() ^= 1;
  eyrie_module_t* module = nullptr;
  eyrie_module_options_t options = {sizeof(options), EYRIE_VERIFY_FULL, 0, 0, nullptr, 0, nullptr};
  EXPECT_STATUS(Load(bad, &module, &options), EYRIE_DATA_LOSS, "'weights' is damaged");
  EXPECT_STATUS(LoadAndCall(bad, true), EYRIE_DATA_LOSS, "'weights' is damaged");  // before the first call
  options.verify = EYRIE_VERIFY_OFF;
  EXPECT_OK(Load(bad, &module, &options));
  EXPECT_STATUS(Status(eyrie_module_verify(module)), EYRIE_DATA_LOSS, "'weights' is damaged");
  eyrie_module_destroy(module);
}

TEST_F(Hostile, ForeignExecutables) {
  Module module = AddScaleModule();
  module.executables[0].format = "elf-m68k";
  EXPECT_STATUS(LoadAndCall(module.Build(), true), EYRIE_INCOMPATIBLE, "elf-m68k");
  module = AddScaleModule();
  module.executables[0].features = uint64_t{1} << 63;
  EXPECT_STATUS(LoadAndCall(module.Build(), true), EYRIE_INCOMPATIBLE, "this processor lacks");
  module = AddScaleModule();
  module.executables[0].exports[0].symbol = "nobody";
  EXPECT_STATUS(LoadAndCall(module.Build(), true), EYRIE_INVALID_ARGUMENT, "no function 'nobody'");
  module = AddScaleModule();
  module.executables[0].exports[0].local_memory = ~0u;
  EXPECT_STATUS(LoadAndCall(module.Build(), true), EYRIE_RESOURCE_EXHAUSTED, "local memory");
  // To look at, it loads.
  module = AddScaleModule();
  module.executables[0].format = "elf-m68k";
  Bytes bytes = module.Build();
  eyrie_module_options_t options = {sizeof(options), EYRIE_VERIFY_LAZY, 1, 0, nullptr, 0, nullptr};
  eyrie_module_t* loaded = nullptr;
  EXPECT_OK(Load(bytes, &loaded, &options));
  eyrie_instance_t* instance;
  EXPECT_STATUS(Status(eyrie_instance_create(loaded, nullptr, &instance)), EYRIE_FAILED_PRECONDITION, "looked at");
  eyrie_module_destroy(loaded);
}

TEST_F(Hostile, Variants) {
  auto expect = [&](auto change, eyrie_code_t code, const char* text) {
    Module module = VariantsModule();
    change(module.executables[0].variants[1]);
    EXPECT_STATUS(LoadAndCall(module.Build(), false), code, text);
  };
  expect([](Variant& v) { v.object.clear(); }, EYRIE_INVALID_ARGUMENT, "variant 1: its object does not lie in");
  expect([](Variant& v) { v.shift = 1 << 20; }, EYRIE_INVALID_ARGUMENT, "variant 1: its object does not lie in");
  // Its end would be before its begin.
  expect([](Variant& v) { v.shift = ~uint64_t{0} - 191; }, EYRIE_INVALID_ARGUMENT, "its object does not lie in");
  expect([](Variant& v) { v.object.pop_back(), v.shift = 1; }, EYRIE_INVALID_ARGUMENT, "its object is not aligned");
  expect([](Variant& v) { v.local_memory.pop_back(); }, EYRIE_INVALID_ARGUMENT, "local memory of 4 exports, of 5");
  expect([](Variant& v) { v.local_memory[4] = ~0u; }, EYRIE_RESOURCE_EXHAUSTED, "4294967295 bytes of local memory");
  Module module = VariantsModule();
  std::vector<Variant>& variants = module.executables[0].variants;
  variants.resize(65, variants[0]);
  EXPECT_STATUS(LoadAndCall(module.Build(), false), EYRIE_RESOURCE_EXHAUSTED, "65 variants, limit 64");
  variants.resize(64);
  EXPECT_OK(LoadAndCall(module.Build(), true));
  // An empty list is as good as none.
  module = AddScaleModule();
  EXPECT_OK(LoadAndCall(module.Build(), true));
  // An export that is not there.
  module = AddScaleModule();
  module.functions[0].code.clear();
  module.functions[0].Op(VmOp::kVariant, {0, 5}).Op(VmOp::kReturn);
  EXPECT_STATUS(LoadAndCall(module.Build(), false), EYRIE_INVALID_ARGUMENT, "export 5, limit 5");
}

TEST_F(Hostile, ManyFunctions) {
  for (size_t count : {65535u, 65536u, 70000u}) {
    Module module;
    Function f;
    f.Op(VmOp::kReturn);
    module.functions.assign(count, f);
    eyrie_module_t* loaded = nullptr;
    Bytes bytes = module.Build();
    Status status = Load(bytes, &loaded);
    if (count > 65536)
      EXPECT_STATUS(std::move(status), EYRIE_RESOURCE_EXHAUSTED, "functions");
    else
      EXPECT_OK(std::move(status));
    eyrie_module_destroy(loaded);
  }
}

TEST_F(Hostile, KindsOfValues) {
  auto expect = [&](Value value, const char* text) {
    Module module;
    module.symbols = {"n"};
    Function f;
    f.results = {value};
    f.Op(VmOp::kReturn);
    module.functions = {f};
    EXPECT_STATUS(LoadAndCall(module.Build(), true), EYRIE_INVALID_ARGUMENT, text);
  };
  expect({"y", EYRIE_F32, {}, 4, false}, "unknown kind 4");
  expect({"y", EYRIE_F32, {}, 0, true}, "only a list without dimensions");
  expect({"y", EYRIE_F32, {3}, 1, true}, "only a list without dimensions");
  expect({"y", EYRIE_F32, {Dim::Symbol(0)}, 1, false}, "dimension 0 of a list's elements has a symbol");
  expect({"y", EYRIE_F32, {Dim::Symbol(0)}, 2, false}, "dimension 0 of a list's elements has a symbol");
  Module module = AddScaleModule();
  module.functions[0].list_registers = 65537;
  EXPECT_STATUS(LoadAndCall(module.Build(), true), EYRIE_RESOURCE_EXHAUSTED, "65537 registers");
}

TEST_F(Hostile, ArenaLimit) {
  for (int64_t size : {int64_t{-1}, INT64_MAX, INT64_MIN, int64_t{1} << 41}) {
    Module module = AddScaleModule();
    module.functions[0].code.clear();
    module.functions[0].Const(0, size).Op(VmOp::kBufArena, {0, 0}).Op(VmOp::kReturn);
    EXPECT_STATUS(LoadAndCall(module.Build(), true), EYRIE_RESOURCE_EXHAUSTED, "transient memory");
  }
}

TEST_F(Hostile, NotFiles) {
  eyrie_module_t* module = nullptr;
  auto load = [&](const char* path) { return Status(eyrie_module_load_file(runtime, path, nullptr, &module)); };
  EXPECT_STATUS(load("/"), EYRIE_INVALID_ARGUMENT, "is a directory");
  EXPECT_STATUS(load("/dev/zero"), EYRIE_INVALID_ARGUMENT, "a device");
  EXPECT_STATUS(load("/dev/null"), EYRIE_INVALID_ARGUMENT, "a device");
  EXPECT_STATUS(load("/no/such/file"), EYRIE_NOT_FOUND, "cannot open");
  EXPECT_STATUS(load(""), EYRIE_INVALID_ARGUMENT, "no file name");
  EXPECT_STATUS(load(nullptr), EYRIE_INVALID_ARGUMENT, "no file name");
}

// ---- Memory that runs out

// Loads and calls with one allocation failing, or all from one on; for every allocation.
void FailEveryAllocation(const Module& description, const std::vector<eyrie_tensor_t>& inputs, size_t output_count) {
  Bytes bytes = description.Build();
  for (bool once : {false, true}) {
    for (uint32_t threads : {0u, 3u}) {
      for (int64_t allowed = 0;; ++allowed) {
        ASSERT_LT(allowed, 1000);
        Failing failing = {allowed, once};
        eyrie_runtime_options_t options = {};
        options.struct_size = sizeof(options);
        options.threads = threads;
        options.allocator = failing.allocator();
        eyrie_runtime_t* runtime = nullptr;
        eyrie_module_t* module = nullptr;
        eyrie_instance_t* instance = nullptr;
        std::vector<eyrie_tensor_t> outputs(output_count);
        auto call = [&] {
          return Status(eyrie_call(instance, 0, inputs.data(), inputs.size(), outputs.data(), outputs.size(), nullptr));
        };
        Status status(eyrie_runtime_create(&options, &runtime));
        if (status.ok())
          status = Status(eyrie_module_load_memory(runtime, bytes.data(), bytes.size(), nullptr, &module));
        if (status.ok()) status = Status(eyrie_instance_create(module, nullptr, &instance));
        if (status.ok()) status = call();
        if (!status.ok()) {
          EXPECT_EQ(status.code(), EYRIE_RESOURCE_EXHAUSTED) << status.message();
          for (const eyrie_tensor_t& output : outputs) EXPECT_EQ(output.data, nullptr);
          if (instance) {  // the same instance works when there is memory again
            failing.left = 1000000;
            failing.once = false;
            EXPECT_OK(call());
          }
        }
        bool done = failing.left > 0 && status.ok();
        eyrie_instance_destroy(instance);
        eyrie_module_destroy(module);
        eyrie_runtime_destroy(runtime);
        if (done) break;
      }
    }
  }
}

TEST(Memory, EveryAllocationMayFail) {
  std::vector<float> a(8 * 100, 1), b(8 * 100, 2);
  FailEveryAllocation(AddScaleModule(), {F32(a, {100, 8}), F32(b, {100, 8})}, 1);
}

TEST(Memory, EveryAllocationOfStatesMayFail) {
  std::vector<float> x(2 * 100, 1);
  FailEveryAllocation(CacheModule(), {F32(x, {100, 2})}, 1);
}

TEST(Memory, EveryAllocationOfStringsAndSequencesMayFail) {
  std::vector<eyrie_string_t> s, element = {{"dog", 3}};
  for (int i = 0; i < 40; ++i) s.push_back({"0123456789012345678901234567890123456789", static_cast<size_t>(i)});
  std::vector<eyrie_tensor_t> elements(9, TensorOf(EYRIE_STRING, element, {1}));
  FailEveryAllocation(StringSequenceModule(), {SequenceOf(elements), TensorOf(EYRIE_STRING, s, {40})}, 2);
}

}  // namespace
}  // namespace eyrie::rt::testing
