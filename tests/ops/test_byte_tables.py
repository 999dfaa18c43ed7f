"""Functions of one byte behind a product: kernels read them from tables where the processor can, and the steps must be the same."""
import math

import numpy as np
import onnx
import pytest
from command import compile_model, run_module
from graphs import node
from onnx import TensorProto
from small import model_of
from test_quantization_chains import quantized

BYTES = np.arange(256, dtype=np.uint8)
CHANNELS = 37
STEP, ZERO = np.float32(0.05), 128


def steps(name, x):
    """Nodes of x to name, quantised and back, as quantisers put them behind each operator: with its range."""
    return [node("QuantizeLinear", [x, f"s_{name}", f"z_{name}"], [f"q_{name}"]),
            node("DequantizeLinear", [f"q_{name}", f"s_{name}", f"z_{name}"], [name])]


def there_and_back(x, scale, zero):
    return (quantized(x, np.float32(scale), zero, np.uint8).astype(np.int32) - zero).astype(np.float32) * np.float32(scale)


def silu(x):
    return x * there_and_back(1 / (1 + np.exp(-x)), 1 / 256, 0)


def gelu(x):
    erf = np.vectorize(math.erf)
    return x * there_and_back(there_and_back(erf(x), 2 / 255, 127) + 1, 2 / 255, 0)


CASES = {
    "sigmoid": ([node("Sigmoid", ["x"], ["f"])], lambda x: 1 / (1 + np.exp(-x)), (1 / 256, 0)),
    "tanh": ([node("Tanh", ["x"], ["f"])], np.tanh, (2 / 255, 128)),
    "silu": ([node("Sigmoid", ["x"], ["g"]), *steps("h", "g"), node("Mul", ["x", "h"], ["f"])], silu, (0.03, 12)),
    "gelu": ([node("Erf", ["x"], ["e"]), *steps("g", "e"), node("Add", ["g", "one"], ["p"]), *steps("h", "p"),
              node("Mul", ["x", "h"], ["f"])], gelu, (0.05, 10)),
    "hardswish": ([node("HardSwish", ["x"], ["f"])], lambda x: x * np.clip(x / 6 + 0.5, 0, 1), (0.03, 15)),
    "elu": ([node("Elu", ["x"], ["f"])], lambda x: np.where(x < 0, np.exp(np.minimum(x, 0)) - 1, x), (0.03, 33)),
    "logarithm of what may be negative": ([node("Log", ["x"], ["f"])], np.log, (0.05, 60)),
    "reciprocal of what may be zero": ([node("Reciprocal", ["x"], ["f"])], lambda x: 1 / x, (0.2, 100)),
    "exponential beyond all steps": ([node("Exp", ["x"], ["f"])], np.exp, (0.5, 0)),
}
RANGES = {"silu": {"h": (1 / 256, 0)}, "gelu": {"g": (2 / 255, 127), "h": (2 / 255, 0)}}


def model_with(name):
    """u8 [1, 1, 16, 16] -> u8 [1, CHANNELS, 16, 16]: a convolution that copies the input's bytes to every channel, and the function."""
    function, _, (scale, zero) = CASES[name]
    nodes = [node("DequantizeLinear", ["a", "sx", "zx"], ["ax"]), node("DequantizeLinear", ["w", "sw", "zw"], ["wx"]),
             node("Conv", ["ax", "wx"], ["c"]), *steps("x", "c"), *function, node("QuantizeLinear", ["f", "sf", "zf"], ["y"])]
    values = [("sx", STEP), ("zx", np.uint8(ZERO)), ("s_x", STEP), ("z_x", np.uint8(ZERO)), ("sw", np.float32(1)), ("zw", np.int8(0)),
              ("w", np.ones((CHANNELS, 1, 1, 1), np.int8)), ("sf", np.float32(scale)), ("zf", np.uint8(zero)), ("one", np.float32(1))]
    for inner, (s, z) in RANGES.get(name, {}).items():
        values += [(f"s_{inner}", np.float32(s)), (f"z_{inner}", np.uint8(z))]
    return model_of(nodes, [("a", TensorProto.UINT8, [1, 1, 16, 16])], [("y", TensorProto.UINT8, [1, CHANNELS, 16, 16])], values)


@pytest.mark.parametrize("cpus", [["native"], ["x86-64-v4,+avx512vnni,+avx512vbmi", "x86-64"], ["x86-64-v4", "x86-64"], ["x86-64-v3", "x86-64"]])
@pytest.mark.parametrize("name", CASES)
def test_all_bytes(tmp_path, name, cpus):
    onnx.save(model_with(name), tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", *(flag for cpu in cpus for flag in ("--cpu", cpu)))
    got = run_module(tmp_path / "m.eyr", {"a": BYTES.reshape(1, 1, 16, 16)}, tmp_path)["y"].reshape(CHANNELS, 256)
    _, function, (scale, zero) = CASES[name]
    x = (BYTES.astype(np.int32) - ZERO).astype(np.float32) * STEP
    with np.errstate(all="ignore"):
        f = function(x).astype(np.float32)
        expected = quantized(f, np.float32(scale), zero, np.uint8)
        near_half = np.abs(np.abs(f / np.float32(scale)) % 1 - 0.5) < 1e-4
    assert (got == got[0]).all()
    different = got[0] != expected
    assert not (different & ~near_half).any(), [(int(b), int(got[0][b]), int(expected[b])) for b in np.flatnonzero(different)]
    assert (np.abs(got[0].astype(int) - expected)[near_half] <= 1).all()
