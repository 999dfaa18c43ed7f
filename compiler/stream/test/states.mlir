// RUN: eyrie-opt %s -split-input-file -stream-convert-graph -canonicalize -cse | FileCheck %s

// What makes the new rows writes them behind the old ones: nothing is copied.
graph.executable @f {
  func.func @f(%a: tensor<?x4xf32>, %d: index) -> tensor<?x4xf32> attributes {graph.arg_dims = [[0]], graph.result_dims = [[0]]} { return %a : tensor<?x4xf32> }
}
// CHECK-LABEL: func.func @grows
// CHECK: %[[OLD:.*]] = stream.import %arg0
// CHECK: %[[MEMORY:.*]] = stream.extend %[[OLD]]
// CHECK: stream.dispatch @f {{.*}} outs(%[[MEMORY]][%[[BEHIND:.*]] for
// CHECK-NOT: stream.copy
// CHECK: stream.store_state "rows", %[[MEMORY]]
// CHECK: stream.return
func.func @grows(%old: tensor<?x4xf32> {eyrie.state = "rows"}, %x: tensor<?x4xf32>) -> (tensor<?x4xf32> {eyrie.state = "rows"}) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %old, %c0 : tensor<?x4xf32>
  %m = tensor.dim %x, %c0 : tensor<?x4xf32>
  %all = arith.addi %n, %m : index
  %part = graph.dispatch @f(%x, %m) {arg_dims = [[0]], result_dims = [[0]]} : (tensor<?x4xf32>, index) -> tensor<?x4xf32>
  %new = graph.append %old, %part sizes(%all) : tensor<?x4xf32>, tensor<?x4xf32> -> tensor<?x4xf32>
  return %new : tensor<?x4xf32>
}

// -----

// A state that becomes another's value is copied: its memory is its own.
// CHECK-LABEL: func.func @changes_places
// CHECK: stream.copy %[[B:.*]][{{.*}}], %[[A2:.*]][
// CHECK: stream.store_state "a", %[[A2]]
// CHECK: stream.copy %[[A:.*]][{{.*}}], %[[B2:.*]][
// CHECK: stream.store_state "b", %[[B2]]
func.func @changes_places(%a: tensor<4xf32> {eyrie.state = "a"}, %b: tensor<4xf32> {eyrie.state = "b"})
    -> (tensor<4xf32> {eyrie.state = "a"}, tensor<4xf32> {eyrie.state = "b"}) {
  return %b, %a : tensor<4xf32>, tensor<4xf32>
}

// -----

// A state that stays what it is takes its own memory over.
// CHECK-LABEL: func.func @stays
// CHECK-NOT: stream.copy
// CHECK: stream.store_state "a"
func.func @stays(%a: tensor<4xf32> {eyrie.state = "a"}) -> (tensor<4xf32> {eyrie.state = "a"}) {
  return %a : tensor<4xf32>
}
