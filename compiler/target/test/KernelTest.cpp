// Every case of cases/*.mlir, compiled for several processors, against the reference target on random data.
//
// A case is a function `func.func @name(tensors, indices)` with the attributes of an executable's function, separated
// from the next by `// -----`. `test.constants = [[3, 5], [0, 7]]` lists the values of the index arguments to run it
// with; `test.workgroups` asks for more than one workgroup on the first of them.
#include "compiler/target/test/Emulator.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace eyrie::target;
using namespace eyrie::target::test;

namespace {
/// Decodes an element to double, exactly for integers up to 2^53.
double decode(const uint8_t *bytes, mlir::Type type) {
  unsigned bits = type.getIntOrFloatBitWidth();
  uint64_t raw = 0;
  std::memcpy(&raw, bytes, (bits + 7) / 8);
  if (auto floatType = llvm::dyn_cast<mlir::FloatType>(type)) {
    llvm::APFloat value(floatType.getFloatSemantics(), llvm::APInt(bits, raw, false, true));
    bool lossy;
    value.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &lossy);
    return value.convertToDouble();
  }
  if (bits == 1)
    return raw;
  return static_cast<double>(static_cast<int64_t>(raw << (64 - bits)) >> (64 - bits));
}

void encodeFloat(double number, uint8_t *bytes, mlir::FloatType type) {
  llvm::APFloat value(number);
  bool lossy;
  value.convert(type.getFloatSemantics(), llvm::APFloat::rmNearestTiesToEven, &lossy);
  uint64_t raw = value.bitcastToAPInt().getZExtValue();
  std::memcpy(bytes, &raw, type.getWidth() / 8);
}

void fillRandom(const BindingType &type, uint8_t *bytes, std::mt19937_64 &random) {
  for (size_t i = 0, n = type.elements(), size = type.elementBytes(); i < n; ++i) {
    if (auto floatType = llvm::dyn_cast<mlir::FloatType>(type.element)) {
      encodeFloat(std::normal_distribution<double>(0, 1)(random), bytes + i * size, floatType);
    } else {
      int64_t value = type.element.isInteger(1) ? random() % 2 : int64_t(random() % 9) - 4;
      std::memcpy(bytes + i * size, &value, size);
    }
  }
}

struct Case {
  std::string file, text;
};

std::vector<Case> loadCases() {
  std::vector<Case> cases;
  std::error_code error;
  for (llvm::sys::fs::directory_iterator it(CASES, error), end; it != end && !error; it.increment(error)) {
    auto buffer = llvm::MemoryBuffer::getFile(it->path());
    if (!buffer || !llvm::StringRef(it->path()).ends_with(".mlir"))
      continue;
    llvm::SmallVector<llvm::StringRef> parts;
    (*buffer)->getBuffer().split(parts, "// -----");
    for (llvm::StringRef part : parts) {
      llvm::StringRef name =
          part.split("func.func @").second.take_while([](char c) { return c == '_' || llvm::isAlnum(c); });
      if (!name.empty())
        cases.push_back({llvm::sys::path::stem(it->path()).str() + "." + name.str(),
                         ("graph.executable @" + name + " {\n" + part + "\n}\n").str()});
    }
  }
  llvm::sort(cases, [](const Case &a, const Case &b) { return a.file < b.file; });
  return cases;
}

/// The lists of index arguments to run a case with.
std::vector<std::vector<int64_t>> runsOf(Kernel &kernel) {
  auto list = kernel.tensorFunc->getAttrOfType<mlir::ArrayAttr>("test.constants");
  if (!list)
    return {{}};
  std::vector<std::vector<int64_t>> runs;
  for (mlir::Attribute values : list) {
    runs.emplace_back();
    for (mlir::Attribute value : llvm::cast<mlir::ArrayAttr>(values))
      runs.back().push_back(llvm::cast<mlir::IntegerAttr>(value).getInt());
  }
  return runs;
}

double toleranceOf(mlir::Type type) {
  if (!llvm::isa<mlir::FloatType>(type))
    return 0;
  return type.isF64() ? 1e-12 : type.isF32() ? 2e-5 : 2e-2;
}

/// The results of one run, in the buffers behind those of the arguments.
void expectEqual(llvm::ArrayRef<Buffer> got, llvm::ArrayRef<Buffer> wanted, llvm::ArrayRef<BindingType> types,
                 unsigned inputs) {
  for (unsigned i = 0; i < types.size(); ++i) {
    ASSERT_TRUE(got[i].intact()) << "wrote behind binding " << i;
    if (i < inputs)
      continue;
    size_t size = types[i].elementBytes();
    double tolerance = toleranceOf(types[i].element);
    for (size_t k = 0; k < types[i].elements(); ++k) {
      double x = decode(got[i].data() + k * size, types[i].element);
      double y = decode(wanted[i].data() + k * size, types[i].element);
      if (x == y || (std::isnan(x) && std::isnan(y)))
        continue;
      ASSERT_NEAR(x, y, tolerance * std::max(1.0, std::abs(y))) << "result " << i - inputs << ", element " << k;
    }
  }
}

void expectAgreement(const TestProcessor &processor, Kernel &kernel, Kernel &oracle) {
  for (auto [index, constants] : llvm::enumerate(runsOf(kernel))) {
    SCOPED_TRACE(processor.cpu + ", run " + std::to_string(index));
    std::mt19937_64 random(index + 1);
    auto types = bindingTypes(kernel, constants);
    unsigned inputs = types.size() - kernel.tensorFunc.getNumResults();
    std::vector<Buffer> buffers, wanted;
    std::vector<void *> wantedPointers;
    for (auto [i, type] : llvm::enumerate(types)) {
      buffers.emplace_back(type.elements() * type.elementBytes());
      wanted.emplace_back(buffers.back().size());
      if (i < inputs)
        fillRandom(type, buffers.back().data(), random);
      wantedPointers.push_back(i < inputs ? buffers[i].data() : wanted[i].data());
    }
    ASSERT_GE(run(oracle, wantedPointers, constants), 0);
    std::string error;
    int64_t workgroups = processor.run(kernel, buffers, constants, error);
    if (workgroups < 0 && processor.isEmulatorToBlame(kernel))
      return;
    ASSERT_GE(workgroups, 0) << error;
    if (index == 0 && kernel.tensorFunc->hasAttr("test.workgroups"))
      EXPECT_GT(workgroups, 1);
    expectEqual(buffers, wanted, types, inputs);
    if (testing::Test::HasFatalFailure())
      return;
  }
}

void expectAgreement(const Case &testCase, llvm::ArrayRef<TestProcessor> processors) {
  std::string error;
  TargetOptions reference;
  reference.target = "reference";
  auto oracle = Program::compile(testCase.text, reference, error);
  ASSERT_TRUE(oracle) << error;
  for (const TestProcessor &processor : processors) {
    auto program = processor.compile(testCase.text, error);
    ASSERT_TRUE(program) << processor.cpu << ": " << error;
    EXPECT_EQ(error, "");
    if (getenv("EYRIE_TEST_TIME"))
      fprintf(stderr, "%s for %s: %.1f ms\n", testCase.file.c_str(), processor.cpu.c_str(), program->seconds * 1e3);
    expectAgreement(processor, *program->kernels[0], *oracle->kernels[0]);
    if (testing::Test::HasFatalFailure())
      return;
  }
}

class KernelTest : public testing::TestWithParam<Case> {};
TEST_P(KernelTest, AgreesWithReference) { expectAgreement(GetParam(), processorsHere()); }

class EmulatedKernelTest : public testing::TestWithParam<std::tuple<const char *, Case>> {};
TEST_P(EmulatedKernelTest, AgreesWithReference) {
  std::string reason;
  auto processors = emulatedProcessors(std::get<0>(GetParam()), reason);
  EYRIE_NEED_PROCESSORS(processors, reason);
  expectAgreement(std::get<1>(GetParam()), processors);
}

TEST(CompileExecutablesTest, IsDeterministicInParallel) {
  std::string text, error;
  for (const Case &one : loadCases())
    text += one.text;
  auto first = Program::compile(text, {}, error, /*parallel=*/true);
  ASSERT_TRUE(first) << error;
  auto second = Program::compile(text, {}, error, /*parallel=*/true);
  ASSERT_TRUE(second) << error;
  ASSERT_EQ(first->kernels.size(), loadCases().size());
  for (size_t i = 0; i < first->kernels.size(); ++i)
    EXPECT_EQ(first->kernels[i]->object, second->kernels[i]->object) << first->kernels[i]->name;
}

TEST(CompileExecutablesTest, UnknownProcessorIsAnError) {
  std::string error;
  TargetOptions options;
  options.cpu = "pentium-please";
  EXPECT_FALSE(Program::compile(loadCases().front().text, options, error));
  EXPECT_NE(error.find("unknown processor 'pentium-please': expected native, x86-64"), std::string::npos) << error;
}

TEST(CompileExecutablesTest, UnknownTargetIsAnError) {
  std::string error;
  TargetOptions options;
  options.target = "toaster";
  EXPECT_FALSE(Program::compile(loadCases().front().text, options, error));
  EXPECT_NE(error.find("no target is named 'toaster'; there are 'cpu' 'reference'"), std::string::npos) << error;
}

std::string nameOf(const Case &testCase) {
  std::string name = testCase.file;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Cases, KernelTest, testing::ValuesIn(loadCases()),
                         [](const auto &info) { return nameOf(info.param); });
INSTANTIATE_TEST_SUITE_P(Emulated, EmulatedKernelTest,
                         testing::Combine(testing::ValuesIn(emulatedArchs), testing::ValuesIn(loadCases())),
                         [](const auto &info) {
                           return std::get<0>(info.param) + ("_" + nameOf(std::get<1>(info.param)));
                         });
} // namespace
