// RUN: eyrie-opt %s -pass-pipeline='builtin.module(func.func(graph-propagate-layout,canonicalize))' | FileCheck %s

#id = affine_map<(a, b, c, d) -> (a, b, c, d)>
// The transpose in front of an elementwise operation sinks past it and meets its inverse.
// CHECK-LABEL: func.func @transposes_cancel
// CHECK-NOT: linalg.transpose
// CHECK: linalg.generic {{.*}} ins(%arg0 : tensor<1x8x8x3xf32>)
// CHECK-NOT: linalg.transpose
// CHECK: return
func.func @transposes_cancel(%x: tensor<1x8x8x3xf32>) -> tensor<1x8x8x3xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x3x8x8xf32>
  %t = linalg.transpose ins(%x : tensor<1x8x8x3xf32>) outs(%e : tensor<1x3x8x8xf32>) permutation = [0, 3, 1, 2]
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%t : tensor<1x3x8x8xf32>) outs(%e : tensor<1x3x8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.maximumf %a, %zero : f32
    linalg.yield %s : f32
  } -> tensor<1x3x8x8xf32>
  %b = tensor.empty() : tensor<1x8x8x3xf32>
  %u = linalg.transpose ins(%r : tensor<1x3x8x8xf32>) outs(%b : tensor<1x8x8x3xf32>) permutation = [0, 2, 3, 1]
  return %u : tensor<1x8x8x3xf32>
}

// A transpose that only moves dimensions of size one is a reshape.
// CHECK-LABEL: func.func @unit_dimensions_are_reshaped
// CHECK-NEXT: graph.reshape %arg0 : tensor<2x5x1x1xf32> -> tensor<2x1x1x5xf32>
func.func @unit_dimensions_are_reshaped(%x: tensor<2x5x1x1xf32>) -> tensor<2x1x1x5xf32> {
  %e = tensor.empty() : tensor<2x1x1x5xf32>
  %t = linalg.transpose ins(%x : tensor<2x5x1x1xf32>) outs(%e : tensor<2x1x1x5xf32>) permutation = [0, 2, 3, 1]
  return %t : tensor<2x1x1x5xf32>
}

// Joining along a dimension is joining along the permuted one.
// CHECK-LABEL: func.func @sinks_through_concat
// CHECK: tensor.concat dim(3) %arg0, %arg1
// CHECK: linalg.transpose {{.*}} permutation = [0, 3, 1, 2]
func.func @sinks_through_concat(%x: tensor<1x8x8x3xf32>, %y: tensor<1x8x8x5xf32>) -> tensor<1x8x8x8xf32> {
  %e = tensor.empty() : tensor<1x3x8x8xf32>
  %t = linalg.transpose ins(%x : tensor<1x8x8x3xf32>) outs(%e : tensor<1x3x8x8xf32>) permutation = [0, 3, 1, 2]
  %f = tensor.empty() : tensor<1x5x8x8xf32>
  %u = linalg.transpose ins(%y : tensor<1x8x8x5xf32>) outs(%f : tensor<1x5x8x8xf32>) permutation = [0, 3, 1, 2]
  %r = tensor.concat dim(1) %t, %u : (tensor<1x3x8x8xf32>, tensor<1x5x8x8xf32>) -> tensor<1x8x8x8xf32>
  return %r : tensor<1x8x8x8xf32>
}

// A convolution of each channel by itself reads its vectors along the channels: its input is transposed.
// CHECK-LABEL: func.func @channels_that_are_vectors_are_neighbours
// CHECK: %[[T:.*]] = linalg.transpose
// CHECK: linalg.generic {{.*}} ins(%[[T]], %{{.*}} : tensor<1x10x10x32xf32>, tensor<3x3x32xf32>)
// The first convolution of a model has few: it reads the image as it comes.
// CHECK-LABEL: func.func @few_channels
// CHECK-NOT: linalg.transpose
// CHECK: return
func.func @channels_that_are_vectors_are_neighbours(%x: tensor<1x32x10x10xf32>, %w: tensor<3x3x32xf32>,
                                                    %init: tensor<1x8x8x32xf32>) -> tensor<1x8x8x32xf32> {
  %e = tensor.empty() : tensor<1x10x10x32xf32>
  %t = linalg.transpose ins(%x : tensor<1x32x10x10xf32>) outs(%e : tensor<1x10x10x32xf32>) permutation = [0, 2, 3, 1]
  %r = linalg.generic {indexing_maps = [affine_map<(n, y, x, c, i, j) -> (n, y + i, x + j, c)>,
                                        affine_map<(n, y, x, c, i, j) -> (i, j, c)>,
                                        affine_map<(n, y, x, c, i, j) -> (n, y, x, c)>],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%t, %w : tensor<1x10x10x32xf32>, tensor<3x3x32xf32>) outs(%init : tensor<1x8x8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<1x8x8x32xf32>
  return %r : tensor<1x8x8x32xf32>
}
func.func @few_channels(%x: tensor<1x3x10x10xf32>, %w: tensor<3x3x3x16xf32>, %init: tensor<1x8x8x16xf32>) -> tensor<1x8x8x16xf32> {
  %e = tensor.empty() : tensor<1x10x10x3xf32>
  %t = linalg.transpose ins(%x : tensor<1x3x10x10xf32>) outs(%e : tensor<1x10x10x3xf32>) permutation = [0, 2, 3, 1]
  %r = linalg.generic {indexing_maps = [affine_map<(n, y, x, o, i, j, c) -> (n, y + i, x + j, c)>,
                                        affine_map<(n, y, x, o, i, j, c) -> (i, j, c, o)>,
                                        affine_map<(n, y, x, o, i, j, c) -> (n, y, x, o)>],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
      ins(%t, %w : tensor<1x10x10x3xf32>, tensor<3x3x3x16xf32>) outs(%init : tensor<1x8x8x16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<1x8x8x16xf32>
  return %r : tensor<1x8x8x16xf32>
}

// Elements repeated side by side (nearest-neighbour enlargement) stay in the order of the convolution before; where an
// open size is not surely that of the elements, nothing is moved.
// CHECK-LABEL: func.func @repeated
// CHECK: tensor.empty({{.*}}) : tensor<1x?x2x?x2x32xf32>
// CHECK: %[[R:.*]] = graph.reshape %{{.*}}[%[[H:.*]], %[[W:.*]]] : tensor<1x?x2x?x2x32xf32> -> tensor<1x?x?x32xf32>
// CHECK: linalg.transpose ins(%[[R]] : {{.*}} permutation = [0, 3, 1, 2]
// CHECK-LABEL: func.func @repeated_of_unknown_size
// CHECK: graph.reshape %{{.*}} : tensor<1x32x?x2x?x2xf32> -> tensor<1x32x?x?xf32>
// CHECK-NOT: linalg.transpose
#read = affine_map<(n, c, y, a, x, b) -> (n, y, x, c)>
#all = affine_map<(n, c, y, a, x, b) -> (n, c, y, a, x, b)>
func.func @repeated(%x: tensor<1x?x?x32xf32>, %h: index, %w: index) -> tensor<1x32x?x?xf32> {
  %c2 = arith.constant 2 : index
  %e = tensor.empty(%h, %w) : tensor<1x32x?x2x?x2xf32>
  %r = linalg.generic {indexing_maps = [#read, #all],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "parallel"]}
      ins(%x : tensor<1x?x?x32xf32>) outs(%e : tensor<1x32x?x2x?x2xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<1x32x?x2x?x2xf32>
  %hh = arith.muli %h, %c2 : index
  %ww = arith.muli %w, %c2 : index
  %s = graph.reshape %r[%hh, %ww] : tensor<1x32x?x2x?x2xf32> -> tensor<1x32x?x?xf32>
  return %s : tensor<1x32x?x?xf32>
}
func.func @repeated_of_unknown_size(%x: tensor<1x?x?x32xf32>, %h: index, %w: index, %hh: index) -> tensor<1x32x?x?xf32> {
  %c2 = arith.constant 2 : index
  %e = tensor.empty(%h, %w) : tensor<1x32x?x2x?x2xf32>
  %r = linalg.generic {indexing_maps = [#read, #all],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "parallel"]}
      ins(%x : tensor<1x?x?x32xf32>) outs(%e : tensor<1x32x?x2x?x2xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<1x32x?x2x?x2xf32>
  %ww = arith.muli %w, %c2 : index
  %s = graph.reshape %r[%hh, %ww] : tensor<1x32x?x2x?x2xf32> -> tensor<1x32x?x?xf32>
  return %s : tensor<1x32x?x?xf32>
}
