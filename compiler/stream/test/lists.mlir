// RUN: eyrie-opt %s -stream-convert-graph -canonicalize -cse -stream-schedule | FileCheck %s

// What is put into a sequence has a block of its own; what is taken out is read where it lies. The barrier: the element
// has another name when it is read, so its writer must be done before it is put in.
// CHECK-LABEL: func.func @put_and_take
// CHECK: %[[BLOCK:.*]] = stream.block
// CHECK: stream.dispatch @make {{.*}} outs(%[[BLOCK]]
// CHECK: stream.barrier
// CHECK: %[[L:.*]] = stream.list_insert %{{.*}}[%{{.*}}], %[[BLOCK]][%{{.*}}] sizes(%{{.*}}) : !graph.list<f32, "f32">, <transient>
// CHECK: %[[R:.*]], %[[O:.*]] = stream.list_get %[[L]][%{{.*}}] : !graph.list<f32, "f32"> -> <transient>
// CHECK: stream.dispatch @make {{.*}} ins(%[[R]][%[[O]] for
func.func @put_and_take(%x: tensor<?xf32>, %i: !graph.list<f32, "f32">) -> (tensor<?xf32>, !graph.list<f32, "f32">) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %y = graph.dispatch @make(%x, %n) {arg_dims = [[0]], result_dims = [[0]]} : (tensor<?xf32>, index) -> tensor<?xf32>
  %l = graph.list_insert %i[%c0], %y : !graph.list<f32, "f32">, tensor<?xf32>
  %d = graph.list_dim %l[%c0] 0 : !graph.list<f32, "f32">
  %t = graph.list_get %l[%c0] sizes(%d) : !graph.list<f32, "f32"> -> tensor<?xf32>
  %z = graph.dispatch @make(%t, %d) {arg_dims = [[0]], result_dims = [[0]]} : (tensor<?xf32>, index) -> tensor<?xf32>
  // CHECK: stream.list_result 1, %[[L]]
  return %z, %l : tensor<?xf32>, !graph.list<f32, "f32">
}

// A tensor that a sequence holds is not changed in place afterwards.
// CHECK-LABEL: func.func @held
// CHECK: stream.list_insert
// CHECK: %[[COPY:.*]] = stream.alloc
// CHECK: stream.copy %{{.*}}, %[[COPY]]
func.func @held(%x: tensor<4x2xf32>, %row: tensor<1x2xf32>) -> (!graph.list<f32, "f32">, tensor<8xf32>) {
  %c0 = arith.constant 0 : index
  %y = graph.dispatch @twice(%x) {arg_dims = [[]], result_dims = [[]]} : (tensor<4x2xf32>) -> tensor<4x2xf32>
  %e = graph.list_empty : !graph.list<f32, "f32">
  %l = graph.list_insert %e[%c0], %y : !graph.list<f32, "f32">, tensor<4x2xf32>
  %u = graph.update %y, %row at %c0 : tensor<4x2xf32>, tensor<1x2xf32>
  %v = graph.dispatch @flat(%u) {arg_dims = [[]], result_dims = [[]]} : (tensor<4x2xf32>) -> tensor<8xf32>
  return %l, %v : !graph.list<f32, "f32">, tensor<8xf32>
}

// Sequences go through loops as scalars do.
// CHECK-LABEL: func.func @loop
// CHECK: scf.while {{.*}} : (index, !graph.list<f32, "f32">) -> (index, !graph.list<f32, "f32">)
// CHECK: stream.share
// CHECK: stream.list_insert
// CHECK-NOT: stream.barrier
func.func @loop(%x: tensor<2xf32>) -> !graph.list<f32, "f32"> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %e = graph.list_empty : !graph.list<f32, "f32">
  %r:2 = scf.while (%i = %c0, %l = %e) : (index, !graph.list<f32, "f32">) -> (index, !graph.list<f32, "f32">) {
    %go = arith.cmpi slt, %i, %c1 : index
    scf.condition(%go) %i, %l : index, !graph.list<f32, "f32">
  } do {
  ^bb0(%i: index, %l: !graph.list<f32, "f32">):
    %m = graph.list_insert %l[%i], %x : !graph.list<f32, "f32">, tensor<2xf32>
    %next = arith.addi %i, %c1 : index
    scf.yield %next, %m : index, !graph.list<f32, "f32">
  }
  return %r#1 : !graph.list<f32, "f32">
}
