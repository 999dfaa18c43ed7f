"""What `eyrie inspect --vm` prints says all of the bytecode: an assembler makes the same words of it."""
import os
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from command import EYRIE, compile_model
from small import adder, model_of, network

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
ASSEMBLER = Path(os.environ.get("EYRIE_TEST_ASSEMBLER", Path(EYRIE).parent / "eyrie_test_assembler"))


def counter() -> onnx.ModelProto:
    """A loop that ends when its sum says so, around a branch."""
    value = lambda name, kind=FLOAT, dims=(): helper.make_tensor_value_info(name, kind, dims)  # noqa: E731
    then = helper.make_graph([helper.make_node("Neg", ["sum"], ["a"])], "then", [], [value("a", FLOAT, ["n"])])
    other = helper.make_graph([helper.make_node("Identity", ["sum"], ["b"])], "else", [], [value("b", FLOAT, ["n"])])
    body = helper.make_graph(
        [helper.make_node("Add", ["carried", "x"], ["sum"]), helper.make_node("ReduceSum", ["sum"], ["total"], keepdims=0),
         helper.make_node("Less", ["total", "limit"], ["again"]),
         helper.make_node("If", ["again"], ["next"], then_branch=then, else_branch=other)],
        "body", [value("i", INT64), value("go", BOOL), value("carried", FLOAT, ["n"])],
        [value("again", BOOL), value("next", FLOAT, ["n"])])
    nodes = [helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body)]
    return model_of(nodes, [("x", FLOAT, ["n"]), ("trips", INT64, [])], [("y", FLOAT, ["n"])],
                    [("limit", np.array(10, np.float32))])


def sequence() -> onnx.ModelProto:
    nodes = [helper.make_node("SplitToSequence", ["x", "ones"], ["rows"], axis=0), helper.make_node("SequenceAt", ["rows", "at"], ["row"]),
             helper.make_node("SequenceInsert", ["rows", "row"], ["more"]), helper.make_node("ConcatFromSequence", ["more"], ["y"], axis=0)]
    return model_of(nodes, [("x", FLOAT, ["n", 3]), ("at", INT64, [])], [("y", FLOAT, ["m", 3])], [("ones", np.array(1))])


def cache() -> onnx.ModelProto:
    nodes = [helper.make_node("Concat", ["past, \"key\"", "x"], ["next"], axis=0),
             helper.make_node("ReduceMax", ["next", "axes"], ["y"], keepdims=0)]
    return model_of(nodes, [("past, \"key\"", FLOAT, ["p", 8]), ("x", FLOAT, ["n", 8])],
                    [("y", FLOAT, [8]), ("next", FLOAT, ["q", 8])], [("axes", np.array([0]))], opset=18)


CASES = {"network": (network, []), "copies": (network, ["--shape=batch=1,2"]), "adder": (adder, []), "loop": (counter, []),
         "sequence": (sequence, []), "state": (cache, ["--state=past, \"key\"=next"]), "stripped": (network, ["--strip"])}


@pytest.mark.skipif(not ASSEMBLER.exists(), reason=f"there is no {ASSEMBLER} (built with the tests of the runtime)")
@pytest.mark.parametrize("case", CASES)
def test_every_function_comes_back_from_its_text(tmp_path, case):
    make, flags = CASES[case]
    onnx.save(make(), tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", *flags)
    done = subprocess.run([ASSEMBLER, tmp_path / "model.eyr"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    functions, words = done.stdout.split(": ")[-1].split(", ")
    assert int(words.split()[0]) > 20 and int(functions.split()[0]) >= (3 if case == "copies" else 1)
