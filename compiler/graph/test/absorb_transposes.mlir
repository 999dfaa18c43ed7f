// RUN: eyrie-opt %s -pass-pipeline='builtin.module(func.func(graph-absorb-transposes))' | FileCheck %s

#out = affine_map<(h, s, d, k) -> (h, s, d)>
// CHECK: #[[OUT:.*]] = affine_map<(d0, d1, d2, d3) -> (d1, d0, d2)>
// The product writes [sequence, head, depth] itself: the last dimension stays the last.
// CHECK-LABEL: func.func @heads_are_written_in_order
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #{{.*}}, #[[OUT]]]
// CHECK-NOT: linalg.transpose
func.func @heads_are_written_in_order(%p: tensor<2x5x6xf32>, %v: tensor<2x6x4xf32>) -> tensor<5x2x4xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x5x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x5x4xf32>) -> tensor<2x5x4xf32>
  %c = linalg.generic {indexing_maps = [affine_map<(h, s, d, k) -> (h, s, k)>, affine_map<(h, s, d, k) -> (h, k, d)>, #out],
                       iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%p, %v : tensor<2x5x6xf32>, tensor<2x6x4xf32>) outs(%f : tensor<2x5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<2x5x4xf32>
  %g = tensor.empty() : tensor<5x2x4xf32>
  %t = linalg.transpose ins(%c : tensor<2x5x4xf32>) outs(%g : tensor<5x2x4xf32>) permutation = [1, 0, 2]
  return %t : tensor<5x2x4xf32>
}
