// RUN: eyrie-opt %s -split-input-file -pass-pipeline='builtin.module(graph-narrow-factors)' | FileCheck %s

// Both factors are rounded, the activation once for both sums, in front of the padding.
// CHECK-LABEL: func.func @both
// CHECK-SAME: %[[X:.*]]: tensor<?x6xf32>
// CHECK-DAG: %[[N:.*]] = linalg.generic {{.*}} ins(%[[X]] : tensor<?x6xf32>) outs(%{{.*}} : tensor<?x6xbf16>)
// CHECK: %[[P:.*]] = tensor.pad %[[N]] low[0, 1] high[0, 1]
// CHECK: tensor<?x6xbf16> to tensor<?x8xbf16>
// CHECK-NOT: tensor.pad %[[N]]
// CHECK: linalg.generic {{.*}} ins(%[[P]], %{{.*}} : tensor<?x8xbf16>, tensor<8x16xbf16>)
// CHECK: ^bb0(%[[A:.*]]: bf16, %[[B:.*]]: bf16, %{{.*}}: f32):
// CHECK-DAG: arith.extf %[[A]] : bf16 to f32
// CHECK-DAG: arith.extf %[[B]] : bf16 to f32
// CHECK: linalg.generic {{.*}} ins(%[[P]], %{{.*}} : tensor<?x8xbf16>, tensor<8x4xbf16>)
graph.global @w : tensor<8x16xf32>
graph.global @v : tensor<8x4xf32>
func.func @both(%x: tensor<?x6xf32>, %init: tensor<?x16xf32>, %other: tensor<?x4xf32>)
    -> (tensor<?x16xf32>, tensor<?x4xf32>) {
  %zero = arith.constant 0.0 : f32
  %w = graph.load_global @w : tensor<8x16xf32>
  %v = graph.load_global @v : tensor<8x4xf32>
  %padded = tensor.pad %x low[0, 1] high[0, 1] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<?x6xf32> to tensor<?x8xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
                                        affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%padded, %w : tensor<?x8xf32>, tensor<8x16xf32>) outs(%init : tensor<?x16xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<?x16xf32>
  %q = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
                                        affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%padded, %v : tensor<?x8xf32>, tensor<8x4xf32>) outs(%other : tensor<?x4xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<?x4xf32>
  return %p, %q : tensor<?x16xf32>, tensor<?x4xf32>
}

// -----

// A factor that is multiplied by itself as well is no factor of one product; the weight alone is narrow then.
// CHECK-LABEL: func.func @square
// CHECK: ins(%{{.*}}, %{{.*}} : tensor<4x8xf32>, tensor<8x16xbf16>)
graph.global @w : tensor<8x16xf32>
func.func @square(%x: tensor<4x8xf32>, %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %w = graph.load_global @w : tensor<8x16xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
                                        affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x8xf32>, tensor<8x16xf32>) outs(%init : tensor<4x16xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %b = arith.mulf %a, %a : f32
    %m = arith.mulf %b, %c : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  return %p : tensor<4x16xf32>
}
