// RUN: eyrie-opt %s -split-input-file -stream-convert-graph -canonicalize -cse | FileCheck %s

// Equal weights share one place; the last dispatch writes the result.
// CHECK: graph.global @w = {{.*}} {stream.offset = 0 : i64}
// CHECK: graph.global @w_again = {{.*}} {stream.offset = 0 : i64}
// CHECK: graph.global @b = {{.*}} {stream.offset = 64 : i64}
graph.global @w = dense<1.0> : tensor<4x4xf32> : tensor<4x4xf32>
graph.global @w_again = dense<1.0> : tensor<16xf32> : tensor<16xf32>
graph.global @b = dense<2.0> : tensor<16xf32> : tensor<16xf32>
graph.global @unused = dense<2.0> : tensor<16xf32> : tensor<16xf32>
graph.executable @f {
  func.func @f(%a: tensor<4x4xf32>, %b: tensor<4x4xf32>) -> tensor<4x4xf32> attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} { return %a : tensor<4x4xf32> }
}
graph.executable @g {
  func.func @g(%a: tensor<16xf32>, %b: tensor<16xf32>, %c: tensor<16xf32>) -> tensor<16xf32> attributes {graph.arg_dims = [[], [], []], graph.result_dims = [[]]} { return %a : tensor<16xf32> }
}
// CHECK-LABEL: func.func @main
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C64:.*]] = arith.constant 64 : index
// CHECK-DAG: %[[W:.*]] = stream.constants
// CHECK-DAG: %[[X:.*]] = stream.import %arg0
// CHECK: %[[T:.*]] = stream.alloc %[[C64]]
// CHECK: stream.dispatch @f () ins(%[[X]][%[[C0]] for %[[C64]]], %[[W]][%[[C0]] for %[[C64]]]) outs(%[[T]][%[[C0]] for %[[C64]]])
// CHECK: %[[Y:.*]] = stream.output 0
// CHECK: stream.dispatch @g () ins(%[[T]]{{.*}}, %[[W]][%[[C0]] for %[[C64]]], %[[W]][%[[C64]] for %[[C64]]]) outs(%[[Y]][%[[C0]] for %[[C64]]])
// CHECK: stream.return
func.func @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %w = graph.load_global @w : tensor<4x4xf32>
  %w2 = graph.load_global @w_again : tensor<16xf32>
  %b = graph.load_global @b : tensor<16xf32>
  %0 = graph.dispatch @f(%x, %w) {arg_dims = [[], []], result_dims = [[]]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = graph.reshape %0 : tensor<4x4xf32> -> tensor<16xf32>
  %2 = graph.dispatch @g(%1, %w2, %b) {arg_dims = [[], [], []], result_dims = [[]]} : (tensor<16xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
  %3 = graph.reshape %2 : tensor<16xf32> -> tensor<4x4xf32>
  return %3 : tensor<4x4xf32>
}

// -----

// An argument that is returned and a value that is returned twice are copied.
graph.executable @f {
  func.func @f(%a: tensor<?xf32>, %d: index) -> tensor<?xf32> attributes {graph.arg_dims = [[0]], graph.result_dims = [[0]]} { return %a : tensor<?xf32> }
}
// CHECK-LABEL: func.func @copies
// CHECK: %[[N:.*]] = tensor.dim %arg0
// CHECK: %[[Y:.*]] = stream.output 0[%[[N]]]
// CHECK: stream.dispatch @f (%[[N]]) ins({{.*}}) outs(%[[Y]]
// CHECK: %[[Y1:.*]] = stream.output 1
// CHECK: stream.copy %[[Y]][{{.*}}], %[[Y1]]
// CHECK: %[[Y2:.*]] = stream.output 2
// CHECK: stream.copy %{{.*}}, %[[Y2]]
func.func @copies(%x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %0 = graph.dispatch @f(%x, %n) {arg_dims = [[0]], result_dims = [[0]]} : (tensor<?xf32>, index) -> tensor<?xf32>
  return %0, %0, %x : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}

// -----

// Both branches write the memory of the if's result: here that of the function's result.
graph.executable @f {
  func.func @f(%a: tensor<?xf32>, %d: index) -> tensor<?xf32> attributes {graph.arg_dims = [[0]], graph.result_dims = [[0]]} { return %a : tensor<?xf32> }
}
// CHECK-LABEL: func.func @branches
// CHECK: %[[C:.*]] = stream.read_scalar {{.*}} -> i1
// CHECK: %[[Y:.*]] = stream.output 0
// CHECK: scf.if %[[C]] {
// CHECK:   stream.dispatch @f ({{.*}}) ins({{.*}}) outs(%[[Y]]
// CHECK: } else {
// CHECK:   stream.copy %{{.*}}, %[[Y]]
// CHECK: }
// CHECK: stream.return
func.func @branches(%x: tensor<?xf32>, %cond: tensor<i1>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %c = graph.read_scalar %cond[] : tensor<i1> -> i1
  %r = scf.if %c -> tensor<?xf32> {
    %n = tensor.dim %x, %c0 : tensor<?xf32>
    %0 = graph.dispatch @f(%x, %n) {arg_dims = [[0]], result_dims = [[0]]} : (tensor<?xf32>, index) -> tensor<?xf32>
    scf.yield %0 : tensor<?xf32>
  } else {
    scf.yield %x : tensor<?xf32>
  }
  return %r : tensor<?xf32>
}
