// Contractions of odd shapes for several processors, against the reference target.
#include "compiler/target/cpu/Kernel.h"
#include "compiler/target/cpu/contraction/test/Cases.h"
#include "compiler/target/test/Harness.h"
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

/// Is it this room that lowers the case, and not the loops that take everything?
std::string refusal(const std::string &text, const std::string &cpu) {
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
  return succeeded(eyrie::target::cpu::lowerContraction(kernel, model, reason)) ? "" : reason;
}

class ContractionTest : public testing::TestWithParam<Case> {};

TEST_P(ContractionTest, AgreesWithReference) {
  const Case &testCase = GetParam();
  for (std::string cpu : {"native", "x86-64-v3", "x86-64"}) {
    TargetOptions options, reference;
    options.cpu = cpu;
    reference.target = "reference";
    std::string error, text = executableText(testCase, options);
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
