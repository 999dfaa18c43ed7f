// RUN: eyrie-opt %s -vm-pipeline | FileCheck %s

graph.executable @f attributes {variants = [{workgroups = @f_workgroups}]} {
  func.func @f(%a: tensor<?xf32>, %n: index) attributes {graph.arg_dims = [[0]], graph.result_dims = []} { return }
  func.func @f_workgroups(%n: index) -> (index, index, index) {
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    %x = arith.ceildivui %n, %c64 : index
    return %x, %c1, %c1 : index, index, index
  }
}
// CHECK-LABEL: func.func @constant_counts_fold
// CHECK-DAG: %[[C1:.*]] = arith.constant 1 : index
// CHECK-DAG: %[[C2:.*]] = arith.constant 2 : index
// CHECK: stream.dispatch @f workgroups(%[[C2]], %[[C1]], %[[C1]]) (
func.func @constant_counts_fold(%x: tensor<100xf32>) {
  %c0 = arith.constant 0 : index
  %n = arith.constant 100 : index
  %bytes = arith.constant 400 : index
  %in = stream.import %x : tensor<100xf32> -> <external>
  stream.dispatch @f (%n) ins(%in[%c0 for %bytes]) outs() : !stream.resource<external>
  stream.return
}

// The first two variants count alike, and all of them along z.
graph.executable @g attributes {variants = [{workgroups = @wide}, {workgroups = @wide}, {workgroups = @narrow}]} {
  func.func @g(%a: tensor<?xf32>, %n: index) attributes {graph.arg_dims = [[0]], graph.result_dims = []} { return }
  func.func @wide(%n: index) -> (index, index, index) {
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    %x = arith.divui %n, %c64 : index
    %y = arith.addi %n, %c1 : index
    return %x, %y, %c1 : index, index, index
  }
  func.func @narrow(%n: index) -> (index, index, index) {
    %c1 = arith.constant 1 : index
    %c16 = arith.constant 16 : index
    %x = arith.divui %n, %c16 : index
    %y = arith.addi %n, %c1 : index
    return %x, %y, %c1 : index, index, index
  }
}
// CHECK-LABEL: func.func @variants_that_count_differently
// CHECK-DAG: %[[C1:.*]] = arith.constant 1 : index
// CHECK-DAG: %[[N:.*]] = tensor.dim
// CHECK: %[[VARIANT:.*]] = stream.variant @g
// CHECK: %[[IS_WIDE:.*]] = arith.cmpi ule, %[[VARIANT]], %[[C1]]
// CHECK: %[[COUNTS:.*]]:2 = scf.if %[[IS_WIDE]] -> (index, index) {
// CHECK: arith.divui %[[N]], %c64
// CHECK: } else {
// CHECK: arith.divui %[[N]], %c16
// CHECK: }
// CHECK: stream.dispatch @g workgroups(%[[COUNTS]]#0, %[[COUNTS]]#1, %[[C1]]) (%[[N]])
func.func @variants_that_count_differently(%x: tensor<?xf32>) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %in = stream.import %x : tensor<?xf32> -> <external>
  stream.dispatch @g (%n) ins(%in[%c0 for %n]) outs() : !stream.resource<external>
  stream.return
}
