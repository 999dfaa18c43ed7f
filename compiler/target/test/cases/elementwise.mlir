func.func @add(%a: tensor<37x19xf32>, %b: tensor<37x19xf32>) -> tensor<37x19xf32> attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<37x19xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%a, %b : tensor<37x19xf32>, tensor<37x19xf32>) outs(%e : tensor<37x19xf32>) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %s = arith.addf %x, %y : f32
    linalg.yield %s : f32
  } -> tensor<37x19xf32>
  return %r : tensor<37x19xf32>
}
// -----
func.func @bias_gelu_dynamic(%a: tensor<?x?xf32>, %b: tensor<?xf32>, %m: index, %n: index) -> tensor<?x?xf32>
    attributes {graph.arg_dims = [[0, 1], [1]], graph.result_dims = [[0, 1]], test.constants = [[300, 200], [3, 5], [0, 7], [7, 0], [1, 1]], test.workgroups} {
  %e = tensor.empty(%m, %n) : tensor<?x?xf32>
  %half = arith.constant 0.5 : f32
  %one = arith.constant 1.0 : f32
  %root = arith.constant 0.707106769 : f32
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%a, %b : tensor<?x?xf32>, tensor<?xf32>) outs(%e : tensor<?x?xf32>) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %s = arith.addf %x, %y : f32
    %t = arith.mulf %s, %root : f32
    %u = math.erf %t : f32
    %v = arith.addf %u, %one : f32
    %w = arith.mulf %v, %half : f32
    %z = arith.mulf %w, %s : f32
    linalg.yield %z : f32
  } -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}
// -----
func.func @scalar(%a: tensor<f32>) -> tensor<f32> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<f32>
  %r = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []} ins(%a : tensor<f32>) outs(%e : tensor<f32>) {
  ^bb0(%x: f32, %o: f32):
    %s = math.exp %x : f32
    linalg.yield %s : f32
  } -> tensor<f32>
  return %r : tensor<f32>
}
// -----
func.func @compare_select(%a: tensor<5x33xf32>, %b: tensor<5x33xf32>, %c: tensor<5x33xi1>) -> (tensor<5x33xi1>, tensor<5x33xf32>) attributes {graph.arg_dims = [[], [], []], graph.result_dims = [[], []]} {
  %e = tensor.empty() : tensor<5x33xi1>
  %f = tensor.empty() : tensor<5x33xf32>
  %r:2 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%a, %b, %c : tensor<5x33xf32>, tensor<5x33xf32>, tensor<5x33xi1>) outs(%e, %f : tensor<5x33xi1>, tensor<5x33xf32>) {
  ^bb0(%x: f32, %y: f32, %z: i1, %o: i1, %p: f32):
    %s = arith.cmpf ogt, %x, %y : f32
    %t = arith.andi %s, %z : i1
    %u = arith.select %z, %x, %y : f32
    linalg.yield %t, %u : i1, f32
  } -> (tensor<5x33xi1>, tensor<5x33xf32>)
  return %r#0, %r#1 : tensor<5x33xi1>, tensor<5x33xf32>
}
// -----
func.func @half(%a: tensor<100xf16>, %b: tensor<100xbf16>) -> (tensor<100xf16>, tensor<100xbf16>) attributes {graph.arg_dims = [[], []], graph.result_dims = [[], []]} {
  %e = tensor.empty() : tensor<100xf16>
  %f = tensor.empty() : tensor<100xbf16>
  %r:2 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
    ins(%a, %b : tensor<100xf16>, tensor<100xbf16>) outs(%e, %f : tensor<100xf16>, tensor<100xbf16>) {
  ^bb0(%x: f16, %y: bf16, %o: f16, %p: bf16):
    %s = math.tanh %x : f16
    %xx = arith.extf %x : f16 to f32
    %xy = arith.truncf %xx : f32 to bf16
    %t = arith.mulf %y, %xy : bf16
    linalg.yield %s, %t : f16, bf16
  } -> (tensor<100xf16>, tensor<100xbf16>)
  return %r#0, %r#1 : tensor<100xf16>, tensor<100xbf16>
}
// -----
func.func @divide(%a: tensor<64xi32>, %b: tensor<64xi32>) -> tensor<64xi64> attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<64xi64>
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
    ins(%a, %b : tensor<64xi32>, tensor<64xi32>) outs(%e : tensor<64xi64>) {
  ^bb0(%x: i32, %y: i32, %o: i64):
    %d = arith.divsi %x, %y : i32
    %m = arith.remsi %x, %y : i32
    %f = arith.floordivsi %x, %y : i32
    %s = arith.addi %d, %m : i32
    %t = arith.xori %s, %f : i32
    %u = arith.extsi %t : i32 to i64
    linalg.yield %u : i64
  } -> tensor<64xi64>
  return %r : tensor<64xi64>
}
// -----
func.func @broadcast_unit(%a: tensor<4x1x6xf32>, %b: tensor<1x5x1xf32>) -> tensor<4x5x6xf32> attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<4x5x6xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, 0, k)>, affine_map<(i, j, k) -> (0, j, 0)>, affine_map<(i, j, k) -> (i, j, k)>], iterator_types = ["parallel", "parallel", "parallel"]}
    ins(%a, %b : tensor<4x1x6xf32>, tensor<1x5x1xf32>) outs(%e : tensor<4x5x6xf32>) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %s = arith.mulf %x, %y : f32
    linalg.yield %s : f32
  } -> tensor<4x5x6xf32>
  return %r : tensor<4x5x6xf32>
}

// -----

func.func @quantize(%x: tensor<?xf32>, %n: index) -> tensor<?xi8> attributes {
    graph.arg_dims = [[0]], graph.result_dims = [[0]], test.constants = [[37], [1], [0], [300]]} {
  %empty = tensor.empty(%n) : tensor<?xi8>
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%empty : tensor<?xi8>) {
  ^bb0(%a: f32, %o: i8):
    %scale = arith.constant 40.0 : f32
    %low = arith.constant -128.0 : f32
    %high = arith.constant 127.0 : f32
    %scaled = arith.mulf %a, %scale : f32
    %rounded = math.roundeven %scaled : f32
    %above = arith.maximumf %rounded, %low : f32
    %within = arith.minimumf %above, %high : f32
    %q = arith.fptosi %within : f32 to i8
    linalg.yield %q : i8
  } -> tensor<?xi8>
  return %r : tensor<?xi8>
}
