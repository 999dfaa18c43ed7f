// RUN: eyrie-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(graph-keep-small-weights))' | FileCheck %s

// Bytes with a scale for each 32 of them along the sum: it is split, and the bytes lie at its parts.
// CHECK-LABEL: func.func @blocks
// CHECK: %[[Q:.*]] = graph.load_global @q
// CHECK: %[[S:.*]] = graph.load_global @s
// CHECK: %[[W:.*]] = linalg.generic {{.*}} ins(%[[Q]], %{{.*}} : tensor<512x4x32xi8>, tensor<512x4xf32>) outs(%{{.*}} : tensor<512x4x32xf32>) attrs = {graph.in_kernel, graph.operations = 0 : i64}
// CHECK: arith.mulf
// CHECK: linalg.generic {{{.*}}iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%{{.*}}, %[[W]] : tensor<?x128xf32>, tensor<512x4x32xf32>)
graph.global @q : tensor<512x4x32xi8>
graph.global @s : tensor<512x4x1xf32>
func.func @blocks(%x: tensor<?x128xf32>, %init: tensor<?x512xf32>) -> tensor<?x512xf32> {
  %q = graph.load_global @q : tensor<512x4x32xi8>
  %s = graph.load_global @s : tensor<512x4x1xf32>
  %e = tensor.empty() : tensor<512x4x32xf32>
  %f = linalg.generic {indexing_maps = [affine_map<(n, b, i) -> (n, b, i)>, affine_map<(n, b, i) -> (n, b, 0)>,
                                        affine_map<(n, b, i) -> (n, b, i)>],
                       iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%q, %s : tensor<512x4x32xi8>, tensor<512x4x1xf32>) outs(%e : tensor<512x4x32xf32>) {
  ^bb0(%a: i8, %c: f32, %o: f32):
    %n = arith.sitofp %a : i8 to f32
    %m = arith.mulf %n, %c : f32
    linalg.yield %m : f32
  } -> tensor<512x4x32xf32>
  %w = graph.reshape %f : tensor<512x4x32xf32> -> tensor<512x128xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>,
                                        affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x128xf32>, tensor<512x128xf32>) outs(%init : tensor<?x512xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %t = arith.addf %o, %m : f32
    linalg.yield %t : f32
  } -> tensor<?x512xf32>
  return %y : tensor<?x512xf32>
}

// -----

// Blocks along the columns would split a loop of the result; what is computed from f32 is no smaller. Both stay.
// CHECK-LABEL: func.func @others
// CHECK-NOT: graph.in_kernel
graph.global @q : tensor<128x12x32xi8>
graph.global @v : tensor<128x384xf32>
func.func @others(%x: tensor<4x128xf32>, %init: tensor<4x384xf32>) -> (tensor<4x384xf32>, tensor<4x384xf32>) {
  %q = graph.load_global @q : tensor<128x12x32xi8>
  %e = tensor.empty() : tensor<128x12x32xf32>
  %f = linalg.generic {indexing_maps = [affine_map<(k, b, i) -> (k, b, i)>, affine_map<(k, b, i) -> (k, b, i)>],
                       iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%q : tensor<128x12x32xi8>) outs(%e : tensor<128x12x32xf32>) {
  ^bb0(%a: i8, %o: f32):
    %n = arith.sitofp %a : i8 to f32
    linalg.yield %n : f32
  } -> tensor<128x12x32xf32>
  %w = graph.reshape %f : tensor<128x12x32xf32> -> tensor<128x384xf32>
  %v = graph.load_global @v : tensor<128x384xf32>
  %d = tensor.empty() : tensor<128x384xf32>
  %u = linalg.generic {indexing_maps = [affine_map<(k, n) -> (k, n)>, affine_map<(k, n) -> (k, n)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%v : tensor<128x384xf32>) outs(%d : tensor<128x384xf32>) {
  ^bb0(%a: f32, %o: f32):
    %n = arith.negf %a : f32
    linalg.yield %n : f32
  } -> tensor<128x384xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
                                        affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x128xf32>, tensor<128x384xf32>) outs(%init : tensor<4x384xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %t = arith.addf %o, %m : f32
    linalg.yield %t : f32
  } -> tensor<4x384xf32>
  %z = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
                                        affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %u : tensor<4x128xf32>, tensor<128x384xf32>) outs(%init : tensor<4x384xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %t = arith.addf %o, %m : f32
    linalg.yield %t : f32
  } -> tensor<4x384xf32>
  return %y, %z : tensor<4x384xf32>, tensor<4x384xf32>
}
