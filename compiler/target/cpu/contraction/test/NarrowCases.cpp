// Products of bytes and of bf16.
#include "compiler/target/cpu/contraction/test/CaseText.h"
#include "llvm/Support/FormatVariadic.h"
#include <array>
#include <cstring>

using namespace eyrie::target::cpu::test;

namespace {

/// The body acc + ext(x) * ext(y) of bytes, signed or not ("s", "u").
std::string byteBody(const std::string &signs) {
  auto extend = [&](int side, const std::string &name) {
    return "    %" + name + "w = arith.ext" + signs[side] + "i %" + name + " : i8 to i32\n";
  };
  return "{\n  ^bb0(%x: i8, %y: i8, %acc: i32):\n" + extend(0, "x") + extend(1, "y") +
         "    %p = arith.muli %xw, %yw : i32\n    %s = arith.addi %acc, %p : i32\n    linalg.yield %s : i32\n  }";
}

/// Sums as bytes: scaled per column, bounded, rounded half to even.
std::string requantisation(const std::string &sums, const std::string &out, const std::string &columns, int rank,
                           const std::string &sizes) {
  std::string dims, iterators;
  for (int i = 0; i < rank; ++i) {
    dims += (i ? ", d" : "d") + n(i);
    iterators += i ? ", \"parallel\"" : "\"parallel\"";
  }
  std::string id = "affine_map<(" + dims + ") -> (" + dims + ")>";
  return "  %e = tensor.empty(" + sizes + ") : " + out + "\n  %r = linalg.generic {indexing_maps = [" + id +
         ", affine_map<(" + dims + ") -> (d" + n(rank - 1) + ")>, " + id + "], iterator_types = [" + iterators +
         "]} ins(%mm, %scale : " + sums + ", " + columns + ") outs(%e : " + out +
         ") {\n  ^bb0(%p: i32, %q: f32, %o: i8):\n    %low = arith.constant -128.0 : f32\n"
         "    %high = arith.constant 127.0 : f32\n    %f = arith.sitofp %p : i32 to f32\n"
         "    %small = arith.constant 0.001953125 : f32\n    %0 = arith.mulf %f, %small : f32\n"
         "    %1 = arith.mulf %0, %q : f32\n    %2 = arith.maximumf %1, %low : f32\n"
         "    %3 = arith.minimumf %2, %high : f32\n    %4 = math.roundeven %3 : f32\n"
         "    %5 = arith.fptosi %4 : f32 to i32\n    %6 = arith.trunci %5 : i32 to i8\n    linalg.yield %6 : i8\n  } "
         "-> " +
         out + "\n  return %r : " + out + "\n";
}

/// A function of bytes %a and %b whose root is `generic` over them, and which returns its sums or, requantised, bytes.
std::string byteFunction(const std::string &at, const std::string &bt, const std::vector<int64_t> &shape,
                         const std::string &maps, const std::string &signs, bool requantised, bool dynamic) {
  std::string sums = join(shape, "i32"), out = requantised ? join(shape, "i8") : sums, d = dynamic ? "0" : "",
              columns = join({shape.back()}, "f32"), sizes = dynamic ? "%m" : "";
  return "func.func @kernel(%a: " + at + ", %b: " + bt + (requantised ? ", %scale: " + columns : "") +
         (dynamic ? ", %m: index" : "") + ") -> " + out + " attributes {graph.arg_dims = [[" + d + "], []" +
         (requantised ? ", []" : "") + "], graph.result_dims = [[" + d +
         "]]} {\n  %zero = arith.constant 0 : i32\n  %empty = tensor.empty(" + sizes + ") : " + sums +
         "\n  %fill = linalg.fill ins(%zero : i32) outs(%empty : " + sums + ") -> " + sums +
         "\n  %mm = linalg.generic {" + maps + "} ins(%a, %b : " + at + ", " + bt + ") outs(%fill : " + sums + ") " +
         byteBody(signs) + " -> " + sums + "\n" +
         (requantised ? requantisation(sums, out, columns, shape.size(), sizes) : "  return %mm : " + sums + "\n") +
         "}\n";
}

/// Products of bytes in i32; `signs` says which operands are signed.
Case byteMatmul(int64_t M, int64_t N, int64_t K, const std::string &signs, bool packed = true, bool requantised = false,
                bool dynamic = false) {
  Case c;
  c.packed = packed;
  c.name = llvm::formatv("bytes {0}x{1}x{2} {3}{4}{5}{6}", M, N, K, signs, packed ? " packed" : "",
                         requantised ? " requantised" : "", dynamic ? " dynM" : "");
  c.flops = 2.0 * M * N * K;
  int64_t m = dynamic ? -1 : M;
  if (dynamic)
    c.indices.push_back(M);
  c.source = byteFunction(join({m, K}, "i8"), join({K, N}, "i8"), {m, N},
                          "indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, "
                          "affine_map<(m, n, k) -> (m, n)>], iterator_types = [\"parallel\", \"parallel\", "
                          "\"reduction\"]",
                          signs, requantised, dynamic);
  return c;
}

Case byteConv(int64_t N, int64_t OH, int64_t OW, int64_t CI, int64_t CO, int64_t K, int64_t stride,
              const std::string &signs, bool requantised = true, bool dynamic = false) {
  Case c;
  c.packed = true;
  c.name = llvm::formatv("bytes conv {0}x{1}x{2} {3}->{4} {5} s{6} {7}{8}", N, OH, OW, CI, CO, K, stride, signs,
                         dynamic ? " dynN" : "");
  c.flops = 2.0 * N * OH * OW * CI * CO * K * K;
  int64_t batch = dynamic ? -1 : N;
  if (dynamic)
    c.indices.push_back(N);
  std::string loops = "(n, oh, ow, co, kh, kw, ci)", s = n(stride);
  c.source = byteFunction(
      join({batch, (OH - 1) * stride + K, (OW - 1) * stride + K, CI}, "i8"), join({K, K, CI, CO}, "i8"),
      {batch, OH, OW, CO},
      "indexing_maps = [affine_map<" + loops + " -> (n, oh * " + s + " + kh, ow * " + s + " + kw, ci)>, affine_map<" +
          loops + " -> (kh, kw, ci, co)>, affine_map<" + loops +
          " -> (n, oh, ow, co)>], iterator_types = [\"parallel\", \"parallel\", \"parallel\", \"parallel\", "
          "\"reduction\", \"reduction\", \"reduction\"]",
      signs, requantised, dynamic);
  return c;
}

Case byteDepthwise(int64_t OH, int64_t OW, int64_t C, int64_t K, int64_t stride, const std::string &signs) {
  Case c;
  c.name = llvm::formatv("bytes depthwise {0}x{1}x{2} {3} s{4} {5}", OH, OW, C, K, stride, signs);
  c.flops = 2.0 * OH * OW * C * K * K;
  std::string loops = "(n, oh, ow, c, kh, kw)", s = n(stride);
  c.source = byteFunction(
      join({1, (OH - 1) * stride + K, (OW - 1) * stride + K, C}, "i8"), join({K, K, C}, "i8"), {1, OH, OW, C},
      "indexing_maps = [affine_map<" + loops + " -> (n, oh * " + s + " + kh, ow * " + s + " + kw, c)>, affine_map<" +
          loops + " -> (kh, kw, c)>, affine_map<" + loops +
          " -> (n, oh, ow, c)>], iterator_types = [\"parallel\", \"parallel\", \"parallel\", \"parallel\", "
          "\"reduction\", \"reduction\"]",
      signs, /*requantised=*/true, /*dynamic=*/false);
  return c;
}

/// The requantised case with a function of its bytes behind it, 96 / (1 + exp(0.033 x)), which is near half a step for
/// none.
Case withFunctionOfBytes(Case c) {
  const std::string end = "    linalg.yield %6 : i8\n";
  c.source.replace(c.source.find(end), end.size(),
                   "    %step = arith.constant 0.033 : f32\n    %one = arith.constant 1.0 : f32\n"
                   "    %most = arith.constant 96.0 : f32\n    %f0 = arith.extsi %6 : i8 to i32\n"
                   "    %f1 = arith.sitofp %f0 : i32 to f32\n    %f2 = arith.mulf %f1, %step : f32\n"
                   "    %f3 = math.exp %f2 : f32\n    %f4 = arith.addf %f3, %one : f32\n"
                   "    %f5 = arith.divf %most, %f4 : f32\n    %f6 = math.roundeven %f5 : f32\n"
                   "    %f7 = arith.fptosi %f6 : f32 to i32\n    %f8 = arith.trunci %f7 : i32 to i8\n"
                   "    linalg.yield %f8 : i8\n");
  c.name += " activated";
  return c;
}

/// The case of signed bytes in bf16, and its sums in f32.
Case inBf16(Case c) {
  const std::pair<const char *, const char *> words[] = {{"i8", "bf16"},    {"i32", "f32"},
                                                         {"extsi", "extf"}, {"muli", "mulf"},
                                                         {"addi", "addf"},  {"constant 0", "constant 0.0"},
                                                         {"bytes", "bf16"}, {" ss", ""}};
  for (std::string *text : {&c.source, &c.name})
    for (auto [from, to] : words)
      for (size_t at = 0; (at = text->find(from, at)) != std::string::npos; at += strlen(to))
        text->replace(at, strlen(from), to);
  return c;
}

} // namespace

Case eyrie::target::cpu::test::withLargestWeight(Case c, int64_t magnitude) {
  std::string before = "outs(%fill : ";
  size_t body = c.source.find(") {", c.source.find(before));
  c.source.insert(body + 1, " attrs = {graph.largest_weight = " + n(magnitude) + " : i64}");
  c.largestWeight = magnitude;
  c.name += " to " + n(magnitude);
  return c;
}

/// Rows, columns and steps of products of narrow factors; the first ones for every pair of signs.
static const std::array<int64_t, 3> narrowShapes[] = {{1, 7, 3},      {13, 37, 31}, {14, 64, 64}, {3, 100, 129},
                                                      {1, 40, 16},    {5, 16, 2},   {29, 67, 5},  {31, 16, 1},
                                                      {17, 33, 1021}, {5, 33, 0}};

std::vector<Case> eyrie::target::cpu::test::byteCases() {
  std::vector<Case> cases;
  for (std::string signs : {"us", "su", "ss", "uu"}) {
    bool isUsual = signs == "us";
    for (auto [M, N, K] : isUsual ? llvm::ArrayRef(narrowShapes) : llvm::ArrayRef(narrowShapes).take_front(4))
      cases.push_back(byteMatmul(M, N, K, signs));
    cases.push_back(byteMatmul(13, 37, 30, signs, /*packed=*/false));
    for (int64_t N : {37, 33, 17, 1})
      cases.push_back(byteMatmul(13, N, 30, signs, true, /*requantised=*/true));
    for (int64_t M : {0, 1, 6, 19})
      if (isUsual || M == 6)
        cases.push_back(byteMatmul(M, 40, 22, signs, true, true, /*dynamic=*/true));
    cases.push_back(byteConv(2, 5, 9, 3, 20, 3, 2, signs));
    if (signs == "us" || signs == "ss") {
      cases.push_back(byteConv(1, 7, 7, 8, 32, 3, 1, signs));
      cases.push_back(byteConv(2, 5, 6, 7, 37, 2, 1, signs, false, true));
      cases.push_back(byteConv(1, 6, 5, 16, 48, 1, 1, signs));
    }
    cases.push_back(byteDepthwise(7, 9, 37, 3, 1, signs));
    cases.push_back(withFunctionOfBytes(byteDepthwise(7, 9, 37, 3, 1, signs)));
    cases.push_back(withFunctionOfBytes(byteConv(2, 5, 9, 3, 20, 3, 2, signs)));
    if (isUsual)
      for (int64_t N : {64, 33, 17, 1})
        cases.push_back(withFunctionOfBytes(byteMatmul(13, N, 30, signs, true, /*requantised=*/true)));
    for (int64_t largest : {64, 65})
      if (isUsual || largest == 64)
        cases.push_back(withLargestWeight(byteMatmul(13, 37, 31, signs), largest));
  }
  return cases;
}

std::vector<Case> eyrie::target::cpu::test::bf16Cases() {
  std::vector<Case> cases;
  for (auto [M, N, K] : narrowShapes)
    cases.push_back(inBf16(byteMatmul(M, N, K, "ss")));
  cases.push_back(inBf16(byteMatmul(13, 37, 30, "ss", /*packed=*/false)));
  for (int64_t M : {0, 1, 6, 19})
    cases.push_back(inBf16(byteMatmul(M, 40, 23, "ss", true, false, /*dynamic=*/true)));
  cases.push_back(inBf16(byteConv(2, 5, 9, 3, 20, 3, 2, "ss", false)));
  cases.push_back(inBf16(byteConv(1, 7, 7, 8, 32, 3, 1, "ss", false)));
  cases.push_back(inBf16(byteConv(2, 5, 6, 7, 37, 2, 1, "ss", false, true)));
  cases.push_back(inBf16(byteConv(1, 6, 5, 16, 48, 1, 1, "ss", false)));
  return cases;
}

std::vector<Case> eyrie::target::cpu::test::tileCases() {
  std::vector<Case> cases;
  for (bool isBf16 : {false, true}) {
    auto add = [&](const Case &bytes) { cases.push_back(isBf16 ? inBf16(bytes) : bytes); };
    const int64_t whole = isBf16 ? 32 : 64; // steps that fill a register
    for (std::string signs : {"ss", "us", "su", "uu"}) {
      if (isBf16 && signs != "ss")
        continue;
      add(byteMatmul(32, 64, 40 * whole, signs));
      add(byteMatmul(50, 40, whole + 3, signs));
      add(byteMatmul(5, 100, 2 * whole + 1, signs));
    }
    for (int64_t M : {4, 15, 16, 17, 31, 33, 100})
      add(byteMatmul(M, 33, 2 * whole, "ss"));
    for (int64_t N : {1, 7, 16, 24, 32, 48})
      add(byteMatmul(20, N, 3 * whole, "ss"));
    for (int64_t K : {whole - 1, whole, whole + 1, whole + 2, 2 * whole - 4, 10 * whole + 5})
      add(byteMatmul(19, 40, K, "ss"));
    for (int64_t M : {0, 1, 15, 16, 17, 32, 33, 70})
      add(byteMatmul(M, 40, 2 * whole + 6, "ss", true, !isBf16, /*dynamic=*/true));
    add(byteConv(2, 5, 18, whole, 40, 3, 1, "ss", !isBf16));
    add(byteConv(1, 6, 33, whole + 6, 32, 3, 2, "ss", !isBf16, /*dynamic=*/true));
    add(byteConv(1, 7, 7, 2 * whole, 64, 1, 1, "ss", !isBf16));
  }
  return cases;
}

std::vector<Case> eyrie::target::cpu::test::narrowBenchmarkCases() {
  std::vector<Case> cases;
  cases.push_back(inBf16(byteMatmul(512, 512, 512, "ss")));
  cases.push_back(inBf16(byteMatmul(128, 768, 3072, "ss")));
  cases.push_back(inBf16(byteMatmul(16, 4096, 4096, "ss")));
  cases.push_back(inBf16(byteConv(1, 56, 56, 64, 256, 1, 1, "ss", false)));
  for (std::string signs : {"us", "ss"}) {
    cases.push_back(byteMatmul(512, 512, 512, signs));
    cases.push_back(byteMatmul(128, 768, 3072, signs, true, true));
  }
  cases.push_back(withLargestWeight(byteMatmul(512, 512, 512, "us"), 64));
  cases.push_back(byteMatmul(1, 4096, 4096, "us"));
  cases.push_back(byteMatmul(16, 4096, 4096, "us"));
  cases.push_back(byteConv(1, 56, 56, 64, 64, 3, 1, "us"));
  cases.push_back(byteConv(1, 14, 14, 256, 256, 3, 1, "us"));
  cases.push_back(byteConv(1, 56, 56, 64, 256, 1, 1, "us"));
  cases.push_back(byteConv(1, 112, 112, 3, 64, 7, 2, "us"));
  cases.push_back(byteDepthwise(56, 56, 96, 3, 1, "us"));
  cases.push_back(byteDepthwise(14, 14, 512, 3, 1, "us"));
  return cases;
}
