// RUN: eyrie-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(stream-schedule,stream-plan-memory,canonicalize,cse))' | FileCheck %s

// A chain of three tensors: the third takes the place of the first.
// CHECK-LABEL: func.func @chain
// CHECK-SAME: arena_bytes = 2048 : i64, lower_bound = 2048 : i64, total_bytes = 3000 : i64
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C1024:.*]] = arith.constant 1024 : index
// CHECK-DAG: %[[C2048:.*]] = arith.constant 2048 : index
// CHECK: %[[A:.*]] = stream.arena %[[C2048]]
// CHECK: outs(%[[A]][%[[FIRST:.*]] for
// CHECK: ins(%[[A]][%[[FIRST]] for {{.*}}) outs(%[[A]][%[[SECOND:.*]] for
// CHECK: ins(%[[A]][%[[SECOND]] for {{.*}}) outs(%[[A]][%[[FIRST]] for
func.func @chain(%x: tensor<250xf32>) {
  %c0 = arith.constant 0 : index
  %n = arith.constant 1000 : index
  %in = stream.import %x : tensor<250xf32> -> <external>
  %a = stream.alloc %n : <transient>
  stream.dispatch @f () ins(%in[%c0 for %n]) outs(%a[%c0 for %n]) : !stream.resource<external>, !stream.resource<transient>
  %b = stream.alloc %n : <transient>
  stream.dispatch @f () ins(%a[%c0 for %n]) outs(%b[%c0 for %n]) : !stream.resource<transient>, !stream.resource<transient>
  %c = stream.alloc %n : <transient>
  stream.dispatch @f () ins(%b[%c0 for %n]) outs(%c[%c0 for %n]) : !stream.resource<transient>, !stream.resource<transient>
  stream.return
}

// -----

// Multiples of one unknown are packed in its units: 2 * 1024 * n bytes.
// CHECK-LABEL: func.func @batch
// CHECK-SAME: arena_bytes = -1
// CHECK-DAG: %[[C2048:.*]] = arith.constant 2048 : index
// CHECK: %[[N:.*]] = tensor.dim
// CHECK: %[[BYTES:.*]] = arith.muli %[[N]], %[[C2048]]
// CHECK: stream.arena %[[BYTES]]
func.func @batch(%x: tensor<?x256xf32>) {
  %c0 = arith.constant 0 : index
  %c1024 = arith.constant 1024 : index
  %d = tensor.dim %x, %c0 : tensor<?x256xf32>
  %n = arith.muli %d, %c1024 : index
  %in = stream.import %x : tensor<?x256xf32> -> <external>
  %a = stream.alloc %n : <transient>
  stream.dispatch @f () ins(%in[%c0 for %n]) outs(%a[%c0 for %n]) : !stream.resource<external>, !stream.resource<transient>
  %b = stream.alloc %n : <transient>
  stream.dispatch @f () ins(%a[%c0 for %n]) outs(%b[%c0 for %n]) : !stream.resource<transient>, !stream.resource<transient>
  %c = stream.alloc %n : <transient>
  stream.dispatch @f () ins(%b[%c0 for %n]) outs(%c[%c0 for %n]) : !stream.resource<transient>, !stream.resource<transient>
  stream.return
}

// -----

// Different unknowns: the program packs when it knows the sizes.
// CHECK-LABEL: func.func @different_unknowns
// CHECK-SAME: arena_bytes = -1
// CHECK-DAG: %[[N:.*]] = tensor.dim %arg0
// CHECK-DAG: %[[M:.*]] = tensor.dim %arg1
// CHECK-DAG: %[[NB:.*]] = arith.muli %[[N]], %c1000
// CHECK-DAG: %[[MB:.*]] = arith.muli %[[M]], %c1000
// CHECK: %[[TOTAL:.*]], %[[O:.*]]:3 = stream.pack %[[NB]], %[[NB]], %[[MB]]
// CHECK: %[[A:.*]] = stream.arena %[[TOTAL]]
// CHECK: stream.fill %[[A]][%[[O]]#0 for %[[NB]]]
func.func @different_unknowns(%x: tensor<?x250xf32>, %y: tensor<?x250xf32>) {
  %c0 = arith.constant 0 : index
  %c1000 = arith.constant 1000 : index
  %dx = tensor.dim %x, %c0 : tensor<?x250xf32>
  %dy = tensor.dim %y, %c0 : tensor<?x250xf32>
  %n = arith.muli %dx, %c1000 : index
  %m = arith.muli %dy, %c1000 : index
  %a = stream.alloc %n : <transient>
  stream.fill %a[%c0 for %n] with 0 width 4 : <transient>
  %b = stream.alloc %n : <transient>
  stream.copy %a[%c0], %b[%c0] for %n : <transient>, <transient>
  %v = stream.read_scalar %b[%c0] : <transient> -> i32
  %c = stream.alloc %m : <transient>
  stream.fill %c[%c0 for %m] with 0 width 4 : <transient>
  %w = stream.read_scalar %c[%c0] : <transient> -> i32
  stream.return
}

// -----

// Promised bounds give the arena one: two tensors of at most 5000 bytes at a time, rounded up to 64. Where the program's
// own packing is larger than the plan at the largest sizes, tensors lie as they do in that.
// CHECK-LABEL: func.func @bounded
// CHECK-SAME: arena_bytes = -1
// CHECK-SAME: upper_bound = 10112
// CHECK-DAG: %[[MOST:.*]] = arith.constant 10112 : index
// CHECK: %[[TOTAL:.*]], %[[O:.*]]:3 = stream.pack
// CHECK: %[[FITS:.*]] = arith.cmpi sle, %[[TOTAL]], %[[MOST]]
// CHECK: arith.select %[[FITS]], %[[O]]#0
// CHECK: %[[BYTES:.*]] = arith.select %[[FITS]], %[[TOTAL]], %[[MOST]]
// CHECK: stream.arena %[[BYTES]]
module attributes {eyrie.symbol_ranges = {n = array<i64: 1, 5, 1>, m = array<i64: 1, 4, 1>}} {
  func.func @bounded(%x: tensor<?x250xf32> {eyrie.dims = ["n", ""]}, %y: tensor<?x250xf32> {eyrie.dims = ["m", ""]}) {
    %c0 = arith.constant 0 : index
    %c1000 = arith.constant 1000 : index
    %dx = tensor.dim %x, %c0 : tensor<?x250xf32>
    %dy = tensor.dim %y, %c0 : tensor<?x250xf32>
    %n = arith.muli %dx, %c1000 : index
    %m = arith.muli %dy, %c1000 : index
    %a = stream.alloc %n : <transient>
    stream.fill %a[%c0 for %n] with 0 width 4 : <transient>
    %b = stream.alloc %n : <transient>
    stream.copy %a[%c0], %b[%c0] for %n : <transient>, <transient>
    %v = stream.read_scalar %b[%c0] : <transient> -> i32
    %c = stream.alloc %m : <transient>
    stream.fill %c[%c0 for %m] with 0 width 4 : <transient>
    %w = stream.read_scalar %c[%c0] : <transient> -> i32
    stream.return
  }
}

// -----

// Multiples of one bounded size; a block on top has no bound.
// CHECK-LABEL: func.func @bounded_unit
// CHECK-SAME: upper_bound = 8192
// CHECK-LABEL: func.func @block
// CHECK-SAME: upper_bound = -1
module attributes {eyrie.symbol_ranges = {n = array<i64: 1, 8, 1>}} {
  func.func @bounded_unit(%x: tensor<?x256xf32> {eyrie.dims = ["n", ""]}) {
    %c0 = arith.constant 0 : index
    %c1024 = arith.constant 1024 : index
    %d = tensor.dim %x, %c0 : tensor<?x256xf32>
    %n = arith.muli %d, %c1024 : index
    %a = stream.alloc %n : <transient>
    stream.fill %a[%c0 for %n] with 0 width 4 : <transient>
    stream.return
  }
  func.func @block(%x: tensor<?x256xf32> {eyrie.dims = ["n", ""]}) {
    %c0 = arith.constant 0 : index
    %c1024 = arith.constant 1024 : index
    %d = tensor.dim %x, %c0 : tensor<?x256xf32>
    %n = arith.muli %d, %c1024 : index
    %a = stream.alloc %n : <transient>
    stream.fill %a[%c0 for %n] with 0 width 4 : <transient>
    %i = stream.read_scalar %a[%c0] : <transient> -> i32
    %v = arith.index_cast %i : i32 to index
    %b = stream.alloc %v : <transient>
    stream.fill %b[%c0 for %v] with 0 width 4 : <transient>
    stream.return
  }
}
