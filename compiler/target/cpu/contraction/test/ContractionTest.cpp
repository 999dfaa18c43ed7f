// Contractions of odd shapes for several processors, against the reference target.
#include "compiler/target/cpu/LowerKernel.h"
#include "compiler/target/cpu/contraction/test/AmxModel.h"
#include "compiler/target/cpu/contraction/test/Cases.h"
#include "compiler/target/test/Emulator.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>
#include <random>

using namespace eyrie::target;
using namespace eyrie::target::cpu::test;
using namespace eyrie::target::test;

namespace {

/// Small multiples of 1/8, whose products and short sums every type holds exactly; bytes of all sizes, the largest more
/// often than chance has it.
void fill(const BindingType &type, uint8_t *bytes, std::mt19937 &random, int64_t largestByte = 128) {
  size_t size = type.elementBytes();
  for (size_t i = 0; i < type.elements(); ++i) {
    int64_t number = int64_t(random() % 17) - 8;
    if (type.element.isInteger(8)) {
      const int64_t extremes[] = {-128, 127, -1, 0};
      number = random() % 3 ? int64_t(random() % 256) : extremes[random() % 4];
      number = std::clamp(int64_t(int8_t(number)), -largestByte, largestByte);
    }
    if (auto floatType = llvm::dyn_cast<mlir::FloatType>(type.element)) {
      llvm::APFloat value(double(number) / 8);
      bool lossy;
      value.convert(floatType.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &lossy);
      number = value.bitcastToAPInt().getZExtValue();
    }
    std::memcpy(bytes + i * size, &number, size);
  }
}

double read(const BindingType &type, const uint8_t *bytes) {
  uint64_t raw = 0;
  std::memcpy(&raw, bytes, type.elementBytes());
  if (auto floatType = llvm::dyn_cast<mlir::FloatType>(type.element))
    return llvm::APFloat(floatType.getFloatSemantics(), llvm::APInt(floatType.getWidth(), raw)).convertToDouble();
  return double(llvm::SignExtend64(raw, type.elementBytes() * 8));
}

/// Lowers the case in this room, and says why if that is refused; `inspect` sees the kernel.
std::string refusal(const std::string &text, const std::string &cpu,
                    llvm::function_ref<void(mlir::func::FuncOp)> inspect = {}) {
  mlir::DialectRegistry registry;
  registerTargetDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  mlir::func::FuncOp func;
  module->walk([&](mlir::func::FuncOp op) { func = op; });
  std::string error, reason;
  auto kernel = eyrie::target::cpu::Kernel::create(func);
  auto model = eyrie::target::cpu::getCpuTargetModel(cpu, error);
  if (failed(eyrie::target::cpu::lowerContraction(kernel, model, reason)))
    return reason;
  if (inspect)
    inspect(kernel.func);
  return "";
}

/// How many masks the kernel makes, and how many tiles it has for rows that full tiles leave.
std::pair<int, int> masksAndTails(const Case &testCase, const std::string &cpu) {
  TargetOptions options;
  options.cpu = cpu;
  std::pair<int, int> counts;
  EXPECT_EQ(refusal(executableText(testCase, options), cpu,
                    [&](mlir::func::FuncOp kernel) {
                      kernel.walk([&](mlir::Operation *op) {
                        counts.first += llvm::isa<mlir::vector::CreateMaskOp>(op);
                        counts.second += llvm::isa<mlir::scf::IfOp>(op);
                      });
                    }),
            "");
  return counts;
}

TEST(ContractionSizes, LeaveNoTailsWhereTheyDivide) {
  const std::string any = "array<i64: 0, 9223372036854775807, 1>", rows = "array<i64: 0, 9223372036854775807, 14>",
                    columns = "array<i64: 0, 9223372036854775807, 32>", few = "array<i64: 1, 3, 1>";
  for (std::string cpu : {"x86-64-v3", "x86-64-v4"}) {
    auto count = [&](const std::string &m, const std::string &n) {
      return masksAndTails(withSizes(openMatmul(14, 64, true), m + ", " + n), cpu);
    };
    auto [masks, tails] = count(any, any);
    EXPECT_GT(masks, 0);
    EXPECT_GT(tails, 3);
    EXPECT_EQ(count(any, columns).first, 0);
    EXPECT_GT(count(any, columns).second, 0);
    EXPECT_GT(count(few, any).second, 0);
    EXPECT_LT(count(few, any).second, tails);
  }
  // A tile of AVX-512 has 14 rows, or a few fewer if they divide.
  for (std::string divided : {rows, std::string("array<i64: 0, 9223372036854775807, 12>")})
    EXPECT_EQ(masksAndTails(withSizes(openMatmul(14, 64, true), divided + ", " + columns), "x86-64-v4"),
              std::make_pair(0, 0))
        << divided;
}

TEST(CpuTargetModel, HasWhatItsFeaturesImply) {
  std::string error;
  auto model = [&](llvm::StringRef cpu) { return eyrie::target::cpu::getCpuTargetModel(cpu, error); };
  auto v3 = model("x86-64-v3"), v4 = model("x86-64-v4");
  EXPECT_TRUE(v3.avx2 && v3.round && v3.f16Conversions && v3.has("avx") && !v3.avx512);
  EXPECT_TRUE(v4.avx512 && v4.has("avx512f"));
  EXPECT_EQ(v4.vectorRegisters, 32);
  EXPECT_TRUE(model("x86-64,+avx2").round);
  EXPECT_FALSE(model("x86-64-v4,-avx512f").has("avx512vl"));
  EXPECT_FALSE(model("x86-64-v3,-avx").avx2);
  EXPECT_EQ(error, "");
}

TEST(CpuTargetModel, KnowsOtherArchitectures) {
  std::string error;
  auto model = [&](llvm::StringRef cpu) { return eyrie::target::cpu::getCpuTargetModel(cpu, error); };
  for (llvm::StringRef name : {"aarch64", "armv8-a", "cortex-a57"}) {
    auto neon = model(name);
    EXPECT_EQ(error, "") << name.str();
    EXPECT_EQ(neon.triple, "aarch64-unknown-linux-gnu");
    EXPECT_EQ(neon.features, "") << name.str();
    EXPECT_TRUE(neon.fma && neon.round && neon.f16Conversions && neon.vectorBits == 128 && neon.vectorRegisters == 32);
  }
  EXPECT_EQ(model("neoverse-n1").features, "+fullfp16,+dotprod");
  EXPECT_TRUE(model("armv8.6-a").has("i8mm") && model("armv8.6-a").has("bf16"));
  EXPECT_TRUE(model("armv8-a,+sve2").has("sve"));
  EXPECT_FALSE(model("neoverse-v2,-sve").has("sve2"));
  EXPECT_EQ(model("rv64gc").features, "+m,+a,+f,+d,+c");
  EXPECT_EQ(model("riscv64").vectorBits, 0);
  EXPECT_EQ(model("rv64gc").lanes(32), 1);
  EXPECT_EQ(model("rv64gcv").features, "+m,+a,+f,+d,+c,+v");
  EXPECT_EQ(model("rv64gcv").registerBits, 128);
  EXPECT_EQ(model("rv64gcv").abi, "lp64d");
  EXPECT_EQ(model("rv64gcv_zvl512b").registerBits, 512);
  EXPECT_EQ(model("rv64gc,+v,+zvl256b").registerBits, 256);
  EXPECT_FALSE(model("rv64gcv_zvfh,-v").has("zvfh"));
  EXPECT_TRUE(model("sifive-x280").has("zvl512b"));
  EXPECT_EQ(error, "");
}

TEST(CpuTargetModel, SaysWhatIsWrongWithAName) {
  auto errorOf = [](llvm::StringRef cpu) {
    std::string error;
    eyrie::target::cpu::getCpuTargetModel(cpu, error);
    return error;
  };
  EXPECT_EQ(errorOf("cortex-a5000"),
            "unknown processor 'cortex-a5000': expected native, x86-64, x86-64-v2, x86-64-v3, "
            "x86-64-v4, aarch64, armv8.2-a, riscv64, rv64gcv, wasm32 or a name that LLVM knows");
  EXPECT_EQ(errorOf("wasm32,+simd128"), "processor 'wasm32,+simd128': code for wasm32 makes no use of a feature "
                                        "'simd128'; there are none to choose");
  EXPECT_EQ(errorOf("x86-64,avx2"), "feature 'avx2' of processor 'x86-64,avx2' must begin with + or -");
  EXPECT_EQ(errorOf("aarch64,+avx2"),
            "processor 'aarch64,+avx2': code for aarch64 makes no use of a feature 'avx2'; the features are fullfp16, "
            "dotprod, i8mm, bf16, sve, sve2");
  EXPECT_EQ(errorOf("rv64imac"), "processor 'rv64imac' lacks f, d: Eyrie's code for it needs all of rv64gc");
  for (llvm::StringRef bad : {"armv7-a", "rv32gc", "rv64xyzzy", "sifive-e31", "x86-64-v9", ""})
    EXPECT_NE(errorOf(bad), "") << bad.str();
}

/// Results of integers must be equal. `other`: a processor for which the weights are packed as well; `target`: what
/// compiles, for this machine.
void expectAgreement(const Case &testCase, const TestProcessor &processor, const std::string &other = "",
                     const Target *target = nullptr) {
  TargetOptions options, reference;
  options.cpu = processor.cpu;
  reference.target = "reference";
  std::vector<TargetOptions> all = {options};
  if (!other.empty())
    all.emplace_back().cpu = other;
  std::string error, text = executableText(testCase, all, target);
  auto oracle = Program::compile(text, reference, error);
  ASSERT_TRUE(oracle) << error;
  auto program =
      target ? Program::compile(text, options, error, /*parallel=*/false, target) : processor.compile(text, error);
  ASSERT_TRUE(program) << error;
  Kernel &kernel = *program->kernels[0];
  auto types = bindingTypes(kernel, testCase.indices);
  unsigned inputs = types.size() - kernel.tensorFunc.getNumResults();
  std::mt19937 random(1);
  std::vector<Buffer> got, wanted;
  std::vector<void *> pointers;
  for (auto [i, type] : llvm::enumerate(types)) {
    got.emplace_back(type.elements() * type.elementBytes());
    wanted.emplace_back(got.back().size());
    if (i < inputs)
      fill(type, got.back().data(), random, i == 1 ? testCase.largestWeight : 128);
    pointers.push_back(i < inputs ? got[i].data() : wanted[i].data());
  }
  ASSERT_GE(run(*oracle->kernels[0], pointers, testCase.indices), 0);
  int64_t workgroups = processor.run(kernel, got, testCase.indices, error);
  if (workgroups < 0 && processor.isEmulatorToBlame(kernel))
    return;
  ASSERT_GE(workgroups, 0) << error;
  for (unsigned i = inputs; i < types.size(); ++i) {
    ASSERT_TRUE(got[i].intact()) << "wrote behind result " << i - inputs;
    bool isFloat = llvm::isa<mlir::FloatType>(types[i].element);
    for (size_t k = 0; k < types[i].elements(); ++k) {
      double x = read(types[i], got[i].data() + k * types[i].elementBytes());
      double y = read(types[i], wanted[i].data() + k * types[i].elementBytes());
      if (x != y)
        ASSERT_NEAR(x, y, isFloat ? 1e-5 * std::max(1.0, std::abs(y)) : 0)
            << "result " << i - inputs << ", element " << k;
    }
  }
}

void expectAgreement(const Case &testCase, llvm::ArrayRef<TestProcessor> processors) {
  for (const TestProcessor &processor : processors) {
    SCOPED_TRACE(processor.cpu);
    expectAgreement(testCase, processor);
    if (testing::Test::HasFatalFailure())
      return;
  }
}

class ContractionTest : public testing::TestWithParam<Case> {};
TEST_P(ContractionTest, AgreesWithReference) {
  for (const TestProcessor &processor : processorsHere()) {
    TargetOptions options;
    options.cpu = processor.cpu;
    EXPECT_EQ(refusal(executableText(GetParam(), options), processor.cpu), GetParam().refusal);
  }
  expectAgreement(GetParam(), processorsHere());
}
TEST_P(ContractionTest, AgreesWithReferenceWherePackedForOthersToo) {
  if (!GetParam().packed)
    return;
  for (const TestProcessor &processor : processorsHere())
    for (std::string other : {"x86-64", "x86-64-v4"}) {
      SCOPED_TRACE(processor.cpu + " and " + other);
      expectAgreement(GetParam(), processor, other);
      if (HasFatalFailure())
        return;
    }
}

class EmulatedContractionTest : public testing::TestWithParam<std::tuple<const char *, Case>> {};
TEST_P(EmulatedContractionTest, AgreesWithReference) {
  std::string reason;
  auto processors = emulatedProcessors(std::get<0>(GetParam()), reason);
  EYRIE_NEED_PROCESSORS(processors, reason);
  expectAgreement(std::get<1>(GetParam()), processors);
}

std::string nameOf(std::string name) {
  for (char &c : name)
    if (!isalnum(c))
      c = '_';
  return name;
}
std::string caseName(const testing::TestParamInfo<Case> &info) {
  return nameOf(std::to_string(info.index) + "_" + info.param.name);
}
std::string emulatedName(const testing::TestParamInfo<EmulatedContractionTest::ParamType> &info) {
  const auto &[arch, testCase] = info.param;
  return arch + ("_" + nameOf(std::to_string(info.index) + "_" + testCase.name));
}
INSTANTIATE_TEST_SUITE_P(Cases, ContractionTest, testing::ValuesIn(correctnessCases()), caseName);
INSTANTIATE_TEST_SUITE_P(Emulated, EmulatedContractionTest,
                         testing::Combine(testing::ValuesIn(emulatedArchs), testing::ValuesIn(correctnessCases())),
                         emulatedName);

/// A processor with the instructions of `cpu` on which plain operations stand for those of dot products: packing,
/// changes of sign and corrections are those of VNNI.
std::unique_ptr<Target> dotModelOf(const std::string &cpu) {
  return eyrie::target::cpu::createCpuTarget([cpu](const TargetOptions &) {
    std::string error;
    auto model = eyrie::target::cpu::getCpuTargetModel(cpu, error);
    model.dot = eyrie::target::cpu::DotUnit::VnniModel;
    model.bf16Dot = eyrie::target::cpu::DotUnit::Bf16Model;
    return model;
  });
}

class NarrowProductTest : public testing::TestWithParam<Case> {};

TEST_P(NarrowProductTest, AgreesWithReference) {
  expectAgreement(GetParam(), processorsHere());
  expectAgreement(GetParam(), {"x86-64-v3"}, "", dotModelOf("x86-64-v3").get());
}

/// A processor with AMX, whose other dot products are modelled.
std::unique_ptr<Target> amxTarget() {
  return eyrie::target::cpu::createCpuTarget([](const TargetOptions &options) {
    std::string error;
    auto model = eyrie::target::cpu::getCpuTargetModel(options.cpu, error);
    model.dot = eyrie::target::cpu::DotUnit::VnniModel;
    model.bf16Dot = eyrie::target::cpu::DotUnit::Bf16Model;
    return model;
  });
}

class AmxTest : public testing::TestWithParam<Case> {};
TEST_P(AmxTest, AgreesWithReference) {
  AmxModel amx;
  if (!amx.isReady())
    GTEST_SKIP() << "AMX is modelled on processors with AVX-512 alone";
  expectAgreement(GetParam(), {"x86-64-v4,+amx-tile,+amx-int8,+amx-bf16"}, "", amxTarget().get());
}
INSTANTIATE_TEST_SUITE_P(Cases, AmxTest, testing::ValuesIn(tileCases()), caseName);

INSTANTIATE_TEST_SUITE_P(Bytes, NarrowProductTest, testing::ValuesIn(byteCases()), caseName);
INSTANTIATE_TEST_SUITE_P(Bf16, NarrowProductTest, testing::ValuesIn(bf16Cases()), caseName);
INSTANTIATE_TEST_SUITE_P(EmulatedBytes, EmulatedContractionTest,
                         testing::Combine(testing::Values("aarch64", "wasm32"), testing::ValuesIn(byteCases())),
                         emulatedName);

} // namespace
