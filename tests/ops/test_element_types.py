"""Floats of 8 and 4 bits, integers of 4 and 2: conversions against ml_dtypes, movement, and tensors that end in a part
of a byte."""
import ml_dtypes
import numpy as np
import onnx
import pytest
from command import compile_model, fail, run_module
from onnx import TensorProto, helper, numpy_helper

NARROW = {"int4": "i", "uint4": "u", "int2": "i", "uint2": "u", "float4_e2m1fn": "f"}
FLOATS = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"]
FLAGS = [(), ("--target", "reference"), ("--cpu", "x86-64")]


def dtype_of(name):
    return np.dtype(getattr(ml_dtypes, name))


def travelling(array):
    """As it travels: one element to a byte, integers with their sign, floats as their bits."""
    name = array.dtype.name
    if name in ("int4", "int2"):
        return array.astype(np.int8)
    if name in ("uint4", "uint2"):
        return array.astype(np.uint8)
    return array.view(np.uint8) if hasattr(ml_dtypes, name) else array


def run(tmp_path, nodes, inputs, outputs, flags=(), weights=(), shapes=None, run_flags=()):
    """`outputs`: element types by name. `shapes`: of inputs that are not those of the arrays."""
    number = lambda dtype: helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    declared = [helper.make_tensor_value_info(name, number(x.dtype), (shapes or {}).get(name, x.shape))
                for name, x in inputs.items()]
    graph = helper.make_graph(nodes, "g", declared, [helper.make_tensor_value_info(name, number(dtype), None)
                                                     for name, dtype in outputs.items()], list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=13)
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", *flags)
    return run_module(tmp_path / "model.eyr", {name: travelling(x) for name, x in inputs.items()}, tmp_path, *run_flags)


def every_code(name):
    dtype = dtype_of(name)
    if name in ("int4", "int2", "uint4", "uint2"):
        info = ml_dtypes.iinfo(dtype)
        return np.arange(info.min, info.max + 1).astype(dtype)
    return np.arange(16 if name == "float4_e2m1fn" else 256, dtype=np.uint8).view(dtype)


def hard_numbers(name, kind):
    """All numbers of the type, what lies halfway between two, the neighbours of those, and what is out of range."""
    with np.errstate(all="ignore"):
        codes = every_code(name).astype(np.float64)
    codes = np.unique(codes[np.isfinite(codes)])
    step = codes[-1] - codes[-2]
    codes = np.concatenate([[codes[0] - step], codes, [codes[-1] + step]])
    halves = (codes[1:] + codes[:-1]) / 2
    numbers = np.concatenate([codes, halves, [0.0, -0.0, 1e30, -1e30, 1e-30, -1e-30, np.inf, -np.inf, np.nan]])
    with np.errstate(all="ignore"):
        numbers = numbers.astype(kind)
        return np.concatenate([numbers, np.nextafter(numbers, kind(np.inf)), np.nextafter(numbers, kind(-np.inf))])


def rounded(x, name):
    """x as the type, rounded once. (ml_dtypes rounds f64 twice, by way of f32: 61.99999999999999 becomes 64.)"""
    dtype = dtype_of(name)
    with np.errstate(all="ignore"):
        if x.dtype != np.float64:
            return x.astype(dtype)
        near = x.astype(np.float32)
        exact = near.astype(np.float64) == x
        towards = np.where(np.abs(near) > np.abs(x), np.nextafter(near, np.float32(0)), near)
        odd = (towards.view(np.uint32) | 1).view(np.float32)
        return np.where(exact | ~np.isfinite(x), near, odd).astype(dtype)


def same_numbers(got, want):
    """Equal as bits but for which NaN it is."""
    got = got.view(want.dtype)
    isnan = np.isnan(want.astype(np.float32))
    np.testing.assert_array_equal(np.isnan(got.astype(np.float32)), isnan)
    np.testing.assert_array_equal(got.view(np.uint8)[~isnan], want.view(np.uint8)[~isnan])


@pytest.mark.parametrize("flags", FLAGS, ids=["cpu", "reference", "baseline"])
@pytest.mark.parametrize("name", [*FLOATS, "float8_e8m0fnu", "float4_e2m1fn", "int4", "uint4", "int2", "uint2"])
def test_every_number_is_read(tmp_path, name, flags):
    x = every_code(name)
    kinds = {"a": np.float32, "b": np.float64} | ({} if name in NARROW else {"c": np.float16})
    nodes = [helper.make_node("Cast", ["x"], [y], to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))
             for y, kind in kinds.items()]
    got = run(tmp_path, nodes, {"x": x}, kinds, flags)
    with np.errstate(all="ignore"):
        for y, kind in kinds.items():
            np.testing.assert_array_equal(got[y], x.astype(np.float64 if kind == np.float64 else np.float32).astype(kind))


@pytest.mark.parametrize("flags", FLAGS, ids=["cpu", "reference", "baseline"])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("name", [*FLOATS, "float4_e2m1fn"])
def test_rounding(tmp_path, name, kind, flags):
    x = hard_numbers(name, kind)
    dtype = dtype_of(name)
    if name == "float4_e2m1fn":
        x = x[~np.isnan(x)]
    to = helper.np_dtype_to_tensor_dtype(dtype)
    nodes = [helper.make_node("Cast", ["x"], ["plain"], to=to, saturate=0),
             helper.make_node("Cast", ["x"], ["saturated"], to=to)]
    got = run(tmp_path, nodes, {"x": x}, {"plain": dtype, "saturated": dtype}, flags)
    with np.errstate(all="ignore"):
        same_numbers(got["plain"], rounded(x, name))
        top = float(ml_dtypes.finfo(dtype).max)
        same_numbers(got["saturated"], rounded(np.clip(x, kind(max(-top, np.finfo(kind).min)),
                                               kind(min(top, np.finfo(kind).max))), name))


@pytest.mark.parametrize("mode", ["up", "down", "nearest"])
@pytest.mark.parametrize("saturate", [0, 1])
def test_powers_of_two(tmp_path, mode, saturate):
    x = np.concatenate([hard_numbers("float8_e8m0fnu", np.float32), [3.4e38, 3, 6, 5.9, 1.5, -1.5, 0]]).astype(np.float32)
    dtype = dtype_of("float8_e8m0fnu")
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT8E8M0, saturate=saturate, round_mode=mode)
    got = run(tmp_path, [node], {"x": x}, {"y": dtype})
    same_numbers(got["y"], numpy_helper.to_float8e8m0(x, bool(saturate), mode))


@pytest.mark.parametrize("flags", FLAGS, ids=["cpu", "reference", "baseline"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 1001])
@pytest.mark.parametrize("name", NARROW)
def test_tensors_that_end_within_a_byte(tmp_path, name, count, flags):
    codes = every_code(name)
    x = codes[np.random.default_rng(1).integers(0, len(codes), (count, 3))]
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]), helper.make_node("Identity", ["x"], ["same"]),
             helper.make_node("Concat", ["x", "x"], ["twice"], axis=0),
             helper.make_node("Reshape", ["x", "flat"], ["r"]), helper.make_node("Slice", ["r", "one", "most"], ["s"])]
    weights = [numpy_helper.from_array(np.array(v), n) for n, v in [("flat", [-1]), ("one", [1]), ("most", [2**40])]]
    outputs = dict.fromkeys(["t", "same", "twice", "r", "s"], x.dtype)
    for shape in [None, {"x": ["n", 3]}]:
        got = run(tmp_path, nodes, {"x": x}, outputs, flags, weights, shape, ("--threads", "2"))
        byte = travelling(x)
        for y, want in {"t": byte.T, "same": byte, "twice": np.concatenate([byte, byte]), "r": byte.reshape(-1),
                        "s": byte.reshape(-1)[1:]}.items():
            np.testing.assert_array_equal(got[y], want, err_msg=y)


@pytest.mark.parametrize("name", NARROW)
def test_packed_weights(tmp_path, name):
    codes = every_code(name)
    w = codes[np.random.default_rng(2).integers(0, len(codes), (512, 511))]
    node = helper.make_node("DequantizeLinear", ["w", "scale"], ["y"])
    weights = [numpy_helper.from_array(w, "w"), numpy_helper.from_array(np.float32(0.5), "scale")]
    index = [helper.make_node("Gather", ["y", "i"], ["z"])]
    got = run(tmp_path, [node, *index], {"i": np.array([3, 511])}, {"z": np.float32}, weights=weights)
    np.testing.assert_array_equal(got["z"], w.astype(np.float32)[[3, 511]] * 0.5)


def test_sequences_are_refused(tmp_path):
    nodes = [helper.make_node("SequenceConstruct", ["x", "x"], ["s"]),
             helper.make_node("SequenceAt", ["s", "i"], ["y"], name="pick")]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.INT4, [3]),
                                           helper.make_tensor_value_info("i", TensorProto.INT64, [])],
                              [helper.make_tensor_value_info("y", TensorProto.INT4, [3])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=13), tmp_path / "m.onnx")
    fail("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.eyr",
         says=["'pick'", "sequences of elements of fewer than 8 bits are not supported", "i4"])
