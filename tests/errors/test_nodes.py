"""What fails while a model runs names the node of the model, unless the names were left out."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from command import compile_model, fail, save_npz, succeed
from small import model_of

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
ROWS = ("x", FLOAT, ["n", 3])
SIZES = ("sizes", INT64, [2])
SCALARS = [(name, INT64, []) for name in ("start", "limit", "step")]

# Node, inputs, values, what is said besides the node's name.
CASES = {
    "range": (helper.make_node("Range", ["start", "limit", "step"], ["t"], name="counter"), SCALARS,
              {"start": np.array(0), "limit": np.array(5), "step": np.array(0)}, "division by zero"),
    "tile": (helper.make_node("Tile", ["x", "sizes"], ["t"], name="tiler"), [ROWS, SIZES],
             {"x": np.ones((4, 3), np.float32), "sizes": np.array([1 << 40, 3])}, "a transient tensor of"),
}


def compiled(tmp_path, case, *flags):
    node, inputs, values, _ = CASES[case]
    kind = INT64 if case == "range" else FLOAT
    neighbours = [helper.make_node("Neg", ["t"], ["u"], name="negate"), helper.make_node("CumSum", ["u", "axis"], ["y"], name="total")]
    shape = ["a"] if case == "range" else ["a", "b"]
    model = model_of([node, *neighbours], inputs, [("y", kind, shape)], [("axis", np.array(0))])
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr", *flags)
    save_npz(tmp_path / "in.npz", values)
    return "run", tmp_path / "model.eyr", "--input", f"@{tmp_path / 'in.npz'}"


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("sizes", [[5, 7], [5, -1], [2, 3]])
def test_a_reshape_whose_elements_do_not_fit(tmp_path, sizes, fused):
    nodes = [helper.make_node("Reshape", ["x", "sizes"], ["t" if fused else "y"], name="reshaper"), helper.make_node("Neg", ["t"], ["y"])]
    model = model_of(nodes[: 1 + fused], [ROWS, SIZES], [("y", FLOAT, ["a", "b"])])
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    save_npz(tmp_path / "in.npz", {"x": np.ones((4, 3), np.float32), "sizes": np.array(sizes)})
    fail("run", tmp_path / "model.eyr", "--input", f"@{tmp_path / 'in.npz'}", says=["node 'reshaper'", "must be equal"])


@pytest.mark.parametrize("case", CASES)
def test_a_failure_names_the_node(tmp_path, case):
    node, _, _, text = CASES[case]
    fail(*compiled(tmp_path, case), says=[f"node '{node.name}': function 'main', bytecode word", text])


def test_instructions_are_shown_with_their_nodes(tmp_path):
    command = compiled(tmp_path, "tile")
    shown = succeed("inspect", command[1], "--vm").out
    for name in "tiler", "total":
        assert f"  ; {name}" in shown


def test_names_are_left_out(tmp_path):
    whole = compiled(tmp_path, "tile")[1].stat().st_size
    command = compiled(tmp_path, "tile", "--strip")
    assert command[1].stat().st_size < whole
    done = fail(*command, says=["function 'main', bytecode word", "a transient tensor of"])
    assert "tiler" not in done.err
    assert "; t" not in succeed("inspect", command[1], "--vm").out
