"""Optional values: whether one holds something is known while the model is imported, or only in a call."""
import json

import numpy as np
import pytest
from cases import f32
from command import call, fail, save_npz, succeed
from graphs import BOOL, FLOAT, INT64, STRING, check, constant, graph, helper, node, refuse, refuse_call, sequence, turn
from small import model_of

TENSOR = helper.make_tensor_type_proto(FLOAT, None)
SEQUENCE = helper.make_sequence_type_proto(TENSOR)
X = ("x", FLOAT, ["n", 3])
OPSETS = (15, 18, 28)


def nothing(name, kind=TENSOR):
    return node("Optional", [], [name], type=kind)


@pytest.mark.parametrize("opset", OPSETS)
def test_a_tensor(tmp_path, opset):
    nodes = [node("Optional", ["x"], ["o"]), node("Identity", ["o"], ["same"]), node("OptionalHasElement", ["same"], ["has"]),
             node("OptionalGetElement", ["same"], ["e"]), node("Exp", ["e"], ["y"])]
    model = model_of(nodes, [X], [("y", FLOAT, None), ("has", BOOL, [])], opset=opset)
    check(tmp_path, model, *({"x": f32(n, 3)} for n in (2, 0)), want=lambda _, feed: {"y": np.exp(feed["x"]), "has": np.array(True)})


@pytest.mark.parametrize("opset", OPSETS)
def test_a_sequence(tmp_path, opset):
    nodes = [node("SequenceConstruct", ["x", "x"], ["pair"]), node("Optional", ["pair"], ["o"], type=SEQUENCE),
             node("OptionalGetElement", ["o"], ["s"]), node("SequenceLength", ["s"], ["length"]), node("OptionalHasElement", ["o"], ["has"])]
    model = model_of(nodes, [X], [sequence("s", FLOAT, None), ("length", INT64, []), ("has", BOOL, [])], opset=opset)
    feed = {"x": f32(2, 3)}
    check(tmp_path, model, feed, want={"s": [feed["x"]] * 2, "length": np.array(2), "has": np.array(True)})


@pytest.mark.parametrize("kind", [TENSOR, SEQUENCE, helper.make_tensor_type_proto(STRING, ["n"])], ids=["tensor", "sequence", "strings"])
def test_nothing(tmp_path, kind):
    nodes = [nothing("o", kind), node("Identity", ["o"], ["same"]), node("OptionalHasElement", ["same"], ["has"])]
    check(tmp_path, model_of(nodes, [], [("has", BOOL, [])]), {}, want={"has": np.array(False)})


@pytest.mark.parametrize("inputs", [[], [""]], ids=["no_input", "no_name"])
def test_an_input_that_is_left_out(tmp_path, inputs):
    model = model_of([node("OptionalHasElement", inputs, ["has"])], [], [("has", BOOL, [])], opset=18)
    check(tmp_path, model, {}, want={"has": np.array(False)})


def test_tensors_and_sequences_as_they_are(tmp_path):
    nodes = [node("OptionalHasElement", ["x"], ["tensor"]), node("OptionalHasElement", ["s"], ["list"]),
             node("OptionalGetElement", ["x"], ["y"]), node("OptionalGetElement", ["s"], ["t"])]
    outputs = [("tensor", BOOL, []), ("list", BOOL, []), ("y", FLOAT, None), sequence("t", FLOAT, None)]
    feed = {"x": f32(2, 3), "s": [f32(1), f32(4)]}
    model = model_of(nodes, [X, sequence("s", FLOAT, ["m"])], outputs, opset=18)
    check(tmp_path, model, feed, want={"tensor": np.array(True), "list": np.array(True), "y": feed["x"], "t": feed["s"]})


@pytest.mark.parametrize("holds", [True, False])
def test_a_branch_by_whether_there_is_one(tmp_path, holds):
    then = graph([node("OptionalGetElement", ["o"], ["e"]), node("Neg", ["e"], ["t"])], [], [("t", FLOAT)])
    other = graph([node("Exp", ["x"], ["e"])], [], [("e", FLOAT)])
    nodes = [node("Optional", ["x"], ["o"]) if holds else nothing("o"), node("OptionalHasElement", ["o"], ["has"]),
             node("If", ["has"], ["y"], then_branch=then, else_branch=other)]
    x = f32(2, 3)
    check(tmp_path, model_of(nodes, [X], [("y", FLOAT, None)]), {"x": x}, want={"y": -x if holds else np.exp(x)})


def test_a_function_takes_one(tmp_path):
    body = [node("OptionalHasElement", ["o"], ["has"]), node("OptionalGetElement", ["p"], ["y"])]
    function = helper.make_function("house", "both", ["o", "p"], ["has", "y"], body, [helper.make_opsetid("", 18)])
    nodes = [nothing("o"), node("Optional", ["x"], ["p"]), node("both", ["o", "p"], ["has", "y"], domain="house")]
    model = model_of(nodes, [X], [("has", BOOL, []), ("y", FLOAT, None)], opset=18, functions=[function], domains=["house"])
    feed = {"x": f32(2, 3)}
    check(tmp_path, model, feed, want={"has": np.array(False), "y": feed["x"]})


def test_what_is_refused(tmp_path):
    y = [("y", FLOAT, None)]
    refuse(tmp_path, model_of([nothing("o"), node("OptionalGetElement", ["o"], ["y"], name="take")], [], y), "'take'", "holds nothing")
    refuse(tmp_path, model_of([nothing("o"), node("Exp", ["o"], ["y"], name="power")], [], y), "'power'", "input 0", "holds nothing")
    refuse(tmp_path, model_of([nothing("y")], [], y), "'y'", "no value")
    refuse(tmp_path, model_of([node("Optional", [], ["y"], name="none")], [], y), "'none'", "type")
    refuse(tmp_path, model_of([node("OptionalGetElement", [], ["y"], name="take")], [], y, opset=18), "'take'", "missing")
    twice = [node("Optional", ["x"], ["o"]), nothing("p"), node("Optional", ["p"], ["q"], name="again"), node("OptionalGetElement", ["q"], ["y"])]
    refuse(tmp_path, model_of(twice, [X], y), "'again'", "already")
    refuse(tmp_path, model_of([node("Optional", ["x", "x"], ["y"], name="two")], [X], y), "'two'", "at most 1")
    opaque = helper.make_value_info("o", helper.make_optional_type_proto(helper.make_map_type_proto(INT64, TENSOR)))
    refuse(tmp_path, model_of([node("OptionalGetElement", ["o"], ["y"])], [opaque], y), "'o'", "an optional value")
    refuse(tmp_path, model_of([node("Exp", ["o"], ["y"], name="power")], [given("o", TENSOR)], y), "'power'", "input 0 is optional f32", "OptionalGetElement")
    branch = lambda nodes: graph(nodes, [], [("t", FLOAT)])
    either = node("If", ["c"], ["p"], name="either", then_branch=branch([node("SequenceConstruct", ["x"], ["t"])]),
                  else_branch=branch([node("Identity", ["o"], ["t"])]))
    refuse(tmp_path, model_of([either], [X, ("c", BOOL, []), given("o", TENSOR)], [("p", FLOAT, None)]), "'either'", "the types must be equal")
    again = node("Optional", ["o"], ["p"], name="again")
    refuse(tmp_path, model_of([again], [given("o", TENSOR)], [given("p", TENSOR)]), "'again'", "already")
    unshaped = node("OptionalGetElement", ["o"], ["y"], name="take")
    refuse(tmp_path, model_of([unshaped], [given("o", TENSOR)], y), "rank")


# ---- values of which only a call knows whether they are there

def given(name, kind):
    return helper.make_value_info(name, helper.make_optional_type_proto(kind))


SHAPED = helper.make_tensor_type_proto(FLOAT, ["n", 3])
STRINGS = helper.make_tensor_type_proto(STRING, ["n"])


@pytest.mark.parametrize("opset", OPSETS)
def test_an_optional_tensor_as_an_input(tmp_path, opset):
    then = graph([node("OptionalGetElement", ["o"], ["e"]), node("Add", ["e", "x"], ["t"])], [], [("t", FLOAT)])
    other = graph([node("Identity", ["x"], ["e"])], [], [("e", FLOAT)])
    nodes = [node("OptionalHasElement", ["o"], ["has"]), node("If", ["has"], ["y"], then_branch=then, else_branch=other)]
    model = model_of(nodes, [X, given("o", SHAPED)], [("y", FLOAT, None), ("has", BOOL, [])], opset=opset)
    x, o = f32(2, 3), f32(2, 3)
    check(tmp_path, model, {"x": x}, {"x": x, "o": o},
          want=lambda _, feed: {"y": x + feed.get("o", np.zeros_like(x)), "has": np.array("o" in feed)})
    refuse_call(tmp_path, model, {"x": x, "o": f32(2, 4)}, "'o'", "optional ?x3xf32")


def test_an_optional_tensor_through_and_through(tmp_path):
    for kind, value in ((SHAPED, f32(4, 3)), (TENSOR, f32(2)), (STRINGS, np.array(["", "ab"]))):
        model = model_of([node("Identity", ["o"], ["p"])], [given("o", kind)], [given("p", kind)], opset=18)
        check(tmp_path, model, {}, {"o": value}, want=lambda _, feed: {"p": feed["o"]} if feed else {})


@pytest.mark.parametrize("kind", [SHAPED, STRINGS], ids=["floats", "strings"])
def test_an_optional_sequence_as_an_input(tmp_path, kind):
    make = (lambda n: f32(n, 3)) if kind is SHAPED else (lambda n: np.array(["a"] * n, dtype="U1"))
    sequences = helper.make_sequence_type_proto(kind)
    element = kind.tensor_type.elem_type
    then = graph([node("OptionalGetElement", ["o"], ["t"])], [], [sequence("t", element, None)])
    other = graph([node("SequenceEmpty", [], ["e"], dtype=element)], [], [sequence("e", element, None)])
    nodes = [node("OptionalHasElement", ["o"], ["has"]), node("If", ["has"], ["s"], then_branch=then, else_branch=other),
             node("SequenceLength", ["s"], ["length"]), node("Identity", ["o"], ["p"])]
    outputs = [sequence("s", element, None), ("length", INT64, []), given("p", sequences)]
    model = model_of(nodes, [given("o", sequences)], outputs, opset=18)

    def want(_, feed):
        elements = feed.get("o", [])
        return {"s": elements, "length": np.array(len(elements)), **({"p": elements} if "o" in feed else {})}

    check(tmp_path, model, {}, {"o": []}, {"o": [make(2)]}, {"o": [make(1), make(3), make(2)]}, want=want)


def test_the_element_of_what_is_not_given(tmp_path):
    nodes = [node("OptionalGetElement", ["o"], ["e"], name="take"), node("Exp", ["e"], ["y"])]
    model = model_of(nodes, [given("o", SHAPED)], [("y", FLOAT, None)])
    check(tmp_path, model, {"o": ROWS}, want={"y": np.exp(ROWS)})
    fail("run", tmp_path / "model.eyr", says=("'take'", "holds nothing"))


ROWS = f32(5, 3)


@pytest.mark.parametrize("kept", ["tensor", "sequence"])
def test_a_branch_gives_one_or_nothing(tmp_path, kept):
    kind = SHAPED if kept == "tensor" else helper.make_sequence_type_proto(SHAPED)
    made = [node("Exp", ["x"], ["t"])] if kept == "tensor" else [node("Exp", ["x"], ["e"]), node("SequenceConstruct", ["e", "x"], ["t"])]
    then = helper.make_graph(made, "then", [], [given("t", kind)])
    other = helper.make_graph([nothing("t", kind)], "other", [], [given("t", kind)])
    nodes = [node("If", ["c"], ["o"], then_branch=then, else_branch=other), node("OptionalHasElement", ["o"], ["has"])]
    model = model_of(nodes, [X, ("c", BOOL, [])], [given("o", kind), ("has", BOOL, [])], opset=18)
    value = np.exp(ROWS) if kept == "tensor" else [np.exp(ROWS), ROWS]
    check(tmp_path, model, *({"x": ROWS, "c": np.array(c)} for c in (True, False)),
          want=lambda _, feed: {"has": feed["c"], **({"o": value} if feed["c"] else {})})


def test_a_loop_carries_what_is_nothing_at_first(tmp_path):
    """Each turn adds to what the one before left, if there is something."""
    then = graph([node("OptionalGetElement", ["a"], ["e"]), node("Add", ["e", "x"], ["t"])], [], [("t", FLOAT)])
    other = graph([node("Identity", ["x"], ["e"])], [], [("e", FLOAT)])
    body = turn([node("OptionalHasElement", ["a"], ["has"]), node("If", ["has"], ["next"], then_branch=then, else_branch=other)],
                [("a", FLOAT)], [given("next", SHAPED)])
    nodes = [nothing("o", SHAPED), node("Loop", ["count", "", "o"], ["last"], body=body)]
    model = model_of(nodes, [X, ("count", INT64, [])], [given("last", SHAPED)], opset=18)
    check(tmp_path, model, *({"x": ROWS, "count": np.array(n)} for n in (0, 1, 3)),
          want=lambda _, feed: {"last": ROWS * feed["count"].astype(np.float32)} if feed["count"] else {})
    start = [node("Loop", ["count", "", "o"], ["last"], body=body)]
    model = model_of(start, [X, ("count", INT64, []), given("o", SHAPED)], [given("last", SHAPED)], opset=18)
    check(tmp_path, model, {"x": ROWS, "count": np.array(2), "o": ROWS}, want={"last": ROWS * 3})
    check(tmp_path, model, {"x": ROWS, "count": np.array(2)}, want={"last": ROWS * 2})


def test_a_loop_whose_result_is_declared_as_there(tmp_path):
    body = turn([node("Exp", ["x"], ["next"])], [("a", FLOAT)], [("next", FLOAT)])
    nodes = [node("Loop", ["count", "", "o"], ["last"], name="repeat", body=body)]
    body.output[1].CopyFrom(helper.make_tensor_value_info("next", FLOAT, ["n", 3]))
    model = model_of(nodes, [X, ("count", INT64, []), given("o", SHAPED)], [("last", FLOAT, None)], opset=18)
    check(tmp_path, model, {"x": ROWS, "count": np.array(1)}, want={"last": np.exp(ROWS)})
    np.savez(tmp_path / "none.npz", x=ROWS, count=np.array(0))
    fail("run", tmp_path / "model.eyr", "--input", f"@{tmp_path / 'none.npz'}", says=("'repeat'", "holds nothing"))


def test_on_the_command_line(tmp_path):
    model = model_of([node("Identity", ["o"], ["p"]), node("OptionalHasElement", ["o"], ["has"])], [given("o", SHAPED)],
                     [given("p", SHAPED), ("has", BOOL, [])], opset=18)
    check(tmp_path, model, {}, want={"has": np.array(False)})
    module = tmp_path / "model.eyr"
    described = json.loads(succeed("inspect", module, "--json").out)["functions"][0]
    assert described["inputs"][0]["optional"] and described["outputs"][0]["optional"] and "optional" not in described["outputs"][1]
    assert "p: no value" in succeed("run", module).out
    assert {"name": "p", "type": None} in json.loads(succeed("run", module, "--json").out)["outputs"]
    assert "p: 1x3xf32" in succeed("run", module, "--input", "o=1x3xf32=2").out
    fail("run", module, "--output", f"p=@{tmp_path / 'p.npy'}", says="the optional output 'p' has no value in this call")
    succeed("bench", module, "--min-time", "0.01")
    save_npz(tmp_path / "want.npz", {"has": np.array(False)})
    assert "p: ok" in succeed("run", module, "--expect", f"@{tmp_path / 'want.npz'}").out
    assert "the reference has none" in call("run", module, "--input", "o=1x3xf32=2", "--expect", f"@{tmp_path / 'want.npz'}").out
    save_npz(tmp_path / "want.npz", {"has": np.array(False), "p": f32(1, 3)})
    assert "the reference has one" in call("run", module, "--expect", f"@{tmp_path / 'want.npz'}").out
