"""Products between dequantisations and a quantisation: computed from the bytes, exactly, in all pairs of signs.

The judge is NumPy with exact integers: ONNX Runtime's kernels for processors without VNNI saturate. Only where the
exact result lies next to the middle of two steps may a result be the other one.
"""
import itertools

import numpy as np
import onnx
import pytest
from command import call, run_module
from onnx import helper, numpy_helper

KINDS = {"u": np.uint8, "s": np.int8}
PAIRS = ["".join(pair) for pair in itertools.product("us", repeat=2)]


def bytes_of(random, kind, *shape):
    """Bytes of which many are extreme, so that what saturates would show."""
    info = np.iinfo(KINDS[kind])
    values = random.integers(info.min, info.max + 1, shape)
    return np.where(random.random(shape) < 0.3, random.choice([info.min, info.max], shape), values).astype(KINDS[kind])


class Graph:
    """A model that is built node by node."""

    def __init__(self):
        self.nodes, self.weights, self.inputs = [], [], []

    def weight(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def input(self, array, dims=None):
        name = f"x{len(self.inputs)}"
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, kind, dims or list(array.shape)))
        return name

    def node(self, op, *inputs, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def dequantized(self, x, scale, zero, **attributes):
        return self.node("DequantizeLinear", x, self.weight(np.float32(scale)), self.weight(zero), **attributes)

    def quantized(self, x, scale, zero):
        return self.node("QuantizeLinear", x, self.weight(np.float32(scale)), self.weight(zero))

    def model(self, output, kind):
        results = [helper.make_tensor_value_info(output, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), None)]
        graph = helper.make_graph(self.nodes, "graph", self.inputs, results, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def compiled(model, tmp_path):
    path, module = tmp_path / "model.onnx", tmp_path / "model.eyr"
    onnx.save(model, path)
    result = call("compile", path, "-o", module)
    assert result.code == 0, str(result)
    text = tmp_path / "graph.mlir"
    result = call("compile", path, "--stop-after", "graph", "-o", text)
    assert result.code == 0, str(result)
    return module, text.read_text()


def check(model, feeds, wants, tmp_path, depthwise=False):
    """`wants`: the exact numbers of steps, with the zero point, before rounding."""
    module, text = compiled(model, tmp_path)
    assert "extui" in text and "extsi" in text and "arith.muli" in text, "the product is not one of bytes"
    for feed, (steps, zero, kind) in zip(feeds, wants):
        got, = run_module(module, feed, tmp_path).values()
        info = np.iinfo(kind)
        want = np.clip(np.rint(steps) + zero, info.min, info.max)
        assert got.dtype == kind
        distance = np.abs(got.astype(np.int64) - want)
        is_middle = np.abs(steps - np.floor(steps) - 0.5) < 1e-3
        assert (distance <= is_middle).all(), f"off by {distance.max()} at {np.argwhere(distance > is_middle)[:5]}"


def exact_conv(x, w, pads, strides, groups):
    """x and w centred, as integers."""
    x = np.pad(x, [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])])
    kh, kw = w.shape[2:]
    rows, columns = (x.shape[2] - kh) // strides[0] + 1, (x.shape[3] - kw) // strides[1] + 1
    out = np.zeros((x.shape[0], w.shape[0], rows, columns), np.int64)
    per_group = w.shape[0] // groups
    for o in range(w.shape[0]):
        g = o // per_group
        part = x[:, g * w.shape[1]:(g + 1) * w.shape[1]]
        for i, j in itertools.product(range(rows), range(columns)):
            window = part[:, :, i * strides[0]:i * strides[0] + kh, j * strides[1]:j * strides[1] + kw]
            out[:, o, i, j] = (window * w[o]).sum((1, 2, 3))
    return out


CONVOLUTIONS = {  # input, filter, pads, strides, groups
    "3x3": ((1, 5, 9, 8), (7, 5, 3, 3), [1, 1, 1, 1], [1, 1], 1),
    "3x3_strided": ((2, 3, 9, 8), (16, 3, 3, 3), [1, 0, 1, 2], [2, 2], 1),
    "1x1": ((2, 17, 4, 5), (33, 17, 1, 1), [0] * 4, [1, 1], 1),
    "depthwise": ((1, 19, 7, 6), (19, 1, 3, 3), [1, 1, 1, 1], [1, 1], 19),
    "groups": ((1, 6, 7, 6), (10, 3, 3, 3), [1, 1, 1, 1], [1, 1], 2),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("form", ["one_scale", "per_channel", "bias"])
def test_convolution(name, pair, form, tmp_path):
    random = np.random.default_rng(1)
    x_shape, w_shape, pads, strides, groups = CONVOLUTIONS[name]
    kind = KINDS[pair[0]]
    x, w, x_zero, y_zero = (bytes_of(random, k, *s) for k, s in zip((pair[0], pair[1], pair[0], pair[0]),
                                                                  (x_shape, w_shape, (), ())))
    channels, is_per_channel = w_shape[0], form != "one_scale"
    w_zero = np.zeros(channels, w.dtype) if is_per_channel else bytes_of(random, pair[1])
    w_scale = random.uniform(0.5, 2, channels if is_per_channel else ()).astype(np.float32)
    x_scale = np.float32(0.02)
    bias = random.integers(-5000, 5000, channels).astype(np.int32)
    graph = Graph()
    axis = {"axis": 0} if is_per_channel else {}
    operands = [graph.dequantized(graph.input(x), x_scale, x_zero), graph.dequantized(graph.weight(w), w_scale, w_zero, **axis)]
    if form == "bias":
        operands.append(graph.dequantized(graph.weight(bias), x_scale * w_scale, np.zeros(channels, np.int32), axis=0))
    y = graph.node("Conv", *operands, pads=pads, strides=strides, group=groups)
    sums = exact_conv(x.astype(np.int64) - int(x_zero), w.astype(np.int64) - w_zero.astype(np.int64).reshape(-1, 1, 1, 1), pads,
                      strides, groups)
    scale = np.float64(x_scale) * w_scale.astype(np.float64).reshape(-1, 1, 1)
    real = sums * scale + (bias.reshape(-1, 1, 1) * scale if form == "bias" else 0)
    y_scale = np.float32(real.std() / 40)
    model = graph.model(graph.quantized(y, y_scale, y_zero), kind)
    check(model, [{"x0": x}], [(real / np.float64(y_scale), int(y_zero), kind)], tmp_path)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", ["matmul", "gemm", "matmul_per_column", "open", "batched"])
def test_product(name, pair, tmp_path):
    random = np.random.default_rng(2)
    depth, columns, kind = 45, 37, KINDS[pair[0]]
    sizes = [(1,), (13,), (64,)] if name == "open" else [(2, 7)] if name == "batched" else [(11,)]
    w, x_zero, y_zero = bytes_of(random, pair[1], depth, columns), bytes_of(random, pair[0]), bytes_of(random, pair[0])
    is_per_column = name in ("matmul_per_column", "gemm")
    w_zero = np.zeros(columns, w.dtype) if is_per_column else bytes_of(random, pair[1])
    w_scale = random.uniform(0.5, 2, columns if is_per_column else ()).astype(np.float32)
    bias = random.standard_normal(columns).astype(np.float32) * 1000
    xs = [bytes_of(random, pair[0], *size, depth) for size in sizes]
    graph = Graph()
    x = graph.dequantized(graph.input(xs[0], ["n", depth] if name == "open" else None), 0.02, x_zero)
    stored = w.T.copy() if name == "gemm" else w
    axis = {"axis": 0 if name == "gemm" else 1} if is_per_column else {}
    weights = graph.dequantized(graph.weight(stored), w_scale, w_zero, **axis)
    y = graph.node("Gemm", x, weights, graph.weight(bias), transB=1) if name == "gemm" else graph.node("MatMul", x, weights)
    reals = []
    for array in xs:
        sums = (array.astype(np.int64) - int(x_zero)) @ (w.astype(np.int64) - w_zero.astype(np.int64))
        reals.append(sums * (np.float64(np.float32(0.02)) * w_scale) + (bias if name == "gemm" else 0))
    y_scale = np.float32(reals[0].std() / 40)
    model = graph.model(graph.quantized(y, y_scale, y_zero), kind)
    check(model, [{"x0": array} for array in xs], [(real / np.float64(y_scale), int(y_zero), kind) for real in reals], tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_pass_through_movement_and_pooling(kind, tmp_path):
    """What is dequantised, moved or pooled, and quantised by the same scale stays bytes."""
    random = np.random.default_rng(3)
    x, zero = bytes_of(random, kind, 1, 6, 8, 10), bytes_of(random, kind)
    graph = Graph()
    pooled = graph.node("MaxPool", graph.dequantized(graph.input(x), 0.5, zero), kernel_shape=[2, 2], strides=[2, 2])
    again = graph.dequantized(graph.quantized(pooled, 0.5, zero), 0.5, zero)
    moved = graph.node("Transpose", graph.node("Reshape", again, graph.weight(np.array([6, 20]))), perm=[1, 0])
    module, text = compiled(graph.model(graph.quantized(moved, 0.5, zero), KINDS[kind]), tmp_path)
    got, = run_module(module, {"x0": x}, tmp_path).values()
    want = x.reshape(1, 6, 4, 2, 5, 2).max((3, 5)).reshape(6, 20).T
    np.testing.assert_array_equal(got, want)
    assert "f32" not in text


@pytest.mark.parametrize("largest", [64, 127])
def test_small_weights_are_noted_and_exact(largest, tmp_path):
    """Bytes within 7 bits allow products that would saturate otherwise (vpmaddubsw)."""
    random = np.random.default_rng(4)
    x, w = bytes_of(random, "u", 9, 70), random.choice([-largest, largest - 1, 3], (70, 40)).astype(np.int8)
    graph = Graph()
    y = graph.node("MatMulInteger", graph.input(x), graph.weight(w))
    module, text = compiled(graph.model(y, np.int32), tmp_path)
    got, = run_module(module, {"x0": x}, tmp_path).values()
    np.testing.assert_array_equal(got, x.astype(np.int32) @ w.astype(np.int32))
    assert f"graph.largest_weight = {largest}" in text


@pytest.mark.parametrize("pair", PAIRS)
def test_halves_round_to_even_before_the_zero_point_is_added(pair, tmp_path):
    """QLinearConv, as QuantizeLinear says; ONNX's evaluator rounds some of them otherwise."""
    x_kind, w_kind = KINDS[pair[0]], KINDS[pair[1]]
    x = np.arange(np.iinfo(x_kind).min, np.iinfo(x_kind).max + 1).astype(x_kind).reshape(1, 1, 16, 16)
    graph = Graph()
    names = [graph.weight(value) for value in (np.float32(0.5), x_kind(0), np.full((1, 1, 1, 1), 3, w_kind), np.float32(1), w_kind(0), np.float32(1), x_kind(5))]
    outputs = [helper.make_tensor_value_info(graph.node("QLinearConv", graph.input(x), *names), helper.np_dtype_to_tensor_dtype(x.dtype), None)]
    model = helper.make_model(helper.make_graph(graph.nodes, "halves", graph.inputs, outputs, graph.weights),
                              opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    call("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.eyr")
    want = np.clip(np.rint(x.astype(np.float64) * 1.5) + 5, np.iinfo(x_kind).min, np.iinfo(x_kind).max).astype(x_kind)
    got, = run_module(tmp_path / "m.eyr", {"x0": x}, tmp_path).values()
    np.testing.assert_array_equal(got, want)
