"""Optional values: whether one holds something is known while the model is imported."""
import numpy as np
import pytest
from cases import f32
from graphs import BOOL, FLOAT, INT64, STRING, check, constant, graph, helper, node, refuse, sequence
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
    given = helper.make_value_info("o", helper.make_optional_type_proto(TENSOR))
    refuse(tmp_path, model_of([node("OptionalGetElement", ["o"], ["y"])], [given], y), "'o'", "an optional value")
    branch = lambda nodes: graph(nodes, [], [("t", FLOAT)])
    either = node("If", ["c"], ["o"], name="either", then_branch=branch([nothing("t")]), else_branch=branch([node("Optional", ["x"], ["t"])]))
    refuse(tmp_path, model_of([either, node("OptionalGetElement", ["o"], ["y"])], [X, ("c", BOOL, [])], y), "'either'", "without a value")
