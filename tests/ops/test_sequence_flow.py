"""Sequences through If, Loop and SequenceMap, against ONNX Runtime."""
import numpy as np
from cases import f32, ints
from graphs import BOOL, FLOAT, INT64, check, constant, graph, node, refuse, sequence, turn, value
from small import model_of

BOTH = (1, 2)  # numbers of threads
RAGGED = [f32(2, 3), f32(5, 3), f32(1, 3), f32(0, 3)]
COUNT, CONDITION, X = ("count", INT64, []), ("c", BOOL, []), ("x", FLOAT, ["n", 3])


def any_list(name):
    return sequence(name, FLOAT, None)


def branches(then, other, inputs, *after, outputs):
    """A model of an If whose result, the sequence `chosen`, goes on to `after`."""
    choose = node("If", ["c"], ["chosen"], then_branch=graph(*then), else_branch=graph(*other), name="choose")
    return model_of([choose, *after], [CONDITION, *inputs], outputs)


def both_ways(*feeds):
    return [{"c": np.array(c), **feed} for c in (True, False) for feed in feeds]


def test_branches_of_different_lengths_and_ranks(tmp_path):
    then = [node("SequenceConstruct", ["x", "x"], ["t"])], [], [any_list("t")]
    other = [node("ReduceSum", ["x"], ["sum"], keepdims=0), node("SequenceConstruct", ["sum", "x", "x"], ["e"])], [], [any_list("e")]
    model = branches(then, other, [X], node("SequenceLength", ["chosen"], ["n"]), outputs=[any_list("chosen"), ("n", INT64, [])])
    check(tmp_path, model, *both_ways({"x": f32(4, 3)}, {"x": f32(1, 3)}), threads=BOTH)


def test_branches_whose_elements_are_computed_with(tmp_path):
    then = [node("SequenceInsert", ["s", "x"], ["t"])], [], [any_list("t")]
    other = [node("Exp", ["x"], ["more"]), node("SequenceConstruct", ["x", "more"], ["e"])], [], [any_list("e")]
    model = branches(then, other, [X, sequence("s", FLOAT, ["m", 3])], constant("last", -1), node("SequenceAt", ["chosen", "last"], ["e0"]),
                     node("Relu", ["e0"], ["y"]), node("ConcatFromSequence", ["chosen"], ["all"], axis=0),
                     outputs=[("y", FLOAT, None), ("all", FLOAT, None)])
    check(tmp_path, model, *both_ways({"x": f32(4, 3), "s": RAGGED}, {"x": f32(4, 3), "s": []}), threads=BOTH)


def test_branches_that_hand_on_an_input_and_an_empty_sequence(tmp_path):
    then = [node("Identity", ["s"], ["t"])], [], [any_list("t")]
    other = [node("SequenceEmpty", [], ["e"])], [], [any_list("e")]
    model = branches(then, other, [any_list("s"), X], node("SequenceInsert", ["chosen", "x"], ["y"]), outputs=[any_list("chosen"), any_list("y")])
    check(tmp_path, model, *both_ways({"x": f32(4, 3), "s": RAGGED}, {"x": f32(4, 3), "s": []}))


def test_a_branch_on_the_length(tmp_path):
    nodes = [node("SequenceLength", ["s"], ["n"]), constant("two", 2), node("Less", ["n", "two"], ["c"]),
             node("If", ["c"], ["y"], then_branch=graph([node("SequenceInsert", ["s", "x"], ["t"])], [], [any_list("t")]),
                  else_branch=graph([node("SequenceErase", ["s"], ["e"])], [], [any_list("e")]))]
    check(tmp_path, model_of(nodes, [any_list("s"), X], [any_list("y")]), *({"s": RAGGED[:k], "x": f32(1, 3)} for k in range(4)))


def test_branches_that_only_choose(tmp_path):
    choose = lambda name, t, e: node("If", ["c"], [name], then_branch=graph([node("Identity", [t], [name + "_t"])], [], [any_list(name + "_t")]),
                                     else_branch=graph([node("Identity", [e], [name + "_e"])], [], [any_list(name + "_e")]))
    nodes = [choose("a", "s", "r"), choose("b", "r", "a"), node("SequenceInsert", ["a", "x"], ["more"]), choose("d", "more", "b"), node("SequenceErase", ["d"], ["y"])]
    model = model_of(nodes, [CONDITION, any_list("s"), any_list("r"), X], [any_list(name) for name in ("a", "b", "d", "more", "y")])
    check(tmp_path, model, *both_ways({"s": RAGGED, "r": RAGGED[:2], "x": f32(1, 3)}), threads=BOTH)


def looped(body, start, inputs, *before, after=(), outputs):
    loop = node("Loop", ["count", "", *start], ["last"], name="turns", body=body)
    return model_of([*before, loop, *after], [COUNT, *inputs], outputs)


def test_loop_that_appends_every_turn(tmp_path):
    body = turn([constant("axis", [0]), constant("one", [1]), node("Unsqueeze", ["turn", "axis"], ["from"]), node("Add", ["from", "one"], ["to"]),
                 node("Slice", ["x", "from", "to"], ["row"]), node("SequenceInsert", ["a", "row"], ["next"])], [any_list("a")], [any_list("next")])
    model = looped(body, ["start"], [X], node("SequenceEmpty", [], ["start"]), after=[node("SequenceLength", ["last"], ["length"])],
                   outputs=[any_list("last"), ("length", INT64, [])])
    check(tmp_path, model, *({"count": np.array(k), "x": f32(9, 3)} for k in (0, 1, 2, 9)), threads=BOTH)


def test_loop_that_appends_what_grows_to_a_start(tmp_path):
    body = turn([node("Slice", ["x", "zero", "size"], ["piece"]), node("SequenceInsert", ["a", "piece", "zero_"], ["next"]),
                 node("Add", ["size", "one"], ["size_next"])],
                [sequence("a", FLOAT, ["m", 3]), value("size", INT64, [1])], [sequence("next", FLOAT, ["m", 3]), value("size_next", INT64, [1])])
    loop = node("Loop", ["count", "", "s", "one"], ["last", "size_last"], body=body)
    nodes = [constant("zero", [0]), constant("zero_", 0), constant("one", [1]), loop, node("ConcatFromSequence", ["last"], ["all"], axis=0)]
    model = model_of(nodes, [COUNT, sequence("s", FLOAT, ["m", 3]), X], [sequence("last", FLOAT, ["m", 3]), ("all", FLOAT, None)])
    check(tmp_path, model, *({"count": np.array(k), "x": f32(6, 3), "s": RAGGED} for k in (0, 1, 6)), {"count": np.array(3), "x": f32(6, 3), "s": []},
          threads=BOTH)


def test_concat_of_what_a_loop_appended(tmp_path):
    body = turn([node("Mul", ["x", "x"], ["square"]), node("SequenceInsert", ["a", "square"], ["next"])],
                [sequence("a", FLOAT, ["n", 3])], [sequence("next", FLOAT, ["n", 3])])
    for new_axis in 0, 1:
        model = looped(body, ["start"], [X], node("SequenceEmpty", [], ["start"]),
                       after=[node("ConcatFromSequence", ["last"], ["y"], axis=0, new_axis=new_axis)], outputs=[("y", FLOAT, None)])
        check(tmp_path, model, *({"count": np.array(k), "x": f32(4, 3)} for k in (1, 5)), threads=BOTH)


def test_loop_that_takes_from_a_sequence(tmp_path):
    body = turn([node("SequenceAt", ["s", "turn"], ["e"]), node("Concat", ["a", "e"], ["next"], axis=0)], [("a", FLOAT)], [("next", FLOAT)])
    nodes = [node("SequenceLength", ["s"], ["count"]), node("Loop", ["count", "", "x"], ["y"], body=body)]
    model = model_of(nodes, [sequence("s", FLOAT, ["m", 3]), X], [("y", FLOAT, None)])
    check(tmp_path, model, *({"s": s, "x": f32(2, 3)} for s in (RAGGED, [], RAGGED[:1] * 12)), threads=BOTH)


def test_loop_that_moves_from_one_sequence_to_another(tmp_path):
    body = turn([node("SequenceAt", ["a", "first"], ["e"]), node("SequenceErase", ["a", "first"], ["a_next"]), node("Neg", ["e"], ["minus"]),
                 node("SequenceInsert", ["b", "minus", "first"], ["b_next"])],
                [sequence("a", FLOAT, ["m", 3]), sequence("b", FLOAT, ["m", 3])], [sequence("a_next", FLOAT, ["m", 3]), sequence("b_next", FLOAT, ["m", 3])])
    nodes = [constant("first", 0), node("SequenceEmpty", [], ["empty"]), node("Loop", ["count", "", "s", "empty"], ["p", "q"], body=body)]
    model = model_of(nodes, [COUNT, sequence("s", FLOAT, ["m", 3])], [sequence("p", FLOAT, ["m", 3]), sequence("q", FLOAT, ["m", 3])])
    check(tmp_path, model, *({"s": RAGGED, "count": np.array(k)} for k in (0, 1, 3, 4)), threads=BOTH)


def test_loop_that_swaps_sequences(tmp_path):
    body = turn([node("Identity", ["b"], ["a_next"]), node("Identity", ["a"], ["b_next"])], [any_list("a"), any_list("b")], [any_list("a_next"), any_list("b_next")])
    nodes = [node("SequenceConstruct", ["x"], ["t"]), node("Loop", ["count", "", "s", "t"], ["p", "q"], body=body)]
    model = model_of(nodes, [COUNT, any_list("s"), X], [any_list("p"), any_list("q")])
    check(tmp_path, model, *({"s": RAGGED, "x": f32(2, 3), "count": np.array(k)} for k in (0, 1, 2)))


def test_loop_with_a_branch_that_appends(tmp_path):
    keep = graph([node("Identity", ["a"], ["kept"])], [], [any_list("kept")])
    append = graph([node("SequenceInsert", ["a", "x"], ["appended"])], [], [any_list("appended")])
    body = turn([constant("two", 2), node("Mod", ["turn", "two"], ["odd"]), node("Cast", ["odd"], ["is_odd"], to=BOOL),
                 node("If", ["is_odd"], ["next"], then_branch=append, else_branch=keep)], [any_list("a")], [any_list("next")])
    model = looped(body, ["s"], [any_list("s"), X], outputs=[any_list("last")])
    check(tmp_path, model, *({"s": RAGGED, "x": f32(2, 3), "count": np.array(k)} for k in (0, 1, 2, 7)))


def test_loop_in_a_loop_that_appends(tmp_path):
    inner = graph([node("SequenceInsert", ["b", "x"], ["b_next"]), node("Identity", ["on"], ["on_next"])],
                  [("i", INT64), ("on", BOOL), any_list("b")], [value("on_next", BOOL, []), any_list("b_next")])
    body = turn([node("Loop", ["turn", "", "a"], ["next"], body=inner)], [any_list("a")], [any_list("next")])
    model = looped(body, ["start"], [X], node("SequenceEmpty", [], ["start"]), outputs=[any_list("last")])
    check(tmp_path, model, *({"x": f32(2, 3), "count": np.array(k)} for k in (0, 1, 5)))


def test_loop_in_a_loop_that_is_imported_again(tmp_path):
    """The sizes of what both loops carry turn out to change, so each body is imported more than once."""
    inner = graph([node("SequenceAt", ["l", "p"], ["e"]), node("Identity", ["on"], ["on_next"]), node("Identity", ["b"], ["b_same"]),
                   node("Identity", ["s"], ["d_next"])],
                  [("i", INT64), ("on", BOOL), any_list("b"), any_list("d"), value("w", FLOAT, [None, 3])],
                  [value("on_next", BOOL, []), any_list("b_same"), any_list("d_next"), value("e", FLOAT, [None, 3])])
    body = turn([node("SequenceConstruct", ["x", "u", "x"], ["l"]), node("Loop", ["count", "", "l", "l", "u"], ["l_last", "d_last", "u_last"], body=inner),
                 node("Identity", ["a"], ["a_same"])], [any_list("a"), value("u", FLOAT, [None, 3])], [any_list("a_same"), value("u_last", FLOAT, [None, 3])])
    nodes = [node("Loop", ["count", "", "s", "x"], ["last", "y"], body=body)]
    model = model_of(nodes, [COUNT, any_list("s"), X, ("p", INT64, [])], [any_list("last"), ("y", FLOAT, None)])
    check(tmp_path, model, *({"s": RAGGED, "x": f32(2, 3), "count": np.array(k), "p": np.array(-1)} for k in (0, 1, 3)))


def test_loop_that_collects_lengths(tmp_path):
    body = turn([node("SequenceInsert", ["a", "x"], ["next"]), node("SequenceLength", ["next"], ["length"])], [any_list("a")],
                [any_list("next"), value("length", INT64, [])])
    model = model_of([node("Loop", ["count", "", "s"], ["last", "lengths"], body=body)], [COUNT, any_list("s"), X], [any_list("last"), ("lengths", INT64, None)])
    check(tmp_path, model, *({"s": RAGGED, "x": f32(2, 3), "count": np.array(k)} for k in (1, 4)))


def test_a_sequence_of_another_type_is_refused(tmp_path):
    body = turn([node("SequenceEmpty", [], ["next"], dtype=INT64)], [any_list("a")], [sequence("next", INT64, None)])
    refuse(tmp_path, looped(body, ["s"], [any_list("s")], outputs=[any_list("last")]), "turns", "type")


ROWS, OTHERS = sequence("s", FLOAT, ["n", 3]), sequence("t", FLOAT, ["n", 3])


def mapped(tmp_path, body, operands, inputs, results, feeds, after=(), more=()):
    model = model_of([node("SequenceMap", operands, [y.name for y in results], name="map", body=body), *after], inputs, [*results, *more])
    check(tmp_path, model, *feeds, threads=BOTH)


def test_map_with_a_tensor(tmp_path):
    body = graph([node("Add", ["a", "b"], ["sum"])], [("a", FLOAT), ("b", FLOAT)], [("sum", FLOAT)])
    mapped(tmp_path, body, ["s", "x"], [ROWS, ("x", FLOAT, [3])], [any_list("y")], [{"s": s, "x": f32(3)} for s in (RAGGED, RAGGED[:1], [])])


def test_map_over_two_sequences(tmp_path):
    body = graph([node("Mul", ["a", "b"], ["product"]), node("Concat", ["a", "b"], ["both"], axis=0)], [("a", FLOAT), ("b", FLOAT)],
                 [("product", FLOAT), ("both", FLOAT)])
    twins = [f32(*element.shape) for element in RAGGED]
    mapped(tmp_path, body, ["s", "t"], [ROWS, OTHERS], [any_list("y"), any_list("z")], [{"s": RAGGED, "t": twins}, {"s": [], "t": []}])


def test_map_that_extracts_shapes(tmp_path):
    body = graph([node("Shape", ["a"], ["shape"])], [("a", FLOAT)], [("shape", INT64)])
    mapped(tmp_path, body, ["s"], [sequence("s", FLOAT, ["h", "w", "c"])], [sequence("y", INT64, None)],
           [{"s": [f32(2, 3, 4), f32(5, 0, 1), f32(1, 1, 1)]}, {"s": []}], after=[node("SequenceLength", ["y"], ["n"])], more=[("n", INT64, [])])


def test_map_that_uses_what_stands_outside(tmp_path):
    body = graph([node("MatMul", ["a", "w"], ["m"]), node("Add", ["m", "x"], ["sum"])], [("a", FLOAT)], [("sum", FLOAT)])
    model = model_of([node("SequenceMap", ["s"], ["y"], body=body)], [ROWS, ("x", FLOAT, [4])], [any_list("y")], [("w", f32(3, 4))])
    check(tmp_path, model, {"s": RAGGED, "x": f32(4)}, {"s": [], "x": f32(4)}, threads=BOTH)


def test_map_over_a_sequence_of_known_length(tmp_path):
    body = graph([node("ReduceSum", ["a"], ["sum"], keepdims=0)], [("a", INT64)], [("sum", INT64)])
    nodes = [node("SequenceConstruct", ["p", "q", "p"], ["s"]), node("SequenceMap", ["s"], ["sums"], body=body),
             node("ConcatFromSequence", ["sums"], ["y"], axis=0, new_axis=1)]
    model = model_of(nodes, [("p", INT64, ["n"]), ("q", INT64, ["m", 2])], [sequence("sums", INT64, None), ("y", INT64, None)])
    check(tmp_path, model, {"p": ints(5), "q": ints(1, 2)}, {"p": ints(0), "q": ints(4, 2)})
