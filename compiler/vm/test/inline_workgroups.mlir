// RUN: eyrie-opt %s -vm-pipeline | FileCheck %s

graph.executable @f {
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
