"""Tensors of strings: the operations that move and compare them, and their ways in and out, against ONNX Runtime."""
import numpy as np
import onnx
import pytest
from cases import Case, Family, Weight, bools, f32, i64, ints
from graphs import BOOL, FLOAT, INT64, STRING, check, constant, graph, node, refuse, refuse_call, sequence, turn
from reference import evaluated, expected
from small import model_of

BOTH = (1, 2)  # numbers of threads
WORDS = np.array(["", "a", "b", "größer", "ÄÖÜß", "日本語", "한국어", "🦅", "👩‍🚀 x", "tab\tand\nline", "long " * 30, "a ", " a", "A"])


def text(*shape):
    """Words, most of them several times."""
    return np.asarray(WORDS[ints(*shape, low=0, high=len(WORDS))])


family = Family()
add, both = family.add, family.both
S = lambda *values: Weight(i64(*values))

for shape in (), (0,), (1,), (3, 0, 2), (2, 3), (2, 1, 3, 4):
    add("Identity", text(*shape), name="x".join(map(str, shape)) or "0d")
both("Identity", text(3, 5), name="large")
add("Reshape", text(2, 6), S(3, -1))
add("Reshape", text(2, 12), S(-1, 3, 4), dims=[["n", 12]], also=[[text(5, 12), None], [text(0, 12), None]], name="symbolic")
both("Transpose", text(2, 3, 5), perm=[2, 0, 1])
both("Squeeze", text(1, 3, 1), S(0, 2))
both("Unsqueeze", text(3, 5), S(0, -1))
both("Flatten", text(2, 3, 4), axis=2)
both("Concat", text(2, 3), text(5, 3), axis=0)
add("Concat", text(2, 3), Weight(WORDS[:6].reshape(2, 3)), text(2, 0), axis=-1, name="weight")
both("Gather", text(5, 3), i64(0, -1, 2, 2), axis=0)
both("Gather", text(5, 3), ints(2, 2, low=-3, high=3), axis=1)
both("GatherElements", text(4, 3), ints(2, 3, low=-2, high=2), axis=0)
add("GatherND", text(4, 3, 2), ints(5, 2, low=-2, high=2))
add("GatherND", text(4, 3, 2), ints(5, 2, low=-2, high=2), name="symbolic", dims=[["a", "b", "c"], ["n", 2]])
add("Slice", text(7, 5), i64(1, -1), i64(6, -9), i64(0, 1), i64(2, -1))
both("Slice", text(7, 5), S(1, -1), S(6, -9), S(0, 1), S(2, -1), name="known")
both("Split", text(6, 4), outputs=2, num_outputs=2, opset=18)
add("Split", text(6, 4), S(1, 3), axis=-1, outputs=2, name="sizes")
both("Expand", text(3, 1), S(2, 3, 4))
both("Tile", text(2, 3), S(2, 2))
both("Where", bools(4, 3), text(4, 3), text(3))
both("Where", bools(4, 1), text(1, 3), text(4, 3), name="broadcast")
both("Equal", text(40), text(40), opset=19)
both("Equal", text(6, 5), text(5), opset=19, name="broadcast")
both("Equal", text(6, 1), text(1, 5), opset=19, name="outer")
add("Equal", text(50), Weight(WORDS[1]), opset=19, name="weight")
add("Equal", text(50), Weight(np.array("")), opset=19, name="nothing")
both("ScatterElements", text(4, 3), i64(2, 0, 1).reshape(1, 3), text(1, 3), axis=0)
both("ScatterND", text(4, 3), i64(3, 1).reshape(2, 1), text(2, 3))
for op in "Shape", "Size":
    both(op, text(2, 3))
    add(op, text(0, 3), name="empty")
add("ReverseSequence", text(4, 3), Weight(i64(1, 4, 2)))
add("DepthToSpace", text(1, 4, 2, 3), blocksize=2)


def with_types(case: Case) -> onnx.ModelProto:
    model = case.model()
    kind = {"Equal": BOOL, "Shape": INT64, "Size": INT64}.get(case.op, STRING)
    for output in model.graph.output:
        output.CopyFrom(onnx.helper.make_tensor_value_info(output.name, kind, None))
    return model


@pytest.mark.parametrize("case", family.cases, ids=lambda case: case.name)
def test_op(tmp_path, case):
    # ONNX Runtime 1.32 loses strings in a Gather of rows.
    check(tmp_path, with_types(case), *case.feeds(), threads=BOTH, want=evaluated if case.op == "Gather" else expected)


def strings(name, dims, values):
    return onnx.helper.make_tensor(name, STRING, dims, [value.encode() for value in values])


def test_constants(tmp_path):
    nodes = [node("Constant", [], ["one"], value_string="größer"), node("Constant", [], ["some"], value_strings=["", "日本", "🦅"]),
             node("Constant", [], ["table"], value=strings("t", [2, 2], ["a", "", "b", "a"])), node("Constant", [], ["none"], value=strings("n", [0, 2], [])),
             node("Concat", ["some", "x"], ["all"], axis=0), node("Identity", ["w"], ["kept"])]
    names = ["one", "some", "table", "none", "all", "kept"]
    model = model_of(nodes, [("x", STRING, ["n"])], [(y, STRING, None) for y in names], [("w", WORDS.reshape(2, 7))])
    want = {"one": np.array("größer"), "some": np.array(["", "日本", "🦅"]), "table": np.array([["a", ""], ["b", "a"]]),
            "none": np.empty((0, 2), str), "kept": WORDS.reshape(2, 7)}
    for x in (text(4), text(0)):
        check(tmp_path, model, {"x": x}, want={**want, "all": np.concatenate([want["some"], x])})


def test_a_string_of_the_module_equals_that_of_an_input(tmp_path):
    nodes = [node("Equal", ["x", "w"], ["same"]), node("Where", ["same", "w", "other"], ["y"]), node("Equal", ["x", "x_"], ["twice"])]
    model = model_of(nodes, [("x", STRING, ["n"]), ("x_", STRING, ["n"])], [("same", BOOL, None), ("y", STRING, None), ("twice", BOOL, None)],
                     [("w", np.array(["größer"])), ("other", np.array("🦅 and more"))], opset=19)
    x = np.array(["größer", "grösser", "", "größer ", "new"])
    check(tmp_path, model, {"x": x, "x_": x[::-1].copy()}, {"x": x, "x_": x}, {"x": x[:0], "x_": x[:0]}, threads=BOTH)


def test_outputs_that_are_inputs(tmp_path):
    model = model_of([node("Identity", ["x"], ["y"])], [("x", STRING, ["n", 2]), ("z", STRING, [])], [("y", STRING, None), ("x", STRING, None), ("z", STRING, None)])
    for n in (3, 0):
        given = {"x": text(n, 2), "z": np.array("zero \0 inside 🦅")}
        check(tmp_path, model, given, want={**given, "y": given["x"]})


def test_many_different_strings(tmp_path):
    many = np.array([f"{k} ✓ {k * k:x}" for k in range(10_000)])
    model = model_of([node("Gather", ["x", "order"], ["y"], axis=0), node("Equal", ["x", "y"], ["same"]), node("Gather", ["w", "order"], ["z"])],
                     [("x", STRING, ["n"]), ("order", INT64, ["n"])], [("y", STRING, None), ("same", BOOL, None), ("z", STRING, None)],
                     [("w", many[::-1].copy())], opset=19)
    check(tmp_path, model, {"x": many, "order": np.random.default_rng(1).permutation(len(many))}, threads=BOTH)
    check(tmp_path, model, {"x": many[[7] * 10_000], "order": np.arange(10_000)})


def test_branches(tmp_path):
    then = graph([node("Concat", ["x", "w"], ["t"], axis=0)], [], [("t", STRING)])
    other = graph([node("Identity", ["x"], ["e"])], [], [("e", STRING)])
    model = model_of([node("If", ["c"], ["y"], then_branch=then, else_branch=other)], [("c", BOOL, []), ("x", STRING, ["n"])], [("y", STRING, None)],
                     [("w", WORDS)])
    check(tmp_path, model, *({"c": np.array(c), "x": text(n)} for c in (True, False) for n in (3, 0)), threads=BOTH)


def test_loops(tmp_path):
    body = turn([node("Gather", ["x", "turn"], ["word"]), constant("axis", [0]), node("Unsqueeze", ["word", "axis"], ["row"]),
                 node("Concat", ["a", "row"], ["next"], axis=0)], [("a", STRING)], [("next", STRING), ("word", STRING)])
    model = model_of([node("Loop", ["count", "", "start"], ["last", "words"], body=body)],
                     [("count", INT64, []), ("start", STRING, ["m"]), ("x", STRING, ["n"])], [("last", STRING, None), ("words", STRING, None)])
    check(tmp_path, model, *({"count": np.array(k), "start": text(2), "x": text(9)} for k in (1, 5, 9)), threads=BOTH)


def test_sequences_of_strings(tmp_path):
    nodes = [node("SplitToSequence", ["x", "two"], ["pieces"], axis=0), node("SequenceInsert", ["s", "x", "p"], ["more"]), node("SequenceAt", ["more", "p"], ["e"]),
             node("Equal", ["e", "x"], ["same"]), node("ConcatFromSequence", ["more"], ["all"], axis=0), node("SequenceErase", ["more", "p"], ["less"])]
    model = model_of(nodes, [sequence("s", STRING, ["n"]), ("x", STRING, ["m"]), ("p", INT64, [])],
                     [*(sequence(y, STRING, None) for y in ("pieces", "more", "less")), ("same", BOOL, None), ("all", STRING, None)],
                     [("two", np.array(2))], opset=19)
    check(tmp_path, model, *({"s": s, "x": text(6), "p": np.array(p)} for s in ([text(2), text(0), text(3)], [text(1)]) for p in (0, 1)), threads=BOTH)


@pytest.mark.parametrize("op, operands", [("Add", "xx"), ("MatMul", "xx"), ("Less", "xx"), ("Neg", "x"), ("Relu", "x"), ("ReduceMax", "x"), ("TopK", "xk"),
                                          ("Max", "xx"), ("ArgMax", "x"), ("Softmax", "x"), ("CumSum", "xk")])
def test_operations_that_need_numbers(tmp_path, op, operands):
    outputs = ["y", "i"] if op == "TopK" else ["y"]
    model = model_of([node(op, list(operands), outputs, name="sum_of_words")], [("x", STRING, [3, 3])], [(y, STRING, None) for y in outputs], [("k", i64(1))])
    refuse(tmp_path, model, "sum_of_words", "string")


def test_fill_values_are_numbers(tmp_path):
    fill = node("ConstantOfShape", ["shape"], ["y"], name="fill", value=strings("f", [1], ["🦅"]))
    refuse(tmp_path, model_of([fill], [("shape", INT64, [2])], [("y", STRING, None)]), "fill", "string")


def test_a_string_is_not_a_number(tmp_path):
    model = model_of([node("Identity", ["x"], ["y"]), node("Relu", ["z"], ["r"])], [("x", STRING, ["n"]), ("z", FLOAT, [2])], [("y", STRING, None), ("r", FLOAT, None)])
    refuse_call(tmp_path, model, {"x": np.arange(3), "z": f32(2)}, "'x'", "string", "<i8")
    refuse_call(tmp_path, model, {"x": text(3), "z": np.array(["1", "2"])}, "'z'", "f32", "U")
    refuse_call(tmp_path, model, {"x": text(3, 1), "z": f32(2)}, "'x'")
    mixed = node("Concat", ["x", "z"], ["y"], name="mix", axis=0)
    refuse(tmp_path, model_of([mixed], [("x", STRING, [2]), ("z", INT64, [2])], [("y", STRING, None)]), "mix", "string")
