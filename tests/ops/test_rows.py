"""Products and convolutions whose number of rows is known only at run time: every number, in one module."""
import numpy as np
import pytest
from cases import f32
from graphs import FLOAT, INT64, check, node
from small import model_of

ROWS = [*range(0, 35), 57, 100]


@pytest.mark.parametrize("depth, columns", [(64, 40), (1024, 33), (7, 1), (256, 128)])
def test_products(tmp_path, depth, columns):
    # The second depth makes rows lie 4096 bytes apart, which are copied before they are read.
    nodes = [node("MatMul", ["x", "w"], ["p"]), node("Add", ["p", "b"], ["q"]), node("Add", ["q", "r"], ["s"]), node("Relu", ["s"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, ["n", depth]), ("r", FLOAT, ["n", columns])], [("y", FLOAT, None)],
                     [("w", f32(depth, columns)), ("b", f32(columns))])
    check(tmp_path, model, *({"x": f32(n, depth), "r": f32(n, columns)} for n in ROWS), threads=(1, 2))


def test_rows_that_may_be_one(tmp_path):
    nodes = [node("MatMul", ["x", "w"], ["p"]), node("Add", ["p", "r"], ["s"]), node("Mul", ["s", "t"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, ["n", 33]), ("r", FLOAT, ["m", 70]), ("t", FLOAT, ["k", 1])], [("y", FLOAT, None)],
                     [("w", f32(33, 70))])
    sizes = [(n, m, k) for n in (1, 2, 13, 14, 33) for m in (1, n) for k in (1, n)]
    sizes += [(1, 7, 1), (1, 1, 9), (1, 5, 5), (0, 1, 1), (1, 0, 0), (1, 1, 0), (0, 0, 1)]
    check(tmp_path, model, *({"x": f32(n, 33), "r": f32(m, 70), "t": f32(k, 1)} for n, m, k in sizes), threads=(1, 2))


def test_batches_of_products(tmp_path):
    model = model_of([node("MatMul", ["x", "w"], ["y"])], [("x", FLOAT, ["b", "n", 48])], [("y", FLOAT, None)], [("w", f32(48, 24))])
    check(tmp_path, model, *({"x": f32(b, n, 48)} for b in (1, 2, 5) for n in (1, 3, 7, 13, 14, 15)))


@pytest.mark.parametrize("channels, kernel", [(3, 3), (32, 7), (9, 1)])
def test_convolutions_with_one_output_channel(tmp_path, channels, kernel):
    pads = [kernel // 2] * 4
    nodes = [node("Conv", ["x", "v"], ["s"], pads=[1] * 4), node("Relu", ["s"], ["t"]), node("Conv", ["t", "w"], ["u"], pads=pads),
             node("Clip", ["u"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, ["n", 4, "h", "w_"])], [("y", FLOAT, None)],
                     [("v", f32(channels, 4, 3, 3)), ("w", f32(1, channels, kernel, kernel))])
    check(tmp_path, model, *({"x": f32(n, 4, h, w)} for n, h, w in [(1, 1, 1), (2, 5, 15), (1, 9, 16), (1, 8, 33), (0, 8, 8)]))


def test_reductions_of_rows(tmp_path):
    nodes = [node("ReduceMax", ["x"], ["m"], axes=[1], keepdims=0), node("ReduceSumSquare", ["x"], ["s"], axes=[1], keepdims=0),
             node("ReduceMean", ["x"], ["a"], axes=[1], keepdims=0), node("ReduceMin", ["i"], ["l"], axes=[1], keepdims=0)]
    model = model_of(nodes, [("x", FLOAT, ["n", "k"]), ("i", INT64, ["n", "k"])],
                     [("m", FLOAT, None), ("s", FLOAT, None), ("a", FLOAT, None), ("l", INT64, None)])
    rng = np.random.default_rng(5)
    # Not around 0: a mean that cancels is off by rounding, in any order of its sum.
    rows = [(x, rng.integers(-2**40, 2**40, x.shape)) for x in (f32(n, k, low=-0.5, high=1) for n in (1, 8, 17, 64) for k in (1, 9, 16, 45, 1024))]
    rows[8][0][2, 1], rows[9][0][0, 0] = np.inf, -np.inf
    check(tmp_path, model, *({"x": x, "i": i} for x, i in rows))


def test_rows_of_an_operand_that_is_not_constant(tmp_path):
    model = model_of([node("MatMul", ["x", "z"], ["y"])], [("x", FLOAT, ["n", 40]), ("z", FLOAT, [40, "m"])], [("y", FLOAT, None)])
    check(tmp_path, model, *({"x": f32(n, 40), "z": f32(40, m)} for n in (1, 2, 5, 12, 13, 27) for m in (1, 16, 31, 70)))


@pytest.mark.parametrize("group", [1, 8])
def test_convolutions(tmp_path, group):
    model = model_of([node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1], kernel_shape=[3, 3], group=group)],
                     [("x", FLOAT, ["n", 8, "h", "w_"])], [("y", FLOAT, None)], [("w", f32(16, 8 // group, 3, 3))])
    check(tmp_path, model, *({"x": f32(1, 8, h, w)} for h, w in [(1, k) for k in range(1, 30)] + [(5, 7), (14, 14), (9, 31)]))
