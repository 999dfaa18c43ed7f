#include "compiler/target/cpu/contraction/test/CaseText.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;
using namespace eyrie::target;
using namespace eyrie::target::cpu::test;

namespace {

enum Epilogue { None, BiasRelu, Residual, TwoResults };

std::string epilogueText(Epilogue kind, const std::string &out, const std::string &value, int rank,
                         const std::string &columns, const std::string &sizes) {
  if (kind == None)
    return "  return " + value + " : " + out + "\n";
  std::string dims, iterators, last = "d" + n(rank - 1);
  for (int i = 0; i < rank; ++i) {
    dims += (i ? ", d" : "d") + n(i);
    iterators += i ? ", \"parallel\"" : "\"parallel\"";
  }
  std::string id = "affine_map<(" + dims + ") -> (" + dims + ")>",
              bias = "affine_map<(" + dims + ") -> (" + last + ")>";
  std::string s = "  %e = tensor.empty(" + sizes + ") : " + out + "\n";
  if (kind == BiasRelu)
    s +=
        "  %r = linalg.generic {indexing_maps = [" + id + ", " + bias + ", " + id + "], iterator_types = [" +
        iterators + "]} ins(" + value + ", %bias : " + out + ", " + columns + ") outs(%e : " + out +
        ") {\n  ^bb0(%p: f32, %q: f32, %o: f32):\n    %1 = arith.addf %p, %q : f32\n    %z = arith.constant 0.0 : f32\n"
        "    %2 = arith.maximumf %1, %z : f32\n    linalg.yield %2 : f32\n  } -> " +
        out + "\n  return %r : " + out + "\n";
  if (kind == Residual)
    s += "  %r = linalg.generic {indexing_maps = [" + id + ", " + id + ", " + bias + ", " + id +
         "], iterator_types = [" + iterators + "]} ins(" + value + ", %res, %bias : " + out + ", " + out + ", " +
         columns + ") outs(%e : " + out +
         ") {\n  ^bb0(%p: f32, %s: f32, %q: f32, %o: f32):\n    %1 = arith.mulf %p, %q : f32\n    %2 = arith.addf %1, "
         "%s : f32\n"
         "    linalg.yield %2 : f32\n  } -> " +
         out + "\n  return %r : " + out + "\n";
  if (kind == TwoResults)
    s += "  %r:2 = linalg.generic {indexing_maps = [" + id + ", " + id + ", " + id + "], iterator_types = [" +
         iterators + "]} ins(" + value + " : " + out + ") outs(%e, %e : " + out + ", " + out +
         ") {\n  ^bb0(%p: f32, %o: f32, %o2: f32):\n    %1 = arith.mulf %p, %p : f32\n    %i = linalg.index " +
         n(rank - 1) +
         " : index\n    %j = arith.index_cast %i : index to i32\n    %f = arith.sitofp %j : i32 to f32\n"
         "    %2 = arith.addf %p, %f : f32\n    linalg.yield %1, %2 : f32, f32\n  } -> (" +
         out + ", " + out + ")\n  return %r#0, %r#1 : " + out + ", " + out + "\n";
  return s;
}

/// C[b, m, n] = A[b, m, k] B[k, n]; without a batch if `batch` is 0. Layouts: transposes of A and B as stored.
Case matmul(int64_t batch, int64_t M, int64_t N, int64_t K, bool packed, Epilogue epilogue = None, bool dynamic = false,
            bool transA = false, bool transB = false, bool batchedB = false, bool dynamicN = false,
            std::string type = "f32") {
  Case c;
  c.packed = packed;
  c.name = llvm::formatv("matmul {0}{1}x{2}x{3}{4}{5}{6}{7}{8} {9} e{10}", batch ? n(batch) + "*" : std::string(), M, N,
                         K, packed ? " packed" : "", dynamic ? " dynM" : "", dynamicN ? " dynN" : "",
                         transA ? " A^T" : "", transB ? " B^T" : "", type, int(epilogue));
  c.flops = 2.0 * std::max<int64_t>(batch, 1) * M * N * K;
  int64_t m = dynamic ? -1 : M, nn = dynamicN ? -1 : N;
  std::vector<int64_t> a = transA ? std::vector<int64_t>{K, m} : std::vector<int64_t>{m, K};
  std::vector<int64_t> b = transB ? std::vector<int64_t>{nn, K} : std::vector<int64_t>{K, nn};
  std::vector<int64_t> out = {m, nn};
  std::string dims = batch ? "b, m, n, k" : "m, n, k", par = batch ? "\"parallel\", " : "";
  if (batch) {
    a.insert(a.begin(), batch);
    out.insert(out.begin(), batch);
    if (batchedB)
      b.insert(b.begin(), batch);
  }
  std::string pre = batch ? "b, " : "", preB = batch && batchedB ? "b, " : "";
  std::string at = join(a, type), bt = join(b, type), ot = join(out, type), ct = join({nn}, type);
  std::string argDims, args, sizes;
  int dyns = 0, mIndex = dynamic ? dyns++ : 0, nIndex = dynamicN ? dyns++ : 0;
  std::string dm = dynamic ? n(mIndex) : "", dn = dynamicN ? n(nIndex) : "";
  std::string both = dm + (dynamic && dynamicN ? ", " : "") + dn;
  argDims = "[" + dm + "], [" + dn + "]";
  args = "%a: " + at + ", %b: " + bt;
  if (epilogue == BiasRelu || epilogue == Residual)
    args += ", %bias: " + ct, argDims += ", [" + dn + "]";
  if (epilogue == Residual)
    args += ", %res: " + ot, argDims += ", [" + both + "]";
  if (dynamic)
    args += ", %m: index", sizes += "%m", c.indices.push_back(M);
  if (dynamicN)
    args += ", %n: index", sizes += dynamic ? ", %n" : "%n", c.indices.push_back(N);
  std::string results = epilogue == TwoResults ? ot + ", " + ot : ot, zero = type[0] == 'i' ? "0" : "0.0";
  std::string mul = type[0] == 'i' ? "arith.muli" : "arith.mulf", add = type[0] == 'i' ? "arith.addi" : "arith.addf";
  c.source = "func.func @kernel(" + args + ") -> (" + results + ") attributes {graph.arg_dims = [" + argDims +
             "], graph.result_dims = [[" + both + "]" + (epilogue == TwoResults ? ", [" + both + "]" : "") +
             "]} {\n"
             "  %zero = arith.constant " +
             zero + " : " + type + "\n  %empty = tensor.empty(" + sizes + ") : " + ot +
             "\n"
             "  %fill = linalg.fill ins(%zero : " +
             type + ") outs(%empty : " + ot + ") -> " + ot +
             "\n"
             "  %mm = linalg.generic {indexing_maps = [affine_map<(" +
             dims + ") -> (" + pre + (transA ? "k, m" : "m, k") + ")>, affine_map<(" + dims + ") -> (" + preB +
             (transB ? "n, k" : "k, n") + ")>, affine_map<(" + dims + ") -> (" + pre + "m, n)>], iterator_types = [" +
             par + "\"parallel\", \"parallel\", \"reduction\"]} ins(%a, %b : " + at + ", " + bt +
             ") outs(%fill : " + ot + ") {\n  ^bb0(%x: " + type + ", %y: " + type + ", %acc: " + type +
             "):\n    %p = " + mul + " %x, %y : " + type + "\n    %s = " + add + " %acc, %p : " + type +
             "\n    linalg.yield %s : " + type + "\n  } -> " + ot + "\n" +
             epilogueText(epilogue, ot, "%mm", out.size(), ct, sizes) + "}\n";
  return c;
}

Case conv(int64_t N, int64_t OH, int64_t OW, int64_t CI, int64_t CO, int64_t KH, int64_t KW, int64_t stride,
          bool packed, Epilogue epilogue = None, bool dynamic = false, int64_t dilation = 1) {
  Case c;
  c.packed = packed;
  c.name = llvm::formatv("conv {0}x{1}x{2} {3}->{4} {5}x{6} s{7} d{8}{9}{10} e{11}", N, OH, OW, CI, CO, KH, KW, stride,
                         dilation, packed ? " packed" : "", dynamic ? " dynN" : "", int(epilogue));
  c.flops = 2.0 * N * OH * OW * CI * CO * KH * KW;
  int64_t batch = dynamic ? -1 : N;
  std::string it = join(
      {batch, (OH - 1) * stride + (KH - 1) * dilation + 1, (OW - 1) * stride + (KW - 1) * dilation + 1, CI}, "f32");
  std::string ft = join({KH, KW, CI, CO}, "f32"), ot = join({batch, OH, OW, CO}, "f32"), ct = join({CO}, "f32");
  std::string d = dynamic ? "0" : "", args = "%a: " + it + ", %b: " + ft, dims = "[" + d + "], []", sizes;
  if (epilogue == BiasRelu || epilogue == Residual)
    args += ", %bias: " + ct, dims += ", []";
  if (epilogue == Residual)
    args += ", %res: " + ot, dims += ", [" + d + "]";
  if (dynamic)
    args += ", %n: index", sizes = "%n", c.indices.push_back(N);
  std::string loops = "(n, oh, ow, co, kh, kw, ci)";
  c.source = "func.func @kernel(" + args + ") -> (" + ot + ") attributes {graph.arg_dims = [" + dims +
             "], graph.result_dims = [[" + d + "]]} {\n  %zero = arith.constant 0.0 : f32\n  %empty = tensor.empty(" +
             sizes + ") : " + ot + "\n  %fill = linalg.fill ins(%zero : f32) outs(%empty : " + ot + ") -> " + ot +
             "\n  %mm = linalg.generic {indexing_maps = [affine_map<" + loops + " -> (n, oh * " + n(stride) +
             " + kh * " + n(dilation) + ", ow * " + n(stride) + " + kw * " + n(dilation) + ", ci)>, affine_map<" +
             loops + " -> (kh, kw, ci, co)>, affine_map<" + loops +
             " -> (n, oh, ow, co)>], iterator_types = [\"parallel\", \"parallel\", \"parallel\", \"parallel\", "
             "\"reduction\", \"reduction\", \"reduction\"]} ins(%a, %b : " +
             it + ", " + ft + ") outs(%fill : " + ot +
             ") {\n  ^bb0(%x: f32, %y: f32, %acc: f32):\n    %p = arith.mulf %x, %y : f32\n    %s = arith.addf %acc, "
             "%p : f32\n"
             "    linalg.yield %s : f32\n  } -> " +
             ot + "\n" + epilogueText(epilogue, ot, "%mm", 4, ct, sizes) + "}\n";
  return c;
}

/// Groups: n, oh, ow, g, cog, kh, kw, cig. Filter [KH, KW, CIG, G, COG].
Case grouped(int64_t OH, int64_t OW, int64_t G, int64_t CIG, int64_t COG, int64_t K, bool packed) {
  Case c;
  c.packed = packed;
  c.name = llvm::formatv("grouped {0}x{1} {2}*{3}->{4} {5}{6}", OH, OW, G, CIG, COG, K, packed ? " packed" : "");
  c.flops = 2.0 * OH * OW * G * CIG * COG * K * K;
  std::string it = join({1, OH + K - 1, OW + K - 1, G, CIG}, "f32"), ft = join({K, K, CIG, G, COG}, "f32"),
              ot = join({1, OH, OW, G, COG}, "f32"), loops = "(n, oh, ow, g, co, kh, kw, ci)";
  c.source = "func.func @kernel(%a: " + it + ", %b: " + ft + ") -> " + ot +
             " attributes {graph.arg_dims = [[], []], "
             "graph.result_dims = [[]]} {\n  %zero = arith.constant 0.0 : f32\n  %empty = tensor.empty() : " +
             ot + "\n  %fill = linalg.fill ins(%zero : f32) outs(%empty : " + ot + ") -> " + ot +
             "\n  %mm = linalg.generic {indexing_maps = [affine_map<" + loops +
             " -> (n, oh + kh, ow + kw, g, ci)>, affine_map<" + loops + " -> (kh, kw, ci, g, co)>, affine_map<" +
             loops +
             " -> (n, oh, ow, g, co)>], iterator_types = [\"parallel\", \"parallel\", \"parallel\", \"parallel\", "
             "\"parallel\", "
             "\"reduction\", \"reduction\", \"reduction\"]} ins(%a, %b : " +
             it + ", " + ft + ") outs(%fill : " + ot +
             ") {\n  ^bb0(%x: f32, %y: f32, %acc: f32):\n    %p = arith.mulf %x, %y : f32\n    %s = arith.addf %acc, "
             "%p : f32\n"
             "    linalg.yield %s : f32\n  } -> " +
             ot + "\n  return %mm : " + ot + "\n}\n";
  return c;
}

Case depthwise(int64_t OH, int64_t OW, int64_t C, int64_t K, int64_t stride, bool maxPool = false) {
  Case c;
  c.name = llvm::formatv("{0} {1}x{2}x{3} {4} s{5}", maxPool ? "maxpool" : "depthwise", OH, OW, C, K, stride);
  c.flops = 2.0 * OH * OW * C * K * K;
  std::string it = join({1, (OH - 1) * stride + K, (OW - 1) * stride + K, C}, "f32"), ft = join({K, K, C}, "f32"),
              ot = join({1, OH, OW, C}, "f32"), loops = "(n, oh, ow, c, kh, kw)", s = n(stride);
  std::string window = join({K, K}, "f32");
  c.source = "func.func @kernel(%a: " + it + (maxPool ? "" : ", %b: " + ft) + ") -> " + ot +
             " attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} {\n  %zero = arith.constant " +
             (maxPool ? "0xFF800000" : "0.0") + " : f32\n  %empty = tensor.empty() : " + ot +
             "\n  %fill = linalg.fill ins(%zero : f32) outs(%empty : " + ot + ") -> " + ot + "\n" +
             (maxPool ? "  %w = tensor.empty() : " + window + "\n" : "") +
             "  %mm = linalg.generic {indexing_maps = [affine_map<" + loops + " -> (n, oh * " + s + " + kh, ow * " + s +
             " + kw, c)>, affine_map<" + loops + " -> (" + (maxPool ? "kh, kw" : "kh, kw, c") + ")>, affine_map<" +
             loops +
             " -> (n, oh, ow, c)>], iterator_types = [\"parallel\", \"parallel\", \"parallel\", \"parallel\", "
             "\"reduction\", \"reduction\"]} ins(%a, " +
             (maxPool ? "%w" : "%b") + " : " + it + ", " + (maxPool ? window : ft) + ") outs(%fill : " + ot +
             ") {\n  ^bb0(%x: f32, %y: f32, %acc: f32):\n" +
             (maxPool ? "    %s = arith.maximumf %acc, %x : f32\n"
                      : "    %p = arith.mulf %x, %y : f32\n    %s = arith.addf %acc, %p : f32\n") +
             "    linalg.yield %s : f32\n  } -> " + ot + "\n  return %mm : " + ot + "\n}\n";
  return c;
}

/// Sum over the middle dimension.
Case reduceMiddle(int64_t A, int64_t R, int64_t B) {
  Case c;
  c.name = llvm::formatv("sum {0}x{1}x{2} over 1", A, R, B);
  c.flops = double(A) * R * B;
  std::string it = join({A, R, B}, "f32"), ot = join({A, B}, "f32");
  c.source =
      "func.func @kernel(%a: " + it + ") -> " + ot +
      " attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {\n"
      "  %zero = arith.constant 0.0 : f32\n  %empty = tensor.empty() : " +
      ot + "\n  %fill = linalg.fill ins(%zero : f32) outs(%empty : " + ot + ") -> " + ot +
      "\n  %mm = linalg.generic {indexing_maps = [affine_map<(a, b, r) -> (a, r, b)>, affine_map<(a, b, r) -> (a, "
      "b)>], "
      "iterator_types = [\"parallel\", \"parallel\", \"reduction\"]} ins(%a : " +
      it + ") outs(%fill : " + ot +
      ") {\n  ^bb0(%x: f32, %acc: f32):\n    %s = arith.addf %acc, %x : f32\n    linalg.yield %s : f32\n  } -> " + ot +
      "\n  return %mm : " + ot + "\n}\n";
  return c;
}

/// A reduction of the last dimension of [a, b, r], of which the last two may be open, by `combine` from `init` on.
Case reduceLast(int64_t A, int64_t B, int64_t R, const std::string &combine, const std::string &type,
                const std::string &init, bool dynamic) {
  Case c;
  c.name = llvm::formatv("{0} {1}x{2}x{3} {4} over 2{5}", combine, A, B, R, type, dynamic ? " dyn" : "");
  std::string sizes = dynamic ? "%b" : "", dims = dynamic ? "0" : "", inDims = dynamic ? "0, 1" : "";
  int64_t columns = dynamic ? -1 : B, steps = dynamic ? -1 : R;
  std::string it = join({A, columns, steps}, type), ot = join({A, columns}, type);
  if (dynamic)
    c.indices = {B, R};
  c.source = "func.func @kernel(%a: " + it + (dynamic ? ", %b: index, %r: index" : "") + ") -> " + ot +
             " attributes {graph.arg_dims = [[" + inDims + "]], graph.result_dims = [[" + dims +
             "]]} {\n  %init = arith.constant " + init + " : " + type + "\n  %empty = tensor.empty(" + sizes +
             ") : " + ot + "\n  %fill = linalg.fill ins(%init : " + type + ") outs(%empty : " + ot + ") -> " + ot +
             "\n  %mm = linalg.generic {indexing_maps = [affine_map<(a, b, r) -> (a, b, r)>, affine_map<(a, b, r) -> "
             "(a, b)>], iterator_types = [\"parallel\", \"parallel\", \"reduction\"]} ins(%a : " +
             it + ") outs(%fill : " + ot + ") {\n  ^bb0(%x: " + type + ", %acc: " + type + "):\n    %s = arith." +
             combine + " %acc, %x : " + type + "\n    linalg.yield %s : " + type + "\n  } -> " + ot +
             "\n  return %mm : " + ot + "\n}\n";
  return c;
}

/// Probabilities [h, m, s] times values [h, s, d], both sequence lengths dynamic.
Case attentionValues(int64_t H, int64_t M, int64_t S, int64_t D) {
  Case c;
  c.name = llvm::formatv("attention values {0}*{1}x{2}x{3} dynM dynK", H, M, D, S);
  c.indices = {M, S};
  c.flops = 2.0 * H * M * S * D;
  std::string at = join({H, -1, -1}, "f32"), bt = join({H, -1, D}, "f32"), ot = join({H, -1, D}, "f32");
  c.source =
      "func.func @kernel(%a: " + at + ", %b: " + bt + ", %m: index, %s: index) -> " + ot +
      " attributes {graph.arg_dims = [[0, 1], [1]], graph.result_dims = [[0]]} {\n  %zero = arith.constant 0.0 : f32\n"
      "  %empty = tensor.empty(%m) : " +
      ot + "\n  %fill = linalg.fill ins(%zero : f32) outs(%empty : " + ot + ") -> " + ot +
      "\n  %mm = linalg.generic {indexing_maps = [affine_map<(h, m, d, s) -> (h, m, s)>, affine_map<(h, m, d, s) -> "
      "(h, s, d)>, "
      "affine_map<(h, m, d, s) -> (h, m, d)>], iterator_types = [\"parallel\", \"parallel\", \"parallel\", "
      "\"reduction\"]} "
      "ins(%a, %b : " +
      at + ", " + bt + ") outs(%fill : " + ot +
      ") {\n  ^bb0(%x: f32, %y: f32, %acc: f32):\n"
      "    %p = arith.mulf %x, %y : f32\n    %t = arith.addf %acc, %p : f32\n    linalg.yield %t : f32\n  } -> " +
      ot + "\n  return %mm : " + ot + "\n}\n";
  return c;
}

/// A product whose left operand is an elementwise operation in the same function.
Case scaledInput(int64_t M, int64_t N, int64_t K) {
  Case c;
  c.name = llvm::formatv("scaled input {0}x{1}x{2}", M, N, K);
  std::string at = join({M, K}, "f32"), bt = join({K, N}, "f32"), ot = join({M, N}, "f32");
  c.source =
      "func.func @kernel(%a: " + at + ", %b: " + bt + ") -> " + ot +
      " attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} {\n  %zero = arith.constant 0.0 : f32\n"
      "  %e = tensor.empty() : " +
      at +
      "\n  %double = linalg.generic {indexing_maps = [affine_map<(m, k) -> (m, k)>, "
      "affine_map<(m, k) -> (m, k)>], iterator_types = [\"parallel\", \"parallel\"]} ins(%a : " +
      at + ") outs(%e : " + at +
      ") {\n  ^bb0(%x: f32, %o: f32):\n    %d = arith.addf %x, %x : f32\n    linalg.yield %d : f32\n  } -> " + at +
      "\n  %empty = tensor.empty() : " + ot + "\n  %fill = linalg.fill ins(%zero : f32) outs(%empty : " + ot + ") -> " +
      ot +
      "\n  %mm = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, "
      "affine_map<(m, n, k) -> (m, n)>], iterator_types = [\"parallel\", \"parallel\", \"reduction\"]} ins(%double, %b "
      ": " +
      at + ", " + bt + ") outs(%fill : " + ot +
      ") {\n  ^bb0(%x: f32, %y: f32, %acc: f32):\n    %p = arith.mulf %x, %y : f32\n"
      "    %t = arith.addf %acc, %p : f32\n    linalg.yield %t : f32\n  } -> " +
      ot + "\n  return %mm : " + ot + "\n}\n";
  return c;
}

/// The mean over dimensions of dynamic size: the epilogue divides by their number.
Case globalAverage(int64_t H, int64_t C) {
  Case c;
  c.name = llvm::formatv("average {0} of {1}", H, C);
  c.indices = {H};
  std::string it = join({2, -1, 3, C}, "f32"), ot = join({2, C}, "f32");
  c.source =
      "func.func @kernel(%a: " + it + ", %h: index) -> " + ot +
      " attributes {graph.arg_dims = [[0]], graph.result_dims = [[]]} {\n"
      "  %zero = arith.constant 0.0 : f32\n  %c3 = arith.constant 3 : index\n  %count = arith.muli %h, %c3 : index\n"
      "  %empty = tensor.empty() : " +
      ot + "\n  %fill = linalg.fill ins(%zero : f32) outs(%empty : " + ot + ") -> " + ot +
      "\n  %mm = linalg.generic {indexing_maps = [affine_map<(n, c, h, w) -> (n, h, w, c)>, affine_map<(n, c, h, w) -> "
      "(n, c)>], "
      "iterator_types = [\"parallel\", \"parallel\", \"reduction\", \"reduction\"]} ins(%a : " +
      it + ") outs(%fill : " + ot +
      ") {\n  ^bb0(%x: f32, %acc: f32):\n    %s = arith.addf %acc, %x : f32\n    linalg.yield %s : f32\n  } -> " + ot +
      "\n  %r = linalg.generic {indexing_maps = [affine_map<(n, c) -> (n, c)>, affine_map<(n, c) -> (n, c)>], "
      "iterator_types = "
      "[\"parallel\", \"parallel\"]} ins(%mm : " +
      ot + ") outs(%empty : " + ot +
      ") {\n  ^bb0(%x: f32, %o: f32):\n"
      "    %i = arith.index_cast %count : index to i64\n    %f = arith.sitofp %i : i64 to f32\n    %d = arith.divf %x, "
      "%f : f32\n"
      "    linalg.yield %d : f32\n  } -> " +
      ot + "\n  return %r : " + ot + "\n}\n";
  return c;
}

/// i8 x i8 -> i32, or f16 x f16 -> f32.
Case widening(int64_t M, int64_t N, int64_t K, bool packed, const std::string &narrow, const std::string &wide) {
  Case c;
  c.packed = packed;
  c.name = llvm::formatv("matmul {0}x{1}x{2}{3} {4}->{5}", M, N, K, packed ? " packed" : "", narrow, wide);
  c.flops = 2.0 * M * N * K;
  std::string at = join({M, K}, narrow), bt = join({K, N}, narrow), ot = join({M, N}, wide);
  std::string ext = narrow[0] == 'i' ? "arith.extsi" : "arith.extf",
              mul = narrow[0] == 'i' ? "arith.muli" : "arith.mulf",
              add = narrow[0] == 'i' ? "arith.addi" : "arith.addf", zero = narrow[0] == 'i' ? "0" : "0.0";
  c.source = "func.func @kernel(%a: " + at + ", %b: " + bt + ") -> " + ot +
             " attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} {\n  %zero = arith.constant " + zero +
             " : " + wide + "\n  %empty = tensor.empty() : " + ot + "\n  %fill = linalg.fill ins(%zero : " + wide +
             ") outs(%empty : " + ot + ") -> " + ot +
             "\n  %mm = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, "
             "affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = [\"parallel\", "
             "\"parallel\", "
             "\"reduction\"]} ins(%a, %b : " +
             at + ", " + bt + ") outs(%fill : " + ot + ") {\n  ^bb0(%x: " + narrow + ", %y: " + narrow +
             ", %acc: " + wide + "):\n    %xw = " + ext + " %x : " + narrow + " to " + wide + "\n    %yw = " + ext +
             " %y : " + narrow + " to " + wide + "\n    %p = " + mul + " %xw, %yw : " + wide + "\n    %s = " + add +
             " %acc, %p : " + wide + "\n    linalg.yield %s : " + wide + "\n  } -> " + ot + "\n  return %mm : " + ot +
             "\n}\n";
  return c;
}

/// The case with its result, of these dims, padded by `low` and `high` elements of -1.5.
Case bordered(Case c, const std::vector<int64_t> &dims, const std::vector<int64_t> &low,
              const std::vector<int64_t> &high) {
  std::vector<int64_t> padded;
  std::string lows, highs, indices;
  for (size_t i = 0; i < dims.size(); ++i) {
    padded.push_back(dims[i] < 0 ? -1 : dims[i] + low[i] + high[i]);
    lows += (i ? ", " : "") + n(low[i]);
    highs += (i ? ", " : "") + n(high[i]);
    indices += (i ? ", %i" : "%i") + n(i) + ": index";
  }
  std::string from = join(dims, "f32"), to = join(padded, "f32");
  size_t signature = c.source.find("-> (" + from + ") attributes"), end = c.source.rfind("  return ");
  std::string value = c.source.substr(end + 9, c.source.find(" :", end) - end - 9);
  c.source.replace(end, std::string::npos,
                   "  %border = arith.constant -1.5 : f32\n  %padded = tensor.pad " + value + " low[" + lows +
                       "] high[" + highs + "] {\n  ^bb0(" + indices + "):\n    tensor.yield %border : f32\n  } : " +
                       from + " to " + to + "\n  return %padded : " + to + "\n}\n");
  c.source.replace(signature + 4, from.size(), to);
  c.name += " border " + lows + "; " + highs;
  return c;
}

/// A product and a residual of as many rows or of one, whose elements the body takes.
Case repeatedResidual(int64_t M, bool isRepeated) {
  Case c;
  c.name = llvm::formatv("matmul {0}x40x11 with elements of {1} rows", M, isRepeated ? 1 : M);
  c.indices = {M, isRepeated ? 1 : M, isRepeated ? 0 : 1};
  c.source = R"mlir(
func.func @kernel(%a: tensor<?x11xf32>, %b: tensor<11x40xf32>, %res: tensor<?x41xf32>, %m: index, %rows: index,
    %step: index) -> tensor<?x40xf32> attributes {graph.arg_dims = [[0], [], [1]], graph.result_dims = [[0]]} {
  %one = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty(%m) : tensor<?x40xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x40xf32>) -> tensor<?x40xf32>
  %mm = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
      affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<?x11xf32>, tensor<11x40xf32>) outs(%fill : tensor<?x40xf32>) {
  ^bb0(%x: f32, %y: f32, %acc: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x40xf32>
  %e = tensor.empty(%m) : tensor<?x40xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>],
      iterator_types = ["parallel", "parallel"]} ins(%mm : tensor<?x40xf32>) outs(%e : tensor<?x40xf32>) {
  ^bb0(%x: f32, %o: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %row = arith.muli %i, %step : index
    %column = arith.addi %j, %one : index
    %r = tensor.extract %res[%row, %column] : tensor<?x41xf32>
    %s = arith.addf %x, %r : f32
    linalg.yield %s : f32
  } -> tensor<?x40xf32>
  return %sum : tensor<?x40xf32>
}
)mlir";
  return c;
}

} // namespace

Case eyrie::target::cpu::test::withSizes(Case c, const std::string &sizes) {
  std::string before = "attributes {";
  c.source.replace(c.source.find(before), before.size(), before + "graph.arg_sizes = [" + sizes + "], ");
  c.name += " sizes " + sizes;
  return c;
}

Case eyrie::target::cpu::test::openMatmul(int64_t m, int64_t n, bool openColumns) {
  return matmul(0, m, n, 23, false, BiasRelu, true, false, false, false, openColumns);
}

std::vector<Case> eyrie::target::cpu::test::correctnessCases() {
  std::vector<Case> cases;
  for (bool packed : {false, true}) {
    for (auto [M, N, K] : std::vector<std::array<int64_t, 3>>{{1, 1, 1},
                                                              {1, 7, 3},
                                                              {7, 3, 1},
                                                              {14, 32, 8},
                                                              {13, 31, 17},
                                                              {29, 67, 5},
                                                              {3, 100, 64},
                                                              {31, 16, 2},
                                                              {5, 33, 0}})
      cases.push_back(matmul(0, M, N, K, packed));
    cases.push_back(matmul(0, 29, 67, 23, packed, BiasRelu));
    cases.push_back(matmul(0, 29, 67, 23, packed, Residual));
    cases.push_back(matmul(0, 17, 35, 9, packed, TwoResults));
    for (int64_t M : {0, 1, 2, 13, 14, 19, 250})
      cases.push_back(matmul(0, M, 40, 11, packed, BiasRelu, true));
    cases.push_back(matmul(0, 15, 33, 7, packed, None, false, true));
    cases.push_back(matmul(0, 15, 33, 7, packed, None, true, true));
    cases.push_back(matmul(0, 15, 37, 17, packed, Residual, false, false, true));
    cases.push_back(matmul(3, 11, 37, 6, packed));
    cases.push_back(matmul(3, 11, 37, 6, packed, BiasRelu, true));
    cases.push_back(matmul(0, 11, 37, 6, packed, None, false, false, false, false, false, "f64"));
    cases.push_back(matmul(0, 11, 37, 6, packed, None, false, false, false, false, false, "i32"));
    cases.push_back(conv(1, 7, 7, 5, 37, 3, 3, 1, packed, BiasRelu));
    cases.push_back(conv(2, 6, 15, 4, 32, 3, 3, 2, packed, Residual));
    cases.push_back(conv(2, 5, 9, 8, 64, 1, 1, 1, packed, Residual, true));
    cases.push_back(conv(3, 5, 5, 3, 20, 3, 2, 2, packed, BiasRelu, true));
    cases.push_back(conv(1, 9, 17, 3, 11, 3, 3, 1, packed, None, false, 2));
    cases.push_back(conv(2, 1, 33, 3, 16, 1, 5, 1, packed));
    cases.push_back(conv(2, 5, 3, 3, 1, 3, 3, 1, packed));
    cases.push_back(conv(2, 5, 33, 3, 1, 3, 3, 1, packed, BiasRelu));
    cases.push_back(conv(1, 7, 40, 32, 1, 7, 3, 1, packed));
    cases.push_back(conv(3, 4, 70, 8, 1, 5, 5, 2, packed, Residual, true));
    cases.push_back(conv(1, 3, 19, 11, 1, 3, 3, 1, packed, None, false, 2));
    for (int64_t K : {9, 16, 100})
      cases.push_back(matmul(0, 37, 1, K, packed, BiasRelu));
    for (int64_t M : {0, 1, 15, 16, 33})
      cases.push_back(matmul(0, M, 1, 50, packed, Residual, true));
    cases.push_back(
        bordered(conv(1, 7, 7, 5, 37, 3, 3, 1, packed, BiasRelu), {1, 7, 7, 37}, {0, 1, 2, 0}, {0, 3, 1, 0}));
    cases.push_back(
        bordered(conv(2, 6, 15, 4, 32, 3, 3, 2, packed, Residual), {2, 6, 15, 32}, {0, 1, 1, 0}, {0, 1, 1, 0}));
    cases.push_back(bordered(matmul(0, 29, 67, 23, packed, BiasRelu), {29, 67}, {0, 3}, {2, 0}));
    for (int64_t M : {0, 1, 14, 250})
      cases.push_back(bordered(matmul(0, M, 40, 11, packed, BiasRelu, true), {-1, 40}, {0, 5}, {0, 70}));
    cases.push_back(grouped(6, 5, 3, 4, 8, 3, packed));
    cases.push_back(grouped(6, 5, 2, 5, 19, 1, packed));
    cases.push_back(widening(9, 37, 8, packed, "i8", "i32"));
    cases.push_back(widening(9, 37, 9, packed, "f16", "f32"));
  }
  cases.push_back(matmul(4, 13, 29, 16, false, None, false, false, true, true));
  cases.push_back(matmul(4, 33, 64, 64, false, None, true, false, true, true));
  cases.push_back(matmul(4, 21, 45, 16, false, None, true, false, true, true, true));
  cases.push_back(matmul(2, 21, 45, 16, false, BiasRelu, true, false, false, true, true));
  cases.push_back(matmul(0, 21, 45, 16, false, TwoResults, true, false, false, false, true));
  for (auto [m, sizes] : std::vector<std::pair<int64_t, std::string>>{{1, "1, 5, 1"},
                                                                      {5, "1, 5, 1"},
                                                                      {13, "1, 14, 1"},
                                                                      {14, "1, 14, 1"},
                                                                      {0, "0, 64, 16"},
                                                                      {16, "0, 64, 16"},
                                                                      {48, "0, 64, 16"},
                                                                      {26, "0, 9223372036854775807, 13"},
                                                                      {20, "4, 9223372036854775807, 4"}})
    for (bool packed : {false, true})
      cases.push_back(withSizes(matmul(0, m, 40, 11, packed, BiasRelu, true), "array<i64: " + sizes + ">"));
  // Rows that come in twos, with tiles of 12 and tails that do not share them alike.
  for (int64_t m : {2, 12, 14, 26, 28})
    cases.push_back(withSizes(openMatmul(m, 40, false), "array<i64: 2, 9223372036854775807, 2>"));
  for (int64_t n : {0, 16, 32, 48, 64})
    for (std::string divisor : {"16", "8"})
      cases.push_back(withSizes(openMatmul(21, n, true),
                                "array<i64: 0, 9223372036854775807, 1>, array<i64: 0, 64, " + divisor + ">"));
  for (int64_t m : {0, 1, 13, 33})
    for (bool isRepeated : {false, true})
      cases.push_back(repeatedResidual(m, isRepeated));
  cases.push_back(depthwise(7, 9, 37, 3, 1));
  cases.push_back(depthwise(5, 14, 64, 3, 2));
  cases.push_back(depthwise(5, 5, 8, 5, 1));
  cases.push_back(depthwise(6, 6, 20, 3, 2, true));
  cases.push_back(depthwise(1, 1, 100, 7, 1, true));
  cases.push_back(globalAverage(5, 70));
  cases.push_back(scaledInput(9, 20, 3));
  cases.push_back(scaledInput(9, 20, 32));
  cases.push_back(attentionValues(3, 17, 9, 40));
  cases.push_back(reduceMiddle(3, 17, 70));
  cases.push_back(reduceMiddle(1, 49, 130));
  cases.push_back(reduceMiddle(5, 0, 9));
  for (int64_t R : {9, 17, 64, 129, 1024})
    cases.push_back(reduceLast(3, 37, R, "addf", "f32", "0.5", false));
  cases.push_back(reduceLast(3, 64, 40, "maximumf", "f32", "0xFF800000", false));
  cases.push_back(reduceLast(3, 21, 40, "mulf", "f64", "1.5", false));
  cases.push_back(reduceLast(3, 37, 41, "addi", "i32", "-7", false));
  cases.push_back(reduceLast(3, 37, 41, "minsi", "i64", "9", false));
  for (int64_t B : {0, 1, 16, 37})
    for (int64_t R : {0, 1, 16, 50})
      cases.push_back(reduceLast(2, B, R, "addf", "f32", "0.0", true));
  for (Case &c : cases) {
    if (c.name.rfind("matmul 1x1x1 ", 0) == 0)
      c.refusal = "no parallel loop walks the result with unit stride";
    if (c.name.rfind("conv 2x5x3 3->1 ", 0) == 0)
      c.refusal = "an operand without unit stride is read once";
  }
  return cases;
}

std::vector<Case> eyrie::target::cpu::test::benchmarkCases() {
  std::vector<Case> cases = narrowBenchmarkCases();
  for (auto [M, N, K] : std::vector<std::array<int64_t, 3>>{{512, 512, 512},
                                                            {1024, 1024, 1024},
                                                            {1, 4096, 4096},
                                                            {4, 4096, 4096},
                                                            {16, 4096, 4096},
                                                            {128, 4096, 4096},
                                                            {197, 768, 3072},
                                                            {127, 513, 255},
                                                            {128, 768, 768}})
    cases.push_back(matmul(0, M, N, K, true));
  cases.push_back(matmul(0, 512, 512, 512, false));
  cases.push_back(matmul(0, 512, 512, 512, true, BiasRelu, true));
  cases.push_back(matmul(12, 128, 128, 64, false, None, false, false, true, true));
  cases.push_back(matmul(12, 128, 64, 128, false, None, false, false, false, true));
  cases.push_back(attentionValues(12, 128, 128, 64));
  cases.push_back(conv(1, 56, 56, 64, 64, 3, 3, 1, true, BiasRelu));
  cases.push_back(conv(1, 28, 28, 128, 128, 3, 3, 1, true, BiasRelu));
  cases.push_back(conv(1, 14, 14, 256, 256, 3, 3, 1, true, BiasRelu));
  cases.push_back(conv(1, 7, 7, 512, 512, 3, 3, 1, true, BiasRelu));
  cases.push_back(conv(1, 28, 28, 128, 128, 3, 3, 2, true, BiasRelu));
  cases.push_back(conv(1, 112, 112, 3, 64, 7, 7, 2, true, BiasRelu));
  cases.push_back(conv(1, 56, 56, 64, 256, 1, 1, 1, true, BiasRelu));
  cases.push_back(conv(1, 14, 14, 1024, 256, 1, 1, 1, true, BiasRelu));
  cases.push_back(depthwise(56, 56, 96, 3, 1));
  cases.push_back(depthwise(14, 14, 512, 3, 1));
  cases.push_back(depthwise(56, 56, 64, 3, 2, true));
  cases.push_back(reduceMiddle(1, 49, 2048));
  cases.push_back(widening(512, 512, 512, true, "i8", "i32"));
  cases.push_back(widening(512, 512, 512, true, "f16", "f32"));
  return cases;
}

/// Gives the argument behind `operand` its packed type, and unpacks it at the root.
static void packOperand(func::FuncOp func, linalg::GenericOp root, const eyrie::graph::WeightPacking &packing) {
  OpOperand *operand = root.getDpsInputOperand(packing.operand);
  auto argument = cast<BlockArgument>(operand->get());
  auto type = cast<RankedTensorType>(argument.getType());
  SmallVector<int64_t> shape;
  for (int64_t dim : packing.outerDimsPerm) {
    shape.push_back(type.getDimSize(dim));
    for (auto [inner, tile] : llvm::zip(packing.innerDimsPos, packing.innerTiles))
      if (inner == dim)
        shape.back() = llvm::divideCeil(shape.back(), tile);
  }
  shape.append(packing.innerTiles.begin(), packing.innerTiles.end());
  argument.setType(RankedTensorType::get(shape, type.getElementType()));
  OpBuilder b(root);
  Value empty = tensor::EmptyOp::create(b, func.getLoc(), type.getShape(), type.getElementType());
  operand->set(linalg::UnPackOp::create(b, func.getLoc(), argument, empty, packing.innerDimsPos,
                                        getAsIndexOpFoldResult(b.getContext(), packing.innerTiles),
                                        packing.outerDimsPerm)
                   .getResult());
  SmallVector<Type> types(func.getArgumentTypes());
  types[argument.getArgNumber()] = argument.getType();
  func.setFunctionType(FunctionType::get(b.getContext(), types, func.getResultTypes()));
}

std::string eyrie::target::cpu::test::executableText(const Case &testCase, ArrayRef<TargetOptions> options,
                                                     const Target *target) {
  DialectRegistry registry;
  registerTargetDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(testCase.source, &context);
  assert(module && "a case is valid MLIR");
  auto func = *module->getOps<func::FuncOp>().begin();
  linalg::GenericOp root;
  func.walk([&](linalg::GenericOp op) {
    if (op.getNumReductionLoops() > 0)
      root = op;
  });
  if (testCase.packed)
    if (auto packing = target ? target->choosePacking(root, options) : packingOf(options.vec())(root))
      packOperand(func, root, *packing);
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "graph.executable @kernel {\n" << func << "\n}\n";
  return text;
}
