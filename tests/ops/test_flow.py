"""Control flow: If, Loop and Scan with tensors that keep, change and collect their sizes, in and around each other."""
import numpy as np
import pytest
from cases import f32
from command import fail, run_module
from graphs import BOOL, FLOAT, INT32, INT64, check, constant, graph, helper, node, refuse, turn
from small import model_of

ROWS = np.abs(f32(5, 3))
LOOP_INPUTS = [("count", INT64, []), ("start", FLOAT, ["n", 3]), ("x", FLOAT, ["m", 3])]


def loop_feeds(*counts, start=ROWS):
    return [{"count": np.array(count), "start": start, "x": ROWS} for count in counts]


def test_branches_of_different_sizes(tmp_path):
    then = graph([constant("a", [0]), constant("b", [2]), node("Slice", ["x", "a", "b"], ["t"])], [], [("t", FLOAT)])
    other = graph([node("Concat", ["x", "x"], ["e"], axis=0)], [], [("e", FLOAT)])
    model = model_of([node("If", ["c"], ["chosen"], then_branch=then, else_branch=other), node("Relu", ["chosen"], ["y"])],
                     [("c", BOOL, []), ("x", FLOAT, ["n", 3])], [("y", FLOAT, None)])
    check(tmp_path, model, *({"c": np.array(c), "x": f32(n, 3)} for c in (True, False) for n in (5, 2)))


def test_branches_that_hand_on_inputs_and_weights(tmp_path):
    then = graph([node("Identity", ["x"], ["t"])], [], [("t", FLOAT)])
    other = graph([node("Identity", ["w"], ["e"])], [], [("e", FLOAT)])
    model = model_of([node("If", ["c"], ["chosen"], then_branch=then, else_branch=other), node("Exp", ["chosen"], ["y"])],
                     [("c", BOOL, []), ("x", FLOAT, ["n", 3])], [("y", FLOAT, None)], [("w", f32(7, 3))])
    check(tmp_path, model, *({"c": np.array(c), "x": f32(4, 3)} for c in (True, False)))


def test_branches_of_different_ranks(tmp_path):
    then = graph([constant("a", [1]), node("Squeeze", ["x", "a"], ["t"])], [], [("t", FLOAT)])
    other = graph([node("Identity", ["x"], ["e"])], [], [("e", FLOAT)])
    nodes = [node("If", ["c"], ["chosen"], then_branch=then, else_branch=other),
             node("ReduceSum", ["chosen"], ["sum"], keepdims=0), node("Mul", ["sum", "sum"], ["y"])]
    model = model_of(nodes, [("c", BOOL, []), ("x", FLOAT, ["n", 1, 3])], [("y", FLOAT, [])])
    check(tmp_path, model, *({"c": np.array(c), "x": np.abs(f32(4, 1, 3))} for c in (True, False)))


def test_branches_of_different_ranks_in_place_of_a_node(tmp_path):
    """In a branch that is surely taken and in a function: what is behind these goes into the branches."""
    then = graph([constant("a", [1]), node("Squeeze", ["x", "a"], ["t"])], [], [("t", FLOAT)])
    other = graph([node("Identity", ["x"], ["e"])], [], [("e", FLOAT)])
    inner = node("If", ["c"], ["chosen"], then_branch=then, else_branch=other)
    taken = graph([inner], [], [("chosen", FLOAT)])
    unused = graph([node("Exp", ["x"], ["chosen"])], [], [("chosen", FLOAT)])
    rest = [node("ReduceSum", ["kept"], ["sum"], keepdims=0), node("Mul", ["sum", "sum"], ["y"])]
    inputs, outputs = [("c", BOOL, []), ("x", FLOAT, ["n", 1, 3])], [("y", FLOAT, [])]
    feeds = [{"c": np.array(c), "x": np.abs(f32(4, 1, 3))} for c in (True, False)]
    surely = [constant("yes", True), node("If", ["yes"], ["kept"], then_branch=taken, else_branch=unused)]
    check(tmp_path, model_of(surely + rest, inputs, outputs), *feeds)
    function = helper.make_function("house", "either", ["c", "x"], ["chosen"], [inner], [helper.make_opsetid("", 17)])
    called = [node("either", ["c", "x"], ["kept"], domain="house")]
    check(tmp_path, model_of(called + rest, inputs, outputs, functions=[function], domains=["house"]), *feeds,
          want=lambda _, feed: {"y": feed["x"].sum(dtype=np.float32) ** 2})


def test_a_branch_that_does_not_fit_fails_only_when_taken(tmp_path):
    then = graph([constant("a", [1]), node("Squeeze", ["x", "a"], ["t"])], [], [("t", FLOAT)])
    other = graph([node("Identity", ["x"], ["e"])], [], [("e", FLOAT)])
    nodes = [node("If", ["c"], ["chosen"], then_branch=then, else_branch=other),
             node("Transpose", ["chosen"], ["y"], name="swap", perm=[1, 0])]
    model = model_of(nodes, [("c", BOOL, []), ("x", FLOAT, ["n", 1, 3])], [("y", FLOAT, None)])
    check(tmp_path, model, {"c": np.array(True), "x": f32(4, 1, 3)})
    np.savez(tmp_path / "other.npz", c=np.array(False), x=f32(4, 1, 3))
    fail("run", tmp_path / "model.eyr", "--input", f"@{tmp_path / 'other.npz'}", says=["swap", "Transpose"])


def test_loop_collects_rows(tmp_path):
    body = turn([node("Add", ["a", "x"], ["next"]), node("Mul", ["next", "next"], ["row"])], [("a", FLOAT)],
                [("next", FLOAT), ("row", FLOAT)])
    model = model_of([node("Loop", ["count", "", "start"], ["last", "rows"], body=body)], LOOP_INPUTS,
                     [("last", FLOAT, None), ("rows", FLOAT, None)])
    check(tmp_path, model, *loop_feeds(4, 1))
    got = run_module(tmp_path / "model.eyr", loop_feeds(0)[0], tmp_path)
    assert len(got["rows"]) == 0 and np.array_equal(got["last"], ROWS)


def test_loop_until_a_condition(tmp_path):
    body = turn([node("Add", ["a", "x"], ["next"]), node("ReduceSum", ["next"], ["sum"], keepdims=0), constant("limit", np.float32(40)),
                 node("Less", ["sum", "limit"], ["small"]), node("Neg", ["next"], ["row"])], [("a", FLOAT)],
                [("next", FLOAT), ("row", FLOAT)], condition="small")
    model = model_of([node("Loop", ["count", "first", "start"], ["last", "rows"], body=body)],
                     [*LOOP_INPUTS, ("first", BOOL, [])], [("last", FLOAT, None), ("rows", FLOAT, None)])
    check(tmp_path, model, *({**feed, "first": np.array(True)} for feed in loop_feeds(100, 2, 1)))
    got = run_module(tmp_path / "model.eyr", {**loop_feeds(7)[0], "first": np.array(False)}, tmp_path)
    assert len(got["rows"]) == 0 and np.array_equal(got["last"], ROWS)


def test_loop_whose_tensor_grows(tmp_path):
    body = turn([node("Concat", ["a", "x"], ["next"], axis=0), constant("one", 1), node("Add", ["k", "one"], ["k_next"])],
                [("a", FLOAT), ("k", INT64)], [("next", FLOAT), ("k_next", INT64)])
    model = model_of([node("Loop", ["count", "", "start", "five"], ["last", "k_last"], body=body)], LOOP_INPUTS,
                     [("last", FLOAT, None), ("k_last", INT64, [])], [("five", np.array(5))])
    check(tmp_path, model, *loop_feeds(4, 0, 1, 9, start=ROWS[:2]))


def test_loop_that_swaps_and_keeps(tmp_path):
    body = turn([node("Identity", ["b"], ["a_next"]), node("Identity", ["a"], ["b_next"]), node("Identity", ["c"], ["c_next"]),
                 node("Sub", ["a", "c"], ["row"])], [("a", FLOAT), ("b", FLOAT), ("c", FLOAT)],
                [("a_next", FLOAT), ("b_next", FLOAT), ("c_next", FLOAT), ("row", FLOAT)])
    model = model_of([node("Neg", ["start"], ["other"]), node("Loop", ["count", "", "start", "other", "x"], ["p", "q", "r", "rows"], body=body)],
                     LOOP_INPUTS, [(name, FLOAT, None) for name in ("p", "q", "r", "rows")])
    check(tmp_path, model, *loop_feeds(1, 2, 5))


def test_loop_slices_by_its_turn(tmp_path):
    body = turn([constant("axis", [0]), constant("one", [1]), node("Unsqueeze", ["turn", "axis"], ["from"]), node("Add", ["from", "one"], ["to"]),
                 node("Slice", ["x", "from", "to"], ["row"]), node("Add", ["a", "row"], ["next"])], [("a", FLOAT)], [("next", FLOAT)])
    model = model_of([node("Loop", ["count", "", "start"], ["last"], body=body)], LOOP_INPUTS, [("last", FLOAT, None)])
    check(tmp_path, model, *loop_feeds(0, 3, 5, start=ROWS[:1]))


def test_loop_in_a_loop_with_a_branch(tmp_path):
    then = graph([node("Mul", ["b", "half"], ["t"])], [], [("t", FLOAT)])
    other = graph([node("Add", ["b", "x"], ["e"])], [], [("e", FLOAT)])
    inner = graph([node("ReduceMax", ["b"], ["most"], keepdims=0), node("Greater", ["most", "limit"], ["large"]),
                   node("If", ["large"], ["b_next"], then_branch=then, else_branch=other), node("Identity", ["on"], ["more"]),
                   node("ReduceSum", ["b_next", "axis"], ["sums"], keepdims=0)],
                  [("i", INT64), ("on", BOOL), ("b", FLOAT)], [("more", BOOL), ("b_next", FLOAT), ("sums", FLOAT)])
    body = turn([constant("half", np.float32(0.5)), constant("limit", np.float32(3)), constant("axis", [0]),
                 node("Loop", ["count", "", "a"], ["next", "table"], body=inner)], [("a", FLOAT)],
                [("next", FLOAT), ("table", FLOAT)])
    model = model_of([node("Loop", ["count", "", "start"], ["last", "tables"], body=body)], LOOP_INPUTS,
                     [("last", FLOAT, None), ("tables", FLOAT, None)])
    check(tmp_path, model, *loop_feeds(1, 3))


def test_scan_in_both_directions_and_along_other_axes(tmp_path):
    body = graph([node("Add", ["s", "r"], ["s_next"]), node("Mul", ["s_next", "q"], ["row"])],
                 [("s", FLOAT), ("r", FLOAT), ("q", FLOAT)], [("s_next", FLOAT), ("row", FLOAT)])
    scan = node("Scan", ["s", "x", "z"], ["last", "rows"], body=body, num_scan_inputs=2, scan_input_axes=[0, 1],
                scan_input_directions=[0, 1], scan_output_axes=[1], scan_output_directions=[1])
    model = model_of([scan], [("s", FLOAT, [3]), ("x", FLOAT, ["n", 3]), ("z", FLOAT, [3, "n"])],
                     [("last", FLOAT, None), ("rows", FLOAT, None)])
    check(tmp_path, model, *({"s": f32(3), "x": f32(n, 3), "z": f32(3, n)} for n in (5, 1)))


@pytest.mark.parametrize("op, gates, states", [("LSTM", 4, 2), ("GRU", 3, 1), ("RNN", 1, 1)])
def test_recurrent_layer_over_any_length(tmp_path, op, gates, states):
    hidden, width = 5, 4
    names = ["y", "h", "c"][:states + 1]
    weights = [("w", f32(2, gates * hidden, width)), ("r", f32(2, gates * hidden, hidden)), ("b", f32(2, 2 * gates * hidden))]
    model = model_of([node(op, ["x", "w", "r", "b", "lengths"], names, hidden_size=hidden, direction="bidirectional")],
                     [("x", FLOAT, ["t", "n", width]), ("lengths", INT32, ["n"])],
                     [(name, FLOAT, None) for name in names], weights)
    check(tmp_path, model, *({"x": f32(t, n, width), "lengths": np.array([t, max(1, t - 2)][:n], np.int32)}
                             for t, n in ((1, 1), (7, 2), (20, 2))))


def test_loops_that_do_not_fit_are_refused(tmp_path):
    inputs, outputs = LOOP_INPUTS, [("last", FLOAT, None)]
    loop = lambda body, count="count": model_of([node("Loop", [count, "", "start"], ["last"], name="turns", body=body)], inputs, outputs)
    refuse(tmp_path, loop(turn([constant("one", 1), node("Cast", ["a"], ["next"], to=INT64)], [("a", FLOAT)], [("next", INT64)])),
           "turns", "types must be equal")
    refuse(tmp_path, loop(turn([node("Unsqueeze", ["a", "axes"], ["next"]), constant("axes", [0])], [("a", FLOAT)], [("next", FLOAT)])),
           "turns", "rank")
    refuse(tmp_path, loop(turn([], [("a", FLOAT)], [("a", FLOAT)]), count=""), "turns", "never ends")
    refuse(tmp_path, loop(graph([], [("turn", INT64)], [("turn", INT64)])), "turns", "inputs")
