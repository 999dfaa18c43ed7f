// RUN: eyrie-opt %s -graph-place-states | FileCheck %s

// A state that grows is kept with the dimension along which it grows first, in all functions that have it.
// CHECK-LABEL: func.func @step
// CHECK-SAME: %[[OLD:.*]]: tensor<?x2x3xf32> {eyrie.state = "k", eyrie.state_order = array<i64: 1, 0, 2>}
// CHECK-SAME: -> (tensor<?x2xf32>, tensor<?x2x3xf32> {eyrie.state = "k", eyrie.state_order = array<i64: 1, 0, 2>})
// CHECK: %[[PART:.*]] = linalg.transpose ins(%{{.*}} : tensor<2x?x3xf32>) outs(%{{.*}} : tensor<?x2x3xf32>) permutation = [1, 0, 2]
// CHECK: %[[ROWS:.*]] = graph.append %[[OLD]], %[[PART]]
// CHECK-NOT: tensor.concat
// CHECK: return %{{.*}}, %[[ROWS]]
func.func @step(%old: tensor<2x?x3xf32> {eyrie.state = "k"}, %part: tensor<2x?x3xf32>, %n: index)
    -> (tensor<?x2xf32>, tensor<2x?x3xf32> {eyrie.state = "k"}) {
  %new = tensor.concat dim(1) %old, %part : (tensor<2x?x3xf32>, tensor<2x?x3xf32>) -> tensor<2x?x3xf32>
  %used = tensor.empty(%n) : tensor<?x2xf32>
  return %used, %new : tensor<?x2xf32>, tensor<2x?x3xf32>
}

// CHECK-LABEL: func.func @read
// CHECK-SAME: %[[OLD:.*]]: tensor<?x2x3xf32> {eyrie.state = "k", eyrie.state_order = array<i64: 1, 0, 2>}
// CHECK: %[[MODEL:.*]] = linalg.transpose ins(%[[OLD]] : tensor<?x2x3xf32>) outs(%{{.*}} : tensor<2x?x3xf32>) permutation = [1, 0, 2]
func.func @read(%old: tensor<2x?x3xf32> {eyrie.state = "k"}) -> tensor<2x?x3xf32> {
  return %old : tensor<2x?x3xf32>
}

// Along the first dimension nothing is moved; what does not grow stays as it is.
// CHECK-LABEL: func.func @in_order
// CHECK-NOT: linalg.transpose
// CHECK: graph.append %{{.*}}, %{{.*}}
func.func @in_order(%old: tensor<?x3xf32> {eyrie.state = "rows"}, %part: tensor<?x3xf32>, %sum: tensor<4xf32> {eyrie.state = "sum"})
    -> (tensor<?x3xf32> {eyrie.state = "rows"}, tensor<4xf32> {eyrie.state = "sum"}) {
  %new = tensor.concat dim(0) %old, %part : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %new, %sum : tensor<?x3xf32>, tensor<4xf32>
}

// The old value has to come first.
// CHECK-LABEL: func.func @in_front
// CHECK-NOT: graph.append
// CHECK: tensor.concat
func.func @in_front(%old: tensor<?x3xf32> {eyrie.state = "front"}, %part: tensor<?x3xf32>)
    -> (tensor<?x3xf32> {eyrie.state = "front"}) {
  %new = tensor.concat dim(0) %part, %old : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  return %new : tensor<?x3xf32>
}
