"""Attention as models spell it out (product, scale, mask, softmax, product), which one kernel computes."""
import json

import numpy as np
import onnx
import pytest
from cases import f32
from command import compile_model, run_module, succeed
from graphs import BOOL, DOUBLE, FLOAT, FLOAT16, node
from onnx import helper
from reference import Reference
from small import model_of

DTYPES = {FLOAT: np.float32, DOUBLE: np.float64, FLOAT16: np.float16}
CPUS = ["native", "x86-64", "x86-64-v3"]


def attention(batch, heads, queries, keys, depth, width, element=FLOAT, scores=(), weights=(), inputs=(), opset=17):
    """q, k and v with heads; `scores` leads from `s` to `t`, other nodes and inputs beside it."""
    dtype = DTYPES[element]
    nodes = [node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]), node("MatMul", ["q", "kt"], ["r"]),
             node("Mul", ["r", "scale"], ["s"]), *scores,
             node("Softmax", ["t" if scores else "s"], ["p"], axis=-1), node("MatMul", ["p", "v"], ["y"])]
    declared = [("q", element, [batch, heads, queries, depth]), ("k", element, [batch, heads, keys, depth]),
                ("v", element, [batch, heads, keys, width]), *inputs]
    return model_of(nodes, declared, [("y", element, None)],
                    [("scale", np.array(0.3, dtype)), *weights], opset=opset)


def feed_of(batch, heads, queries, keys, depth, width, element=FLOAT):
    cast = lambda array: array.astype(DTYPES[element])
    return {"q": cast(f32(batch, heads, queries, depth)), "k": cast(f32(batch, heads, keys, depth) * 2),
            "v": cast(f32(batch, heads, keys, width))}


def kernels(module):
    """The names of the model's nodes in each dispatch."""
    return [row["name"] for row in json.loads(succeed("inspect", module, "--json").out)["dispatches"]]


def agree(tmp_path, model, feeds, *flags, tolerance=1e-5, fused=True, reference=None):
    onnx.save(model, tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", tmp_path / "m.eyr", *flags)
    if fused is not None:
        assert (len(kernels(tmp_path / "m.eyr")) == 1) == fused, kernels(tmp_path / "m.eyr")
    session = Reference(reference or model)
    for feed in feeds:
        want = session(feed)["y"]
        for threads in (1, 2):
            got = run_module(tmp_path / "m.eyr", feed, tmp_path, "--threads", threads)["y"]
            assert got.shape == want.shape and got.dtype == want.dtype
            assert np.array_equal(np.isnan(got), np.isnan(want))
            difference = np.abs(np.nan_to_num(got.astype(np.float64)) - np.nan_to_num(want.astype(np.float64)))
            assert difference.max(initial=0) <= tolerance * max(np.abs(np.nan_to_num(want)).max(initial=0), 1e-3)


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("sizes", [(2, 3, 14, 32, 16, 32), (1, 2, 5, 7, 3, 5), (1, 1, 2, 2, 2, 2), (1, 4, 67, 131, 64, 64),
                                   (3, 1, 29, 33, 17, 9), (1, 2, 130, 13, 8, 80), (1, 1, 40, 517, 32, 48)],
                         ids=lambda sizes: "x".join(map(str, sizes)))
def test_sizes(tmp_path, sizes, cpu):
    agree(tmp_path, attention(*sizes), [feed_of(*sizes)], "--cpu", cpu)


@pytest.mark.parametrize("sizes", [(2, 2, 1, 9, 8, 8), (1, 2, 6, 1, 8, 8), (1, 2, 6, 9, 8, 1), (1, 2, 6, 9, 1, 8), (1, 1, 6, 0, 4, 4),
                                   (0, 2, 6, 9, 4, 4), (1, 2, 0, 9, 4, 4)], ids=lambda sizes: "x".join(map(str, sizes)))
def test_one_and_none(tmp_path, sizes):
    agree(tmp_path, attention(*sizes), [feed_of(*sizes)], fused=None)


SIZES = (2, 3, 37, 45, 16, 24)


@pytest.mark.parametrize("element,tolerance", [(DOUBLE, 1e-12), (FLOAT16, 2e-3)], ids=["f64", "f16"])
def test_element_types(tmp_path, element, tolerance):
    agree(tmp_path, attention(*SIZES, element=element), [feed_of(*SIZES, element=element)], tolerance=tolerance)


def test_mask_that_is_added(tmp_path):
    mask = np.where(np.random.default_rng(0).random((2, 1, 1, 45)) < 0.3, np.float32(-10000), np.float32(0))
    model = attention(*SIZES, scores=[node("Add", ["s", "mask"], ["t"])], inputs=[("mask", FLOAT, [2, 1, 1, 45])])
    agree(tmp_path, model, [feed_of(*SIZES) | {"mask": mask}])


def test_boolean_mask_and_rows_that_see_nothing(tmp_path):
    """Such a row is not a number, in ONNX Runtime as here."""
    mask = np.random.default_rng(0).random((2, 1, 37, 45)) < 0.6
    mask[1, 0, 5] = False
    model = attention(*SIZES, scores=[node("Where", ["mask", "s", "low"], ["t"])], inputs=[("mask", BOOL, [2, 1, 37, 45])],
                      weights=[("low", np.array(-np.inf, np.float32))])
    agree(tmp_path, model, [feed_of(*SIZES) | {"mask": mask}])


def test_constant_causal_mask_and_a_cap(tmp_path):
    causal = np.triu(np.full((37, 45), np.float32(-3.4e38)), 1)
    model = attention(*SIZES, scores=[node("Div", ["s", "cap"], ["d"]), node("Tanh", ["d"], ["h"]), node("Mul", ["h", "cap"], ["c"]),
                                      node("Add", ["c", "causal"], ["t"])], weights=[("cap", np.array(5, np.float32)), ("causal", causal)])
    agree(tmp_path, model, [feed_of(*SIZES)])


def test_infinite_and_undefined_scores(tmp_path):
    feed = feed_of(*SIZES)
    feed["q"][0, 0, 3, 2] = np.inf
    feed["q"][1, 2, 7, 1] = np.nan
    feed["v"][0, 1, 4, 4] = np.nan
    agree(tmp_path, attention(*SIZES), [feed])


def test_heads_side_by_side(tmp_path):
    """As exporters write it: projections, heads split by Reshape and Transpose, and joined again."""
    length, heads, depth = 50, 4, 16
    nodes = []
    for name in "qkv":
        nodes += [node("MatMul", ["x", "w" + name], ["m" + name]), node("Reshape", ["m" + name, "split"], ["r" + name]),
                  node("Transpose", ["r" + name], ["h" + name], perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3])]
    nodes += [node("MatMul", ["hq", "hk"], ["s"]), node("Div", ["s", "root"], ["t"]), node("Softmax", ["t"], ["p"], axis=-1),
              node("MatMul", ["p", "hv"], ["o"]), node("Transpose", ["o"], ["j"], perm=[0, 2, 1, 3]),
              node("Reshape", ["j", "join"], ["y"])]
    model = model_of(nodes, [("x", FLOAT, [2, length, 32])], [("y", FLOAT, None)],
                     [*(("w" + name, f32(32, heads * depth)) for name in "qkv"), ("split", np.array([2, length, heads, depth])),
                      ("join", np.array([2, length, heads * depth])), ("root", np.array(4, np.float32))])
    onnx.save(model, tmp_path / "m.onnx")
    agree(tmp_path, model, [{"x": f32(2, length, 32)}], fused=None)
    # Three projections and the attention, which writes the heads side by side.
    assert len(kernels(tmp_path / "m.eyr")) <= 4


def test_shared_keys(tmp_path):
    """Four heads of queries read one of keys and values."""
    model = attention(*SIZES)
    del model.graph.input[:]
    for name, shape in (("q", [2, 4, 37, 16]), ("k", [2, 1, 45, 16]), ("v", [2, 1, 45, 24])):
        model.graph.input.append(helper.make_tensor_value_info(name, FLOAT, shape))
    agree(tmp_path, model, [{"q": f32(2, 4, 37, 16), "k": f32(2, 1, 45, 16), "v": f32(2, 1, 45, 24)}])


def test_open_sizes_within_bounds(tmp_path):
    model = attention("b", 3, "q", "k", 16, 24)
    feeds = [feed_of(b, 3, q, k, 16, 24) for b, q, k in ((1, 1, 1), (2, 37, 45), (1, 60, 70), (3, 13, 16), (1, 0, 5), (0, 4, 4), (1, 14, 64))]
    agree(tmp_path, model, feeds, "--shape", "b=0..4", "--shape", "q=0..60", "--shape", "k=1..70")


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("is_scaled", [True, False])
def test_open_sizes_without_bounds(tmp_path, is_scaled, cpu):
    """Rows come in chunks of 6,144 keys."""
    model = attention("b", 3, "q", "k", 16, 24)
    if not is_scaled:
        del model.graph.node[2]
        model.graph.node[1].output[0] = "s"
    sizes = ((1, 1, 1), (2, 37, 45), (1, 20, 6143), (1, 15, 6144), (1, 14, 6145), (1, 70, 13000), (1, 3, 0), (0, 3, 4), (1, 0, 4))
    feeds = [feed_of(b, 3, q, k, 16, 24) for b, q, k in sizes]
    agree(tmp_path, model, [feed for feed in feeds if feed["k"].size], "--cpu", cpu)
    got = run_module(tmp_path / "m.eyr", feeds[6], tmp_path)["y"]
    assert got.shape == (1, 3, 3, 24) and not got.any()


def test_more_keys_than_fit(tmp_path):
    sizes = (1, 2, 9, 70001, 8, 8)
    agree(tmp_path, attention(*sizes), [feed_of(*sizes)])


def test_masks_of_open_sizes(tmp_path):
    """An added and a boolean mask, and rows that see nothing: what is read beside the scores, chunk by chunk."""
    model = attention("b", 2, "q", "k", 8, 8, scores=[node("Add", ["s", "bias"], ["a"]), node("Where", ["mask", "a", "low"], ["t"])],
                      inputs=[("bias", FLOAT, ["b", 1, 1, "k"]), ("mask", BOOL, ["q", "k"])], weights=[("low", np.array(-np.inf, np.float32))])
    feeds = []
    for b, q, k in ((1, 5, 7), (2, 40, 2000), (1, 17, 7100)):
        mask = np.random.default_rng(0).random((q, k)) < 0.6
        mask[3] = False
        feeds.append(feed_of(b, 2, q, k, 8, 8) | {"bias": f32(b, 1, 1, k), "mask": mask})
    agree(tmp_path, model, feeds)


def test_weights_that_a_mask_follows(tmp_path):
    """What the rows' own functions read from outside, as the expansion of ONNX's Attention does; in chunks too."""
    for queries, keys in ((37, 45), ("q", "k")):
        model = attention(1, 2, queries, keys, 8, 8)
        model.graph.node[3].output[0] = "w"
        model.graph.node[4].input[0] = "p2"
        model.graph.node.insert(4, node("Where", ["none", "zero", "w"], ["p1"]))
        model.graph.node.insert(5, node("Mul", ["p1", "gain"], ["p2"]))
        for name, element, shape in (("none", BOOL, [queries, 1]), ("gain", FLOAT, [keys])):
            model.graph.input.append(helper.make_tensor_value_info(name, element, shape))
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0, np.float32), "zero"))
        feeds = [feed_of(1, 2, q, k, 8, 8) | {"none": np.random.default_rng(0).random((q, 1)) < 0.3, "gain": f32(k)}
                 for q, k in ((37, 45), *([(20, 7500)] if keys == "k" else []))]
        agree(tmp_path, model, feeds)


def test_a_border_follows(tmp_path):
    model = attention(*SIZES)
    model.graph.node[-1].output[0] = "o"
    model.graph.node.append(node("Pad", ["o", "pads", "seven"], ["y"]))
    model.graph.initializer.extend([onnx.numpy_helper.from_array(np.array([0, 0, 1, 2, 0, 0, 3, 1]), "pads"),
                                    onnx.numpy_helper.from_array(np.array(7, np.float32), "seven")])
    agree(tmp_path, model, [feed_of(*SIZES)])


def test_scores_without_anything_behind_them(tmp_path):
    model = attention(*SIZES)
    del model.graph.node[2]
    model.graph.node[1].output[0] = "s"
    agree(tmp_path, model, [feed_of(*SIZES)])


def test_scores_that_are_results_too(tmp_path):
    model = attention(*SIZES)
    model.graph.output.append(helper.make_tensor_value_info("p", FLOAT, None))
    agree(tmp_path, model, [feed_of(*SIZES)], fused=False)


def test_what_follows(tmp_path):
    model = attention(*SIZES)
    model.graph.node[-1].output[0] = "o"
    model.graph.node.extend([node("Relu", ["o"], ["u"]), node("Add", ["u", "q2"], ["y"])])
    model.graph.input.append(helper.make_tensor_value_info("q2", FLOAT, [2, 3, 37, 24]))
    agree(tmp_path, model, [feed_of(*SIZES) | {"q2": f32(2, 3, 37, 24)}])


def test_several_processors(tmp_path):
    agree(tmp_path, attention(*SIZES), [feed_of(*SIZES)], "--cpu", "x86-64", "--cpu", "x86-64-v3", "--cpu", "x86-64-v4")


# ---- what looks like attention and is not, or not for this kernel ---------------------------------------------------

def agrees_at_least(tmp_path, nodes, inputs, feeds, weights=(), tolerance=1e-5):
    model = model_of(nodes, inputs, [("y", FLOAT, None)], list(weights))
    agree(tmp_path, model, feeds, fused=None, tolerance=tolerance)


def test_statistics_of_another_row(tmp_path):
    """The sums of rows and of columns are one tensor here: S / (d_i d_j), as graph networks scale neighbours."""
    nodes = [node("MatMul", ["q", "k"], ["s"]), node("Exp", ["s"], ["e"]), node("ReduceSum", ["e", "last"], ["d"], keepdims=1),
             node("Transpose", ["d"], ["dt"], perm=[1, 0]), node("Div", ["e", "d"], ["a"]), node("Div", ["a", "dt"], ["b"]),
             node("MatMul", ["b", "v"], ["y"])]
    agrees_at_least(tmp_path, nodes, [("q", FLOAT, [37, 8]), ("k", FLOAT, [8, 37]), ("v", FLOAT, [37, 12])],
                    [{"q": f32(37, 8), "k": f32(8, 37), "v": f32(37, 12)}], [("last", np.array([-1]))])


def test_weights_of_another_length(tmp_path):
    nodes = [node("MatMul", ["q", "k"], ["s"]), node("ReduceMax", ["s"], ["m"], axes=[-1], keepdims=1),
             node("Mul", ["t", "m"], ["w"]), node("MatMul", ["w", "v"], ["y"])]
    agrees_at_least(tmp_path, nodes, [("q", FLOAT, [37, 8]), ("k", FLOAT, [8, 45]), ("t", FLOAT, [37, 100]), ("v", FLOAT, [100, 24])],
                    [{"q": f32(37, 8), "k": f32(8, 45), "t": f32(37, 100), "v": f32(100, 24)}])


def test_statistics_of_another_tensor(tmp_path):
    nodes = [node("MatMul", ["q", "k"], ["s"]), node("Softmax", ["s"], ["p"], axis=-1), node("ReduceSum", ["t", "last"], ["d"], keepdims=1),
             node("Mul", ["p", "d"], ["w"]), node("MatMul", ["w", "v"], ["y"])]
    agrees_at_least(tmp_path, nodes, [("q", FLOAT, [37, 8]), ("k", FLOAT, [8, 45]), ("t", FLOAT, [37, 30]), ("v", FLOAT, [45, 24])],
                    [{"q": f32(37, 8), "k": f32(8, 45), "t": f32(37, 30), "v": f32(45, 24)}], [("last", np.array([-1]))])


def test_what_follows_reads_elsewhere(tmp_path):
    """An input that may be broadcast, and rows that are looked up, are no epilogue of this kernel."""
    for extra, shapes in ((node("Add", ["o", "extra"], ["y"]), ["n", 3, 37, 24]), (node("Add", ["o", "g"], ["y"]), None)):
        model = attention(*SIZES)
        model.graph.node[-1].output[0] = "o"
        feed = feed_of(*SIZES)
        if shapes:
            model.graph.input.append(helper.make_tensor_value_info("extra", FLOAT, shapes))
            feeds = [feed | {"extra": f32(n, 3, 37, 24)} for n in (1, 2)]
        else:
            model.graph.node.append(node("Gather", ["table", "ids"], ["g"]))
            model.graph.input.append(helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [37]))
            model.graph.initializer.append(onnx.numpy_helper.from_array(f32(50, 24), "table"))
            feeds = [feed | {"ids": np.arange(37) % 50}]
        model.graph.node.append(extra)
        agree(tmp_path, model, feeds, fused=None)


def test_wider_weights(tmp_path):
    for keys in (45, "k"):
        nodes = [node("MatMul", ["q", "k"], ["s"]), node("Softmax", ["s"], ["p"], axis=-1), node("Cast", ["p"], ["w"], to=DOUBLE),
                 node("MatMul", ["w", "v"], ["z"]), node("Cast", ["z"], ["y"], to=FLOAT)]
        agrees_at_least(tmp_path, nodes, [("q", FLOAT, [37, 8]), ("k", FLOAT, [8, keys]), ("v", DOUBLE, [keys, 24])],
                        [{"q": f32(37, 8), "k": f32(8, 45), "v": f32(45, 24).astype(np.float64)}])


def test_values_that_are_apart(tmp_path):
    for keys, sizes in ((45, [45]), (3000, [3000]), ("k", [45, 7000])):
        nodes = [node("MatMul", ["q", "k"], ["s"]), node("Softmax", ["s"], ["p"], axis=-1),
                 node("Slice", ["x", "zero", "end", "axis", "two"], ["v"]), node("MatMul", ["p", "v"], ["y"])]
        agrees_at_least(tmp_path, nodes, [("q", FLOAT, [37, 8]), ("k", FLOAT, [8, keys]), ("x", FLOAT, [keys, 48])],
                        [{"q": f32(37, 8), "k": f32(8, n), "x": f32(n, 48)} for n in sizes],
                        [("zero", np.array([0])), ("end", np.array([48])), ("axis", np.array([1])), ("two", np.array([2]))])


def test_reductions_of_boolean_masks(tmp_path):
    """Not attention, but what a contraction with booleans is: rows a page apart, of which one operand is a mask."""
    nodes = [node("Where", ["mask", "x", "zero"], ["w"]), node("ReduceSum", ["w", "axis"], ["y"], keepdims=0)]
    agrees_at_least(tmp_path, nodes, [("mask", BOOL, [28, 4096, 1]), ("x", FLOAT, [1, 4096, 64])],
                    [{"mask": np.random.default_rng(0).random((28, 4096, 1)) < 0.5, "x": f32(1, 4096, 64)}],
                    [("zero", np.array(0, np.float32)), ("axis", np.array([1]))], tolerance=1e-4)
