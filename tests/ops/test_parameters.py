"""Weights outside the module: the module with other weights, never compiled again, beside ONNX Runtime with them."""
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from command import EYRIE, check_equal, compile_model, fail, relative_error, run_module, succeed
from graphs import FLOAT, node
from onnx import numpy_helper
from reference import Reference
from small import model_of

import eyrie

RNG = np.random.default_rng(7)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def mlp():
    """Matrix products, one of a transposed weight, a convolution-free normalisation and a scalar."""
    nodes = [node("MatMul", ["x", "w1"], ["a"]), node("Add", ["a", "b1"], ["b"]), node("Relu", ["b"], ["c"]),
             node("LayerNormalization", ["c", "gamma", "beta"], ["d"]),
             node("Gemm", ["d", "w2", "b2"], ["e"], transB=1), node("Mul", ["e", "scale"], ["y"])]
    weights = {"w1": normal(48, 64), "b1": normal(64), "gamma": np.ones(64, np.float32), "beta": np.zeros(64, np.float32),
               "w2": normal(40, 64), "b2": normal(40), "scale": np.float32([0.5])}
    return model_of(nodes, [("x", FLOAT, [5, 48])], [("y", FLOAT, None)], list(weights.items()))


def convolution():
    nodes = [node("Conv", ["x", "k", "b"], ["a"], pads=[1, 1, 1, 1]), node("Relu", ["a"], ["c"]),
             node("Conv", ["c", "k2"], ["y"], strides=[2, 2])]
    weights = {"k": normal(24, 3, 3, 3), "b": normal(24), "k2": normal(32, 24, 3, 3)}
    return model_of(nodes, [("x", FLOAT, [2, 3, 15, 13])], [("y", FLOAT, None)], list(weights.items()))


def table():
    """Rows of a table of weights, and a product with the same table transposed."""
    nodes = [node("Gather", ["words", "ids"], ["h"]), node("Transpose", ["words"], ["back"], perm=[1, 0]),
             node("MatMul", ["h", "back"], ["y"])]
    return model_of(nodes, [("ids", onnx.TensorProto.INT64, [7])], [("y", FLOAT, None)], [("words", normal(100, 32))])


def weights_of(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def with_weights(model, weights):
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    for tensor in changed.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
    return changed


def inputs_of(model):
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    if model.graph.input[0].name == "ids":
        return {"ids": RNG.integers(0, 100, shape)}
    return {"x": normal(*shape)}


def build(folder, model):
    onnx.save(model, folder / "model.onnx")
    compile_model(folder / "model.onnx", folder / "model.eyr", f"--parameters={folder}/model.eyp")
    return folder / "model.eyr", folder / "model.eyp"


def save_as(path, arrays):
    np.savez(path.with_suffix(".npz"), **arrays)
    if path.suffix != ".npz":
        succeed("params", "convert", path.with_suffix(".npz"), "-o", path)
    return path


def is_large(array):
    return array.size > 16


@pytest.mark.parametrize("model", [mlp, convolution, table])
@pytest.mark.parametrize("extension", ["safetensors", "npz", "eyp"])
def test_replaced(tmp_path, model, extension):
    model = model()
    module, archive = build(tmp_path, model)
    inputs = inputs_of(model)
    check_equal(eyrie.Module(module, 1, [archive]).instance()(inputs), Reference(model)(inputs), 1e-5)
    others = {name: normal(*array.shape) for name, array in weights_of(model).items() if is_large(array)}
    changed = with_weights(model, others)
    whole = save_as(tmp_path / f"whole.{extension}", weights_of(changed))
    check_equal(eyrie.Module(module, 2, [whole]).instance()(inputs), Reference(changed)(inputs), 1e-5)
    # One tensor over the others.
    name = next(iter(others))
    overlay = save_as(tmp_path / f"overlay.{extension}", {name: others[name]})
    want = Reference(with_weights(model, {name: others[name]}))(inputs)
    check_equal(eyrie.Module(module, 1, [archive, overlay]).instance()(inputs), want, 1e-5)
    check_equal(run_module(module, inputs, tmp_path, f"--parameters={archive},{overlay}"), want, 1e-5)
    # The last file counts.
    check_equal(eyrie.Module(module, 1, [overlay, archive]).instance()(inputs), Reference(model)(inputs), 1e-5)


def test_sizes(tmp_path):
    weight = normal(1024, 1024)
    model = model_of([node("MatMul", ["x", "w"], ["y"])], [("x", FLOAT, [1, 1024])], [("y", FLOAT, None)], [("w", weight)])
    module, archive = build(tmp_path, model)
    assert module.stat().st_size < 100_000
    assert weight.nbytes <= archive.stat().st_size < weight.nbytes + 10_000


def test_inspect(tmp_path):
    module, archive = build(tmp_path, mlp())
    rows = {row["name"]: row for row in json.loads(succeed("inspect", module, "--json").out)["parameters"]}
    assert rows["w1"]["kind"] == "given" and rows["w1"]["shape"] == [48, 64] and rows["w1"]["bytes"] == 48 * 64 * 4
    assert rows["scale"]["kind"] == "fixed"
    assert any(row["kind"] == "derived" and row["sources"] == ["w1"] for row in rows.values())
    assert "model.eyp" in succeed("inspect", module).out


def test_wrong_files(tmp_path):
    model = mlp()
    module, archive = build(tmp_path, model)
    x = ["--input", "x=5x48xf32=1"]
    fail("run", module, *x, says=["parameter", "missing", "no file", "model.eyp"])
    part = save_as(tmp_path / "part.npz", {"w1": normal(48, 64)})
    fail("run", module, *x, "--parameters", part, says=["missing", "part.npz"])
    shape = save_as(tmp_path / "shape.npz", {"w1": normal(64, 48)})
    fail("run", module, *x, "--parameters", f"{archive},{shape}", says=["'w1'", "48x64xf32", "64x48xf32", "shape.npz"])
    kind = save_as(tmp_path / "kind.npz", {"w1": normal(48, 64).astype(np.float64)})
    fail("run", module, *x, "--parameters", archive, "--parameters", kind, says=["48x64xf32", "48x64xf64"])
    fixed = save_as(tmp_path / "fixed.npz", {"scale": np.float32([0.25])})
    fail("run", module, *x, "--parameters", f"{archive},{fixed}", says=["'scale'", "part of its code"])
    same = save_as(tmp_path / "same.npz", {"scale": np.float32([0.5])})
    succeed("run", module, *x, "--parameters", f"{archive},{same}")
    fail("run", module, *x, "--parameters", f"{archive},", code=2, says=["expected files"])
    fail("run", module, *x, "--parameters", tmp_path / "none.eyp", says=["none.eyp"])
    small = [Path(EYRIE).with_name("eyrie-run"), "run", module, *x]
    assert "missing" in subprocess.run(small, capture_output=True, text=True).stderr
    subprocess.run([*small, "--parameters", archive, "--parameters", same], check=True, capture_output=True)


def test_damaged_archive(tmp_path):
    module, archive = build(tmp_path, mlp())
    data = bytearray(archive.read_bytes())
    data[4096] ^= 1
    archive.write_bytes(data)
    fail("run", module, "--input", "x=5x48xf32=1", "--parameters", archive, says=["model.eyp"])


def shared_bytes(path):
    """Proportional and resident size of the mappings of a file in this process."""
    totals = {"Pss": 0, "Rss": 0}
    inside = False
    for line in open("/proc/self/smaps"):
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            inside = line.rstrip().endswith(str(path))
        elif inside and line.split(":")[0] in totals:
            totals[line.split(":")[0]] += int(line.split()[1]) * 1024
    return totals


def test_pages_are_shared(tmp_path):
    """Two modules that map one file hold its pages once: half of them is each one's proportional share."""
    weight = normal(4096, 512)
    model = model_of([node("Add", ["x", "w"], ["y"])], [("x", FLOAT, [4096, 512])], [("y", FLOAT, None)], [("w", weight)])
    module, archive = build(tmp_path, model)
    x = normal(4096, 512)
    instances = [eyrie.Module(module, 1, [archive]).instance() for _ in range(2)]
    for instance in instances:
        assert relative_error(instance({"x": x})["y"], x + weight) == 0
    sizes = shared_bytes(archive)
    assert sizes["Rss"] >= 2 * weight.nbytes
    assert sizes["Pss"] <= sizes["Rss"] / 2 + 65536
