func.func @transpose(%a: tensor<3x50x70xf32>) -> tensor<70x3x50xf32> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<70x3x50xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (j, k, i)>, affine_map<(i, j, k) -> (i, j, k)>], iterator_types = ["parallel", "parallel", "parallel"]}
    ins(%a : tensor<3x50x70xf32>) outs(%e : tensor<70x3x50xf32>) {
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  } -> tensor<70x3x50xf32>
  return %r : tensor<70x3x50xf32>
}
// -----
func.func @gather(%t: tensor<11x?xf32>, %i: tensor<?xi64>, %n: index, %m: index) -> tensor<?x?xf32>
   attributes {graph.arg_dims = [[0], [1]], graph.result_dims = [[1, 0]], test.constants = [[6, 4], [40, 1], [3, 0]]} {
  %e = tensor.empty(%m, %n) : tensor<?x?xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%i : tensor<?xi64>) outs(%e : tensor<?x?xf32>) {
  ^bb0(%x: i64, %o: f32):
    %zero = arith.constant 0 : i64
    %size = arith.constant 11 : i64
    %neg = arith.cmpi slt, %x, %zero : i64
    %w = arith.addi %x, %size : i64
    %p = arith.select %neg, %w, %x : i64
    %q = arith.index_cast %p : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %t[%q, %j] : tensor<11x?xf32>
    linalg.yield %v : f32
  } -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}
// -----
func.func @concat(%a: tensor<3x4x5xf32>, %b: tensor<3x?x5xf32>, %c: tensor<3x1x5xf32>, %n: index, %sum: index) -> tensor<3x?x5xf32>
   attributes {graph.arg_dims = [[], [0], []], graph.result_dims = [[1]], test.constants = [[6, 11], [0, 5]]} {
  %r = tensor.concat dim(1) %a, %b, %c : (tensor<3x4x5xf32>, tensor<3x?x5xf32>, tensor<3x1x5xf32>) -> tensor<3x?x5xf32>
  return %r : tensor<3x?x5xf32>
}
// -----
func.func @concat_static(%a: tensor<3x4x5xi64>, %b: tensor<7x4x5xi64>) -> tensor<10x4x5xi64> attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} {
  %r = tensor.concat dim(0) %a, %b : (tensor<3x4x5xi64>, tensor<7x4x5xi64>) -> tensor<10x4x5xi64>
  return %r : tensor<10x4x5xi64>
}
// -----
func.func @pad(%a: tensor<2x5x7x3xf32>) -> tensor<2x7x10x3xf32> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %c = arith.constant -1.0 : f32
  %r = tensor.pad %a low[0, 1, 2, 0] high[0, 1, 1, 0] {
  ^bb0(%i: index, %j: index, %k: index, %l: index):
    tensor.yield %c : f32
  } : tensor<2x5x7x3xf32> to tensor<2x7x10x3xf32>
  return %r : tensor<2x7x10x3xf32>
}
// -----
func.func @pad_dynamic(%a: tensor<?x6xf32>, %n: index, %low: index, %m: index) -> tensor<?x9xf32>
   attributes {graph.arg_dims = [[0]], graph.result_dims = [[2]], test.constants = [[4, 3, 7], [4, 0, 4], [0, 2, 2]]} {
  %c = arith.constant 2.0 : f32
  %r = tensor.pad %a low[%low, 1] high[0, 2] {
  ^bb0(%i: index, %j: index):
    tensor.yield %c : f32
  } : tensor<?x6xf32> to tensor<?x9xf32>
  return %r : tensor<?x9xf32>
}
// -----
func.func @slice(%a: tensor<9x20x8xf32>) -> tensor<4x5x8xf32> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %r = tensor.extract_slice %a[1, 2, 0] [4, 5, 8] [2, 3, 1] : tensor<9x20x8xf32> to tensor<4x5x8xf32>
  return %r : tensor<4x5x8xf32>
}
// -----
func.func @slice_drop_then_add(%a: tensor<9x20x8xf32>, %b: tensor<20x8xf32>) -> tensor<20x8xf32> attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} {
  %s = tensor.extract_slice %a[3, 0, 0] [1, 20, 8] [1, 1, 1] : tensor<9x20x8xf32> to tensor<20x8xf32>
  %e = tensor.empty() : tensor<20x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%s, %b : tensor<20x8xf32>, tensor<20x8xf32>) outs(%e : tensor<20x8xf32>) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %z = arith.subf %x, %y : f32
    linalg.yield %z : f32
  } -> tensor<20x8xf32>
  return %r : tensor<20x8xf32>
}
// -----
func.func @insert(%a: tensor<9x8xf32>, %b: tensor<3x4xf32>) -> tensor<9x8xf32> attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} {
  %r = tensor.insert_slice %b into %a[2, 1] [3, 4] [1, 1] : tensor<3x4xf32> into tensor<9x8xf32>
  return %r : tensor<9x8xf32>
}
// -----
func.func @insert_strided(%a: tensor<9x8xf32>, %b: tensor<3x2x4xf32>) -> tensor<9x8xf32> attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} {
  %s = tensor.extract_slice %b[0, 1, 0] [3, 1, 4] [1, 1, 1] : tensor<3x2x4xf32> to tensor<3x4xf32>
  %r = tensor.insert_slice %s into %a[2, 1] [3, 4] [2, 1] : tensor<3x4xf32> into tensor<9x8xf32>
  return %r : tensor<9x8xf32>
}
// -----
func.func @pack(%w: tensor<13x37xf32>) -> tensor<2x13x32xf32> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x13x32xf32>
  %r = linalg.pack %w padding_value(%z : f32) outer_dims_perm = [1, 0] inner_dims_pos = [1] inner_tiles = [32] into %e : tensor<13x37xf32> -> tensor<2x13x32xf32>
  return %r : tensor<2x13x32xf32>
}
// -----
func.func @unpack(%w: tensor<2x13x32xf32>) -> tensor<13x37xf32> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<13x37xf32>
  %r = linalg.unpack %w outer_dims_perm = [1, 0] inner_dims_pos = [1] inner_tiles = [32] into %e : tensor<2x13x32xf32> -> tensor<13x37xf32>
  return %r : tensor<13x37xf32>
}
// -----
func.func @fill(%n: index) -> tensor<?x4xf32> attributes {graph.arg_dims = [], graph.result_dims = [[0]], test.constants = [[5], [0]]} {
  %c = arith.constant 1.5 : f32
  %e = tensor.empty(%n) : tensor<?x4xf32>
  %r = linalg.fill ins(%c : f32) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %r : tensor<?x4xf32>
}
// -----
func.func @range(%n: index) -> tensor<?xi64> attributes {graph.arg_dims = [], graph.result_dims = [[0]], test.constants = [[100], [0]]} {
  %e = tensor.empty(%n) : tensor<?xi64>
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>], iterator_types = ["parallel"]} outs(%e : tensor<?xi64>) {
  ^bb0(%o: i64):
    %i = linalg.index 0 : index
    %j = arith.index_cast %i : index to i64
    linalg.yield %j : i64
  } -> tensor<?xi64>
  return %r : tensor<?xi64>
}
// -----
// What moves bf16 needs no conversion, which a processor may lack.
func.func @choose_and_pad_bf16(%a: tensor<100xbf16>, %b: tensor<100xbf16>) -> tensor<104xbf16> attributes {graph.arg_dims = [[], []], graph.result_dims = [[]]} {
  %c = arith.constant 1.5 : bf16
  %e = tensor.empty() : tensor<100xbf16>
  %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
    ins(%a, %b : tensor<100xbf16>, tensor<100xbf16>) outs(%e : tensor<100xbf16>) {
  ^bb0(%x: bf16, %y: bf16, %o: bf16):
    %less = arith.cmpf olt, %x, %y : bf16
    %s = arith.select %less, %y, %c : bf16
    linalg.yield %s : bf16
  } -> tensor<100xbf16>
  %p = tensor.pad %r low[1] high[3] {
  ^bb0(%i: index):
    tensor.yield %c : bf16
  } : tensor<100xbf16> to tensor<104xbf16>
  return %p : tensor<104xbf16>
}
// -----
func.func @transpose_image_f32(%a: tensor<2x37x9x11xf32>) -> tensor<2x9x11x37xf32> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<2x9x11x37xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j, k, l) -> (i, l, j, k)>, affine_map<(i, j, k, l) -> (i, j, k, l)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
    ins(%a : tensor<2x37x9x11xf32>) outs(%e : tensor<2x9x11x37xf32>) {
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  } -> tensor<2x9x11x37xf32>
  return %r : tensor<2x9x11x37xf32>
}
// -----
func.func @transpose_image_back_f32(%a: tensor<2x9x11x37xf32>) -> tensor<2x37x9x11xf32> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<2x37x9x11xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j, k, l) -> (i, k, l, j)>, affine_map<(i, j, k, l) -> (i, j, k, l)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
    ins(%a : tensor<2x9x11x37xf32>) outs(%e : tensor<2x37x9x11xf32>) {
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  } -> tensor<2x37x9x11xf32>
  return %r : tensor<2x37x9x11xf32>
}
// -----
func.func @transpose_bytes(%a: tensor<70x131xi8>) -> tensor<131x70xi8> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<131x70xi8>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%a : tensor<70x131xi8>) outs(%e : tensor<131x70xi8>) {
  ^bb0(%x: i8, %o: i8):
    linalg.yield %x : i8
  } -> tensor<131x70xi8>
  return %r : tensor<131x70xi8>
}
// -----
func.func @transpose_halves(%a: tensor<33x64xf16>) -> tensor<64x33xf16> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<64x33xf16>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%a : tensor<33x64xf16>) outs(%e : tensor<64x33xf16>) {
  ^bb0(%x: f16, %o: f16):
    linalg.yield %x : f16
  } -> tensor<64x33xf16>
  return %r : tensor<64x33xf16>
}
// -----
func.func @transpose_bf16(%a: tensor<16x50xbf16>) -> tensor<50x16xbf16> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<50x16xbf16>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%a : tensor<16x50xbf16>) outs(%e : tensor<50x16xbf16>) {
  ^bb0(%x: bf16, %o: bf16):
    linalg.yield %x : bf16
  } -> tensor<50x16xbf16>
  return %r : tensor<50x16xbf16>
}
// -----
func.func @transpose_f64(%a: tensor<19x40xf64>) -> tensor<40x19xf64> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<40x19xf64>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%a : tensor<19x40xf64>) outs(%e : tensor<40x19xf64>) {
  ^bb0(%x: f64, %o: f64):
    linalg.yield %x : f64
  } -> tensor<40x19xf64>
  return %r : tensor<40x19xf64>
}
// -----
func.func @transpose_i64(%a: tensor<5x8xi64>) -> tensor<8x5xi64> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<8x5xi64>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%a : tensor<5x8xi64>) outs(%e : tensor<8x5xi64>) {
  ^bb0(%x: i64, %o: i64):
    linalg.yield %x : i64
  } -> tensor<8x5xi64>
  return %r : tensor<8x5xi64>
}
// -----
func.func @transpose_booleans(%a: tensor<40x33xi1>) -> tensor<33x40xi1> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<33x40xi1>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%a : tensor<40x33xi1>) outs(%e : tensor<33x40xi1>) {
  ^bb0(%x: i1, %o: i1):
    linalg.yield %x : i1
  } -> tensor<33x40xi1>
  return %r : tensor<33x40xi1>
}
// -----
func.func @transpose_middle(%a: tensor<5x17x3x20xf32>) -> tensor<20x17x3x5xf32> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<20x17x3x5xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j, k, l) -> (l, j, k, i)>, affine_map<(i, j, k, l) -> (i, j, k, l)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
    ins(%a : tensor<5x17x3x20xf32>) outs(%e : tensor<20x17x3x5xf32>) {
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  } -> tensor<20x17x3x5xf32>
  return %r : tensor<20x17x3x5xf32>
}
// -----
func.func @transpose_nothing(%a: tensor<0x20xf32>) -> tensor<20x0xf32> attributes {graph.arg_dims = [[]], graph.result_dims = [[]]} {
  %e = tensor.empty() : tensor<20x0xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%a : tensor<0x20xf32>) outs(%e : tensor<20x0xf32>) {
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  } -> tensor<20x0xf32>
  return %r : tensor<20x0xf32>
}
// -----
func.func @transpose_open(%a: tensor<?x?xf32>, %n: index, %m: index) -> tensor<?x?xf32>
   attributes {graph.arg_dims = [[0, 1]], graph.result_dims = [[1, 0]], test.constants = [[16, 16], [40, 17], [1, 50], [0, 3], [5, 7]]} {
  %e = tensor.empty(%m, %n) : tensor<?x?xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
    ins(%a : tensor<?x?xf32>) outs(%e : tensor<?x?xf32>) {
  ^bb0(%x: f32, %o: f32):
    linalg.yield %x : f32
  } -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}
