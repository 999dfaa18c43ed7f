// The expansions of mathematical functions against the C library.
#include "compiler/target/test/Emulator.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace eyrie::target;
using namespace eyrie::target::test;

namespace {
using Function = long double (*)(long double, long double);
struct Row {
  const char *op;
  int arity;
  double low, high;
  Function function;
};

#define UNARY(name, low, high, expression)                                                                             \
  Row {                                                                                                                \
    "math." name, 1, low, high, [](long double x, long double) -> long double { return expression; }                   \
  }
#define BINARY(name, low, high, expression)                                                                            \
  Row {                                                                                                                \
    name, 2, low, high, [](long double x, long double y) -> long double { return expression; }                         \
  }
const Row rows[] = {
    UNARY("exp", -87, 88, expl(x)),
    UNARY("exp2", -120, 120, exp2l(x)),
    UNARY("expm1", -20, 80, expm1l(x)),
    UNARY("log", 0, 1000, logl(x)),
    UNARY("log2", 0, 10, log2l(x)),
    UNARY("log10", 0, 10, log10l(x)),
    UNARY("log1p", -0.99, 10, log1pl(x)),
    UNARY("sin", -100, 100, sinl(x)),
    UNARY("cos", -100, 100, cosl(x)),
    UNARY("tan", -1.5, 1.5, tanl(x)),
    UNARY("tanh", -12, 12, tanhl(x)),
    UNARY("sinh", -80, 80, sinhl(x)),
    UNARY("cosh", -80, 80, coshl(x)),
    UNARY("asin", -1, 1, asinl(x)),
    UNARY("acos", -1, 1, acosl(x)),
    UNARY("atan", -20, 20, atanl(x)),
    UNARY("asinh", -1000, 1000, asinhl(x)),
    UNARY("acosh", 1, 1000, acoshl(x)),
    UNARY("atanh", -0.99, 0.99, atanhl(x)),
    UNARY("erf", -5, 5, erfl(x)),
    UNARY("erfc", -5, 8, erfcl(x)),
    UNARY("sqrt", 0, 100, sqrtl(x)),
    UNARY("rsqrt", 0, 100, 1 / sqrtl(x)),
    UNARY("cbrt", -100, 100, cbrtl(x)),
    UNARY("floor", -100, 100, floorl(x)),
    UNARY("ceil", -100, 100, ceill(x)),
    UNARY("trunc", -100, 100, truncl(x)),
    UNARY("round", -100, 100, roundl(x)),
    UNARY("roundeven", -100, 100, rintl(x)),
    BINARY("math.powf", 0, 10, powl(x, y)),
    BINARY("math.atan2", -10, 10, atan2l(x, y)),
    BINARY("arith.remf", -10, 10, fmodl(x, y)),
};
const double specials[] = {0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 3.0, 2.5, -0.5, INFINITY, -INFINITY, NAN};

class MathTest : public testing::TestWithParam<Row> {};

template <typename T> void check(const Row &row, const char *type, const TestProcessor &processor, double tolerance) {
  SCOPED_TRACE(processor.cpu);
  std::string body = row.arity == 1 ? std::string("%r = ") + row.op + " %p : " + type
                                    : std::string("%r = ") + row.op + " %p, %q : " + type;
  std::string tensor = std::string("tensor<?x") + type + ">", text;
  text = "graph.executable @f {\n func.func @f(%x: " + tensor + ", %y: " + tensor + ", %n: index) -> " + tensor +
         " attributes {graph.arg_dims = [[0], [0]], graph.result_dims = [[0]]} {\n  %e = tensor.empty(%n) : " + tensor +
         "\n  %g = linalg.generic {indexing_maps = [affine_map<(d) -> (d)>, affine_map<(d) -> (d)>, affine_map<(d) -> "
         "(d)>], "
         "iterator_types = [\"parallel\"]} ins(%x, %y : " +
         tensor + ", " + tensor + ") outs(%e : " + tensor + ") {\n  ^bb0(%p: " + type + ", %q: " + type +
         ", %o: " + type + "):\n   " + body + "\n   linalg.yield %r : " + type + "\n  } -> " + tensor +
         "\n  return %g : " + tensor + "\n }\n}\n";
  std::string error;
  auto program = processor.compile(text, error);
  ASSERT_TRUE(program) << error;
  std::vector<T> x, y;
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform(row.low, row.high);
  for (int i = 0; i < 4000; ++i) {
    x.push_back(i % 3 ? uniform(random) : row.low < 0 ? uniform(random) * 1e-3 : uniform(random));
    y.push_back(uniform(random));
  }
  for (double a : specials)
    for (double b : specials) {
      x.push_back(a);
      y.push_back(b);
    }
  std::vector<Buffer> bindings;
  for (int i = 0; i < 3; ++i)
    bindings.emplace_back(x.size() * sizeof(T));
  std::memcpy(bindings[0].data(), x.data(), bindings[0].size());
  std::memcpy(bindings[1].data(), y.data(), bindings[1].size());
  int64_t workgroups = processor.run(*program->kernels[0], bindings, {int64_t(x.size())}, error);
  if (workgroups < 0 && processor.isEmulatorToBlame(*program->kernels[0]))
    return;
  ASSERT_GE(workgroups, 0) << error;
  const T *result = reinterpret_cast<const T *>(bindings[2].data());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    T want = row.function(x[i], y[i]);
    if (std::isnan(want) || std::isnan(result[i]) || std::isinf(want) || std::isinf(result[i]) || want == 0) {
      EXPECT_TRUE(want == result[i] || (std::isnan(want) && std::isnan(result[i])) ||
                  (want == 0 && std::abs(result[i]) < tolerance))
          << row.op << "(" << x[i] << ", " << y[i] << ") = " << result[i] << ", expected " << want;
      continue;
    }
    double error = std::abs((result[i] - want) / want);
    // Near a zero of the function only the absolute error is small.
    if (std::abs(want) < 1e-2)
      error = std::min<double>(error, std::abs(result[i] - want) * 100);
    worst = std::max(worst, error);
    EXPECT_LT(error, tolerance) << row.op << "(" << x[i] << ", " << y[i] << ") = " << result[i] << ", expected "
                                << want;
    if (error >= tolerance)
      break;
  }
  testing::Test::RecordProperty(type, std::to_string(worst));
}

const double f32Tolerance = 3.5e-7;
double f64Tolerance(const Row &row) { return std::string(row.op) == "math.powf" ? 1e-13 : 2e-14; }
std::string nameOf(const Row &row) { return strchr(row.op, '.') + 1; }

TEST_P(MathTest, F32) {
  for (const TestProcessor &processor : processorsHere())
    check<float>(GetParam(), "f32", processor, f32Tolerance);
}
TEST_P(MathTest, F64) { check<double>(GetParam(), "f64", processorsHere().front(), f64Tolerance(GetParam())); }
INSTANTIATE_TEST_SUITE_P(Functions, MathTest, testing::ValuesIn(rows),
                         [](const auto &info) { return nameOf(info.param); });

class EmulatedMathTest : public testing::TestWithParam<std::tuple<const char *, Row>> {};
TEST_P(EmulatedMathTest, IsAsAccurate) {
  const auto &[arch, row] = GetParam();
  std::string reason;
  auto processors = emulatedProcessors(arch, reason);
  EYRIE_NEED_PROCESSORS(processors, reason);
  for (const TestProcessor &processor : processors) {
    check<float>(row, "f32", processor, f32Tolerance);
    check<double>(row, "f64", processor, f64Tolerance(row));
  }
}
INSTANTIATE_TEST_SUITE_P(Emulated, EmulatedMathTest,
                         testing::Combine(testing::ValuesIn(emulatedArchs), testing::ValuesIn(rows)),
                         [](const auto &info) {
                           return std::get<0>(info.param) + ("_" + nameOf(std::get<1>(info.param)));
                         });
} // namespace
