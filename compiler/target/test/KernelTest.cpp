// Every case of cases/*.mlir, compiled for several processors, against the reference target on random data.
//
// A case is a function `func.func @name(tensors, indices)` with the attributes of an executable's function, separated
// from the next by `// -----`. `test.constants = [[3, 5], [0, 7]]` lists the values of the index arguments to run it
// with; `test.workgroups` asks for more than one workgroup on the first of them.
#include "compiler/target/test/Harness.h"
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

class KernelTest : public testing::TestWithParam<Case> {};

TEST_P(KernelTest, AgreesWithReference) {
  std::string error;
  TargetOptions reference;
  reference.target = "reference";
  auto oracle = Program::compile(GetParam().text, reference, error);
  ASSERT_TRUE(oracle) << error;
  for (std::string cpu : {"native", "x86-64", "x86-64-v3"}) {
    TargetOptions options;
    options.cpu = cpu;
    auto program = Program::compile(GetParam().text, options, error);
    ASSERT_TRUE(program) << cpu << ": " << error;
    EXPECT_EQ(error, "");
    if (getenv("EYRIE_TEST_TIME"))
      fprintf(stderr, "%s for %s: %.1f ms\n", GetParam().file.c_str(), cpu.c_str(), program->seconds * 1e3);
    Kernel &kernel = *program->kernels[0], &expected = *oracle->kernels[0];
    std::vector<std::vector<int64_t>> runs;
    if (auto list = kernel.tensorFunc->getAttrOfType<mlir::ArrayAttr>("test.constants")) {
      for (mlir::Attribute values : list) {
        runs.emplace_back();
        for (mlir::Attribute value : llvm::cast<mlir::ArrayAttr>(values))
          runs.back().push_back(llvm::cast<mlir::IntegerAttr>(value).getInt());
      }
    } else {
      runs.emplace_back();
    }
    for (auto [index, constants] : llvm::enumerate(runs)) {
      std::mt19937_64 random(index + 1);
      auto types = bindingTypes(kernel, constants);
      std::vector<Buffer> buffers, wanted;
      std::vector<void *> pointers, wantedPointers;
      unsigned results = kernel.tensorFunc.getNumResults(), inputs = types.size() - results;
      for (auto [i, type] : llvm::enumerate(types)) {
        buffers.emplace_back(type.elements() * type.elementBytes());
        wanted.emplace_back(buffers.back().size());
        if (i < inputs)
          fillRandom(type, buffers.back().data(), random);
      }
      for (unsigned i = 0; i < types.size(); ++i) {
        pointers.push_back(buffers[i].data());
        wantedPointers.push_back(i < inputs ? buffers[i].data() : wanted[i].data());
      }
      ASSERT_GE(run(expected, wantedPointers, constants), 0);
      int64_t workgroups = run(kernel, pointers, constants);
      ASSERT_GE(workgroups, 0);
      if (index == 0 && kernel.tensorFunc->hasAttr("test.workgroups"))
        EXPECT_GT(workgroups, 1);
      for (unsigned i = 0; i < types.size(); ++i) {
        ASSERT_TRUE(buffers[i].intact()) << cpu << ": wrote behind binding " << i;
        if (i < inputs)
          continue;
        size_t size = types[i].elementBytes();
        double tolerance = llvm::isa<mlir::FloatType>(types[i].element) ? (types[i].element.isF64()   ? 1e-12
                                                                           : types[i].element.isF32() ? 2e-5
                                                                                                      : 2e-2)
                                                                        : 0;
        for (size_t k = 0; k < types[i].elements(); ++k) {
          double got = decode(buffers[i].data() + k * size, types[i].element);
          double want = decode(wanted[i].data() + k * size, types[i].element);
          if (got == want || (std::isnan(got) && std::isnan(want)))
            continue;
          ASSERT_NEAR(got, want, tolerance * std::max(1.0, std::abs(want)))
              << cpu << ", run " << index << ", result " << i - inputs << ", element " << k;
        }
      }
    }
  }
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

INSTANTIATE_TEST_SUITE_P(Cases, KernelTest, testing::ValuesIn(loadCases()), [](const auto &info) {
  std::string name = info.param.file;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
});
} // namespace
