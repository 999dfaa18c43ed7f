func.func @softmax(%x: tensor<?x300xf32>, %n: index) -> tensor<?x300xf32>
   attributes {graph.arg_dims = [[0]], graph.result_dims = [[0]], test.constants = [[200], [1], [0]], test.workgroups} {
  %ninf = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %e1 = tensor.empty(%n) : tensor<?xf32>
  %f1 = linalg.fill ins(%ninf : f32) outs(%e1 : tensor<?xf32>) -> tensor<?xf32>
  %max = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
    ins(%x : tensor<?x300xf32>) outs(%f1 : tensor<?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.maximumf %a, %o : f32
    linalg.yield %m : f32
  } -> tensor<?xf32>
  %f2 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?xf32>) -> tensor<?xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
    ins(%x, %max : tensor<?x300xf32>, tensor<?xf32>) outs(%f2 : tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    %p = math.exp %d : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?x300xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%x, %max, %sum : tensor<?x300xf32>, tensor<?xf32>, tensor<?xf32>) outs(%e : tensor<?x300xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    %p = math.exp %d : f32
    %q = arith.divf %p, %c : f32
    linalg.yield %q : f32
  } -> tensor<?x300xf32>
  return %r : tensor<?x300xf32>
}
// -----
func.func @layernorm(%x: tensor<6x10x48xf32>, %g: tensor<48xf32>, %b: tensor<48xf32>) -> tensor<6x10x48xf32> attributes {graph.arg_dims = [[], [], []], graph.result_dims = [[]]} {
  %zero = arith.constant 0.0 : f32
  %n = arith.constant 48.0 : f32
  %eps = arith.constant 1.0e-5 : f32
  %e1 = tensor.empty() : tensor<6x10xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<6x10xf32>) -> tensor<6x10xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>, affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]}
    ins(%x : tensor<6x10x48xf32>) outs(%f1 : tensor<6x10xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %a, %o : f32
    linalg.yield %s : f32
  } -> tensor<6x10xf32>
  %var = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>, affine_map<(i, j, k) -> (i, j)>, affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]}
    ins(%x, %sum : tensor<6x10x48xf32>, tensor<6x10xf32>) outs(%f1 : tensor<6x10xf32>) {
  ^bb0(%a: f32, %t: f32, %o: f32):
    %m = arith.divf %t, %n : f32
    %d = arith.subf %a, %m : f32
    %q = arith.mulf %d, %d : f32
    %s = arith.addf %q, %o : f32
    linalg.yield %s : f32
  } -> tensor<6x10xf32>
  %e = tensor.empty() : tensor<6x10x48xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>, affine_map<(i, j, k) -> (i, j)>, affine_map<(i, j, k) -> (i, j)>, affine_map<(i, j, k) -> (k)>, affine_map<(i, j, k) -> (k)>, affine_map<(i, j, k) -> (i, j, k)>], iterator_types = ["parallel", "parallel", "parallel"]}
    ins(%x, %sum, %var, %g, %b : tensor<6x10x48xf32>, tensor<6x10xf32>, tensor<6x10xf32>, tensor<48xf32>, tensor<48xf32>) outs(%e : tensor<6x10x48xf32>) {
  ^bb0(%a: f32, %t: f32, %v: f32, %gg: f32, %bb: f32, %o: f32):
    %m = arith.divf %t, %n : f32
    %d = arith.subf %a, %m : f32
    %vv = arith.divf %v, %n : f32
    %ve = arith.addf %vv, %eps : f32
    %rs = math.rsqrt %ve : f32
    %p = arith.mulf %d, %rs : f32
    %q = arith.mulf %p, %gg : f32
    %s = arith.addf %q, %bb : f32
    linalg.yield %s : f32
  } -> tensor<6x10x48xf32>
  return %r : tensor<6x10x48xf32>
}
// -----
func.func @sum_all(%x: tensor<?x7xf32>, %n: index) -> tensor<f32> attributes {graph.arg_dims = [[0]], graph.result_dims = [[]], test.constants = [[5], [0], [111]]} {
  %zero = arith.constant 0.0 : f32
  %e1 = tensor.empty() : tensor<f32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<f32>) -> tensor<f32>
  %sum = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> ()>], iterator_types = ["reduction", "reduction"]}
    ins(%x : tensor<?x7xf32>) outs(%f1 : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %a, %o : f32
    linalg.yield %s : f32
  } -> tensor<f32>
  return %sum : tensor<f32>
}
// -----
func.func @sum_first_i32(%x: tensor<9x7x5xi32>) -> tensor<7x5xi32> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %zero = arith.constant 0 : i32
  %e1 = tensor.empty() : tensor<7x5xi32>
  %f1 = linalg.fill ins(%zero : i32) outs(%e1 : tensor<7x5xi32>) -> tensor<7x5xi32>
  %sum = linalg.generic {indexing_maps = [affine_map<(j, k, i) -> (i, j, k)>, affine_map<(j, k, i) -> (j, k)>], iterator_types = ["parallel", "parallel", "reduction"]}
    ins(%x : tensor<9x7x5xi32>) outs(%f1 : tensor<7x5xi32>) {
  ^bb0(%a: i32, %o: i32):
    %s = arith.addi %a, %o : i32
    linalg.yield %s : i32
  } -> tensor<7x5xi32>
  return %sum : tensor<7x5xi32>
}
// -----
func.func @sum_middle(%x: tensor<3x40x50xf32>) -> tensor<3x50xf32> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %zero = arith.constant 0.0 : f32
  %e1 = tensor.empty() : tensor<3x50xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<3x50xf32>) -> tensor<3x50xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>, affine_map<(i, j, k) -> (i, k)>], iterator_types = ["parallel", "reduction", "parallel"]}
    ins(%x : tensor<3x40x50xf32>) outs(%f1 : tensor<3x50xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %a, %o : f32
    linalg.yield %s : f32
  } -> tensor<3x50xf32>
  return %sum : tensor<3x50xf32>
}
// -----
func.func @argmax(%x: tensor<13x50xf32>) -> tensor<13xi64> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %ninf = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0 : i64
  %e1 = tensor.empty() : tensor<13xf32>
  %e2 = tensor.empty() : tensor<13xi64>
  %f1 = linalg.fill ins(%ninf : f32) outs(%e1 : tensor<13xf32>) -> tensor<13xf32>
  %f2 = linalg.fill ins(%zero : i64) outs(%e2 : tensor<13xi64>) -> tensor<13xi64>
  %r:2 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
    ins(%x : tensor<13x50xf32>) outs(%f1, %f2 : tensor<13xf32>, tensor<13xi64>) {
  ^bb0(%a: f32, %m: f32, %k: i64):
    %j = linalg.index 1 : index
    %jj = arith.index_cast %j : index to i64
    %g = arith.cmpf ogt, %a, %m : f32
    %s = arith.select %g, %a, %m : f32
    %t = arith.select %g, %jj, %k : i64
    linalg.yield %s, %t : f32, i64
  } -> (tensor<13xf32>, tensor<13xi64>)
  return %r#1 : tensor<13xi64>
}
// -----
func.func @any(%x: tensor<4x50xi1>) -> tensor<4xi1> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %false = arith.constant false
  %e1 = tensor.empty() : tensor<4xi1>
  %f1 = linalg.fill ins(%false : i1) outs(%e1 : tensor<4xi1>) -> tensor<4xi1>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
    ins(%x : tensor<4x50xi1>) outs(%f1 : tensor<4xi1>) {
  ^bb0(%a: i1, %o: i1):
    %s = arith.ori %a, %o : i1
    linalg.yield %s : i1
  } -> tensor<4xi1>
  return %r : tensor<4xi1>
}
// -----
func.func @integer_matmul_relu(%a: tensor<5x17xi8>, %b: tensor<17x9xi8>) -> tensor<5x9xi32> attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} {
  %zero = arith.constant 0 : i32
  %e = tensor.empty() : tensor<5x9xi32>
  %f = linalg.fill ins(%zero : i32) outs(%e : tensor<5x9xi32>) -> tensor<5x9xi32>
  %m = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]}
    ins(%a, %b : tensor<5x17xi8>, tensor<17x9xi8>) outs(%f : tensor<5x9xi32>) {
  ^bb0(%x: i8, %y: i8, %o: i32):
    %xx = arith.extsi %x : i8 to i32
    %yy = arith.extui %y : i8 to i32
    %p = arith.muli %xx, %yy : i32
    %s = arith.addi %o, %p : i32
    linalg.yield %s : i32
  } -> tensor<5x9xi32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%m : tensor<5x9xi32>) outs(%e : tensor<5x9xi32>) {
  ^bb0(%x: i32, %o: i32):
    %y = arith.maxsi %x, %zero : i32
    linalg.yield %y : i32
  } -> tensor<5x9xi32>
  return %r : tensor<5x9xi32>
}
// -----
func.func @cumsum(%x: tensor<4x6xf32>) -> tensor<4x6xf32> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<4x6xf32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c6 = arith.constant 6 : index
  %zero = arith.constant 0.0 : f32
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%t = %e) -> (tensor<4x6xf32>) {
    %s:2 = scf.for %j = %c0 to %c6 step %c1 iter_args(%u = %t, %acc = %zero) -> (tensor<4x6xf32>, f32) {
      %v = tensor.extract %x[%i, %j] : tensor<4x6xf32>
      %a = arith.addf %acc, %v : f32
      %w = tensor.insert %a into %u[%i, %j] : tensor<4x6xf32>
      scf.yield %w, %a : tensor<4x6xf32>, f32
    }
    scf.yield %s#0 : tensor<4x6xf32>
  }
  return %r : tensor<4x6xf32>
}
