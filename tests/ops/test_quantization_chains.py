"""Values that are quantised, computed with and quantised again: kernels shorten that arithmetic, and must not change it."""
import numpy as np
import onnx
import pytest
from command import compile_model, fail, run_module
from graphs import FLOAT, node
from onnx import TensorProto
from small import model_of

RANGES = {np.uint8: (TensorProto.UINT8, 0, 255), np.int8: (TensorProto.INT8, -128, 127)}


def quantized(x, scale, zero, dtype):
    """QuantizeLinear as the standard says it: divided, rounded half to even, the zero point added, saturated."""
    _, least, most = RANGES[dtype]
    with np.errstate(all="ignore"):
        steps = np.rint((x / scale).astype(np.float32))
        steps = np.where(np.isnan(steps), least, np.clip(np.nan_to_num(steps, posinf=1e6, neginf=-1e6) + zero, least, most))
    return steps.astype(dtype)


def near_halves(scale, random):
    """Where rounding is decided: the products of halves and the scale, and what lies a few units beside them."""
    halves = ((np.arange(-300, 300) + 0.5) * np.float64(scale)).astype(np.float32)
    beside = [halves]
    for direction in (np.float32(np.inf), np.float32(-np.inf)):
        x = halves
        for _ in range(3):
            x = np.nextafter(x, direction)
            beside.append(x)
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, 3e38, -3e38, 1e-40, -1e-40], np.float32)
    return np.concatenate([*beside, special, random.standard_normal(500).astype(np.float32) * scale * 100])


@pytest.mark.parametrize("cpu", ["native", "x86-64", "x86-64-v3"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("seed", range(4))
def test_quotients_are_those_of_the_division(tmp_path, seed, dtype, cpu):
    random = np.random.default_rng(seed)
    element, least, most = RANGES[dtype]
    first, second = np.float32(np.exp2(random.uniform(-12, 4, 2)))
    zeros = random.integers(least, most + 1, 2).astype(dtype)
    nodes = [node("QuantizeLinear", ["x", "s0", "z0"], ["a"]), node("DequantizeLinear", ["a", "s0", "z0"], ["b"]),
             node("Mul", ["b", "b"], ["c"]), node("QuantizeLinear", ["c", "s1", "z1"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, ["n"])], [("a", element, ["n"]), ("b", FLOAT, ["n"]), ("y", element, ["n"])],
                     [("s0", first), ("s1", second), ("z0", zeros[0]), ("z1", zeros[1])])
    onnx.save(model, tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", "--cpu", cpu)
    x = near_halves(first, random)
    got = run_module(tmp_path / "m.eyr", {"x": x}, tmp_path)
    a = quantized(x, first, int(zeros[0]), dtype)
    b = (a.astype(np.int32) - int(zeros[0])).astype(np.float32) * first
    np.testing.assert_array_equal(got["a"], a)
    np.testing.assert_array_equal(got["b"], b)
    np.testing.assert_array_equal(got["y"], quantized(b * b, second, int(zeros[1]), dtype))


@pytest.mark.parametrize("scale", [1e-38, 1e-42, 2e30, 0.1, 1 / 3, 1.9999999])
def test_scales_at_the_limits(tmp_path, scale):
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, ["n"])], [("y", TensorProto.UINT8, ["n"])], [("s", np.float32(scale)), ("z", np.uint8(3))])
    onnx.save(model, tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr")
    x = near_halves(np.float32(scale), np.random.default_rng(0))
    got = run_module(tmp_path / "m.eyr", {"x": x}, tmp_path)["y"]
    np.testing.assert_array_equal(got, quantized(x, np.float32(scale), 3, np.uint8))


@pytest.mark.parametrize("last", [["Reciprocal", "d"], ["Div", "one", "d"], ["Neg", "d"], ["Mul", "d", "one"]])
def test_zero_has_no_sign(tmp_path, last):
    """-0.1 is quantised to 0, which is positive, and so is its reciprocal."""
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["d"]), node(last[0], last[1:], ["y"])]
    model = model_of(nodes, [("x", FLOAT, [20])], [("y", FLOAT, [20])],
                     [("s", np.float32(1)), ("z", np.int8(0)), ("one", np.float32(1))])
    onnx.save(model, tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr")
    y = run_module(tmp_path / "m.eyr", {"x": np.full(20, -0.1, np.float32)}, tmp_path)["y"]
    assert (np.signbit(y) == (last[0] == "Neg")).all(), y
    assert (np.abs(y) == (np.inf if last[0] in ("Reciprocal", "Div") else 0)).all(), y


@pytest.mark.parametrize("cpu", ["native", "x86-64"])
@pytest.mark.parametrize("zero", [0, 100])
def test_steps_that_meet(tmp_path, zero, cpu):
    """Two tensors of steps are added and quantised: the sign of a zero step on the way is nobody's."""
    random = np.random.default_rng(zero)
    scales = [np.float32(0.05), np.float32(0.031), np.float32(0.07)]
    nodes = [node("QuantizeLinear", ["a", "s0", "z"], ["qa"]), node("DequantizeLinear", ["qa", "s0", "z"], ["da"]),
             node("QuantizeLinear", ["b", "s1", "z"], ["qb"]), node("DequantizeLinear", ["qb", "s1", "z"], ["db"]),
             node("Add", ["da", "db"], ["sum"]), node("Relu", ["sum"], ["relu"]), node("QuantizeLinear", ["relu", "s2", "z"], ["y"])]
    model = model_of(nodes, [("a", FLOAT, ["n"]), ("b", FLOAT, ["n"])], [("y", TensorProto.UINT8, ["n"])],
                     [(f"s{i}", scale) for i, scale in enumerate(scales)] + [("z", np.uint8(zero))])
    onnx.save(model, tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", "--cpu", cpu)
    a, b = (random.standard_normal(4001).astype(np.float32) * 3 for _ in range(2))
    a[:100], b[:50] = -0.01, -0.01
    steps = [(quantized(x, s, zero, np.uint8).astype(np.int32) - zero).astype(np.float64) * s for x, s in ((a, scales[0]), (b, scales[1]))]
    got = run_module(tmp_path / "m.eyr", {"a": a, "b": b}, tmp_path)["y"]
    expected = np.maximum(steps[0] + steps[1], 0) / scales[2]
    near = np.abs(expected % 1 - 0.5) < 1e-4  # a half is decided by the last place of the sum
    np.testing.assert_array_equal(got[~near], quantized(expected[~near], np.float32(1), zero, np.uint8))


def test_a_zero_point_of_another_type_is_refused(tmp_path):
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "other"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, [4])], [("y", FLOAT, [4])], [("s", np.float32(1)), ("z", np.int8(3)), ("other", np.uint8(3))])
    onnx.save(model, tmp_path / "m.onnx")
    fail("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.eyr", says="the zero point of x must have the type of i8[4], found u8[]")
