// RUN: eyrie-opt %s -split-input-file -graph-form-dispatches -canonicalize -cse | FileCheck %s

#id = affine_map<(m, n) -> (m, n)>
// A contraction takes its elementwise consumer as an epilogue.
// CHECK-LABEL: graph.executable @generic
// CHECK: func.func @generic(%{{.*}}: tensor<8xf32>, %{{.*}}: tensor<?x4xf32>, %{{.*}}: tensor<4x8xf32>, %[[N:.*]]: index)
// CHECK-SAME: graph.arg_dims = {{\[\[}}], [0], []], graph.result_dims = {{\[\[}}0]]
// CHECK: tensor.empty(%[[N]])
// CHECK: arith.mulf
// CHECK: arith.maximumf
// CHECK-LABEL: func.func @matmul_with_epilogue
// CHECK: %[[DIM:.*]] = tensor.dim
// CHECK-NEXT: %[[R:.*]] = graph.dispatch @generic(%{{.*}}, %{{.*}}, %{{.*}}, %[[DIM]])
// CHECK-NEXT: return %[[R]]
func.func @matmul_with_epilogue(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<?x8xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  %mm = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
                                         affine_map<(m, n, k) -> (m, n)>],
                        iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) outs(%f : tensor<?x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<?x8xf32>
  %r = linalg.generic {indexing_maps = [#id, affine_map<(m, n) -> (n)>, #id], iterator_types = ["parallel", "parallel"]}
      ins(%mm, %b : tensor<?x8xf32>, tensor<8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %s = arith.addf %a, %c : f32
    %t = arith.maximumf %s, %zero : f32
    linalg.yield %t : f32
  } -> tensor<?x8xf32>
  return %r : tensor<?x8xf32>
}

// -----

#id = affine_map<(m, n) -> (m, n)>
#row = affine_map<(m, n) -> (m)>
// The reductions of a softmax are computed with the rows that use them.
// CHECK-COUNT-1: graph.executable
// CHECK-NOT: graph.executable
// CHECK-LABEL: func.func @rows_stay_together
// CHECK-NEXT: graph.dispatch
// CHECK-NEXT: return
func.func @rows_stay_together(%x: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %zero = arith.constant 0.0 : f32
  %re = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%re : tensor<4xf32>) -> tensor<4xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x16xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %e = math.exp %a : f32
    %s = arith.addf %e, %o : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  %e = tensor.empty() : tensor<4x16xf32>
  %r = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum : tensor<4x16xf32>, tensor<4xf32>) outs(%e : tensor<4x16xf32>) {
  ^bb0(%a: f32, %s: f32, %o: f32):
    %n = math.exp %a : f32
    %d = arith.divf %n, %s : f32
    linalg.yield %d : f32
  } -> tensor<4x16xf32>
  return %r : tensor<4x16xf32>
}

// -----

#id = affine_map<(m, n) -> (m, n)>
#row = affine_map<(m, n) -> (m)>
// A reduction that something else reads too has to be stored: it is a dispatch of its own.
// CHECK-COUNT-2: graph.executable
// CHECK-LABEL: func.func @shared_reduction_is_stored
// CHECK-COUNT-2: graph.dispatch
func.func @shared_reduction_is_stored(%x: tensor<4x16xf32>) -> (tensor<4x16xf32>, tensor<4xf32>) {
  %zero = arith.constant 0.0 : f32
  %re = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%re : tensor<4xf32>) -> tensor<4xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x16xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %a, %o : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  %e = tensor.empty() : tensor<4x16xf32>
  %r = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum : tensor<4x16xf32>, tensor<4xf32>) outs(%e : tensor<4x16xf32>) {
  ^bb0(%a: f32, %s: f32, %o: f32):
    %d = arith.divf %a, %s : f32
    linalg.yield %d : f32
  } -> tensor<4x16xf32>
  return %r, %sum : tensor<4x16xf32>, tensor<4xf32>
}

// -----

#id = affine_map<(m, n) -> (m, n)>
// A contraction writes the border around its result too.
// CHECK-COUNT-1: graph.executable
// CHECK-NOT: graph.executable
// CHECK: tensor.pad
// CHECK-LABEL: func.func @border
// CHECK: graph.dispatch
// CHECK-NEXT: return
func.func @border(%x: tensor<3x4xf32>, %w: tensor<4x8xf32>) -> tensor<5x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<3x8xf32>) -> tensor<3x8xf32>
  %mm = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
                                         affine_map<(m, n, k) -> (m, n)>],
                        iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<3x4xf32>, tensor<4x8xf32>) outs(%f : tensor<3x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %m = arith.mulf %a, %c : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<3x8xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%mm : tensor<3x8xf32>) outs(%e : tensor<3x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.maximumf %a, %zero : f32
    linalg.yield %t : f32
  } -> tensor<3x8xf32>
  %p = tensor.pad %r low[1, 0] high[1, 0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<3x8xf32> to tensor<5x8xf32>
  return %p : tensor<5x8xf32>
}

// -----

#id = affine_map<(m, n) -> (m, n)>
// An elementwise operation alone stays apart from the padding.
// CHECK-COUNT-2: graph.executable
// CHECK-LABEL: func.func @elementwise_and_padding
// CHECK-COUNT-2: graph.dispatch
func.func @elementwise_and_padding(%x: tensor<3x8xf32>) -> tensor<5x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x8xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x8xf32>) outs(%e : tensor<3x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.maximumf %a, %zero : f32
    linalg.yield %t : f32
  } -> tensor<3x8xf32>
  %p = tensor.pad %r low[1, 0] high[1, 0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<3x8xf32> to tensor<5x8xf32>
  return %p : tensor<5x8xf32>
}

// -----

// What follows a contraction may have more dimensions, of size one.
// CHECK-LABEL: graph.executable @generic
// CHECK: arith.muli
// CHECK: arith.sitofp
// CHECK-LABEL: func.func @epilogue_with_a_unit_dimension
// CHECK-COUNT-1: graph.dispatch
// CHECK-NOT: graph.dispatch
func.func @epilogue_with_a_unit_dimension(%x: tensor<5x4xi32>, %w: tensor<4x8xi32>) -> tensor<1x5x8xf32> {
  %zero = arith.constant 0 : i32
  %empty = tensor.empty() : tensor<5x8xi32>
  %fill = linalg.fill ins(%zero : i32) outs(%empty : tensor<5x8xi32>) -> tensor<5x8xi32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>,
                                        affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<5x4xi32>, tensor<4x8xi32>) outs(%fill : tensor<5x8xi32>) {
  ^bb0(%a: i32, %b: i32, %acc: i32):
    %p = arith.muli %a, %b : i32
    %s = arith.addi %acc, %p : i32
    linalg.yield %s : i32
  } -> tensor<5x8xi32>
  %out = tensor.empty() : tensor<1x5x8xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(u, m, n) -> (m, n)>, affine_map<(u, m, n) -> (u, m, n)>],
                       iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%0 : tensor<5x8xi32>) outs(%out : tensor<1x5x8xf32>) {
  ^bb0(%a: i32, %o: f32):
    %f = arith.sitofp %a : i32 to f32
    linalg.yield %f : f32
  } -> tensor<1x5x8xf32>
  return %1 : tensor<1x5x8xf32>
}
