// RUN: eyrie-opt %s -split-input-file -graph-form-dispatches | FileCheck %s

#id = affine_map<(m, n) -> (m, n)>
// What is promised of a size reaches the executable, through the arithmetic of other sizes; dimensions of one name are
// one argument.
// CHECK: func.func @generic(%{{.*}}: tensor<?x?xf32>, %{{.*}}: tensor<?x?xf32>, %{{.*}}: index, %{{.*}}: index)
// CHECK-SAME: graph.arg_dims = {{\[\[}}0, 1], [0, 1]]
// CHECK-SAME: graph.arg_sizes = [array<i64: 1, 8, 1>, array<i64: 64, 512, 64>]
// CHECK: func.func @generic_0(%{{.*}}: tensor<?x?xf32>, %{{.*}}: index, %{{.*}}: index, %{{.*}}: index, %{{.*}}: index)
// 3 * batch * length, then (length + 16) / 8
// CHECK-SAME: graph.arg_sizes = [array<i64: 192, 12288, 192>, array<i64: 10, 66, 2>, array<i64: 1, 8, 1>, array<i64: 64, 512, 64>]
module attributes {eyrie.symbol_ranges = {batch = array<i64: 1, 8, 1>, length = array<i64: 64, 512, 64>}} {
  func.func @main(%x: tensor<?x?xf32> {eyrie.dims = ["batch", "length"]},
                  %y: tensor<?x?xf32> {eyrie.dims = ["batch", "length"]}) -> (tensor<?x?xf32>, tensor<?x?xf32>) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c3 = arith.constant 3 : index
    %c8 = arith.constant 8 : index
    %c16 = arith.constant 16 : index
    %b = tensor.dim %x, %c0 : tensor<?x?xf32>
    %l = tensor.dim %x, %c1 : tensor<?x?xf32>
    %e = tensor.empty(%b, %l) : tensor<?x?xf32>
    %sum = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
        ins(%x, %y : tensor<?x?xf32>, tensor<?x?xf32>) outs(%e : tensor<?x?xf32>) {
    ^bb0(%p: f32, %q: f32, %o: f32):
      %s = arith.addf %p, %q : f32
      linalg.yield %s : f32
    } -> tensor<?x?xf32>
    %bl = arith.muli %b, %l : index
    %blc = arith.muli %bl, %c3 : index
    %la = arith.addi %l, %c16 : index
    %ld = arith.divsi %la, %c8 : index
    %f = tensor.empty(%blc, %ld) : tensor<?x?xf32>
    %zero = arith.constant 0.0 : f32
    %first = linalg.generic {indexing_maps = [affine_map<(m, n, i, j) -> (i, j)>, affine_map<(m, n, i, j) -> (m, n)>],
                             iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
        ins(%sum : tensor<?x?xf32>) outs(%f : tensor<?x?xf32>) {
    ^bb0(%p: f32, %o: f32):
      %s = arith.maximumf %p, %zero : f32
      linalg.yield %s : f32
    } -> tensor<?x?xf32>
    return %sum, %first : tensor<?x?xf32>, tensor<?x?xf32>
  }
}

// -----

// Nothing is noted where nothing helps.
// CHECK: func.func @generic
// CHECK-NOT: graph.arg_sizes
func.func @main(%x: tensor<?xf32> {eyrie.dims = ["n"]}) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n) -> (n)>, affine_map<(n) -> (n)>], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%p: f32, %o: f32):
    %s = math.absf %p : f32
    linalg.yield %s : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}
