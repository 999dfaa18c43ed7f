"""What follows an operation whose result's size the data says: other operations, branches, loops, calls of any size."""
import numpy as np
import pytest
from cases import f32
from graphs import BOOL, FLOAT, INT64, STRING, check, constant, graph, helper, node, refuse, turn
from selections import sparse
from small import model_of

BOTH = (1, 2)  # numbers of threads
X = ("x", FLOAT, ["n", "m"])
FEEDS = [{"x": sparse(*shape)} for shape in ((3, 4), (1, 1), (0, 5), (70, 33))]


@pytest.mark.parametrize("number", [0.0, 2.5])
def test_of_a_scalar(tmp_path, number):
    """The standard: (0, N), unlike NumPy and ONNX Runtime."""
    model = model_of([node("NonZero", ["x"], ["y"])], [("x", FLOAT, [])], [("y", INT64, None)])
    check(tmp_path, model, {"x": np.float32(number)}, want={"y": np.zeros((0, int(number != 0)), np.int64)})


def test_elements_at_the_places(tmp_path):
    nodes = [node("NonZero", ["x"], ["at"]), node("Transpose", ["at"], ["pairs"]), node("GatherND", ["x", "pairs"], ["y"]),
             node("Shape", ["pairs"], ["shape"]), node("Exp", ["y"], ["z"])]
    model = model_of(nodes, [X], [("pairs", INT64, None), ("z", FLOAT, None), ("shape", INT64, [2])])
    check(tmp_path, model, *FEEDS, threads=BOTH)


def test_rows_of_a_table(tmp_path):
    nodes = [constant("zero", 0), constant("axis", [0]), node("ReduceMax", ["x"], ["most"], axes=[1], keepdims=0), node("NonZero", ["most"], ["at"]),
             node("Squeeze", ["at", "axis"], ["rows"]), node("Gather", ["x", "rows"], ["y"], axis=0), node("ReduceSum", ["y", "axis"], ["sum"], keepdims=0),
             node("MatMul", ["y", "w"], ["product"])]
    model = model_of(nodes, [("x", FLOAT, ["n", 3])], [("y", FLOAT, None), ("sum", FLOAT, None), ("product", FLOAT, None)], [("w", f32(3, 4))])
    check(tmp_path, model, *({"x": np.abs(sparse(n, 3))} for n in (5, 1, 200)), threads=BOTH)


def test_two_in_a_row(tmp_path):
    nodes = [node("Cast", ["x"], ["b"], to=BOOL), node("Reshape", ["b", "all"], ["flat"]), node("Compress", ["x", "flat"], ["picked"]), constant("all", [-1]),
             constant("four", np.float32(4)), node("Greater", ["picked", "four"], ["large"]), node("Compress", ["picked", "large"], ["y"], axis=0),
             node("Neg", ["y"], ["z"])]
    check(tmp_path, model_of(nodes, [X], [("picked", FLOAT, None), ("z", FLOAT, None)]), *FEEDS, threads=BOTH)


def test_known_ones_of_a_size_known_late(tmp_path):
    one = helper.make_tensor("one", FLOAT, [1], [1.0])
    nodes = [node("Shape", ["x"], ["shape"]), node("ConstantOfShape", ["shape"], ["ones"], value=one), node("NonZero", ["ones"], ["y"])]
    check(tmp_path, model_of(nodes, [X], [("y", INT64, None)]), *FEEDS)


def test_in_a_branch(tmp_path):
    then = graph([node("NonZero", ["x"], ["t"])], [], [("t", INT64)])
    other = graph([node("Neg", ["x"], ["minus"]), node("Relu", ["minus"], ["low"]), node("NonZero", ["low"], ["e"])], [], [("e", INT64)])
    nodes = [node("If", ["c"], ["at"], then_branch=then, else_branch=other), node("Transpose", ["at"], ["y"])]
    model = model_of(nodes, [X, ("c", BOOL, [])], [("y", INT64, None)])
    check(tmp_path, model, *({"c": np.array(c), **feed} for c in (True, False) for feed in FEEDS[:2]))


def test_in_a_loop(tmp_path):
    body = turn([node("NonZero", ["a"], ["at"]), node("Transpose", ["at"], ["pairs"]), node("GatherND", ["a", "pairs"], ["kept"]), constant("two", np.float32(2)),
                 node("Sub", ["kept", "two"], ["less"]), node("Relu", ["less"], ["next"]), node("Size", ["next"], ["size"])], [("a", FLOAT)],
                [("next", FLOAT), ("size", INT64)])
    model = model_of([node("Loop", ["count", "", "x"], ["last", "sizes"], body=body)], [("x", FLOAT, ["n"]), ("count", INT64, [])],
                     [("last", FLOAT, None), ("sizes", INT64, None)])
    check(tmp_path, model, *({"x": sparse(n), "count": np.array(count)} for n in (50, 3) for count in (1, 3, 5)), threads=BOTH)


def test_strings(tmp_path):
    model = model_of([node("Compress", ["x", "c"], ["y"], axis=1)], [("x", STRING, ["n", "m"]), ("c", BOOL, ["k"])], [("y", STRING, None)])
    feeds = [{"x": np.array([["a", "", "ccc"], ["d", "ee", "f"]]), "c": np.array(c)} for c in ([True, False, True], [False, True], [False] * 3)]
    check(tmp_path, model, *feeds, want=lambda _, feed: {"y": np.compress(feed["c"], feed["x"], axis=1)})


def test_different_numbers_with_nan(tmp_path):
    """NaN equals NaN and comes last, as in NumPy; ONNX Runtime leaves this open."""
    nodes = [node("Unique", ["x"], ["y", "first", "which", "count"])]
    model = model_of(nodes, [("x", FLOAT, ["n"])], [("y", FLOAT, None), *((name, INT64, None) for name in ("first", "which", "count"))])
    x = np.float32([3, np.nan, 1, np.nan, 3, -np.inf])
    want = dict(zip(["y", "first", "which", "count"], np.unique(x, return_index=True, return_inverse=True, return_counts=True)))
    check(tmp_path, model, {"x": x}, want=want, threads=BOTH)


def test_no_boxes(tmp_path):
    inputs = [("b", FLOAT, ["batch", "n", 4]), ("s", FLOAT, ["batch", "c", "n"]), ("most", INT64, [])]
    model = model_of([node("NonMaxSuppression", ["b", "s", "most"], ["y"])], inputs, [("y", INT64, None)])
    feeds = [{"b": f32(batch, n, 4), "s": f32(batch, c, n), "most": np.array(most)} for batch, c, n, most in ((0, 1, 4, 2), (1, 0, 4, 2), (1, 2, 0, 2), (1, 2, 4, -5))]
    check(tmp_path, model, *feeds, want={"y": np.zeros((0, 3), np.int64)})


def test_different_strings(tmp_path):
    nodes = [node("Unique", ["x"], ["y", "first", "which", "count"], name="differ", sorted=0)]
    model = model_of(nodes, [("x", STRING, ["n"])], [("y", STRING, None), *((name, INT64, None) for name in ("first", "which", "count"))])
    want = {"y": np.array(["b", "", "a"]), "first": np.array([0, 1, 4]), "which": np.array([0, 1, 0, 1, 2]), "count": np.array([2, 2, 1])}
    check(tmp_path, model, {"x": np.array(["b", "", "b", "", "a"])}, want=want)
    del model.graph.node[0].attribute[:]
    refuse(tmp_path, model, "'differ'", "sorting strings is not supported")


def test_what_is_refused(tmp_path):
    y = [("y", FLOAT, None)]
    refuse(tmp_path, model_of([node("Compress", ["x", "x"], ["y"], name="pick")], [X], y), "'pick'", "vector of booleans")
    refuse(tmp_path, model_of([node("Compress", ["x", "c"], ["y"], name="pick", axis=2)], [X, ("c", BOOL, ["k"])], y), "'pick'", "axis 2")
    indices = [("y", INT64, None)]
    refuse(tmp_path, model_of([node("NonMaxSuppression", ["x", "x"], ["y"], name="keep")], [X], indices), "'keep'", "expected boxes")
    given = [("b", FLOAT, [1, 6, 4]), ("s", FLOAT, [1, 2, 6]), ("most", INT64, [2]), ("t", FLOAT, [2])]
    for inputs, says in (["b", "s", "most"], "one number"), (["b", "s", "", "t"], "one f32"):
        refuse(tmp_path, model_of([node("NonMaxSuppression", inputs, ["y"], name="keep")], given, indices), "'keep'", says)
