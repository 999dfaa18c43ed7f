// RUN: eyrie-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(stream-schedule))' | FileCheck %s

// Two independent dispatches share a group; the third needs both.
// CHECK-LABEL: func.func @independent_dispatches_run_together
// CHECK: stream.dispatch @f
// CHECK-NEXT: stream.dispatch @f
// CHECK-NEXT: stream.barrier
// CHECK-NEXT: stream.dispatch @g
// CHECK-NEXT: stream.return
func.func @independent_dispatches_run_together(%x: tensor<16xf32>) {
  %c0 = arith.constant 0 : index
  %n = arith.constant 64 : index
  %in = stream.import %x : tensor<16xf32> -> <external>
  %a = stream.alloc %n : <transient>
  %b = stream.alloc %n : <transient>
  %c = stream.alloc %n : <transient>
  stream.dispatch @f () ins(%in[%c0 for %n]) outs(%a[%c0 for %n]) : !stream.resource<external>, !stream.resource<transient>
  stream.dispatch @f () ins(%in[%c0 for %n]) outs(%b[%c0 for %n]) : !stream.resource<external>, !stream.resource<transient>
  stream.dispatch @g () ins(%a[%c0 for %n], %b[%c0 for %n]) outs(%c[%c0 for %n]) : !stream.resource<transient>, !stream.resource<transient>, !stream.resource<transient>
  stream.return
}

// -----

// A write waits for earlier reads and writes; nothing is outstanding at the borders of a branch.
// CHECK-LABEL: func.func @writes_wait
// CHECK: stream.fill
// CHECK-NEXT: stream.barrier
// CHECK-NEXT: stream.copy
// CHECK-NEXT: stream.barrier
// CHECK-NEXT: stream.fill
// CHECK-NEXT: stream.barrier
// CHECK-NEXT: scf.if
// CHECK-NEXT: stream.fill
// CHECK-NEXT: stream.barrier
// CHECK-NEXT: }
// CHECK-NEXT: stream.return
func.func @writes_wait(%cond: i1) {
  %c0 = arith.constant 0 : index
  %n = arith.constant 64 : index
  %a = stream.alloc %n : <transient>
  %b = stream.alloc %n : <transient>
  stream.fill %a[%c0 for %n] with 0 width 4 : <transient>
  stream.copy %a[%c0], %b[%c0] for %n : <transient>, <transient>
  stream.fill %a[%c0 for %n] with 1 width 4 : <transient>
  scf.if %cond {
    stream.fill %a[%c0 for %n] with 2 width 4 : <transient>
  }
  stream.return
}

// -----

// Reading back waits for everything.
// CHECK-LABEL: func.func @read_back
// CHECK: stream.fill
// CHECK-NEXT: stream.read_scalar
// CHECK-NEXT: stream.fill
// CHECK-NEXT: stream.return
func.func @read_back() {
  %c0 = arith.constant 0 : index
  %n = arith.constant 64 : index
  %a = stream.alloc %n : <transient>
  stream.fill %a[%c0 for %n] with 0 width 4 : <transient>
  %v = stream.read_scalar %a[%c0] : <transient> -> i32
  stream.fill %a[%c0 for %n] with 0 width 4 : <transient>
  stream.return
}

// -----

// A function of the host runs when all that was recorded has: there is no barrier ahead of it or behind it.
// CHECK-LABEL: func.func @host_call_waits
// CHECK: stream.dispatch @f
// CHECK-NEXT: stream.host_call "text.lower"
// CHECK-NEXT: stream.dispatch @f
// CHECK-NEXT: stream.return
func.func @host_call_waits(%x: tensor<16xi64>) {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %n = arith.constant 128 : index
  %in = stream.import %x : tensor<16xi64> -> <external>
  %a = stream.alloc %n : <transient>
  %b = stream.alloc %n : <transient>
  stream.dispatch @f () ins(%in[%c0 for %n]) outs(%a[%c0 for %n]) : !stream.resource<external>, !stream.resource<transient>
  stream.host_call "text.lower" sizes(%c16, %c16) ins(%a[%c0 for %n]) outs(%b[%c0 for %n])
    : !stream.resource<transient>, !stream.resource<transient> {config = {}, ranks = array<i64: 1, 1>, types = ["string", "string"]}
  stream.dispatch @f () ins(%b[%c0 for %n]) outs(%a[%c0 for %n]) : !stream.resource<transient>, !stream.resource<transient>
  stream.return
}
