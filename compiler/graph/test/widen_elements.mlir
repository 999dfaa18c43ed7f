// RUN: eyrie-opt %s -pass-pipeline='builtin.module(func.func(graph-widen-elements))' | FileCheck %s

// CHECK-LABEL: @elements_are_bytes_inside
// CHECK-SAME: %[[X:.*]]: tensor<5xi4>) -> tensor<5xi4>
// CHECK: graph.reshape %[[X]] : tensor<5xi4> -> tensor<3xi8>
// CHECK: linalg.transpose
// CHECK-SAME: tensor<5x1xi8>
// CHECK: tensor.pad
// CHECK: graph.reshape %{{.*}} : tensor<3xi8> -> tensor<5xi4>
func.func @elements_are_bytes_inside(%x: tensor<5xi4>) -> tensor<5xi4> {
  %a = graph.reshape %x : tensor<5xi4> -> tensor<5x1xi4>
  %init = tensor.empty() : tensor<1x5xi4>
  %t = linalg.transpose ins(%a : tensor<5x1xi4>) outs(%init : tensor<1x5xi4>) permutation = [1, 0]
  %r = graph.reshape %t : tensor<1x5xi4> -> tensor<5xi4>
  return %r : tensor<5xi4>
}

// CHECK-LABEL: @what_only_passes_is_left_alone
// CHECK-SAME: %[[X:.*]]: tensor<?xf4E2M1FN>
// CHECK: return %[[X]]
func.func @what_only_passes_is_left_alone(%x: tensor<?xf4E2M1FN>) -> tensor<?xf4E2M1FN> {
  return %x : tensor<?xf4E2M1FN>
}

// CHECK-LABEL: @functions_of_the_host_take_and_give_packed_elements
// CHECK-SAME: %[[X:.*]]: tensor<5xi4>)
// CHECK: %[[Y:.*]] = graph.host_call "my::Op"(%[[X]])
// CHECK-SAME: (tensor<5xi4>) -> tensor<5xi4>
// CHECK: return %[[Y]]
func.func @functions_of_the_host_take_and_give_packed_elements(%x: tensor<5xi4>) -> tensor<5xi4> {
  %y = graph.host_call "my::Op"(%x) {config = {}, types = ["i4", "i4"]} : (tensor<5xi4>) -> tensor<5xi4>
  return %y : tensor<5xi4>
}
