// RUN: eyrie-opt %s -split-input-file -pass-pipeline='builtin.module(graph-narrow-weights)' | FileCheck %s

// The weight is rounded once and widened in the sum; the bias stays.
// CHECK-LABEL: func.func @product
// CHECK: %[[W:.*]] = graph.load_global
// CHECK: %[[N:.*]] = linalg.generic {{.*}} ins(%[[W]] : tensor<8x16xf32>) outs(%{{.*}} : tensor<8x16xbf16>)
// CHECK: arith.truncf
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[N]] : tensor<?x8xf32>, tensor<8x16xbf16>)
// CHECK: ^bb0(%{{.*}}: f32, %[[ELEMENT:.*]]: bf16, %{{.*}}: f32):
// CHECK: arith.extf %[[ELEMENT]] : bf16 to f32
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<?x16xf32>, tensor<16xf32>)
graph.global @w : tensor<8x16xf32>
graph.global @b : tensor<16xf32>
func.func @product(%x: tensor<?x8xf32>, %init: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w = graph.load_global @w : tensor<8x16xf32>
  %b = graph.load_global @b : tensor<16xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
                                        affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x8xf32>, tensor<8x16xf32>) outs(%init : tensor<?x16xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<?x16xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%p, %b : tensor<?x16xf32>, tensor<16xf32>) outs(%init : tensor<?x16xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %s = arith.addf %a, %c : f32
    linalg.yield %s : f32
  } -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// An argument is no weight, nor is a constant of the compiler's own.
// CHECK-LABEL: func.func @no_weights
// CHECK-NOT: bf16
func.func @no_weights(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>, %init: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %ones = arith.constant dense<1.0> : tensor<4x8xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (m, k)>,
                                        affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %ones, %w : tensor<4x8xf32>, tensor<4x8xf32>, tensor<8x16xf32>) outs(%init : tensor<4x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %n = arith.mulf %m, %c : f32
    %s = arith.addf %o, %n : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  return %p : tensor<4x16xf32>
}
