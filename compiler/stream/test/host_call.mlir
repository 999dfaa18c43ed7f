// RUN: eyrie-opt %s -stream-convert-graph -canonicalize -cse | FileCheck %s

// Sizes of all tensors, inputs first; the result is written where it is to lie.
// CHECK-LABEL: func.func @lower
// CHECK: %[[N:.*]] = tensor.dim %arg0
// CHECK: %[[X:.*]] = stream.import %arg0
// CHECK: %[[Y:.*]] = stream.output 0[%[[N]]]
// CHECK: stream.host_call "text.lower" sizes(%[[N]], %[[N]]) ins(%[[X]][%{{.*}} for %[[B:.*]]]) outs(%[[Y]][%{{.*}} for %[[B]]])
// CHECK-SAME: {config = {}, ranks = array<i64: 1, 1>, types = ["string", "string"]}
func.func @lower(%x: tensor<?xi64>) -> tensor<?xi64> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xi64>
  %y = graph.host_call "text.lower"(%x) sizes(%n) {config = {}, types = ["string", "string"]} : (tensor<?xi64>) -> tensor<?xi64>
  return %y : tensor<?xi64>
}

// Nobody needs it.
// CHECK-LABEL: func.func @unused
// CHECK-NOT: host_call
func.func @unused(%x: tensor<4xi64>) -> tensor<4xi64> {
  %y = graph.host_call "text.lower"(%x) {config = {}, types = ["string", "string"]} : (tensor<4xi64>) -> tensor<4xi64>
  return %x : tensor<4xi64>
}
