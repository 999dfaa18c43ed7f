// RUN: eyrie-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(graph-convert-winograd))' | FileCheck %s

// The input is padded to whole tiles, the filter transformed by the kernel.
// CHECK-LABEL: func.func @odd_size
// CHECK: %[[W:.*]] = graph.load_global
// CHECK: %[[P:.*]] = tensor.pad %{{.*}} low[0, 1, 1, 0] high[0, 2, 4, 0]
// CHECK: %[[U:.*]] = linalg.generic {{.*}} %[[W]] : {{.*}}) outs(%{{.*}} : tensor<6x6x8x16xf32>) attrs = {graph.in_kernel, graph.operations = 0 : i64}
// CHECK: %[[V:.*]] = linalg.generic {{.*}} ins(%{{.*}}, %{{.*}}, %[[P]] : tensor<6x6xf32>, tensor<6x6xf32>, tensor<2x10x14x8xf32>) outs(%{{.*}} : tensor<6x6x2x2x3x8xf32>)
// CHECK: %[[M:.*]] = linalg.generic {{.*}} ins(%[[V]], %[[U]] : {{.*}}) outs(%{{.*}} : tensor<6x6x2x2x3x16xf32>)
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}}, %[[M]] : {{.*}}) outs(%{{.*}} : tensor<2x7x9x16xf32>) attrs = {graph.operations = 290304 : i64, graph.winograd}
graph.global @w : tensor<3x3x8x16xf32>
func.func @odd_size(%x: tensor<2x7x9x8xf32>) -> tensor<2x7x9x16xf32> {
  %zero = arith.constant 0.0 : f32
  %w = graph.load_global @w : tensor<3x3x8x16xf32>
  %p = tensor.pad %x low[0, 1, 1, 0] high[0, 1, 1, 0] {
  ^bb0(%i: index, %j: index, %k: index, %l: index):
    tensor.yield %zero : f32
  } : tensor<2x7x9x8xf32> to tensor<2x9x11x8xf32>
  %e = tensor.empty() : tensor<2x7x9x16xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x7x9x16xf32>) -> tensor<2x7x9x16xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n, y, x, o, a, b, c) -> (n, y + a, x + b, c)>,
                                        affine_map<(n, y, x, o, a, b, c) -> (a, b, c, o)>,
                                        affine_map<(n, y, x, o, a, b, c) -> (n, y, x, o)>],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction",
                                         "reduction"]}
      ins(%p, %w : tensor<2x9x11x8xf32>, tensor<3x3x8x16xf32>) outs(%f : tensor<2x7x9x16xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<2x7x9x16xf32>
  return %y : tensor<2x7x9x16xf32>
}

// -----

// Images of open sizes: as many tiles as cover them, and padding that suffices for any.
// CHECK-LABEL: func.func @open_size
// CHECK: tensor.pad %{{.*}} low[0, 1, 1, 0] high[0, 4, 3, 0]
// CHECK: %[[UP:.*]] = arith.addi %{{.*}}, %c3
// CHECK: %[[TILES:.*]] = arith.divsi %[[UP]], %c4
// CHECK: tensor.empty(%[[TILES]]) : tensor<6x6x2x?x3x8xf32>
// CHECK: attrs = {graph.operations = {{.*}}, graph.winograd}
graph.global @w : tensor<3x3x8x16xf32>
func.func @open_size(%x: tensor<2x?x10x8xf32>, %height: index) -> tensor<2x?x10x16xf32> {
  %zero = arith.constant 0.0 : f32
  %w = graph.load_global @w : tensor<3x3x8x16xf32>
  %p = tensor.pad %x low[0, 1, 1, 0] high[0, 1, 1, 0] {
  ^bb0(%i: index, %j: index, %k: index, %l: index):
    tensor.yield %zero : f32
  } : tensor<2x?x10x8xf32> to tensor<2x?x12x8xf32>
  %e = tensor.empty(%height) : tensor<2x?x10x16xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x?x10x16xf32>) -> tensor<2x?x10x16xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n, y, x, o, a, b, c) -> (n, y + a, x + b, c)>,
                                        affine_map<(n, y, x, o, a, b, c) -> (a, b, c, o)>,
                                        affine_map<(n, y, x, o, a, b, c) -> (n, y, x, o)>],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction",
                                         "reduction"]}
      ins(%p, %w : tensor<2x?x12x8xf32>, tensor<3x3x8x16xf32>) outs(%f : tensor<2x?x10x16xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<2x?x10x16xf32>
  return %y : tensor<2x?x10x16xf32>
}

// -----

// A filter that is not a constant, or a stride of 2, stays as it is.
// CHECK-LABEL: func.func @open_filter
// CHECK-NOT: graph.winograd
func.func @open_filter(%x: tensor<1x6x6x8xf32>, %w: tensor<3x3x8x16xf32>) -> tensor<1x4x4x16xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x4x4x16xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x4x4x16xf32>) -> tensor<1x4x4x16xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n, y, x, o, a, b, c) -> (n, y + a, x + b, c)>,
                                        affine_map<(n, y, x, o, a, b, c) -> (a, b, c, o)>,
                                        affine_map<(n, y, x, o, a, b, c) -> (n, y, x, o)>],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction",
                                         "reduction"]}
      ins(%x, %w : tensor<1x6x6x8xf32>, tensor<3x3x8x16xf32>) outs(%f : tensor<1x4x4x16xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<1x4x4x16xf32>
  return %y : tensor<1x4x4x16xf32>
}
// CHECK-LABEL: func.func @stride
// CHECK-NOT: graph.winograd
graph.global @w : tensor<3x3x8x16xf32>
func.func @stride(%x: tensor<1x9x9x8xf32>) -> tensor<1x4x4x16xf32> {
  %zero = arith.constant 0.0 : f32
  %w = graph.load_global @w : tensor<3x3x8x16xf32>
  %e = tensor.empty() : tensor<1x4x4x16xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x4x4x16xf32>) -> tensor<1x4x4x16xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n, y, x, o, a, b, c) -> (n, 2 * y + a, 2 * x + b, c)>,
                                        affine_map<(n, y, x, o, a, b, c) -> (a, b, c, o)>,
                                        affine_map<(n, y, x, o, a, b, c) -> (n, y, x, o)>],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction",
                                         "reduction"]}
      ins(%x, %w : tensor<1x9x9x8xf32>, tensor<3x3x8x16xf32>) outs(%f : tensor<1x4x4x16xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<1x4x4x16xf32>
  return %y : tensor<1x4x4x16xf32>
}
