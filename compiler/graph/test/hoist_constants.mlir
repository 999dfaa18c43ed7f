// RUN: eyrie-opt %s -graph-hoist-constants -cse | FileCheck %s

graph.global @w : tensor<4x8xf32>

// The transposed weight is computed once, in @__initialize; the program loads the result.
// CHECK: graph.global @w_0 : tensor<8x4xf32>
// CHECK-LABEL: func.func @transposed_weight
// CHECK-NOT: linalg.transpose
// CHECK: %[[W:.*]] = graph.load_global @w_0
// CHECK-NEXT: return %[[W]]
func.func @transposed_weight() -> tensor<8x4xf32> {
  %w = graph.load_global @w : tensor<4x8xf32>
  %e = tensor.empty() : tensor<8x4xf32>
  %t = linalg.transpose ins(%w : tensor<4x8xf32>) outs(%e : tensor<8x4xf32>) permutation = [1, 0]
  return %t : tensor<8x4xf32>
}

// What depends on an argument stays.
// CHECK-LABEL: func.func @argument_is_no_constant
// CHECK: linalg.transpose
func.func @argument_is_no_constant(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %e = tensor.empty() : tensor<8x4xf32>
  %t = linalg.transpose ins(%x : tensor<4x8xf32>) outs(%e : tensor<8x4xf32>) permutation = [1, 0]
  return %t : tensor<8x4xf32>
}

// A branch's constant may be made of what stands outside the branch.
// CHECK-LABEL: func.func @constant_in_a_branch
// CHECK: scf.if
// CHECK: graph.load_global @w_1
func.func @constant_in_a_branch(%c: i1, %x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %w = graph.load_global @w : tensor<4x8xf32>
  %r = scf.if %c -> tensor<8x4xf32> {
    %e = tensor.empty() : tensor<8x4xf32>
    %t = linalg.transpose ins(%w : tensor<4x8xf32>) outs(%e : tensor<8x4xf32>) permutation = [1, 0]
    scf.yield %t : tensor<8x4xf32>
  } else {
    scf.yield %x : tensor<8x4xf32>
  }
  return %r : tensor<8x4xf32>
}
// CHECK-LABEL: func.func private @__initialize
// CHECK: linalg.transpose
// CHECK: graph.store_global @w_0
