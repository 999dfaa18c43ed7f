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

// A 1 x 1 convolution between images with channels first writes such an image, through what follows it: its vectors run
// along the image then.
// CHECK-LABEL: func.func @image_with_channels_first
// CHECK-NOT: linalg.transpose
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<32x49xf32>)
// CHECK: linalg.generic {{.*}} ins(%[[SUM]], %{{.*}} : tensor<32x49xf32>, tensor<32xf32>)
// CHECK-NOT: linalg.transpose
// CHECK: return
// With more steps the transpose costs less than reading an image that is in no panels.
// CHECK-LABEL: func.func @many_steps
// CHECK: linalg.transpose
#image = affine_map<(p, o, c) -> (c, p)>
#weights = affine_map<(p, o, c) -> (c, o)>
#sum = affine_map<(p, o, c) -> (p, o)>
graph.global @w : tensor<64x32xf32>
graph.global @b : tensor<32xf32>
func.func @image_with_channels_first(%x: tensor<64x49xf32>) -> tensor<32x49xf32> {
  %zero = arith.constant 0.0 : f32
  %w = graph.load_global @w : tensor<64x32xf32>
  %b = graph.load_global @b : tensor<32xf32>
  %e = tensor.empty() : tensor<49x32xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<49x32xf32>) -> tensor<49x32xf32>
  %c = linalg.generic {indexing_maps = [#image, #weights, #sum], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<64x49xf32>, tensor<64x32xf32>) outs(%f : tensor<49x32xf32>) {
  ^bb0(%a: f32, %v: f32, %o: f32):
    %m = arith.mulf %a, %v : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<49x32xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(p, o) -> (p, o)>, affine_map<(p, o) -> (o)>, affine_map<(p, o) -> (p, o)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%c, %b : tensor<49x32xf32>, tensor<32xf32>) outs(%e : tensor<49x32xf32>) {
  ^bb0(%a: f32, %v: f32, %o: f32):
    %s = arith.addf %a, %v : f32
    linalg.yield %s : f32
  } -> tensor<49x32xf32>
  %g = tensor.empty() : tensor<32x49xf32>
  %t = linalg.transpose ins(%y : tensor<49x32xf32>) outs(%g : tensor<32x49xf32>) permutation = [1, 0]
  return %t : tensor<32x49xf32>
}

graph.global @v : tensor<640x32xf32>
func.func @many_steps(%x: tensor<640x49xf32>) -> tensor<32x49xf32> {
  %zero = arith.constant 0.0 : f32
  %w = graph.load_global @v : tensor<640x32xf32>
  %e = tensor.empty() : tensor<49x32xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<49x32xf32>) -> tensor<49x32xf32>
  %c = linalg.generic {indexing_maps = [#image, #weights, #sum], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<640x49xf32>, tensor<640x32xf32>) outs(%f : tensor<49x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<49x32xf32>
  %g = tensor.empty() : tensor<32x49xf32>
  %t = linalg.transpose ins(%c : tensor<49x32xf32>) outs(%g : tensor<32x49xf32>) permutation = [1, 0]
  return %t : tensor<32x49xf32>
}

// So does a convolution of each channel by itself, which reads the image as it was before it was transposed.
// CHECK-LABEL: func.func @each_channel
// CHECK-NOT: linalg.transpose
// CHECK: linalg.generic {indexing_maps = [#[[IMAGE:.*]], #[[WINDOW:.*]], #[[RESULT:.*]]], {{.*}} ins(%{{.*}}, %{{.*}} : tensor<1x12x9x18xf32>, tensor<3x3x12xf32>) outs(%{{.*}} : tensor<1x12x7x16xf32>)
// CHECK-NOT: linalg.transpose
// CHECK: return
graph.global @k : tensor<3x3x12xf32>
func.func @each_channel(%x: tensor<1x12x9x18xf32>) -> tensor<1x12x7x16xf32> {
  %zero = arith.constant 0.0 : f32
  %k = graph.load_global @k : tensor<3x3x12xf32>
  %e = tensor.empty() : tensor<1x9x18x12xf32>
  %last = linalg.transpose ins(%x : tensor<1x12x9x18xf32>) outs(%e : tensor<1x9x18x12xf32>) permutation = [0, 2, 3, 1]
  %i = tensor.empty() : tensor<1x7x16x12xf32>
  %f = linalg.fill ins(%zero : f32) outs(%i : tensor<1x7x16x12xf32>) -> tensor<1x7x16x12xf32>
  %c = linalg.generic {indexing_maps = [affine_map<(n, y, x, c, a, b) -> (n, y + a, x + b, c)>,
                                        affine_map<(n, y, x, c, a, b) -> (a, b, c)>,
                                        affine_map<(n, y, x, c, a, b) -> (n, y, x, c)>],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%last, %k : tensor<1x9x18x12xf32>, tensor<3x3x12xf32>) outs(%f : tensor<1x7x16x12xf32>) {
  ^bb0(%a: f32, %v: f32, %o: f32):
    %m = arith.mulf %a, %v : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<1x7x16x12xf32>
  %g = tensor.empty() : tensor<1x12x7x16xf32>
  %t = linalg.transpose ins(%c : tensor<1x7x16x12xf32>) outs(%g : tensor<1x12x7x16xf32>) permutation = [0, 3, 1, 2]
  return %t : tensor<1x12x7x16xf32>
}
