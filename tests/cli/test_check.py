"""`eyrie check`: whether a model will compile and what it will cost."""
import json

import numpy as np
import onnx
import pytest
from command import call, fail, succeed
from onnx import TensorProto, helper
from small import model_of

BOOL, FLOAT, INT64 = TensorProto.BOOL, TensorProto.FLOAT, TensorProto.INT64
node = helper.make_node


def told(path, *flags):
    return json.loads(succeed("check", path, "--json", *flags).out)


def layer(rows):
    return model_of([node("MatMul", ["x", "w"], ["a"]), node("Relu", ["a"], ["y"])], [("x", FLOAT, [rows, 64])],
                    [("y", FLOAT, None)], [("w", np.ones((64, 48), np.float32))])


def test_a_layer(tmp_path):
    onnx.save(layer(4), tmp_path / "layer.onnx")
    report = told(tmp_path / "layer.onnx")
    assert report["parameters"] == {"tensors": 1, "elements": 64 * 48, "bytes": 64 * 48 * 4}
    (function,) = report["functions"]
    assert function["operations"] == 4 * 48 * (2 * 64 + 1)
    assert (function["input_bytes"], function["output_bytes"], function["transient_bytes"]) == (4 * 64 * 4, 4 * 48 * 4, 4 * 48 * 4)
    assert not function["has_open_sizes"] and not function["has_loops"]
    assert function["inputs"] == [{"name": "x", "type": "4x64xf32"}] and function["outputs"] == [{"name": "y", "type": "4x48xf32"}]
    text = succeed("check", tmp_path / "layer.onnx").out
    assert "can be compiled" in text and "24.8 k" in text and "12.3 kB" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layer.onnx"]


def test_open_sizes(tmp_path):
    onnx.save(layer("n"), tmp_path / "layer.onnx")
    (function,) = told(tmp_path / "layer.onnx")["functions"]
    assert function["has_open_sizes"] and function["inputs"][0]["type"] == "nx64xf32"
    (function,) = told(tmp_path / "layer.onnx", "--shape", "n=4")["functions"]
    assert not function["has_open_sizes"] and function["operations"] == 4 * 48 * (2 * 64 + 1)
    report = told(tmp_path / "layer.onnx", "--shape", "n=1..4")
    assert report["largest_sizes"] == {"n": 4}
    (function,) = report["functions"]
    assert not function["has_open_sizes"] and function["operations"] == 4 * 48 * (2 * 64 + 1)
    assert "at most n 4" in succeed("check", tmp_path / "layer.onnx", "--shape", "n=1..4").out
    assert "every open size 1" in succeed("check", tmp_path / "layer.onnx").out


def test_memory_of_a_chain_is_that_of_two_tensors(tmp_path):
    """Of ten in a row, each needed for the next one alone."""
    nodes = [node("Softmax", [f"t{i}" if i else "x"], [f"t{i + 1}"]) for i in range(10)]
    onnx.save(model_of([*nodes, node("ReduceSum", ["t10"], ["y"])], [("x", FLOAT, [256, 256])], [("y", FLOAT, None)]),
              tmp_path / "chain.onnx")
    (function,) = told(tmp_path / "chain.onnx")["functions"]
    assert 2 * 256 * 256 * 4 <= function["transient_bytes"] < 4 * 256 * 256 * 4


def test_loops_count_once(tmp_path):
    body = helper.make_graph([node("Add", ["sum", "x"], ["next"]), node("Identity", ["go"], ["on"])], "body",
                             [helper.make_tensor_value_info(*row) for row in (("turn", INT64, []), ("go", BOOL, []), ("sum", FLOAT, [64]))],
                             [helper.make_tensor_value_info(*row) for row in (("on", BOOL, []), ("next", FLOAT, [64]))])
    model = model_of([helper.make_node("Loop", ["turns", "", "x"], ["y"], body=body)],
                     [("x", FLOAT, [64]), ("turns", INT64, [])], [("y", FLOAT, None)])
    onnx.save(model, tmp_path / "loop.onnx")
    (function,) = told(tmp_path / "loop.onnx")["functions"]
    assert function["has_loops"] and function["operations"] == 64


def test_several_models(tmp_path):
    for rows in (1, 2):
        onnx.save(layer(rows), tmp_path / f"rows{rows}.onnx")
    report = told(tmp_path / "rows1.onnx", f"other={tmp_path}/rows2.onnx")
    assert [function["name"] for function in report["functions"]] == ["rows1", "other"]
    assert report["parameters"]["tensors"] == 1


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_what_is_not_supported_is_said_as_by_compile(tmp_path, flags):
    nodes = [node("Fancy", ["x"], ["a"], name="odd", domain="my.company"), node("Other", ["x"], ["b"], name="odder", domain="my.company"),
             node("Add", ["a", "b"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, [4])], [("y", FLOAT, None)], domains=["my.company"])
    onnx.save(model, tmp_path / "odd.onnx")
    said = fail("check", tmp_path / "odd.onnx", *flags, says=["'odd'", "'odder'", "Fancy"])
    assert said.err == call("compile", tmp_path / "odd.onnx", "-o", tmp_path / "odd.eyr").err


def test_wrong_arguments(tmp_path):
    onnx.save(layer(4), tmp_path / "layer.onnx")
    fail("check", tmp_path / "none.onnx", says=["none.onnx"])
    fail("check", tmp_path, says=["is a directory"])
    fail("check", code=2, says=["MODEL"])
    fail("check", tmp_path / "layer.onnx", "--shape", "q=3", says=["q"])
    fail("check", tmp_path / "layer.onnx", "-o", "x.eyr", code=2, says=["-o"])
    (tmp_path / "text.onnx").write_text("not a model")
    fail("check", tmp_path / "text.onnx", says=["text.onnx"])
