// Every operation of the library on static and symbolic shapes: the IR verifies and the result's shape is right.
// Numbers are checked end to end by tests/ops.
#include "compiler/ops/Ops.h"
#include "compiler/graph/Graph.h"
#include "compiler/ops/LinearAttention.h"
#include "compiler/ops/Lookup.h"
#include "compiler/ops/Random.h"
#include "compiler/ops/Scores.h"
#include "compiler/ops/Select.h"
#include "compiler/ops/Signal.h"
#include "compiler/ops/Suppression.h"
#include "compiler/ops/Text.h"
#include "compiler/ops/Trees.h"
#include "compiler/ops/Vision.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Verifier.h"
#include <gtest/gtest.h>

using namespace eyrie::ops;
using mlir::failed;

namespace {

class OpsTest : public testing::Test {
protected:
  OpsTest()
      : opBuilder(&context), module(mlir::ModuleOp::create(opBuilder.getUnknownLoc())),
        b(opBuilder, opBuilder.getUnknownLoc(), dims, *module) {
    context.loadDialect<eyrie::graph::GraphDialect, mlir::arith::ArithDialect, mlir::func::FuncDialect,
                        mlir::linalg::LinalgDialect, mlir::math::MathDialect, mlir::tensor::TensorDialect,
                        mlir::scf::SCFDialect, mlir::cf::ControlFlowDialect>();
    f32 = opBuilder.getF32Type(), i64 = opBuilder.getI64Type();
    opBuilder.setInsertionPointToEnd(module->getBody());
    func = mlir::func::FuncOp::create(opBuilder, b.loc, "main", opBuilder.getFunctionType({}, {}));
    opBuilder.setInsertionPointToStart(func.addEntryBlock());
    n = dims.symbol("n", 1);
    context.getDiagEngine().registerHandler([&](mlir::Diagnostic &d) { errors += d.str() + "\n"; });
  }

  /// A model input.
  Tensor input(Dims shape, mlir::Type type = {}) {
    Tensor t;
    t.elementType = type ? type : f32;
    t.shape = shape;
    t.value = func.getBody().front().addArgument(t.type(), b.loc);
    if (!isBound)
      for (auto [i, d] : llvm::enumerate(shape))
        if (d == n) {
          dims.setValue(n, mlir::tensor::DimOp::create(opBuilder, b.loc, t.value, i));
          isBound = true;
        }
    return t;
  }
  Tensor list(Dims values) { return fromContents(i64, {Dim(values.size())}, values); }
  Tensor floats(std::vector<float> values) {
    return fromConstant(
        mlir::DenseElementsAttr::get(mlir::RankedTensorType::get(values.size(), f32), llvm::ArrayRef<float>(values)));
  }
  void check(FailureOr<Tensor> result, std::string expected) {
    ASSERT_TRUE(succeeded(result)) << errors;
    EXPECT_EQ(result->str(), expected);
    b.value(*result);
    results.push_back(b.value(*result));
    verify();
  }
  void verify() {
    auto type = opBuilder.getFunctionType(func.getBody().front().getArgumentTypes(), {});
    func.setFunctionType(type);
    mlir::Operation *end = mlir::func::ReturnOp::create(opBuilder, b.loc);
    EXPECT_TRUE(succeeded(mlir::verify(*module))) << errors << dump();
    end->erase();
  }
  std::string dump() {
    std::string text;
    llvm::raw_string_ostream os(text);
    module->print(os);
    return text;
  }
  void expectError(bool isError, std::string text) {
    EXPECT_TRUE(isError);
    EXPECT_NE(errors.find(text), std::string::npos) << errors;
  }

  mlir::MLIRContext context;
  mlir::OpBuilder opBuilder;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  DimContext dims;
  Builder b;
  mlir::func::FuncOp func;
  mlir::Type f32, i64;
  Dim n;
  bool isBound = false;
  std::string errors;
  std::vector<mlir::Value> results;
};

TEST_F(OpsTest, DimsHaveANormalForm) {
  Dim m = dims.symbol("m", 1);
  EXPECT_EQ((n + 1) * (n - 1), n * n - 1);
  EXPECT_EQ(floorDiv(n * m * 6, m * 2), n * 3);
  EXPECT_EQ(floorDiv(n * 4 + 3, 4), n);
  EXPECT_EQ(floorDiv(floorDiv(n, 2), 2), floorDiv(n, 4));
  EXPECT_EQ(floorMod(n * 4 + 3, 4), Dim(3));
  EXPECT_EQ(max(n, 1), n);
  EXPECT_EQ(min(n + 2, n), n);
  EXPECT_EQ(floorDiv((n + 1) * (m + 2), n + 1), m + 2);
  EXPECT_EQ(isEqual(n, -1), std::optional<bool>(false));
  EXPECT_EQ(isEqual(n, m), std::nullopt);
  EXPECT_EQ((n * 2 - m).str(), "2*n - m");
}

TEST_F(OpsTest, SizesThatAreBroadcastTogether) {
  Dim m = dims.symbol("m"), both = broadcastSize(n, m);
  EXPECT_EQ(broadcastSize(n, 1), n);
  EXPECT_EQ(broadcastSize(1, m), m);
  EXPECT_EQ(broadcastSize(m, n), both);
  EXPECT_EQ(both.str(), "broadcast(n, m)");
  EXPECT_EQ(lowerBound(both), std::optional<int64_t>(0)); // 0 beside 1 is 0
  EXPECT_TRUE(mayBeRepeated(n, both) && mayBeRepeated(m, both) && isOpenSize(both));
}

TEST_F(OpsTest, DimensionsAreNeverNegative) {
  Dim v = dims.symbol("v", std::nullopt), size = v - 3;
  EXPECT_EQ(lowerBound(size), std::nullopt);
  dims.setSize(size);
  EXPECT_EQ(lowerBound(size), std::optional<int64_t>(0));
  EXPECT_EQ(lowerBound(v), std::nullopt);
  dims.setSize(v);
  EXPECT_EQ(lowerBound(v * 2 + 1), std::optional<int64_t>(1));
}

// Sizes after proposals, as detectors have them, use the sizes before twice and more at every step.
TEST_F(OpsTest, SharedPartsOfADimAreWrittenOnce) {
  input({n, 3});
  Dim m = dims.symbol("m", 1), size = n;
  dims.setValue(m, dims.materialize(opBuilder, b.loc, 7));
  for (int i = 0; i < 60; ++i)
    size = min(floorDiv(size + m, 7), size * m + i);
  EXPECT_EQ(lowerBound(size), std::optional<int64_t>(0));
  dims.materialize(opBuilder, b.loc, size);
  int64_t count = 0;
  func.walk([&](mlir::Operation *) { ++count; });
  EXPECT_LT(count, 1000);
  EXPECT_EQ(size.str().substr(0, 13), "min(floordiv(");
  EXPECT_LT(size.str().size(), 500u);
}

TEST_F(OpsTest, Unary) {
  Tensor x = input({n, 4});
  for (int kind = 0; kind <= static_cast<int>(Unary::Atanh); ++kind)
    if (Unary(kind) != Unary::Not && Unary(kind) != Unary::BitwiseNot)
      check(unary(b, Unary(kind), x, 0.5, 0.25), "f32[n, 4]");
  check(unary(b, Unary::IsNan, x), "i1[n, 4]");
  check(isInf(b, x, true, true), "i1[n, 4]");
  check(unary(b, Unary::Gelu, input({3}, opBuilder.getF16Type())), "f16[3]");
  check(unary(b, Unary::Abs, input({3}, i64)), "i64[3]");
}

TEST_F(OpsTest, Binary) {
  Tensor x = input({n, 4}), y = input({4});
  for (int kind = 0; kind <= static_cast<int>(Binary::GreaterOrEqual); ++kind) {
    bool isComparison = Binary(kind) >= Binary::Equal;
    check(binary(b, Binary(kind), x, y), isComparison ? "i1[n, 4]" : "f32[n, 4]");
  }
  Tensor p = input({2, 1}, i64), q = input({1, 3}, i64);
  for (int kind = 0; kind <= static_cast<int>(Binary::ShiftRight); ++kind)
    if (Binary(kind) < Binary::And || Binary(kind) > Binary::Xor)
      check(binary(b, Binary(kind), p, q),
            Binary(kind) >= Binary::Equal && Binary(kind) <= Binary::GreaterOrEqual ? "i1[2, 3]" : "i64[2, 3]");
  check(binary(b, Binary::PRelu, x, y), "f32[n, 4]");
  expectError(failed(binary(b, Binary::Add, x, input({3}))), "cannot be broadcast");
}

TEST_F(OpsTest, ShapeArithmeticFolds) {
  Tensor x = input({n, 12, 64});
  Tensor s = *shape(b, x);
  Tensor batch = *gather(b, s, fromContents(i64, {}, {0}), 0);
  Tensor target = *concat(b, {*unsqueeze(b, batch, {0}), list({12, 8, 8})}, 0);
  check(reshape(b, x, target), "f32[n, 12, 8, 8]");
  check(reshape(b, x, list({0, -1})), "f32[n, 768]");
  Tensor half = *binary(b, Binary::Div, *slice(b, s, list({1}), list({2}), nullptr, nullptr), list({2}));
  EXPECT_EQ(half.contents->front(), Dim(6));
  check(where(b, *binary(b, Binary::Equal, s, list({-1})), list({1, 1, 1}), s), "i64[3]");
  check(cast(b, s, f32, false), "f32[3]");
  expectError(failed(reshape(b, x, list({0, 7}))), "cannot reshape");
}

TEST_F(OpsTest, Contractions) {
  check(matmul(b, input({n, 5, 3, 4}), input({4, 6})), "f32[n, 5, 3, 6]");
  check(matmul(b, input({n, 5, 3, 4}), input({1, 5, 4, 6})), "f32[n, 5, 3, 6]");
  check(matmul(b, input({4}), input({4})), "f32[]");
  check(matmul(b, input({2, 3, 4}), input({4})), "f32[2, 3]");
  check(matmul(b, input({3, 4}, opBuilder.getF16Type()), input({4, 2}, opBuilder.getF16Type())), "f16[3, 2]");
  Tensor c = input({6});
  check(gemm(b, input({4, n}), input({6, 4}), &c, 0.5, 2, true, true), "f32[n, 6]");
  check(einsum(b, "bij,bjk->bik", {input({2, 3, 4}), input({2, 4, 5})}), "f32[2, 3, 5]");
  check(einsum(b, "...ii->...i", {input({2, 3, 3})}), "f32[2, 3]");
  check(einsum(b, "i,ij,j", {input({3}), input({3, 4}), input({4})}), "f32[]");
  check(einsum(b, "ij", {input({3, 4})}), "f32[3, 4]");
  expectError(failed(matmul(b, input({3, 4}), input({5, 6}))), "inner dimensions");
}

TEST_F(OpsTest, Convolutions) {
  Tensor bias = input({8});
  WindowAttrs attrs;
  attrs.pads = {1, 1, 1, 1};
  attrs.strides = {2, 2};
  check(conv(b, input({n, 4, 9, 9}), input({8, 4, 3, 3}), &bias, attrs, 1), "f32[n, 8, 5, 5]");
  check(conv(b, input({1, 4, 9, 9}), input({8, 2, 3, 3}), &bias, attrs, 2), "f32[1, 8, 5, 5]");
  check(conv(b, input({1, 8, 9, 9}), input({8, 1, 3, 3}), &bias, attrs, 8), "f32[1, 8, 5, 5]");
  check(conv(b, input({1, 4, 9, 9}), input({8, 1, 3, 3}), &bias, attrs, 4), "f32[1, 8, 5, 5]");
  check(conv(b, input({1, 4, n, n}), input({8, 4, 3, 3}), nullptr, attrs, 1),
        "f32[1, 8, floordiv(n + 1, 2), floordiv(n + 1, 2)]");
  WindowAttrs same;
  same.autoPad = AutoPad::SameLower;
  same.dilations = {2};
  check(conv(b, input({1, 4, 9}), input({8, 4, 3}), &bias, same, 1), "f32[1, 8, 9]");
  check(conv(b, input({1, 2, 5, 5, 5}), input({8, 2, 3, 3, 3}), &bias, {}, 1), "f32[1, 8, 3, 3, 3]");
  expectError(failed(conv(b, input({1, 3, 9, 9}), input({8, 4, 3, 3}), nullptr, attrs, 1)), "channels");
}

TEST_F(OpsTest, TransposedConvolutions) {
  Tensor bias = input({6});
  WindowAttrs attrs;
  attrs.strides = {2, 2};
  check(convTranspose(b, input({n, 4, 5, 5}), input({4, 6, 2, 2}), &bias, attrs, 1, {}, {}), "f32[n, 6, 10, 10]");
  check(convTranspose(b, input({n, 4, 5, 5}), input({4, 6, 3, 3}), &bias, attrs, 1, {1, 1}, {}), "f32[n, 6, 12, 12]");
  check(convTranspose(b, input({n, 4, 5, 5}), input({4, 3, 3, 3}), &bias, attrs, 2, {}, {10, 10}), "f32[n, 6, 10, 10]");
  attrs.pads = {1, 1, 1, 1};
  check(convTranspose(b, input({1, 4, n, n}), input({4, 6, 4, 4}), &bias, attrs, 1, {}, {}), "f32[1, 6, 2*n, 2*n]");
  check(convTranspose(b, input({1, 4, 5}), input({4, 6, 3}), &bias, {}, 1, {}, {}), "f32[1, 6, 7]");
}

TEST_F(OpsTest, Poolings) {
  PoolAttrs attrs;
  attrs.kernel = {3, 3}, attrs.strides = {2, 2}, attrs.pads = {1, 1, 1, 1};
  for (Pool kind : {Pool::Max, Pool::Average, Pool::Lp})
    for (bool ceilMode : {false, true}) {
      attrs.ceilMode = ceilMode;
      check(pool(b, kind, input({n, 4, 10, 10}), attrs), ceilMode ? "f32[n, 4, 6, 6]" : "f32[n, 4, 5, 5]");
    }
  attrs.ceilMode = false;
  check(pool(b, Pool::Average, input({1, 4, n, n}), attrs), "f32[1, 4, floordiv(n + 1, 2), floordiv(n + 1, 2)]");
  auto both = maxPoolWithIndices(b, input({n, 4, 10, 10}), attrs);
  ASSERT_TRUE(succeeded(both));
  check((*both)[1], "i64[n, 4, 5, 5]");
  check(globalPool(b, Pool::Average, input({n, 4, 7, 7})), "f32[n, 4, 1, 1]");
}

TEST_F(OpsTest, Reductions) {
  Tensor x = input({n, 3, 4});
  for (int kind = 0; kind <= static_cast<int>(Reduce::SumSquare); ++kind) {
    check(reduce(b, Reduce(kind), x, {-1, 0}, true), "f32[1, 3, 1]");
    check(reduce(b, Reduce(kind), x, {}, false), "f32[]");
  }
  check(reduce(b, Reduce::Sum, x, {}, false, true), "f32[n, 3, 4]");
  check(reduce(b, Reduce::Mean, input({3, 4}, i64), {1}, false), "i64[3]");
  check(argReduce(b, true, x, 1, true, true), "i64[n, 1, 4]");
  check(cumSum(b, x, 1, true, true), "f32[n, 3, 4]");
  expectError(failed(reduce(b, Reduce::Sum, x, {3}, true)), "out of range");
}

TEST_F(OpsTest, Selections) {
  Tensor x = input({n, 3, 4}), mask = input({3}, opBuilder.getI1Type());
  check(nonZero(b, floats({0, 2, 0, 3})), "i64[1, 2]");
  check(nonZero(b, b.splat({n, 3}, f32, 0)), "i64[2, 0]");
  check(nonZero(b, b.splat({n, 3}, f32, 7)), "i64[2, 3*n]");
  for (Dims shape : {Dims{}, Dims{n}, Dims{2, n, 3}}) {
    auto places = nonZero(b, input(shape));
    ASSERT_TRUE(succeeded(places)) << errors;
    EXPECT_EQ(places->str().rfind("i64[" + std::to_string(shape.size()) + ", ", 0), 0u) << places->str();
  }
  auto picked = compress(b, x, mask, 1);
  ASSERT_TRUE(succeeded(picked)) << errors;
  EXPECT_EQ(picked->rank(), 3);
  check(compress(b, x, fromConstant(mlir::DenseElementsAttr::get(mask.type(), {true, false, true})), -2),
        "f32[n, 2, 4]");
  auto different = unique(b, x, std::nullopt, true);
  ASSERT_TRUE(succeeded(different)) << errors;
  check((*different)[2], "i64[12*n]");
  Tensor most = list({5});
  auto kept = nonMaxSuppression(b, input({n, 10, 4}), input({n, 2, 10}), &most, nullptr, nullptr, false);
  ASSERT_TRUE(succeeded(kept)) << errors;
  EXPECT_TRUE(kept->shape[1].is(3));
  expectError(failed(compress(b, x, x, 1)), "vector of booleans");
  expectError(failed(nonMaxSuppression(b, mask, x, &most, nullptr, nullptr, false)), "expected boxes");
}

TEST_F(OpsTest, Normalisations) {
  Tensor x = input({n, 4, 6}), channel = input({4}), last = input({6});
  check(softmax(b, x, -1), "f32[n, 4, 6]");
  check(softmax(b, x, 1, true), "f32[n, 4, 6]");
  check(logSoftmax(b, x, 1), "f32[n, 4, 6]");
  check(hardmax(b, x, 1), "f32[n, 4, 6]");
  auto layer = layerNorm(b, x, last, &last, -1, 1e-5);
  ASSERT_TRUE(succeeded(layer));
  check((*layer)[0], "f32[n, 4, 6]");
  check((*layer)[1], "f32[n, 4, 1]");
  check(rmsNorm(b, x, last, -1, 1e-5), "f32[n, 4, 6]");
  check(instanceNorm(b, x, channel, channel, 1e-5), "f32[n, 4, 6]");
  check(groupNorm(b, x, channel, channel, 2, 1e-5), "f32[n, 4, 6]");
  check(batchNorm(b, x, channel, channel, channel, channel, 1e-5), "f32[n, 4, 6]");
  check(lrn(b, x, 3, 1e-4, 0.75, 1), "f32[n, 4, 6]");
  check(meanVarianceNorm(b, x, {0, 2}), "f32[n, 4, 6]");
  check(lpNorm(b, x, 1, 2), "f32[n, 4, 6]");
}

TEST_F(OpsTest, Movement) {
  Tensor x = input({n, 4, 6});
  check(transpose(b, x, {2, 0, 1}), "f32[6, n, 4]");
  check(flatten(b, x, 1), "f32[n, 24]");
  check(expand(b, input({4, 1}), list({2, 1, 6})), "f32[2, 4, 6]");
  check(tile(b, x, list({2, 1, 3})), "f32[2*n, 4, 18]");
  check(concat(b, {x, input({2, 4, 6})}, 0), "f32[n + 2, 4, 6]");
  auto parts = splitEqually(b, x, 2, 4);
  ASSERT_TRUE(succeeded(parts));
  check((*parts)[3], "f32[n, 4, 0]");
  Tensor axes = list({2, 1}), steps = list({-2, 1});
  check(slice(b, x, list({-1, 1}), list({-100, 3}), &axes, &steps), "f32[n, 2, 3]");
  check(slice(b, x, list({1}), list({int64_t(1) << 62}), nullptr, nullptr), "f32[n - 1, 4, 6]");
  for (PadMode mode : {PadMode::Constant, PadMode::Reflect, PadMode::Edge, PadMode::Wrap})
    check(pad(b, x, list({1, 0, 2, 0, -1, 1}), mode, nullptr), "f32[n + 1, 3, 9]");
  check(depthToSpace(b, input({n, 8, 3, 3}), 2, true), "f32[n, 2, 6, 6]");
  check(spaceToDepth(b, input({n, 2, 6, 6}), 2), "f32[n, 8, 3, 3]");
  check(reverseSequence(b, x, input({4}, i64), 0, 1), "f32[n, 4, 6]");
}

TEST_F(OpsTest, Gathers) {
  Tensor x = input({n, 4, 6});
  check(gather(b, x, input({2, 3}, i64), 1), "f32[n, 2, 3, 6]");
  check(gather(b, x, fromContents(i64, {}, {-1}), 1), "f32[n, 6]");
  check(gatherElements(b, x, input({n, 2, 6}, i64), 1), "f32[n, 2, 6]");
  check(gatherND(b, x, input({n, 5, 1}, i64), 1), "f32[n, 5, 6]");
  check(oneHot(b, input({n, 3}, i64), list({10}), input({2}), -1), "f32[n, 3, 10]");
  for (Scatter kind : {Scatter::Set, Scatter::Add, Scatter::Max}) {
    check(scatterElements(b, x, input({n, 2, 3}, i64), input({n, 2, 3}), 1, kind), "f32[n, 4, 6]");
    check(scatterND(b, x, input({5, 2}, i64), input({5, 6}), kind), "f32[n, 4, 6]");
  }
  auto top = topK(b, x, list({3}), 1, true);
  ASSERT_TRUE(succeeded(top)) << errors;
  check((*top)[0], "f32[n, 3, 6]");
  check(trilu(b, x, nullptr, true), "f32[n, 4, 6]");
}

TEST_F(OpsTest, MadeUp) {
  Tensor x = input({n, 4});
  auto scalar = [&](Dim d) { return fromContents(i64, {}, {d}); };
  check(range(b, scalar(0), scalar(n), scalar(2)), "i64[floordiv(n + 1, 2)]");
  check(range(b, scalar(5), scalar(0), scalar(-2)), "i64[3]");
  auto one = mlir::DenseElementsAttr::get(mlir::RankedTensorType::get(1, f32), 1.0f);
  check(constantOfShape(b, *shape(b, x), one), "f32[n, 4]");
  check(eyeLike(b, x, 1, f32, false), "f32[n, 4]");
  auto dynamic = reshape(b, x, input({2}, i64));
  ASSERT_TRUE(succeeded(dynamic)) << errors;
  EXPECT_EQ(dynamic->rank(), 2);
  verify();
}

TEST_F(OpsTest, Resize) {
  Tensor x = input({n, 3, 8, 8}), y = input({1, 3, n, n});
  Tensor scales = floats({1, 1, 2, 1.5}), sizes = list({1, 3, 13, 20});
  for (ResizeMode mode : {ResizeMode::Nearest, ResizeMode::Linear, ResizeMode::Cubic})
    for (int c = 0; c <= static_cast<int>(CoordinateMode::TfCropAndResize); ++c) {
      ResizeAttrs attrs;
      attrs.mode = mode, attrs.coordinates = CoordinateMode(c), attrs.excludeOutside = c & 1;
      check(resize(b, x, nullptr, &scales, nullptr, attrs), "f32[n, 3, 16, 12]");
      check(resize(b, y, nullptr, nullptr, &sizes, attrs), "f32[1, 3, 13, 20]");
    }
  ResizeAttrs attrs;
  attrs.coordinates = CoordinateMode::Asymmetric, attrs.nearest = NearestMode::Floor;
  Tensor twice = floats({1, 1, 2, 2});
  check(resize(b, y, nullptr, &twice, nullptr, attrs), "f32[1, 3, 2*n, 2*n]");
}

TEST_F(OpsTest, Recurrent) {
  Tensor x = input({5, n, 4}), lengths = input({n}, opBuilder.getI32Type());
  for (Cell cell : {Cell::Rnn, Cell::Gru, Cell::Lstm})
    for (Direction direction : {Direction::Forward, Direction::Reverse, Direction::Bidirectional}) {
      int64_t g = cell == Cell::Lstm ? 4 : cell == Cell::Gru ? 3 : 1, d = direction == Direction::Bidirectional ? 2 : 1;
      RecurrentAttrs attrs;
      attrs.direction = direction, attrs.hiddenSize = 3, attrs.clip = 2, attrs.linearBeforeReset = d == 2;
      Tensor bias = input({d, 6 * g}), h0 = input({d, n, 3}), p = input({d, 9});
      auto results =
          recurrent(b, cell, x, input({d, 3 * g, 4}), input({d, 3 * g, 3}), &bias, d == 2 ? &lengths : nullptr, &h0,
                    cell == Cell::Lstm ? &h0 : nullptr, cell == Cell::Lstm ? &p : nullptr, attrs);
      ASSERT_TRUE(succeeded(results)) << errors;
      check((*results)[0], "f32[5, " + std::to_string(d) + ", n, 3]");
      check(results->back(), "f32[" + std::to_string(d) + ", n, 3]");
    }
}

TEST_F(OpsTest, Vision) {
  Tensor x = input({n, 4, 8, 9}), rois = input({n, 4}), batch = input({n}, i64);
  RoiAttrs regions;
  regions.height = 2, regions.width = 3;
  for (bool isMax : {false, true}) {
    regions.isMax = isMax;
    check(roiAlign(b, x, rois, batch, regions), "f32[n, 4, 2, 3]");
  }
  check(maxRoiPool(b, x, input({7, 5}), regions), "f32[7, 4, 2, 3]");
  Tensor offset = input({n, 16, 7, 8}), mask = input({n, 8, 7, 8}), bias = input({6});
  check(deformConv(b, x, input({6, 2, 2, 2}), offset, &bias, &mask, WindowAttrs(), 2, 2), "f32[n, 6, 7, 8]");
  check(col2Im(b, input({n, 12, 16}), list({5, 6}), list({2, 3}), WindowAttrs()), "f32[n, 2, 5, 6]");
  WindowAttrs window;
  window.kernel = {2, 2}, window.strides = {2, 2};
  check(maxUnpool(b, input({n, 1, 2, 3}), input({n, 1, 2, 3}, i64), nullptr, window), "f32[n, 1, 4, 6]");
  for (int64_t size : {2, 7})
    check(determinant(b, input({n, size, size})), "f32[n]");
}

TEST_F(OpsTest, Signals) {
  Tensor half = list({6}), step = list({4});
  check(dft(b, input({3, n, 2}), nullptr, 1, false, false), "f32[3, n, 2]");
  check(dft(b, input({n, 10, 1}), nullptr, -2, false, true), "f32[n, 6, 2]");
  check(dft(b, input({n, 6, 2}), nullptr, 1, true, true), "f32[n, 10, 1]");
  check(dft(b, input({n, 10, 2}), &half, 1, true, false), "f32[n, 6, 2]");
  Tensor shape = input({8});
  check(stft(b, input({n, 40, 1}), step, &shape, nullptr, true), "f32[n, 9, 5, 2]");
  check(window(b, Window1D::Hann, half, true, opBuilder.getF16Type(), false), "f16[6]");
  check(melWeightMatrix(b, list({5}), list({16}), list({8000}), floats({20}), floats({4000}), f32, false), "f32[9, 5]");
  TfIdfAttrs grams;
  grams.maxLength = 2, grams.pool = {1, 2, 3, 4}, grams.counts = {0, 2}, grams.columns = {0, 1, 2};
  check(tfIdfVectorizer(b, input({n, 9}, i64), grams), "f32[n, 3]");
}

TEST_F(OpsTest, TreesAndScores) {
  TreeEnsemble trees;
  trees.nodes = {{2, 0.5, kTreeLess | kTreeEqual, 1, ~0}, {0, -1, kTreeLess | kTreeMissing, ~1, ~2}};
  trees.roots = {0}, trees.leaves = 3, trees.targets = 2;
  trees.votes = {{0, 0, 1.5}, {1, 0, 2}, {2, 0, -1}};
  Tensor x = input({n, 3});
  check(treeScores(b, x, trees), "f32[n, 2]"); // one target for the tree
  trees.votes.push_back({2, 1, 4});
  check(treeScores(b, x, trees), "f32[n, 2]"); // two
  trees.nodes[1].onTrue = 0;
  expectError(failed(treeScores(b, x, trees)), "node 0 is below itself");
  for (ScoreTransform transform : {ScoreTransform::None, ScoreTransform::Logistic, ScoreTransform::Softmax,
                                   ScoreTransform::SoftmaxZero, ScoreTransform::Probit})
    check(transformScores(b, x, transform), "f32[n, 3]");
  for (Kernel kernel : {Kernel::Linear, Kernel::Poly, Kernel::Rbf, Kernel::Sigmoid})
    check(kernelRows(b, x, input({7, 3}), {kernel, 0.5, 1, 2}), "f32[n, 7]");
  check(coupledProbabilities(b, input({n, 4, 4})), "f32[n, 4]");
  Tensor keys = floats({3, 1, 2});
  auto values = mlir::DenseElementsAttr::get(mlir::RankedTensorType::get(3, i64), llvm::ArrayRef<int64_t>{5, 6, 7});
  check(lookUp(b, x, {keys.constant, values, numberAttr(i64, -1)}), "i64[n, 3]");
  expectError(failed(lookUp(b, input({n}, i64), {keys.constant, keys.constant, numberAttr(f32, 0)})), "the keys have");
}

TEST_F(OpsTest, RandomNumbers) {
  RandomKey key{1, 2};
  Tensor x = input({n, 3});
  check(randomUniform(b, key, {n, 3}, f32, 0, 1), "f32[n, 3]");
  check(randomNormal(b, key, {2, 3}, opBuilder.getF64Type(), 0, 1), "f64[2, 3]");
  check(bernoulli(b, key, x, i64, false), "i64[n, 3]");
  check(multinomial(b, key, x, 5, i64, false), "i64[n, 5]");
}

TEST_F(OpsTest, LinearAttention) {
  LinearAttentionAttrs attrs;
  attrs.queryHeads = 4, attrs.keyHeads = 2, attrs.isGated = attrs.isDelta = true;
  Tensor decay = input({n, 5, 2}), beta = input({n, 5, 2});
  auto results =
      linearAttention(b, input({n, 5, 12}), input({n, 5, 6}), input({n, 5, 8}), nullptr, &decay, &beta, attrs);
  ASSERT_TRUE(succeeded(results)) << errors;
  check((*results)[0], "f32[n, 5, 16]");
  check((*results)[1], "f32[n, 2, 3, 4]");
  auto conv = causalConv(b, input({n, 3, 7}), input({3, 1, 4}), nullptr, nullptr, true);
  ASSERT_TRUE(succeeded(conv)) << errors;
  check((*conv)[0], "f32[n, 3, 7]");
  check((*conv)[1], "f32[n, 3, 3]");
}

TEST_F(OpsTest, Quantisation) {
  Tensor scale = input({4}), zero = input({4}, opBuilder.getI8Type());
  auto q = quantizeLinear(b, input({n, 4}), scale, &zero, 1, opBuilder.getI8Type(), false);
  check(q, "i8[n, 4]");
  check(dequantizeLinear(b, *q, scale, &zero, 1), "f32[n, 4]");
  for (mlir::Type from : {f32, i64, mlir::Type(opBuilder.getI1Type()), mlir::Type(opBuilder.getBF16Type())})
    for (mlir::Type to : {i64, mlir::Type(opBuilder.getI8Type()), mlir::Type(opBuilder.getI1Type()),
                          mlir::Type(opBuilder.getF64Type()), mlir::Type(opBuilder.getF16Type())}) {
      auto result = cast(b, input({2}, from), to, false);
      ASSERT_TRUE(succeeded(result));
      verify();
    }
}

} // namespace
