"""Weights outside the module: the module with other weights, never compiled again, beside ONNX Runtime with them."""
import json
import re
import subprocess
from pathlib import Path

import gguf
import numpy as np
import onnx
import pytest
import safetensors.numpy
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
             node("Gemm", ["d", "w2.weight", "b2"], ["e"], transB=1), node("Mul", ["e", "scale"], ["y"])]
    weights = {"w1": normal(48, 64), "b1": normal(64), "gamma": np.ones(64, np.float32), "beta": np.zeros(64, np.float32),
               "w2.weight": normal(40, 64), "b2": normal(40), "scale": np.float32([0.5])}
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


def test_gguf(tmp_path):
    model = mlp()
    module, _ = build(tmp_path, model)
    others = {name: normal(*array.shape) for name, array in weights_of(model).items() if is_large(array)}
    writer = gguf.GGUFWriter(tmp_path / "weights.gguf", "test")
    for name, array in others.items():
        writer.add_tensor(name, array)
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        write()
    inputs = inputs_of(model)
    check_equal(eyrie.Module(module, 1, [tmp_path / "weights.gguf"]).instance()(inputs),
                Reference(with_weights(model, others))(inputs), 1e-5)


def test_an_adapter_merged_into_one_weight(tmp_path):
    model = mlp()
    module, archive = build(tmp_path, model)
    a, b = normal(4, 64), normal(40, 4)
    safetensors.numpy.save_file({"w2.weight": weights_of(model)["w2.weight"], "w2.lora_A.weight": a, "w2.lora_B.weight": b},
                                tmp_path / "adapter.safetensors")
    succeed("params", "convert", tmp_path / "adapter.safetensors", "--merge-lora", "--lora-scale", "0.5",
            "-o", tmp_path / "merged.eyp")
    inputs = inputs_of(model)
    want = Reference(with_weights(model, {"w2.weight": weights_of(model)["w2.weight"] + np.float32(0.5) * (b @ a)}))(inputs)
    check_equal(eyrie.Module(module, 1, [archive, tmp_path / "merged.eyp"]).instance()(inputs), want, 1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int8, np.uint8])
def test_types(tmp_path, dtype):
    """Bytes are parameters where there are many."""
    make = lambda: (RNG.standard_normal((64, 48)) * 20).astype(dtype) if dtype != np.uint8 else RNG.integers(0, 255, (64, 48), dtype)
    cast = node("Cast", ["w"], ["f"], to=onnx.TensorProto.FLOAT)
    model = model_of([cast, node("MatMul", ["x", "f"], ["y"])], [("x", FLOAT, [3, 64])], [("y", FLOAT, None)], [("w", make())])
    module, archive = build(tmp_path, model)
    rows = {row["name"]: row for row in json.loads(succeed("inspect", module, "--json").out)["parameters"]}
    assert rows["w"]["kind"] == "given"
    inputs = inputs_of(model)
    check_equal(eyrie.Module(module, 1, [archive]).instance()(inputs), Reference(model)(inputs), 1e-5)
    changed = with_weights(model, {"w": make()})
    whole = save_as(tmp_path / "whole.npz", weights_of(changed))
    check_equal(eyrie.Module(module, 1, [whole]).instance()(inputs), Reference(changed)(inputs), 1e-5)


def test_two_models_share_what_has_one_name(tmp_path):
    def layer(activation):
        nodes = [node("MatMul", ["x", "w"], ["a"]), node(activation, ["a"], ["y"])]
        return model_of(nodes, [("x", FLOAT, ["n", 64])], [("y", FLOAT, None)], [("w", weight)])

    weight, other = normal(64, 48), normal(64, 48)
    models = {name: layer(name.capitalize()) for name in ("relu", "tanh")}
    for name, model in models.items():
        onnx.save(model, tmp_path / f"{name}.onnx")
    module, archive = tmp_path / "both.eyr", tmp_path / "both.eyp"
    compile_model(f"relu={tmp_path}/relu.onnx", module, f"tanh={tmp_path}/tanh.onnx", f"--parameters={archive}")
    assert archive.stat().st_size < 1.5 * weight.nbytes + 8192
    file = save_as(tmp_path / "other.npz", {"w": other})
    for n in (1, 5):
        x = {"x": normal(n, 64)}
        for name, model in models.items():
            check_equal(eyrie.Module(module, 1, [archive]).instance()(x, name), Reference(model)(x), 1e-5)
            want = Reference(with_weights(model, {"w": other}))(x)
            check_equal(eyrie.Module(module, 1, [file]).instance()(x, name), want, 1e-5)


def test_two_models_with_different_weights_of_one_name(tmp_path):
    for name in ("a", "b"):
        onnx.save(model_of([node("Add", ["x", "w"], ["y"])], [("x", FLOAT, [64])], [("y", FLOAT, None)], [("w", normal(64))]),
                  tmp_path / f"{name}.onnx")
    models = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    fail("compile", *models, "-o", tmp_path / "m.eyr", "--parameters", tmp_path / "m.eyp",
         says=["different weights of the name 'w'", "modules of their own"])
    fail("compile", *models, "-o", tmp_path / "m.eyr", "--parameters", tmp_path / "b.onnx", says=["is the model itself"])
    assert not list(tmp_path.glob("m.*"))


@pytest.mark.parametrize("name", ["main", "__initialize", "ein Gewicht/ü", "x" * 300])
def test_names(tmp_path, name):
    """Whatever the model calls its weight."""
    model = model_of([node("MatMul", ["x", name], ["y"])], [("x", FLOAT, [2, 32])], [("y", FLOAT, None)], [(name, normal(32, 40))])
    module, archive = build(tmp_path, model)
    inputs = inputs_of(model)
    check_equal(eyrie.Module(module, 1, [archive]).instance()(inputs), Reference(model)(inputs), 1e-5)
    changed = with_weights(model, {name: normal(32, 40)})
    whole = save_as(tmp_path / "whole.safetensors", weights_of(changed)) if "/" not in name else None
    if whole:
        check_equal(eyrie.Module(module, 1, [whole]).instance()(inputs), Reference(changed)(inputs), 1e-5)


def test_with_states_and_copies_for_sizes(tmp_path):
    weight, other = normal(32, 32), normal(32, 32)
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("Add", ["a", "old"], ["new"]), node("Tanh", ["new"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, ["n", 32]), ("old", FLOAT, [1, 32])],
                     [("y", FLOAT, None), ("new", FLOAT, ["n", 32])], [("w", weight)])
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", "--shape", "n=1,8", f"--parameters={tmp_path}/model.eyp")
    file = save_as(tmp_path / "other.npz", {"w": other})
    for n in (1, 8, 3):
        inputs = {"x": normal(n, 32), "old": normal(1, 32)}
        if n != 3:
            check_equal(eyrie.Module(tmp_path / "model.eyr", 1, [file]).instance()(inputs),
                        Reference(with_weights(model, {"w": other}))(inputs), 1e-5)
    model = model_of(nodes, [("x", FLOAT, [1, 32]), ("old", FLOAT, [1, 32])],
                     [("y", FLOAT, None), ("new", FLOAT, [1, 32])], [("w", weight)])
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", "--state=old=new", f"--parameters={tmp_path}/model.eyp")
    instance, old = eyrie.Module(tmp_path / "model.eyr", 1, [file]).instance(), np.zeros((1, 32), np.float32)
    for _ in range(3):
        x = normal(1, 32)
        old = x @ other + old
        assert relative_error(instance({"x": x})["y"], np.tanh(old)) < 1e-5


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
