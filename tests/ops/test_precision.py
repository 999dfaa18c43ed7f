"""Weights stored as bf16 or f16 (--precision): the numbers are those of the f32 model whose weights were rounded so.

Where the processor multiplies two bf16 faster, the other factor is rounded too: inputs here are bf16 from the start.
"""
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from agreement import agree
from cases import f32
from command import compile_model, fail, run_module, save_npz, succeed
from graphs import FLOAT, node
from onnx import TensorProto, numpy_helper
from reference import Reference
from small import model_of

PRECISIONS = ["bf16", "f16"]


def rounded(array, precision):
    if precision == "f16":
        return array.astype(np.float16).astype(np.float32)
    bits = array.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000).astype(np.uint32).view(np.float32)


def with_rounded_weights(model, precision, names):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for weight in copy.graph.initializer:
        if weight.name in names:
            weight.CopyFrom(numpy_helper.from_array(rounded(numpy_helper.to_array(weight), precision), weight.name))
    return copy


def check(tmp_path, model, feeds, precision, names=("w",), flags=()):
    feeds = [{key: rounded(array, precision) if array.dtype == np.float32 else array for key, array in feed.items()} for feed in feeds]
    return agree(tmp_path, model, feeds, "--precision", precision, *flags, reference=with_rounded_weights(model, precision, names))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("cpu", ["native", "x86-64", "x86-64-v3"])
@pytest.mark.parametrize("rows, depth, columns", [(1, 7, 5), (3, 64, 48), (16, 33, 97), (61, 300, 64), (200, 256, 160), (0, 8, 8)])
def test_products(tmp_path, precision, cpu, rows, depth, columns):
    """Many rows widen a panel once, few each time."""
    model = model_of([node("MatMul", ["x", "w"], ["p"]), node("Add", ["p", "b"], ["y"])], [("x", FLOAT, [rows, depth])],
                     [("y", FLOAT, None)], [("w", f32(depth, columns)), ("b", f32(columns))])
    check(tmp_path, model, [{"x": f32(rows, depth)}], precision, flags=["--cpu", cpu])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_open_rows(tmp_path, precision):
    model = model_of([node("Gemm", ["x", "w"], ["y"], transB=1)], [("x", FLOAT, ["n", 128])], [("y", FLOAT, None)],
                     [("w", f32(96, 128))])
    check(tmp_path, model, [{"x": f32(n, 128)} for n in (0, 1, 5, 70, 300)], precision)
    check(tmp_path, model, [{"x": f32(n, 128)} for n in (64, 300)], precision, flags=["--shape", "n=64..512"])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("attributes, channels, outputs, size", [
    (dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1]), 64, 64, (14, 14)),  # by Winograd's method
    (dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]), 16, 24, (15, 13)),
    (dict(kernel_shape=[1, 1]), 32, 48, (9, 9)),
    (dict(kernel_shape=[1, 1]), 17, 8, (5, 5)),  # a vector of one column is left
    (dict(kernel_shape=[3, 3], group=32), 32, 32, (11, 12)),
    (dict(kernel_shape=[5, 3], group=2, dilations=[1, 2]), 8, 6, (12, 12))])
def test_convolutions(tmp_path, precision, attributes, channels, outputs, size):
    weight = f32(outputs, channels // attributes.get("group", 1), *attributes["kernel_shape"])
    whole = lambda *shape: np.rint(f32(*shape))  # what the first makes of them is bf16 too
    model = model_of([node("Conv", ["x", "v"], ["i"], kernel_shape=[1, 1]), node("Conv", ["i", "w", "b"], ["y"], **attributes)],
                     [("x", FLOAT, [2, 4, *size])], [("y", FLOAT, None)],
                     [("v", whole(channels, 4, 1, 1)), ("w", weight), ("b", f32(outputs))])
    check(tmp_path, model, [{"x": whole(2, 4, *size)}], precision, names=("v", "w"))


def multiplies_bf16():
    """Faster than f32, that is."""
    flags = set(Path("/proc/cpuinfo").read_text().split())
    return "avx512_bf16" in flags and ("avx512_fp16" not in flags or "amx_bf16" in flags)


@pytest.mark.parametrize("kind", ["product", "padded convolution"])
def test_what_is_multiplied_is_rounded_where_that_is_faster(tmp_path, kind):
    """The layer in between is read in f32 as well, by the last sum: that copy is not rounded."""
    if not multiplies_bf16():
        pytest.skip("this processor does not multiply bf16 faster")
    if kind == "product":
        layer, shape, first, second = "MatMul", [9, 48], f32(48, 64), f32(64, 64)
        attributes = {}
    else:
        layer, shape, first, second = "Conv", [1, 4, 9, 8], f32(64, 4, 1, 1), f32(64, 64, 3, 3)
        attributes = dict(pads=[1, 1, 1, 1])
    model = model_of([node(layer, ["x", "w"], ["h"]), node("Relu", ["h"], ["r"]), node(layer, ["r", "v"], ["p"], **attributes),
                      node("Add", ["p", "r"], ["y"])], [("x", FLOAT, shape)], [("y", FLOAT, None)], [("w", first), ("v", second)])
    onnx.save(model, tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", "--precision", "bf16", "--no-winograd")
    feed = {"x": rounded(f32(*shape), "bf16")}
    got = run_module(tmp_path / "m.eyr", feed, tmp_path)["y"]
    one = model_of([node(layer, ["x", "w"], ["h"]), node("Relu", ["h"], ["y"])], [("x", FLOAT, shape)], [("y", FLOAT, None)],
                   [("w", rounded(first, "bf16"))])
    middle = Reference(one)(feed)["y"]
    two = model_of([node(layer, ["r", "v"], ["y"], **attributes)], [("r", FLOAT, list(middle.shape))], [("y", FLOAT, None)],
                   [("v", rounded(second, "bf16"))])
    want = Reference(two)({"r": rounded(middle, "bf16")})["y"] + middle
    # A sum in another order may be rounded to the other of two neighbours in between.
    assert np.abs(got - want).max() <= 5e-4 * np.abs(want).max()
    assert np.sqrt(((got - want)**2).mean()) <= 5e-5 * np.abs(want).max()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tables_and_products_share_a_weight(tmp_path, precision):
    """As in decoders whose first and last layer are one matrix: it is in the file twice, in two orders, and not in f32."""
    model = model_of([node("Gather", ["w", "ids"], ["e"]), node("Transpose", ["w"], ["t"], perm=[1, 0]), node("MatMul", ["e", "t"], ["y"])],
                     [("ids", TensorProto.INT64, [3])], [("y", FLOAT, None)], [("w", f32(500, 64))])
    told = check(tmp_path, model, [{"ids": np.array([0, 499, -7])}], precision)
    assert told["size_bytes"] < 2 * 500 * 64 * 2 + 32 * 1024


def test_weights_beyond_the_range_stay(tmp_path):
    """f16 ends at 65504."""
    weight = f32(32, 32)
    weight[3, 4] = 1e6
    model = model_of([node("MatMul", ["x", "w"], ["y"])], [("x", FLOAT, [4, 32])], [("y", FLOAT, None)], [("w", weight)])
    check(tmp_path, model, [{"x": f32(4, 32)}], "f16", names=())
    check(tmp_path, model, [{"x": f32(4, 32)}], "bf16")
    weight[3, 4] = np.inf
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    onnx.save(model, tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", "--precision", "f16")
    assert np.isinf(run_module(tmp_path / "m.eyr", {"x": np.ones((4, 32), np.float32)}, tmp_path)["y"][:, 4]).all()


def test_tables_beyond_the_range_stay(tmp_path):
    """A mask's least number would become an infinity."""
    table = f32(600, 64)
    table[:, 7] = np.finfo(np.float32).min
    model = model_of([node("Gather", ["w", "ids"], ["y"])], [("ids", TensorProto.INT64, [4])], [("y", FLOAT, None)], [("w", table)])
    for precision in PRECISIONS:
        check(tmp_path, model, [{"ids": np.array([0, 5, 9, 599])}], precision, names=())


def test_what_is_computed_from_weights_ends_at_the_range(tmp_path):
    model = model_of([node("Mul", ["w", "by"], ["v"]), node("MatMul", ["x", "v"], ["y"])], [("x", FLOAT, [2, 32])], [("y", FLOAT, None)],
                     [("w", np.full((32, 64), 300, np.float32)), ("by", np.full((32, 64), -300, np.float32))])
    onnx.save(model, tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", "--precision", "f16")
    got = run_module(tmp_path / "m.eyr", {"x": np.ones((2, 32), np.float32)}, tmp_path)["y"]
    assert np.allclose(got, -65504 * 32, rtol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_outside_the_module(tmp_path, precision):
    model = model_of([node("MatMul", ["x", "w"], ["y"])], [("x", FLOAT, [70, 40])], [("y", FLOAT, None)], [("w", f32(40, 64))])
    onnx.save(model, tmp_path / "m.onnx")
    told = compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", "--precision", precision, "--parameters", tmp_path / "m.eyp")
    assert 0 < told["precision"]["outputs"][0]["rms_error"] < 1e-2
    feed = {"x": rounded(f32(70, 40), precision)}
    want = Reference(with_rounded_weights(model, precision, "w"))(feed)["y"]
    got = run_module(tmp_path / "m.eyr", feed, tmp_path, "--parameters", tmp_path / "m.eyp")["y"]
    assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()


def small(tmp_path):
    model = model_of([node("MatMul", ["x", "w"], ["y"]), node("ArgMax", ["y"], ["best"], axis=1)], [("x", FLOAT, ["n", 40])],
                     [("y", FLOAT, None), ("best", TensorProto.INT64, None)], [("w", f32(40, 64))])
    onnx.save(model, tmp_path / "m.onnx")
    return model


def test_the_error_is_measured(tmp_path):
    """Against ONNX Runtime's f32, with inputs that are given."""
    model, feed = small(tmp_path), {"x": f32(12, 40)}
    save_npz(tmp_path / "in.npz", feed)
    told = compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", "--precision", "bf16", "--input", f"@{tmp_path / 'in.npz'}")
    want, got = Reference(model)(feed), run_module(tmp_path / "m.eyr", feed, tmp_path)
    difference, largest = np.abs(got["y"] - want["y"]), np.abs(want["y"]).max()
    error, best = told["precision"]["outputs"]
    assert error["max_error"] == pytest.approx(difference.max() / largest, rel=1e-2)
    assert error["rms_error"] == pytest.approx(np.sqrt((difference ** 2).mean()) / largest, rel=1e-2)
    assert best == {"name": "best", "differing": pytest.approx((got["best"] != want["best"]).mean())}
    text = succeed("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.eyr", "--precision", "bf16").out
    assert text.startswith("beside f32:\n  y: largest error 0.00") and text.endswith("% of the elements differ\n")


def test_given_inputs_settle_the_sizes_of_others(tmp_path):
    model = model_of([node("MatMul", ["x", "w"], ["p"]), node("Add", ["p", "z"], ["y"])], [("x", FLOAT, ["n", 40]), ("z", FLOAT, ["n", 64])],
                     [("y", FLOAT, None)], [("w", f32(40, 64))])
    onnx.save(model, tmp_path / "m.onnx")
    told = compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", "--precision", "f16", "--input", "x=3x40xf32=0.3")
    assert told["precision"]["outputs"][0]["max_error"] > 0


def test_what_cannot_be_measured_compiles(tmp_path):
    small(tmp_path)
    told = json.loads(succeed("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.eyr", "--precision", "f16", "--cpu", "aarch64", "--json").out)
    assert "this machine runs" in told["precision"]["problem"]
    told = compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", "--precision", "f16", "--shape", "n=48..64")
    assert told["precision"]["outputs"][0]["max_error"] > 0, "some size that the model takes is found"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["m.eyr", "m.onnx"]


def test_wrong_options(tmp_path):
    small(tmp_path)
    for given, says in (("x=2x41xf32=1", "2x41xf32"), ("z=1xf32=1", "'z'")):
        fail("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.eyr", "--precision", "f16", "--input", given, says=says)
    assert not (tmp_path / "m.eyr").exists()
    fail("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.eyr", "--precision", "int8", code=2,
         says="--precision: 'int8' is not one of f32, bf16, f16")
    fail("compile", tmp_path / "m.onnx", "-o", tmp_path / "m.eyr", "--input", "x=1x40xf32=1", code=2,
         says="--input measures the error of --precision bf16 or f16")
