"""Sequences: known and unknown lengths, positions, ranks and sizes, as inputs and outputs, against ONNX Runtime."""
import numpy as np
import pytest
from cases import bools, f16, f32, f64, i64, ints
from graphs import BOOL, DOUBLE, FLOAT, FLOAT16, INT64, STRING, check, constant, node, refuse, refuse_call, sequence
from onnx import TensorProto
from small import model_of

BOTH = (1, 2)  # numbers of threads
ANY, ROWS = sequence("s", FLOAT, None), sequence("s", FLOAT, ["n", 3])
POSITION = ("p", INT64, [])
RAGGED = [f32(2, 3), f32(5, 3), f32(1, 3), f32(0, 3)]
MIXED = [f32(2, 3), f32(), f32(4), f32(2, 0, 3), f32(1, 2, 3, 4, 5)]
EXAMPLES = {FLOAT: f32, DOUBLE: f64, FLOAT16: f16, INT64: ints, BOOL: bools,
            TensorProto.INT8: lambda *shape: ints(*shape, dtype=np.int8),
            STRING: lambda *shape: ints(*shape).astype(str)}


def i(number):
    return np.array(number)


def name(kind):
    return TensorProto.DataType.Name(kind)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_construct(tmp_path, count):
    inputs = [f"x{k}" for k in range(count)]
    model = model_of(
        [node("SequenceConstruct", inputs, ["y"])], [(x, FLOAT, ["n", "m", 3][k % 3:]) for k, x in enumerate(inputs)],
        [sequence("y", FLOAT, None)])
    check(tmp_path, model, *({x: f32(*[n, m, 3][k % 3:]) for k, x in enumerate(inputs)} for n, m in ((2, 4), (1, 0))), threads=BOTH)


@pytest.mark.parametrize("kind", EXAMPLES, ids=name)
def test_every_operation_takes_this_type(tmp_path, kind):
    nodes = [node("Identity", ["s"], ["same"]), node("SequenceInsert", ["s", "x", "p"], ["more"]), node("SequenceErase", ["more"], ["less"]),
             node("SequenceLength", ["more"], ["length"]), node("SequenceAt", ["more", "p"], ["element"]),
             node("SequenceConstruct", ["x", "element"], ["pair"]), node("ConcatFromSequence", ["more"], ["all"], axis=0),
             node("SplitToSequence", ["x"], ["rows"], axis=0)]
    model = model_of(nodes, [sequence("s", kind, ["n", 3]), ("x", kind, ["m", 3]), POSITION],
                     [*(sequence(y, kind, None) for y in ("same", "more", "less", "pair", "rows")), ("length", INT64, []),
                      ("element", kind, None), ("all", kind, None)])
    make = EXAMPLES[kind]
    check(tmp_path, model, {"s": [make(2, 3), make(5, 3)], "x": make(4, 3), "p": i(1)},
          {"s": [make(1, 3)], "x": make(2, 3), "p": i(-1)}, threads=BOTH)


def test_empty_sequences_of_every_type(tmp_path):
    kinds = [kind for kind in TensorProto.DataType.values() if 1 <= kind <= 13]
    nodes = [node("SequenceEmpty", [], ["default"]), *(node("SequenceEmpty", [], [name(kind)], dtype=kind) for kind in kinds)]
    outputs = [sequence("default", FLOAT, None), *(sequence(name(kind), kind, None) for kind in kinds)]
    check(tmp_path, model_of(nodes, [], outputs), {}, want={output.name: [] for output in outputs})


def test_an_empty_sequence_that_gets_elements(tmp_path):
    nodes = [node("SequenceEmpty", [], ["empty"]), node("SequenceInsert", ["empty", "x"], ["one"]), node("SequenceInsert", ["one", "z"], ["y"]),
             node("SequenceLength", ["empty"], ["none"]), node("SequenceLength", ["y"], ["two"])]
    model = model_of(nodes, [("x", FLOAT, ["n", 3]), ("z", FLOAT, ["m"])], [sequence("y", FLOAT, None), ("none", INT64, []), ("two", INT64, [])])
    check(tmp_path, model, {"x": f32(2, 3), "z": f32(4)}, {"x": f32(0, 3), "z": f32(1)})


@pytest.mark.parametrize("position", [0, 1, -1, -3])
def test_at_a_known_position(tmp_path, position):
    nodes = [node("SequenceConstruct", ["x", "z", "x"], ["s"]), constant("p", position), node("SequenceAt", ["s", "p"], ["e"]), node("Exp", ["e"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, ["n", 3]), ("z", FLOAT, ["m"])], [("y", FLOAT, None)])
    check(tmp_path, model, {"x": f32(2, 3), "z": f32(4)})


@pytest.mark.parametrize("kind", [INT64, TensorProto.INT32], ids=name)
def test_at_a_position_that_is_an_input(tmp_path, kind):
    nodes = [node("SequenceConstruct", ["x", "z", "w"], ["s"]), node("SequenceAt", ["s", "p"], ["e"]), node("Exp", ["e"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, ["n", 3]), ("z", FLOAT, ["m", 3]), ("p", kind, [])], [("y", FLOAT, None)], [("w", f32(4, 3))])
    dtype = np.int64 if kind == INT64 else np.int32
    check(tmp_path, model, *({"x": f32(2, 3), "z": f32(1, 3), "p": np.array(p, dtype)} for p in (0, 1, 2, -1, -3)), threads=BOTH)


def test_at_of_an_input(tmp_path):
    nodes = [node("SequenceAt", ["s", "p"], ["e"]), node("Exp", ["e"], ["y"]), node("Shape", ["e"], ["shape"])]
    model = model_of(nodes, [ROWS, POSITION], [("y", FLOAT, None), ("shape", INT64, None), ("e", FLOAT, None)])
    check(tmp_path, model, *({"s": RAGGED, "p": i(p)} for p in (0, 1, 3, -1, -4)), {"s": [f32(7, 3)], "p": i(0)}, threads=BOTH)


def test_positions_out_of_range(tmp_path):
    at = lambda *nodes, inputs: model_of([*nodes, node("SequenceAt", ["s", "p"], ["y"], name="pick")], inputs, [("y", FLOAT, None)])
    construct = node("SequenceConstruct", ["x", "x"], ["s"])
    for position in 2, -3:
        refuse(tmp_path, at(construct, constant("p", position), inputs=[("x", FLOAT, [3])]), "pick", "2 elements")
        refuse_call(tmp_path, at(construct, inputs=[("x", FLOAT, [3]), POSITION]), {"x": f32(3), "p": i(position)}, "pick")
        refuse_call(tmp_path, at(inputs=[ROWS, POSITION]), {"s": RAGGED[:2], "p": i(position)}, "pick")
    refuse_call(tmp_path, at(inputs=[ROWS, POSITION]), {"s": [], "p": i(0)}, "pick")
    for op, operands, outside in ("SequenceErase", ["s", "p"], (2, -3)), ("SequenceInsert", ["s", "x", "p"], (3, -3)):
        for position in outside:
            model = model_of([node(op, operands, ["y"], name="change")], [ROWS, ("x", FLOAT, ["m", 3]), POSITION], [sequence("y", FLOAT, None)])
            refuse_call(tmp_path, model, {"s": RAGGED[:2], "x": f32(2, 3), "p": i(position)}, "change")


@pytest.mark.parametrize("declared", [ANY, ROWS], ids=["any_rank", "rows"])
def test_insert_erase_and_length(tmp_path, declared):
    nodes = [constant("first", 0), constant("second", 1), constant("last_but_one", -1), node("SequenceInsert", ["s", "x"], ["back"]),
             node("SequenceInsert", ["s", "x", "first"], ["front"]), node("SequenceInsert", ["back", "x", "second"], ["middle"]),
             node("SequenceInsert", ["s", "x", "last_but_one"], ["near_end"]), node("SequenceInsert", ["s", "x", "p"], ["there"]),
             node("SequenceErase", ["s"], ["no_last"]), node("SequenceErase", ["s", "first"], ["no_first"]),
             node("SequenceErase", ["s", "last_but_one"], ["no_negative"]), node("SequenceErase", ["s", "p"], ["not_there"]),
             node("SequenceLength", ["middle"], ["length"]), node("SequenceLength", ["s"], ["before"])]
    lists = ["back", "front", "middle", "near_end", "there", "no_last", "no_first", "no_negative", "not_there"]
    model = model_of(nodes, [declared, ("x", FLOAT, ["m", 3]), POSITION],
                     [*(sequence(y, FLOAT, None) for y in lists), ("length", INT64, []), ("before", INT64, [])])
    given = [RAGGED, [f32(1, 3)] * 2, [f32(0, 3)], *([MIXED] if declared is ANY else [])]
    check(tmp_path, model, *({"s": s, "x": f32(2, 3), "p": i(p)} for s in given for p in (0, -1)), {"s": RAGGED, "x": f32(0, 3), "p": i(2)},
          threads=BOTH)


@pytest.mark.parametrize("op", ["SequenceInsert", "SequenceErase"])
def test_changes_of_known_sequences_at_a_position_that_is_an_input(tmp_path, op):
    operands = ["s", "x", "p"] if op == "SequenceInsert" else ["s", "p"]
    model = model_of([node("SequenceConstruct", ["x", "z", "z"], ["s"]), node(op, operands, ["y"]), node("SequenceLength", ["y"], ["n"])],
                     [("x", FLOAT, ["k", 3]), ("z", FLOAT, ["m", 3]), POSITION], [sequence("y", FLOAT, None), ("n", INT64, [])])
    check(tmp_path, model, *({"x": f32(2, 3), "z": f32(1, 3), "p": i(p)} for p in (0, 1, 2, -1, -3)))


SPLITS = {"each": {}, "each_of_axis_1": {"axis": 1}, "negative_axis": {"axis": -1}, "without_the_axis": {"keepdims": 0, "axis": 1}}


@pytest.mark.parametrize("case", SPLITS)
@pytest.mark.parametrize("dims", [[4, 3, 2], ["a", "b", "c"]], ids=["static", "symbolic"])
def test_split_into_ones(tmp_path, case, dims):
    model = model_of([node("SplitToSequence", ["x"], ["y"], **SPLITS[case]), node("SequenceLength", ["y"], ["n"])], [("x", FLOAT, dims)],
                     [sequence("y", FLOAT, None), ("n", INT64, [])])
    check(tmp_path, model, {"x": f32(4, 3, 2)}, *([{"x": f32(2, 5, 1)}, {"x": f32(1, 1, 7)}] if dims[0] == "a" else []), threads=BOTH)


@pytest.mark.parametrize("split", [2, 3, 7, 9, [7], [2, 5], [0, 3, 4], [1] * 7], ids=str)
@pytest.mark.parametrize("known", [True, False], ids=["known", "given"])
@pytest.mark.parametrize("dims", [[7, 3], ["n", 3]], ids=["static", "symbolic"])
def test_split_by_sizes(tmp_path, split, known, dims):
    given = [] if known else [("split", INT64, list(np.shape(split)))]
    model = model_of([node("SplitToSequence", ["x", "split"], ["y"], axis=0), node("SequenceLength", ["y"], ["n"])], [("x", FLOAT, dims), *given],
                     [sequence("y", FLOAT, None), ("n", INT64, [])], [("split", i(split))] if known else [])
    sizes = [7] if np.ndim(split) or dims[0] == 7 else [7, 4, 1]
    check(tmp_path, model, *({"x": f32(n, 3), **({} if known else {"split": i(split)})} for n in sizes))


def test_splits_that_do_not_fit(tmp_path):
    cut = lambda split: model_of([node("SplitToSequence", ["x", "split"], ["y"], name="cut")],
                                 [("x", FLOAT, [7, 3]), *([("split", INT64, [2])] if split is None else [])],
                                 [sequence("y", FLOAT, None)], [] if split is None else [("split", i(split))])
    refuse(tmp_path, cut([3, 3]), "cut", "6", "7")
    refuse(tmp_path, cut([9, -2]), "cut", "-2")
    refuse(tmp_path, cut(0), "cut", "0")
    refuse_call(tmp_path, cut(None), {"x": f32(7, 3), "split": i64(3, 3)}, "cut")
    refuse_call(tmp_path, cut(None), {"x": f32(7, 3), "split": i64(9, -2)}, "cut")
    for split in (3, 3), (9, -2), (7, 1), ():
        refuse_call(tmp_path, parts([7, 3], 0), {"x": f32(7, 3), "split": i64(*split)}, "parts")


def parts(dims, axis):
    """Splits into as many parts as there are sizes at run time."""
    return model_of([node("SplitToSequence", ["x", "split"], ["y"], name="parts", axis=axis)],
                    [("x", FLOAT, dims), ("split", INT64, ["k"])], [sequence("y", FLOAT, None)])


@pytest.mark.parametrize("dims, axis", [([7, 3], 0), (["n", 3], 0), ([3, "n"], -1), ([2, "n", 3], 1)])
def test_any_number_of_parts(tmp_path, dims, axis):
    shape = [7 if d == "n" else d for d in dims]
    check(tmp_path, parts(dims, axis), *({"x": f32(*shape), "split": i64(*split)}
                                         for split in ((7,), (2, 5), (0, 3, 4), (1,) * 7)), threads=BOTH)


def test_pieces_are_put_together_again(tmp_path):
    nodes = [node("SplitToSequence", ["x", "split"], ["s"], axis=1), node("ConcatFromSequence", ["s"], ["same"], axis=1),
             node("SequenceErase", ["s", "p"], ["less"]), node("ConcatFromSequence", ["less"], ["y"], axis=-1)]
    model = model_of(nodes, [("x", FLOAT, ["n", "m"]), ("split", INT64, [3]), POSITION], [("same", FLOAT, None), ("y", FLOAT, None)])
    check(tmp_path, model, *({"x": f32(3, 7), "split": i64(2, 4, 1), "p": i(p)} for p in (0, 1, -1)))


@pytest.mark.parametrize("axis, new_axis", [(0, 0), (1, 0), (-1, 0), (-2, 0), (0, 1), (1, 1), (2, 1), (-1, 1)])
def test_concat(tmp_path, axis, new_axis):
    known = model_of([node("SequenceConstruct", ["x", "x", "z"], ["s"]), node("ConcatFromSequence", ["s"], ["y"], axis=axis, new_axis=new_axis)],
                     [("x", FLOAT, ["n", 3]), ("z", FLOAT, ["n", 3])], [("y", FLOAT, None)])
    check(tmp_path, known, *({"x": f32(n, 3), "z": f32(n, 3)} for n in (2, 1)))
    given = model_of([node("ConcatFromSequence", ["s"], ["c"], axis=axis, new_axis=new_axis), node("Exp", ["c"], ["y"])],
                     [sequence("s", FLOAT, ["n", "m"])], [("y", FLOAT, None)])
    check(tmp_path, given, *({"s": [f32(2, 3) for _ in range(count)]} for count in (1, 2, 5)), threads=BOTH)


def test_concat_of_different_sizes(tmp_path):
    model = model_of([node("ConcatFromSequence", ["s"], ["y"], axis=0)], [ROWS], [("y", FLOAT, None)])
    check(tmp_path, model, {"s": RAGGED}, {"s": [f32(0, 3)]}, {"s": [f32(k, 3) for k in range(40)]}, threads=BOTH)
    model = model_of([node("ConcatFromSequence", ["s"], ["y"], axis=1, name="join")], [sequence("s", FLOAT, ["a", "b"])], [("y", FLOAT, None)])
    check(tmp_path, model, {"s": [f32(2, 3), f32(2, 0), f32(2, 5)]})
    refuse_call(tmp_path, model, {"s": [f32(2, 3), f32(3, 3)]}, "join")
    refuse_call(tmp_path, model, {"s": []}, "join")


def test_an_input_that_goes_through(tmp_path):
    nodes = [node("Identity", ["s"], ["a"]), node("Identity", ["a"], ["b"]), node("SequenceLength", ["s"], ["n"])]
    model = model_of(nodes, [ANY], [sequence("a", FLOAT, None), sequence("b", FLOAT, None), ("n", INT64, [])])
    check(tmp_path, model, {"s": MIXED}, {"s": []}, {"s": RAGGED}, {"s": MIXED[:1]}, {"s": [f32(0), f32(0, 4)]}, threads=BOTH)


def test_one_element_in_many_places(tmp_path):
    nodes = [node("SequenceAt", ["s", "p"], ["e"]), node("Exp", ["e"], ["changed"]), node("SequenceInsert", ["s", "e"], ["twice"]),
             node("SequenceInsert", ["twice", "changed", "p"], ["y"]), node("SequenceConstruct", ["e", "changed", "e"], ["three"])]
    model = model_of(nodes, [ROWS, POSITION], [sequence(y, FLOAT, None) for y in ("twice", "y", "three")] + [("e", FLOAT, None)])
    check(tmp_path, model, *({"s": RAGGED, "p": i(p)} for p in (0, 3, -2)), threads=BOTH)


def test_elements_that_are_computed_and_weights(tmp_path):
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("SequenceConstruct", ["m", "w"], ["s"]), node("SequenceInsert", ["s", "m", "p"], ["t"]),
             node("SequenceAt", ["t", "p"], ["e"]), node("Relu", ["e"], ["y"]), node("SequenceInsert", ["t", "y"], ["u"])]
    model = model_of(nodes, [("x", FLOAT, ["n", 3]), POSITION], [("y", FLOAT, None), sequence("u", FLOAT, None)], [("w", f32(3, 4))])
    check(tmp_path, model, *({"x": f32(n, 3), "p": i(p)} for n in (1, 6) for p in (0, 1, 2)), threads=BOTH)


def test_an_unknown_rank_that_is_needed(tmp_path):
    nodes = [node("SequenceAt", ["s", "p"], ["e"], name="pick"), node("Softmax", ["e"], ["y"], name="use", axis=-1)]
    refuse(tmp_path, model_of(nodes, [ANY, POSITION], [("y", FLOAT, None)]), "pick", "rank")
    nodes = [node("ConcatFromSequence", ["s"], ["y"], name="join", axis=0)]
    refuse(tmp_path, model_of(nodes, [ANY], [("y", FLOAT, None)]), "join", "rank")


def test_inputs_that_do_not_fit(tmp_path):
    model = model_of([node("Identity", ["s"], ["y"]), node("Relu", ["x"], ["z"])], [ROWS, ("x", FLOAT, [2])], [sequence("y", FLOAT, None), ("z", FLOAT, [2])])
    x = f32(2)
    bad = [({"s": [f32(2, 3), f64(2, 3)]}, ["s.1", "<f8"]), ({"s": [f32(3)]}, ["s.0"]), ({"s": [f32(2, 3), f32(2, 4)]}, ["s.1", "2x4"]),
           ({"s.len": i(2), "s.0": f32(2, 3)}, ["s.1"]), ({"s.len": i(-1)}, ["s", "-1"]), ({"s": f32(2, 3)}, ["s", "sequence"]), ({}, ["s"])]
    for arrays, says in bad:
        refuse_call(tmp_path, model, {**arrays, "x": x}, *says)
    refuse_call(tmp_path, model, {"s": RAGGED, "x": [x]}, "x")


def test_models_that_do_not_fit(tmp_path):
    inputs = [ROWS, ("x", FLOAT, [2, 3]), ("k", INT64, [2])]
    for broken in node("Relu", ["s"], ["y"], name="broken"), node("SequenceLength", ["x"], ["y"], name="broken"), \
            node("SequenceConstruct", ["x", "k"], ["y"], name="broken"), node("SequenceInsert", ["s", "k"], ["y"], name="broken"), \
            node("Concat", ["x", "s"], ["y"], name="broken", axis=0):
        refuse(tmp_path, model_of([broken], inputs, [("y", FLOAT, None)]), "broken")
