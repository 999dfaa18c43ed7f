// RUN: eyrie-opt %s -split-input-file -pass-pipeline='builtin.module(func.func(graph-fuse-elementwise))' | FileCheck %s

// A narrower copy of what others read too is a second result of the operation that computes it.
// CHECK-LABEL: func.func @narrow_copy
// CHECK: %[[BOTH:.*]]:2 = linalg.generic
// CHECK-SAME: ins(%{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<?x8xf32>) outs(%{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<?x8xbf16>)
// CHECK: %[[SUM:.*]] = arith.addf
// CHECK: %[[NARROW:.*]] = arith.truncf %[[SUM]] : f32 to bf16
// CHECK: linalg.yield %[[SUM]], %[[NARROW]] : f32, bf16
// CHECK: return %[[BOTH]]#0, %[[BOTH]]#1
#id = affine_map<(m, n) -> (m, n)>
func.func @narrow_copy(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xbf16>) {
  %zero = arith.constant 0 : index
  %rows = tensor.dim %x, %zero : tensor<?x8xf32>
  %empty = tensor.empty(%rows) : tensor<?x8xf32>
  %s = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %y : tensor<?x8xf32>, tensor<?x8xf32>) outs(%empty : tensor<?x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<?x8xf32>
  %narrow = tensor.empty(%rows) : tensor<?x8xbf16>
  %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<?x8xf32>) outs(%narrow : tensor<?x8xbf16>) {
  ^bb0(%a: f32, %o: bf16):
    %c = arith.truncf %a : f32 to bf16
    linalg.yield %c : bf16
  } -> tensor<?x8xbf16>
  return %s, %t : tensor<?x8xf32>, tensor<?x8xbf16>
}

// -----

// A copy in another order, or one that is no narrower, stays an operation of its own.
// CHECK-LABEL: func.func @no_copies
// CHECK-COUNT-3: linalg.generic
#id = affine_map<(m, n) -> (m, n)>
#turned = affine_map<(m, n) -> (n, m)>
func.func @no_copies(%x: tensor<8x8xf32>, %y: tensor<8x8xf32>) -> (tensor<8x8xf32>, tensor<8x8xbf16>, tensor<8x8xi32>) {
  %empty = tensor.empty() : tensor<8x8xf32>
  %s = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %y : tensor<8x8xf32>, tensor<8x8xf32>) outs(%empty : tensor<8x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.divf %a, %b : f32
    linalg.yield %c : f32
  } -> tensor<8x8xf32>
  %narrow = tensor.empty() : tensor<8x8xbf16>
  %t = linalg.generic {indexing_maps = [#turned, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<8x8xf32>) outs(%narrow : tensor<8x8xbf16>) {
  ^bb0(%a: f32, %o: bf16):
    %c = arith.truncf %a : f32 to bf16
    linalg.yield %c : bf16
  } -> tensor<8x8xbf16>
  %wide = tensor.empty() : tensor<8x8xi32>
  %u = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<8x8xf32>) outs(%wide : tensor<8x8xi32>) {
  ^bb0(%a: f32, %o: i32):
    %c = arith.fptosi %a : f32 to i32
    linalg.yield %c : i32
  } -> tensor<8x8xi32>
  return %s, %t, %u : tensor<8x8xf32>, tensor<8x8xbf16>, tensor<8x8xi32>
}

// -----

// So does one that looks at something else, which need not be there where the element is computed.
// CHECK-LABEL: func.func @looks_at_a_later_tensor
// CHECK: %[[INDEX:.*]] = linalg.generic
// CHECK: %[[TABLE:.*]] = linalg.generic
// CHECK: linalg.generic {{.*}} ins(%[[INDEX]]
// CHECK: tensor.extract %[[TABLE]]
#id = affine_map<(n) -> (n)>
func.func @looks_at_a_later_tensor(%x: tensor<8xf32>, %d: tensor<8xf32>) -> (tensor<8xi64>, tensor<8xf32>) {
  %e = tensor.empty() : tensor<8xi64>
  %f = tensor.empty() : tensor<8xf32>
  %index = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf32>) outs(%e : tensor<8xi64>) {
  ^bb0(%a: f32, %o: i64):
    %c = arith.fptosi %a : f32 to i64
    linalg.yield %c : i64
  } -> tensor<8xi64>
  %table = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%d : tensor<8xf32>) outs(%f : tensor<8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %c = math.exp %a : f32
    linalg.yield %c : f32
  } -> tensor<8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%index : tensor<8xi64>) outs(%f : tensor<8xf32>) {
  ^bb0(%a: i64, %o: f32):
    %i = arith.index_cast %a : i64 to index
    %c = tensor.extract %table[%i] : tensor<8xf32>
    linalg.yield %c : f32
  } -> tensor<8xf32>
  return %index, %y : tensor<8xi64>, tensor<8xf32>
}

// -----

// Of two contractions whose results meet, the first is narrowed where it is computed: bytes cross memory. The meeting
// is left to the second, narrowed or not.
// CHECK-LABEL: func.func @meeting_of_contractions
// CHECK: %[[FIRST:.*]] = linalg.generic {{.*}}"reduction"
// CHECK: %[[NARROW:.*]] = linalg.generic {{.*}} ins(%[[FIRST]] : tensor<8x8xi32>) outs({{.*}} : tensor<8x8xi8>)
// CHECK: %[[SECOND:.*]] = linalg.generic {{.*}}"reduction"
// CHECK: linalg.generic {{.*}} ins({{.*}} : tensor<8x8xi{{8|32}}>, tensor<8x8xi{{8|32}}>) outs({{.*}} : tensor<8x8xi8>)
// CHECK-NOT: linalg.generic
#rows = affine_map<(m, n, k) -> (m, k)>
#columns = affine_map<(m, n, k) -> (k, n)>
#sums = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
func.func @meeting_of_contractions(%a: tensor<8x4xi32>, %b: tensor<4x8xi32>, %c: tensor<4x8xi32>) -> tensor<8x8xi8> {
  %zero = arith.constant 0 : i32
  %e = tensor.empty() : tensor<8x8xi32>
  %e8 = tensor.empty() : tensor<8x8xi8>
  %init = linalg.fill ins(%zero : i32) outs(%e : tensor<8x8xi32>) -> tensor<8x8xi32>
  %first = linalg.generic {indexing_maps = [#rows, #columns, #sums], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<8x4xi32>, tensor<4x8xi32>) outs(%init : tensor<8x8xi32>) {
  ^bb0(%x: i32, %y: i32, %o: i32):
    %p = arith.muli %x, %y : i32
    %s = arith.addi %o, %p : i32
    linalg.yield %s : i32
  } -> tensor<8x8xi32>
  %q = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%first : tensor<8x8xi32>) outs(%e8 : tensor<8x8xi8>) {
  ^bb0(%x: i32, %o: i8):
    %t = arith.trunci %x : i32 to i8
    linalg.yield %t : i8
  } -> tensor<8x8xi8>
  %d = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%q : tensor<8x8xi8>) outs(%e : tensor<8x8xi32>) {
  ^bb0(%x: i8, %o: i32):
    %t = arith.extui %x : i8 to i32
    linalg.yield %t : i32
  } -> tensor<8x8xi32>
  %second = linalg.generic {indexing_maps = [#rows, #columns, #sums], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %c : tensor<8x4xi32>, tensor<4x8xi32>) outs(%init : tensor<8x8xi32>) {
  ^bb0(%x: i32, %y: i32, %o: i32):
    %p = arith.muli %x, %y : i32
    %s = arith.addi %o, %p : i32
    linalg.yield %s : i32
  } -> tensor<8x8xi32>
  %sum = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%d, %second : tensor<8x8xi32>, tensor<8x8xi32>) outs(%e : tensor<8x8xi32>) {
  ^bb0(%x: i32, %y: i32, %o: i32):
    %s = arith.addi %x, %y : i32
    linalg.yield %s : i32
  } -> tensor<8x8xi32>
  %result = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%sum : tensor<8x8xi32>) outs(%e8 : tensor<8x8xi8>) {
  ^bb0(%x: i32, %o: i8):
    %t = arith.trunci %x : i32 to i8
    linalg.yield %t : i8
  } -> tensor<8x8xi8>
  return %result : tensor<8x8xi8>
}

// -----

// What takes effort is not made again for every row; what varies with the rows alone is made once in each anyway.
// CHECK-LABEL: func.func @made_once
// CHECK: %[[SCALES:.*]] = linalg.generic {{.*}} outs({{.*}} : tensor<64xf32>)
// CHECK: math.exp
// CHECK: linalg.generic {{.*}} ins(%arg2, %[[SCALES]], %arg1
// CHECK: math.exp
// CHECK-NOT: linalg.generic
#n = affine_map<(n) -> (n)>
#id = affine_map<(m, n) -> (m, n)>
#row = affine_map<(m, n) -> (m)>
#column = affine_map<(m, n) -> (n)>
func.func @made_once(%a: tensor<64xf32>, %b: tensor<128xf32>, %x: tensor<128x64xf32>) -> tensor<128x64xf32> {
  %e = tensor.empty() : tensor<64xf32>
  %f = tensor.empty() : tensor<128xf32>
  %g = tensor.empty() : tensor<128x64xf32>
  %columns = linalg.generic {indexing_maps = [#n, #n], iterator_types = ["parallel"]}
      ins(%a : tensor<64xf32>) outs(%e : tensor<64xf32>) {
  ^bb0(%v: f32, %o: f32):
    %r = math.exp %v : f32
    linalg.yield %r : f32
  } -> tensor<64xf32>
  %rows = linalg.generic {indexing_maps = [#n, #n], iterator_types = ["parallel"]}
      ins(%b : tensor<128xf32>) outs(%f : tensor<128xf32>) {
  ^bb0(%v: f32, %o: f32):
    %r = math.exp %v : f32
    linalg.yield %r : f32
  } -> tensor<128xf32>
  %y = linalg.generic {indexing_maps = [#id, #column, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %columns, %rows : tensor<128x64xf32>, tensor<64xf32>, tensor<128xf32>) outs(%g : tensor<128x64xf32>) {
  ^bb0(%v: f32, %c: f32, %r: f32, %o: f32):
    %p = arith.mulf %v, %c : f32
    %q = arith.addf %p, %r : f32
    linalg.yield %q : f32
  } -> tensor<128x64xf32>
  return %y : tensor<128x64xf32>
}

// -----

// Bytes with two users become floats in each of them.
// CHECK-LABEL: func.func @bytes_cross_memory
// CHECK: linalg.generic {{.*}} ins(%arg0 : tensor<8x8xi8>)
// CHECK: linalg.generic {{.*}} ins(%arg0 : tensor<8x8xi8>)
// CHECK-NOT: linalg.generic
#id = affine_map<(m, n) -> (m, n)>
#first = affine_map<(m, n) -> (m)>
func.func @bytes_cross_memory(%x: tensor<8x8xi8>) -> (tensor<8x8xf32>, tensor<8xf32>) {
  %e = tensor.empty() : tensor<8x8xf32>
  %s = tensor.empty() : tensor<8xf32>
  %scale = arith.constant 0.5 : f32
  %point = arith.constant 7 : i32
  %zero = arith.constant 0.0 : f32
  %init = linalg.fill ins(%zero : f32) outs(%s : tensor<8xf32>) -> tensor<8xf32>
  %d = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<8x8xi8>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%v: i8, %o: f32):
    %w = arith.extui %v : i8 to i32
    %c = arith.subi %w, %point : i32
    %f = arith.sitofp %c : i32 to f32
    %m = arith.mulf %f, %scale : f32
    linalg.yield %m : f32
  } -> tensor<8x8xf32>
  %exp = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%d : tensor<8x8xf32>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%v: f32, %o: f32):
    %r = math.exp %v : f32
    linalg.yield %r : f32
  } -> tensor<8x8xf32>
  %sum = linalg.generic {indexing_maps = [#id, #first], iterator_types = ["parallel", "reduction"]}
      ins(%d : tensor<8x8xf32>) outs(%init : tensor<8xf32>) {
  ^bb0(%v: f32, %o: f32):
    %r = arith.addf %o, %v : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  return %exp, %sum : tensor<8x8xf32>, tensor<8xf32>
}
