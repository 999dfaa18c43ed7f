"""Weights that come quantised or in half precision stay as small in the module; kernels compute their elements."""
import numpy as np
import onnx
import pytest
from agreement import agree
from cases import f32, ints
from graphs import FLOAT, node
from onnx import TensorProto, helper, numpy_helper
from small import model_of

ROWS = [1, 3, 50, 200]


def check(tmp_path, model, feeds, largest, flags=(), tolerance=1e-5):
    """Numbers are ONNX Runtime's, and the module has at most `largest` bytes of weights.

    Weights are outputs of the reference, so that it does not replace their products by some of bytes with bytes."""
    reference = onnx.ModelProto()
    reference.CopyFrom(model)
    reference.graph.output.extend(onnx.ValueInfoProto(name="f") for made in model.graph.node if made.output[0] == "f")
    told = agree(tmp_path, model, feeds, *flags, reference=reference, tolerance=tolerance)
    assert told["size_bytes"] < largest + 64 * 1024


def n_bits(rows, depth, columns, bits, block, has_zeros=False):
    blocks = depth // block
    weights = [("w", ints(columns, blocks, block * bits // 8, low=0, high=256, dtype=np.uint8)), ("s", f32(columns * blocks, low=0.1, high=1))]
    if has_zeros:
        weights.append(("z", ints(columns * -(-blocks * bits // 8), low=0, high=256, dtype=np.uint8)))
    product = helper.make_node("MatMulNBits", ["x", *(name for name, _ in weights)], ["y"], domain="com.microsoft", K=depth, N=columns,
                               bits=bits, block_size=block)
    return model_of([product], [("x", FLOAT, [rows, depth])], [("y", FLOAT, None)], weights, domains=["com.microsoft"])


@pytest.mark.parametrize("cpu", ["native", "x86-64", "x86-64-v3"])
@pytest.mark.parametrize("bits, block, has_zeros", [(4, 32, False), (4, 16, True), (8, 64, True), (2, 32, False)])
@pytest.mark.parametrize("rows", ROWS)
def test_n_bits(tmp_path, rows, bits, block, has_zeros, cpu):
    """Zero points take four bytes for each block beside four of the scale."""
    depth, columns = 512, 197
    stored = columns * depth * bits // 8 + 8 * columns * depth // block
    check(tmp_path, n_bits(rows, depth, columns, bits, block, has_zeros), [{"x": f32(rows, depth)}], 1.4 * stored, ["--cpu", cpu], 2e-5)


@pytest.mark.parametrize("flags", [[], ["--shape", "n=128..512"]])
def test_n_bits_of_open_rows(tmp_path, flags):
    rows = [128, 300] if flags else [0, 1, 7, 29, 300]
    check(tmp_path, n_bits("n", 512, 160, 4, 32), [{"x": f32(n, 512)} for n in rows], 160 * 512, flags, 2e-5)


def dequantized(rows, weight, scale, zero=None, trans=False, **attributes):
    inputs, weights = ["w", "s"], [("s", scale)]
    if zero is not None:
        inputs.append("z")
        weights.append(("z", zero))
    nodes = [node("DequantizeLinear", inputs, ["f"], **attributes), node("Gemm", ["x", "f"], ["y"], transB=int(trans))]
    depth = weight.dims[1 if trans else 0] if isinstance(weight, onnx.TensorProto) else weight.shape[1 if trans else 0]
    model = model_of(nodes, [("x", FLOAT, [rows, depth])], [("y", FLOAT, None)], weights, opset=21, ir_version=10)
    model.graph.initializer.append(weight if isinstance(weight, onnx.TensorProto) else numpy_helper.from_array(weight, "w"))
    return model


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("trans", [False, True])
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_bytes_with_a_scale_for_each_channel(tmp_path, rows, trans, kind):
    shape = (192, 512) if trans else (512, 192)
    weight = ints(*shape, low=np.iinfo(kind).min, high=np.iinfo(kind).max, dtype=kind)
    zero = ints(192, low=0, high=100, dtype=kind)
    model = dequantized(rows, weight, f32(192, low=0.01, high=1), zero, trans, axis=0 if trans else 1)
    check(tmp_path, model, [{"x": f32(rows, 512)}], 192 * 512 + 2 * 192 * 4)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("type", [TensorProto.INT8, TensorProto.INT4, TensorProto.UINT4])
def test_blocks(tmp_path, rows, axis, type):
    """Blocks along the sum, and along the columns."""
    low, high = {TensorProto.INT8: (-128, 128), TensorProto.INT4: (-8, 8), TensorProto.UINT4: (0, 16)}[type]
    numbers = ints(512, 192, low=low, high=high, dtype=np.int64)
    weight = helper.make_tensor("w", type, [512, 192], numbers.flatten().tolist())
    scale = f32(16, 192, low=0.1, high=1) if axis == 0 else f32(512, 6, low=0.1, high=1)
    model = dequantized(rows, weight, scale, axis=axis, block_size=32)
    check(tmp_path, model, [{"x": f32(rows, 512)}], 512 * 192 * 4 if axis else 512 * 192 + scale.nbytes)


def test_blocks_that_are_not_whole(tmp_path):
    weight = ints(100, 96, low=-128, high=128, dtype=np.int8)
    check(tmp_path, dequantized(5, weight, f32(4, 96), axis=0, block_size=32), [{"x": f32(5, 100)}], 100 * 96 * 4)


@pytest.mark.parametrize("rows", ROWS)
def test_halves_that_the_model_casts(tmp_path, rows):
    nodes = [node("Cast", ["w"], ["f"], to=FLOAT), node("MatMul", ["x", "f"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, [rows, 512])], [("y", FLOAT, None)], [("w", f32(512, 192).astype(np.float16))])
    check(tmp_path, model, [{"x": f32(rows, 512)}], 512 * 192 * 2)


@pytest.mark.parametrize("attributes", [dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1]), dict(kernel_shape=[3, 3], strides=[2, 2]), dict(kernel_shape=[1, 1])])
def test_convolutions_are_computed_when_compiling(tmp_path, attributes):
    weight = ints(64, 32, *attributes["kernel_shape"], low=-128, high=128, dtype=np.int8)
    nodes = [node("DequantizeLinear", ["w", "s"], ["f"], axis=0), node("Conv", ["x", "f", "b"], ["c"], **attributes), node("Relu", ["c"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, [2, 32, 13, 14])], [("y", FLOAT, None)], [("w", weight), ("s", f32(64, low=0.01, high=1)), ("b", f32(64))])
    check(tmp_path, model, [{"x": f32(2, 32, 13, 14)}], 4 * weight.nbytes)


def folded(tmp_path, nodes, weights, feed, largest):
    """What is computed from constants alone, or would be costly in each call, is a constant of the module."""
    model = model_of([node("DequantizeLinear", ["w", "s"], ["f"], axis=1), *nodes], [("x", FLOAT, list(feed.shape))], [("y", FLOAT, None)],
                     [("w", ints(256, 256, low=-128, high=128, dtype=np.int8)), ("s", f32(256, low=0.01, high=1)), *weights])
    check(tmp_path, model, [{"x": feed}], largest, tolerance=3e-5)


def test_sums_of_constants_are_folded(tmp_path):
    folded(tmp_path, [node("ReduceSum", ["f", "axes"], ["r"], keepdims=0), node("Mul", ["x", "r"], ["y"])], [("axes", np.array([0]))], f32(3, 256), 4096)


def test_normalised_weights_are_folded(tmp_path):
    folded(tmp_path, [node("ReduceL2", ["f"], ["n"], axes=[0]), node("Div", ["f", "n"], ["g"]), node("MatMul", ["x", "g"], ["y"])], [], f32(3, 256), 4 * 65536)


def test_functions_of_weights_are_folded(tmp_path):
    folded(tmp_path, [node("Tanh", ["f"], ["t"]), node("MatMul", ["x", "t"], ["y"])], [], f32(3, 256), 4 * 65536)


def test_weights_on_the_left_are_folded(tmp_path):
    folded(tmp_path, [node("MatMul", ["f", "x"], ["y"])], [], f32(256, 70), 4 * 65536)


def test_weights_in_loops_are_folded(tmp_path):
    body = helper.make_graph([node("MatMul", ["h", "f"], ["p"]), node("Mul", ["p", "by"], ["next"]), node("Identity", ["go"], ["on"])], "body",
                             [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("go", TensorProto.BOOL, []),
                              helper.make_tensor_value_info("h", FLOAT, [3, 256])],
                             [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("next", FLOAT, [3, 256])])
    folded(tmp_path, [node("Loop", ["trips", "", "x"], ["y"], body=body)], [("trips", np.array(4)), ("by", np.array(1e-3, np.float32))], f32(3, 256), 4 * 65536)


def test_one_weight_for_two_products(tmp_path):
    weight = ints(256, 256, low=-128, high=128, dtype=np.int8)
    nodes = [node("DequantizeLinear", ["w", "s"], ["f"], axis=1), node("MatMul", ["x", "f"], ["h"]), node("Relu", ["h"], ["r"]),
             node("MatMul", ["r", "f"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, [60, 256])], [("y", FLOAT, None)], [("w", weight), ("s", f32(256, low=0.01, high=1))])
    check(tmp_path, model, [{"x": f32(60, 256)}], weight.nbytes + 256 * 4)
