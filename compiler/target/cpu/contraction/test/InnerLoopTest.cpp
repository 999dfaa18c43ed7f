// The innermost loop of a large product, instruction by instruction: a whole register tile of products, the loads that
// it needs, and nothing that goes to the stack. This is what can be said of speed on processors that we do not have.
#include "compiler/target/cpu/CpuTargetModel.h"
#include "compiler/target/cpu/contraction/test/Cases.h"
#include "compiler/target/test/Harness.h"
#include "llvm-c/Disassembler.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/Regex.h"
#include "llvm/Support/TargetSelect.h"
#include <gtest/gtest.h>

using namespace eyrie::target;
using namespace eyrie::target::cpu::test;
using namespace eyrie::target::test;

namespace {
struct Instruction {
  uint64_t address, size;
  std::string text; // "vfmacc.vf v8, fa0, v4"
};

/// The code of an object, as assembly.
std::vector<Instruction> disassemble(const std::string &object, const cpu::CpuTargetModel &model) {
  llvm::InitializeAllDisassemblers();
  std::vector<Instruction> instructions;
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "kernel"));
  EXPECT_TRUE(bool(file)) << llvm::toString(file.takeError());
  LLVMDisasmContextRef context =
      LLVMCreateDisasmCPUFeatures(model.triple.c_str(), "", model.features.c_str(), nullptr, 0, nullptr, nullptr);
  for (const llvm::object::SectionRef &section : (*file)->sections()) {
    if (!section.isText())
      continue;
    llvm::StringRef code = llvm::cantFail(section.getContents());
    for (uint64_t at = 0; at < code.size();) {
      char text[256];
      auto *bytes = reinterpret_cast<uint8_t *>(const_cast<char *>(code.data())) + at;
      size_t size =
          LLVMDisasmInstruction(context, bytes, code.size() - at, section.getAddress() + at, text, sizeof(text));
      size_t step = size ? size : 1; // padding
      std::string plain = llvm::StringRef(size ? text : "").trim().str();
      std::replace(plain.begin(), plain.end(), '\t', ' ');
      instructions.push_back({section.getAddress() + at, step, plain});
      at += step;
    }
  }
  LLVMDisasmDispose(context);
  return instructions;
}

/// Instructions of the innermost loop that has the most products.
std::vector<std::string> hottestLoop(const std::vector<Instruction> &code, const std::string &product, bool isX86) {
  llvm::Regex isProduct(product), isBranch("^(j|b|cb|tb)[a-z.]*(.*,)? #?(-[0-9]+|-0x[0-9a-f]+)$");
  std::vector<std::string> hottest;
  int64_t most = 0;
  size_t lastLoopStart = 0;
  for (size_t i = 0; i < code.size(); ++i) {
    llvm::SmallVector<llvm::StringRef> parts;
    int64_t distance;
    if (!isBranch.match(code[i].text, &parts) || parts[3].getAsInteger(0, distance))
      continue;
    // On x86 distances count from the next instruction.
    uint64_t target = code[i].address + distance + (isX86 ? code[i].size : 0);
    size_t first = i;
    while (first > 0 && code[first].address > target)
      --first;
    if (first <= lastLoopStart && lastLoopStart)
      continue; // a loop around the last one
    lastLoopStart = first;
    int64_t products = std::count_if(code.begin() + first, code.begin() + i,
                                     [&](const Instruction &one) { return isProduct.match(one.text); });
    if (products <= most)
      continue;
    most = products;
    hottest.clear();
    for (size_t k = first; k <= i; ++k)
      hottest.push_back(code[k].text);
  }
  return hottest;
}

struct Expected {
  const char *cpu;
  const char *product, *load, *stack; // regular expressions
  int64_t products, mostLoads, mostOthers;
};
// Two steps of the reduction: twice rows * vectors products, and loads of rows + vectors operands.
const Expected expectations[] = {
    {"x86-64-v3", "^vfmadd.*%", "^vmov|^vbroadcast", "%rsp", 2 * 6 * 2, 2 * (6 + 2), 4},
    {"x86-64-v4", "^vfmadd.*%", "^vmov|^vbroadcast", "%rsp", 2 * 14 * 2, 2 * (14 + 2), 4},
    {"aarch64", "^fmla ", "^ld", "sp", 2 * 6 * 4, 2 * (6 + 4), 12},
    {"rv64gcv", "^vfm(acc|add)", "^fl|^vle", "sp", 2 * 7, 2 * (7 + 1), 12},
    {"rv64gcv_zvl256b", "^vfm(acc|add)", "^fl|^vle", "sp", 2 * 7, 2 * (7 + 1), 12},
};

class InnerLoopTest : public testing::TestWithParam<Expected> {};

TEST_P(InnerLoopTest, HasNothingButProductsAndLoads) {
  const Expected &expected = GetParam();
  TargetOptions options;
  options.cpu = expected.cpu;
  std::string error;
  std::vector<Case> cases = benchmarkCases();
  auto product = llvm::find_if(
      cases, [](const Case &c) { return llvm::StringRef(c.name).starts_with("matmul 512x512x512 packed f32"); });
  ASSERT_NE(product, cases.end());
  auto program = Program::compileForAnother(executableText(*product, options), options, error);
  ASSERT_TRUE(program) << error;
  auto model = cpu::getCpuTargetModel(expected.cpu, error);
  auto loop = hottestLoop(disassemble(program->kernels[0]->object, model), expected.product, model.arch == "x86_64");
  auto count = [&](const char *pattern) {
    llvm::Regex regex(pattern);
    return std::count_if(loop.begin(), loop.end(), [&](const std::string &text) { return regex.match(text); });
  };
  int64_t products = count(expected.product), loads = count(expected.load), prefetches = count("^prefetch|^prfm");
  EXPECT_EQ(products, expected.products);
  EXPECT_LE(loads, expected.mostLoads);
  EXPECT_LE(prefetches, 1); // of the next panel
  EXPECT_LE(int64_t(loop.size()) - products - loads - prefetches, expected.mostOthers);
  EXPECT_EQ(count(expected.stack), 0);
  if (HasFailure())
    for (const std::string &text : loop)
      printf("  %s\n", text.c_str());
}

INSTANTIATE_TEST_SUITE_P(Cpus, InnerLoopTest, testing::ValuesIn(expectations), [](const auto &info) {
  std::string name = info.param.cpu;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Tiles, StayInTheirRegisters) {
  const std::pair<const char *, const char *> expected[] = {{"bytes 32x64x2560 us packed", "tdpbusd"},
                                                            {"bytes 32x64x2560 ss packed", "tdpbssd"},
                                                            {"bf16 32x64x1280 packed", "tdpbf16ps"}};
  for (auto [name, product] : expected) {
    SCOPED_TRACE(name);
    TargetOptions options;
    options.cpu = "x86-64-v4,+avx512vnni,+avx512bf16,+amx-tile,+amx-int8,+amx-bf16";
    std::vector<Case> cases = tileCases();
    auto tile = llvm::find_if(cases, [&](const Case &c) { return c.name == name; });
    ASSERT_NE(tile, cases.end());
    std::string error;
    auto program = Program::compileForAnother(executableText(*tile, options), options, error);
    ASSERT_TRUE(program) << error;
    auto loop = hottestLoop(disassemble(program->kernels[0]->object, cpu::getCpuTargetModel(options.cpu, error)),
                            product, true);
    auto count = [&](llvm::StringRef what) {
      return llvm::count_if(loop, [&](const std::string &text) { return llvm::StringRef(text).contains(what); });
    };
    EXPECT_EQ(count(product), 4);
    EXPECT_EQ(count("tileloadd"), 4);
    EXPECT_EQ(count("tilestored"), 0);
    EXPECT_LE(loop.size(), 24u);
  }
}

TEST(NarrowProducts, UseTheInstructionsOfTheProcessor) {
  auto count = [](const std::string &processor, const std::string &signs, const std::string &name,
                  int64_t largest = 128) {
    TargetOptions options;
    options.cpu = processor;
    bool isBf16 = signs.empty();
    std::vector<Case> cases = isBf16 ? bf16Cases() : byteCases();
    std::string wanted = isBf16 ? "bf16 14x64x64 packed" : "bytes 14x64x64 " + signs + " packed";
    auto tile = llvm::find_if(cases, [&](const Case &c) { return c.name == wanted; });
    if (tile == cases.end())
      return 0u;
    std::string error;
    auto program =
        Program::compileForAnother(executableText(withLargestWeight(*tile, largest), options), options, error);
    EXPECT_TRUE(program) << error;
    if (!program)
      return 0u;
    auto loop =
        hottestLoop(disassemble(program->kernels[0]->object, cpu::getCpuTargetModel(processor, error)), name, true);
    return unsigned(
        llvm::count_if(loop, [&](const std::string &text) { return llvm::StringRef(text).contains(name); }));
  };
  // 14 rows of two vectors, twice unrolled; with sums of columns beside 13 or fewer.
  EXPECT_GE(count("x86-64-v4,+avx512vnni", "us", "vpdpbusd"), 28u);
  EXPECT_GE(count("x86-64-v4,+avx512vnni", "su", "vpdpbusd"), 28u);
  EXPECT_GE(count("x86-64-v4,+avx512vnni", "ss", "vpdpbusd"), 16u);
  EXPECT_GE(count("x86-64-v3,+avxvnni", "us", "vpdpbusd"), 8u);
  EXPECT_GE(count("x86-64-v4", "us", "vpmaddwd"), 28u);
  EXPECT_GE(count("x86-64-v3", "ss", "vpmaddwd"), 8u);
  EXPECT_GE(count("x86-64", "uu", "pmaddwd"), 4u);
  EXPECT_EQ(count("x86-64-v3", "us", "vpmaddubsw"), 0u); // it saturates
  EXPECT_GE(count("x86-64-v3", "us", "vpmaddubsw", 64), 8u);
  EXPECT_EQ(count("x86-64-v3", "us", "vpmaddubsw", 65), 0u);
  EXPECT_GE(count("x86-64-v4,+avx512bf16", "", "vdpbf16ps"), 28u);
  EXPECT_EQ(count("x86-64-v4,+avx512bf16,+avx512fp16", "", "vdpbf16ps"), 0u); // slower than multiply-adds there
}
} // namespace
