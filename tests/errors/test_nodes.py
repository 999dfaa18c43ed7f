"""What fails while a model runs names the node of the model, unless the names were left out."""
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from command import check_equal, compile_model, fail, run_module, save_npz, succeed
from reference import Reference
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
    fail("run", tmp_path / "model.eyr", "--input", f"@{tmp_path / 'in.npz'}", says=["node 'reshaper'", "must equal 3*n"])


# Operators, each with the sizes of the indices.
INDEXED = {
    "Gather": (helper.make_node("Gather", ["x", "i"], ["y"], name="picker", axis=1), ["n"]),
    "GatherElements": (helper.make_node("GatherElements", ["x", "i2"], ["y"], name="picker", axis=1), ["n"]),
    "GatherND": (helper.make_node("GatherND", ["x", "i2"], ["y"], name="picker"), ["n"]),
    "ScatterElements": (helper.make_node("ScatterElements", ["x", "i2", "row"], ["y"], name="picker", axis=1), ["n"]),
    "ScatterND": (helper.make_node("ScatterND", ["x", "i2", "rows"], ["y"], name="picker"), ["n"]),
}


@pytest.mark.parametrize("case,kind", [(case, kind) for case in INDEXED for kind in (np.int64, np.int32)
                                       if kind == np.int64 or not case.endswith("ND")])
@pytest.mark.parametrize("index", [3, -4, 2**31 - 1, 0, 2, -3])
def test_an_index_that_is_out_of_range(tmp_path, case, index, kind):
    """On an axis of three, among good ones: as ONNX Runtime does it."""
    node, shape = INDEXED[case]
    element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    fixed = [("none", np.array([0])), ("row", np.ones((1, 2), np.float32)), ("rows", np.ones((2, 3), np.float32))]
    if case.endswith("ND"):
        before = helper.make_node("Unsqueeze", ["i", "axis"], ["i2"])
        fixed.append(("axis", np.array([1])))
    else:
        before = helper.make_node("Unsqueeze", ["i", "none"], ["i2"])
    model = model_of([before, node], [("x", FLOAT, ["a", "a"]), ("i", element, shape)], [("y", FLOAT, None)], fixed)
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    feed = {"x": np.arange(9, dtype=np.float32).reshape(3, 3), "i": np.array([1, index], kind)}
    if -3 <= index < 3:
        check_equal(run_module(tmp_path / "model.eyr", feed, tmp_path), Reference(model)(feed), 0)
        return
    save_npz(tmp_path / "in.npz", feed)
    fail("run", tmp_path / "model.eyr", "--input", f"@{tmp_path / 'in.npz'}",
         says=["node 'picker': an index is out of range", "where n is a"])


def test_an_index_out_of_range_in_a_loop(tmp_path):
    """The third turn reads behind the end; so does a constant index on an axis that is too short."""
    body = helper.make_graph([helper.make_node("Gather", ["x", "turn"], ["e"], name="picker"),
                              helper.make_node("Add", ["sum", "e"], ["next"]), helper.make_node("Identity", ["go"], ["on"])],
                             "body", [helper.make_tensor_value_info(name, kind, []) for name, kind in
                                      (("turn", INT64), ("go", TensorProto.BOOL), ("sum", FLOAT))],
                             [helper.make_tensor_value_info(name, kind, []) for name, kind in
                              (("on", TensorProto.BOOL), ("next", FLOAT))])
    nodes = [helper.make_node("Loop", ["turns", "", "zero"], ["total"], body=body),
             helper.make_node("Gather", ["x", "one"], ["second"], name="fixed"), helper.make_node("Add", ["total", "second"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, ["n"]), ("turns", INT64, [])], [("y", FLOAT, [])],
                     [("zero", np.float32(0)), ("one", np.array(1))])
    onnx.save(model, tmp_path / "model.onnx")
    compile_model(tmp_path / "model.onnx", tmp_path / "model.eyr")
    run = ["run", tmp_path / "model.eyr"]
    succeed(*run, "--input", "x=2xf32=1", "--input", "turns=i64=2")
    fail(*run, "--input", "x=2xf32=1", "--input", "turns=i64=3", says=["node 'picker': an index is out of range"])
    fail(*run, "--input", "x=1xf32=1", "--input", "turns=i64=1", says=["node 'fixed': index 1 is out of range"])
    fail(*run, "--input", "x=0xf32=1", "--input", "turns=i64=0", says=["node 'fixed'"])


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
