// Contractions of odd shapes for several processors, against the reference target.
#include "compiler/target/cpu/Kernel.h"
#include "compiler/target/cpu/contraction/test/Cases.h"
#include "compiler/target/test/Harness.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>
#include <random>

using namespace eyrie::target;
using namespace eyrie::target::cpu::test;
using eyrie::target::test::BindingType;
using eyrie::target::test::Buffer;
using eyrie::target::test::Program;

namespace {

/// Small multiples of 1/8, whose products and short sums every type holds exactly.
void fill(const BindingType &type, uint8_t *bytes, std::mt19937 &random) {
  size_t size = type.elementBytes();
  for (size_t i = 0; i < type.elements(); ++i) {
    int64_t number = int64_t(random() % 17) - 8;
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
  EXPECT_TRUE(v3.avx2 && v3.sse41 && v3.f16c && v3.has("avx") && !v3.avx512);
  EXPECT_TRUE(v4.avx512 && v4.has("avx512f"));
  EXPECT_EQ(v4.vectorRegisters, 32);
  EXPECT_TRUE(model("x86-64,+avx2").sse41);
  EXPECT_FALSE(model("x86-64-v4,-avx512f").has("avx512vl"));
  EXPECT_FALSE(model("x86-64-v3,-avx").avx2);
  EXPECT_EQ(error, "");
}

class ContractionTest : public testing::TestWithParam<Case> {};

TEST_P(ContractionTest, AgreesWithReference) {
  const Case &testCase = GetParam();
  struct Processor {
    std::string cpu, others; // `others`: weights are packed for it too
  };
  std::vector<Processor> processors = {{"native", ""}, {"x86-64-v3", ""}, {"x86-64", ""}};
  if (testCase.packed)
    processors.insert(processors.end(), {{"native", "x86-64"}, {"x86-64-v3", "x86-64"}, {"x86-64", "x86-64-v4"}});
  for (const auto &[cpu, other] : processors) {
    TargetOptions options, reference;
    options.cpu = cpu;
    reference.target = "reference";
    std::vector<TargetOptions> all = {options};
    if (!other.empty())
      all.emplace_back().cpu = other;
    std::string error, text = executableText(testCase, all);
    EXPECT_EQ(refusal(text, cpu), testCase.refusal);
    auto oracle = Program::compile(text, reference, error);
    ASSERT_TRUE(oracle) << error;
    auto program = Program::compile(text, options, error);
    ASSERT_TRUE(program) << cpu << ": " << error;
    auto types = bindingTypes(*program->kernels[0], testCase.indices);
    unsigned inputs = types.size() - program->kernels[0]->tensorFunc.getNumResults();
    std::mt19937 random(1);
    std::vector<Buffer> buffers;
    std::vector<void *> got, want;
    for (unsigned i = 0; i < types.size() + types.size() - inputs; ++i) {
      const BindingType &type = types[i < types.size() ? i : i - types.size() + inputs];
      buffers.emplace_back(type.elements() * type.elementBytes());
      if (i < inputs)
        fill(type, buffers.back().data(), random);
    }
    for (unsigned i = 0; i < types.size(); ++i) {
      got.push_back(buffers[i].data());
      want.push_back(buffers[i < inputs ? i : i + types.size() - inputs].data());
    }
    ASSERT_GE(run(*oracle->kernels[0], want, testCase.indices), 0);
    ASSERT_GE(run(*program->kernels[0], got, testCase.indices), 0);
    for (unsigned i = inputs; i < types.size(); ++i) {
      ASSERT_TRUE(buffers[i].intact()) << cpu << ": wrote behind result " << i - inputs;
      for (size_t k = 0; k < types[i].elements(); ++k) {
        double x = read(types[i], static_cast<uint8_t *>(got[i]) + k * types[i].elementBytes());
        double y = read(types[i], static_cast<uint8_t *>(want[i]) + k * types[i].elementBytes());
        if (x != y)
          ASSERT_NEAR(x, y, 1e-5 * std::max(1.0, std::abs(y))) << cpu << ", result " << i - inputs << ", element " << k;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, ContractionTest, testing::ValuesIn(correctnessCases()), [](const auto &info) {
  std::string name = std::to_string(info.index) + "_" + info.param.name;
  for (char &c : name)
    if (!isalnum(c))
      c = '_';
  return name;
});

} // namespace
